/*
 * Private to kv/: the table under kv.h, and LevelDB's log.
 */
#ifndef KV_PRIVATE_H
#define KV_PRIVATE_H

#include "io/io.h"
#include "kv/kv.h"

#include <pthread.h>
#include <stdatomic.h>

/* --- what an implementation provides ---------------------------------------*/
struct kv_ops {
    void (*close)(struct kv *kv);
    int (*get)(struct kv *kv, struct arena *arena, struct slice key,
               struct slice *value);
    int (*commit)(struct kv *kv, const struct kv_batch *batch);
    struct kv_iterator *(*iterate)(struct kv *kv);
    /* NULL: iterate() sees what was put in passing. */
    struct kv_iterator *(*iterate_all)(struct kv *kv);
    /* NULL: a mirror's database, whose groups have their numbers elsewhere. */
    int (*snapshot)(struct kv *kv, struct kv_position *position,
                    struct kv_iterator **iterator);
    /* Where its groups are: the directory of a journal, to be freed. NULL: it
     * has none. */
    int (*journal)(struct kv *kv, struct kv_position *until, struct io **io,
                   char **directory);
    /* All that was committed is in tables that a power cut leaves alone; only
     * of stores that do not sync each commit, else NULL. */
    int (*checkpoint)(struct kv *kv);
    /* NULL: it is no LevelDB. */
    bool (*statistics)(struct kv *kv, struct kv_statistics *statistics);
};

/* Both moves leave `here` and `error` as they are after it. */
struct kv_iterator_ops {
    void (*free)(struct kv_iterator *iterator);
    void (*seek)(struct kv_iterator *iterator, struct slice key);
    void (*next)(struct kv_iterator *iterator);
    /* Sets `error` if next() with `asks_late` has passed over something; NULL:
     * it never does. */
    void (*ask)(struct kv_iterator *iterator);
};

struct kv_reserve {
    char *directories[KV_MIRRORS_MAX];
    unsigned count;
    uint64_t bytes; /* 0: none */
    atomic_uint_fast64_t checked_us;
    atomic_bool full;
};

void reserve_free(struct kv_reserve *reserve);

/* First member of every implementation. */
struct kv {
    const struct kv_ops *ops;
    struct kv_reserve reserve;
    atomic_bool poisoned; /* a commit failed: none may follow */
    kv_follow_fn follow;  /* NULL: nobody follows */
    void *follow_context;
    struct kv_totals totals;
    struct kv_batch *totals_batch; /* NULL: there are no totals */
    bool totals_changed;           /* by a batch of the group being made */
};
/* By an implementation, for each batch of a group that becomes visible at once,
 * in its order, and at the group's end: what is to be written. */
void kv_group_add(struct kv *kv, struct buffer *payload,
                  const struct kv_batch *batch);
void kv_group_end(struct kv *kv, struct buffer *payload);
/* By an implementation, of each commit in its order: kv_follow(). */
void kv_tell(struct kv *kv, struct slice changes);

/* What an iterator is at. */
struct kv_here {
    bool valid;
    struct slice key, value; /* until it moves */
};
struct kv_iterator {
    const struct kv_iterator_ops *ops;
    struct kv_here here;
    int error;      /* of any move so far: `here` is not valid */
    bool asks_late; /* kv_ask_late() */
};

/* Values are on disk, but for the last. */
enum kv_kind {
    KV_DELETE = 0,
    KV_PUT = 1,
    KV_PUT_PASSING = 2,
    KV_NOTHING = 3, /* to be left out: kv_changes_strip() */
};
struct kv_change {
    enum kv_kind kind;
    struct slice key;
    struct slice value;
};
/* Walks the changes, or those of a batch, in order; *position starts at 0. */
bool kv_change_next(const struct buffer *changes, size_t *position,
                    struct kv_change *change);
bool kv_batch_next(const struct kv_batch *batch, size_t *position,
                   struct kv_change *change);
/* Closes the gaps of KV_NOTHING, which is put over the first byte of a change.
 */
void kv_changes_strip(struct buffer *changes);
struct buffer *kv_batch_buffer(struct kv_batch *batch);
void kv_batch_clear(struct kv_batch *batch);
/* Some of its changes are passing puts. */
bool kv_batch_has_passing(const struct kv_batch *batch);

/* --- leveldb.c: a database whose changes a journal keeps -------------------*/
struct leveldb_env_t; /* LevelDB's file interface; NULL: the system's files */
/* Throws LevelDB's own log away: the journal has what it held. Commits are
 * not synced; -EIO, logged. `io` and `env` lead to the same files, and the
 * caller holds a lock on them. */
int leveldb_open_unsynced(struct io *io, struct leveldb_env_t *env,
                          const char *directory, struct kv **kv);
/* Removes the database; 0 if there is none. */
int leveldb_wipe(struct leveldb_env_t *env, const char *directory);

/* --- tidy.c: seeks over what was deleted -----------------------------------*/
struct leveldb_t;
struct leveldb_readoptions_t;
struct tidy;
struct tidy *tidy_new(struct leveldb_t *db,
                      const struct leveldb_readoptions_t *read);
/* Waits for the piece that is compacted, not for the range; NULL is allowed. */
void tidy_free(struct tidy *tidy);
/* A seek from `from`, begun at that monotonic time, has led here. Does not
 * wait. Thread-safe. */
void tidy_after_seek(struct tidy *tidy, uint64_t began, struct slice from,
                     const struct kv_here *here);
/* For tests: takes every seek for a slow one, also after a compaction, rests no
 * more for now, and makes pieces of that size. */
void tidy_always(struct tidy *tidy, uint64_t piece_bytes);
struct tidy_done {
    unsigned pieces;  /* compacted so far */
    uint64_t rest_us; /* after the last compaction */
};
struct tidy_done tidy_wait(struct tidy *tidy); /* for what was begun */
struct tidy *leveldb_tidy(struct kv *kv);

/* --- log_tail.c: LevelDB's logs --------------------------------------------*/
/* How many bytes of a log are whole records: `size`, or fewer if the last one
 * is in pieces. -EBADMSG if a record begins behind the damage, which begins
 * in the record at *whole. */
int log_tail_find(const uint8_t *log, size_t size, size_t *whole);
/* Unlinks every log in the directory: what they hold is elsewhere. */
int log_tail_discard(struct io *io, const char *directory);
/* The number of the newest log in the directory; 0 if there is none. */
int log_tail_highest(struct io *io, const char *directory, uint64_t *number);

/* --- manifest.c: LevelDB's manifest after a power cut ----------------------*/
/* Cuts off a last record that is in pieces; 0 if there is no database yet.
 * -EBADMSG if a record begins behind the damage. */
int manifest_repair(struct io *io, const char *directory);

#endif
