/*
 * Private to meta/: the key codec, the bucket cache and what hangs together
 * behind struct meta.
 */
#ifndef META_PRIVATE_H
#define META_PRIVATE_H

#include "meta/meta.h"

#include <pthread.h>

/* --- keys: each appends to the buffer --------------------------------------*/
#define META_KEY_CARE      'A'
#define META_KEY_BUCKET    'B'
#define META_KEY_CLUSTER   'C'
#define META_KEY_COMPLETED 'D'
#define META_KEY_ENTITY    'E' /* iam/ */
#define META_KEY_RECLAIM   'G'
#define META_KEY_HEAL      'H'
#define META_KEY_USER      'I' /* iam/ */
#define META_KEY_ACCESS    'K' /* iam/ */
#define META_KEY_BLOB      'L'
#define META_KEY_NEXT_ID   'N'
#define META_KEY_OBJECT    'O'
#define META_KEY_PART      'P'
#define META_KEY_REFERENCE 'R'
#define META_KEY_QUOTA     'Q'
#define META_KEY_UPLOAD    'U'
#define META_KEY_EVENT     'V'

void key_tag(struct buffer *out, char tag);
void key_u64(struct buffer *out, uint64_t value);
void key_escaped(struct buffer *out, struct slice bytes);    /* 00 -> 00 FF */
void key_terminated(struct buffer *out, struct slice bytes); /* ... 00 01 */
void key_bucket(struct buffer *out, struct slice name);
/* tag: OBJECT or UPLOAD. What begins every such key of a bucket; of a key. */
void key_of_bucket(struct buffer *out, char tag, uint64_t bucket);
void key_of_key(struct buffer *out, char tag, uint64_t bucket,
                struct slice key);
void key_object(struct buffer *out, uint64_t bucket, struct slice key,
                uint64_t sequence);
void key_upload(struct buffer *out, uint64_t bucket, struct slice key,
                struct slice upload);
void key_parts(struct buffer *out, struct slice upload);
void key_part(struct buffer *out, struct slice upload, unsigned number);
void key_completed(struct buffer *out, struct slice upload);
void key_blob(struct buffer *out, char tag, uint64_t blob);
void key_heal(struct buffer *out, const struct meta_heal *entry);
/* -EBADMSG */
int key_heal_decode(struct slice key, struct meta_heal *entry);
void key_scrub(struct buffer *out);
void key_rewrap(struct buffer *out);
void key_audit(struct buffer *out, uint32_t day);
void key_reference(struct buffer *out, uint64_t blob,
                   const struct meta_referrer *referrer);
/* A bucket's usage; 0 as the bucket: usage is kept. The quota of an
 * owner, or of an IAM user. */
#define KEY_USAGE_SIZE 10
void key_usage(struct buffer *out, uint64_t bucket);
void key_owner_quota(struct buffer *out, struct slice owner);
/* What begins the key of every event of a target. */
void key_events(struct buffer *out, struct slice target);
void key_event(struct buffer *out, struct slice target, uint64_t sequence);
/* Turns a prefix into the first key after all that begin with it. A prefix of
 * FF only has none: the buffer becomes empty and false is returned. */
bool key_successor(struct buffer *prefix);
/* Undoes key_terminated(): appends the bytes to `out`, sets *rest to what
 * follows the terminator. -EBADMSG. */
int key_unescape(struct slice in, struct buffer *out, struct slice *rest);
struct slice buffer_slice(const struct buffer *buffer);

/* --- the bucket cache ------------------------------------------------------*/
struct bucket_cache;
struct bucket_cache *bucket_cache_new(void);
void bucket_cache_free(struct bucket_cache *cache);
/* Remembers a bucket's envelope; an empty value forgets the bucket. */
void bucket_cache_set(struct bucket_cache *cache, struct slice name,
                      struct slice value);
/* A copy of the envelope in the arena; -ENOENT. */
int bucket_cache_get(struct bucket_cache *cache, struct arena *arena,
                     struct slice name, struct slice *value);
/* The same, and its name. */
int bucket_cache_get_by_id(struct bucket_cache *cache, struct arena *arena,
                           uint64_t id, struct slice *name,
                           struct slice *value);

/* --- locks -----------------------------------------------------------------*/
struct locks;
struct locks *locks_new(void);
void locks_free(struct locks *locks);

/* --- pins ------------------------------------------------------------------*/
struct pins;
struct pins *pins_new(void);
void pins_free(struct pins *pins); /* nothing is pinned */

/* --- limits: limits.c, usage.c ---------------------------------------------*/
/* What a batch changes in a bucket's usage; NULL: nothing in any. */
struct usage_change {
    struct usage_change *next; /* of another bucket */
    uint64_t bucket;
    int64_t bytes, objects;
};
struct limits;
struct limits *limits_new(void);
void limits_free(struct limits *limits);
/* A bucket as its record says, from before its first object on; the end of one
 * that is empty. */
void limits_set_bucket(struct limits *limits, const Meta__Bucket *bucket);
void limits_forget_bucket(struct limits *limits, uint64_t bucket);
void limits_set_owner(struct limits *limits, struct slice owner,
                      const Meta__Quota *quota);
/* What the record of a bucket's usage says; before anything is committed. */
void limits_load(struct limits *limits, uint64_t bucket,
                 const struct meta_usage *usage);
/* Before a commit: counts what it adds. -EDQUOT: it is more than a quota
 * allows, and `limited`. Then, whatever came of it: */
int limits_claim(struct limits *limits, const struct usage_change *changes,
                 bool limited);
void limits_settle(struct limits *limits, const struct usage_change *changes,
                   bool committed);
/* The totals of the store: kv_set_totals(). */
void limits_add(void *limits, const void *changes);
void limits_put(void *limits, struct kv_batch *batch);
/* A part whose upload is gone: it is not counted any more. */
void batch_drop_part(struct meta_batch *batch, struct slice upload,
                     unsigned number);
/* It is committed whatever the reserve: kv_batch_essential(). */
void batch_essential(struct meta_batch *batch);
/* Reads what is kept, or counts all there is, once. */
int usage_load(struct meta *meta);

/* --- outboxes: outbox.c ----------------------------------------------------*/
/* Counts what waits. Before anybody else uses `meta`. */
int outboxes_load(struct meta *meta);
void outboxes_free(struct meta *meta);

/* An event in a batch, from its sequence on until the batch has ended. */
struct outbox_entry {
    struct outbox_entry *next_of_batch;
    struct meta_outbox *outbox;
    uint64_t sequence;
    struct kept_event *event; /* what becomes of it when it is committed */
    struct outbox_entry *before, *after; /* of the outbox, by sequence */
};
/* Gives the entry its place and its sequence. */
void outbox_begin(struct meta_outbox *outbox, struct outbox_entry *entry);
/* The batch has ended; its entries are forgotten. */
void outbox_end(struct outbox_entry *entries, bool committed);

/* --- kept.c: an outbox's newest events, in memory --------------------------
 * So that what was committed last need not be read back from the store. All
 * that was committed with a sequence > `after` is here; a bound in bytes takes
 * the oldest. Under the outbox's lock. */
struct kept_event {
    struct kept_event *before, *next; /* by sequence */
    uint64_t bytes;                   /* as the outbox counts it */
    size_t size;                      /* of the strings */
    Meta__Event event;                /* its strings are behind it */
};
/* A copy, in no list. `bytes`: of its key and value in the store. */
struct kept_event *kept_event_new(const Meta__Event *event, uint64_t bytes);
Meta__Event *kept_event_copy(const struct kept_event *kept,
                             struct arena *arena);
struct kept {
    struct kept_event *oldest, *newest;
    size_t size; /* bytes */
    uint64_t after;
};
/* Takes the event. */
void kept_add(struct kept *kept, struct kept_event *event);
/* The oldest with a sequence > sequence; NULL: there is none. */
struct kept_event *kept_find(const struct kept *kept, uint64_t sequence);
/* Those with a sequence <= through are in the store no longer. */
void kept_remove(struct kept *kept, uint64_t through);
void kept_free(struct kept *kept);

/* --- records whose key must agree with them --------------------------------*/
/* Reads a record and empties the key. */
int read_record(struct meta *meta, struct arena *arena, struct buffer *key,
                enum meta_record type,
                const ProtobufCMessageDescriptor *descriptor,
                ProtobufCMessage **message);
int record_bucket(struct arena *arena, struct slice value, struct slice name,
                  Meta__Bucket **bucket);
int record_object(struct arena *arena, struct slice value, struct slice rest,
                  Meta__Object **object);
int record_upload(struct arena *arena, struct slice value, struct slice id,
                  Meta__Upload **upload);
/* Without a copy: slices lie in `value`. (listed.c) */
int record_listed(struct slice value, struct slice rest,
                  struct meta_listed *listed);
/* Checks the envelope; the message in it, packed. -EBADMSG. */
int record_open(enum meta_record type, struct slice value,
                struct slice *payload);

/* --- the whole -------------------------------------------------------------*/
struct meta {
    struct kv *kv;
    struct bucket_cache *buckets;
    struct locks *locks;
    struct pins *pins;
    struct limits *limits;

    /* Held shared around a commit that changes layouts and its telling. */
    meta_change_fn changed; /* NULL: nobody is told */
    void *changed_context;
    pthread_rwlock_t watch_lock;
    meta_layout_fn watch; /* NULL: nobody watches */
    void *watch_context;

    pthread_mutex_t outboxes_lock;
    struct meta_outbox *outboxes;

    pthread_mutex_t id_lock;
    uint64_t next_id;
    uint64_t id_limit; /* ids below it are reserved on disk */
};

#endif
