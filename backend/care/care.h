/*
 * Care of what is stored: every byte is verified again and again (scrub), and
 * what is short of shards is made whole (heal), the most endangered first.
 *
 * Invariants:
 *   H1  A blob that is known to be short of shards is in the queue
 *       (meta_next_heal) until a commit has named good shards for all.
 *   H2  A layout is replaced only under meta_blob_lock(), by one that was made
 *       of the layout which is still there.
 *   H3  'Fully redundant' is said only after a whole pass of the scrub, with
 *       all drives usable, all blobs compared with them as they are now, those
 *       included that were being written when the drives changed, and nothing
 *       queued since or known and not yet queued.
 *
 * Threads of its own, at idle priority, each with a limit of bytes a second
 * that falls to a quarter while requests are under way. docs/durability.md
 * says what is done when. All functions are thread-safe.
 */
#ifndef CARE_H
#define CARE_H

#include "blob/blob.h"
#include "care/durability.h"
#include "meta/meta.h"

#define CARE_WORKERS_MAX 8u
#define CARE_LOSSES_MAX  ERASURE_SHARDS_MAX

struct care;
struct reclaim;

struct care_options {
    struct meta *meta;
    struct blob_store *blobs;
    struct drive **drives; /* outlive care, like the stores */
    unsigned drive_count;
    unsigned heal_workers;   /* 0: nothing is healed */
    uint64_t heal_rate;      /* bytes a second, read and written */
    uint64_t scrub_rate;     /* bytes a second at most */
    uint64_t scrub_period_s; /* from the begin of a pass to that of the next */
    /* Whether requests are under way; NULL: never. */
    bool (*busy)(void *context);
    /* Adds to a batch what is told of a blob: too few shards are left, or all
     * are whole again. How much was added. NULL: nobody is told. */
    unsigned (*tell)(void *context, struct meta_batch *batch, uint64_t blob,
                     bool lost);
    void *context;
    /* Told to free what nobody uses, before that is healed; NULL: nobody. */
    struct reclaim *reclaim;
};

/* Starts the threads, and takes the store's damage hook. */
struct care *care_open(const struct care_options *options);
/* No read of the store is under way. Waits for the threads: they stop within a
 * block. NULL is allowed. */
void care_close(struct care *care);

/* What waits for a drive is tried again. */
void care_heal_start(struct care *care);
/* A pass from the beginning, at the full rate. */
void care_scrub_start(struct care *care);
/* No pass until it is started again, or s3d is. */
void care_scrub_stop(struct care *care);

/* What would be lost with all that is on a drive, by a look at the files of
 * every blob which has a shard there. Takes a while. */
struct care_loss {
    uint64_t blobs, shards; /* that are on it */
    uint64_t critical;      /* blobs that would bear no further loss */
    uint64_t unreadable;    /* blobs that could not be read any more */
    uint64_t unknown;       /* records that cannot be read */
};
int care_without(struct care *care, unsigned drive, struct care_loss *loss);

/* --- status ----------------------------------------------------------------*/
/* Blobs that are short of shards. */
struct care_ledger {
    uint64_t queued;                    /* all of them */
    uint64_t left[CARE_LOSSES_MAX + 1]; /* by the losses that they still bear */
    uint64_t unreadable; /* too few shards are there: not in left[] */
    uint64_t waiting;    /* for a drive; also in one of the above */
};

struct care_heal_status {
    unsigned workers, active;     /* blobs being healed */
    uint64_t healed;              /* blobs, since the queue was last empty */
    uint64_t bytes, milliseconds; /* written, and passed, since then */
};

struct care_scrub_status {
    bool running, stopped;       /* by care_scrub_stop() */
    bool walking;                /* comparing blobs with drives that changed */
    uint64_t rate;               /* bytes a second */
    const Meta__Scrub *progress; /* in the arena */
};

struct care_status {
    bool fully_redundant;       /* H3 */
    unsigned drives, drives_ok; /* but for removed ones */
    struct care_ledger ledger;
    struct care_heal_status heal;
    struct care_scrub_status scrub;
    const Meta__Audit *today; /* in the arena; UTC */
};
/* Of the last week, month and year, today included. Scans the queue. */
#define CARE_INTERVALS 3
int care_durability(struct care *care,
                    struct durability intervals[CARE_INTERVALS]);
/* Scans the queue. */
int care_status(struct care *care, struct arena *arena,
                struct care_status *status);

#endif
