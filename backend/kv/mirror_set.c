/* The file `set`, and which mirrors a start may trust. */
#include "kv/mirror.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*  0  magic       16  store       48  epoch, 160 bytes
 *  8  version     32  self       208  base, 160 bytes
 * 10  stands
 * 12  CRC32C of what follows */
static const char magic[] = "S3DMSET";
#define MAGIC_SIZE  8u
#define SET_VERSION 1u
#define EPOCH_AT    48u
/*  0  number      16  members in use   24  members
 *  8  ballot      20  zero */
#define MEMBERS_AT 24u
#define EPOCH_SIZE 160u
#define SET_SIZE   (EPOCH_AT + 2 * EPOCH_SIZE)
#define READ_SIZE  4096 /* a newer version may be longer */
#define PATH_SIZE  4096

_Static_assert(EPOCH_SIZE >= MEMBERS_AT + KV_MIRRORS_MAX * MIRROR_ID_SIZE,
               "the members fit");

static void set_path(const char *directory, char out[PATH_SIZE])
{
    int n = snprintf(out, PATH_SIZE, "%s/set", directory);

    invariant(n > 0 && n < PATH_SIZE);
}

static int epoch_decode(const uint8_t *in, struct mirror_epoch *epoch)
{
    memset(epoch, 0, sizeof(*epoch));
    epoch->number = get_u64le(in);
    epoch->ballot = get_u64le(in + 8);
    epoch->count = get_u32le(in + 16);
    if (epoch->count > KV_MIRRORS_MAX) {
        return -EBADMSG;
    }
    memcpy(epoch->members, in + MEMBERS_AT, epoch->count * MIRROR_ID_SIZE);
    return 0;
}

static void epoch_encode(uint8_t *out, const struct mirror_epoch *epoch)
{
    invariant(epoch->count <= KV_MIRRORS_MAX);
    put_u64le(out, epoch->number);
    put_u64le(out + 8, epoch->ballot);
    put_u32le(out + 16, epoch->count);
    memcpy(out + MEMBERS_AT, epoch->members, epoch->count * MIRROR_ID_SIZE);
}

static int decode(const uint8_t *in, size_t size, struct mirror_set *set)
{
    if (size > MAGIC_SIZE + 2 && memcmp(in, magic, MAGIC_SIZE) == 0 &&
        get_u16le(in + 8) > SET_VERSION) {
        return -EPROTONOSUPPORT;
    }
    if (size != SET_SIZE || memcmp(in, magic, MAGIC_SIZE) != 0 ||
        get_u16le(in + 8) != SET_VERSION || in[10] > 1 ||
        crc32c_bytes(in + 16, SET_SIZE - 16) != get_u32le(in + 12)) {
        return -EBADMSG;
    }
    memset(set, 0, sizeof(*set));
    set->stands = in[10];
    memcpy(set->store, in + 16, MIRROR_ID_SIZE);
    memcpy(set->self, in + 32, MIRROR_ID_SIZE);
    if (epoch_decode(in + EPOCH_AT, &set->epoch) != 0 ||
        epoch_decode(in + EPOCH_AT + EPOCH_SIZE, &set->base) != 0 ||
        set->epoch.number == 0 || set->epoch.count == 0) {
        return -EBADMSG;
    }
    return 0;
}

int mirror_set_read(struct io *io, const char *directory,
                    struct mirror_set *set)
{
    struct buffer data = {0};
    char path[PATH_SIZE];
    int error;

    set_path(directory, path);
    error = io_read_file(io, path, READ_SIZE, &data);
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
    uint8_t data[SET_SIZE] = {0};
    char path[PATH_SIZE];

    memcpy(data, magic, MAGIC_SIZE);
    put_u16le(data + 8, SET_VERSION);
    data[10] = set->stands;
    memcpy(data + 16, set->store, MIRROR_ID_SIZE);
    memcpy(data + 32, set->self, MIRROR_ID_SIZE);
    epoch_encode(data + EPOCH_AT, &set->epoch);
    epoch_encode(data + EPOCH_AT + EPOCH_SIZE, &set->base);
    put_u32le(data + 12, crc32c_bytes(data + 16, SET_SIZE - 16));
    set_path(directory, path);
    return io_write_file(io, path, data, SET_SIZE);
}

bool mirror_epoch_same(const struct mirror_epoch *a,
                       const struct mirror_epoch *b)
{
    return a->number == b->number && a->ballot == b->ballot;
}

bool mirror_epoch_names(const struct mirror_epoch *epoch,
                        const uint8_t id[MIRROR_ID_SIZE])
{
    for (unsigned i = 0; i < epoch->count; i++) {
        if (memcmp(epoch->members[i], id, MIRROR_ID_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

/* --- choosing --------------------------------------------------------------*/

struct choice {
    const struct mirror_candidate *candidates;
    unsigned count;
    struct mirror_epoch epoch; /* the best so far; number 0: none */
    bool trusted[KV_MIRRORS_MAX];
};

/* An epoch after `base` was never established if a member of it still has
 * `base` as what it recorded last. */
static bool refuted(const struct choice *choice,
                    const struct mirror_epoch *epoch,
                    const struct mirror_epoch *base)
{
    for (unsigned i = 0; i < choice->count; i++) {
        const struct mirror_candidate *other = &choice->candidates[i];

        if (other->readable && mirror_epoch_same(&other->set.epoch, base) &&
            mirror_epoch_names(epoch, other->set.self)) {
            return true;
        }
    }
    return false;
}

/* Holds the mirror what the epoch's members hold, and has it agreed to no
 * later one that could have been established? */
static bool supports(const struct choice *choice,
                     const struct mirror_candidate *candidate,
                     const struct mirror_epoch *epoch)
{
    const struct mirror_set *own = &candidate->set;

    if (!candidate->readable || !mirror_epoch_names(epoch, own->self)) {
        return false;
    }
    return mirror_epoch_same(&own->epoch, epoch) ||
           (mirror_epoch_same(&own->base, epoch) &&
            refuted(choice, &own->epoch, epoch));
}

/* `base` is NULL if the epoch is known to stand. If not, another one after the
 * same base may stand instead, unless most of that one's members agree here. */
static void consider(struct choice *choice, const struct mirror_epoch *epoch,
                     const struct mirror_epoch *base, bool accept_lost)
{
    bool trusted[KV_MIRRORS_MAX] = {false};
    unsigned support = 0, of_base = 0;

    for (unsigned i = 0; i < choice->count; i++) {
        const struct mirror_candidate *candidate = &choice->candidates[i];

        trusted[i] = supports(choice, candidate, epoch);
        support += trusted[i];
        of_base += trusted[i] && base != NULL &&
                   mirror_epoch_names(base, candidate->set.self);
    }
    if (accept_lost ? support == 0
                    : 2 * support <= epoch->count ||
                          (base != NULL && 2 * of_base <= base->count)) {
        return;
    }
    if (epoch->number > choice->epoch.number) {
        choice->epoch = *epoch;
        memcpy(choice->trusted, trusted, sizeof(trusted));
    }
}

static void consider_all(struct choice *choice, bool accept_lost)
{
    for (unsigned i = 0; i < choice->count; i++) {
        const struct mirror_set *set = &choice->candidates[i].set;

        if (choice->candidates[i].has_set) {
            consider(choice, &set->epoch, set->stands ? NULL : &set->base,
                     accept_lost);
            consider(choice, &set->base, NULL, accept_lost);
        }
    }
}

static bool any_set(const struct mirror_candidate *candidates, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (candidates[i].has_set) {
            return true;
        }
    }
    return false;
}

int mirror_choose(const struct mirror_candidate *candidates, unsigned count,
                  bool accept_lost, struct mirror_epoch *epoch,
                  bool trusted[KV_MIRRORS_MAX])
{
    struct choice choice = {.candidates = candidates, .count = count};

    if (!any_set(candidates, count)) {
        return -ENOENT;
    }
    consider_all(&choice, false);
    if (choice.epoch.number == 0 && accept_lost) {
        consider_all(&choice, true);
    }
    if (choice.epoch.number == 0) {
        return -EINVAL;
    }
    *epoch = choice.epoch;
    memcpy(trusted, choice.trusted, sizeof(choice.trusted));
    return 0;
}
