#include "blob/private.h"

#include <errno.h>

static uint64_t round_up(uint64_t value, uint64_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void geometry_init(struct geometry *geometry,
                   const struct erasure_profile *profile, uint32_t unit,
                   uint64_t size)
{
    unsigned k = profile->k;

    invariant(k > 0 && unit > 0 && unit % BLOB_BLOCK_SIZE == 0 && size > 0);
    geometry->profile = *profile;
    geometry->unit = unit;
    geometry->size = size;
    geometry->stripe = (uint64_t)unit * k;
    geometry->full = size / geometry->stripe;
    geometry->rest = size % geometry->stripe;
    geometry->last_unit =
        (uint32_t)round_up((geometry->rest + k - 1) / k, BLOB_UNIT_ALIGN);
}

uint64_t geometry_shard_size(const struct geometry *geometry, unsigned shard)
{
    uint64_t full = geometry->full * geometry->unit;
    uint64_t before = (uint64_t)shard * geometry->last_unit;

    if (geometry->profile.k == 1) {
        return geometry->size;
    }
    if (shard >= geometry->profile.k) {
        return full + geometry->last_unit;
    }
    if (before >= geometry->rest) {
        return full;
    }
    return full + smaller(geometry->rest - before, geometry->last_unit);
}

uint32_t geometry_block_size(const struct geometry *geometry, unsigned shard,
                             uint32_t block)
{
    uint64_t size = geometry_shard_size(geometry, shard);
    uint64_t start = (uint64_t)block * BLOB_BLOCK_SIZE;

    if (start >= size) {
        return 0;
    }
    return (uint32_t)smaller(size - start, BLOB_BLOCK_SIZE);
}

struct run geometry_run(const struct geometry *geometry, uint64_t offset)
{
    uint64_t stripe = offset / geometry->stripe;
    uint64_t inside = offset % geometry->stripe;
    uint64_t unit =
        stripe < geometry->full ? geometry->unit : geometry->last_unit;
    struct run run;

    invariant(offset < geometry->size);
    if (geometry->profile.k == 1) {
        return (struct run){0, offset, geometry->size - offset};
    }
    run.shard = (unsigned)(inside / unit);
    run.offset = stripe * geometry->unit + inside % unit;
    run.length = smaller(unit - inside % unit, geometry->size - offset);
    return run;
}

unsigned profile_minimum(const struct erasure_profile *profile,
                         unsigned may_miss)
{
    unsigned most = profile->m > 0 ? profile->m - 1u : 0;

    return profile_shards(profile) - (may_miss < most ? may_miss : most);
}

struct erasure_profile layout_profile(const Layout__Layout *layout)
{
    return (struct erasure_profile){(uint8_t)layout->backend,
                                    (uint8_t)layout->k, (uint8_t)layout->m};
}

int layout_check(const Layout__Layout *layout)
{
    uint64_t size = 0;

    if (layout->k == 0 || layout->k > ERASURE_SHARDS_MAX ||
        layout->m > ERASURE_SHARDS_MAX - layout->k ||
        layout->backend > ERASURE_RS_VAND ||
        (layout->k > 1 && layout->m == 0) ||
        (layout->k == 1) != (layout->backend == ERASURE_COPIES) ||
        layout->unit == 0 || layout->unit > BLOB_UNIT_MAX ||
        layout->unit % BLOB_BLOCK_SIZE != 0) {
        return -EBADMSG;
    }
    for (size_t i = 0; i < layout->n_chunks; i++) {
        const Layout__Chunk *chunk = layout->chunks[i];

        if (chunk->n_shards != layout->k + layout->m || chunk->size == 0 ||
            chunk->size > BLOB_CHUNK_SIZE ||
            chunk->size > layout->size - size) {
            return -EBADMSG;
        }
        size += chunk->size;
    }
    return size == layout->size ? 0 : -EBADMSG;
}

unsigned blob_losses_left(const Layout__Layout *layout)
{
    unsigned most = 0;

    for (size_t i = 0; i < layout->n_chunks; i++) {
        const Layout__Chunk *chunk = layout->chunks[i];
        unsigned missing = 0;

        for (size_t j = 0; j < chunk->n_shards; j++) {
            missing += chunk->shards[j]->drive_plus_one == 0;
        }
        most = missing > most ? missing : most;
    }
    return most < layout->m ? layout->m - most : 0;
}

bool blob_degraded(const Layout__Layout *layout)
{
    return blob_losses_left(layout) < layout->m;
}
