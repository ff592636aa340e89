/*
 * Private to meta/: what limits.c and rates.c know of each bucket, account and
 * IAM user.
 */
#ifndef META_LIMITS_H
#define META_LIMITS_H

#include "meta/private.h"

#include <pthread.h>
#include <stdatomic.h>

/* Of what there may be so much in a second. */
enum rate { RATE_DOWNLOAD, RATE_UPLOAD, RATE_REQUESTS, RATES };

struct account {
    struct meta_usage used; /* L2 */
    Meta__Quota quota;
    /* When as much as has been let through would have come at an even rate
     * (GCRA); monotonic. */
    uint64_t even_ns[RATES];
};

/* Of buckets; or an IAM user, who owns nothing. */
struct owner {
    struct account account;
    struct slice id;
};

struct bucket {
    struct account account;
    uint64_t id;
    struct owner *owner;
    struct meta_usage stored; /* L1 */
    bool changed;             /* the record is to be put */
    struct bucket *next_changed;
};

struct limits {
    pthread_mutex_t lock;
    struct bucket **buckets; /* by id */
    size_t bucket_count, bucket_room;
    struct owner **owners; /* by id; nobody's id is empty */
    size_t owner_count, owner_room;
    struct bucket *changed;
    atomic_uint rated; /* accounts with a limit of what is a second's */
};

/* Where the first stands whose id is not less. The lock is held. */
size_t limits_bucket_place(const struct limits *limits, uint64_t id);
size_t limits_owner_place(const struct limits *limits, struct slice id);
/* NULL: there is none. The lock is held. */
struct bucket *limits_find_bucket(const struct limits *limits, uint64_t id);
struct owner *limits_find_owner(const struct limits *limits, struct slice id);

#endif
