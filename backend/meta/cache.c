/*
 * All buckets in memory: the envelopes, sorted by name.
 */
#include "meta/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct cached {
    struct slice name, value; /* both in one allocation, at name.data */
    uint64_t id;
};

struct bucket_cache {
    pthread_rwlock_t lock;
    struct cached *entries;
    size_t count, capacity;
};

struct bucket_cache *bucket_cache_new(void)
{
    struct bucket_cache *cache = xcalloc(1, sizeof(*cache));

    invariant(pthread_rwlock_init(&cache->lock, NULL) == 0);
    return cache;
}

void bucket_cache_free(struct bucket_cache *cache)
{
    size_t i;

    for (i = 0; i < cache->count; i++) {
        free((void *)cache->entries[i].name.data);
    }
    free(cache->entries);
    pthread_rwlock_destroy(&cache->lock);
    free(cache);
}

/* The first entry whose name is >= name. */
static size_t lower_bound(const struct bucket_cache *cache, struct slice name)
{
    size_t low = 0, high = cache->count, middle;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (slice_compare(cache->entries[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_at(const struct bucket_cache *cache, size_t at,
                  struct slice name)
{
    return at < cache->count && slice_equal(cache->entries[at].name, name);
}

static void insert(struct bucket_cache *cache, size_t at, struct cached entry)
{
    if (cache->count == cache->capacity) {
        cache->capacity = cache->capacity ? 2 * cache->capacity : 16;
        cache->entries =
            xrealloc(cache->entries, cache->capacity * sizeof(*cache->entries));
    }
    memmove(cache->entries + at + 1, cache->entries + at,
            (cache->count - at) * sizeof(*cache->entries));
    cache->entries[at] = entry;
    cache->count++;
}

static void erase(struct bucket_cache *cache, size_t at)
{
    cache->count--;
    memmove(cache->entries + at, cache->entries + at + 1,
            (cache->count - at) * sizeof(*cache->entries));
}

/* Only what is well-formed comes here. */
static uint64_t id_of(struct slice name, struct slice value)
{
    struct arena *arena = arena_new();
    Meta__Bucket *bucket;
    uint64_t id;

    invariant(record_bucket(arena, value, name, &bucket) == 0);
    id = bucket->id;
    arena_free(arena);
    return id;
}

void bucket_cache_set(struct bucket_cache *cache, struct slice name,
                      struct slice value)
{
    uint8_t *bytes = NULL, *old = NULL;
    struct cached entry;
    size_t at;

    if (value.size > 0) {
        bytes = xmalloc(name.size + value.size);
        memcpy(bytes, name.data, name.size);
        memcpy(bytes + name.size, value.data, value.size);
        entry.name = slice_of(bytes, name.size);
        entry.value = slice_of(bytes + name.size, value.size);
        entry.id = id_of(entry.name, entry.value);
    }
    pthread_rwlock_wrlock(&cache->lock);
    at = lower_bound(cache, name);
    if (is_at(cache, at, name)) {
        old = (uint8_t *)cache->entries[at].name.data;
        erase(cache, at);
    }
    if (bytes != NULL) {
        insert(cache, at, entry);
    }
    pthread_rwlock_unlock(&cache->lock);
    free(old);
}

int bucket_cache_get(struct bucket_cache *cache, struct arena *arena,
                     struct slice name, struct slice *value)
{
    int rc = -ENOENT;
    size_t at;

    pthread_rwlock_rdlock(&cache->lock);
    at = lower_bound(cache, name);
    if (is_at(cache, at, name)) {
        *value = arena_copy(arena, cache->entries[at].value.data,
                            cache->entries[at].value.size);
        rc = 0;
    }
    pthread_rwlock_unlock(&cache->lock);
    return rc;
}

int bucket_cache_get_by_id(struct bucket_cache *cache, struct arena *arena,
                           uint64_t id, struct slice *name, struct slice *value)
{
    int rc = -ENOENT;

    pthread_rwlock_rdlock(&cache->lock);
    for (size_t i = 0; rc != 0 && i < cache->count; i++) {
        const struct cached *entry = &cache->entries[i];

        if (entry->id == id) {
            *name = arena_copy(arena, entry->name.data, entry->name.size);
            *value = arena_copy(arena, entry->value.data, entry->value.size);
            rc = 0;
        }
    }
    pthread_rwlock_unlock(&cache->lock);
    return rc;
}
