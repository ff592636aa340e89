/* The publisher's threads: woken by commits, again after errors, never waited
 * for; and what leaves the outbox when. */
#include "events/publisher.h"
#include "redis_fixture.h"

struct fixture {
    struct meta *meta;
    struct events *events;
    struct events_target *target;
    struct publisher *publisher;
    struct fake fake;
};

static void start_limited(struct fixture *f, const struct fake_step *steps,
                          uint64_t limit)
{
    char address[32];
    fake_start(&f->fake, steps);
    snprintf(address, sizeof(address), "127.0.0.1:%u", f->fake.port);
    const struct events_target_options target = {.name = "main",
                                                 .kind = EVENTS_STREAM,
                                                 .limit_events = limit,
                                                 .redis = address,
                                                 .key = "s3"};
    const struct events_options options = {
        .region = "us-east-1", .targets = &target, .count = 1};
    assert_int_equal(meta_open(kv_open_memory(), &f->meta), 0);
    f->events = events_open(f->meta, &options);
    f->target = events_target(f->events, 0);
    fake_go(&f->fake);
    f->publisher = publisher_open(f->events);
}

static void start(struct fixture *f, const struct fake_step *steps)
{
    start_limited(f, steps, 0);
}

static struct meta_batch *batch_with_event(struct fixture *f, const char *key)
{
    struct meta_batch *batch = meta_batch_new(f->meta);
    Meta__Event event = META__EVENT__INIT;
    event.type = META__EVENT_TYPE__OBJECT_CREATED_PUT;
    event.time_ms = clock_wall_ms();
    event.bucket.data = (uint8_t *)"photos";
    event.bucket.len = 6;
    event.key.data = (uint8_t *)key;
    event.key.len = strlen(key);
    meta_put_event(batch, events_target_outbox(f->target), &event);
    return batch;
}

static void commit(struct meta_batch *batch)
{
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
}

static struct publisher_status status_of(struct fixture *f)
{
    const struct events_target_options *options;
    struct publisher_status status;
    assert_true(publisher_status(f->publisher, 0, &options, &status));
    assert_string_equal(options->name, "main");
    return status;
}

/* What another thread does soon. */
static struct publisher_status wait_for(struct fixture *f,
                                        enum publisher_state state,
                                        uint64_t delivered)
{
    for (unsigned i = 0; i < 60000; i++) {
        const struct publisher_status status = status_of(f);
        if (status.state == state && status.delivered == delivered) {
            return status;
        }
        usleep(1000);
    }
    fail_msg("waited in vain");
    return status_of(f);
}

static uint64_t in_outbox(struct fixture *f)
{
    struct meta_backlog backlog;
    meta_get_backlog(events_target_outbox(f->target), &backlog);
    return backlog.events;
}

static void stop(struct fixture *f, uint64_t left)
{
    publisher_close(f->publisher);
    assert_int_equal(in_outbox(f), left);
    events_close(f->events);
    meta_close(f->meta);
    fake_end(&f->fake);
}

#define HELLO                                                                  \
    ACCEPT, COMMAND("PING", "+PONG\r\n"),                                      \
        COMMAND("XINFO STREAM s3", "-ERR no such key\r\n")
#define ONE(key)                                                               \
    COMMAND("MULTI", OK), COMMAND("XADD s3 0-*", QUEUED),                      \
        COMMAND("EXEC", "*1\r\n$3\r\n0-1\r\n")

/* --- tests -----------------------------------------------------------------*/
static void test_delivers(void **state)
{
    static const struct fake_step steps[] = {HELLO, ONE("a"), ONE("b"),
                                             WAIT_CLOSE, STEPS_END};
    struct fixture f;
    (void)state;
    start(&f, steps);
    wait_for(&f, PUBLISHER_READY, 0);
    commit(batch_with_event(&f, "a"));
    wait_for(&f, PUBLISHER_READY, 1);
    meta_batch_free(batch_with_event(&f, "never"));
    commit(batch_with_event(&f, "b"));
    const struct publisher_status status = wait_for(&f, PUBLISHER_READY, 2);
    assert_int_equal(status.backlog_events, 0);
    assert_int_equal(status.backlog_bytes, 0);
    assert_int_equal(status.lag_ms, 0);
    assert_int_equal(status.retried, 0);
    assert_true(status.delivered_ms > 0);
    assert_int_equal(status.error_ms, 0);
    stop(&f, 0);
}

/* One that waits for an earlier change to be committed is sent after it. */
static void test_order(void **state)
{
    static const struct fake_step steps[] = {
        HELLO,
        COMMAND("MULTI", OK),
        COMMAND("XADD s3 0-*", QUEUED),
        COMMAND("XADD s3 0-*", QUEUED),
        COMMAND("EXEC", "*2\r\n+OK\r\n+OK\r\n"),
        WAIT_CLOSE,
        STEPS_END};
    struct fixture f;
    (void)state;
    start(&f, steps);
    wait_for(&f, PUBLISHER_READY, 0);
    struct meta_batch *first = batch_with_event(&f, "a");
    commit(batch_with_event(&f, "b"));
    assert_int_equal(status_of(&f).delivered, 0);
    commit(first);
    wait_for(&f, PUBLISHER_READY, 2);
    stop(&f, 0);
}

/* Redis dies in the middle of a batch, comes back empty, and is full for a
 * moment. */
static void test_retries(void **state)
{
    static const struct fake_step steps[] = {
        HELLO,
        COMMAND("MULTI", OK),
        CLOSE,
        HELLO,
        COMMAND("MULTI", OK),
        COMMAND("XADD s3 0-*", "-OOM command not allowed\r\n"),
        COMMAND("EXEC", "-EXECABORT discarded\r\n"),
        WAIT_CLOSE,
        HELLO,
        ONE("a"),
        WAIT_CLOSE,
        STEPS_END};
    struct fixture f;
    (void)state;
    start(&f, steps);
    commit(batch_with_event(&f, "a"));
    const struct publisher_status status = wait_for(&f, PUBLISHER_READY, 1);
    assert_int_equal(status.retried, 2);
    assert_true(status.error_ms > 0);
    assert_string_equal(status.error, "OOM command not allowed");
    stop(&f, 0);
}

static void test_refused(void **state)
{
    static const struct fake_step steps[] = {
        ACCEPT, COMMAND("PING", "-NOAUTH Authentication required.\r\n"),
        WAIT_CLOSE, STEPS_END};
    struct fixture f;
    (void)state;
    start(&f, steps);
    wait_for(&f, PUBLISHER_REFUSED, 0);
    commit(batch_with_event(&f, "a"));
    const struct publisher_status status = status_of(&f);
    assert_string_equal(status.error, "NOAUTH Authentication required.");
    assert_int_equal(status.backlog_events, 1);
    stop(&f, 1);
}

/* Nobody has to tell the publisher that he has mended it. */
static void test_mended(void **state)
{
    static const struct fake_step steps[] = {
        ACCEPT,     COMMAND("PING", "-NOAUTH Authentication required.\r\n"),
        WAIT_CLOSE, HELLO,
        ONE("a"),   WAIT_CLOSE,
        STEPS_END};
    struct fixture f;
    (void)state;
    start(&f, steps);
    commit(batch_with_event(&f, "a"));
    const struct publisher_status status = wait_for(&f, PUBLISHER_READY, 1);
    assert_string_equal(status.error, "NOAUTH Authentication required.");
    stop(&f, 0);
}

/* A Redis that does not answer holds up nobody, nor the end. */
static void test_silent(void **state)
{
    static const struct fake_step steps[] = {HELLO,
                                             COMMAND("MULTI", NULL),
                                             COMMAND("XADD s3 0-*", NULL),
                                             COMMAND("EXEC", NULL),
                                             WAIT_CLOSE,
                                             STEPS_END};
    struct fixture f;
    (void)state;
    start(&f, steps);
    wait_for(&f, PUBLISHER_READY, 0);
    commit(batch_with_event(&f, "a"));
    for (unsigned i = 0; status_of(&f).lag_ms == 0 && i < 60000; i++) {
        usleep(1000); /* the batch is on its way */
    }
    commit(batch_with_event(&f, "b"));
    assert_int_equal(status_of(&f).backlog_events, 2);
    const uint64_t began_us = clock_monotonic_us();
    publisher_close(f.publisher);
    assert_true(clock_monotonic_us() - began_us < 2000000);
    assert_int_equal(in_outbox(&f), 2);
    events_close(f.events);
    meta_close(f.meta);
    pthread_join(f.fake.thread, NULL);
    close(f.fake.listener);
    buffer_free(&f.fake.input);
}

/* What is delivered leaves the outbox before it counts against its limit. */
static void test_trims_in_time(void **state)
{
    enum { COUNT = 40 };
    static struct fake_step steps[3 + 3 * COUNT + 2] = {HELLO};
    struct fixture f;
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        steps[3 + 3 * i] = (struct fake_step)COMMAND("MULTI", OK);
        steps[4 + 3 * i] = (struct fake_step)COMMAND("XADD s3 0-*", QUEUED);
        steps[5 + 3 * i] = (struct fake_step)COMMAND("EXEC", "*1\r\n+OK\r\n");
    }
    steps[3 + 3 * COUNT] = (struct fake_step)WAIT_CLOSE;
    start_limited(&f, steps, 8);
    for (uint64_t i = 1; i <= COUNT; i++) {
        commit(batch_with_event(&f, "a"));
        wait_for(&f, PUBLISHER_READY, i);
        assert_true(in_outbox(&f) <= 3);
    }
    stop(&f, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivers),      cmocka_unit_test(test_order),
        cmocka_unit_test(test_retries),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_mended),        cmocka_unit_test(test_silent),
        cmocka_unit_test(test_trims_in_time),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
