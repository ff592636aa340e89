/*
 * What a provider said a moment ago, so that a storm of requests does not ask
 * it each time. Found by a digest over all that the answer depends on; the
 * digest's first byte says where among the entries it may be.
 */
#include "crypt/private.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define WAYS        4u
#define DIGEST_SIZE 32u

struct entry {
    uint8_t digest[DIGEST_SIZE];
    uint64_t until_us; /* monotonic; 0: empty */
    uint64_t used_us;
    uint64_t uses;
    uint8_t value[];
};

struct cache {
    pthread_mutex_t lock;
    struct cache_shape shape;
    size_t entry_size;
    uint64_t life_us;
    uint64_t swept_us, cleared_us;
    uint8_t *entries; /* shape.sets * WAYS of them */
};

static size_t entries_size(const struct cache *cache)
{
    return cache->shape.sets * WAYS * cache->entry_size;
}

struct cache *cache_new(const struct cache_shape *shape)
{
    struct cache *cache = xcalloc(1, sizeof(*cache));

    invariant(shape->sets >= 1 && shape->sets <= 256);
    invariant(shape->value_size % sizeof(uint64_t) == 0);
    pthread_mutex_init(&cache->lock, NULL);
    cache->shape = *shape;
    cache->entry_size = sizeof(struct entry) + shape->value_size;
    cache->life_us = UINT64_C(1000) * shape->life_ms;
    cache->entries = secret_alloc(entries_size(cache));
    return cache;
}

void cache_free(struct cache *cache)
{
    secret_free(cache->entries, entries_size(cache));
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* Each part with its size before it, so that no two inputs are the same. */
static void add_part(EVP_MD_CTX *context, struct slice part)
{
    uint8_t head[8];
    put_u64be(head, part.size);
    invariant(EVP_DigestUpdate(context, head, sizeof(head)) == 1);
    invariant(EVP_DigestUpdate(context, part.data, part.size) == 1);
}

static void digest_of(const struct slice *parts, size_t count,
                      uint8_t digest[DIGEST_SIZE])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    invariant(context != NULL);
    invariant(EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1);
    for (size_t i = 0; i < count; i++) {
        add_part(context, parts[i]);
    }
    invariant(EVP_DigestFinal_ex(context, digest, NULL) == 1);
    EVP_MD_CTX_free(context);
}

static struct entry *entry_at(const struct cache *cache, size_t at)
{
    return (struct entry *)(cache->entries + at * cache->entry_size);
}

/* One of the set where the digest may be. */
static struct entry *entry_of(const struct cache *cache,
                              const uint8_t digest[DIGEST_SIZE], unsigned way)
{
    return entry_at(cache, (digest[0] % cache->shape.sets) * WAYS + way);
}

bool cache_get(struct cache *cache, const struct slice *parts, size_t count,
               void *value)
{
    const uint64_t uses = cache->shape.uses;
    uint8_t digest[DIGEST_SIZE];
    bool found = false;

    digest_of(parts, count, digest);
    const uint64_t now_us = clock_monotonic_us();
    pthread_mutex_lock(&cache->lock);
    for (unsigned i = 0; i < WAYS; i++) {
        struct entry *entry = entry_of(cache, digest, i);
        if (now_us < entry->until_us && (uses == 0 || entry->uses < uses) &&
            memcmp(entry->digest, digest, DIGEST_SIZE) == 0) {
            entry->used_us = now_us;
            entry->uses++;
            memcpy(value, entry->value, cache->shape.value_size);
            found = true;
            break;
        }
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

/* Once in a life: what has run out does not stay in memory. */
static void sweep(struct cache *cache, uint64_t now_us)
{
    if (now_us - cache->swept_us < cache->life_us) {
        return;
    }
    cache->swept_us = now_us;
    for (size_t i = 0; i < (size_t)cache->shape.sets * WAYS; i++) {
        struct entry *entry = entry_at(cache, i);
        if (entry->until_us <= now_us) {
            OPENSSL_cleanse(entry, cache->entry_size);
        }
    }
}

/* The one of the digest, or else the one that was not used for longest. */
static struct entry *entry_to_replace(const struct cache *cache,
                                      const uint8_t digest[DIGEST_SIZE])
{
    struct entry *oldest = entry_of(cache, digest, 0);
    for (unsigned i = 0; i < WAYS; i++) {
        struct entry *entry = entry_of(cache, digest, i);
        if (memcmp(entry->digest, digest, DIGEST_SIZE) == 0) {
            return entry;
        }
        if (entry->used_us < oldest->used_us) {
            oldest = entry;
        }
    }
    return oldest;
}

void cache_put(struct cache *cache, const struct slice *parts, size_t count,
               const void *value, uint64_t asked_us)
{
    uint8_t digest[DIGEST_SIZE];

    if (cache->life_us == 0) {
        return;
    }
    digest_of(parts, count, digest);
    const uint64_t now_us = clock_monotonic_us();
    pthread_mutex_lock(&cache->lock);
    sweep(cache, now_us);
    if (asked_us > cache->cleared_us) {
        struct entry *entry = entry_to_replace(cache, digest);
        memcpy(entry->digest, digest, DIGEST_SIZE);
        memcpy(entry->value, value, cache->shape.value_size);
        entry->until_us = asked_us + cache->life_us;
        entry->used_us = now_us;
        entry->uses = 1;
    }
    pthread_mutex_unlock(&cache->lock);
}

void cache_clear(struct cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    cache->cleared_us = clock_monotonic_us();
    OPENSSL_cleanse(cache->entries, entries_size(cache));
    pthread_mutex_unlock(&cache->lock);
}
