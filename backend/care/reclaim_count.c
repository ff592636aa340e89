/*
 * Live bytes (C1): one walk over all blobs, and from then on what commits say.
 */
#include "care/reclaim_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WALK_ARENA 256 /* records */

/* --- the table -------------------------------------------------------------*/
static struct counted **find(struct reclaim *reclaim, unsigned drive,
                             uint64_t extent)
{
    struct counted **at =
        &reclaim->count[(extent ^ (uint64_t)drive << 7) % COUNT_BUCKETS];

    while (*at != NULL && ((*at)->drive != drive || (*at)->extent != extent)) {
        at = &(*at)->next;
    }
    return at;
}

/* With count_lock held. */
static struct counted *get(struct reclaim *reclaim, unsigned drive,
                           uint64_t extent)
{
    struct counted **at = find(reclaim, drive, extent);

    if (*at == NULL) {
        *at = xcalloc(1, sizeof(**at));
        **at = (struct counted){.drive = drive, .extent = extent};
    }
    return *at;
}

void count_free(struct reclaim *reclaim)
{
    for (unsigned i = 0; i < COUNT_BUCKETS; i++) {
        while (reclaim->count[i] != NULL) {
            struct counted *counted = reclaim->count[i];

            reclaim->count[i] = counted->next;
            free(counted);
        }
    }
    memset(reclaim->on_drive, 0, sizeof(reclaim->on_drive));
}

int64_t count_live(struct reclaim *reclaim, unsigned drive, uint64_t extent)
{
    struct counted *counted;
    int64_t live;

    pthread_mutex_lock(&reclaim->count_lock);
    counted = *find(reclaim, drive, extent);
    live = counted != NULL ? counted->live : 0;
    pthread_mutex_unlock(&reclaim->count_lock);
    return live;
}

bool count_settled(struct reclaim *reclaim, unsigned drive, uint64_t extent)
{
    struct blob_store *blobs = reclaim->options.blobs;
    struct counted *counted;
    uint64_t sealed_at;

    pthread_mutex_lock(&reclaim->count_lock);
    counted = get(reclaim, drive, extent);
    if (counted->sealed_at == 0) {
        counted->sealed_at = blob_intent_next(blobs);
    }
    sealed_at = counted->sealed_at;
    pthread_mutex_unlock(&reclaim->count_lock);
    return blob_intent_oldest(blobs) >= sealed_at;
}

void count_forget(struct reclaim *reclaim, unsigned drive, uint64_t extent)
{
    pthread_mutex_lock(&reclaim->count_lock);
    struct counted **at = find(reclaim, drive, extent);
    struct counted *counted = *at;

    if (counted != NULL) {
        invariant(counted->live == 0); /* C2 */
        *at = counted->next;
        free(counted);
    }
    pthread_mutex_unlock(&reclaim->count_lock);
}

bool reclaim_live(struct reclaim *reclaim, unsigned drive,
                  struct reclaim_live *live)
{
    bool known;

    pthread_mutex_lock(&reclaim->lock);
    known = reclaim->status.counted && reclaim->status.damaged == 0;
    pthread_mutex_unlock(&reclaim->lock);
    pthread_mutex_lock(&reclaim->count_lock);
    live->bytes = (uint64_t)reclaim->on_drive[drive].bytes;
    live->shards = (uint64_t)reclaim->on_drive[drive].shards;
    pthread_mutex_unlock(&reclaim->count_lock);
    return known;
}

/* --- counting --------------------------------------------------------------*/
struct change {
    struct reclaim *reclaim;
    bool added;
};

static void change_shard(void *context, const struct blob_shard *shard)
{
    struct change *change = context;
    struct reclaim *reclaim = change->reclaim;
    const int64_t sign = change->added ? 1 : -1;
    const int64_t bytes = sign * (int64_t)shard->bytes;

    get(reclaim, shard->drive, shard->extent)->live += bytes;
    if (shard->drive < DRIVES_STAMPED_MAX) {
        reclaim->on_drive[shard->drive].bytes += bytes;
        reclaim->on_drive[shard->drive].shards += sign;
    }
}

static int change_layout(struct reclaim *reclaim, const Layout__Layout *layout,
                         bool added)
{
    struct change change = {reclaim, added};
    int error;

    pthread_mutex_lock(&reclaim->count_lock);
    error = blob_shards(layout, change_shard, &change);
    pthread_mutex_unlock(&reclaim->count_lock);
    return error;
}

static void on_commit(void *context, const Layout__Layout *layout, bool added)
{
    struct reclaim *reclaim = context;

    if (change_layout(reclaim, layout, added) != 0) {
        status_add(reclaim, damaged, 1);
    }
}

/* Of a blob that the walk has met. */
static void count_blob(struct reclaim *reclaim, uint64_t blob,
                       const Meta__Blob *record)
{
    if (record->layout != NULL &&
        change_layout(reclaim, record->layout, true) != 0) {
        log_error("blob %llx has no layout that can be counted: no space is "
                  "reclaimed",
                  (unsigned long long)blob);
        status_add(reclaim, damaged, 1);
    }
}

/* A crash between a look and a queue, or a fault of older software. */
static int queue_unused(struct reclaim *reclaim, const uint64_t *blobs,
                        size_t count)
{
    struct meta_batch *batch = meta_batch_new(reclaim->options.meta);
    int error = 0;

    for (size_t i = 0; i < count; i++) {
        meta_queue_reclaim(batch, blobs[i]);
    }
    if (count > 0) {
        error = meta_commit(batch);
    }
    meta_batch_free(batch);
    return error;
}

/* Some of the walk. -ENOENT at its end. */
static int walk_some(struct reclaim *reclaim, struct meta_blobs *blobs)
{
    struct arena *arena = arena_new();
    uint64_t unused[WALK_ARENA];
    size_t count = 0;
    int error = 0, queued;

    for (unsigned i = 0; i < WALK_ARENA && error == 0; i++) {
        Meta__Blob *record;
        uint64_t blob = 0;
        bool used = true;

        error = meta_blobs_next(blobs, arena, &blob, &record, &used);
        if (error == 0) {
            count_blob(reclaim, blob, record);
            if (!used) {
                unused[count++] = blob;
            }
        } else if (error == -EBADMSG) {
            log_error("blob %llx: its record is damaged: no space is "
                      "reclaimed",
                      (unsigned long long)blob);
            status_add(reclaim, damaged, 1);
            error = 0;
        }
    }
    arena_free(arena);
    queued = queue_unused(reclaim, unused, count);
    return queued != 0 ? queued : error;
}

int count_all(struct reclaim *reclaim)
{
    struct meta_blobs *blobs;
    int error = 0;

    meta_watch_blobs(reclaim->options.meta, NULL, NULL);
    count_free(reclaim); /* of a walk that failed */
    pthread_mutex_lock(&reclaim->lock);
    reclaim->status.damaged = 0;
    pthread_mutex_unlock(&reclaim->lock);
    blobs = meta_watch_blobs(reclaim->options.meta, on_commit, reclaim);
    while (error == 0) {
        error = atomic_load(&reclaim->stopping) ? -ECANCELED
                                                : walk_some(reclaim, blobs);
    }
    meta_blobs_free(blobs);
    if (error != -ENOENT) {
        return error;
    }
    pthread_mutex_lock(&reclaim->lock);
    reclaim->status.counted = true;
    pthread_mutex_unlock(&reclaim->lock);
    return 0;
}
