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

/* --- listed.c: what is read without unpacking ------------------------------*/
static ProtobufCBinaryData bytes_of(const char *text)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)text, .len = strlen(text)};
}

/* With something in every field. */
static struct slice full_object(uint64_t sequence)
{
    Meta__Field field = META__FIELD__INIT, *fields[] = {&field, &field};
    Meta__Checksum checksum = META__CHECKSUM__INIT;
    Meta__Encryption encryption = META__ENCRYPTION__INIT;
    Meta__Retention retention = META__RETENTION__INIT;
    Meta__Renamed renamed = META__RENAMED__INIT;
    Meta__Acl acl = META__ACL__INIT;
    Meta__Object object = META__OBJECT__INIT;

    field.name = bytes_of("content-type");
    field.value = bytes_of("image/jpeg");
    checksum.algorithm = META__CHECKSUM_ALGORITHM__SHA256;
    checksum.type = META__CHECKSUM_TYPE__COMPOSITE;
    checksum.value = bytes_of("01234567890123456789012345678901");
    encryption.mode = META__ENCRYPTION_MODE__SSE_KMS;
    encryption.wrapped = bytes_of("wrapped");
    retention.until_ms = UINT64_MAX;
    renamed.source = bytes_of("before");
    object.sequence = sequence;
    object.mtime_ms = 1767225600123;
    object.size = UINT64_MAX;
    object.etag = bytes_of("d41d8cd98f00b204e9800998ecf8427e-9");
    object.blob = 77;
    object.n_headers = object.n_metadata = object.n_tags = 2;
    object.headers = object.metadata = object.tags = fields;
    object.owner = bytes_of("somebody");
    object.storage_class = bytes_of("GLACIER");
    object.checksum = &checksum;
    object.parts = 9;
    object.version_id = bytes_of("0123456789abcdef0123456789abcdef");
    object.delete_marker = true;
    object.encryption = &encryption;
    object.retention = &retention;
    object.legal_hold = META__LEGAL_HOLD__HOLD_ON;
    object.renamed = &renamed;
    object.acl = &acl;
    object.website_redirect = bytes_of("/there");
    return meta_pack(arena, META_RECORD_OBJECT, &object.base);
}

static bool slice_is(struct slice slice, const char *text)
{
    return slice_equal_string(slice, text);
}

static void test_listed(void **state)
{
    struct meta_listed listed;
    uint8_t rest[8];

    (void)state;
    put_u64be(rest, ~UINT64_C(9));
    assert_int_equal(record_listed(full_object(9), slice_of(rest, 8), &listed),
                     0);
    assert_true(listed.sequence == 9 && listed.mtime_ms == 1767225600123 &&
                listed.size == UINT64_MAX);
    assert_true(slice_is(listed.etag, "d41d8cd98f00b204e9800998ecf8427e-9"));
    assert_true(slice_is(listed.owner, "somebody"));
    assert_true(slice_is(listed.storage_class, "GLACIER"));
    assert_true(
        slice_is(listed.version_id, "0123456789abcdef0123456789abcdef"));
    assert_true(listed.delete_marker);
    assert_int_equal(listed.checksum, META__CHECKSUM_ALGORITHM__SHA256);
    assert_int_equal(listed.checksum_type, META__CHECKSUM_TYPE__COMPOSITE);

    assert_int_equal(record_listed(full_object(8), slice_of(rest, 8), &listed),
                     -EBADMSG);
    assert_int_equal(record_listed(full_object(9), slice_of(rest, 7), &listed),
                     -EBADMSG);
    assert_int_equal(
        record_listed(counter_record(9), slice_of(rest, 8), &listed), -EBADMSG);
}

static void test_listed_defaults(void **state)
{
    Meta__Object object = META__OBJECT__INIT;
    struct meta_listed listed;
    uint8_t rest[8];

    (void)state;
    object.sequence = 1;
    put_u64be(rest, ~UINT64_C(1));
    memset(&listed, 0xff, sizeof(listed));
    assert_int_equal(
        record_listed(meta_pack(arena, META_RECORD_OBJECT, &object.base),
                      slice_of(rest, 8), &listed),
        0);
    assert_true(listed.mtime_ms == 0 && listed.size == 0);
    assert_true(listed.etag.size == 0 && listed.owner.size == 0 &&
                listed.storage_class.size == 0 && listed.version_id.size == 0);
    assert_false(listed.delete_marker);
    assert_int_equal(listed.checksum, META__CHECKSUM_ALGORITHM__NO_CHECKSUM);
}

/* A payload in an envelope whose checksum is right. */
static struct slice enveloped(const void *payload, size_t size)
{
    uint8_t *out = arena_alloc(arena, 8 + size);

    memcpy(out, "SR\x01\x03", 4);
    memcpy(out + 8, payload, size);
    put_u32le(out + 4, crc32c_extend(crc32c_bytes(out + 3, 1), payload, size));
    return slice_of(out, 8 + size);
}

static void test_listed_bounds(void **state)
{
#define PAYLOAD(text)                                                          \
    {                                                                          \
        text, sizeof(text) - 1                                                 \
    }
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        PAYLOAD("\x22\x05"
                "abcd"), /* an etag longer than the record */
        PAYLOAD("\x22"), /* without its length */
        PAYLOAD("\x22\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        PAYLOAD("\x09"
                "1234567"),  /* seven bytes of eight */
        PAYLOAD("\x10\xff"), /* a number without an end */
        PAYLOAD("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        PAYLOAD("\x23"),             /* a group */
        PAYLOAD("\x26"),             /* no type at all */
        PAYLOAD("\x20\x01"),         /* the etag as a number */
        PAYLOAD("\x08\x01"),         /* the sequence as a varint */
        PAYLOAD("\x52\x02\x08\xff"), /* a checksum that is cut off */
    };
    uint8_t good[9 + 2] = {0x09, 1, 0, 0, 0, 0, 0, 0, 0, 0xa0, 0x06};
    uint8_t payload[sizeof(good) + 16], rest[8];
    struct meta_listed listed;

    (void)state;
    put_u64be(rest, ~UINT64_C(1));
    /* Field 100 is one that nobody knows. */
    memcpy(payload, good, sizeof(good));
    payload[sizeof(good)] = 5;
    assert_int_equal(record_listed(enveloped(payload, sizeof(good) + 1),
                                   slice_of(rest, 8), &listed),
                     0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memcpy(payload, good, 9);
        memcpy(payload + 9, bad[i].bytes, bad[i].size);
        assert_int_equal(record_listed(enveloped(payload, 9 + bad[i].size),
                                       slice_of(rest, 8), &listed),
                         -EBADMSG);
    }
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
        cmocka_unit_test(test_listed),
        cmocka_unit_test(test_listed_defaults),
        cmocka_unit_test(test_listed_bounds),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
