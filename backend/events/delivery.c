/* A batch: one transaction, and what Redis says of it. */
#include "events/delivery.h"

#include <errno.h>

/* --- the transaction -------------------------------------------------------*/
static void send_event(struct delivery *delivery, const Meta__Event *event)
{
    static void (*const send[])(struct delivery *, const Meta__Event *) = {
        [EVENTS_STREAM] = stream_send,
        [EVENTS_PUBSUB] = pubsub_send,
        [EVENTS_NAMESPACE] = namespace_send,
        [EVENTS_ACCESS] = access_send,
    };
    send[delivery->kind](delivery, event);
}

/* Keeps the first error of a transaction, which is the cause of the others. */
static void note(struct delivery *delivery, const redisReply *reply,
                 enum redis_fault *fault)
{
    const enum redis_fault seen = redis_fault(reply);

    if (seen != REDIS_FAULT_NONE && *fault == REDIS_FAULT_NONE) {
        *fault = seen;
        redis_fail(&delivery->redis, 0, "%.*s", (int)reply->len, reply->str);
        redis_login_redirect(&delivery->login, &delivery->redis, reply);
    }
}

/* What EXEC said: the replies of `count` commands. */
static int check_executed(struct delivery *delivery, const redisReply *reply,
                          size_t count, enum redis_fault *fault)
{
    note(delivery, reply, fault);
    for (size_t i = 0; i < reply->elements; i++) {
        note(delivery, reply->element[i], fault);
    }
    if (*fault != REDIS_FAULT_NONE) {
        return -EACCES;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != count) {
        return redis_fail(&delivery->redis, -EPROTO,
                          "a transaction of %zu commands had another reply",
                          count);
    }
    return 0;
}

/* The replies to MULTI, to `count` commands, and to EXEC. */
static int receive_all(struct delivery *delivery, size_t count,
                       enum redis_fault *fault)
{
    redisReply *reply;
    int error = 0;

    for (size_t i = 0; i <= count && error == 0; i++) {
        error = redis_receive(&delivery->redis, &reply);
        if (error == 0) {
            note(delivery, reply, fault);
            freeReplyObject(reply);
        }
    }
    if (error == 0) {
        error = redis_receive(&delivery->redis, &reply);
    }
    if (error == 0) {
        error = check_executed(delivery, reply, count, fault);
        freeReplyObject(reply);
    }
    return error;
}

/* Redis checks that the test event can be delivered, but it is no event of an
 * object: only a message has a place for it. */
static bool has_form(const struct delivery *delivery, const Meta__Event *event)
{
    return event->type != META__EVENT_TYPE__TEST_EVENT ||
           delivery->kind == EVENTS_STREAM || delivery->kind == EVENTS_PUBSUB;
}

static int execute(struct delivery *delivery, Meta__Event *const *events,
                   size_t count, enum redis_fault *fault)
{
    size_t sent = 0;

    redis_say(&delivery->redis, "MULTI", NULL);
    for (size_t i = 0; i < count; i++) {
        if (has_form(delivery, events[i])) {
            send_event(delivery, events[i]);
            sent++;
        }
    }
    redis_say(&delivery->redis, "EXEC", NULL);
    return receive_all(delivery, sent, fault);
}

/* --- the whole -------------------------------------------------------------*/
int delivery_login(struct delivery *delivery, enum redis_fault *fault)
{
    int error = redis_login(&delivery->redis, &delivery->login, fault);

    if (error == 0 && delivery->kind == EVENTS_STREAM) {
        error = stream_begin(delivery, fault);
    }
    if (error != 0) {
        redis_close(&delivery->redis);
    }
    return error;
}

int delivery_send(struct delivery *delivery, Meta__Event *const *events,
                  size_t count, enum redis_fault *fault)
{
    size_t skip = 0;
    int error = 0;

    *fault = REDIS_FAULT_NONE;
    if (delivery->kind == EVENTS_STREAM) {
        error = stream_skip(delivery, events, count, &skip, fault);
    }
    if (error == 0 && skip < count) {
        error = execute(delivery, events + skip, count - skip, fault);
    }
    if (error != 0) {
        redis_close(&delivery->redis);
    }
    return error;
}
