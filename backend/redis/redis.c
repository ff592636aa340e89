/*
 * A connection, on hiredis without blocking: each wait is a poll() with a
 * deadline, which also ends when the publisher stops.
 */
#include "redis/redis.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define WORDS_MAX   16     /* of redis_say() */
#define COUNT_MAX   24u    /* bytes of "$5\r\n" */
#define BUFFER_READ 16384u /* bytes that redisBufferRead() takes at most */

int redis_fail(struct redis *redis, int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(redis->error, sizeof(redis->error), format, arguments);
    va_end(arguments);
    return error;
}

static int broken(struct redis *redis)
{
    const redisContext *context = redis->context;

    if (context->err == REDIS_ERR_PROTOCOL) {
        return redis_fail(redis, -EPROTO, "not a reply of Redis: %s",
                          context->errstr);
    }
    return redis_fail(redis, -ECONNRESET, "%s", context->errstr);
}

/* --- waiting ---------------------------------------------------------------*/
static int left_ms(uint64_t deadline_us)
{
    const uint64_t now_us = clock_monotonic_us();

    return now_us < deadline_us ? (int)((deadline_us - now_us) / 1000) + 1 : 0;
}

/* 0: one of `events` may be done, *ready says which. */
static int wait_for(struct redis *redis, short events, uint64_t deadline_us,
                    short *ready)
{
    struct pollfd fds[] = {{.fd = redis->context->fd, .events = events},
                           {.fd = redis->stop_fd, .events = POLLIN}};
    int count;

    do {
        count = poll(fds, 2, left_ms(deadline_us));
    } while (count < 0 && errno == EINTR);
    invariant(count >= 0);
    if (fds[1].revents != 0) {
        return redis_fail(redis, -ECANCELED, "it stops");
    }
    if (count == 0) {
        return redis_fail(redis, -ETIMEDOUT, "no answer in time");
    }
    *ready = fds[0].revents;
    return 0;
}

bool redis_idle(const struct redis *redis, int other_fd, int ms)
{
    struct pollfd fds[] = {
        {.fd = redis->context != NULL ? redis->context->fd : -1,
         .events = POLLIN},
        {.fd = redis->stop_fd, .events = POLLIN},
        {.fd = other_fd, .events = POLLIN}};
    const int count = poll(fds, 3, ms);

    return count > 0 && fds[0].revents != 0;
}

/* --- opening and closing ---------------------------------------------------*/
static int finish_connect(struct redis *redis, uint64_t deadline_us)
{
    int error = 0;
    socklen_t size = sizeof(error);
    short ready = 0;

    const int waited = wait_for(redis, POLLOUT, deadline_us, &ready);
    if (waited != 0) {
        return waited;
    }
    if (getsockopt(redis->context->fd, SOL_SOCKET, SO_ERROR, &error, &size) !=
        0) {
        error = errno;
    }
    return error == 0 ? 0 : redis_fail(redis, -error, "%s", strerror(error));
}

int redis_connect(struct redis *redis, const struct redis_address *address)
{
    const uint64_t deadline_us =
        clock_monotonic_us() + redis->connect_ms * 1000ull;

    redis_close(redis);
    redis->address = *address;
    redis->context =
        address->port != 0
            ? redisConnectNonBlock(address->host, (int)address->port)
            : redisConnectUnixNonBlock(address->host);
    invariant(redis->context != NULL);
    const int error = redis->context->err != 0
                          ? broken(redis)
                          : finish_connect(redis, deadline_us);
    if (error != 0) {
        redis_close(redis);
    }
    return error;
}

void redis_close(struct redis *redis)
{
    if (redis->context != NULL) {
        redisFree(redis->context);
        redis->context = NULL;
    }
}

bool redis_is_open(const struct redis *redis)
{
    return redis->context != NULL;
}

/* --- commands --------------------------------------------------------------*/
static void put_count(struct buffer *out, const char *kind, size_t count)
{
    buffer_append(out, kind, 1);
    buffer_append_number(out, count);
    buffer_append(out, "\r\n", 2);
}

/* As Redis reads it. hiredis does it too, but several times as slowly. A
 * secret does not move: there is room for all at first. */
static struct buffer compose(const struct slice *words, size_t count)
{
    struct buffer command = {0};
    size_t size = COUNT_MAX;

    for (size_t i = 0; i < count; i++) {
        size += words[i].size + COUNT_MAX + 2;
    }
    buffer_reserve(&command, size);
    put_count(&command, "*", count);
    for (size_t i = 0; i < count; i++) {
        put_count(&command, "$", words[i].size);
        buffer_append(&command, words[i].data, words[i].size);
        buffer_append(&command, "\r\n", 2);
    }
    invariant(command.size <= size);
    return command;
}

void redis_send(struct redis *redis, const struct slice *words, size_t count)
{
    struct buffer command = compose(words, count);

    invariant(redisAppendFormattedCommand(redis->context,
                                          (const char *)command.data,
                                          command.size) == REDIS_OK);
    buffer_free(&command);
}

void redis_say(struct redis *redis, const char *word, ...)
{
    struct slice words[WORDS_MAX];
    size_t count = 0;
    va_list arguments;

    va_start(arguments, word);
    for (; word != NULL; word = va_arg(arguments, const char *)) {
        invariant(count < WORDS_MAX);
        words[count++] = slice_from_string(word);
    }
    va_end(arguments);
    redis_send(redis, words, count);
}

/* A socket takes a command as short as this whole when nothing else is on its
 * way. */
int redis_send_secret(struct redis *redis, const struct slice *words,
                      size_t count)
{
    struct buffer command = compose(words, count);
    const ssize_t sent =
        send(redis->context->fd, command.data, command.size, MSG_NOSIGNAL);
    const int error = sent < 0                       ? -errno
                      : (size_t)sent == command.size ? 0
                                                     : -EAGAIN;

    OPENSSL_cleanse(command.data, command.size);
    buffer_free(&command);
    return error == 0 ? 0 : redis_fail(redis, error, "%s", strerror(-error));
}

int redis_flush(struct redis *redis)
{
    const uint64_t deadline_us =
        clock_monotonic_us() + redis->command_ms * 1000ull;
    int sent = 0;

    for (;;) {
        short ready = 0;
        if (redisBufferWrite(redis->context, &sent) != REDIS_OK) {
            return broken(redis);
        }
        if (sent) {
            return 0;
        }
        const int error = wait_for(redis, POLLOUT, deadline_us, &ready);
        if (error != 0) {
            return error;
        }
    }
}

/* --- replies ---------------------------------------------------------------*/
int redis_receive(struct redis *redis, redisReply **reply)
{
    const uint64_t deadline_us =
        clock_monotonic_us() + redis->command_ms * 1000ull;
    redisContext *context = redis->context;
    size_t taken = 0; /* the reader's own count is of what it has not parsed */

    for (;;) {
        void *next = NULL;
        int sent = 0;
        short ready = 0;
        if (redisGetReplyFromReader(context, &next) != REDIS_OK) {
            return broken(redis);
        }
        if (next != NULL) {
            *reply = next;
            return 0;
        }
        if (redisBufferWrite(context, &sent) != REDIS_OK) {
            return broken(redis);
        }
        const int error = wait_for(redis, sent ? POLLIN : POLLIN | POLLOUT,
                                   deadline_us, &ready);
        if (error != 0) {
            return error;
        }
        if ((ready & ~POLLOUT) != 0) {
            if (redisBufferRead(context) != REDIS_OK) {
                return broken(redis);
            }
            taken += BUFFER_READ;
        }
        if (taken > REDIS_REPLY_MAX) {
            return redis_fail(redis, -EPROTO, "a reply is too large");
        }
    }
}
