/* A wall clock that is set while s3d runs. */
#include "server_fixture.h"

#include "server/private.h"
#include "set_clock.h"

#include <jansson.h>

#define DAY_S 86400ll

/* --- s3d -------------------------------------------------------------------*/
static json_t *ask(const struct fixture *fixture, const char *command,
                   const char *arguments)
{
    char result[FIXTURE_RESULT];
    const int fd = dial(fixture, "admin.sock");
    assert_true(fd >= 0);
    assert_true(ask_admin(fd, command, arguments, result));
    close(fd);
    json_t *answer = json_loads(result, 0, NULL);
    assert_non_null(answer);
    return answer;
}

static json_int_t number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

/* In the log, once. */
static bool is_said(const struct fixture *fixture, const char *text)
{
    static char log[1 << 20];
    char path[128];
    fixture_path(fixture, "log", path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    log[fread(log, 1, sizeof(log) - 1, file)] = '\0';
    fclose(file);
    const char *found = strstr(log, text);
    assert_true(found == NULL || strstr(found + 1, text) == NULL);
    return found != NULL;
}

static json_int_t jump_of(const struct fixture *fixture)
{
    json_t *status = ask(fixture, "status", "{}");
    const json_t *jump = json_object_get(status, "clock_jump");
    const json_int_t ms = jump != NULL ? number(jump, "ms") : 0;
    json_decref(status);
    return ms;
}

static void check_uptime(const struct fixture *fixture)
{
    json_t *status = ask(fixture, "status", "{}");
    json_t *list = ask(fixture, "request.list", "{}");
    const json_t *metric =
        json_array_get(json_object_get(json_object_get(status, "metrics"),
                                       "s3d_uptime_seconds"),
                       0);
    const double shown = json_number_value(json_object_get(metric, "value"));
    assert_in_range(number(status, "uptime_seconds"), 0, DAY_S / 2);
    assert_in_range(number(list, "uptime_seconds"), 0, DAY_S / 2);
    assert_true(shown > 0 && shown < 43200);
    json_decref(status);
    json_decref(list);
}

static void test_jumps(void **unused)
{
    struct fixture fixture;
    (void)unused;
    fixture_new(&fixture, 1, NULL);
    assert_int_equal(jump_of(&fixture), 0);
    clock_set(-2 * DAY_S);
    check_uptime(&fixture);
    wait_until(is_said(&fixture, " s back, or this machine slept"));
    wait_until(jump_of(&fixture) < 0);
    assert_in_range(-jump_of(&fixture), 2 * DAY_S * 1000ll - 60000,
                    2 * DAY_S * 1000ll + 60000);
    clock_set(0);
    fixture_remove(&fixture);
}

/* --- since when a drive is drained
 * -------------------------------------------*/
static json_int_t drained_since(const struct fixture *fixture)
{
    json_t *list = ask(fixture, "drive.list", "{}");
    const json_t *drive = json_array_get(json_object_get(list, "drives"), 1);
    assert_string_equal(json_string_value(json_object_get(drive, "state")),
                        "draining");
    const json_int_t since = number(drive, "since");
    json_decref(list);
    return since;
}

static void test_drained_since(void **unused)
{
    struct fixture fixture;
    (void)unused;
    fixture_new(&fixture, 3, NULL);
    clock_set(3600);
    const uint64_t before_ms = clock_wall_ms();
    json_decref(ask(&fixture, "drive.drain", "{\"drive\":\"1\"}"));
    const json_int_t since = drained_since(&fixture);
    assert_in_range(since, before_ms, clock_wall_ms());
    clock_set(7200);
    json_decref(ask(&fixture, "drive.drain", "{\"drive\":\"1\"}"));
    assert_int_equal(drained_since(&fixture), since);
    fixture_stop(&fixture);
    fixture_start(&fixture);
    assert_int_equal(drained_since(&fixture), since);
    clock_set(0);
    fixture_remove(&fixture);
}

/* --- the pool
 * ----------------------------------------------------------------*/
static atomic_bool second_has_run, first_has_waited;

static void wait_for_second(struct job *job)
{
    (void)job;
    for (int i = 0; i < 20000 && !atomic_load(&second_has_run); i++) {
        pause_ms(1);
    }
    atomic_store(&first_has_waited, atomic_load(&second_has_run));
}

static void run_second(struct job *job)
{
    (void)job;
    atomic_store(&second_has_run, true);
}

static struct pool *pool;
static unsigned jobs_left = 2;
static void end_job(struct job *job)
{
    (void)job;
    if (--jobs_left == 0) {
        pool_close(pool);
    }
}

/* Another thread leads while a job takes long, whatever the clock says. */
static void test_pool(void **unused)
{
    struct job first = {.run = wait_for_second, .done = end_job};
    struct job second = {.run = run_second, .done = end_job};
    uv_loop_t loop;
    (void)unused;
    assert_int_equal(uv_loop_init(&loop), 0);
    clock_set(DAY_S);
    pool = pool_new(&loop, 3);
    pool_submit(pool, &first);
    pool_submit(pool, &second);
    pool_run(pool);
    clock_set(0);
    assert_true(atomic_load(&first_has_waited));
    pool_free(pool);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jumps),
        cmocka_unit_test(test_drained_since),
        cmocka_unit_test(test_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
