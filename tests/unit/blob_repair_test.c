/*
 * Repair: whatever a code bears is lost or damaged, and after the repair
 * every set of drives that the code bears may be lost anew.
 */
#include "blob_fixture.h"

#define BLOBS  4
#define DRIVES 6

/* Copies, a short stripe, and several chunks of a code. */
static const size_t sizes[BLOBS] = {1, 5000, BLOB_SMALL_MAX + 1,
                                    FIXTURE_CHUNK + 70001};

struct cluster {
    struct fixture fixture;
    uint8_t *data[BLOBS];
    Layout__Layout *layouts[BLOBS];
};

static void cluster_open(struct cluster *cluster, unsigned drives,
                         uint64_t seed)
{
    fixture_open(&cluster->fixture, drives, seed);
    for (unsigned i = 0; i < BLOBS; i++) {
        cluster->data[i] = fixture_bytes(i + 10, sizes[i]);
        assert_int_equal(fixture_put(&cluster->fixture, i + 1, cluster->data[i],
                                     sizes[i], 65536, &cluster->layouts[i]),
                         0);
    }
}

static void cluster_close(struct cluster *cluster)
{
    for (unsigned i = 0; i < BLOBS; i++) {
        fixture_free(cluster->layouts[i]);
        free(cluster->data[i]);
    }
    fixture_close(&cluster->fixture);
}

/* A blank drive in the place of one that was wiped. */
static void replace_drive(struct fixture *fixture, unsigned drive)
{
    struct drive_config config;
    char directory[16];

    fixture_detach(fixture);
    fixture_config(drive, &config, directory);
    io_sim_wipe(fixture->io, directory);
    assert_int_equal(drive_format(fixture->io, &config, fixture_cluster), 0);
    assert_int_equal(fixture_attach(fixture), 0);
}

static void check_distinct(const Layout__Layout *layout)
{
    for (size_t c = 0; c < layout->n_chunks; c++) {
        const Layout__Chunk *chunk = layout->chunks[c];
        uint32_t drives = 0;

        for (size_t i = 0; i < chunk->n_shards; i++) {
            uint32_t drive = chunk->shards[i]->drive_plus_one;

            assert_true(drive > 0 && drive <= FIXTURE_DRIVES);
            assert_int_equal(drives & 1u << drive, 0);
            drives |= 1u << drive;
        }
    }
}

/* Repairs all blobs and takes the new layouts over. */
static void repair_all(struct cluster *cluster, bool whole)
{
    for (unsigned i = 0; i < BLOBS; i++) {
        Layout__Layout *layout = cluster->layouts[i], *repaired;
        unsigned bad = fixture_bad(&cluster->fixture, layout);
        struct blob_repair result;

        assert_int_equal(blob_repair(cluster->fixture.store, layout, NULL,
                                     &repaired, &result),
                         0);
        assert_int_equal(result.before.bad, bad);
        assert_int_equal(repaired != NULL, result.shards > 0);
        if (repaired != NULL) {
            fixture_free(layout);
            cluster->layouts[i] = repaired;
        }
        check_distinct(cluster->layouts[i]);
        assert_int_equal(result.after.bad,
                         fixture_bad(&cluster->fixture, cluster->layouts[i]));
        if (whole) {
            assert_int_equal(result.shards, bad);
            assert_int_equal(result.after.bad, 0);
            assert_int_equal(result.after.losses_left, 2);
        }
    }
}

/* The oracle: any two drives less, every byte is there. */
static void check_every_pair(struct cluster *cluster)
{
    for (unsigned a = 0; a < DRIVES; a++) {
        for (unsigned b = a + 1; b < DRIVES; b++) {
            char one[16], other[16];

            snprintf(one, sizeof(one), "/d%02u", a);
            snprintf(other, sizeof(other), "/d%02u", b);
            io_sim_fail_path(cluster->fixture.io, one, EIO);
            io_sim_fail_path(cluster->fixture.io, other, EIO);
            for (unsigned i = 0; i < BLOBS; i++) {
                fixture_check(&cluster->fixture, cluster->layouts[i],
                              cluster->data[i]);
            }
            io_sim_fail_path(cluster->fixture.io, one, 0);
            io_sim_fail_path(cluster->fixture.io, other, 0);
        }
    }
}

static void test_any_two_drives_replaced(void **unused)
{
    (void)unused;
    for (unsigned a = 0; a < DRIVES; a++) {
        for (unsigned b = a + 1; b < DRIVES; b++) {
            struct cluster cluster;

            cluster_open(&cluster, DRIVES, a * DRIVES + b);
            replace_drive(&cluster.fixture, a);
            replace_drive(&cluster.fixture, b);
            repair_all(&cluster, true);
            check_every_pair(&cluster);
            cluster_close(&cluster);
        }
    }
}

/* Flips a byte of each shard in the mask, in every chunk; which one: payload,
 * descriptor or origin. */
static void damage_shards(struct cluster *cluster, uint32_t mask, unsigned kind)
{
    for (unsigned i = 0; i < BLOBS; i++) {
        const Layout__Layout *layout = cluster->layouts[i];
        uint64_t offset = 0;

        for (size_t c = 0; c < layout->n_chunks; c++) {
            struct erasure_profile profile = layout_profile(layout);
            struct geometry geometry;

            geometry_init(&geometry, &profile, layout->unit,
                          layout->chunks[c]->size);
            for (unsigned s = 0; s < layout->chunks[c]->n_shards; s++) {
                uint64_t payload = geometry_shard_size(&geometry, s);
                uint64_t at[] = {payload > 0 ? payload - 1 : payload,
                                 payload + 20,
                                 payload + descriptor_size(payload) + 2};

                if (mask & 1u << s) {
                    fixture_flip(&cluster->fixture,
                                 layout->chunks[c]->shards[s], at[kind]);
                }
            }
            offset += layout->chunks[c]->size;
        }
    }
}

/* Copies have three shards: of the mask only what is below. */
static void test_any_two_shards_damaged(void **unused)
{
    (void)unused;
    for (unsigned a = 0; a < DRIVES; a++) {
        for (unsigned b = a; b < DRIVES; b++) {
            struct cluster cluster;

            cluster_open(&cluster, DRIVES, a * DRIVES + b + 50);
            damage_shards(&cluster, 1u << a | 1u << b, (a + b) % 3);
            repair_all(&cluster, true);
            check_every_pair(&cluster);
            cluster_close(&cluster);
        }
    }
}

/* The bytes behind a name that is gone are as good as lost. */
static void test_a_removed_file_that_is_still_open(void **unused)
{
    struct cluster cluster;
    struct blob_health health;

    (void)unused;
    cluster_open(&cluster, DRIVES, 3);
    for (unsigned i = 0; i < BLOBS; i++) {
        assert_int_equal(fixture_bad(&cluster.fixture, cluster.layouts[i]), 0);
    }
    io_sim_wipe(cluster.fixture.io, "/d02/extents");
    assert_int_equal(fixture_bad(&cluster.fixture, cluster.layouts[3]), 2);
    assert_int_equal(blob_look(cluster.fixture.store, cluster.layouts[3],
                               BLOB_NO_DRIVE, &health),
                     0);
    assert_int_equal(health.bad, 2);
    assert_int_equal(health.losses_left, 1);
    cluster_close(&cluster);
}

/* With too few drives a shard stays short, and that is said. */
static void test_no_drive_to_repair_to(void **unused)
{
    struct blob_repair result;
    struct cluster cluster;
    Layout__Layout *repaired;

    (void)unused;
    cluster_open(&cluster, DRIVES, 4);
    io_sim_wipe(cluster.fixture.io, "/d03");
    fixture_reattach(&cluster.fixture);
    assert_int_equal(blob_repair(cluster.fixture.store, cluster.layouts[3],
                                 NULL, &repaired, &result),
                     0);
    assert_null(repaired);
    assert_int_equal(result.shards, 0);
    assert_int_equal(result.before.bad, 2);
    assert_int_equal(result.after.bad, 2);
    assert_int_equal(result.after.losses_left, 1);

    /* Rot on another drive is repaired meanwhile. */
    fixture_flip(
        &cluster.fixture,
        cluster.layouts[3]
            ->chunks[0]
            ->shards[cluster.layouts[3]->chunks[0]->shards[0]->drive_plus_one ==
                     4],
        9);
    assert_int_equal(blob_repair(cluster.fixture.store, cluster.layouts[3],
                                 NULL, &repaired, &result),
                     0);
    assert_non_null(repaired);
    check_distinct(repaired);
    assert_int_equal(result.shards, 1);
    assert_int_equal(result.before.losses_left, 0);
    assert_int_equal(result.after.losses_left, 1);
    fixture_free(repaired);
    cluster_close(&cluster);
}

static void test_spare_drives_take_over(void **unused)
{
    struct cluster cluster;

    (void)unused;
    cluster_open(&cluster, DRIVES, 5); /* 4+2 while there are six drives */
    fixture_detach(&cluster.fixture);
    cluster.fixture.count = DRIVES + 1;
    replace_drive(&cluster.fixture, DRIVES);
    io_sim_wipe(cluster.fixture.io, "/d01");
    fixture_reattach(&cluster.fixture);
    repair_all(&cluster, true);
    for (unsigned i = 0; i < BLOBS; i++) {
        fixture_check(&cluster.fixture, cluster.layouts[i], cluster.data[i]);
    }
    cluster_close(&cluster);
}

static void test_too_few_shards(void **unused)
{
    struct blob_repair result;
    struct cluster cluster;
    Layout__Layout *repaired;

    (void)unused;
    cluster_open(&cluster, DRIVES, 6);
    damage_shards(&cluster, 7, 0);
    for (unsigned i = 0; i < BLOBS; i++) {
        assert_int_equal(blob_repair(cluster.fixture.store, cluster.layouts[i],
                                     NULL, &repaired, &result),
                         0);
        assert_null(repaired);
        assert_true(result.after.losses_left < 0);
    }
    cluster_close(&cluster);
}

static bool spend(void *context, uint64_t bytes)
{
    uint64_t *left = context;

    if (*left < bytes) {
        return false;
    }
    *left -= bytes;
    return true;
}

static void test_stops_when_told(void **unused)
{
    uint64_t left;
    const struct blob_pace pace = {spend, &left};
    struct blob_repair result;
    struct blob_health health;
    struct cluster cluster;
    Layout__Layout *repaired;
    int error = -ECANCELED;

    (void)unused;
    cluster_open(&cluster, DRIVES, 7);
    damage_shards(&cluster, 2, 0);
    left = 100000;
    assert_int_equal(
        blob_verify(cluster.fixture.store, cluster.layouts[3], &pace, &health),
        -ECANCELED);
    for (uint64_t budget = 0; error != 0; budget += 150000) {
        left = budget;
        error = blob_repair(cluster.fixture.store, cluster.layouts[3], &pace,
                            &repaired, &result);
        assert_true(error == 0 || error == -ECANCELED);
        assert_int_equal(repaired != NULL, error == 0);
    }
    assert_int_equal(result.after.bad, 0);
    fixture_free(repaired);
    cluster_close(&cluster);
}

/* One failing call, and a power cut after the repair: what it returned holds,
 * and where it returned nothing the old layout does. */
static bool fail_at(uint64_t n)
{
    struct blob_repair result;
    struct cluster cluster;
    Layout__Layout *repaired;
    uint64_t calls;
    int error;

    cluster_open(&cluster, DRIVES, n + 100);
    damage_shards(&cluster, 1u << n % DRIVES, 0);
    calls = io_sim_calls(cluster.fixture.io);
    io_sim_fail_after(cluster.fixture.io, n, EIO, 1);
    error = blob_repair(cluster.fixture.store, cluster.layouts[3], NULL,
                        &repaired, &result);
    calls = io_sim_calls(cluster.fixture.io) - calls;
    io_sim_fail_after(cluster.fixture.io, 0, 0, 0);
    assert_int_equal(error, 0);
    io_sim_crash(cluster.fixture.io);
    fixture_reattach(&cluster.fixture);
    fixture_check(&cluster.fixture, cluster.layouts[3], cluster.data[3]);
    if (repaired != NULL) {
        fixture_check(&cluster.fixture, repaired, cluster.data[3]);
        assert_true(fixture_bad(&cluster.fixture, repaired) <=
                    result.after.bad);
        fixture_free(repaired);
    }
    cluster_close(&cluster);
    return calls > n;
}

static void test_one_failing_call(void **unused)
{
    uint64_t n = 0;

    (void)unused;
    while (fail_at(n)) {
        n++;
    }
    assert_true(n > 50);
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
        cmocka_unit_test(test_any_two_shards_damaged),
        cmocka_unit_test(test_a_removed_file_that_is_still_open),
        cmocka_unit_test(test_no_drive_to_repair_to),
        cmocka_unit_test(test_spare_drives_take_over),
        cmocka_unit_test(test_too_few_shards),
        cmocka_unit_test(test_stops_when_told),
        cmocka_unit_test(test_one_failing_call),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
