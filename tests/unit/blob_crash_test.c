#include "blob_fixture.h"
#include "extent/private.h"

#define BLOBS 6

static const size_t sizes[BLOBS] = {
    1, 4096, BLOB_SMALL_MAX + 7, 200000, FIXTURE_CHUNK, FIXTURE_CHUNK + 70001};

/* B1: what was returned before a power cut reads back after it, while a
 * writer that was cut off half-way leaves nothing that disturbs. */
static void crash_round(uint64_t seed)
{
    struct blob_spec spec = {.blob = 99, .size = 500000};
    struct blob_writer *writer;
    Layout__Layout *layouts[BLOBS], *after;
    struct fixture fixture;
    uint8_t *data[BLOBS];

    fixture_open(&fixture, 6, seed);
    for (unsigned i = 0; i < BLOBS; i++) {
        data[i] = fixture_bytes(seed * 10 + i, sizes[i]);
        assert_int_equal(
            fixture_put(&fixture, i, data[i], sizes[i], 30000, &layouts[i]), 0);
    }
    assert_int_equal(blob_writer_open(fixture.store, &spec, &writer), 0);
    assert_int_equal(blob_writer_append(writer, data[4], 450000), 0);
    io_sim_crash(fixture.io);
    blob_writer_abort(writer);
    fixture_reattach(&fixture);

    for (unsigned i = 0; i < BLOBS; i++) {
        fixture_check(&fixture, layouts[i], data[i]);
        assert_int_equal(fixture_bad(&fixture, layouts[i]), 0);
    }
    assert_int_equal(
        fixture_put(&fixture, 100, data[3], sizes[3], 65536, &after), 0);
    fixture_check(&fixture, after, data[3]);
    for (unsigned i = 0; i < BLOBS; i++) {
        fixture_check(&fixture, layouts[i], data[i]);
        fixture_free(layouts[i]);
        free(data[i]);
    }
    fixture_free(after);
    fixture_close(&fixture);
}

static void test_power_cuts(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        crash_round(seed);
    }
}

/* Fails the n-th call after now, `times` times, while a blob is written. A
 * layout that is returned all the same must survive a power cut. Returns
 * false once n is past the last call of the write. */
static bool fail_at(uint64_t n, size_t size, int failure, uint64_t times)
{
    struct fixture fixture;
    Layout__Layout *layout;
    uint8_t *data = fixture_bytes(n, size);
    uint64_t calls;
    int error;

    fixture_open(&fixture, 6, n + 1);
    calls = io_sim_calls(fixture.io);
    io_sim_fail_after(fixture.io, n, failure, times);
    error = fixture_put(&fixture, 1, data, size, 50000, &layout);
    calls = io_sim_calls(fixture.io) - calls;
    io_sim_fail_after(fixture.io, 0, 0, 0);
    if (times == 1) {
        assert_int_equal(error, 0); /* one failure costs at most one shard */
    } else if (error != 0) {
        assert_true(error == -EIO || error == -ENOSPC || error == -ENODEV);
    }
    io_sim_crash(fixture.io);
    fixture_reattach(&fixture);
    if (error == 0) {
        fixture_check(&fixture, layout, data);
        fixture_free(layout);
    }
    free(data);
    fixture_close(&fixture);
    return calls > n;
}

static void test_one_failing_call(void **unused)
{
    static const size_t some[] = {100, 200000, FIXTURE_CHUNK + 100000};

    (void)unused;
    for (size_t i = 0; i < 3; i++) {
        uint64_t n = 0;

        while (fail_at(n, some[i], EIO, 1)) {
            n++;
        }
        assert_true(n > 20);
    }
}

static void test_no_room_at_one_call(void **unused)
{
    uint64_t n = 0;

    (void)unused;
    while (fail_at(n, 200000, ENOSPC, 1)) {
        n++;
    }
    assert_true(n > 20);
}

static void test_everything_fails_from_a_call_on(void **unused)
{
    uint64_t n = 0;

    (void)unused;
    while (fail_at(n, 200000, EIO, UINT64_MAX)) {
        n++;
    }
    assert_true(n > 20);
}

static unsigned shards_there(const Layout__Layout *layout)
{
    unsigned there = 0;

    for (size_t i = 0; i < layout->chunks[0]->n_shards; i++) {
        there += layout->chunks[0]->shards[i]->drive_plus_one != 0;
    }
    return there;
}

/* A drive that dies between the choice and the sync costs one shard; a second
 * one would leave no redundancy beyond k, so the write is refused. */
static void test_drives_that_die_while_writing(void **unused)
{
    for (unsigned dying = 0; dying <= 2; dying++) {
        struct blob_spec spec = {.blob = 1, .size = 400000};
        uint8_t *data = fixture_bytes(1, 400000);
        struct blob_writer *writer;
        Layout__Layout *layout;
        struct fixture fixture;
        int error;

        (void)unused;
        fixture_open(&fixture, 6, dying + 1);
        assert_int_equal(blob_writer_open(fixture.store, &spec, &writer), 0);
        assert_int_equal(blob_writer_append(writer, data, 100000), 0);
        if (dying > 0) {
            io_sim_fail_path(fixture.io, "/d01", EIO);
        }
        if (dying > 1) {
            io_sim_fail_path(fixture.io, "/d02", EIO);
        }
        error = blob_writer_append(writer, data + 100000, 300000);
        if (dying == 2) {
            assert_int_equal(error, -ENODEV);
            blob_writer_abort(writer);
        } else {
            assert_int_equal(error, 0);
            assert_int_equal(blob_writer_finish(writer, &layout), 0);
            assert_int_equal(shards_there(layout), 6 - dying);
            assert_int_equal(blob_degraded(layout), dying == 1);
            fixture_check(&fixture, layout, data);
            fixture_free(layout);
        }
        free(data);
        fixture_close(&fixture);
    }
}

/* With one parity shard, or two copies, all of them are needed: without the
 * one that is lost the blob would be acknowledged with no redundancy. */
static void test_one_parity_shard_is_not_given_up(void **unused)
{
    static const struct {
        unsigned drives;
        size_t size;
    } cases[] = {{2, 1000}, {2, 400000}, {3, 1000}, {3, 400000}};

    (void)unused;
    for (size_t i = 0; i < 4; i++) {
        size_t size = cases[i].size;
        struct blob_spec spec = {.blob = 1, .size = size};
        uint8_t *data = fixture_bytes(1, size);
        struct blob_writer *writer;
        struct fixture fixture;
        Layout__Layout *layout;
        int error;

        fixture_open(&fixture, cases[i].drives, i + 1);
        assert_int_equal(blob_writer_open(fixture.store, &spec, &writer), 0);
        assert_int_equal(blob_writer_append(writer, data, size / 2), 0);
        io_sim_fail_path(fixture.io, "/d01", EIO);
        error = blob_writer_append(writer, data + size / 2, size - size / 2);
        if (error != 0) {
            blob_writer_abort(writer);
        } else {
            error = blob_writer_finish(writer, &layout);
        }
        assert_int_equal(error, -ENODEV);
        /* The next one finds the drive failed and does without it. */
        if (cases[i].drives == 3) {
            assert_int_equal(
                fixture_put(&fixture, 2, data, size, 65536, &layout), 0);
            assert_int_equal(layout->k, 1);
            assert_int_equal(layout->m, 1);
            assert_false(blob_degraded(layout));
            fixture_free(layout);
        }
        free(data);
        fixture_close(&fixture);
    }
}

/* The contents of drives are removed, their directories kept: nothing is
 * acknowledged that cannot be read after a restart. */
static void test_removed_contents_are_not_written_to(void **unused)
{
    uint8_t *data = fixture_bytes(1, 200000);
    Layout__Layout *first, *layout;
    struct fixture fixture;

    (void)unused;
    fixture_open(&fixture, 6, 1);
    assert_int_equal(fixture_put(&fixture, 1, data, 200000, 65536, &first), 0);
    io_sim_wipe(fixture.io, "/d00");
    io_sim_wipe(fixture.io, "/d01");
    assert_int_equal(fixture_put(&fixture, 2, data, 200000, 65536, &layout),
                     -ENODEV);
    assert_int_equal(drive_state(fixture.drives[0]), DRIVE_FAILED);
    assert_int_equal(drive_state(fixture.drives[1]), DRIVE_FAILED);
    assert_int_equal(fixture_put(&fixture, 3, data, 200000, 65536, &layout), 0);
    fixture_reattach(&fixture);
    fixture_check(&fixture, layout, data);
    fixture_check(&fixture, first, data);
    fixture_free(layout);
    fixture_free(first);
    free(data);
    fixture_close(&fixture);
}

/* Drives that turn out to be lost when their space is asked for are not taken
 * for full ones. */
static void test_lost_drives_are_not_full(void **unused)
{
    uint8_t *data = fixture_bytes(1, 200000);
    Layout__Layout *layout;
    struct fixture fixture;

    (void)unused;
    for (unsigned lost = 1; lost <= 5; lost++) {
        fixture_open(&fixture, 6, lost);
        for (unsigned i = 0; i < lost; i++) {
            char prefix[16];

            snprintf(prefix, sizeof(prefix), "/d%02u", i);
            io_sim_wipe(fixture.io, prefix);
            fixture.drives[i]->space.checked_us -= SPACE_MAX_AGE_US;
        }
        if (lost == 5) {
            assert_int_equal(
                fixture_put(&fixture, 1, data, 200000, 65536, &layout),
                -ENODEV);
        } else {
            assert_int_equal(
                fixture_put(&fixture, 1, data, 200000, 65536, &layout), 0);
            assert_int_equal(layout->k, erasure_default(6 - lost, false).k);
            assert_false(blob_degraded(layout));
            fixture_reattach(&fixture);
            fixture_check(&fixture, layout, data);
            fixture_free(layout);
        }
        fixture_close(&fixture);
    }
    free(data);
}

static void drive_gone(struct fixture *fixture, unsigned drive)
{
    char prefix[16];

    snprintf(prefix, sizeof(prefix), "/d%02u", drive);
    io_sim_wipe(fixture->io, prefix);
}

/* With fewer drives a narrower code is used, never a degraded one; a drive
 * left alone takes nothing. */
static void test_profile_follows_the_usable_drives(void **unused)
{
    struct fixture fixture;
    uint8_t *data = fixture_bytes(1, 200000);

    (void)unused;
    fixture_open(&fixture, 6, 1);
    for (unsigned left = 6; left >= 2; left--) {
        struct erasure_profile profile = erasure_default(left, false);
        Layout__Layout *layout;

        assert_int_equal(
            fixture_put(&fixture, left, data, 200000, 65536, &layout), 0);
        assert_int_equal(layout->k, profile.k);
        assert_int_equal(layout->m, profile.m);
        assert_false(blob_degraded(layout));
        fixture_check(&fixture, layout, data);
        fixture_free(layout);
        drive_gone(&fixture, left - 1);
        fixture_reattach(&fixture);
    }
    {
        struct blob_spec spec = {.blob = 50, .size = 1};
        struct blob_writer *writer;

        assert_int_equal(blob_writer_open(fixture.store, &spec, &writer),
                         -ENODEV);
    }
    free(data);
    fixture_close(&fixture);
}

static void test_full_drives_refuse(void **unused)
{
    const size_t size = 400000;
    uint8_t *data = fixture_bytes(1, size);
    struct fixture fixture;
    Layout__Layout *layout, *first = NULL;
    unsigned stored = 0;
    int error;

    (void)unused;
    fixture = (struct fixture){.count = 6};
    fixture.io = io_sim_new(1, 4u << 20);
    for (unsigned i = 0; i < 6; i++) {
        struct drive_config config;
        char directory[16];

        fixture_config(i, &config, directory);
        assert_int_equal(drive_format(fixture.io, &config, fixture_cluster), 0);
    }
    assert_int_equal(fixture_attach(&fixture), 0);
    while ((error = fixture_put(&fixture, stored, data, size, 65536,
                                &layout)) == 0) {
        if (first == NULL) {
            first = layout;
        } else {
            fixture_free(layout);
        }
        assert_true(++stored < 100);
    }
    assert_int_equal(error, -ENOSPC);
    assert_true(stored >= 2);
    fixture_check(&fixture, first, data);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(drive_state(fixture.drives[i]), DRIVE_OK);
    }
    fixture_free(first);
    free(data);
    fixture_close(&fixture);
}

static int setup(void **unused)
{
    (void)unused;
    log_set_level((enum log_level)(LOG_LEVEL_ERROR + 1));
    return erasure_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_power_cuts),
        cmocka_unit_test(test_one_failing_call),
        cmocka_unit_test(test_no_room_at_one_call),
        cmocka_unit_test(test_everything_fails_from_a_call_on),
        cmocka_unit_test(test_drives_that_die_while_writing),
        cmocka_unit_test(test_one_parity_shard_is_not_given_up),
        cmocka_unit_test(test_removed_contents_are_not_written_to),
        cmocka_unit_test(test_lost_drives_are_not_full),
        cmocka_unit_test(test_profile_follows_the_usable_drives),
        cmocka_unit_test(test_full_drives_refuse),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
