/* Blobs that nobody uses, and parts that no upload has. */
#include "care/reclaim_private.h"

#include <errno.h>

#define PARTS_MAX   20000u /* dropped by one commit */
#define UPLOADS_MAX 1024u  /* compared with all uploads at once */

/* Some queued blobs, locked. */
struct round {
    struct reclaim *reclaim;
    struct arena *arena;
    struct meta_batch *batch;
    uint64_t blobs[META_BLOBS_LOCKED_MAX];
    size_t count; /* of blobs; those that were looked at */
    uint64_t condemned[META_BLOBS_LOCKED_MAX], used[META_BLOBS_LOCKED_MAX];
    size_t condemned_count, used_count;
    size_t read, parts; /* blobs that are pinned; of composites to be dropped */
};

static int judge_blob(struct round *round, uint64_t blob, bool used)
{
    struct meta *meta = round->reclaim->options.meta;
    Meta__Blob *record;
    int error;

    if (used) {
        meta_dequeue_reclaim(round->batch, blob);
        round->used[round->used_count++] = blob;
        return 0;
    }
    error = meta_get_blob(meta, round->arena, blob, &record);
    if (error == -ENOENT) {
        meta_dequeue_reclaim(round->batch, blob);
        return 0;
    }
    if (error == -EBADMSG) {
        log_error("blob %llx is not freed: its record is damaged",
                  (unsigned long long)blob);
        return 0;
    }
    if (error == 0 && !meta_condemn_blob(meta, blob)) {
        round->read++;
    } else if (error == 0) {
        round->condemned[round->condemned_count++] = blob;
        round->parts += record->n_parts;
        meta_delete_blob(round->batch, blob, record); /* M2 */
    }
    return error;
}

/* Who dropped a reference after the look wrote an entry that went with ours. */
static int requeue_unused(struct round *round)
{
    struct meta *meta = round->reclaim->options.meta;
    bool used[META_BLOBS_LOCKED_MAX];
    struct meta_batch *batch = meta_batch_new(meta);
    int error = meta_blobs_are_used(meta, round->used, round->used_count, used);

    for (size_t i = 0; i < round->used_count && error == 0; i++) {
        if (!used[i]) {
            meta_queue_reclaim(batch, round->used[i]);
        }
    }
    if (error == 0) {
        error = meta_commit(batch);
    }
    meta_batch_free(batch);
    return error;
}

static int judge_locked(struct round *round)
{
    struct meta *meta = round->reclaim->options.meta;
    bool used[META_BLOBS_LOCKED_MAX];
    size_t all = round->count;
    int error;

    meta_blob_lock_many(meta, round->blobs, all);
    error = meta_blobs_are_used(meta, round->blobs, all, used);
    for (size_t i = 0; i < all && error == 0; i++) {
        error = judge_blob(round, round->blobs[i], used[i]);
        if (round->parts > PARTS_MAX) {
            round->count = i + 1;
            break;
        }
    }
    if (error == 0) {
        error = meta_commit(round->batch);
    }
    for (size_t i = 0; i < round->condemned_count; i++) {
        meta_absolve_blob(meta, round->condemned[i]);
    }
    meta_blob_unlock_many(meta, round->blobs, all);
    return error;
}

static int free_some(struct reclaim *reclaim, struct round *round)
{
    int error;

    round->reclaim = reclaim;
    round->arena = arena_new();
    round->batch = meta_batch_new(reclaim->options.meta);
    error = judge_locked(round);
    if (error == 0) {
        status_add(reclaim, blobs_freed, round->condemned_count);
        error = requeue_unused(round);
    }
    meta_batch_free(round->batch);
    arena_free(round->arena);
    return error;
}

/* The whole queue once. */
static int free_queue(struct reclaim *reclaim, size_t *freed, size_t *read)
{
    uint64_t after = 0;
    int error = 0;

    *freed = *read = 0;
    while (error == 0) {
        struct round round = {0};

        if (atomic_load(&reclaim->stopping)) {
            return -ECANCELED;
        }
        error = meta_list_reclaim(reclaim->options.meta, after, round.blobs,
                                  META_BLOBS_LOCKED_MAX, &round.count);
        if (error != 0 || round.count == 0) {
            break;
        }
        error = free_some(reclaim, &round);
        after = round.blobs[round.count - 1];
        *freed += round.condemned_count;
        *read += round.read;
    }
    return error;
}

/* Freed composites queue their parts. */
int free_blobs(struct reclaim *reclaim)
{
    size_t freed, read;
    int error;

    do {
        error = free_queue(reclaim, &freed, &read);
    } while (error == 0 && freed > 0);
    pthread_mutex_lock(&reclaim->lock);
    reclaim->status.blobs_read = read;
    pthread_mutex_unlock(&reclaim->lock);
    return error;
}

int drop_stray_parts(struct reclaim *reclaim)
{
    struct arena *arena = arena_new();
    struct slice upload = {NULL, 0};
    int error = 0;

    while (error == 0) {
        size_t parts;

        error = atomic_load(&reclaim->stopping)
                    ? -ECANCELED
                    : meta_drop_stray_parts(reclaim->options.meta, arena,
                                            &upload, UPLOADS_MAX, &parts);
        if (error == 0 && parts > 0) {
            log_warn("%zu parts of uploads that are gone were dropped", parts);
            status_add(reclaim, parts_dropped, parts);
        }
    }
    arena_free(arena);
    return error == -ENOENT ? 0 : error;
}
