/*
 * Preloaded into s3d: calls that may wait for a disk, on files below a
 * directory, do not return while a file that the environment names holds that
 * directory's path.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

static bool hangs(const char *path)
{
    const char *control = getenv("S3D_TEST_HANG");
    char directory[PATH_MAX] = "";
    FILE *file = control != NULL ? fopen(control, "re") : NULL;

    if (file == NULL) {
        return false;
    }
    if (fgets(directory, sizeof(directory), file) == NULL) {
        directory[0] = '\0';
    }
    fclose(file);
    return directory[0] != '\0' &&
           strncmp(path, directory, strlen(directory)) == 0 &&
           path[strlen(directory)] == '/';
}

static bool fd_hangs(int fd)
{
    char name[64], path[PATH_MAX];
    ssize_t size;

    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    size = readlink(name, path, sizeof(path) - 1);
    if (size < 0) {
        return false;
    }
    path[size] = '\0';
    return hangs(path);
}

static void wait_for_path(const char *path)
{
    while (hangs(path)) {
        usleep(1000);
    }
}

static void wait_for_fd(int fd)
{
    while (fd_hangs(fd)) {
        usleep(1000);
    }
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    wait_for_path(path);
    return NEXT(open)(path, flags, mode);
}

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
    wait_for_fd(fd);
    return NEXT(pread)(fd, data, size, offset);
}

ssize_t preadv2(int fd, const struct iovec *vector, int count, off_t offset,
                int flags)
{
    if ((flags & RWF_NOWAIT) != 0 && fd_hangs(fd)) {
        errno = EAGAIN;
        return -1;
    }
    wait_for_fd(fd);
    return NEXT(preadv2)(fd, vector, count, offset, flags);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    wait_for_fd(fd);
    return NEXT(pwrite)(fd, data, size, offset);
}

int fdatasync(int fd)
{
    wait_for_fd(fd);
    return NEXT(fdatasync)(fd);
}

int fsync(int fd)
{
    wait_for_fd(fd);
    return NEXT(fsync)(fd);
}
