/*
 * Making a blob whole: chunk by chunk, bad shard by bad shard, a block at a
 * time. A rebuilt shard's descriptor must come out as the lost one's was.
 */
#include "blob/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int rebuild_write(struct rebuild *rebuild, uint64_t position,
                         const void *data, size_t size)
{
    invariant(size <= rebuild->reserved);
    rebuild->reserved -= size;
    return drive_write(rebuild->drive, &rebuild->place, position, data, size);
}

/* The payload; fills the table of its blocks' CRCs. */
static int rebuild_blocks(struct rebuild *rebuild, uint32_t *table)
{
    struct chunk *chunk = rebuild->chunk;
    const struct geometry *geometry = &chunk->geometry;
    uint32_t blocks =
        block_count(geometry_shard_size(geometry, rebuild->shard));
    uint8_t *data = xmalloc(BLOB_BLOCK_SIZE + BLOB_DESCRIPTOR_ROOM);
    int error = 0;

    for (uint32_t i = 0; i < blocks && error == 0; i++) {
        size_t size = geometry_block_size(geometry, rebuild->shard, i);

        if (!pace_spend(rebuild->pace, (geometry->profile.k + 1u) * size)) {
            error = -ECANCELED;
            break;
        }
        error = rebuild->fetch(chunk, rebuild->shard, i, data);
        rebuild->unreadable = error != 0;
        if (error == 0) {
            table[i] = crc32c_bytes(data, size);
            error = rebuild_write(rebuild, (uint64_t)i * BLOB_BLOCK_SIZE, data,
                                  size);
        }
    }
    free(data);
    return error;
}

/* Descriptor and origin, behind the payload. */
static int rebuild_tail(struct rebuild *rebuild, const uint32_t *table,
                        uint32_t *crc)
{
    struct descriptor descriptor = rebuild->label->descriptor;
    size_t encoded, origin = descriptor.origin_size;
    uint8_t *tail;
    int error;

    descriptor.shard = (uint8_t)rebuild->shard;
    descriptor.payload =
        geometry_shard_size(&rebuild->chunk->geometry, rebuild->shard);
    encoded = descriptor_size(descriptor.payload);
    tail = xmalloc(encoded + origin);
    *crc = descriptor_encode(&descriptor, table, tail);
    memcpy(tail + encoded, rebuild->label->origin, origin);
    error = rebuild_write(rebuild, descriptor.payload, tail, encoded + origin);
    free(tail);
    return error;
}

static int rebuild_write_all(struct rebuild *rebuild, uint64_t payload,
                             uint32_t *crc)
{
    const Layout__Locator *old =
        rebuild->chunk->message->shards[rebuild->shard];
    uint32_t *table = xcalloc(block_count(payload) + 1, sizeof(*table));
    int error = rebuild_blocks(rebuild, table);

    if (error == 0) {
        error = rebuild_tail(rebuild, table, crc);
    }
    free(table);
    if (error == 0 && !rebuild->lazy) {
        error = drive_sync(rebuild->drive, rebuild->place.extent); /* B1 */
    }
    if (error == 0 && old->drive_plus_one != 0 && old->descriptor_crc != *crc) {
        log_error("blob %llx chunk %u: a rebuilt shard is not what it was",
                  (unsigned long long)rebuild->chunk->layout->blob,
                  rebuild->chunk->number);
        rebuild->unreadable = true;
        error = -EIO;
    }
    return error;
}

int rebuild_on(struct rebuild *rebuild, unsigned index,
               Layout__Locator *locator)
{
    struct chunk *chunk = rebuild->chunk;
    uint64_t payload = geometry_shard_size(&chunk->geometry, rebuild->shard);
    uint64_t tail =
        descriptor_size(payload) + rebuild->label->descriptor.origin_size;
    uint32_t crc = 0;
    int error;

    rebuild->drive = chunk->store->drives[index];
    rebuild->unreadable = false;
    error = drive_reserve(rebuild->drive, chunk->layout->blob, rebuild->shard,
                          payload, tail, &rebuild->place);
    if (error != 0) {
        return error;
    }
    rebuild->reserved = payload + tail;
    error = rebuild_write_all(rebuild, payload, &crc);
    if (rebuild->reserved > 0) {
        drive_release(rebuild->drive, rebuild->reserved);
    }
    if (error == 0) {
        locator->drive_plus_one = index + 1;
        locator->extent = rebuild->place.extent;
        locator->offset = rebuild->place.offset;
        locator->descriptor_crc = crc;
    }
    return error;
}

/* Drives with room that the chunk's other shards are not on, not even bad
 * ones. */
static unsigned find_drives(struct blob_store *store, const Layout__Chunk *now,
                            const struct rebuild *rebuild,
                            struct placement_candidate *candidates,
                            unsigned *used, unsigned *used_count)
{
    uint64_t payload =
        geometry_shard_size(&rebuild->chunk->geometry, rebuild->shard);
    uint64_t bytes = payload + descriptor_size(payload) +
                     rebuild->label->descriptor.origin_size;
    unsigned count = store_candidates(store, bytes, now->n_shards, candidates);

    *used_count = 0;
    for (unsigned i = 0; i < now->n_shards; i++) {
        unsigned drive = now->shards[i]->drive_plus_one - 1;

        if (i != rebuild->shard && drive < store->drive_count) {
            candidate_remove(candidates, &count, drive);
            used[(*used_count)++] = drive;
        }
    }
    return count;
}

int rebuild_shard(struct rebuild *rebuild, Layout__Chunk *now)
{
    struct blob_store *store = rebuild->chunk->store;
    struct placement_candidate *candidates =
        xcalloc(store->drive_count, sizeof(*candidates));
    unsigned used[ERASURE_SHARDS_MAX], used_count, drive;
    unsigned count =
        find_drives(store, now, rebuild, candidates, used, &used_count);
    int error = -ENODEV;

    rebuild->unreadable = false;
    while (error != 0 && error != -ECANCELED && !rebuild->unreadable &&
           store_choose_spare(store, candidates, count, used, used_count,
                              &drive) == 0) {
        candidate_remove(candidates, &count, drive);
        error = rebuild_on(rebuild, drive, now->shards[rebuild->shard]);
        if (error != 0 && error != -ECANCELED) {
            log_warn("blob %llx chunk %u: shard %u was not rebuilt on drive "
                     "%u: %s",
                     (unsigned long long)rebuild->chunk->layout->blob,
                     rebuild->chunk->number, rebuild->shard, drive,
                     strerror(-error));
        }
    }
    free(candidates);
    return error;
}

/* The bad shards of a chunk, as far as it is possible. -ECANCELED. */
static int rebuild_bad(struct rebuild *rebuild, uint32_t bad,
                       Layout__Chunk *now, struct blob_repair *result)
{
    struct chunk *chunk = rebuild->chunk;
    unsigned shards = profile_shards(&chunk->geometry.profile);
    unsigned good = shards - (unsigned)__builtin_popcount(bad);

    for (unsigned i = 0; i < shards; i++) {
        int error;

        if (!(bad & 1u << i) || good < chunk->geometry.profile.k) {
            continue;
        }
        rebuild->shard = i;
        error = rebuild_shard(rebuild, now);
        if (error == -ECANCELED) {
            return error;
        }
        if (error == 0) {
            good++;
            result->shards++;
            result->bytes += geometry_shard_size(&chunk->geometry, i);
        }
    }
    health_add(&result->after, chunk, good);
    return 0;
}

/* `now` is the chunk of the layout to be. */
static int repair_chunk(struct chunk *chunk, const struct blob_pace *pace,
                        Layout__Chunk *now, struct shard_label *label,
                        struct blob_repair *result)
{
    struct rebuild rebuild = {.chunk = chunk,
                              .pace = pace,
                              .label = label,
                              .fetch = chunk_rebuild_block};
    unsigned shards = profile_shards(&chunk->geometry.profile);
    struct view views[ERASURE_SHARDS_MAX];
    uint32_t bad;
    int error = examine_chunk(chunk, pace, &result->before, label, &bad);

    if (error != 0) {
        return error;
    }
    for (unsigned i = 0; i < shards; i++) {
        view_open(&views[i], chunk, i);
    }
    chunk->views = views;
    chunk->bad = bad; /* B3 */
    error = rebuild_bad(&rebuild, bad, now, result);
    chunk->views = NULL;
    for (unsigned i = 0; i < shards; i++) {
        view_close(&views[i]);
    }
    return error;
}

Layout__Layout *layout_copy(const Layout__Layout *layout)
{
    size_t size = layout__layout__get_packed_size(layout);
    uint8_t *packed = xmalloc(size + 1);
    Layout__Layout *copy;

    layout__layout__pack(layout, packed);
    copy = layout__layout__unpack(NULL, size, packed);
    invariant(copy != NULL);
    free(packed);
    return copy;
}

int blob_repair(struct blob_store *store, const Layout__Layout *layout,
                const struct blob_pace *pace, Layout__Layout **repaired,
                struct blob_repair *result)
{
    Layout__Layout *now;
    struct shard_label *label;
    uint64_t offset = 0;
    int error = layout_check(layout);

    *repaired = NULL;
    *result = (struct blob_repair){.before.losses_left = (int)layout->m,
                                   .after.losses_left = (int)layout->m};
    if (error != 0) {
        return error;
    }
    now = layout_copy(layout);
    label = xmalloc(sizeof(*label));
    for (size_t i = 0; i < layout->n_chunks && error == 0; i++) {
        struct chunk chunk;

        chunk_open(&chunk, store, layout, offset);
        chunk_quiet(&chunk);
        error = repair_chunk(&chunk, pace, now->chunks[i], label, result);
        offset += chunk.geometry.size;
        chunk_close(&chunk);
    }
    free(label);
    if (error == 0 && result->shards > 0) {
        *repaired = now;
    } else {
        layout__layout__free_unpacked(now, NULL);
    }
    return error;
}
