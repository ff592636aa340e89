/* Extents as wholes: which there are, what they hold, and their end. Whatever
 * may wait for the drive is a job of its lanes. */
#include "extent/private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_SIZE (64u << 10)

/* --- which there are -------------------------------------------------------*/
/* One directory: a deadline is for one look at the drive, not for all. */
struct listing {
    struct lane_job base;
    struct drive *drive;
    char path[DRIVE_PATH_SIZE];
    size_t bytes; /* of the number that a name is, in hex */
    uint64_t *numbers;
    size_t count, room;
};

static int list_name(void *context, const char *name)
{
    struct listing *listing = context;
    uint8_t bytes[sizeof(uint64_t)] = {0};
    struct slice hex = slice_from_string(name);
    if (hex.size != 2 * listing->bytes ||
        hex_decode(bytes + sizeof(bytes) - listing->bytes, hex) != 0) {
        return 0;
    }
    if (listing->count == listing->room) {
        listing->room = listing->room == 0 ? 64 : 2 * listing->room;
        listing->numbers = xrealloc(listing->numbers,
                                    listing->room * sizeof(*listing->numbers));
    }
    listing->numbers[listing->count++] = get_u64be(bytes);
    return 0;
}

static int run_list(struct lane_job *base)
{
    struct listing *listing = (struct listing *)base;
    int r = io_list(listing->drive->io, listing->path, list_name, listing);
    return r == -ENOTDIR ? 0 : r;
}

static void free_list(struct lane_job *base)
{
    struct listing *listing = (struct listing *)base;
    free(listing->numbers);
    free(listing);
}

/* 0, and what is to be freed. */
static int list(struct drive *drive, const char *path, size_t bytes,
                struct listing **out)
{
    struct listing *listing = xcalloc(1, sizeof(*listing));
    listing->base = (struct lane_job){.run = run_list, .free = free_list};
    listing->drive = drive;
    listing->bytes = bytes;
    snprintf(listing->path, sizeof(listing->path), "%s", path);
    int r = lane_ask(&drive->reads, &listing->base, 0);
    if (r != 0) {
        return r;
    }
    r = listing->base.result;
    if (r != 0) {
        free_list(&listing->base);
    } else {
        *out = listing;
    }
    return r;
}

static int tell_folder(struct drive *drive, const char *path,
                       drive_extent_fn fn, void *context)
{
    struct listing *files;
    int r = list(drive, path, sizeof(uint64_t), &files);
    if (r != 0) {
        return r;
    }
    for (size_t i = 0; i < files->count && r == 0; i++) {
        r = fn(context, files->numbers[i]);
    }
    free_list(&files->base);
    return r;
}

int drive_extents(struct drive *drive, drive_extent_fn fn, void *context)
{
    if (drive_state(drive) != DRIVE_OK) {
        return -ENODEV;
    }
    char root[DRIVE_PATH_SIZE], path[DRIVE_PATH_SIZE];
    drive_path(drive->config.directory, "extents", root);
    struct listing *folders;
    int r = list(drive, root, 1, &folders);
    if (r != 0) {
        return r;
    }
    for (size_t i = 0; i < folders->count && r == 0; i++) {
        char name[3];
        snprintf(name, sizeof(name), "%02x", (unsigned)folders->numbers[i]);
        drive_path(root, name, path);
        r = tell_folder(drive, path, fn, context);
    }
    free_list(&folders->base);
    return r;
}

static struct extent *find(struct drive *drive, uint64_t id)
{
    struct extent *extent = drive->extents;
    while (extent != NULL && extent->id != id) {
        extent = extent->next;
    }
    return extent;
}

/* What is asked about one extent, or done to it. */
struct extent_job {
    struct lane_job base;
    struct drive *drive;
    uint64_t extent;
    uint64_t size; /* of the file */
};

static void free_job(struct lane_job *base)
{
    free(base);
}

/* `size` may be NULL. */
static int ask(struct drive *drive, struct lane *lane, uint64_t extent,
               int (*run)(struct lane_job *base), uint64_t *size)
{
    struct extent_job *job = xcalloc(1, sizeof(*job));
    *job = (struct extent_job){.base = {.run = run, .free = free_job},
                               .drive = drive,
                               .extent = extent};
    int r = lane_ask(lane, &job->base, 0);
    if (r != 0) {
        return r;
    }
    r = job->base.result;
    if (size != NULL) {
        *size = job->size;
    }
    free(job);
    return r;
}

static int run_size(struct lane_job *base)
{
    struct extent_job *job = (struct extent_job *)base;
    char path[DRIVE_PATH_SIZE];
    drive_extent_path(job->drive, job->extent, path);
    struct io_file *file; /* not from the cache: others need that more */
    int r = io_open(job->drive->io, path, IO_READ, &file);
    if (r == 0) {
        r = io_size(file, &job->size);
        io_close(file);
    }
    return r;
}

int drive_extent_look(struct drive *drive, uint64_t extent,
                      struct extent_look *look)
{
    *look = (struct extent_look){.sealed = true};
    pthread_mutex_lock(&drive->mutex);
    struct extent *open = find(drive, extent);
    if (open != NULL) {
        look->sealed = open->sealed;
    }
    look->ours = extent >= drive->first_id && extent < drive->next_id;
    /* A file that is being made is in no list yet. */
    if (look->ours && open == NULL && drive->creating) {
        look->sealed = false;
    }
    pthread_mutex_unlock(&drive->mutex);
    if (!drive_readable(drive)) {
        return -ENODEV;
    }
    return ask(drive, &drive->reads, extent, run_size, &look->size);
}

void drive_seal(struct drive *drive, uint64_t extent)
{
    uint64_t retired = 0;
    pthread_mutex_lock(&drive->mutex);
    if (drive->active != NULL && drive->active->id == extent) {
        retired = extent_seal(drive, drive->active);
    }
    pthread_mutex_unlock(&drive->mutex);
    if (retired != 0) {
        drive_sync_start(drive, retired, NULL, NULL);
    }
}

/* --- what they hold --------------------------------------------------------*/
/* A part of the file in memory. */
struct window {
    struct drive *drive;
    uint64_t extent, size; /* of the file */
    uint64_t start;
    size_t filled;
    uint8_t *data;
};

/* RECORD_HEADER_SIZE bytes at `offset`; NULL past the end. */
static const uint8_t *window_at(struct window *window, uint64_t offset, int *r)
{
    if (window->size < RECORD_HEADER_SIZE ||
        offset > window->size - RECORD_HEADER_SIZE) {
        return NULL;
    }
    if (offset < window->start ||
        offset + RECORD_HEADER_SIZE > window->start + window->filled) {
        uint64_t rest = window->size - offset;
        window->start = offset;
        window->filled = rest < WINDOW_SIZE ? (size_t)rest : WINDOW_SIZE;
        *r = drive_read(window->drive, window->extent, offset, window->data,
                        window->filled);
        if (*r != 0) {
            window->filled = 0;
            return NULL;
        }
    }
    return window->data + (offset - window->start);
}

int drive_records(struct drive *drive, uint64_t extent, drive_record_fn fn,
                  void *context)
{
    struct extent_look look;
    int r = drive_extent_look(drive, extent, &look);
    if (r != 0) {
        return r;
    }
    struct window window = {.drive = drive,
                            .extent = extent,
                            .size = look.size,
                            .data = xmalloc(WINDOW_SIZE)};
    uint64_t at = EXTENT_HEADER_SIZE, tail = at;
    bool chained = true;
    const uint8_t *bytes;
    while (r == 0 && (bytes = window_at(&window, at, &r)) != NULL) {
        struct record_header header;
        bool there = record_header_decode(bytes, &header) == 0 &&
                     header.extent == extent &&
                     header.offset == at + RECORD_HEADER_SIZE;
        at += RECORD_ALIGN; /* past a gap, or a header that was lost */
        if (!there || header.payload > look.size ||
            header.descriptor > look.size) {
            continue;
        }
        chained =
            chained && header.offset == record_offset(tail, header.payload);
        const struct drive_record record = {header.blob,       header.shard,
                                            header.offset,     header.payload,
                                            header.descriptor, chained};
        r = fn(context, &record);
        tail = record_end(header.offset, header.payload, header.descriptor);
        at = tail <= look.size ? tail : at;
    }
    free(window.data);
    return r;
}

/* --- their end -------------------------------------------------------------*/
/* So that nobody finds it open for writing any more. */
static int forget_extent(struct drive *drive, uint64_t id)
{
    int r = 0;
    struct io_file *file = NULL;
    pthread_mutex_lock(&drive->mutex);
    struct extent **at = &drive->extents;
    while (*at != NULL && (*at)->id != id) {
        at = &(*at)->next;
    }
    struct extent *extent = *at;
    if (extent != NULL && (!extent->sealed || extent->users > 0)) {
        r = -EBUSY;
    } else if (extent != NULL) {
        *at = extent->next;
        file = extent->file;
        drive->open_count -= file != NULL;
        free(extent);
    }
    pthread_mutex_unlock(&drive->mutex);
    drive_close_file(drive, file);
    return r;
}

static void note_removed(struct drive *drive, uint64_t extent)
{
    pthread_mutex_lock(&drive->mutex);
    if (drive->removed_count == drive->removed_room) {
        drive->removed_room =
            drive->removed_room == 0 ? 64 : 2 * drive->removed_room;
        drive->removed = xrealloc(drive->removed, drive->removed_room *
                                                      sizeof(*drive->removed));
    }
    drive->removed[drive->removed_count++] = extent;
    pthread_mutex_unlock(&drive->mutex);
}

int extent_gone(struct drive *drive, uint64_t extent)
{
    bool removed = false;
    pthread_mutex_lock(&drive->mutex);
    for (size_t i = drive->removed_count; i > 0 && !removed; i--) {
        removed = drive->removed[i - 1] == extent;
    }
    pthread_mutex_unlock(&drive->mutex);
    return removed ? -ESTALE : -ENOENT;
}

static int run_remove(struct lane_job *base)
{
    struct drive *drive = ((struct extent_job *)base)->drive;
    uint64_t extent = ((struct extent_job *)base)->extent;
    int r = extents_still_ours(drive); /* X5 */
    if (r != 0) {
        return drive_failed(drive, "removing an extent", r);
    }
    r = forget_extent(drive, extent);
    if (r != 0) {
        return r;
    }
    char path[DRIVE_PATH_SIZE];
    drive_extent_path(drive, extent, path);
    note_removed(drive, extent);
    file_cache_remove(drive, extent);
    r = io_unlink(drive->io, path);
    if (r == 0 || r == -ENOENT) {
        r = io_sync_parent(drive->io, path);
    }
    if (r != 0) {
        return drive_failed(drive, "removing an extent", r);
    }
    pthread_mutex_lock(&drive->mutex);
    drive->file_count -= drive->file_count > 0;
    drive->space.checked_us = 0; /* ask the file system again */
    pthread_mutex_unlock(&drive->mutex);
    return 0;
}

int drive_remove_extent(struct drive *drive, uint64_t extent)
{
    if (drive_state(drive) != DRIVE_OK) {
        return -ENODEV;
    }
    return ask(drive, &drive->changes, extent, run_remove, NULL);
}
