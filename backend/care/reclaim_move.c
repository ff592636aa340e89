/*
 * Emptying an extent: the records in it name blobs, whose own records say
 * which shards are live there. Copies of some blobs are made durable by one
 * sync a drive, then named by one commit.
 */
#include "care/reclaim_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES (32u << 20) /* moved before a commit */

/* Blobs of which shards were moved, and not yet committed. */
struct moving {
    struct reclaim *reclaim;
    const struct victim *victim;
    struct arena *arena;
    uint64_t blobs[META_BLOBS_LOCKED_MAX];
    Layout__Layout *old[META_BLOBS_LOCKED_MAX];   /* in the arena */
    Layout__Layout *moved[META_BLOBS_LOCKED_MAX]; /* owned */
    size_t count;
    uint64_t bytes, shards;
};

static bool spend(void *context, uint64_t bytes)
{
    struct reclaim *reclaim = context;

    return pace_take(&reclaim->pace, bytes);
}

/* --- the commit ------------------------------------------------------------*/
static int put_moved(struct moving *moving, struct meta_batch *batch, size_t i)
{
    Meta__Blob *record;
    int error = meta_get_blob(moving->reclaim->options.meta, moving->arena,
                              moving->blobs[i], &record);

    if (error != 0) {
        return error == -ENOENT ? 0 : error; /* it was deleted meanwhile */
    }
    if (record->layout != NULL &&
        blob_layouts_equal(record->layout, moving->old[i])) { /* C3 */
        Meta__Blob named = *record;

        named.layout = moving->moved[i];
        meta_replace_blob(batch, moving->blobs[i], record, &named,
                          named.layout->m);
    }
    return 0;
}

static int commit_moved(struct moving *moving)
{
    struct meta *meta = moving->reclaim->options.meta;
    struct meta_batch *batch = meta_batch_new(meta);
    int error = 0;

    meta_blob_lock_many(meta, moving->blobs, moving->count);
    for (size_t i = 0; i < moving->count && error == 0; i++) {
        error = put_moved(moving, batch, i);
    }
    if (error == 0) {
        error = meta_commit(batch);
    }
    meta_blob_unlock_many(meta, moving->blobs, moving->count);
    meta_batch_free(batch);
    return error;
}

/* Ends what was begun; after an error the copies are garbage. */
static int flush(struct moving *moving, int error)
{
    struct reclaim *reclaim = moving->reclaim;

    if (error == 0 && moving->count > 0) {
        error = blob_sync_moved(reclaim->options.blobs, moving->old,
                                moving->moved, moving->count);
    }
    if (error == 0 && moving->count > 0) {
        error = commit_moved(moving);
    }
    status_add(reclaim, shards_moved, moving->shards);
    status_add(reclaim, bytes_moved, moving->bytes);
    for (size_t i = 0; i < moving->count; i++) {
        layout__layout__free_unpacked(moving->moved[i], NULL);
    }
    moving->count = 0;
    moving->bytes = moving->shards = 0;
    arena_free(moving->arena);
    moving->arena = arena_new();
    return error;
}

/* --- one blob --------------------------------------------------------------*/
/* Unless it is in the queue already. */
static int queue_heal(struct reclaim *reclaim, uint64_t blob,
                      const Layout__Layout *layout)
{
    struct meta *meta = reclaim->options.meta;
    unsigned left = blob_losses_left(layout);
    struct meta_heal entry;
    struct meta_batch *batch;
    int error = meta_find_heal(meta, blob, layout->m, &entry);

    if (error != -ENOENT) {
        return error;
    }
    batch = meta_batch_new(meta);
    entry = (struct meta_heal){.blob = blob,
                               .losses_left = left > 0 ? left - 1 : 0};
    meta_queue_heal(batch, &entry);
    error = meta_commit(batch);
    meta_batch_free(batch);
    return error;
}

struct search {
    const struct victim *victim;
    bool found;
};

static void search_shard(void *context, const struct blob_shard *shard)
{
    struct search *search = context;

    search->found = search->found || (shard->drive == search->victim->drive &&
                                      shard->extent == search->victim->extent);
}

static bool is_in_victim(const struct moving *moving,
                         const Layout__Layout *layout)
{
    struct search search = {.victim = moving->victim};

    return layout != NULL && blob_shards(layout, search_shard, &search) == 0 &&
           search.found;
}

static int move_layout(struct moving *moving, uint64_t blob,
                       Layout__Layout *layout)
{
    struct reclaim *reclaim = moving->reclaim;
    const struct blob_pace pace = {spend, reclaim};
    struct blob_moved result;
    Layout__Layout *moved;
    int error = blob_move(reclaim->options.blobs, layout, moving->victim->drive,
                          moving->victim->extent, &pace, &moved, &result);

    moving->shards += result.shards;
    moving->bytes += result.bytes;
    if (moved != NULL) {
        moving->blobs[moving->count] = blob;
        moving->old[moving->count] = layout;
        moving->moved[moving->count++] = moved;
    }
    if (result.bad > 0) {
        int queued = queue_heal(reclaim, blob, layout);

        status_add(reclaim, shards_bad, result.bad);
        error = error == 0 ? queued : error;
    }
    return error;
}

static int move_blob(struct moving *moving, uint64_t blob)
{
    Meta__Blob *record;
    int error = meta_get_blob(moving->reclaim->options.meta, moving->arena,
                              blob, &record);

    if (error == -ENOENT) {
        return 0; /* nobody's: garbage */
    }
    if (error == 0 && is_in_victim(moving, record->layout)) {
        error = move_layout(moving, blob, record->layout);
    }
    if (error == 0 && (moving->count == META_BLOBS_LOCKED_MAX ||
                       moving->bytes >= BATCH_BYTES)) {
        error = flush(moving, 0);
    }
    return error;
}

/* --- the extent ------------------------------------------------------------*/
struct ids {
    uint64_t *blobs;
    size_t count, room;
};

static int note_id(void *context, uint64_t blob)
{
    struct ids *ids = context;

    if (ids->count > 0 && ids->blobs[ids->count - 1] == blob) {
        return 0;
    }
    if (ids->count == ids->room) {
        ids->room = ids->room == 0 ? 1024 : 2 * ids->room;
        ids->blobs = xrealloc(ids->blobs, ids->room * sizeof(*ids->blobs));
    }
    ids->blobs[ids->count++] = blob;
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* What was moved when room ran out is not to be moved again. */
static int end_moving(struct moving *moving, int error)
{
    int flushed = flush(moving, error == -ENOSPC ? 0 : error);

    return error != 0 ? error : flushed;
}

static int move_named(struct moving *moving)
{
    const struct victim *victim = moving->victim;
    struct ids ids = {0};
    int error = drive_records(moving->reclaim->options.drives[victim->drive],
                              victim->extent, note_id, &ids);

    if (ids.count > 0) {
        qsort(ids.blobs, ids.count, sizeof(*ids.blobs), compare_ids);
    }
    for (size_t i = 0; i < ids.count && error == 0; i++) {
        if (i == 0 || ids.blobs[i] != ids.blobs[i - 1]) {
            error = move_blob(moving, ids.blobs[i]);
        }
    }
    free(ids.blobs);
    return end_moving(moving, error);
}

/* For a live record whose header was lost: all blobs that there are. */
static int move_searched(struct moving *moving)
{
    struct meta *meta = moving->reclaim->options.meta;
    uint64_t blob = 0;
    int error = 0;

    while (error == 0) {
        struct arena *arena = arena_new();
        Meta__Blob *record;

        error = meta_next_blob(meta, arena, blob, &blob, &record);
        if (error == 0 && is_in_victim(moving, record->layout)) {
            error = move_blob(moving, blob);
        }
        arena_free(arena);
        if (atomic_load(&moving->reclaim->stopping)) {
            error = -ECANCELED;
        }
    }
    return end_moving(moving, error == -ENOENT ? 0 : error);
}

int empty_extent(struct reclaim *reclaim, const struct victim *victim)
{
    struct moving moving = {
        .reclaim = reclaim, .victim = victim, .arena = arena_new()};
    uint64_t bad = reclaim->status.shards_bad; /* ours alone */
    int error = move_named(&moving);

    if (error == 0 && bad == reclaim->status.shards_bad &&
        count_live(reclaim, victim->drive, victim->extent) != 0) {
        error = move_searched(&moving);
    }
    arena_free(moving.arena);
    return error;
}
