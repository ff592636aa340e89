/*
 * Private to events/: batches of events on their way into one target.
 *
 * Invariants:
 *   V1  A batch is one MULTI ... EXEC: Redis takes all of its commands or
 *       none. Were one to fail for want of memory and the next to succeed, the
 *       first could never come before it any more.
 *   V2  A stream's entry has the id <generation>-<sequence of the event>. What
 *       an entry of that id and content is there for was delivered; anything
 *       else that is not above the stream's last id goes on in the next
 *       generation, with all that follows it. So a resend makes no duplicate,
 *       and no other writer and no restored backup makes an event vanish.
 *   V3  The generation is read from the stream itself at each login: nothing
 *       has to be kept here.
 */
#ifndef EVENTS_DELIVERY_H
#define EVENTS_DELIVERY_H

#include "events/events.h"
#include "redis/redis.h"

struct delivery {
    struct redis redis;
    struct redis_login login;
    enum events_kind kind;
    struct slice key;      /* of the stream, channel, hash or list */
    uint64_t maxlen;       /* of a stream; 0: it is not trimmed */
    uint64_t generation;   /* of a stream, as of this login */
    uint64_t top_sequence; /* the last entry's, in this generation */
    uint64_t generations;  /* how often another one was begun */
};

/* Connects and logs in; learns where the stream ends. */
int delivery_login(struct delivery *delivery, enum redis_fault *fault);
/* Delivers all events, in order, ascending by sequence. After an error, whose
 * words are delivery->redis.error and whose cause is *fault if Redis said it,
 * the connection is closed and all have to be delivered again. */
int delivery_send(struct delivery *delivery, Meta__Event *const *events,
                  size_t count, enum redis_fault *fault);

/* --- streams: stream.c -----------------------------------------------------*/
/* Learns the stream's last id. */
int stream_begin(struct delivery *delivery, enum redis_fault *fault);
/* How many of the first events the stream has already; the others may be added
 * (V2). */
int stream_skip(struct delivery *delivery, Meta__Event *const *events,
                size_t count, size_t *skip, enum redis_fault *fault);
void stream_send(struct delivery *delivery, const Meta__Event *event);

/* --- other forms: forms.c --------------------------------------------------*/
void pubsub_send(struct delivery *delivery, const Meta__Event *event);
void namespace_send(struct delivery *delivery, const Meta__Event *event);
void access_send(struct delivery *delivery, const Meta__Event *event);

#endif
