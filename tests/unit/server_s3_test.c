/*
 * The whole daemon but nginx: frames in, the real operations, drives.
 */
#include "server_fixture.h"

static struct fixture fixture;

static Wire__Request request_of(Wire__Operation operation, const char *key)
{
    Wire__Request request = WIRE__REQUEST__INIT;
    request.operation = operation;
    request.request_id = bytes_of("0123456789ABCDEF");
    request.bucket = bytes_of("bucket");
    request.key = bytes_of(key);
    request.resource = bytes_of("/bucket");
    request.host = bytes_of("localhost");
    request.access_key = bytes_of("AKIDEXAMPLE");
    request.server_region = bytes_of("us-east-1");
    return request;
}

/* The generation that a worker would have from KEY_REPLY. */
static uint64_t key_generation(void)
{
    const int fd = dial(&fixture, "s3d.sock");
    struct buffer out = {0};
    Wire__Hello hello = WIRE__HELLO__INIT;
    Wire__KeyRequest ask = WIRE__KEY_REQUEST__INIT;
    hello.version = FRAME_VERSION;
    ask.access_key = bytes_of("AKIDEXAMPLE");
    ask.date = bytes_of(today());
    ask.region = bytes_of("us-east-1");
    put_message(&out, FRAME_HELLO, &hello);
    put_message(&out, FRAME_KEY_REQUEST, &ask);
    send_buffer(fd, &out);
    expect_frame(fd, FRAME_WELCOME);
    struct frame frame = receive_frame(fd);
    Wire__KeyReply *reply =
        wire__key_reply__unpack(NULL, frame.header.length, frame.payload);
    assert_non_null(reply);
    assert_true(reply->found);
    const uint64_t generation = reply->generation;
    wire__key_reply__free_unpacked(reply, NULL);
    free(frame.payload);
    close(fd);
    return generation;
}

static void exchange(int fd, const Wire__Request *request, const void *body,
                     size_t size)
{
    struct buffer out = {0};
    put_message(&out, FRAME_REQUEST, request);
    for (size_t at = 0; at < size; at += FRAME_DATA_MAX)
        put_frame(&out, FRAME_DATA, (const uint8_t *)body + at,
                  size - at < FRAME_DATA_MAX ? size - at : FRAME_DATA_MAX);
    put_frame(&out, FRAME_END, NULL, 0);
    send_buffer(fd, &out);
}

static void put_object(int fd, const char *key, const void *data, size_t size,
                       uint64_t generation)
{
    Wire__Request put = request_of(WIRE__OPERATION__PUT_OBJECT, key);
    put.key_generation = generation;
    put.method = bytes_of("PUT");
    put.has_body = size > 0;
    put.content_length = size;
    exchange(fd, &put, data, size);
    expect_answer(fd, 200, NULL, 0);
}

static void get_object(int fd, const char *key, const void *data, size_t size,
                       uint64_t generation)
{
    Wire__Request get = request_of(WIRE__OPERATION__GET_OBJECT, key);
    get.key_generation = generation;
    get.method = bytes_of("GET");
    exchange(fd, &get, NULL, 0);
    expect_answer(fd, 200, data, size);
}

static void test_put_and_get(void **state)
{
    static const size_t sizes[] = {0, 1, 4096, 65536, 65537, 1000000, 9000001};
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
    static uint8_t data[9000001];
    int fd = dial(&fixture, "s3d.sock");
    char key[32];
    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);

    uint64_t generation = key_generation();
    Wire__Request create = request_of(WIRE__OPERATION__CREATE_BUCKET, "");
    create.key_generation = generation;
    create.method = bytes_of("PUT");
    exchange(fd, &create, NULL, 0);
    expect_answer(fd, 200, NULL, 0);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(key, sizeof(key), "key-%u", i);
        put_object(fd, key, data, sizes[i], generation);
        get_object(fd, key, data, sizes[i], generation);
    }
    /* A key of another generation is refused. */
    Wire__Request get = request_of(WIRE__OPERATION__GET_OBJECT, "key-1");
    get.key_generation = generation + 1;
    exchange(fd, &get, NULL, 0);
    expect_reply(fd, 403);
    struct buffer body = {0};
    receive_body(fd, &body);
    assert_true(body.size > 0);
    buffer_free(&body);
    close(fd);

    /* All is there after a crash, with two drives lost. */
    int status;
    assert_int_equal(kill(fixture.pid, SIGKILL), 0);
    assert_int_equal(waitpid(fixture.pid, &status, 0), fixture.pid);
    char command[256];
    snprintf(command, sizeof(command), "rm -rf '%s/drive1' '%s/drive3'",
             fixture.dir, fixture.dir);
    assert_int_equal(system(command), 0);
    fixture_start(&fixture);
    fd = dial(&fixture, "s3d.sock");
    generation = key_generation();
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(key, sizeof(key), "key-%u", i);
        get_object(fd, key, data, sizes[i], generation);
    }
    close(fd);
}

static int open_fixture(void **state)
{
    char result[FIXTURE_RESULT];
    (void)state;
    fixture_new(&fixture, 6, "");
    const int fd = dial(&fixture, "admin.sock");
    const bool ok = ask_admin(fd, "account.add",
                              "{\"name\":\"root\",\"operator\":true,"
                              "\"access_key\":\"AKIDEXAMPLE\",\"secret_key\":"
                              "\"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\"}",
                              result);
    close(fd);
    return ok ? 0 : -1;
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
        cmocka_unit_test(test_put_and_get),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
