/*
 * XREADGROUP and XACK.
 * https://redis.io/docs/latest/commands/xreadgroup/
 */
#include "purge/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_MS 2000u
#define COMMAND_MS 5000u
#define BLOCK_MS   10000u /* so often a silent connection is found out */

void source_name(char name[SOURCE_NAME_MAX], const struct purge_config *config,
                 const struct purge_edge *edge)
{
    snprintf(name, SOURCE_NAME_MAX, "%s:%s", config->group, edge->name);
}

static char *given(char *text)
{
    return text[0] != '\0' ? text : NULL;
}

struct redis_login source_login(const struct purge_config *config)
{
    return (struct redis_login){
        .place = config->redis,
        .user = {.name = given(config->username),
                 .password_file = given(config->password_file),
                 .password_variable = PURGE_PASSWORD_ENV},
        .sentinel_user = {.name = given(config->sentinel_username),
                          .password_file =
                              given(config->sentinel_password_file)},
        .database = (unsigned)config->database};
}

void source_init(struct source *source, const struct purge_config *config,
                 const struct purge_edge *edge, int stop_fd)
{
    *source = (struct source){
        .reader = {.stop_fd = stop_fd,
                   .connect_ms = CONNECT_MS,
                   .command_ms = COMMAND_MS},
        .writer = {.stop_fd = -1,
                   .connect_ms = CONNECT_MS,
                   .command_ms = COMMAND_MS},
        .login = source_login(config),
        .stream = config->stream,
    };
    source_name(source->name, config, edge);
}

/* --- errors ----------------------------------------------------------------*/
static int fail(struct source *source, const struct redis *redis, int error)
{
    copy_string(source->error, sizeof(source->error), redis->error);
    source_close(source);
    return error;
}

static int refused(struct source *source, struct redis *redis,
                   const redisReply *reply)
{
    redis_fail(redis, -EACCES, "%.*s", (int)reply->len, reply->str);
    redis_login_redirect(&source->login, redis, reply);
    return fail(source, redis, -EACCES);
}

/* --- opening and closing ---------------------------------------------------*/
static bool exists(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR &&
           strncmp(reply->str, "BUSYGROUP", 9) == 0;
}

/* From the stream's beginning: what changed before there was an agent is in
 * the caches as it was then. */
static int make_group(struct source *source)
{
    redisReply *reply;

    redis_say(&source->writer, "XGROUP", "CREATE", source->stream, source->name,
              "0", "MKSTREAM", NULL);
    int error = redis_receive(&source->writer, &reply);
    if (error != 0) {
        return fail(source, &source->writer, error);
    }
    if (reply->type == REDIS_REPLY_ERROR && !exists(reply)) {
        error = refused(source, &source->writer, reply);
    }
    freeReplyObject(reply);
    return error;
}

static int log_in(struct source *source, struct redis *redis)
{
    enum redis_fault fault;
    const int error = redis_login(redis, &source->login, &fault);

    return error != 0 ? fail(source, redis, error) : 0;
}

int source_open(struct source *source)
{
    int error = log_in(source, &source->reader);
    if (error == 0) {
        error = log_in(source, &source->writer);
    }
    if (error == 0) {
        error = make_group(source);
    }
    copy_string(source->cursor, sizeof(source->cursor), "0"); /* S1 */
    return error;
}

void source_close(struct source *source)
{
    redis_close(&source->reader);
    redis_close(&source->writer);
    source->asked_us = 0;
}

bool source_is_open(const struct source *source)
{
    return redis_is_open(&source->writer);
}

/* --- reading ---------------------------------------------------------------*/
int source_ask(struct source *source, size_t count)
{
    char number[24], block[24];
    const bool pending = source->cursor[0] != '\0';

    invariant(source->asked_us == 0);
    snprintf(number, sizeof(number), "%zu", count);
    snprintf(block, sizeof(block), "%u", BLOCK_MS);
    redis_say(&source->reader, "XREADGROUP", "GROUP", source->name,
              SOURCE_CONSUMER, "COUNT", number, "BLOCK", block, "STREAMS",
              source->stream, pending ? source->cursor : ">", NULL);
    const int error = redis_flush(&source->reader);
    if (error != 0) {
        return fail(source, &source->reader, error);
    }
    source->asked_us = clock_monotonic_us();
    return 0;
}

int source_fd(const struct source *source)
{
    return source->asked_us != 0 ? source->reader.context->fd : -1;
}

bool source_is_late(const struct source *source)
{
    return source->asked_us != 0 &&
           clock_monotonic_us() >
               source->asked_us + (BLOCK_MS + COMMAND_MS) * 1000ull;
}

const redisReply *source_entry(const redisReply *reply, size_t index)
{
    return redis_element(redis_element(redis_element(reply, 0), 1), index);
}

struct slice source_field(const redisReply *entry, const char *name)
{
    return redis_text(redis_value(redis_element(entry, 1), name));
}

bool source_id(const redisReply *entry, char id[SOURCE_ID_SIZE])
{
    const struct slice text = redis_text(redis_element(entry, 0));

    if (text.size == 0 || text.size >= SOURCE_ID_SIZE) {
        return false;
    }
    memcpy(id, text.data, text.size);
    id[text.size] = '\0';
    return true;
}

/* Pending entries are read until there are none behind the last. */
static void advance(struct source *source, const redisReply *reply)
{
    const redisReply *entries = redis_element(redis_element(reply, 0), 1);

    if (source->cursor[0] == '\0') {
        return;
    }
    if (entries == NULL || entries->elements == 0 ||
        !source_id(redis_element(entries, entries->elements - 1),
                   source->cursor)) {
        source->cursor[0] = '\0';
    }
}

int source_take(struct source *source, redisReply **reply)
{
    int error = redis_receive(&source->reader, reply);

    source->asked_us = 0;
    if (error != 0) {
        return fail(source, &source->reader, error);
    }
    if ((*reply)->type == REDIS_REPLY_ERROR) {
        error = refused(source, &source->reader, *reply);
    } else {
        advance(source, *reply);
    }
    if (error != 0 || (*reply)->type == REDIS_REPLY_NIL) {
        freeReplyObject(*reply);
        *reply = NULL;
    }
    return error;
}

/* --- writing ---------------------------------------------------------------*/
void source_ack(struct source *source, const char *id)
{
    redis_say(&source->writer, "XACK", source->stream, source->name, id, NULL);
}

static int expect_number(struct source *source)
{
    redisReply *reply;
    int error = redis_receive(&source->writer, &reply);

    if (error != 0) {
        return fail(source, &source->writer, error);
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        error = refused(source, &source->writer, reply);
    }
    freeReplyObject(reply);
    return error;
}

int source_ack_end(struct source *source, size_t count)
{
    int error = 0;

    for (size_t i = 0; i < count && error == 0; i++) {
        error = expect_number(source);
    }
    return error;
}

int source_report(struct source *source, const struct slice *words,
                  size_t count)
{
    struct slice all[SOURCE_REPORT_MAX + 2] = {SLICE_LITERAL("HSET"),
                                               slice_from_string(source->name)};

    invariant(count <= SOURCE_REPORT_MAX);
    memcpy(all + 2, words, count * sizeof(*words));
    redis_send(&source->writer, all, count + 2);
    return expect_number(source);
}
