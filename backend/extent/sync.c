/*
 * Group commit. Whoever waits while an fdatasync runs is served by the next
 * one: under load each covers many writers, without any timer.
 */
#include "extent/private.h"

#include <errno.h>
#include <stdlib.h>

#define STOP_US          10000000u
#define LATCH_DRIVES_MAX 32u /* that one wait may find silent */

struct sync_latch {
    pthread_mutex_t mutex;
    pthread_cond_t done;
    struct sync_waiter *waiting; /* whose results are still to come */
    unsigned references;         /* the caller's, and one of each waiter */
};

struct sync_waiter {
    struct drive *drive;
    uint64_t extent;
    struct piece *piece; /* to be written first, or NULL */
    int written;         /* result of that */
    struct sync_waiter *next;
    /* With the latch: NULL if nobody asks for the result. */
    struct sync_latch *latch;
    int *result;
    uint64_t deadline_us;
    bool given_up;
    struct sync_waiter *in_latch;
};

/* --- latches ---------------------------------------------------------------*/

struct sync_latch *sync_latch_new(void)
{
    struct sync_latch *latch = xcalloc(1, sizeof(*latch));
    pthread_mutex_init(&latch->mutex, NULL);
    condition_init(&latch->done);
    latch->references = 1;
    return latch;
}

/* With the mutex, which it releases. */
static void latch_drop(struct sync_latch *latch)
{
    bool last = --latch->references == 0;
    pthread_mutex_unlock(&latch->mutex);
    if (last) {
        pthread_cond_destroy(&latch->done);
        pthread_mutex_destroy(&latch->mutex);
        free(latch);
    }
}

void sync_latch_free(struct sync_latch *latch)
{
    if (latch != NULL) {
        pthread_mutex_lock(&latch->mutex);
        invariant(latch->waiting == NULL);
        latch_drop(latch);
    }
}

static void latch_add(struct sync_latch *latch, struct sync_waiter *waiter)
{
    waiter->deadline_us = clock_monotonic_us() + drive_timeout(waiter->drive);
    pthread_mutex_lock(&latch->mutex);
    waiter->in_latch = latch->waiting;
    latch->waiting = waiter;
    latch->references++;
    pthread_mutex_unlock(&latch->mutex);
}

static void deliver(struct sync_waiter *waiter, int value)
{
    struct sync_latch *latch = waiter->latch;
    if (latch == NULL) {
        return;
    }
    pthread_mutex_lock(&latch->mutex);
    if (!waiter->given_up) {
        struct sync_waiter **at = &latch->waiting;
        while (*at != waiter) {
            at = &(*at)->in_latch;
        }
        *at = waiter->in_latch;
        *waiter->result = value;
        if (latch->waiting == NULL) {
            pthread_cond_broadcast(&latch->done);
        }
    }
    latch_drop(latch);
}

/* With the mutex: the time at which the first waiter is given up. */
static uint64_t first_deadline(const struct sync_latch *latch)
{
    uint64_t first = UINT64_MAX;
    for (const struct sync_waiter *waiter = latch->waiting; waiter != NULL;
         waiter = waiter->in_latch) {
        first = waiter->deadline_us < first ? waiter->deadline_us : first;
    }
    return first;
}

/* With the mutex: gives up those whose time has come. Returns how many drives
 * were added to `silent`. */
static unsigned give_up(struct sync_latch *latch,
                        struct drive *silent[LATCH_DRIVES_MAX], unsigned count)
{
    uint64_t now = clock_monotonic_us();
    struct sync_waiter **at = &latch->waiting;
    while (*at != NULL) {
        struct sync_waiter *waiter = *at;
        if (waiter->deadline_us > now) {
            at = &waiter->in_latch;
            continue;
        }
        *at = waiter->in_latch;
        waiter->given_up = true;
        *waiter->result = -ETIMEDOUT;
        if (count < LATCH_DRIVES_MAX) {
            silent[count++] = waiter->drive;
        }
    }
    return count;
}

void sync_latch_wait(struct sync_latch *latch)
{
    struct drive *silent[LATCH_DRIVES_MAX];
    unsigned count = 0;
    uint64_t began = clock_monotonic_us();
    blocking_begin();
    pthread_mutex_lock(&latch->mutex);
    while (latch->waiting != NULL) {
        if (!condition_wait_until(&latch->done, &latch->mutex,
                                  first_deadline(latch))) {
            count = give_up(latch, silent, count);
        }
    }
    pthread_mutex_unlock(&latch->mutex);
    blocking_end();
    phase_add(PHASE_DRIVE, began);
    for (unsigned i = 0; i < count; i++) {
        drive_silent(silent[i]);
    }
}

/* --- the thread ------------------------------------------------------------*/

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

static void write_pieces(struct drive *drive, struct sync_waiter *all,
                         uint64_t extent)
{
    for (struct sync_waiter *waiter = all; waiter != NULL;
         waiter = waiter->next) {
        if (waiter->extent == extent && waiter->piece != NULL) {
            waiter->written = piece_write(drive, waiter->piece);
        }
    }
}

static void end_waiter(struct sync_waiter *waiter, int result)
{
    struct drive *drive = waiter->drive;
    atomic_fetch_sub(&drive->load, 1);
    deliver(waiter, waiter->written != 0 ? waiter->written : result);
    piece_free(drive, waiter->piece);
    free(waiter);
}

/* Serves the first waiter and all others of its extent. Returns the rest. */
static struct sync_waiter *serve(struct drive *drive, struct sync_waiter *all)
{
    uint64_t extent = all->extent, began_us = clock_monotonic_us();
    write_pieces(drive, all, extent);
    int result = sync_extent(drive, extent);
    latency_note(&drive->syncing, clock_monotonic_us() - began_us);
    struct sync_waiter *rest = NULL;
    struct sync_waiter **last = &rest;
    while (all != NULL) {
        struct sync_waiter *waiter = all;
        all = waiter->next;
        if (waiter->extent == extent) {
            end_waiter(waiter, result);
        } else {
            *last = waiter;
            last = &waiter->next;
        }
    }
    *last = NULL;
    return rest;
}

static void note_begin(struct sync_queue *queue)
{
    pthread_mutex_lock(&queue->mutex);
    queue->began_us = clock_monotonic_us();
    pthread_mutex_unlock(&queue->mutex);
}

static void note_end(struct drive *drive)
{
    struct sync_queue *queue = &drive->queue;
    pthread_mutex_lock(&queue->mutex);
    queue->began_us = 0;
    if (queue->late) {
        queue->late = false;
        atomic_fetch_sub(&drive->late, 1);
    }
    pthread_mutex_unlock(&queue->mutex);
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
        if (batch == NULL) {
            queue->started = false;
            pthread_cond_signal(&queue->ended);
        }
        pthread_mutex_unlock(&queue->mutex);
        if (batch == NULL) {
            return NULL;
        }
        while (batch != NULL) {
            note_begin(queue);
            batch = serve(drive, batch);
            note_end(drive);
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

bool sync_stop(struct drive *drive)
{
    struct sync_queue *queue = &drive->queue;
    uint64_t deadline = clock_monotonic_us() + STOP_US;
    pthread_mutex_lock(&queue->mutex);
    bool started = queue->started;
    queue->stop = true;
    pthread_cond_signal(&queue->filled);
    while (queue->started &&
           condition_wait_until(&queue->ended, &queue->mutex, deadline)) {
    }
    bool ended = !queue->started;
    pthread_mutex_unlock(&queue->mutex);
    if (!ended) {
        pthread_detach(queue->thread);
    } else if (started) {
        pthread_join(queue->thread, NULL);
        invariant(queue->first == NULL);
    }
    return ended;
}

uint64_t sync_watch(struct drive *drive, uint64_t late_us)
{
    struct sync_queue *queue = &drive->queue;
    uint64_t age = 0;
    pthread_mutex_lock(&queue->mutex);
    if (queue->began_us != 0) {
        age = clock_monotonic_us() - queue->began_us;
    }
    if (age >= late_us && !queue->late) {
        queue->late = true;
        atomic_fetch_add(&drive->late, 1);
    }
    pthread_mutex_unlock(&queue->mutex);
    return age;
}

/* --- asking ----------------------------------------------------------------*/

static void enqueue(struct drive *drive, const struct sync_waiter *asked)
{
    struct sync_queue *queue = &drive->queue;
    if (drive_state(drive) != DRIVE_OK) {
        if (asked->result != NULL) {
            *asked->result = -ENODEV;
        }
        piece_free(drive, asked->piece);
        return;
    }
    struct sync_waiter *waiter = xmalloc(sizeof(*waiter));
    *waiter = *asked;
    if (waiter->latch != NULL) {
        latch_add(waiter->latch, waiter);
    }
    atomic_fetch_add(&drive->load, 1);
    pthread_mutex_lock(&queue->mutex);
    invariant(queue->started && !queue->stop);
    *queue->last = waiter;
    queue->last = &waiter->next;
    pthread_cond_signal(&queue->filled);
    pthread_mutex_unlock(&queue->mutex);
}

void drive_sync_start(struct drive *drive, uint64_t extent,
                      struct sync_latch *latch, int *result)
{
    const struct sync_waiter waiter = {
        .drive = drive, .extent = extent, .latch = latch, .result = result};
    enqueue(drive, &waiter);
}

void drive_finish_start(struct drive *drive, const struct extent_place *place,
                        uint64_t position, const void *data, size_t size,
                        struct sync_latch *latch, int *result)
{
    const struct sync_waiter waiter = {
        .drive = drive,
        .extent = place->extent,
        .piece = piece_new(place, position, data, size, NULL),
        .latch = latch,
        .result = result};
    enqueue(drive, &waiter);
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
