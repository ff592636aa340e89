#include "blob_fixture.h"

static void check_shape(const Layout__Layout *layout, size_t size,
                        unsigned drives)
{
    struct erasure_profile profile =
        erasure_default(drives, size <= BLOB_SMALL_MAX);
    uint64_t sum = 0;

    assert_int_equal(layout->size, size);
    assert_int_equal(layout->k, profile.k);
    assert_int_equal(layout->m, profile.m);
    assert_int_equal(layout->backend, profile.backend);
    assert_int_equal(layout->n_chunks,
                     (size + FIXTURE_CHUNK - 1) / FIXTURE_CHUNK);
    for (size_t i = 0; i < layout->n_chunks; i++) {
        uint32_t seen = 0;

        assert_int_equal(layout->chunks[i]->n_shards, profile.k + profile.m);
        for (size_t j = 0; j < layout->chunks[i]->n_shards; j++) {
            uint32_t drive = layout->chunks[i]->shards[j]->drive_plus_one;

            assert_in_range(drive, 1, drives);
            assert_int_equal(seen & 1u << drive, 0); /* B4 */
            seen |= 1u << drive;
        }
        sum += layout->chunks[i]->size;
    }
    assert_int_equal(sum, size);
    assert_false(blob_degraded(layout));
}

static void roundtrip(struct fixture *fixture, size_t size, size_t piece,
                      uint64_t *state)
{
    uint8_t *data = fixture_bytes(size, size);
    Layout__Layout *layout;

    assert_int_equal(fixture_put(fixture, size, data, size, piece, &layout), 0);
    check_shape(layout, size, fixture->count);
    fixture_check(fixture, layout, data);
    fixture_check_random_ranges(fixture, layout, data, 8, state);
    fixture_check_range(fixture, layout, data, size - 1, 1);
    fixture_check_range(fixture, layout, data, size, 0);
    assert_int_equal(fixture_bad(fixture, layout), 0);
    fixture_free(layout);
    free(data);
}

static void every_size(unsigned drives)
{
    struct fixture fixture;
    uint64_t state = drives;
    size_t stripe = erasure_default(drives, false).k * (size_t)FIXTURE_UNIT;
    const size_t sizes[] = {
        1,
        63,
        64,
        65,
        4095,
        4096,
        4097,
        BLOB_SMALL_MAX - 1,
        BLOB_SMALL_MAX,
        BLOB_SMALL_MAX + 1,
        2 * FIXTURE_UNIT - 1,
        2 * FIXTURE_UNIT,
        2 * FIXTURE_UNIT + 1,
        stripe - 1,
        stripe + FIXTURE_UNIT,
        stripe + FIXTURE_UNIT + 65,
        2 * stripe,
        2 * stripe + 1,
        FIXTURE_CHUNK - 1,
        FIXTURE_CHUNK,
        FIXTURE_CHUNK + 1,
        FIXTURE_CHUNK + stripe - 64,
        3 * FIXTURE_CHUNK,
        3 * FIXTURE_CHUNK + 12345,
    };

    fixture_open(&fixture, drives, drives);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t piece = i % 3 == 0   ? sizes[i]
                       : i % 3 == 1 ? 16384
                                    : (size_t)(70001 + i);

        roundtrip(&fixture, sizes[i], piece, &state);
    }
    fixture_close(&fixture);
}

static void test_sizes_on_one_to_four_drives(void **unused)
{
    (void)unused;
    for (unsigned drives = 1; drives <= 4; drives++) {
        every_size(drives);
    }
}

static void test_sizes_on_six_drives(void **unused)
{
    (void)unused;
    every_size(5);
    every_size(6);
}

static void test_sizes_on_many_drives(void **unused)
{
    (void)unused;
    every_size(12);
    every_size(20);
}

static void test_shipped_unit_and_chunk(void **unused)
{
    const size_t size = BLOB_CHUNK_SIZE + BLOB_UNIT_SIZE + 3;
    uint8_t *data = fixture_bytes(5, size);
    struct fixture fixture;
    Layout__Layout *layout;

    (void)unused;
    fixture_open(&fixture, 6, 5);
    fixture.store->unit = BLOB_UNIT_SIZE;
    fixture.store->chunk_size = BLOB_CHUNK_SIZE;
    assert_int_equal(fixture_put(&fixture, 5, data, size, 65536, &layout), 0);
    assert_int_equal(layout->n_chunks, 2);
    fixture_check(&fixture, layout, data);
    fixture_check_range(&fixture, layout, data, BLOB_CHUNK_SIZE - 70000,
                        140000);
    fixture_free(layout);
    free(data);
    fixture_close(&fixture);
}

/* Who begins while others hold all the memory has smaller stripes. */
static void test_small_units_where_memory_is_short(void **unused)
{
    const size_t size = 5 * BLOB_UNIT_SIZE + 3;
    uint8_t *data = fixture_bytes(6, size);
    struct memory *others = memory_new(1 << 20);
    struct fixture fixture;
    Layout__Layout *layouts[2];

    (void)unused;
    fixture_open(&fixture, 6, 6);
    fixture.store->unit = BLOB_UNIT_SIZE;
    for (unsigned i = 0; i < 2; i++) {
        memory_limit(i == 0 ? 1 << 19 : 1 << 30);
        assert_int_equal(
            fixture_put(&fixture, 6 + i, data, size, 65536, &layouts[i]), 0);
        assert_int_equal(layouts[i]->unit,
                         i == 0 ? BLOB_UNIT_LEAST : BLOB_UNIT_SIZE);
    }
    memory_limit(UINT64_MAX);
    for (unsigned i = 0; i < 2; i++) {
        fixture_check(&fixture, layouts[i], data);
        fixture_check_range(&fixture, layouts[i], data, 200000, 500000);
        assert_int_equal(fixture_bad(&fixture, layouts[i]), 0);
        fixture_free(layouts[i]);
    }
    memory_drop(others);
    free(data);
    fixture_close(&fixture);
}

/* Reads the segments as the module would: from the files. */
static void check_segments(struct fixture *fixture,
                           const Layout__Layout *layout, const uint8_t *data,
                           uint64_t offset, uint64_t size,
                           enum blob_verify verify)
{
    struct blob_segment segments[64];
    uint64_t covered, at = 0;
    int count = blob_segments(fixture->store, layout, offset, size, verify,
                              segments, 64, &covered);

    assert_true(count > 0);
    assert_int_equal(covered, size);
    for (int i = 0; i < count; i++) {
        uint8_t *bytes = xmalloc(segments[i].length);

        assert_int_equal(drive_read(fixture->drives[segments[i].drive],
                                    segments[i].extent, segments[i].offset,
                                    bytes, segments[i].length),
                         0);
        assert_memory_equal(bytes, data + offset + at, segments[i].length);
        assert_int_equal(drive_reads_from(fixture->drives[segments[i].drive],
                                          segments[i].extent,
                                          &segments[i].file),
                         verify != BLOB_VERIFY_NOTHING);
        at += segments[i].length;
        free(bytes);
    }
    assert_int_equal(at, covered);
}

static void test_segments_name_the_bytes(void **unused)
{
    static const size_t sizes[] = {1, 4096, 65536, 70000, 3 * FIXTURE_CHUNK};
    struct fixture fixture;
    uint64_t state = 77;

    (void)unused;
    fixture_open(&fixture, 6, 1);
    for (size_t i = 0; i < 5; i++) {
        uint8_t *data = fixture_bytes(i, sizes[i]);
        Layout__Layout *layout;

        assert_int_equal(
            fixture_put(&fixture, i, data, sizes[i], 16384, &layout), 0);
        for (unsigned round = 0; round < 20; round++) {
            uint64_t offset = fixture_random(&state) % sizes[i];
            uint64_t size = fixture_random(&state) % (sizes[i] - offset) + 1;

            check_segments(&fixture, layout, data, offset, size,
                           (enum blob_verify)(round % 3));
        }
        fixture_free(layout);
        free(data);
    }
    fixture_close(&fixture);
}

static void test_segments_stop_at_the_maximum(void **unused)
{
    struct blob_segment segments[2];
    struct fixture fixture;
    Layout__Layout *layout;
    uint64_t covered;
    uint8_t *data = fixture_bytes(1, FIXTURE_CHUNK);

    (void)unused;
    fixture_open(&fixture, 6, 1);
    assert_int_equal(
        fixture_put(&fixture, 1, data, FIXTURE_CHUNK, 16384, &layout), 0);
    assert_int_equal(blob_segments(fixture.store, layout, 100, 400000,
                                   BLOB_VERIFY_PATH, segments, 2, &covered),
                     2);
    assert_int_equal(covered, 2 * FIXTURE_UNIT - 100);
    assert_int_equal(blob_segments(fixture.store, layout, FIXTURE_CHUNK - 1, 2,
                                   BLOB_VERIFY_PATH, segments, 2, &covered),
                     0);
    fixture_free(layout);
    free(data);
    fixture_close(&fixture);
}

static void test_wrong_amounts(void **unused)
{
    struct blob_spec spec = {.blob = 1, .size = 10};
    struct fixture fixture;
    struct blob_writer *writer;
    Layout__Layout *layout = NULL;
    uint8_t byte;

    (void)unused;
    fixture_open(&fixture, 6, 1);
    assert_int_equal(blob_writer_open(fixture.store, &spec, &writer), 0);
    assert_int_equal(blob_writer_append(writer, "123456789", 9), 0);
    assert_int_equal(blob_writer_append(writer, "01", 2), -EFBIG);
    assert_int_equal(blob_writer_append(writer, "0", 1), -EFBIG);
    blob_writer_abort(writer);

    assert_int_equal(blob_writer_open(fixture.store, &spec, &writer), 0);
    assert_int_equal(blob_writer_append(writer, "123456789", 9), 0);
    assert_int_equal(blob_writer_finish(writer, &layout), -EBADMSG);
    assert_null(layout);

    spec.size = 0;
    assert_int_equal(blob_writer_open(fixture.store, &spec, &writer), -EINVAL);
    blob_writer_abort(NULL);

    assert_int_equal(
        fixture_put(&fixture, 2, (const uint8_t *)"abc", 3, 3, &layout), 0);
    assert_int_equal(blob_read(fixture.store, layout, 2, &byte, 2), -EINVAL);
    assert_int_equal(blob_read(fixture.store, layout, 4, &byte, 0), -EINVAL);
    fixture_free(layout);
    fixture_close(&fixture);
}

static void test_a_layout_survives_packing(void **unused)
{
    const size_t size = FIXTURE_CHUNK + 99;
    uint8_t *data = fixture_bytes(3, size), *packed;
    struct fixture fixture;
    Layout__Layout *layout, *again;
    size_t bytes;

    (void)unused;
    fixture_open(&fixture, 6, 3);
    assert_int_equal(fixture_put(&fixture, 3, data, size, 9999, &layout), 0);
    packed = xmalloc(layout__layout__get_packed_size(layout));
    bytes = layout__layout__pack(layout, packed);
    fixture_free(layout);
    fixture_reattach(&fixture);
    again = layout__layout__unpack(NULL, bytes, packed);
    assert_non_null(again);
    fixture_check(&fixture, again, data);
    fixture_free(again);
    free(packed);
    free(data);
    fixture_close(&fixture);
}

static void test_an_aborted_write_gives_its_room_back(void **unused)
{
    struct blob_spec spec = {.blob = 1, .size = 300000};
    struct drive_usage usage;
    struct fixture fixture;
    struct blob_writer *writer;
    uint8_t *data = fixture_bytes(1, 300000);

    (void)unused;
    fixture_open(&fixture, 6, 1);
    assert_int_equal(blob_writer_open(fixture.store, &spec, &writer), 0);
    assert_int_equal(blob_writer_append(writer, data, 280000), 0);
    drive_usage(fixture.drives[0], &usage);
    assert_true(usage.pending > 0);
    blob_writer_abort(writer);
    for (unsigned i = 0; i < 6; i++) {
        drive_usage(fixture.drives[i], &usage);
        assert_int_equal(usage.pending, 0);
    }
    free(data);
    fixture_close(&fixture);
}

static void test_damaged_layouts_are_refused(void **unused)
{
    struct fixture fixture;
    Layout__Layout *layout;
    struct blob_segment segment;
    uint64_t covered;
    uint8_t byte;

    (void)unused;
    fixture_open(&fixture, 6, 1);
    assert_int_equal(
        fixture_put(&fixture, 2, (const uint8_t *)"abc", 3, 3, &layout), 0);
#define REFUSED(field, value)                                                  \
    do {                                                                       \
        typeof(field) before = field;                                          \
        field = value;                                                         \
        assert_int_equal(blob_read(fixture.store, layout, 0, &byte, 1),        \
                         -EBADMSG);                                            \
        assert_int_equal(blob_segments(fixture.store, layout, 0, 1,            \
                                       BLOB_VERIFY_PATH, &segment, 1,          \
                                       &covered),                              \
                         0);                                                   \
        field = before;                                                        \
    } while (0)
    REFUSED(layout->k, 0);
    REFUSED(layout->k, 33);
    REFUSED(layout->k, 2);
    REFUSED(layout->m, 31 + 1);
    REFUSED(layout->m, UINT32_MAX);
    REFUSED(layout->unit, 0);
    REFUSED(layout->unit, 64);
    REFUSED(layout->unit, UINT32_MAX);
    REFUSED(layout->backend, 3);
    REFUSED(layout->size, 4);
    REFUSED(layout->size, 2);
    REFUSED(layout->n_chunks, 0);
    REFUSED(layout->chunks[0]->size, 0);
    REFUSED(layout->chunks[0]->n_shards, 2);
#undef REFUSED
    assert_int_equal(blob_read(fixture.store, layout, 0, &byte, 1), 0);
    fixture_free(layout);
    fixture_close(&fixture);
}

static int setup(void **unused)
{
    (void)unused;
    return erasure_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_on_one_to_four_drives),
        cmocka_unit_test(test_sizes_on_six_drives),
        cmocka_unit_test(test_sizes_on_many_drives),
        cmocka_unit_test(test_shipped_unit_and_chunk),
        cmocka_unit_test(test_small_units_where_memory_is_short),
        cmocka_unit_test(test_segments_name_the_bytes),
        cmocka_unit_test(test_segments_stop_at_the_maximum),
        cmocka_unit_test(test_wrong_amounts),
        cmocka_unit_test(test_a_layout_survives_packing),
        cmocka_unit_test(test_an_aborted_write_gives_its_room_back),
        cmocka_unit_test(test_damaged_layouts_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
