/*
 * Backups: all that the metadata hold at one commit, in a file that leaves the
 * machine (docs/backup.md).
 *
 * A backup is made while s3d serves: it reads a snapshot of the store and is
 * handed out piece by piece, so that neither commits nor memory depend on how
 * long that takes. A file that was not handed out to its end does not pass for
 * a backup.
 */
#ifndef ARCHIVE_BACKUP_H
#define ARCHIVE_BACKUP_H

#include "extent/extent.h"
#include "meta/meta.h"

/* What a backup holds. */
struct backup_summary {
    uint8_t cluster[DRIVE_UUID_SIZE];
    struct kv_position position;
    uint64_t created_ms;
    uint64_t records, bytes; /* bytes: of the records, as changes */
};

/* --- making one: of one thread at a time -----------------------------------*/
struct backup;
/* Of the store as it is now. What the summary says of records and bytes is of
 * what was handed out so far. */
int backup_open(struct meta *meta, struct backup **backup);
void backup_close(struct backup *backup); /* before the store; NULL: allowed */
const struct backup_summary *backup_summary(const struct backup *backup);
/* The next bytes of the file in `out` (replaced), at most `max`; none: that
 * was all. After an error the file is of no use. */
int backup_next(struct backup *backup, size_t max, struct buffer *out);

/* --- reading one -----------------------------------------------------------*/
/* Reads the whole file. -EBADMSG: it is no backup, not whole, or damaged. */
int backup_check(struct io *io, const char *path,
                 struct backup_summary *summary);
/* The same, and puts what it holds into an empty store, which is to be thrown
 * away after an error. */
int backup_restore(struct io *io, const char *path, struct kv *kv,
                   struct backup_summary *summary);

#endif
