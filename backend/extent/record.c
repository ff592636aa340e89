/* Reserving, writing and reading records. */
#include "extent/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void free_job(struct lane_job *job)
{
    free(job);
}

/* --- reserving -------------------------------------------------------------*/

struct create_job {
    struct lane_job base;
    struct drive *drive;
};

static int run_create(struct lane_job *base)
{
    struct drive *drive = ((struct create_job *)base)->drive;
    struct extent *created = NULL;
    int r = extent_create(drive, &created);
    pthread_mutex_lock(&drive->mutex);
    drive->creating = false;
    drive->creations++;
    drive->create_error = r;
    invariant(drive->active == NULL);
    drive->active = created;
    pthread_cond_broadcast(&drive->created);
    pthread_mutex_unlock(&drive->mutex);
    return r;
}

/* With the mutex held: waits for the next extent, which one thread makes. */
static int next_extent(struct drive *drive)
{
    uint64_t deadline = clock_monotonic_us() + drive_timeout(drive);
    unsigned before = drive->creations;
    bool in_time = atomic_load(&drive->late) == 0;
    if (in_time && !drive->creating) {
        struct create_job *job = xcalloc(1, sizeof(*job));
        *job = (struct create_job){
            .base = {.run = run_create, .free = free_job}, .drive = drive};
        drive->creating = true;
        invariant(lane_post(&drive->changes, &job->base));
    }
    blocking_begin();
    while (in_time && drive->creations == before) {
        in_time =
            condition_wait_until(&drive->created, &drive->mutex, deadline);
    }
    blocking_end();
    return drive->creations != before ? drive->create_error : -ETIMEDOUT;
}

/* X4: one that was being made while the drive came back takes nothing. */
static bool has_place(const struct drive *drive, const struct extent *extent,
                      uint64_t payload, uint64_t descriptor)
{
    uint64_t offset = record_offset(extent->tail, payload);
    uint64_t end = record_end(offset, payload, descriptor);
    return extent->id >= drive->begin_id &&
           (end <= drive->options.extent_size ||
            extent->tail == EXTENT_HEADER_SIZE);
}

/* A free place at the end of the active extent, with the mutex held. */
static int find_place(struct drive *drive, uint64_t payload,
                      uint64_t descriptor, uint64_t *retired)
{
    for (;;) {
        struct extent *active = drive->active;
        if (active != NULL && has_place(drive, active, payload, descriptor)) {
            return 0;
        }
        if (active != NULL) {
            *retired = extent_seal(drive, active);
        }
        if (drive_state(drive) != DRIVE_OK) {
            return -ENODEV; /* meanwhile */
        }
        int r = next_extent(drive);
        if (r != 0) {
            return r;
        }
    }
}

/* Hands out a range (X1). */
static int take_place(struct drive *drive, uint64_t payload,
                      uint64_t descriptor, struct extent_place *place)
{
    uint64_t bytes = payload + descriptor;
    uint64_t retired = 0;
    pthread_mutex_lock(&drive->mutex);
    int r = -ENOSPC;
    if (space_fits(drive, bytes + EXTENT_HEADER_SIZE + RECORD_ALIGN_LARGE +
                              RECORD_HEADER_SIZE)) {
        drive->space.pending += bytes;
        r = find_place(drive, payload, descriptor, &retired);
        if (r != 0) {
            space_pending_less(drive, bytes);
        }
    }
    if (r == 0) {
        struct extent *active = drive->active;
        place->extent = active->id;
        place->offset = record_offset(active->tail, payload);
        place->size = bytes;
        invariant(!active->sealed);
        invariant(place->offset >= active->tail + RECORD_HEADER_SIZE);
        space_written(drive, place->offset - active->tail);
        active->tail = record_end(place->offset, payload, descriptor);
    }
    pthread_mutex_unlock(&drive->mutex);
    if (retired != 0) {
        drive_sync_start(drive, retired, NULL, NULL);
    }
    if (r == -ETIMEDOUT) {
        drive_silent(drive);
    }
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
        return r;
    }
    *place =
        (struct extent_place){.payload = payload, .blob = blob, .shard = shard};
    atomic_fetch_add(&drive->load, 1);
    r = take_place(drive, payload, descriptor, place);
    atomic_fetch_sub(&drive->load, 1);
    return r;
}

void drive_release(struct drive *drive, uint64_t bytes)
{
    pthread_mutex_lock(&drive->mutex);
    space_pending_less(drive, bytes);
    pthread_mutex_unlock(&drive->mutex);
}

/* --- writing ---------------------------------------------------------------*/

struct piece *piece_new(const struct extent_place *place, uint64_t position,
                        const void *data, size_t size, struct memory *memory)
{
    /* X1: only its owner writes a record, and nothing beside it. */
    invariant(position <= place->size && size <= place->size - position);
    size_t own = memory == NULL ? size : 0;
    struct piece *piece = xmalloc(sizeof(*piece) + RECORD_HEADER_SIZE + own);
    *piece = (struct piece){
        .place = *place, .position = position, .size = size, .data = data};
    if (memory != NULL) {
        piece->memory = memory_hold(memory);
    } else {
        piece->data = piece->own + RECORD_HEADER_SIZE;
        memcpy(piece->own + RECORD_HEADER_SIZE, data, size);
    }
    return piece;
}

void piece_free(struct drive *drive, struct piece *piece)
{
    if (piece == NULL) {
        return;
    }
    if (!piece->written) {
        drive_release(drive, piece->size);
    }
    memory_drop(piece->memory);
    free(piece);
}

static void encode_header(struct piece *piece)
{
    const struct extent_place *place = &piece->place;
    struct record_header header = {
        .blob = place->blob,
        .shard = place->shard,
        .payload = place->payload,
        .descriptor = place->size - place->payload,
        .extent = place->extent,
        .offset = place->offset,
    };
    record_header_encode(piece->own, &header);
}

/* They go to the drive now, so that the sync has little left. */
static int write_cached(struct io_file *file, const uint8_t *data, size_t size,
                        uint64_t offset)
{
    if (size == 0) {
        return 0;
    }
    int r = io_pwrite(file, data, size, offset);
    if (r == 0) {
        io_write_back(file, offset, size);
    }
    return r;
}

static int write_direct(struct io_file *file, const uint8_t *data, size_t size,
                        uint64_t offset)
{
    if (size == 0) {
        return 0;
    }
    /* Or it would be written as always, into a folio that must stay clean. */
    invariant((uintptr_t)data % RECORD_ALIGN_LARGE == 0 &&
              size % RECORD_ALIGN_LARGE == 0 &&
              offset % RECORD_ALIGN_LARGE == 0);
    return io_pwrite_direct(file, data, size, offset);
}

static uint64_t within(uint64_t value, uint64_t least, uint64_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* Past the page cache, but for what lies before and behind. */
static int write_memory(struct io_file *file, const struct piece *piece)
{
    struct record_direct direct =
        record_direct(piece->place.offset, piece->place.payload);
    uint64_t begin = piece->place.offset + piece->position;
    uint64_t end = begin + piece->size;
    uint64_t from = within(direct.begin, begin, end);
    uint64_t to = within(direct.end, from, end);

    int r = write_cached(file, piece->data, from - begin, begin);
    if (r == 0) {
        r = write_direct(file, piece->data + (from - begin), to - from, from);
    }
    if (r == 0) {
        r = write_cached(file, piece->data + (to - begin), end - to, to);
    }
    return r;
}

/* The header goes with the bytes, unless these are elsewhere. */
static int write_bytes(struct io_file *file, struct piece *piece)
{
    size_t header = piece->position == 0 ? RECORD_HEADER_SIZE : 0;
    uint64_t offset = piece->place.offset + piece->position - header;
    if (header > 0) {
        encode_header(piece);
    }
    if (piece->memory == NULL) {
        return io_pwrite(file, piece->data - header, header + piece->size,
                         offset);
    }
    int r = header > 0 ? io_pwrite(file, piece->own, header, offset) : 0;
    return r == 0 ? write_memory(file, piece) : r;
}

static int write_held(struct drive *drive, struct extent *extent,
                      struct piece *piece)
{
    int r = write_bytes(extent->file, piece);
    if (r != 0) {
        extent_abandon(drive, extent, 0);
        r = drive_failed(drive, "write", r);
    }
    return r;
}

int piece_write(struct drive *drive, struct piece *piece)
{
    if (drive_state(drive) != DRIVE_OK) {
        return -ENODEV;
    }
    struct extent *extent;
    int r = extent_hold(drive, piece->place.extent, true, &extent);
    if (r != 0) {
        return r;
    }
    r = write_held(drive, extent, piece);
    extent_drop(drive, extent, true);
    if (r == 0) {
        piece->written = true;
        pthread_mutex_lock(&drive->mutex);
        space_pending_less(drive, piece->size);
        space_written(drive, piece->size);
        pthread_mutex_unlock(&drive->mutex);
    }
    return r;
}

struct drive_write {
    struct lane_job base;
    struct drive *drive;
    struct piece *piece;
};

static int run_write(struct lane_job *base)
{
    struct drive_write *write = (struct drive_write *)base;
    struct piece *piece = write->piece;
    int r = piece_write(write->drive, piece);

    /* Who waits for the end may come late: when a slow client has sent more. */
    memory_drop(piece->memory);
    piece->memory = NULL;
    return r;
}

static void free_write(struct lane_job *base)
{
    struct drive_write *write = (struct drive_write *)base;
    piece_free(write->drive, write->piece);
    free(write);
}

struct drive_write *drive_write_start(struct drive *drive,
                                      const struct extent_place *place,
                                      uint64_t position, const void *data,
                                      size_t size, struct memory *memory)
{
    struct drive_write *write = xcalloc(1, sizeof(*write));
    *write = (struct drive_write){
        .base = {.run = run_write,
                 .free = free_write,
                 .latency = &drive->writing},
        .drive = drive,
    };
    if (drive_state(drive) != DRIVE_OK) {
        drive_release(drive, size);
        write->base.result = -ENODEV;
        return write;
    }
    write->piece = piece_new(place, position, data, size, memory);
    atomic_fetch_add(&drive->load, 1);
    lane_start(&drive->changes, &write->base);
    return write;
}

/* `wait_us` as of lane_wait(). */
static int write_end(struct drive_write *write, uint64_t wait_us)
{
    struct drive *drive = write->drive;
    int r = 0;
    if (write->piece != NULL) { /* it was started */
        r = lane_wait(&write->base, wait_us);
        atomic_fetch_sub(&drive->load, 1);
    }
    if (r == 0) {
        r = write->base.result;
        free_write(&write->base);
    }
    return r;
}

int drive_write_end(struct drive_write *write)
{
    return write_end(write, 0);
}

void drive_write_leave(struct drive_write *write)
{
    (void)write_end(write, 1);
}

int drive_write(struct drive *drive, const struct extent_place *place,
                uint64_t position, const void *data, size_t size)
{
    return drive_write_end(
        drive_write_start(drive, place, position, data, size, NULL));
}

/* --- reading ---------------------------------------------------------------*/

struct read_job {
    struct lane_job base;
    struct drive *drive;
    uint64_t extent, offset;
    size_t size;
    uint8_t data[];
};

static int run_read(struct lane_job *base)
{
    struct read_job *job = (struct read_job *)base;
    struct cached_file *file;
    int r = file_cache_get(job->drive, job->extent, 0, &file);
    if (r == 0) {
        r = io_pread(file->file, job->data, job->size, job->offset);
        file_cache_put(job->drive, file);
    }
    return r;
}

static int run_direct(struct lane_job *base)
{
    struct read_job *job = (struct read_job *)base;
    struct drive *drive = job->drive;
    char path[DRIVE_PATH_SIZE];
    struct io_file *file;

    drive_extent_path(drive, job->extent, path);
    int r = io_open(drive->io, path, IO_DIRECT, &file);
    if (r == -ENOENT) {
        r = extent_gone(drive, job->extent);
    }
    if (r == 0) {
        r = io_pread(file, job->data, job->size, job->offset);
        io_close(file);
    }
    return r;
}

/* -EAGAIN: the drive has to be asked. */
static int read_now(struct drive *drive, uint64_t extent, uint64_t offset,
                    void *data, size_t size)
{
    struct cached_file *file;
    int r = file_cache_get(drive, extent, IO_NOW, &file);
    if (r == 0) {
        r = io_pread_now(file->file, data, size, offset);
        file_cache_put(drive, file);
    }
    return r;
}

static int ask_to_read(const struct read_job *what, void *data,
                       uint64_t wait_us)
{
    struct read_job *job = xmalloc(sizeof(*job) + what->size);
    *job = *what;
    int r = lane_ask(&job->drive->reads, &job->base, wait_us);
    if (r == 0) {
        r = job->base.result;
        if (r == 0) {
            memcpy(data, job->data, job->size);
        }
        free(job);
    }
    return r;
}

int drive_read_within(struct drive *drive, uint64_t extent, uint64_t offset,
                      void *data, size_t size, uint64_t wait_us)
{
    if (!drive_readable(drive)) {
        return -ENODEV;
    }
    int r = read_now(drive, extent, offset, data, size);
    if (r != -EAGAIN) {
        return r;
    }
    return ask_to_read(&(struct read_job){.base = {.run = run_read,
                                                   .free = free_job,
                                                   .latency = &drive->reading},
                                          .drive = drive,
                                          .extent = extent,
                                          .offset = offset,
                                          .size = size},
                       data, wait_us);
}

int drive_read(struct drive *drive, uint64_t extent, uint64_t offset,
               void *data, size_t size)
{
    return drive_read_within(drive, extent, offset, data, size, 0);
}

int drive_read_direct(struct drive *drive, uint64_t extent, uint64_t offset,
                      void *data, size_t size)
{
    if (!drive_readable(drive)) {
        return -ENODEV;
    }
    return ask_to_read(
        &(struct read_job){.base = {.run = run_direct, .free = free_job},
                           .drive = drive,
                           .extent = extent,
                           .offset = offset,
                           .size = size},
        data, 0);
}

/* `flags`: IO_NOW or 0. */
static int check_path(struct drive *drive, uint64_t extent, unsigned flags,
                      struct io_node *node)
{
    struct cached_file *file;
    int r = file_cache_get(drive, extent, flags, &file);
    if (r != 0) {
        return r;
    }
    char path[DRIVE_PATH_SIZE];
    drive_extent_path(drive, extent, path);
    *node = file->node;
    struct io_node there;
    r = flags == IO_NOW ? io_node_at_now(drive->io, path, &there)
                        : io_node_at(drive->io, path, &there);
    if (r == 0 && !io_node_same(&there, node)) {
        r = -ENOENT;
    }
    if (r == 0) {
        file_cache_saw(drive, file);
    }
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

struct check_job {
    struct lane_job base;
    struct drive *drive;
    uint64_t extent;
    struct io_node node;
};

static int run_check(struct lane_job *base)
{
    struct check_job *job = (struct check_job *)base;
    return check_path(job->drive, job->extent, 0, &job->node);
}

int drive_check_path(struct drive *drive, uint64_t extent, uint64_t wait_us,
                     uint64_t age_us, struct io_node *node)
{
    if (!drive_readable(drive)) {
        return -ENODEV;
    }
    if (age_us > 0 && file_cache_seen(drive, extent, age_us, node)) {
        return 0;
    }
    int r = check_path(drive, extent, IO_NOW, node);
    if (r != -EAGAIN) {
        return r;
    }
    struct check_job *job = xcalloc(1, sizeof(*job));
    *job = (struct check_job){.base = {.run = run_check, .free = free_job},
                              .drive = drive,
                              .extent = extent};
    r = lane_ask(&drive->reads, &job->base, wait_us);
    if (r == 0) {
        r = job->base.result;
        *node = job->node;
        free(job);
    }
    return r;
}

bool drive_reads_from(struct drive *drive, uint64_t extent,
                      const struct io_node *node)
{
    return file_cache_has(drive, extent, node);
}
