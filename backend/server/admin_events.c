/*
 * Event notifications: s3ctl events.
 */
#include "events/feed.h"
#include "server/admin.h"
#include <errno.h>

static void set(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

static json_t *target_json(const struct events_target_options *target,
                           const struct publisher_status *status)
{
    json_t *object =
        json_pack("{s:s,s:s,s:s,s:s,s:s}", "name", target->name, "kind",
                  events_kind_name(target->kind), "redis", target->redis, "key",
                  target->key, "state", publisher_state_name(status->state));
    if (object == NULL) { /* a key that is not UTF-8 */
        object = json_pack("{s:s}", "name", target->name);
    }
    set(object, "backlog", status->backlog_events);
    set(object, "backlog_bytes", status->backlog_bytes);
    set(object, "lag_ms", status->lag_ms);
    set(object, "delivered", status->delivered);
    set(object, "delivered_ms", status->delivered_ms);
    set(object, "retried", status->retried);
    set(object, "dropped", status->dropped);
    set(object, "blocked", status->blocked);
    set(object, "generations", status->generations);
    if (status->error_ms != 0) {
        json_object_set_new(object, "error", json_string(status->error));
        set(object, "error_ms", status->error_ms);
    }
    return object;
}

json_t *admin_events(struct publisher *publisher)
{
    const struct events_target_options *target;
    struct publisher_status status;
    json_t *list = json_array();

    for (size_t i = 0; publisher_status(publisher, i, &target, &status); i++) {
        json_array_append_new(list, target_json(target, &status));
    }
    return list;
}

static int events_status(struct admin_call *call)
{
    return admin_reply(call, json_pack("{s:o}", "events",
                                       admin_events(call->server->publisher)));
}

/* --- tail ------------------------------------------------------------------*/
static struct slice text_slice(const struct admin_call *call, const char *name)
{
    const char *text = admin_text(call, name);
    return text != NULL ? slice_from_string(text) : (struct slice){0};
}

static int events_tail(struct admin_call *call)
{
    const json_t *types = json_object_get(call->arguments, "events");
    struct feed_filter filter = {.bucket = text_slice(call, "bucket"),
                                 .prefix = text_slice(call, "prefix"),
                                 .suffix = text_slice(call, "suffix")};
    size_t i;
    json_t *name;

    json_array_foreach(types, i, name)
    {
        const char *text = json_string_value(name);
        const Meta__EventType type =
            text != NULL ? events_type_parse(slice_from_string(text))
                         : META__EVENT_TYPE__NO_EVENT;
        if (type == META__EVENT_TYPE__NO_EVENT || i == FEED_TYPES_MAX) {
            return admin_refuse(call, -EINVAL,
                                "an event is a type such as "
                                "s3:ObjectCreated:Put or s3:ObjectCreated:*");
        }
        filter.types[filter.type_count++] = type;
    }
    call->sequel.listener =
        feed_listen(events_feed(call->server->service.events), &filter);
    if (call->sequel.listener == NULL) {
        return admin_refuse(call, -EBUSY, "too many listen already");
    }
    return admin_reply(call, json_object());
}

const struct admin_command admin_event_commands[] = {
    {.name = "events.tail", .run = events_tail},
    {.name = "events.status", .run = events_status},
    {.name = NULL},
};
