/*
 * Group commit. Whoever waits while an fdatasync runs is served by the next
 * one: under load each covers many writers, without any timer.
 */
#include "extent/private.h"

#include <errno.h>
#include <stdlib.h>

struct sync_latch {
    pthread_mutex_t mutex;
    pthread_cond_t done;
    unsigned waiting;
};

struct sync_waiter {
    uint64_t extent;
    struct sync_latch *latch; /* NULL: nobody asks for the result */
    int *result;
    struct sync_waiter *next;
};

struct sync_latch *sync_latch_new(void)
{
    struct sync_latch *latch = xcalloc(1, sizeof(*latch));
    pthread_mutex_init(&latch->mutex, NULL);
    pthread_cond_init(&latch->done, NULL);
    return latch;
}

void sync_latch_free(struct sync_latch *latch)
{
    if (latch == NULL) {
        return;
    }
    invariant(latch->waiting == 0);
    pthread_cond_destroy(&latch->done);
    pthread_mutex_destroy(&latch->mutex);
    free(latch);
}

static void latch_add(struct sync_latch *latch)
{
    pthread_mutex_lock(&latch->mutex);
    latch->waiting++;
    pthread_mutex_unlock(&latch->mutex);
}

/* Under the mutex to the end: the latch may be freed as soon as its owner
 * gets it. */
static void latch_deliver(struct sync_latch *latch, int *result, int value)
{
    if (latch == NULL) {
        return;
    }
    pthread_mutex_lock(&latch->mutex);
    *result = value;
    invariant(latch->waiting > 0);
    latch->waiting--;
    if (latch->waiting == 0) {
        pthread_cond_broadcast(&latch->done);
    }
    pthread_mutex_unlock(&latch->mutex);
}

void sync_latch_wait(struct sync_latch *latch)
{
    blocking_begin();
    pthread_mutex_lock(&latch->mutex);
    while (latch->waiting > 0) {
        pthread_cond_wait(&latch->done, &latch->mutex);
    }
    pthread_mutex_unlock(&latch->mutex);
    blocking_end();
}

/* X3: what is durable in a file that was removed or replaced is lost with the
 * last descriptor of it. */
static int sync_file(struct drive *drive, struct extent *extent)
{
    char path[DRIVE_PATH_SIZE];
    drive_extent_path(drive, extent->id, path);
    int r = io_fdatasync(extent->file);
    if (r != 0) {
        return drive_failed(drive, "fdatasync", r);
    }
    r = io_is_at(extent->file, path);
    return r == 0 ? 0 : drive_failed(drive, "an extent is not at its path", r);
}

/* X3: 0 only if all that was written before is durable. */
static int sync_extent(struct drive *drive, uint64_t id)
{
    if (drive_state(drive) != DRIVE_OK) {
        return -ENODEV;
    }
    struct extent *extent;
    int r = extent_hold(drive, id, false, &extent);
    if (r != 0 || extent == NULL) {
        return r; /* closed: it was clean */
    }
    pthread_mutex_lock(&drive->mutex);
    bool dirty = extent->dirty;
    extent->dirty = false;
    pthread_mutex_unlock(&drive->mutex);
    if (dirty) {
        r = sync_file(drive, extent);
        if (r != 0) {
            extent_abandon(drive, extent, r);
        }
    }
    extent_drop(drive, extent, false);
    return r;
}

/* Serves the first waiter and all others of its extent. Returns the rest. */
static struct sync_waiter *serve(struct drive *drive, struct sync_waiter *all)
{
    uint64_t extent = all->extent;
    int result = sync_extent(drive, extent);
    struct sync_waiter *rest = NULL;
    struct sync_waiter **last = &rest;
    while (all != NULL) {
        struct sync_waiter *waiter = all;
        all = waiter->next;
        if (waiter->extent == extent) {
            atomic_fetch_sub(&drive->load, 1);
            latch_deliver(waiter->latch, waiter->result, result);
            free(waiter);
        } else {
            *last = waiter;
            last = &waiter->next;
        }
    }
    *last = NULL;
    return rest;
}

static void *sync_thread(void *argument)
{
    struct drive *drive = argument;
    struct sync_queue *queue = &drive->queue;
    for (;;) {
        pthread_mutex_lock(&queue->mutex);
        while (queue->first == NULL && !queue->stop) {
            pthread_cond_wait(&queue->filled, &queue->mutex);
        }
        struct sync_waiter *batch = queue->first;
        queue->first = NULL;
        queue->last = &queue->first;
        pthread_mutex_unlock(&queue->mutex);
        if (batch == NULL) {
            return NULL;
        }
        while (batch != NULL) {
            batch = serve(drive, batch);
        }
    }
}

int sync_start(struct drive *drive)
{
    if (drive->queue.started) {
        return 0; /* since an earlier use */
    }
    int r = pthread_create(&drive->queue.thread, NULL, sync_thread, drive);
    drive->queue.started = r == 0;
    return -r;
}

void sync_stop(struct drive *drive)
{
    struct sync_queue *queue = &drive->queue;
    if (!queue->started) {
        return;
    }
    pthread_mutex_lock(&queue->mutex);
    queue->stop = true;
    pthread_cond_signal(&queue->filled);
    pthread_mutex_unlock(&queue->mutex);
    pthread_join(queue->thread, NULL);
    invariant(queue->first == NULL);
}

void drive_sync_start(struct drive *drive, uint64_t extent,
                      struct sync_latch *latch, int *result)
{
    struct sync_queue *queue = &drive->queue;
    if (drive_state(drive) != DRIVE_OK) {
        if (result != NULL) {
            *result = -ENODEV;
        }
        return;
    }
    struct sync_waiter *waiter = xmalloc(sizeof(*waiter));
    *waiter = (struct sync_waiter){extent, latch, result, NULL};
    if (latch != NULL) {
        latch_add(latch);
    }
    atomic_fetch_add(&drive->load, 1);
    pthread_mutex_lock(&queue->mutex);
    invariant(queue->started && !queue->stop);
    *queue->last = waiter;
    queue->last = &waiter->next;
    pthread_cond_signal(&queue->filled);
    pthread_mutex_unlock(&queue->mutex);
}

int drive_sync(struct drive *drive, uint64_t extent)
{
    int result = -EIO;
    struct sync_latch *latch = sync_latch_new();
    drive_sync_start(drive, extent, latch, &result);
    sync_latch_wait(latch);
    sync_latch_free(latch);
    return result;
}
