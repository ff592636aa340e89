/*
 * A directory and all below it, in the order of the keys that its files get: a
 * directory is sorted as its name and "/".
 */
#include "transfer/private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Each level adds two bytes to a key at least. */
#define DEPTH_MAX (KEY_SIZE_MAX / 2)

struct item {
    char *name;
    mode_t mode;
    uint64_t size;
    struct timespec mtime, ctime;
    int error;
};

struct level {
    int fd;
    dev_t device;
    ino_t inode;
    struct item *items;
    size_t count, capacity, next;
    size_t name_size; /* of the whole name up to here */
};

struct walk {
    bool follow;
    int error; /* of the directory itself, until it is told */
    struct level levels[DEPTH_MAX];
    unsigned depth; /* of open levels */
    struct buffer name;
};

/* --- one directory ---------------------------------------------------------*/
static int compare(const void *left, const void *right)
{
    const struct item *a = left, *b = right;
    const uint8_t *x = (const uint8_t *)a->name, *y = (const uint8_t *)b->name;

    while (*x != '\0' && *x == *y) {
        x++;
        y++;
    }
    const int end_a = *x != '\0' ? *x : S_ISDIR(a->mode) ? '/' : 0;
    const int end_b = *y != '\0' ? *y : S_ISDIR(b->mode) ? '/' : 0;
    return end_a - end_b;
}

static void add(struct walk *walk, struct level *level, const char *name)
{
    struct stat status = {0};
    int rc = fstatat(level->fd, name, &status, AT_SYMLINK_NOFOLLOW);

    if (rc == 0 && S_ISLNK(status.st_mode) && walk->follow) {
        rc = fstatat(level->fd, name, &status, 0);
    }
    if (level->count == level->capacity) {
        level->capacity = level->capacity == 0 ? 64 : 2 * level->capacity;
        level->items =
            xrealloc(level->items, level->capacity * sizeof(struct item));
    }
    level->items[level->count++] = (struct item){
        .name = xstrdup(name),
        .mode = status.st_mode,
        .size = (uint64_t)status.st_size,
        .mtime = status.st_mtim,
        .ctime = status.st_ctim,
        .error = rc == 0 ? 0 : errno,
    };
}

/* All names of it, sorted. */
static int read_level(struct walk *walk, struct level *level)
{
    const int fd = fcntl(level->fd, F_DUPFD_CLOEXEC, 0);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    if (stream == NULL) {
        const int error = -errno;
        if (fd >= 0) {
            close(fd);
        }
        return error;
    }
    rewinddir(stream); /* its place is shared with the descriptor's */
    errno = 0;
    while ((entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 &&
            strcmp(entry->d_name, "..") != 0) {
            add(walk, level, entry->d_name);
        }
        errno = 0;
    }
    const int error = -errno;
    closedir(stream);
    if (level->count > 0) {
        qsort(level->items, level->count, sizeof(struct item), compare);
    }
    return error;
}

static void close_level(struct level *level)
{
    for (size_t i = 0; i < level->count; i++) {
        free(level->items[i].name);
    }
    free(level->items);
    close(level->fd);
}

/* --- levels ----------------------------------------------------------------*/
static bool is_open(const struct walk *walk, const struct stat *status)
{
    for (unsigned i = 0; i < walk->depth; i++) {
        if (walk->levels[i].device == status->st_dev &&
            walk->levels[i].inode == status->st_ino) {
            return true;
        }
    }
    return false;
}

/* Takes the descriptor over. -EISDIR: it is empty. */
static int push(struct walk *walk, int fd)
{
    struct level level = {.fd = fd, .name_size = walk->name.size};
    struct stat status;
    int error = 0;

    if (walk->depth == DEPTH_MAX) {
        error = -ENAMETOOLONG;
    } else if (fstat(fd, &status) != 0) {
        error = -errno;
    } else if (is_open(walk, &status)) {
        error = -ELOOP;
    } else {
        level.device = status.st_dev;
        level.inode = status.st_ino;
        error = read_level(walk, &level);
    }
    if (error == 0 && level.count == 0 && walk->depth > 0) {
        error = -EISDIR;
    }
    if (error != 0) {
        close_level(&level);
        return error;
    }
    walk->levels[walk->depth++] = level;
    return 0;
}

static int push_child(struct walk *walk, const char *name)
{
    const int flags =
        O_RDONLY | O_DIRECTORY | O_CLOEXEC | (walk->follow ? 0 : O_NOFOLLOW);
    const int fd = openat(walk->levels[walk->depth - 1].fd, name, flags);

    return fd < 0 ? -errno : push(walk, fd);
}

/* --- the walk --------------------------------------------------------------*/
struct walk *walk_new(int directory, bool follow)
{
    struct walk *walk = xcalloc(1, sizeof(*walk));
    const int fd = fcntl(directory, F_DUPFD_CLOEXEC, 0);

    walk->follow = follow;
    walk->error = fd < 0 ? -errno : push(walk, fd);
    return walk;
}

void walk_free(struct walk *walk)
{
    if (walk == NULL) {
        return;
    }
    while (walk->depth > 0) {
        close_level(&walk->levels[--walk->depth]);
    }
    buffer_free(&walk->name);
    free(walk);
}

static void set_name(struct walk *walk, const struct level *level,
                     const char *name)
{
    walk->name.size = level->name_size;
    if (level->name_size > 0) {
        buffer_append(&walk->name, "/", 1);
    }
    buffer_append(&walk->name, name, strlen(name) + 1);
    walk->name.size--; /* the NUL stays behind it */
}

static bool unreadable(struct walk_entry *entry, int error)
{
    entry->kind = WALK_UNREADABLE;
    entry->error = error;
    return true;
}

/* False: it is a directory, which is open now. */
static bool show(struct walk *walk, const struct item *item,
                 struct walk_entry *entry)
{
    *entry = (struct walk_entry){
        .name = (const char *)walk->name.data,
        .size = item->size,
        .mtime = item->mtime,
        .ctime = item->ctime,
    };
    if (item->error != 0) {
        return unreadable(entry, -item->error);
    }
    if (S_ISDIR(item->mode)) {
        const int error = push_child(walk, item->name);
        entry->kind = WALK_EMPTY;
        return error == -EISDIR ? true
               : error != 0     ? unreadable(entry, error)
                                : false;
    }
    entry->kind = S_ISREG(item->mode)   ? WALK_FILE
                  : S_ISLNK(item->mode) ? WALK_LINK
                                        : WALK_SPECIAL;
    return true;
}

bool walk_next(struct walk *walk, struct walk_entry *entry)
{
    if (walk->error != 0) {
        *entry = (struct walk_entry){.name = "."};
        unreadable(entry, walk->error);
        walk->error = 0;
        return true;
    }
    while (walk->depth > 0) {
        struct level *level = &walk->levels[walk->depth - 1];

        if (level->next == level->count) {
            close_level(level);
            walk->depth--;
            continue;
        }
        const struct item *item = &level->items[level->next++];
        set_name(walk, level, item->name);
        if (show(walk, item, entry)) {
            return true;
        }
    }
    return false;
}
