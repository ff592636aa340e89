/* What care finds of blobs, told of the objects whose bytes they hold. */
#include "events/private.h"

#include <string.h>

#define USERS_MAX 1000u /* of a blob */

static struct slice text_of(ProtobufCBinaryData bytes)
{
    return slice_of(bytes.data, bytes.len);
}

/* How many events were added. The version may be gone meanwhile. */
static unsigned tell_of(struct events *events, struct meta *meta,
                        struct arena *arena, struct meta_batch *batch,
                        const struct meta_user *user, Meta__EventType type)
{
    struct events_change change = {
        .type = type,
        .key = user->key,
        .requester = SLICE_LITERAL(EVENTS_OF_S3D),
        .source_ip = SLICE_LITERAL(EVENTS_OF_S3D),
        .time_ms = clock_wall_ms(),
    };
    Meta__Bucket *bucket;
    Meta__Object *object;

    if (meta_get_bucket_by_id(meta, arena, user->bucket, &bucket) != 0 ||
        !events_wanted(events, bucket) ||
        meta_get_version(meta, arena, user->bucket, user->key, user->sequence,
                         &object) != 0) {
        return 0;
    }
    if (events_check(events, bucket, type, user->key) != 0) {
        log_warn("events: no room to tell of an object of %.*s: %s",
                 (int)bucket->name.len, (const char *)bucket->name.data,
                 events_type_name(type));
        return 0;
    }
    change.size = object->size;
    change.etag = text_of(object->etag);
    change.version_id = text_of(object->version_id);
    return events_emit(events, batch, bucket, &change);
}

unsigned events_emit_blob(struct events *events, struct meta *meta,
                          struct meta_batch *batch, uint64_t blob,
                          Meta__EventType type)
{
    struct arena *arena;
    struct meta_user *users;
    unsigned told = 0;
    size_t count;
    bool more;
    int error;

    if (events == NULL) {
        return 0;
    }
    arena = arena_new();
    error =
        meta_list_users(meta, arena, blob, USERS_MAX, &users, &count, &more);
    for (size_t i = 0; error == 0 && i < count; i++) {
        told += tell_of(events, meta, arena, batch, &users[i], type);
    }
    if (told > 0 && more) {
        log_warn("events: blob %llx is told of %u objects, and is in more",
                 (unsigned long long)blob, told);
    }
    if (error != 0) {
        log_error("events: whose blob %llx is cannot be told: %s",
                  (unsigned long long)blob, strerror(-error));
    }
    arena_free(arena);
    return told;
}
