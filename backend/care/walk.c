/*
 * After the drives have changed: which blobs are short now, by a look at the
 * files that their layouts name.
 */
#include "care/private.h"
#include "care/reclaim.h"

#include <errno.h>

#define BATCH_MAX 256 /* findings, and what is told of them, in one commit */

struct walk {
    struct care *care;
    struct meta_batch *batch;
    unsigned count; /* what is in it */
    uint64_t found;
};

static int walk_commit(struct walk *walk)
{
    int error = walk->count > 0 ? meta_commit(walk->batch) : 0;

    meta_batch_free(walk->batch);
    walk->batch = meta_batch_new(walk->care->options.meta);
    walk->count = 0;
    return error;
}

/* A blob that changes meanwhile is queued in vain, and repaired of nothing. */
static int look_at(struct walk *walk, uint64_t blob,
                   const Layout__Layout *layout)
{
    struct blob_health health;
    unsigned puts = 0;
    int error =
        blob_look(walk->care->options.blobs, layout, BLOB_NO_DRIVE, &health);

    if (error == -EBADMSG) {
        return 0; /* the scrub's matter */
    }
    if (error == 0 && health.bad > 0) {
        const struct finding finding = {blob, layout->m, health.losses_left,
                                        false};

        error = queue_finding(walk->care, walk->batch, &finding, &puts);
    }
    walk->count += puts;
    walk->found += puts > 0;
    return error == 0 && walk->count >= BATCH_MAX ? walk_commit(walk) : error;
}

static int look_at_next(struct walk *walk, uint64_t *cursor)
{
    struct arena *arena = arena_new();
    uint64_t blob = *cursor;
    Meta__Blob *record;
    int error =
        meta_next_blob(walk->care->options.meta, arena, blob, &blob, &record);

    if (error == 0 && record->layout != NULL) {
        error = look_at(walk, blob, record->layout);
    } else if (error == -EBADMSG && blob > *cursor) {
        error = 0;
    }
    *cursor = blob;
    arena_free(arena);
    return error;
}

int walk_blobs(struct care *care, const struct drive_stamp *stamp)
{
    struct walk walk = {.care = care,
                        .batch = meta_batch_new(care->options.meta)};
    uint64_t cursor = 0;
    int error = 0;

    while (error == 0) {
        error = atomic_load(&care->stopping) ? -ECANCELED
                                             : look_at_next(&walk, &cursor);
    }
    if (error == -ENOENT) {
        error = walk_commit(&walk);
    }
    meta_batch_free(walk.batch);
    if (error == 0) {
        log_info("drives: %u of %u are usable; %llu blobs more are short of "
                 "shards",
                 stamp->usable, stamp->drives, (unsigned long long)walk.found);
        if (walk.found > 0 && care->options.reclaim != NULL) {
            reclaim_start(care->options.reclaim);
        }
        pthread_mutex_lock(&care->lock);
        pthread_cond_broadcast(&care->work);
        pthread_mutex_unlock(&care->lock);
    }
    return error;
}
