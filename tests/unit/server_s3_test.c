/*
 * The whole daemon but nginx: frames in, the real operations, drives.
 */
#include "server_s3_fixture.h"

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
    make_bucket(fd, generation);
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
    (void)state;
    fixture_new(&fixture, 6, "");
    add_operator();
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
        cmocka_unit_test(test_put_and_get),
    };
    return cmocka_run_group_tests(tests, open_fixture, close_fixture);
}
