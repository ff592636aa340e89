/*
 * The envelope: exact bytes, and every damage found.
 */
#include "meta/private.h"

#include <errno.h>
#include <isa-l.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static struct slice counter_record(uint64_t value)
{
    Meta__Counter counter = META__COUNTER__INIT;

    counter.value = value;
    return meta_pack(arena, META_RECORD_COUNTER, &counter.base);
}

static int unpack_counter(struct slice value, Meta__Counter **counter)
{
    return meta_unpack(arena, META_RECORD_COUNTER, &meta__counter__descriptor,
                       value, (ProtobufCMessage **)counter);
}

static void test_crc_is_crc32c(void **state)
{
    (void)state;
    assert_int_equal(~crc32_iscsi((unsigned char *)"123456789", 9, UINT32_MAX),
                     0xE3069283);
}

static void test_exact_bytes(void **state)
{
    struct slice value = counter_record(0x1122334455667788);
    /* Field 1, fixed64. */
    static const uint8_t payload[] = {0x09, 0x88, 0x77, 0x66, 0x55,
                                      0x44, 0x33, 0x22, 0x11};
    uint8_t covered[1 + sizeof(payload)] = {META_RECORD_COUNTER};

    (void)state;
    memcpy(covered + 1, payload, sizeof(payload));
    assert_int_equal(value.size, 8 + sizeof(payload));
    assert_memory_equal(value.data, "SR\x01\x0A", 4);
    assert_int_equal(
        get_u32le(value.data + 4),
        (uint32_t)~crc32_iscsi(covered, sizeof(covered), UINT32_MAX));
    assert_memory_equal(value.data + 8, payload, sizeof(payload));
}

static void test_round_trip(void **state)
{
    Meta__Counter *counter;

    (void)state;
    assert_int_equal(unpack_counter(counter_record(42), &counter), 0);
    assert_true(counter->value == 42);
}

static void test_every_flipped_bit_is_found(void **state)
{
    struct slice value = counter_record(42);
    uint8_t *bytes = (uint8_t *)value.data;
    Meta__Counter *counter;
    size_t bit;

    (void)state;
    for (bit = 0; bit < 8 * value.size; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(unpack_counter(value, &counter), -EBADMSG);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(unpack_counter(value, &counter), 0);
}

static void test_every_cut_is_found(void **state)
{
    struct slice value = counter_record(42);
    Meta__Counter *counter;
    size_t size;

    (void)state;
    for (size = 0; size < value.size; size++) {
        assert_int_equal(unpack_counter(slice_of(value.data, size), &counter),
                         -EBADMSG);
    }
}

static void test_other_type_is_refused(void **state)
{
    Meta__User *user;

    (void)state;
    assert_int_equal(meta_unpack(arena, META_RECORD_USER,
                                 &meta__user__descriptor, counter_record(1),
                                 (ProtobufCMessage **)&user),
                     -EBADMSG);
}

/* A right checksum over what is no message. */
static void test_garbage_payload_is_refused(void **state)
{
    uint8_t value[] = {'S',  'R',  1,   META_RECORD_COUNTER, 0, 0, 0, 0,
                       0x09, 0x01, 0x02};
    uint8_t covered[] = {META_RECORD_COUNTER, 0x09, 0x01, 0x02};
    Meta__Counter *counter;

    (void)state;
    put_u32le(value + 4, ~crc32_iscsi(covered, sizeof(covered), UINT32_MAX));
    assert_int_equal(unpack_counter(slice_of(value, sizeof(value)), &counter),
                     -EBADMSG);
}

/* A record under another record's key is found as well. */
static void test_misplaced_records_are_refused(void **state)
{
    Meta__Bucket bucket = META__BUCKET__INIT, *bucket_out;
    Meta__Object object = META__OBJECT__INIT, *object_out;
    Meta__Upload upload = META__UPLOAD__INIT, *upload_out;
    struct slice value;
    uint8_t rest[8];

    (void)state;
    bucket.id = 1;
    bucket.name.data = (uint8_t *)"photos";
    bucket.name.len = 6;
    value = meta_pack(arena, META_RECORD_BUCKET, &bucket.base);
    assert_int_equal(
        record_bucket(arena, value, SLICE_LITERAL("photos"), &bucket_out), 0);
    assert_int_equal(
        record_bucket(arena, value, SLICE_LITERAL("photo"), &bucket_out),
        -EBADMSG);
    bucket.id = 0;
    value = meta_pack(arena, META_RECORD_BUCKET, &bucket.base);
    assert_int_equal(
        record_bucket(arena, value, SLICE_LITERAL("photos"), &bucket_out),
        -EBADMSG);

    object.sequence = 9;
    value = meta_pack(arena, META_RECORD_OBJECT, &object.base);
    put_u64be(rest, ~UINT64_C(9));
    assert_int_equal(
        record_object(arena, value, slice_of(rest, 8), &object_out), 0);
    assert_int_equal(
        record_object(arena, value, slice_of(rest, 7), &object_out), -EBADMSG);
    put_u64be(rest, ~UINT64_C(8));
    assert_int_equal(
        record_object(arena, value, slice_of(rest, 8), &object_out), -EBADMSG);

    upload.id.data = (uint8_t *)"up";
    upload.id.len = 2;
    value = meta_pack(arena, META_RECORD_UPLOAD, &upload.base);
    assert_int_equal(
        record_upload(arena, value, SLICE_LITERAL("up"), &upload_out), 0);
    assert_int_equal(
        record_upload(arena, value, SLICE_LITERAL("down"), &upload_out),
        -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc_is_crc32c),
        cmocka_unit_test(test_exact_bytes),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_every_flipped_bit_is_found),
        cmocka_unit_test(test_every_cut_is_found),
        cmocka_unit_test(test_other_type_is_refused),
        cmocka_unit_test(test_garbage_payload_is_refused),
        cmocka_unit_test(test_misplaced_records_are_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
