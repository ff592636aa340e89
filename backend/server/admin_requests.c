/*
 * Requests as they are: s3ctl top, s3ctl trace.
 */
#include "server/admin.h"
#include "server/requests.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An answer stays in one frame (FRAME_MESSAGE_MAX); one request takes less than
 * 4 KiB of it. */
#define TAIL_MAX (192u << 10) /* bytes of requests that have ended */
#define LIVE_MAX (96u << 10)  /* of those under way; sums come with them */

static void set(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

/* A name that was cut may end in half a character: up to 3 bytes go. */
static void set_name(json_t *object, const char *name, const char *text)
{
    const size_t size = strlen(text);
    json_t *value = json_stringn(text, size);
    for (size_t cut = 1; value == NULL && cut <= 3 && cut <= size; cut++) {
        value = json_stringn(text, size - cut);
    }
    json_object_set_new(object, name, value != NULL ? value : json_string("?"));
}

static json_t *name_json(const struct request_name *name)
{
    char operation[OPERATION_NAME_SIZE];
    json_t *object = json_object();
    operation_name(name->operation, operation);
    set_name(object, "request", name->id);
    set_name(object, "operation", operation);
    set_name(object, "bucket", name->bucket);
    set_name(object, "key", name->key);
    return object;
}

/* Returns the bytes that it takes. */
static size_t add_to(json_t *list, json_t *object)
{
    const size_t size = json_dumpb(object, NULL, 0, JSON_COMPACT);
    json_array_append_new(list, object);
    return size + 1; /* the comma */
}

/* --- one that has ended ----------------------------------------------------*/
/* As in the log of slow requests: the phases add up to `us`. */
static json_t *stored_json(const struct request_ended *ended)
{
    json_t *object = json_object(), *phases = json_object();
    uint64_t waited_us = 0;
    for (unsigned i = 0; i < PHASES; i++) {
        set(phases, phase_name(i), ended->phases.us[i]);
        waited_us += ended->phases.us[i];
    }
    set(phases, "work",
        ended->steps_us > waited_us ? ended->steps_us - waited_us : 0);
    set(phases, "client",
        ended->us > ended->steps_us ? ended->us - ended->steps_us : 0);
    set(object, "us", ended->us);
    json_object_set_new(object, "phases", phases);
    return object;
}

static json_t *worker_json(const struct request_ended *ended)
{
    json_t *object = json_object();
    set(object, "auth_us", ended->auth_us);
    set(object, "backend_us", ended->backend_us);
    set(object, "send_us", ended->send_us);
    set(object, "received", ended->received);
    set(object, "sent", ended->sent);
    json_object_set_new(object, "hot", json_boolean(ended->hot));
    return object;
}

static json_t *ended_json(const struct request_ended *ended)
{
    char time[TIME_ISO8601_SIZE + 1];
    json_t *object = name_json(&ended->name);
    time_iso8601(time, ended->ended_ms);
    json_object_set_new(object, "time", json_string(time));
    set(object, "status", ended->status);
    set_name(object, "error", ended->error);
    if (ended->worker) {
        json_object_set_new(object, "nginx", worker_json(ended));
    }
    if (ended->stored) {
        json_object_set_new(object, "s3d", stored_json(ended));
    }
    return object;
}

static int show(struct admin_call *call)
{
    const char *id = admin_text(call, "request");
    struct request_ended ended;
    if (id == NULL || !requests_find(call->server->requests, id, &ended)) {
        return admin_refuse(call, -ENOENT,
                            "it is none of the last requests that have ended: "
                            "look for its id in the log");
    }
    return admin_reply(call, ended_json(&ended));
}

/* --- those that end --------------------------------------------------------*/
static bool is_wanted(const struct admin_call *call,
                      const struct request_ended *ended)
{
    const char *bucket = admin_text(call, "bucket");
    const char *prefix = admin_text(call, "prefix");
    return (bucket == NULL || strcmp(bucket, ended->name.bucket) == 0) &&
           (prefix == NULL ||
            strncmp(prefix, ended->name.key, strlen(prefix)) == 0);
}

/* Without `after`: from now on. */
static int tail(struct admin_call *call)
{
    const json_t *after = json_object_get(call->arguments, "after");
    struct requests *requests = call->server->requests;
    const uint64_t newest = requests_newest(requests);
    const uint64_t now_us = clock_monotonic_us();
    uint64_t sequence =
        json_is_integer(after) ? (uint64_t)json_integer_value(after) : newest;
    uint64_t lost = 0;
    size_t size = 0;
    struct request_ended ended;
    json_t *list = json_array();

    if (sequence > newest) { /* of an s3d that ran before */
        sequence = 0;
    }
    while (size < TAIL_MAX &&
           requests_next(requests, now_us, &sequence, &lost, &ended)) {
        if (is_wanted(call, &ended)) {
            size += add_to(list, ended_json(&ended));
        }
    }
    json_t *object = json_pack("{s:o}", "requests", list);
    set(object, "after", sequence);
    set(object, "lost", lost);
    return admin_reply(call, object);
}

/* --- those under way, and sums ---------------------------------------------*/
static json_t *live_json(struct requests *requests, uint64_t now_us,
                         size_t *count)
{
    struct request_live *live =
        xcalloc(REQUESTS_LIVE_MAX, sizeof(struct request_live));
    json_t *list = json_array();
    size_t size = 0;
    *count = requests_live(requests, live, REQUESTS_LIVE_MAX);
    for (size_t i = 0; i < *count && i < REQUESTS_LIVE_MAX && size < LIVE_MAX;
         i++) {
        json_t *object = name_json(&live[i].name);
        set(object, "us",
            now_us > live[i].began_us ? now_us - live[i].began_us : 0);
        set(object, "received", atomic_load(&live[i].received));
        set(object, "sent", atomic_load(&live[i].sent));
        size += add_to(list, object);
    }
    free(live);
    return list;
}

static json_t *sum_json(const struct request_sum *sum)
{
    json_t *object = json_object();
    set(object, "count", sum->count);
    set(object, "errors", sum->errors);
    set(object, "us", sum->us);
    set(object, "received", sum->received);
    set(object, "sent", sum->sent);
    return object;
}

/* Bytes move before the first request has ended. */
static bool is_used(const struct request_sum *sum)
{
    return sum->count > 0 || sum->received > 0 || sum->sent > 0;
}

static void add_sums(struct requests *requests, json_t *object)
{
    struct request_sum *operations =
        xcalloc(REQUESTS_OPERATIONS, sizeof(*operations));
    struct request_sum *buckets = xcalloc(REQUESTS_BUCKETS, sizeof(*buckets));
    json_t *by_operation = json_object(), *by_bucket = json_object();
    const size_t count = requests_sums(requests, operations, buckets);
    for (unsigned i = 0; i < REQUESTS_OPERATIONS; i++) {
        char name[OPERATION_NAME_SIZE];
        operation_name(i, name);
        if (is_used(&operations[i])) {
            json_object_set_new(by_operation, name, sum_json(&operations[i]));
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (is_used(&buckets[i])) {
            json_object_set_new(by_bucket,
                                i == 0 ? "(others)" : buckets[i].name,
                                sum_json(&buckets[i]));
        }
    }
    json_object_set_new(object, "operations", by_operation);
    json_object_set_new(object, "buckets", by_bucket);
    free(operations);
    free(buckets);
}

static int list(struct admin_call *call)
{
    struct requests *requests = call->server->requests;
    const uint64_t now_us = clock_monotonic_us();
    size_t count;
    json_t *live = live_json(requests, now_us, &count);
    json_t *object =
        json_pack("{s:s,s:o}", "version", S3D_VERSION, "requests", live);
    set(object, "under_way", count);
    set(object, "now_us", now_us);
    set(object, "uptime_seconds", server_uptime_us(call->server) / 1000000);
    add_sums(requests, object);
    return admin_reply(call, object);
}

const struct admin_command admin_request_commands[] = {
    {.name = "request.list", .run = list},
    {.name = "request.show", .run = show},
    {.name = "request.tail", .run = tail},
    {.name = NULL},
};
