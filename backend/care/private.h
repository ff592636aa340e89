/*
 * Private to care/: one structure, four kinds of threads.
 *
 *   care.c        opening, closing, status
 *   pace.c        the limit of bytes a second
 *   moves.c       shards that are moved, for reclaim and rebalance
 *   queue.c       the queue of blobs that are short of shards
 *   watch.c       the thread that takes damage reports and watches the drives
 *                 and the queue
 *   audit.c       the books of each day; durability.c: what follows from them
 *   heal.c        the threads that repair
 *   loss.c        what another lost drive would mean
 *   scrub.c       the thread that verifies; walk.c, references.c: its parts
 */
#ifndef CARE_PRIVATE_H
#define CARE_PRIVATE_H

#include "care/care.h"

#include <pthread.h>
#include <stdatomic.h>

/* --- pace.c ----------------------------------------------------------------*/
#define PACE_BUSY_SHARE 4 /* of the rate, while requests are under way */

struct pace {
    pthread_mutex_t lock;
    uint64_t rate;    /* bytes a second */
    int64_t tokens;   /* bytes; negative: owed */
    uint64_t last_us; /* of the last refill */
    bool (*busy)(void *context);
    bool (*stop)(void *context); /* asked at least every 50 ms of waiting */
    void *context;
};
void pace_init(struct pace *pace, uint64_t rate);
void pace_set_rate(struct pace *pace, uint64_t rate);
/* Takes what time has brought; pure but for the structure. */
void pace_refill(struct pace *pace, uint64_t now_us, bool busy);
/* Waits until the bytes may be read. False: stop. */
bool pace_take(struct pace *pace, uint64_t bytes);

/* --- moves.c ---------------------------------------------------------------*/
/* A blob of which shards were copied, and not yet committed. */
struct moved {
    uint64_t blob;
    struct arena *arena; /* owned */
    Layout__Layout *old; /* in it */
    Layout__Layout *now; /* owned */
    bool durable;        /* what it names */
};
struct moves {
    struct meta *meta;
    struct blob_store *blobs;
    struct pace *pace;
    bool may_recode;           /* blobs of which a shard finds no place */
    struct blob_intent intent; /* from the first copy to the commit: B5 */
    struct moved moved[META_BLOBS_LOCKED_MAX];
    size_t count;
    uint64_t bytes;
};
void moves_begin(struct moves *moves, struct meta *meta,
                 struct blob_store *blobs, struct pace *pace);
/* Moves shards of a blob, whose layout is in the arena, which is taken over.
 * Damaged ones are queued for healing. Errors as blob_move(), or a commit's. */
int moves_add(struct moves *moves, struct arena *arena, uint64_t blob,
              Layout__Layout *layout, const struct blob_move *list,
              size_t count, struct blob_moved *result);
/* Commits what was moved: under the blobs' locks, each whose layout is still
 * the one that was read (H2, C3). After an error, also the one that is given,
 * the copies are garbage. To be called last; then it may go on. */
int moves_end(struct moves *moves, int error);

/* --- audit -----------------------------------------------------------------*/
struct audit {
    pthread_mutex_t lock;
    Meta__Audit day; /* what is not yet in the store */
    bool dirty;
};
/* Adds to one counter, a member of Meta__Audit. */
#define audit_add(care, member, amount)                                        \
    do {                                                                       \
        pthread_mutex_lock(&(care)->audit.lock);                               \
        (care)->audit.day.member += (amount);                                  \
        (care)->audit.dirty = true;                                            \
        pthread_mutex_unlock(&(care)->audit.lock);                             \
    } while (0)

/* --- the whole -------------------------------------------------------------*/
#define DAMAGE_MAX         1024u
#define DRIVE_STAMP_SIZE   (1 + DRIVE_UUID_SIZE)
#define DRIVES_STAMPED_MAX 64u

struct damage {
    uint64_t blob;
    bool retry; /* whatever it waits for: bytes are wrong */
};

/* State and uuid of every drive, in order. */
struct drive_stamp {
    uint8_t bytes[DRIVE_STAMP_SIZE * DRIVES_STAMPED_MAX];
    size_t size;
    unsigned drives, usable; /* without those that were removed */
};

struct care {
    struct care_options options;
    atomic_bool stopping;
    struct audit audit;
    struct pace heal_pace, scrub_pace;

    pthread_mutex_t lock; /* everything below */
    pthread_cond_t work;  /* CLOCK_MONOTONIC; for all threads */
    struct damage damage[DAMAGE_MAX];
    unsigned damage_count;
    unsigned damage_lost; /* reports without room: only a pass can tell */
    bool retry;           /* what waits is to be queued again */
    unsigned changes;     /* of drives, as they were noticed */
    uint64_t active[CARE_WORKERS_MAX]; /* blobs, 0: none */
    unsigned active_count;
    uint64_t healed, healed_bytes;
    uint64_t heal_began_us; /* of the monotonic clock; 0: none is under way */
    Meta__Scrub scrub;      /* as last saved, and since */
    uint8_t walked[DRIVE_STAMP_SIZE * DRIVES_STAMPED_MAX];
    struct buffer dangling_objects; /* of the last whole pass */
    uint64_t walk_again_at; /* the oldest intent is this one, or newer */
    bool scrub_forced, scrub_stopped, scrub_restart, walking;
    unsigned scrub_lost; /* damage_lost when the pass began */
    uint64_t scrub_end;  /* of the pass: a blob id; 0: not known yet */

    struct drive_stamp seen; /* as the watching thread saw drives last */
    struct worker {
        struct care *care;
        unsigned number;
        pthread_t thread;
    } workers[CARE_WORKERS_MAX];
    pthread_t watch_thread, scrub_thread;
};

/* Waits for work at most so long; with the lock held. */
void care_wait(struct care *care, unsigned ms);
/* The first call of every thread here: requests go before it. */
void care_thread_begin(const char *name);
void care_stamp(const struct care *care, struct drive_stamp *stamp);

/* --- queue.c ---------------------------------------------------------------*/
/* What is known of a blob's redundancy. */
struct finding {
    uint64_t blob;
    unsigned m;
    int losses_left; /* negative: unreadable */
    bool retry;      /* it is to be tried though it waits */
};
/* Puts it into the batch unless the queue says as much already. *puts: how
 * much that was, with what is told of it. */
int queue_finding(struct care *care, struct meta_batch *batch,
                  const struct finding *finding, unsigned *puts);
/* What care_options.tell says. */
unsigned queue_tell(struct care *care, struct meta_batch *batch, uint64_t blob,
                    bool lost);
/* Queues a blob whose layout is still `examined` (NULL: whatever it is; then
 * m and what it bears are the record's, less one loss). *current: it was. */
int queue_blob(struct care *care, const struct finding *finding,
               const Layout__Layout *examined, bool *current);
int queue_count(struct care *care, struct care_ledger *ledger);
/* Of the first entries, those of deleted blobs go: ids are never used again. */
int queue_drop_deleted(struct care *care);
/* Everything that waits, to be tried again. */
int queue_retry(struct care *care);

/* --- watch.c ---------------------------------------------------------------*/
void *watch_run(void *care);
void care_on_damage(void *care, uint64_t blob, unsigned chunk, unsigned shard,
                    int error);

/* --- audit.c ---------------------------------------------------------------*/
/* Adds what is not yet in the store to the day's record. */
int audit_save(struct care *care);
/* Of today, with what is not yet saved. */
int audit_today(struct care *care, struct arena *arena, Meta__Audit **audit);

/* --- heal.c, scrub.c, walk.c, references.c ---------------------------------*/
void *heal_run(void *worker);
/* A worker's blob that was last said to fail, and why. Says what one fails with
 * once, and that this one works again, and of others that fail alike a minute
 * later; 0 at first. */
struct heal_failing {
    uint64_t blob;
    int error;
    uint64_t said_us; /* when */
};
void heal_say(struct heal_failing *failing, uint64_t blob, int error);
/* With the lock held. */
bool heal_is_active(const struct care *care, uint64_t blob);
void *scrub_run(void *care);
int scrub_load(struct care *care);
int scrub_save(struct care *care);
/* True if the scrub's thread is to leave off what it does. */
bool scrub_interrupted(struct care *care);
/* Compares all blobs with the files on the drives. -ECANCELED. */
int walk_blobs(struct care *care, const struct drive_stamp *stamp);
/* Objects whose blob, or one that it is made of, is not there. */
#define DANGLING_NAMES_MAX (64u << 10) /* bytes, and the last one */
struct dangling {
    uint64_t count;
    struct buffer objects; /* as in Meta__Scrub */
};
int find_dangling(struct care *care, struct dangling *dangling);

#endif
