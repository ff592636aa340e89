/* The feed: who hears what, in order, and what a slow listener loses. */
#include "events/events.h"
#include "events/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ProtobufCBinaryData bytes(const char *text)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)text, .len = strlen(text)};
}

static void tell(struct feed *feed, Meta__EventType type, const char *bucket,
                 const char *key)
{
    Meta__Event event = META__EVENT__INIT;
    event.sequence = 7;
    event.type = type;
    event.bucket = bytes(bucket);
    event.key = bytes(key);
    feed_tell(feed, &event);
}

static void put(struct feed *feed, const char *key)
{
    tell(feed, META__EVENT_TYPE__OBJECT_CREATED_PUT, "photos", key);
}

/* What it has heard: the keys, with blanks between. */
static void heard(struct feed_listener *listener, const char *expected)
{
    struct buffer lines = {0}, keys = {0};
    while (feed_take(listener, 1000, &lines) == FEED_TAKEN) {
        ;
    }
    buffer_append(&lines, "", 1);
    const char *at = (char *)lines.data;
    while ((at = strstr(at, "\"key\":\"")) != NULL) {
        at += strlen("\"key\":\"");
        buffer_append_string(&keys, keys.size > 0 ? " " : "");
        buffer_append(&keys, at, strcspn(at, "\""));
    }
    buffer_append(&keys, "", 1);
    assert_string_equal((char *)keys.data, expected);
    buffer_free(&lines);
    buffer_free(&keys);
}

static void test_filters(void **state)
{
    struct feed *feed = feed_new();
    const struct feed_filter all = {0};
    const struct feed_filter bucket = {.bucket = SLICE_LITERAL("photos")};
    const struct feed_filter ends = {.prefix = SLICE_LITERAL("a/"),
                                     .suffix = SLICE_LITERAL(".jpg")};
    const struct feed_filter removals = {
        .types = {META__EVENT_TYPE__OBJECT_REMOVED_ANY,
                  META__EVENT_TYPE__OBJECT_CREATED_COPY},
        .type_count = 2};
    const struct feed_filter *const filters[] = {&all, &bucket, &ends,
                                                 &removals};
    static const char *const expected[] = {
        "a/1.jpg a/1.png b/1.jpg gone copied", "a/1.jpg a/1.png gone copied",
        "a/1.jpg", "gone copied"};
    struct feed_listener *listeners[4];
    (void)state;
    assert_false(feed_wanted(feed));
    put(feed, "before");
    for (size_t i = 0; i < 4; i++) {
        listeners[i] = feed_listen(feed, filters[i]);
        assert_non_null(listeners[i]);
    }
    assert_true(feed_wanted(feed));
    put(feed, "a/1.jpg");
    put(feed, "a/1.png");
    tell(feed, META__EVENT_TYPE__OBJECT_CREATED_PUT, "other", "b/1.jpg");
    tell(feed, META__EVENT_TYPE__OBJECT_REMOVED_DELETE, "photos", "gone");
    tell(feed, META__EVENT_TYPE__OBJECT_CREATED_COPY, "photos", "copied");
    for (size_t i = 0; i < 4; i++) {
        heard(listeners[i], expected[i]);
        feed_leave(listeners[i]);
    }
    assert_false(feed_wanted(feed));
    feed_free(feed);
}

static void count(void *context)
{
    ++*(int *)context;
}

static void test_wakes_once(void **state)
{
    struct feed *feed = feed_new();
    const struct feed_filter all = {0};
    int woken = 0;
    (void)state;
    feed_on_wake(feed, count, &woken);
    struct feed_listener *listener = feed_listen(feed, &all);
    heard(listener, "");
    put(feed, "a");
    put(feed, "b");
    assert_int_equal(woken, 1);
    heard(listener, "a b");
    put(feed, "c");
    assert_int_equal(woken, 2);
    feed_end(feed);
    assert_int_equal(woken, 3);
    struct buffer out = {0};
    assert_int_equal(feed_take(listener, 1, &out), FEED_TAKEN);
    assert_int_equal(feed_take(listener, 1, &out), FEED_ENDED);
    buffer_free(&out);
    feed_leave(listener);
    feed_free(feed);
}

/* Lines come whole, however little is taken at once. */
static void test_takes_lines(void **state)
{
    struct feed *feed = feed_new();
    const struct feed_filter all = {0};
    struct feed_listener *listener = feed_listen(feed, &all);
    struct buffer out = {0};
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        put(feed, "a");
    }
    for (unsigned i = 0; i < 5; i++) {
        const size_t before = out.size;
        assert_int_equal(feed_take(listener, 1, &out), FEED_TAKEN);
        assert_int_equal(out.data[out.size - 1], '\n');
        assert_null(memchr(out.data + before, '\n', out.size - before - 1));
    }
    assert_int_equal(feed_take(listener, 1, &out), FEED_NOTHING);
    buffer_free(&out);
    feed_leave(listener);
    feed_free(feed);
}

/* Nobody waits for a listener; it learns where how many were lost. */
static void test_slow_listener(void **state)
{
    struct feed *feed = feed_new();
    const struct feed_filter all = {0};
    struct feed_listener *listener = feed_listen(feed, &all);
    struct buffer out = {0};
    static const char says[] = "{\"Records\":[],\"Lost\":";
    uint64_t lines = 0;
    size_t last = 0;
    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        put(feed, "a");
    }
    while (feed_take(listener, 65536, &out) == FEED_TAKEN) {
        ;
    }
    for (size_t i = 0; i + 1 < out.size; i++) {
        if (out.data[i] == '\n') {
            lines++;
            last = i + 1;
        }
    }
    assert_true(lines > 1000 && out.size < FEED_BYTES_MAX + 100);
    buffer_append(&out, "", 1);
    assert_memory_equal(out.data + last, says, strlen(says));
    const uint64_t lost =
        strtoull((char *)out.data + last + strlen(says), NULL, 10);
    assert_int_equal(lines + lost, 10000);
    put(feed, "z");
    heard(listener, "z");
    buffer_free(&out);
    feed_leave(listener);
    feed_free(feed);
}

static void test_too_many(void **state)
{
    struct feed *feed = feed_new();
    const struct feed_filter all = {0};
    struct feed_listener *listeners[FEED_LISTENERS_MAX];
    (void)state;
    for (size_t i = 0; i < FEED_LISTENERS_MAX; i++) {
        listeners[i] = feed_listen(feed, &all);
        assert_non_null(listeners[i]);
    }
    assert_null(feed_listen(feed, &all));
    for (size_t i = 0; i < FEED_LISTENERS_MAX; i++) {
        feed_leave(listeners[i]);
    }
    feed_free(feed);
}

static void test_shares(void **state)
{
    struct feed *feed = feed_new();
    const struct feed_filter one = {.account = SLICE_LITERAL("one")};
    const struct feed_filter two = {.account = SLICE_LITERAL("two")};
    struct feed_listener *listeners[FEED_SHARE_MAX], *other;
    (void)state;
    for (size_t i = 0; i < FEED_SHARE_MAX; i++) {
        listeners[i] = feed_listen(feed, &one);
        assert_non_null(listeners[i]);
    }
    assert_null(feed_listen(feed, &one));
    other = feed_listen(feed, &two);
    assert_non_null(other);
    feed_leave(listeners[0]);
    listeners[0] = feed_listen(feed, &one);
    assert_non_null(listeners[0]);
    for (size_t i = 0; i < FEED_SHARE_MAX; i++) {
        feed_leave(listeners[i]);
    }
    feed_leave(other);
    feed_free(feed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_wakes_once),
        cmocka_unit_test(test_takes_lines),
        cmocka_unit_test(test_slow_listener),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
