#include "s3/policy_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "s3/document.h"

#define SLOTS 1024u /* a bucket has one of them */

struct slot {
    uint64_t bucket, revision;
    struct policy *policy; /* NULL: the slot is free */
};

struct s3_policy_cache {
    pthread_mutex_t lock;
    struct slot slots[SLOTS];
};

struct s3_policy_cache *s3_policy_cache_new(void)
{
    struct s3_policy_cache *cache = xcalloc(1, sizeof(*cache));

    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

void s3_policy_cache_free(struct s3_policy_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    for (size_t i = 0; i < SLOTS; i++) {
        policy_release(cache->slots[i].policy);
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static struct policy *find(struct s3_policy_cache *cache,
                           const Meta__Bucket *bucket)
{
    const struct slot *slot = &cache->slots[bucket->id % SLOTS];
    struct policy *policy = NULL;

    pthread_mutex_lock(&cache->lock);
    if (slot->policy != NULL && slot->bucket == bucket->id &&
        slot->revision == bucket->policy_revision) {
        policy = policy_retain(slot->policy);
    }
    pthread_mutex_unlock(&cache->lock);
    return policy;
}

static void put(struct s3_policy_cache *cache, const Meta__Bucket *bucket,
                struct policy *policy)
{
    struct slot *slot = &cache->slots[bucket->id % SLOTS];
    struct policy *old;

    pthread_mutex_lock(&cache->lock);
    old = slot->policy;
    *slot = (struct slot){.bucket = bucket->id,
                          .revision = bucket->policy_revision,
                          .policy = policy_retain(policy)};
    pthread_mutex_unlock(&cache->lock);
    policy_release(old);
}

int policy_cache_get(struct s3_policy_cache *cache, const Meta__Bucket *bucket,
                     struct policy **policy)
{
    struct slice document = document_get(bucket, DOCUMENT_POLICY);
    char message[POLICY_MESSAGE_MAX];

    *policy = NULL;
    if (document.data == NULL) {
        return 0;
    }
    *policy = find(cache, bucket);
    if (*policy != NULL) {
        return 0;
    }
    if (policy_parse(POLICY_BUCKET, pb_slice(bucket->name), document, policy,
                     message) != 0) {
        log_error("the policy of bucket %.*s: %s", (int)bucket->name.len,
                  (const char *)bucket->name.data, message);
        *policy = NULL;
        return -EBADMSG;
    }
    put(cache, bucket, *policy);
    return 0;
}
