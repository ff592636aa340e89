/*
 * Private to purge/: the stream, as one edge's group of consumers sees it.
 *
 * Two connections: on one of them a question may be open for long, the other
 * one says what was confirmed. The group and the hash of the agent's reports
 * are both called "GROUP:EDGE". Consumers of all agents have the same name, so
 * that one that starts again takes what another one left.
 *
 * Invariants:
 *   S1  Nothing is read as new before all that is pending was read again:
 *       entries that Redis gave to a connection that broke are in no memory.
 *
 * After an error, which source_error() has in words, the source is closed.
 * Not thread-safe.
 */
#ifndef PURGE_SOURCE_H
#define PURGE_SOURCE_H

#include "purge/config.h"

#define SOURCE_CONSUMER   "agent"
#define SOURCE_ID_SIZE    44 /* of an entry, with NUL */
#define SOURCE_REPORT_MAX 14
#define SOURCE_NAME_MAX   (2 * PURGE_NAME_MAX + 2)

struct source {
    struct redis reader, writer;
    struct redis_login login;
    const char *stream;
    char name[SOURCE_NAME_MAX];  /* "GROUP:EDGE" */
    char cursor[SOURCE_ID_SIZE]; /* of what is pending; "": all was read */
    uint64_t asked_us;           /* 0: no question is open */
    char error[REDIS_ERROR_MAX + 1];
};

/* "GROUP:EDGE" */
void source_name(char name[SOURCE_NAME_MAX], const struct purge_config *config,
                 const struct purge_edge *edge);
/* A login as the configuration says; its strings are the configuration's. */
struct redis_login source_login(const struct purge_config *config);

/* `stop_fd`: readable ends waiting for Redis, but for source_ack() and
 * source_report(). Closed at first. */
void source_init(struct source *source, const struct purge_config *config,
                 const struct purge_edge *edge, int stop_fd);
/* Logs in, and makes the group if it is not there. */
int source_open(struct source *source);
void source_close(struct source *source);
bool source_is_open(const struct source *source);

/* Asks for up to `count` entries. No question is open. */
int source_ask(struct source *source, size_t count);
/* -1: no question is open. */
int source_fd(const struct source *source);
/* Once source_fd() is readable. *reply, which the caller frees, is NULL where
 * nothing has come. */
int source_take(struct source *source, redisReply **reply);
/* Nothing came in the time in which Redis was to say that. */
bool source_is_late(const struct source *source);

/* The entries of a reply: [id, [field, value ...]]; NULL: there is none. */
const redisReply *source_entry(const redisReply *reply, size_t index);
/* The value of a field of an entry; NULL data: there is none. */
struct slice source_field(const redisReply *entry, const char *name);
/* False: not an id that fits. */
bool source_id(const redisReply *entry, char id[SOURCE_ID_SIZE]);

/* Says that an entry was confirmed; source_ack_end() waits for the answers to
 * `count` of them. */
void source_ack(struct source *source, const char *id);
int source_ack_end(struct source *source, size_t count);

/* Fields and values in turn, up to SOURCE_REPORT_MAX. */
int source_report(struct source *source, const struct slice *words,
                  size_t count);

#endif
