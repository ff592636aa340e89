/*
 * Reclaim: the space of what was deleted, overwritten or never finished comes
 * back. Blobs that nobody uses are freed; extents in which nothing is live are
 * unlinked; out of those that hold little, what is live is moved first.
 *
 * Invariants:
 *   C1  Live bytes of an extent are what the layouts in the metadata say, and
 *       nothing else: what no record names is garbage, whoever wrote it.
 *   C2  An extent is unlinked only when it takes no more records, whoever may
 *       have reserved one has committed or given up (B5), and no layout names
 *       it.
 *   C3  A layout is replaced only under meta_blob_lock(), by one made of the
 *       layout which is still there, when the copies are durable.
 *   C4  Without a whole count nothing is unlinked or moved.
 *   C5  At most live_percent bytes are moved for 100 bytes of extents that are
 *       unlinked, but for what was damaged or cut off on the way.
 *   C6  An extent from before a restore of the metadata stays as it is until
 * the operator has accepted what was restored (docs/backup.md).
 *
 * docs/durability.md says what is done when. All functions are thread-safe.
 */
#ifndef CARE_RECLAIM_H
#define CARE_RECLAIM_H

#include "blob/blob.h"
#include "meta/meta.h"

struct reclaim;

struct reclaim_options {
    struct meta *meta;
    struct blob_store *blobs;
    struct drive **drives; /* outlive it, like the stores */
    unsigned drive_count;
    uint64_t rate;         /* bytes a second, moved */
    unsigned live_percent; /* of an extent: below, it is emptied */
    uint64_t seal_bytes;   /* of garbage: an extent is closed before its time */
    uint64_t interval_s;   /* between passes; 0: only reclaim_pass() */
    /* Whether requests are under way; NULL: never. */
    bool (*busy)(void *context);
    void *context;
};

/* Starts a thread, unless interval_s is 0. */
struct reclaim *reclaim_open(const struct reclaim_options *options);
/* Waits for the thread: it stops within a block. NULL is allowed. */
void reclaim_close(struct reclaim *reclaim);

/* A pass, by the caller. -ECANCELED: it is being closed. */
int reclaim_pass(struct reclaim *reclaim);
/* Has the thread begin a pass soon. It is over when status.passes is as much
 * as is returned here. */
uint64_t reclaim_start(struct reclaim *reclaim);

/* What layouts name on a drive, up to the last commit. False: it was not yet
 * counted, or some records cannot be read. */
struct reclaim_live {
    uint64_t bytes, shards;
};
bool reclaim_live(struct reclaim *reclaim, unsigned drive,
                  struct reclaim_live *live);

/* Since the start, but what is said to be of the last pass. */
struct reclaim_status {
    bool counted, running; /* live bytes are known; a pass is under way */
    uint64_t passes;
    uint64_t damaged;                    /* records that cannot be counted */
    uint64_t blobs_freed;                /* nobody used them any more */
    uint64_t blobs_read;                 /* last pass: still being read */
    uint64_t parts_dropped;              /* of uploads that are gone */
    uint64_t extents, bytes, live_bytes; /* last pass: left, of all drives */
    uint64_t extents_busy;               /* last pass: may be written to */
    uint64_t extents_held;               /* last pass: C6 */
    uint64_t extents_removed, bytes_removed;
    uint64_t shards_moved, bytes_moved;
    uint64_t shards_bad; /* found when they were to be moved; queued */
};
void reclaim_status(struct reclaim *reclaim, struct reclaim_status *status);

#endif
