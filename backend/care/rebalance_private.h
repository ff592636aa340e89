/*
 * Private to rebalance*.c:
 *
 *   rebalance.c         the thread, passes, status
 *   rebalance_levels.c  how full drives are, and which shards change that:
 *                       decides, moves nothing
 *   rebalance_move.c    the walks over all blobs that move shards
 */
#ifndef CARE_REBALANCE_PRIVATE_H
#define CARE_REBALANCE_PRIVATE_H

#include "care/private.h"
#include "care/rebalance.h"

/* --- rebalance_levels.c ----------------------------------------------------*/
struct level {
    bool takes; /* OK and not drained */
    bool slow;  /* is given none while that lasts */
    unsigned domain;
    uint64_t live, total, free; /* bytes */
};
struct levels {
    struct level drives[REBALANCE_DRIVES_MAX];
    unsigned count;
    double mean; /* of those that take shards */
};
/* Computes the mean. */
void levels_set_mean(struct levels *levels);
double level_of(const struct level *level);
/* None is further from the mean than `percent` of it. */
bool levels_are_even(const struct levels *levels, double percent);
/* Bytes above the mean, of all that take shards. */
uint64_t levels_excess(const struct levels *levels);

/* The shards of a blob, as blob_shards() gives them. */
struct shards {
    struct blob_shard *list;
    size_t count, room;
};
void shards_add(void *shards, const struct blob_shard *shard);
/* Which of the blob's shards are to go where, so that levels become even: D2,
 * D3. `moves` has room for all of them. Returns how many; levels become what
 * they are after that. */
size_t levels_plan(struct levels *levels, const struct shards *shards,
                   struct blob_move *moves);

/* --- the whole -------------------------------------------------------------*/
/* What is to be done depends on it: a change of it ends a walk. */
struct situation {
    uint64_t ok, draining, removed; /* bits */
    bool stopped;
};

struct rebalance {
    struct rebalance_options options;
    struct pace pace;
    atomic_bool stopping;
    int failing;               /* log_failing(); with pass_lock */
    pthread_mutex_t pass_lock; /* one pass at a time; also the next two */
    struct situation seen;     /* when the last one began */
    uint64_t again_ms;         /* monotonic: levels are tried again */

    pthread_mutex_t lock; /* everything below */
    pthread_cond_t work;  /* CLOCK_MONOTONIC */
    bool woken, forced, stopped;
    enum rebalance_state state; /* of a walk under way, else EVEN */
    uint64_t pass_began_ms;     /* monotonic: of the walk */
    struct rebalance_status status;
    pthread_t thread;
};
void situation_read(struct rebalance *rebalance, struct situation *situation);
/* Whether it is still what it was. */
bool situation_is(struct rebalance *rebalance, const struct situation *was);
/* False: what is live is not known. */
bool levels_read(struct rebalance *rebalance, struct levels *levels);

/* --- rebalance_move.c ------------------------------------------------------*/
struct walked {
    uint64_t moved; /* shards */
    uint64_t stuck;
    bool whole; /* it came to its end */
};
/* Moves what is on the drive to others, until the situation is another. */
int drain_drive(struct rebalance *rebalance, unsigned drive,
                const struct situation *situation, struct walked *walked);
/* Moves shards until levels are even within `percent`. */
int even_out(struct rebalance *rebalance, double percent,
             const struct situation *situation, struct walked *walked);

#endif
