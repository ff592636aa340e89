/* Drives that hang or take their time. Nothing here waits for a clock but to
 * see that a deadline is kept. On a busy machine a deadline may pass before a
 * thread has begun, which says nothing about the drive: so what hangs is asked
 * again until the drive is silent. */
#include "extent/private.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (1ull << 20)

static const uint8_t cluster[DRIVE_UUID_SIZE] = "slow drives";

struct fixture {
    struct io *io;
    struct drive *drive;
    struct extent_place place; /* of "hello", durable */
};

static void fixture_begin(struct fixture *fixture, uint64_t timeout_us)
{
    const struct drive_config config = {.directory = "/d0", .domain = ""};
    struct drive_options options = {.extent_size = 8 * MIB};

    memcpy(options.cluster, cluster, DRIVE_UUID_SIZE);
    fixture->io = io_sim_new(1, 64 * MIB);
    assert_int_equal(drive_format(fixture->io, &config, cluster), 0);
    assert_int_equal(
        drive_open(fixture->io, &config, &options, &fixture->drive), 0);
    assert_int_equal(drive_reserve(fixture->drive, 1, 0, 5, 0, &fixture->place),
                     0);
    assert_int_equal(
        drive_write(fixture->drive, &fixture->place, 0, "hello", 5), 0);
    assert_int_equal(drive_sync(fixture->drive, fixture->place.extent), 0);
    fixture->drive->options.timeout_us = timeout_us;
}

static void fixture_end(struct fixture *fixture)
{
    drive_close(fixture->drive);
    io_free(fixture->io);
}

static int read_within(struct fixture *fixture, uint64_t wait_us)
{
    char data[5];
    const int r =
        drive_read_within(fixture->drive, fixture->place.extent,
                          fixture->place.offset, data, sizeof(data), wait_us);

    if (r == 0) {
        assert_memory_equal(data, "hello", 5);
    }
    return r;
}

static void hang(struct fixture *fixture, bool hang)
{
    io_sim_hang(fixture->io, "/d0", hang);
}

/* A read that has begun and that nobody waits for. */
static void leave_one_behind(struct fixture *fixture)
{
    do {
        assert_int_equal(read_within(fixture, 1000), -ETIMEDOUT);
    } while (atomic_load(&fixture->drive->overdue) == 0);
}

static bool is_silent(struct drive *drive)
{
    struct drive_condition condition;

    drive_describe(drive, &condition);
    return condition.silent;
}

/* What has begun late is seen by whoever looks. */
static void watch_until_failed(struct drive *drive)
{
    while (drive_state(drive) == DRIVE_OK) {
        drive_watch(drive);
    }
}

/* All that hung has come to its end. */
static void wait_for_answers(struct drive *drive)
{
    while (is_silent(drive) || atomic_load(&drive->overdue) > 0) {
        sched_yield();
    }
}

/* It says so, fails all at once, and is in use again when it has answered. */
static void assert_silent_and_back(struct fixture *fixture)
{
    struct drive *drive = fixture->drive;
    struct drive_condition condition;
    struct extent_place place;
    struct io_node node;

    drive_describe(drive, &condition);
    assert_int_equal(condition.state, DRIVE_FAILED);
    assert_true(condition.silent);
    assert_non_null(strstr(condition.reason, "does not answer"));
    assert_int_equal(read_within(fixture, 0), -ETIMEDOUT);
    assert_int_equal(
        drive_check_path(drive, fixture->place.extent, 0, 0, &node),
        -ETIMEDOUT);
    assert_int_equal(drive_reserve(drive, 2, 0, 5, 0, &place), -ENODEV);
    assert_false(drive_look(drive));

    drive->options.timeout_us = 0;
    hang(fixture, false);
    wait_for_answers(drive);
    assert_true(drive_look(drive));
    assert_int_equal(drive_state(drive), DRIVE_OK);
    assert_int_equal(read_within(fixture, 0), 0);
    assert_int_equal(drive_reserve(drive, 2, 0, 5, 0, &place), 0);
    assert_int_equal(drive_write(drive, &place, 0, "again", 5), 0);
    assert_int_equal(drive_sync(drive, place.extent), 0);
    assert_int_equal(drive->space.pending, 0);
}

/* --- reading ---------------------------------------------------------------*/

static void a_read_that_hangs_is_left_behind(void **state)
{
    struct fixture fixture;
    struct io_node node;

    (void)state;
    fixture_begin(&fixture, 0);
    hang(&fixture, true);
    assert_false(drive_slow(fixture.drive));
    leave_one_behind(&fixture);
    const unsigned threads = fixture.drive->reads.count;
    /* No second one waits behind it, and writers go elsewhere. */
    assert_true(drive_slow(fixture.drive));
    assert_int_equal(read_within(&fixture, UINT64_MAX / 2), -ETIMEDOUT);
    assert_int_equal(drive_check_path(fixture.drive, fixture.place.extent,
                                      UINT64_MAX / 2, 0, &node),
                     -ETIMEDOUT);
    assert_int_equal(fixture.drive->reads.count, threads);
    assert_int_equal(drive_state(fixture.drive), DRIVE_OK);

    hang(&fixture, false);
    wait_for_answers(fixture.drive);
    assert_false(drive_slow(fixture.drive));
    assert_int_equal(read_within(&fixture, 0), 0);
    fixture_end(&fixture);
}

static void a_drive_that_reads_nothing_fails(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_begin(&fixture, 20000);
    hang(&fixture, true);
    do {
        assert_int_equal(read_within(&fixture, 0), -ETIMEDOUT);
    } while (!is_silent(fixture.drive));
    assert_silent_and_back(&fixture);
    fixture_end(&fixture);
}

struct reader {
    struct fixture *fixture;
    pthread_t thread;
    int result;
};

static void *read_patiently(void *argument)
{
    struct reader *reader = argument;

    reader->result = read_within(reader->fixture, 0);
    return NULL;
}

/* However many readers there are. */
static void few_threads_are_stuck(void **state)
{
    static struct reader readers[3 * READ_THREADS];
    const unsigned count = sizeof(readers) / sizeof(readers[0]);
    struct fixture fixture;

    (void)state;
    fixture_begin(&fixture, 200000);
    hang(&fixture, true);
    for (unsigned i = 0; i < count; i++) {
        readers[i].fixture = &fixture;
        assert_int_equal(pthread_create(&readers[i].thread, NULL,
                                        read_patiently, &readers[i]),
                         0);
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].result, -ETIMEDOUT);
    }
    /* Those that came when the others had given up asked no thread. */
    assert_in_range(fixture.drive->reads.count, 1, READ_THREADS);
    assert_int_equal(fixture.drive->reads.queued, 0);
    do {
        assert_int_equal(read_within(&fixture, 0), -ETIMEDOUT);
    } while (!is_silent(fixture.drive));
    assert_silent_and_back(&fixture);
    fixture_end(&fixture);
}

/* --- writing ---------------------------------------------------------------*/

static void a_write_that_hangs(void **state)
{
    struct fixture fixture;
    struct extent_place place;

    (void)state;
    fixture_begin(&fixture, 20000);
    hang(&fixture, true);
    do {
        assert_int_equal(drive_reserve(fixture.drive, 2, 0, 100, 0, &place), 0);
        assert_int_equal(drive_write(fixture.drive, &place, 0, "never", 5),
                         -ETIMEDOUT);
        drive_release(fixture.drive, 95);
    } while (!is_silent(fixture.drive));
    assert_silent_and_back(&fixture);
    fixture_end(&fixture);
}

/* Its part of the reservation is given back when it returns, and only then;
 * others' promises stay. */
static void a_write_that_hangs_is_accounted_once(void **state)
{
    struct memory *memory = memory_new(5);
    struct fixture fixture;
    struct extent_place others, place;
    struct drive_write *write;

    (void)state;
    fixture_begin(&fixture, 20000);
    memcpy(memory->bytes, "never", 5);
    assert_int_equal(drive_reserve(fixture.drive, 2, 0, 1000, 0, &others), 0);
    assert_int_equal(drive_reserve(fixture.drive, 3, 0, 5, 0, &place), 0);
    hang(&fixture, true);
    write =
        drive_write_start(fixture.drive, &place, 0, memory->bytes, 5, memory);
    io_sim_wait_hanging(fixture.io, 1);
    memory_drop(memory); /* the write has it still */
    drive_write_leave(write);
    assert_int_equal(fixture.drive->space.pending, 1005);
    hang(&fixture, false);
    wait_for_answers(fixture.drive);
    assert_int_equal(fixture.drive->space.pending, 1000);
    drive_release(fixture.drive, 1000);
    fixture_end(&fixture);
}

static void a_sync_that_hangs(void **state)
{
    struct sync_latch *latch = sync_latch_new();
    struct fixture fixture;
    struct extent_place place;
    int result = 1;

    (void)state;
    fixture_begin(&fixture, 20000);
    assert_int_equal(drive_reserve(fixture.drive, 2, 0, 5, 0, &place), 0);
    hang(&fixture, true);
    drive_finish_start(fixture.drive, &place, 0, "never", 5, latch, &result);
    sync_latch_wait(latch);
    assert_int_equal(result, -ETIMEDOUT);
    sync_latch_free(latch); /* before the sync returns */
    watch_until_failed(fixture.drive);
    assert_silent_and_back(&fixture);
    assert_int_equal(result, -ETIMEDOUT);
    fixture_end(&fixture);
}

static void a_new_extent_that_hangs(void **state)
{
    struct fixture fixture;
    struct extent_place place;

    (void)state;
    fixture_begin(&fixture, 20000);
    drive_seal(fixture.drive, fixture.place.extent);
    hang(&fixture, true);
    assert_int_equal(drive_reserve(fixture.drive, 2, 0, 5, 0, &place),
                     -ETIMEDOUT);
    watch_until_failed(fixture.drive);
    assert_silent_and_back(&fixture);
    fixture_end(&fixture);
}

static int never_called(void *context, uint64_t extent)
{
    (void)context;
    (void)extent;
    fail();
    return 0;
}

/* Neither what the reclaimer looks at nor what it removes. */
static void a_reclaim_that_hangs(void **state)
{
    struct extent_look look;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct fixture fixture;
        struct drive *drive;
        uint64_t extent;
        int r = 0;

        fixture_begin(&fixture, 20000);
        drive = fixture.drive;
        extent = fixture.place.extent;
        hang(&fixture, true);
        do {
            if (i == 0) {
                r = drive_extents(drive, never_called, NULL);
            } else if (i == 1) {
                r = drive_extent_look(drive, extent, &look);
            } else {
                r = drive_remove_extent(drive, extent);
            }
            assert_int_equal(r, -ETIMEDOUT);
        } while (!is_silent(drive));
        assert_silent_and_back(&fixture);
        fixture_end(&fixture);
    }
}

/* How full it is, until somebody waits for that. */
static void ask_until_overdue(struct drive *drive, struct drive_usage *usage)
{
    do {
        pthread_mutex_lock(&drive->mutex);
        drive->space.checked_us = 0; /* to be asked again */
        pthread_mutex_unlock(&drive->mutex);
        drive_usage(drive, usage);
    } while (atomic_load(&drive->overdue) == 0);
}

/* Who asks how full it is gets the figures of before. */
static void a_status_is_not_held_up(void **state)
{
    struct fixture fixture;
    struct drive_usage before, usage;

    (void)state;
    fixture_begin(&fixture, 0);
    drive_usage(fixture.drive, &before);
    hang(&fixture, true);
    ask_until_overdue(fixture.drive, &usage);
    assert_int_equal(usage.free, before.free);
    assert_true(drive_slow(fixture.drive));
    hang(&fixture, false);
    wait_for_answers(fixture.drive);
    assert_int_equal(drive_state(fixture.drive), DRIVE_OK);
    fixture_end(&fixture);
}

/* Nobody waits for it any more, but whoever looks sees it. */
static void looking_finds_what_takes_too_long(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_begin(&fixture, 20000);
    hang(&fixture, true);
    leave_one_behind(&fixture);
    watch_until_failed(fixture.drive);
    assert_silent_and_back(&fixture);
    fixture_end(&fixture);
}

static void a_look_that_hangs(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_begin(&fixture, 20000);
    assert_int_equal(drive_failed(fixture.drive, "a test", -EIO), -EIO);
    hang(&fixture, true);
    do {
        assert_false(drive_look(fixture.drive));
    } while (!is_silent(fixture.drive));
    assert_false(drive_look(fixture.drive)); /* at once */
    hang(&fixture, false);
    wait_for_answers(fixture.drive);
    /* The look that hung has found it well. */
    assert_int_equal(drive_state(fixture.drive), DRIVE_OK);
    assert_int_equal(read_within(&fixture, 0), 0);
    fixture_end(&fixture);
}

/* --- times -----------------------------------------------------------------*/

static void note(struct latency *latency, uint64_t us, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        latency_note(latency, us);
    }
}

static void assert_near(uint64_t is, uint64_t should_be)
{
    assert_in_range(is, should_be - should_be / 6, should_be + should_be / 6);
}

/* The look answers after the drive was removed. */
static void a_look_that_hangs_at_a_removal(void **state)
{
    struct fixture fixture;

    (void)state;
    fixture_begin(&fixture, 20000);
    drive_failed(fixture.drive, "test", -EIO);
    hang(&fixture, true);
    do {
        assert_false(drive_look(fixture.drive));
    } while (!is_silent(fixture.drive));
    drive_retire(fixture.drive);
    assert_non_null(fixture.drive->lock);
    hang(&fixture, false);
    wait_for_answers(fixture.drive);
    assert_int_equal(drive_state(fixture.drive), DRIVE_REMOVED);
    assert_false(drive_readable(fixture.drive));
    fixture_end(&fixture);
}

/* It was being made while the drive came back. */
static void an_extent_of_before_is_left(void **state)
{
    struct fixture fixture;
    struct extent_place place;
    struct drive *drive;

    (void)state;
    fixture_begin(&fixture, 0);
    drive = fixture.drive;
    drive->begin_id = drive->next_id;
    assert_non_null(drive->active);
    assert_int_equal(drive_reserve(drive, 2, 0, 5, 0, &place), 0);
    assert_true(place.extent >= drive->begin_id);
    assert_int_equal(drive_write(drive, &place, 0, "again", 5), 0);
    assert_int_equal(drive_sync(drive, place.extent), 0);
    fixture_end(&fixture);
}

/* Also what is said when nobody waits for it any more. */
static void a_status_that_comes_late_counts(void **state)
{
    struct fixture fixture;
    struct drive_usage usage;

    (void)state;
    fixture_begin(&fixture, 0);
    hang(&fixture, true);
    ask_until_overdue(fixture.drive, &usage);
    assert_int_equal(drive_state(fixture.drive), DRIVE_OK);
    io_sim_fail_path(fixture.io, "/d0", EIO);
    wait_for_answers(fixture.drive);
    assert_int_equal(drive_state(fixture.drive), DRIVE_FAILED);
    io_sim_fail_path(fixture.io, "/d0", 0);
    fixture_end(&fixture);
}

/* What answers while s3d ends closes its files all the same. */
static void files_are_closed_after_the_end(void **state)
{
    struct fixture fixture;
    struct io_file *file;

    (void)state;
    fixture_begin(&fixture, 0);
    assert_int_equal(
        io_open(fixture.io, "/d0/late", IO_WRITE | IO_CREATE, &file), 0);
    assert_true(lane_stop(&fixture.drive->changes));
    fixture.drive->changes.count = 0; /* they are joined */
    drive_close_file(fixture.drive, file);
    fixture_end(&fixture);
}

static void quantiles(void **state)
{
    static const uint64_t times[] = {0, 1, 3, 4, 100, 12345, 1000000, 50000000};
    struct drive_latency summary;

    (void)state;
    for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        struct latency latency = {0};

        note(&latency, times[i], 3);
        latency_describe(&latency, &summary);
        assert_int_equal(summary.count, 3);
        assert_near(summary.median_us, times[i]);
        assert_int_equal(summary.p95_us, summary.median_us);
    }
    struct latency latency = {0};
    latency_describe(&latency, &summary);
    assert_int_equal(summary.count + summary.median_us + summary.p95_us, 0);
    note(&latency, 100, 94);
    note(&latency, 5000, 6);
    note(&latency, UINT64_MAX, 1);
    latency_describe(&latency, &summary);
    assert_near(summary.median_us, 100);
    assert_near(summary.p95_us, 5000);
}

static void old_times_fall_out(void **state)
{
    struct latency latency = {0};
    struct drive_latency summary;
    uint64_t now = 10 * LATENCY_HALF_US;

    (void)state;
    latency_turn(&latency, now);
    note(&latency, 10, 1);
    latency_turn(&latency, now + LATENCY_HALF_US - 1);
    note(&latency, 10, 1);
    latency_turn(&latency, now + LATENCY_HALF_US);
    note(&latency, 10, 1);
    latency_describe(&latency, &summary);
    assert_int_equal(summary.count, 3);
    latency_turn(&latency, now + 2 * LATENCY_HALF_US);
    latency_describe(&latency, &summary);
    assert_int_equal(summary.count, 1);
    note(&latency, 10, 1);
    latency_turn(&latency, now + 4 * LATENCY_HALF_US);
    latency_describe(&latency, &summary);
    assert_int_equal(summary.count, 0);
}

static void operations_are_timed(void **state)
{
    struct fixture fixture;
    struct drive_condition condition;

    (void)state;
    fixture_begin(&fixture, 0);
    drive_describe(fixture.drive, &condition);
    assert_int_equal(condition.reads.count, 0);
    assert_int_equal(condition.writes.count, 1);
    assert_int_equal(condition.syncs.count, 1);
    io_sim_delay(fixture.io, "/d0", 3000);
    assert_int_equal(read_within(&fixture, 0), 0);
    drive_describe(fixture.drive, &condition);
    assert_int_equal(condition.reads.count, 1);
    assert_true(condition.reads.median_us >= 2500);
    fixture_end(&fixture);
}

/* --- slow drives -----------------------------------------------------------*/

static void forget(struct drive *drive)
{
    memset(drive->syncing.counts, 0, sizeof(drive->syncing.counts));
}

static void slow_beside_its_peers(void **state)
{
    struct fixture fixtures[4];
    struct drive *drives[4];
    struct drive_condition condition;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        fixture_begin(&fixtures[i], 0);
        drives[i] = fixtures[i].drive;
        forget(drives[i]);
        note(&drives[i]->syncing, i == 3 ? 50000 : 2000 + 500 * i, 20);
    }
    drives_compare(drives, 4);
    drive_describe(drives[3], &condition);
    assert_true(condition.slow);
    assert_int_not_equal(condition.slow_since_ms, 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_false(drive_slow(drives[i]));
    }
    /* Not four times as slow any more, but still twice. */
    forget(drives[3]);
    note(&drives[3]->syncing, 8000, 20);
    drives_compare(drives, 4);
    assert_true(drive_slow(drives[3]));
    /* Once it is well, the same does not make it slow again. */
    forget(drives[3]);
    note(&drives[3]->syncing, 3000, 20);
    drives_compare(drives, 4);
    drive_describe(drives[3], &condition);
    assert_false(condition.slow);
    assert_int_equal(condition.slow_since_ms, 0);
    forget(drives[3]);
    note(&drives[3]->syncing, 9000, 20);
    drives_compare(drives, 4);
    assert_false(drive_slow(drives[3]));
    for (unsigned i = 0; i < 4; i++) {
        fixture_end(&fixtures[i]);
    }
}

/* Too few times, too few peers, or all alike: nothing is said. */
static void no_rash_judgement(void **state)
{
    struct fixture fixtures[3];
    struct drive *drives[3];

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        fixture_begin(&fixtures[i], 0);
        drives[i] = fixtures[i].drive;
        forget(drives[i]);
        note(&drives[i]->syncing, 1000, 20);
    }
    forget(drives[0]);
    note(&drives[0]->syncing, 90000, 19);
    drives_compare(drives, 3);
    assert_false(drive_slow(drives[0]));
    note(&drives[0]->syncing, 90000, 1);
    drives_compare(drives, 2);
    assert_false(drive_slow(drives[0]));
    drives_compare(drives, 3);
    assert_true(drive_slow(drives[0]));
    /* It is not written to any more: when its times are old it is tried. */
    forget(drives[0]);
    drives_compare(drives, 3);
    assert_false(drive_slow(drives[0]));
    for (unsigned i = 0; i < 3; i++) {
        forget(drives[i]);
        note(&drives[i]->syncing, 90000 + i * 90000, 20);
    }
    drives_compare(drives, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_false(drive_slow(drives[i]));
        fixture_end(&fixtures[i]);
    }
}

static void the_p95_of_the_median_drive(void **state)
{
    static const uint64_t times[] = {100, 300, 90000};
    struct fixture fixtures[3];
    struct drive *drives[3];

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        fixture_begin(&fixtures[i], 0);
        drives[i] = fixtures[i].drive;
    }
    assert_int_equal(drives_read_p95(drives, 3), 0);
    for (unsigned i = 0; i < 3; i++) {
        note(&drives[i]->reading, times[i], 20);
    }
    assert_near(drives_read_p95(drives, 3), 300);
    for (unsigned i = 0; i < 3; i++) {
        fixture_end(&fixtures[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_that_hangs_is_left_behind),
        cmocka_unit_test(a_drive_that_reads_nothing_fails),
        cmocka_unit_test(few_threads_are_stuck),
        cmocka_unit_test(a_write_that_hangs),
        cmocka_unit_test(a_write_that_hangs_is_accounted_once),
        cmocka_unit_test(a_sync_that_hangs),
        cmocka_unit_test(a_new_extent_that_hangs),
        cmocka_unit_test(a_reclaim_that_hangs),
        cmocka_unit_test(a_status_is_not_held_up),
        cmocka_unit_test(looking_finds_what_takes_too_long),
        cmocka_unit_test(a_look_that_hangs),
        cmocka_unit_test(a_look_that_hangs_at_a_removal),
        cmocka_unit_test(an_extent_of_before_is_left),
        cmocka_unit_test(a_status_that_comes_late_counts),
        cmocka_unit_test(files_are_closed_after_the_end),
        cmocka_unit_test(quantiles),
        cmocka_unit_test(old_times_fall_out),
        cmocka_unit_test(operations_are_timed),
        cmocka_unit_test(slow_beside_its_peers),
        cmocka_unit_test(no_rash_judgement),
        cmocka_unit_test(the_p95_of_the_median_drive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
