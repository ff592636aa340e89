/*
 * The hot index as it lies in shared memory, linked into both sides. s3d writes
 * it (hot.h), workers map it read-only. docs/hot-index.md says why what is
 * found there is true.
 *
 *   offset         what
 *   0              struct hot_header
 *   HOT_PAGE       guards: 64-bit words
 *   behind them    sets of HOT_WAYS slots of as many bytes as the header says,
 *                  from the next multiple of HOT_PAGE on
 *
 * A slot holds one answer: to a question (question.h) what a GET says, the
 * bytes included. Numbers are the machine's own: the region never leaves it.
 *
 * Invariants:
 *   H1  A guard counts the changes of what falls to it: a change adds
 *       HOT_GUARD_STEP when it begins and again when it has ended, and is
 *       counted in the low bits between the two.
 *   H2  An entry carries the guards of its bucket, of all keys that s3d looked
 *       for, found or not, and of all identities, as they were before s3d read
 *       the first record that the entry tells of, with no change under way.
 *       While they are the same, the entry says what s3d would.
 *   H3  A change begins before anybody can see it, and has ended before it is
 *       answered.
 *   H4  `alive` names the thread that holds the region for s3d. The kernel
 *       clears it when s3d dies, before it gives up what s3d had locked: no
 *       other s3d can have changed anything while it is set.
 *   H5  Nothing in a region is believed: every length is bounded after it was
 *       copied, and the copy has its CRC32C.
 *
 * Pure: no I/O, no allocation; any thread.
 */
#ifndef HOT_REGION_H
#define HOT_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOT_VERSION  3u
#define HOT_MAGIC    UINT64_C(0x31544f4844335331) /* "1S3DHOT1" */
#define HOT_PAGE     4096u
#define HOT_SLOT_MIN 8192u
#define HOT_SLOT_MAX 65536u
#define HOT_WAYS     4u
#define HOT_GUARDS   16u /* of each slot */
#define HOT_SETS_MAX (1u << 22)

#define HOT_GUARD_STEP (UINT64_C(1) << 16)
#define HOT_GUARD_BUSY (HOT_GUARD_STEP - 1) /* changes under way */
#define HOT_ALIVE_MASK 0x3fffffffu          /* FUTEX_TID_MASK */

#define HOT_SEEN_MAX    10u /* guards of a bucket and keys in one entry */
#define HOT_READERS_MAX 4u
#define HOT_READER_MAX  32u /* bytes of an access key */

/* What the kernel needs to know of a lock whose owner dies:
 * set_robust_list(2). Addresses of s3d's, of no use to others. */
struct hot_robust {
    uint64_t list;
    int64_t futex_offset;
    uint64_t pending;
    uint64_t node;
    uint32_t alive;
    uint32_t unused;
};

struct hot_header {
    uint64_t magic;
    uint32_t version;
    uint32_t sets;
    uint64_t hash_key[2];
    uint64_t slot_size; /* a multiple of HOT_PAGE */
    uint64_t unused[3];
    struct hot_robust robust;
    uint64_t unused_too[3];
    uint64_t identities; /* a guard */
};

/* A seqlock: `sequence` is odd while the rest is written. */
struct hot_slot {
    uint64_t sequence;
    uint64_t hash; /* of the question; 0: free */
    uint32_t size; /* of the payload */
    uint32_t crc;  /* of it */
    uint64_t payload[];
};

/* Bytes of the largest payload that any slot has room for. */
#define HOT_PAYLOAD_MAX (HOT_SLOT_MAX - sizeof(struct hot_slot))

/* What a payload begins with; the parts follow in this order: guards, readers,
 * the question, headers, the body. */
struct hot_entry {
    uint64_t identities;     /* their guard */
    uint64_t content_length; /* of the object */
    uint64_t mtime_ms;       /* of it: since 1970 */
    uint8_t anybody;         /* may read it */
    uint8_t has_body;
    uint8_t checksums; /* among the headers, for who asks for them */
    uint8_t seen;      /* how many struct hot_seen */
    uint8_t readers;   /* how many struct hot_reader */
    uint8_t fields;    /* how many headers */
    uint16_t question_size, fields_size, body_size;
    uint32_t unused;
};

/* A guard and what it was. */
struct hot_seen {
    uint64_t guard; /* which one */
    uint64_t value;
};

/* Who may read the object, whatever else the request says. */
struct hot_reader {
    uint64_t generation; /* of the access key */
    uint8_t size;
    uint8_t access_key[HOT_READER_MAX];
    uint8_t unused[7];
};

/* A header: two bytes of the name's size, two of the value's, then both. */
#define HOT_FIELD_HEAD 4u

/* --- sizes -----------------------------------------------------------------*/
size_t hot_guards_size(uint32_t sets); /* bytes, with padding */
size_t hot_region_size(uint32_t sets, size_t slot_size);

/* --- hashing ---------------------------------------------------------------*/
/* SipHash-1-3 of `size` bytes, then `number`. */
uint64_t hot_hash(const uint64_t key[2], uint64_t number, const void *data,
                  size_t size);

/* --- a mapped region -------------------------------------------------------*/
struct hot_view {
    const struct hot_header *header;
    const uint64_t *guards;
    const uint8_t *slots;
    uint64_t hash_key[2];
    uint64_t guard_count;
    size_t slot_size, payload_max; /* bytes */
    uint32_t sets;
};

/* False: it is no region of this version and size. */
bool hot_view_open(struct hot_view *view, const void *base, size_t size);

/* Where the guard of a bucket's key is, or, with bucket 0, of a bucket's
 * name: an index into view->guards. */
size_t hot_guard_of(const struct hot_view *view, uint64_t bucket,
                    const void *name, size_t size);
/* Never 0. */
uint64_t hot_question_hash(const struct hot_view *view, const void *question,
                           size_t size);
/* One of the HOT_WAYS slots of its set. */
const struct hot_slot *hot_slot_of(const struct hot_view *view, uint64_t hash,
                                   unsigned way);

/* An answer that was found: all of it points into the copy. */
struct hot_found {
    const struct hot_entry *entry;
    const struct hot_seen *seen;
    const struct hot_reader *readers;
    const uint8_t *question, *fields, *body;
};

struct hot_field {
    const uint8_t *name, *value;
    size_t name_size, value_size;
};

/* Copies the answer to a question to `copy`, view->payload_max bytes aligned to
 * 8. True: at this moment s3d knows nothing newer. */
bool hot_find(const struct hot_view *view, const void *question, size_t size,
              void *copy, struct hot_found *found);
/* Whether the bounds of a copied payload hold; fills in *found. */
bool hot_parse(const void *copy, size_t size, struct hot_found *found);

/* Walks over headers, from *at == 0 on. False: there are no more. */
bool hot_next_field(const struct hot_found *found, size_t *at,
                    struct hot_field *field);
bool hot_may_read(const struct hot_found *found, const void *access_key,
                  size_t size, uint64_t generation);

#endif
