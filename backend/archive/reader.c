/* A file of the archive, block by block, up to the first that is not good. */
#include "archive/private.h"

#include <errno.h>

int archive_reader_open(struct archive_reader *reader, struct io *io,
                        const char *path)
{
    uint8_t bytes[ARCHIVE_HEADER_SIZE];
    int error;

    *reader = (struct archive_reader){.at = ARCHIVE_HEADER_SIZE};
    error = io_open(io, path, IO_READ, &reader->file);
    if (error != 0) {
        reader->file = NULL;
        return error;
    }
    error = io_size(reader->file, &reader->size);
    if (error == 0) {
        error = io_pread(reader->file, bytes, sizeof(bytes), 0);
    }
    if (error == 0) {
        error = archive_header_decode(bytes, &reader->header);
    }
    if (error != 0) {
        archive_reader_close(reader);
    }
    return error == -ENODATA ? -EBADMSG : error;
}

static int read_at(struct archive_reader *reader, size_t size)
{
    if (size > reader->size - reader->at) {
        return -EBADMSG;
    }
    reader->stored.size = 0;
    buffer_reserve(&reader->stored, size);
    reader->stored.size = size;
    return io_pread(reader->file, reader->stored.data, size, reader->at);
}

int archive_reader_next(struct archive_reader *reader,
                        struct archive_block *block, struct buffer *changes)
{
    size_t stored = 0, size;
    int error;

    if (reader->at == reader->size) {
        return -ENODATA;
    }
    error = read_at(reader, ARCHIVE_BLOCK_SIZE);
    if (error == 0) {
        error = archive_block_sizes(reader->stored.data, &stored, &size);
    }
    if (error == 0) {
        error = read_at(reader, ARCHIVE_BLOCK_SIZE + stored);
    }
    if (error == 0) {
        error = archive_block_decode(
            slice_of(reader->stored.data, reader->stored.size), block, changes);
    }
    if (error == 0 && (block->number != reader->blocks ||
                       block->generation != reader->header.generation)) {
        error = -EBADMSG;
    }
    if (error == 0) {
        reader->blocks++;
        reader->at += reader->stored.size;
    }
    return error;
}

void archive_reader_close(struct archive_reader *reader)
{
    io_close(reader->file);
    buffer_free(&reader->stored);
    reader->file = NULL;
}
