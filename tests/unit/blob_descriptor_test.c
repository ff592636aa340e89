#include "blob_fixture.h"

/* Written down from docs/disk-format.md by hand (CRCs by an independent
 * bitwise implementation): never change these bytes, raise the version. */
static const char golden[] = "73336473686172640100500001040205"
                             "88776655443322110807060504030201"
                             "01000100000000000000000400000000"
                             "fd000400000000000100000000000400"
                             "0000010006000000367bab2f00000000"
                             "efbeadde67452301b01d6c21";

#define GOLDEN_CRC 0x216c1db0u

static const uint32_t golden_table[] = {0xdeadbeef, 0x01234567};

static struct descriptor golden_descriptor(void)
{
    return (struct descriptor){
        .blob = 0x1122334455667788,
        .blob_size = 0x0102030405060708,
        .chunk_offset = 0x4000000,
        .chunk_size = 65600 * 4 - 3,
        .payload = 65537,
        .chunk = 1,
        .unit = 262144,
        .origin_size = 6,
        .origin_crc = crc32c_bytes("origin", 6),
        .profile = {ERASURE_ISAL_CAUCHY, 4, 2},
        .shard = 5,
    };
}

static void test_golden_bytes(void **unused)
{
    struct descriptor descriptor = golden_descriptor(), back;
    uint8_t expected[sizeof(golden) / 2], encoded[256];
    size_t size = descriptor_size(descriptor.payload);
    uint32_t crc;

    (void)unused;
    assert_int_equal(size, sizeof(expected));
    assert_int_equal(hex_decode(expected, slice_from_string(golden)), 0);
    assert_int_equal(descriptor_encode(&descriptor, golden_table, encoded),
                     GOLDEN_CRC);
    assert_memory_equal(encoded, expected, size);

    memset(&back, 0, sizeof(back));
    assert_int_equal(descriptor_decode(slice_of(expected, size), &back, &crc),
                     0);
    assert_int_equal(crc, GOLDEN_CRC);
    assert_int_equal(back.blob, descriptor.blob);
    assert_int_equal(back.blob_size, descriptor.blob_size);
    assert_int_equal(back.chunk_offset, descriptor.chunk_offset);
    assert_int_equal(back.chunk_size, descriptor.chunk_size);
    assert_int_equal(back.payload, descriptor.payload);
    assert_int_equal(back.chunk, descriptor.chunk);
    assert_int_equal(back.unit, descriptor.unit);
    assert_int_equal(back.origin_size, descriptor.origin_size);
    assert_int_equal(back.origin_crc, descriptor.origin_crc);
    assert_int_equal(back.profile.backend, descriptor.profile.backend);
    assert_int_equal(back.profile.k, 4);
    assert_int_equal(back.profile.m, 2);
    assert_int_equal(back.shard, 5);
    assert_int_equal(descriptor_block_crc(expected, 0), 0xdeadbeef);
    assert_int_equal(descriptor_block_crc(expected, 1), 0x01234567);
}

static void test_every_flipped_bit_is_noticed(void **unused)
{
    uint8_t bytes[sizeof(golden) / 2];
    struct descriptor descriptor;
    uint32_t crc;

    (void)unused;
    assert_int_equal(hex_decode(bytes, slice_from_string(golden)), 0);
    for (size_t i = 0; i < 8 * sizeof(bytes); i++) {
        bytes[i / 8] ^= 1u << i % 8;
        assert_int_equal(descriptor_decode(slice_of(bytes, sizeof(bytes)),
                                           &descriptor, &crc),
                         -EBADMSG);
        bytes[i / 8] ^= 1u << i % 8;
    }
    for (size_t size = 0; size < sizeof(bytes); size++) {
        assert_int_equal(
            descriptor_decode(slice_of(bytes, size), &descriptor, &crc),
            -EBADMSG);
    }
}

/* A valid CRC does not make a wrong size or version right. */
static void test_valid_crc_over_wrong_fields(void **unused)
{
    static const struct {
        unsigned at;
        uint8_t value;
    } wrong[] = {{0, 'S'}, {8, 2}, {10, 81}, {34, 9}, {66, 0}, {70, 255}};
    uint8_t bytes[sizeof(golden) / 2];
    struct descriptor descriptor;
    uint32_t crc;

    (void)unused;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(hex_decode(bytes, slice_from_string(golden)), 0);
        bytes[wrong[i].at] = wrong[i].value;
        put_u32le(bytes + sizeof(bytes) - 4,
                  crc32c_bytes(bytes, sizeof(bytes) - 4));
        assert_int_equal(descriptor_decode(slice_of(bytes, sizeof(bytes)),
                                           &descriptor, &crc),
                         -EBADMSG);
    }
}

/* Each byte of a chunk is in one place, and the shards hold no others. */
static void check_geometry(unsigned k, unsigned m, uint64_t size)
{
    struct erasure_profile profile = {
        k == 1 ? ERASURE_COPIES : ERASURE_ISAL_CAUCHY, (uint8_t)k, (uint8_t)m};
    uint64_t stored[ERASURE_SHARDS_MAX] = {0}, at = 0, total = 0;
    struct geometry geometry;

    geometry_init(&geometry, &profile, FIXTURE_UNIT, size);
    while (at < size) {
        struct run run = geometry_run(&geometry, at);

        assert_true(run.shard < k);
        assert_int_equal(run.offset, stored[run.shard]);
        assert_true(run.length > 0 && run.length <= size - at);
        stored[run.shard] += run.length;
        at += run.length;
    }
    for (unsigned i = 0; i < k; i++) {
        assert_int_equal(geometry_shard_size(&geometry, i), stored[i]);
        total += stored[i];
        assert_true(geometry_shard_size(&geometry, k + m - 1) >= stored[i]);
    }
    assert_int_equal(total, size);
    if (k > 1) {
        assert_int_equal(geometry_shard_size(&geometry, k) % BLOB_UNIT_ALIGN,
                         0);
    }
}

static void test_geometry_covers_every_byte_once(void **unused)
{
    uint64_t state = 3;

    (void)unused;
    for (unsigned i = 0; i < 5000; i++) {
        unsigned k = fixture_random(&state) % 16 + 1;
        unsigned m = fixture_random(&state) % 4 + 1;
        uint64_t size = fixture_random(&state) % (3 * 16 * FIXTURE_UNIT) + 1;

        check_geometry(k, m, size);
        check_geometry(k, m, i + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_bytes),
        cmocka_unit_test(test_every_flipped_bit_is_noticed),
        cmocka_unit_test(test_valid_crc_over_wrong_fields),
        cmocka_unit_test(test_geometry_covers_every_byte_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
