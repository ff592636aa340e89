/* CRC tables by place, the least recently used dropped first. One lock: it is
 * held for a few pointer moves per chunk read. */
#include "blob/private.h"

#include <stdlib.h>

static size_t table_bytes(const struct table *table)
{
    return sizeof(*table) + table->blocks * sizeof(table->crc[0]);
}

static struct table **bucket_of(struct cache *cache, const struct table *key)
{
    uint64_t hash = (key->extent ^ (key->offset >> 6)) * 0x9e3779b97f4a7c15ull;

    return &cache->buckets[(hash >> 32) % CACHE_BUCKETS];
}

static bool same_place(const struct table *a, const struct table *b)
{
    return a->extent == b->extent && a->offset == b->offset;
}

static bool same_key(const struct table *a, const struct table *b)
{
    return same_place(a, b) && a->blob == b->blob && a->chunk == b->chunk &&
           a->shard == b->shard && a->descriptor_crc == b->descriptor_crc &&
           a->blocks == b->blocks;
}

static void unreference(struct table *table)
{
    invariant(table->references > 0);
    if (--table->references == 0) {
        free(table);
    }
}

static void list_remove(struct cache *cache, struct table *table)
{
    *(table->newer ? &table->newer->older : &cache->newest) = table->older;
    *(table->older ? &table->older->newer : &cache->oldest) = table->newer;
}

static void list_push(struct cache *cache, struct table *table)
{
    table->newer = NULL;
    table->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = table;
    cache->newest = table;
}

static void drop(struct cache *cache, struct table *table)
{
    invariant(table != NULL);
    struct table **at = bucket_of(cache, table);

    while (*at != table) {
        at = &(*at)->next;
    }
    *at = table->next;
    list_remove(cache, table);
    cache->count--;
    cache->bytes -= table_bytes(table);
    unreference(table);
}

void tables_init(struct cache *cache)
{
    *cache = (struct cache){0};
    pthread_mutex_init(&cache->lock, NULL);
}

void tables_destroy(struct cache *cache)
{
    while (cache->oldest != NULL) {
        invariant(cache->oldest->references == 1);
        drop(cache, cache->oldest);
    }
    pthread_mutex_destroy(&cache->lock);
}

static struct table *find_place(struct cache *cache, const struct table *key)
{
    struct table *table = *bucket_of(cache, key);

    while (table != NULL && !same_place(table, key)) {
        table = table->next;
    }
    return table;
}

struct table *tables_get(struct cache *cache, const struct table *key)
{
    struct table *table;

    pthread_mutex_lock(&cache->lock);
    table = find_place(cache, key);
    if (table != NULL && same_key(table, key)) {
        table->references++;
        list_remove(cache, table);
        list_push(cache, table);
    } else {
        table = NULL;
    }
    pthread_mutex_unlock(&cache->lock);
    return table;
}

void tables_put(struct cache *cache, struct table *table)
{
    struct table **bucket, *old;

    pthread_mutex_lock(&cache->lock);
    table->references = 2; /* the cache's and the caller's */
    old = find_place(cache, table);
    if (old != NULL) {
        drop(cache, old);
    }
    bucket = bucket_of(cache, table);
    table->next = *bucket;
    *bucket = table;
    list_push(cache, table);
    cache->count++;
    cache->bytes += table_bytes(table);
    while (cache->count > CACHE_TABLES || cache->bytes > CACHE_BYTES) {
        drop(cache, cache->oldest);
    }
    pthread_mutex_unlock(&cache->lock);
}

void tables_release(struct cache *cache, struct table *table)
{
    pthread_mutex_lock(&cache->lock);
    unreference(table);
    pthread_mutex_unlock(&cache->lock);
}
