/* The file `set`, and which mirrors a start may trust. */
#include "kv/mirror.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*  0  magic             16  store
 *  8  version           32  self
 * 10  count             48  epoch
 * 12  CRC32C of what    56  members
 *     follows */
static const char magic[] = "S3DMSET";
#define MAGIC_SIZE  8u
#define SET_VERSION 1u
#define MEMBERS_AT  56u
#define SET_MAX     (MEMBERS_AT + KV_MIRRORS_MAX * MIRROR_ID_SIZE)
#define PATH_SIZE   4096

static void set_path(const char *directory, char out[PATH_SIZE])
{
    int n = snprintf(out, PATH_SIZE, "%s/set", directory);

    invariant(n > 0 && n < PATH_SIZE);
}

static int decode(const uint8_t *in, size_t size, struct mirror_set *set)
{
    unsigned count;

    if (size < MEMBERS_AT || memcmp(in, magic, MAGIC_SIZE) != 0 ||
        get_u16le(in + 8) != SET_VERSION) {
        return -EBADMSG;
    }
    count = get_u16le(in + 10);
    if (count == 0 || count > KV_MIRRORS_MAX ||
        size != MEMBERS_AT + count * MIRROR_ID_SIZE ||
        crc32c_bytes(in + 16, size - 16) != get_u32le(in + 12)) {
        return -EBADMSG;
    }
    memset(set, 0, sizeof(*set));
    memcpy(set->store, in + 16, MIRROR_ID_SIZE);
    memcpy(set->self, in + 32, MIRROR_ID_SIZE);
    set->epoch = get_u64le(in + 48);
    set->count = count;
    memcpy(set->members, in + MEMBERS_AT, count * MIRROR_ID_SIZE);
    return set->epoch > 0 ? 0 : -EBADMSG;
}

int mirror_set_read(struct io *io, const char *directory,
                    struct mirror_set *set)
{
    struct buffer data = {0};
    char path[PATH_SIZE];
    int error;

    set_path(directory, path);
    error = io_read_file(io, path, SET_MAX, &data);
    if (error == 0) {
        error = decode(data.data, data.size, set);
    } else if (error == -EFBIG) {
        error = -EBADMSG;
    }
    buffer_free(&data);
    return error;
}

int mirror_set_write(struct io *io, const char *directory,
                     const struct mirror_set *set)
{
    size_t size = MEMBERS_AT + set->count * MIRROR_ID_SIZE;
    uint8_t data[SET_MAX] = {0};
    char path[PATH_SIZE];

    invariant(set->count > 0 && set->count <= KV_MIRRORS_MAX);
    memcpy(data, magic, MAGIC_SIZE);
    put_u16le(data + 8, SET_VERSION);
    put_u16le(data + 10, (uint16_t)set->count);
    memcpy(data + 16, set->store, MIRROR_ID_SIZE);
    memcpy(data + 32, set->self, MIRROR_ID_SIZE);
    put_u64le(data + 48, set->epoch);
    memcpy(data + MEMBERS_AT, set->members, set->count * MIRROR_ID_SIZE);
    put_u32le(data + 12, crc32c_bytes(data + 16, size - 16));
    set_path(directory, path);
    return io_write_file(io, path, data, size);
}

bool mirror_set_names(const struct mirror_set *set,
                      const uint8_t id[MIRROR_ID_SIZE])
{
    for (unsigned i = 0; i < set->count; i++) {
        if (memcmp(set->members[i], id, MIRROR_ID_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

/* --- choosing --------------------------------------------------------------*/

static bool same_members(const struct mirror_set *a, const struct mirror_set *b)
{
    return a->count == b->count &&
           memcmp(a->members, b->members, a->count * MIRROR_ID_SIZE) == 0;
}

/* Is the mirror a member of the epoch, and does its own record not say that it
 * agreed to another one? A record of an earlier epoch means that this one was
 * never established: then nothing was acknowledged by it (S1). */
static bool supports(const struct mirror_candidate *candidate,
                     const struct mirror_set *epoch)
{
    const struct mirror_set *own = &candidate->set;

    if (!candidate->readable ||
        memcmp(own->store, epoch->store, MIRROR_ID_SIZE) != 0 ||
        !mirror_set_names(epoch, own->self)) {
        return false;
    }
    return own->epoch < epoch->epoch ||
           (own->epoch == epoch->epoch && same_members(own, epoch));
}

int mirror_choose(const struct mirror_candidate *candidates, unsigned count,
                  bool accept_lost, bool trusted[KV_MIRRORS_MAX])
{
    unsigned best = 0, best_support = 0;
    uint64_t epoch = 0;

    for (unsigned i = 0; i < count; i++) {
        const struct mirror_set *set = &candidates[i].set;
        unsigned support = 0;

        if (!candidates[i].has_set || set->epoch < epoch) {
            continue;
        }
        for (unsigned j = 0; j < count; j++) {
            support += supports(&candidates[j], set);
        }
        if (set->epoch > epoch || support > best_support) {
            epoch = set->epoch;
            best = i;
            best_support = support;
        }
    }
    if (epoch == 0) {
        return -ENOENT;
    }
    if (2 * best_support <= candidates[best].set.count &&
        !(accept_lost && best_support > 0)) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < count; i++) {
        trusted[i] = supports(&candidates[i], &candidates[best].set);
    }
    return (int)best;
}
