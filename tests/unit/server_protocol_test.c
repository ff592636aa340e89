/*
 * Request connections: frames in any pieces, bodies, segments, turns, what
 * breaks the protocol, and back-pressure.
 */
#include "server_played_fixture.h"

/* --- whole and split -------------------------------------------------------*/
static void test_keepalive(void **state)
{
    const int fd = connect_worker();
    (void)state;
    for (int i = 0; i < 100; i++)
        check_usable(fd);
    struct buffer out = {0};
    put_request(&out, "empty", false, false);
    put_end(&out);
    send_buffer(fd, &out);
    expect_answer(fd, 200, NULL, 0);
    close(fd);
}

static void test_split_everywhere(void **state)
{
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    put_full(&out);
    for (size_t i = 1; i < out.size; i++) {
        send_bytes(fd, out.data, i);
        wait_read(fd);
        send_bytes(fd, out.data + i, out.size - i);
        expect_answer(fd, 200, full_answer, strlen(full_answer));
    }
    for (size_t i = 0; i < out.size; i++) {
        send_bytes(fd, out.data + i, 1);
        wait_read(fd);
    }
    expect_answer(fd, 200, full_answer, strlen(full_answer));
    buffer_free(&out);
    close(fd);
}

/* Larger than every buffer on the way, both ways. */
static void test_large(void **state)
{
    const size_t size = 5u << 20;
    const int fd = connect_worker();
    struct buffer out = {0}, body = {0};
    (void)state;
    uint8_t *data = xmalloc(size);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 24);
    put_request(&out, "echo", true, false);
    for (size_t at = 0; at < size; at += FRAME_DATA_MAX)
        put_frame(&out, FRAME_DATA, data + at,
                  size - at < FRAME_DATA_MAX ? size - at : FRAME_DATA_MAX);
    put_end(&out);
    send_buffer(fd, &out);
    expect_reply(fd, 200);
    receive_body(fd, &body);
    assert_int_equal(body.size, size);
    assert_memory_equal(body.data, data, size);
    buffer_free(&body);
    free(data);
    check_usable(fd);
    close(fd);
}

static void test_continue(void **state)
{
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    put_request(&out, "echo", true, true);
    send_buffer(fd, &out);
    expect_frame(fd, FRAME_CONTINUE);
    put_frame(&out, FRAME_DATA, "body", 4);
    put_end(&out);
    send_buffer(fd, &out);
    expect_answer(fd, 200, "body", 4);

    /* Refused: no CONTINUE. */
    put_request(&out, "refuse", true, true);
    send_buffer(fd, &out);
    expect_answer(fd, 403, "no", 2);
    put_end(&out);
    send_buffer(fd, &out);
    check_usable(fd);
    close(fd);
}

/* --- early replies ---------------------------------------------------------*/
static void test_early_reply(void **state)
{
    static uint8_t block[FRAME_DATA_MAX];
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    put_request(&out, "refuse", true, false);
    send_buffer(fd, &out);
    expect_answer(fd, 403, "no", 2);
    /* The rest of the body is read and dropped, however large. */
    const unsigned long before = atomic_load(&shared->bytes);
    for (int i = 0; i < 20; i++)
        put_frame(&out, FRAME_DATA, block, sizeof(block));
    put_end(&out);
    send_buffer(fd, &out);
    check_usable(fd);
    assert_int_equal(atomic_load(&shared->bytes) - before, 11);

    /* In mid body. */
    put_request(&out, "midway", true, false);
    put_frame(&out, FRAME_DATA, "x", 1);
    send_buffer(fd, &out);
    expect_answer(fd, 400, NULL, 0);
    put_frame(&out, FRAME_DATA, "y", 1);
    put_end(&out);
    send_buffer(fd, &out);
    check_usable(fd);
    close(fd);
}

/* --- segments --------------------------------------------------------------*/
static void expect_segments(int fd, unsigned offset)
{
    struct frame frame = receive_frame(fd);
    assert_int_equal(frame.header.type, FRAME_SEGMENTS);
    Wire__Segments *segments =
        wire__segments__unpack(NULL, frame.header.length, frame.payload);
    assert_non_null(segments);
    assert_int_equal(segments->n_segments, 1);
    assert_int_equal(segments->segments[0]->offset, offset);
    wire__segments__free_unpacked(segments, NULL);
    free(frame.payload);
}

static void answer(int fd, enum frame_type type)
{
    struct buffer out = {0};
    put_frame(&out, type, NULL, 0);
    send_buffer(fd, &out);
}

static int ask_segments(const char *key)
{
    const int fd = connect_worker();
    struct buffer out = {0};
    put_request(&out, key, false, false);
    put_end(&out);
    send_buffer(fd, &out);
    expect_reply(fd, 200);
    expect_segments(fd, 0);
    return fd;
}

static void test_segments(void **state)
{
    const int fd = ask_segments("segments");
    struct pollfd readable = {fd, POLLIN, 0};
    (void)state;
    /* Nothing follows before the ACK. */
    assert_int_equal(poll(&readable, 1, 50), 0);
    answer(fd, FRAME_ACK);
    expect_segments(fd, 1);
    answer(fd, FRAME_ACK);
    expect_segments(fd, 2);
    answer(fd, FRAME_ACK);
    expect_frame(fd, FRAME_END);
    check_usable(fd);
    close(fd);
}

static void test_nack(void **state)
{
    struct buffer body = {0};
    const int fd = ask_segments("segments");
    (void)state;
    answer(fd, FRAME_ACK);
    expect_segments(fd, 1);
    answer(fd, FRAME_NACK);
    receive_body(fd, &body);
    assert_int_equal(body.size, 8);
    assert_memory_equal(body.data, "datadata", 8);
    buffer_free(&body);
    check_usable(fd);
    close(fd);
}

/* END comes with the last segments. Another request may be there already when
 * they are answered. */
static void test_end_ahead(void **state)
{
    const int fd = ask_segments("segments ahead");
    struct buffer out = {0};
    (void)state;
    answer(fd, FRAME_ACK);
    expect_segments(fd, 1);
    answer(fd, FRAME_ACK);
    expect_segments(fd, 2);
    expect_frame(fd, FRAME_END);
    put_frame(&out, FRAME_ACK, NULL, 0);
    put_request(&out, "empty", false, false);
    put_end(&out);
    send_buffer(fd, &out);
    expect_reply(fd, 200);
    expect_frame(fd, FRAME_END);
    check_usable(fd);
    close(fd);
}

static void test_end_ahead_refused(void **state)
{
    const int fd = ask_segments("segments ahead");
    struct buffer body = {0};
    (void)state;
    answer(fd, FRAME_ACK);
    expect_segments(fd, 1);
    answer(fd, FRAME_ACK);
    expect_segments(fd, 2);
    expect_frame(fd, FRAME_END);
    answer(fd, FRAME_NACK);
    receive_body(fd, &body);
    assert_int_equal(body.size, 4);
    assert_memory_equal(body.data, "data", 4);
    buffer_free(&body);
    check_usable(fd);
    close(fd);
}

/* What is there is sent before the call goes on. */
static void test_working(void **state)
{
    const int fd = connect_worker();
    struct buffer out = {0}, body = {0};
    (void)state;
    put_request(&out, "working", false, false);
    put_end(&out);
    send_buffer(fd, &out);
    expect_reply(fd, 200);
    struct frame frame = receive_frame(fd);
    assert_int_equal(frame.header.type, FRAME_DATA);
    assert_int_equal(frame.header.length, 1);
    assert_int_equal(frame.payload[0], ' ');
    free(frame.payload);
    sem_post(&shared->gate);
    receive_body(fd, &body);
    assert_int_equal(body.size, 1);
    buffer_free(&body);
    check_usable(fd);
    close(fd);
}

/* Who goes away is not worked for. */
static void test_working_on(void **state)
{
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    put_request(&out, "working on", false, false);
    put_end(&out);
    send_buffer(fd, &out);
    wait_until(atomic_load(&shared->live) == 1);
    close(fd);
    wait_until(atomic_load(&shared->live) == 0);
}

static void test_failed_body(void **state)
{
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    put_request(&out, "fail", true, false);
    put_frame(&out, FRAME_DATA, "part", 4);
    put_end(&out);
    send_buffer(fd, &out);
    /* Whatever of the reply has left: no END. */
    uint8_t got[256];
    ssize_t size;
    while ((size = recv(fd, got, sizeof(got), 0)) > 0)
        assert_true(size < FRAME_HEADER_SIZE ||
                    got[size - FRAME_HEADER_SIZE + 3] != FRAME_END);
    assert_int_equal(size, 0);
    close(fd);
    wait_until(atomic_load(&shared->live) == 0);
}

/* --- turns -----------------------------------------------------------------*/
/* Both directions, with other requests behind; nothing is lost or mixed up. */
static void test_paced(void **state)
{
    const size_t size = 300000;
    uint8_t *data = xmalloc(size);
    struct buffer out = {0}, body = {0};
    const int fd = connect_worker();
    const uint64_t began_us = clock_monotonic_us();
    (void)state;
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(i * 7 + i / 251);
    }
    put_request(&out, "paced", true, false);
    for (size_t at = 0; at < size; at += 10000) {
        put_frame(&out, FRAME_DATA, data + at, 10000);
    }
    put_end(&out);
    send_buffer(fd, &out);
    expect_frame(fd, FRAME_REPLY);
    receive_body(fd, &body);
    assert_int_equal(body.size, size);
    assert_memory_equal(body.data, data, size);
    /* at the least one step for what came, and one for what was sent */
    assert_true(clock_monotonic_us() - began_us >= 2 * PACE_US);
    check_usable(fd);
    buffer_free(&body);
    free(data);
    close(fd);
}

/* Who goes away while he waits is not waited for; nor does he hold up anybody.
 */
static void test_never(void **state)
{
    const int fd = connect_worker(), other = connect_worker();
    const unsigned long before = atomic_load(&shared->bytes);
    struct buffer out = {0};
    (void)state;
    put_request(&out, "never", true, false);
    put_frame(&out, FRAME_DATA, "x", 1);
    send_buffer(fd, &out);
    wait_until(atomic_load(&shared->bytes) - before == 1);
    check_usable(other);
    assert_int_equal(atomic_load(&shared->live), 1);
    close(fd);
    wait_until(atomic_load(&shared->live) == 0);
    check_usable(other);
    close(other);
}

/* --- what cuts a connection ------------------------------------------------*/
enum bad {
    BAD_MAGIC,
    BAD_TYPE,
    BAD_CRC,
    BAD_PROTOBUF,
    BAD_DATA_LENGTH,
    BAD_MESSAGE_LENGTH,
    BAD_DATA_FIRST,
    BAD_END_FIRST,
    BAD_REPLY,
    BAD_REQUEST_TWICE,
    BAD_END_WITH_PAYLOAD,
    BAD_ACK,
    BAD_CHUNK_CRC,
    BAD_COUNT
};

static void make_bad(enum bad bad, struct buffer *out)
{
    uint8_t header[FRAME_HEADER_SIZE];
    put_request(out, "echo", true, false);
    switch (bad) {
    case BAD_MAGIC:
        out->data[0] = 'X';
        break;
    case BAD_TYPE:
        out->data[3] = 200;
        break;
    case BAD_CRC:
        out->data[out->size - 1] ^= 1;
        break;
    case BAD_PROTOBUF:
        out->size = 0;
        put_frame(out, FRAME_REQUEST, "\xff\xff\xff\xff", 4);
        break;
    case BAD_DATA_LENGTH:
        frame_encode(header, FRAME_DATA, NULL, 0);
        put_u32le(header + 4, FRAME_DATA_MAX + 1);
        buffer_append(out, header, sizeof(header));
        break;
    case BAD_MESSAGE_LENGTH:
        put_u32le(out->data + 4, FRAME_MESSAGE_MAX + 1);
        break;
    case BAD_DATA_FIRST:
        out->size = 0;
        put_frame(out, FRAME_DATA, "x", 1);
        break;
    case BAD_END_FIRST:
        out->size = 0;
        put_end(out);
        break;
    case BAD_REPLY:
        out->size = 0;
        put_frame(out, FRAME_REPLY, NULL, 0);
        break;
    case BAD_REQUEST_TWICE:
        put_request(out, "echo", true, false);
        break;
    case BAD_END_WITH_PAYLOAD:
        put_frame(out, FRAME_END, "x", 1);
        break;
    case BAD_ACK:
        put_frame(out, FRAME_ACK, NULL, 0);
        break;
    default:
        put_frame(out, FRAME_CHUNK, "\x08\x01", 2);
        out->data[out->size - 1] ^= 1;
    }
}

static void test_bad_frames(void **state)
{
    (void)state;
    for (unsigned bad = 0; bad < BAD_COUNT; bad++) {
        const int fd = connect_worker();
        struct buffer out = {0};
        make_bad((enum bad)bad, &out);
        send_buffer(fd, &out);
        expect_closed(fd);
    }
    wait_until(atomic_load(&shared->live) == 0);
    const int fd = connect_worker();
    check_usable(fd);
    close(fd);
}

/* Who speaks another version is told which one is spoken here. */
static void test_other_version(void **state)
{
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    put_request(&out, "echo", false, false);
    out.data[2]++;
    send_buffer(fd, &out);
    expect_frame(fd, FRAME_LEAVE);
    expect_closed(fd);
}

/* --- disconnects -----------------------------------------------------------*/
static void test_disconnect_everywhere(void **state)
{
    struct buffer out = {0};
    (void)state;
    put_full(&out);
    for (size_t i = 1; i < out.size; i++) {
        const int fd = connect_worker();
        send_bytes(fd, out.data, i);
        if (i % 2 == 0)
            wait_read(fd);
        close(fd);
    }
    buffer_free(&out);
    const int fd = connect_worker();
    check_usable(fd);
    close(fd);
    wait_until(atomic_load(&shared->live) == 0);
}

static void test_disconnect_in_reply(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        close(ask_segments("segments"));
    wait_until(atomic_load(&shared->live) == 0);
}

/* A reader that stops, then vanishes, while large pieces wait to be sent. */
static void test_disconnect_unread(void **state)
{
    static uint8_t block[FRAME_DATA_MAX];
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    put_request(&out, "echo", true, false);
    for (int i = 0; i < 20; i++)
        put_frame(&out, FRAME_DATA, block, sizeof(block));
    put_end(&out);
    send_buffer(fd, &out);
    expect_reply(fd, 200);
    close(fd);
    wait_until(atomic_load(&shared->live) == 0);
}

static void test_disconnect_during_step(void **state)
{
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    put_request(&out, "gate", true, false);
    send_buffer(fd, &out);
    wait_until(atomic_load(&shared->live) == 1);
    close(fd);
    assert_int_equal(atomic_load(&shared->live), 1);
    sem_post(&shared->gate);
    wait_until(atomic_load(&shared->live) == 0);
}

/* --- back-pressure ---------------------------------------------------------*/
static void test_back_pressure(void **state)
{
    static uint8_t block[FRAME_DATA_MAX];
    const size_t frames = 64; /* 16 MiB */
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    const unsigned long before = atomic_load(&shared->bytes);
    put_request(&out, "trickle", true, false);
    for (size_t i = 0; i < frames; i++)
        put_frame(&out, FRAME_DATA, block, sizeof(block));
    put_end(&out);

    /* The call takes nothing: the server stops reading soon. */
    size_t sent = 0;
    struct pollfd writable = {fd, POLLOUT, 0};
    while (poll(&writable, 1, 200) == 1) {
        const ssize_t now = send(fd, out.data + sent, out.size - sent,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
        assert_true(now > 0 || (now < 0 && errno == EAGAIN));
        sent += now > 0 ? (size_t)now : 0;
        assert_true(sent < 4u << 20);
    }
    for (int i = 0; i < 100000; i++)
        sem_post(&shared->trickle);
    send_bytes(fd, out.data + sent, out.size - sent);
    buffer_free(&out);
    struct buffer body = {0};
    expect_reply(fd, 200);
    receive_body(fd, &body);
    assert_int_equal(body.size, frames * sizeof(block));
    assert_int_equal(atomic_load(&shared->bytes) - before, body.size);
    buffer_free(&body);
    close(fd);
    while (sem_trywait(&shared->trickle) == 0)
        ;
}

/* --- many at once ----------------------------------------------------------*/
static void test_many_connections(void **state)
{
    enum { COUNT = 200 };
    int fds[COUNT];
    (void)state;
    for (int i = 0; i < COUNT; i++)
        fds[i] = connect_worker();
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < COUNT; i++) {
            struct buffer out = {0};
            put_full(&out);
            send_buffer(fds[i], &out);
        }
        for (int i = 0; i < COUNT; i++)
            expect_answer(fds[i], 200, full_answer, strlen(full_answer));
    }
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
}

static void test_all_were_played(void **state)
{
    (void)state;
    assert_true(atomic_load(&shared->calls) > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keepalive),
        cmocka_unit_test(test_split_everywhere),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_continue),
        cmocka_unit_test(test_early_reply),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_nack),
        cmocka_unit_test(test_end_ahead),
        cmocka_unit_test(test_end_ahead_refused),
        cmocka_unit_test(test_working),
        cmocka_unit_test(test_working_on),
        cmocka_unit_test(test_failed_body),
        cmocka_unit_test(test_paced),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_other_version),
        cmocka_unit_test(test_disconnect_everywhere),
        cmocka_unit_test(test_disconnect_in_reply),
        cmocka_unit_test(test_disconnect_unread),
        cmocka_unit_test(test_disconnect_during_step),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_many_connections),
        cmocka_unit_test(test_all_were_played),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
