/*
 * The hot index: what s3d writes of it. region.h holds the format and its
 * invariants, docs/hot-index.md the whole of it.
 *
 * Thread-safe, and nothing here waits for anything. A NULL index is allowed
 * everywhere: nothing is published then.
 */
#ifndef HOT_H
#define HOT_H

#include "base/base.h"
#include "hot/region.h"

struct hot;

/* A region of about `size` bytes, in memory that has no name, for answers of
 * about `slot_size` (clamped to what there can be) and less. 0; -ENOTSUP: the
 * kernel cannot seal it or does not tell who died, and it was logged; -ENOMEM;
 * what the system says. */
int hot_open(size_t size, size_t slot_size, struct hot **hot);
/* From here on no worker finds anything. */
void hot_close(struct hot *hot);
/* The memory, for workers: nobody can write to it through this. -1: none. */
int hot_descriptor(const struct hot *hot);

/* --- changes (H1, H3): those of one thread do not nest -----------------------
 * A key of a bucket; with bucket 0 a bucket by its name; everybody's rights. */
void hot_change(struct hot *hot, uint64_t bucket, struct slice name,
                bool ended);
void hot_change_identities(struct hot *hot, bool ended);

/* --- publishing (H2) ---------------------------------------------------------
 * What the guards were before the records were read. */
struct hot_token {
    uint64_t identities;
    struct hot_seen seen[HOT_SEEN_MAX];
    uint8_t count; /* of them */
    bool valid;    /* no change was under way */
};
/* Before anything that concerns the bucket or the caller is looked up. */
void hot_look(struct hot *hot, struct slice bucket, struct hot_token *token);
/* Then, before the record of a key is: of each key, found or not, that the
 * answer depends on. What was looked at before still counts. */
void hot_look_at_key(struct hot *hot, uint64_t bucket, struct slice key,
                     struct hot_token *token);

struct hot_header_field {
    struct slice name, value;
};

struct hot_answer {
    struct slice question;
    uint64_t content_length, mtime_ms;     /* of the object */
    const struct hot_header_field *fields; /* in the order of the answer */
    size_t field_count;
    bool checksums;          /* are among the fields, if it has some */
    struct slice body;       /* data NULL: not given */
    bool anybody;            /* may read it */
    struct slice access_key; /* of one who may; empty: none */
    uint64_t generation;     /* of that access key */
};

/* More bytes of a body than an answer can have. */
size_t hot_body_limit(const struct hot *hot);
/* Whether a question has come often enough: to be called for each request that
 * could have been answered by the index. */
bool hot_is_wanted(struct hot *hot, struct slice question);
/* False: it was not published, as it does not fit, is outdated already, or
 * another thread is at the same slot. */
bool hot_publish(struct hot *hot, const struct hot_token *token,
                 const struct hot_answer *answer);

struct hot_status {
    uint64_t size;      /* bytes of the region */
    uint64_t objects;   /* answers that it holds at most */
    uint64_t published; /* since the start */
    uint64_t changes;   /* of keys, buckets and rights */
};
void hot_status(const struct hot *hot, struct hot_status *status);

#endif
