/*
 * Ordered scans: buckets, object versions, uploads, the parts of an upload.
 *
 * A scan is an iterator that stays within one prefix. Each move decodes the
 * key; what does not decode ends the scan with an error.
 */
#include "meta/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct meta_scan {
    struct kv_iterator *it;
    enum meta_record type;
    struct buffer prefix; /* of every key of the scan */
    struct buffer target; /* scratch for seeks */
    struct buffer key;    /* the current object key, or bucket name */
    struct slice rest;    /* of the current key, after the terminator */
    bool valid;           /* it is at a record */
    int error;
};

/* A key is the rest of the record's key, as it stands there. */
static bool plain_keys(const struct meta_scan *scan)
{
    return scan->type == META_RECORD_BUCKET ||
           scan->type == META_RECORD_COMPLETED;
}

static void scan_settle(struct meta_scan *scan)
{
    struct slice found;

    scan->key.size = 0;
    scan->valid = false;
    if (scan->error != 0 || !kv_valid(scan->it)) {
        return;
    }
    found = kv_key(scan->it);
    if (!slice_has_prefix(found, buffer_slice(&scan->prefix))) {
        return;
    }
    found = slice_of(found.data + scan->prefix.size,
                     found.size - scan->prefix.size);
    if (plain_keys(scan)) {
        buffer_append(&scan->key, found.data, found.size);
        scan->rest = slice_of(NULL, 0);
    } else {
        scan->error = key_unescape(found, &scan->key, &scan->rest);
    }
    scan->valid = scan->error == 0;
}

static void scan_seek_target(struct meta_scan *scan)
{
    kv_seek(scan->it, buffer_slice(&scan->target));
    scan_settle(scan);
}

/* target: the prefix of the scan, then `key` as it is stored. */
static void scan_target(struct meta_scan *scan, struct slice key)
{
    scan->target.size = 0;
    buffer_append(&scan->target, scan->prefix.data, scan->prefix.size);
    if (key.size == 0) {
        return;
    }
    if (plain_keys(scan)) {
        buffer_append(&scan->target, key.data, key.size);
    } else {
        key_escaped(&scan->target, key);
    }
}

static struct meta_scan *scan_new(struct meta *meta, enum meta_record type,
                                  char tag)
{
    struct meta_scan *scan = xcalloc(1, sizeof(*scan));

    scan->it = kv_iterate(meta->kv);
    scan->type = type;
    key_tag(&scan->prefix, tag);
    return scan;
}

struct meta_scan *meta_scan_buckets(struct meta *meta, struct slice start)
{
    struct meta_scan *scan =
        scan_new(meta, META_RECORD_BUCKET, META_KEY_BUCKET);

    meta_scan_seek(scan, start);
    return scan;
}

struct meta_scan *meta_scan_objects(struct meta *meta, uint64_t bucket)
{
    struct meta_scan *scan =
        scan_new(meta, META_RECORD_OBJECT, META_KEY_OBJECT);

    key_u64(&scan->prefix, bucket);
    meta_scan_seek(scan, (struct slice){NULL, 0});
    return scan;
}

struct meta_scan *meta_scan_uploads(struct meta *meta, uint64_t bucket)
{
    struct meta_scan *scan =
        scan_new(meta, META_RECORD_UPLOAD, META_KEY_UPLOAD);

    key_u64(&scan->prefix, bucket);
    meta_scan_seek(scan, (struct slice){NULL, 0});
    return scan;
}

struct meta_scan *meta_scan_completed(struct meta *meta)
{
    struct meta_scan *scan =
        scan_new(meta, META_RECORD_COMPLETED, META_KEY_COMPLETED);

    meta_scan_seek(scan, (struct slice){NULL, 0});
    return scan;
}

void meta_scan_free(struct meta_scan *scan)
{
    if (scan == NULL) {
        return;
    }
    kv_iterator_free(scan->it);
    buffer_free(&scan->prefix);
    buffer_free(&scan->target);
    buffer_free(&scan->key);
    free(scan);
}

void meta_scan_seek(struct meta_scan *scan, struct slice key)
{
    scan_target(scan, key);
    scan_seek_target(scan);
}

void meta_scan_seek_after(struct meta_scan *scan, struct slice key)
{
    static const uint8_t zero = 0;

    if (plain_keys(scan)) {
        scan_target(scan, key);
        buffer_append(&scan->target, &zero, 1);
    } else {
        scan_target(scan, (struct slice){NULL, 0});
        key_terminated(&scan->target, key);
        invariant(key_successor(&scan->target));
    }
    scan_seek_target(scan);
}

void meta_scan_seek_older(struct meta_scan *scan, struct slice key,
                          uint64_t sequence)
{
    invariant(scan->type == META_RECORD_OBJECT && sequence > 0);
    scan_target(scan, (struct slice){NULL, 0});
    key_terminated(&scan->target, key);
    key_u64(&scan->target, ~(sequence - 1));
    scan_seek_target(scan);
}

void meta_scan_skip_prefix(struct meta_scan *scan, struct slice prefix)
{
    scan_target(scan, prefix);
    /* The tag is no FF: there always is a successor. */
    invariant(key_successor(&scan->target));
    scan_seek_target(scan);
}

void meta_scan_next(struct meta_scan *scan)
{
    invariant(meta_scan_valid(scan));
    kv_next(scan->it);
    scan_settle(scan);
}

bool meta_scan_valid(struct meta_scan *scan)
{
    return scan->valid;
}

int meta_scan_error(struct meta_scan *scan)
{
    return scan->error != 0 ? scan->error : kv_error(scan->it);
}

void meta_scan_ask_late(struct meta_scan *scan)
{
    kv_ask_late(scan->it);
}

struct slice meta_scan_key(struct meta_scan *scan)
{
    return buffer_slice(&scan->key);
}

int meta_scan_bucket(struct meta_scan *scan, struct arena *arena,
                     Meta__Bucket **bucket)
{
    invariant(scan->type == META_RECORD_BUCKET && meta_scan_valid(scan));
    return record_bucket(arena, kv_value(scan->it), meta_scan_key(scan),
                         bucket);
}

int meta_scan_object(struct meta_scan *scan, struct arena *arena,
                     Meta__Object **object)
{
    invariant(scan->type == META_RECORD_OBJECT && meta_scan_valid(scan));
    return record_object(arena, kv_value(scan->it), scan->rest, object);
}

int meta_scan_listed(struct meta_scan *scan, struct meta_listed *listed)
{
    invariant(scan->type == META_RECORD_OBJECT && meta_scan_valid(scan));
    return record_listed(kv_value(scan->it), scan->rest, listed);
}

int meta_scan_upload(struct meta_scan *scan, struct arena *arena,
                     Meta__Upload **upload)
{
    invariant(scan->type == META_RECORD_UPLOAD && meta_scan_valid(scan));
    return record_upload(arena, kv_value(scan->it), scan->rest, upload);
}

int meta_scan_completed_record(struct meta_scan *scan, struct arena *arena,
                               Meta__Completed **completed)
{
    invariant(scan->type == META_RECORD_COMPLETED && meta_scan_valid(scan));
    return meta_unpack(arena, META_RECORD_COMPLETED,
                       &meta__completed__descriptor, kv_value(scan->it),
                       (ProtobufCMessage **)completed);
}

/* --- parts -----------------------------------------------------------------*/

struct part_list {
    Meta__Part **parts;
    size_t count, capacity;
};

static void part_list_add(struct part_list *list, struct arena *arena,
                          Meta__Part *part)
{
    Meta__Part **grown;

    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 16;
        grown = arena_alloc(arena, list->capacity * sizeof(*grown));
        if (list->count > 0) {
            memcpy(grown, list->parts, list->count * sizeof(*grown));
        }
        list->parts = grown;
    }
    list->parts[list->count++] = part;
}

static int read_part(struct kv_iterator *it, size_t prefix_size,
                     struct arena *arena, Meta__Part **part)
{
    struct slice key = kv_key(it);
    int rc;

    if (key.size != prefix_size + 4) {
        return -EBADMSG;
    }
    rc = meta_unpack(arena, META_RECORD_PART, &meta__part__descriptor,
                     kv_value(it), (ProtobufCMessage **)part);
    if (rc == 0 && (*part)->number != get_u32be(key.data + prefix_size)) {
        return -EBADMSG;
    }
    return rc;
}

int meta_list_parts(struct meta *meta, struct arena *arena, struct slice upload,
                    unsigned from, unsigned max, Meta__Part ***parts,
                    size_t *count, bool *more)
{
    struct buffer prefix = {0}, start = {0};
    struct kv_iterator *it = kv_iterate(meta->kv);
    struct part_list list = {0};
    Meta__Part *part;
    int rc = 0;

    *more = false;
    key_parts(&prefix, upload);
    key_part(&start, upload, from);
    for (kv_seek(it, buffer_slice(&start));
         kv_valid(it) && slice_has_prefix(kv_key(it), buffer_slice(&prefix));
         kv_next(it)) {
        if (list.count == max) {
            *more = true;
            break;
        }
        rc = read_part(it, prefix.size, arena, &part);
        if (rc != 0) {
            break;
        }
        part_list_add(&list, arena, part);
    }
    if (rc == 0) {
        rc = kv_error(it);
    }
    kv_iterator_free(it);
    buffer_free(&prefix);
    buffer_free(&start);
    *parts = list.parts;
    *count = list.count;
    return rc;
}
