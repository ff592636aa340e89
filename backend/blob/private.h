/*
 * What the files of blob/ share: geometry, descriptors, their cache, chunks
 * being read. docs/disk-format.md, section 'Shards', holds the bytes.
 */
#ifndef BLOB_PRIVATE_H
#define BLOB_PRIVATE_H

#include "blob/blob.h"
#include "placement/placement.h"

#include <pthread.h>
#include <stdatomic.h>

#define BLOB_ORIGIN_MAX (8u << 10)
#define BLOB_UNIT_MAX   (16u << 20)

/* --- geometry: where bytes of a chunk are -----------------------------------
 * Everything follows from (chunk size, k, m, unit). */
struct geometry {
    struct erasure_profile profile;
    uint32_t unit;
    uint64_t size;      /* object bytes in the chunk */
    uint64_t stripe;    /* object bytes of a full stripe */
    uint64_t full;      /* number of full stripes */
    uint64_t rest;      /* object bytes of the last, shorter one, or 0 */
    uint32_t last_unit; /* its unit, a multiple of BLOB_UNIT_ALIGN */
};

void geometry_init(struct geometry *geometry,
                   const struct erasure_profile *profile, uint32_t unit,
                   uint64_t size);
/* Payload bytes of a shard; a data shard stores no padding. */
uint64_t geometry_shard_size(const struct geometry *geometry, unsigned shard);
/* Bytes of the shard's block number `block`, 0 past its end. */
uint32_t geometry_block_size(const struct geometry *geometry, unsigned shard,
                             uint32_t block);

/* Bytes that lie together in one data shard. */
struct run {
    unsigned shard;  /* 0..k */
    uint64_t offset; /* in the shard's payload */
    uint64_t length; /* to the end of the unit; for copies, of the chunk */
};
/* The run that begins at `offset` (< size) of the chunk. */
struct run geometry_run(const struct geometry *geometry, uint64_t offset);

static inline uint32_t block_count(uint64_t payload)
{
    return (uint32_t)((payload + BLOB_BLOCK_SIZE - 1) / BLOB_BLOCK_SIZE);
}

static inline unsigned profile_shards(const struct erasure_profile *profile)
{
    return (unsigned)profile->k + profile->m;
}

/* Fewest shards of a chunk that must be durable: a new blob bears one more
 * loss when it is acknowledged, unless its profile bears none at all, and no
 * more than `may_miss` are missing. */
unsigned profile_minimum(const struct erasure_profile *profile,
                         unsigned may_miss);

/* Refuses (-EBADMSG) a layout that no writer makes. */
int layout_check(const Layout__Layout *layout);
struct erasure_profile layout_profile(const Layout__Layout *layout);

/* --- descriptors --------------------------------------------------------- */
#define DESCRIPTOR_FIXED_SIZE 80u

struct descriptor {
    uint64_t blob, blob_size;
    uint64_t chunk_offset, chunk_size; /* bytes, in the blob */
    uint64_t payload;                  /* bytes of the shard */
    uint32_t chunk;                    /* number */
    uint32_t unit;
    uint32_t origin_size, origin_crc;
    struct erasure_profile profile;
    uint8_t shard;
};

/* Fixed part, table and their CRC; the origin follows and is not counted. */
static inline size_t descriptor_size(uint64_t payload)
{
    return DESCRIPTOR_FIXED_SIZE + 4 * ((size_t)block_count(payload) + 1);
}

/* Writes descriptor_size() bytes; the table has block_count() CRCs. Returns
 * the descriptor's CRC. */
uint32_t descriptor_encode(const struct descriptor *descriptor,
                           const uint32_t *table, uint8_t *out);
/* `in` holds descriptor_size(payload) bytes. -EBADMSG if anything is wrong. */
int descriptor_decode(struct slice in, struct descriptor *descriptor,
                      uint32_t *crc);
static inline uint32_t descriptor_block_crc(const uint8_t *encoded,
                                            uint32_t block)
{
    return get_u32le(encoded + DESCRIPTOR_FIXED_SIZE + 4 * (size_t)block);
}

/* --- the cache of CRC tables ----------------------------------------------
 * Tables of shards of more than one block (smaller ones are read together
 * with their payload). Bounded by CACHE_TABLES and CACHE_BYTES. */
#define CACHE_TABLES  1024u
#define CACHE_BYTES   (8u << 20)
#define CACHE_BUCKETS 1024u

struct table {
    struct table *next; /* in the bucket */
    struct table *newer, *older;
    unsigned references;
    /* the key */
    uint64_t extent, offset;
    uint64_t blob;
    uint32_t chunk, shard, descriptor_crc;
    uint32_t blocks;
    uint32_t crc[];
};

struct cache {
    pthread_mutex_t lock;
    struct table *buckets[CACHE_BUCKETS];
    struct table *newest, *oldest;
    unsigned count;
    size_t bytes;
};

void tables_init(struct cache *cache);
void tables_destroy(struct cache *cache); /* no table is referenced any more */
/* NULL if it is not there; `key` needs only its key. Release after use. */
struct table *tables_get(struct cache *cache, const struct table *key);
/* Takes the table (one malloc) over; it stays valid until released. */
void tables_put(struct cache *cache, struct table *table);
void tables_release(struct cache *cache, struct table *table);

/* --- the store ----------------------------------------------------------- */
struct blob_store {
    struct drive **drives;
    unsigned *domains; /* number of each drive's fault domain */
    unsigned drive_count;
    uint64_t chunk_size; /* BLOB_CHUNK_SIZE; smaller in tests */
    uint32_t unit;       /* BLOB_UNIT_SIZE; smaller in tests */
    unsigned may_miss;
    atomic_uint_fast64_t hedge_us; /* 0: reads wait */
    atomic_uint_fast64_t random;
    blob_damage_fn on_damage;
    void *damage_context;
    struct cache cache;
    atomic_uint_fast64_t generation; /* of retired extents */
    pthread_mutex_t intents_lock;
    uint64_t next_intent;
    struct blob_intent *oldest_intent, *newest_intent;
};

/* NULL unless the locator names a drive that is there. */
struct drive *store_drive(struct blob_store *store,
                          const Layout__Locator *locator);
uint64_t store_random(struct blob_store *store);
/* Drives that were not removed. */
unsigned store_members(struct blob_store *store);
/* Drives that are OK and not drained. */
unsigned store_usable(struct blob_store *store);
/* The same without those that are slow, if the others are enough for blobs to
 * bear as many losses. */
unsigned store_preferred(struct blob_store *store);
/* Drives that can take a record of `bytes`: slow ones only if there are fewer
 * than `wanted` others. Returns their number. */
unsigned store_candidates(struct blob_store *store, uint64_t bytes,
                          unsigned wanted,
                          struct placement_candidate *candidates);
/* A candidate from the domains with the fewest of the drives `used`, of which
 * none is a candidate. -ENOSPC: there is none. */
int store_choose_spare(struct blob_store *store,
                       const struct placement_candidate *candidates,
                       unsigned count, const unsigned *used,
                       unsigned used_count, unsigned *drive);
void candidate_remove(struct placement_candidate *candidates, unsigned *count,
                      unsigned drive);

struct view;

/* --- one chunk being read ------------------------------------------------ */
struct chunk {
    struct blob_store *store;
    const Layout__Layout *layout;
    const Layout__Chunk *message;
    unsigned number;
    uint64_t offset; /* of the chunk in the blob */
    struct geometry geometry;
    uint64_t wait_us;     /* for one read; 0: as long as the drive may take */
    uint64_t path_age_us; /* it will do if a file was at its path then */
    uint32_t bad;         /* shards that cannot be used at all */
    uint32_t late;        /* those of them that took too long */
    uint32_t reported;    /* shards told to on_damage */
    uint32_t at_path;     /* shards whose file is the one at its path */
    struct io_node nodes[ERASURE_SHARDS_MAX]; /* of those: which file */
    struct table *tables[ERASURE_SHARDS_MAX];
    struct view *views; /* of all shards, to be read by; NULL: as usual */
};

/* Opens the chunk that holds `offset` of the blob. */
void chunk_open(struct chunk *chunk, struct blob_store *store,
                const Layout__Layout *layout, uint64_t offset);
void chunk_close(struct chunk *chunk);
void chunk_damaged(struct chunk *chunk, unsigned shard, int error);
/* For a reader that opens the shard's extent itself: 0 if that is the file
 * which is read here. Asked once a shard. */
int chunk_check_path(struct chunk *chunk, unsigned shard);
/* After too few shards were there in time: from now on they are waited for.
 * False if they were already, or none was late. */
bool chunk_be_patient(struct chunk *chunk);
/* Reads block `block` of a shard, whole, into `out` (BLOB_BLOCK_SIZE bytes
 * and BLOB_DESCRIPTOR_ROOM more) and checks it. */
#define BLOB_DESCRIPTOR_ROOM 128u
int chunk_read_block(struct chunk *chunk, unsigned shard, uint32_t block,
                     uint8_t *out);
/* Reads whole blocks first..first+count at once, checked; `size` is theirs. */
int chunk_read_blocks(struct chunk *chunk, unsigned shard, uint32_t first,
                      uint32_t count, uint8_t *out, size_t size);
/* Recomputes block `block` of the data shard `wanted` from the others (B3);
 * `out` has BLOB_BLOCK_SIZE bytes. -EIO if too few are good. */
int chunk_rebuild_block(struct chunk *chunk, unsigned wanted, uint32_t block,
                        uint8_t *out);
/* The i-th choice among the copies (k == 1). */
unsigned chunk_copy(const struct chunk *chunk, unsigned i);
/* The shard to read bytes of data shard `shard` from: itself, or for copies
 * the preferred one that is not known to be bad. */
unsigned chunk_source(const struct chunk *chunk, unsigned shard);
/* Bytes of a shard's record, from the drive itself; checks nothing. */
int shard_read_direct(struct chunk *chunk, unsigned shard, uint64_t offset,
                      void *data, size_t size);
/* -EBADMSG unless the descriptor is the one that the layout means, and says
 * what the layout says. */
int descriptor_check(const struct chunk *chunk, unsigned shard, struct slice in,
                     struct descriptor *found);
/* The caller looks after damage itself, and has time: on_damage is not
 * called. */
void chunk_quiet(struct chunk *chunk);
/* --- view.c: a shard's record, from the drive, some of it in memory --------*/
struct view {
    struct chunk *chunk;
    unsigned shard;
    uint64_t record; /* bytes: payload, descriptor, origin */
    uint64_t from;   /* in the record: of what `data` holds */
    size_t size;     /* of that */
    uint8_t *data;   /* 1 MiB at most, or what was asked for */
};
void view_open(struct view *view, struct chunk *chunk, unsigned shard);
void view_close(struct view *view);
/* Gives bytes that are valid until the next call; checks nothing. */
int view_read(struct view *view, uint64_t offset, size_t size,
              const uint8_t **bytes);

struct shard_label {
    struct descriptor descriptor;
    uint8_t origin[BLOB_ORIGIN_MAX];
};
/* verify.c: the descriptor with its origin, checked, from the drive itself. */
int chunk_read_label(struct chunk *chunk, unsigned shard,
                     struct shard_label *label);
/* Checks the label, which it gives, and all blocks, from the drive itself.
 * -ECANCELED by `pace`. */
int chunk_verify_shard(struct chunk *chunk, unsigned shard,
                       const struct blob_pace *pace, struct shard_label *label);
static inline bool pace_spend(const struct blob_pace *pace, uint64_t bytes)
{
    return pace == NULL || pace->spend(pace->context, bytes);
}

Layout__Layout *layout_copy(const Layout__Layout *layout);

/* --- one shard being written anew (repair.c) -------------------------------*/
struct rebuild {
    struct chunk *chunk;
    const struct blob_pace *pace;
    const struct shard_label *label; /* of a good shard of the chunk */
    unsigned shard;
    /* Gives a block of the shard, as chunk_rebuild_block() does. */
    int (*fetch)(struct chunk *chunk, unsigned shard, uint32_t block,
                 uint8_t *out);
    bool lazy;       /* durable only after a later sync */
    bool unreadable; /* the shard could not be had: nowhere would it be */
    struct drive *drive;
    struct extent_place place;
    uint64_t reserved; /* bytes that were not given to be written */
};
/* Writes the shard to drive `index` and names it in `locator`. */
int rebuild_on(struct rebuild *rebuild, unsigned index,
               Layout__Locator *locator);
/* On one drive after the other until it is there; `now` is the chunk of the
 * layout to be. -ENODEV: none can take it. */
int rebuild_shard(struct rebuild *rebuild, Layout__Chunk *now);

/* Adds a chunk with `good` shards to what is known of its blob. */
void health_add(struct blob_health *health, const struct chunk *chunk,
                unsigned good);
/* Checks every shard; one bit per bad one. `label` is a good one's, if any. */
int examine_chunk(struct chunk *chunk, const struct blob_pace *pace,
                  struct blob_health *health, struct shard_label *label,
                  uint32_t *bad);

#endif
