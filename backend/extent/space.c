/* Room on a drive: what the file system said a moment ago, less what was
 * written since and what is promised (X6). */
#include "extent/private.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* With the mutex: since when no block of an object fits any more. */
static void note_full(struct drive *drive)
{
    struct space *space = &drive->space;
    if (space_free(drive) >= RECORD_LARGE + EXTENT_HEADER_SIZE) {
        space->full_since_ms = 0;
    } else if (space->full_since_ms == 0) {
        space->full_since_ms = clock_wall_ms();
        log_warn("drive %u (%s) is full", drive->config.index,
                 drive->config.directory);
    }
}

/* False: the figures are fresh, or about to be. */
static bool begin_refresh(struct drive *drive)
{
    struct space *space = &drive->space;
    pthread_mutex_lock(&drive->mutex);
    bool fresh = space->known &&
                 clock_monotonic_us() - space->checked_us < SPACE_MAX_AGE_US;
    bool begin = !fresh && !space->refreshing;
    space->refreshing = space->refreshing || begin;
    pthread_mutex_unlock(&drive->mutex);
    return begin;
}

static void end_refresh(struct drive *drive)
{
    pthread_mutex_lock(&drive->mutex);
    drive->space.refreshing = false;
    pthread_mutex_unlock(&drive->mutex);
}

static int refresh(struct drive *drive)
{
    struct space *space = &drive->space;
    uint64_t now = clock_monotonic_us();
    pthread_mutex_lock(&drive->mutex);
    uint64_t before = space->written;
    pthread_mutex_unlock(&drive->mutex);

    struct io_space answer;
    int r = extents_still_ours(drive);
    if (r == 0) {
        r = io_space(drive->io, drive->config.directory, &answer);
    }
    if (r != 0) {
        return r;
    }
    pthread_mutex_lock(&drive->mutex);
    space->total = answer.total;
    space->free = answer.free;
    /* What was written meanwhile counts twice until the next time. */
    space->written -= before;
    space->checked_us = now;
    space->known = true;
    note_full(drive);
    pthread_mutex_unlock(&drive->mutex);
    return 0;
}

struct refresh_job {
    struct lane_job base;
    struct drive *drive;
};

static int run_refresh(struct lane_job *base)
{
    struct drive *drive = ((struct refresh_job *)base)->drive;
    int r = refresh(drive);
    return r == 0 ? 0 : drive_failed(drive, "space and identity", r);
}

static void free_refresh(struct lane_job *base)
{
    end_refresh(((struct refresh_job *)base)->drive);
    free(base);
}

int space_refresh_here(struct drive *drive)
{
    int r = 0;
    if (begin_refresh(drive)) {
        r = refresh(drive);
        end_refresh(drive);
    }
    return r;
}

int space_refresh(struct drive *drive)
{
    if (atomic_load(&drive->late) > 0 || !begin_refresh(drive)) {
        return 0;
    }
    struct refresh_job *job = xcalloc(1, sizeof(*job));
    *job = (struct refresh_job){
        .base = {.run = run_refresh, .free = free_refresh}, .drive = drive};
    lane_start(&drive->changes, &job->base);
    int r = lane_wait(&job->base, SPACE_WAIT_US);
    if (r != 0) {
        return 0;
    }
    r = job->base.result;
    job->base.free(&job->base);
    return r;
}

uint64_t space_free(const struct drive *drive)
{
    const struct space *space = &drive->space;
    return less(
        less(less(space->free, drive->options.reserve_bytes), space->written),
        space->pending);
}

bool space_fits(const struct drive *drive, uint64_t bytes)
{
    return drive->space.known && space_free(drive) >= bytes;
}

void space_pending_less(struct drive *drive, uint64_t bytes)
{
    drive->space.pending = less(drive->space.pending, bytes);
}

void space_written(struct drive *drive, uint64_t bytes)
{
    drive->space.written += bytes;
}

void drive_usage(struct drive *drive, struct drive_usage *usage)
{
    *usage = (struct drive_usage){.load = atomic_load(&drive->load)};
    if (drive_state(drive) != DRIVE_OK) {
        return;
    }
    if (space_refresh(drive) != 0) {
        return;
    }
    pthread_mutex_lock(&drive->mutex);
    usage->total = less(drive->space.total, drive->options.reserve_bytes);
    usage->free = space_free(drive);
    usage->pending = drive->space.pending;
    usage->extents = drive->file_count;
    pthread_mutex_unlock(&drive->mutex);
}
