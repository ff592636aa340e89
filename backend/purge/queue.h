/*
 * Private to purge/: what one edge has still to confirm. Pure: it knows
 * neither Redis nor HTTP, and its clock is an argument.
 *
 * An entry of the stream waits for requests, and a request may be waited for by
 * many entries: a purge that is sent after several changes of an object does
 * for all of them.
 *
 * Invariants:
 *   Q1  An entry is confirmed only after each of its requests was sent and
 *       confirmed after the entry was added.
 *   Q2  At most one request of the same text is on its way.
 *
 * Not thread-safe.
 */
#ifndef PURGE_QUEUE_H
#define PURGE_QUEUE_H

#include "base/base.h"

#define QUEUE_ID_SIZE 44 /* of a stream's entry, with NUL */

struct queue_entry {
    struct queue_entry *next;
    char id[QUEUE_ID_SIZE];
    uint64_t time_ms;   /* of the event; 0: not known */
    size_t waiting_for; /* requests */
};

/* Who waits for a request, in the order in which they came. */
struct queue_waiter {
    struct queue_entry *entry;
    uint64_t confirmed_us; /* the first time; 0: not yet */
};

struct queue_request {
    struct queue_request *next, *previous; /* in the order of their coming */
    struct queue_request *same_hash;
    struct queue_waiter *waiters;
    size_t count, capacity;
    size_t sent; /* so many of them were there when it was sent last */
    uint64_t sent_us;
    uint64_t due_us;   /* not sent before */
    unsigned attempts; /* that failed since the last that did not */
    bool on_its_way;
    size_t size;
    char text[]; /* plan.h */
};

struct queue;
/* `again_us`: each request is sent a second time so long after it was
 * confirmed, and confirmed only then; 0: it is not. */
struct queue *queue_new(uint64_t again_us, uint64_t retry_max_ms);
void queue_free(struct queue *queue); /* NULL is allowed */

/* --- filling ---------------------------------------------------------------*/
bool queue_has(const struct queue *queue, const char *id);
/* Then its requests, then queue_add_done(). */
struct queue_entry *queue_add(struct queue *queue, const char *id,
                              uint64_t time_ms);
void queue_add_request(struct queue *queue, struct queue_entry *entry,
                       struct slice text, uint64_t now_us);
void queue_add_done(struct queue_entry *entry);

/* --- sending ---------------------------------------------------------------*/
/* The first that is due, which is on its way from then on; NULL: none is. */
struct queue_request *queue_send(struct queue *queue, uint64_t now_us);
/* UINT64_MAX: nothing waits for its time. */
uint64_t queue_due_us(const struct queue *queue);
void queue_confirm(struct queue *queue, struct queue_request *request,
                   uint64_t now_us);
/* It is tried again later; in how many milliseconds. */
uint64_t queue_fail(struct queue *queue, struct queue_request *request,
                    uint64_t now_us, uint32_t random);
/* None that failed is sent before: the edge is away. */
void queue_hold(struct queue *queue, uint64_t until_us);
/* All that failed are due now: the edge is back. */
void queue_hurry(struct queue *queue, uint64_t now_us);

/* --- emptying --------------------------------------------------------------*/
/* The first entry that waits for nothing any more; `after` NULL: of all. */
struct queue_entry *queue_confirmed(const struct queue *queue,
                                    const struct queue_entry *after);
/* Forgets confirmed entries up to this one, which is what Redis has heard. */
void queue_forget(struct queue *queue, const struct queue_entry *last);

struct queue_counts {
    size_t entries;  /* all of them */
    size_t requests; /* on their way too */
    size_t on_their_way;
    size_t failing; /* whose last attempt failed */
};
void queue_count(const struct queue *queue, struct queue_counts *counts);

/* The pause after so many attempts: doubled each time, between half and all of
 * it. */
uint64_t queue_retry_ms(unsigned attempts, uint64_t most_ms, uint32_t random);

#endif
