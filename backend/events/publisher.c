/*
 * The threads of the publisher.
 *
 *   connecting ──login──► ready ──batch taken──► ready
 *       ▲                   │
 *       └──── a pause ◄─────┴── any error: retrying, or refused
 */
#include "events/publisher.h"
#include "events/delivery.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#define CONNECT_MS 2000
#define COMMAND_MS 5000

/* One batch: so much that a round trip costs little, so little that Redis is
 * not kept from others. */
#define BATCH_EVENTS 256
#define BATCH_BYTES  (1u << 20)

/* What comes so soon after a batch that was not full goes together in the
 * next: under load a batch for each event would cost several times as much. */
#define GATHER_US 20000u

/* What was delivered leaves the outbox in one commit for many; before it is a
 * quarter of what the outbox may hold. */
#define TRIM_EVENTS 512u
#define TRIM_BYTES  (4u << 20)
#define TRIM_SHARE  4
#define TRIM_US     1000000u

/* Pauses after errors: doubled each time, and between half and all of it. Where
 * somebody must act it is the same: nobody has to tell s3d that he did. */
#define PAUSE_MIN_MS 50u
#define PAUSE_MAX_MS 5000u

struct target {
    struct publisher *publisher;
    const struct events_target_options *options;
    struct events_target *target;
    struct meta_outbox *outbox;
    pthread_t thread;
    int work_fd;       /* readable: something has come */
    atomic_bool awake; /* work_fd was written, or nobody waits for it */

    /* The thread's own. */
    struct delivery delivery;
    uint64_t delivered_through; /* sequence */
    uint64_t trim_at_us;        /* monotonic; 0: nothing is to be trimmed */
    uint64_t trim_events, trim_bytes; /* so many are trimmed at once */
    uint64_t gather_until_us;         /* monotonic: no batch before */
    unsigned pause_ms;                /* after the next error */
    unsigned redirects;               /* since the last delivery */

    pthread_mutex_t lock;          /* of what follows */
    struct meta_backlog untrimmed; /* delivered, but still in the outbox; as
                                      large as the others on average */
    uint64_t oldest_ms; /* event time of the first of the batch; 0: none */
    struct publisher_status status;
};

struct publisher {
    struct target *targets;
    size_t count;
    int stop_fd; /* readable: every thread ends */
    atomic_bool stopping;
};

/* --- status ----------------------------------------------------------------*/
const char *publisher_state_name(enum publisher_state state)
{
    static const char *const names[] = {"connecting", "ready", "retrying",
                                        "refused"};
    return names[state];
}

static void set_state(struct target *target, enum publisher_state state)
{
    pthread_mutex_lock(&target->lock);
    target->status.state = state;
    pthread_mutex_unlock(&target->lock);
}

/* One line in the log for each change for the worse. */
static void note_error(struct target *target, bool refused)
{
    struct publisher_status *status = &target->status;
    const char *error = target->delivery.redis.error;
    const enum publisher_state state =
        refused ? PUBLISHER_REFUSED : PUBLISHER_RETRYING;

    pthread_mutex_lock(&target->lock);
    const bool news = status->state != state;
    status->state = state;
    status->error_ms = clock_wall_ms();
    copy_string(status->error, sizeof(status->error), error);
    pthread_mutex_unlock(&target->lock);
    if (news) {
        log_warn("events: target %s: %s: %s", target->options->name,
                 refused ? "refused" : "not delivered", error);
    }
}

/* A login alone is no success where the batch fails after it. */
static void note_ready(struct target *target)
{
    target->pause_ms = PAUSE_MIN_MS;
    pthread_mutex_lock(&target->lock);
    const bool news = target->status.state != PUBLISHER_READY;
    target->status.state = PUBLISHER_READY;
    pthread_mutex_unlock(&target->lock);
    if (news) {
        log_info("events: target %s: ready", target->options->name);
    }
}

/* Of two counts that were not read at one moment. */
static uint64_t difference(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

bool publisher_status(struct publisher *publisher, size_t index,
                      const struct events_target_options **options,
                      struct publisher_status *status)
{
    struct events_counts counts;

    if (index >= publisher->count) {
        return false;
    }
    struct target *target = &publisher->targets[index];
    *options = target->options;
    events_count(target->target, &counts);
    pthread_mutex_lock(&target->lock);
    *status = target->status;
    status->dropped = counts.dropped;
    status->blocked = counts.refused;
    status->backlog_events =
        difference(counts.backlog.events, target->untrimmed.events);
    status->backlog_bytes =
        status->backlog_events > 0
            ? difference(counts.backlog.bytes, target->untrimmed.bytes)
            : 0;
    status->lag_ms = target->oldest_ms != 0
                         ? difference(clock_wall_ms(), target->oldest_ms)
                         : 0;
    pthread_mutex_unlock(&target->lock);
    return true;
}

/* --- waiting ---------------------------------------------------------------*/
/* Of the outbox: by the thread of a commit. */
static void wake(void *context)
{
    struct target *target = context;

    if (!atomic_exchange(&target->awake, true)) {
        invariant(eventfd_write(target->work_fd, 1) == 0);
    }
}

/* What comes from here on wakes the thread again. In this order: a wake between
 * the two is of an event that the thread is about to look for. */
static void rearm(struct target *target)
{
    eventfd_t count;

    (void)eventfd_read(target->work_fd, &count); /* it does not block */
    atomic_store(&target->awake, false);
}

static void pause_after_error(struct target *target)
{
    const unsigned longest = target->pause_ms;
    unsigned part = 0;

    (void)getrandom(&part, sizeof(part), GRND_NONBLOCK);
    target->pause_ms = 2 * target->pause_ms < PAUSE_MAX_MS
                           ? 2 * target->pause_ms
                           : PAUSE_MAX_MS;
    redis_idle(&target->delivery.redis, -1,
               (int)(longest / 2 + part % (longest / 2 + 1)));
}

/* --- trimming --------------------------------------------------------------*/
static void trim(struct target *target)
{
    uint64_t removed;

    if (target->trim_at_us == 0) {
        return;
    }
    const int error =
        meta_trim_events(target->outbox, target->delivered_through, &removed);
    if (error != 0) {
        log_error("events: target %s: what was delivered stays: %s",
                  target->options->name, strerror(-error));
        target->trim_at_us = clock_monotonic_us() + TRIM_US;
        return;
    }
    target->trim_at_us = 0;
    pthread_mutex_lock(&target->lock);
    target->untrimmed = (struct meta_backlog){0, 0};
    pthread_mutex_unlock(&target->lock);
}

static bool trim_due(const struct target *target)
{
    return target->trim_at_us != 0 &&
           (target->untrimmed.events >= target->trim_events ||
            target->untrimmed.bytes >= target->trim_bytes ||
            clock_monotonic_us() >= target->trim_at_us);
}

static int left_ms(uint64_t until_us)
{
    const uint64_t now_us = clock_monotonic_us();

    return now_us < until_us ? (int)((until_us - now_us) / 1000) + 1 : 0;
}

/* Until `fd` (-1: none) is readable, the connection breaks, or `ms` have
 * passed. */
static void wait_for(struct target *target, int fd, int ms)
{
    if (redis_idle(&target->delivery.redis, fd, ms)) {
        redis_close(&target->delivery.redis);
        set_state(target, PUBLISHER_CONNECTING);
    }
}

static void wait_for_work(struct target *target)
{
    wait_for(target, target->work_fd,
             target->trim_at_us != 0 ? left_ms(target->trim_at_us) : -1);
}

/* True: it waited for more to gather. */
static bool gather(struct target *target)
{
    const int ms = left_ms(target->gather_until_us);

    if (ms > 0) {
        wait_for(target, -1, ms);
    }
    return ms > 0;
}

/* --- delivering ------------------------------------------------------------*/
static void failed(struct target *target, int error, enum redis_fault fault,
                   size_t events)
{
    const bool refused =
        fault == REDIS_FAULT_REFUSED || error == -EPROTO || error == -EBADMSG;
    const bool redirected =
        fault == REDIS_FAULT_MOVED || fault == REDIS_FAULT_ASK;

    if (error == -ECANCELED) {
        return;
    }
    pthread_mutex_lock(&target->lock);
    target->status.retried += events;
    pthread_mutex_unlock(&target->lock);
    note_error(target, refused);
    /* Two servers may each send us to the other, while a slot moves. */
    if (!redirected || target->redirects++ > 0) {
        pause_after_error(target);
    }
}

static void delivered(struct target *target, Meta__Event *const *events,
                      size_t count)
{
    struct meta_backlog there;

    meta_get_backlog(target->outbox, &there); /* with these */
    target->delivered_through = events[count - 1]->sequence;
    if (target->trim_at_us == 0) {
        target->trim_at_us = clock_monotonic_us() + TRIM_US;
    }
    pthread_mutex_lock(&target->lock);
    target->untrimmed.events += count;
    target->untrimmed.bytes +=
        there.events > 0 ? there.bytes / there.events * count : 0;
    target->oldest_ms = 0;
    target->status.delivered += count;
    target->status.generations = target->delivery.generations;
    target->status.delivered_ms = clock_wall_ms();
    pthread_mutex_unlock(&target->lock);
    target->redirects = 0;
    note_ready(target);
}

static void note_oldest(struct target *target, const Meta__Event *event)
{
    pthread_mutex_lock(&target->lock);
    target->oldest_ms = event->time_ms;
    pthread_mutex_unlock(&target->lock);
}

/* The next batch. False: there is none. */
static bool deliver_next(struct target *target, struct arena *arena)
{
    enum redis_fault fault = REDIS_FAULT_NONE;
    Meta__Event **events;
    size_t count = 0;

    int error =
        meta_list_events(target->outbox, arena, target->delivered_through,
                         BATCH_EVENTS, BATCH_BYTES, &events, &count);
    if (error != 0 && count == 0) {
        redis_fail(&target->delivery.redis, error,
                   "the outbox cannot be read: %s", strerror(-error));
        failed(target, -EBADMSG, fault, 0);
        return true;
    }
    if (count == 0) {
        return false;
    }
    note_oldest(target, events[0]);
    if (count < BATCH_EVENTS) {
        target->gather_until_us = clock_monotonic_us() + GATHER_US;
    }
    error = delivery_send(&target->delivery, events, count, &fault);
    if (error == 0) {
        delivered(target, events, count);
    } else {
        failed(target, error, fault, count);
    }
    return true;
}

/* What waits is known even where nothing can be delivered. */
static void look_at_oldest(struct target *target)
{
    struct arena *arena = arena_new();
    Meta__Event **events;
    size_t count = 0;

    (void)meta_list_events(target->outbox, arena, target->delivered_through, 1,
                           BATCH_BYTES, &events, &count);
    if (count > 0) {
        note_oldest(target, events[0]);
    }
    arena_free(arena);
}

static void log_in(struct target *target)
{
    enum redis_fault fault;
    const int error = delivery_login(&target->delivery, &fault);

    if (error != 0) {
        look_at_oldest(target);
        failed(target, error, fault, 0);
    }
}

static void *run(void *argument)
{
    struct target *target = argument;

    pthread_setname_np(pthread_self(), "events");
    while (!atomic_load(&target->publisher->stopping)) {
        struct arena *arena;

        if (trim_due(target)) {
            trim(target);
        }
        if (!redis_is_open(&target->delivery.redis)) {
            log_in(target);
            continue;
        }
        if (gather(target)) {
            continue;
        }
        rearm(target);
        arena = arena_new();
        if (!deliver_next(target, arena)) {
            note_ready(target);
            wait_for_work(target);
        }
        arena_free(arena);
    }
    trim(target);
    redis_close(&target->delivery.redis);
    return NULL;
}

/* --- opening and closing ---------------------------------------------------*/
bool publisher_valid_address(const char *redis)
{
    struct redis_place place;

    return redis_place_parse(redis, &place) == 0;
}

static uint64_t share(uint64_t limit, uint64_t most)
{
    return limit > 0 && limit / TRIM_SHARE < most ? limit / TRIM_SHARE : most;
}

static void target_open(struct publisher *publisher, struct target *target,
                        struct events_target *from)
{
    const struct events_target_options *options = events_target_options(from);
    struct delivery *delivery = &target->delivery;

    target->publisher = publisher;
    target->options = options;
    target->target = from;
    target->outbox = events_target_outbox(from);
    target->pause_ms = PAUSE_MIN_MS;
    target->trim_events = share(options->limit_events, TRIM_EVENTS);
    target->trim_bytes = share(options->limit_bytes, TRIM_BYTES);
    delivery->kind = options->kind;
    delivery->key = slice_from_string(options->key);
    delivery->maxlen = options->maxlen;
    delivery->redis.stop_fd = publisher->stop_fd;
    delivery->redis.connect_ms = CONNECT_MS;
    delivery->redis.command_ms = COMMAND_MS;
    delivery->login.user = (struct redis_user){
        .name = options->username, .password_file = options->password_file};
    delivery->login.sentinel_user =
        (struct redis_user){.name = options->sentinel_username,
                            .password_file = options->sentinel_password_file};
    delivery->login.database = options->database;
    invariant(redis_place_parse(options->redis, &delivery->login.place) == 0);
    invariant(pthread_mutex_init(&target->lock, NULL) == 0);
    target->work_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    invariant(target->work_fd >= 0);
    meta_watch_outbox(target->outbox, wake, target);
    invariant(pthread_create(&target->thread, NULL, run, target) == 0);
}

struct publisher *publisher_open(struct events *events)
{
    struct publisher *publisher = xcalloc(1, sizeof(*publisher));

    while (events_target(events, publisher->count) != NULL) {
        publisher->count++;
    }
    publisher->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    invariant(publisher->stop_fd >= 0);
    publisher->targets =
        xcalloc(publisher->count + 1, sizeof(*publisher->targets));
    for (size_t i = 0; i < publisher->count; i++) {
        target_open(publisher, &publisher->targets[i],
                    events_target(events, i));
    }
    return publisher;
}

static void target_close(struct target *target)
{
    meta_watch_outbox(target->outbox, NULL, NULL);
    pthread_join(target->thread, NULL);
    pthread_mutex_destroy(&target->lock);
    close(target->work_fd);
}

void publisher_close(struct publisher *publisher)
{
    if (publisher == NULL) {
        return;
    }
    atomic_store(&publisher->stopping, true);
    invariant(eventfd_write(publisher->stop_fd, 1) == 0);
    for (size_t i = 0; i < publisher->count; i++) {
        target_close(&publisher->targets[i]);
    }
    close(publisher->stop_fd);
    free(publisher->targets);
    free(publisher);
}
