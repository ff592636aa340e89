/*
 * The thread of an edge: entries from Redis, requests to the edge, and back to
 * Redis what was confirmed. Each edge has a group of consumers of its own, so
 * that one that is slow or away holds up no other, and its backlog stays in
 * Redis.
 */
#include "purge/edge.h"
#include "purge/plan.h"
#include "purge/queue.h"
#include "purge/sender.h"
#include "purge/source.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define READ_MAX       64u  /* entries at once */
#define ACK_MAX        128u /* the same */
#define REPORT_US      10000000u
#define UNANSWERED_MAX 3u
/* Not much oftener, however much is confirmed. */
#define REPORT_MIN_US 200000u

struct edge {
    const struct purge_config *config;
    const struct purge_edge *options;
    size_t index;
    int stop_fd;
    bool stopping;
    pthread_t thread;
    struct source source;
    struct sender *sender;
    struct queue *queue;

    unsigned redis_failures; /* one after the other */
    uint64_t open_us;        /* not before */
    unsigned unanswered;     /* attempts, one after the other */
    unsigned probes;         /* of them, since it is away */

    bool news; /* since the last report */
    uint64_t reported_us;
    uint64_t confirmed, retried, confirmed_ms;
    char error[256];
};

static uint32_t random_u32(void)
{
    uint32_t value = 0;

    (void)getrandom(&value, sizeof(value), GRND_NONBLOCK);
    return value;
}

/* --- Redis -----------------------------------------------------------------*/
static void lost_redis(struct edge *edge)
{
    const uint64_t pause_ms = queue_retry_ms(
        ++edge->redis_failures, edge->config->retry_max_s * 1000, random_u32());

    source_close(&edge->source);
    edge->open_us = clock_monotonic_us() + pause_ms * 1000;
    if (edge->redis_failures == 1) { /* one line for each time that it goes */
        log_warn("purge: edge %s: Redis: %s; it is tried again",
                 edge->options->name, edge->source.error);
    }
}

static void keep_open(struct edge *edge)
{
    if (source_is_late(&edge->source)) {
        copy_string(edge->source.error, sizeof(edge->source.error),
                    "no answer in time");
        lost_redis(edge);
    }
    if (source_is_open(&edge->source) || edge->stopping ||
        clock_monotonic_us() < edge->open_us) {
        return;
    }
    if (source_open(&edge->source) != 0) {
        lost_redis(edge);
        return;
    }
    edge->redis_failures = 0;
    edge->news = true;
    log_info("purge: edge %s: reads %s", edge->options->name,
             edge->config->stream);
}

/* What is in memory is bounded: by requests, and by entries, of which many may
 * wait for one request. */
static size_t room(const struct edge *edge)
{
    struct queue_counts counts;

    queue_count(edge->queue, &counts);
    const size_t used =
        counts.requests > counts.entries ? counts.requests : counts.entries;
    const size_t left =
        edge->config->window > used ? edge->config->window - used : 0;
    return left < READ_MAX ? left : READ_MAX;
}

static void ask(struct edge *edge)
{
    const size_t count = room(edge);

    if (count > 0 && !edge->stopping && source_is_open(&edge->source) &&
        source_fd(&edge->source) < 0 && source_ask(&edge->source, count) != 0) {
        lost_redis(edge);
    }
}

/* --- entries ---------------------------------------------------------------*/
struct filling {
    struct edge *edge;
    struct queue_entry *entry;
};

static void add_request(void *context, struct slice request)
{
    const struct filling *filling = context;

    queue_add_request(filling->edge->queue, filling->entry, request,
                      clock_monotonic_us());
}

static void note_strange(const struct edge *edge, const char *id,
                         const char *what)
{
    log_warn("purge: edge %s: entry %s %s: nothing is purged for it",
             edge->options->name, id, what);
}

/* What cannot be read is done with: it would be read for ever. */
static void take_entry(struct edge *edge, const redisReply *reply,
                       const char *id, struct arena *arena)
{
    const struct slice message = source_field(reply, "event");
    struct purge_event *events;
    size_t count = 0;

    if (queue_has(edge->queue, id)) {
        return;
    }
    if (message.data == NULL) {
        note_strange(edge, id,
                     "has no event, or is not in the stream any more");
    } else if (event_parse(arena, message, source_field(reply, "cache-tags"),
                           &events, &count) != 0) {
        note_strange(edge, id, "is not a message of S3's");
    }
    struct filling filling = {
        edge, queue_add(edge->queue, id, count > 0 ? events[0].time_ms : 0)};
    for (size_t i = 0; i < count; i++) {
        plan_event(edge->config, edge->index, &events[i], add_request,
                   &filling);
    }
    queue_add_done(filling.entry);
}

static void take_entries(struct edge *edge)
{
    redisReply *reply = NULL;
    const redisReply *entry;
    char id[QUEUE_ID_SIZE];

    if (source_take(&edge->source, &reply) != 0) {
        lost_redis(edge);
        return;
    }
    for (size_t i = 0; (entry = source_entry(reply, i)) != NULL; i++) {
        struct arena *arena = arena_new();
        if (source_id(entry, id)) {
            take_entry(edge, entry, id, arena);
        }
        arena_free(arena);
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
}

/* --- requests --------------------------------------------------------------*/
/* It does not answer at all: one URL that it cannot cope with is not that. */
static bool is_away(const struct edge *edge)
{
    return edge->unanswered >= UNANSWERED_MAX;
}

/* An edge that is away is asked by one request at a time. */
static bool may_send(const struct edge *edge)
{
    const uint64_t most = is_away(edge) ? 1 : edge->options->connections;
    struct queue_counts counts;

    queue_count(edge->queue, &counts);
    return counts.on_their_way < most && !edge->stopping;
}

static void send_due(struct edge *edge)
{
    struct queue_request *request;

    while (may_send(edge) &&
           (request = queue_send(edge->queue, clock_monotonic_us())) != NULL) {
        sender_send(edge->sender, slice_of(request->text, request->size),
                    request);
    }
}

static bool is_confirmed(const struct purge_edge *edge, unsigned status)
{
    for (size_t i = 0; i < edge->confirmed_count; i++) {
        if (edge->confirmed[i] == status) {
            return true;
        }
    }
    return false;
}

/* The URL is printable: plan.c encodes what comes from names. */
static void failed(struct edge *edge, struct queue_request *request,
                   const struct sender_outcome *outcome)
{
    struct slice rest = slice_of(request->text, request->size);
    const char *method = plan_next_part(&rest);
    const char *url = plan_next_part(&rest);

    if (outcome->status != 0) {
        snprintf(edge->error, sizeof(edge->error), "status %u",
                 outcome->status);
    } else {
        copy_string(edge->error, sizeof(edge->error), outcome->error);
    }
    const uint64_t pause_ms =
        queue_fail(edge->queue, request, clock_monotonic_us(), random_u32());
    log_warn("purge: edge %s: %s %s failed: %s; attempt %u, again in %.1f s",
             edge->options->name, method, url, edge->error, request->attempts,
             (double)pause_ms / 1000);
    edge->retried++;
}

/* Of an edge that is away one request that has failed before is sent now and
 * then, and shows when it is back; what is new is tried once. */
static void note_no_answer(struct edge *edge,
                           const struct queue_request *request)
{
    edge->unanswered++;
    if (is_away(edge) && request->attempts > 1) {
        const uint64_t pause_ms = queue_retry_ms(
            ++edge->probes, edge->config->retry_max_s * 1000, random_u32());
        queue_hold(edge->queue, clock_monotonic_us() + pause_ms * 1000);
    }
}

static void note_answer(struct edge *edge)
{
    if (is_away(edge)) {
        log_info("purge: edge %s: answers again", edge->options->name);
        queue_hurry(edge->queue, clock_monotonic_us());
    }
    edge->unanswered = 0;
    edge->probes = 0;
}

static void take_outcome(struct edge *edge,
                         const struct sender_outcome *outcome)
{
    struct queue_request *request = outcome->context;

    if (outcome->status != 0) {
        note_answer(edge);
    }
    if (is_confirmed(edge->options, outcome->status)) {
        queue_confirm(edge->queue, request, clock_monotonic_us());
    } else {
        failed(edge, request, outcome);
    }
    if (outcome->status == 0) {
        note_no_answer(edge, request);
    }
    edge->news = true;
}

static void take_outcomes(struct edge *edge)
{
    struct sender_outcome outcome;

    while (sender_take(edge->sender, &outcome)) {
        take_outcome(edge, &outcome);
    }
}

/* --- back to Redis ---------------------------------------------------------*/
/* False: there was none, or Redis has gone; then it is said once more to the
 * next connection. */
static bool acknowledge_some(struct edge *edge)
{
    struct queue_entry *entry = queue_confirmed(edge->queue, NULL);
    const struct queue_entry *last = NULL;
    uint64_t latest_ms = edge->confirmed_ms;
    size_t count = 0;

    if (!source_is_open(&edge->source)) {
        return false;
    }
    for (; entry != NULL && count < ACK_MAX; count++) {
        source_ack(&edge->source, entry->id);
        latest_ms = entry->time_ms > latest_ms ? entry->time_ms : latest_ms;
        last = entry;
        entry = queue_confirmed(edge->queue, entry);
    }
    if (count == 0) {
        return false;
    }
    if (source_ack_end(&edge->source, count) != 0) {
        lost_redis(edge);
        return false;
    }
    queue_forget(edge->queue, last);
    edge->confirmed += count;
    edge->confirmed_ms = latest_ms;
    edge->news = true;
    return true;
}

struct report {
    struct slice words[SOURCE_REPORT_MAX];
    char numbers[SOURCE_REPORT_MAX / 2][24];
    size_t count;
};

static void put_text(struct report *report, const char *name, const char *value)
{
    report->words[report->count++] = slice_from_string(name);
    report->words[report->count++] = slice_from_string(value);
}

static void put_number(struct report *report, const char *name, uint64_t value)
{
    char *text = report->numbers[report->count / 2];

    snprintf(text, sizeof(report->numbers[0]), "%llu",
             (unsigned long long)value);
    put_text(report, name, text);
}

/* What an agent before this one has said of its last event stays. */
static void report(struct edge *edge, const char *state)
{
    struct report report = {.count = 0};
    struct queue_counts counts;

    queue_count(edge->queue, &counts);
    put_text(&report, "state", state);
    put_number(&report, "written_ms", clock_wall_ms());
    put_number(&report, "confirmed", edge->confirmed);
    put_number(&report, "retried", edge->retried);
    put_number(&report, "failed", counts.failing);
    if (edge->confirmed_ms != 0) {
        put_number(&report, "confirmed_ms", edge->confirmed_ms);
    }
    if (edge->error[0] != '\0') {
        put_text(&report, "error", edge->error);
    }
    source_report(&edge->source, report.words, report.count);
}

static uint64_t report_due_us(const struct edge *edge)
{
    return edge->reported_us + (edge->news ? REPORT_MIN_US : REPORT_US);
}

static void report_if_due(struct edge *edge)
{
    const uint64_t now_us = clock_monotonic_us();
    struct queue_counts counts;

    if (!source_is_open(&edge->source) || now_us < report_due_us(edge)) {
        return;
    }
    queue_count(edge->queue, &counts);
    report(edge, counts.failing > 0 ? "retrying" : "ready");
    if (!source_is_open(&edge->source)) {
        lost_redis(edge);
    }
    edge->news = false;
    edge->reported_us = now_us;
}

/* --- the thread ------------------------------------------------------------*/
static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static int wait_ms(const struct edge *edge)
{
    const uint64_t now_us = clock_monotonic_us();
    uint64_t until_us = now_us + REPORT_US;

    if (may_send(edge)) {
        until_us = earlier(until_us, queue_due_us(edge->queue));
    }
    until_us =
        earlier(until_us, source_is_open(&edge->source) ? report_due_us(edge)
                                                        : edge->open_us);
    return until_us > now_us ? (int)((until_us - now_us) / 1000) + 1 : 0;
}

static bool is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return fd >= 0 && poll(&poll_fd, 1, 0) > 0;
}

static void work(struct edge *edge)
{
    keep_open(edge);
    ask(edge);
    send_due(edge);
    if (edge->stopping) {
        sender_wait(edge->sender, -1, -1, wait_ms(edge));
    } else {
        sender_wait(edge->sender, source_fd(&edge->source), edge->stop_fd,
                    wait_ms(edge));
    }
    edge->stopping = edge->stopping || is_readable(edge->stop_fd);
    take_outcomes(edge);
    if (!edge->stopping && is_readable(source_fd(&edge->source))) {
        take_entries(edge);
    }
    while (acknowledge_some(edge)) {
        continue;
    }
    report_if_due(edge);
}

static void *run(void *argument)
{
    struct edge *edge = argument;
    struct queue_counts counts;

    pthread_setname_np(pthread_self(), "edge");
    do {
        work(edge);
        queue_count(edge->queue, &counts);
    } while (!edge->stopping || counts.on_their_way > 0);
    if (source_is_open(&edge->source)) {
        report(edge, "stopped");
    }
    source_close(&edge->source);
    return NULL;
}

struct edge *edge_start(const struct purge_config *config, size_t index,
                        int stop_fd)
{
    const struct purge_edge *options = &config->edges[index];
    struct sender *sender = sender_new(options);

    if (sender == NULL) {
        return NULL;
    }
    struct edge *edge = xcalloc(1, sizeof(*edge));
    edge->config = config;
    edge->options = options;
    edge->index = index;
    edge->stop_fd = stop_fd;
    edge->sender = sender;
    edge->queue =
        queue_new(options->again_s * 1000000, config->retry_max_s * 1000);
    source_init(&edge->source, config, options, stop_fd);
    invariant(pthread_create(&edge->thread, NULL, run, edge) == 0);
    return edge;
}

void edge_join(struct edge *edge)
{
    if (edge == NULL) {
        return;
    }
    pthread_join(edge->thread, NULL);
    sender_free(edge->sender);
    queue_free(edge->queue);
    free(edge);
}
