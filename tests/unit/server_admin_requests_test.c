/* s3ctl top and trace: what is answered fits into a frame. */
#include "server/admin.h"
#include "server/requests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LIVE 300

struct full {
    struct server server;
    struct request_live live[LIVE];
    Wire__Request request;
    char id[20], bucket[64], key[256];
};

static const struct log_request line = {.status = 200, .error = ""};

static ProtobufCBinaryData bytes(char *text, size_t size)
{
    return (ProtobufCBinaryData){size, (uint8_t *)text};
}

/* Each of another bucket, with a key that takes most of all in JSON. */
static void make(struct full *full, unsigned number)
{
    wire__request__init(&full->request);
    const int id = snprintf(full->id, sizeof(full->id), "%016X", number);
    const int bucket = snprintf(full->bucket, sizeof(full->bucket), "%063u",
                                number % REQUESTS_BUCKETS);
    memset(full->key, '\1', sizeof(full->key));
    full->request.operation = WIRE__OPERATION__PUT_OBJECT;
    full->request.request_id = bytes(full->id, (size_t)id);
    full->request.bucket = bytes(full->bucket, (size_t)bucket);
    full->request.key = bytes(full->key, sizeof(full->key));
}

static int fill(void **state)
{
    struct full *full = calloc(1, sizeof(*full));
    struct requests *requests = full->server.requests = requests_new();
    for (unsigned i = 0; i < REQUESTS_KEPT; i++) {
        make(full, i);
        requests_begin(requests, &full->live[0], &full->request, 1);
        requests_end(requests, &full->live[0], &full->request, &line);
        Wire__Trace trace = WIRE__TRACE__INIT;
        trace.request_id = full->request.request_id;
        requests_worker(requests, &trace);
    }
    for (unsigned i = 0; i < LIVE; i++) {
        make(full, i);
        requests_begin(requests, &full->live[i], &full->request, 1);
    }
    *state = full;
    return 0;
}

static int empty(void **state)
{
    struct full *full = *state;
    for (unsigned i = 0; i < LIVE; i++) {
        make(full, i);
        requests_end(full->server.requests, &full->live[i], &full->request,
                     &line);
    }
    requests_free(full->server.requests);
    free(full);
    return 0;
}

/* The answer, which fits. */
static json_t *ask(struct full *full, const char *name, json_t *arguments)
{
    struct buffer out = {0};
    struct admin_call call = {
        .server = &full->server, .arguments = arguments, .out = &out};
    const struct admin_command *command = admin_request_commands;
    while (strcmp(command->name, name) != 0) {
        command++;
    }
    assert_int_equal(command->run(&call), 0);
    assert_true(out.size <= FRAME_MESSAGE_MAX - 64);
    json_t *result = json_loadb((char *)out.data, out.size, 0, NULL);
    assert_non_null(result);
    buffer_free(&out);
    json_decref(arguments);
    return result;
}

/* Each once, in as many answers as it takes. */
static void test_tail(void **state)
{
    size_t seen = 0, count;
    json_int_t after = 0;
    do {
        json_t *result =
            ask(*state, "request.tail", json_pack("{s:I}", "after", after));
        count = json_array_size(json_object_get(result, "requests"));
        seen += count;
        after = json_integer_value(json_object_get(result, "after"));
        assert_int_equal(after, seen);
        assert_int_equal(json_integer_value(json_object_get(result, "lost")),
                         0);
        json_decref(result);
    } while (count > 0);
    assert_int_equal(seen, REQUESTS_KEPT);
}

static void test_list(void **state)
{
    json_t *result = ask(*state, "request.list", json_object());
    const json_t *live = json_object_get(result, "requests");
    assert_int_equal(json_integer_value(json_object_get(result, "under_way")),
                     LIVE);
    assert_in_range(json_array_size(live), 10, REQUESTS_LIVE_MAX);
    assert_int_equal(json_object_size(json_object_get(result, "buckets")),
                     REQUESTS_BUCKETS - 1); /* no others */
    json_decref(result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tail),
        cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, fill, empty);
}
