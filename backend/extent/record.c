/* Reserving, writing and reading records. */
#include "extent/private.h"

#include <errno.h>

/* A free place at the end of the active extent, with the mutex held. Makes
 * extents as needed; other threads wait for the one that does. */
static int find_place(struct drive *drive, uint64_t payload,
                      uint64_t descriptor, struct extent **extent,
                      uint64_t *retired)
{
    for (;;) {
        struct extent *active = drive->active;
        if (active != NULL) {
            uint64_t offset = record_offset(active->tail, payload);
            uint64_t end = record_end(offset, payload, descriptor);
            if (end <= drive->options.extent_size ||
                active->tail == EXTENT_HEADER_SIZE) {
                *extent = active;
                return 0;
            }
            *retired = extent_seal(drive, active);
        }
        if (drive->creating) {
            pthread_cond_wait(&drive->created, &drive->mutex);
            continue;
        }
        drive->creating = true;
        pthread_mutex_unlock(&drive->mutex);
        struct extent *created = NULL;
        int r = extent_create(drive, &created);
        pthread_mutex_lock(&drive->mutex);
        drive->creating = false;
        invariant(drive->active == NULL);
        drive->active = created;
        pthread_cond_broadcast(&drive->created);
        if (r != 0) {
            return r;
        }
    }
}

/* Hands out a range (X1) and holds its extent. */
static int take_place(struct drive *drive, uint64_t payload,
                      uint64_t descriptor, struct extent **extent,
                      struct extent_place *place)
{
    uint64_t bytes = payload + descriptor;
    uint64_t retired = 0;
    pthread_mutex_lock(&drive->mutex);
    int r = -ENOSPC;
    if (space_fits(drive, bytes + EXTENT_HEADER_SIZE + RECORD_ALIGN_LARGE +
                              RECORD_HEADER_SIZE)) {
        drive->space.pending += bytes;
        r = find_place(drive, payload, descriptor, extent, &retired);
        if (r != 0) {
            space_pending_less(drive, bytes);
        }
    }
    if (r == 0) {
        struct extent *active = *extent;
        place->extent = active->id;
        place->offset = record_offset(active->tail, payload);
        place->size = bytes;
        invariant(!active->sealed);
        invariant(place->offset >= active->tail + RECORD_HEADER_SIZE);
        space_written(drive, place->offset - active->tail);
        active->tail = record_end(place->offset, payload, descriptor);
        active->users++;
    }
    pthread_mutex_unlock(&drive->mutex);
    if (retired != 0) {
        drive_sync_start(drive, retired, NULL, NULL);
    }
    return r;
}

static int write_held(struct drive *drive, struct extent *extent,
                      const void *data, size_t size, uint64_t offset)
{
    int r = io_pwrite(extent->file, data, size, offset);
    if (r != 0) {
        extent_abandon(drive, extent, 0);
        r = drive_failed(drive, "write", r);
    }
    extent_drop(drive, extent, true);
    return r;
}

int drive_reserve(struct drive *drive, uint64_t blob, unsigned shard,
                  uint64_t payload, uint64_t descriptor,
                  struct extent_place *place)
{
    if (drive_state(drive) != DRIVE_OK) {
        return -ENODEV;
    }
    if (payload > RECORD_LENGTH_MAX || descriptor > RECORD_LENGTH_MAX) {
        return -EINVAL;
    }
    int r = space_refresh(drive);
    if (r != 0) {
        return drive_failed(drive, "space and identity", r);
    }
    atomic_fetch_add(&drive->load, 1);
    struct extent *extent = NULL;
    r = take_place(drive, payload, descriptor, &extent, place);
    if (r == 0) {
        struct record_header header = {
            .blob = blob,
            .shard = shard,
            .payload = payload,
            .descriptor = descriptor,
            .extent = place->extent,
            .offset = place->offset,
        };
        uint8_t bytes[RECORD_HEADER_SIZE];
        record_header_encode(bytes, &header);
        r = write_held(drive, extent, bytes, sizeof(bytes),
                       place->offset - RECORD_HEADER_SIZE);
        if (r != 0) {
            drive_release(drive, payload + descriptor);
        }
    }
    atomic_fetch_sub(&drive->load, 1);
    return r;
}

void drive_release(struct drive *drive, uint64_t bytes)
{
    pthread_mutex_lock(&drive->mutex);
    space_pending_less(drive, bytes);
    pthread_mutex_unlock(&drive->mutex);
}

int drive_write(struct drive *drive, const struct extent_place *place,
                uint64_t position, const void *data, size_t size)
{
    /* X1: only its owner writes a record, and nothing beside it. */
    invariant(position <= place->size && size <= place->size - position);
    if (drive_state(drive) != DRIVE_OK) {
        return -ENODEV;
    }
    struct extent *extent;
    int r = extent_hold(drive, place->extent, true, &extent);
    if (r != 0) {
        return r;
    }
    atomic_fetch_add(&drive->load, 1);
    r = write_held(drive, extent, data, size, place->offset + position);
    atomic_fetch_sub(&drive->load, 1);
    if (r == 0) {
        pthread_mutex_lock(&drive->mutex);
        space_pending_less(drive, size);
        space_written(drive, size);
        pthread_mutex_unlock(&drive->mutex);
    }
    return r;
}

int drive_read(struct drive *drive, uint64_t extent, uint64_t offset,
               void *data, size_t size)
{
    if (!drive_readable(drive)) {
        return -ENODEV;
    }
    struct cached_file *file;
    int r = file_cache_get(drive, extent, &file);
    if (r != 0) {
        return r;
    }
    atomic_fetch_add(&drive->load, 1);
    r = io_pread(file->file, data, size, offset);
    atomic_fetch_sub(&drive->load, 1);
    file_cache_put(drive, file);
    return r;
}

int drive_check_path(struct drive *drive, uint64_t extent)
{
    if (!drive_readable(drive)) {
        return -ENODEV;
    }
    struct cached_file *file;
    int r = file_cache_get(drive, extent, &file);
    if (r != 0) {
        return r;
    }
    char path[DRIVE_PATH_SIZE];
    drive_extent_path(drive, extent, path);
    r = io_is_at(file->file, path);
    if (r == -ENOENT) {
        r = extent_gone(drive, extent);
        file_cache_forget(drive, file);
    }
    if (r == -ENOENT) {
        log_warn("drive %u: %s was replaced or removed", drive->config.index,
                 path);
    }
    file_cache_put(drive, file);
    return r;
}
