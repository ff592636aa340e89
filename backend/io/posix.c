/* The file interface over a POSIX file system. */
#include "io/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The group may read: nginx's workers send extents themselves. */
#define FILE_MODE      0640
#define DIRECTORY_MODE 0750
#define OWNED_MODE     0700

struct posix_file {
    struct io_file base;
    int fd;
    bool direct;
    atomic_int past_cache; /* a descriptor for writing with O_DIRECT */
};

/* Of past_cache: */
#define NOT_OPENED (-1)
#define NOT_THERE  (-2)

/* Of O_DIRECT, in bytes: that of all drives in use. */
#define DIRECT_ALIGN 4096u

static int fd_of(struct io_file *file)
{
    return ((struct posix_file *)file)->fd;
}

/* -EAGAIN if the names are not all in memory. A kernel that cannot tell, before
 * 5.12, or a sandbox that forbids to ask, has them looked up. */
static int open_now(const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)flags, .resolve = RESOLVE_CACHED};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

    if (fd < 0 && (errno == ENOSYS || errno == EINVAL || errno == EPERM)) {
        fd = open(path, flags);
    }
    return fd < 0 ? -errno : fd;
}

static struct io_file *new_file(struct io *io, int fd)
{
    struct posix_file *opened = xmalloc(sizeof(*opened));
    opened->base.io = io;
    opened->fd = fd;
    opened->direct = false;
    atomic_init(&opened->past_cache, NOT_OPENED);
    return &opened->base;
}

/* A file system that cannot do it is read as always. */
static int open_direct(struct io *io, const char *path, struct io_file **file)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
    bool direct = fd >= 0;

    if (fd < 0 && errno == EINVAL) {
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0) {
        return -errno;
    }
    *file = new_file(io, fd);
    ((struct posix_file *)*file)->direct = direct;
    return 0;
}

static int posix_open(struct io *io, const char *path, unsigned flags,
                      struct io_file **file)
{
    if ((flags & IO_DIRECT) != 0) {
        invariant(flags == IO_DIRECT);
        return open_direct(io, path, file);
    }
    int how = O_CLOEXEC;
    how |= (flags & (IO_WRITE | IO_CREATE)) != 0 ? O_RDWR : O_RDONLY;
    if ((flags & IO_CREATE) != 0) {
        how |= O_CREAT | O_EXCL;
    }
    int fd;
    if ((flags & IO_NOW) != 0) {
        invariant(flags == IO_NOW);
        fd = open_now(path, how);
        if (fd < 0) {
            return fd;
        }
    } else {
        do {
            fd = open(path, how, FILE_MODE);
        } while (fd < 0 && errno == EINTR);
        if (fd < 0) {
            return -errno;
        }
    }
    *file = new_file(io, fd);
    return 0;
}

static void posix_close(struct io_file *file)
{
    int past_cache = atomic_load(&((struct posix_file *)file)->past_cache);

    if (past_cache >= 0) {
        close(past_cache);
    }
    close(fd_of(file));
    free(file);
}

/* What is in the page cache is copied at once; only what is not makes the
 * thread count as waiting. */
static ssize_t read_some(int fd, void *data, size_t size, off_t offset)
{
    struct iovec vector = {data, size};
    ssize_t n = preadv2(fd, &vector, 1, offset, RWF_NOWAIT);

    if (n > 0) {
        return n;
    }
    blocking_begin();
    n = pread(fd, data, size, offset);
    blocking_end();
    return n;
}

/* Whole pages around what is wanted, up to the end of the file. */
static int read_direct(int fd, void *data, size_t size, uint64_t offset)
{
    uint64_t begin = offset - offset % DIRECT_ALIGN;
    size_t wanted = offset - begin + size, got = 0;
    size_t room = (wanted + DIRECT_ALIGN - 1) / DIRECT_ALIGN * DIRECT_ALIGN;
    uint8_t *pages = aligned_alloc(DIRECT_ALIGN, room);
    ssize_t n = 1;

    invariant(pages != NULL);
    while (got < wanted && n > 0 && got % DIRECT_ALIGN == 0) {
        do {
            n = pread(fd, pages + got, room - got, (off_t)(begin + got));
        } while (n < 0 && errno == EINTR);
        got += n > 0 ? (size_t)n : 0;
    }
    int error = n < 0 ? -errno : got < wanted ? -ENODATA : 0;
    if (error == 0) {
        memcpy(data, pages + (offset - begin), size);
    }
    free(pages);
    return error;
}

static int posix_pread(struct io_file *file, void *data, size_t size,
                       uint64_t offset)
{
    if (((struct posix_file *)file)->direct) {
        return read_direct(fd_of(file), data, size, offset);
    }
    uint8_t *out = data;
    while (size > 0) {
        ssize_t n = read_some(fd_of(file), out, size, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -ENODATA;
        }
        out += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

static int posix_pread_now(struct io_file *file, void *data, size_t size,
                           uint64_t offset)
{
    uint8_t *out = data;
    while (size > 0) {
        struct iovec vector = {out, size};
        ssize_t n = preadv2(fd_of(file), &vector, 1, (off_t)offset, RWF_NOWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            /* A file system that cannot tell waits. */
            return n == 0 ? -ENODATA : errno == EOPNOTSUPP ? -EAGAIN : -errno;
        }
        out += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

/* Large writes are where the kernel makes a writer wait for the drive. */
static ssize_t write_some(int fd, const void *data, size_t size, off_t offset)
{
    bool large = size >= 64 * 1024;
    ssize_t n;

    if (large) {
        blocking_begin();
    }
    n = pwrite(fd, data, size, offset);
    if (large) {
        blocking_end();
    }
    return n;
}

static int write_all(int fd, const void *data, size_t size, uint64_t offset)
{
    const uint8_t *in = data;
    while (size > 0) {
        ssize_t n = write_some(fd, in, size, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        in += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

static int posix_pwrite(struct io_file *file, const void *data, size_t size,
                        uint64_t offset)
{
    return write_all(fd_of(file), data, size, offset);
}

/* Of the open file, whatever its path names by now. */
static int past_cache(struct posix_file *file)
{
    int known = atomic_load(&file->past_cache);
    char path[32];

    if (known != NOT_OPENED) {
        return known;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_DIRECT);
    int opened = fd >= 0 ? fd : NOT_THERE;
    if (atomic_compare_exchange_strong(&file->past_cache, &known, opened)) {
        return opened;
    }
    if (fd >= 0) { /* another thread was first */
        close(fd);
    }
    return known;
}

/* What the file system does not take is written as always. */
static int posix_pwrite_direct(struct io_file *file, const void *data,
                               size_t size, uint64_t offset)
{
    bool fits = size % DIRECT_ALIGN == 0 && offset % DIRECT_ALIGN == 0 &&
                (uintptr_t)data % DIRECT_ALIGN == 0;
    int fd = fits ? past_cache((struct posix_file *)file) : NOT_THERE;
    int r = fd >= 0 ? write_all(fd, data, size, offset) : -EINVAL;

    return r == -EINVAL ? posix_pwrite(file, data, size, offset) : r;
}

/* Without the flags that wait, which would take an error that fdatasync is to
 * report. A file system that cannot do it writes later. */
static void posix_write_back(struct io_file *file, uint64_t offset,
                             uint64_t size)
{
    (void)!sync_file_range(fd_of(file), (off_t)offset, (off_t)size,
                           SYNC_FILE_RANGE_WRITE);
}

/* Not repeated, whatever the error: a second call could report success for
 * pages that the first one dropped. */
static int posix_fdatasync(struct io_file *file)
{
    return fdatasync(fd_of(file)) == 0 ? 0 : -errno;
}

static int posix_size(struct io_file *file, uint64_t *size)
{
    struct stat st;
    if (fstat(fd_of(file), &st) != 0) {
        return -errno;
    }
    *size = (uint64_t)st.st_size;
    return 0;
}

static int node_of(const struct stat *st, struct io_node *node)
{
    node->device = (uint64_t)st->st_dev;
    node->number = (uint64_t)st->st_ino;
    return 0;
}

static int posix_node(struct io_file *file, struct io_node *node)
{
    struct stat st;
    return fstat(fd_of(file), &st) == 0 ? node_of(&st, node) : -errno;
}

static int posix_node_at(struct io *io, const char *path, unsigned flags,
                         struct io_node *node)
{
    (void)io;
    struct stat st;
    if ((flags & IO_NOW) == 0) {
        return stat(path, &st) == 0 ? node_of(&st, node) : -errno;
    }
    int fd = open_now(path, O_PATH | O_CLOEXEC);
    if (fd < 0) {
        return fd;
    }
    int r = fstat(fd, &st) == 0 ? node_of(&st, node) : -errno;
    close(fd);
    return r;
}

static int posix_mkdir(struct io *io, const char *path, bool owned)
{
    (void)io;
    if (mkdir(path, owned ? OWNED_MODE : DIRECTORY_MODE) == 0) {
        return 0;
    }
    if (errno != EEXIST) {
        return -errno;
    }
    struct stat st;
    if (stat(path, &st) != 0) {
        return -errno;
    }
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static int posix_rename(struct io *io, const char *from, const char *to)
{
    (void)io;
    return rename(from, to) == 0 ? 0 : -errno;
}

static int posix_unlink(struct io *io, const char *path)
{
    (void)io;
    return unlink(path) == 0 ? 0 : -errno;
}

static int posix_sync_dir(struct io *io, const char *path)
{
    (void)io;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int r = fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    return r;
}

static int posix_list(struct io *io, const char *path, io_list_fn fn,
                      void *context)
{
    (void)io;
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return -errno;
    }
    int r = 0;
    while (r == 0) {
        errno = 0;
        struct dirent *entry = readdir(directory);
        if (entry == NULL) {
            r = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0) {
            r = fn(context, entry->d_name);
        }
    }
    closedir(directory);
    return r;
}

static int posix_space(struct io *io, const char *path, struct io_space *space)
{
    (void)io;
    struct statvfs st;
    if (statvfs(path, &st) != 0) {
        return -errno;
    }
    space->total = (uint64_t)st.f_blocks * st.f_frsize;
    space->free = (uint64_t)st.f_bavail * st.f_frsize;
    return 0;
}

static int posix_lock(struct io_file *file)
{
    int r;
    do {
        r = flock(fd_of(file), LOCK_EX | LOCK_NB);
    } while (r != 0 && errno == EINTR);
    if (r == 0) {
        return 0;
    }
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

static void posix_free(struct io *io)
{
    (void)io;
}

static const struct io_operations posix_operations = {
    .open = posix_open,
    .close = posix_close,
    .pread = posix_pread,
    .pread_now = posix_pread_now,
    .pwrite = posix_pwrite,
    .pwrite_direct = posix_pwrite_direct,
    .write_back = posix_write_back,
    .fdatasync = posix_fdatasync,
    .size = posix_size,
    .node = posix_node,
    .node_at = posix_node_at,
    .mkdir = posix_mkdir,
    .rename = posix_rename,
    .unlink = posix_unlink,
    .sync_dir = posix_sync_dir,
    .list = posix_list,
    .space = posix_space,
    .lock = posix_lock,
    .free = posix_free,
};

struct io *io_posix(void)
{
    static struct io io = {&posix_operations};
    return &io;
}
