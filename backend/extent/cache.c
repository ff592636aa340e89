/* Descriptors for reading: the least recently used ones beyond a limit are
 * closed, never one in use. */
#include "extent/private.h"

#include <errno.h>
#include <stdlib.h>

void file_cache_init(struct file_cache *cache)
{
    pthread_mutex_init(&cache->mutex, NULL);
}

static struct cached_file **bucket_of(struct file_cache *cache, uint64_t extent)
{
    return &cache->buckets[extent % FILES_OPEN_MAX];
}

static struct cached_file *find(struct file_cache *cache, uint64_t extent)
{
    struct cached_file *file = *bucket_of(cache, extent);
    while (file != NULL && file->extent != extent) {
        file = file->chain;
    }
    return file;
}

static void order_remove(struct file_cache *cache, struct cached_file *file)
{
    if (file->newer != NULL) {
        file->newer->older = file->older;
    } else {
        cache->newest = file->older;
    }
    if (file->older != NULL) {
        file->older->newer = file->newer;
    } else {
        cache->oldest = file->newer;
    }
}

static void order_add(struct file_cache *cache, struct cached_file *file)
{
    file->newer = NULL;
    file->older = cache->newest;
    if (cache->newest != NULL) {
        cache->newest->newer = file;
    } else {
        cache->oldest = file;
    }
    cache->newest = file;
}

static void unlist(struct file_cache *cache, struct cached_file *file)
{
    struct cached_file **at = bucket_of(cache, file->extent);
    while (*at != file) {
        at = &(*at)->chain;
    }
    *at = file->chain;
    order_remove(cache, file);
    cache->count--;
}

static void drop(struct drive *drive, struct cached_file *file)
{
    invariant(file->users == 0);
    drive_close_file(drive, file->file);
    free(file);
}

static void trim(struct drive *drive, unsigned limit)
{
    struct file_cache *cache = &drive->cache;
    struct cached_file *file = cache->oldest;
    while (file != NULL && cache->count > limit) {
        struct cached_file *newer = file->newer;
        if (file->users == 0) {
            unlist(cache, file);
            drop(drive, file);
        }
        file = newer;
    }
}

void file_cache_destroy(struct file_cache *cache)
{
    while (cache->oldest != NULL) {
        struct cached_file *file = cache->oldest;
        invariant(file->users == 0);
        unlist(cache, file);
        io_close(file->file);
        free(file);
    }
    invariant(cache->count == 0);
    pthread_mutex_destroy(&cache->mutex);
}

static struct cached_file *take(struct file_cache *cache, uint64_t extent)
{
    struct cached_file *file = find(cache, extent);
    if (file != NULL) {
        file->users++;
        order_remove(cache, file);
        order_add(cache, file);
    }
    return file;
}

static struct cached_file *insert(struct drive *drive, uint64_t extent,
                                  struct io_file *opened,
                                  const struct io_node *node)
{
    struct file_cache *cache = &drive->cache;
    struct cached_file *file = xcalloc(1, sizeof(*file));
    file->extent = extent;
    file->file = opened;
    file->node = *node;
    file->users = 1;
    struct cached_file **bucket = bucket_of(cache, extent);
    file->chain = *bucket;
    *bucket = file;
    order_add(cache, file);
    cache->count++;
    trim(drive, FILES_OPEN_MAX);
    return file;
}

int file_cache_get(struct drive *drive, uint64_t extent, unsigned flags,
                   struct cached_file **file)
{
    struct file_cache *cache = &drive->cache;
    pthread_mutex_lock(&cache->mutex);
    *file = take(cache, extent);
    pthread_mutex_unlock(&cache->mutex);
    if (*file != NULL) {
        return 0;
    }

    char path[DRIVE_PATH_SIZE];
    drive_extent_path(drive, extent, path);
    struct io_file *opened;
    struct io_node node;
    int r = io_open(drive->io, path, IO_READ | flags, &opened);
    if (r == -ENOENT) {
        r = extent_gone(drive, extent);
    }
    if (r != 0) {
        return r;
    }
    r = io_node(opened, &node);
    if (r != 0) {
        drive_close_file(drive, opened);
        return r;
    }
    pthread_mutex_lock(&cache->mutex);
    *file = take(cache, extent);
    if (*file == NULL) {
        *file = insert(drive, extent, opened, &node);
        opened = NULL;
    }
    pthread_mutex_unlock(&cache->mutex);
    drive_close_file(drive, opened); /* another thread was first */
    if (extent_gone(drive, extent) == -ESTALE) {
        file_cache_forget(drive, *file); /* or it would keep the space */
    }
    return 0;
}

bool file_cache_has(struct drive *drive, uint64_t extent,
                    const struct io_node *node)
{
    struct file_cache *cache = &drive->cache;
    pthread_mutex_lock(&cache->mutex);
    const struct cached_file *file = find(cache, extent);
    bool has = file != NULL && io_node_same(&file->node, node);
    pthread_mutex_unlock(&cache->mutex);
    return has;
}

void file_cache_saw(struct drive *drive, struct cached_file *file)
{
    struct file_cache *cache = &drive->cache;
    pthread_mutex_lock(&cache->mutex);
    file->at_path_us = clock_monotonic_us();
    pthread_mutex_unlock(&cache->mutex);
}

bool file_cache_seen(struct drive *drive, uint64_t extent, uint64_t age_us,
                     struct io_node *node)
{
    struct file_cache *cache = &drive->cache;
    const uint64_t now = clock_monotonic_us();
    pthread_mutex_lock(&cache->mutex);
    const struct cached_file *file = find(cache, extent);
    bool seen = file != NULL && file->at_path_us != 0 &&
                now - file->at_path_us < age_us;
    if (seen) {
        *node = file->node;
    }
    pthread_mutex_unlock(&cache->mutex);
    return seen;
}

void file_cache_put(struct drive *drive, struct cached_file *file)
{
    struct file_cache *cache = &drive->cache;
    pthread_mutex_lock(&cache->mutex);
    invariant(file->users > 0);
    file->users--;
    if (file->forgotten && file->users == 0) {
        drop(drive, file);
    }
    trim(drive, FILES_OPEN_MAX);
    pthread_mutex_unlock(&cache->mutex);
}

void file_cache_forget(struct drive *drive, struct cached_file *file)
{
    struct file_cache *cache = &drive->cache;
    pthread_mutex_lock(&cache->mutex);
    invariant(file->users > 0);
    if (!file->forgotten) {
        unlist(cache, file);
        file->forgotten = true;
    }
    pthread_mutex_unlock(&cache->mutex);
}

/* With the mutex: closed by its last user. */
static void remove_file(struct drive *drive, struct cached_file *file)
{
    unlist(&drive->cache, file);
    file->forgotten = true;
    if (file->users == 0) {
        drop(drive, file);
    }
}

void file_cache_remove(struct drive *drive, uint64_t extent)
{
    struct file_cache *cache = &drive->cache;
    pthread_mutex_lock(&cache->mutex);
    struct cached_file *file = find(cache, extent);
    if (file != NULL) {
        remove_file(drive, file);
    }
    pthread_mutex_unlock(&cache->mutex);
}

void file_cache_forget_all(struct drive *drive)
{
    struct file_cache *cache = &drive->cache;
    pthread_mutex_lock(&cache->mutex);
    struct cached_file *file = cache->newest;
    while (file != NULL) {
        struct cached_file *older = file->older;
        remove_file(drive, file);
        file = older;
    }
    pthread_mutex_unlock(&cache->mutex);
}
