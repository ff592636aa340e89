/*
 * Names below a directory, one part after the other: no part is a link, so
 * that nothing outside of the directory is reached, whoever changes it
 * meanwhile.
 */
#include "transfer/private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Opens the directory `part` of `directory`, which is closed. */
static int step(int directory, const char *part, bool make)
{
    int error = 0;

    if (make && mkdirat(directory, part, 0777) != 0 && errno != EEXIST) {
        error = -errno;
    }
    int next = error == 0 ? openat(directory, part, DIRECTORY_FLAGS) : -1;
    if (error == 0 && next < 0) {
        error = errno == ELOOP ? -ENOTDIR : -errno;
    }
    close(directory);
    return error == 0 ? next : error;
}

/* The directory of the last part, and that part. */
static int descend(int directory, const char *name, bool make,
                   const char **last)
{
    char part[NAME_MAX + 1];
    const char *slash;
    int at = fcntl(directory, F_DUPFD_CLOEXEC, 0);

    *last = name;
    if (at < 0) {
        return -errno;
    }
    while ((slash = strchr(name, '/')) != NULL) {
        const size_t size = (size_t)(slash - name);
        invariant(size > 0 && size <= NAME_MAX);
        memcpy(part, name, size);
        part[size] = '\0';
        at = step(at, part, make);
        if (at < 0) {
            return at;
        }
        name = slash + 1;
    }
    *last = name;
    return at;
}

int tree_parent(int directory, const char *name, const char **last)
{
    return descend(directory, name, true, last);
}

/* O_NONBLOCK: what has become a FIFO meanwhile holds up nobody. */
int tree_open(int directory, const char *name, bool follow)
{
    const int flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC;
    const char *last;

    if (follow) {
        const int fd = openat(directory, name, flags);
        return fd >= 0 ? fd : -errno;
    }
    const int parent = descend(directory, name, false, &last);
    if (parent < 0) {
        return parent;
    }
    const int fd = openat(parent, last, flags | O_NOFOLLOW);
    const int error = errno;
    close(parent);
    return fd >= 0 ? fd : -error;
}

int tree_stat(int directory, const char *name, struct stat *status)
{
    const char *last;
    const int parent = descend(directory, name, false, &last);

    if (parent < 0) {
        return parent == -ENOTDIR ? -ENOENT : parent;
    }
    const int rc = fstatat(parent, last, status, AT_SYMLINK_NOFOLLOW);
    const int error = errno;
    close(parent);
    return rc == 0 ? 0 : -error;
}

int tree_make_directory(int directory, const char *name)
{
    const char *last;
    const int parent = descend(directory, name, true, &last);

    if (parent < 0) {
        return parent;
    }
    const int made = step(parent, last, true);
    if (made >= 0) {
        close(made);
    }
    return made < 0 ? made : 0;
}
