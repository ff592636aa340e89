/* The files of a generation: the same bytes on each of its drives. */
#include "archive/private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static char *file_path(const struct generation *generation,
                       const struct copy *copy, enum archive_kind kind,
                       bool complete)
{
    char name[ARCHIVE_NAME_SIZE];

    archive_name(name, generation->header.generation, kind, complete);
    return archive_path(drive_config(copy->drive)->directory, name);
}

/* If it still is the one at its path. */
static void remove_file(const struct generation *generation,
                        const struct copy *copy, enum archive_kind kind)
{
    char *path = file_path(generation, copy, kind, false);

    if (copy->files[kind] != NULL && io_is_at(copy->files[kind], path) == 0) {
        io_unlink(generation->io, path);
    }
    free(path);
}

/* Without a complete snapshot only a log that goes on from another one is of
 * use. */
static void end_copy(const struct generation *generation, struct copy *copy)
{
    if (!generation->complete) {
        remove_file(generation, copy, ARCHIVE_SNAPSHOT);
    }
    if (!generation->complete && generation->header.before == 0) {
        remove_file(generation, copy, ARCHIVE_LOG);
    }
    io_close(copy->files[ARCHIVE_SNAPSHOT]);
    io_close(copy->files[ARCHIVE_LOG]);
}

static void give_up(struct generation *generation, unsigned i, int error)
{
    struct copy *copy = &generation->copies[i];

    log_warn("archive: drive %u gets no more of generation %" PRIx64 ": %s",
             drive_config(copy->drive)->index, generation->header.generation,
             strerror(-error));
    end_copy(generation, copy);
    *copy = generation->copies[--generation->count];
}

/* --- making ----------------------------------------------------------------*/

static int make_file(struct generation *generation, struct copy *copy,
                     enum archive_kind kind)
{
    struct archive_header header = generation->header;
    char *path = file_path(generation, copy, kind, false);
    uint8_t bytes[ARCHIVE_HEADER_SIZE];
    int error =
        io_open(generation->io, path, IO_WRITE | IO_CREATE, &copy->files[kind]);

    if (error != 0) {
        copy->files[kind] = NULL;
    } else {
        header.kind = kind;
        archive_header_encode(bytes, &header);
        error = io_pwrite(copy->files[kind], bytes, sizeof(bytes), 0);
    }
    free(path);
    return error;
}

/* The directory's name is made durable with what is in it, at the end. */
static int make_files(struct generation *generation, struct copy *copy)
{
    char *directory = archive_path(drive_config(copy->drive)->directory, "");
    int error = io_mkdir_owned(generation->io, directory);

    if (error == 0) {
        error = make_file(generation, copy, ARCHIVE_LOG);
    }
    if (error == 0) {
        error = make_file(generation, copy, ARCHIVE_SNAPSHOT);
    }
    free(directory);
    return error;
}

struct generation *generation_new(struct io *io,
                                  const struct archive_header *header,
                                  struct drive *const *drives, unsigned count)
{
    struct generation *generation = xcalloc(1, sizeof(*generation));

    invariant(count <= ARCHIVE_COPIES_MAX);
    generation->io = io;
    generation->header = *header;
    generation->streams[ARCHIVE_SNAPSHOT].size = ARCHIVE_HEADER_SIZE;
    generation->streams[ARCHIVE_LOG].size = ARCHIVE_HEADER_SIZE;
    for (unsigned i = 0; i < count; i++) {
        struct copy *copy = &generation->copies[generation->count++];
        int error;

        *copy = (struct copy){.drive = drives[i]};
        error = make_files(generation, copy);
        if (error != 0) {
            give_up(generation, generation->count - 1, error);
        }
    }
    return generation;
}

void generation_free(struct generation *generation)
{
    if (generation == NULL) {
        return;
    }
    for (unsigned i = 0; i < generation->count; i++) {
        end_copy(generation, &generation->copies[i]);
    }
    free(generation);
}

/* --- writing ---------------------------------------------------------------*/

int generation_write(struct generation *generation, enum archive_kind kind,
                     struct slice changes, uint64_t mark, bool last)
{
    struct stream *stream = &generation->streams[kind];
    const struct archive_block block = {
        .number = stream->blocks,
        .generation = generation->header.generation,
        .written_ms = clock_wall_ms(),
        .mark = mark,
        .last = last,
    };
    struct buffer bytes = {0};

    archive_block_encode(&bytes, &block, changes);
    for (unsigned i = generation->count; i > 0; i--) {
        int error = io_pwrite(generation->copies[i - 1].files[kind], bytes.data,
                              bytes.size, stream->size);

        if (error != 0) {
            give_up(generation, i - 1, error);
        }
    }
    stream->size += bytes.size;
    stream->blocks++;
    buffer_free(&bytes);
    return generation->count > 0 ? 0 : -EIO;
}

static int look_at(const struct generation *generation, const struct copy *copy)
{
    char *path;
    int error;

    if (drive_state(copy->drive) != DRIVE_OK) {
        return -ENODEV;
    }
    path = file_path(generation, copy, ARCHIVE_LOG, false);
    error = io_is_at(copy->files[ARCHIVE_LOG], path);
    free(path);
    return error;
}

void generation_look(struct generation *generation)
{
    for (unsigned i = generation->count; i > 0; i--) {
        int error = look_at(generation, &generation->copies[i - 1]);

        if (error != 0) {
            give_up(generation, i - 1, error);
        }
    }
}

/* --- completing ------------------------------------------------------------*/

/* First the log, which the snapshot counts on (A2). */
static int complete_copy(const struct generation *generation,
                         const struct copy *copy)
{
    char *from = file_path(generation, copy, ARCHIVE_SNAPSHOT, false);
    char *to = file_path(generation, copy, ARCHIVE_SNAPSHOT, true);
    char *directory = archive_path(drive_config(copy->drive)->directory, "");
    int error = io_fdatasync(copy->files[ARCHIVE_LOG]);

    if (error == 0) {
        error = io_fdatasync(copy->files[ARCHIVE_SNAPSHOT]);
    }
    if (error == 0) {
        error = io_sync_dir(generation->io, directory);
    }
    if (error == 0) {
        error = io_rename(generation->io, from, to);
    }
    if (error == 0) {
        error = io_sync_dir(generation->io, directory);
    }
    if (error == 0) {
        error = io_sync_parent(generation->io, directory);
    }
    free(directory);
    free(to);
    free(from);
    return error;
}

int generation_complete(struct generation *generation)
{
    for (unsigned i = generation->count; i > 0; i--) {
        int error = complete_copy(generation, &generation->copies[i - 1]);

        if (error != 0) {
            give_up(generation, i - 1, error);
        }
    }
    generation->complete = generation->count > 0;
    return generation->complete ? 0 : -EIO;
}

/* --- removing --------------------------------------------------------------*/

struct removal {
    struct io *io;
    const char *directory; /* the drive's */
    uint64_t generation;
};

static int remove_useless(void *context, const char *name)
{
    const struct removal *removal = context;
    enum archive_kind kind;
    uint64_t number;
    bool complete;
    char *path;

    if (!archive_name_parse(name, &number, &kind, &complete) ||
        (complete && number >= removal->generation)) {
        return 0;
    }
    path = archive_path(removal->directory, name);
    io_unlink(removal->io, path); /* or next time */
    free(path);
    return 0;
}

void archive_tidy(struct io *io, struct drive *drive, uint64_t generation)
{
    const char *directory = drive_config(drive)->directory;
    struct removal removal = {io, directory, generation};
    char *path = archive_path(directory, "");

    io_list(io, path, remove_useless, &removal);
    free(path);
}
