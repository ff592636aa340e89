/* Whether every byte of a shard is as it should be. */
#include "blob/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int read_origin(struct view *view, struct shard_label *label)
{
    const struct descriptor *found = &label->descriptor;
    uint64_t at = found->payload + descriptor_size(found->payload);
    const uint8_t *origin;
    int error = view_read(view, at, found->origin_size, &origin);

    if (error == 0 &&
        crc32c_bytes(origin, found->origin_size) != found->origin_crc) {
        error = -EBADMSG;
    }
    if (error == 0) {
        memcpy(label->origin, origin, found->origin_size);
    }
    return error;
}

/* `encoded` has room for the descriptor. */
static int read_label(struct view *view, uint8_t *encoded,
                      struct shard_label *label)
{
    uint64_t payload = geometry_shard_size(&view->chunk->geometry, view->shard);
    size_t size = descriptor_size(payload);
    const uint8_t *found;
    /* A file that was removed is still read by whoever has it open. */
    int error = chunk_check_path(view->chunk, view->shard);

    if (error == 0) {
        error = view_read(view, payload, size, &found);
    }
    if (error == 0) {
        memcpy(encoded, found, size);
        error = descriptor_check(view->chunk, view->shard,
                                 slice_of(encoded, size), &label->descriptor);
    }
    if (error == 0) {
        error = read_origin(view, label);
    }
    return error;
}

static int verify_blocks(struct view *view, const struct blob_pace *pace,
                         const uint8_t *encoded)
{
    const struct geometry *geometry = &view->chunk->geometry;
    uint32_t blocks = block_count(geometry_shard_size(geometry, view->shard));
    int error = 0;

    for (uint32_t i = 0; i < blocks && error == 0; i++) {
        size_t size = geometry_block_size(geometry, view->shard, i);
        const uint8_t *data;

        if (!pace_spend(pace, size)) {
            return -ECANCELED;
        }
        error = view_read(view, (uint64_t)i * BLOB_BLOCK_SIZE, size, &data);
        if (error == 0 &&
            crc32c_bytes(data, size) != descriptor_block_crc(encoded, i)) {
            error = -EBADMSG;
        }
    }
    return error;
}

static uint8_t *room_for_descriptor(const struct chunk *chunk, unsigned shard)
{
    return xmalloc(
        descriptor_size(geometry_shard_size(&chunk->geometry, shard)));
}

int chunk_read_label(struct chunk *chunk, unsigned shard,
                     struct shard_label *label)
{
    uint8_t *encoded = room_for_descriptor(chunk, shard);
    struct view view;
    int error;

    view_open(&view, chunk, shard);
    error = read_label(&view, encoded, label);
    view_close(&view);
    free(encoded);
    return error;
}

int chunk_verify_shard(struct chunk *chunk, unsigned shard,
                       const struct blob_pace *pace, struct shard_label *label)
{
    uint8_t *encoded = room_for_descriptor(chunk, shard);
    struct view view;
    int error;

    view_open(&view, chunk, shard);
    error = read_label(&view, encoded, label);
    if (error == 0) {
        error = verify_blocks(&view, pace, encoded);
    }
    view_close(&view);
    free(encoded);
    return error;
}
