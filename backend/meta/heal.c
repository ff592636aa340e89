/*
 * What care reads: the queue of blobs that are short of shards, blobs by id,
 * the scrub's progress and that of the walk over envelopes, the audited days.
 */
#include "meta/private.h"

#include <errno.h>
#include <stdlib.h>

struct meta_heal_scan {
    struct kv_iterator *it;
    bool begun;
};

static struct meta_heal_scan *scan_from(struct meta *meta,
                                        const struct meta_heal *entry)
{
    struct meta_heal_scan *scan = xcalloc(1, sizeof(*scan));
    struct buffer from = {0};

    scan->it = kv_iterate(meta->kv);
    key_heal(&from, entry);
    kv_seek(scan->it, buffer_slice(&from));
    buffer_free(&from);
    return scan;
}

struct meta_heal_scan *meta_scan_heal(struct meta *meta)
{
    return scan_from(meta, &(struct meta_heal){0});
}

int meta_heal_scan_next(struct meta_heal_scan *scan, struct meta_heal *entry)
{
    if (scan->begun && kv_valid(scan->it)) {
        kv_next(scan->it);
    }
    scan->begun = true;
    if (kv_valid(scan->it) && kv_key(scan->it).data[0] == META_KEY_HEAL) {
        return key_heal_decode(kv_key(scan->it), entry);
    }
    return kv_error(scan->it) != 0 ? kv_error(scan->it) : -ENOENT;
}

void meta_heal_scan_free(struct meta_heal_scan *scan)
{
    kv_iterator_free(scan->it);
    free(scan);
}

int meta_next_heal(struct meta *meta, struct meta_heal *entry)
{
    struct meta_heal_scan *scan = scan_from(meta, entry);
    int rc = meta_heal_scan_next(scan, entry);

    meta_heal_scan_free(scan);
    return rc;
}

static int has_heal(struct meta *meta, struct arena *arena,
                    const struct meta_heal *entry)
{
    struct buffer key = {0};
    struct slice value;
    int rc;

    key_heal(&key, entry);
    rc = kv_get(meta->kv, arena, buffer_slice(&key), &value);
    buffer_free(&key);
    return rc;
}

int meta_find_heal(struct meta *meta, uint64_t blob, unsigned m,
                   struct meta_heal *entry)
{
    struct arena *arena = arena_new();
    int rc = -ENOENT;

    *entry = (struct meta_heal){blob, META_HEAL_UNREADABLE, true};
    rc = has_heal(meta, arena, entry);
    for (unsigned i = 0; i < 2 * (m + 1) && rc == -ENOENT; i++) {
        *entry = (struct meta_heal){blob, i / 2, i % 2 != 0};
        rc = has_heal(meta, arena, entry);
    }
    arena_free(arena);
    return rc;
}

int meta_next_blob(struct meta *meta, struct arena *arena, uint64_t after,
                   uint64_t *blob, Meta__Blob **record)
{
    struct kv_iterator *it;
    struct buffer from = {0};
    int rc = -ENOENT;

    if (after == UINT64_MAX) {
        return -ENOENT;
    }
    it = kv_iterate(meta->kv);
    key_blob(&from, META_KEY_BLOB, after + 1);
    kv_seek(it, buffer_slice(&from));
    if (kv_valid(it) && kv_key(it).data[0] == META_KEY_BLOB) {
        struct slice key = kv_key(it);

        rc = -EBADMSG;
        if (key.size == from.size) {
            *blob = get_u64be(key.data + 1);
            rc = meta_unpack(arena, META_RECORD_BLOB, &meta__blob__descriptor,
                             kv_value(it), (ProtobufCMessage **)record);
        }
    } else if (kv_error(it) != 0) {
        rc = kv_error(it);
    }
    kv_iterator_free(it);
    buffer_free(&from);
    return rc;
}

int meta_get_scrub(struct meta *meta, struct arena *arena, Meta__Scrub **scrub)
{
    struct buffer key = {0};

    key_scrub(&key);
    return read_record(meta, arena, &key, META_RECORD_SCRUB,
                       &meta__scrub__descriptor, (ProtobufCMessage **)scrub);
}

int meta_get_rewrap(struct meta *meta, struct arena *arena,
                    Meta__Rewrap **rewrap)
{
    struct buffer key = {0};

    key_rewrap(&key);
    return read_record(meta, arena, &key, META_RECORD_REWRAP,
                       &meta__rewrap__descriptor, (ProtobufCMessage **)rewrap);
}

int meta_get_audit(struct meta *meta, struct arena *arena, uint32_t day,
                   Meta__Audit **audit)
{
    struct buffer key = {0};

    key_audit(&key, day);
    return read_record(meta, arena, &key, META_RECORD_AUDIT,
                       &meta__audit__descriptor, (ProtobufCMessage **)audit);
}
