/* Blobs on drives of which one hangs, or takes its time. */
#include "blob_fixture.h"

#include "extent/private.h"

#include <sched.h>

#define BRIEFLY_US 30000u
#define SIZE       700000u /* two chunks */

struct damage {
    unsigned reports;
};

static void on_damage(void *context, uint64_t blob, unsigned chunk,
                      unsigned shard, int error)
{
    (void)blob;
    (void)chunk;
    (void)shard;
    (void)error;
    ((struct damage *)context)->reports++;
}

static void hang(struct fixture *fixture, unsigned drive, bool hang)
{
    char prefix[8];

    snprintf(prefix, sizeof(prefix), "/d%02u", drive);
    if (!hang) {
        fixture->drives[drive]->options.timeout_us = 0;
    }
    io_sim_hang(fixture->io, prefix, hang);
}

/* Those who wait for it soon give up. */
static void hang_briefly(struct fixture *fixture, unsigned drive)
{
    fixture->drives[drive]->options.timeout_us = BRIEFLY_US;
    hang(fixture, drive, true);
}

/* As s3d does every second. */
static void look_until_failed(struct drive *drive)
{
    while (drive_state(drive) == DRIVE_OK) {
        drive_look(drive);
    }
}

static void wait_for_answers(struct fixture *fixture, unsigned drive)
{
    struct drive_condition condition;

    do {
        sched_yield();
        drive_describe(fixture->drives[drive], &condition);
    } while (condition.silent || condition.lags);
}

static unsigned missing(const Layout__Layout *layout)
{
    unsigned count = 0;

    for (size_t i = 0; i < layout->n_chunks; i++) {
        for (size_t j = 0; j < layout->chunks[i]->n_shards; j++) {
            count += layout->chunks[i]->shards[j]->drive_plus_one == 0;
        }
    }
    return count;
}

static bool names(const Layout__Layout *layout, unsigned drive)
{
    for (size_t i = 0; i < layout->n_chunks; i++) {
        for (size_t j = 0; j < layout->chunks[i]->n_shards; j++) {
            if (layout->chunks[i]->shards[j]->drive_plus_one == drive + 1) {
                return true;
            }
        }
    }
    return false;
}

/* --- reads -----------------------------------------------------------------*/

static void test_reads_go_round_a_drive_that_hangs(void **unused)
{
    static const size_t sizes[] = {1000, SIZE};
    uint8_t *data = fixture_bytes(1, SIZE);

    (void)unused;
    for (unsigned s = 0; s < 2; s++) {
        struct fixture fixture;
        struct damage damage = {0};
        Layout__Layout *layout;
        uint64_t random = 1;

        fixture_open(&fixture, 6, 1);
        blob_store_on_damage(fixture.store, on_damage, &damage);
        blob_store_hedge(fixture.store, 1000);
        assert_int_equal(
            fixture_put(&fixture, 1, data, sizes[s], 65536, &layout), 0);
        for (unsigned drive = 0; drive < 6; drive++) {
            hang(&fixture, drive, true);
            fixture_check(&fixture, layout, data);
            fixture_check_random_ranges(&fixture, layout, data, 5, &random);
            hang(&fixture, drive, false);
            wait_for_answers(&fixture, drive);
            fixture_check(&fixture, layout, data);
        }
        assert_int_equal(damage.reports, 0);
        fixture_free(layout);
        fixture_close(&fixture);
    }
    free(data);
}

/* Nobody sends from a drive that hangs; copies have another one. */
static void test_segments_go_round_it(void **unused)
{
    struct fixture fixture;
    struct blob_segment segments[64];
    uint8_t *data = fixture_bytes(1, SIZE);
    Layout__Layout *layout, *copies;
    uint64_t covered;

    (void)unused;
    fixture_open(&fixture, 6, 1);
    blob_store_hedge(fixture.store, 1000);
    assert_int_equal(fixture_put(&fixture, 1, data, SIZE, 65536, &layout), 0);
    assert_int_equal(fixture_put(&fixture, 2, data, 1000, 65536, &copies), 0);

    const unsigned first = layout->chunks[0]->shards[0]->drive_plus_one - 1;
    hang(&fixture, first, true);
    assert_int_equal(blob_segments(fixture.store, layout, 0, SIZE,
                                   BLOB_VERIFY_PATH, segments, 64, &covered),
                     0);
    hang(&fixture, first, false);
    wait_for_answers(&fixture, first);

    assert_int_equal(blob_segments(fixture.store, copies, 0, 1000,
                                   BLOB_VERIFY_PATH, segments, 64, &covered),
                     1);
    const unsigned usual = segments[0].drive;
    hang(&fixture, usual, true);
    assert_int_equal(blob_segments(fixture.store, copies, 0, 1000,
                                   BLOB_VERIFY_PATH, segments, 64, &covered),
                     1);
    assert_int_not_equal(segments[0].drive, usual);
    assert_int_equal(covered, 1000);
    hang(&fixture, usual, false);
    wait_for_answers(&fixture, usual);
    fixture_free(layout);
    fixture_free(copies);
    fixture_close(&fixture);
    free(data);
}

/* Where too few are quick, all are waited for; and without a hedge at once. */
static void test_reads_wait_where_they_must(void **unused)
{
    struct fixture fixture;
    uint8_t *data = fixture_bytes(1, 200000);
    struct damage damage = {0};
    Layout__Layout *layout;

    (void)unused;
    fixture_open(&fixture, 6, 1);
    blob_store_on_damage(fixture.store, on_damage, &damage);
    assert_int_equal(fixture_put(&fixture, 1, data, 200000, 65536, &layout), 0);
    for (unsigned hedge = 0; hedge <= 100; hedge += 100) {
        blob_store_hedge(fixture.store, hedge);
        for (unsigned i = 0; i < 3; i++) {
            char prefix[8];

            snprintf(prefix, sizeof(prefix), "/d%02u", i);
            io_sim_delay(fixture.io, prefix, 2000);
        }
        fixture_check(&fixture, layout, data);
    }
    assert_int_equal(damage.reports, 0);
    fixture_free(layout);
    fixture_close(&fixture);
    free(data);
}

/* More hang than the code bears: an error in time, no wrong bytes. */
static void test_too_many_hang(void **unused)
{
    struct fixture fixture;
    uint8_t *data = fixture_bytes(1, 200000), *back = xmalloc(200000);
    Layout__Layout *layout;

    (void)unused;
    fixture_open(&fixture, 6, 1);
    blob_store_hedge(fixture.store, 1000);
    assert_int_equal(fixture_put(&fixture, 1, data, 200000, 65536, &layout), 0);
    for (unsigned i = 0; i < 3; i++) {
        hang_briefly(&fixture, i);
    }
    assert_int_equal(blob_read(fixture.store, layout, 0, back, 200000), -EIO);
    for (unsigned i = 0; i < 3; i++) {
        hang(&fixture, i, false);
        wait_for_answers(&fixture, i);
    }
    fixture_check(&fixture, layout, data);
    fixture_free(layout);
    fixture_close(&fixture);
    free(back);
    free(data);
}

/* --- writes ----------------------------------------------------------------*/

/* Hangs while the last bytes are still to come, so that what hangs is a write,
 * the sync, or both. */
static int put_and_hang(struct fixture *fixture, unsigned drive,
                        const uint8_t *data, size_t size, size_t before,
                        Layout__Layout **layout)
{
    struct blob_spec spec = {.blob = 1, .size = size};
    struct blob_writer *writer;
    int error;

    *layout = NULL;
    /* Also for what was begun before it hangs; and what a machine under load
     * delays for as long has hung, too. */
    fixture->drives[drive]->options.timeout_us = BRIEFLY_US;
    assert_int_equal(blob_writer_open(fixture->store, &spec, &writer), 0);
    error = blob_writer_append(writer, data, before);
    hang_briefly(fixture, drive);
    if (error == 0) {
        error = blob_writer_append(writer, data + before, size - before);
    }
    if (error != 0) {
        blob_writer_abort(writer);
        return error;
    }
    return blob_writer_finish(writer, layout);
}

static void test_writes_do_without_a_drive_that_hangs(void **unused)
{
    static const struct {
        size_t size, before;
    } cases[] = {{400000, 300000}, {SIZE, 100000}, {SIZE, 650000}};
    uint8_t *data = fixture_bytes(1, SIZE);

    (void)unused;
    for (unsigned i = 0; i < 3; i++) {
        struct extent_place others;
        struct fixture fixture;
        Layout__Layout *layout;

        fixture_open(&fixture, 6, 1);
        blob_store_hedge(fixture.store, 1000);
        assert_int_equal(
            drive_reserve(fixture.drives[2], 9, 0, 5000, 0, &others), 0);
        assert_int_equal(put_and_hang(&fixture, 2, data, cases[i].size,
                                      cases[i].before, &layout),
                         0);
        assert_true(blob_degraded(layout));
        assert_true(missing(layout) <= layout->n_chunks);
        look_until_failed(fixture.drives[2]);
        fixture_check(&fixture, layout, data);
        fixture_free(layout);

        /* The next one is whole, on the others, and waits for nothing. */
        assert_int_equal(fixture_put(&fixture, 2, data, 1000, 65536, &layout),
                         0);
        assert_false(blob_degraded(layout));
        assert_false(names(layout, 2));
        fixture_free(layout);

        hang(&fixture, 2, false);
        wait_for_answers(&fixture, 2);
        assert_int_equal(fixture.drives[2]->space.pending, 5000);
        assert_true(drive_look(fixture.drives[2]));
        assert_int_equal(fixture_put(&fixture, 3, data, SIZE, 65536, &layout),
                         0);
        assert_true(names(layout, 2));
        fixture_check(&fixture, layout, data);
        fixture_free(layout);
        fixture_close(&fixture);
    }
    free(data);
}

static void test_quorum(void **unused)
{
    static const struct {
        unsigned drives, may_miss;
        int one_hangs; /* of a write while one of the drives does */
    } cases[] = {
        {6, BLOB_MAY_MISS_DEFAULT, 0},
        {6, 1, 0},
        {6, 5, 0},
        {6, 0, -ENODEV},
        {8, 0, -ENODEV},
        {8, 1, 0},
        {3, BLOB_MAY_MISS_DEFAULT, -ENODEV},
    };
    uint8_t *data = fixture_bytes(1, 400000);

    (void)unused;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture fixture;
        Layout__Layout *layout;

        fixture_open(&fixture, cases[i].drives, 1);
        fixture.store->may_miss = cases[i].may_miss;
        assert_int_equal(
            put_and_hang(&fixture, 2, data, 400000, 300000, &layout),
            cases[i].one_hangs);
        fixture_free(layout);
        hang(&fixture, 2, false);
        wait_for_answers(&fixture, 2);
        fixture_close(&fixture);
    }
    free(data);
}

/* One shard of several may be missing; of two, with a quorum of one, none. */
static void test_quorum_counts(void **unused)
{
    const struct erasure_profile wide = {.k = 5, .m = 3},
                                 code = {.k = 4, .m = 2},
                                 mirror = {.k = 1, .m = 1}, single = {.k = 1};

    (void)unused;
    assert_int_equal(profile_minimum(&wide, BLOB_MAY_MISS_DEFAULT), 6);
    assert_int_equal(profile_minimum(&wide, 2), 6);
    assert_int_equal(profile_minimum(&wide, 1), 7);
    assert_int_equal(profile_minimum(&wide, 0), 8);
    assert_int_equal(profile_minimum(&code, BLOB_MAY_MISS_DEFAULT), 5);
    assert_int_equal(profile_minimum(&code, 0), 6);
    assert_int_equal(profile_minimum(&mirror, BLOB_MAY_MISS_DEFAULT), 2);
    assert_int_equal(profile_minimum(&mirror, 0), 2);
    assert_int_equal(profile_minimum(&single, 0), 1);
    assert_int_equal(profile_minimum(&single, BLOB_MAY_MISS_DEFAULT), 1);
}

/* --- placement -------------------------------------------------------------*/

static void set_slow(struct fixture *fixture, unsigned drive, bool slow)
{
    /* A read that somebody no longer waits for does it. */
    struct drive *it = fixture->drives[drive];
    struct drive_condition condition;
    char byte;

    drive_describe(it, &condition);
    if (slow && !condition.lags) {
        hang(fixture, drive, true);
        do {
            assert_int_equal(drive_read_within(it, 1, 0, &byte, 1, 1000),
                             -ETIMEDOUT);
        } while (!drive_slow(it));
    } else if (!slow) {
        hang(fixture, drive, false);
        wait_for_answers(fixture, drive);
    }
}

static void test_slow_drives_are_avoided(void **unused)
{
    /* With 5 drives blobs bear as many losses as with 6. */
    struct fixture fixture;
    uint8_t *data = fixture_bytes(1, 200000);
    Layout__Layout *layout;

    (void)unused;
    fixture_open(&fixture, 6, 1);
    set_slow(&fixture, 3, true);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(fixture_put(&fixture, 10 + i, data,
                                     i % 2 ? 200000 : 1000, 65536, &layout),
                         0);
        assert_false(names(layout, 3));
        assert_int_equal(layout->m, 2);
        assert_false(blob_degraded(layout));
        fixture_free(layout);
    }
    set_slow(&fixture, 3, false);
    assert_int_equal(fixture_put(&fixture, 20, data, 200000, 65536, &layout),
                     0);
    assert_true(names(layout, 3));
    assert_int_equal(layout->k, 4);
    fixture_free(layout);
    fixture_close(&fixture);
    free(data);
}

/* Redundancy comes first: a drive that only lags is written to. */
static void test_slow_drives_are_used_if_they_must(void **unused)
{
    struct fixture fixture;
    uint8_t *data = fixture_bytes(1, 200000);
    Layout__Layout *layout;
    char path[64], byte;

    (void)unused;
    fixture_open(&fixture, 2, 1);
    fixture_extent_path(1, 1, path);
    io_sim_hang(fixture.io, path, true); /* this one file */
    do {
        assert_int_equal(
            drive_read_within(fixture.drives[1], 1, 0, &byte, 1, 1000),
            -ETIMEDOUT);
    } while (!drive_slow(fixture.drives[1]));
    assert_int_equal(fixture_put(&fixture, 1, data, 200000, 65536, &layout), 0);
    assert_true(names(layout, 1));
    assert_int_equal(layout->m, 1);
    assert_false(blob_degraded(layout));
    fixture_free(layout);
    io_sim_hang(fixture.io, path, false);
    fixture_close(&fixture);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_go_round_a_drive_that_hangs),
        cmocka_unit_test(test_segments_go_round_it),
        cmocka_unit_test(test_reads_wait_where_they_must),
        cmocka_unit_test(test_too_many_hang),
        cmocka_unit_test(test_writes_do_without_a_drive_that_hangs),
        cmocka_unit_test(test_quorum),
        cmocka_unit_test(test_quorum_counts),
        cmocka_unit_test(test_slow_drives_are_avoided),
        cmocka_unit_test(test_slow_drives_are_used_if_they_must),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
