/*
 * What the files of this folder share.
 *
 *   shards.c    what is found on the drives, in the scratch store
 *   blobs.c     the archive's blobs against what was found
 *   origins.c   blobs of which only their shards tell
 *   objects.c   and the objects and parts that they become
 *   rebuild.c   one after the other
 */
#ifndef REBUILD_PRIVATE_H
#define REBUILD_PRIVATE_H

#include "rebuild/rebuild.h"

struct rebuild {
    const struct rebuild_options *options;
    struct rebuild_report *report;
    struct meta *meta;    /* once the archive is in it */
    uint64_t highest;     /* id of a blob found */
    uint64_t last_extent; /* highest number of one found */
    uint64_t *unreadable; /* blobs, ascending */
    size_t unreadable_count, unreadable_room;
};

void tell(struct rebuild *rebuild, enum rebuild_finding finding,
          struct slice bucket, struct slice key, const char *why);

/* --- shards.c --------------------------------------------------------------*/
int shards_scan(struct rebuild *rebuild);

/* The shards of one blob. */
struct shards {
    struct blob_found *found;
    size_t count, room;
    bool chained; /* one at least is no forgery: extent.h, drive_record */
};
/* Those of the blob; count 0: there are none. */
int shards_of(struct rebuild *rebuild, uint64_t blob, struct shards *shards);
/* Those of the first blob after `after`, in their order; -ENOENT. */
int shards_next(struct rebuild *rebuild, uint64_t after, struct shards *shards);
void shards_free(struct shards *shards);

/* --- blobs.c ---------------------------------------------------------------*/
int blobs_check(struct rebuild *rebuild);

/* --- origins.c -------------------------------------------------------------*/
int origins_restore(struct rebuild *rebuild);

/* --- objects.c -------------------------------------------------------------*/
/* A blob that is whole, and what it says. */
struct orphan {
    uint64_t blob;
    const Layout__Layout *layout;
    const Meta__Origin *origin;
    const Meta__Bucket *bucket; /* as it is in the metadata */
    struct slice key;
    uint64_t size;                  /* of the bytes in the clear */
    uint8_t md5[16];                /* of the stored bytes */
    const Meta__Checksum *checksum; /* NULL: they are sealed */
    struct arena *arena;
};
/* Commits the object or part that the blob is. NULL, or why it is none. */
int object_restore(struct rebuild *rebuild, const struct orphan *orphan,
                   const char **why);
int part_restore(struct rebuild *rebuild, const struct orphan *orphan,
                 const char **why);
ProtobufCBinaryData bytes_of(struct slice bytes); /* not copied */

#endif
