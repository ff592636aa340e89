/*
 * Drives and their extents: bytes on one disk.
 *
 * A drive is a directory with an identity file and large files (extents) to
 * which records are appended. docs/disk-format.md holds every byte.
 *
 * Invariants (cited by assertions in drive.c and extent.c):
 *   X1  A byte range of an extent is handed out once: a record is written by
 *       its one owner and never overwritten.
 *   X2  An extent id is never reused, on any drive.
 *   X3  A record may be referenced only after drive_sync() covering it
 *       returned 0.
 *   X4  After an unsure write or sync the extent takes no more records.
 *   X5  Nothing is written to a drive whose identity did not match.
 *   X6  A reservation is refused before it could fill the file system past
 *       the reserve.
 *
 * All functions are thread-safe unless said otherwise.
 */
#ifndef EXTENT_H
#define EXTENT_H

#include "base/base.h"
#include "io/io.h"

#define DRIVE_UUID_SIZE 16

enum drive_state {
    DRIVE_OK,
    DRIVE_MISSING, /* directory absent or unreadable */
    DRIVE_FOREIGN, /* identity of another cluster, index or drive */
    DRIVE_BLANK,   /* a known drive came back without identity: replaced */
    DRIVE_FAILED,  /* I/O errors since start, or read-only: still read */
    DRIVE_REMOVED, /* taken out of the cluster: only its number is left */
};

struct drive_config {
    const char *directory; /* absolute path */
    const char *domain;    /* fault domain label, "" for one of its own */
    unsigned index;        /* position in the cluster, 0.. */
};

struct drive_options {
    uint8_t cluster[DRIVE_UUID_SIZE];
    uint8_t uuid[DRIVE_UUID_SIZE]; /* which drive it must be; zeros: any */
    uint64_t extent_size;   /* an extent is sealed when it grows past this */
    uint64_t reserve_bytes; /* free space that is left alone */
    bool removed;           /* it is DRIVE_REMOVED, and not looked at */
    uint64_t timeout_us;    /* an operation that takes longer has failed; 0:
                             * 30 seconds */
};

struct drive;

/* Which drive a directory holds. -ENOENT: none; -EBADMSG: it cannot be told;
 * else why it could not be read. */
struct drive_identity {
    uint8_t cluster[DRIVE_UUID_SIZE], uuid[DRIVE_UUID_SIZE];
    unsigned index;
};
int drive_identify(struct io *io, const char *directory,
                   struct drive_identity *identity);

/* Writes the identity file of a new drive into a new or empty directory (or
 * one with lost+found only, or what an interrupted call left). -EEXIST if it
 * already has one, -ENOTEMPTY if it holds anything else. */
int drive_format(struct io *io, const struct drive_config *config,
                 const uint8_t cluster[DRIVE_UUID_SIZE]);
/* The same with a uuid that drive_new_uuid() made (which gives 0 or -EIO). */
int drive_format_as(struct io *io, const struct drive_config *config,
                    const uint8_t cluster[DRIVE_UUID_SIZE],
                    const uint8_t uuid[DRIVE_UUID_SIZE]);
int drive_new_uuid(uint8_t uuid[DRIVE_UUID_SIZE]);

/*
 * Opens a drive, locks it against a second s3d (-EAGAIN), checks its
 * identity. A drive that is not usable still opens, in a state other than
 * DRIVE_OK, and fails every call with -ENODEV; only -EAGAIN is an error.
 */
int drive_open(struct io *io, const struct drive_config *config,
               const struct drive_options *options, struct drive **drive);
void drive_close(struct drive *drive); /* waits for its sync thread */

enum drive_state drive_state(struct drive *drive);
/* True if drive_read() may work: the drive is OK, or failed in use, or found
 * read-only. */
bool drive_readable(struct drive *drive);
const char *drive_state_name(enum drive_state state);
const struct drive_config *drive_config(struct drive *drive);
/* DRIVE_UUID_SIZE bytes from the identity file; zeros if there was none. */
const uint8_t *drive_uuid(struct drive *drive);

/* Of the last minute: what the drive was asked for, not what was in memory. */
struct drive_latency {
    uint64_t count;
    uint64_t median_us, p95_us; /* 0: there was none */
};

struct drive_condition {
    enum drive_state state;
    bool draining;
    uint64_t draining_since_ms;
    bool silent; /* something that it was asked takes longer than the timeout */
    bool slow;   /* much slower than its peers */
    bool lags;   /* something that it was asked has been under way for long */
    uint64_t slow_since_ms;
    struct drive_latency reads, writes, syncs;
    uint64_t since_ms; /* wall clock: when it came to be so */
    bool full;         /* takes no more records; returns by itself */
    uint64_t full_since_ms;
    char reason[200];  /* why it is not DRIVE_OK, for people; or "" */
    unsigned returns;  /* how often it became DRIVE_OK again */
    unsigned failures; /* how often it no longer was */
};
void drive_describe(struct drive *drive, struct drive_condition *condition);

/* A drive that is drained is read and takes no new blobs: whoever places them
 * asks. since_ms: when it began, by the wall clock; 0: it is used again. */
void drive_drain(struct drive *drive, uint64_t since_ms);
bool drive_draining(struct drive *drive);

/* --- slow.c: drives beside each other --------------------------------------*/
/* True if new blobs should rather go elsewhere: the drive is slow or lags. */
bool drive_slow(struct drive *drive);
/*
 * Compares the drives. One becomes slow when its median of reads, writes or
 * syncs, of at least 20 in the last minute, is over 10 ms and over four times
 * the median of its peers' medians, and is no longer when it is under 5 ms or
 * under twice theirs, or there were fewer than 20. At least two peers must
 * have been measured. One thread at a time.
 */
void drives_compare(struct drive *const *drives, unsigned count);
/* The 95th percentile of reads that the median drive keeps to; 0 if nothing
 * was read. */
uint64_t drives_read_p95(struct drive *const *drives, unsigned count);

/*
 * Looks at the directory: whether a drive that is OK still is, and whether
 * another one is there again, with its own identity, and can be written to.
 * Then it is DRIVE_OK: what it held is read again, new records go to new
 * extents, and records begun before fail (X4). Returns true then. Blocks, but
 * no longer than the timeout: a drive that has not answered then fails, and is
 * not looked at before it has. One thread at a time.
 */
bool drive_look(struct drive *drive);
/* Another disk takes the place of one that is not DRIVE_OK: the next look
 * accepts only this identity. By the thread that looks. */
void drive_expect(struct drive *drive, const uint8_t uuid[DRIVE_UUID_SIZE]);
/* The drive is DRIVE_REMOVED from now on; its files are closed, so that it can
 * be unmounted. By the thread that looks. */
void drive_retire(struct drive *drive);

struct drive_usage {
    uint64_t total, free; /* bytes, of the file system less the reserve */
    uint64_t pending;     /* bytes reserved and not yet written */
    uint64_t extents;     /* files */
    unsigned load;        /* operations in flight: for placement */
};
void drive_usage(struct drive *drive, struct drive_usage *usage);

/* A place for one record: 64-byte header, payload, descriptor. */
struct extent_place {
    uint64_t extent;  /* id */
    uint64_t offset;  /* of the payload, bytes from the start of the file */
    uint64_t size;    /* bytes reserved there: payload and descriptor */
    uint64_t payload; /* bytes */
    uint64_t blob;
    uint32_t shard;
};

/*
 * Operations on a drive wait for it no longer than its timeout: -ETIMEDOUT.
 * What was begun goes on by itself, with memory of its own. While a drive does
 * not answer, all that would wait for it fails so at once.
 *
 * Reserves room for a record of `payload` + `descriptor` bytes in an open
 * extent. The payload is aligned to 64 bytes, to 4096 if it is 64 KiB or more.
 * -ENOSPC by X6, -ENODEV if the drive is not OK. `blob` and `shard` are stored
 * in the record's header, which is written with the first byte.
 */
int drive_reserve(struct drive *drive, uint64_t blob, unsigned shard,
                  uint64_t payload, uint64_t descriptor,
                  struct extent_place *place);
/* Gives back the accounting of a reservation whose owner will write no more:
 * the `bytes` of payload and descriptor that were not given to be written.
 * Those that were are the drive's, whatever became of them. */
void drive_release(struct drive *drive, uint64_t bytes);

/* Writes inside a reservation: at `position` bytes after place->offset. The
 * place is the one that drive_reserve() filled in. Any error is final for the
 * record: -ENOSPC if the file system is full after all, else the device's. */
int drive_write(struct drive *drive, const struct extent_place *place,
                uint64_t position, const void *data, size_t size);
/* The same in two steps, so that several drives write at once. The data are
 * copied, unless they are in `memory`, which must not change any more: then it
 * is held for as long as the write takes, and they go to the drive at once,
 * most of them past the page cache. So before the last RECORD_ODD_END bytes of
 * a payload everything comes in `memory` or nothing does, and its address,
 * position and size are multiples of 4096 there. */
#define RECORD_ODD_END (256u << 10)
struct drive_write;
struct drive_write *drive_write_start(struct drive *drive,
                                      const struct extent_place *place,
                                      uint64_t position, const void *data,
                                      size_t size, struct memory *memory);
int drive_write_end(struct drive_write *write); /* waits, and frees it */
/* For who has given the record up: does not wait; what was begun goes on. */
void drive_write_leave(struct drive_write *write);

/* Reads; -ENODATA if the extent is shorter, -ENOENT if it is gone, -ESTALE if
 * that was by drive_remove_extent() (also in drive_check_path()). Checks
 * nothing. Descriptors of files are cached. A drive that failed while in use
 * (DRIVE_FAILED) still tries: what it can give may be needed. */
int drive_read(struct drive *drive, uint64_t extent, uint64_t offset,
               void *data, size_t size);
/* The same for a reader who can do without: -ETIMEDOUT after `wait_us`, and at
 * once while an earlier one is overdue. 0: drive_read(). */
int drive_read_within(struct drive *drive, uint64_t extent, uint64_t offset,
                      void *data, size_t size, uint64_t wait_us);

/* The same from the drive itself, whatever is in memory, of the file that is at
 * the extent's path; what is in memory for others stays. */
int drive_read_direct(struct drive *drive, uint64_t extent, uint64_t offset,
                      void *data, size_t size);

/* For a caller that has checked what drive_read() gave and has another
 * process open the extent by its path: 0 if that is the file which is read
 * here, and which one it is. -ENOENT if it is another one or gone:
 * drive_read() will open it again. `wait_us`: as of drive_read_within();
 * `age_us`: it will do if it was so at that time before; 0: it is asked. */
int drive_check_path(struct drive *drive, uint64_t extent, uint64_t wait_us,
                     uint64_t age_us, struct io_node *node);
/* Whether that is still the file which is read here: what was read between the
 * two calls is its. Asks nobody. */
bool drive_reads_from(struct drive *drive, uint64_t extent,
                      const struct io_node *node);

/*
 * Group commit: makes everything written to `extent` before the call durable.
 * One sync thread per drive serves all waiters. The latch lets one caller
 * wait for several drives at once: start on each, wait once, then read the
 * results. It may be used again after that, and is freed only after a wait.
 * `extent` is one that drive_reserve() named since the drive was opened.
 * -ENOENT, and a failed drive, if the extent's path names it no longer.
 */
struct sync_latch;
struct sync_latch *sync_latch_new(void);
void sync_latch_free(struct sync_latch *latch);
void drive_sync_start(struct drive *drive, uint64_t extent,
                      struct sync_latch *latch, int *result);
/* The same for the end of a record: its last bytes, which are copied, are
 * written first. */
void drive_finish_start(struct drive *drive, const struct extent_place *place,
                        uint64_t position, const void *data, size_t size,
                        struct sync_latch *latch, int *result);
void sync_latch_wait(struct sync_latch *latch);       /* all results are set */
int drive_sync(struct drive *drive, uint64_t extent); /* start and wait */

/* --- extents' ids ------------------------------------------------------------
 * The drive's index, and below it a number that rises (X2). */
#define EXTENT_COUNTER_BITS 48
static inline uint64_t extent_number(uint64_t extent)
{
    return extent & ((UINT64_C(1) << EXTENT_COUNTER_BITS) - 1);
}
/* The least that an extent has on a drive which is opened at that time or
 * later, if the clock is right; in seconds since 1970. */
static inline uint64_t extent_number_at(uint64_t seconds)
{
    return seconds << 16;
}

/* --- extents as wholes, for the reclaimer (remove.c) -----------------------*/
/* Calls back for every extent on the drive; stops at a non-zero return. */
typedef int (*drive_extent_fn)(void *context, uint64_t extent);
int drive_extents(struct drive *drive, drive_extent_fn fn, void *context);

struct extent_look {
    uint64_t size; /* bytes of the file */
    bool sealed;   /* takes no more records: but those reserved before */
    bool ours;     /* of this run; else nothing was reserved in it */
};
int drive_extent_look(struct drive *drive, uint64_t extent,
                      struct extent_look *look);
/* The extent takes no more records, if it still did. */
void drive_seal(struct drive *drive, uint64_t extent);

/* A record, as its header says. */
struct drive_record {
    uint64_t blob;
    uint32_t shard;
    uint64_t offset;              /* of the payload */
    uint64_t payload, descriptor; /* bytes; not larger than the file */
    bool chained; /* it and all before it follow each other from the start of
                     the file: no bytes of an object can pass for it */
};
/* Calls back for every record header found. A header that was lost is passed
 * over, and what looks like one inside a record may be found (not `chained`):
 * a hint where to look, no proof that there is nothing else. */
typedef int (*drive_record_fn)(void *context,
                               const struct drive_record *record);
int drive_records(struct drive *drive, uint64_t extent, drive_record_fn fn,
                  void *context);

/* Unlinks an extent that nobody references or will write to, durably. Who has
 * it open reads on. -EBUSY: not sealed, or a sync of it is under way. */
int drive_remove_extent(struct drive *drive, uint64_t extent);

/* Path of an extent below a drive's directory: the same rule in the module.
 * "extents/0a/000000000000010a": id as 16 hex digits, in a folder named by
 * its lowest byte. */
#define EXTENT_PATH_SIZE 40
void extent_path(char out[EXTENT_PATH_SIZE], uint64_t extent);

#endif
