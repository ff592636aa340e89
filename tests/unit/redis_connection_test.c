/* A connection to Redis: replies however they come, errors, timeouts, logins;
 * and what addresses and errors mean. */
#include "redis_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

/* --- addresses -------------------------------------------------------------*/
static void test_places(void **state)
{
    struct redis_place place;
    (void)state;
    assert_int_equal(redis_place_parse("127.0.0.1:7000", &place), 0);
    assert_int_equal(place.count, 1);
    assert_string_equal(place.addresses[0].host, "127.0.0.1");
    assert_int_equal(place.addresses[0].port, 7000);
    assert_string_equal(place.master, "");
    assert_int_equal(redis_place_parse("redis.example.org", &place), 0);
    assert_int_equal(place.addresses[0].port, 6379);
    assert_int_equal(redis_place_parse("[::1]:7000,[fe80::2]", &place), 0);
    assert_int_equal(place.count, 2);
    assert_string_equal(place.addresses[0].host, "::1");
    assert_int_equal(place.addresses[0].port, 7000);
    assert_string_equal(place.addresses[1].host, "fe80::2");
    assert_int_equal(place.addresses[1].port, 6379);
    assert_int_equal(redis_place_parse("unix:/run/redis.sock", &place), 0);
    assert_string_equal(place.addresses[0].host, "/run/redis.sock");
    assert_int_equal(place.addresses[0].port, 0);
    assert_int_equal(redis_place_parse("sentinel:main@a,b:26380", &place), 0);
    assert_string_equal(place.master, "main");
    assert_int_equal(place.count, 2);
    assert_int_equal(place.addresses[0].port, 26379);
    assert_int_equal(place.addresses[1].port, 26380);
}

static void test_bad_places(void **state)
{
    static const char *const bad[] = {
        "",
        ":6379",
        "a:0",
        "a:65536",
        "a:b",
        "a,,b",
        "a b",
        "[::1",
        "unix:",
        "unix:redis.sock",
        "a:1:b",
        "sentinel:",
        "sentinel:@a",
        "sentinel:main@",
        "[]:1",
        "a\n:1",
        "sentinel:main",
        "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
    };
    struct redis_place place;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (redis_place_parse(bad[i], &place) != -EINVAL) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
    }
    char path[128] = "unix:/"; /* longer than a socket's may be */
    memset(path + 6, 'x', 108);
    assert_int_equal(redis_place_parse(path, &place), -EINVAL);
    path[5 + 107] = '\0';
    assert_int_equal(redis_place_parse(path, &place), 0);
}

/* --- errors ----------------------------------------------------------------*/
static redisReply error_reply(const char *text)
{
    return (redisReply){
        .type = REDIS_REPLY_ERROR, .str = (char *)text, .len = strlen(text)};
}

static void test_faults(void **state)
{
    static const struct {
        const char *text;
        enum redis_fault fault;
    } cases[] = {
        {"OOM command not allowed when used memory > 'maxmemory'.",
         REDIS_FAULT_PASSING},
        {"LOADING Redis is loading the dataset in memory", REDIS_FAULT_PASSING},
        {"BUSY Redis is busy running a script.", REDIS_FAULT_PASSING},
        {"CLUSTERDOWN The cluster is down", REDIS_FAULT_PASSING},
        {"MISCONF Errors writing to the AOF file", REDIS_FAULT_PASSING},
        {"NOREPLICAS Not enough good replicas to write.", REDIS_FAULT_PASSING},
        {"TRYAGAIN Multiple keys request", REDIS_FAULT_PASSING},
        {"ERR max number of clients reached", REDIS_FAULT_PASSING},
        {"READONLY You can't write against a read only replica.",
         REDIS_FAULT_NOT_MASTER},
        {"MOVED 3999 127.0.0.1:6381", REDIS_FAULT_MOVED},
        {"ASK 3999 127.0.0.1:6381", REDIS_FAULT_ASK},
        {"ERR The ID specified in XADD is equal or smaller than the target "
         "stream top item",
         REDIS_FAULT_ORDER},
        {"WRONGTYPE Operation against a key holding the wrong kind of value",
         REDIS_FAULT_REFUSED},
        {"NOAUTH Authentication required.", REDIS_FAULT_REFUSED},
        {"WRONGPASS invalid username-password pair", REDIS_FAULT_REFUSED},
        {"NOPERM this user has no permissions", REDIS_FAULT_REFUSED},
        {"ERR unknown command 'XADD'", REDIS_FAULT_REFUSED},
        {"BUSYKEY Target key name already exists.", REDIS_FAULT_REFUSED},
        {"", REDIS_FAULT_REFUSED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const redisReply reply = error_reply(cases[i].text);
        if (redis_fault(&reply) != cases[i].fault) {
            fail_msg("%s: %d", cases[i].text, redis_fault(&reply));
        }
    }
    const redisReply good = {
        .type = REDIS_REPLY_STATUS, .str = (char *)"OOM ", .len = 4};
    assert_int_equal(redis_fault(&good), REDIS_FAULT_NONE);
}

static void test_fault_address(void **state)
{
    static const char *const bad[] = {"MOVED",       "MOVED 1 ",
                                      "MOVED 1 a:0", "MOVED 1 a:99999",
                                      "MOVED 1 :x",  "MOVED 1 a"};
    const struct redis_address from = {.host = "there", .port = 7000};
    struct redis_address address;
    redisReply reply = error_reply("MOVED 3999 10.0.0.1:6381");
    (void)state;
    assert_int_equal(redis_fault_address(&reply, &from, &address), 0);
    assert_string_equal(address.host, "10.0.0.1");
    assert_int_equal(address.port, 6381);
    reply = error_reply("ASK 3999 :6382"); /* the host is the sender's */
    assert_int_equal(redis_fault_address(&reply, &from, &address), 0);
    assert_string_equal(address.host, "there");
    assert_int_equal(address.port, 6382);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        reply = error_reply(bad[i]);
        assert_int_equal(redis_fault_address(&reply, &from, &address), -EINVAL);
    }
}

/* --- replies ---------------------------------------------------------------*/
static void expect_reply(struct redis *redis, int type, const char *text)
{
    redisReply *reply;
    assert_int_equal(redis_receive(redis, &reply), 0);
    assert_int_equal(reply->type, type);
    assert_string_equal(reply->str, text);
    freeReplyObject(reply);
}

static void connect_to(struct fake *fake, const struct fake_step *steps,
                       struct redis *redis)
{
    fake_serve(fake, steps);
    const struct redis_address address = fake_address(fake);
    assert_int_equal(redis_connect(redis, &address), 0);
}

/* A pipeline whose replies come in pieces, an error among them. */
static void test_pipeline(void **state)
{
    static const struct fake_step steps[] = {
        ACCEPT,
        COMMAND("SET a b", OK),
        COMMAND("GET a", "$3\r\nx\ny\r\n"),
        COMMAND("INCR a", "-ERR value is not an integer\r\n"),
        COMMAND("PING", "+PONG\r\n"),
        WAIT_CLOSE,
        STEPS_END,
    };
    (void)state;
    for (int split = 0; split < 2; split++) {
        struct fake fake;
        struct redis redis = client_new();
        fake_start(&fake, steps);
        fake.split = split != 0;
        fake_go(&fake);
        const struct redis_address address = fake_address(&fake);
        assert_int_equal(redis_connect(&redis, &address), 0);
        redis_say(&redis, "SET", "a", "b", NULL);
        redis_say(&redis, "GET", "a", NULL);
        redis_say(&redis, "INCR", "a", NULL);
        redis_say(&redis, "PING", NULL);
        expect_reply(&redis, REDIS_REPLY_STATUS, "OK");
        expect_reply(&redis, REDIS_REPLY_STRING, "x\ny");
        expect_reply(&redis, REDIS_REPLY_ERROR, "ERR value is not an integer");
        expect_reply(&redis, REDIS_REPLY_STATUS, "PONG");
        client_free(&redis);
        fake_end(&fake);
    }
}

static void test_cut_in_pipeline(void **state)
{
    static const struct fake_step steps[] = {
        ACCEPT,    COMMAND("PING", "+PONG\r\n"), COMMAND("PING", "+PO"), CLOSE,
        STEPS_END,
    };
    struct fake fake;
    struct redis redis = client_new();
    redisReply *reply;
    (void)state;
    connect_to(&fake, steps, &redis);
    redis_say(&redis, "PING", NULL);
    redis_say(&redis, "PING", NULL);
    expect_reply(&redis, REDIS_REPLY_STATUS, "PONG");
    assert_int_equal(redis_receive(&redis, &reply), -ECONNRESET);
    assert_string_not_equal(redis.error, "");
    client_free(&redis);
    fake_end(&fake);
}

static void test_not_redis(void **state)
{
    static const struct fake_step steps[] = {
        ACCEPT,
        COMMAND("PING", "HTTP/1.1 400 Bad Request\r\n"),
        WAIT_CLOSE,
        STEPS_END,
    };
    struct fake fake;
    struct redis redis = client_new();
    redisReply *reply;
    (void)state;
    connect_to(&fake, steps, &redis);
    redis_say(&redis, "PING", NULL);
    assert_int_equal(redis_receive(&redis, &reply), -EPROTO);
    client_free(&redis);
    fake_end(&fake);
}

/* More than a socket takes at once goes out while replies come in. */
static void test_large(void **state)
{
    enum { COUNT = 40, SIZE = 100000 };
    static struct fake_step steps[COUNT + 3];
    struct fake fake;
    struct redis redis = client_new();
    char *value = xmalloc(SIZE);
    (void)state;
    memset(value, 'v', SIZE);
    steps[0].kind = STEP_ACCEPT;
    for (size_t i = 1; i <= COUNT; i++) {
        steps[i] = (struct fake_step)COMMAND("SET k vvv*", OK);
    }
    steps[COUNT + 1].kind = STEP_WAIT_CLOSE;
    connect_to(&fake, steps, &redis);
    for (size_t i = 0; i < COUNT; i++) {
        const struct slice words[] = {SLICE_LITERAL("SET"), SLICE_LITERAL("k"),
                                      slice_of(value, SIZE)};
        redis_send(&redis, words, 3);
    }
    for (size_t i = 0; i < COUNT; i++) {
        expect_reply(&redis, REDIS_REPLY_STATUS, "OK");
    }
    client_free(&redis);
    fake_end(&fake);
    free(value);
}

/* --- waiting ---------------------------------------------------------------*/
static void test_timeout(void **state)
{
    static const struct fake_step steps[] = {
        ACCEPT,
        COMMAND("PING", NULL),
        WAIT_CLOSE,
        STEPS_END,
    };
    struct fake fake;
    struct redis redis = client_new();
    redisReply *reply;
    (void)state;
    redis.command_ms = 50;
    connect_to(&fake, steps, &redis);
    redis_say(&redis, "PING", NULL);
    assert_int_equal(redis_receive(&redis, &reply), -ETIMEDOUT);
    assert_string_equal(redis.error, "no answer in time");
    client_free(&redis);
    fake_end(&fake);
}

static void *stop_later(void *argument)
{
    const struct redis *redis = argument;
    usleep(20000);
    eventfd_write(redis->stop_fd, 1);
    return NULL;
}

/* It waits for nothing once it is to stop. */
static void test_stop(void **state)
{
    static const struct fake_step steps[] = {
        ACCEPT,
        COMMAND("PING", NULL),
        WAIT_CLOSE,
        STEPS_END,
    };
    struct fake fake;
    struct redis redis = client_new();
    pthread_t thread;
    redisReply *reply;
    (void)state;
    redis.command_ms = 60000;
    connect_to(&fake, steps, &redis);
    redis_say(&redis, "PING", NULL);
    pthread_create(&thread, NULL, stop_later, &redis);
    assert_int_equal(redis_receive(&redis, &reply), -ECANCELED);
    pthread_join(thread, NULL);
    client_free(&redis);
    fake_end(&fake);
}

static void test_nobody_listens(void **state)
{
    struct redis redis = client_new();
    struct fake fake;
    (void)state;
    fake_start(&fake, NULL);
    const struct redis_address address = fake_address(&fake);
    close(fake.listener);
    assert_int_equal(redis_connect(&redis, &address), -ECONNREFUSED);
    assert_false(redis_is_open(&redis));
    const struct redis_address missing = {.host = "/nowhere/redis.sock"};
    assert_true(redis_connect(&redis, &missing) < 0);
    assert_false(redis_is_open(&redis));
    client_free(&redis);
}

/* --- logins ----------------------------------------------------------------*/
#define PASSWORD "pass word"

static char *password_file(mode_t mode)
{
    static char path[] = "/tmp/s3d-redis-XXXXXX";
    static char name[sizeof(path)];
    memcpy(name, path, sizeof(path));
    const int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, PASSWORD "\n", strlen(PASSWORD) + 1),
                     strlen(PASSWORD) + 1);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    return name;
}

static struct redis_login login_to(const struct fake *fake)
{
    struct redis_login login = {.place.count = 1};
    login.place.addresses[0] = fake_address(fake);
    return login;
}

static void test_login(void **state)
{
    static const struct fake_step steps[] = {
        ACCEPT,
        COMMAND("AUTH events pass word", OK),
        COMMAND("SELECT 3", OK),
        COMMAND("PING", "+PONG\r\n"),
        WAIT_CLOSE,
        STEPS_END,
    };
    struct fake fake;
    struct redis redis = client_new();
    enum redis_fault fault;
    (void)state;
    fake_serve(&fake, steps);
    struct redis_login login = login_to(&fake);
    login.user = (struct redis_user){.name = "events",
                                     .password_file = password_file(0600)};
    login.database = 3;
    assert_int_equal(redis_login(&redis, &login, &fault), 0);
    assert_int_equal(fault, REDIS_FAULT_NONE);
    client_free(&redis);
    fake_end(&fake);
    unlink(login.user.password_file);
}

/* Where there is no file. */
static void test_login_of_environment(void **state)
{
    static const struct fake_step steps[] = {
        ACCEPT,
        COMMAND("AUTH pass word", OK),
        COMMAND("PING", "+PONG\r\n"),
        WAIT_CLOSE,
        ACCEPT, /* it is not set: there is none */
        COMMAND("PING", "+PONG\r\n"),
        WAIT_CLOSE,
        STEPS_END,
    };
    struct fake fake;
    struct redis redis = client_new();
    enum redis_fault fault;
    (void)state;
    fake_serve(&fake, steps);
    struct redis_login login = login_to(&fake);
    login.user.password_variable = "S3D_TEST_PASSWORD";
    setenv("S3D_TEST_PASSWORD", PASSWORD, 1);
    assert_int_equal(redis_login(&redis, &login, &fault), 0);
    unsetenv("S3D_TEST_PASSWORD");
    assert_int_equal(redis_login(&redis, &login, &fault), 0);
    client_free(&redis);
    fake_end(&fake);
}

static void test_login_refused(void **state)
{
    static const struct fake_step steps[] = {
        ACCEPT,
        COMMAND("AUTH pass word", "-WRONGPASS invalid password\r\n"),
        WAIT_CLOSE,
        ACCEPT, /* what a server says that does not know AUTH */
        COMMAND("AUTH pass word",
                "-ERR unknown command 'AUTH', with args beginning with: "
                "'pass word'\r\n"),
        WAIT_CLOSE,
        ACCEPT, /* the file may be read by others: nothing is said */
        WAIT_CLOSE,
        ACCEPT,
        COMMAND("PING", "-LOADING Redis is loading\r\n"),
        WAIT_CLOSE,
        STEPS_END,
    };
    struct fake fake;
    struct redis redis = client_new();
    enum redis_fault fault;
    (void)state;
    fake_serve(&fake, steps);
    struct redis_login login = login_to(&fake);
    login.user.password_file = password_file(0600);
    assert_int_equal(redis_login(&redis, &login, &fault), -EACCES);
    assert_int_equal(fault, REDIS_FAULT_REFUSED);
    assert_string_equal(redis.error, "AUTH was refused: WRONGPASS");
    assert_int_equal(redis_login(&redis, &login, &fault), -EACCES);
    assert_string_equal(redis.error, "AUTH was refused: ERR");
    assert_int_equal(chmod(login.user.password_file, 0604), 0);
    assert_int_equal(redis_login(&redis, &login, &fault), -EACCES);
    assert_int_equal(fault, REDIS_FAULT_REFUSED);
    assert_non_null(strstr(redis.error, "others may read"));
    assert_null(strstr(redis.error, PASSWORD));
    unlink(login.user.password_file);
    login.user.password_file = NULL;
    assert_int_equal(redis_login(&redis, &login, &fault), -EACCES);
    assert_int_equal(fault, REDIS_FAULT_PASSING);
    assert_false(redis_is_open(&redis));
    client_free(&redis);
    fake_end(&fake);
}

/* The first sentinel knows nothing, the second names a server that is no
 * master any more; at the next login it names the new one. Their password is
 * not the server's. */
static void test_sentinels(void **state)
{
    static char named[64];
    const struct fake_step first[] = {
        ACCEPT,
        COMMAND("AUTH pass word", OK),
        COMMAND("SENTINEL get-master-addr-by-name main", "*-1\r\n"),
        WAIT_CLOSE,
        ACCEPT,
        COMMAND("AUTH pass word", OK),
        COMMAND("SENTINEL get-master-addr-by-name main", named),
        WAIT_CLOSE,
        STEPS_END,
    };
    const struct fake_step second[] = {
        ACCEPT,
        COMMAND("AUTH pass word", OK),
        COMMAND("SENTINEL get-master-addr-by-name main", named),
        WAIT_CLOSE,
        STEPS_END,
    };
    static const struct fake_step server[] = {
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        COMMAND("ROLE", "*2\r\n$5\r\nslave\r\n:0\r\n"),
        WAIT_CLOSE,
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        COMMAND("ROLE", "*2\r\n$6\r\nmaster\r\n:0\r\n"),
        WAIT_CLOSE,
        STEPS_END,
    };
    struct fake one, two, main_server;
    struct redis redis = client_new();
    enum redis_fault fault;
    char port[8];
    (void)state;
    fake_start(&one, first);
    fake_start(&two, second);
    fake_start(&main_server, server);
    snprintf(port, sizeof(port), "%u", main_server.port);
    snprintf(named, sizeof(named), "*2\r\n$9\r\n127.0.0.1\r\n$%zu\r\n%s\r\n",
             strlen(port), port);
    fake_go(&one);
    fake_go(&two);
    fake_go(&main_server);
    struct redis_login login = {.place = {.count = 2, .master = "main"}};
    login.sentinel_user.password_file = password_file(0600);
    login.place.addresses[0] = fake_address(&one);
    login.place.addresses[1] = fake_address(&two);
    assert_int_equal(redis_login(&redis, &login, &fault), -EAGAIN);
    assert_int_equal(fault, REDIS_FAULT_NOT_MASTER);
    assert_int_equal(redis_login(&redis, &login, &fault), 0);
    assert_int_equal(redis.address.port, main_server.port);
    client_free(&redis);
    unlink(login.sentinel_user.password_file);
    fake_end(&one);
    fake_end(&two);
    fake_end(&main_server);
}

/* MOVED and ASK are followed once; then it is the configuration's again. */
static void test_redirects(void **state)
{
    static const struct fake_step elsewhere[] = {
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        WAIT_CLOSE,
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        COMMAND("ASKING", OK),
        WAIT_CLOSE,
        STEPS_END,
    };
    static const struct fake_step here[] = {
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        WAIT_CLOSE,
        STEPS_END,
    };
    struct fake one, two;
    struct redis redis = client_new();
    enum redis_fault fault;
    char text[64];
    (void)state;
    fake_start(&one, here);
    fake_start(&two, elsewhere);
    fake_go(&one);
    fake_go(&two);
    struct redis_login login = login_to(&one);
    redis.address = fake_address(&one);
    snprintf(text, sizeof(text), "MOVED 1 :%u", two.port);
    redisReply reply = error_reply(text);
    redis_login_redirect(&login, &redis, &reply);
    assert_int_equal(redis_login(&redis, &login, &fault), 0);
    assert_int_equal(redis.address.port, two.port);
    snprintf(text, sizeof(text), "ASK 1 127.0.0.1:%u", two.port);
    reply = error_reply(text);
    redis_login_redirect(&login, &redis, &reply);
    assert_int_equal(redis_login(&redis, &login, &fault), 0);
    assert_int_equal(redis.address.port, two.port);
    assert_int_equal(redis_login(&redis, &login, &fault), 0);
    assert_int_equal(redis.address.port, one.port);
    client_free(&redis);
    fake_end(&one);
    fake_end(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_bad_places),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_fault_address),
        cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_cut_in_pipeline),
        cmocka_unit_test(test_not_redis),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_login_of_environment),
        cmocka_unit_test(test_login_refused),
        cmocka_unit_test(test_sentinels),
        cmocka_unit_test(test_redirects),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
