#include "meta/fullest.h"

#include "meta/limits.h"

#include <string.h>

#define STEP 64u /* looked at under the lock at once */

static double share(uint64_t used, uint64_t most)
{
    return most > 0 ? (double)used / (double)most : 0;
}

double meta_quota_share(const struct meta_usage *used, const Meta__Quota *quota)
{
    const double bytes = share(used->bytes, quota->bytes);
    const double objects = share(used->objects, quota->objects);

    return bytes > objects ? bytes : objects;
}

/* Takes its place among the first META_FULLEST. */
static void rank(struct meta_full *list, unsigned *count, double value,
                 const struct account *account, uint64_t bucket,
                 struct slice owner)
{
    unsigned at = *count;

    while (at > 0 && list[at - 1].rank < value) {
        at--;
    }
    if (at == META_FULLEST) {
        return;
    }
    if (*count < META_FULLEST) {
        ++*count;
    }
    memmove(list + at + 1, list + at, (*count - at - 1) * sizeof(*list));
    list[at] = (struct meta_full){.rank = value,
                                  .bucket = bucket,
                                  .owner = owner,
                                  .used = account->used,
                                  .quota = account->quota};
}

static bool has_quota(const struct account *account)
{
    return account->quota.bytes != 0 || account->quota.objects != 0;
}

static void see_bucket(struct meta_fullest *fullest,
                       const struct bucket *bucket)
{
    const struct account *account = &bucket->account;
    const struct slice none = slice_of(NULL, 0);

    fullest->buckets++;
    fullest->used.bytes += account->used.bytes;
    fullest->used.objects += account->used.objects;
    rank(fullest->largest, &fullest->largest_count, (double)account->used.bytes,
         account, bucket->id, none);
    if (has_quota(account)) {
        rank(fullest->limited, &fullest->limited_count,
             meta_quota_share(&account->used, &account->quota), account,
             bucket->id, none);
    }
}

static void see_owner(struct meta_fullest *fullest, const struct owner *owner)
{
    const struct account *account = &owner->account;

    if (has_quota(account)) {
        rank(fullest->owners, &fullest->owner_count,
             meta_quota_share(&account->used, &account->quota), account, 0,
             owner->id);
    }
}

/* From the bucket *next on; false: that was the last. */
static bool see_buckets(struct limits *limits, struct meta_fullest *fullest,
                        uint64_t *next)
{
    size_t at, end;

    pthread_mutex_lock(&limits->lock);
    at = limits_bucket_place(limits, *next);
    end = limits->bucket_count - at > STEP ? at + STEP : limits->bucket_count;
    for (; at < end; at++) {
        see_bucket(fullest, limits->buckets[at]);
        *next = limits->buckets[at]->id + 1;
    }
    end = limits->bucket_count;
    pthread_mutex_unlock(&limits->lock);
    return at < end;
}

/* The same, from behind *last on. Owners stay where they are in memory. */
static bool see_owners(struct limits *limits, struct meta_fullest *fullest,
                       const struct owner **last)
{
    size_t at = 0, end;

    pthread_mutex_lock(&limits->lock);
    if (*last != NULL) {
        at = limits_owner_place(limits, (*last)->id) + 1;
    }
    end = limits->owner_count - at > STEP ? at + STEP : limits->owner_count;
    for (; at < end; at++) {
        *last = limits->owners[at];
        see_owner(fullest, *last);
    }
    end = limits->owner_count;
    pthread_mutex_unlock(&limits->lock);
    return at < end;
}

void meta_find_fullest(struct meta *meta, struct meta_fullest *fullest)
{
    const struct owner *last = NULL;
    uint64_t next = 0;

    memset(fullest, 0, sizeof(*fullest));
    while (see_buckets(meta->limits, fullest, &next)) {
        continue;
    }
    while (see_owners(meta->limits, fullest, &last)) {
        continue;
    }
}
