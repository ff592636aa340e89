/*
 * Where shards go: distinct drives, spread over fault domains, and among the
 * eligible the better of two random choices by load and free space
 * (Mitzenmacher, 'The Power of Two Choices').
 *
 * Pure: candidates in, choice out. Thread-safe with distinct random states.
 */
#ifndef PLACEMENT_H
#define PLACEMENT_H

#include "base/base.h"

struct placement_candidate {
    unsigned drive;  /* index */
    unsigned domain; /* number of its fault domain */
    uint64_t free;   /* bytes */
    uint64_t total;  /* bytes */
    unsigned load;   /* operations in flight */
};

/*
 * Chooses `count` distinct drives into drives[]; the i-th shard goes to
 * drives[i]. No domain gets a second shard before every domain that can take
 * one has its first, and so on. -ENOSPC if there are fewer candidates.
 */
int placement_choose(const struct placement_candidate *candidates, size_t n,
                     unsigned count, uint64_t *random_state, unsigned drives[]);

#endif
