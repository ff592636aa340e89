/*
 * Private to events/.
 */
#ifndef EVENTS_PRIVATE_H
#define EVENTS_PRIVATE_H

#include "events/events.h"
#include "events/feed.h"

#include <pthread.h>
#include <stdatomic.h>

struct events_target {
    struct events_target_options options; /* its strings are the target's */
    const char *region;
    struct meta_outbox *outbox;
    pthread_mutex_t room_lock; /* held by who makes room */
    _Atomic uint64_t queued, dropped, refused;
};

struct events {
    struct feed *feed;
    char *region;
    struct events_target *targets;
    size_t count;
};

/* The target whose name ends the rule's ARN, if it is of the rule's kind;
 * NULL: it is not configured. */
struct events_target *events_target_of_rule(struct events *events,
                                            const Meta__NotificationRule *rule);

#endif
