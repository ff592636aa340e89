/*
 * Rebalance: shards leave drives that are drained, and go from fuller drives
 * to emptier ones, those of the oldest blobs first.
 *
 * Invariants:
 *   D1  A layout is replaced as in C3: a shard is verified and durable in its
 *       new place before the old one is no longer named.
 *   D2  A shard goes to a drive that is OK, is not drained, has room, and has
 *       no other shard of the chunk. Between drives that are not drained it
 *       never goes to a domain that has as many shards of the chunk as the one
 *       which it leaves, unless that is the same.
 *       A blob that finds no place so is written anew, if it bears as many
 *       losses with fewer shards.
 *   D3  Each move between drives that are not drained brings their levels
 *       nearer to each other: there is an end to it.
 *
 * The level of a drive is what layouts name on it, as a share of its size less
 * the reserve; the mean is that of all drives that take shards. Levels are
 * even if none is further from the mean than `band` percent of it. Once they
 * are not, shards are moved until none is further than half of that.
 *
 * docs/durability.md says what is done when. All functions are thread-safe.
 */
#ifndef CARE_REBALANCE_H
#define CARE_REBALANCE_H

#include "care/reclaim.h"

#define REBALANCE_DRIVES_MAX 64u

struct rebalance;

struct rebalance_options {
    struct meta *meta;
    struct blob_store *blobs;
    struct drive **drives; /* outlive it, like the stores */
    unsigned drive_count;
    struct reclaim *reclaim; /* knows what is live; outlives it */
    uint64_t rate;           /* bytes a second, moved */
    unsigned band;           /* percent; 0: drives are only drained */
    bool by_hand;            /* no thread: only rebalance_pass() */
    /* Whether requests are under way; NULL: never. */
    bool (*busy)(void *context);
    void *context;
};

struct rebalance *rebalance_open(const struct rebalance_options *options);
/* Waits for the thread: it stops within a block. NULL is allowed. */
void rebalance_close(struct rebalance *rebalance);

/* Drains what is to be drained, or else makes levels even as far as they can
 * be, by the caller. -ECANCELED: it is being closed. */
int rebalance_pass(struct rebalance *rebalance);

/* The thread looks at once. */
void rebalance_wake(struct rebalance *rebalance);
/* Also within the band, to half of it, and if it was stopped: over when
 * status.passes is *pass. -ENOTSUP: the band is 0. */
int rebalance_start(struct rebalance *rebalance, uint64_t *pass);
/* No more until it is started, or s3d is; drives are drained all the same. */
void rebalance_stop(struct rebalance *rebalance);

enum rebalance_state {
    REBALANCE_OFF,      /* by its options */
    REBALANCE_STOPPED,  /* by rebalance_stop() */
    REBALANCE_COUNTING, /* what is live is not known */
    REBALANCE_WAITING,  /* for a drive that is not usable */
    REBALANCE_EVEN,
    REBALANCE_UNEVEN,  /* and no move that is allowed would change it */
    REBALANCE_MOVING,  /* shards from fuller to emptier drives */
    REBALANCE_DRAINING /* a drive */
};

struct rebalance_status {
    enum rebalance_state state;
    bool running; /* a pass, which need not move anything */
    uint64_t passes;
    uint64_t shards_moved, bytes_moved, shards_bad; /* since the start */
    uint64_t pass_bytes, pass_ms;                   /* of the pass under way */
    double mean;                                    /* level, 0 to 1 */
    uint64_t excess; /* bytes above the mean, of all drives */
    struct rebalance_drive {
        bool known;       /* what is live, by reclaim_live() */
        bool being_moved; /* it is being drained now */
        uint64_t bytes, shards;
        double level;
        /* Shards that stayed at the last try to drain it: no other drive may
         * take them, and for those that are left there is no code that bears
         * as many losses. */
        uint64_t stuck;
    } drives[REBALANCE_DRIVES_MAX];
};
void rebalance_status(struct rebalance *rebalance,
                      struct rebalance_status *status);

#endif
