/*
 * The archive: all that the metadata hold, once more, on some of the drives,
 * for the day on which every mirror is lost (docs/durability.md).
 *
 * It consists of generations. Each is a snapshot of all records, and a log of
 * the changes since, written behind the commits: nobody waits for it, so its
 * end lacks what was committed in the last second before s3d died.
 *
 * Invariants:
 *   A1  A log holds every change from the moment on at which its generation
 *       began, in the order of the commits, whole groups in each block; but for
 *       what was put in passing (kv.h) and deleted before it was written.
 *   A2  The snapshot holds every change before that moment. What it holds
 *       beyond, the log has too before the snapshot is said to be complete:
 *       to apply the log once more ends the same.
 *   A3  A generation is removed when a later one is complete.
 */
#ifndef ARCHIVE_H
#define ARCHIVE_H

#include "blob/blob.h"
#include "meta/meta.h"

#define ARCHIVE_COPIES_MAX 8u

struct archive_options {
    struct io *io;
    struct meta *meta;
    struct blob_store *blobs;
    struct drive *const *drives;
    unsigned drive_count;
    unsigned copies;      /* on as many drives, the last ones first; > 0 */
    uint64_t rate;        /* bytes a second that a snapshot reads */
    uint64_t log_bytes;   /* a log of this size, and larger than its snapshot,
                             makes way for the next generation */
    uint64_t flush_ms;    /* how far behind the commits the log may be */
    uint64_t interval_ms; /* between the beginnings of two generations */
    bool (*busy)(void *context); /* requests are under way; NULL: never */
    void *context;
};

struct archive;

/* Begins to follow the metadata: call it before others use them. */
struct archive *archive_open(const struct archive_options *options);
/* Writes what is left. Nobody commits any more. NULL is allowed. */
void archive_close(struct archive *archive);

struct archive_status {
    unsigned copies;     /* drives that hold a complete one, up to date */
    uint64_t began_ms;   /* of the generation; 0: none is complete */
    uint64_t written_ms; /* when its log was written last */
    uint64_t snapshot_bytes, log_bytes; /* of one copy */
};
void archive_look(struct archive *archive, struct archive_status *status);

struct archive_restored {
    uint64_t generation, written_ms; /* of its last block */
    uint64_t horizon; /* no blob below this id was committed afterwards */
    uint64_t blocks, bytes;
};
/*
 * Puts what the newest whole archive on the drives holds into an empty store:
 * a state that the store which it is of was in. -ENOENT: there is none. After
 * any other error the store is to be thrown away.
 */
int archive_restore(struct io *io, struct drive *const *drives,
                    unsigned drive_count,
                    const uint8_t cluster[DRIVE_UUID_SIZE], struct kv *kv,
                    struct archive_restored *restored);

#endif
