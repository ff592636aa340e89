/*
 * Extents open for writing.
 *
 *   extent_create -> active -> sealed -> closed (clean, not in use)
 *                      |          |
 *                      +----------+--> abandoned: sync failed, error sticks
 *
 * An extent takes records only from the run that created it: after a restart
 * nobody can tell which of the bytes at its end were handed out and lost, or
 * whether its last sync had failed (X1, X4).
 */
#include "extent/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- ids -------------------------------------------------------------------*/

struct scan {
    struct drive *drive;
    const char *folder;
    uint64_t highest, files;
};

static int scan_file(void *context, const char *name)
{
    struct scan *scan = context;
    uint8_t bytes[8];
    struct slice hex = slice_from_string(name);
    if (hex.size != 16 || hex_decode(bytes, hex) != 0) {
        return 0;
    }
    uint64_t id = get_u64be(bytes);
    scan->files++;
    if (id >> EXTENT_COUNTER_BITS == scan->drive->config.index &&
        id > scan->highest) {
        scan->highest = id;
    }
    return 0;
}

static int scan_folder(void *context, const char *name)
{
    struct scan *scan = context;
    uint8_t byte;
    struct slice hex = slice_from_string(name);
    if (hex.size != 2 || hex_decode(&byte, hex) != 0) {
        return 0;
    }
    char path[DRIVE_PATH_SIZE];
    drive_path(scan->folder, name, path);
    int r = io_list(scan->drive->io, path, scan_file, scan);
    return r == -ENOTDIR ? 0 : r;
}

int extents_scan(struct drive *drive)
{
    char folder[DRIVE_PATH_SIZE];
    drive_path(drive->config.directory, "extents", folder);
    int r = io_mkdir(drive->io, folder);
    if (r == 0) {
        r = io_sync_parent(drive->io, folder);
    }
    struct scan scan = {.drive = drive, .folder = folder};
    if (r == 0) {
        r = io_list(drive->io, folder, scan_folder, &scan);
    }
    if (r != 0) {
        return r;
    }

    /* X2: past what is there, and past what was on a drive that was wiped. */
    uint64_t base = (uint64_t)drive->config.index << EXTENT_COUNTER_BITS;
    uint64_t next = base + extent_number_at(clock_wall_ms() / 1000);
    if (next <= scan.highest) {
        next = scan.highest + 1;
    }
    if (next >> EXTENT_COUNTER_BITS != drive->config.index) {
        return -EOVERFLOW; /* by a clock or a file name that cannot be true */
    }
    pthread_mutex_lock(&drive->mutex);
    drive->file_count = scan.files;
    if (drive->next_id < next) { /* the drive may have been in use before */
        drive->next_id = next;
    }
    if (drive->first_id == 0) {
        drive->first_id = drive->next_id;
    }
    drive->begin_id = drive->next_id;
    pthread_mutex_unlock(&drive->mutex);
    return 0;
}

/* --- the list: with the mutex ----------------------------------------------*/

static struct extent *find(struct drive *drive, uint64_t id)
{
    struct extent *extent = drive->extents;
    while (extent != NULL && extent->id != id) {
        extent = extent->next;
    }
    return extent;
}

static void insert(struct drive *drive, struct extent *extent)
{
    extent->next = drive->extents;
    drive->extents = extent;
    drive->open_count++;
}

/* A failed extent stays, without its file, so that its error does. */
static void close_unused(struct drive *drive)
{
    struct extent **at = &drive->extents;
    while (*at != NULL) {
        struct extent *extent = *at;
        bool unused = extent->sealed && extent->users == 0;
        if (unused && extent->error != 0 && extent->file != NULL) {
            drive_close_file(drive, extent->file);
            extent->file = NULL;
            drive->open_count--;
        }
        if (unused && extent->error == 0 && !extent->dirty &&
            drive->open_count > EXTENTS_OPEN_MAX / 2) {
            *at = extent->next;
            drive_close_file(drive, extent->file);
            free(extent);
            drive->open_count--;
            continue;
        }
        at = &extent->next;
    }
}

uint64_t extent_seal(struct drive *drive, struct extent *extent)
{
    extent->sealed = true;
    if (drive->active == extent) {
        drive->active = NULL;
    }
    if (drive->open_count <= EXTENTS_OPEN_MAX) {
        return 0;
    }
    close_unused(drive);
    uint64_t oldest = 0;
    for (struct extent *e = drive->extents; e != NULL; e = e->next) {
        if (e->sealed && e->dirty && e->error == 0 && e->users == 0) {
            oldest = e->id;
        }
    }
    return drive->open_count > EXTENTS_OPEN_MAX ? oldest : 0;
}

void extents_close(struct drive *drive)
{
    while (drive->extents != NULL) {
        struct extent *extent = drive->extents;
        invariant(extent->users == 0);
        drive->extents = extent->next;
        io_close(extent->file);
        free(extent);
    }
    drive->active = NULL;
}

/* --- creating --------------------------------------------------------------*/

static int make_folders(struct drive *drive, const char *path)
{
    char folder[DRIVE_PATH_SIZE];
    size_t size = (size_t)(strrchr(path, '/') - path);
    memcpy(folder, path, size);
    folder[size] = '\0';
    int r = io_mkdir(drive->io, folder);
    return r == 0 ? io_sync_parent(drive->io, folder) : r;
}

static int write_header(struct drive *drive, struct io_file *file,
                        const char *path, uint64_t id)
{
    const struct identity *identity = atomic_load(&drive->identity);
    struct extent_header header = {.extent = id};
    memcpy(header.cluster, identity->cluster, DRIVE_UUID_SIZE);
    memcpy(header.drive, identity->drive, DRIVE_UUID_SIZE);
    uint8_t bytes[EXTENT_HEADER_SIZE];
    extent_header_encode(bytes, &header);
    int r = io_pwrite(file, bytes, sizeof(bytes), 0);
    if (r == 0) {
        r = io_fdatasync(file);
    }
    return r == 0 ? io_sync_parent(drive->io, path) : r;
}

/* X5: the directory may be another one than at the start. */
int extents_still_ours(struct drive *drive)
{
    const struct identity *ours = atomic_load(&drive->identity);
    struct identity now;
    int r = identity_read(drive->io, drive->config.directory, &now);
    if (r != 0) {
        return r;
    }
    bool same = now.index == drive->config.index &&
                memcmp(now.cluster, ours->cluster, DRIVE_UUID_SIZE) == 0 &&
                memcmp(now.drive, ours->drive, DRIVE_UUID_SIZE) == 0;
    return same ? 0 : -ENODEV;
}

static int create_file(struct drive *drive, uint64_t id, struct io_file **file)
{
    char path[DRIVE_PATH_SIZE];
    drive_extent_path(drive, id, path);
    int r = extents_still_ours(drive);
    if (r == 0) {
        r = make_folders(drive, path);
    }
    if (r == 0) {
        r = io_open(drive->io, path, IO_WRITE | IO_CREATE, file);
    }
    if (r != 0) {
        return r;
    }
    r = write_header(drive, *file, path, id);
    if (r != 0) {
        io_close(*file);
        io_unlink(drive->io, path);
    }
    return r;
}

int extent_create(struct drive *drive, struct extent **extent)
{
    /* An id is used up even if the creation fails (X2). */
    pthread_mutex_lock(&drive->mutex);
    uint64_t id = drive->next_id++;
    pthread_mutex_unlock(&drive->mutex);

    struct io_file *file;
    int r = id >> EXTENT_COUNTER_BITS == drive->config.index
                ? create_file(drive, id, &file)
                : -EOVERFLOW;
    if (r != 0) {
        return drive_failed(drive, "new extent", r);
    }
    struct extent *created = xcalloc(1, sizeof(*created));
    created->id = id;
    created->file = file;
    created->tail = EXTENT_HEADER_SIZE;
    pthread_mutex_lock(&drive->mutex);
    insert(drive, created);
    drive->file_count++;
    pthread_mutex_unlock(&drive->mutex);
    *extent = created;
    return 0;
}

/* --- holding ---------------------------------------------------------------*/

static int reopen_sealed(struct drive *drive, uint64_t id)
{
    char path[DRIVE_PATH_SIZE];
    drive_extent_path(drive, id, path);
    struct io_file *file;
    int r = io_open(drive->io, path, IO_WRITE, &file);
    if (r != 0) {
        return drive_failed(drive, "reopening an extent", r);
    }
    pthread_mutex_lock(&drive->mutex);
    if (find(drive, id) == NULL) {
        struct extent *extent = xcalloc(1, sizeof(*extent));
        extent->id = id;
        extent->file = file;
        extent->sealed = true;
        extent->dirty = true; /* until a sync says otherwise */
        insert(drive, extent);
        file = NULL;
    }
    pthread_mutex_unlock(&drive->mutex);
    drive_close_file(drive, file);
    return 0;
}

int extent_hold(struct drive *drive, uint64_t id, bool reopen,
                struct extent **extent)
{
    for (;;) {
        pthread_mutex_lock(&drive->mutex);
        invariant(id < drive->next_id);
        struct extent *found = find(drive, id);
        int r = found != NULL ? found->error : 0;
        if (id < drive->begin_id) {
            r = -EIO; /* the drive was gone meanwhile: X4 */
        }
        if (found != NULL && r == 0) {
            found->users++;
        }
        pthread_mutex_unlock(&drive->mutex);
        *extent = found;
        if (r != 0 || found != NULL || !reopen) {
            return r;
        }
        r = reopen_sealed(drive, id);
        if (r != 0) {
            return r;
        }
    }
}

void extent_drop(struct drive *drive, struct extent *extent, bool wrote)
{
    pthread_mutex_lock(&drive->mutex);
    invariant(extent->users > 0);
    extent->users--;
    extent->dirty = extent->dirty || wrote;
    if (extent->sealed) {
        close_unused(drive);
    }
    pthread_mutex_unlock(&drive->mutex);
}

void extent_abandon(struct drive *drive, struct extent *extent, int error)
{
    pthread_mutex_lock(&drive->mutex);
    invariant(extent->users > 0);
    extent->sealed = true;
    if (drive->active == extent) {
        drive->active = NULL;
    }
    if (extent->error == 0) {
        extent->error = error;
    }
    pthread_mutex_unlock(&drive->mutex);
}

int extents_abandon_all(struct drive *drive)
{
    pthread_mutex_lock(&drive->mutex);
    int r = drive->creating ? -EBUSY : 0;
    if (r == 0) {
        for (struct extent *e = drive->extents; e != NULL; e = e->next) {
            e->sealed = true;
            e->error = e->error != 0 ? e->error : -EIO;
        }
        drive->active = NULL;
        drive->space.pending = 0;
        close_unused(drive);
    }
    pthread_mutex_unlock(&drive->mutex);
    return r;
}
