/*
 * A drive begins to be used: when it is opened, and when one that was gone
 * has come back. Nothing of its earlier use is trusted: not its lock, not its
 * descriptors, not its open extents.
 */
#include "extent/private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBE_SIZE 4096u

/* --- the lock --------------------------------------------------------------*/

/* Of an earlier use: true if it still is the one at the path. */
static bool has_lock(struct drive *drive, const char *path)
{
    if (drive->lock != NULL && io_is_at(drive->lock, path) == 0) {
        return true;
    }
    io_close(drive->lock);
    drive->lock = NULL;
    return false;
}

/* -EAGAIN if another s3d has the drive. */
static int take_lock(struct drive *drive)
{
    char path[DRIVE_PATH_SIZE];
    drive_path(drive->config.directory, "lock", path);
    if (has_lock(drive, path)) {
        return 0;
    }
    int r = io_open(drive->io, path, IO_WRITE, &drive->lock);
    if (r == -ENOENT) {
        r = io_open(drive->io, path, IO_WRITE | IO_CREATE, &drive->lock);
        if (r == -EEXIST) {
            return -EAGAIN; /* somebody else was as quick */
        }
    }
    if (r == -EROFS) {
        r = io_open(drive->io, path, IO_READ, &drive->lock);
    }
    return r == 0 ? io_lock(drive->lock) : r;
}

/* --- beginning -------------------------------------------------------------*/

/* That it takes bytes, and gives them back. A full drive may do without. */
static int probe(struct drive *drive)
{
    char path[DRIVE_PATH_SIZE];
    uint8_t bytes[PROBE_SIZE];
    drive_path(drive->config.directory, "probe", path);
    memset(bytes, 0x5a, sizeof(bytes));
    int r = io_write_file(drive->io, path, bytes, sizeof(bytes));
    if (r == -ENOSPC || r == -EDQUOT) {
        return 0;
    }
    struct buffer back = {0};
    if (r == 0) {
        r = io_read_file(drive->io, path, sizeof(bytes), &back);
    }
    if (r == 0 && (back.size != sizeof(bytes) ||
                   memcmp(back.data, bytes, sizeof(bytes)) != 0)) {
        r = -EIO;
    }
    buffer_free(&back);
    return r == 0 ? io_unlink(drive->io, path) : r;
}

static int begin_writing(struct drive *drive)
{
    int r = probe(drive);
    if (r == 0) {
        r = extents_scan(drive);
    }
    if (r == 0) {
        pthread_mutex_lock(&drive->mutex);
        drive->space.known = false;
        pthread_mutex_unlock(&drive->mutex);
        r = space_refresh_here(drive);
    }
    return r == 0 ? sync_start(drive) : r;
}

int drive_begin(struct drive *drive)
{
    int r = take_lock(drive);
    if (r == -EAGAIN) {
        return r;
    }
    atomic_store(&drive->readable, r == 0);
    if (r == 0) {
        r = begin_writing(drive);
    }
    if (r == 0) {
        drive_set_state(drive, DRIVE_OK, "");
        return 0;
    }
    char reason[REASON_SIZE];
    snprintf(reason, sizeof(reason), "cannot be %s: %s",
             atomic_load(&drive->readable) ? "written to" : "used",
             strerror(-r));
    if (drive_state(drive) != DRIVE_FAILED) {
        log_error("drive %u (%s) %s", drive->config.index,
                  drive->config.directory, reason);
    }
    drive_set_state(drive, DRIVE_FAILED, reason);
    return 0;
}

/* --- looking ---------------------------------------------------------------*/

static void accept_identity(struct drive *drive,
                            const struct identity *identity)
{
    struct identity *now = atomic_load(&drive->identity);
    if (memcmp(now->drive, identity->drive, DRIVE_UUID_SIZE) != 0) {
        struct identity *next = xmalloc(sizeof(*next));
        *next = *identity;
        next->earlier = now;
        atomic_store(&drive->identity, next);
    }
}

/* The directory is the drive again: nothing held from before is used on. */
static bool come_back(struct drive *drive, const struct identity *identity)
{
    if (extents_abandon_all(drive) != 0) {
        return false;
    }
    file_cache_forget_all(drive);
    accept_identity(drive, identity);
    if (drive_begin(drive) != 0 || drive_state(drive) != DRIVE_OK) {
        return false;
    }
    pthread_mutex_lock(&drive->note.mutex);
    drive->note.returns++;
    pthread_mutex_unlock(&drive->note.mutex);
    log_info("drive %u (%s) is back", drive->config.index,
             drive->config.directory);
    return true;
}

void drive_retire(struct drive *drive)
{
    drive_set_state(drive, DRIVE_REMOVED, "");
    atomic_store(&drive->readable, false);
    (void)extents_abandon_all(drive); /* one that is being made stays open */
    file_cache_forget_all(drive);
    if (atomic_load(&drive->late) == 0) { /* else a look may be using it */
        io_close(drive->lock);
        drive->lock = NULL;
    }
}

static bool look(struct drive *drive)
{
    struct identity identity;
    char reason[REASON_SIZE];
    const enum drive_state found =
        strlen(drive->config.directory) < DRIVE_DIRECTORY_SIZE
            ? identity_check(drive->io, drive->config.directory,
                             drive->config.index, &drive->options, &identity,
                             reason)
            : DRIVE_FAILED;
    if (found == DRIVE_OK) {
        return come_back(drive, &identity);
    }
    /* A drive that cannot even say what it is may still be read. */
    if (found == DRIVE_FAILED) {
        return false;
    }
    if (found != drive_state(drive)) {
        log_warn("drive %u (%s) is %s: %s", drive->config.index,
                 drive->config.directory, drive_state_name(found), reason);
    }
    drive_set_state(drive, found, reason);
    return false;
}

struct look_job {
    struct lane_job base;
    struct drive *drive;
};

static int run_look(struct lane_job *base)
{
    return look(((struct look_job *)base)->drive);
}

static void free_look(struct lane_job *base)
{
    free(base);
}

bool drive_look(struct drive *drive)
{
    if (drive_state(drive) == DRIVE_REMOVED) {
        return false;
    }
    drive_watch(drive);
    if (drive_state(drive) == DRIVE_OK) {
        struct drive_usage usage;
        drive_usage(drive, &usage);
        return false;
    }
    if (atomic_load(&drive->late) > 0) {
        return false; /* perhaps an earlier look */
    }
    struct look_job *job = xcalloc(1, sizeof(*job));
    *job = (struct look_job){.base = {.run = run_look, .free = free_look},
                             .drive = drive};
    lane_start(&drive->changes, &job->base);
    if (lane_wait(&job->base, 0) != 0) {
        return false;
    }
    bool back = job->base.result != 0;
    free(job);
    return back;
}

void drive_expect(struct drive *drive, const uint8_t uuid[DRIVE_UUID_SIZE])
{
    invariant(drive_state(drive) != DRIVE_OK);
    memcpy(drive->options.uuid, uuid, DRIVE_UUID_SIZE);
}
