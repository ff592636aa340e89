/*
 * The forms that are no streams: a channel, and what MinIO's users know as
 * `namespace` and `access`.
 * https://min.io/docs/minio/linux/administration/monitoring/publish-events-to-redis.html
 */
#include "events/delivery.h"

static struct slice of_buffer(const struct buffer *buffer)
{
    return slice_of(buffer->data, buffer->size);
}

void pubsub_send(struct delivery *delivery, const Meta__Event *event)
{
    struct buffer message = {0};

    events_json_message(&message, event);
    const struct slice words[] = {SLICE_LITERAL("PUBLISH"), delivery->key,
                                  of_buffer(&message)};
    redis_send(&delivery->redis, words, 3);
    buffer_free(&message);
}

/* --- namespace: a hash of what there is ------------------------------------*/
static bool removes(Meta__EventType type)
{
    return events_type_matches(META__EVENT_TYPE__OBJECT_REMOVED_ANY, type) ||
           events_type_matches(META__EVENT_TYPE__LIFECYCLE_EXPIRATION_ANY,
                               type);
}

void namespace_send(struct delivery *delivery, const Meta__Event *event)
{
    struct buffer name = {0}, message = {0};

    buffer_append(&name, event->bucket.data, event->bucket.len);
    buffer_append_string(&name, "/");
    buffer_append(&name, event->key.data, event->key.len);
    const bool remove = removes(event->type);
    if (!remove) {
        events_json_message(&message, event);
    }
    const struct slice words[] = {
        remove ? SLICE_LITERAL("HDEL") : SLICE_LITERAL("HSET"), delivery->key,
        of_buffer(&name), of_buffer(&message)};
    redis_send(&delivery->redis, words, remove ? 3 : 4);
    buffer_free(&name);
    buffer_free(&message);
}

/* --- access: a list of what was done ---------------------------------------*/
void access_send(struct delivery *delivery, const Meta__Event *event)
{
    struct buffer entry = {0};
    char time[32]; /* as eventTime within the record */

    time_iso8601(time, event->time_ms);
    buffer_append_string(&entry, "[{\"Event\":[");
    events_json_record(&entry, event);
    buffer_printf(&entry, "],\"EventTime\":\"%s\"}]", time);
    const struct slice words[] = {SLICE_LITERAL("RPUSH"), delivery->key,
                                  of_buffer(&entry)};
    redis_send(&delivery->redis, words, 3);
    buffer_free(&entry);
}
