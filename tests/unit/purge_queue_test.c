/* Who waits for which request, when it is sent, and what is confirmed. */
#include "purge/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SECOND 1000000ull

static struct queue *queue;

static int setup(void **state)
{
    (void)state;
    queue = queue_new(0, 30000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    queue_free(queue);
    return 0;
}

/* An entry that asks for the requests, each a letter. */
static void add(const char *id, const char *requests, uint64_t now_us)
{
    struct queue_entry *entry = queue_add(queue, id, 0);
    for (; *requests != '\0'; requests++) {
        queue_add_request(queue, entry, slice_of(requests, 1), now_us);
    }
    queue_add_done(entry);
}

static struct queue_request *send(const char *expected, uint64_t now_us)
{
    struct queue_request *request = queue_send(queue, now_us);
    assert_non_null(request);
    assert_int_equal(request->size, 1);
    assert_int_equal(request->text[0], expected[0]);
    return request;
}

static void send_and_confirm(const char *expected, uint64_t now_us)
{
    queue_confirm(queue, send(expected, now_us), now_us);
}

/* The ids that are confirmed, with blanks between; they are forgotten. */
static void confirmed(const char *expected)
{
    struct queue_entry *entry = queue_confirmed(queue, NULL), *last = NULL;
    struct buffer ids = {0};
    for (; entry != NULL; entry = queue_confirmed(queue, entry)) {
        buffer_printf(&ids, "%s%s", last != NULL ? " " : "", entry->id);
        last = entry;
    }
    buffer_append(&ids, "", 1);
    assert_string_equal((const char *)ids.data, expected);
    buffer_free(&ids);
    if (last != NULL) {
        queue_forget(queue, last);
    }
    assert_null(queue_confirmed(queue, NULL));
}

static void assert_counts(size_t entries, size_t requests, size_t failing)
{
    struct queue_counts counts;
    queue_count(queue, &counts);
    assert_int_equal(counts.entries, entries);
    assert_int_equal(counts.requests, requests);
    assert_int_equal(counts.failing, failing);
}

static void test_order(void **state)
{
    (void)state;
    add("1", "ab", 0);
    add("2", "c", 0);
    add("3", "", 0); /* nothing is purged for it */
    assert_true(queue_has(queue, "2"));
    assert_false(queue_has(queue, "4"));
    struct queue_request *a = send("a", 0), *b = send("b", 0),
                         *c = send("c", 0);
    assert_null(queue_send(queue, 0));
    assert_true(queue_due_us(queue) == UINT64_MAX);
    queue_confirm(queue, c, 0);
    queue_confirm(queue, a, 0);
    confirmed("2 3");
    queue_confirm(queue, b, 0);
    confirmed("1");
    assert_counts(0, 0, 0);
    add("4", "d", 0); /* the list's end is where it was */
    send_and_confirm("d", 0);
    confirmed("4");
}

/* Q1, Q2 */
static void test_joined(void **state)
{
    (void)state;
    add("1", "aa", 0);
    add("2", "a", 0);
    assert_counts(2, 1, 0);
    struct queue_request *request = send("a", 0);
    add("3", "a", 0); /* it is on its way already: that does not do */
    assert_null(queue_send(queue, 0));
    queue_confirm(queue, request, 0);
    confirmed("1 2");
    send_and_confirm("a", 0);
    confirmed("3");
    assert_counts(0, 0, 0);
}

static void test_failed(void **state)
{
    (void)state;
    add("1", "a", 0);
    add("2", "b", 0);
    assert_int_equal(queue_fail(queue, send("a", 0), 0, 125), 250);
    assert_counts(2, 2, 1);
    send_and_confirm("b", 0); /* the next one goes on */
    confirmed("2");
    assert_null(queue_send(queue, 249999));
    assert_true(queue_due_us(queue) == 250000);
    add("3", "a", 1000); /* joins, and does not hurry it */
    assert_null(queue_send(queue, 249999));
    assert_int_equal(queue_fail(queue, send("a", 250000), 250000, 0), 250);
    queue_hurry(queue, 250001); /* the edge is back */
    send_and_confirm("a", 250001);
    confirmed("1 3");
    assert_counts(0, 0, 0);
}

/* An edge that is away: what failed waits, what is new does not. */
static void test_held(void **state)
{
    (void)state;
    add("1", "a", 0);
    queue_fail(queue, send("a", 0), 0, 0);
    queue_hold(queue, 5 * SECOND);
    assert_true(queue_due_us(queue) == 5 * SECOND);
    assert_null(queue_send(queue, 5 * SECOND - 1));
    add("2", "b", SECOND);
    assert_true(queue_due_us(queue) == SECOND);
    send_and_confirm("b", SECOND);
    queue_hurry(queue, SECOND);
    send_and_confirm("a", SECOND);
    confirmed("1 2");
}

static void test_again(void **state)
{
    (void)state;
    queue_free(queue);
    queue = queue_new(2 * SECOND, 30000);
    add("1", "a", 10 * SECOND);
    send_and_confirm("a", 10 * SECOND);
    confirmed("");
    assert_true(queue_due_us(queue) == 12 * SECOND);
    assert_null(queue_send(queue, 12 * SECOND - 1));
    add("2", "a", 11 * SECOND); /* does not wait for the time of the other */
    send_and_confirm("a", 11 * SECOND);
    confirmed("");
    assert_true(queue_due_us(queue) == 12 * SECOND);
    send_and_confirm("a", 12 * SECOND);
    confirmed("1");
    assert_true(queue_due_us(queue) == 13 * SECOND);
    queue_fail(queue, send("a", 13 * SECOND), 13 * SECOND, 0);
    confirmed("");
    send_and_confirm("a", 14 * SECOND);
    confirmed("2");
    assert_counts(0, 0, 0);
}

static void test_many(void **state)
{
    char id[16];
    (void)state;
    for (unsigned i = 0; i < 2000; i++) { /* more than the table has places */
        struct queue_entry *entry;
        snprintf(id, sizeof(id), "0-%u", i);
        entry = queue_add(queue, id, i);
        queue_add_request(queue, entry, slice_of(&i, sizeof(i)), 0);
        queue_add_request(queue, entry, SLICE_LITERAL("all"), 0);
        queue_add_done(entry);
    }
    assert_counts(2000, 2001, 0);
    for (unsigned i = 0; i < 2001; i++) {
        queue_confirm(queue, queue_send(queue, 0), 0);
    }
    assert_null(queue_send(queue, 0));
    const struct queue_entry *entry = NULL, *last = NULL;
    for (unsigned i = 0; i < 2000; i++) {
        last = entry = queue_confirmed(queue, entry);
        assert_int_equal(entry->time_ms, i);
    }
    queue_forget(queue, last);
    assert_counts(0, 0, 0);
}

static void test_schedule(void **state)
{
    static const uint64_t whole[] = {250,  500,  1000,  2000,
                                     4000, 8000, 16000, 30000};
    (void)state;
    for (unsigned attempts = 1; attempts < 64; attempts++) {
        const uint64_t pause = whole[attempts <= 8 ? attempts - 1 : 7];
        assert_int_equal(queue_retry_ms(attempts, 30000, 0), pause / 2);
        assert_int_equal(queue_retry_ms(attempts, 30000, (uint32_t)pause / 2),
                         pause);
        assert_int_equal(
            queue_retry_ms(attempts, 30000, (uint32_t)pause / 2 + 1),
            pause / 2);
    }
    assert_int_equal(queue_retry_ms(UINT32_MAX, 100, 50), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_joined, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_held, setup, teardown),
        cmocka_unit_test_setup_teardown(test_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        cmocka_unit_test(test_schedule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
