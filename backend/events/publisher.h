/*
 * The publisher: takes what waits in the outboxes to Redis.
 *
 * A thread for each target, so that one that does not answer delays no other.
 * A commit wakes it; nothing is polled. Every event is delivered at least
 * once, those of a key in order; docs/events.md says what that means for each
 * kind of target.
 *
 * Invariants:
 *   P1  An event leaves its outbox only after Redis has said that it took it.
 *   P2  Events of a target are sent in the order of their sequences; the next
 *       batch only when the one before was taken.
 *   P3  A request never waits for a publisher.
 */
#ifndef EVENTS_PUBLISHER_H
#define EVENTS_PUBLISHER_H

#include "events/events.h"

/* What `redis` of a target may be: redis.h. */
bool publisher_valid_address(const char *redis);

struct publisher;
/* Starts a thread for each target of `events`, which outlive the publisher. */
struct publisher *publisher_open(struct events *events);
/* Ends them at once: what was not delivered stays in the outboxes. */
void publisher_close(struct publisher *publisher); /* NULL is allowed */

/* --- status ----------------------------------------------------------------*/
enum publisher_state {
    PUBLISHER_CONNECTING,
    PUBLISHER_READY,    /* connected: nothing waits, or it is on its way */
    PUBLISHER_RETRYING, /* it failed, and is tried again soon */
    PUBLISHER_REFUSED,  /* somebody must act; it is tried now and then */
};
const char *publisher_state_name(enum publisher_state state);

struct publisher_status {
    enum publisher_state state;
    uint64_t backlog_events, backlog_bytes; /* not delivered yet */
    uint64_t lag_ms;       /* age of the oldest of them; 0: none waits */
    uint64_t delivered;    /* since the start, as are the next ones */
    uint64_t retried;      /* events whose delivery failed and began anew */
    uint64_t dropped;      /* by the outbox's limit */
    uint64_t blocked;      /* changes that it refused */
    uint64_t generations;  /* times that a stream's last id was not ours */
    uint64_t delivered_ms; /* wall clock, of the last delivery; 0: none */
    uint64_t error_ms;     /* wall clock, of the last error; 0: none */
    char error[256];
};
/* Of the target of that index; false: there is none. From memory. */
bool publisher_status(struct publisher *publisher, size_t index,
                      const struct events_target_options **target,
                      struct publisher_status *status);

#endif
