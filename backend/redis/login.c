/*
 * From nothing to a connection that takes commands: the master's address from
 * the sentinels, AUTH, SELECT, and whether it is the master.
 *
 * The password is read for each login: whoever changes it replaces the file.
 */
#include "redis/redis.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PASSWORD_MAX 512

/* --- questions -------------------------------------------------------------*/
/* The reply to what was sent last; an error of Redis's is ours too. */
static int answer(struct redis *redis, redisReply **reply,
                  enum redis_fault *fault)
{
    const int error = redis_receive(redis, reply);
    if (error != 0) {
        return error;
    }
    *fault = redis_fault(*reply);
    if (*fault != REDIS_FAULT_NONE) {
        redis_fail(redis, -EACCES, "%.*s", (int)(*reply)->len, (*reply)->str);
        freeReplyObject(*reply);
        return -EACCES;
    }
    return 0;
}

static int expect_ok(struct redis *redis, enum redis_fault *fault)
{
    redisReply *reply;
    const int error = answer(redis, &reply, fault);
    if (error == 0) {
        freeReplyObject(reply);
    }
    return error;
}

/* --- the login -------------------------------------------------------------*/
/* The reply to AUTH. A server that does not know the command says back what
 * came with it: nothing is told of an error but its kind. */
static int expect_in(struct redis *redis, enum redis_fault *fault)
{
    redisReply *reply;
    int error = redis_receive(redis, &reply);

    if (error != 0) {
        return error;
    }
    *fault = redis_fault(reply);
    if (*fault != REDIS_FAULT_NONE) {
        error = redis_fail(redis, -EACCES, "AUTH was refused: %.*s",
                           (int)strcspn(reply->str, " "), reply->str);
    }
    freeReplyObject(reply);
    return error;
}

/* Its size; 0: there is none. */
static int read_password(struct redis *redis, const struct redis_user *user,
                         char password[PASSWORD_MAX])
{
    const char *value = user->password_variable != NULL
                            ? getenv(user->password_variable)
                            : NULL;

    if (user->password_file != NULL) {
        const int size =
            private_file_line(user->password_file, password, PASSWORD_MAX);
        return size >= 0
                   ? size
                   : redis_fail(redis, -EACCES,
                                "no password can be read from %s: %s",
                                user->password_file,
                                size == -EACCES ? "others may read or write it"
                                                : strerror(-size));
    }
    const size_t size = value != NULL ? strlen(value) : 0;
    if (size >= PASSWORD_MAX) {
        return redis_fail(redis, -EACCES, "the password in %s is too long",
                          user->password_variable);
    }
    memcpy(password, value != NULL ? value : "", size + 1);
    return (int)size;
}

static int authenticate(struct redis *redis, const struct redis_user *user,
                        enum redis_fault *fault)
{
    char password[PASSWORD_MAX];
    struct slice words[3] = {SLICE_LITERAL("AUTH")};
    size_t count = 1;

    const int size = read_password(redis, user, password);
    if (size <= 0) {
        *fault = size < 0 ? REDIS_FAULT_REFUSED : REDIS_FAULT_NONE;
        return size;
    }
    if (user->name != NULL) {
        words[count++] = slice_from_string(user->name);
    }
    words[count++] = slice_of(password, (size_t)size);
    int error = redis_send_secret(redis, words, count);
    OPENSSL_cleanse(password, sizeof(password));
    return error != 0 ? error : expect_in(redis, fault);
}

static int select_database(struct redis *redis, unsigned database,
                           enum redis_fault *fault)
{
    char number[16];

    if (database == 0) {
        return 0;
    }
    snprintf(number, sizeof(number), "%u", database);
    redis_say(redis, "SELECT", number, NULL);
    return expect_ok(redis, fault);
}

/* What a sentinel says may be old: the server itself is asked too. */
static int check_master(struct redis *redis, enum redis_fault *fault)
{
    redisReply *reply;

    redis_say(redis, "ROLE", NULL);
    const int error = answer(redis, &reply, fault);
    if (error != 0) {
        return error;
    }
    const redisReply *role =
        reply->type == REDIS_REPLY_ARRAY && reply->elements > 0
            ? reply->element[0]
            : NULL;
    const bool master =
        role != NULL && role->type == REDIS_REPLY_STRING &&
        slice_equal_string(slice_of(role->str, role->len), "master");
    freeReplyObject(reply);
    if (!master) {
        *fault = REDIS_FAULT_NOT_MASTER;
        return redis_fail(redis, -EAGAIN, "the server is no master");
    }
    return 0;
}

static int log_in(struct redis *redis, struct redis_login *login,
                  const struct redis_address *address, enum redis_fault *fault)
{
    int error = redis_connect(redis, address);
    if (error == 0) {
        error = authenticate(redis, &login->user, fault);
    }
    if (error == 0) {
        error = select_database(redis, login->database, fault);
    }
    if (error == 0) { /* it may be loading, or want a password */
        redis_say(redis, "PING", NULL);
        error = expect_ok(redis, fault);
    }
    if (error == 0 && login->place.master[0] != '\0') {
        error = check_master(redis, fault);
    }
    if (error == 0 && login->asking) {
        redis_say(redis, "ASKING", NULL);
        error = expect_ok(redis, fault);
    }
    if (error != 0) {
        redis_close(redis);
    }
    return error;
}

/* --- sentinels -------------------------------------------------------------*/
static bool read_address(const redisReply *reply, struct redis_address *address)
{
    char text[REDIS_HOST_MAX + 32];

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        reply->element[1]->type != REDIS_REPLY_STRING) {
        return false;
    }
    const int size = snprintf(
        text, sizeof(text), "%s:%s", reply->element[0]->str,
        reply->element[1]->str); /* an IPv6 address has no brackets there */
    return size < (int)sizeof(text) &&
           redis_address_parse(slice_of(text, (size_t)size), 0, address) == 0;
}

/* Asks the sentinel at *address, which becomes the master's. */
static int ask_sentinel(struct redis *redis, const struct redis_login *login,
                        struct redis_address *address, enum redis_fault *fault)
{
    const char *master = login->place.master;
    redisReply *reply;

    int error = redis_connect(redis, address);
    if (error == 0) {
        error = authenticate(redis, &login->sentinel_user, fault);
    }
    if (error == 0) {
        redis_say(redis, "SENTINEL", "get-master-addr-by-name", master, NULL);
        error = answer(redis, &reply, fault);
    }
    if (error == 0) {
        if (!read_address(reply, address)) {
            error = redis_fail(redis, -EAGAIN,
                               "the sentinel knows no master %s", master);
        }
        freeReplyObject(reply);
    }
    redis_close(redis);
    return error;
}

/* --- which server ----------------------------------------------------------*/
static int try_next(struct redis *redis, struct redis_login *login,
                    enum redis_fault *fault)
{
    const struct redis_place *place = &login->place;
    struct redis_address address = place->addresses[login->next];

    login->next = (login->next + 1) % place->count;
    if (place->master[0] != '\0') {
        const int error = ask_sentinel(redis, login, &address, fault);
        if (error != 0) {
            return error;
        }
    }
    return log_in(redis, login, &address, fault);
}

/* A redirection holds for one login; if it leads nowhere, or was followed,
 * the way begins again where the configuration says. */
int redis_login(struct redis *redis, struct redis_login *login,
                enum redis_fault *fault)
{
    int error = -EAGAIN;

    *fault = REDIS_FAULT_NONE;
    if (login->moved.host[0] != '\0') {
        const struct redis_address moved = login->moved;
        login->moved.host[0] = '\0';
        error = log_in(redis, login, &moved, fault);
        login->asking = false;
        return error;
    }
    for (unsigned i = 0; i < login->place.count; i++) {
        *fault = REDIS_FAULT_NONE;
        error = try_next(redis, login, fault);
        if (error == 0) { /* it is the first one next time too */
            login->next =
                (login->next + login->place.count - 1) % login->place.count;
        }
        if (error == 0 || error == -ECANCELED) {
            break;
        }
    }
    return error;
}

void redis_login_redirect(struct redis_login *login, const struct redis *redis,
                          const redisReply *reply)
{
    const enum redis_fault fault = redis_fault(reply);

    if ((fault == REDIS_FAULT_MOVED || fault == REDIS_FAULT_ASK) &&
        redis_fault_address(reply, &redis->address, &login->moved) == 0) {
        login->asking = fault == REDIS_FAULT_ASK;
    } else if (fault == REDIS_FAULT_NOT_MASTER) {
        login->next = (login->next + 1) % login->place.count;
    }
}
