/*
 * Metadata: buckets, objects, uploads, blobs and their references, typed.
 *
 * Keys (all numbers big-endian; docs/disk-format.md holds the full table):
 *   C                                cluster
 *   N                                next id (a high-water mark)
 *   B <name>                         bucket
 *   O <bucket> <key> 00 01 <~seq>    object version, newest first
 *   U <bucket> <key> 00 01 <upload>  multipart upload in progress
 *   P <upload> 00 01 <part number>   part of an upload
 *   D <upload>                       completed upload
 *   L <blob>                         blob
 *   R <blob> <referrer>              who uses a blob: empty value
 *   G <blob>                         blob that lost a referrer: reclaimer looks
 *   H <urgency> <blob>               blob that is short of shards: healer looks
 *   A s | A d <day>                  care: the scrub's progress, audited days
 *   A r                              the progress of the walk over envelopes
 *   Q b <bucket> | Q o <owner>       a bucket's usage; an owner's quota, or an
 *                                    IAM user's
 *   V <target> 00 01 <seq>           event on its way to a target
 *   I..., K...                       users and access keys
 * Before 00 01 every 00 is written as 00 FF, so that order is kept.
 *
 * Invariants:
 *   M1  An object or part record is committed in one batch with its blob's
 *       record and reference; a blob record after its shards are durable (X3).
 *   M2  A blob may be freed only when no R record of it exists, seen under
 *       meta_blob_lock().
 *   M3  Versions of one key have falling sequence in key order, and mtime
 *       that does not rise.
 *   M4  Whoever decides on the state of a key holds meta_key_lock() from the
 *       read to the end of the commit; whoever depends on the bucket's being
 *       there holds its lock shared. Lock order: bucket, key, blob.
 *   M5  Nor is a blob freed while a reader has it pinned, and what it consists
 *       of then stays too: a composite's references go with it.
 *   M6  Events of a target become visible in the order of their sequences:
 *       none appears below one that meta_list_events() has given.
 *   M7  A bucket's usage is what its records add up to, in every snapshot:
 *       what adds a version or a part, or takes one away, says so (limits.c).
 *
 * Records come unpacked in the caller's arena. Thread-safe.
 * Returns: 0, -ENOENT, -EBADMSG (bad envelope), -EIO.
 */
#ifndef META_H
#define META_H

#include "base/base.h"
#include "kv/kv.h"
#include "records.pb-c.h"

struct meta;

/* Raised whenever s3d begins to write anything, in the metadata or on drives,
 * that older ones cannot read: they refuse to start then. */
#define META_FORMAT 2u

/* Takes over kv, on success only. Creates the cluster record on a new store.
 * -EPROTONOSUPPORT: a newer s3d wrote there. */
int meta_open(struct kv *kv, struct meta **meta);
void meta_close(struct meta *meta);
struct kv *meta_kv(struct meta *meta);

/* Monotone across restarts, never 0, never reused. For ids and sequences. */
uint64_t meta_next_id(struct meta *meta);

/* --- locks (M4) -----------------------------------------------------------
 * Stripes: a thread holds at most one lock of each kind, taken in the order
 * bucket, key, blob, and gives it back itself; anything else aborts. */
void meta_bucket_lock(struct meta *meta, struct slice bucket, bool exclusive);
void meta_bucket_unlock(struct meta *meta, struct slice bucket);
void meta_key_lock(struct meta *meta, uint64_t bucket, struct slice key);
void meta_key_unlock(struct meta *meta, uint64_t bucket, struct slice key);
/* Several keys of a bucket at once, as one lock of the kind; a key may stand
 * there more than once. */
#define META_KEYS_LOCKED_MAX 32
void meta_key_lock_many(struct meta *meta, uint64_t bucket,
                        const struct slice *keys, size_t count);
void meta_key_unlock_many(struct meta *meta, uint64_t bucket,
                          const struct slice *keys, size_t count);
void meta_blob_lock(struct meta *meta, uint64_t blob);
void meta_blob_unlock(struct meta *meta, uint64_t blob);
/* Several blobs at once, as one lock of the kind. */
#define META_BLOBS_LOCKED_MAX 64
void meta_blob_lock_many(struct meta *meta, const uint64_t *blobs,
                         size_t count);
void meta_blob_unlock_many(struct meta *meta, const uint64_t *blobs,
                           size_t count);

/* --- readers of blobs (M5): pins.c ------------------------------------------
 * Cheap: no lock is held longer than a look at a table. */
/* -ENOENT: the blob is being freed. Else to be unpinned, by any thread. */
int meta_pin_blob(struct meta *meta, uint64_t blob);
void meta_unpin_blob(struct meta *meta, uint64_t blob);

/* --- cluster --------------------------------------------------------------*/
int meta_get_cluster(struct meta *meta, struct arena *arena,
                     Meta__Cluster **cluster);

/* --- reads ----------------------------------------------------------------*/
/* Served from a cache of all buckets: costs no disk access. */
int meta_get_bucket(struct meta *meta, struct arena *arena, struct slice name,
                    Meta__Bucket **bucket);
/* The same, a little slower. */
int meta_get_bucket_by_id(struct meta *meta, struct arena *arena, uint64_t id,
                          Meta__Bucket **bucket);
/* The newest version, delete markers included. */
int meta_get_object(struct meta *meta, struct arena *arena, uint64_t bucket,
                    struct slice key, Meta__Object **object);
/* The version with exactly this sequence: one lookup. */
int meta_get_version(struct meta *meta, struct arena *arena, uint64_t bucket,
                     struct slice key, uint64_t sequence,
                     Meta__Object **object);
/* The version without an id, of which a key has at most one. It may stand
 * anywhere among the key's versions: costs a scan of the newer ones. */
int meta_get_null_version(struct meta *meta, struct arena *arena,
                          uint64_t bucket, struct slice key,
                          Meta__Object **object);
int meta_get_blob(struct meta *meta, struct arena *arena, uint64_t blob,
                  Meta__Blob **record);
int meta_get_upload(struct meta *meta, struct arena *arena, uint64_t bucket,
                    struct slice key, struct slice upload,
                    Meta__Upload **record);
int meta_get_part(struct meta *meta, struct arena *arena, struct slice upload,
                  unsigned number, Meta__Part **part);
int meta_get_completed(struct meta *meta, struct arena *arena,
                       struct slice upload, Meta__Completed **completed);
/* All parts of an upload in ascending order, from number `from` on, at most
 * `max`; *more tells whether others follow. */
int meta_list_parts(struct meta *meta, struct arena *arena, struct slice upload,
                    unsigned from, unsigned max, Meta__Part ***parts,
                    size_t *count, bool *more);
/* True if the bucket holds no object version and no upload. */
int meta_bucket_is_empty(struct meta *meta, uint64_t bucket, bool *empty);

/* Ordered scans over one snapshot. */
struct meta_scan;
/* Buckets by name, from the first >= start. */
struct meta_scan *meta_scan_buckets(struct meta *meta, struct slice start);
/* Object versions by key (newest first within a key). */
struct meta_scan *meta_scan_objects(struct meta *meta, uint64_t bucket);
/* Uploads in progress by key, then upload id. */
struct meta_scan *meta_scan_uploads(struct meta *meta, uint64_t bucket);
/* Completed uploads that are remembered, by upload id. */
struct meta_scan *meta_scan_completed(struct meta *meta);
void meta_scan_free(struct meta_scan *scan);
/* What a move is told may be meta_scan_key(), or a part of it. */
/* Moves to the first record whose key is >= `key`. */
void meta_scan_seek(struct meta_scan *scan, struct slice key);
/* Moves to the first record whose key is > `key`, all its versions skipped. */
void meta_scan_seek_after(struct meta_scan *scan, struct slice key);
/* Moves to the newest version of `key` whose sequence is < `sequence`, or, if
 * there is none, to the first record whose key is > `key`. Objects only. */
void meta_scan_seek_older(struct meta_scan *scan, struct slice key,
                          uint64_t sequence);
/* Moves past all keys that begin with `prefix`. */
void meta_scan_skip_prefix(struct meta_scan *scan, struct slice prefix);
void meta_scan_next(struct meta_scan *scan); /* next record, maybe same key */
bool meta_scan_valid(struct meta_scan *scan);
int meta_scan_error(struct meta_scan *scan);
/* kv_ask_late(): meta_scan_error() must be asked before anything is shown. */
void meta_scan_ask_late(struct meta_scan *scan);
struct slice meta_scan_key(struct meta_scan *scan); /* object key or bucket
                                        name, unescaped; until it moves */
int meta_scan_bucket(struct meta_scan *scan, struct arena *arena,
                     Meta__Bucket **bucket);
int meta_scan_object(struct meta_scan *scan, struct arena *arena,
                     Meta__Object **object);
/* What listings show of a version, without unpacking the rest: -EBADMSG also
 * if it cannot be read. Nothing is allocated. */
struct meta_listed {
    uint64_t sequence, mtime_ms, size;
    struct slice etag, owner, storage_class, version_id; /* until it moves */
    bool delete_marker;
    Meta__ChecksumAlgorithm checksum;
    Meta__ChecksumType checksum_type;
};
int meta_scan_listed(struct meta_scan *scan, struct meta_listed *listed);
int meta_scan_upload(struct meta_scan *scan, struct arena *arena,
                     Meta__Upload **upload);
int meta_scan_completed_record(struct meta_scan *scan, struct arena *arena,
                               Meta__Completed **completed);

/* --- writes: collected in a batch, then committed at once ------------------*/
struct meta_batch;
struct meta_batch *meta_batch_new(struct meta *meta);
void meta_batch_free(struct meta_batch *batch);
/* Durable on return. -EDQUOT: it adds more than a quota allows, and nothing was
 * done. */
int meta_commit(struct meta_batch *batch);
/* No quota refuses the batch: a delete, or what was there before. */
void meta_batch_unlimited(struct meta_batch *batch);

void meta_put_cluster(struct meta_batch *batch, const Meta__Cluster *cluster);
/* Bucket writers hold the bucket lock exclusively. The bucket stays until after
 * the commit. */
void meta_put_bucket(struct meta_batch *batch, const Meta__Bucket *bucket);
void meta_delete_bucket(struct meta_batch *batch, const Meta__Bucket *bucket);
/* A new version. */
void meta_add_object(struct meta_batch *batch, uint64_t bucket,
                     struct slice key, const Meta__Object *object);
/* A version's record anew: its size stays. */
void meta_put_object(struct meta_batch *batch, uint64_t bucket,
                     struct slice key, const Meta__Object *object);
void meta_delete_object(struct meta_batch *batch, uint64_t bucket,
                        struct slice key, const Meta__Object *object);
void meta_put_upload(struct meta_batch *batch, uint64_t bucket,
                     struct slice key, const Meta__Upload *upload);
void meta_delete_upload(struct meta_batch *batch, uint64_t bucket,
                        struct slice key, struct slice upload);
/* In the place of `old`, if that is not NULL. */
void meta_put_part(struct meta_batch *batch, uint64_t bucket,
                   struct slice upload, const Meta__Part *part,
                   const Meta__Part *old);
void meta_delete_part(struct meta_batch *batch, uint64_t bucket,
                      struct slice upload, const Meta__Part *part);
void meta_put_completed(struct meta_batch *batch, struct slice upload,
                        const Meta__Completed *completed);
void meta_delete_completed(struct meta_batch *batch, struct slice upload);
/* A new blob; queued for healing in the same commit if it bears fewer further
 * losses than its layout's code does. Layouts stay until after the commit. */
void meta_put_blob(struct meta_batch *batch, uint64_t blob,
                   const Meta__Blob *record, unsigned losses_left);
/* The same for a blob whose record was `old`: its bytes have moved. Under the
 * blob's lock. */
void meta_replace_blob(struct meta_batch *batch, uint64_t blob,
                       const Meta__Blob *old, const Meta__Blob *record,
                       unsigned losses_left);

/* A referrer of a blob: an object version, a part, or another blob. */
struct meta_referrer {
    enum {
        META_REFERRER_OBJECT = 1,
        META_REFERRER_PART,
        META_REFERRER_BLOB
    } kind;
    uint64_t bucket;     /* object */
    struct slice key;    /* object */
    uint64_t sequence;   /* object */
    struct slice upload; /* part */
    unsigned number;     /* part */
    uint64_t blob;       /* blob */
};
void meta_add_ref(struct meta_batch *batch, uint64_t blob,
                  const struct meta_referrer *referrer);
/* Drops a reference and queues the blob for the reclaimer. */
void meta_drop_ref(struct meta_batch *batch, uint64_t blob,
                   const struct meta_referrer *referrer);

/* A version of an object. */
struct meta_user {
    uint64_t bucket;
    struct slice key;
    uint64_t sequence;
};
/* Versions whose bytes a blob holds, at most `max`; *more: there are others. It
 * is no lock: they may be gone. (users.c) */
int meta_list_users(struct meta *meta, struct arena *arena, uint64_t blob,
                    size_t max, struct meta_user **users, size_t *count,
                    bool *more);

/* --- care: blobs short of shards, progress, audits (heal.c) ----------------*/
/* An entry of the queue for healing. */
struct meta_heal {
    uint64_t blob;
    unsigned losses_left; /* drives that may be lost besides, or UNREADABLE */
    bool waits;           /* it was tried: it needs a drive that is not there */
};
#define META_HEAL_UNREADABLE 0x7Fu /* too few shards are left; it waits */

void meta_queue_heal(struct meta_batch *batch, const struct meta_heal *entry);
void meta_dequeue_heal(struct meta_batch *batch, const struct meta_heal *entry);
/* The first entry from *entry on (zeros: of all): those that do not wait come
 * first, among them the most endangered. -ENOENT. */
int meta_next_heal(struct meta *meta, struct meta_heal *entry);
/* All entries in that order, of one moment. */
struct meta_heal_scan;
struct meta_heal_scan *meta_scan_heal(struct meta *meta);
/* -ENOENT at the end. */
int meta_heal_scan_next(struct meta_heal_scan *scan, struct meta_heal *entry);
void meta_heal_scan_free(struct meta_heal_scan *scan);
/* The entry of a blob whose code bears `m` losses; -ENOENT. */
int meta_find_heal(struct meta *meta, uint64_t blob, unsigned m,
                   struct meta_heal *entry);
/* The blob record with the lowest id > after; -ENOENT at the end. */
int meta_next_blob(struct meta *meta, struct arena *arena, uint64_t after,
                   uint64_t *blob, Meta__Blob **record);

int meta_get_scrub(struct meta *meta, struct arena *arena, Meta__Scrub **scrub);
void meta_put_scrub(struct meta_batch *batch, const Meta__Scrub *scrub);
/* `day`: since 1970, UTC. */
int meta_get_audit(struct meta *meta, struct arena *arena, uint32_t day,
                   Meta__Audit **audit);
void meta_put_audit(struct meta_batch *batch, uint32_t day,
                    const Meta__Audit *audit);

/* --- reclaim: blobs that nobody uses (reclaim.c) ---------------------------*/
/* The blobs > after that lost a referrer, ascending; returns 0 or -EIO. */
int meta_list_reclaim(struct meta *meta, uint64_t after, uint64_t *blobs,
                      size_t max, size_t *count);
/* Which of these blobs, ascending, somebody uses: used[i] of blobs[i]. Costs
 * little more for many than for one. */
int meta_blobs_are_used(struct meta *meta, const uint64_t *blobs, size_t count,
                        bool *used);
void meta_queue_reclaim(struct meta_batch *batch, uint64_t blob);
void meta_dequeue_reclaim(struct meta_batch *batch, uint64_t blob);
/* The blob's record and what it uses go; its parts are queued. Under the
 * blob's lock, nobody using it (M2), condemned (M5). */
void meta_delete_blob(struct meta_batch *batch, uint64_t blob,
                      const Meta__Blob *record);
/* From a true answer to meta_absolve_blob() the blob cannot be pinned. False:
 * it is. */
bool meta_condemn_blob(struct meta *meta, uint64_t blob);
void meta_absolve_blob(struct meta *meta, uint64_t blob);

/* Told of every layout that a commit adds or takes away, by the committing
 * thread, when it is durable. */
typedef void (*meta_layout_fn)(void *context, const Layout__Layout *layout,
                               bool added);
struct meta_blobs;
/* All blobs by id as of this moment, of whose changes `fn` is told from this
 * moment on: each layout is either in the walk or told of. Waits for commits
 * under way. NULL ends the telling, and gives NULL. */
struct meta_blobs *meta_watch_blobs(struct meta *meta, meta_layout_fn fn,
                                    void *context);
/* -ENOENT at the end. A record that cannot be read: -EBADMSG, and the next
 * call goes on. *used: somebody used it. */
int meta_blobs_next(struct meta_blobs *blobs, struct arena *arena,
                    uint64_t *blob, Meta__Blob **record, bool *used);
void meta_blobs_free(struct meta_blobs *blobs);

/* Drops the parts of at most `max` uploads whose own record is gone, from the
 * one after *upload (in the arena; empty: the first) on, which becomes the
 * last one looked at. *parts: how many were dropped. -ENOENT at the end. */
int meta_drop_stray_parts(struct meta *meta, struct arena *arena,
                          struct slice *upload, size_t max, size_t *parts);

/* The walk over envelopes. -ENOENT: there was none. */
int meta_get_rewrap(struct meta *meta, struct arena *arena,
                    Meta__Rewrap **rewrap);
void meta_put_rewrap(struct meta_batch *batch, const Meta__Rewrap *rewrap);

/* --- changes, for who keeps copies of records (batch.c) ----------------------
 * Told of every key of a bucket, and with bucket 0 of every bucket by name,
 * whose record a commit changes: before anybody can see that, and with `ended`
 * before meta_commit() returns, whatever came of it. By the committing thread;
 * set before the first commit. */
typedef void (*meta_change_fn)(void *context, uint64_t bucket,
                               struct slice name, bool ended);
void meta_watch_changes(struct meta *meta, meta_change_fn fn, void *context);

/* --- usage and limits: docs/limits.md --------------------------------------*/
struct meta_usage {
    uint64_t bytes;
    uint64_t objects; /* versions, delete markers, parts of uploads */
};
/* From memory: never less than what is committed. Zeros of what is unknown. */
void meta_get_usage(struct meta *meta, uint64_t bucket,
                    struct meta_usage *usage);
void meta_get_owner_usage(struct meta *meta, struct slice owner,
                          struct meta_usage *usage);
/* An owner's, or by its id an IAM user's. */
void meta_get_owner_quota(struct meta *meta, struct slice owner,
                          Meta__Quota *quota);
/* One of them in a batch. All of it 0: meta_quota_is_none(). */
bool meta_quota_is_none(const Meta__Quota *quota);
void meta_put_owner_quota(struct meta_batch *batch, struct slice owner,
                          const Meta__Quota *quota);
/* Of who is gone: durably, if there is one. 0 or a negative errno. */
int meta_forget_owner_quota(struct meta *meta, struct slice owner);
/* -EDQUOT: as meta_commit() would say now. */
int meta_check_room(struct meta *meta, uint64_t bucket, int64_t bytes,
                    int64_t objects);

/* Whom limits of what is a second's concern (rates.c). */
struct meta_asker {
    uint64_t bucket;      /* 0: none */
    struct slice account; /* canonical id; empty: nobody's */
    struct slice user;    /* the id of an IAM user; empty: none */
};
/* Counts a request. 0, or nothing was counted: a limit is reached, and in how
 * many milliseconds there is room. */
uint64_t meta_count_request(struct meta *meta, const struct meta_asker *asker);
/* It was nobody's after all: as if it had not been counted. */
void meta_uncount_request(struct meta *meta, const struct meta_asker *asker);
/* Whether there is a limit of requests or bandwidth: all has to be seen. */
bool meta_is_rated(struct meta *meta, const struct meta_asker *asker);

enum meta_direction { META_DOWNLOAD, META_UPLOAD };
/* Takes the next turn of the bandwidth, for so many bytes that are to be sent,
 * or have come. When it begins, or ends: until then they wait; monotonic
 * microseconds; 0: there is no limit. */
uint64_t meta_take_turn(struct meta *meta, const struct meta_asker *asker,
                        enum meta_direction direction, uint64_t bytes);
/* So many bytes are a turn, so that many share a limit evenly. UINT64_MAX:
 * there is no limit. */
uint64_t meta_turn_size(struct meta *meta, const struct meta_asker *asker,
                        enum meta_direction direction);

/* What all buckets have, counted anew in one snapshot: told of each that is
 * there, or has a record of its usage. 0 or a negative errno. */
struct meta_recount {
    uint64_t bucket;
    struct meta_usage recorded, counted; /* both of the snapshot */
};
typedef void (*meta_recount_fn)(void *context,
                                const struct meta_recount *recount);
int meta_recount_usage(struct meta *meta, meta_recount_fn fn, void *context);
/* Adds the difference to the record, in a batch of its own. */
void meta_correct_usage(struct meta_batch *batch,
                        const struct meta_recount *recount);

/* --- outbox: events on their way to a target (outbox.c) ---------------------
 * A change and its events are one batch. Whoever delivers lists from the last
 * event that it has seen on and trims what was taken. */
struct meta_outbox;
/* A target's outbox, by name; there as long as meta is. */
struct meta_outbox *meta_outbox(struct meta *meta, struct slice target);
/* Of all outboxes that are not empty, or were asked for. `outbox` NULL: the
 * first; NULL at the end. */
struct meta_outbox *meta_next_outbox(struct meta *meta,
                                     struct meta_outbox *outbox);
struct slice meta_outbox_target(const struct meta_outbox *outbox);
/* Gives the event its sequence, under the lock of its key. What comes after it
 * in this outbox waits for the batch to be committed or freed (M6): soon. */
void meta_put_event(struct meta_batch *batch, struct meta_outbox *outbox,
                    Meta__Event *event);
/* Tells `fn` of an event, which gets a sequence and is copied, once the batch
 * is durable: by the committing thread, in the order of the calls. */
typedef void (*meta_event_fn)(void *context, const Meta__Event *event);
void meta_tell_event(struct meta_batch *batch, meta_event_fn fn, void *context,
                     Meta__Event *event);
/* The oldest events with a sequence > after, ascending: at most `max`, and as
 * many as are within `max_bytes`, but at least one. None: count 0. A record
 * that cannot be read: -EBADMSG after those before it were given. */
int meta_list_events(struct meta_outbox *outbox, struct arena *arena,
                     uint64_t after, size_t max, size_t max_bytes,
                     Meta__Event ***events, size_t *count);
/* What waits in an outbox. */
struct meta_backlog {
    uint64_t events;
    uint64_t bytes; /* of keys and values in the store */
};
/* From memory. */
void meta_get_backlog(struct meta_outbox *outbox, struct meta_backlog *backlog);
/* Removes the events with a sequence <= through, which meta_list_events() has
 * given. *removed: how many. Durable on return. */
int meta_trim_events(struct meta_outbox *outbox, uint64_t through,
                     uint64_t *removed);
/* Removes the oldest until no more than `keep` are left. */
int meta_drop_events(struct meta_outbox *outbox,
                     const struct meta_backlog *keep, uint64_t *removed);
/* Told, by any thread and under no lock, that meta_list_events() may give more
 * than before. One at a time; NULL ends the telling: from its return on `fn`
 * is not called any more. */
typedef void (*meta_outbox_fn)(void *context);
void meta_watch_outbox(struct meta_outbox *outbox, meta_outbox_fn fn,
                       void *context);

/* --- raw typed access for iam/ ---------------------------------------------*/
/* Envelope types: values are on disk, never renumber. */
enum meta_record {
    META_RECORD_CLUSTER = 1,
    META_RECORD_BUCKET = 2,
    META_RECORD_OBJECT = 3,
    META_RECORD_UPLOAD = 4,
    META_RECORD_PART = 5,
    META_RECORD_COMPLETED = 6,
    META_RECORD_BLOB = 7,
    META_RECORD_USER = 8,
    META_RECORD_ACCESS_KEY = 9,
    META_RECORD_COUNTER = 10,
    META_RECORD_ENTITY = 11,
    META_RECORD_SCRUB = 12,
    META_RECORD_AUDIT = 13,
    META_RECORD_REWRAP = 14,
    META_RECORD_EVENT = 15,
    META_RECORD_USAGE = 16,
    META_RECORD_QUOTA = 17,
};
/* Packs a message into an envelope, in the arena. */
struct slice meta_pack(struct arena *arena, enum meta_record type,
                       const ProtobufCMessage *message);
/* Checks the envelope and unpacks; -EBADMSG. */
int meta_unpack(struct arena *arena, enum meta_record type,
                const ProtobufCMessageDescriptor *descriptor,
                struct slice value, ProtobufCMessage **message);

#endif
