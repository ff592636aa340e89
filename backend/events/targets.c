/* The targets of the configuration, and the ARNs that name them. */
#include "events/private.h"

#include <stdlib.h>
#include <string.h>

#define NAME_CHARACTERS                                                        \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

const char *events_kind_name(unsigned kind)
{
    static const char *const names[] = {
        [EVENTS_STREAM] = "stream",
        [EVENTS_PUBSUB] = "pubsub",
        [EVENTS_NAMESPACE] = "namespace",
        [EVENTS_ACCESS] = "access",
    };

    return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : NULL;
}

bool events_valid_name(const char *name)
{
    const size_t size = strlen(name);

    return size > 0 && size <= EVENTS_NAME_MAX &&
           strspn(name, NAME_CHARACTERS) == size;
}

static const char *copy(const char *text)
{
    return text != NULL ? xstrdup(text) : NULL;
}

static void target_init(struct events_target *target, struct meta *meta,
                        const char *region,
                        const struct events_target_options *options)
{
    invariant(events_valid_name(options->name));
    target->options = *options;
    target->options.name = copy(options->name);
    target->options.redis = copy(options->redis);
    target->options.username = copy(options->username);
    target->options.password_file = copy(options->password_file);
    target->options.sentinel_username = copy(options->sentinel_username);
    target->options.sentinel_password_file =
        copy(options->sentinel_password_file);
    target->options.key = copy(options->key);
    target->region = region;
    target->outbox = meta_outbox(meta, slice_from_string(options->name));
    invariant(pthread_mutex_init(&target->room_lock, NULL) == 0);
}

static struct events_target *find_name(struct events *events, struct slice name)
{
    for (size_t i = 0; i < events->count; i++) {
        if (slice_equal_string(name, events->targets[i].options.name)) {
            return &events->targets[i];
        }
    }
    return NULL;
}

/* What was kept for a target that is not configured any more stays, in case it
 * comes back. */
static void warn_of_strays(struct events *events, struct meta *meta)
{
    struct meta_outbox *outbox = NULL;
    struct meta_backlog backlog;

    while ((outbox = meta_next_outbox(meta, outbox)) != NULL) {
        const struct slice name = meta_outbox_target(outbox);

        meta_get_backlog(outbox, &backlog);
        if (backlog.events > 0 && find_name(events, name) == NULL) {
            log_warn("events: %llu wait for the target %.*s, which is not "
                     "configured",
                     (unsigned long long)backlog.events, (int)name.size,
                     (const char *)name.data);
        }
    }
}

struct events *events_open(struct meta *meta,
                           const struct events_options *options)
{
    struct events *events = xcalloc(1, sizeof(*events));

    events->feed = feed_new();
    events->region = xstrdup(options->region);
    events->targets = xcalloc(options->count > 0 ? options->count : 1,
                              sizeof(*events->targets));
    for (size_t i = 0; i < options->count; i++) {
        target_init(&events->targets[i], meta, events->region,
                    &options->targets[i]);
        events->count++;
    }
    warn_of_strays(events, meta);
    return events;
}

void events_close(struct events *events)
{
    if (events == NULL) {
        return;
    }
    for (size_t i = 0; i < events->count; i++) {
        struct events_target *target = &events->targets[i];

        free((char *)target->options.name);
        free((char *)target->options.redis);
        free((char *)target->options.username);
        free((char *)target->options.password_file);
        free((char *)target->options.sentinel_username);
        free((char *)target->options.sentinel_password_file);
        free((char *)target->options.key);
        pthread_mutex_destroy(&target->room_lock);
    }
    feed_free(events->feed);
    free(events->targets);
    free(events->region);
    free(events);
}

struct feed *events_feed(struct events *events)
{
    return events->feed;
}

struct events_target *events_target(struct events *events, size_t index)
{
    return index < events->count ? &events->targets[index] : NULL;
}

const struct events_target_options *events_target_options(
    const struct events_target *target)
{
    return &target->options;
}

struct meta_outbox *events_target_outbox(const struct events_target *target)
{
    return target->outbox;
}

void events_count(struct events_target *target, struct events_counts *counts)
{
    meta_get_backlog(target->outbox, &counts->backlog);
    counts->queued = atomic_load(&target->queued);
    counts->dropped = atomic_load(&target->dropped);
    counts->refused = atomic_load(&target->refused);
}

/* --- ARNs ------------------------------------------------------------------*/
static Meta__NotificationKind kind_of(const struct events_target *target)
{
    return target->options.kind == EVENTS_PUBSUB
               ? META__NOTIFICATION_KIND__NOTIFY_TOPIC
               : META__NOTIFICATION_KIND__NOTIFY_QUEUE;
}

/* Takes `text` off the front. False: it is not there. */
static bool take(struct slice *rest, struct slice text)
{
    if (!slice_has_prefix(*rest, text)) {
        return false;
    }
    *rest = slice_of(rest->data + text.size, rest->size - text.size);
    return true;
}

struct events_target *events_find(struct events *events,
                                  Meta__NotificationKind kind,
                                  struct slice account, struct slice arn)
{
    const struct slice service = kind == META__NOTIFICATION_KIND__NOTIFY_TOPIC
                                     ? SLICE_LITERAL("arn:aws:sns:")
                                     : SLICE_LITERAL("arn:aws:sqs:");
    const struct slice colon = SLICE_LITERAL(":");
    struct events_target *target;

    if (events == NULL || !take(&arn, service) ||
        !take(&arn, slice_from_string(events->region)) || !take(&arn, colon) ||
        !take(&arn, account) || !take(&arn, colon)) {
        return NULL;
    }
    target = find_name(events, arn);
    return target != NULL && kind_of(target) == kind ? target : NULL;
}

struct events_target *events_bridge(struct events *events)
{
    return events != NULL ? find_name(events, SLICE_LITERAL(EVENTS_BRIDGE_NAME))
                          : NULL;
}

struct events_target *events_target_of_rule(struct events *events,
                                            const Meta__NotificationRule *rule)
{
    const struct slice arn = slice_of(rule->arn.data, rule->arn.len);
    struct events_target *target;
    size_t name = arn.size;

    while (name > 0 && arn.data[name - 1] != ':') {
        name--;
    }
    target = find_name(events, slice_of(arn.data + name, arn.size - name));
    return target != NULL && kind_of(target) == rule->kind ? target : NULL;
}
