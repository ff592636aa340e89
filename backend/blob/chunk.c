/*
 * One chunk being read: descriptors are fetched when first needed, blocks
 * leave only checked (B2), and only checked blocks go into a decode (B3).
 */
#include "blob/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_ROOM (BLOB_BLOCK_SIZE + BLOB_DESCRIPTOR_ROOM)

void chunk_open(struct chunk *chunk, struct blob_store *store,
                const Layout__Layout *layout, uint64_t offset)
{
    struct erasure_profile profile = layout_profile(layout);

    chunk->store = store;
    chunk->layout = layout;
    chunk->offset = 0;
    chunk->number = 0;
    while (offset - chunk->offset >= layout->chunks[chunk->number]->size) {
        chunk->offset += layout->chunks[chunk->number]->size;
        chunk->number++;
        invariant(chunk->number < layout->n_chunks);
    }
    chunk->message = layout->chunks[chunk->number];
    chunk->wait_us = profile.m > 0 ? atomic_load(&store->hedge_us) : 0;
    chunk->bad = 0;
    chunk->late = 0;
    chunk->reported = 0;
    chunk->path_age_us = 0;
    chunk->at_path = 0;
    chunk->views = NULL;
    geometry_init(&chunk->geometry, &profile, layout->unit,
                  chunk->message->size);
    memset(chunk->tables, 0, profile_shards(&profile) * sizeof(void *));
}

void chunk_close(struct chunk *chunk)
{
    unsigned shards = profile_shards(&chunk->geometry.profile);

    for (unsigned i = 0; i < shards; i++) {
        if (chunk->tables[i] != NULL) {
            tables_release(&chunk->store->cache, chunk->tables[i]);
        }
    }
}

void chunk_damaged(struct chunk *chunk, unsigned shard, int error)
{
    struct blob_store *store = chunk->store;

    if (chunk->reported & 1u << shard) {
        return;
    }
    if (error == -ESTALE || error == -ETIMEDOUT) {
        return; /* it was moved: the layout is old; or nobody knows */
    }
    chunk->reported |= 1u << shard;
    log_debug("blob %llx chunk %u shard %u is damaged: error %d",
              (unsigned long long)chunk->layout->blob, chunk->number, shard,
              -error);
    if (store->on_damage != NULL) {
        store->on_damage(store->damage_context, chunk->layout->blob,
                         chunk->number, shard, error);
    }
}

/* The whole shard is of no use, beyond one block of it. */
static void shard_unusable(struct chunk *chunk, unsigned shard, int error)
{
    chunk->bad |= 1u << shard;
    if (error == -ETIMEDOUT) {
        chunk->late |= 1u << shard;
    }
    chunk_damaged(chunk, shard, error);
}

bool chunk_be_patient(struct chunk *chunk)
{
    if (chunk->wait_us == 0 || chunk->late == 0) {
        return false;
    }
    chunk->wait_us = 0;
    chunk->bad &= ~chunk->late;
    chunk->late = 0;
    return true;
}

int chunk_check_path(struct chunk *chunk, unsigned shard)
{
    const Layout__Locator *locator = chunk->message->shards[shard];
    struct drive *drive = store_drive(chunk->store, locator);
    int error = 0;

    if (!(chunk->at_path & 1u << shard)) {
        error = drive != NULL
                    ? drive_check_path(drive, locator->extent, chunk->wait_us,
                                       chunk->path_age_us, &chunk->nodes[shard])
                    : -ENODEV;
    }
    if (error != 0) {
        shard_unusable(chunk, shard, error);
        return error;
    }
    chunk->at_path |= 1u << shard;
    return 0;
}

/* Where a shard's bytes are. NULL: nowhere. */
static struct drive *shard_place(const struct chunk *chunk, unsigned shard,
                                 uint64_t offset, uint64_t *position)
{
    const Layout__Locator *locator = chunk->message->shards[shard];

    if (__builtin_add_overflow(locator->offset, offset, position)) {
        return NULL;
    }
    return store_drive(chunk->store, locator);
}

static int read_by_view(struct view *view, uint64_t offset, void *data,
                        size_t size)
{
    const uint8_t *bytes;
    int error = view_read(view, offset, size, &bytes);

    if (error == 0) {
        memcpy(data, bytes, size);
    }
    return error;
}

static int shard_read(struct chunk *chunk, unsigned shard, uint64_t offset,
                      void *data, size_t size)
{
    uint64_t position;
    struct drive *drive = shard_place(chunk, shard, offset, &position);

    if (chunk->views != NULL) {
        return read_by_view(&chunk->views[shard], offset, data, size);
    }

    return drive == NULL
               ? -ENODEV
               : drive_read_within(drive, chunk->message->shards[shard]->extent,
                                   position, data, size, chunk->wait_us);
}

int shard_read_direct(struct chunk *chunk, unsigned shard, uint64_t offset,
                      void *data, size_t size)
{
    uint64_t position;
    struct drive *drive = shard_place(chunk, shard, offset, &position);

    return drive == NULL
               ? -ENODEV
               : drive_read_direct(drive, chunk->message->shards[shard]->extent,
                                   position, data, size);
}

int descriptor_check(const struct chunk *chunk, unsigned shard, struct slice in,
                     struct descriptor *found)
{
    const struct geometry *geometry = &chunk->geometry;
    uint32_t crc;
    int error = descriptor_decode(in, found, &crc);

    if (error != 0) {
        return error;
    }
    if (crc != chunk->message->shards[shard]->descriptor_crc ||
        found->blob != chunk->layout->blob ||
        found->blob_size != chunk->layout->size ||
        found->chunk != chunk->number || found->shard != shard ||
        found->chunk_offset != chunk->offset ||
        found->chunk_size != geometry->size ||
        found->payload != geometry_shard_size(geometry, shard) ||
        found->unit != geometry->unit ||
        found->profile.backend != geometry->profile.backend ||
        found->profile.k != geometry->profile.k ||
        found->profile.m != geometry->profile.m) {
        return -EBADMSG;
    }
    return 0;
}

static struct table *table_new(const struct chunk *chunk, unsigned shard,
                               uint32_t blocks)
{
    const Layout__Locator *locator = chunk->message->shards[shard];
    struct table *table =
        xmalloc(sizeof(*table) + blocks * sizeof(table->crc[0]));

    *table = (struct table){
        .extent = locator->extent,
        .offset = locator->offset,
        .blob = chunk->layout->blob,
        .chunk = chunk->number,
        .shard = shard,
        .descriptor_crc = locator->descriptor_crc,
        .blocks = blocks,
    };
    return table;
}

static int table_read(struct chunk *chunk, unsigned shard, struct table *table)
{
    uint64_t payload = geometry_shard_size(&chunk->geometry, shard);
    size_t size = descriptor_size(payload);
    uint8_t encoded[DESCRIPTOR_FIXED_SIZE +
                    4 * (BLOB_CHUNK_SIZE / BLOB_BLOCK_SIZE + 1)];
    struct descriptor found;
    int error;

    invariant(size <= sizeof(encoded));
    error = shard_read(chunk, shard, payload, encoded, size);
    if (error == 0) {
        error = descriptor_check(chunk, shard, slice_of(encoded, size), &found);
    }
    for (uint32_t i = 0; i < table->blocks && error == 0; i++) {
        table->crc[i] = descriptor_block_crc(encoded, i);
    }
    return error;
}

/* The shard's verified CRC table, kept until chunk_close(). */
static int table_of(struct chunk *chunk, unsigned shard,
                    const struct table **out)
{
    struct cache *cache = &chunk->store->cache;
    struct table *table = chunk->tables[shard];

    if (table == NULL) {
        uint64_t payload = geometry_shard_size(&chunk->geometry, shard);
        struct table *fresh = table_new(chunk, shard, block_count(payload));

        table = tables_get(cache, fresh);
        if (table != NULL) {
            free(fresh);
        } else {
            int error = table_read(chunk, shard, fresh);

            if (error != 0) {
                free(fresh);
                shard_unusable(chunk, shard, error);
                return error;
            }
            tables_put(cache, fresh);
            table = fresh;
        }
        chunk->tables[shard] = table;
    }
    *out = table;
    return 0;
}

/* A shard of one block comes with its descriptor in one read. */
static int read_small_shard(struct chunk *chunk, unsigned shard, uint8_t *out)
{
    size_t payload = geometry_shard_size(&chunk->geometry, shard);
    size_t size = descriptor_size(payload);
    struct descriptor found;
    int error;

    invariant(size <= BLOB_DESCRIPTOR_ROOM);
    error = shard_read(chunk, shard, 0, out, payload + size);
    if (error == 0) {
        error = descriptor_check(chunk, shard, slice_of(out + payload, size),
                                 &found);
    }
    if (error == 0 &&
        descriptor_block_crc(out + payload, 0) != crc32c_bytes(out, payload)) {
        error = -EBADMSG;
    }
    if (error != 0) {
        shard_unusable(chunk, shard, error);
    }
    return error;
}

int chunk_read_blocks(struct chunk *chunk, unsigned shard, uint32_t first,
                      uint32_t count, uint8_t *out, size_t size)
{
    const struct table *table;
    int error;

    if (chunk->bad & 1u << shard) {
        return -EIO;
    }
    error = table_of(chunk, shard, &table);
    if (error != 0) {
        return error;
    }
    invariant(first + count <= table->blocks);
    error =
        shard_read(chunk, shard, (uint64_t)first * BLOB_BLOCK_SIZE, out, size);
    if (error == -ENODEV || error == -ENOENT || error == -ESTALE ||
        error == -ETIMEDOUT) {
        shard_unusable(chunk, shard, error);
        return error;
    }
    for (uint32_t i = 0; i < count && error == 0; i++) {
        uint32_t block =
            geometry_block_size(&chunk->geometry, shard, first + i);

        if (crc32c_bytes(out, block) != table->crc[first + i]) {
            error = -EBADMSG;
        }
        out += block;
    }
    return error;
}

int chunk_read_block(struct chunk *chunk, unsigned shard, uint32_t block,
                     uint8_t *out)
{
    uint64_t payload = geometry_shard_size(&chunk->geometry, shard);
    int error;

    if (chunk->bad & 1u << shard) {
        return -EIO;
    }
    if (payload <= BLOB_BLOCK_SIZE) {
        return read_small_shard(chunk, shard, out);
    }
    error =
        chunk_read_blocks(chunk, shard, block, 1, out,
                          geometry_block_size(&chunk->geometry, shard, block));
    if (error != 0) {
        chunk_damaged(chunk, shard, error);
    }
    return error;
}

/* Gathers k good blocks besides `wanted`, padded to `size`. A data shard that
 * has no bytes there holds zeros by definition, whatever became of it. */
static unsigned gather_blocks(struct chunk *chunk, unsigned wanted,
                              uint32_t block, uint8_t *buffers, size_t size,
                              const uint8_t *shards[])
{
    const struct erasure_profile *profile = &chunk->geometry.profile;
    unsigned good = 0;

    for (unsigned i = 0; i < profile_shards(profile); i++) {
        uint8_t *buffer = buffers + (size_t)good * BLOCK_ROOM;
        size_t own = geometry_block_size(&chunk->geometry, i, block);

        shards[i] = NULL;
        if (i == wanted || good == profile->k) {
            continue;
        }
        if (own > 0 && chunk_read_block(chunk, i, block, buffer) != 0) {
            continue;
        }
        invariant(own <= size);
        memset(buffer + own, 0, size - own);
        shards[i] = buffer;
        good++;
    }
    return good;
}

int chunk_rebuild_block(struct chunk *chunk, unsigned wanted, uint32_t block,
                        uint8_t *out)
{
    const struct geometry *geometry = &chunk->geometry;
    const struct erasure_profile *profile = &geometry->profile;
    const uint8_t *shards[ERASURE_SHARDS_MAX];
    const struct table *table = chunk->tables[wanted];
    /* Parity, or a copy, is as long as the code's unit. */
    unsigned longest = profile_shards(profile) - 1;
    size_t size = geometry_block_size(geometry, longest, block);
    size_t own = geometry_block_size(geometry, wanted, block);
    uint8_t *buffers = xmalloc((size_t)profile->k * BLOCK_ROOM);
    int error = 0;

    if (gather_blocks(chunk, wanted, block, buffers, size, shards) <
        profile->k) {
        error = -EIO;
    } else if (profile->k == 1) {
        memcpy(out, buffers, size);
    } else {
        error = erasure_reconstruct(profile, shards, wanted, out, size);
    }
    free(buffers);
    if (error == 0 && table != NULL &&
        crc32c_bytes(out, own) != table->crc[block]) {
        log_error("blob %llx chunk %u: rebuilt bytes do not match",
                  (unsigned long long)chunk->layout->blob, chunk->number);
        error = -EIO;
    }
    return error;
}

unsigned chunk_copy(const struct chunk *chunk, unsigned i)
{
    unsigned shards = profile_shards(&chunk->geometry.profile);

    invariant(shards > 0);
    /* Always the same copy first, so that only one fills the page cache;
     * ids count upwards, which spreads the load over the drives. */
    return (unsigned)((chunk->layout->blob + i) % shards);
}

unsigned chunk_source(const struct chunk *chunk, unsigned shard)
{
    unsigned shards = profile_shards(&chunk->geometry.profile);

    if (chunk->geometry.profile.k > 1) {
        return shard;
    }
    for (unsigned i = 0; i < shards; i++) {
        unsigned copy = chunk_copy(chunk, i);

        if (!(chunk->bad & 1u << copy)) {
            return copy;
        }
    }
    return chunk_copy(chunk, 0);
}

void chunk_quiet(struct chunk *chunk)
{
    chunk->reported = UINT32_MAX;
    chunk->wait_us = 0;
}
