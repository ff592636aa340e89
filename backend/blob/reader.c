#include "blob/private.h"

#include <errno.h>
#include <string.h>

/* Blocks read at once: they are still in the cache when they are checked. */
#define BATCH_BLOCKS 4u
#define PATH_AGE_US  1000000u

static bool range_inside(const Layout__Layout *layout, uint64_t offset,
                         uint64_t size)
{
    return offset <= layout->size && size <= layout->size - offset;
}

/* Block `block` of a data shard, from wherever it can be had. */
static int fetch_block(struct chunk *chunk, unsigned shard, uint32_t block,
                       uint8_t *out)
{
    int error;

    do {
        unsigned source = chunk_source(chunk, shard);

        error = chunk_read_block(chunk, source, block, out);
        if (error != 0) {
            error = chunk_rebuild_block(chunk, source, block, out);
        }
    } while (error != 0 && chunk_be_patient(chunk));
    return error;
}

/* Whole blocks straight into the caller's memory. Returns the bytes read, 0
 * if the range does not begin with a whole block or something is wrong. */
static size_t read_whole_blocks(struct chunk *chunk, unsigned shard,
                                uint64_t offset, uint8_t *out, size_t size)
{
    const struct geometry *geometry = &chunk->geometry;
    unsigned source = chunk_source(chunk, shard);
    uint32_t first = (uint32_t)(offset / BLOB_BLOCK_SIZE), count = 0;
    size_t bytes = 0;

    if (offset % BLOB_BLOCK_SIZE != 0 ||
        geometry_shard_size(geometry, source) <= BLOB_BLOCK_SIZE) {
        return 0;
    }
    while (count < BATCH_BLOCKS && bytes < size) {
        size_t block = geometry_block_size(geometry, source, first + count);

        if (block == 0 || block > size - bytes) {
            break;
        }
        bytes += block;
        count++;
    }
    if (count == 0 ||
        chunk_read_blocks(chunk, source, first, count, out, bytes) != 0) {
        return 0;
    }
    return bytes;
}

/* `size` bytes that lie together in a data shard. */
static int read_run(struct chunk *chunk, unsigned shard, uint64_t offset,
                    uint8_t *out, size_t size)
{
    uint8_t scratch[BLOB_BLOCK_SIZE + BLOB_DESCRIPTOR_ROOM];

    while (size > 0) {
        uint32_t block = (uint32_t)(offset / BLOB_BLOCK_SIZE);
        size_t inside = offset % BLOB_BLOCK_SIZE;
        size_t part = read_whole_blocks(chunk, shard, offset, out, size);

        if (part == 0) {
            int error = fetch_block(chunk, shard, block, scratch);

            if (error != 0) {
                return error;
            }
            part = geometry_block_size(&chunk->geometry, shard, block) - inside;
            part = part < size ? part : size;
            memcpy(out, scratch + inside, part);
        }
        offset += part;
        out += part;
        size -= part;
    }
    return 0;
}

static int read_chunk(struct chunk *chunk, uint64_t offset, uint8_t *out,
                      size_t size)
{
    int error = 0;

    while (size > 0 && error == 0) {
        struct run run = geometry_run(&chunk->geometry, offset);
        size_t part = run.length < size ? run.length : size;

        error = read_run(chunk, run.shard, run.offset, out, part);
        offset += part;
        out += part;
        size -= part;
    }
    return error;
}

int blob_read(struct blob_store *store, const Layout__Layout *layout,
              uint64_t offset, void *data, size_t size)
{
    uint8_t *out = data;
    int error = layout_check(layout);

    if (error == 0 && !range_inside(layout, offset, size)) {
        error = -EINVAL;
    }
    while (size > 0 && error == 0) {
        struct chunk chunk;
        uint64_t inside, left;
        size_t part;

        chunk_open(&chunk, store, layout, offset);
        inside = offset - chunk.offset;
        left = chunk.geometry.size - inside;
        part = left < size ? left : size;
        error = read_chunk(&chunk, inside, out, part);
        chunk_close(&chunk);
        offset += part;
        out += part;
        size -= part;
    }
    return error;
}

/* How many bytes from `offset` of the shard are good: whole blocks but at the
 * ends of the range. */
static uint64_t good_prefix(struct chunk *chunk, unsigned source,
                            uint64_t offset, uint64_t length)
{
    uint8_t scratch[BLOB_BLOCK_SIZE + BLOB_DESCRIPTOR_ROOM];
    uint64_t end = offset + length;
    uint64_t at = offset;

    while (at < end) {
        uint32_t block = (uint32_t)(at / BLOB_BLOCK_SIZE);

        if (chunk_read_block(chunk, source, block, scratch) != 0) {
            break;
        }
        at = ((uint64_t)block + 1) * BLOB_BLOCK_SIZE;
    }
    return (at < end ? at : end) - offset;
}

/* Bytes of the run that can be sent from the shard as they are. */
static uint64_t sendable(struct chunk *chunk, unsigned source,
                         const struct run *run, enum blob_verify verify)
{
    struct drive *drive =
        store_drive(chunk->store, chunk->message->shards[source]);

    if (drive == NULL || drive_state(drive) != DRIVE_OK) {
        chunk_damaged(chunk, source, -ENODEV);
        return 0;
    }
    if (verify == BLOB_VERIFY_NOTHING) {
        return run->length;
    }
    if (chunk_check_path(chunk, source) != 0) {
        return 0;
    }
    uint64_t length = good_prefix(chunk, source, run->offset, run->length);

    return drive_reads_from(drive, chunk->message->shards[source]->extent,
                            &chunk->nodes[source])
               ? length
               : 0; /* another file is there, and perhaps was read */
}

/* Fills one segment with the beginning of the run. Returns its length, 0 if
 * no shard has the first block. */
static uint64_t segment_of_run(struct chunk *chunk, const struct run *run,
                               enum blob_verify verify,
                               struct blob_segment *segment)
{
    const struct erasure_profile *profile = &chunk->geometry.profile;
    unsigned choices = profile->k == 1 ? profile_shards(profile) : 1;

    for (unsigned i = 0; i < choices; i++) {
        unsigned source = profile->k == 1 ? chunk_copy(chunk, i) : run->shard;
        const Layout__Locator *locator = chunk->message->shards[source];
        uint64_t length = sendable(chunk, source, run, verify);

        if (length > 0) {
            *segment = (struct blob_segment){
                .drive = locator->drive_plus_one - 1,
                .extent = locator->extent,
                .offset = locator->offset + run->offset,
                .length = length,
            };
            if (verify != BLOB_VERIFY_NOTHING) {
                segment->file = chunk->nodes[source];
            }
            return length;
        }
    }
    return 0;
}

static int segments_of_chunk(struct chunk *chunk, uint64_t offset,
                             uint64_t size, enum blob_verify verify,
                             struct blob_segment *segments, unsigned max,
                             uint64_t *covered)
{
    unsigned count = 0;

    while (size > 0 && count < max) {
        struct run run = geometry_run(&chunk->geometry, offset);
        uint64_t length;

        run.length = run.length < size ? run.length : size;
        length = segment_of_run(chunk, &run, verify, &segments[count]);
        if (length == 0) {
            break;
        }
        count++;
        *covered += length;
        offset += length;
        size -= length;
    }
    return (int)count;
}

int blob_segments(struct blob_store *store, const Layout__Layout *layout,
                  uint64_t offset, uint64_t size, enum blob_verify verify,
                  struct blob_segment *segments, unsigned max,
                  uint64_t *covered)
{
    unsigned count = 0;

    *covered = 0;
    if (layout_check(layout) != 0 || !range_inside(layout, offset, size)) {
        return 0;
    }
    while (*covered < size && count < max) {
        struct chunk chunk;
        uint64_t inside, left, part, before = *covered;

        chunk_open(&chunk, store, layout, offset + before);
        chunk.path_age_us = verify == BLOB_VERIFY_FILE ? PATH_AGE_US : 0;
        inside = offset + before - chunk.offset;
        left = chunk.geometry.size - inside;
        part = left < size - before ? left : size - before;
        count +=
            (unsigned)segments_of_chunk(&chunk, inside, part, verify,
                                        segments + count, max - count, covered);
        chunk_close(&chunk);
        if (*covered < before + part) {
            break;
        }
    }
    return (int)count;
}
