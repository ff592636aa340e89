/*
 * Heal: what was lost comes back, in the right order, past deletes and
 * overwrites and crashes, and nothing is called whole that is not.
 */
#include "care_fixture.h"
#include "kv/private.h"

#include <stdatomic.h>

static void test_any_two_drives_replaced(void **unused)
{
    (void)unused;
    for (unsigned a = 0; a < CARE_DRIVES; a++) {
        for (unsigned b = a + 1; b < CARE_DRIVES; b++) {
            struct care_fixture f;

            care_fixture_open(&f, CARE_DRIVES, a * CARE_DRIVES + b);
            care_replace(&f, a);
            care_replace(&f, b);
            care_start(&f);
            assert_true(care_until(&f, care_is_full));
            care_stop(&f);
            care_check_whole(&f);
            care_fixture_close(&f);
        }
    }
}

static bool is_tried(const struct care_status *status)
{
    return status->ledger.queued == CARE_BLOBS &&
           status->ledger.waiting == CARE_BLOBS && status->heal.active == 0 &&
           status->scrub.progress->passes > 0;
}

/* Without a drive to rebuild on, blobs stay short and counted; with it, they
 * are healed. */
static void test_waits_for_a_drive(void **unused)
{
    struct arena *arena = arena_new();
    struct care_status status;
    struct care_fixture f;

    (void)unused;
    care_fixture_open(&f, 4, 3); /* 2+2, copies on three of four */
    fixture_detach(&f.fixture);
    io_sim_wipe(f.fixture.io, "/d00");
    io_sim_wipe(f.fixture.io, "/d01");
    assert_int_equal(fixture_attach(&f.fixture), 0);
    care_start(&f);
    assert_true(care_until(&f, is_tried));
    status = care_now(&f, arena);
    assert_false(status.fully_redundant);
    assert_int_equal(status.drives_ok, 2);
    assert_int_equal(status.ledger.unreadable, 0);
    /* The codes bear no more loss; the copies none or one. */
    assert_true(status.ledger.left[0] >= 2);
    assert_int_equal(status.ledger.left[0] + status.ledger.left[1], CARE_BLOBS);
    care_stop(&f);
    care_check(&f);

    care_replace(&f, 0);
    care_replace(&f, 1);
    care_start(&f);
    assert_true(care_until(&f, care_is_full));
    care_stop(&f);
    for (unsigned i = 0; i < CARE_BLOBS; i++) {
        assert_int_equal(fixture_bad(&f.fixture, care_layout(&f, arena, i + 1)),
                         0);
    }
    arena_free(arena);
    care_fixture_close(&f);
}

static bool is_unreadable(const struct care_status *status)
{
    return status->ledger.unreadable == 1 && status->heal.active == 0 &&
           status->ledger.queued == 1 && status->scrub.progress->passes > 0;
}

/* care_options.tell: how often something was told of each blob. */
struct told {
    atomic_uint lost[CARE_BLOBS + 1], whole[CARE_BLOBS + 1];
};

static unsigned note_told(void *context, struct meta_batch *batch,
                          uint64_t blob, bool lost)
{
    struct told *told = context;

    assert_non_null(batch);
    atomic_fetch_add(lost ? &told->lost[blob] : &told->whole[blob], 1);
    return 1;
}

static void test_unreadable_is_said(void **unused)
{
    struct care_fixture f;
    struct told told = {0};

    (void)unused;
    care_fixture_open(&f, CARE_DRIVES, 5);
    f.options.tell = note_told;
    f.options.context = &told;
    for (unsigned i = 0; i < 3; i++) {
        care_rot(&f, 3, 0, i);
    }
    care_rot(&f, 4, 0, 2);
    care_start(&f);
    assert_true(care_until(&f, is_unreadable));
    for (unsigned blob = 1; blob <= CARE_BLOBS; blob++) {
        /* Twice, if drives are compared again while it is healed. */
        assert_int_equal(atomic_load(&told.lost[blob]) > 0, blob == 3);
        assert_int_equal(atomic_load(&told.whole[blob]), blob == 4);
    }
    for (unsigned i = 0; i < 3; i++) { /* the bytes come back */
        care_rot(&f, 3, 0, i);
    }
    care_heal_start(f.care);
    assert_true(care_until(&f, care_is_full));
    care_stop(&f);
    care_check_whole(&f);
    care_fixture_close(&f);
}

/* What a read meets is healed at once, without a pass. */
static void test_damage_that_a_read_meets(void **unused)
{
    struct arena *arena = arena_new();
    struct care_fixture f;

    (void)unused;
    care_fixture_open(&f, CARE_DRIVES, 6);
    care_start(&f);
    assert_true(care_until(&f, care_is_full));
    care_rot(&f, 4, 0, 2);
    assert_true(care_now(&f, arena).fully_redundant); /* nobody knows */
    care_check(&f);
    assert_true(care_until(&f, care_is_full));
    assert_int_equal(care_now(&f, arena).today->shards_repaired, 1);
    assert_int_equal(care_now(&f, arena).scrub.progress->passes, 1);
    care_stop(&f);
    care_check_whole(&f);
    arena_free(arena);
    care_fixture_close(&f);
}

static bool is_healing(const struct care_status *status)
{
    return status->heal.active > 0;
}

static bool is_empty(const struct care_status *status)
{
    return status->ledger.queued == 0 && status->heal.active == 0;
}

/* Entries of blobs that were deleted go, many at once. */
static void test_deleted_before(void **unused)
{
    struct care_fixture f;
    struct meta_batch *batch;

    (void)unused;
    care_fixture_open(&f, CARE_DRIVES, 7);
    batch = meta_batch_new(f.meta);
    for (unsigned i = 0; i < 1000; i++) {
        const struct meta_heal entry = {.blob = 1000 + i, .losses_left = i % 2};

        meta_queue_heal(batch, &entry);
    }
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    care_rot(&f, 4, 0, 1);
    care_start(&f);
    assert_true(care_until(&f, care_is_full));
    care_stop(&f);
    care_check_whole(&f);
    care_fixture_close(&f);
}

static void slow_heal(struct care_fixture *f, uint64_t seed)
{
    care_fixture_open(f, CARE_DRIVES, seed);
    care_rot(f, 4, 0, 1);
    care_rot(f, 4, 1, 5);
    f->options.heal_rate = 1u << 20; /* a second or more for blob 4 */
    care_start(f);
    assert_true(care_until(f, is_healing));
}

static void test_deleted_meanwhile(void **unused)
{
    struct arena *arena = arena_new();
    struct buffer key = {0};
    Meta__Blob *record;
    struct kv_batch *batch = kv_batch_new();
    struct care_fixture f;

    (void)unused;
    slow_heal(&f, 7);
    buffer_append(&key, "L\0\0\0\0\0\0\0\4", 9);
    meta_blob_lock(f.meta, 4);
    kv_batch_delete(batch, slice_of(key.data, key.size));
    assert_int_equal(kv_commit(f.kv, batch), 0);
    meta_blob_unlock(f.meta, 4);
    pace_set_rate(&f.care->heal_pace, 1ull << 40);
    assert_true(care_until(&f, is_empty));
    assert_int_equal(meta_get_blob(f.meta, arena, 4, &record), -ENOENT);
    assert_int_equal(care_now(&f, arena).heal.healed, 0);
    kv_batch_free(batch);
    buffer_free(&key);
    arena_free(arena);
    care_fixture_close(&f);
}

/* Somebody else moves the shards: theirs is the layout that stays. */
static void test_moved_meanwhile(void **unused)
{
    struct arena *arena = arena_new();
    Layout__Layout *moved;
    struct care_fixture f;

    (void)unused;
    slow_heal(&f, 8);
    assert_int_equal(
        fixture_put(&f.fixture, 4, f.data[3], care_sizes[3], 65536, &moved), 0);
    meta_blob_lock(f.meta, 4);
    care_commit_blob(&f, 4, moved);
    meta_blob_unlock(f.meta, 4);
    pace_set_rate(&f.care->heal_pace, 1ull << 40);
    assert_true(care_until(&f, is_empty));
    assert_true(blob_layouts_equal(care_layout(&f, arena, 4), moved));
    fixture_free(moved);
    care_stop(&f);
    care_check_whole(&f);
    arena_free(arena);
    care_fixture_close(&f);
}

static unsigned reports_left(struct care_fixture *f)
{
    unsigned count;

    pthread_mutex_lock(&f->care->lock);
    count = f->care->damage_count;
    pthread_mutex_unlock(&f->care->lock);
    return count;
}

static void set_active(struct care_fixture *f, uint64_t blob)
{
    pthread_mutex_lock(&f->care->lock);
    f->care->active[0] = blob;
    pthread_cond_broadcast(&f->care->work);
    pthread_mutex_unlock(&f->care->lock);
}

static bool has_passed(const struct care_status *status)
{
    return status->scrub.progress->passes > 0;
}

static bool are_two(const struct care_status *status)
{
    return status->ledger.queued == 2;
}

/* H3: the end of a repair is not the end of damage that came after it began. */
static void test_damage_during_a_repair(void **unused)
{
    struct care_fixture f;

    (void)unused;
    care_fixture_open(&f, CARE_DRIVES, 11);
    care_rot(&f, 4, 0, 1);
    f.options.heal_workers = 0;
    care_start(&f);
    assert_true(care_until(&f, has_passed));
    set_active(&f, 4); /* as a worker does */
    care_on_damage(f.care, 4, 0, 2, -EBADMSG);
    care_on_damage(f.care, 2, 0, 0, -EBADMSG);
    assert_true(care_until(&f, are_two));
    while (reports_left(&f) > 1) { /* what is queued is no report any more */
        usleep(200);
    }
    assert_int_equal(reports_left(&f), 1);
    set_active(&f, 0);
    while (reports_left(&f) > 0) {
        usleep(200);
    }
    care_stop(&f);
    care_fixture_close(&f);
}

static bool is_one_left(const struct care_status *status)
{
    return status->ledger.queued == 1 && status->ledger.unreadable == 1;
}

/* It waits, and those behind it are healed. */
static void test_a_record_that_cannot_be_read(void **unused)
{
    struct kv_batch *broken = kv_batch_new();
    struct meta_batch *batch;
    struct care_fixture f;

    (void)unused;
    care_fixture_open(&f, CARE_DRIVES, 12);
    care_rot(&f, 4, 0, 1);
    kv_batch_put(broken, SLICE_LITERAL("L\0\0\0\0\0\0\0\3"),
                 SLICE_LITERAL("broken"));
    assert_int_equal(kv_commit(f.kv, broken), 0);
    batch = meta_batch_new(f.meta);
    meta_queue_heal(batch, &(struct meta_heal){.blob = 3});
    meta_queue_heal(batch, &(struct meta_heal){.blob = 4, .losses_left = 1});
    assert_int_equal(meta_commit(batch), 0);
    f.options.heal_workers = 1;
    care_start(&f);
    assert_true(care_until(&f, is_one_left));
    care_stop(&f);
    meta_batch_free(batch);
    kv_batch_free(broken);
    care_fixture_close(&f);
}

/* The one worker takes what bears no more loss before what bears one. */
static void test_the_most_endangered_first(void **unused)
{
    struct arena *arena = arena_new();
    struct care_status status;
    struct care_fixture f;

    (void)unused;
    care_fixture_open(&f, CARE_DRIVES, 9);
    care_rot(&f, 2, 0, 0);
    care_rot(&f, 3, 0, 0);
    care_rot(&f, 4, 0, 0);
    care_rot(&f, 4, 0, 1);
    f.options.heal_workers = 0;
    care_start(&f);
    do {
        status = care_now(&f, arena);
    } while (status.scrub.progress->passes == 0);
    assert_int_equal(status.ledger.left[0], 1);
    assert_int_equal(status.ledger.left[1], 2);
    care_stop(&f);

    f.options.heal_workers = 1;
    f.options.heal_rate = 2u << 20;
    care_start(&f);
    do {
        status = care_now(&f, arena);
        assert_true(status.ledger.left[0] == 0 || status.heal.healed == 0);
    } while (status.ledger.left[0] > 0); /* the next may be healed by now */
    pace_set_rate(&f.care->heal_pace, 1ull << 40);
    assert_true(care_until(&f, care_is_full));
    arena_free(arena);
    care_fixture_close(&f);
}

/* Waits until all is healed (true), or what is to fail has failed. */
static bool healed_before_it_failed(struct care_fixture *f, uint64_t call)
{
    bool healed = false, failed = false;

    while (!healed && !failed) {
        struct arena *arena = arena_new();

        usleep(200);
        failed = io_sim_calls(f->fixture.io) > call || f->kv->poisoned;
        healed = care_now(f, arena).fully_redundant;
        arena_free(arena);
    }
    return healed;
}

/* The n-th call (or commit) from now on and all that follow fail; then the
 * power goes. */
static bool crash_at(uint64_t n, bool commits)
{
    uint64_t call = UINT64_MAX;
    struct care_fixture f;
    bool healed;

    care_fixture_open(&f, CARE_DRIVES, n + 20);
    care_replace(&f, (unsigned)(n % CARE_DRIVES));
    if (commits) {
        kv_memory_fail_after(f.kv, n);
    } else {
        call = io_sim_calls(f.fixture.io) + n;
        io_sim_fail_after(f.fixture.io, n, EIO, UINT64_MAX);
    }
    care_start(&f);
    healed = healed_before_it_failed(&f, call);
    care_stop(&f);
    io_sim_fail_after(f.fixture.io, 0, 0, 0);
    io_sim_crash(f.fixture.io);
    fixture_reattach(&f.fixture);
    care_check(&f);
    if (!commits) { /* and then it goes on to the end */
        care_start(&f);
        assert_true(care_until(&f, care_is_full));
        care_stop(&f);
        care_check_whole(&f);
    }
    care_fixture_close(&f);
    return healed;
}

static void test_power_cuts(void **unused)
{
    uint64_t n = 0;

    (void)unused;
    while (!crash_at(n, false)) {
        n += (1 + n / 16) * FIXTURE_CUTS_SHARE;
    }
    assert_true(n > 50);
}

static void test_commits_fail(void **unused)
{
    uint64_t n = 0;

    (void)unused;
    while (!crash_at(n, true)) {
        n++;
    }
    assert_true(n >= CARE_BLOBS);
}

/* Has what waits queued again, and waits until that was tried. */
static void retry(struct care *care)
{
    bool tried = false;

    care_heal_start(care);
    while (!tried) {
        usleep(200);
        pthread_mutex_lock(&care->lock);
        tried = !care->retry;
        pthread_mutex_unlock(&care->lock);
    }
}

static unsigned count_lines(const char *path, const char *with)
{
    FILE *file = fopen(path, "r");
    char line[4096];
    unsigned count = 0;

    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        count += strstr(line, with) != NULL;
    }
    fclose(file);
    return count;
}

/* However often it is tried. */
static void test_what_fails_is_said_once(void **unused)
{
    char path[] = "/tmp/s3d-care-XXXXXX";
    const int fd = mkstemp(path);
    struct meta_batch *batch;
    struct care_fixture f;

    (void)unused;
    assert_true(fd >= 0);
    assert_int_equal(log_open(path), 0);
    care_fixture_open(&f, CARE_DRIVES, 13);
    f.options.heal_workers = 0;
    batch = meta_batch_new(f.meta);
    meta_queue_heal(batch, &(struct meta_heal){.blob = 1, .waits = true});
    assert_int_equal(meta_commit(batch), 0);
    kv_memory_fail_after(f.kv, 0);
    care_start_slowly(&f);
    for (unsigned i = 0; i < 6; i++) {
        retry(f.care);
    }
    care_stop(&f); /* the last one has ended */
    assert_int_equal(log_open(NULL), 0);
    assert_int_equal(count_lines(path, "queueing what waits fails"), 1);
    meta_batch_free(batch);
    care_fixture_close(&f);
    close(fd);
    unlink(path);
}

/* Each blob that fails, and only what has failed works again. */
static void test_other_blobs_are_healed_between(void **unused)
{
    char path[] = "/tmp/s3d-care-XXXXXX";
    const int fd = mkstemp(path);
    struct heal_failing failing = {0};

    (void)unused;
    assert_true(fd >= 0);
    assert_int_equal(log_open(path), 0);
    log_set_level(LOG_LEVEL_INFO);
    for (unsigned i = 0; i < 3; i++) {
        heal_say(&failing, 1, -EIO);
        heal_say(&failing, 2, 0);
        heal_say(&failing, 3, -ECANCELED);
    }
    assert_int_equal(count_lines(path, "blob"), 1);
    assert_int_equal(count_lines(path, "blob 0000000000000001 fails"), 1);
    heal_say(&failing, 2, -EIO); /* as one that is said to */
    assert_int_equal(count_lines(path, "blob"), 1);
    heal_say(&failing, 1, 0);
    heal_say(&failing, 2, -EIO);
    heal_say(&failing, 1, -ENOSPC);
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(log_open(NULL), 0);
    assert_int_equal(count_lines(path, "blob 0000000000000001 works again"), 1);
    assert_int_equal(count_lines(path, "blob 0000000000000002 fails"), 1);
    assert_int_equal(count_lines(path, "blob"), 4);
    close(fd);
    unlink(path);
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
        cmocka_unit_test(test_any_two_drives_replaced),
        cmocka_unit_test(test_waits_for_a_drive),
        cmocka_unit_test(test_unreadable_is_said),
        cmocka_unit_test(test_damage_that_a_read_meets),
        cmocka_unit_test(test_deleted_before),
        cmocka_unit_test(test_deleted_meanwhile),
        cmocka_unit_test(test_moved_meanwhile),
        cmocka_unit_test(test_damage_during_a_repair),
        cmocka_unit_test(test_a_record_that_cannot_be_read),
        cmocka_unit_test(test_the_most_endangered_first),
        cmocka_unit_test(test_what_fails_is_said_once),
        cmocka_unit_test(test_other_blobs_are_healed_between),
        cmocka_unit_test(test_power_cuts),
        cmocka_unit_test(test_commits_fail),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
