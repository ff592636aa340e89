/*
 * The shard store: bytes in, a layout out; a layout in, verified bytes out.
 *
 * A blob is an immutable sequence of bytes. It is cut into chunks of
 * BLOB_CHUNK_SIZE, each chunk into stripes of k units; shard i of a chunk is
 * unit i of all its stripes, contiguous in one extent, so that a data shard
 * holds the object's own bytes. Only the last stripe is shorter: its unit is
 * the rest divided by k, rounded up to BLOB_UNIT_ALIGN, padded with zeros
 * that data shards do not store.
 *
 * Invariants:
 *   B1  A layout is returned only when every shard it names is durable.
 *   B2  Bytes leave only after the CRC32C of their 64 KiB block was checked
 *       against the shard's descriptor, and the descriptor against the layout.
 *   B3  Only verified shards go into a decode.
 *   B4  No two shards of a chunk are on one drive.
 *   B5  Whoever has shards written and a layout of them committed later holds
 *       a blob_intent from before the first write to the end of the commit:
 *       until then an extent with nothing live in it may be about to have.
 *
 * Nothing here knows buckets, keys or metadata. Functions block; they are
 * called from the worker pool. The store is thread-safe, a writer is not.
 */
#ifndef BLOB_H
#define BLOB_H

#include "base/base.h"
#include "erasure/erasure.h"
#include "extent/extent.h"
#include "layout.pb-c.h"

#define BLOB_CHUNK_SIZE (64ull << 20)   /* object bytes */
#define BLOB_UNIT_SIZE  (256u << 10)    /* bytes of a full stripe unit */
#define BLOB_UNIT_LEAST BLOB_BLOCK_SIZE /* the same where memory is short */
#define BLOB_UNIT_ALIGN 64u
#define BLOB_BLOCK_SIZE (64u << 10) /* bytes under one CRC32C */
#define BLOB_SMALL_MAX  (64u << 10) /* up to here: copies */
#define BLOB_NO_DRIVE   UINT32_MAX  /* where a drive's number stands */

struct blob_store;

struct blob_store_options {
    struct drive **drives; /* owned by the caller, outlive the store */
    unsigned drive_count;
    uint64_t seed; /* of placement's random choices; 0: from the system */
    /* How many shards of a chunk may be missing when its blob is acknowledged,
     * at most: never more than m - 1. */
    unsigned may_miss;
};
#define BLOB_MAY_MISS_DEFAULT UINT32_MAX

/* Called when a read met a bad or missing shard (any thread, holds no lock):
 * the place where healing hooks in. */
typedef void (*blob_damage_fn)(void *context, uint64_t blob, unsigned chunk,
                               unsigned shard, int error);

int blob_store_open(const struct blob_store_options *options,
                    struct blob_store **store);
void blob_store_close(struct blob_store *store);
void blob_store_on_damage(struct blob_store *store, blob_damage_fn fn,
                          void *context);
/* The number of a drive's fault domain. */
unsigned blob_domain(const struct blob_store *store, unsigned drive);

/* Reads that take longer than this are answered from other shards instead, if
 * there are enough (the slow read ends by itself). 0, as at first: never. */
void blob_store_hedge(struct blob_store *store, uint64_t us);

/* What a shard says about itself, so that metadata can be rebuilt from
 * drives: an opaque message of the caller's (meta's Origin). */
struct blob_spec {
    uint64_t blob;       /* id, never reused */
    uint64_t size;       /* bytes: exactly this many are appended */
    struct slice origin; /* at most 8 KiB; copied */
};

/* Of one thread at a time; lies where its owner keeps it. */
struct blob_intent {
    uint64_t number; /* 0: not begun */
    struct blob_intent *older, *newer;
};
void blob_intent_begin(struct blob_store *store, struct blob_intent *intent);
/* One that was not begun is allowed. */
void blob_intent_end(struct blob_store *store, struct blob_intent *intent);
/* The number that the next intent will have; the oldest one's that has not
 * ended, or else the same. */
uint64_t blob_intent_next(struct blob_store *store);
uint64_t blob_intent_oldest(struct blob_store *store);

struct blob_writer;

/* -ENOSPC: the drives are full. -ENODEV: no drive, or one alone of several. */
int blob_writer_open(struct blob_store *store, const struct blob_spec *spec,
                     struct blob_writer **writer);
/* -EFBIG when more than spec.size arrives, -ENOSPC or -ENODEV when too few
 * drives are left. After any error only abort. */
int blob_writer_append(struct blob_writer *writer, const void *data,
                       size_t size);
/* Waits until enough shards are durable (B1); shards that failed on their
 * drives, or took longer than the drive's timeout, are named missing if at
 * least k+1 are there, so that the blob bears one more loss (k, if m is 0),
 * and no more than may_miss are not. Frees the writer, also on error. The
 * layout is freed with layout__layout__free_unpacked(layout, NULL). -EBADMSG:
 * fewer bytes than spec.size were appended. */
int blob_writer_finish(struct blob_writer *writer, Layout__Layout **layout);
void blob_writer_abort(struct blob_writer *writer); /* NULL is allowed */

/* True if the layout has missing shards. */
bool blob_degraded(const Layout__Layout *layout);
/* How many more drives may be lost, if all shards that the layout names are
 * good: m less the most that are missing of one chunk. */
unsigned blob_losses_left(const Layout__Layout *layout);

/*
 * Reads verified bytes, reconstructing where a shard is bad or gone.
 * -EIO if too few shards are left: or if the layout is old, blob_generation().
 * [offset, offset+size) is inside the blob.
 */
int blob_read(struct blob_store *store, const Layout__Layout *layout,
              uint64_t offset, void *data, size_t size);

struct blob_segment {
    unsigned drive;
    uint64_t extent, offset, length; /* bytes, length > 0 */
    struct io_node file;             /* that was checked; zeros: none was */
};

/* Of the bytes that segments name: */
enum blob_verify {
    BLOB_VERIFY_NOTHING,
    /* Each touched block is read and checked first, in the file that is at the
     * extent's path. */
    BLOB_VERIFY_PATH,
    /* The same, for a reader who sends them from `file` or not at all: it was
     * at the path within the last second. */
    BLOB_VERIFY_FILE,
};

/*
 * Names where the bytes [offset, offset+size) are, in order, for a reader
 * that sends them itself. Returns the number of segments, which cover *covered
 * bytes from offset (less than size if max was reached or a bad shard was met);
 * 0 segments mean: use blob_read() for at least the next unit. Never fails for
 * a readable blob.
 */
int blob_segments(struct blob_store *store, const Layout__Layout *layout,
                  uint64_t offset, uint64_t size, enum blob_verify verify,
                  struct blob_segment *segments, unsigned max,
                  uint64_t *covered);

/* --- care: what is left of a blob, and making it whole ----------------------
 * None of these calls the damage hook. */

/* Asked before each read of at most 1 MiB; may wait. False: stop. */
struct blob_pace {
    bool (*spend)(void *context, uint64_t bytes);
    void *context;
};

struct blob_health {
    uint64_t bytes;       /* read and checked */
    unsigned shards, bad; /* of all chunks; damaged or not there */
    unsigned damaged;     /* of the bad ones: wrong, short or unreadable */
    int losses_left; /* more drives that may be lost; negative: unreadable */
};

/* Reads and checks every byte of every shard, also parity. `pace` may be NULL.
 * -ECANCELED, or -EBADMSG for a layout that no writer makes. */
int blob_verify(struct blob_store *store, const Layout__Layout *layout,
                const struct blob_pace *pace, struct blob_health *health);
/* Only looks whether the files are there that the layout names. What is on
 * the drive `without` counts as lost; BLOB_NO_DRIVE: nothing does. */
int blob_look(struct blob_store *store, const Layout__Layout *layout,
              unsigned without, struct blob_health *health);

struct blob_repair {
    struct blob_health before, after; /* after.bad == 0: whole */
    unsigned shards;                  /* rebuilt */
    uint64_t bytes;                   /* written */
};

/*
 * Verifies the blob, and rebuilds what is bad from k good shards, on drives
 * that hold no other shard of the chunk (B4). Where there is no such drive, or
 * it fails, or too few shards are good, the shard stays as it is. *repaired is
 * the new layout, to be freed as a writer's, durable (B1); NULL if nothing was
 * rebuilt. Bounded memory. Errors as blob_verify(); after one nothing changed.
 */
int blob_repair(struct blob_store *store, const Layout__Layout *layout,
                const struct blob_pace *pace, Layout__Layout **repaired,
                struct blob_repair *result);

/* --- moving shards ---------------------------------------------------------*/
/* A shard of a blob: where its record is, and how many bytes of the extent are
 * lost to others by it. */
struct blob_shard {
    unsigned chunk, shard, drive;
    uint64_t extent, bytes;
};
typedef void (*blob_shard_fn)(void *context, const struct blob_shard *shard);
/* Calls back for every shard that is not missing. -EBADMSG, before the first
 * call, for a layout that no writer makes. */
int blob_shards(const Layout__Layout *layout, blob_shard_fn fn, void *context);

/* A shard that is to be elsewhere; lists ascend by chunk. */
struct blob_move {
    unsigned chunk, shard;
    unsigned drive; /* that it goes to, which may be the one that it is on */
    bool any;       /* if that is full or BLOB_NO_DRIVE: where a repair would
                       put it */
};

struct blob_moved {
    unsigned shards;
    unsigned bad;   /* damaged, and left where they are */
    unsigned stuck; /* left where they are: no drive has taken them */
    uint64_t bytes; /* written */
};
/*
 * Copies shards, verified (B2), to drives that hold no other shard of the
 * chunk (B4). *moved is the new layout, freed as a writer's, or NULL if nothing
 * was moved; not durable before blob_sync_moved(). A shard whose extent was
 * removed meanwhile stays: the layout is old. -ENODEV: a drive that shards are
 * on cannot be read. Other errors as blob_repair(); after one nothing changed.
 */
int blob_move(struct blob_store *store, const Layout__Layout *layout,
              const struct blob_move *moves, size_t count,
              const struct blob_pace *pace, Layout__Layout **moved,
              struct blob_moved *result);
/*
 * Writes the whole blob anew, verified (B2), coded for the drives that take
 * blobs now. *now is freed as a writer's, durable (B1), and bears as many
 * losses as the layout's code does. -ENOSPC, -ENODEV: there are no drives for
 * that. -EIO as blob_read(), whose damage hook is called; -ECANCELED.
 */
int blob_rewrite(struct blob_store *store, const Layout__Layout *layout,
                 const struct blob_pace *pace, Layout__Layout **now);
/* Makes durable (B1) what blob_move() wrote: every extent that a layout of
 * `moved` names and that of `old` does not. */
int blob_sync_moved(struct blob_store *store, Layout__Layout *const *old,
                    Layout__Layout *const *moved, size_t count);
bool blob_layouts_equal(const Layout__Layout *a, const Layout__Layout *b);

/* --- salvage: what records on the drives say, for want of metadata ---------*/
struct blob_found {
    uint64_t blob, blob_size; /* id, bytes */
    uint64_t chunk_offset, chunk_size;
    uint64_t payload; /* bytes of the shard */
    uint32_t chunk, unit, origin_size, origin_crc, descriptor_crc;
    struct erasure_profile profile;
    uint8_t shard;
    uint32_t drive;
    uint64_t extent, offset; /* of the payload */
};
/* Reads and checks descriptor and origin of a record; not its payload.
 * -EBADMSG, or what the drive says. */
int blob_salvage(struct drive *drive, uint64_t extent,
                 const struct drive_record *record, struct blob_found *found);
/* Reads the origin of a shard, which replaces what is in the buffer. Errors as
 * above. */
int blob_salvage_origin(struct drive *drive, const struct blob_found *found,
                        struct buffer *origin);
/* The layout that shards of one blob make, the first of several of a kind;
 * what is not there is named missing. Freed as a writer's. -ENODATA: there is
 * no shard of a chunk; -EBADMSG: no writer makes such shards. */
int blob_salvage_layout(const struct blob_found *found, size_t count,
                        Layout__Layout **layout);
/* Every chunk has as many shards as reading it takes. */
bool blob_has_enough(const Layout__Layout *layout);

/* To be called when all records name other places, before the extent is
 * removed: readers learn that their layouts may be old. */
void blob_retire_extents(struct blob_store *store);
/* Changes with every such call. Who read a layout when it was the same, has
 * one that names only extents that were not removed meanwhile. */
uint64_t blob_generation(struct blob_store *store);

#endif
