/*
 * Whose bytes a blob holds: from its references to versions of objects, also
 * through blobs that are made of slices of it.
 */
#include "meta/private.h"

#include <errno.h>

#define REFERENCE_HEAD 10 /* R, blob, kind */

struct search {
    struct meta *meta;
    struct arena *arena;
    struct meta_user *users;
    size_t max, count;
    bool more;
    uint64_t *composites; /* that are to be looked at */
    size_t waiting;
};

/* Bucket, key, complement of the sequence. */
static int add_object(struct search *search, struct slice rest)
{
    struct buffer key = {0};
    struct meta_user *user;
    int rc = -EBADMSG;

    if (search->count == search->max) {
        search->more = true;
        return 0;
    }
    user = &search->users[search->count];
    if (rest.size > 8) {
        user->bucket = get_u64be(rest.data);
        rc = key_unescape(slice_of(rest.data + 8, rest.size - 8), &key, &rest);
    }
    if (rc == 0 && rest.size == 8) {
        user->key = arena_copy(search->arena, key.data, key.size);
        user->sequence = ~get_u64be(rest.data);
        search->count++;
    } else {
        rc = -EBADMSG;
    }
    buffer_free(&key);
    return rc;
}

static int add_reference(struct search *search, struct slice key)
{
    struct slice rest =
        slice_of(key.data + REFERENCE_HEAD, key.size - REFERENCE_HEAD);

    switch (key.data[REFERENCE_HEAD - 1]) {
    case META_REFERRER_OBJECT:
        return add_object(search, rest);
    case META_REFERRER_BLOB:
        if (rest.size != 8) {
            return -EBADMSG;
        }
        if (search->waiting == search->max) {
            search->more = true;
        } else {
            search->composites[search->waiting++] = get_u64be(rest.data);
        }
        return 0;
    default: /* a part: nobody sees it yet */
        return 0;
    }
}

static int add_references(struct search *search, uint64_t blob)
{
    struct kv_iterator *it = kv_iterate(search->meta->kv);
    struct buffer prefix = {0};
    int rc = 0;

    key_blob(&prefix, META_KEY_REFERENCE, blob);
    for (kv_seek(it, buffer_slice(&prefix));
         rc == 0 && !search->more && kv_valid(it) &&
         slice_has_prefix(kv_key(it), buffer_slice(&prefix));
         kv_next(it)) {
        rc = kv_key(it).size < REFERENCE_HEAD
                 ? -EBADMSG
                 : add_reference(search, kv_key(it));
    }
    rc = rc != 0 ? rc : kv_error(it);
    kv_iterator_free(it);
    buffer_free(&prefix);
    return rc;
}

int meta_list_users(struct meta *meta, struct arena *arena, uint64_t blob,
                    size_t max, struct meta_user **users, size_t *count,
                    bool *more)
{
    struct search search = {
        .meta = meta,
        .arena = arena,
        .users = arena_alloc(arena, max * sizeof(**users)),
        .max = max,
        .composites = arena_alloc(arena, max * sizeof(uint64_t)),
    };
    int rc = add_references(&search, blob);

    while (rc == 0 && search.waiting > 0 && !search.more) {
        rc = add_references(&search, search.composites[--search.waiting]);
    }
    *users = search.users;
    *count = search.count;
    *more = search.more;
    return rc;
}
