/*
 * One connection to Redis, on hiredis.
 *
 * Nothing here waits longer than its timeout, nor after `stop_fd` has become
 * readable. After any error but a reply's own the connection is of no use: it
 * is closed and another one opened. Not thread-safe.
 *
 * Returns: 0, -ETIMEDOUT, -ECANCELED (stop_fd), -ECONNRESET, -EPROTO (not
 * Redis), -EACCES (a password that cannot be read), or what the system says;
 * redis_error() has it in words. No password is in any of them.
 */
#ifndef REDIS_H
#define REDIS_H

#include "base/base.h"
#include <hiredis/hiredis.h>

#define REDIS_HOST_MAX      255
#define REDIS_ADDRESSES_MAX 16
#define REDIS_NAME_MAX      64
#define REDIS_REPLY_MAX     (64u << 20) /* bytes of one reply */
#define REDIS_ERROR_MAX     255

/* --- addresses: address.c, pure --------------------------------------------*/
struct redis_address {
    char host[REDIS_HOST_MAX + 1]; /* or the path of a Unix socket */
    unsigned port;                 /* 0: it is a path */
};

/* Where a target is, from "HOST[:PORT]", "[V6]:PORT" or "unix:/PATH", several
 * of them with commas between (nodes of a cluster), or
 * "sentinel:NAME@HOST[:PORT],..." */
struct redis_place {
    struct redis_address addresses[REDIS_ADDRESSES_MAX];
    unsigned count;
    char master[REDIS_NAME_MAX + 1]; /* addresses are sentinels; "": servers */
};
/* -EINVAL */
int redis_place_parse(const char *text, struct redis_place *place);
/* "HOST:PORT" without a scheme. -EINVAL */
int redis_address_parse(struct slice text, unsigned default_port,
                        struct redis_address *address);

/* --- what an error reply means: fault.c, pure ------------------------------*/
enum redis_fault {
    REDIS_FAULT_NONE,       /* it is no error */
    REDIS_FAULT_PASSING,    /* OOM, LOADING ...: passes without us */
    REDIS_FAULT_NOT_MASTER, /* READONLY ...: another server is the master */
    REDIS_FAULT_MOVED,      /* the key is elsewhere, for good */
    REDIS_FAULT_ASK,        /* the key is elsewhere, this once */
    REDIS_FAULT_ORDER,      /* XADD: the id is not above the stream's last */
    REDIS_FAULT_REFUSED,    /* NOAUTH, WRONGTYPE ...: somebody must act */
};
enum redis_fault redis_fault(const redisReply *reply);
/* Where MOVED or ASK points to; without a host: `from`'s. -EINVAL */
int redis_fault_address(const redisReply *reply,
                        const struct redis_address *from,
                        struct redis_address *address);

/* --- parts of replies: reply.c, pure ---------------------------------------*/
/* Of an array; NULL: there is no such element. */
const redisReply *redis_element(const redisReply *reply, size_t index);
/* Empty if it is no string; valid as long as the reply. */
struct slice redis_text(const redisReply *reply);
/* Of an array of names and values in turn; NULL: there is no such name. */
const redisReply *redis_value(const redisReply *map, const char *name);

/* --- a connection: redis.c -------------------------------------------------*/
struct redis {
    redisContext *context; /* NULL: it is closed */
    struct redis_address address;
    int stop_fd;
    unsigned connect_ms, command_ms;
    char error[REDIS_ERROR_MAX + 1];
};
/* Connects; says nothing yet. */
int redis_connect(struct redis *redis, const struct redis_address *address);
void redis_close(struct redis *redis);
bool redis_is_open(const struct redis *redis);
/* Appends a command to what is sent by the next redis_receive(). */
void redis_send(struct redis *redis, const struct slice *words, size_t count);
/* The same of words without NUL in them, ended by NULL. */
void redis_say(struct redis *redis, const char *word, ...)
    __attribute__((sentinel));
/* Sends what was appended, without waiting for the reply: for commands whose
 * reply comes much later. */
int redis_flush(struct redis *redis);
/* Sends a command at once, and leaves no copy of it in memory. */
int redis_send_secret(struct redis *redis, const struct slice *words,
                      size_t count);
/* The next reply, which may be an error of Redis's; freeReplyObject(). */
int redis_receive(struct redis *redis, redisReply **reply);
/* Waits until the connection has something to read (it broke, if nothing was
 * asked), stop_fd or other_fd (-1: none) is readable, or `ms` have passed (-1:
 * for ever). True: it was the connection. */
bool redis_idle(const struct redis *redis, int other_fd, int ms);
/* Keeps what went wrong, for redis_error(); returns `error`. */
int redis_fail(struct redis *redis, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- a session: login.c ----------------------------------------------------
 * A connection that is logged in, to the master, at the right database. */
struct redis_user {
    const char *name;              /* NULL: the default one */
    const char *password_file;     /* NULL: it has none */
    const char *password_variable; /* of the environment, where there is no
                                    * file; NULL: none */
};
struct redis_login {
    struct redis_place place;
    struct redis_user user;
    struct redis_user sentinel_user; /* of the sentinels, if place is theirs */
    unsigned database;
    unsigned next;              /* of place.addresses, to be tried first */
    struct redis_address moved; /* a cluster sent us there; host "": no */
    bool asking;                /* once only */
};
/* *fault is why the server did not take us, if it was the server. */
int redis_login(struct redis *redis, struct redis_login *login,
                enum redis_fault *fault);
/* Follows MOVED, ASK and a change of the master: of the next login. */
void redis_login_redirect(struct redis_login *login, const struct redis *redis,
                          const redisReply *reply);

#endif
