/*
 * The end of LevelDB's log after a power cut.
 *
 * Every commit is synced before it is acknowledged, and the next one is
 * written after that. So a cut leaves at most the last record of the newest
 * log in pieces: cut short, or with pages that read as zeros. LevelDB with
 * paranoid checks takes the second for corruption and does not open; without
 * them it steps over any damage, also to acknowledged records. Here the piece
 * is cut off, and only if no other record begins behind it.
 *
 * The log is blocks of 32 KiB. A record is one fragment, or several in as
 * many blocks: CRC-32C of type and data, masked (4 bytes), length of the data
 * (2), type (1), data. A block's last bytes, if fewer than 7, are not used.
 */
#include "kv/private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK          32768u
#define HEADER         7u
#define CRC_MASK_DELTA 0xa282ead8u
#define LOG_SIZE_MAX   (256u << 20) /* a larger one is left to LevelDB */
#define LOST_TAILS_MAX 10000u
#define FILE_MODE      0600

enum fragment_type { FULL = 1, FIRST, MIDDLE, LAST };

struct fragment {
    enum fragment_type type;
    size_t end;
};

/* --- reading a log ---------------------------------------------------------*/

static uint32_t unmask(uint32_t masked)
{
    uint32_t rotated = masked - CRC_MASK_DELTA;

    return rotated >> 17 | rotated << 15;
}

static bool fragment_at(const uint8_t *log, size_t size, size_t at,
                        struct fragment *fragment)
{
    size_t room = BLOCK - at % BLOCK, length;
    const uint8_t *header = log + at;
    uint8_t type;

    room = room < size - at ? room : size - at;
    if (room < HEADER) {
        return false;
    }
    length = get_u16le(header + 4);
    type = header[6];
    if (type < FULL || type > LAST || length > room - HEADER) {
        return false;
    }
    /* What goes on in the next block fills its own. */
    if ((type == FIRST || type == MIDDLE) &&
        (at + HEADER + length) % BLOCK != 0) {
        return false;
    }
    fragment->type = (enum fragment_type)type;
    fragment->end = at + HEADER + length;
    return crc32c_bytes(header + 6, 1 + length) == unmask(get_u32le(header));
}

/* At any byte: the lengths that lead from one fragment to the next may be
 * what is damaged. */
static bool record_begins_after(const uint8_t *log, size_t size, size_t at)
{
    struct fragment fragment;

    for (; at < size; at++) {
        if (fragment_at(log, size, at, &fragment) &&
            (fragment.type == FULL || fragment.type == FIRST)) {
            return true;
        }
    }
    return false;
}

int log_tail_find(const uint8_t *log, size_t size, size_t *whole)
{
    struct fragment fragment;
    bool inside = false;
    size_t at = 0;

    *whole = 0;
    while (at < size) {
        bool begins;

        if (BLOCK - at % BLOCK < HEADER) {
            at += BLOCK - at % BLOCK;
            continue;
        }
        if (!fragment_at(log, size, at, &fragment)) {
            break;
        }
        begins = fragment.type == FULL || fragment.type == FIRST;
        if (begins == inside) {
            break;
        }
        inside = fragment.type == FIRST || fragment.type == MIDDLE;
        at = fragment.end;
        *whole = inside ? *whole : at;
    }
    if (at >= size && !inside) {
        *whole = size;
        return 0;
    }
    return record_begins_after(log, size, at) ? -EBADMSG : 0;
}

/* --- files -----------------------------------------------------------------*/

static bool log_number(const char *name, uint64_t *number)
{
    size_t digits = strspn(name, "0123456789");

    return strcmp(name + digits, ".log") == 0 &&
           slice_to_u64(slice_of(name, digits), number) == 0;
}

typedef int (*log_fn)(void *context, const char *name, uint64_t number);

/* Calls back for every log; stops at a non-zero return, which it gives. */
static int each_log(int directory, log_fn fn, void *context)
{
    struct dirent *entry;
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    uint64_t number;
    int result = 0;

    if (dir == NULL) {
        result = -errno;
        if (copy >= 0) {
            close(copy);
        }
        return result;
    }
    while (result == 0 && (entry = readdir(dir)) != NULL) {
        if (log_number(entry->d_name, &number)) {
            result = fn(context, entry->d_name, number);
        }
    }
    closedir(dir);
    return result;
}

struct newest {
    char *name; /* NAME_MAX + 1 bytes; "" if there is none */
    uint64_t number;
};

static int take_newest(void *context, const char *name, uint64_t number)
{
    struct newest *newest = context;

    if (newest->name[0] == '\0' || number >= newest->number) {
        snprintf(newest->name, NAME_MAX + 1, "%s", name);
        newest->number = number;
    }
    return 0;
}

/* The name of the newest log: 1, 0 if there is none. */
static int find_newest(int directory, char out[NAME_MAX + 1])
{
    struct newest newest = {.name = out};
    int error;

    out[0] = '\0';
    error = each_log(directory, take_newest, &newest);
    return error != 0 ? error : out[0] != '\0';
}

struct discard {
    struct io *io;
    const char *directory;
};

static int discard_log(void *context, const char *name)
{
    const struct discard *discard = context;
    char path[PATH_MAX];
    uint64_t number;
    int n;

    if (!log_number(name, &number)) {
        return 0;
    }
    n = snprintf(path, sizeof(path), "%s/%s", discard->directory, name);
    invariant(n > 0 && n < PATH_MAX);
    return io_unlink(discard->io, path);
}

int log_tail_discard(struct io *io, const char *directory)
{
    struct discard discard = {io, directory};
    int error = io_list(io, directory, discard_log, &discard);

    return error != 0 ? error : io_sync_dir(io, directory);
}

static int take_highest(void *context, const char *name)
{
    uint64_t *highest = context, number;

    if (log_number(name, &number) && number > *highest) {
        *highest = number;
    }
    return 0;
}

int log_tail_highest(struct io *io, const char *directory, uint64_t *number)
{
    *number = 0;
    return io_list(io, directory, take_highest, number);
}

static int read_all(int fd, uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = read(fd, data, size);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

static int write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

/* Opens the first lost-tail-<n> that is not there yet. */
static int create_lost(int directory, char name[32])
{
    for (unsigned i = 1; i <= LOST_TAILS_MAX; i++) {
        int fd;

        snprintf(name, 32, "lost-tail-%u", i);
        fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                    FILE_MODE);
        if (fd >= 0 || errno != EEXIST) {
            return fd >= 0 ? fd : -errno;
        }
    }
    return -EEXIST;
}

/* For whoever wants to know what was cut off. A full file system must not
 * keep the store closed for it. */
static int keep_lost(int directory, const uint8_t *data, size_t size)
{
    char name[32];
    int fd = create_lost(directory, name);
    int error = fd < 0 ? fd : write_all(fd, data, size);

    if (error == 0 && (fsync(fd) != 0 || fsync(directory) != 0)) {
        error = -errno;
    }
    if (fd >= 0) {
        close(fd);
    }
    if (error == 0) {
        log_warn("metadata: they are kept in %s", name);
    } else {
        log_warn("metadata: they cannot be kept in %s: %s", name,
                 strerror(-error));
        if (fd >= 0) {
            unlinkat(directory, name, 0);
        }
    }
    return error == -ENOSPC || error == -EDQUOT ? 0 : error;
}

static int cut(int directory, int fd, const char *name, const uint8_t *log,
               size_t size, size_t whole)
{
    int error;

    log_warn("metadata: the last record of %s was never written whole, so it "
             "was not acknowledged: its %zu bytes from %zu on are cut off",
             name, size - whole, whole);
    error = keep_lost(directory, log + whole, size - whole);
    if (error == 0 && (ftruncate(fd, (off_t)whole) != 0 || fsync(fd) != 0)) {
        error = -errno;
    }
    return error;
}

static int repair_file(int directory, int fd, const char *name)
{
    struct stat st;
    size_t size, whole;
    uint8_t *log;
    int error;

    if (fstat(fd, &st) != 0) {
        return -errno;
    }
    if (st.st_size > LOG_SIZE_MAX) {
        return 0;
    }
    size = (size_t)st.st_size;
    log = xmalloc(size + 1);
    error = read_all(fd, log, size);
    if (error == 0) {
        error = log_tail_find(log, size, &whole);
        if (error == -EBADMSG) {
            log_error("metadata: %s is damaged at byte %zu, and records that "
                      "may be acknowledged follow: nothing is changed, "
                      "restore the metadata or the disk",
                      name, whole);
        } else if (error == 0 && whole < size) {
            error = cut(directory, fd, name, log, size, whole);
        }
    }
    free(log);
    return error;
}

int log_tail_repair(int directory)
{
    char name[NAME_MAX + 1];
    int fd, error = find_newest(directory, name);

    if (error <= 0) {
        return error;
    }
    fd = openat(directory, name, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    error = repair_file(directory, fd, name);
    close(fd);
    return error;
}
