/*
 * Scrub: it finds what nobody reads, goes on where it was, reports what
 * dangles, and keeps to its rate.
 */
#include "care_fixture.h"

#include "set_clock.h"

static void test_finds_every_rotten_shard(void **unused)
{
    struct arena *arena = arena_new();
    struct care_fixture f;
    struct care_status status;

    (void)unused;
    care_fixture_open(&f, CARE_DRIVES, 1);
    care_rot(&f, 1, 0, 2); /* a copy that is not read first */
    care_rot(&f, 3, 0, 5); /* parity */
    care_rot(&f, 4, 1, 4);
    care_start_slowly(&f); /* a pass that begins anew finds blob 1 twice */
    assert_true(care_until(&f, care_is_full));
    status = care_now(&f, arena);
    assert_int_equal(status.today->shards_bad, 3);
    assert_int_equal(status.scrub.progress->completed_blobs, CARE_BLOBS);
    assert_int_equal(status.today->shards_repaired, 3);
    assert_int_equal(status.today->blobs_repaired, 3);
    care_stop(&f);
    care_check_whole(&f);
    arena_free(arena);
    care_fixture_close(&f);
}

static bool is_under_way(const struct care_status *status)
{
    return status->scrub.progress->blobs >= 2;
}

static void test_goes_on_after_a_restart(void **unused)
{
    struct arena *arena = arena_new();
    struct care_fixture f;
    Meta__Scrub *before;
    struct care_status status;

    (void)unused;
    care_fixture_open(&f, CARE_DRIVES, 2);
    care_start_slowly(&f);
    assert_true(care_until(&f, is_under_way));
    care_stop(&f);
    assert_int_equal(meta_get_scrub(f.meta, arena, &before), 0);
    assert_true(before->started_ms != 0 && before->cursor >= 2);
    assert_int_equal(before->passes, 0);

    care_start_slowly(&f);
    status = care_now(&f, arena);
    assert_int_equal(status.scrub.progress->started_ms, before->started_ms);
    assert_true(status.scrub.progress->cursor >= before->cursor);
    assert_true(status.scrub.running);
    assert_false(status.fully_redundant);
    care_scrub_stop(f.care);
    assert_false(care_now(&f, arena).scrub.running);
    care_scrub_start(f.care);
    assert_true(care_until(&f, care_is_full));
    status = care_now(&f, arena);
    assert_int_equal(status.scrub.progress->completed_blobs, CARE_BLOBS);
    arena_free(arena);
    care_fixture_close(&f);
}

static bool has_passed_twice(const struct care_status *status)
{
    return status->scrub.progress->passes == 2;
}

static bool has_passed(const struct care_status *status)
{
    return status->scrub.progress->passes == 1;
}

/* A pass ends with what was there when it began: or, as writers may be faster
 * than it is, never. */
static void test_what_is_written_meanwhile(void **unused)
{
    struct arena *arena = arena_new();
    struct care_fixture f;
    uint64_t blob;

    (void)unused;
    care_fixture_open(&f, CARE_DRIVES, 4);
    care_start_slowly(&f);
    assert_true(care_until(&f, is_under_way));
    assert_true(care_now(&f, arena).scrub.running);
    blob = meta_next_id(f.meta);
    care_put(&f, blob, f.data[0], care_sizes[0]);
    assert_true(care_until(&f, has_passed));
    assert_int_equal(care_now(&f, arena).scrub.progress->completed_blobs,
                     CARE_BLOBS);
    care_scrub_start(f.care); /* the next one has it */
    assert_true(care_until(&f, has_passed_twice));
    assert_int_equal(care_now(&f, arena).scrub.progress->completed_blobs,
                     CARE_BLOBS + 1);
    arena_free(arena);
    care_fixture_close(&f);
}

/* An object, and a blob of slices, whose blob is not there; and two more whose
 * blobs are. */
static void test_dangling_references(void **unused)
{
    struct arena *arena = arena_new();
    struct care_fixture f;
    struct meta_batch *batch;
    Meta__Bucket bucket = META__BUCKET__INIT;
    Meta__Blob blob = META__BLOB__INIT;
    static const char names[] = "bucket\0composite\0v\0bucket\0key\0";

    (void)unused;
    care_fixture_open(&f, CARE_DRIVES, 3);
    batch = meta_batch_new(f.meta);
    bucket.id = 7;
    bucket.name.data = (uint8_t *)"bucket";
    bucket.name.len = 6;
    meta_put_bucket(batch, &bucket);
    for (uint64_t i = 0; i < 2; i++) {
        Meta__Object object = META__OBJECT__INIT;
        Meta__Part part = META__PART__INIT, *parts[] = {&part};

        object.sequence = 10 + i;
        object.blob = i == 0 ? 2 : 99;
        meta_add_object(batch, 7, SLICE_LITERAL("key"), &object);
        part.number = 1;
        part.blob = i == 0 ? 3 : 98;
        blob.parts = parts;
        blob.n_parts = 1;
        meta_put_blob(batch, 50 + i, &blob, 0);
        object.sequence = 20 + i;
        object.blob = 50 + i;
        object.version_id = (ProtobufCBinaryData){1, (uint8_t *)"v"};
        meta_add_object(batch, 7, SLICE_LITERAL("composite"), &object);
    }
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    care_start(&f);
    assert_true(care_until(&f, has_passed));
    for (unsigned i = 0; i < 2; i++) { /* also after a restart */
        const Meta__Scrub *progress = care_now(&f, arena).scrub.progress;

        assert_int_equal(progress->completed_dangling, 2);
        assert_int_equal(progress->dangling_objects.len, sizeof(names));
        assert_memory_equal(progress->dangling_objects.data, names,
                            sizeof(names));
        care_stop(&f);
        care_start_slowly(&f);
    }
    arena_free(arena);
    care_fixture_close(&f);
}

static void test_the_books_of_a_day(void **unused)
{
    struct arena *arena = arena_new();
    struct care_fixture f;
    const Meta__Audit *today;
    uint64_t verified;

    (void)unused;
    care_fixture_open(&f, CARE_DRIVES, 4);
    care_start(&f);
    assert_true(care_until(&f, care_is_full));
    verified = care_now(&f, arena).today->bytes_verified;
    assert_true(verified > care_sizes[3]);
    care_stop(&f);
    care_start_slowly(&f); /* a pass is not due */
    today = care_now(&f, arena).today;
    assert_int_equal(today->bytes_verified, verified);
    assert_int_equal(today->shards_bad, 0);
    arena_free(arena);
    care_fixture_close(&f);
}

/* A pass that began while the clock was ahead is followed by one at once, and
 * not by a third. */
static void test_a_clock_that_was_ahead(void **unused)
{
    struct arena *arena = arena_new();
    struct care_fixture f;
    struct care_status status;

    (void)unused;
    care_fixture_open(&f, CARE_DRIVES, 5);
    clock_set(40 * 86400);
    care_start(&f);
    assert_true(care_until(&f, has_passed));
    clock_set(0);
    assert_true(care_until(&f, has_passed_twice));
    care_stop(&f);
    care_start_slowly(&f); /* another would be due at once */
    assert_true(care_until(&f, care_is_full));
    status = care_now(&f, arena);
    assert_int_equal(status.scrub.progress->passes, 2);
    assert_false(status.scrub.running);
    arena_free(arena);
    care_fixture_close(&f);
}

static bool is_healing(const struct care_status *status)
{
    return status->heal.active > 0 && status->heal.milliseconds > 0;
}

static void test_a_repair_while_the_clock_is_set(void **unused)
{
    struct arena *arena = arena_new();
    struct care_fixture f;

    (void)unused;
    care_fixture_open(&f, CARE_DRIVES, 6);
    care_rot(&f, 4, 1, 4);
    f.options.heal_rate = 1; /* longer than this test */
    care_start(&f);
    assert_true(care_until(&f, is_healing));
    clock_set(-3600);
    assert_in_range(care_now(&f, arena).heal.milliseconds, 1, 3600000);
    clock_set(0);
    arena_free(arena);
    care_fixture_close(&f);
}

static void test_pace(void **unused)
{
    struct pace pace;

    (void)unused;
    pace_init(&pace, 1000000);
    pace.last_us = 0;
    pace.tokens = -500000;
    pace_refill(&pace, 250000, false);
    assert_int_equal(pace.tokens, -250000);
    pace_refill(&pace, 500000, true); /* a quarter */
    assert_int_equal(pace.tokens, -187500);
    pace_refill(&pace, 10000000, false); /* no more than for a quarter second */
    assert_int_equal(pace.tokens, 250000);
}

static bool stopped;
static bool is_stopped(void *context)
{
    (void)context;
    return stopped;
}

static void test_pace_waits_and_stops(void **unused)
{
    uint64_t began = clock_monotonic_us();
    struct pace pace;

    (void)unused;
    pace_init(&pace, 1000000);
    pace.stop = is_stopped;
    assert_true(pace_take(&pace, 100000));
    assert_true(clock_monotonic_us() - began >= 90000);
    stopped = true;
    assert_false(pace_take(&pace, 1ull << 40));
}

static int setup(void **unused)
{
    (void)unused;
    log_set_level(LOG_LEVEL_ERROR);
    return erasure_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_every_rotten_shard),
        cmocka_unit_test(test_goes_on_after_a_restart),
        cmocka_unit_test(test_what_is_written_meanwhile),
        cmocka_unit_test(test_dangling_references),
        cmocka_unit_test(test_the_books_of_a_day),
        cmocka_unit_test(test_a_clock_that_was_ahead),
        cmocka_unit_test(test_a_repair_while_the_clock_is_set),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_pace_waits_and_stops),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
