/*
 * Ordered keys, atomic batches, snapshots: all that metadata asks of a
 * database. Two implementations: mirrors of LevelDB, and a map in memory that
 * models a crash for the tests. Another fits under the same table.
 *
 * Keys are compared bytewise. A committed batch is atomic and durable.
 * Thread-safe; an iterator belongs to one thread at a time.
 */
#ifndef KV_H
#define KV_H

#include "base/base.h"

#define KV_MIRRORS_MAX 8u

struct io;
struct kv;
struct kv_iterator;
struct kv_batch; /* puts and deletes, in order */

struct kv *kv_open_memory(void);
/* The memory store refuses every commit after the next `commits` ones. */
void kv_memory_fail_after(struct kv *kv, uint64_t commits);
void kv_close(struct kv *kv);

/* Keeps `bytes` of the file systems of these directories free, asked at most
 * once a second: below, kv_commit() refuses what needs room. 0: no reserve.
 * Call it before others use the store. */
void kv_set_reserve(struct kv *kv, const char *const *directories,
                    unsigned count, uint64_t bytes);
/* -ENOSPC while kv_commit() would refuse a value for the reserve's sake. */
int kv_check_room(struct kv *kv);

/* The value in the arena; -ENOENT. -EIO poisons nothing. */
int kv_get(struct kv *kv, struct arena *arena, struct slice key,
           struct slice *value);

struct kv_batch *kv_batch_new(void);
void kv_batch_put(struct kv_batch *batch, struct slice key, struct slice value);
/* A put of what is deleted again soon, under a key that never was there before
 * and is not put a second time. Reads may not see it, but for
 * kv_iterate_all(): a store keeps it out of its tables for as long as it can.
 * It alone is no reason to refuse the batch below the reserve. */
void kv_batch_put_passing(struct kv_batch *batch, struct slice key,
                          struct slice value);
void kv_batch_delete(struct kv_batch *batch, struct slice key);
/* The batch is committed whatever the reserve. */
void kv_batch_essential(struct kv_batch *batch);
void kv_batch_free(struct kv_batch *batch);
#define KV_BATCH_MAX (32u << 20) /* bytes of keys and values */
/* Durable on return. Concurrent commits share one sync. -E2BIG: more than
 * KV_BATCH_MAX, nothing was done. -ENOSPC: below the reserve, and the batch
 * puts a value (deletes, and keys without a value, are accepted); nothing was
 * done, others may follow. -EROFS: it failed, or one before; nobody knows where
 * the failed one is, so none is accepted until the store is opened again. */
int kv_commit(struct kv *kv, struct kv_batch *batch);
bool kv_read_only(struct kv *kv);

/* Told of the changes of every commit once it is durable, in the order in which
 * commits become visible; under the store's lock, so it returns at once. Set
 * while nobody commits; NULL ends it. */
typedef void (*kv_follow_fn)(void *context, struct slice changes);
void kv_follow(struct kv *kv, kv_follow_fn fn, void *context);
/* Totals: records that say what commits have added up to. For each batch with a
 * note, in the order in which commits become visible, `add` is called, and then
 * `put`, for all that become visible at once, to put totals that have changed
 * into the same atomic write: one record for a group of commits, and none that
 * they contend for. Under the store's lock, so both return at once. After a
 * commit that has failed, totals are wrong and never written. */
struct kv_totals {
    void (*add)(void *context, const void *note);
    void (*put)(void *context, struct kv_batch *batch);
    void *context;
};
/* Before the first commit of a batch with a note. */
void kv_set_totals(struct kv *kv, const struct kv_totals *totals);
/* The note stays until the batch is committed. */
void kv_batch_note(struct kv_batch *batch, const void *note);
/* A batch's changes as bytes, to be stored: until it changes. */
struct slice kv_batch_changes(const struct kv_batch *batch);
/* Makes the batch one of such changes, or several in a row; -EBADMSG. */
int kv_batch_load(struct kv_batch *batch, struct slice changes);
/* Its passing puts become puts like others: where their keys may be there. */
void kv_batch_settle(struct kv_batch *batch);
/* Leaves out of changes that were told of what was put in passing and deleted
 * by them: first all are looked at, in their order, then each is stripped. */
struct kv_passed;
struct kv_passed *kv_passed_new(void);
void kv_passed_free(struct kv_passed *passed);
void kv_passed_look(struct kv_passed *passed, struct buffer *changes);
void kv_passed_strip(struct buffer *changes);
/* On return, all that was told of before the call can be read. Costs a commit;
 * its errors. */
int kv_barrier(struct kv *kv);

/* Sees the store as it was when the iterator was made. */
struct kv_iterator *kv_iterate(struct kv *kv);
/* Sees what batches put in passing, too; costs the writing of it. */
struct kv_iterator *kv_iterate_all(struct kv *kv);
/* A moment in the life of a store. */
#define KV_STORE_ID_SIZE 16
struct kv_position {
    uint8_t store[KV_STORE_ID_SIZE]; /* new with each store that is made */
    uint64_t commit;                 /* number of the last group of commits */
};
/* An iterator over what was committed up to that moment, and nothing else.
 * Commits wait until it is made, not for it. -EIO. */
int kv_snapshot(struct kv *kv, struct kv_position *position,
                struct kv_iterator **iterator);
void kv_iterator_free(struct kv_iterator *iterator);
void kv_seek(struct kv_iterator *iterator, struct slice key); /* first >= key */
void kv_next(struct kv_iterator *iterator);
bool kv_valid(struct kv_iterator *iterator); /* false also after an error */
struct slice kv_key(struct kv_iterator *iterator); /* until it moves */
struct slice kv_value(struct kv_iterator *iterator);
int kv_error(struct kv_iterator *iterator); /* 0, or -EIO: check at the end */
/* From now on kv_next() may pass over records that cannot be read, and only
 * kv_error() tells, or the next kv_seek(). For who then gives up all that was
 * read: to ask LevelDB at each step is a quarter of the step. */
void kv_ask_late(struct kv_iterator *iterator);

/* Groups of commits, one by one, as the journal keeps them for a while. */
struct kv_log;
struct kv_group {
    uint64_t number;
    uint64_t written_s;   /* seconds since 1970 */
    struct slice changes; /* until the next call; for kv_batch_load(), and
                             kv_batch_settle() where they are put again */
};
/* Those after `after`, up to the last one that is committed now, which *until
 * says. -ERANGE, after which it says that too: they are kept no more, or the
 * store never got so far; -ENOENT: it keeps none at all; -EIO. The store
 * outlives the log. Of one thread. */
int kv_log_open(struct kv *kv, uint64_t after, struct kv_position *until,
                struct kv_log **log);
/* -ENOENT: that was the last one. */
int kv_log_next(struct kv_log *log, struct kv_group *group);
void kv_log_close(struct kv_log *log); /* NULL is allowed */

/* What LevelDB says of itself; of the primary, where there are mirrors. */
#define KV_LEVELS 7
struct kv_statistics {
    struct {
        uint64_t files, bytes; /* of tables; whole megabytes */
        /* Since it was opened: by compactions into the level. */
        uint64_t seconds, bytes_read, bytes_written;
    } levels[KV_LEVELS];
    uint64_t memory; /* bytes: of tables not yet written, and cached blocks */
};
/* False: there is no such database, or it cannot be asked. Does not block. */
bool kv_statistics(struct kv *kv, struct kv_statistics *statistics);

/* --- mirrors: docs/mirrors.md ----------------------------------------------
 * One store in several directories, each on a drive of its own. */
struct kv_mirror_options {
    struct io *io;
    const char *const *directories; /* absolute; made if their parent exists */
    unsigned count;
    bool accept_lost;       /* start with half of the members or fewer (S4) */
    unsigned answer_ms;     /* a member that is silent so long is expelled */
    uint64_t learn_bytes;   /* a second, to rebuild a mirror; 0: no limit */
    uint64_t segment_bytes; /* of a file of the journal; 0: 16 MiB */
};
/* Creates the store if all directories are blank. -EINVAL by S4; -EIO, logged;
 * -EAGAIN: another process has it; -EPROTONOSUPPORT: a newer s3d wrote it. */
int kv_open_mirrors(const struct kv_mirror_options *options, struct kv **kv);

enum kv_mirror_state {
    KV_MIRROR_MEMBER,
    KV_MIRROR_LEARNING, /* being rebuilt */
    KV_MIRROR_BLANK,    /* may be rebuilt: kv_mirror_learn() */
    KV_MIRROR_STALE,    /* of an earlier epoch: may be rebuilt */
    KV_MIRROR_FAILED,   /* unreadable or expelled: may be rebuilt */
    KV_MIRROR_FOREIGN,  /* of another store: never touched */
};
const char *kv_mirror_state_name(enum kv_mirror_state state);
struct kv_mirror_status {
    const char *directory; /* as long as the store is open */
    enum kv_mirror_state state;
    bool primary;
    uint64_t journaled, applied; /* numbers of groups */
    uint64_t learned;            /* bytes copied so far */
};
/* How many there are; 0 if the store has no mirrors. */
unsigned kv_mirrors(struct kv *kv, uint64_t *epoch,
                    struct kv_mirror_status status[KV_MIRRORS_MAX]);
/* The drive of a mirror is known not to answer: it is not waited for any more
 * and nothing more is read from it, if the other members may go on (S3). */
void kv_mirror_silent(struct kv *kv, unsigned index);
/* Empties a mirror that is no member and starts to rebuild it (S6). -EBUSY: it
 * is a member, or learns; -EPERM: it is foreign; or what its drive says. */
int kv_mirror_learn(struct kv *kv, unsigned index);

#endif
