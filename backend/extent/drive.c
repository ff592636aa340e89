/* Opening and closing a drive, and what state it is in. */
#include "extent/private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void drive_path(const char *directory, const char *name,
                char out[DRIVE_PATH_SIZE])
{
    int size = snprintf(out, DRIVE_PATH_SIZE, "%s/%s", directory, name);
    invariant(size > 0 && (unsigned)size < DRIVE_PATH_SIZE);
}

void drive_extent_path(struct drive *drive, uint64_t extent,
                       char out[DRIVE_PATH_SIZE])
{
    char name[EXTENT_PATH_SIZE];
    extent_path(name, extent);
    drive_path(drive->config.directory, name, out);
}

const char *drive_state_name(enum drive_state state)
{
    switch (state) {
    case DRIVE_OK:
        return "ok";
    case DRIVE_MISSING:
        return "missing";
    case DRIVE_FOREIGN:
        return "foreign";
    case DRIVE_BLANK:
        return "blank";
    case DRIVE_FAILED:
        return "failed";
    }
    return "unknown";
}

enum drive_state drive_state(struct drive *drive)
{
    return (enum drive_state)atomic_load(&drive->state);
}

bool drive_readable(struct drive *drive)
{
    enum drive_state state = drive_state(drive);
    return drive->readable && (state == DRIVE_OK || state == DRIVE_FAILED);
}

const struct drive_config *drive_config(struct drive *drive)
{
    return &drive->config;
}

const uint8_t *drive_uuid(struct drive *drive)
{
    return drive->identity.drive;
}

int drive_failed(struct drive *drive, const char *what, int error)
{
    switch (error) {
    case -ENOSPC:
    case -EDQUOT:
    case -EFBIG:
        return -ENOSPC;
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
        return error;
    }
    int expected = DRIVE_OK;
    if (atomic_compare_exchange_strong(&drive->state, &expected,
                                       DRIVE_FAILED)) {
        log_error("drive %u (%s) failed: %s: %s", drive->config.index,
                  drive->config.directory, what, strerror(-error));
    }
    return error;
}

/* -EAGAIN if another s3d has the drive. -EROFS: locked, but for reading. */
static int take_lock(struct drive *drive)
{
    char path[DRIVE_PATH_SIZE];
    drive_path(drive->config.directory, "lock", path);
    int r = io_open(drive->io, path, IO_WRITE, &drive->lock);
    if (r == -ENOENT) {
        r = io_open(drive->io, path, IO_WRITE | IO_CREATE, &drive->lock);
        if (r == -EEXIST) {
            return -EAGAIN; /* somebody else was as quick */
        }
    }
    bool read_only = r == -EROFS;
    if (read_only) {
        r = io_open(drive->io, path, IO_READ, &drive->lock);
    }
    if (r == 0) {
        r = io_lock(drive->lock);
    }
    return r == 0 && read_only ? -EROFS : r;
}

/* -EAGAIN, or 0 with the state set. */
static int open_matching(struct drive *drive)
{
    int r = take_lock(drive);
    if (r == -EAGAIN) {
        return r;
    }
    drive->readable = r == 0 || r == -EROFS;
    if (r == 0) {
        r = extents_scan(drive);
    }
    if (r == 0) {
        r = space_refresh(drive);
    }
    if (r == 0) {
        r = sync_start(drive);
    }
    if (r != 0) {
        log_error("drive %u (%s) cannot be %s: %s", drive->config.index,
                  drive->config.directory,
                  drive->readable ? "written to" : "used", strerror(-r));
        atomic_store(&drive->state, DRIVE_FAILED);
    }
    return 0;
}

static void drive_init(struct drive *drive, struct io *io,
                       const struct drive_config *config,
                       const struct drive_options *options)
{
    drive->io = io;
    drive->config.directory = xstrdup(config->directory);
    drive->config.domain = xstrdup(config->domain);
    drive->config.index = config->index;
    drive->options = *options;
    pthread_mutex_init(&drive->mutex, NULL);
    pthread_cond_init(&drive->created, NULL);
    pthread_mutex_init(&drive->queue.mutex, NULL);
    pthread_cond_init(&drive->queue.filled, NULL);
    drive->queue.last = &drive->queue.first;
    file_cache_init(&drive->cache);
}

int drive_open(struct io *io, const struct drive_config *config,
               const struct drive_options *options, struct drive **drive)
{
    struct drive *opened = xcalloc(1, sizeof(*opened));
    drive_init(opened, io, config, options);
    enum drive_state state = DRIVE_MISSING;
    if (strlen(config->directory) < DRIVE_DIRECTORY_SIZE) {
        state = identity_check(io, config->directory, options->cluster,
                               config->index, &opened->identity);
    }
    atomic_store(&opened->state, (int)state);
    int r = state == DRIVE_OK ? open_matching(opened) : 0;
    if (r != 0) {
        drive_close(opened);
        return r;
    }
    if (state != DRIVE_OK) {
        log_warn("drive %u (%s) is %s", config->index, config->directory,
                 drive_state_name(state));
    }
    *drive = opened;
    return 0;
}

void drive_close(struct drive *drive)
{
    if (drive == NULL) {
        return;
    }
    sync_stop(drive);
    extents_close(drive);
    file_cache_destroy(&drive->cache);
    io_close(drive->lock);
    pthread_cond_destroy(&drive->queue.filled);
    pthread_mutex_destroy(&drive->queue.mutex);
    pthread_cond_destroy(&drive->created);
    pthread_mutex_destroy(&drive->mutex);
    free(drive->removed);
    free((char *)(uintptr_t)drive->config.directory);
    free((char *)(uintptr_t)drive->config.domain);
    free(drive);
}
