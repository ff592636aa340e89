/*
 * Requests on a control connection: answered in a batch, or declined so that
 * nothing shows of them.
 */
#include "server_s3_fixture.h"
#include <jansson.h>

#define LIMITS "limits = { control_pending = 8; };"

static uint8_t data[ASK_BODY_MAX + 1];
static uint64_t generation;

/* --- a worker --------------------------------------------------------------*/
static int greet(void)
{
    const int fd = dial(&fixture, "s3d.sock");
    struct buffer out = {0};
    put_hello(&out);
    send_buffer(fd, &out);
    struct frame frame = receive_frame(fd);
    assert_int_equal(frame.header.type, FRAME_WELCOME);
    Wire__Welcome *welcome =
        wire__welcome__unpack(NULL, frame.header.length, frame.payload);
    assert_non_null(welcome);
    assert_true(welcome->requests);
    wire__welcome__free_unpacked(welcome, NULL);
    free(frame.payload);
    return fd;
}

static Wire__Request question(uint64_t id, const char *method, const char *key)
{
    Wire__Request request =
        request_of(strcmp(method, "HEAD") == 0 ? WIRE__OPERATION__HEAD_OBJECT
                                               : WIRE__OPERATION__GET_OBJECT,
                   key);
    request.id = id;
    request.method = bytes_of(method);
    request.key_generation = generation;
    request.segments = true;
    return request;
}

static void put_question(struct buffer *out, uint64_t id, const char *method,
                         const char *key)
{
    const Wire__Request request = question(id, method, key);
    put_message(out, FRAME_REQUEST, &request);
}

struct answer {
    uint64_t id;
    bool declined;
    unsigned status;
    uint64_t length;
    struct buffer body;
};

static void take_answer(int fd, const struct frame *frame,
                        struct answer *answer)
{
    *answer = (struct answer){0};
    assert_int_equal(frame->header.type, FRAME_ANSWER);
    Wire__Answer *message =
        wire__answer__unpack(NULL, frame->header.length, frame->payload);
    assert_non_null(message);
    answer->id = message->id;
    answer->declined = message->declined;
    wire__answer__free_unpacked(message, NULL);
    if (answer->declined) {
        return;
    }
    struct frame next = receive_frame(fd);
    assert_int_equal(next.header.type, FRAME_REPLY);
    Wire__Reply *reply =
        wire__reply__unpack(NULL, next.header.length, next.payload);
    assert_non_null(reply);
    answer->status = reply->status;
    answer->length = reply->content_length;
    wire__reply__free_unpacked(reply, NULL);
    free(next.payload);
    receive_body(fd, &answer->body);
}

static void receive_answer(int fd, struct answer *answer)
{
    struct frame frame = receive_frame(fd);
    take_answer(fd, &frame, answer);
    free(frame.payload);
}

static void ask(int fd, const char *method, const char *key,
                struct answer *answer)
{
    struct buffer out = {0};
    put_question(&out, 77, method, key);
    send_buffer(fd, &out);
    receive_answer(fd, answer);
    assert_int_equal(answer->id, 77);
}

static void gives(int fd, const char *key, size_t size)
{
    struct answer answer;
    ask(fd, "GET", key, &answer);
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.length, size);
    assert_int_equal(answer.body.size, size);
    assert_memory_equal(answer.body.data, data, size);
    buffer_free(&answer.body);
}

static void declines(int fd, const char *key)
{
    struct answer answer;
    ask(fd, "GET", key, &answer);
    assert_true(answer.declined);
}

/* --- what s3ctl sees -------------------------------------------------------*/
static json_t *requests_seen(void)
{
    char result[FIXTURE_RESULT];
    const int fd = dial(&fixture, "admin.sock");
    assert_true(ask_admin(fd, "request.list", "{}", result));
    close(fd);
    json_t *seen = json_loads(result, 0, NULL);
    assert_non_null(seen);
    return seen;
}

static json_int_t under_way(void)
{
    json_t *seen = requests_seen();
    const json_int_t count =
        json_integer_value(json_object_get(seen, "under_way"));
    json_decref(seen);
    return count;
}

/* Of all operations. */
static json_int_t ended(void)
{
    json_t *seen = requests_seen(), *sum;
    const char *name;
    json_int_t count = 0;
    json_object_foreach(json_object_get(seen, "operations"), name, sum)
    {
        count += json_integer_value(json_object_get(sum, "count"));
    }
    json_decref(seen);
    return count;
}

static void limit(const char *limits)
{
    char result[FIXTURE_RESULT];
    const int fd = dial(&fixture, "admin.sock");
    assert_true(limits != NULL ? ask_admin(fd, "quota.set", limits, result)
                               : ask_admin(fd, "quota.remove",
                                           "{\"bucket\":\"bucket\"}", result));
    close(fd);
}

/* --- answers ---------------------------------------------------------------*/
static void test_answers(void **state)
{
    const int fd = greet();
    const json_int_t before = ended();
    struct answer answer;
    (void)state;
    gives(fd, "small", 5);
    gives(fd, "empty", 0);
    gives(fd, "most", ASK_BODY_MAX);

    ask(fd, "HEAD", "over", &answer);
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.length, ASK_BODY_MAX + 1);
    assert_int_equal(answer.body.size, 0);

    ask(fd, "GET", "missing", &answer);
    assert_int_equal(answer.status, 404);
    assert_int_equal(answer.length, answer.body.size);
    assert_non_null(answer.body.data);
    assert_non_null(memmem(answer.body.data, answer.body.size,
                           "<Code>NoSuchKey</Code>", 22));
    buffer_free(&answer.body);
    assert_int_equal(ended() - before, 5);
    assert_int_equal(under_way(), 0);
    close(fd);
}

static void test_declines(void **state)
{
    const int fd = greet(), other = dial(&fixture, "s3d.sock");
    (void)state;
    const json_int_t before = ended();
    declines(fd, "over");
    assert_int_equal(ended(), before);
    assert_int_equal(under_way(), 0);
    get_object(other, "over", data, ASK_BODY_MAX + 1, generation);

    /* Of one request in a second none is lost. */
    limit("{\"bucket\":\"bucket\",\"requests\":\"1\"}");
    declines(fd, "over");
    declines(fd, "over");
    declines(fd, "over");
    gives(fd, "small", 5);
    limit(NULL);
    close(fd);
    close(other);
}

static void test_batch(void **state)
{
    const int fd = greet();
    struct buffer out = {0};
    struct answer answers[3];
    (void)state;
    put_question(&out, 7, "GET", "small");
    put_question(&out, UINT64_MAX, "GET", "over");
    put_question(&out, 9, "GET", "most");
    send_buffer(fd, &out);
    for (unsigned i = 0; i < 3; i++) {
        receive_answer(fd, &answers[i]);
        assert_int_equal(answers[i].declined, answers[i].id == UINT64_MAX);
        assert_int_equal(answers[i].body.size, answers[i].id == 7 ? 5
                                               : answers[i].id == 9
                                                   ? ASK_BODY_MAX
                                                   : 0);
        buffer_free(&answers[i].body);
    }
    assert_int_equal(answers[0].id ^ answers[1].id ^ answers[2].id,
                     7 ^ 9 ^ UINT64_MAX);
    close(fd);
}

/* More than may be under way at once, and more than a socket holds. */
static void test_many(void **state)
{
    enum { COUNT = 300 };
    const int fd = greet();
    bool seen[COUNT + 1] = {false};
    unsigned declined = 0;
    struct buffer out = {0};
    (void)state;
    for (unsigned i = 1; i <= COUNT; i++) {
        put_question(&out, i, "GET", i % 10 == 0 ? "most" : "small");
    }
    send_buffer(fd, &out);
    for (unsigned i = 1; i <= COUNT; i++) {
        struct answer answer;
        receive_answer(fd, &answer);
        assert_in_range(answer.id, 1, COUNT);
        assert_false(seen[answer.id]);
        seen[answer.id] = true;
        if (answer.declined) { /* half of control_pending are keys' */
            declined++;
            continue;
        }
        assert_int_equal(answer.status, 200);
        assert_int_equal(answer.body.size,
                         answer.id % 10 == 0 ? ASK_BODY_MAX : 5);
        buffer_free(&answer.body);
    }
    assert_in_range(declined, 1, COUNT - 1);
    close(fd);
}

/* --- a limited bandwidth ---------------------------------------------------*/
static void test_turn(void **state)
{
    const int fd = greet();
    const uint64_t began_us = clock_monotonic_us();
    struct buffer out = {0};
    (void)state;
    /* A tenth of a second each, of which one may be caught up with. */
    limit("{\"bucket\":\"bucket\",\"download\":\"320K\"}");
    for (unsigned i = 1; i <= 3; i++) {
        put_question(&out, i, "GET", "most");
    }
    send_buffer(fd, &out);
    for (unsigned i = 1; i <= 3; i++) {
        struct answer answer;
        receive_answer(fd, &answer);
        assert_int_equal(answer.body.size, ASK_BODY_MAX);
        buffer_free(&answer.body);
    }
    assert_true(clock_monotonic_us() - began_us >= 99000);
    limit(NULL);
    close(fd);
}

/* Those who wait for their bandwidth hold up nobody, and are let go of. */
static void test_many_turns(void **state)
{
    const int fd = greet();
    bool found = false, declined = false;
    struct buffer out = {0};
    (void)state;
    limit("{\"bucket\":\"bucket\",\"download\":\"16K\"}"); /* 2 s each */
    for (unsigned i = 1; i <= 30; i++) {
        put_question(&out, i, "GET", "most");
    }
    put_key_request(&out);
    send_buffer(fd, &out);
    while (!found || !declined) {
        struct frame frame = receive_frame(fd);
        if (frame.header.type == FRAME_KEY_REPLY) {
            found = true;
        } else {
            struct answer answer;
            take_answer(fd, &frame, &answer);
            declined |= answer.declined;
            buffer_free(&answer.body);
        }
        free(frame.payload);
    }
    close(fd);
    limit(NULL);
}

/* --- what goes wrong -------------------------------------------------------*/
static void is_cut(struct buffer *out)
{
    const int fd = greet();
    send_buffer(fd, out);
    expect_closed(fd);
}

static void test_bad(void **state)
{
    static uint8_t filler[ASK_MESSAGE_MAX];
    struct buffer out = {0};
    Wire__Request request = question(0, "GET", "small");
    (void)state;
    put_message(&out, FRAME_REQUEST, &request);
    is_cut(&out);
    request.id = 1;
    request.has_body = true;
    put_message(&out, FRAME_REQUEST, &request);
    is_cut(&out);
    request.has_body = false;
    request.resource =
        (ProtobufCBinaryData){.data = filler, .len = sizeof(filler)};
    put_message(&out, FRAME_REQUEST, &request);
    is_cut(&out);
    put_frame(&out, FRAME_REQUEST, "\xff\xff\xff\xff", 4);
    is_cut(&out);
    put_frame(&out, FRAME_KEY_REQUEST, filler, 4097);
    is_cut(&out);

    /* Of a key request nothing beyond the limit is waited for. */
    uint8_t header[FRAME_HEADER_SIZE];
    frame_encode(header, FRAME_KEY_REQUEST, filler, 4097);
    buffer_append(&out, header, sizeof(header));
    is_cut(&out);

    /* Without a HELLO it is a request connection, as ever. */
    const int fd = dial(&fixture, "s3d.sock");
    get_object(fd, "small", data, 5, generation);
    close(fd);
}

static void test_long_question(void **state)
{
    static uint8_t filler[ASK_MESSAGE_MAX - 1024];
    const int fd = greet();
    struct buffer out = {0};
    struct answer answer;
    Wire__Request request = question(5, "GET", "small");
    (void)state;
    memset(filler, '/', sizeof(filler));
    request.resource =
        (ProtobufCBinaryData){.data = filler, .len = sizeof(filler)};
    put_message(&out, FRAME_REQUEST, &request);
    send_buffer(fd, &out);
    receive_answer(fd, &answer);
    assert_int_equal(answer.status, 200);
    buffer_free(&answer.body);
    close(fd);
}

/* A worker that goes away in the middle, having read nothing. */
static void test_gone(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 10; round++) {
        const int fd = greet();
        struct buffer out = {0};
        for (unsigned i = 1; i <= 20 + round; i++) {
            put_question(&out, i, "GET", "most");
        }
        send_bytes(fd, out.data, out.size - 7 * round);
        buffer_free(&out);
        if (round % 2 == 0) {
            wait_read(fd);
        }
        close(fd);
    }
    wait_until(under_way() == 0);
    const int fd = greet();
    gives(fd, "small", 5);
    close(fd);
}

static void test_leave(void **state)
{
    const int fd = greet();
    (void)state;
    gives(fd, "small", 5);
    assert_int_equal(kill(fixture.pid, SIGTERM), 0);
    expect_frame(fd, FRAME_LEAVE);
    close(fd);
    assert_int_equal(fixture_wait(fixture.pid), 0);
    fixture_start(&fixture);
    generation = key_generation();
}

/* --- all of it -------------------------------------------------------------*/
static int open_fixture(void **state)
{
    (void)state;
    fixture_new(&fixture, 3, LIMITS);
    add_operator();
    generation = key_generation();
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    const int fd = dial(&fixture, "s3d.sock");
    make_bucket(fd, generation);
    put_object(fd, "small", data, 5, generation);
    put_object(fd, "empty", data, 0, generation);
    put_object(fd, "most", data, ASK_BODY_MAX, generation);
    put_object(fd, "over", data, ASK_BODY_MAX + 1, generation);
    close(fd);
    return 0;
}

static int close_fixture(void **state)
{
    (void)state;
    fixture_remove(&fixture);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers), cmocka_unit_test(test_declines),
        cmocka_unit_test(test_batch),   cmocka_unit_test(test_many),
        cmocka_unit_test(test_turn),    cmocka_unit_test(test_many_turns),
        cmocka_unit_test(test_bad),     cmocka_unit_test(test_long_question),
        cmocka_unit_test(test_gone),    cmocka_unit_test(test_leave),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
