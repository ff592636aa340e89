/*
 * Private to reclaim*.c:
 *
 *   reclaim.c          the thread, passes, status
 *   reclaim_count.c    live bytes of each extent
 *   reclaim_free.c     blobs that nobody uses
 *   reclaim_extents.c  extents that are unlinked
 *   reclaim_move.c     live shards that are moved
 */
#ifndef CARE_RECLAIM_PRIVATE_H
#define CARE_RECLAIM_PRIVATE_H

#include "care/private.h"
#include "care/reclaim.h"

#define COUNT_BUCKETS 4096u

/* What is known of an extent. */
struct counted {
    struct counted *next; /* in its bucket */
    unsigned drive;
    uint64_t extent;
    /* Bytes that layouts name. Negative only while counting: what went may
     * come later in the walk. */
    int64_t live;
    uint64_t sealed_at; /* blob_intent_next() when it was seen sealed; 0 */
};

struct reclaim {
    struct reclaim_options options;
    struct pace pace;
    atomic_bool stopping;

    pthread_mutex_t count_lock; /* below all other locks */
    struct counted *count[COUNT_BUCKETS];
    struct {
        int64_t bytes, shards; /* that layouts name */
    } on_drive[DRIVES_STAMPED_MAX];

    int failing;               /* log_failing(); with pass_lock */
    pthread_mutex_t pass_lock; /* one pass at a time */
    bool strays_sought;        /* by the pass */

    pthread_mutex_t lock; /* everything below */
    pthread_cond_t work;  /* CLOCK_MONOTONIC */
    uint64_t wanted;      /* passes */
    struct reclaim_status status;
    pthread_t thread;
};

/* Adds to one counter, a member of struct reclaim_status. */
#define status_add(reclaim, member, amount)                                    \
    do {                                                                       \
        pthread_mutex_lock(&(reclaim)->lock);                                  \
        (reclaim)->status.member += (amount);                                  \
        pthread_mutex_unlock(&(reclaim)->lock);                                \
    } while (0)

/* --- reclaim_count.c -------------------------------------------------------*/
/* Counts all blobs, and keeps the count from then on; queues blobs that nobody
 * uses and that were never queued. Once. */
int count_all(struct reclaim *reclaim);
void count_free(struct reclaim *reclaim);
int64_t count_live(struct reclaim *reclaim, unsigned drive, uint64_t extent);
/* The extent is sealed. True if all who may have reserved in it have ended. */
bool count_settled(struct reclaim *reclaim, unsigned drive, uint64_t extent);
void count_forget(struct reclaim *reclaim, unsigned drive, uint64_t extent);

/* --- reclaim_free.c --------------------------------------------------------*/
int free_blobs(struct reclaim *reclaim);
int drop_stray_parts(struct reclaim *reclaim);

/* --- reclaim_extents.c -----------------------------------------------------*/
/* An extent that may be unlinked or emptied. */
struct victim {
    unsigned drive;
    uint64_t extent;
    uint64_t size, live; /* bytes */
};
/* Unlinks what can be, then empties what is worth it. */
int reclaim_extents(struct reclaim *reclaim);
/* If nothing in it is live. */
int remove_if_dead(struct reclaim *reclaim, const struct victim *victim);

/* --- reclaim_move.c --------------------------------------------------------*/
/* Moves what is live in the extent, as far as it can be. */
int empty_extent(struct reclaim *reclaim, const struct victim *victim);

#endif
