/* Entries, and the requests that they wait for. */
#include "purge/queue.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_MS 250u
#define HASH_SIZE      1024u

struct queue {
    uint64_t again_us, retry_max_ms;
    uint64_t held_us; /* requests that failed wait until then */
    struct queue_entry *entries, **entries_end;
    struct queue_request *first, *last;
    struct queue_request *by_hash[HASH_SIZE];
    struct queue_counts counts;
};

struct queue *queue_new(uint64_t again_us, uint64_t retry_max_ms)
{
    struct queue *queue = xcalloc(1, sizeof(*queue));

    queue->again_us = again_us;
    queue->retry_max_ms = retry_max_ms;
    queue->entries_end = &queue->entries;
    return queue;
}

void queue_count(const struct queue *queue, struct queue_counts *counts)
{
    *counts = queue->counts;
}

uint64_t queue_retry_ms(unsigned attempts, uint64_t most_ms, uint32_t random)
{
    uint64_t pause = RETRY_FIRST_MS;

    for (unsigned i = 1; i < attempts && pause < most_ms; i++) {
        pause *= 2;
    }
    pause = pause < most_ms ? pause : most_ms;
    return pause / 2 + random % (pause / 2 + 1);
}

/* --- entries ---------------------------------------------------------------*/
bool queue_has(const struct queue *queue, const char *id)
{
    const struct queue_entry *entry = queue->entries;

    while (entry != NULL && strcmp(entry->id, id) != 0) {
        entry = entry->next;
    }
    return entry != NULL;
}

struct queue_entry *queue_add(struct queue *queue, const char *id,
                              uint64_t time_ms)
{
    struct queue_entry *entry = xcalloc(1, sizeof(*entry));

    copy_string(entry->id, sizeof(entry->id), id);
    entry->time_ms = time_ms;
    entry->waiting_for = 1; /* for queue_add_done() */
    *queue->entries_end = entry;
    queue->entries_end = &entry->next;
    queue->counts.entries++;
    return entry;
}

void queue_add_done(struct queue_entry *entry)
{
    invariant(entry->waiting_for > 0);
    entry->waiting_for--;
}

struct queue_entry *queue_confirmed(const struct queue *queue,
                                    const struct queue_entry *after)
{
    struct queue_entry *entry = after != NULL ? after->next : queue->entries;

    while (entry != NULL && entry->waiting_for > 0) {
        entry = entry->next;
    }
    return entry;
}

void queue_forget(struct queue *queue, const struct queue_entry *last)
{
    struct queue_entry **link = &queue->entries;
    bool more = true;

    while (more) {
        struct queue_entry *entry = *link;
        invariant(entry != NULL); /* `last` is among them */
        more = entry != last;
        if (entry->waiting_for > 0) {
            link = &entry->next;
            continue;
        }
        *link = entry->next;
        if (*link == NULL) {
            queue->entries_end = link;
        }
        queue->counts.entries--;
        free(entry);
    }
}

/* --- requests --------------------------------------------------------------*/
static struct queue_request **bucket_of(struct queue *queue, const void *text,
                                        size_t size)
{
    return &queue->by_hash[crc32c_bytes(text, size) % HASH_SIZE];
}

static struct queue_request *find(struct queue *queue, struct slice text)
{
    struct queue_request *request = *bucket_of(queue, text.data, text.size);

    while (request != NULL &&
           !slice_equal(slice_of(request->text, request->size), text)) {
        request = request->same_hash;
    }
    return request;
}

static struct queue_request *insert(struct queue *queue, struct slice text,
                                    uint64_t now_us)
{
    struct queue_request **bucket = bucket_of(queue, text.data, text.size);
    struct queue_request *request = xcalloc(1, sizeof(*request) + text.size);

    request->due_us = now_us;
    request->size = text.size;
    memcpy(request->text, text.data, text.size);
    request->same_hash = *bucket;
    *bucket = request;
    request->previous = queue->last;
    if (queue->last != NULL) {
        queue->last->next = request;
    } else {
        queue->first = request;
    }
    queue->last = request;
    queue->counts.requests++;
    return request;
}

static void unlink_request(struct queue *queue, struct queue_request *request)
{
    struct queue_request **link =
        bucket_of(queue, request->text, request->size);

    while (*link != request) {
        link = &(*link)->same_hash;
    }
    *link = request->same_hash;
    *(request->previous != NULL ? &request->previous->next : &queue->first) =
        request->next;
    *(request->next != NULL ? &request->next->previous : &queue->last) =
        request->previous;
    queue->counts.requests--;
}

static void free_request(struct queue_request *request)
{
    free(request->waiters);
    free(request);
}

/* The same entry asks for the same request once. */
static bool waits_already(const struct queue_request *request,
                          const struct queue_entry *entry)
{
    return request->count > 0 &&
           request->waiters[request->count - 1].entry == entry;
}

void queue_add_request(struct queue *queue, struct queue_entry *entry,
                       struct slice text, uint64_t now_us)
{
    struct queue_request *request = find(queue, text);

    if (request == NULL) {
        request = insert(queue, text, now_us);
    } else if (waits_already(request, entry)) {
        return;
    }
    if (request->count == request->capacity) {
        request->capacity = 2 * request->capacity + 1;
        request->waiters = xrealloc(
            request->waiters, request->capacity * sizeof(*request->waiters));
    }
    request->waiters[request->count++] = (struct queue_waiter){entry, 0};
    entry->waiting_for++;
    if (request->attempts == 0) { /* it may have waited to be sent again */
        request->due_us = now_us;
    }
}

/* --- sending ---------------------------------------------------------------*/
static uint64_t due_of(const struct queue *queue,
                       const struct queue_request *request)
{
    return request->attempts > 0 && request->due_us < queue->held_us
               ? queue->held_us
               : request->due_us;
}

struct queue_request *queue_send(struct queue *queue, uint64_t now_us)
{
    struct queue_request *request = queue->first;

    while (request != NULL &&
           (request->on_its_way || due_of(queue, request) > now_us)) {
        request = request->next;
    }
    if (request != NULL) {
        request->on_its_way = true;
        request->sent = request->count;
        request->sent_us = now_us;
        queue->counts.on_their_way++;
    }
    return request;
}

uint64_t queue_due_us(const struct queue *queue)
{
    uint64_t due_us = UINT64_MAX;

    for (const struct queue_request *request = queue->first; request != NULL;
         request = request->next) {
        if (!request->on_its_way && due_of(queue, request) < due_us) {
            due_us = due_of(queue, request);
        }
    }
    return due_us;
}

static void arrive(struct queue *queue, struct queue_request *request)
{
    invariant(request->on_its_way && request->sent <= request->count);
    request->on_its_way = false;
    queue->counts.on_their_way--;
}

/* How many of the waiters, the first ones, this request does for. */
static size_t count_done(const struct queue *queue,
                         struct queue_request *request, uint64_t now_us)
{
    size_t done = 0;

    if (queue->again_us == 0) {
        return request->sent;
    }
    for (size_t i = 0; i < request->sent; i++) {
        struct queue_waiter *waiter = &request->waiters[i];

        if (waiter->confirmed_us == 0) {
            waiter->confirmed_us = now_us;
        } else if (request->sent_us >= waiter->confirmed_us + queue->again_us) {
            invariant(done == i);
            done++;
        }
    }
    return done;
}

void queue_confirm(struct queue *queue, struct queue_request *request,
                   uint64_t now_us)
{
    const bool more = request->count > request->sent;
    const size_t done = count_done(queue, request, now_us);

    arrive(queue, request);
    queue->counts.failing -= request->attempts > 0;
    request->attempts = 0;
    for (size_t i = 0; i < done; i++) {
        queue_add_done(request->waiters[i].entry);
    }
    request->count -= done;
    if (request->count == 0) {
        unlink_request(queue, request);
        free_request(request);
        return;
    }
    memmove(request->waiters, request->waiters + done,
            request->count * sizeof(*request->waiters));
    request->due_us =
        more ? now_us : request->waiters[0].confirmed_us + queue->again_us;
}

uint64_t queue_fail(struct queue *queue, struct queue_request *request,
                    uint64_t now_us, uint32_t random)
{
    arrive(queue, request);
    queue->counts.failing += request->attempts == 0;
    request->attempts++;
    const uint64_t pause_ms =
        queue_retry_ms(request->attempts, queue->retry_max_ms, random);
    request->due_us = now_us + pause_ms * 1000;
    return pause_ms;
}

void queue_hold(struct queue *queue, uint64_t until_us)
{
    queue->held_us = until_us;
}

void queue_hurry(struct queue *queue, uint64_t now_us)
{
    queue->held_us = 0;
    for (struct queue_request *request = queue->first; request != NULL;
         request = request->next) {
        if (request->attempts > 0 && request->due_us > now_us) {
            request->due_us = now_us;
        }
    }
}

void queue_free(struct queue *queue)
{
    if (queue == NULL) {
        return;
    }
    while (queue->first != NULL) {
        struct queue_request *request = queue->first;
        queue->first = request->next;
        free_request(request);
    }
    while (queue->entries != NULL) {
        struct queue_entry *entry = queue->entries;
        queue->entries = entry->next;
        free(entry);
    }
    free(queue);
}
