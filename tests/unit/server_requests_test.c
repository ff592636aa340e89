/* Requests under way and ended: what is kept, what is joined, what is lost. */
#include "server/requests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LATER_US (UINT64_C(3600) * 1000000)

struct made {
    Wire__Request request;
    char id[20], bucket[80], key[400];
};

static ProtobufCBinaryData bytes(char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

static void make(struct made *made, unsigned number, const char *bucket)
{
    wire__request__init(&made->request);
    snprintf(made->id, sizeof(made->id), "%016X", number);
    snprintf(made->bucket, sizeof(made->bucket), "%s", bucket);
    snprintf(made->key, sizeof(made->key), "key%u", number);
    made->request.operation = WIRE__OPERATION__PUT_OBJECT;
    made->request.request_id = bytes(made->id);
    made->request.bucket = bytes(made->bucket);
    made->request.key = bytes(made->key);
}

static void run(struct requests *requests, unsigned number, const char *bucket,
                unsigned status)
{
    const struct log_request line = {
        .status = status, .error = "", .us = 100, .steps_us = 80};
    struct request_live live;
    struct made made;
    make(&made, number, bucket);
    requests_begin(requests, &live, &made.request, 1);
    atomic_store(&live.received, 10);
    atomic_store(&live.sent, 20);
    requests_end(requests, &live, &made.request, &line);
}

static Wire__Trace trace_of(struct made *made)
{
    Wire__Trace trace = WIRE__TRACE__INIT;
    trace.request_id = made->request.request_id;
    trace.bucket = made->request.bucket;
    trace.key = made->request.key;
    trace.operation = WIRE__OPERATION__GET_OBJECT;
    trace.status = 206;
    trace.sent = 77;
    return trace;
}

static void test_dropped(void **state)
{
    struct requests *requests = requests_new();
    struct request_live live[2], seen[2];
    struct made made;
    const struct log_request line = {.error = ""};
    (void)state;
    make(&made, 1, "b");
    requests_begin(requests, &live[0], &made.request, 1);
    make(&made, 2, "b");
    requests_begin(requests, &live[1], &made.request, 1);
    requests_drop(requests, &live[0]);
    assert_int_equal(requests_live(requests, seen, 2), 1);
    assert_string_equal(seen[0].name.key, "key2");
    assert_int_equal(requests_newest(requests), 0);
    requests_end(requests, &live[1], &made.request, &line);
    requests_free(requests);
}

static void test_live(void **state)
{
    struct requests *requests = requests_new();
    struct request_live live[3], seen[2];
    struct made made;
    const struct log_request line = {.error = ""};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        make(&made, i, "b");
        requests_begin(requests, &live[i], &made.request, i);
    }
    assert_int_equal(requests_live(requests, seen, 2), 3);
    assert_string_equal(seen[0].name.key, "key0");
    assert_string_equal(seen[1].name.key, "key1");
    for (unsigned i = 1; i < 4; i++) { /* from the middle, too */
        make(&made, i % 3, "b");
        requests_end(requests, &live[i % 3], &made.request, &line);
        if (i == 2) { /* the newest has ended: what comes is behind the rest */
            make(&made, 3, "b");
            requests_begin(requests, &live[1], &made.request, 4);
            assert_int_equal(requests_live(requests, seen, 2), 2);
            assert_string_equal(seen[0].name.key, "key0");
            assert_string_equal(seen[1].name.key, "key3");
            requests_end(requests, &live[1], &made.request, &line);
        }
    }
    assert_int_equal(requests_live(requests, seen, 2), 0);
    requests_free(requests);
}

static void test_joined(void **state)
{
    struct requests *requests = requests_new();
    struct request_ended ended;
    const uint64_t now_us = clock_monotonic_us(); /* it stands still */
    uint64_t sequence = 0, lost = 0;
    struct made made;
    (void)state;
    run(requests, 1, "b", 200);
    assert_false(requests_are_traced(requests, now_us));
    assert_false(requests_next(requests, now_us, &sequence, &lost, &ended));
    assert_true(requests_are_traced(requests, now_us));
    assert_false(requests_are_traced(requests, now_us + 10000000));
    make(&made, 1, "b");
    Wire__Trace trace = trace_of(&made);
    requests_worker(requests, &trace);
    assert_true(requests_next(requests, now_us, &sequence, &lost, &ended));
    assert_true(ended.stored && ended.worker);
    assert_int_equal(ended.status, 206);
    assert_int_equal(ended.sent, 77);
    assert_int_equal(ended.us, 100);
    assert_int_equal(ended.name.operation, WIRE__OPERATION__GET_OBJECT);

    make(&made, 2, "b"); /* of which s3d never heard */
    trace = trace_of(&made);
    trace.hot = true;
    requests_worker(requests, &trace);
    assert_true(requests_next(requests, now_us, &sequence, &lost, &ended));
    assert_true(!ended.stored && ended.worker && ended.hot);
    assert_string_equal(ended.name.key, "key2");
    assert_false(requests_next(requests, now_us, &sequence, &lost, &ended));
    assert_int_equal(sequence, 2);
    assert_int_equal(lost, 0);

    run(requests, 3, "b", 200); /* without the worker's part, a second later */
    assert_false(requests_next(requests, now_us, &sequence, &lost, &ended));
    assert_true(
        requests_next(requests, now_us + LATER_US, &sequence, &lost, &ended));
    assert_true(ended.stored && !ended.worker);
    requests_free(requests);
}

/* The worker may be faster than s3d: it is one request all the same. */
static void test_worker_first(void **state)
{
    struct requests *requests = requests_new();
    struct request_ended ended;
    const uint64_t now_us = clock_monotonic_us();
    uint64_t sequence = 0, lost = 0;
    struct made made;
    (void)state;
    make(&made, 1, "b");
    Wire__Trace trace = trace_of(&made);
    requests_worker(requests, &trace);
    assert_false(requests_next(requests, now_us, &sequence, &lost, &ended));
    run(requests, 1, "b", 200);
    assert_true(requests_next(requests, now_us, &sequence, &lost, &ended));
    assert_true(ended.stored && ended.worker);
    assert_int_equal(ended.status, 206);
    assert_int_equal(ended.us, 100);
    assert_int_equal(requests_newest(requests), 1);
    requests_free(requests);
}

/* What s3d was not asked for is nothing else's part, and waits for none. */
static void test_alone(void **state)
{
    struct requests *requests = requests_new();
    struct request_ended ended;
    const uint64_t now_us = clock_monotonic_us();
    uint64_t sequence = 1, lost = 0;
    struct made made;
    (void)state;
    run(requests, 1, "b", 200);
    make(&made, 1, "b");
    Wire__Trace trace = trace_of(&made);
    trace.alone = true;
    requests_worker(requests, &trace);
    assert_true(requests_next(requests, now_us, &sequence, &lost, &ended));
    assert_true(!ended.stored && ended.worker && ended.alone);
    run(requests, 1, "b", 200);
    assert_int_equal(requests_newest(requests), 3);
    requests_free(requests);
}

static void test_too_many(void **state)
{
    struct requests *requests = requests_new();
    struct request_ended ended;
    const uint64_t now_us = clock_monotonic_us(); /* it stands still */
    uint64_t sequence = 0, lost = 0;
    struct made made;
    (void)state;
    for (unsigned i = 1; i <= REQUESTS_KEPT + 10; i++) {
        run(requests, i, "b", 200);
    }
    assert_false(requests_find(requests, "000000000000000A", &ended));
    assert_true(requests_find(requests, "000000000000000B", &ended));
    assert_int_equal(ended.sequence, 11);
    make(&made, REQUESTS_KEPT + 10, "b");
    Wire__Trace trace = trace_of(&made);
    requests_worker(requests, &trace);
    sequence = REQUESTS_KEPT + 9;
    assert_true(requests_next(requests, now_us, &sequence, &lost, &ended));
    assert_int_equal(lost, 0);
    sequence = 3;
    requests_next(requests, now_us, &sequence, &lost, &ended);
    assert_int_equal(lost, 7);
    requests_free(requests);
}

static const struct request_sum *sum_of(const struct request_sum *buckets,
                                        size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(buckets[i].name, name) == 0) {
            return &buckets[i];
        }
    }
    return NULL;
}

static void test_sums(void **state)
{
    struct request_sum *operations =
        calloc(REQUESTS_OPERATIONS, sizeof(*operations));
    struct request_sum *buckets = calloc(REQUESTS_BUCKETS, sizeof(*buckets));
    struct requests *requests = requests_new();
    (void)state;
    run(requests, 1, "none", 404);
    run(requests, 1, "some", 200);
    run(requests, 1, "some", 503);
    run(requests, 1, "none", 503);
    assert_int_equal(requests_sums(requests, operations, buckets), 2);
    const struct request_sum *puts = &operations[WIRE__OPERATION__PUT_OBJECT];
    assert_int_equal(puts->count, 4);
    assert_int_equal(puts->errors, 2);
    assert_int_equal(puts->received, 40);
    assert_string_equal(buckets[0].name, "");
    assert_int_equal(buckets[0].count, 2); /* without a place */
    assert_int_equal(buckets[0].errors, 1);
    assert_string_equal(buckets[1].name, "some");
    assert_int_equal(buckets[1].count, 2);
    assert_int_equal(buckets[1].errors, 1);
    requests_free(requests);
    free(operations);
    free(buckets);
}

/* Bytes count as they move, requests when they end. */
static void test_bytes_under_way(void **state)
{
    struct request_sum *operations =
        calloc(REQUESTS_OPERATIONS, sizeof(*operations));
    struct request_sum *buckets = calloc(REQUESTS_BUCKETS, sizeof(*buckets));
    struct requests *requests = requests_new();
    const struct request_sum *puts = &operations[WIRE__OPERATION__PUT_OBJECT];
    const struct log_request line = {.status = 200, .error = ""};
    struct request_live live, seen;
    struct made made;
    (void)state;
    run(requests, 1, "some", 200);
    make(&made, 2, "some");
    requests_begin(requests, &live, &made.request, 1);
    atomic_store(&live.received, 1000);
    atomic_store(&live.sent, 5);
    assert_int_equal(requests_live(requests, &seen, 1), 1);
    assert_int_equal(atomic_load(&seen.received), 1000);
    assert_int_equal(atomic_load(&seen.sent), 5);
    for (unsigned ended = 0; ended < 2; ended++) {
        const size_t count = requests_sums(requests, operations, buckets);
        assert_int_equal(puts->count, 1 + ended);
        assert_int_equal(puts->received, 1010);
        assert_int_equal(puts->sent, 25);
        assert_int_equal(sum_of(buckets, count, "some")->received, 1010);
        assert_int_equal(sum_of(buckets, count, "some")->count, 1 + ended);
        if (ended == 0) {
            requests_end(requests, &live, &made.request, &line);
        }
    }
    requests_free(requests);
    free(operations);
    free(buckets);
}

/* The bucket that was unused for longest gives up its place. */
static void test_many_buckets(void **state)
{
    struct request_sum *operations =
        calloc(REQUESTS_OPERATIONS, sizeof(*operations));
    struct request_sum *buckets = calloc(REQUESTS_BUCKETS, sizeof(*buckets));
    struct requests *requests = requests_new();
    const unsigned many = 3 * REQUESTS_BUCKETS;
    (void)state;
    for (unsigned i = 0; i < many; i++) {
        char name[16];
        snprintf(name, sizeof(name), "bucket%u", i);
        run(requests, i, name, 200);
        run(requests, i, name, 200);
        run(requests, i, "busy", 200);
    }
    const size_t count = requests_sums(requests, operations, buckets);
    assert_int_equal(count, REQUESTS_BUCKETS);
    assert_int_equal(sum_of(buckets, count, "busy")->count, many);
    for (unsigned i = 0; i < many; i++) {
        char name[16];
        snprintf(name, sizeof(name), "bucket%u", i);
        const struct request_sum *sum = sum_of(buckets, count, name);
        const bool kept = i >= many - (REQUESTS_BUCKETS - 2);
        assert_true((sum != NULL) == kept);
        assert_true(sum == NULL || sum->count == 2);
    }
    requests_free(requests);
    free(operations);
    free(buckets);
}

static void test_long_names(void **state)
{
    struct requests *requests = requests_new();
    struct request_ended ended;
    struct request_live live;
    struct made made;
    const struct log_request line = {.error = "NoSuchKey"};
    (void)state;
    make(&made, 1, "b");
    memset(made.bucket, 'b', sizeof(made.bucket));
    memset(made.key, 'k', sizeof(made.key));
    made.request.bucket.len = sizeof(made.bucket);
    made.request.key.len = sizeof(made.key);
    requests_begin(requests, &live, &made.request, 1);
    requests_end(requests, &live, &made.request, &line);
    assert_true(requests_find(requests, made.id, &ended));
    assert_int_equal(strlen(ended.name.bucket), 63);
    assert_int_equal(strlen(ended.name.key), 256);
    assert_string_equal(ended.error, "NoSuchKey");
    requests_free(requests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worker_first),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_many_buckets),
        cmocka_unit_test(test_live),
        cmocka_unit_test(test_joined),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_bytes_under_way),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_dropped),
        cmocka_unit_test(test_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
