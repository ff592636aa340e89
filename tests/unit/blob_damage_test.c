#include "blob_fixture.h"

#define BLOBS 5

/* Copies, a short stripe, whole stripes, and several chunks of a code. */
static const size_t sizes[BLOBS] = {5000, BLOB_SMALL_MAX + 1, 300000,
                                    FIXTURE_CHUNK, 2 * FIXTURE_CHUNK + 1};

struct cluster {
    struct fixture fixture;
    uint8_t *data[BLOBS];
    Layout__Layout *layouts[BLOBS];
};

static void cluster_open(struct cluster *cluster, uint64_t seed)
{
    fixture_open(&cluster->fixture, 6, seed);
    for (unsigned i = 0; i < BLOBS; i++) {
        cluster->data[i] = fixture_bytes(i, sizes[i]);
        assert_int_equal(fixture_put(&cluster->fixture, i, cluster->data[i],
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

static void cluster_check(struct cluster *cluster, uint64_t *state)
{
    for (unsigned i = 0; i < BLOBS; i++) {
        fixture_check(&cluster->fixture, cluster->layouts[i], cluster->data[i]);
        fixture_check_random_ranges(&cluster->fixture, cluster->layouts[i],
                                    cluster->data[i], 4, state);
    }
}

static void wipe(struct cluster *cluster, unsigned drive)
{
    char prefix[16];

    snprintf(prefix, sizeof(prefix), "/d%02u", drive);
    io_sim_wipe(cluster->fixture.io, prefix);
}

/* Every byte of every file of the drive's extents is turned over. */
static void overwrite(struct cluster *cluster, unsigned drive)
{
    for (unsigned i = 0; i < BLOBS; i++) {
        const Layout__Layout *layout = cluster->layouts[i];

        for (size_t c = 0; c < layout->n_chunks; c++) {
            for (size_t s = 0; s < layout->chunks[c]->n_shards; s++) {
                const Layout__Locator *at = layout->chunks[c]->shards[s];

                if (at->drive_plus_one == drive + 1) {
                    fixture_flip(&cluster->fixture, at, 0);
                    fixture_flip(&cluster->fixture, at, 40);
                }
            }
        }
    }
}

static void test_any_two_drives_wiped(void **unused)
{
    uint64_t state = 5;

    (void)unused;
    for (unsigned a = 0; a < 6; a++) {
        for (unsigned b = a + 1; b < 6; b++) {
            struct cluster cluster;

            cluster_open(&cluster, a * 6 + b);
            wipe(&cluster, a);
            wipe(&cluster, b);
            fixture_reattach(&cluster.fixture);
            cluster_check(&cluster, &state);
            cluster_close(&cluster);
        }
    }
}

static void test_any_two_drives_corrupted(void **unused)
{
    uint64_t state = 6;

    (void)unused;
    for (unsigned a = 0; a < 6; a++) {
        for (unsigned b = a + 1; b < 6; b++) {
            struct cluster cluster;

            cluster_open(&cluster, a * 6 + b);
            overwrite(&cluster, a);
            overwrite(&cluster, b);
            cluster_check(&cluster, &state);
            cluster_close(&cluster);
        }
    }
}

static void test_one_wiped_and_one_failing(void **unused)
{
    struct cluster cluster;
    uint64_t state = 7;

    (void)unused;
    cluster_open(&cluster, 1);
    wipe(&cluster, 2);
    fixture_reattach(&cluster.fixture);
    io_sim_fail_path(cluster.fixture.io, "/d04", EIO);
    cluster_check(&cluster, &state);
    cluster_close(&cluster);
}

static void test_random_bits_on_two_drives(void **unused)
{
    uint64_t state = 8;

    (void)unused;
    for (unsigned round = 0; round < 10; round++) {
        struct cluster cluster;

        cluster_open(&cluster, round + 100);
        io_sim_corrupt(cluster.fixture.io, "/d01/extents", 40);
        io_sim_corrupt(cluster.fixture.io, "/d03/extents", 40);
        cluster_check(&cluster, &state);
        cluster_close(&cluster);
    }
}

/* With three drives gone a range whose own shards are left is still right;
 * everything else is -EIO. */
static void test_three_lost_is_an_error_and_never_wrong(void **unused)
{
    struct cluster cluster;
    unsigned failed = 0;
    uint64_t state = 9;

    (void)unused;
    cluster_open(&cluster, 1);
    wipe(&cluster, 0);
    wipe(&cluster, 1);
    overwrite(&cluster, 2);
    fixture_reattach(&cluster.fixture);
    for (unsigned i = 1; i < BLOBS; i++) {
        uint8_t *read = xmalloc(sizes[i]);

        for (unsigned round = 0; round < 50; round++) {
            uint64_t offset = fixture_random(&state) % sizes[i];
            uint64_t size = fixture_random(&state) % (sizes[i] - offset) + 1;
            int error = blob_read(cluster.fixture.store, cluster.layouts[i],
                                  offset, read, size);

            if (error == 0) {
                assert_memory_equal(read, cluster.data[i] + offset, size);
            } else {
                assert_int_equal(error, -EIO);
                failed++;
            }
        }
        /* Of six shards at most two data shards are not among the lost. */
        assert_int_equal(blob_read(cluster.fixture.store, cluster.layouts[i], 0,
                                   read, sizes[i]),
                         -EIO);
        free(read);
    }
    assert_true(failed > 0);
    cluster_close(&cluster);
}

static void test_the_last_drive_of_several_takes_nothing(void **unused)
{
    struct fixture fixture;
    Layout__Layout *layout;

    (void)unused;
    fixture_open(&fixture, 3, 5);
    fixture_detach(&fixture);
    io_sim_wipe(fixture.io, "/d00");
    io_sim_wipe(fixture.io, "/d01");
    assert_int_equal(fixture_attach(&fixture), 0);
    assert_int_equal(
        fixture_put(&fixture, 1, (const uint8_t *)"x", 1, 1, &layout), -ENODEV);
    fixture_close(&fixture);
}

static void test_all_copies_lost(void **unused)
{
    struct cluster cluster;
    uint8_t read[5000];

    (void)unused;
    cluster_open(&cluster, 1);
    for (unsigned i = 0; i < 3; i++) {
        fixture_flip(&cluster.fixture, cluster.layouts[0]->chunks[0]->shards[i],
                     4999);
    }
    assert_int_equal(
        blob_read(cluster.fixture.store, cluster.layouts[0], 0, read, 1), -EIO);
    cluster_close(&cluster);
}

struct damage {
    unsigned calls;
    uint64_t blob;
    unsigned chunk, shard;
    int error;
};

static void on_damage(void *context, uint64_t blob, unsigned chunk,
                      unsigned shard, int error)
{
    struct damage *damage = context;

    *damage = (struct damage){damage->calls + 1, blob, chunk, shard, error};
}

static void test_damage_is_reported_once_a_read(void **unused)
{
    struct damage damage = {0};
    struct cluster cluster;

    (void)unused;
    cluster_open(&cluster, 1);
    blob_store_on_damage(cluster.fixture.store, on_damage, &damage);
    fixture_check(&cluster.fixture, cluster.layouts[4], cluster.data[4]);
    assert_int_equal(damage.calls, 0);
    fixture_flip(&cluster.fixture, cluster.layouts[4]->chunks[1]->shards[2], 7);
    fixture_check(&cluster.fixture, cluster.layouts[4], cluster.data[4]);
    assert_int_equal(damage.calls, 1);
    assert_int_equal(damage.blob, 4);
    assert_int_equal(damage.chunk, 1);
    assert_int_equal(damage.shard, 2);
    assert_int_equal(damage.error, -EBADMSG);
    cluster_close(&cluster);
}

/* Each byte of a descriptor counts. */
static void test_a_corrupt_descriptor_is_noticed(void **unused)
{
    struct damage damage = {0};
    struct cluster cluster;
    const Layout__Locator *locator;
    size_t size = descriptor_size(5000);

    (void)unused;
    cluster_open(&cluster, 1);
    blob_store_on_damage(cluster.fixture.store, on_damage, &damage);
    locator = cluster.layouts[0]->chunks[0]->shards[0]; /* blob 0: read first */
    for (size_t i = 0; i < size; i++) {
        fixture_flip(&cluster.fixture, locator, 5000 + i);
        damage.calls = 0;
        fixture_check(&cluster.fixture, cluster.layouts[0], cluster.data[0]);
        assert_int_equal(damage.calls, 1);
        assert_int_equal(damage.shard, 0);
        fixture_flip(&cluster.fixture, locator, 5000 + i);
    }
    damage.calls = 0;
    fixture_check(&cluster.fixture, cluster.layouts[0], cluster.data[0]);
    assert_int_equal(damage.calls, 0);

    fixture_flip(&cluster.fixture, locator, 5000 + size + 3); /* the origin */
    assert_int_equal(fixture_bad(&cluster.fixture, cluster.layouts[0]), 1);
    cluster_close(&cluster);
}

/* A whole, valid record of another shard in the place of ours. */
static void test_a_misdirected_shard_is_noticed(void **unused)
{
    struct cluster cluster;
    Layout__Locator *shards[2];
    uint64_t extent, offset;
    uint32_t drive;
    struct damage damage = {0};

    (void)unused;
    cluster_open(&cluster, 1);
    blob_store_on_damage(cluster.fixture.store, on_damage, &damage);
    shards[0] = cluster.layouts[0]->chunks[0]->shards[0];
    shards[1] = cluster.layouts[0]->chunks[0]->shards[1];
    drive = shards[0]->drive_plus_one;
    extent = shards[0]->extent;
    offset = shards[0]->offset;
    shards[0]->drive_plus_one = shards[1]->drive_plus_one;
    shards[0]->extent = shards[1]->extent;
    shards[0]->offset = shards[1]->offset;
    fixture_check(&cluster.fixture, cluster.layouts[0], cluster.data[0]);
    assert_int_equal(damage.calls, 1);
    assert_int_equal(damage.shard, 0);
    shards[0]->drive_plus_one = drive;
    shards[0]->extent = extent;
    shards[0]->offset = offset;
    cluster_close(&cluster);
}

static void test_verify_counts_the_bad(void **unused)
{
    struct cluster cluster;

    (void)unused;
    cluster_open(&cluster, 1);
    for (unsigned i = 0; i < BLOBS; i++) {
        assert_int_equal(fixture_bad(&cluster.fixture, cluster.layouts[i]), 0);
    }
    fixture_flip(&cluster.fixture, cluster.layouts[4]->chunks[0]->shards[5],
                 9); /* parity */
    fixture_flip(&cluster.fixture, cluster.layouts[4]->chunks[2]->shards[0], 0);
    assert_int_equal(fixture_bad(&cluster.fixture, cluster.layouts[4]), 2);
    wipe(&cluster, 3);
    fixture_reattach(&cluster.fixture);
    assert_int_equal(fixture_bad(&cluster.fixture, cluster.layouts[3]), 1);
    cluster_close(&cluster);
}

static void test_segments_stop_at_damage(void **unused)
{
    struct blob_segment segments[32];
    struct cluster cluster;
    uint64_t covered;

    (void)unused;
    cluster_open(&cluster, 1);
    /* 4+2 with 64 KiB units: the second unit of the object is shard 1. */
    fixture_flip(&cluster.fixture, cluster.layouts[3]->chunks[0]->shards[1], 5);
    assert_int_equal(blob_segments(cluster.fixture.store, cluster.layouts[3], 0,
                                   sizes[3], BLOB_VERIFY_PATH, segments, 32,
                                   &covered),
                     1);
    assert_int_equal(covered, FIXTURE_UNIT);
    assert_int_equal(blob_segments(cluster.fixture.store, cluster.layouts[3],
                                   FIXTURE_UNIT, 1, BLOB_VERIFY_PATH, segments,
                                   32, &covered),
                     0);
    assert_int_equal(covered, 0);
    assert_int_equal(blob_segments(cluster.fixture.store, cluster.layouts[3],
                                   2 * FIXTURE_UNIT, FIXTURE_UNIT,
                                   BLOB_VERIFY_PATH, segments, 32, &covered),
                     1);
    /* A copy steps in for another. */
    fixture_flip(&cluster.fixture, cluster.layouts[0]->chunks[0]->shards[0], 5);
    assert_int_equal(blob_segments(cluster.fixture.store, cluster.layouts[0], 0,
                                   5000, BLOB_VERIFY_PATH, segments, 32,
                                   &covered),
                     1);
    assert_int_equal(covered, 5000);
    assert_int_not_equal(
        segments[0].drive + 1,
        cluster.layouts[0]->chunks[0]->shards[0]->drive_plus_one);
    cluster_close(&cluster);
}

/* Another file of the same length in the place of the one that is open. */
static void replace_file(struct cluster *cluster,
                         const Layout__Locator *locator)
{
    struct io *io = cluster->fixture.io;
    struct buffer file = {0};
    char path[64];

    fixture_extent_path(locator->drive_plus_one - 1, locator->extent, path);
    assert_int_equal(io_read_file(io, path, 64u << 20, &file), 0);
    memset(file.data, '!', file.size);
    assert_int_equal(io_write_file(io, path, file.data, file.size), 0);
    buffer_free(&file);
}

/* What is named was checked in the file that the reader will open. */
static void test_segments_of_a_replaced_file(void **unused)
{
    struct blob_segment segments[32];
    struct damage damage = {0};
    struct cluster cluster;
    const Layout__Locator *locator;
    uint64_t covered;

    (void)unused;
    cluster_open(&cluster, 1);
    for (unsigned i = 0; i < BLOBS; i++) {
        fixture_check(&cluster.fixture, cluster.layouts[i], cluster.data[i]);
    }
    blob_store_on_damage(cluster.fixture.store, on_damage, &damage);
    locator = cluster.layouts[3]->chunks[0]->shards[0];
    replace_file(&cluster, locator);
    assert_int_equal(blob_segments(cluster.fixture.store, cluster.layouts[3], 0,
                                   sizes[3], BLOB_VERIFY_PATH, segments, 32,
                                   &covered),
                     0);
    assert_int_equal(covered, 0);
    assert_int_equal(damage.calls, 1);
    assert_int_equal(damage.error, -ENOENT);
    /* Nor the next time, with the new file open. */
    assert_int_equal(blob_segments(cluster.fixture.store, cluster.layouts[3], 0,
                                   sizes[3], BLOB_VERIFY_PATH, segments, 32,
                                   &covered),
                     0);
    fixture_check(&cluster.fixture, cluster.layouts[3], cluster.data[3]);
    /* Shards on other drives are named as before. */
    assert_true(blob_segments(cluster.fixture.store, cluster.layouts[3],
                              FIXTURE_UNIT, FIXTURE_UNIT, BLOB_VERIFY_PATH,
                              segments, 32, &covered) == 1);

    /* A copy steps in for one whose file was replaced or removed. */
    for (unsigned i = 0; i < 2; i++) {
        locator = cluster.layouts[0]->chunks[0]->shards[i];
        replace_file(&cluster, locator);
        assert_int_equal(
            blob_segments(cluster.fixture.store, cluster.layouts[0], 0, 5000,
                          BLOB_VERIFY_PATH, segments, 32, &covered),
            1);
        assert_int_not_equal(segments[0].drive + 1, locator->drive_plus_one);
    }
    cluster_close(&cluster);
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
        cmocka_unit_test(test_any_two_drives_wiped),
        cmocka_unit_test(test_any_two_drives_corrupted),
        cmocka_unit_test(test_one_wiped_and_one_failing),
        cmocka_unit_test(test_random_bits_on_two_drives),
        cmocka_unit_test(test_three_lost_is_an_error_and_never_wrong),
        cmocka_unit_test(test_the_last_drive_of_several_takes_nothing),
        cmocka_unit_test(test_all_copies_lost),
        cmocka_unit_test(test_damage_is_reported_once_a_read),
        cmocka_unit_test(test_a_corrupt_descriptor_is_noticed),
        cmocka_unit_test(test_a_misdirected_shard_is_noticed),
        cmocka_unit_test(test_verify_counts_the_bad),
        cmocka_unit_test(test_segments_stop_at_damage),
        cmocka_unit_test(test_segments_of_a_replaced_file),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
