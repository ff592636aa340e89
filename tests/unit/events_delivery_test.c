/* Batches into Redis: what is sent for each kind of target, what replies mean,
 * and what a stream has already. */
#include "events/delivery.h"
#include "redis_fixture.h"

#define TEXTS_MAX 64

static char *texts[TEXTS_MAX]; /* of the test that runs */
static size_t text_count;

/* Kept to the end of the test. */
static const char *text(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

static const char *text(const char *format, ...)
{
    va_list arguments;
    char *made;
    va_start(arguments, format);
    assert_true(vasprintf(&made, format, arguments) >= 0);
    va_end(arguments);
    assert_true(text_count < TEXTS_MAX);
    texts[text_count++] = made;
    return made;
}

static int free_texts(void **state)
{
    (void)state;
    while (text_count > 0) {
        free(texts[--text_count]);
    }
    return 0;
}

/* --- events ----------------------------------------------------------------*/
static ProtobufCBinaryData bytes(const char *value)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)value,
                                 .len = strlen(value)};
}

static Meta__Event make_event(uint64_t sequence, Meta__EventType type,
                              const char *key)
{
    Meta__Event event = META__EVENT__INIT;
    event.sequence = sequence;
    event.type = type;
    event.time_ms = 1700000000123;
    event.region = bytes("us-east-1");
    event.bucket = bytes("photos");
    event.key = bytes(key);
    event.size = 10;
    return event;
}

static const char *message_of(const Meta__Event *event)
{
    struct buffer message = {0};
    events_json_message(&message, event);
    const char *kept = text("%.*s", (int)message.size, (char *)message.data);
    buffer_free(&message);
    return kept;
}

static const char *bulk(const char *value)
{
    return text("$%zu\r\n%s\r\n", strlen(value), value);
}

/* As XRANGE shows it. */
static const char *entry(const char *id, const char *message)
{
    return text("*2\r\n%s*2\r\n%s%s", bulk(id), bulk("event"), bulk(message));
}

static const char *xinfo(const char *last_id)
{
    return text("*4\r\n%s:3\r\n%s%s", bulk("length"), bulk("last-generated-id"),
                bulk(last_id));
}

#define NO_KEY "-ERR no such key\r\n"

/* --- the delivery ----------------------------------------------------------*/
static Meta__Event made[4];
static Meta__Event *const events[4] = {&made[0], &made[1], &made[2], &made[3]};

static int make_events(void **state)
{
    (void)state;
    made[0] = make_event(5, META__EVENT_TYPE__OBJECT_CREATED_PUT, "a b");
    made[1] = make_event(6, META__EVENT_TYPE__OBJECT_REMOVED_DELETE, "a b");
    made[2] = make_event(9, META__EVENT_TYPE__OBJECT_CREATED_COPY, "c");
    made[3] = make_event(12, META__EVENT_TYPE__TEST_EVENT, "");
    return 0;
}

static struct delivery delivery_to(const struct fake *fake,
                                   enum events_kind kind)
{
    struct delivery delivery = {
        .redis = client_new(), .kind = kind, .key = SLICE_LITERAL("target")};
    delivery.login.place.count = 1;
    delivery.login.place.addresses[0] = fake_address(fake);
    return delivery;
}

static struct delivery begin(struct fake *fake, const struct fake_step *steps,
                             enum events_kind kind)
{
    fake_serve(fake, steps);
    return delivery_to(fake, kind);
}

static void end(struct delivery *delivery, struct fake *fake)
{
    client_free(&delivery->redis);
    fake_end(fake);
}

static void deliver(struct delivery *delivery, size_t from, size_t count)
{
    enum redis_fault fault;
    if (!redis_is_open(&delivery->redis)) {
        assert_int_equal(delivery_login(delivery, &fault), 0);
    }
    assert_int_equal(delivery_send(delivery, events + from, count, &fault), 0);
    assert_int_equal(fault, REDIS_FAULT_NONE);
}

static void deliver_fails(struct delivery *delivery, size_t from, size_t count,
                          int error, enum redis_fault expected)
{
    enum redis_fault fault;
    if (!redis_is_open(&delivery->redis)) {
        assert_int_equal(delivery_login(delivery, &fault), 0);
    }
    assert_int_equal(delivery_send(delivery, events + from, count, &fault),
                     error);
    assert_int_equal(fault, expected);
    assert_false(redis_is_open(&delivery->redis));
}

static const char *xadd(const char *id, const Meta__Event *event)
{
    return text("XADD target %s event %s", id, message_of(event));
}

/* --- streams ---------------------------------------------------------------*/
static void test_stream(void **state)
{
    const struct fake_step steps[] = {
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        COMMAND("XINFO STREAM target", NO_KEY),
        COMMAND("MULTI", OK),
        COMMAND(xadd("0-5", events[0]), QUEUED),
        COMMAND(xadd("0-6", events[1]), QUEUED),
        COMMAND("EXEC", "*2\r\n$3\r\n0-5\r\n$3\r\n0-6\r\n"),
        COMMAND("MULTI", OK),
        COMMAND(xadd("0-9", events[2]), QUEUED),
        COMMAND(xadd("0-12", events[3]), QUEUED),
        COMMAND("EXEC", "*2\r\n$3\r\n0-9\r\n$4\r\n0-12\r\n"),
        WAIT_CLOSE,
        STEPS_END,
    };
    (void)state;
    for (int split = 0; split < 2; split++) {
        struct fake fake;
        fake_start(&fake, steps);
        fake.split = split != 0;
        fake_go(&fake);
        struct delivery delivery = delivery_to(&fake, EVENTS_STREAM);
        deliver(&delivery, 0, 2);
        deliver(&delivery, 2, 2);
        end(&delivery, &fake);
    }
}

/* What S3 does not tell stands beside its message. */
static void test_cache_tags(void **state)
{
    (void)state;
    made[0].cache_tags = bytes("news a/b");
    const struct fake_step steps[] = {
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        COMMAND("XINFO STREAM target", NO_KEY),
        COMMAND("MULTI", OK),
        COMMAND(text("%s cache-tags news a/b", xadd("0-5", events[0])), QUEUED),
        COMMAND("EXEC", "*1\r\n$3\r\n0-5\r\n"),
        WAIT_CLOSE,
        STEPS_END,
    };
    struct fake fake;
    fake_start(&fake, steps);
    fake_go(&fake);
    struct delivery delivery = delivery_to(&fake, EVENTS_STREAM);
    deliver(&delivery, 0, 1);
    client_free(&delivery.redis);
    fake_end(&fake);
}

static void test_maxlen(void **state)
{
    const struct fake_step steps[] = {
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        COMMAND("XINFO STREAM target", NO_KEY),
        COMMAND("MULTI", OK),
        COMMAND("XADD target MAXLEN ~ 1000 0-5 event {*", QUEUED),
        COMMAND("EXEC", "*1\r\n$3\r\n0-5\r\n"),
        WAIT_CLOSE,
        STEPS_END,
    };
    struct fake fake;
    (void)state;
    struct delivery delivery = begin(&fake, steps, EVENTS_STREAM);
    delivery.maxlen = 1000;
    deliver(&delivery, 0, 1);
    end(&delivery, &fake);
}

/* The reply to EXEC was lost: what is there is not sent again. */
static void test_resend(void **state)
{
    const char *const found =
        text("*2\r\n%s%s", entry("0-5", message_of(events[0])),
             entry("0-6", message_of(events[1])));
    const struct fake_step steps[] = {
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        COMMAND("XINFO STREAM target", NO_KEY),
        COMMAND("MULTI", OK),
        COMMAND(xadd("0-5", events[0]), QUEUED),
        COMMAND(xadd("0-6", events[1]), QUEUED),
        COMMAND("EXEC", "*2\r\n$3\r\n0-5\r\n$3"),
        CLOSE,
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        COMMAND("XINFO STREAM target", xinfo("0-6")),
        COMMAND("XRANGE target 0-5 0-9 COUNT 3", found),
        COMMAND("MULTI", OK),
        COMMAND(xadd("0-9", events[2]), QUEUED),
        COMMAND("EXEC", "*1\r\n$3\r\n0-9\r\n"),
        WAIT_CLOSE,
        STEPS_END,
    };
    struct fake fake;
    (void)state;
    struct delivery delivery = begin(&fake, steps, EVENTS_STREAM);
    deliver_fails(&delivery, 0, 2, -ECONNRESET, REDIS_FAULT_NONE);
    deliver(&delivery, 0, 3);
    assert_int_equal(delivery.generations, 0);
    end(&delivery, &fake);
}

/* Redis came back from an older copy: it goes on where that ends. */
static void test_stream_behind(void **state)
{
    const struct fake_step steps[] = {
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        COMMAND("XINFO STREAM target", xinfo("0-3")),
        COMMAND("MULTI", OK),
        COMMAND(xadd("0-5", events[0]), QUEUED),
        COMMAND("EXEC", "*1\r\n$3\r\n0-5\r\n"),
        WAIT_CLOSE,
        STEPS_END,
    };
    struct fake fake;
    (void)state;
    struct delivery delivery = begin(&fake, steps, EVENTS_STREAM);
    deliver(&delivery, 0, 1);
    end(&delivery, &fake);
}

/* The ids are taken, in part by entries of others: from the first one that is
 * not ours on, all goes into the next generation, in order. */
static void test_foreign_entries(void **state)
{
    const char *const found = text(
        "*3\r\n%s%s%s", entry("7-5", message_of(events[0])),
        entry("7-6", "{\"other\":1}"), entry("7-9", message_of(events[2])));
    const struct fake_step steps[] = {
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        COMMAND("XINFO STREAM target", xinfo("7-100")),
        COMMAND("XRANGE target 7-5 7-9 COUNT 3", found),
        COMMAND("MULTI", OK),
        COMMAND(xadd("8-6", events[1]), QUEUED),
        COMMAND(xadd("8-9", events[2]), QUEUED),
        COMMAND("EXEC", "*2\r\n$3\r\n8-6\r\n$3\r\n8-9\r\n"),
        COMMAND("MULTI", OK),
        COMMAND(xadd("8-12", events[3]), QUEUED),
        COMMAND("EXEC", "*1\r\n$4\r\n8-12\r\n"),
        WAIT_CLOSE,
        STEPS_END,
    };
    struct fake fake;
    (void)state;
    struct delivery delivery = begin(&fake, steps, EVENTS_STREAM);
    deliver(&delivery, 0, 3);
    assert_int_equal(delivery.generations, 1);
    deliver(&delivery, 3, 1);
    assert_int_equal(delivery.generations, 1);
    end(&delivery, &fake);
}

/* Somebody else writes between two batches. */
static void test_other_writer(void **state)
{
    const struct fake_step steps[] = {
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        COMMAND("XINFO STREAM target", NO_KEY),
        COMMAND("MULTI", OK),
        COMMAND(xadd("0-5", events[0]), QUEUED),
        COMMAND("EXEC",
                "*1\r\n-ERR The ID specified in XADD is equal or smaller than "
                "the target stream top item\r\n"),
        WAIT_CLOSE,
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        COMMAND("XINFO STREAM target", xinfo("1700000000000-0")),
        COMMAND("MULTI", OK),
        COMMAND(xadd("1700000000000-5", events[0]), QUEUED),
        COMMAND("EXEC", "*1\r\n$15\r\n1700000000000-5\r\n"),
        WAIT_CLOSE,
        STEPS_END,
    };
    struct fake fake;
    (void)state;
    struct delivery delivery = begin(&fake, steps, EVENTS_STREAM);
    deliver_fails(&delivery, 0, 1, -EACCES, REDIS_FAULT_ORDER);
    deliver(&delivery, 0, 1);
    end(&delivery, &fake);
}

static void test_last_id(void **state)
{
    const struct fake_step steps[] = {
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        COMMAND("XINFO STREAM target",
                xinfo("18446744073709551615-18446744073709551615")),
        COMMAND("XRANGE target 18446744073709551615-5 18446744073709551615-5 "
                "COUNT 1",
                "*0\r\n"),
        WAIT_CLOSE,
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        COMMAND("XINFO STREAM target",
                "-WRONGTYPE Operation against a key\r\n"),
        WAIT_CLOSE,
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        COMMAND("XINFO STREAM target", "*2\r\n$6\r\nlength\r\n:3\r\n"),
        WAIT_CLOSE,
        STEPS_END,
    };
    struct fake fake;
    enum redis_fault fault;
    (void)state;
    struct delivery delivery = begin(&fake, steps, EVENTS_STREAM);
    deliver_fails(&delivery, 0, 1, -EACCES, REDIS_FAULT_REFUSED);
    assert_int_equal(delivery_login(&delivery, &fault), -EACCES);
    assert_int_equal(fault, REDIS_FAULT_REFUSED);
    assert_int_equal(delivery_login(&delivery, &fault), -EPROTO);
    end(&delivery, &fake);
}

/* --- transactions ----------------------------------------------------------*/
/* The first error is the cause, whatever EXEC says. */
static void test_refused_in_transaction(void **state)
{
    static const struct {
        const char *first, *exec;
        int error;
        enum redis_fault fault;
    } cases[] = {
        {"-OOM command not allowed\r\n", "-EXECABORT discarded\r\n", -EACCES,
         REDIS_FAULT_PASSING},
        {"-NOPERM no permissions\r\n", "-EXECABORT discarded\r\n", -EACCES,
         REDIS_FAULT_REFUSED},
        {"-READONLY a replica\r\n", "-EXECABORT discarded\r\n", -EACCES,
         REDIS_FAULT_NOT_MASTER},
        {QUEUED, "-OOM command not allowed\r\n", -EACCES, REDIS_FAULT_PASSING},
        {QUEUED, "*2\r\n:1\r\n-WRONGTYPE not a list\r\n", -EACCES,
         REDIS_FAULT_REFUSED},
        {QUEUED, "*-1\r\n", -EPROTO, REDIS_FAULT_NONE},
        {QUEUED, "*1\r\n:1\r\n", -EPROTO, REDIS_FAULT_NONE},
        {QUEUED, "+OK\r\n", -EPROTO, REDIS_FAULT_NONE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct fake_step steps[] = {
            ACCEPT,
            COMMAND("PING", "+PONG\r\n"),
            COMMAND("MULTI", OK),
            COMMAND("RPUSH target [*", cases[i].first),
            COMMAND("RPUSH target [*", QUEUED),
            COMMAND("EXEC", cases[i].exec),
            WAIT_CLOSE,
            STEPS_END,
        };
        struct fake fake;
        struct delivery delivery = begin(&fake, steps, EVENTS_ACCESS);
        deliver_fails(&delivery, 0, 2, cases[i].error, cases[i].fault);
        end(&delivery, &fake);
    }
}

static void test_moved(void **state)
{
    struct fake here, there;
    static char moved[64];
    const struct fake_step first[] = {
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        COMMAND("XINFO STREAM target", moved),
        WAIT_CLOSE,
        STEPS_END,
    };
    const struct fake_step second[] = {
        ACCEPT,
        COMMAND("PING", "+PONG\r\n"),
        COMMAND("XINFO STREAM target", NO_KEY),
        COMMAND("MULTI", OK),
        COMMAND("XADD target 0-5 event {*", QUEUED),
        COMMAND("EXEC", "*1\r\n$3\r\n0-5\r\n"),
        WAIT_CLOSE,
        STEPS_END,
    };
    enum redis_fault fault;
    (void)state;
    fake_start(&here, first);
    fake_start(&there, second);
    snprintf(moved, sizeof(moved), "-MOVED 1 127.0.0.1:%u\r\n", there.port);
    fake_go(&here);
    fake_go(&there);
    struct delivery delivery = delivery_to(&here, EVENTS_STREAM);
    assert_int_equal(delivery_login(&delivery, &fault), -EACCES);
    assert_int_equal(fault, REDIS_FAULT_MOVED);
    deliver(&delivery, 0, 1);
    client_free(&delivery.redis);
    fake_end(&here);
    fake_end(&there);
}

/* --- other forms -----------------------------------------------------------*/
static void test_forms(void **state)
{
    struct buffer record = {0};
    (void)state;
    events_json_record(&record, events[0]);
    const char *const access =
        text("RPUSH target [{\"Event\":[%.*s],"
             "\"EventTime\":\"2023-11-14T22:13:20.123Z\"}]",
             (int)record.size, (char *)record.data);
    buffer_free(&record);
    const struct {
        enum events_kind kind;
        size_t count; /* of commands */
        const char *commands[4];
    } cases[] = {
        {EVENTS_PUBSUB,
         4,
         {text("PUBLISH target %s", message_of(events[0])),
          text("PUBLISH target %s", message_of(events[1])),
          text("PUBLISH target %s", message_of(events[2])),
          text("PUBLISH target %s", message_of(events[3]))}},
        {EVENTS_NAMESPACE,
         3,
         {text("HSET target photos/a b %s", message_of(events[0])),
          "HDEL target photos/a b",
          text("HSET target photos/c %s", message_of(events[2])), NULL}},
        {EVENTS_ACCESS,
         3,
         {access, "RPUSH target [*", "RPUSH target [*", NULL}},
    };
    for (size_t i = 0; i < 3; i++) {
        struct fake_step steps[10] = {ACCEPT, COMMAND("PING", "+PONG\r\n"),
                                      COMMAND("MULTI", OK)};
        struct fake fake;
        size_t at = 3;
        for (size_t j = 0; j < cases[i].count; j++) {
            steps[at++] =
                (struct fake_step)COMMAND(cases[i].commands[j], QUEUED);
        }
        steps[at++] = (struct fake_step)COMMAND(
            "EXEC", cases[i].count == 4 ? "*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n"
                                        : "*3\r\n:1\r\n:1\r\n:1\r\n");
        steps[at] = (struct fake_step)WAIT_CLOSE;
        struct delivery delivery = begin(&fake, steps, cases[i].kind);
        deliver(&delivery, 0, 4);
        end(&delivery, &fake);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_events, free_texts)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_cache_tags),
        TEST(test_stream),
        TEST(test_maxlen),
        TEST(test_resend),
        TEST(test_stream_behind),
        TEST(test_foreign_entries),
        TEST(test_other_writer),
        TEST(test_last_id),
        TEST(test_refused_in_transaction),
        TEST(test_moved),
        TEST(test_forms),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
