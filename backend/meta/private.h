/*
 * Private to meta/: the table under kv.h, the key codec, the bucket cache and
 * what hangs together behind struct meta.
 */
#ifndef META_PRIVATE_H
#define META_PRIVATE_H

#include "meta/meta.h"

#include <pthread.h>
#include <stdatomic.h>

/* --- kv: what an implementation provides
 * ------------------------------------*/
struct kv_ops {
    void (*close)(struct kv *kv);
    int (*get)(struct kv *kv, struct arena *arena, struct slice key,
               struct slice *value);
    int (*commit)(struct kv *kv, const struct kv_batch *batch);
    struct kv_iterator *(*iterate)(struct kv *kv);
};

struct kv_iterator_ops {
    void (*free)(struct kv_iterator *iterator);
    void (*seek)(struct kv_iterator *iterator, struct slice key);
    void (*next)(struct kv_iterator *iterator);
    bool (*valid)(struct kv_iterator *iterator);
    struct slice (*key)(struct kv_iterator *iterator);
    struct slice (*value)(struct kv_iterator *iterator);
    int (*error)(struct kv_iterator *iterator);
};

struct kv_reserve {
    char *directory;
    uint64_t bytes; /* 0: none */
    atomic_uint_fast64_t checked_us;
    atomic_bool full;
};

/* First member of every implementation. */
struct kv {
    const struct kv_ops *ops;
    struct kv_reserve reserve;
    atomic_bool poisoned; /* a commit failed: none may follow */
};

struct kv_iterator {
    const struct kv_iterator_ops *ops;
};

struct kv_change {
    bool put; /* else delete */
    struct slice key;
    struct slice value;
};
/* Walks the changes of a batch in order; *position starts at 0. */
bool kv_batch_next(const struct kv_batch *batch, size_t *position,
                   struct kv_change *change);

/* --- log_tail.c: LevelDB's log after a power cut ---------------------------*/
/* How many bytes of a log are whole records: `size`, or fewer if the last one
 * is in pieces. -EBADMSG if a record begins behind the damage, which begins
 * in the record at *whole. */
int log_tail_find(const uint8_t *log, size_t size, size_t *whole);
/* Cuts such a piece off the newest log in the directory and keeps it beside,
 * as lost-tail-<n>. Whoever calls has the directory for itself. */
int log_tail_repair(int directory);

/* --- keys: each appends to the buffer --------------------------------------*/
#define META_KEY_BUCKET    'B'
#define META_KEY_CLUSTER   'C'
#define META_KEY_COMPLETED 'D'
#define META_KEY_RECLAIM   'G'
#define META_KEY_HEAL      'H'
#define META_KEY_USER      'I' /* iam/ */
#define META_KEY_ACCESS    'K' /* iam/ */
#define META_KEY_BLOB      'L'
#define META_KEY_NEXT_ID   'N'
#define META_KEY_OBJECT    'O'
#define META_KEY_PART      'P'
#define META_KEY_REFERENCE 'R'
#define META_KEY_UPLOAD    'U'

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
void key_reference(struct buffer *out, uint64_t blob,
                   const struct meta_referrer *referrer);
/* Turns a prefix into the first key after all that begin with it. A prefix of
 * FF only has none: the buffer becomes empty and false is returned. */
bool key_successor(struct buffer *prefix);
/* Undoes key_terminated(): appends the bytes to `out`, sets *rest to what
 * follows the terminator. -EBADMSG. */
int key_unescape(struct slice in, struct buffer *out, struct slice *rest);
struct slice buffer_slice(const struct buffer *buffer);

/* --- the bucket cache
 * -------------------------------------------------------*/
struct bucket_cache;
struct bucket_cache *bucket_cache_new(void);
void bucket_cache_free(struct bucket_cache *cache);
/* Remembers a bucket's envelope; an empty value forgets the bucket. */
void bucket_cache_set(struct bucket_cache *cache, struct slice name,
                      struct slice value);
/* A copy of the envelope in the arena; -ENOENT. */
int bucket_cache_get(struct bucket_cache *cache, struct arena *arena,
                     struct slice name, struct slice *value);

/* --- locks
 * ------------------------------------------------------------------*/
struct locks;
struct locks *locks_new(void);
void locks_free(struct locks *locks);

/* --- records whose key must agree with them
 * ---------------------------------*/
int record_bucket(struct arena *arena, struct slice value, struct slice name,
                  Meta__Bucket **bucket);
int record_object(struct arena *arena, struct slice value, struct slice rest,
                  Meta__Object **object);
int record_upload(struct arena *arena, struct slice value, struct slice id,
                  Meta__Upload **upload);

/* --- the whole
 * --------------------------------------------------------------*/
struct meta {
    struct kv *kv;
    struct bucket_cache *buckets;
    struct locks *locks;

    pthread_mutex_t id_lock;
    uint64_t next_id;
    uint64_t id_limit; /* ids below it are reserved on disk */
};

#endif
