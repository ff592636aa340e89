/*
 * A server with the real operations, its operator, and requests to a bucket.
 */
#ifndef SERVER_S3_FIXTURE_H
#define SERVER_S3_FIXTURE_H

#include "server_fixture.h"

static struct fixture fixture;

UNUSED static Wire__Request request_of(Wire__Operation operation,
                                       const char *key)
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

UNUSED static void put_hello(struct buffer *out)
{
    Wire__Hello hello = WIRE__HELLO__INIT;
    hello.version = FRAME_VERSION;
    put_message(out, FRAME_HELLO, &hello);
}

UNUSED static void put_key_request(struct buffer *out)
{
    Wire__KeyRequest ask = WIRE__KEY_REQUEST__INIT;
    ask.access_key = bytes_of("AKIDEXAMPLE");
    ask.date = bytes_of(today());
    ask.region = bytes_of("us-east-1");
    put_message(out, FRAME_KEY_REQUEST, &ask);
}

/* The generation that a worker would have from KEY_REPLY. */
UNUSED static uint64_t key_generation(void)
{
    const int fd = dial(&fixture, "s3d.sock");
    struct buffer out = {0};
    put_hello(&out);
    put_key_request(&out);
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

UNUSED static void exchange(int fd, const Wire__Request *request,
                            const void *body, size_t size)
{
    struct buffer out = {0};
    put_message(&out, FRAME_REQUEST, request);
    for (size_t at = 0; at < size; at += FRAME_DATA_MAX)
        put_frame(&out, FRAME_DATA, (const uint8_t *)body + at,
                  size - at < FRAME_DATA_MAX ? size - at : FRAME_DATA_MAX);
    put_frame(&out, FRAME_END, NULL, 0);
    send_buffer(fd, &out);
}

UNUSED static void make_bucket(int fd, uint64_t generation)
{
    Wire__Request create = request_of(WIRE__OPERATION__CREATE_BUCKET, "");
    create.key_generation = generation;
    create.method = bytes_of("PUT");
    exchange(fd, &create, NULL, 0);
    expect_answer(fd, 200, NULL, 0);
}

UNUSED static void put_object(int fd, const char *key, const void *data,
                              size_t size, uint64_t generation)
{
    Wire__Request put = request_of(WIRE__OPERATION__PUT_OBJECT, key);
    put.key_generation = generation;
    put.method = bytes_of("PUT");
    put.has_body = size > 0;
    put.content_length = size;
    exchange(fd, &put, data, size);
    expect_answer(fd, 200, NULL, 0);
}

UNUSED static void get_object(int fd, const char *key, const void *data,
                              size_t size, uint64_t generation)
{
    Wire__Request get = request_of(WIRE__OPERATION__GET_OBJECT, key);
    get.key_generation = generation;
    get.method = bytes_of("GET");
    exchange(fd, &get, NULL, 0);
    expect_answer(fd, 200, data, size);
}

/* The operator whose access key the requests have. */
UNUSED static void add_operator(void)
{
    char result[FIXTURE_RESULT];
    const int fd = dial(&fixture, "admin.sock");
    assert_true(ask_admin(fd, "account.add",
                          "{\"name\":\"root\",\"operator\":true,"
                          "\"access_key\":\"AKIDEXAMPLE\",\"secret_key\":"
                          "\"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\"}",
                          result));
    close(fd);
}

#endif
