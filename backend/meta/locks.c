/*
 * Striped locks.
 *
 * Two names may share a stripe, so a thread that held two locks of one kind
 * could wait for itself or, with another thread, for ever. It may hold one of
 * each kind, taken in the order bucket, key, blob: `held` checks both.
 */
#include "meta/private.h"

#include <stdlib.h>
#include <string.h>

#define KEY_STRIPES    1024
#define BUCKET_STRIPES 256
#define BLOB_STRIPES   256

enum held { HELD_BUCKET = 1, HELD_KEY = 2, HELD_BLOB = 4 };

struct locks {
    pthread_rwlock_t buckets[BUCKET_STRIPES];
    pthread_mutex_t keys[KEY_STRIPES];
    pthread_mutex_t blobs[BLOB_STRIPES];
};

static _Thread_local unsigned held;

/* M4: nothing of this kind or a later one is held yet. */
static void take(enum held kind)
{
    invariant(held < kind);
    held |= kind;
}

static void give(enum held kind)
{
    invariant(held & kind);
    held &= ~(unsigned)kind;
}

struct locks *locks_new(void)
{
    struct locks *locks = xmalloc(sizeof(*locks));
    pthread_mutexattr_t mutex;
    pthread_rwlockattr_t rwlock;
    size_t i;

    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_settype(&mutex, PTHREAD_MUTEX_ERRORCHECK);
    pthread_rwlockattr_init(&rwlock);
    /* Or a stream of uploads would keep a bucket from ever being changed. */
    pthread_rwlockattr_setkind_np(&rwlock,
                                  PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    for (i = 0; i < BUCKET_STRIPES; i++) {
        invariant(pthread_rwlock_init(&locks->buckets[i], &rwlock) == 0);
    }
    for (i = 0; i < KEY_STRIPES; i++) {
        invariant(pthread_mutex_init(&locks->keys[i], &mutex) == 0);
    }
    for (i = 0; i < BLOB_STRIPES; i++) {
        invariant(pthread_mutex_init(&locks->blobs[i], &mutex) == 0);
    }
    pthread_mutexattr_destroy(&mutex);
    pthread_rwlockattr_destroy(&rwlock);
    return locks;
}

void locks_free(struct locks *locks)
{
    size_t i;

    for (i = 0; i < BUCKET_STRIPES; i++) {
        invariant(pthread_rwlock_destroy(&locks->buckets[i]) == 0);
    }
    for (i = 0; i < KEY_STRIPES; i++) {
        invariant(pthread_mutex_destroy(&locks->keys[i]) == 0);
    }
    for (i = 0; i < BLOB_STRIPES; i++) {
        invariant(pthread_mutex_destroy(&locks->blobs[i]) == 0);
    }
    free(locks);
}

/* FNV-1a, the high bits folded in. */
static size_t stripe_of(uint64_t number, struct slice bytes, size_t stripes)
{
    uint64_t hash = (0xCBF29CE484222325 ^ number) * 0x9E3779B97F4A7C15;
    size_t i;

    for (i = 0; i < bytes.size; i++) {
        hash = (hash ^ bytes.data[i]) * 0x100000001B3;
    }
    return (hash ^ hash >> 32) % stripes;
}

static pthread_mutex_t *key_stripe(struct meta *meta, uint64_t bucket,
                                   struct slice key)
{
    return &meta->locks->keys[stripe_of(bucket, key, KEY_STRIPES)];
}

static size_t blob_stripe_of(uint64_t blob)
{
    return stripe_of(blob, (struct slice){NULL, 0}, BLOB_STRIPES);
}

static pthread_mutex_t *blob_stripe(struct meta *meta, uint64_t blob)
{
    return &meta->locks->blobs[blob_stripe_of(blob)];
}

static pthread_rwlock_t *bucket_stripe(struct meta *meta, struct slice bucket)
{
    return &meta->locks->buckets[stripe_of(0, bucket, BUCKET_STRIPES)];
}

/* A lock that is taken keeps this thread waiting as long as a commit. */
static void lock_mutex(pthread_mutex_t *mutex)
{
    if (pthread_mutex_trylock(mutex) != 0) {
        const uint64_t began = clock_monotonic_us();

        blocking_begin();
        invariant(pthread_mutex_lock(mutex) == 0);
        blocking_end();
        phase_add(PHASE_LOCK, began);
    }
}

static void lock_bucket(pthread_rwlock_t *lock, bool exclusive)
{
    if ((exclusive ? pthread_rwlock_trywrlock(lock)
                   : pthread_rwlock_tryrdlock(lock)) != 0) {
        const uint64_t began = clock_monotonic_us();

        blocking_begin();
        invariant((exclusive ? pthread_rwlock_wrlock(lock)
                             : pthread_rwlock_rdlock(lock)) == 0);
        blocking_end();
        phase_add(PHASE_LOCK, began);
    }
}

void meta_bucket_lock(struct meta *meta, struct slice bucket, bool exclusive)
{
    pthread_rwlock_t *stripe = bucket_stripe(meta, bucket);

    take(HELD_BUCKET);
    lock_bucket(stripe, exclusive);
}

void meta_bucket_unlock(struct meta *meta, struct slice bucket)
{
    give(HELD_BUCKET);
    invariant(pthread_rwlock_unlock(bucket_stripe(meta, bucket)) == 0);
}

void meta_key_lock(struct meta *meta, uint64_t bucket, struct slice key)
{
    take(HELD_KEY);
    lock_mutex(key_stripe(meta, bucket, key));
}

void meta_key_unlock(struct meta *meta, uint64_t bucket, struct slice key)
{
    give(HELD_KEY);
    invariant(pthread_mutex_unlock(key_stripe(meta, bucket, key)) == 0);
}

/* Inserts a stripe into an ascending list, each once; returns its length. */
static size_t add_stripe(size_t *stripes, size_t used, size_t stripe)
{
    size_t at = used;

    while (at > 0 && stripes[at - 1] > stripe) {
        at--;
    }
    if (at > 0 && stripes[at - 1] == stripe) {
        return used;
    }
    memmove(stripes + at + 1, stripes + at, (used - at) * sizeof(*stripes));
    stripes[at] = stripe;
    return used + 1;
}

static size_t key_stripes(uint64_t bucket, const struct slice *keys,
                          size_t count, size_t stripes[META_KEYS_LOCKED_MAX])
{
    size_t used = 0;

    invariant(count > 0 && count <= META_KEYS_LOCKED_MAX);
    for (size_t i = 0; i < count; i++) {
        used =
            add_stripe(stripes, used, stripe_of(bucket, keys[i], KEY_STRIPES));
    }
    return used;
}

/* Everybody who takes several stripes takes the lower ones first. */
void meta_key_lock_many(struct meta *meta, uint64_t bucket,
                        const struct slice *keys, size_t count)
{
    size_t stripes[META_KEYS_LOCKED_MAX];
    size_t used = key_stripes(bucket, keys, count, stripes);

    take(HELD_KEY);
    for (size_t i = 0; i < used; i++) {
        lock_mutex(&meta->locks->keys[stripes[i]]);
    }
}

void meta_key_unlock_many(struct meta *meta, uint64_t bucket,
                          const struct slice *keys, size_t count)
{
    size_t stripes[META_KEYS_LOCKED_MAX];
    size_t used = key_stripes(bucket, keys, count, stripes);

    give(HELD_KEY);
    for (size_t i = 0; i < used; i++) {
        invariant(pthread_mutex_unlock(&meta->locks->keys[stripes[i]]) == 0);
    }
}

void meta_blob_lock(struct meta *meta, uint64_t blob)
{
    take(HELD_BLOB);
    lock_mutex(blob_stripe(meta, blob));
}

void meta_blob_unlock(struct meta *meta, uint64_t blob)
{
    give(HELD_BLOB);
    invariant(pthread_mutex_unlock(blob_stripe(meta, blob)) == 0);
}

static size_t blob_stripes(const uint64_t *blobs, size_t count,
                           size_t stripes[META_BLOBS_LOCKED_MAX])
{
    size_t used = 0;

    invariant(count > 0 && count <= META_BLOBS_LOCKED_MAX);
    for (size_t i = 0; i < count; i++) {
        used = add_stripe(stripes, used, blob_stripe_of(blobs[i]));
    }
    return used;
}

void meta_blob_lock_many(struct meta *meta, const uint64_t *blobs, size_t count)
{
    size_t stripes[META_BLOBS_LOCKED_MAX];
    size_t used = blob_stripes(blobs, count, stripes);

    take(HELD_BLOB);
    for (size_t i = 0; i < used; i++) {
        lock_mutex(&meta->locks->blobs[stripes[i]]);
    }
}

void meta_blob_unlock_many(struct meta *meta, const uint64_t *blobs,
                           size_t count)
{
    size_t stripes[META_BLOBS_LOCKED_MAX];
    size_t used = blob_stripes(blobs, count, stripes);

    give(HELD_BLOB);
    for (size_t i = 0; i < used; i++) {
        invariant(pthread_mutex_unlock(&meta->locks->blobs[stripes[i]]) == 0);
    }
}
