/*
 * Usage counted anew from the records, in one snapshot: when there is none
 * yet, and to see that what is kept is right (M7).
 */
#include "meta/private.h"

#include <errno.h>
#include <stdlib.h>

#define KEY_OF_BUCKET_SIZE 9 /* tag, bucket */

struct recount {
    struct meta *meta;
    struct kv_iterator *it;
    struct meta_recount *buckets; /* ascending by id */
    size_t count, room;
};

/* --- the table -------------------------------------------------------------*/

/* Of the first bucket whose id is not less. */
static size_t place(const struct recount *recount, uint64_t id)
{
    size_t low = 0, high = recount->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (recount->buckets[middle].bucket < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct meta_recount *bucket_of(struct recount *recount, uint64_t id)
{
    size_t at = place(recount, id);

    if (at < recount->count && recount->buckets[at].bucket == id) {
        return &recount->buckets[at];
    }
    if (recount->count == recount->room) {
        recount->room = recount->room > 0 ? 2 * recount->room : 64;
        recount->buckets = xrealloc(recount->buckets,
                                    recount->room * sizeof(*recount->buckets));
    }
    memmove(recount->buckets + at + 1, recount->buckets + at,
            (recount->count - at) * sizeof(*recount->buckets));
    recount->count++;
    recount->buckets[at] = (struct meta_recount){.bucket = id};
    return &recount->buckets[at];
}

static void count(struct recount *recount, uint64_t bucket, uint64_t bytes)
{
    struct meta_recount *found = bucket_of(recount, bucket);

    found->counted.bytes += bytes;
    found->counted.objects++;
}

/* --- the walk --------------------------------------------------------------*/

static int take_object(struct recount *recount, struct slice key)
{
    struct meta_listed listed;
    int rc = key.size < KEY_OF_BUCKET_SIZE + 8
                 ? -EBADMSG
                 : record_listed(kv_value(recount->it),
                                 slice_of(key.data + key.size - 8, 8), &listed);

    if (rc == 0) {
        count(recount, get_u64be(key.data + 1), listed.size);
    }
    return rc;
}

static int take_usage(struct recount *recount, struct slice key)
{
    struct arena *arena;
    Meta__Usage *usage;
    int rc;

    if (key.size != KEY_USAGE_SIZE || key.data[1] != 'b') {
        return 0; /* an owner's quota */
    }
    arena = arena_new();
    rc = meta_unpack(arena, META_RECORD_USAGE, &meta__usage__descriptor,
                     kv_value(recount->it), (ProtobufCMessage **)&usage);
    if (rc == 0 && get_u64be(key.data + 2) != 0) {
        bucket_of(recount, get_u64be(key.data + 2))->recorded =
            (struct meta_usage){usage->bytes, usage->objects};
    }
    arena_free(arena);
    return rc;
}

/* All records of a tag. */
static int walk(struct recount *recount, char tag,
                int (*take)(struct recount *, struct slice key))
{
    int rc = 0;

    for (kv_seek(recount->it, slice_of(&tag, 1));
         rc == 0 && kv_valid(recount->it) &&
         kv_key(recount->it).data[0] == (uint8_t)tag;
         kv_next(recount->it)) {
        rc = take(recount, kv_key(recount->it));
    }
    return rc != 0 ? rc : kv_error(recount->it);
}

static int take_part(struct recount *recount, uint64_t bucket)
{
    struct arena *arena = arena_new();
    Meta__Part *part;
    int rc = meta_unpack(arena, META_RECORD_PART, &meta__part__descriptor,
                         kv_value(recount->it), (ProtobufCMessage **)&part);

    if (rc == 0) {
        count(recount, bucket, part->size);
    }
    arena_free(arena);
    return rc;
}

/* The parts of the upload whose key is `at`, and then back to what follows it:
 * only one iterator sees one moment. */
static int take_parts(struct recount *recount, const struct buffer *at)
{
    struct buffer name = {0}, parts = {0};
    struct slice id;
    int rc = at->size < KEY_OF_BUCKET_SIZE
                 ? -EBADMSG
                 : key_unescape(slice_of(at->data + KEY_OF_BUCKET_SIZE,
                                         at->size - KEY_OF_BUCKET_SIZE),
                                &name, &id);

    if (rc == 0) {
        key_parts(&parts, id);
        kv_seek(recount->it, buffer_slice(&parts));
    }
    while (rc == 0 && kv_valid(recount->it) &&
           slice_has_prefix(kv_key(recount->it), buffer_slice(&parts))) {
        rc = take_part(recount, get_u64be(at->data + 1));
        kv_next(recount->it);
    }
    buffer_free(&name);
    buffer_free(&parts);
    return rc;
}

static int walk_uploads(struct recount *recount)
{
    struct buffer at = {0};
    int rc = 0;

    kv_seek(recount->it, SLICE_LITERAL("U"));
    while (rc == 0 && kv_valid(recount->it) &&
           kv_key(recount->it).data[0] == META_KEY_UPLOAD) {
        struct slice key = kv_key(recount->it);

        at.size = 0;
        buffer_append(&at, key.data, key.size);
        rc = take_parts(recount, &at);
        if (rc == 0) {
            buffer_append(&at, "", 1); /* the key that follows */
            kv_seek(recount->it, buffer_slice(&at));
        }
    }
    buffer_free(&at);
    return rc != 0 ? rc : kv_error(recount->it);
}

static int recount_all(struct recount *recount, struct meta *meta)
{
    int rc;

    *recount = (struct recount){.meta = meta, .it = kv_iterate(meta->kv)};
    rc = walk(recount, META_KEY_OBJECT, take_object);
    if (rc == 0) {
        rc = walk(recount, META_KEY_QUOTA, take_usage);
    }
    if (rc == 0) {
        rc = walk_uploads(recount);
    }
    kv_iterator_free(recount->it);
    return rc;
}

int meta_recount_usage(struct meta *meta, meta_recount_fn fn, void *context)
{
    struct recount recount;
    int rc = recount_all(&recount, meta);

    for (size_t i = 0; rc == 0 && i < recount.count; i++) {
        fn(context, &recount.buckets[i]);
    }
    free(recount.buckets);
    return rc;
}

/* --- opening ---------------------------------------------------------------*/

static void put_usage(struct kv_batch *batch, struct arena *arena,
                      uint64_t bucket, const struct meta_usage *counted)
{
    Meta__Usage usage = META__USAGE__INIT;
    struct buffer key = {0};

    usage.bytes = counted->bytes;
    usage.objects = counted->objects;
    key_usage(&key, bucket);
    kv_batch_put(batch, buffer_slice(&key),
                 meta_pack(arena, META_RECORD_USAGE, &usage.base));
    buffer_free(&key);
}

/* A store from before usage was kept. The mark comes with all of it. */
static int count_once(struct meta *meta)
{
    const struct meta_usage nothing = {0};
    struct recount recount;
    struct arena *arena = arena_new();
    struct kv_batch *batch = kv_batch_new();
    int rc = recount_all(&recount, meta);

    if (rc == 0) {
        for (size_t i = 0; i < recount.count; i++) {
            put_usage(batch, arena, recount.buckets[i].bucket,
                      &recount.buckets[i].counted);
        }
        put_usage(batch, arena, 0, &nothing);
        kv_batch_essential(batch); /* else it could not be opened when full */
        rc = kv_commit(meta->kv, batch);
    }
    kv_batch_free(batch);
    arena_free(arena);
    free(recount.buckets);
    return rc;
}

int meta_forget_owner_quota(struct meta *meta, struct slice owner)
{
    const Meta__Quota none = META__QUOTA__INIT;
    struct meta_batch *batch;
    Meta__Quota quota;
    int rc;

    meta_get_owner_quota(meta, owner, &quota);
    if (meta_quota_is_none(&quota)) {
        return 0;
    }
    batch = meta_batch_new(meta);
    meta_put_owner_quota(batch, owner, &none);
    rc = meta_commit(batch);
    meta_batch_free(batch);
    return rc;
}

static int load_record(struct meta *meta, struct arena *arena, struct slice key,
                       struct slice value)
{
    Meta__Quota *quota;
    Meta__Usage *usage;
    int rc;

    if (key.size == KEY_USAGE_SIZE && key.data[1] == 'b') {
        rc = meta_unpack(arena, META_RECORD_USAGE, &meta__usage__descriptor,
                         value, (ProtobufCMessage **)&usage);
        if (rc == 0 && get_u64be(key.data + 2) != 0) {
            limits_load(meta->limits, get_u64be(key.data + 2),
                        &(struct meta_usage){usage->bytes, usage->objects});
        }
        return rc;
    }
    if (key.size < 2 || key.data[1] != 'o') {
        return -EBADMSG;
    }
    rc = meta_unpack(arena, META_RECORD_QUOTA, &meta__quota__descriptor, value,
                     (ProtobufCMessage **)&quota);
    if (rc == 0) {
        limits_set_owner(meta->limits, slice_of(key.data + 2, key.size - 2),
                         quota);
    }
    return rc;
}

static int load_all(struct meta *meta)
{
    struct kv_iterator *it = kv_iterate(meta->kv);
    int rc = 0;

    for (kv_seek(it, SLICE_LITERAL("Q"));
         rc == 0 && kv_valid(it) && kv_key(it).data[0] == META_KEY_QUOTA;
         kv_next(it)) {
        struct arena *arena = arena_new();

        rc = load_record(meta, arena, kv_key(it), kv_value(it));
        arena_free(arena);
    }
    rc = rc != 0 ? rc : kv_error(it);
    kv_iterator_free(it);
    return rc;
}

int usage_load(struct meta *meta)
{
    struct arena *arena = arena_new();
    struct buffer key = {0};
    struct slice value;
    int rc;

    key_usage(&key, 0);
    rc = kv_get(meta->kv, arena, buffer_slice(&key), &value);
    buffer_free(&key);
    arena_free(arena);
    if (rc == -ENOENT) {
        rc = count_once(meta);
    }
    return rc == 0 ? load_all(meta) : rc;
}
