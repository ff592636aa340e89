/*
 * Streams: entries with ids of our own (V2), the field "event", which holds
 * the message, and "cache-tags" where there are any: what S3 does not tell, but
 * who keeps caches has to know, stands beside its message.
 * https://redis.io/docs/latest/commands/xadd/
 */
#include "events/delivery.h"

#include <errno.h>
#include <stdio.h>

#define FIELD "event"
#define TAGS  "cache-tags"

struct stream_id {
    uint64_t generation, sequence;
};

/* Replaces what `text` holds; printf would take several times as long. */
static struct slice id_text(struct buffer *text, uint64_t generation,
                            uint64_t sequence)
{
    text->size = 0;
    buffer_append_number(text, generation);
    buffer_append(text, "-", 1);
    buffer_append_number(text, sequence);
    return slice_of(text->data, text->size);
}

/* --- replies ---------------------------------------------------------------*/
static bool read_id(struct slice text, struct stream_id *id)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '-') {
            return slice_to_u64(slice_of(text.data, i), &id->generation) == 0 &&
                   slice_to_u64(slice_of(text.data + i + 1, text.size - i - 1),
                                &id->sequence) == 0;
        }
    }
    return false;
}

static int strange(struct delivery *delivery, const char *command)
{
    return redis_fail(&delivery->redis, -EPROTO, "%s had another reply",
                      command);
}

/* An error reply is -EACCES, and *fault says what it means. */
static int receive(struct delivery *delivery, redisReply **reply,
                   enum redis_fault *fault)
{
    const int error = redis_receive(&delivery->redis, reply);
    if (error != 0) {
        return error;
    }
    *fault = redis_fault(*reply);
    if (*fault == REDIS_FAULT_NONE) {
        return 0;
    }
    redis_fail(&delivery->redis, 0, "%.*s", (int)(*reply)->len, (*reply)->str);
    redis_login_redirect(&delivery->login, &delivery->redis, *reply);
    return -EACCES; /* the reply is still the caller's */
}

/* --- where the stream ends -------------------------------------------------*/
static bool find_last_id(const redisReply *info, struct stream_id *id)
{
    return read_id(redis_text(redis_value(info, "last-generated-id")), id);
}

static bool is_missing(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR &&
           slice_equal_string(slice_of(reply->str, reply->len),
                              "ERR no such key");
}

int stream_begin(struct delivery *delivery, enum redis_fault *fault)
{
    const struct slice words[] = {SLICE_LITERAL("XINFO"),
                                  SLICE_LITERAL("STREAM"), delivery->key};
    struct stream_id last = {0};
    redisReply *reply = NULL;

    redis_send(&delivery->redis, words, 3);
    int error = receive(delivery, &reply, fault);
    if (error == -EACCES && is_missing(reply)) {
        *fault = REDIS_FAULT_NONE;
        error = 0;
    } else if (error == 0 && !find_last_id(reply, &last)) {
        error = strange(delivery, "XINFO STREAM");
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    delivery->generation = last.generation;
    delivery->top_sequence = last.sequence;
    return error;
}

/* --- what is there already -------------------------------------------------*/
/* [id, ["event", message]] of this event. */
static bool is_entry(const redisReply *entry, uint64_t generation,
                     const Meta__Event *event)
{
    const redisReply *id = redis_element(entry, 0);
    const redisReply *fields = redis_element(entry, 1);
    const redisReply *message = redis_element(fields, 1);
    struct stream_id seen;

    if (id == NULL || message == NULL || !read_id(redis_text(id), &seen) ||
        seen.generation != generation || seen.sequence != event->sequence) {
        return false;
    }
    struct buffer expected = {0};
    events_json_message(&expected, event);
    const bool same = slice_equal(redis_text(message),
                                  slice_of(expected.data, expected.size));
    buffer_free(&expected);
    return same;
}

/* The first of the events that the entries do not show one after the other. */
static size_t count_found(const redisReply *entries, uint64_t generation,
                          Meta__Event *const *events, size_t count)
{
    size_t found = 0;

    while (found < count && redis_element(entries, found) != NULL &&
           is_entry(redis_element(entries, found), generation, events[found])) {
        found++;
    }
    return found;
}

static int look(struct delivery *delivery, Meta__Event *const *events,
                size_t count, size_t *found, enum redis_fault *fault)
{
    struct buffer first = {0}, last = {0};
    char most[24];
    redisReply *reply = NULL;

    snprintf(most, sizeof(most), "%zu", count);
    const struct slice words[] = {
        SLICE_LITERAL("XRANGE"),
        delivery->key,
        id_text(&first, delivery->generation, events[0]->sequence),
        id_text(&last, delivery->generation, events[count - 1]->sequence),
        SLICE_LITERAL("COUNT"),
        slice_from_string(most)};
    redis_send(&delivery->redis, words, 6);
    buffer_free(&first);
    buffer_free(&last);
    const int error = receive(delivery, &reply, fault);
    if (error == 0) {
        *found = count_found(reply, delivery->generation, events, count);
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    return error;
}

static int next_generation(struct delivery *delivery, enum redis_fault *fault)
{
    if (delivery->generation == UINT64_MAX) {
        *fault = REDIS_FAULT_REFUSED;
        return redis_fail(&delivery->redis, -EACCES,
                          "the stream's last id is the highest there is: "
                          "nothing can be added to it");
    }
    log_warn("events: stream %.*s ends at %llu-%llu, which is not ours: it "
             "goes on at %llu",
             (int)delivery->key.size, (const char *)delivery->key.data,
             (unsigned long long)delivery->generation,
             (unsigned long long)delivery->top_sequence,
             (unsigned long long)delivery->generation + 1);
    delivery->generation++;
    delivery->generations++;
    delivery->top_sequence = 0;
    return 0;
}

int stream_skip(struct delivery *delivery, Meta__Event *const *events,
                size_t count, size_t *skip, enum redis_fault *fault)
{
    int error = 0;

    *skip = 0;
    if (events[0]->sequence <= delivery->top_sequence) {
        error = look(delivery, events, count, skip, fault);
    }
    if (error == 0 && *skip < count &&
        events[*skip]->sequence <= delivery->top_sequence) {
        error = next_generation(delivery, fault);
    }
    return error;
}

/* --- adding ----------------------------------------------------------------*/
void stream_send(struct delivery *delivery, const Meta__Event *event)
{
    struct buffer message = {0}, id = {0}, maxlen = {0};
    struct slice words[10];
    size_t count = 0;

    events_json_message(&message, event);
    words[count++] = SLICE_LITERAL("XADD");
    words[count++] = delivery->key;
    if (delivery->maxlen > 0) {
        buffer_append_number(&maxlen, delivery->maxlen);
        words[count++] = SLICE_LITERAL("MAXLEN");
        words[count++] = SLICE_LITERAL("~");
        words[count++] = slice_of(maxlen.data, maxlen.size);
    }
    words[count++] = id_text(&id, delivery->generation, event->sequence);
    words[count++] = SLICE_LITERAL(FIELD);
    words[count++] = slice_of(message.data, message.size);
    if (event->cache_tags.len > 0) {
        words[count++] = SLICE_LITERAL(TAGS);
        words[count++] =
            slice_of(event->cache_tags.data, event->cache_tags.len);
    }
    redis_send(&delivery->redis, words, count);
    buffer_free(&maxlen);
    buffer_free(&id);
    buffer_free(&message);
}
