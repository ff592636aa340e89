/*
 * The S3 operations: from a decoded request to a reply.
 *
 * A call is one request being served. The server drives it, one step at a
 * time, each step on a pool thread (steps block on disks) and never two steps
 * of one call at once:
 *
 *   begin ──► wants a body? ──► data, chunk, trailers ... end ──► reply
 *         ├── no ─────────────────────────────────────────────► reply
 *         └── is working? ──► work, work ... ─────────────────► reply
 *   reply ──► next, next ... until S3_PIECE_END ──► free
 *
 * Any step may end the call early with an error reply; the rest of the body
 * is then not wanted. free() at any time aborts what was not committed.
 */
#ifndef S3_H
#define S3_H

#include "base/base.h"
#include "blob/blob.h"
#include "crypt/crypt.h"
#include "events/events.h"
#include "hot/hot.h"
#include "iam/iam.h"
#include "meta/meta.h"
#include "wire.pb-c.h"
#include "wire/wire.h"

#include <stdatomic.h>

/* What limits have done (docs/limits.md), for metrics. */
struct s3_limited {
    atomic_uint_fast64_t room;     /* refused: QuotaExceeded */
    atomic_uint_fast64_t requests; /* refused: SlowDown */
    /* By enum meta_direction: how often a body has waited, and for how long. */
    atomic_uint_fast64_t turns[2], waited_us[2];
};

/* What all operations work on. Owned by the server; outlives every call. */
struct s3_service {
    struct meta *meta;
    struct blob_store *blobs;
    struct iam *iam;
    struct crypt_provider *keyring; /* wraps the keys of SSE-S3 */
    struct crypt_provider *kms;     /* and those of SSE-KMS: Vault, or the
                                       keyring. NULL, either: 501 */
    bool encrypt_by_default; /* new objects, with SSE-S3, where neither the
                                request nor the bucket says how */
    const char *region;      /* of new buckets when nothing else is said */
    struct s3_access_log *access_log; /* NULL: none is kept */
    struct hot *hot; /* what workers answer without asking; NULL: nothing */
    struct s3_policy_cache *policies;
    struct s3_audit *audit;   /* NULL: decisions are not logged */
    struct s3_audit *changes; /* NULL: changes are not logged */
    struct oidc *oidc;        /* whose tokens are believed; NULL: nobody's */
    struct events *events;    /* whom changes are told to; NULL: nobody */
    bool extensions; /* what S3 has for directory buckets only: renames and
                        appends; false: 501 NotImplemented */
    struct s3_limited limited;
};

struct s3_call;

/* The request stays the caller's until free, which wipes customers' keys in
 * its headers. Never NULL. */
struct s3_call *s3_call_begin(struct s3_service *service,
                              const Wire__Request *request);
bool s3_call_wants_body(const struct s3_call *call);
/* A form, in which there may be a customer's key: its bytes are the caller's
 * to wipe. */
bool s3_call_body_is_secret(const struct s3_call *call);
void s3_call_data(struct s3_call *call, const void *data, size_t size);
/* The same for data in memory that does not change any more: it may be held
 * after the step. NULL: s3_call_data(). */
void s3_call_data_in(struct s3_call *call, struct memory *memory,
                     const void *data, size_t size);
void s3_call_chunk(struct s3_call *call, const Wire__Chunk *chunk);
void s3_call_trailers(struct s3_call *call, const Wire__Trailers *trailers);
void s3_call_end(struct s3_call *call); /* the body is complete */

/* It copies bytes, which takes long: work() goes on for a second or so, until
 * there is a reply. */
bool s3_call_is_working(const struct s3_call *call);
void s3_call_work(struct s3_call *call);

/* Bandwidth may be limited: from when on, monotonic microseconds, what the call
 * has made may be sent, and the next step be taken. 0: at once. */
uint64_t s3_call_turn_us(const struct s3_call *call);
/* So it is for the body: what comes of it is better not read ahead. */
bool s3_call_is_paced(const struct s3_call *call);

/* Valid once no body is wanted and the call is not working. x-amz-request-id
 * and Content-Length are the worker's to add. */
const Wire__Reply *s3_call_reply(const struct s3_call *call);
/* After S3_PIECE_END: how the call has ended. An error that came when the reply
 * had begun stands in its body, and its status here alone. */
unsigned s3_call_status(const struct s3_call *call);
const char *s3_call_error(const struct s3_call *call); /* code, "" if none */

enum s3_piece_kind {
    S3_PIECE_END,
    S3_PIECE_WAIT, /* there is none now: the feed wakes; ask again then, or
                      every S3_LISTEN_ALIVE_MS */
    S3_PIECE_DATA,
    S3_PIECE_SEGMENTS,
    S3_PIECE_FAILED
};
#define S3_LISTEN_ALIVE_MS 10000

struct s3_piece {
    enum s3_piece_kind kind;
    struct slice data; /* valid until the next step, at most
                          FRAME_DATA_MAX bytes */
    const Wire__Segments *segments;
    bool last;  /* of segments: the body ends with them */
    bool pause; /* to be sent before the next is asked for, which takes long */
};
/* The next piece of the reply's body. FAILED: too few shards are left in mid
 * body: the connection is cut so that the client sees it. */
void s3_call_next(struct s3_call *call, struct s3_piece *piece);
/* The worker cannot open the files of the last S3_PIECE_SEGMENTS: from its
 * first byte on the body continues as data. */
void s3_call_refuse_segments(struct s3_call *call);

/* A line for the access log of the call's bucket, if it has one: once, before
 * free. `status` is what the client got, 499 if it has gone. */
void s3_call_log(struct s3_call *call, unsigned status);

/* The call has no body, and will be asked again in another way: this one does
 * not count. Before free, in place of s3_call_log(). */
void s3_call_decline(struct s3_call *call);

void s3_call_free(struct s3_call *call);

/* Wipes customers' keys in the frame that a request was unpacked from. */
void s3_wipe_frame(const Wire__Request *request, uint8_t *frame, size_t size);

/* --- bucket policies, compiled; thread-safe --------------------------------*/
struct s3_policy_cache *s3_policy_cache_new(void);
void s3_policy_cache_free(struct s3_policy_cache *cache); /* NULL is allowed */

/* --- audit logs: a line of JSON for each decision, or for each change of who
 * may do what, of buckets, and by an administrator; thread-safe -------------*/
/* Appends to the file, which is made if it is not there. 0 or a negative
 * errno. */
int s3_audit_open(const char *path, struct s3_audit **audit);
/* After the file was moved. On an error the old one stays open. */
int s3_audit_reopen(struct s3_audit *audit);
void s3_audit_close(struct s3_audit *audit); /* NULL is allowed */
/* An administrator's command that has ended. `arguments`, of jansson, without
 * secrets; `error` "": it was done. */
struct json_t;
void s3_audit_command(struct s3_audit *audit, unsigned uid, const char *command,
                      struct json_t *arguments, const char *error);

/* --- completed uploads -----------------------------------------------------
 * Each is remembered, so that a CompleteMultipartUpload whose answer was lost
 * can be repeated. Forgets those of more than seven days ago. Blocks. 0 or a
 * negative errno. */
int s3_forget_completed(struct s3_service *service);

/* --- uploads in progress, for an administrator ------------------------------
 * Thread-safe; all of it blocks. (uploads.c) */
struct s3_upload {
    const Meta__Bucket *bucket;
    struct slice key;
    const Meta__Upload *record;
};
struct s3_upload_parts {
    size_t count;
    uint64_t bytes;
};
/* 0, or what ends the walk; -EBADMSG: it is damaged, and passed over. */
typedef int (*s3_upload_fn)(void *context, const struct s3_upload *upload);

/* Zeros but for the arena: from the first upload on. */
struct s3_uploads_walk {
    struct arena *arena;
    struct slice bucket;  /* only this one's; empty: of all buckets */
    uint64_t begun_by_ms; /* only what began then or earlier */
    /* With which upload it goes on, or the next one that is there. */
    struct slice bucket_next, key_next, id_next;
    bool more;        /* the step has ended before the walk */
    uint64_t damaged; /* uploads that could not be read */
};
/* A step: tells of uploads by bucket, key and id, for about a second. 0 or a
 * negative errno. */
int s3_walk_uploads(struct s3_service *service, struct s3_uploads_walk *walk,
                    s3_upload_fn fn, void *context);
/* What its parts are now. 0 or a negative errno. */
int s3_upload_measure(struct s3_service *service,
                      const struct s3_upload *upload,
                      struct s3_upload_parts *parts);
/* As AbortMultipartUpload does. *parts: what it had. 0; -ENOENT: it was
 * completed or aborted meanwhile; or another negative errno. */
int s3_upload_abort(struct s3_service *service, const struct s3_upload *upload,
                    struct s3_upload_parts *parts);

/* --- envelopes after a rotation -------------------------------------------
 * A walk over all objects and uploads that wraps their keys anew where the
 * master key has a newer version: in the metadata alone. Its progress is
 * there too: it goes on after a restart. Thread-safe. */
struct s3_rewrap;
int s3_rewrap_open(struct s3_service *service, struct s3_rewrap **rewrap);
void s3_rewrap_close(struct s3_rewrap *rewrap); /* NULL is allowed */
/* From the beginning, also if one is under way. 0 or a negative errno. */
int s3_rewrap_start(struct s3_rewrap *rewrap);
bool s3_rewrap_due(struct s3_rewrap *rewrap); /* does not block */
/* Goes on, for about `for_ms`. Blocks. */
void s3_rewrap_run(struct s3_rewrap *rewrap, unsigned for_ms);

struct s3_rewrap_status {
    bool under_way;
    bool waits; /* for a provider that cannot be reached */
    uint64_t started_ms, completed_ms;
    uint64_t examined, rewrapped, failed;
};
/* -ENOENT: there was none yet. */
int s3_rewrap_status(struct s3_rewrap *rewrap, struct s3_rewrap_status *status);

/* --- who may do what, and why ----------------------------------------------*/
struct s3_given {
    struct slice key, value; /* "aws:SourceIp", "192.0.2.1" */
};
struct s3_simulation {
    const char *principal; /* an ARN, an access key, "anonymous" */
    const char *action;    /* "s3:GetObject" */
    const char *resource;  /* "arn:aws:s3:::bucket/key": need not be there */
    const struct s3_given *given; /* condition keys, each once */
    size_t given_count;
};
struct s3_simulated {
    bool allowed, explicit_deny;
    const char *source;           /* as in the audit log */
    bool by_policy;               /* policy, sid and statement say which */
    char policy[IAM_ARN_MAX + 1]; /* an ARN, a name, or "" of a bucket's */
    char sid[128 + 1];
    unsigned statement; /* from 0 */
};
/* 0; -ENOENT: no such principal; -EBADMSG: a temporary key; -EINVAL: the
 * resource is not one of S3; or what the metadata says. */
int s3_simulate(struct s3_service *service,
                const struct s3_simulation *simulation,
                struct s3_simulated *answer);

/* --- access logs: S3's server access logging ------------------------------
 * Kept in memory, bounded, and delivered as objects after `interval_ms` or
 * 1 MiB. Thread-safe, but for one delivery at a time. */
struct s3_access_log *s3_access_log_open(struct s3_service *service,
                                         uint64_t interval_ms);
bool s3_access_log_due(struct s3_access_log *log); /* does not block */
/* Delivers what is due, or all there is. Blocks. */
void s3_access_log_deliver(struct s3_access_log *log, bool all);
/* Delivers all; NULL is allowed. */
void s3_access_log_close(struct s3_access_log *log);

#endif
