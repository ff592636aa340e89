/* Moving shards: copied block by block, each checked. */
#include "blob/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* docs/disk-format.md, Records */
#define RECORD_HEADER 64u
#define RECORD_ALIGN  64u

static uint64_t record_bytes(const struct geometry *geometry,
                             const Layout__Layout *layout, unsigned shard)
{
    uint64_t payload = geometry_shard_size(geometry, shard);
    uint64_t bytes =
        RECORD_HEADER + payload + descriptor_size(payload) + layout->origin;

    return (bytes + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

int blob_shards(const Layout__Layout *layout, blob_shard_fn fn, void *context)
{
    struct erasure_profile profile;
    int error = layout_check(layout);

    if (error != 0) {
        return error;
    }
    profile = layout_profile(layout);
    for (size_t i = 0; i < layout->n_chunks; i++) {
        const Layout__Chunk *chunk = layout->chunks[i];
        struct geometry geometry;

        geometry_init(&geometry, &profile, layout->unit, chunk->size);
        for (unsigned j = 0; j < chunk->n_shards; j++) {
            const Layout__Locator *locator = chunk->shards[j];
            struct blob_shard shard = {
                .chunk = (unsigned)i,
                .shard = j,
                .drive = locator->drive_plus_one - 1,
                .extent = locator->extent,
                .bytes = record_bytes(&geometry, layout, j),
            };

            if (locator->drive_plus_one != 0) {
                fn(context, &shard);
            }
        }
    }
    return 0;
}

/* --- copying ---------------------------------------------------------------*/
/* Of other drives the levels were read a while ago. The caller's intent is
 * open: who drains the drive from here on waits for the move. */
static bool may_take(struct blob_store *store, const struct blob_move *to)
{
    return to->drive < store->drive_count &&
           (to->any || !drive_draining(store->drives[to->drive]));
}

/* 0, or why the shard stays where it is. */
static int move_shard(struct rebuild *move, const struct blob_move *to,
                      Layout__Chunk *now)
{
    int error = -ENOSPC;

    if (may_take(move->chunk->store, to)) {
        error = rebuild_on(move, to->drive, now->shards[to->shard]);
    }
    if (error == -ENOSPC && to->any) {
        error = rebuild_shard(move, now);
    }
    return error;
}

/* Takes note of how it went; returns what ends the whole. */
static int note_move(const struct rebuild *move, int error,
                     struct blob_moved *result)
{
    if (error == 0) {
        result->shards++;
        result->bytes +=
            geometry_shard_size(&move->chunk->geometry, move->shard);
    } else if (error == -ECANCELED) {
        return error;
    } else if (!move->unreadable) {
        result->stuck++;
    } else if (error == -ENODEV) {
        return error;
    } else if (error != -ESTALE) {
        result->bad++;
    }
    return 0;
}

/* The moves that begin the list and are of this chunk. */
static int move_chunk(struct rebuild *move, const struct blob_move *moves,
                      size_t count, Layout__Chunk *now,
                      struct blob_moved *result)
{
    struct shard_label *label = xmalloc(sizeof(*label));
    int error = 0;

    move->label = label;
    for (size_t i = 0; i < count && error == 0; i++) {
        invariant(moves[i].shard < now->n_shards);
        move->shard = moves[i].shard;
        error = chunk_read_label(move->chunk, move->shard, label);
        move->unreadable = error != 0;
        if (error == 0) {
            error = move_shard(move, &moves[i], now);
        }
        error = note_move(move, error, result);
    }
    free(label);
    return error;
}

static size_t count_of_chunk(const struct blob_move *moves, size_t count,
                             size_t chunk)
{
    size_t of_chunk = 0;

    while (of_chunk < count && moves[of_chunk].chunk == chunk) {
        of_chunk++;
    }
    return of_chunk;
}

int blob_move(struct blob_store *store, const Layout__Layout *layout,
              const struct blob_move *moves, size_t count,
              const struct blob_pace *pace, Layout__Layout **moved,
              struct blob_moved *result)
{
    Layout__Layout *now;
    uint64_t offset = 0;
    int error = layout_check(layout);

    *moved = NULL;
    *result = (struct blob_moved){0};
    if (error != 0) {
        return error;
    }
    now = layout_copy(layout);
    for (size_t i = 0; i < layout->n_chunks && error == 0; i++) {
        size_t of_chunk = count_of_chunk(moves, count, i);

        if (of_chunk > 0) {
            struct chunk chunk;
            struct rebuild move = {.chunk = &chunk,
                                   .pace = pace,
                                   .fetch = chunk_read_block,
                                   .lazy = true};

            chunk_open(&chunk, store, layout, offset);
            chunk_quiet(&chunk);
            error = move_chunk(&move, moves, of_chunk, now->chunks[i], result);
            chunk_close(&chunk);
        }
        moves += of_chunk;
        count -= of_chunk;
        offset += layout->chunks[i]->size;
    }
    if (error == 0 && result->shards > 0) {
        *moved = now;
    } else {
        layout__layout__free_unpacked(now, NULL);
    }
    return error;
}

/* --- making it durable -----------------------------------------------------*/
struct synced {
    unsigned drive;
    uint64_t extent;
};

static int sync_once(struct blob_store *store, const Layout__Locator *locator,
                     struct synced *done, size_t *count)
{
    struct synced place = {locator->drive_plus_one - 1, locator->extent};

    for (size_t i = 0; i < *count; i++) {
        if (done[i].drive == place.drive && done[i].extent == place.extent) {
            return 0;
        }
    }
    done[(*count)++] = place;
    return drive_sync(store->drives[place.drive], place.extent);
}

static size_t count_shards(const Layout__Layout *layout)
{
    return layout->n_chunks * ((size_t)layout->k + layout->m);
}

int blob_sync_moved(struct blob_store *store, Layout__Layout *const *old,
                    Layout__Layout *const *moved, size_t count)
{
    struct synced *done;
    size_t most = 0, used = 0;
    int error = 0;

    for (size_t i = 0; i < count; i++) {
        most += count_shards(moved[i]);
    }
    done = xcalloc(most + 1, sizeof(*done));
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < moved[i]->n_chunks; j++) {
            const Layout__Chunk *was = old[i]->chunks[j];
            const Layout__Chunk *is = moved[i]->chunks[j];

            for (size_t s = 0; s < is->n_shards && error == 0; s++) {
                if (is->shards[s]->drive_plus_one !=
                        was->shards[s]->drive_plus_one ||
                    is->shards[s]->extent != was->shards[s]->extent) {
                    error = sync_once(store, is->shards[s], done, &used);
                }
            }
        }
    }
    free(done);
    return error;
}

bool blob_layouts_equal(const Layout__Layout *a, const Layout__Layout *b)
{
    size_t size = layout__layout__get_packed_size(a);
    uint8_t *packed;
    bool equal;

    if (layout__layout__get_packed_size(b) != size) {
        return false;
    }
    packed = xmalloc(2 * size + 1);
    layout__layout__pack(a, packed);
    layout__layout__pack(b, packed + size);
    equal = memcmp(packed, packed + size, size) == 0;
    free(packed);
    return equal;
}
