/* Telling of changes to objects: what events say of the request. */
#include "s3/notify.h"

#include "s3/version.h"

int notify_check(struct s3_call *call, Meta__EventType type, struct slice key)
{
    return events_check(call->service->events, call->bucket, type, key);
}

Meta__EventType notify_created_type(const struct s3_call *call)
{
    switch (call->operation->operation) {
    case WIRE__OPERATION__POST_OBJECT:
        return META__EVENT_TYPE__OBJECT_CREATED_POST;
    case WIRE__OPERATION__COPY_OBJECT:
    case WIRE__OPERATION__RENAME_OBJECT:
        return META__EVENT_TYPE__OBJECT_CREATED_COPY;
    case WIRE__OPERATION__COMPLETE_MULTIPART_UPLOAD:
        return META__EVENT_TYPE__OBJECT_CREATED_COMPLETE_MULTIPART_UPLOAD;
    case WIRE__OPERATION__DELETE_OBJECT:
    case WIRE__OPERATION__DELETE_OBJECTS:
        return META__EVENT_TYPE__OBJECT_REMOVED_DELETE_MARKER_CREATED;
    default:
        return META__EVENT_TYPE__OBJECT_CREATED_PUT;
    }
}

/* Whose request it is: "AWS:" and the id of the user, of the role's session,
 * or the number of the account. */
static struct slice requester(const struct s3_call *call)
{
    if (call_is_anonymous(call)) {
        return SLICE_LITERAL("Anonymous");
    }
    return call->identity.user_id[0] == '\0'
               ? SLICE_LITERAL(EVENTS_OF_S3D)
               : slice_from_string(arena_printf(call->arena, "AWS:%s",
                                                call->identity.user_id));
}

static struct slice source(const struct s3_call *call)
{
    return call->request->source_ip.len > 0 ? pb_slice(call->request->source_ip)
                                            : SLICE_LITERAL(EVENTS_OF_S3D);
}

static struct events_change change_of(const struct s3_call *call,
                                      Meta__EventType type, struct slice key)
{
    return (struct events_change){
        .type = type,
        .key = key,
        .requester = requester(call),
        .source_ip = source(call),
        .request_id = pb_slice(call->request->request_id),
        .time_ms = clock_wall_ms(),
    };
}

/* --- tags of caches --------------------------------------------------------*/
static void add_tags(struct buffer *tags, struct slice value)
{
    for (size_t i = 0; i < value.size; i++) {
        const bool between = value.data[i] == ',' || value.data[i] <= ' ';

        if (!between) {
            buffer_append(tags, value.data + i, 1);
        } else if (tags->size > 0 && tags->data[tags->size - 1] != ' ') {
            buffer_append(tags, " ", 1);
        }
    }
    if (tags->size > 0 && tags->data[tags->size - 1] != ' ') {
        buffer_append(tags, " ", 1);
    }
}

static void add_tags_of(struct buffer *tags, const Meta__Object *object)
{
    for (size_t i = 0; object != NULL && i < object->n_metadata; i++) {
        const struct slice name = pb_slice(object->metadata[i]->name);

        if (slice_equal_string(name, "cache-tag") ||
            slice_equal_string(name, "surrogate-key")) {
            add_tags(tags, pb_slice(object->metadata[i]->value));
        }
    }
}

/* What caches know either version by: those of the old one are on the copies
 * that they hold, and those of the new one on what it belongs to now. */
static struct slice cache_tags(struct s3_call *call, const Meta__Object *object,
                               const Meta__Object *replaced)
{
    struct buffer tags = {0};

    add_tags_of(&tags, replaced);
    add_tags_of(&tags, object);
    const size_t size = tags.size > 0 ? tags.size - 1 : 0; /* the last blank */
    const struct slice kept = arena_copy(call->arena, tags.data, size);
    buffer_free(&tags);
    return kept;
}

/* Most buckets tell nothing: then nothing is put together. */
static bool tells(const struct s3_call *call)
{
    return events_wanted(call->service->events, call->bucket);
}

void notify_object(struct s3_call *call, struct meta_batch *batch,
                   Meta__EventType type, struct slice key,
                   const Meta__Object *object, const Meta__Object *replaced)
{
    if (!tells(call)) {
        return;
    }
    struct events_change change = change_of(call, type, key);

    change.size = object->size;
    change.etag = pb_slice(object->etag);
    change.version_id = pb_slice(object->version_id);
    change.cache_tags = cache_tags(call, object, replaced);
    events_emit(call->service->events, batch, call->bucket, &change);
}

void notify_removed(struct s3_call *call, struct meta_batch *batch,
                    struct slice key, struct slice version_id,
                    const Meta__Object *removed)
{
    if (!tells(call)) {
        return;
    }
    struct events_change change =
        change_of(call, META__EVENT_TYPE__OBJECT_REMOVED_DELETE, key);

    change.version_id = version_id;
    change.cache_tags = cache_tags(call, removed, NULL);
    events_emit(call->service->events, batch, call->bucket, &change);
}

void notify_test(struct s3_call *call, struct meta_batch *batch,
                 struct events_target *target)
{
    const struct events_change change =
        change_of(call, META__EVENT_TYPE__TEST_EVENT, SLICE_LITERAL(""));

    events_emit_to(target, batch, call->bucket, &change);
}
