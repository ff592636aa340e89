/*
 * Emptying an extent: the records in it name blobs, whose own records say
 * which shards are live there.
 */
#include "care/reclaim_private.h"

#include <errno.h>
#include <stdlib.h>

/* What is live in an extent is moved to others. */
struct moving {
    struct reclaim *reclaim;
    const struct victim *victim;
    struct moves moves;
    bool bad; /* something is damaged, and stays */
};

/* --- one blob --------------------------------------------------------------*/
/* Shards of a blob that are in the extent. */
struct search {
    const struct victim *victim;
    struct blob_move *list;
    size_t count, room;
};

static void search_shard(void *context, const struct blob_shard *shard)
{
    struct search *search = context;

    if (shard->drive != search->victim->drive ||
        shard->extent != search->victim->extent) {
        return;
    }
    if (search->count == search->room) {
        search->room = search->room == 0 ? 16 : 2 * search->room;
        search->list =
            xrealloc(search->list, search->room * sizeof(*search->list));
    }
    search->list[search->count++] = (struct blob_move){
        shard->chunk, shard->shard, shard->drive, .any = true};
}

static int move_shards(struct moving *moving, struct arena *arena,
                       uint64_t blob, Layout__Layout *layout,
                       const struct search *search)
{
    struct reclaim *reclaim = moving->reclaim;
    struct blob_moved result;
    int error = moves_add(&moving->moves, arena, blob, layout, search->list,
                          search->count, &result);

    status_add(reclaim, shards_moved, result.shards);
    status_add(reclaim, bytes_moved, result.bytes);
    status_add(reclaim, shards_bad, result.bad);
    moving->bad = moving->bad || result.bad > 0;
    return error == 0 && result.stuck > 0 ? -ENOSPC : error;
}

/* Takes over the arena, which the record is in. */
static int move_record(struct moving *moving, struct arena *arena,
                       uint64_t blob, const Meta__Blob *record)
{
    struct search search = {.victim = moving->victim};
    int error = 0;

    if (record->layout != NULL) {
        (void)blob_shards(record->layout, search_shard, &search);
    }
    if (search.count > 0) {
        error = move_shards(moving, arena, blob, record->layout, &search);
    } else {
        arena_free(arena);
    }
    free(search.list);
    return error;
}

static int move_blob(struct moving *moving, uint64_t blob)
{
    struct arena *arena = arena_new();
    Meta__Blob *record;
    int error =
        meta_get_blob(moving->reclaim->options.meta, arena, blob, &record);

    if (error == 0) {
        return move_record(moving, arena, blob, record);
    }
    arena_free(arena);
    return error == -ENOENT ? 0 : error; /* nobody's: garbage */
}

/* --- the extent ------------------------------------------------------------*/
struct ids {
    uint64_t *blobs;
    size_t count, room;
};

static int note_id(void *context, const struct drive_record *record)
{
    struct ids *ids = context;

    if (ids->count > 0 && ids->blobs[ids->count - 1] == record->blob) {
        return 0;
    }
    if (ids->count == ids->room) {
        ids->room = ids->room == 0 ? 1024 : 2 * ids->room;
        ids->blobs = xrealloc(ids->blobs, ids->room * sizeof(*ids->blobs));
    }
    ids->blobs[ids->count++] = record->blob;
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
    int ended = moves_end(&moving->moves, error == -ENOSPC ? 0 : error);

    return error != 0 ? error : ended;
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
        if (error == 0) {
            error = move_record(moving, arena, blob, record);
        } else {
            arena_free(arena);
        }
        if (atomic_load(&moving->reclaim->stopping)) {
            error = -ECANCELED;
        }
    }
    return end_moving(moving, error == -ENOENT ? 0 : error);
}

int empty_extent(struct reclaim *reclaim, const struct victim *victim)
{
    struct moving moving = {.reclaim = reclaim, .victim = victim};
    int error;

    moves_begin(&moving.moves, reclaim->options.meta, reclaim->options.blobs,
                &reclaim->pace);
    error = move_named(&moving);
    if (error == 0 && !moving.bad &&
        count_live(reclaim, victim->drive, victim->extent) != 0) {
        error = move_searched(&moving);
    }
    return error;
}
