/*
 * Private to kv/: a mirror's journal, a sequence of groups in segment files.
 *
 * A segment is named by the number of its first group, 16 hex digits. A group
 * is a header and its payload, padded to 8 bytes; docs/disk-format.md holds
 * the bytes. Segments are never written again after a start: what a power cut
 * tore at the end of one stays there, and the next one goes on with the number
 * of the torn group (J3).
 *
 * Appending, syncing and dropping belong to one thread at a time; a cursor is
 * its own reader and may run beside them.
 */
#ifndef KV_JOURNAL_H
#define KV_JOURNAL_H

#include "base/base.h"
#include "io/io.h"

#define JOURNAL_GROUP_MAX   (64u << 20) /* bytes of a payload */
#define JOURNAL_SEGMENT_MAX (16u << 20) /* unless a test wants less */

struct journal;

/* Makes the directory if it is not there, finds what is whole, and makes that
 * durable. A segment of `segment_max` bytes is followed by the next one.
 * -EBADMSG by J3. */
int journal_open(struct io *io, const char *directory, uint64_t segment_max,
                 struct journal **journal);
void journal_close(struct journal *journal); /* NULL is allowed */
/* The numbers of the first group kept and of the last one; first is last + 1
 * if there is none. */
void journal_range(struct journal *journal, uint64_t *first, uint64_t *last);

/* Group last + 1, not yet durable. After an error the journal takes no more. */
int journal_append(struct journal *journal, uint64_t epoch,
                   struct slice payload);
/* All that was appended is durable. */
int journal_sync(struct journal *journal);
/* Unlinks the segments whose groups are all below `seq`. */
int journal_drop(struct journal *journal, uint64_t seq);
/* Forgets everything: the next group is `next`, also after a restart. */
int journal_reset(struct journal *journal, uint64_t next);
/* Unlinks every segment in a directory that is not open; it may be absent. */
int journal_wipe(struct io *io, const char *directory);
/* The number of the first group of the segment that is written now: what a
 * checkpoint of all groups below lets journal_drop() unlink. */
uint64_t journal_segment(struct journal *journal);

/* Reads groups in order, from `seq` on, which must be kept or be last + 1. */
struct journal_cursor;
struct journal_cursor *journal_cursor_new(struct journal *journal,
                                          uint64_t seq);
void journal_cursor_free(struct journal_cursor *cursor);
/* The next group into `payload` (replaced). -ENOENT: there is none yet;
 * -EBADMSG, -EIO. */
int journal_cursor_next(struct journal_cursor *cursor, uint64_t *seq,
                        struct buffer *payload);

/* Reads a journal that others write to, drop and close: whatever becomes of it,
 * a view sees whole groups, in order, or an error. Of one thread. */
struct journal_view;
/* From group `seq` on, which is kept or may be the next one. -ERANGE: it is
 * kept no more, or further away. */
int journal_view_open(struct io *io, const char *directory, uint64_t seq,
                      struct journal_view **view);
/* The next group into `payload` (replaced), and when it was written, in seconds
 * since 1970. -ENOENT: there is none yet, or no more. */
int journal_view_next(struct journal_view *view, uint32_t *time,
                      struct buffer *payload);
void journal_view_close(struct journal_view *view); /* NULL is allowed */

#endif
