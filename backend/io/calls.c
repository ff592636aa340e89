/* Thin calls through the table, and small files written atomically. */
#include "io/io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void io_free(struct io *io)
{
    if (io != NULL) {
        io->operations->free(io);
    }
}

int io_open(struct io *io, const char *path, unsigned flags,
            struct io_file **file)
{
    return io->operations->open(io, path, flags, file);
}

void io_close(struct io_file *file)
{
    if (file != NULL) {
        file->io->operations->close(file);
    }
}

int io_pread(struct io_file *file, void *data, size_t size, uint64_t offset)
{
    return file->io->operations->pread(file, data, size, offset);
}

int io_pread_now(struct io_file *file, void *data, size_t size, uint64_t offset)
{
    return file->io->operations->pread_now(file, data, size, offset);
}

int io_pwrite(struct io_file *file, const void *data, size_t size,
              uint64_t offset)
{
    return file->io->operations->pwrite(file, data, size, offset);
}

int io_pwrite_direct(struct io_file *file, const void *data, size_t size,
                     uint64_t offset)
{
    return file->io->operations->pwrite_direct(file, data, size, offset);
}

void io_write_back(struct io_file *file, uint64_t offset, uint64_t size)
{
    file->io->operations->write_back(file, offset, size);
}

int io_fdatasync(struct io_file *file)
{
    return file->io->operations->fdatasync(file);
}

int io_size(struct io_file *file, uint64_t *size)
{
    return file->io->operations->size(file, size);
}

int io_node(struct io_file *file, struct io_node *node)
{
    return file->io->operations->node(file, node);
}

int io_node_at(struct io *io, const char *path, struct io_node *node)
{
    return io->operations->node_at(io, path, 0, node);
}

int io_node_at_now(struct io *io, const char *path, struct io_node *node)
{
    return io->operations->node_at(io, path, IO_NOW, node);
}

int io_is_at(struct io_file *file, const char *path)
{
    struct io_node open, there;
    int r = io_node_at(file->io, path, &there);
    if (r == 0) {
        r = io_node(file, &open);
    }
    return r == 0 && !io_node_same(&open, &there) ? -ENOENT : r;
}

int io_mkdir(struct io *io, const char *path)
{
    return io->operations->mkdir(io, path, false);
}

int io_mkdir_owned(struct io *io, const char *path)
{
    return io->operations->mkdir(io, path, true);
}

int io_rename(struct io *io, const char *from, const char *to)
{
    return io->operations->rename(io, from, to);
}

int io_unlink(struct io *io, const char *path)
{
    return io->operations->unlink(io, path);
}

int io_sync_dir(struct io *io, const char *path)
{
    return io->operations->sync_dir(io, path);
}

int io_list(struct io *io, const char *path, io_list_fn fn, void *context)
{
    return io->operations->list(io, path, fn, context);
}

int io_space(struct io *io, const char *path, struct io_space *space)
{
    return io->operations->space(io, path, space);
}

int io_lock(struct io_file *file)
{
    return file->io->operations->lock(file);
}

int io_sync_parent(struct io *io, const char *path)
{
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/') {
        size--;
    }
    while (size > 0 && path[size - 1] != '/') {
        size--;
    }
    while (size > 1 && path[size - 1] == '/') {
        size--;
    }
    if (size == 0) {
        return io_sync_dir(io, ".");
    }
    char *parent = xmalloc(size + 1);
    memcpy(parent, path, size);
    parent[size] = '\0';
    int r = io_sync_dir(io, parent);
    free(parent);
    return r;
}

static int write_new(struct io *io, const char *path, const void *data,
                     size_t size)
{
    struct io_file *file;
    int r = io_open(io, path, IO_WRITE | IO_CREATE, &file);
    if (r == -EEXIST) {
        /* Left by a crash. */
        r = io_unlink(io, path);
        if (r == 0) {
            r = io_open(io, path, IO_WRITE | IO_CREATE, &file);
        }
    }
    if (r != 0) {
        return r;
    }
    r = io_pwrite(file, data, size, 0);
    if (r == 0) {
        r = io_fdatasync(file);
    }
    io_close(file);
    if (r != 0) {
        io_unlink(io, path);
    }
    return r;
}

int io_write_file(struct io *io, const char *path, const void *data,
                  size_t size)
{
    static const char suffix[] = ".new";
    size_t length = strlen(path);
    char *temporary = xmalloc(length + sizeof(suffix));
    memcpy(temporary, path, length);
    memcpy(temporary + length, suffix, sizeof(suffix));

    int r = write_new(io, temporary, data, size);
    if (r == 0) {
        r = io_rename(io, temporary, path);
    }
    if (r == 0) {
        r = io_sync_parent(io, path);
    }
    free(temporary);
    return r;
}

int io_read_file(struct io *io, const char *path, size_t limit,
                 struct buffer *data)
{
    struct io_file *file;
    int r = io_open(io, path, IO_READ, &file);
    if (r != 0) {
        return r;
    }
    uint64_t size = 0;
    r = io_size(file, &size);
    if (r == 0 && size > limit) {
        r = -EFBIG;
    }
    if (r == 0 && size > 0) {
        buffer_reserve(data, data->size + size);
        r = io_pread(file, data->data + data->size, size, 0);
        if (r == 0) {
            data->size += size;
        }
    }
    io_close(file);
    return r;
}
