/*
 * What Redis knows: the groups (what was not read, what was not confirmed) and
 * what the agent has reported. All of it can be asked while no agent runs.
 */
#include "purge/event.h"
#include "purge/purge.h"
#include "purge/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_MS 2000u
#define COMMAND_MS 5000u
#define SILENT_MS  30000u /* an agent reports three times as often */

/* --- replies ---------------------------------------------------------------*/
static uint64_t number_of(const redisReply *value)
{
    uint64_t number = 0;

    if (value != NULL && value->type == REDIS_REPLY_INTEGER) {
        return (uint64_t)value->integer;
    }
    return slice_to_u64(redis_text(value), &number) == 0 ? number : 0;
}

/* The reply to what was said last; NULL: Redis has gone. One that is an error
 * answers nothing. */
static redisReply *answer(struct redis *redis)
{
    redisReply *reply;

    return redis_receive(redis, &reply) == 0 ? reply : NULL;
}

/* --- the oldest event that was not confirmed -------------------------------*/
static uint64_t event_time(const redisReply *entry)
{
    struct arena *arena = arena_new();
    const struct slice message = source_field(entry, "event");
    struct purge_event *events;
    size_t count = 0;
    uint64_t time_ms = 0;

    if (message.data != NULL &&
        event_parse(arena, message, SLICE_LITERAL(""), &events, &count) == 0 &&
        count > 0) {
        time_ms = events[0].time_ms;
    }
    arena_free(arena);
    return time_ms;
}

/* Of the first entry from `start` on; 0: there is none. */
static uint64_t first_time(struct redis *redis, const char *stream,
                           const char *start)
{
    redis_say(redis, "XRANGE", stream, start, "+", "COUNT", "1", NULL);
    redisReply *reply = answer(redis);
    const uint64_t time_ms = event_time(redis_element(reply, 0));

    if (reply != NULL) {
        freeReplyObject(reply);
    }
    return time_ms;
}

/* "" : nothing is pending. */
static void first_pending(struct redis *redis, const char *stream,
                          const char *name, char id[SOURCE_ID_SIZE])
{
    id[0] = '\0';
    redis_say(redis, "XPENDING", stream, name, "-", "+", "1", NULL);
    redisReply *reply = answer(redis);

    if (redis_element(reply, 0) != NULL) {
        (void)source_id(redis_element(reply, 0), id);
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
}

/* --- an edge ---------------------------------------------------------------*/
static const redisReply *find_group(const redisReply *groups, const char *name)
{
    for (size_t i = 0; redis_element(groups, i) != NULL; i++) {
        if (slice_equal_string(
                redis_text(redis_value(redis_element(groups, i), "name")),
                name)) {
            return redis_element(groups, i);
        }
    }
    return NULL;
}

static void set(json_t *json, const char *name, json_t *value)
{
    invariant(json_object_set_new(json, name, value) == 0);
}

static void set_number(json_t *json, const char *name, uint64_t value)
{
    set(json, name, json_integer((json_int_t)value));
}

/* Of Redis, where others than agents may have written too. */
static void set_text(json_t *json, const char *name, struct slice text)
{
    json_t *value = text.size > 0
                        ? json_stringn((const char *)text.data, text.size)
                        : json_string("unknown");

    set(json, name, value != NULL ? value : json_string("not UTF-8"));
}

static void set_group(json_t *json, struct redis *redis, const char *stream,
                      const char *name, const redisReply *group)
{
    const redisReply *waiting = redis_value(group, "lag");
    const struct slice last =
        redis_text(redis_value(group, "last-delivered-id"));
    char start[SOURCE_ID_SIZE];

    first_pending(redis, stream, name, start);
    if (start[0] == '\0' && last.size + 1 < sizeof(start)) {
        snprintf(start, sizeof(start), "(%.*s", (int)last.size, last.data);
    }
    const uint64_t oldest_ms =
        start[0] != '\0' ? first_time(redis, stream, start) : 0;
    const uint64_t now_ms = clock_wall_ms();
    set_number(json, "pending", number_of(redis_value(group, "pending")));
    if (waiting != NULL && waiting->type == REDIS_REPLY_INTEGER) {
        set_number(json, "waiting", number_of(waiting));
    }
    set_number(json, "lag_ms",
               oldest_ms != 0 && now_ms > oldest_ms ? now_ms - oldest_ms : 0);
}

/* Later than now was written while a clock was ahead: long ago, perhaps. */
static bool is_silent(uint64_t written_ms)
{
    const uint64_t now_ms = clock_wall_ms();

    return written_ms + SILENT_MS < now_ms || written_ms > now_ms + SILENT_MS;
}

static void set_report(json_t *json, const redisReply *report)
{
    const struct slice error = redis_text(redis_value(report, "error"));
    const struct slice state = redis_text(redis_value(report, "state"));
    const uint64_t written_ms = number_of(redis_value(report, "written_ms"));
    const uint64_t confirmed_ms =
        number_of(redis_value(report, "confirmed_ms"));
    char time[32];

    if (is_silent(written_ms) && !slice_equal_string(state, "stopped")) {
        set(json, "state", json_string(written_ms == 0 ? "never" : "silent"));
    } else {
        set_text(json, "state", state);
    }
    set_number(json, "confirmed", number_of(redis_value(report, "confirmed")));
    set_number(json, "retried", number_of(redis_value(report, "retried")));
    set_number(json, "failed", number_of(redis_value(report, "failed")));
    if (confirmed_ms != 0) {
        time_iso8601(time, confirmed_ms);
        set(json, "last_confirmed", json_string(time));
    }
    if (error.size > 0) {
        set_text(json, "error", error);
    }
}

static json_t *edge_status(struct redis *redis,
                           const struct purge_config *config,
                           const struct purge_edge *edge,
                           const redisReply *groups)
{
    json_t *json = json_object();
    char name[SOURCE_NAME_MAX];

    source_name(name, config, edge);
    set(json, "edge", json_string(edge->name));
    const redisReply *group = find_group(groups, name);
    if (group != NULL) {
        set_group(json, redis, config->stream, name, group);
    }
    if (redis->error[0] == '\0') {
        redis_say(redis, "HGETALL", name, NULL);
        redisReply *report = answer(redis);
        set_report(json, report);
        if (report != NULL) {
            freeReplyObject(report);
        }
    }
    return json;
}

/* --- all of them -----------------------------------------------------------*/
static json_t *read_status(struct redis *redis,
                           const struct purge_config *config)
{
    json_t *edges = json_array();

    redis_say(redis, "XINFO", "GROUPS", config->stream, NULL);
    redisReply *groups = answer(redis);
    for (size_t i = 0; i < config->edge_count && redis->error[0] == '\0'; i++) {
        json_array_append_new(
            edges, edge_status(redis, config, &config->edges[i], groups));
    }
    if (groups != NULL) {
        freeReplyObject(groups);
    }
    json_t *status = json_object();
    set(status, "edges", edges);
    return status;
}

int purge_status(const char *config_path, json_t **status, struct buffer *error)
{
    struct redis redis = {
        .stop_fd = -1, .connect_ms = CONNECT_MS, .command_ms = COMMAND_MS};
    struct purge_config *config;
    enum redis_fault fault;

    *status = NULL;
    if (purge_config_load(config_path, &config, error) != 0) {
        return -EINVAL;
    }
    struct redis_login login = source_login(config);
    if (redis_login(&redis, &login, &fault) == 0) {
        redis.error[0] = '\0';
        *status = read_status(&redis, config);
    }
    const bool failed = redis.error[0] != '\0';
    if (failed) {
        buffer_printf(error, "Redis: %s", redis.error);
        json_decref(*status);
        *status = NULL;
    }
    redis_close(&redis);
    purge_config_free(config);
    return failed ? -EHOSTUNREACH : 0;
}
