/*
 * Ordered keys, atomic batches, snapshots: all that metadata asks of a
 * database. Two implementations: LevelDB, and a map in memory that models a
 * crash for the tests. Another (a distributed one, a mirrored one) fits under
 * the same table.
 *
 * Keys are compared bytewise. A committed batch is atomic and durable.
 * Thread-safe; an iterator belongs to one thread at a time.
 */
#ifndef KV_H
#define KV_H

#include "base/base.h"

struct kv;
struct kv_iterator;
struct kv_batch; /* puts and deletes, in order */

/* Locks the directory; a last record that a power cut left in pieces is cut
 * off and kept as lost-tail-<n>, any other damage is refused. -EIO, logged. */
int kv_open_leveldb(const char *directory, struct kv **kv);
struct kv *kv_open_memory(void);
/* The memory store refuses every commit after the next `commits` ones. */
void kv_memory_fail_after(struct kv *kv, uint64_t commits);
void kv_close(struct kv *kv);

/* Keeps `bytes` of the file system of `directory` free, asked at most once a
 * second: below, kv_commit() refuses what needs room. 0: no reserve. Call it
 * before others use the store. */
void kv_set_reserve(struct kv *kv, const char *directory, uint64_t bytes);
/* -ENOSPC while kv_commit() would refuse a value for the reserve's sake. */
int kv_check_room(struct kv *kv);

/* The value in the arena; -ENOENT. -EIO poisons nothing. */
int kv_get(struct kv *kv, struct arena *arena, struct slice key,
           struct slice *value);

struct kv_batch *kv_batch_new(void);
void kv_batch_put(struct kv_batch *batch, struct slice key, struct slice value);
void kv_batch_delete(struct kv_batch *batch, struct slice key);
/* The batch is committed whatever the reserve. */
void kv_batch_essential(struct kv_batch *batch);
void kv_batch_free(struct kv_batch *batch);
/* Durable on return. Concurrent commits share one sync. -ENOSPC: below the
 * reserve, and the batch puts a value (deletes, and keys without a value, are
 * accepted); nothing was done, others may follow. After any other error the
 * store refuses every further commit (LevelDB: a failed log sync is final
 * until it is opened again). */
int kv_commit(struct kv *kv, struct kv_batch *batch);

/* Sees the store as it was when the iterator was made. */
struct kv_iterator *kv_iterate(struct kv *kv);
void kv_iterator_free(struct kv_iterator *iterator);
void kv_seek(struct kv_iterator *iterator, struct slice key); /* first >= key */
void kv_next(struct kv_iterator *iterator);
bool kv_valid(struct kv_iterator *iterator); /* false also after an error */
struct slice kv_key(struct kv_iterator *iterator); /* until it moves */
struct slice kv_value(struct kv_iterator *iterator);
int kv_error(struct kv_iterator *iterator); /* 0, or -EIO: check at the end */

#endif
