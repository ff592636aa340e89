/*
 * Backups: all that the metadata hold at one commit, in a file that leaves the
 * machine, and files of the journal, which lead from there to any later commit
 * (docs/backup.md).
 *
 * Both are made while s3d serves: a snapshot of the store, or groups of its
 * journal, are read and handed out piece by piece, so that neither commits nor
 * memory depend on how long that takes. A file that was not handed out to its
 * end does not pass for one.
 */
#ifndef ARCHIVE_BACKUP_H
#define ARCHIVE_BACKUP_H

#include "extent/extent.h"
#include "meta/meta.h"

/* What a file holds, or what was read from some. */
struct backup_summary {
    uint8_t cluster[DRIVE_UUID_SIZE];
    struct kv_position position; /* the last commit in it */
    /* Of a backup: nothing in it is later. Of the journal: it has all that was
     * committed by then. */
    uint64_t created_ms;
    uint64_t records, bytes; /* bytes: of the records, as changes */
    uint64_t groups;         /* of the journal */
    uint64_t reached_s;      /* when the last of them was written; 0: none */
};

/* --- making one: of one thread at a time -----------------------------------*/
struct backup;
/* Of the store as it is now. */
int backup_open(struct meta *meta, struct backup **backup);
/* Of the groups after the one of that number, up to the last one now. -ESTALE:
 * it is another store; -ERANGE: they, or that one, are kept no more, or it
 * never got so far. */
int backup_open_journal(struct meta *meta,
                        const uint8_t store[KV_STORE_ID_SIZE], uint64_t after,
                        struct backup **backup);
void backup_close(struct backup *backup); /* before the store; NULL: allowed */
/* What it says of numbers and bytes is of what was handed out so far. */
const struct backup_summary *backup_summary(const struct backup *backup);
/* The next bytes of the file in `out` (replaced), at most `max`; none: that
 * was all. After an error the file is of no use. */
int backup_next(struct backup *backup, size_t max, struct buffer *out);

/* What a file of the journal is called: "s3d-AFTER-LAST.journal", numbers of
 * commits with 16 hex digits. */
#define BACKUP_PIECE_SIZE 46
void backup_piece_name(char out[BACKUP_PIECE_SIZE], uint64_t after,
                       uint64_t last);

/* --- reading them ----------------------------------------------------------*/
struct backup_source {
    const char *file;      /* a backup */
    const char *journal;   /* a directory; NULL: there is none */
    uint64_t until_commit; /* as far as this one; 0: as far as there is */
    /* And no further than this second, which must be over when the last file
     * was begun; 0: the same. */
    uint64_t until_s;
};
/* Reads all that a restore would, without one. -EBADMSG: a file is not what it
 * should be, not whole, or damaged; -ERANGE: the point is not within them; both
 * were logged. Or what the drive says. */
int backup_check(struct io *io, const struct backup_source *source,
                 struct backup_summary *summary);
/* The same, and puts it into an empty store, which is to be thrown away after
 * an error. */
int backup_restore(struct io *io, const struct backup_source *source,
                   struct kv *kv, struct backup_summary *summary);

#endif
