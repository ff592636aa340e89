/* Telling of changes: records into the outboxes of targets. */
#include "events/private.h"

#include <errno.h>
#include <string.h>

/* What goes at once when the oldest events have to: enough that it is rare,
 * little enough that a request can wait for it. */
#define ROOM_EVENTS 4096u
#define ROOM_BYTES  (1u << 20)

static bool is_full(const struct events_target *target,
                    const struct meta_backlog *backlog)
{
    const struct events_target_options *options = &target->options;

    return (options->limit_bytes > 0 &&
            backlog->bytes >= options->limit_bytes) ||
           (options->limit_events > 0 &&
            backlog->events >= options->limit_events);
}

/* A sixteenth of the limit, or what goes at once. */
static uint64_t kept(uint64_t limit, uint64_t at_once)
{
    const uint64_t share = limit / 16 < at_once ? limit / 16 : at_once;

    return limit == 0 ? UINT64_MAX / 2 : limit - share - 1;
}

/* One thread does; others go on meanwhile. */
static void make_room(struct events_target *target)
{
    const struct meta_backlog keep = {
        .events = kept(target->options.limit_events, ROOM_EVENTS),
        .bytes = kept(target->options.limit_bytes, ROOM_BYTES),
    };
    uint64_t removed = 0;
    int error;

    if (pthread_mutex_trylock(&target->room_lock) != 0) {
        return;
    }
    error = meta_drop_events(target->outbox, &keep, &removed);
    pthread_mutex_unlock(&target->room_lock);
    if (removed > 0) {
        atomic_fetch_add(&target->dropped, removed);
        log_warn("events: the outbox of %s is full: its oldest %llu events "
                 "were dropped",
                 target->options.name, (unsigned long long)removed);
    }
    if (error != 0) {
        log_error("events: the outbox of %s cannot be emptied: %s",
                  target->options.name, strerror(-error));
    }
}

static int check(struct events_target *target)
{
    struct meta_backlog backlog;

    meta_get_backlog(target->outbox, &backlog);
    if (!is_full(target, &backlog)) {
        return 0;
    }
    if (target->options.overflow == EVENTS_BLOCK) {
        atomic_fetch_add(&target->refused, 1);
        return -EAGAIN;
    }
    make_room(target);
    return 0;
}

/* The next rule from *at on that tells of such an event, and to whom. NULL:
 * there is none. The last one is that of event_bridge, without an id. */
static const Meta__NotificationRule *next_rule(struct events *events,
                                               const Meta__Bucket *bucket,
                                               Meta__EventType type,
                                               struct slice key, size_t *at,
                                               struct events_target **target)
{
    static const Meta__NotificationRule bridge = META__NOTIFICATION_RULE__INIT;

    if (events == NULL) {
        return NULL;
    }
    while (*at < bucket->n_notifications) {
        const Meta__NotificationRule *rule = bucket->notifications[(*at)++];

        if (events_rule_matches(rule, type, key)) {
            *target = events_target_of_rule(events, rule);
            if (*target != NULL) {
                return rule;
            }
        }
    }
    if (*at == bucket->n_notifications && bucket->event_bridge) {
        (*at)++;
        *target = events_bridge(events);
        return *target != NULL ? &bridge : NULL;
    }
    return NULL;
}

int events_check(struct events *events, const Meta__Bucket *bucket,
                 Meta__EventType type, struct slice key)
{
    struct events_target *target;
    size_t at = 0;
    int error = 0;

    while (error == 0 &&
           next_rule(events, bucket, type, key, &at, &target) != NULL) {
        error = check(target);
    }
    return error;
}

static ProtobufCBinaryData bytes(struct slice text)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)text.data,
                                 .len = text.size};
}

/* All but its sequence. */
static Meta__Event make(const char *region, const Meta__Bucket *bucket,
                        ProtobufCBinaryData configuration,
                        const struct events_change *change)
{
    Meta__Event event = META__EVENT__INIT;

    event.type = change->type;
    event.time_ms = change->time_ms;
    event.region = bytes(slice_from_string(region));
    event.bucket = bucket->name;
    event.bucket_id = bucket->id;
    event.bucket_owner = bucket->owner;
    event.configuration = configuration;
    event.key = bytes(change->key);
    event.size = change->size;
    event.etag = bytes(change->etag);
    event.version_id = bytes(change->version_id);
    event.requester = bytes(change->requester);
    event.source_ip = bytes(change->source_ip);
    event.request_id = bytes(change->request_id);
    event.cache_tags = bytes(change->cache_tags);
    return event;
}

static void put(struct events_target *target, struct meta_batch *batch,
                const Meta__Bucket *bucket, ProtobufCBinaryData configuration,
                const struct events_change *change)
{
    Meta__Event event = make(target->region, bucket, configuration, change);

    meta_put_event(batch, target->outbox, &event);
    atomic_fetch_add(&target->queued, 1);
}

static void tell(void *context, const Meta__Event *event)
{
    feed_tell(context, event);
}

bool events_wanted(const struct events *events, const Meta__Bucket *bucket)
{
    return events != NULL &&
           (bucket->n_notifications > 0 || bucket->event_bridge ||
            feed_wanted(events->feed));
}

unsigned events_emit(struct events *events, struct meta_batch *batch,
                     const Meta__Bucket *bucket,
                     const struct events_change *change)
{
    const Meta__NotificationRule *rule;
    struct events_target *target;
    unsigned added = 0;
    size_t at = 0;

    while ((rule = next_rule(events, bucket, change->type, change->key, &at,
                             &target)) != NULL) {
        put(target, batch, bucket, rule->id, change);
        added++;
    }
    if (events != NULL && feed_wanted(events->feed)) {
        Meta__Event event =
            make(events->region, bucket, bytes(SLICE_LITERAL("")), change);
        meta_tell_event(batch, tell, events->feed, &event);
    }
    return added;
}

void events_emit_to(struct events_target *target, struct meta_batch *batch,
                    const Meta__Bucket *bucket,
                    const struct events_change *change)
{
    put(target, batch, bucket, bytes(SLICE_LITERAL("")), change);
}
