/*
 * Metadata made again from the drives, when all of their mirrors are lost
 * (docs/durability.md, 'When all metadata is lost'). s3d is not serving.
 *
 *   1. The newest archive on the drives (archive.h) is put into the new store.
 *   2. Every record of every extent is looked at: descriptor and origin.
 *   3. Blobs of the archive that are not where it says get the layout of the
 *      shards that were found; what is short of shards is queued for healing.
 *   4. Blobs which the archive cannot know, as they were begun when it ended
 *      or as there is none, become what their origins say, if they are whole.
 *
 * Or the new store is filled from elsewhere (docs/backup.md), with what was at
 * an earlier moment. Then step 4 is left out: what is later stays on the drives
 * as it is, in extents that reclaim leaves alone until somebody says so.
 *
 * What is found goes through a scratch store, so that memory is bounded
 * however many shards there are.
 */
#ifndef REBUILD_H
#define REBUILD_H

#include "archive/archive.h"

/* What people are to be told of one by one. */
enum rebuild_finding {
    REBUILD_RESTORED,   /* an object that only its shards told of: it may have
                           been deleted, or never acknowledged */
    REBUILD_UPLOAD,     /* the same, of a part of an upload */
    REBUILD_BUCKET,     /* a bucket that only shards told of */
    REBUILD_UNREADABLE, /* a version of which too few shards are left */
    REBUILD_LEFT,       /* a blob that became nothing, and why */
};
const char *rebuild_finding_name(enum rebuild_finding finding);
typedef void (*rebuild_tell_fn)(void *context, enum rebuild_finding finding,
                                struct slice bucket, struct slice key,
                                const char *why);

struct rebuild_options {
    struct io *io;
    struct drive *const *drives; /* by index; some may not be readable */
    unsigned drive_count;
    struct blob_store *blobs; /* over them */
    const Meta__Cluster
        *cluster;         /* as the drives say: for want of an archive */
    struct kv *scratch;   /* empty */
    rebuild_tell_fn tell; /* may be NULL */
    /* Fills the empty store instead of the archive; NULL: the archive does. */
    int (*fill)(void *context, struct kv *kv);
    void *context;
};

struct rebuild_report {
    bool archived;
    struct archive_restored archive;
    uint64_t extents, extents_bad; /* looked at; not read to their end */
    uint64_t records, records_bad; /* with a descriptor; without a good one */
    uint64_t blobs;                /* of which shards were found */
    uint64_t blobs_kept;           /* that the archive knows, where it says */
    uint64_t blobs_moved;          /* that it knows, elsewhere */
    uint64_t blobs_short;          /* queued for healing */
    uint64_t blobs_unreadable;     /* of the metadata; too few shards */
    uint64_t blobs_unused;         /* garbage: deleted or never committed */
    uint64_t blobs_held;           /* unknown to what filled the store */
    uint64_t findings[REBUILD_LEFT + 1];
};

/* Fills `kv`, which is empty. Once it is open as metadata, *meta is not NULL
 * and owns it, also after an error; then it holds what is not to be used. */
int rebuild_run(const struct rebuild_options *options, struct kv *kv,
                struct meta **meta, struct rebuild_report *report);

#endif
