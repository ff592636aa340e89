/* wire/: the frame header, byte by byte, and the error table. */
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_frame_has_these_bytes(void **state)
{
    static const uint8_t golden[FRAME_HEADER_SIZE] = {
        'S', '3', 1, 10, 9, 0, 0, 0, 0x83, 0x92, 0x06, 0xe3};
    uint8_t out[FRAME_HEADER_SIZE];
    struct frame_header header;

    (void)state;
    frame_encode(out, FRAME_REQUEST, "123456789", 9);
    assert_memory_equal(out, golden, sizeof(golden));
    assert_int_equal(frame_decode(out, &header), 0);
    assert_int_equal(header.type, FRAME_REQUEST);
    assert_int_equal(header.length, 9);
    assert_int_equal(frame_check(&header, "123456789"), 0);
    assert_int_equal(frame_check(&header, "123456780"), -1);
}

static void data_has_no_checksum(void **state)
{
    uint8_t out[FRAME_HEADER_SIZE];
    struct frame_header header;

    (void)state;
    frame_encode(out, FRAME_DATA, "abc", 3);
    assert_int_equal(frame_decode(out, &header), 0);
    assert_int_equal(header.crc, 0);
    assert_int_equal(frame_check(&header, "xyz"), 0);
}

static void bad_headers_are_refused(void **state)
{
    uint8_t good[FRAME_HEADER_SIZE], bad[FRAME_HEADER_SIZE];
    struct frame_header header;
    uint8_t end[FRAME_HEADER_SIZE];

    (void)state;
    frame_encode(good, FRAME_DATA, NULL, FRAME_DATA_MAX);
    assert_int_equal(frame_decode(good, &header), 0);

    for (size_t i = 0; i < 3; i++) { /* magic and version */
        memcpy(bad, good, sizeof(bad));
        bad[i] ^= 1;
        assert_int_equal(frame_decode(bad, &header), -1);
        assert_int_equal(frame_version(bad), i == 2 ? FRAME_VERSION ^ 1 : -1);
    }
    assert_int_equal(frame_version(good), FRAME_VERSION);

    memcpy(bad, good, sizeof(bad));
    bad[3] = 99; /* type */
    assert_int_equal(frame_decode(bad, &header), -1);

    frame_encode(bad, FRAME_DATA, NULL, FRAME_DATA_MAX + 1);
    assert_int_equal(frame_decode(bad, &header), -1);

    frame_encode(end, FRAME_END, "", 0);
    end[4] = 1; /* END has no payload */
    assert_int_equal(frame_decode(end, &header), -1);
}

/* Whatever is computed at once, it is what single bytes make. */
static void crc32c_of_any_size(void **state)
{
    static uint8_t data[4 * 1536 + 9];
    uint32_t crc = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * i * 31 >> 3 ^ i);
    }
    for (size_t size = 0; size < sizeof(data); size++) {
        assert_int_equal(crc32c(0, data, size), crc);
        crc = crc32c(crc, data + size, 1);
    }
}

static void crc32c_fits_at_any_split(void **state)
{
    uint8_t data[300];

    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 31);
    }
    for (size_t cut = 0; cut <= sizeof(data); cut++) {
        assert_int_equal(
            crc32c(crc32c(0, data, cut), data + cut, sizeof(data) - cut),
            crc32c(0, data, sizeof(data)));
    }
}

/* The AWS CLIs crash on an empty message; a status below 300 would lie. */
static void every_error_speaks(void **state)
{
    (void)state;
    for (int error = 1; error < S3_ERROR_COUNT; error++) {
        assert_true(strlen(s3_error_code(error)) > 0);
        assert_true(strlen(s3_error_message(error)) > 0);
        assert_in_range(s3_error_status(error), 300, 599);
    }
    assert_string_equal(s3_error_code(S3_ERR_NoSuchKey), "NoSuchKey");
    assert_int_equal(s3_error_status(S3_ERR_NoSuchKey), 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_has_these_bytes),
        cmocka_unit_test(data_has_no_checksum),
        cmocka_unit_test(bad_headers_are_refused),
        cmocka_unit_test(crc32c_of_any_size),
        cmocka_unit_test(crc32c_fits_at_any_split),
        cmocka_unit_test(every_error_speaks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
