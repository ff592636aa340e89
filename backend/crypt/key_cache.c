/*
 * Keys that were unwrapped a moment ago, so that a storm of reads does not ask
 * the provider each time. Found by a digest over all that unwrapping depends
 * on; the digest's first byte says where among the entries it may be.
 */
#include "crypt/private.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SETS        256u
#define WAYS        4u
#define DIGEST_SIZE 32u

struct entry {
    uint8_t digest[DIGEST_SIZE];
    uint8_t key[CRYPT_KEY_SIZE];
    uint64_t until_us; /* monotonic; 0: empty */
};

struct key_cache {
    pthread_mutex_t lock;
    uint64_t life_us;
    uint64_t swept_us;
    struct entry *entries; /* SETS * WAYS of them */
};

#define ENTRIES_SIZE (SETS * WAYS * sizeof(struct entry))

struct key_cache *key_cache_new(unsigned life_ms)
{
    struct key_cache *cache = xcalloc(1, sizeof(*cache));
    pthread_mutex_init(&cache->lock, NULL);
    cache->life_us = UINT64_C(1000) * life_ms;
    cache->entries = secret_alloc(ENTRIES_SIZE);
    return cache;
}

void key_cache_free(struct key_cache *cache)
{
    secret_free(cache->entries, ENTRIES_SIZE);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* Each part with its size before it, so that no two inputs are the same. */
static void add_part(EVP_MD_CTX *context, const void *data, size_t size)
{
    uint8_t head[8];
    put_u64be(head, size);
    invariant(EVP_DigestUpdate(context, head, sizeof(head)) == 1);
    invariant(EVP_DigestUpdate(context, data, size) == 1);
}

static void digest_of(struct slice bound, const struct crypt_envelope *envelope,
                      uint8_t digest[DIGEST_SIZE])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    invariant(context != NULL);
    invariant(EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1);
    add_part(context, envelope->key_id, strlen(envelope->key_id));
    add_part(context, envelope->wrapped, envelope->size);
    add_part(context, bound.data, bound.size);
    invariant(EVP_DigestFinal_ex(context, digest, NULL) == 1);
    EVP_MD_CTX_free(context);
}

static struct entry *set_of(struct key_cache *cache,
                            const uint8_t digest[DIGEST_SIZE])
{
    return cache->entries + (size_t)digest[0] * WAYS;
}

bool key_cache_get(struct key_cache *cache, struct slice bound,
                   const struct crypt_envelope *envelope,
                   uint8_t object_key[CRYPT_KEY_SIZE])
{
    uint8_t digest[DIGEST_SIZE];
    bool found = false;

    digest_of(bound, envelope, digest);
    const uint64_t now_us = clock_monotonic_us();
    pthread_mutex_lock(&cache->lock);
    const struct entry *set = set_of(cache, digest);
    for (unsigned i = 0; i < WAYS; i++) {
        if (now_us < set[i].until_us &&
            memcmp(set[i].digest, digest, DIGEST_SIZE) == 0) {
            memcpy(object_key, set[i].key, CRYPT_KEY_SIZE);
            found = true;
        }
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

/* Once in a life: what has run out does not stay in memory. */
static void sweep(struct key_cache *cache, uint64_t now_us)
{
    if (now_us - cache->swept_us < cache->life_us) {
        return;
    }
    cache->swept_us = now_us;
    for (size_t i = 0; i < (size_t)SETS * WAYS; i++) {
        if (cache->entries[i].until_us <= now_us) {
            OPENSSL_cleanse(&cache->entries[i], sizeof(struct entry));
        }
    }
}

void key_cache_put(struct key_cache *cache, struct slice bound,
                   const struct crypt_envelope *envelope,
                   const uint8_t object_key[CRYPT_KEY_SIZE])
{
    uint8_t digest[DIGEST_SIZE];

    if (cache->life_us == 0) {
        return;
    }
    digest_of(bound, envelope, digest);
    const uint64_t now_us = clock_monotonic_us();
    pthread_mutex_lock(&cache->lock);
    sweep(cache, now_us);
    struct entry *set = set_of(cache, digest), *oldest = set;
    for (unsigned i = 1; i < WAYS; i++) {
        if (set[i].until_us < oldest->until_us) {
            oldest = &set[i];
        }
    }
    memcpy(oldest->digest, digest, DIGEST_SIZE);
    memcpy(oldest->key, object_key, CRYPT_KEY_SIZE);
    oldest->until_us = now_us + cache->life_us;
    pthread_mutex_unlock(&cache->lock);
}
