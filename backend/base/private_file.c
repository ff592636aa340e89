/* Small files that only s3d may read: keys. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_synced(int fd, struct slice data)
{
    size_t done = 0;

    while (done < data.size) {
        const ssize_t n = write(fd, data.data + done, data.size - done);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        done += (size_t)n;
    }
    return fsync(fd) == 0 ? 0 : -errno;
}

static int sync_directory_of(const char *path)
{
    char *copy = xstrdup(path);
    const int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = 0;

    free(copy);
    if (fd < 0) {
        return -errno;
    }
    if (fsync(fd) != 0) {
        error = -errno;
    }
    close(fd);
    return error;
}

static int write_new(const char *path, struct slice data)
{
    if (unlink(path) != 0 && errno != ENOENT) { /* left by a crash */
        return -errno;
    }
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return -errno;
    }
    const int error = write_synced(fd, data);
    close(fd);
    return error;
}

/* link() never replaces what is there, rename() always does. */
static int publish(const char *from, const char *path, bool replace)
{
    return (replace ? rename(from, path) : link(from, path)) == 0 ? 0 : -errno;
}

int private_file_write(const char *path, struct slice data, bool replace)
{
    struct buffer name = {0};
    buffer_printf(&name, "%s.new", path);
    buffer_append(&name, "", 1);
    const char *temporary = (const char *)name.data;
    int error = write_new(temporary, data);

    if (error == 0) {
        error = publish(temporary, path, replace);
    }
    if (error != 0 || !replace) {
        unlink(temporary);
    }
    if (error == 0) {
        error = sync_directory_of(path);
    }
    buffer_free(&name);
    return error;
}

int private_file_line(const char *path, char *line, size_t capacity)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    ssize_t size = -EACCES;

    if (fd < 0) {
        return -errno;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        (st.st_mode & S_IRWXO) == 0) {
        size = read(fd, line, capacity);
        size = size < 0 ? -errno : size;
    }
    close(fd);
    if (size == (ssize_t)capacity) {
        return -EINVAL;
    }
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r')) {
        size--;
    }
    for (ssize_t i = 0; i < size; i++) {
        if ((uint8_t)line[i] < ' ' || line[i] == 0x7F) {
            return -EINVAL;
        }
    }
    if (size >= 0) {
        line[size] = '\0';
    }
    return size == 0 ? -EINVAL : (int)size;
}
