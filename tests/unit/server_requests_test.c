/* Requests under way and ended: what is kept, what is joined, what is lost. */
#include "server/requests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

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
    requests_end(requests, &live, &made.request, &line, 10, 20);
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
    assert_string_equal(seen[0].name.key, "key2");
    for (unsigned i = 1; i < 4; i++) { /* from the middle, too */
        make(&made, i % 3, "b");
        requests_end(requests, &live[i % 3], &made.request, &line, 0, 0);
    }
    assert_int_equal(requests_live(requests, seen, 2), 0);
    requests_free(requests);
}

static void test_joined(void **state)
{
    struct requests *requests = requests_new();
    struct request_ended ended;
    uint64_t sequence = 0, lost = 0;
    struct made made;
    (void)state;
    run(requests, 1, "b", 200);
    assert_false(requests_are_traced(requests));
    assert_false(requests_next(requests, &sequence, &lost, &ended));
    assert_true(requests_are_traced(requests));
    make(&made, 1, "b");
    Wire__Trace trace = trace_of(&made);
    requests_worker(requests, &trace);
    assert_true(requests_next(requests, &sequence, &lost, &ended));
    assert_true(ended.stored && ended.worker);
    assert_int_equal(ended.status, 206);
    assert_int_equal(ended.sent, 77);
    assert_int_equal(ended.us, 100);
    assert_int_equal(ended.name.operation, WIRE__OPERATION__GET_OBJECT);

    make(&made, 2, "b"); /* of which s3d never heard */
    trace = trace_of(&made);
    trace.hot = true;
    requests_worker(requests, &trace);
    assert_true(requests_next(requests, &sequence, &lost, &ended));
    assert_true(!ended.stored && ended.worker && ended.hot);
    assert_string_equal(ended.name.key, "key2");
    assert_false(requests_next(requests, &sequence, &lost, &ended));
    assert_int_equal(sequence, 2);
    assert_int_equal(lost, 0);
    requests_free(requests);
}

static void test_too_many(void **state)
{
    struct requests *requests = requests_new();
    struct request_ended ended;
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
    assert_true(requests_next(requests, &sequence, &lost, &ended));
    assert_int_equal(lost, 0);
    sequence = 3;
    requests_next(requests, &sequence, &lost, &ended);
    assert_int_equal(lost, 7);
    requests_free(requests);
}

static void test_sums(void **state)
{
    struct request_sum *operations =
        calloc(REQUESTS_OPERATIONS, sizeof(*operations));
    struct request_sum *buckets = calloc(REQUESTS_BUCKETS, sizeof(*buckets));
    struct requests *requests = requests_new();
    (void)state;
    for (unsigned i = 0; i < REQUESTS_BUCKETS + 5; i++) {
        char name[16];
        snprintf(name, sizeof(name), "bucket%u", i);
        run(requests, i, name, i == 0 ? 503 : 200);
        run(requests, i, name, 200);
    }
    assert_int_equal(requests_sums(requests, operations, buckets),
                     REQUESTS_BUCKETS);
    const struct request_sum *puts = &operations[WIRE__OPERATION__PUT_OBJECT];
    assert_int_equal(puts->count, 2 * (REQUESTS_BUCKETS + 5));
    assert_int_equal(puts->errors, 1);
    assert_int_equal(puts->received, 10 * puts->count);
    assert_string_equal(buckets[1].name, "bucket0");
    assert_int_equal(buckets[1].count, 2);
    assert_int_equal(buckets[1].errors, 1);
    assert_int_equal(buckets[0].count, 12); /* the six without a place */
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
    requests_end(requests, &live, &made.request, &line, 0, 0);
    assert_true(requests_find(requests, made.id, &ended));
    assert_int_equal(strlen(ended.name.bucket), 63);
    assert_int_equal(strlen(ended.name.key), 256);
    assert_string_equal(ended.error, "NoSuchKey");
    requests_free(requests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_live),       cmocka_unit_test(test_joined),
        cmocka_unit_test(test_too_many),   cmocka_unit_test(test_sums),
        cmocka_unit_test(test_long_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
