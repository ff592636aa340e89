/*
 * What the reclaimer reads: blobs that lost a referrer, all blobs of one
 * moment, and parts that no upload has.
 */
#include "meta/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int meta_list_reclaim(struct meta *meta, uint64_t after, uint64_t *blobs,
                      size_t max, size_t *count)
{
    struct kv_iterator *it = kv_iterate(meta->kv);
    struct buffer from = {0};
    int rc;

    *count = 0;
    key_blob(&from, META_KEY_RECLAIM, after);
    for (kv_seek(it, buffer_slice(&from));
         *count < max && kv_valid(it) && kv_key(it).size == from.size &&
         kv_key(it).data[0] == META_KEY_RECLAIM;
         kv_next(it)) {
        uint64_t blob = get_u64be(kv_key(it).data + 1);

        if (blob > after) {
            blobs[(*count)++] = blob;
        }
    }
    rc = kv_error(it);
    kv_iterator_free(it);
    buffer_free(&from);
    return rc;
}

/* A seek steps over the traces of all references that were dropped from there
 * on, which after many overwrites are many: it is not done again for a blob
 * that lies before what the last one found. */
int meta_blobs_are_used(struct meta *meta, const uint64_t *blobs, size_t count,
                        bool *used)
{
    struct kv_iterator *it = kv_iterate(meta->kv);
    struct buffer prefix = {0};
    int rc;

    for (size_t i = 0; i < count; i++) {
        invariant(i == 0 || blobs[i] > blobs[i - 1]);
        prefix.size = 0;
        key_blob(&prefix, META_KEY_REFERENCE, blobs[i]);
        if (i == 0 || (kv_valid(it) &&
                       slice_compare(kv_key(it), buffer_slice(&prefix)) < 0)) {
            kv_seek(it, buffer_slice(&prefix));
        }
        used[i] =
            kv_valid(it) && slice_has_prefix(kv_key(it), buffer_slice(&prefix));
    }
    rc = kv_error(it);
    kv_iterator_free(it);
    buffer_free(&prefix);
    return rc;
}

/* --- all blobs of one moment -----------------------------------------------*/
struct meta_blobs {
    struct kv_iterator *blobs;
    struct kv_iterator *references; /* goes along */
};

#define BLOB_KEY_SIZE 9

static void seek(struct kv_iterator *it, char tag, uint64_t blob)
{
    struct buffer from = {0};

    key_blob(&from, tag, blob);
    kv_seek(it, buffer_slice(&from));
    buffer_free(&from);
}

struct meta_blobs *meta_watch_blobs(struct meta *meta, meta_layout_fn fn,
                                    void *context)
{
    struct meta_blobs *blobs = NULL;

    invariant(pthread_rwlock_wrlock(&meta->watch_lock) == 0);
    meta->watch = fn;
    meta->watch_context = context;
    if (fn != NULL) {
        blobs = xcalloc(1, sizeof(*blobs));
        blobs->blobs = kv_iterate(meta->kv);
    }
    pthread_rwlock_unlock(&meta->watch_lock);
    if (fn != NULL) {
        blobs->references = kv_iterate(meta->kv);
        seek(blobs->blobs, META_KEY_BLOB, 0);
        seek(blobs->references, META_KEY_REFERENCE, 0);
    }
    return blobs;
}

void meta_blobs_free(struct meta_blobs *blobs)
{
    if (blobs == NULL) {
        return;
    }
    kv_iterator_free(blobs->blobs);
    kv_iterator_free(blobs->references);
    free(blobs);
}

/* Both go upwards. Many references of one blob are passed by a seek. */
static bool has_reference(struct kv_iterator *references, uint64_t blob)
{
    bool sought = false;

    while (kv_valid(references)) {
        struct slice key = kv_key(references);
        uint64_t found;

        if (key.size < BLOB_KEY_SIZE || key.data[0] != META_KEY_REFERENCE) {
            return false;
        }
        found = get_u64be(key.data + 1);
        if (found >= blob) {
            return found == blob;
        }
        if (sought) {
            return false;
        }
        kv_next(references);
        if (kv_valid(references) &&
            get_u64be(kv_key(references).data + 1) < blob) {
            seek(references, META_KEY_REFERENCE, blob);
            sought = true;
        }
    }
    return false;
}

int meta_blobs_next(struct meta_blobs *blobs, struct arena *arena,
                    uint64_t *blob, Meta__Blob **record, bool *used)
{
    struct kv_iterator *it = blobs->blobs;
    struct slice key;
    int rc;

    if (!kv_valid(it) || kv_key(it).data[0] != META_KEY_BLOB) {
        rc = kv_error(it) != 0 ? kv_error(it) : kv_error(blobs->references);
        return rc != 0 ? rc : -ENOENT;
    }
    key = kv_key(it);
    rc = -EBADMSG;
    if (key.size == BLOB_KEY_SIZE) {
        *blob = get_u64be(key.data + 1);
        *used = has_reference(blobs->references, *blob);
        rc = meta_unpack(arena, META_RECORD_BLOB, &meta__blob__descriptor,
                         kv_value(it), (ProtobufCMessage **)record);
    }
    kv_next(it);
    return rc;
}

/* --- parts without an upload -----------------------------------------------*/
/* Up to `max` upload ids that parts name, after *upload, ascending. */
static int list_part_uploads(struct meta *meta, struct arena *arena,
                             struct slice upload, struct slice *ids, size_t max,
                             size_t *count)
{
    struct kv_iterator *it = kv_iterate(meta->kv);
    struct buffer from = {0};
    int rc = 0;

    *count = 0;
    key_tag(&from, META_KEY_PART);
    if (upload.size > 0) {
        from.size = 0;
        key_parts(&from, upload);
        key_successor(&from);
    }
    kv_seek(it, buffer_slice(&from));
    while (rc == 0 && *count < max && kv_valid(it) &&
           kv_key(it).data[0] == META_KEY_PART) {
        struct slice key = kv_key(it), rest;
        struct buffer id = {0};

        rc = key_unescape(slice_of(key.data + 1, key.size - 1), &id, &rest);
        if (rc == 0) {
            ids[(*count)++] = arena_copy(arena, id.data, id.size);
            from.size = 0;
            key_parts(&from, buffer_slice(&id));
            key_successor(&from);
            kv_seek(it, buffer_slice(&from));
        }
        buffer_free(&id);
    }
    rc = rc == 0 ? kv_error(it) : rc;
    kv_iterator_free(it);
    buffer_free(&from);
    return rc;
}

static int compare_ids(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* Marks those of the ids that an upload in progress has. */
static int mark_uploads(struct meta *meta, const struct slice *ids,
                        size_t count, bool *there)
{
    struct kv_iterator *it = kv_iterate(meta->kv);
    int rc = 0;

    for (kv_seek(it, SLICE_LITERAL("U"));
         rc == 0 && kv_valid(it) && kv_key(it).data[0] == META_KEY_UPLOAD;
         kv_next(it)) {
        struct slice key = kv_key(it), id;
        struct buffer name = {0};
        const struct slice *found;

        rc = key.size < BLOB_KEY_SIZE
                 ? -EBADMSG
                 : key_unescape(slice_of(key.data + BLOB_KEY_SIZE,
                                         key.size - BLOB_KEY_SIZE),
                                &name, &id);
        buffer_free(&name);
        if (rc == 0) {
            found = bsearch(&id, ids, count, sizeof(id), compare_ids);
            if (found != NULL) {
                there[found - ids] = true;
            }
        }
    }
    rc = rc == 0 ? kv_error(it) : rc;
    kv_iterator_free(it);
    return rc;
}

static int drop_parts(struct meta *meta, struct arena *arena,
                      struct slice upload, size_t *dropped)
{
    Meta__Part **parts;
    size_t count;
    bool more = true;
    int rc = 0;

    while (rc == 0 && more) {
        struct meta_batch *batch = meta_batch_new(meta);

        rc = meta_list_parts(meta, arena, upload, 0, 1000, &parts, &count,
                             &more);
        for (size_t i = 0; rc == 0 && i < count; i++) {
            struct meta_referrer who = {.kind = META_REFERRER_PART,
                                        .upload = upload,
                                        .number = parts[i]->number};

            batch_drop_part(batch, upload, parts[i]->number);
            if (parts[i]->blob != 0) {
                meta_drop_ref(batch, parts[i]->blob, &who);
            }
        }
        if (rc == 0 && count > 0) {
            rc = meta_commit(batch);
            *dropped += rc == 0 ? count : 0;
        }
        meta_batch_free(batch);
    }
    return rc;
}

/* An upload is there before its parts, goes with them, and its id is not used
 * again: parts that are there after a look at all uploads that did not show
 * theirs are strays. */
int meta_drop_stray_parts(struct meta *meta, struct arena *arena,
                          struct slice *upload, size_t max, size_t *parts)
{
    struct slice *ids = xcalloc(max, sizeof(*ids));
    bool *there = xcalloc(max, sizeof(*there));
    size_t count;
    int rc = list_part_uploads(meta, arena, *upload, ids, max, &count);

    *parts = 0;
    if (rc == 0 && count == 0) {
        rc = -ENOENT;
    }
    if (rc == 0) {
        *upload = ids[count - 1];
        qsort(ids, count, sizeof(*ids), compare_ids);
        rc = mark_uploads(meta, ids, count, there);
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (!there[i]) {
            rc = drop_parts(meta, arena, ids[i], parts);
        }
    }
    free(ids);
    free(there);
    return rc;
}
