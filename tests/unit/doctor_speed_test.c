/* s3ctl bench drives: what is measured, and which drive is a slow one. */
#include "doctor/speed.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define DRIVES 4

static void test_times(void **state)
{
    uint32_t us[200];
    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        us[i] = 200 - i;
    }
    const struct times times = times_of(us, 200);
    assert_int_equal(times.mean_us, 100);
    assert_int_equal(times.p50_us, 100);
    assert_int_equal(times.p95_us, 190);
    assert_int_equal(times.p99_us, 198);
    assert_int_equal(times.max_us, 200);
    assert_int_equal(times_of(us, 1).p99_us, 1);
    assert_int_equal(times_of(us, 0).max_us, 0);
}

/* Of an empty directory, which is empty again. */
static void test_measure(void **state)
{
    char directory[] = "/tmp/s3ctl-speed-XXXXXX";
    const struct speed_limits limits = {.size = 100000, .syncs = 3};
    struct speed speed;
    (void)state;
    assert_non_null(mkdtemp(directory));
    speed_measure(directory, &limits, &speed);
    assert_int_equal(speed.error, 0);
    assert_int_equal(speed.syncs, 3);
    assert_int_equal(speed.written, 100000);
    assert_int_equal(speed.read, 100000);
    assert_true(speed.sync.max_us >= speed.sync.p50_us);
    assert_true(speed.write_speed > 0 && speed.read_speed > 0);
    assert_int_equal(rmdir(directory), 0);

    speed_measure(directory, &limits, &speed);
    assert_int_equal(speed.error, -ENOENT);
    const struct speed_limits huge = {.size = UINT64_MAX / 2, .syncs = 1};
    speed_measure("/tmp", &huge, &speed);
    assert_int_equal(speed.error, -ENOSPC);
    assert_int_equal(speed.syncs, 0);
    const struct speed_limits often = {.size = 4096, .syncs = UINT64_MAX};
    speed_measure("/tmp", &often, &speed);
    assert_int_equal(speed.error, -ENOSPC);
}

static void make(struct speed speeds[DRIVES])
{
    for (unsigned i = 0; i < DRIVES; i++) {
        speeds[i] = (struct speed){.syncs = 20,
                                   .sync = {.p50_us = 1000},
                                   .written = 16 << 20,
                                   .read = 16 << 20,
                                   .write_speed = 300e6,
                                   .read_speed = 300e6};
    }
}

/* The one that is slow, as a digit; "": none is. */
static const char *slow(struct speed speeds[DRIVES], size_t count)
{
    static char text[DRIVES + 1];
    size_t size = 0;
    speed_compare(speeds, count);
    for (size_t i = 0; i < count; i++) {
        if (speeds[i].slow) {
            text[size++] = (char)('0' + i);
        }
    }
    text[size] = '\0';
    return text;
}

static void test_compare(void **state)
{
    struct speed speeds[DRIVES];
    (void)state;
    make(speeds);
    assert_string_equal(slow(speeds, DRIVES), "");
    speeds[2].sync.p50_us = 3000;
    assert_string_equal(slow(speeds, DRIVES), "");
    speeds[2].sync.p50_us = 3001;
    assert_string_equal(slow(speeds, DRIVES), "2");
    speeds[2].syncs = 19; /* too few to tell */
    assert_string_equal(slow(speeds, DRIVES), "");
    speeds[1].write_speed = 99e6;
    assert_string_equal(slow(speeds, DRIVES), "1");
    speeds[3].read_speed = 99e6;
    assert_string_equal(slow(speeds, DRIVES), "13");
    speeds[3].read = 1000;
    assert_string_equal(slow(speeds, DRIVES), "1");
    assert_string_equal(slow(speeds, 2), ""); /* with nothing to compare */

    make(speeds);
    for (unsigned i = 0; i < DRIVES; i++) {
        speeds[i].sync.p50_us = i == 0 ? 1050 : 50; /* a millisecond more */
    }
    assert_string_equal(slow(speeds, DRIVES), "");
    speeds[0].sync.p50_us = 1051;
    assert_string_equal(slow(speeds, DRIVES), "0");
    speeds[1].error = speeds[2].error = -EIO;
    assert_string_equal(slow(speeds, DRIVES), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_measure),
        cmocka_unit_test(test_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
