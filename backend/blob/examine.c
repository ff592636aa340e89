/* What is left of a blob: by a look at its files, or by every byte. */
#include "blob/private.h"

#include <errno.h>
#include <stdlib.h>

static void health_begin(struct blob_health *health,
                         const Layout__Layout *layout)
{
    *health = (struct blob_health){.losses_left = (int)layout->m};
}

void health_add(struct blob_health *health, const struct chunk *chunk,
                unsigned good)
{
    unsigned shards = profile_shards(&chunk->geometry.profile);
    int left = (int)good - (int)chunk->geometry.profile.k;

    invariant(good <= shards);
    health->shards += shards;
    health->bad += shards - good;
    if (left < health->losses_left) {
        health->losses_left = left;
    }
}

int examine_chunk(struct chunk *chunk, const struct blob_pace *pace,
                  struct blob_health *health, struct shard_label *label,
                  uint32_t *bad)
{
    unsigned shards = profile_shards(&chunk->geometry.profile), good = 0;
    struct shard_label *found = xmalloc(sizeof(*found));
    int error = 0;

    *bad = 0;
    for (unsigned i = 0; i < shards && error != -ECANCELED; i++) {
        error = chunk_verify_shard(chunk, i, pace, found);
        if (error != 0) {
            *bad |= 1u << i;
            health->damaged +=
                error == -EBADMSG || error == -ENODATA || error == -EIO;
            log_debug("blob %llx chunk %u shard %u is bad: error %d",
                      (unsigned long long)chunk->layout->blob, chunk->number, i,
                      -error);
            continue;
        }
        *label = *found;
        health->bytes += geometry_shard_size(&chunk->geometry, i);
        good++;
    }
    free(found);
    if (error == -ECANCELED) {
        return error;
    }
    health_add(health, chunk, good);
    return 0;
}

int blob_verify(struct blob_store *store, const Layout__Layout *layout,
                const struct blob_pace *pace, struct blob_health *health)
{
    struct shard_label *label;
    uint64_t offset = 0;
    int error = layout_check(layout);

    health_begin(health, layout);
    if (error != 0) {
        return error;
    }
    label = xmalloc(sizeof(*label));
    for (size_t i = 0; i < layout->n_chunks && error == 0; i++) {
        struct chunk chunk;
        uint32_t bad;

        chunk_open(&chunk, store, layout, offset);
        chunk_quiet(&chunk);
        error = examine_chunk(&chunk, pace, health, label, &bad);
        offset += chunk.geometry.size;
        chunk_close(&chunk);
    }
    free(label);
    return error;
}

int blob_look(struct blob_store *store, const Layout__Layout *layout,
              unsigned without, struct blob_health *health)
{
    uint64_t offset = 0;
    int error = layout_check(layout);

    health_begin(health, layout);
    for (size_t i = 0; i < layout->n_chunks && error == 0; i++) {
        struct chunk chunk;
        unsigned good = 0;

        chunk_open(&chunk, store, layout, offset);
        chunk_quiet(&chunk);
        for (unsigned j = 0; j < chunk.message->n_shards; j++) {
            const unsigned drive = chunk.message->shards[j]->drive_plus_one - 1;

            good += drive != without && chunk_check_path(&chunk, j) == 0;
        }
        health_add(health, &chunk, good);
        offset += chunk.geometry.size;
        chunk_close(&chunk);
    }
    return error;
}
