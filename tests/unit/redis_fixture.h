/*
 * A server that follows a script: which connections come, what is asked on
 * each, and what is answered, to the byte.
 */
#ifndef REDIS_FIXTURE_H
#define REDIS_FIXTURE_H

#include "redis/redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define OK     "+OK\r\n"
#define QUEUED "+QUEUED\r\n"

/* `expected`: the words of a command with blanks between, as a prefix if it
 * ends with '*'. */
struct fake_step {
    enum { STEP_ACCEPT = 1, STEP_COMMAND, STEP_CLOSE, STEP_WAIT_CLOSE } kind;
    const char *expected;
    const char *reply; /* NULL: none */
};
#define ACCEPT                                                                 \
    {                                                                          \
        STEP_ACCEPT, NULL, NULL                                                \
    }
#define COMMAND(words, answer)                                                 \
    {                                                                          \
        STEP_COMMAND, words, answer                                            \
    }
#define CLOSE                                                                  \
    {                                                                          \
        STEP_CLOSE, NULL, NULL                                                 \
    }
#define WAIT_CLOSE                                                             \
    {                                                                          \
        STEP_WAIT_CLOSE, NULL, NULL                                            \
    }
#define STEPS_END                                                              \
    {                                                                          \
        0, NULL, NULL                                                          \
    }

struct fake {
    int listener, connection;
    unsigned port;
    pthread_t thread;
    const struct fake_step *steps;
    bool split;        /* replies leave byte by byte */
    char failure[512]; /* "": all went as the script says */
    struct buffer input;
};

static inline bool fake_fail(struct fake *fake, const char *what,
                             const char *detail)
{
    snprintf(fake->failure, sizeof(fake->failure), "%s: %s", what, detail);
    return false;
}

static inline bool fake_fill(struct fake *fake)
{
    uint8_t bytes[4096];
    const ssize_t size = recv(fake->connection, bytes, sizeof(bytes), 0);
    if (size <= 0) {
        return false;
    }
    buffer_append(&fake->input, bytes, (size_t)size);
    return true;
}

/* A line from *at on; "*3\r\n" gives 3. -1: it is not whole. */
static inline long fake_number(const struct fake *fake, size_t *at)
{
    const uint8_t *start = fake->input.data + *at;
    const uint8_t *end = fake->input.size > *at
                             ? memchr(start, '\n', fake->input.size - *at)
                             : NULL;
    if (end == NULL) {
        return -1;
    }
    *at = (size_t)(end + 1 - fake->input.data);
    return strtol((const char *)start + 1, NULL, 10);
}

/* The next command's words with blanks between; its size, 0: not whole. */
static inline size_t fake_parse(const struct fake *fake, struct buffer *words)
{
    size_t at = 0;
    const long count = fake_number(fake, &at);
    words->size = 0;
    for (long i = 0; i < count; i++) {
        const long size = fake_number(fake, &at);
        if (size < 0 || fake->input.size < at + (size_t)size + 2) {
            return 0;
        }
        buffer_append(words, " ", i > 0);
        buffer_append(words, fake->input.data + at, (size_t)size);
        at += (size_t)size + 2;
    }
    buffer_append(words, "", 1);
    return count > 0 ? at : 0;
}

static inline bool fake_matches(const char *expected, const char *words)
{
    const size_t size = strlen(expected);
    return expected[size - 1] == '*' ? strncmp(expected, words, size - 1) == 0
                                     : strcmp(expected, words) == 0;
}

static inline bool fake_command(struct fake *fake, const struct fake_step *step)
{
    struct buffer words = {0};
    size_t size;
    while ((size = fake_parse(fake, &words)) == 0) {
        if (!fake_fill(fake)) {
            buffer_free(&words);
            return fake_fail(fake, "nothing came of", step->expected);
        }
    }
    memmove(fake->input.data, fake->input.data + size, fake->input.size - size);
    fake->input.size -= size;
    const bool good = fake_matches(step->expected, (char *)words.data);
    if (!good) {
        fake_fail(fake, step->expected, (char *)words.data);
    }
    buffer_free(&words);
    const size_t whole = step->reply != NULL ? strlen(step->reply) : 0;
    const size_t piece = fake->split ? 1 : whole;
    for (size_t sent = 0; good && sent < whole; sent += piece) {
        send(fake->connection, step->reply + sent, piece, MSG_NOSIGNAL);
    }
    return good;
}

static inline bool fake_step(struct fake *fake, const struct fake_step *step)
{
    const struct timeval limit = {.tv_sec = 10};
    const int on = 1;
    switch (step->kind) {
    case STEP_ACCEPT:
        fake->connection = accept(fake->listener, NULL, NULL);
        fake->input.size = 0;
        if (fake->connection < 0) {
            return fake_fail(fake, "accept", strerror(errno));
        }
        setsockopt(fake->connection, SOL_SOCKET, SO_RCVTIMEO, &limit,
                   sizeof(limit));
        setsockopt(fake->connection, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on,
                   sizeof(on));
        return true;
    case STEP_COMMAND:
        return fake_command(fake, step);
    case STEP_WAIT_CLOSE:
        if (fake->input.size > 0 || fake_fill(fake)) {
            return fake_fail(fake, "more came", "than was expected");
        }
        break;
    case STEP_CLOSE:
        break;
    }
    close(fake->connection);
    fake->connection = -1;
    return true;
}

static inline void *fake_run(void *argument)
{
    struct fake *fake = argument;
    const struct fake_step *step = fake->steps;
    for (; step->kind != 0 && fake_step(fake, step); step++) {
        ;
    }
    if (fake->connection >= 0) {
        close(fake->connection);
    }
    return NULL;
}

static inline void fake_start(struct fake *fake, const struct fake_step *steps)
{
    const struct timeval limit = {.tv_sec = 10};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    *fake = (struct fake){.steps = steps, .connection = -1};
    fake->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fake->listener >= 0);
    setsockopt(fake->listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    assert_int_equal(
        bind(fake->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fake->listener, 8), 0);
    assert_int_equal(
        getsockname(fake->listener, (struct sockaddr *)&address, &size), 0);
    fake->port = ntohs(address.sin_port);
}

static inline void fake_go(struct fake *fake)
{
    assert_int_equal(pthread_create(&fake->thread, NULL, fake_run, fake), 0);
}

static inline void fake_serve(struct fake *fake, const struct fake_step *steps)
{
    fake_start(fake, steps);
    fake_go(fake);
}

/* The script was followed to its end. */
static inline void fake_end(struct fake *fake)
{
    pthread_join(fake->thread, NULL);
    close(fake->listener);
    buffer_free(&fake->input);
    assert_string_equal(fake->failure, "");
}

static inline struct redis_address fake_address(const struct fake *fake)
{
    struct redis_address address = {.host = "127.0.0.1", .port = fake->port};
    return address;
}

/* --- the other side --------------------------------------------------------*/
static inline struct redis client_new(void)
{
    return (struct redis){.stop_fd = eventfd(0, EFD_CLOEXEC),
                          .connect_ms = 30000,
                          .command_ms = 30000};
}

static inline void client_free(struct redis *redis)
{
    redis_close(redis);
    close(redis->stop_fd);
}

#endif
