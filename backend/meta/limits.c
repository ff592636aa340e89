/*
 * What is stored in each bucket and how much may be, in memory: looked at and
 * counted by every commit that adds or removes a version or a part.
 *
 *   L1  The record of a bucket's usage is in the same atomic write as the
 *       changes that it counts: the store's leader adds up what the batches of
 *       a group change, in the order in which they become visible, and puts
 *       the record behind them (kv_totals). `stored` is what it says.
 *   L2  `used` is what quotas are compared with: it has what commits under way
 *       add, and what they take away only when they are durable. So of two
 *       that race for the last byte one gets it, and nobody counts on room
 *       that a failed delete does not give.
 *   L3  An owner's usage is the sum of that of its buckets: it has no record.
 *
 * The lock is held for a few instructions and over no other call; the store's
 * is taken before it.
 */
#include "meta/limits.h"

#include <errno.h>
#include <stdlib.h>

struct limits *limits_new(void)
{
    struct limits *limits = xcalloc(1, sizeof(*limits));

    invariant(pthread_mutex_init(&limits->lock, NULL) == 0);
    return limits;
}

void limits_free(struct limits *limits)
{
    for (size_t i = 0; i < limits->bucket_count; i++) {
        free(limits->buckets[i]);
    }
    for (size_t i = 0; i < limits->owner_count; i++) {
        free((void *)limits->owners[i]->id.data);
        free(limits->owners[i]);
    }
    free(limits->buckets);
    free(limits->owners);
    pthread_mutex_destroy(&limits->lock);
    free(limits);
}

/* --- the tables: lock held -------------------------------------------------*/

/* Makes room for one more pointer at `at`. */
static void **insert(void **items, size_t *count, size_t *room, size_t at)
{
    if (*count == *room) {
        *room = *room > 0 ? 2 * *room : 16;
        items = xrealloc(items, *room * sizeof(*items));
    }
    memmove(items + at + 1, items + at, (*count - at) * sizeof(*items));
    ++*count;
    return items;
}

size_t limits_owner_place(const struct limits *limits, struct slice id)
{
    size_t low = 0, high = limits->owner_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (slice_compare(limits->owners[middle]->id, id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct owner *limits_find_owner(const struct limits *limits, struct slice id)
{
    size_t at = limits_owner_place(limits, id);

    return at < limits->owner_count && slice_equal(limits->owners[at]->id, id)
               ? limits->owners[at]
               : NULL;
}

static struct owner *need_owner(struct limits *limits, struct slice id)
{
    struct owner *owner = limits_find_owner(limits, id);
    size_t at = limits_owner_place(limits, id);
    uint8_t *copy;

    if (owner != NULL) {
        return owner;
    }
    copy = xmalloc(id.size + 1);
    if (id.size > 0) {
        memcpy(copy, id.data, id.size);
    }
    owner = xcalloc(1, sizeof(*owner));
    owner->id = slice_of(copy, id.size);
    meta__quota__init(&owner->account.quota);
    limits->owners = (struct owner **)insert(
        (void **)limits->owners, &limits->owner_count, &limits->owner_room, at);
    limits->owners[at] = owner;
    return owner;
}

size_t limits_bucket_place(const struct limits *limits, uint64_t id)
{
    size_t low = 0, high = limits->bucket_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (limits->buckets[middle]->id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct bucket *limits_find_bucket(const struct limits *limits, uint64_t id)
{
    size_t at = limits_bucket_place(limits, id);

    return at < limits->bucket_count && limits->buckets[at]->id == id
               ? limits->buckets[at]
               : NULL;
}

/* Ids rise: a new one comes last. */
static struct bucket *need_bucket(struct limits *limits, uint64_t id)
{
    struct bucket *bucket = limits_find_bucket(limits, id);
    size_t at = limits_bucket_place(limits, id);

    if (bucket != NULL) {
        return bucket;
    }
    bucket = xcalloc(1, sizeof(*bucket));
    bucket->id = id;
    bucket->owner = need_owner(limits, slice_of(NULL, 0));
    meta__quota__init(&bucket->account.quota);
    limits->buckets = (struct bucket **)insert((void **)limits->buckets,
                                               &limits->bucket_count,
                                               &limits->bucket_room, at);
    limits->buckets[at] = bucket;
    return bucket;
}

/* --- numbers ---------------------------------------------------------------*/

/* A record that says too little is no reason to stop: s3ctl usage verify. */
static void add(uint64_t *number, int64_t change)
{
    if (change < 0 && (uint64_t)-change > *number) {
        *number = 0;
    } else {
        *number += (uint64_t)change;
    }
}

static int64_t gain(int64_t change)
{
    return change > 0 ? change : 0;
}

static int64_t loss(int64_t change)
{
    return change < 0 ? change : 0;
}

static void use(struct bucket *bucket, int64_t bytes, int64_t objects)
{
    struct meta_usage *owner = &bucket->owner->account.used;

    add(&bucket->account.used.bytes, bytes);
    add(&bucket->account.used.objects, objects);
    add(&owner->bytes, bytes);
    add(&owner->objects, objects);
}

static bool fits(uint64_t used, int64_t more, uint64_t most)
{
    return more <= 0 || most == 0 ||
           (used <= most && (uint64_t)more <= most - used);
}

/* Of what is a second's. */
static bool is_rated(const Meta__Quota *quota)
{
    return quota->requests != 0 || quota->download != 0 || quota->upload != 0;
}

static bool has_room(const struct account *account,
                     const struct usage_change *change)
{
    return fits(account->used.bytes, change->bytes, account->quota.bytes) &&
           fits(account->used.objects, change->objects, account->quota.objects);
}

bool meta_quota_is_none(const Meta__Quota *quota)
{
    return quota->bytes == 0 && quota->objects == 0 && !is_rated(quota);
}

static void set_quota(struct limits *limits, struct account *account,
                      const Meta__Quota *quota)
{
    const bool rated = is_rated(&account->quota);

    if (quota != NULL) {
        account->quota.bytes = quota->bytes;
        account->quota.objects = quota->objects;
        account->quota.requests = quota->requests;
        account->quota.download = quota->download;
        account->quota.upload = quota->upload;
    } else {
        meta__quota__init(&account->quota);
    }
    if (rated != is_rated(&account->quota)) {
        atomic_fetch_add(&limits->rated, rated ? (unsigned)-1 : 1u);
    }
}

/* --- what records say ------------------------------------------------------*/

void limits_set_bucket(struct limits *limits, const Meta__Bucket *record)
{
    const struct slice owner = slice_of(record->owner.data, record->owner.len);
    struct bucket *bucket;
    struct meta_usage used;

    pthread_mutex_lock(&limits->lock);
    bucket = need_bucket(limits, record->id);
    if (!slice_equal(bucket->owner->id, owner)) {
        used = bucket->account.used;
        use(bucket, -(int64_t)used.bytes, -(int64_t)used.objects);
        bucket->owner = need_owner(limits, owner);
        use(bucket, (int64_t)used.bytes, (int64_t)used.objects);
    }
    set_quota(limits, &bucket->account, record->quota);
    pthread_mutex_unlock(&limits->lock);
}

void limits_forget_bucket(struct limits *limits, uint64_t id)
{
    struct bucket *bucket;
    struct meta_usage left; /* of a record that says too much */
    size_t at;

    pthread_mutex_lock(&limits->lock);
    bucket = limits_find_bucket(limits, id);
    if (bucket != NULL) {
        at = limits_bucket_place(limits, id);
        invariant(!bucket->changed);
        left = bucket->account.used;
        use(bucket, -(int64_t)left.bytes, -(int64_t)left.objects);
        set_quota(limits, &bucket->account, NULL);
        limits->bucket_count--;
        memmove(limits->buckets + at, limits->buckets + at + 1,
                (limits->bucket_count - at) * sizeof(*limits->buckets));
        free(bucket);
    }
    pthread_mutex_unlock(&limits->lock);
}

void limits_set_owner(struct limits *limits, struct slice owner,
                      const Meta__Quota *quota)
{
    pthread_mutex_lock(&limits->lock);
    set_quota(limits, &need_owner(limits, owner)->account, quota);
    pthread_mutex_unlock(&limits->lock);
}

void limits_load(struct limits *limits, uint64_t id,
                 const struct meta_usage *usage)
{
    struct bucket *bucket;

    pthread_mutex_lock(&limits->lock);
    bucket = need_bucket(limits, id);
    bucket->stored = *usage;
    use(bucket, (int64_t)usage->bytes, (int64_t)usage->objects);
    pthread_mutex_unlock(&limits->lock);
}

/* --- commits ---------------------------------------------------------------*/

/* Counts what changes add, up to `end`, or no longer. */
static void use_gains(struct limits *limits, const struct usage_change *change,
                      const struct usage_change *end, int sign)
{
    for (; change != end; change = change->next) {
        use(need_bucket(limits, change->bucket), sign * gain(change->bytes),
            sign * gain(change->objects));
    }
}

int limits_claim(struct limits *limits, const struct usage_change *changes,
                 bool limited)
{
    const struct usage_change *change = changes;
    int rc = 0;

    if (changes == NULL) {
        return 0;
    }
    pthread_mutex_lock(&limits->lock);
    for (; change != NULL && rc == 0; change = change->next) {
        const struct bucket *bucket = need_bucket(limits, change->bucket);

        if (limited && (!has_room(&bucket->account, change) ||
                        !has_room(&bucket->owner->account, change))) {
            use_gains(limits, changes, change, -1);
            rc = -EDQUOT;
        } else {
            use_gains(limits, change, change->next, 1);
        }
    }
    pthread_mutex_unlock(&limits->lock);
    return rc;
}

void limits_settle(struct limits *limits, const struct usage_change *changes,
                   bool committed)
{
    if (changes == NULL) {
        return;
    }
    pthread_mutex_lock(&limits->lock);
    if (!committed) {
        use_gains(limits, changes, NULL, -1);
    }
    for (const struct usage_change *change = changes;
         change != NULL && committed; change = change->next) {
        use(need_bucket(limits, change->bucket), loss(change->bytes),
            loss(change->objects));
    }
    pthread_mutex_unlock(&limits->lock);
}

/* L1 */
void limits_add(void *context, const void *note)
{
    struct limits *limits = context;
    const struct usage_change *change;

    pthread_mutex_lock(&limits->lock);
    for (change = note; change != NULL; change = change->next) {
        struct bucket *bucket = need_bucket(limits, change->bucket);

        add(&bucket->stored.bytes, change->bytes);
        add(&bucket->stored.objects, change->objects);
        if (!bucket->changed) {
            bucket->changed = true;
            bucket->next_changed = limits->changed;
            limits->changed = bucket;
        }
    }
    pthread_mutex_unlock(&limits->lock);
}

void limits_put(void *context, struct kv_batch *batch)
{
    struct limits *limits = context;
    struct arena *arena = arena_new();
    struct buffer key = {0};
    struct bucket *bucket;

    pthread_mutex_lock(&limits->lock);
    while ((bucket = limits->changed) != NULL) {
        Meta__Usage usage = META__USAGE__INIT;

        limits->changed = bucket->next_changed;
        bucket->changed = false;
        usage.bytes = bucket->stored.bytes;
        usage.objects = bucket->stored.objects;
        key.size = 0;
        key_usage(&key, bucket->id);
        kv_batch_put(batch, buffer_slice(&key),
                     meta_pack(arena, META_RECORD_USAGE, &usage.base));
    }
    pthread_mutex_unlock(&limits->lock);
    buffer_free(&key);
    arena_free(arena);
}

/* --- questions -------------------------------------------------------------*/

void meta_get_usage(struct meta *meta, uint64_t id, struct meta_usage *usage)
{
    const struct bucket *bucket;

    pthread_mutex_lock(&meta->limits->lock);
    bucket = limits_find_bucket(meta->limits, id);
    *usage = bucket != NULL ? bucket->account.used : (struct meta_usage){0};
    pthread_mutex_unlock(&meta->limits->lock);
}

void meta_get_owner_usage(struct meta *meta, struct slice id,
                          struct meta_usage *usage)
{
    const struct owner *owner;

    pthread_mutex_lock(&meta->limits->lock);
    owner = limits_find_owner(meta->limits, id);
    *usage = owner != NULL ? owner->account.used : (struct meta_usage){0};
    pthread_mutex_unlock(&meta->limits->lock);
}

void meta_get_owner_quota(struct meta *meta, struct slice id,
                          Meta__Quota *quota)
{
    const struct owner *owner;

    meta__quota__init(quota);
    pthread_mutex_lock(&meta->limits->lock);
    owner = limits_find_owner(meta->limits, id);
    if (owner != NULL) {
        *quota = owner->account.quota;
    }
    pthread_mutex_unlock(&meta->limits->lock);
}

int meta_check_room(struct meta *meta, uint64_t id, int64_t bytes,
                    int64_t objects)
{
    const struct usage_change change = {
        .bucket = id, .bytes = bytes, .objects = objects};
    const struct bucket *bucket;
    bool room;

    pthread_mutex_lock(&meta->limits->lock);
    bucket = limits_find_bucket(meta->limits, id);
    room = bucket == NULL || (has_room(&bucket->account, &change) &&
                              has_room(&bucket->owner->account, &change));
    pthread_mutex_unlock(&meta->limits->lock);
    return room ? 0 : -EDQUOT;
}
