/*
 * The feed: events as they happen, for those who listen at that moment,
 * whatever the rules of the bucket say.
 *
 * A listener holds so many bytes and no more: the events that come while there
 * is no room are lost to it, and it is told how many. So nobody who reads
 * slowly holds up a change.
 *
 * Thread-safe, but for one call at a time on each listener.
 */
#ifndef EVENTS_FEED_H
#define EVENTS_FEED_H

#include "base/base.h"
#include "meta/meta.h"

#define FEED_TYPES_MAX     32
#define FEED_LISTENERS_MAX 256
#define FEED_SHARE_MAX     64         /* listeners of an account */
#define FEED_BYTES_MAX     (1u << 20) /* kept for a listener */

struct feed;
struct feed *feed_new(void);
void feed_free(struct feed *feed); /* nobody listens; NULL is allowed */
/* `wake` is called by any thread when a listener that had nothing to take has
 * something; once, before anybody listens. It does not block. */
void feed_on_wake(struct feed *feed, void (*wake)(void *context),
                  void *context);
/* The feed is over: every listener takes what it has, then its end. */
void feed_end(struct feed *feed);

/* --- telling ---------------------------------------------------------------*/
/* Somebody listens: cheap. */
bool feed_wanted(const struct feed *feed);
/* After the change is durable, in the order of the key's changes. */
void feed_tell(struct feed *feed, const Meta__Event *event);

/* --- listening -------------------------------------------------------------*/
struct feed_filter {
    struct slice bucket;                   /* a name; empty: of all buckets */
    uint64_t bucket_id;                    /* that very one; 0: any */
    struct slice prefix, suffix;           /* of the key; empty: any */
    struct slice account;                  /* who listens; empty: no share */
    Meta__EventType types[FEED_TYPES_MAX]; /* wildcards too */
    size_t type_count;                     /* 0: all */
};
struct feed_listener;
/* NULL: too many listen, of all or of the account. The filter is copied. */
struct feed_listener *feed_listen(struct feed *feed,
                                  const struct feed_filter *filter);
void feed_leave(struct feed_listener *listener); /* NULL is allowed */

enum feed_taken {
    FEED_NOTHING, /* it will be woken */
    FEED_TAKEN,
    FEED_ENDED,
};
/* Appends lines, each a message of S3's in JSON with a newline, of about `max`
 * bytes together; or, where events were lost, one that says how many:
 * {"Records":[],"Lost":3}. */
enum feed_taken feed_take(struct feed_listener *listener, size_t max,
                          struct buffer *out);

#endif
