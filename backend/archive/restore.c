/*
 * Which files of the archive to believe: all are read once before any is. The
 * newest generation whose snapshot is complete, and whose log has what the
 * snapshot needs (A2); then the logs that go on from there, without a gap.
 * Copies are the same bytes, so a snapshot may come from one drive and its log
 * from another.
 */
#include "archive/private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct archive_file {
    char *path;
    struct archive_header header;
    uint64_t blocks; /* good ones, from the first on */
    uint64_t needs;  /* of a complete snapshot: blocks of its log */
    bool complete;
};

struct search {
    struct io *io;
    const uint8_t *cluster;
    const char *directory; /* of the drive that is looked at */
    struct archive_file *files;
    unsigned count, room;
};

/* --- looking ---------------------------------------------------------------*/

/* Reads the file to its end, or to what is not good. */
static void examine(struct archive_file *file, struct archive_reader *reader)
{
    struct archive_block block;
    struct buffer changes = {0};

    while (archive_reader_next(reader, &block, &changes) == 0) {
        file->blocks++;
        if (block.last && reader->header.kind == ARCHIVE_SNAPSHOT) {
            file->complete = true;
            file->needs = block.mark;
        }
    }
    buffer_free(&changes);
}

static void add_file(struct search *search, const struct archive_file *file)
{
    if (search->count == search->room) {
        search->room = 2 * search->room + 16;
        search->files =
            xrealloc(search->files, search->room * sizeof(*search->files));
    }
    search->files[search->count++] = *file;
}

static int look_at(void *context, const char *name)
{
    struct search *search = context;
    struct archive_file file = {0};
    struct archive_reader reader;
    enum archive_kind kind;
    uint64_t generation;
    bool complete;
    int error;

    if (!archive_name_parse(name, &generation, &kind, &complete) || !complete) {
        return 0;
    }
    file.path = archive_path(search->directory, name);
    error = archive_reader_open(&reader, search->io, file.path);
    if (error != 0 || reader.header.generation != generation ||
        reader.header.kind != kind ||
        memcmp(reader.header.cluster, search->cluster, DRIVE_UUID_SIZE) != 0) {
        log_warn("archive: %s is not used: %s", file.path,
                 error != 0 ? strerror(-error) : "it is another one's");
        free(file.path);
    } else {
        file.header = reader.header;
        examine(&file, &reader);
        add_file(search, &file);
    }
    if (error == 0) {
        archive_reader_close(&reader);
    }
    return 0;
}

static void look_at_drives(struct search *search, struct drive *const *drives,
                           unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char *path;

        if (!drive_readable(drives[i])) {
            continue;
        }
        search->directory = drive_config(drives[i])->directory;
        path = archive_path(search->directory, "");
        io_list(search->io, path, look_at, search);
        free(path);
    }
}

/* --- choosing --------------------------------------------------------------*/

/* The log of a generation that has the most blocks; NULL: there is none. */
static const struct archive_file *log_of(const struct search *search,
                                         uint64_t generation)
{
    const struct archive_file *best = NULL;

    for (unsigned i = 0; i < search->count; i++) {
        const struct archive_file *file = &search->files[i];

        if (file->header.kind == ARCHIVE_LOG &&
            file->header.generation == generation &&
            (best == NULL || file->blocks > best->blocks)) {
            best = file;
        }
    }
    return best;
}

static bool usable(const struct search *search,
                   const struct archive_file *snapshot)
{
    const struct archive_file *log =
        log_of(search, snapshot->header.generation);

    return snapshot->complete && log != NULL && log->blocks >= snapshot->needs;
}

static const struct archive_file *newest_snapshot(const struct search *search)
{
    const struct archive_file *best = NULL;

    for (unsigned i = 0; i < search->count; i++) {
        const struct archive_file *file = &search->files[i];

        if (usable(search, file) &&
            (best == NULL ||
             file->header.generation > best->header.generation)) {
            best = file;
        }
    }
    return best;
}

/* The log that goes on where `log` ends; NULL: none does. */
static const struct archive_file *log_after(const struct search *search,
                                            const struct archive_file *log)
{
    for (unsigned i = 0; i < search->count; i++) {
        const struct archive_file *file = &search->files[i];

        if (file->header.kind == ARCHIVE_LOG &&
            file->header.before == log->header.generation &&
            file->header.generation > log->header.generation &&
            file->header.before_blocks == log->blocks) {
            return log_of(search, file->header.generation);
        }
    }
    return NULL;
}

/* --- replaying -------------------------------------------------------------*/

static int apply(struct kv *kv, const struct buffer *changes)
{
    struct kv_batch *batch = kv_batch_new();
    int error = kv_batch_load(batch, slice_of(changes->data, changes->size));

    if (error == 0) {
        kv_batch_settle(batch); /* the snapshot may have them */
        error = kv_commit(kv, batch);
    }
    kv_batch_free(batch);
    return error;
}

/* As many blocks as were good before. */
static int replay(struct io *io, const struct archive_file *file, struct kv *kv,
                  struct archive_restored *restored)
{
    struct archive_reader reader;
    struct archive_block block;
    struct buffer changes = {0};
    int error = archive_reader_open(&reader, io, file->path);

    if (error != 0) {
        return error;
    }
    while (error == 0 && reader.blocks < file->blocks) {
        error = archive_reader_next(&reader, &block, &changes);
        if (error == 0) {
            error = apply(kv, &changes);
        }
        if (error == 0) {
            restored->blocks++;
            restored->bytes += changes.size;
            restored->written_ms = block.written_ms;
        }
        if (error == 0 && reader.header.kind == ARCHIVE_LOG) {
            restored->horizon = block.mark;
        }
    }
    restored->generation = reader.header.generation;
    archive_reader_close(&reader);
    buffer_free(&changes);
    return error;
}

int archive_restore(struct io *io, struct drive *const *drives,
                    unsigned drive_count,
                    const uint8_t cluster[DRIVE_UUID_SIZE], struct kv *kv,
                    struct archive_restored *restored)
{
    struct search *search = xcalloc(1, sizeof(*search));
    const struct archive_file *file;
    int error = -ENOENT;

    *restored = (struct archive_restored){0};
    search->io = io;
    search->cluster = cluster;
    look_at_drives(search, drives, drive_count);
    file = newest_snapshot(search);
    if (file != NULL) {
        error = replay(io, file, kv, restored);
        file = log_of(search, file->header.generation);
    }
    while (file != NULL && error == 0) {
        error = replay(io, file, kv, restored);
        file = error == 0 ? log_after(search, file) : NULL;
    }
    for (unsigned i = 0; i < search->count; i++) {
        free(search->files[i].path);
    }
    free(search->files);
    free(search);
    return error;
}
