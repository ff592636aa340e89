/* Choosing a blob's profile and the drives of its chunks. */
#include "blob/writer.h"

#include <errno.h>
#include <stdlib.h>

uint64_t writer_chunk_bytes(const struct blob_writer *writer, size_t chunk)
{
    uint64_t before = chunk * writer->store->chunk_size;
    uint64_t left = writer->spec.size - before;

    return left < writer->store->chunk_size ? left : writer->store->chunk_size;
}

/* --- the profile --------------------------------------------------------- */

static uint64_t record_bytes(const struct geometry *geometry, size_t origin)
{
    /* The first copy or the last parity shard is the largest. */
    unsigned largest =
        geometry->profile.k == 1 ? 0 : profile_shards(&geometry->profile) - 1;
    uint64_t payload = geometry_shard_size(geometry, largest);

    return payload + descriptor_size(payload) + origin;
}

/*
 * By the drives that are there and have room. Full drives may make the code
 * narrower but never lower how many losses it bears.
 */
int writer_choose_profile(struct blob_writer *writer)
{
    bool small = writer->spec.size <= BLOB_SMALL_MAX;
    unsigned usable = store_usable(writer->store);
    unsigned drives = store_preferred(writer->store);

    /* Alone among lost drives, one would keep bytes without redundancy. */
    if (usable == 0 || (usable == 1 && store_members(writer->store) > 1)) {
        return -ENODEV;
    }
    for (;;) {
        struct erasure_profile profile = erasure_default(drives, small);
        unsigned room;

        if (drives == 0 || profile.m < erasure_default(usable, small).m) {
            return -ENOSPC;
        }
        geometry_init(&writer->geometry, &profile, writer->store->unit,
                      writer_chunk_bytes(writer, 0));
        room = store_candidates(
            writer->store,
            record_bytes(&writer->geometry, writer->spec.origin.size),
            profile_shards(&profile), writer->candidates);
        if (room >= profile_shards(&profile)) {
            writer->profile = profile;
            writer->shards = profile_shards(&profile);
            return 0;
        }
        if (store_usable(writer->store) < usable) {
            return writer_choose_profile(writer); /* lost, not full */
        }
        drives = room < drives ? room : drives - 1;
    }
}

static unsigned shards_left(const struct blob_writer *writer,
                            const struct written_chunk *chunk)
{
    unsigned left = 0;

    for (unsigned i = 0; i < writer->shards; i++) {
        left += chunk->shards[i].drive != NULL;
    }
    return left;
}

bool writer_enough_left(const struct blob_writer *writer,
                        const struct written_chunk *chunk)
{
    return shards_left(writer, chunk) >=
           profile_minimum(&writer->profile, writer->store->may_miss);
}

/* --- placing a chunk ----------------------------------------------------- */

static int reserve(struct blob_writer *writer, struct written_chunk *chunk,
                   unsigned shard, unsigned drive)
{
    struct written_shard *written = &chunk->shards[shard];
    uint64_t payload = geometry_shard_size(&writer->geometry, shard);
    uint64_t tail = descriptor_size(payload) + writer->spec.origin.size;
    int error = drive_reserve(writer->store->drives[drive], writer->spec.blob,
                              shard, payload, tail, &written->place);

    if (error == 0) {
        written->drive = writer->store->drives[drive];
        written->index = drive;
        written->reserved = payload + tail;
    }
    return error;
}

void candidate_remove(struct placement_candidate *candidates, unsigned *count,
                      unsigned drive)
{
    for (unsigned i = 0; i < *count; i++) {
        if (candidates[i].drive == drive) {
            candidates[i] = candidates[--*count];
            return;
        }
    }
}

static unsigned domain_shards(const struct blob_store *store, unsigned domain,
                              const unsigned *used, unsigned used_count)
{
    unsigned shards = 0;

    for (unsigned i = 0; i < used_count; i++) {
        shards += store->domains[used[i]] == domain;
    }
    return shards;
}

int store_choose_spare(struct blob_store *store,
                       const struct placement_candidate *candidates,
                       unsigned count, const unsigned *used,
                       unsigned used_count, unsigned *drive)
{
    struct placement_candidate *spares = xcalloc(count + 1, sizeof(*spares));
    uint64_t random = store_random(store);
    unsigned fewest = UINT32_MAX, eligible = 0;
    int error;

    for (unsigned i = 0; i < count; i++) {
        unsigned shards =
            domain_shards(store, candidates[i].domain, used, used_count);

        if (shards < fewest) {
            fewest = shards;
            eligible = 0;
        }
        if (shards == fewest) {
            spares[eligible++] = candidates[i];
        }
    }
    error = placement_choose(spares, eligible, 1, &random, drive);
    free(spares);
    return error;
}

/* A drive for one more shard of the chunk. */
static int choose_spare(struct blob_writer *writer,
                        const struct written_chunk *chunk, unsigned count,
                        unsigned *drive)
{
    unsigned used[ERASURE_SHARDS_MAX], used_count = 0;

    for (unsigned i = 0; i < writer->shards; i++) {
        if (chunk->shards[i].drive != NULL) {
            used[used_count++] = chunk->shards[i].index;
        }
    }
    return store_choose_spare(writer->store, writer->candidates, count, used,
                              used_count, drive);
}

/* Fills the shards that have no place from the remaining candidates. */
static int place_spares(struct blob_writer *writer, struct written_chunk *chunk,
                        unsigned wanted, unsigned count, int error)
{
    for (unsigned i = 0; i < wanted; i++) {
        while (chunk->shards[i].drive == NULL) {
            unsigned drive;

            if (choose_spare(writer, chunk, count, &drive) != 0) {
                return error;
            }
            candidate_remove(writer->candidates, &count, drive);
            if (reserve(writer, chunk, i, drive) == 0) {
                break;
            }
        }
    }
    return error;
}

static void check_distinct(const struct blob_writer *writer,
                           const struct written_chunk *chunk)
{
    for (unsigned i = 0; i < writer->shards; i++) {
        for (unsigned j = i + 1; j < writer->shards; j++) {
            invariant(chunk->shards[i].drive == NULL ||
                      chunk->shards[i].drive !=
                          chunk->shards[j].drive); /* B4 */
        }
    }
}

int writer_place_chunk(struct blob_writer *writer, struct written_chunk *chunk)
{
    uint64_t random = store_random(writer->store);
    uint64_t bytes = record_bytes(&writer->geometry, writer->spec.origin.size);
    unsigned count = store_candidates(writer->store, bytes, writer->shards,
                                      writer->candidates);
    unsigned usable = store_usable(writer->store); /* as it was noticed now */
    unsigned wanted = count < writer->shards ? count : writer->shards;
    unsigned drives[ERASURE_SHARDS_MAX];
    int error = 0;

    if (wanted < writer->shards && count < usable) {
        return -ENOSPC; /* full drives are no excuse for fewer shards */
    }
    if (placement_choose(writer->candidates, count, wanted, &random, drives) !=
        0) {
        return -ENOSPC;
    }
    for (unsigned i = 0; i < wanted; i++) {
        int failed = reserve(writer, chunk, i, drives[i]);

        candidate_remove(writer->candidates, &count, drives[i]);
        error = failed != 0 ? failed : error;
    }
    error = place_spares(writer, chunk, wanted, count, error);
    check_distinct(writer, chunk);
    if (writer_enough_left(writer, chunk)) {
        return 0;
    }
    return error == -ENOSPC ? -ENOSPC : -ENODEV;
}
