/*
 * Which buckets and accounts have most, of all and of their quotas: for
 * metrics, which must not grow with the number of buckets. Thread-safe.
 */
#ifndef META_FULLEST_H
#define META_FULLEST_H

#include "meta/meta.h"

#define META_FULLEST 50

struct meta_full {
    double rank;
    uint64_t bucket;    /* 0: an owner */
    struct slice owner; /* as long as the metadata are open */
    struct meta_usage used;
    Meta__Quota quota;
};

struct meta_fullest {
    uint64_t buckets; /* all of them, and what they have */
    struct meta_usage used;
    /* The largest buckets; those with the largest share of their quota, and
     * such owners. */
    struct meta_full largest[META_FULLEST], limited[META_FULLEST],
        owners[META_FULLEST];
    unsigned largest_count, limited_count, owner_count;
};

/* Looks at all that there are, in memory; not at one moment, so that no commit
 * waits for long. */
void meta_find_fullest(struct meta *meta, struct meta_fullest *fullest);
/* The larger share of both, of bytes and of objects; 0: there is no quota. */
double meta_quota_share(const struct meta_usage *used,
                        const Meta__Quota *quota);

#endif
