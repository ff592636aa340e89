/* A backup that is checked, and restored. */
#include "archive/backup.h"
#include "archive/private.h"

#include <errno.h>
#include <string.h>

struct reading {
    struct kv *kv; /* NULL: it is only checked */
    struct kv_batch *batch;
    struct backup_summary *summary;
    bool complete;
};

/* The last block has no records, and no other is like that. */
static int take_block(struct reading *reading,
                      const struct archive_block *block, struct slice changes)
{
    struct backup_summary *summary = reading->summary;
    int error;

    if (block->last != (changes.size == 0) ||
        block->last != (block->mark == summary->records)) {
        return -EBADMSG;
    }
    reading->complete = block->last;
    summary->records = block->mark;
    summary->bytes += changes.size;
    error = kv_batch_load(reading->batch, changes);
    return error != 0 || reading->kv == NULL
               ? error
               : kv_commit(reading->kv, reading->batch);
}

/* Up to the last block, behind which there is nothing. */
static int read_blocks(struct reading *reading, struct archive_reader *reader)
{
    struct archive_block block;
    struct buffer changes = {0};
    int error = 0;

    while (error == 0) {
        error = archive_reader_next(reader, &block, &changes);
        if (error == 0) {
            error = reading->complete
                        ? -EBADMSG
                        : take_block(reading, &block,
                                     slice_of(changes.data, changes.size));
        }
    }
    buffer_free(&changes);
    if (error == -ENODATA) {
        error = reading->complete ? 0 : -EBADMSG;
    }
    return error;
}

static int read_file(struct reading *reading, struct io *io, const char *path)
{
    struct backup_summary *summary = reading->summary;
    struct archive_reader reader;
    int error = archive_reader_open(&reader, io, path);

    *summary = (struct backup_summary){0};
    if (error != 0) {
        return error;
    }
    memcpy(summary->cluster, reader.header.cluster, DRIVE_UUID_SIZE);
    summary->position = reader.header.position;
    summary->created_ms = reader.header.created_ms;
    error = reader.header.kind == ARCHIVE_BACKUP ? read_blocks(reading, &reader)
                                                 : -EBADMSG;
    archive_reader_close(&reader);
    return error;
}

int backup_restore(struct io *io, const char *path, struct kv *kv,
                   struct backup_summary *summary)
{
    struct reading reading = {
        .kv = kv, .batch = kv_batch_new(), .summary = summary};
    int error = read_file(&reading, io, path);

    kv_batch_free(reading.batch);
    return error;
}

int backup_check(struct io *io, const char *path,
                 struct backup_summary *summary)
{
    return backup_restore(io, path, NULL, summary);
}
