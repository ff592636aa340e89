/* What the loss of another drive would mean, and that of one that is removed.
 */
#include "care_fixture.h"

static unsigned blobs_on(struct care_fixture *f, unsigned drive,
                         unsigned *shards)
{
    struct arena *arena = arena_new();
    unsigned blobs = 0;

    *shards = 0;
    for (uint64_t blob = 1; blob <= CARE_BLOBS; blob++) {
        const Layout__Layout *layout = care_layout(f, arena, blob);
        const unsigned before = *shards;

        for (size_t i = 0; i < layout->n_chunks; i++) {
            for (size_t j = 0; j < layout->chunks[i]->n_shards; j++) {
                *shards +=
                    layout->chunks[i]->shards[j]->drive_plus_one == drive + 1;
            }
        }
        blobs += *shards > before;
    }
    arena_free(arena);
    return blobs;
}

static void lose(struct care_fixture *f, unsigned drive)
{
    char directory[16];

    snprintf(directory, sizeof(directory), "/d%02u", drive);
    io_sim_fail_path(f->fixture.io, directory, EIO);
}

static void test_what_a_loss_would_mean(void **unused)
{
    struct care_fixture f;
    struct care_loss loss;
    unsigned shards;

    (void)unused;
    care_fixture_open(&f, CARE_DRIVES, 1);
    f.options.heal_workers = 0;
    care_start_slowly(&f);
    assert_int_equal(care_without(f.care, 5, &loss), 0);
    assert_int_equal(loss.blobs, blobs_on(&f, 5, &shards));
    assert_int_equal(loss.shards, shards);
    assert_true(loss.blobs >= 2);
    assert_int_equal(loss.critical + loss.unreadable + loss.unknown, 0);
    lose(&f, 0); /* 4+2: two may go */
    assert_int_equal(care_without(f.care, 5, &loss), 0);
    assert_true(loss.critical >= 2);
    assert_int_equal(loss.unreadable, 0);
    lose(&f, 1);
    assert_int_equal(care_without(f.care, 5, &loss), 0);
    assert_true(loss.unreadable >= 2);
    care_fixture_close(&f);
}

static bool is_healed(const struct care_status *status)
{
    return status->ledger.queued == 0 && !status->scrub.walking &&
           status->today->shards_repaired > 0;
}

/* A removed drive is none that is missed: what was on it is made anew. */
static void test_what_was_removed_is_healed(void **unused)
{
    struct arena *arena = arena_new();
    struct care_fixture f;
    struct care_status status;
    unsigned shards;

    (void)unused;
    care_fixture_open(&f, CARE_DRIVES, 2);
    fixture_detach(&f.fixture);
    {
        struct drive_config config;
        char directory[16];

        fixture_config(f.fixture.count++, &config, directory);
        assert_int_equal(drive_format(f.fixture.io, &config, fixture_cluster),
                         0);
    }
    assert_int_equal(fixture_attach(&f.fixture), 0);
    assert_true(blobs_on(&f, 3, &shards) > 0);
    care_start_slowly(&f);
    drive_retire(f.fixture.drives[3]);
    care_heal_start(f.care);
    assert_true(care_until(&f, is_healed));
    status = care_now(&f, arena);
    assert_int_equal(status.drives, 6);
    assert_int_equal(status.drives_ok, 6);
    assert_int_equal(status.today->drives_lost, 0);
    assert_int_equal(blobs_on(&f, 3, &shards), 0);
    care_stop(&f);
    care_check(&f);
    arena_free(arena);
    care_fixture_close(&f);
}

/* The drive's state when all blobs were last compared with the drives. */
static enum drive_state walked_as(struct care_fixture *f, unsigned drive)
{
    enum drive_state state = DRIVE_OK;
    struct arena *arena = arena_new();
    Meta__Scrub *saved;

    if (meta_get_scrub(f->meta, arena, &saved) == 0 && saved->walked.len > 0) {
        state = saved->walked.data[(size_t)drive * DRIVE_STAMP_SIZE];
    }
    arena_free(arena);
    return state;
}

static bool is_walked_again(struct care_fixture *f)
{
    struct arena *arena = arena_new();
    Meta__Scrub *saved;
    bool again = true;

    if (meta_get_scrub(f->meta, arena, &saved) == 0) {
        again = saved->walk_again;
    }
    arena_free(arena);
    return again;
}

static bool is_on(struct care_fixture *f, uint64_t blob, unsigned drive)
{
    struct arena *arena = arena_new();
    const Layout__Chunk *chunk = care_layout(f, arena, blob)->chunks[0];
    bool on = false;

    for (size_t i = 0; i < chunk->n_shards; i++) {
        on |= chunk->shards[i]->drive_plus_one == drive + 1;
    }
    arena_free(arena);
    return on;
}

/* A blob that was durable on a drive when that was removed, and committed only
 * when all others had been compared: it is healed though nobody reads it. */
static void removed_under_a_writer(bool restart)
{
    const uint64_t blob = CARE_BLOBS + 1;
    struct blob_intent intent = {0}, younger = {0};
    Layout__Layout *layout;
    struct care_fixture f;
    unsigned drive;

    care_fixture_open(&f, CARE_DRIVES, 3);
    f.options.scrub_rate = 1; /* it is not to find it */
    care_start_slowly(&f);
    blob_intent_begin(f.fixture.store, &intent);
    assert_int_equal(
        fixture_put(&f.fixture, blob, f.data[1], care_sizes[1], 4096, &layout),
        0);
    invariant(layout != NULL);
    drive = layout->chunks[0]->shards[0]->drive_plus_one - 1;
    drive_retire(f.fixture.drives[drive]);
    care_heal_start(f.care);
    while (walked_as(&f, drive) != DRIVE_REMOVED) {
        usleep(1000);
    }
    care_commit_blob(&f, blob, layout);
    if (restart) { /* what care knew is in the metadata */
        care_stop(&f);
    }
    blob_intent_begin(f.fixture.store, &younger); /* there is always another */
    blob_intent_end(f.fixture.store, &intent);
    if (restart) {
        care_start_slowly(&f);
    }
    care_heal_start(f.care); /* it looks at once */
    for (unsigned i = 0; i < 60000 && is_on(&f, blob, drive); i++) {
        usleep(1000);
    }
    assert_false(is_on(&f, blob, drive));
    for (unsigned i = 0; i < 60000 && is_walked_again(&f); i++) {
        usleep(1000);
    }
    assert_false(is_walked_again(&f));
    blob_intent_end(f.fixture.store, &younger);
    fixture_free(layout);
    care_fixture_close(&f);
}

static void test_removed_under_a_writer(void **unused)
{
    (void)unused;
    removed_under_a_writer(false);
    removed_under_a_writer(true);
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
        cmocka_unit_test(test_what_a_loss_would_mean),
        cmocka_unit_test(test_what_was_removed_is_healed),
        cmocka_unit_test(test_removed_under_a_writer),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
