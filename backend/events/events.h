/*
 * Event notifications: which changes are told to which targets.
 *
 * A change and its events are one commit: an operation asks events_check()
 * whether there is room, and calls events_emit()
 * with the batch that holds the change, under the lock of the key. What is
 * told waits in the target's outbox (meta.h), and a publisher takes it
 * from there. Targets stand in s3d's configuration; a bucket's rules name them
 * by ARN:
 *
 *   arn:aws:sqs:REGION:ACCOUNT:NAME  a queue: stream, namespace, access
 *   arn:aws:sns:REGION:ACCOUNT:NAME  a topic: pubsub
 *
 * ACCOUNT is the bucket owner's. A rule whose target is not configured any
 * more tells nothing. Thread-safe.
 */
#ifndef EVENTS_H
#define EVENTS_H

#include "base/base.h"
#include "meta/meta.h"

/* --- targets ---------------------------------------------------------------*/
enum events_kind {
    EVENTS_STREAM,    /* XADD */
    EVENTS_PUBSUB,    /* PUBLISH: at most once by nature */
    EVENTS_NAMESPACE, /* HSET, HDEL: what there is */
    EVENTS_ACCESS,    /* RPUSH: what was done */
};
/* "stream"; NULL: there is no such kind. */
const char *events_kind_name(unsigned kind);
#define EVENTS_NAME_MAX 80 /* letters, digits, '-' and '_' */

/* What happens to a change whose event finds its outbox full. */
enum events_overflow {
    EVENTS_BLOCK, /* it is refused: 503 SlowDown */
    EVENTS_DROP,  /* the oldest events go, and are counted */
};

struct events_target_options {
    const char *name;
    enum events_kind kind;
    enum events_overflow overflow;
    uint64_t limit_bytes;  /* of the outbox; 0: none */
    uint64_t limit_events; /* 0: none */
    /* How it is reached: for the publisher. NULL: not said. */
    const char *redis; /* "127.0.0.1:6379", "unix:/path" */
    const char *username;
    const char *password_file;
    const char *sentinel_username;
    const char *sentinel_password_file;
    unsigned database;
    const char *key; /* of the stream, channel, hash or list */
    uint64_t maxlen; /* of a stream; 0: it is not trimmed */
};
struct events_options {
    const char *region; /* of ARNs, and of events */
    const struct events_target_options *targets;
    size_t count;
};

struct events;
/* Copies the options. Names are checked by events_valid_name() before, and
 * differ. Warns of outboxes that are not empty and have no target. */
struct events *events_open(struct meta *meta,
                           const struct events_options *options);
void events_close(struct events *events); /* NULL is allowed */
bool events_valid_name(const char *name);

/* By number, from 0; NULL at the end. As long as `events`. */
struct events_target;
struct events_target *events_target(struct events *events, size_t index);
const struct events_target_options *events_target_options(
    const struct events_target *target);
struct meta_outbox *events_target_outbox(const struct events_target *target);

struct events_counts {
    struct meta_backlog backlog;
    uint64_t queued;  /* events, since the start */
    uint64_t dropped; /* by EVENTS_DROP */
    uint64_t refused; /* changes, by EVENTS_BLOCK */
};
void events_count(struct events_target *target, struct events_counts *counts);

/* The target that `arn` names, in a rule of this kind of a bucket of
 * `account` (12 digits); NULL: there is none. */
struct events_target *events_find(struct events *events,
                                  Meta__NotificationKind kind,
                                  struct slice account, struct slice arn);

/* The target that stands for Amazon EventBridge, whatever its kind: that of
 * this name. It is told every event of buckets that have event_bridge. NULL:
 * there is none. */
#define EVENTS_BRIDGE_NAME "eventbridge"
struct events_target *events_bridge(struct events *events);

/* --- types of events: types.c, pure ----------------------------------------*/
/* "s3:ObjectCreated:Put", wildcards too; NULL: no such type. */
const char *events_type_name(Meta__EventType type);
/* NO_EVENT: unknown. */
Meta__EventType events_type_parse(struct slice name);
/* `pattern` is `type`, or a wildcard for it. */
bool events_type_matches(Meta__EventType pattern, Meta__EventType type);
/* Some type of event is meant by both. */
bool events_types_overlap(Meta__EventType a, Meta__EventType b);

/* --- rules: rules.c, pure --------------------------------------------------*/
/* Names of its filters, as S3 gives them back; on disk: never change one. */
#define EVENTS_FILTER_PREFIX "Prefix"
#define EVENTS_FILTER_SUFFIX "Suffix"
/* The rule tells of such an event. */
bool events_rule_matches(const Meta__NotificationRule *rule,
                         Meta__EventType type, struct slice key);
/* Empty: the rule has none. */
struct slice events_rule_prefix(const Meta__NotificationRule *rule);
struct slice events_rule_suffix(const Meta__NotificationRule *rule);
/* Some key fits the filters of both. */
bool events_filters_overlap(const Meta__NotificationRule *a,
                            const Meta__NotificationRule *b);

/* Those who listen now: feed.h. */
struct feed;
struct feed *events_feed(struct events *events);

/* --- telling ---------------------------------------------------------------*/
/* What the caller knows of a change. Slices are not copied beyond the call. */
struct events_change {
    Meta__EventType type;
    struct slice key;
    uint64_t size;
    struct slice etag;       /* without quotes; empty: not told */
    struct slice version_id; /* empty: the null version */
    struct slice requester;  /* "AWS:AIDA..." */
    struct slice source_ip;
    struct slice request_id;
    struct slice cache_tags; /* with blanks between; streams alone tell them */
    uint64_t time_ms;
};
/* Whether what is told of such a change has room: 0, or -EAGAIN: an outbox is
 * full, and the change is to be refused. Makes room where the oldest events
 * are to go. `events` NULL: 0. */
int events_check(struct events *events, const Meta__Bucket *bucket,
                 Meta__EventType type, struct slice key);
/* The bucket has rules, or somebody listens. `events` NULL: false. */
bool events_wanted(const struct events *events, const Meta__Bucket *bucket);
/* Adds to `batch` what the bucket's rules tell of the change, and tells those
 * who listen when it is durable, under the key's lock. Whether there is room
 * was asked before. How many events were added. `events` NULL: tells nothing.
 */
unsigned events_emit(struct events *events, struct meta_batch *batch,
                     const Meta__Bucket *bucket,
                     const struct events_change *change);
/* Adds an event for one target, whatever the rules: s3:TestEvent. */
void events_emit_to(struct events_target *target, struct meta_batch *batch,
                    const Meta__Bucket *bucket,
                    const struct events_change *change);

/* Adds what is told of the objects whose bytes a blob holds: what care has
 * found of it, not what somebody did to a key; so under no key's lock. How many
 * were told. What has no room is not, and is logged. `events` NULL: 0. */
unsigned events_emit_blob(struct events *events, struct meta *meta,
                          struct meta_batch *batch, uint64_t blob,
                          Meta__EventType type);
/* Who asked for what s3d does of itself, as S3 calls itself in events. */
#define EVENTS_OF_S3D "s3.amazonaws.com"

/* --- as S3 writes it: json.c, pure -----------------------------------------
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
 * All append to `out`, without white space or newline. */
/* The message: {"Records":[...]}, or that of s3:TestEvent. */
void events_json_message(struct buffer *out, const Meta__Event *event);
/* The record alone, as it stands within Records; not of s3:TestEvent. */
void events_json_record(struct buffer *out, const Meta__Event *event);
/* The key as the message has it: url-encoded, '+' for a blank. */
void events_json_key(struct buffer *out, struct slice key);

#endif
