/* Room on a drive: what the file system said a moment ago, less what was
 * written since and what is promised (X6). */
#include "extent/private.h"

#include <errno.h>

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

int space_refresh(struct drive *drive)
{
    struct space *space = &drive->space;
    pthread_mutex_lock(&drive->mutex);
    uint64_t now = clock_monotonic_us();
    bool fresh = space->known && now - space->checked_us < SPACE_MAX_AGE_US;
    if (fresh || space->refreshing) {
        pthread_mutex_unlock(&drive->mutex);
        return 0;
    }
    space->refreshing = true;
    uint64_t before = space->written;
    pthread_mutex_unlock(&drive->mutex);

    struct io_space answer;
    int r = extents_still_ours(drive);
    if (r == 0) {
        r = io_space(drive->io, drive->config.directory, &answer);
    }

    pthread_mutex_lock(&drive->mutex);
    space->refreshing = false;
    if (r == 0) {
        space->total = answer.total;
        space->free = answer.free;
        /* What was written meanwhile counts twice until the next time. */
        space->written -= before;
        space->checked_us = now;
        space->known = true;
        note_full(drive);
    }
    pthread_mutex_unlock(&drive->mutex);
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
    int r = space_refresh(drive);
    if (r != 0) {
        drive_failed(drive, "space and identity", r);
        return;
    }
    pthread_mutex_lock(&drive->mutex);
    usage->total = less(drive->space.total, drive->options.reserve_bytes);
    usage->free = space_free(drive);
    usage->pending = drive->space.pending;
    usage->extents = drive->file_count;
    pthread_mutex_unlock(&drive->mutex);
}
