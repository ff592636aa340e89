/*
 * Server access logs: lines gathered by bucket, delivered as objects.
 *
 * Delivery is best effort, as in S3: a request never waits for it. Lines of a
 * bucket and a day (so that a log can be filed by its day) wait in memory up
 * to PENDING_MAX; then the oldest go, and are counted. A log that could not
 * be stored is tried again with the next delivery.
 */
#include "s3/access_log.h"
#include "s3/audit.h"
#include "s3/bucket_logging.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define CHAINS      64
#define DELIVER_AT  (1u << 20)  /* bytes: does not wait for the interval */
#define PENDING_MAX (4u << 20)  /* bytes of a bucket and day */
#define TOTAL_MAX   (64u << 20) /* bytes of all */
#define DAY_MS      (24ull * 60 * 60 * 1000)

struct pending {
    struct pending *next;
    uint64_t bucket; /* id */
    uint64_t day;    /* of the requests, since 1970 */
    struct slice name;
    struct buffer lines;
    uint64_t since_us; /* of the first line */
    uint64_t dropped;  /* lines */
};

struct s3_access_log {
    struct s3_service *service;
    uint64_t interval_us;
    pthread_mutex_t lock; /* of all below */
    struct pending *chains[CHAINS];
    size_t total; /* bytes of lines */
};

/* --- gathering -------------------------------------------------------------*/
struct s3_access_log *s3_access_log_open(struct s3_service *service,
                                         uint64_t interval_ms)
{
    struct s3_access_log *log = xcalloc(1, sizeof(*log));

    log->service = service;
    log->interval_us = interval_ms * 1000;
    pthread_mutex_init(&log->lock, NULL);
    return log;
}

static struct pending *pending_new(const Meta__Bucket *bucket, uint64_t day)
{
    struct pending *pending = xcalloc(1, sizeof(*pending));
    uint8_t *name = xmalloc(bucket->name.len);

    memcpy(name, bucket->name.data, bucket->name.len);
    pending->bucket = bucket->id;
    pending->day = day;
    pending->name = slice_of(name, bucket->name.len);
    pending->since_us = clock_monotonic_us();
    return pending;
}

static void pending_free(struct pending *pending)
{
    buffer_free(&pending->lines);
    free((void *)pending->name.data);
    free(pending);
}

static struct pending **find(struct s3_access_log *log, uint64_t bucket,
                             uint64_t day)
{
    struct pending **link = &log->chains[(bucket ^ day) % CHAINS];

    while (*link != NULL &&
           ((*link)->bucket != bucket || (*link)->day != day)) {
        link = &(*link)->next;
    }
    return link;
}

/* At least `size` bytes of the oldest lines go, or all. */
static void drop_oldest(struct s3_access_log *log, struct pending *pending,
                        size_t size)
{
    struct buffer *lines = &pending->lines;
    size_t end = 0;

    while (end < size && end < lines->size) {
        const uint8_t *newline =
            memchr(lines->data + end, '\n', lines->size - end);

        invariant(newline != NULL);
        end = (size_t)(newline - lines->data) + 1;
        pending->dropped++;
    }
    memmove(lines->data, lines->data + end, lines->size - end);
    lines->size -= end;
    log->total -= end;
}

/* Room for `size` bytes; a quarter at once, so that it stays cheap. */
static bool make_room(struct s3_access_log *log, struct pending *pending,
                      size_t size)
{
    if (pending->lines.size + size > PENDING_MAX ||
        log->total + size > TOTAL_MAX) {
        size_t quarter = pending->lines.size / 4;

        if (pending->lines.size > 0) {
            drop_oldest(log, pending, quarter > size ? quarter : size);
        }
    }
    return pending->lines.size + size <= PENDING_MAX &&
           log->total + size <= TOTAL_MAX;
}

static void add(struct s3_access_log *log, const Meta__Bucket *bucket,
                uint64_t day, struct slice line)
{
    struct pending **link, *pending;

    pthread_mutex_lock(&log->lock);
    link = find(log, bucket->id, day);
    if (*link == NULL) {
        *link = pending_new(bucket, day);
    }
    pending = *link;
    if (make_room(log, pending, line.size)) {
        buffer_append(&pending->lines, line.data, line.size);
        log->total += line.size;
    } else {
        pending->dropped++;
    }
    pthread_mutex_unlock(&log->lock);
}

void access_log_also(struct s3_call *call, const struct s3_log_entry *entry)
{
    struct s3_log_entry *copy;

    if (call->service->access_log == NULL ||
        document_get(entry->bucket, DOCUMENT_LOGGING).data == NULL) {
        return;
    }
    copy = arena_alloc(call->arena, sizeof(*copy));
    *copy = *entry;
    copy->next = call->log_entries;
    call->log_entries = copy;
}

static void log_line(struct s3_call *call, const Meta__Bucket *bucket,
                     const struct s3_log_entry *entry, unsigned status)
{
    struct buffer line = {NULL, 0, 0};

    access_log_line(call, bucket, entry, status, &line);
    add(call->service->access_log, bucket, call->began_ms / DAY_MS,
        slice_of(line.data, line.size));
    buffer_free(&line);
}

void s3_call_log(struct s3_call *call, unsigned status)
{
    struct s3_access_log *log = call->service->access_log;
    const struct s3_log_entry *entry = call->log_entries;
    Meta__Bucket *bucket = call->bucket;

    audit_bucket_change(call->service->changes, call, status);
    if (log == NULL || call->bucket_name.size == 0) {
        return;
    }
    if (bucket == NULL && meta_get_bucket(call->service->meta, call->arena,
                                          call->bucket_name, &bucket) != 0) {
        return;
    }
    for (; entry != NULL; entry = entry->next) {
        log_line(call, entry->bucket, entry,
                 entry->status != 0 ? entry->status : status);
    }
    if (document_get(bucket, DOCUMENT_LOGGING).data != NULL) {
        log_line(call, bucket, NULL, status);
    }
}

/* --- what is due -----------------------------------------------------------*/
static bool is_due(const struct s3_access_log *log,
                   const struct pending *pending, uint64_t now_us)
{
    return pending->lines.size >= DELIVER_AT ||
           now_us - pending->since_us >= log->interval_us;
}

bool s3_access_log_due(struct s3_access_log *log)
{
    uint64_t now_us = clock_monotonic_us();
    bool due = false;

    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < CHAINS && !due; i++) {
        const struct pending *pending = log->chains[i];

        for (; pending != NULL && !due; pending = pending->next) {
            due = is_due(log, pending, now_us);
        }
    }
    pthread_mutex_unlock(&log->lock);
    return due;
}

/* Takes a list out of the log. */
static struct pending *take_due(struct s3_access_log *log, bool all)
{
    uint64_t now_us = clock_monotonic_us();
    struct pending *taken = NULL;

    pthread_mutex_lock(&log->lock);
    for (size_t i = 0; i < CHAINS; i++) {
        struct pending **link = &log->chains[i];

        while (*link != NULL) {
            struct pending *pending = *link;

            if (!all && !is_due(log, pending, now_us)) {
                link = &pending->next;
                continue;
            }
            *link = pending->next;
            pending->next = taken;
            taken = pending;
            log->total -= pending->lines.size;
        }
    }
    pthread_mutex_unlock(&log->lock);
    return taken;
}

/* A log that could not be stored: its lines before those that came since. */
static void give_back(struct s3_access_log *log, struct pending *pending)
{
    struct pending **link, *since;

    pthread_mutex_lock(&log->lock);
    pending->since_us = clock_monotonic_us();
    link = find(log, pending->bucket, pending->day);
    since = *link;
    pending->next = NULL;
    log->total += pending->lines.size;
    if (since != NULL) {
        buffer_append(&pending->lines, since->lines.data, since->lines.size);
        pending->dropped += since->dropped;
        pending->next = since->next;
        pending_free(since);
    }
    *link = pending;
    if (pending->lines.size > PENDING_MAX) {
        drop_oldest(log, pending, pending->lines.size - PENDING_MAX);
    }
    pthread_mutex_unlock(&log->lock);
}

/* --- delivery --------------------------------------------------------------*/
static char *object_key(struct arena *arena, const Meta__Bucket *source,
                        const struct logging_target *target, uint64_t day)
{
    uint64_t unique;
    time_t seconds = time(NULL);
    char moment[32], date[16];
    struct tm tm;

    if (target->format == LOGGING_EVENT) {
        seconds = (time_t)(day * DAY_MS / 1000);
    }
    gmtime_r(&seconds, &tm);
    strftime(date, sizeof(date), "%Y/%m/%d", &tm);
    strftime(moment, sizeof(moment), "%Y-%m-%d-%H-%M-%S", &tm);
    invariant(getrandom(&unique, sizeof(unique), 0) == sizeof(unique));
    if (target->format == LOGGING_SIMPLE) {
        return arena_printf(arena, "%.*s%s-%016llX", (int)target->prefix.size,
                            (const char *)target->prefix.data, moment,
                            (unsigned long long)unique);
    }
    return arena_printf(
        arena, "%.*s%.*s/%.*s/%.*s/%s/%s-%016llX", (int)target->prefix.size,
        (const char *)target->prefix.data, (int)source->owner.len,
        (const char *)source->owner.data, (int)source->region.len,
        (const char *)source->region.data, (int)source->name.len,
        (const char *)source->name.data, date, moment,
        (unsigned long long)unique);
}

/* A PutObject of the bucket owner's. Returns its status. */
static unsigned put_log(struct s3_access_log *log, struct arena *arena,
                        const Meta__Bucket *source,
                        const struct logging_target *target, const char *key,
                        struct slice lines)
{
    const struct slice bucket = target->bucket;
    Wire__Request request = WIRE__REQUEST__INIT;
    Wire__Field type = WIRE__FIELD__INIT;
    Wire__Field *headers[1 + LOGGING_GRANTS_MAX] = {&type};
    struct iam_identity identity = {
        .name = "log delivery", .arn = "log delivery", .account_root = true};
    struct s3_call *call;
    unsigned status;

    invariant(source->owner.len <= IAM_USER_ID_SIZE);
    memcpy(identity.user, source->owner.data, source->owner.len);
    type.name = pb_bytes(SLICE_LITERAL("content-type"));
    type.value = pb_bytes(SLICE_LITERAL("text/plain"));
    request.operation = WIRE__OPERATION__PUT_OBJECT;
    request.bucket = pb_bytes(bucket);
    request.key = pb_bytes(slice_from_string(key));
    request.n_headers = 1 + logging_grant_headers(arena, target, headers + 1);
    request.headers = headers;
    request.has_body = true;
    request.content_length = lines.size;
    request.method = pb_bytes(SLICE_LITERAL("PUT"));
    call = call_begin_as(log->service, &request, &identity);
    if (s3_call_wants_body(call)) {
        s3_call_data(call, lines.data, lines.size);
        s3_call_end(call);
    }
    status = s3_call_reply(call)->status;
    if (status != 200) {
        log_warn("an access log of %.*s was not stored in %.*s: %s",
                 (int)source->name.len, (const char *)source->name.data,
                 (int)bucket.size, (const char *)bucket.data,
                 s3_call_error(call));
    }
    s3_call_free(call);
    return status;
}

/* True if it is worth trying again. The bucket's setting is that of now. */
static bool deliver_one(struct s3_access_log *log,
                        const struct pending *pending)
{
    struct arena *arena = arena_new();
    struct logging_target target;
    Meta__Bucket *source;
    bool again = false;

    if (pending->lines.size > 0 &&
        meta_get_bucket(log->service->meta, arena, pending->name, &source) ==
            0 &&
        source->id == pending->bucket && logging_read(arena, source, &target)) {
        const char *key = object_key(arena, source, &target, pending->day);

        const struct slice lines =
            slice_of(pending->lines.data, pending->lines.size);
        unsigned status = put_log(log, arena, source, &target, key, lines);

        /* Grants that the target takes no more: the log comes without. */
        if ((status == 400 || status == 403) && target.grants != NULL) {
            target.grants = NULL;
            status = put_log(log, arena, source, &target, key, lines);
        }
        again = status >= 500;
    }
    if (pending->dropped > 0) {
        log_warn("%llu lines of the access log of %.*s had no room",
                 (unsigned long long)pending->dropped, (int)pending->name.size,
                 (const char *)pending->name.data);
    }
    arena_free(arena);
    return again;
}

void s3_access_log_deliver(struct s3_access_log *log, bool all)
{
    struct pending *pending = take_due(log, all), *next;

    for (; pending != NULL; pending = next) {
        next = pending->next;
        if (deliver_one(log, pending)) {
            pending->dropped = 0;
            give_back(log, pending);
        } else {
            pending_free(pending);
        }
    }
}

void s3_access_log_close(struct s3_access_log *log)
{
    if (log == NULL) {
        return;
    }
    s3_access_log_deliver(log, true);
    for (size_t i = 0; i < CHAINS; i++) {
        while (log->chains[i] != NULL) {
            struct pending *pending = log->chains[i];

            log->chains[i] = pending->next;
            pending_free(pending);
        }
    }
    pthread_mutex_destroy(&log->lock);
    free(log);
}
