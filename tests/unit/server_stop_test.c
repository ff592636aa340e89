/*
 * What hangs, fails, or is cut off: reads that are asked on a control
 * connection, the end of s3d under way, and its limits.
 */
#include "server_played_fixture.h"
#include <sys/stat.h>
#include <sys/syscall.h>

/* In place of libc's. */
mode_t umask(mode_t mask)
{
    atomic_fetch_add(&shared->umasks, 1);
    return (mode_t)syscall(SYS_umask, mask);
}

/* --- control connections ---------------------------------------------------*/
static void put_ask(struct buffer *out, uint64_t id, const char *key)
{
    Wire__Request request = WIRE__REQUEST__INIT;
    request.operation = WIRE__OPERATION__GET_OBJECT;
    request.request_id = bytes_of("0123456789ABCDEF");
    request.key = bytes_of(key);
    request.id = id;
    put_message(out, FRAME_REQUEST, &request);
}

static int greet(void)
{
    const int fd = connect_worker();
    struct buffer out = {0};
    Wire__Hello hello = WIRE__HELLO__INIT;
    hello.version = FRAME_VERSION;
    put_message(&out, FRAME_HELLO, &hello);
    send_buffer(fd, &out);
    expect_frame(fd, FRAME_WELCOME);
    return fd;
}

static void expect_id(int fd, uint64_t id, bool declined)
{
    struct frame frame = receive_frame(fd);
    assert_int_equal(frame.header.type, FRAME_ANSWER);
    Wire__Answer *answer =
        wire__answer__unpack(NULL, frame.header.length, frame.payload);
    assert_non_null(answer);
    assert_int_equal(answer->id, id);
    assert_int_equal(answer->declined, declined);
    wire__answer__free_unpacked(answer, NULL);
    free(frame.payload);
}

/* Neither others nor a worker's keys wait for one that hangs. */
static void test_ask_that_hangs(void **state)
{
    const int fd = greet();
    struct buffer out = {0};
    Wire__KeyRequest key = WIRE__KEY_REQUEST__INIT;
    (void)state;
    put_ask(&out, 1, "gate");
    put_ask(&out, 2, "empty");
    send_buffer(fd, &out);
    expect_id(fd, 2, false);
    expect_answer(fd, 200, NULL, 0);
    key.access_key = bytes_of("nobody's");
    put_message(&out, FRAME_KEY_REQUEST, &key);
    send_buffer(fd, &out);
    expect_frame(fd, FRAME_KEY_REPLY);
    sem_post(&shared->gate);
    expect_id(fd, 1, false);
    expect_answer(fd, 200, NULL, 0);
    close(fd);
}

/* Known only when its body is asked for: nothing has left by then. */
static void test_ask_that_fails(void **state)
{
    const int fd = greet();
    struct buffer out = {0};
    (void)state;
    wait_until(atomic_load(&shared->live) == 0);
    const int logged = atomic_load(&shared->logged);
    put_ask(&out, 1, "fail");
    send_buffer(fd, &out);
    expect_id(fd, 1, true);
    put_ask(&out, 2, "segments");
    send_buffer(fd, &out);
    expect_id(fd, 2, true);
    assert_int_equal(atomic_load(&shared->live), 0);
    assert_int_equal(atomic_load(&shared->declined), 2);
    assert_int_equal(atomic_load(&shared->logged), logged);
    close(fd);
}

static void test_ask_outlives_its_worker(void **state)
{
    const int fd = greet();
    struct buffer out = {0};
    (void)state;
    put_ask(&out, 1, "gate");
    put_ask(&out, 2, "gate");
    send_buffer(fd, &out);
    wait_until(atomic_load(&shared->live) == 2);
    close(fd);
    sem_post(&shared->gate);
    sem_post(&shared->gate);
    wait_until(atomic_load(&shared->live) == 0);
}

static void test_stop_with_an_ask(void **state)
{
    const int fd = greet();
    struct buffer out = {0};
    (void)state;
    put_ask(&out, 1, "gate");
    send_buffer(fd, &out);
    wait_until(atomic_load(&shared->live) == 1);
    assert_int_equal(kill(fixture.pid, SIGTERM), 0);
    expect_frame(fd, FRAME_LEAVE);
    close(fd);
    sem_post(&shared->gate);
    assert_int_equal(fixture_wait(fixture.pid), 0);
    assert_int_equal(atomic_load(&shared->live), 0);
    fixture_start(&fixture);
}

/* --- the beginning ---------------------------------------------------------*/
/* Before there are threads, which it would be in the way of. */
static void test_the_umask_is_set_first(void **state)
{
    (void)state;
    fixture_stop(&fixture);
    atomic_store(&shared->umasks, 0);
    fixture_start(&fixture);
    close(connect_worker());
    assert_int_equal(atomic_load(&shared->umasks), 2); /* read, and set */
}

/* --- the end ---------------------------------------------------------------*/
static void test_graceful_stop(void **state)
{
    const int idle = connect_worker(), busy = connect_worker();
    struct buffer out = {0};
    char path[128];
    (void)state;
    check_usable(idle);
    put_request(&out, "gate", true, false);
    put_frame(&out, FRAME_DATA, "kept", 4);
    send_buffer(busy, &out);
    wait_until(atomic_load(&shared->live) == 1);
    assert_int_equal(kill(fixture.pid, SIGTERM), 0);
    expect_frame(idle, FRAME_LEAVE);
    check_usable(idle); /* what crosses with LEAVE is served */
    expect_frame(idle, FRAME_LEAVE);
    close(idle);
    assert_int_equal(dial(&fixture, "s3d.sock"), -1);
    fixture_path(&fixture, "s3d.sock", path);
    assert_int_equal(access(path, F_OK), -1);

    sem_post(&shared->gate);
    put_end(&out);
    send_buffer(busy, &out);
    expect_answer(busy, 200, "kept", 4);
    expect_frame(busy, FRAME_LEAVE);
    close(busy);
    assert_int_equal(fixture_wait(fixture.pid), 0);
    assert_int_equal(atomic_load(&shared->live), 0);
    fixture_start(&fixture);
}

/* A body that never comes is cut off. */
static void test_stop_is_bounded(void **state)
{
    struct buffer out = {0};
    (void)state;
    fixture_stop(&fixture);
    fixture.settings = LIMITS("1");
    fixture_start(&fixture);
    const int fd = connect_worker();
    put_request(&out, "echo", true, false);
    send_buffer(fd, &out);
    wait_until(atomic_load(&shared->live) == 1);
    fixture_stop(&fixture);
    expect_closed(fd);
    assert_int_equal(atomic_load(&shared->live), 0);
    fixture.settings = LIMITS("30");
    fixture_start(&fixture);
}

static void test_body_timeout(void **state)
{
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    put_request(&out, "echo", true, false);
    send_buffer(fd, &out);
    expect_closed(fd); /* body_timeout is 5 s here */
    wait_until(atomic_load(&shared->live) == 0);
}

/* More steps hang than there are threads (8): the loop goes on all the same. */
static void test_the_loop_outlives_hanging_steps(void **state)
{
    int hanging[12];
    struct buffer out = {0};
    const int bad = connect_worker();
    (void)state;
    for (int i = 0; i < 12; i++) {
        hanging[i] = connect_worker();
        put_request(&out, "gate", true, false);
        put_frame(&out, FRAME_DATA, "kept", 4);
        put_end(&out);
        send_buffer(hanging[i], &out);
    }
    wait_until(atomic_load(&shared->live) == 7);

    buffer_append(&out, "no frame at all.", 16);
    send_buffer(bad, &out);
    expect_closed(bad);

    for (int i = 0; i < 12; i++) {
        sem_post(&shared->gate);
    }
    for (int i = 0; i < 12; i++) {
        expect_answer(hanging[i], 200, "kept", 4);
        close(hanging[i]);
    }
    wait_until(atomic_load(&shared->live) == 0);
}

static void test_connection_limit(void **state)
{
    int fds[300];
    (void)state;
    for (int i = 0; i < 300; i++)
        fds[i] = connect_worker();
    for (int i = 250; i < 300; i++)
        expect_closed(fds[i]);
    for (int i = 0; i < 250; i++) {
        check_usable(fds[i]);
        close(fds[i]);
    }
    /* They are free again. */
    wait_until(({
        const int fd = connect_worker();
        struct buffer out = {0};
        uint8_t byte;
        put_request(&out, "empty", false, false);
        (void)!send(fd, out.data, out.size, MSG_NOSIGNAL);
        buffer_free(&out);
        const bool served = recv(fd, &byte, 1, 0) == 1;
        close(fd);
        served;
    }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ask_that_hangs),
        cmocka_unit_test(test_ask_that_fails),
        cmocka_unit_test(test_ask_outlives_its_worker),
        cmocka_unit_test(test_stop_with_an_ask),
        cmocka_unit_test(test_the_umask_is_set_first),
        cmocka_unit_test(test_graceful_stop),
        cmocka_unit_test(test_stop_is_bounded),
        cmocka_unit_test(test_the_loop_outlives_hanging_steps),
        cmocka_unit_test(test_body_timeout),
        cmocka_unit_test(test_connection_limit),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
