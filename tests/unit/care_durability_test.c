/*
 * Durability: cases computed by hand, and that worse is never called better;
 * then what care adds up over days.
 */
#include "care_fixture.h"

#include <math.h>

#define DAY_MS  (24ull * 3600 * 1000)
#define YEAR_MS (365.25 * 24 * 3600 * 1000)

static void assert_near(double value, double expected, double most)
{
    if (!(fabs(value - expected) <= most)) {
        fail_msg("%.12g is not %.12g", value, expected);
    }
}

/* --- the model -------------------------------------------------------------*/
/* Out a hundredth of the time: by 3.65 days of repair after one loss a year,
 * or by half of 7.3 days until a damage is found. */
#define REPAIR                                                                 \
    {                                                                          \
        .drive_losses = 1, .repair = 0.01                                      \
    }
#define ROT                                                                    \
    {                                                                          \
        .damages = 1, .scrub = 0.02                                            \
    }

static const struct model_case {
    const char *name;
    struct durability_rates rates;
    unsigned k, m;
    double losses;
} model_cases[] = {
    {"one drive", REPAIR, 1, 0, 1},
    {"striped over four", REPAIR, 4, 0, 4},
    {"two copies: 2 x 1 x 1/100", REPAIR, 1, 1, 0.02},
    {"three copies: 3 x 1 x 1/100^2", REPAIR, 1, 2, 0.0003},
    {"4+2: 6 x C(5,2)=10 x 1/100^2", REPAIR, 4, 2, 0.006},
    {"9+3: 12 x C(11,3)=165 x 1/100^3", REPAIR, 9, 3, 0.00198},
    {"4+2, rot alone", ROT, 4, 2, 0.006},
    {"two copies, both: 2 x 2 x (1/100 + 1/50)",
     {.drive_losses = 1, .damages = 1, .repair = 0.01, .scrub = 0.02},
     1,
     1,
     0.12},
    {"always out", {.drive_losses = 2, .repair = 3}, 4, 2, 120},
    {"nothing happens", {.repair = 1, .scrub = 1}, 4, 2, 0},
};

static void test_the_model(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof(model_cases) / sizeof(model_cases[0]); i++) {
        const struct model_case *c = &model_cases[i];
        const double losses = durability_losses(&c->rates, c->k, c->m);

        if (fabs(losses - c->losses) > 1e-9 * (1 + c->losses)) {
            fail_msg("%s: %g", c->name, losses);
        }
    }
}

static void test_nines(void **unused)
{
    (void)unused;
    assert_near(durability_nines(1e-11), 11, 1e-6);
    assert_near(durability_nines(1e-3), 3, 1e-3);
    assert_near(durability_nines(log(2)), log10(2), 1e-9);
    assert_near(durability_nines(1e9), 0, 0);
    assert_false(signbit(durability_nines(INFINITY)));
    assert_near(durability_nines(INFINITY), 0, 0);
}

/* --- rates -----------------------------------------------------------------*/
static const struct durability_setting six = {.drives = 6,
                                              .scrub_period_ms = 14 * DAY_MS};

/* Six drives for a hundred days. */
static Meta__Audit quiet(void)
{
    Meta__Audit seen = META__AUDIT__INIT;

    seen.watched_ms = 100 * DAY_MS;
    seen.drive_ms = 600 * DAY_MS;
    seen.bytes_verified = 1ull << 40;
    seen.shards_verified = 1ull << 20;
    seen.passes = 10;
    return seen;
}

static void test_nothing_was_seen(void **unused)
{
    const Meta__Audit nothing = META__AUDIT__INIT;
    struct durability d;

    (void)unused;
    durability_of(&nothing, &six, &d);
    assert_near(d.likely.drive_losses, 0.02, 1e-12);
    assert_near(d.likely.repair * 365.25, 1, 1e-9);
    assert_near(d.likely.scrub * 365.25, 14, 1e-9);
    assert_true(isinf(d.worst.drive_losses));
    assert_int_equal(d.profiles[0].k, 1);
    assert_int_equal(d.profiles[0].m, 2);
    assert_int_equal(d.profiles[1].k, 4);
    assert_int_equal(d.profiles[1].m, 2);
    for (unsigned i = 0; i < DURABILITY_PROFILES; i++) {
        assert_true(d.profiles[i].nines > 5 && d.profiles[i].nines < 12);
        assert_near(d.profiles[i].nines_at_least, 0, 0);
    }
}

static void test_rates_of_what_was_seen(void **unused)
{
    Meta__Audit seen = quiet();
    struct durability d;

    (void)unused;
    seen.drives_lost = 3;
    seen.reduced_blob_ms = 999 * DAY_MS / 2;
    seen.blobs_settled = 990;
    seen.shards_damaged = 24;
    durability_of(&seen,
                  &(struct durability_setting){
                      .drives = 6, .queued = 9, .scrub_period_ms = 14 * DAY_MS},
                  &d);
    /* 600 drive-days are 1.6427 drive-years. */
    assert_near(d.likely.drive_losses, 4 / 51.6427, 1e-6);
    assert_near(d.likely.repair * 365.25, 500.5 / 1000, 1e-9);
    assert_near(d.likely.scrub * 365.25, 10, 1e-9);
    /* A tenth of 2^40 bytes for 100 days, and 1.25e14 for 14; a shard is 2^20
     * of them. */
    assert_near(d.likely.damages,
                25 * 0x1p20 * 365.25 / (0x1p40 * 10 + 1.25e14 * 14), 1e-9);
    /* At most 7.75 where 3 were seen, 33.75 where 24 were: tables of Poisson's
     * distribution. */
    assert_near(d.worst.drive_losses * 1.6427, 7.75, 0.08);
    assert_near(d.worst.damages * 0x1p20 * 10 / 365.25, 33.75, 0.3);
    assert_near(d.worst.repair, d.likely.repair, 0);
}

static double least(const Meta__Audit *seen,
                    const struct durability_setting *setting, double *at_least)
{
    struct durability d;

    durability_of(seen, setting, &d);
    *at_least =
        fmin(d.profiles[0].nines_at_least, d.profiles[1].nines_at_least);
    return fmin(d.profiles[0].nines, d.profiles[1].nines);
}

/* Each counter alone, from none to many: more of it is never better. */
static void test_worse_is_never_called_better(void **unused)
{
    const size_t worse[] = {
        offsetof(Meta__Audit, drives_lost),
        offsetof(Meta__Audit, shards_damaged),
        offsetof(Meta__Audit, reduced_blob_ms),
    };

    (void)unused;
    for (size_t i = 0; i < sizeof(worse) / sizeof(worse[0]); i++) {
        double before = INFINITY, at_least_before = INFINITY;

        for (uint64_t count = 1; count < 1ull << 42; count *= 4) {
            Meta__Audit seen = quiet();
            double nines, at_least;

            *(uint64_t *)((char *)&seen + worse[i]) = count;
            nines = least(&seen, &six, &at_least);
            assert_true(nines >= 0 && at_least >= 0 && at_least <= nines);
            assert_true(nines < before || before == 0 || count < 1 << 20);
            assert_true(nines <= before && at_least <= at_least_before);
            before = nines;
            at_least_before = at_least;
        }
        assert_true(before < 7);
    }
}

/* Each rate alone: of the model itself. */
static void test_more_of_any_rate_loses_more(void **unused)
{
    const double start[] = {0.02, 1e-4, 1.0 / 365, 14.0 / 365};

    (void)unused;
    for (size_t i = 0; i < 4; i++) {
        double rates[] = {start[0], start[1], start[2], start[3]}, before = 0;

        for (unsigned doubled = 0; doubled < 30; doubled++) {
            const struct durability_rates now = {rates[0], rates[1], rates[2],
                                                 rates[3]};
            const double losses = durability_losses(&now, 4, 2);

            assert_true(losses > before || (losses == before && losses > 0.1));
            assert_true(losses > durability_losses(&now, 4, 3) || losses > 0.1);
            before = losses;
            rates[i] *= 2;
        }
    }
}

/* Ever longer without a loss: what was seen alone proves ever more. */
static void test_time_proves(void **unused)
{
    double before = 0, at_least;

    (void)unused;
    for (uint64_t days = 30; days < 20000; days *= 3) {
        Meta__Audit seen = quiet();

        seen.watched_ms = days * DAY_MS;
        seen.drive_ms = 6 * days * DAY_MS;
        seen.passes = days;
        seen.bytes_verified = days << 40;
        seen.shards_verified = days << 20;
        least(&seen, &six, &at_least);
        assert_true(at_least > before);
        before = at_least;
    }
}

/* --- the books -------------------------------------------------------------*/
static void put_day(struct care_fixture *f, uint32_t day, uint64_t lost)
{
    struct meta_batch *batch = meta_batch_new(f->meta);
    Meta__Audit seen = META__AUDIT__INIT;

    seen.drives_lost = lost;
    meta_put_audit(batch, day, &seen);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
}

static void test_the_last_days(void **unused)
{
    const uint32_t today = (uint32_t)(clock_wall_ms() / DAY_MS);
    struct durability d[CARE_INTERVALS];
    struct care_fixture f;

    (void)unused;
    care_fixture_open(&f, CARE_DRIVES, 1);
    put_day(&f, today, 1);
    put_day(&f, today - 6, 10);
    put_day(&f, today - 7, 100);
    put_day(&f, today - 29, 1000);
    put_day(&f, today - 30, 10000);
    put_day(&f, today - 364, 100000);
    put_day(&f, today - 365, 1000000);
    care_start(&f);
    assert_true(care_until(&f, care_is_full));
    assert_int_equal(care_durability(f.care, d), 0);
    if (clock_wall_ms() / DAY_MS == today) {
        assert_int_equal(d[0].days, 7);
        assert_int_equal(d[0].seen.drives_lost, 11);
        assert_int_equal(d[1].days, 30);
        assert_int_equal(d[1].seen.drives_lost, 1111);
        assert_int_equal(d[2].days, 365);
        assert_int_equal(d[2].seen.drives_lost, 111111);
        assert_int_equal(d[2].seen.passes, 1);
        assert_true(d[2].seen.drive_ms == CARE_DRIVES * d[2].seen.watched_ms);
        assert_true(d[0].profiles[1].nines > d[2].profiles[1].nines);
    }
    care_fixture_close(&f);
}

/* Damages a shard of the blob that is not on the drive. */
static void rot_elsewhere(struct care_fixture *f, uint64_t blob, unsigned drive)
{
    struct arena *arena = arena_new();
    const Layout__Chunk *chunk = care_layout(f, arena, blob)->chunks[0];

    fixture_flip(&f->fixture,
                 chunk->shards[chunk->shards[0]->drive_plus_one == drive + 1],
                 0);
    arena_free(arena);
}

static bool has_seen_the_loss(const struct care_status *status)
{
    return status->today->drives_lost > 0;
}

/* A drive that was lost while nobody watched, and damage on others. */
static void test_losses_and_damage_are_told_apart(void **unused)
{
    struct durability d[CARE_INTERVALS];
    struct care_fixture f;

    (void)unused;
    care_fixture_open(&f, CARE_DRIVES, 2);
    care_start(&f);
    assert_true(care_until(&f, care_is_full));
    care_stop(&f);
    care_replace(&f, 2);
    rot_elsewhere(&f, 3, 2);
    care_start(&f);
    assert_true(care_until(&f, has_seen_the_loss));
    assert_true(care_until(&f, care_is_full));
    assert_int_equal(care_durability(f.care, d), 0);
    assert_int_equal(d[0].seen.drives_lost, 1);
    assert_true(d[0].seen.shards_damaged >= 1);
    assert_true(d[0].seen.shards_damaged < d[0].seen.shards_repaired);
    assert_true(d[0].seen.blobs_settled >= 1);
    assert_int_equal(d[0].seen.blobs_unreadable, 0);
    care_fixture_close(&f);
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
        cmocka_unit_test(test_the_model),
        cmocka_unit_test(test_nines),
        cmocka_unit_test(test_nothing_was_seen),
        cmocka_unit_test(test_rates_of_what_was_seen),
        cmocka_unit_test(test_worse_is_never_called_better),
        cmocka_unit_test(test_more_of_any_rate_loses_more),
        cmocka_unit_test(test_time_proves),
        cmocka_unit_test(test_the_last_days),
        cmocka_unit_test(test_losses_and_damage_are_told_apart),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
