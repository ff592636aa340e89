/*
 * Moving shards of blobs, for whoever says which and where: the copies of some
 * blobs are made durable by one sync a drive, then named by one commit.
 */
#include "care/private.h"

#include <errno.h>
#include <string.h>

#define BATCH_BYTES (32u << 20) /* copied before a commit */

void moves_begin(struct moves *moves, struct meta *meta,
                 struct blob_store *blobs, struct pace *pace)
{
    *moves = (struct moves){.meta = meta, .blobs = blobs, .pace = pace};
}

/* --- the commit ------------------------------------------------------------*/
/* Names the new places unless somebody else has changed the blob. */
static int put_moved(struct moves *moves, struct arena *arena,
                     struct meta_batch *batch, const struct moved *one)
{
    Meta__Blob *record;
    int error = meta_get_blob(moves->meta, arena, one->blob, &record);

    if (error != 0) {
        return error == -ENOENT ? 0 : error; /* it was deleted meanwhile */
    }
    if (record->layout != NULL &&
        blob_layouts_equal(record->layout, one->old)) {
        Meta__Blob named = *record;

        named.layout = one->now;
        meta_replace_blob(batch, one->blob, record, &named, named.layout->m);
    }
    return 0;
}

static int commit(struct moves *moves)
{
    struct meta_batch *batch = meta_batch_new(moves->meta);
    struct arena *arena = arena_new();
    uint64_t blobs[META_BLOBS_LOCKED_MAX];
    int error = 0;

    for (size_t i = 0; i < moves->count; i++) {
        blobs[i] = moves->moved[i].blob;
    }
    meta_blob_lock_many(moves->meta, blobs, moves->count);
    for (size_t i = 0; i < moves->count && error == 0; i++) {
        error = put_moved(moves, arena, batch, &moves->moved[i]);
    }
    if (error == 0) {
        error = meta_commit(batch);
    }
    meta_blob_unlock_many(moves->meta, blobs, moves->count);
    arena_free(arena);
    meta_batch_free(batch);
    return error;
}

static int sync_copies(struct moves *moves)
{
    Layout__Layout *old[META_BLOBS_LOCKED_MAX], *now[META_BLOBS_LOCKED_MAX];
    size_t count = 0;

    for (size_t i = 0; i < moves->count; i++) {
        if (!moves->moved[i].durable) {
            old[count] = moves->moved[i].old;
            now[count++] = moves->moved[i].now;
        }
    }
    return blob_sync_moved(moves->blobs, old, now, count);
}

int moves_end(struct moves *moves, int error)
{
    if (error == 0 && moves->count > 0) {
        error = sync_copies(moves);
    }
    if (error == 0 && moves->count > 0) {
        error = commit(moves);
    }
    for (size_t i = 0; i < moves->count; i++) {
        layout__layout__free_unpacked(moves->moved[i].now, NULL);
        arena_free(moves->moved[i].arena);
    }
    moves->count = 0;
    moves->bytes = 0;
    blob_intent_end(moves->blobs, &moves->intent);
    moves->intent = (struct blob_intent){0};
    return error;
}

/* --- one blob --------------------------------------------------------------*/
/* Unless it is in the queue already. */
static int queue_heal(struct moves *moves, uint64_t blob,
                      const Layout__Layout *layout)
{
    unsigned left = blob_losses_left(layout);
    struct meta_heal entry;
    struct meta_batch *batch;
    int error = meta_find_heal(moves->meta, blob, layout->m, &entry);

    if (error != -ENOENT) {
        return error;
    }
    batch = meta_batch_new(moves->meta);
    entry = (struct meta_heal){.blob = blob,
                               .losses_left = left > 0 ? left - 1 : 0};
    meta_queue_heal(batch, &entry);
    error = meta_commit(batch);
    meta_batch_free(batch);
    return error;
}

static bool spend(void *context, uint64_t bytes)
{
    return pace_take(context, bytes);
}

/* Where the code is too wide for the drives that may take shards, the blob is
 * written anew, if a narrower one bears as many losses. True: it was. */
static bool recode(struct moves *moves, const Layout__Layout *layout,
                   const struct blob_pace *pace, Layout__Layout **now,
                   struct blob_moved *result)
{
    Layout__Layout *anew;
    int error = blob_rewrite(moves->blobs, layout, pace, &anew);

    if (error != 0) {
        log_debug("blob %llx is not coded anew: %s",
                  (unsigned long long)layout->blob, strerror(-error));
        return false;
    }
    layout__layout__free_unpacked(*now, NULL);
    *now = anew;
    result->shards += result->stuck;
    result->bytes += layout->size;
    result->stuck = 0;
    return true;
}

static void keep(struct moves *moves, const struct moved *moved, uint64_t bytes)
{
    moves->moved[moves->count++] = *moved;
    moves->bytes += bytes;
}

int moves_add(struct moves *moves, struct arena *arena, uint64_t blob,
              Layout__Layout *layout, const struct blob_move *list,
              size_t count, struct blob_moved *result)
{
    const struct blob_pace pace = {spend, moves->pace};
    struct moved moved = {.blob = blob, .arena = arena, .old = layout};
    int error;

    if (moves->intent.number == 0) {
        blob_intent_begin(moves->blobs, &moves->intent); /* B5 */
    }
    error =
        blob_move(moves->blobs, layout, list, count, &pace, &moved.now, result);
    if (error == 0 && result->bad > 0) {
        error = queue_heal(moves, blob, layout);
    }
    if (error == 0 && result->stuck > 0 && moves->may_recode) {
        moved.durable = recode(moves, layout, &pace, &moved.now, result);
    }
    if (moved.now != NULL) {
        keep(moves, &moved, result->bytes);
    } else {
        arena_free(arena);
    }
    if (error == 0 && (moves->count == META_BLOBS_LOCKED_MAX ||
                       moves->bytes >= BATCH_BYTES)) {
        error = moves_end(moves, 0);
    }
    return error;
}
