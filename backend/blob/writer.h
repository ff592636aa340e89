/*
 * What a blob being written consists of: shared by writer.c and place.c.
 */
#ifndef BLOB_WRITER_H
#define BLOB_WRITER_H

#include "blob/private.h"

/* Stripes in memory at once: the one being filled, and those on their way to
 * the drives. Each holds as much as it has bytes and parity. */
#define WRITER_STRIPES 2u

struct written_shard {
    struct drive *drive; /* NULL: missing */
    unsigned index;      /* of the drive */
    struct extent_place place;
    uint64_t
        reserved;  /* bytes of the reservation that the drive was not given */
    uint8_t *tail; /* the last bytes of the record, for chunk_end */
    size_t tail_size;
    uint64_t tail_position;
    uint32_t crc; /* of the descriptor */
    int synced;   /* result of the sync */
};

struct written_chunk {
    uint64_t size;
    struct written_shard shards[];
};

struct blob_writer {
    struct blob_store *store;
    struct blob_spec spec; /* the origin is copied */
    uint32_t origin_crc;
    struct erasure_profile profile;
    unsigned shards;
    uint32_t unit;     /* of its stripes; from the first chunk on */
    uint64_t appended; /* bytes */
    int error;         /* the first one sticks */
    bool full;         /* a shard was dropped for want of room */

    struct written_chunk **chunks;
    size_t chunk_count; /* in the whole blob */
    size_t begun, ended;
    size_t durable; /* chunks whose sync was waited for */
    struct sync_latch *latch;

    /* the chunk being written */
    struct geometry geometry;
    uint64_t stripe;     /* number */
    size_t filled;       /* bytes of it in `data` */
    struct memory *data; /* of the stripe being filled: k units; or NULL */
    /* Of stripes under way, by their number; NULL: none of that shard. They
     * hold the stripes' memory. */
    struct drive_write *writes[WRITER_STRIPES][ERASURE_SHARDS_MAX];
    uint32_t *tables; /* one of `blocks` CRCs per shard; copies share one */
    uint32_t blocks;
    struct placement_candidate *candidates;
};

/* Object bytes of a chunk, by its number. */
uint64_t writer_chunk_bytes(const struct blob_writer *writer, size_t chunk);
/* Sets the profile: -ENODEV without drives, -ENOSPC without room. */
int writer_choose_profile(struct blob_writer *writer);
/* Finds drives for the shards of a chunk (whose geometry is set) and reserves
 * their records. Shards without a place are missing; 0 if enough have one. */
int writer_place_chunk(struct blob_writer *writer, struct written_chunk *chunk);
/* True if the shards left are at least profile_minimum(). */
bool writer_enough_left(const struct blob_writer *writer,
                        const struct written_chunk *chunk);

#endif
