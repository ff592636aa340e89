/* base/: slices, encodings, arenas, digests. */
#include "base/base.h"
#include "set_clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct slice text(const char *s)
{
    return slice_from_string(s);
}

static void numbers_are_strict(void **state)
{
    uint64_t value;

    (void)state;
    assert_int_equal(slice_to_u64(text("18446744073709551615"), &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(slice_to_u64(text("18446744073709551616"), &value),
                     -EINVAL);
    assert_int_equal(slice_to_u64(text(""), &value), -EINVAL);
    assert_int_equal(slice_to_u64(text("-1"), &value), -EINVAL);
    assert_int_equal(slice_to_u64(text("1 "), &value), -EINVAL);
}

static void slices_compare_bytewise(void **state)
{
    (void)state;
    assert_true(slice_compare(text("a"), text("b")) < 0);
    assert_true(slice_compare(text("a"), text("a/")) < 0);
    assert_true(slice_compare(text("\xff"), text("a")) > 0);
    assert_int_equal(slice_compare(text("a"), text("a")), 0);
    assert_true(slice_has_prefix(text("abc"), text("")));
    assert_false(slice_has_prefix(text("ab"), text("abc")));
}

static void numbers_are_written(void **state)
{
    struct buffer out = {0};

    (void)state;
    buffer_append_number(&out, 0);
    buffer_append_literal(&out, " ");
    buffer_append_number(&out, 10);
    buffer_append_literal(&out, " ");
    buffer_append_number(&out, UINT64_MAX);
    assert_true(slice_equal_string(slice_of(out.data, out.size),
                                   "0 10 18446744073709551615"));
    buffer_free(&out);
}

/* Every day of four centuries and more, beside the C library. */
static void times_are_written(void **state)
{
    char text[TIME_ISO8601_SIZE + 1], http[TIME_HTTP_SIZE + 1], expected[64];

    (void)state;
    for (uint64_t day = 0; day < 2 * 146097; day++) {
        const uint64_t ms = day * 86400000 + day * 7919 % 86400000;
        const time_t seconds = (time_t)(ms / 1000);
        struct tm tm;

        gmtime_r(&seconds, &tm);
        strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(expected + 19, sizeof(expected) - 19, ".%03uZ",
                 (unsigned)(ms % 1000));
        time_iso8601(text, ms);
        assert_string_equal(text, expected);
        strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        time_http(http, ms);
        assert_string_equal(http, expected);
    }
    time_iso8601(text, UINT64_MAX); /* of a damaged record: any year */
    assert_int_equal(strlen(text), TIME_ISO8601_SIZE);
    time_http(http, UINT64_MAX);
    assert_int_equal(strlen(http), TIME_HTTP_SIZE);
}

static void base64_is_strict(void **state)
{
    static const struct {
        const char *plain, *coded;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"}};
    static const char *const bad[] = {
        "Zg=", "Zg", "Zh==", "Z===", "====", "Zm9v\n", "Zm 9", "Zg==Zg=="};
    uint8_t out[64];
    char coded[64];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t size = strlen(cases[i].plain);

        base64_encode(coded, cases[i].plain, size);
        assert_string_equal(coded, cases[i].coded);
        assert_int_equal(base64_decode(out, sizeof(out), text(coded)), size);
        assert_memory_equal(out, cases[i].plain, size);
        if (size > 0) { /* one byte short of room */
            assert_int_equal(base64_decode(out, size - 1, text(coded)),
                             -EINVAL);
        }
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(base64_decode(out, sizeof(out), text(bad[i])),
                         -EINVAL);
    }
}

static void uris_round_trip(void **state)
{
    struct arena *arena = arena_new();
    struct buffer out = {0};
    struct slice back, key = slice_of("a/b c+\0\xf0\x9f\x98\x80", 11);

    (void)state;
    uri_encode(&out, key, true);
    assert_true(slice_equal_string(slice_of(out.data, out.size),
                                   "a/b%20c%2B%00%F0%9F%98%80"));
    assert_int_equal(uri_decode(arena, slice_of(out.data, out.size), &back), 0);
    assert_true(slice_equal(back, key));
    assert_int_equal(uri_decode(arena, text("%"), &back), -EINVAL);
    assert_int_equal(uri_decode(arena, text("a%2"), &back), -EINVAL);
    assert_int_equal(uri_decode(arena, text("%zz"), &back), -EINVAL);
    buffer_free(&out);
    arena_free(arena);
}

static void numbers_have_their_bytes(void **state)
{
    uint8_t out[8];

    (void)state;
    put_u32be(out, 0x01020304);
    assert_memory_equal(out, "\1\2\3\4", 4);
    assert_true(get_u32be(out) == 0x01020304);
    put_u64le(out, 0x0102030405060708);
    assert_memory_equal(out, "\x8\7\6\5\4\3\2\1", 8);
    assert_true(get_u64le(out) == 0x0102030405060708);
    put_u16be(out, 0xfffe);
    assert_memory_equal(out, "\xff\xfe", 2);
}

static void crc32c_is_castagnoli(void **state)
{
    static const uint8_t zeros[32];

    (void)state;
    assert_int_equal(crc32c_bytes("123456789", 9), 0xe3069283);
    assert_int_equal(crc32c_bytes(zeros, 32), 0x8a9136aa); /* RFC 3720 B.4 */
    assert_int_equal(crc32c_bytes("", 0), 0);
    for (size_t i = 0; i <= 9; i++) {
        assert_int_equal(
            crc32c_extend(crc32c_bytes("123456789", i), "123456789" + i, 9 - i),
            0xe3069283);
    }
}

static void strings_are_copied_whole(void **state)
{
    char out[5] = "....";

    (void)state;
    copy_string(out, 3, "ab");
    assert_memory_equal(out, "ab\0.", 5);
    copy_string(out, sizeof(out), "abcd");
    assert_string_equal(out, "abcd");
}

static void arenas_keep_what_they_gave(void **state)
{
    struct arena *arena = arena_new();
    char *first = arena_string(arena, text("first"));

    (void)state;
    for (size_t size = 1; size < 100000; size = size * 3 + 1) {
        uint8_t *memory = arena_alloc(arena, size);

        assert_int_equal((uintptr_t)memory % 16, 0);
        memset(memory, 0xaa, size);
    }
    assert_string_equal(first, "first");
    assert_string_equal(arena_printf(arena, "%d-%s", 7, "x"), "7-x");
    arena_free(arena);
}

/* The check values of "123456789" from the CRC catalogue; RFC 1321; FIPS 180.
 */
static void digests_are_the_published_ones(void **state)
{
    static const struct {
        enum digest which;
        const char *hex;
    } cases[] = {
        {DIGEST_MD5, "25f9e794323b453885f5181f1b624d0b"},
        {DIGEST_SHA1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"},
        {DIGEST_SHA256,
         "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"},
        {DIGEST_CRC32, "cbf43926"},
        {DIGEST_CRC32C, "e3069283"},
        {DIGEST_CRC64NVME, "ae8b14860a799888"},
    };
    struct digester *digester = digester_new(63);
    uint8_t out[DIGEST_SIZE_MAX];
    char hex[2 * DIGEST_SIZE_MAX + 1];

    (void)state;
    digester_update(digester, "1234", 4);
    digester_update(digester, "56789", 5);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        hex_encode(hex, out, digester_final(digester, cases[i].which, out));
        assert_string_equal(hex, cases[i].hex);
    }
    digester_free(digester);
}

static uint64_t crc_of(enum digest which, const uint8_t *data, size_t size)
{
    struct digester *digester = digester_new(which);
    uint8_t out[DIGEST_SIZE_MAX];
    size_t n;

    digester_update(digester, data, size);
    n = digester_final(digester, which, out);
    digester_free(digester);
    return n == 8 ? get_u64be(out) : get_u32be(out);
}

static void crcs_combine_at_any_place(void **state)
{
    static const enum digest kinds[] = {DIGEST_CRC32, DIGEST_CRC32C,
                                        DIGEST_CRC64NVME};
    uint8_t data[1000];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 7 + i / 13);
    }
    for (size_t k = 0; k < 3; k++) {
        uint64_t whole = crc_of(kinds[k], data, sizeof(data));

        for (size_t cut = 0; cut <= sizeof(data); cut += 37) {
            uint64_t a = crc_of(kinds[k], data, cut);
            uint64_t b = crc_of(kinds[k], data + cut, sizeof(data) - cut);

            assert_true(crc_combine(kinds[k], a, b, sizeof(data) - cut) ==
                        whole);
        }
    }
}

/* Bit by bit, as the specification defines it. */
static uint64_t crc64_by_bits(const uint8_t *data, size_t size)
{
    uint64_t crc = ~0ull;

    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ ((crc & 1) ? 0x9a6c9329ac4bc9b5ull : 0);
        }
    }
    return ~crc;
}

static void crc64_of_any_size(void **state)
{
    uint8_t data[700];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * i + i / 7 + 1);
    }
    for (size_t size = 0; size < 600; size++) {
        const uint8_t *at = data + size % 17;

        assert_true(crc64nvme(0, at, size) == crc64_by_bits(at, size));
    }
    assert_true(crc64nvme(crc64nvme(0, data, 333), data + 333, 367) ==
                crc64_by_bits(data, 700));
}

static void freed_memory_is_used_again(void **state)
{
    struct memory *memory = memory_new(300000);
    uint8_t *bytes = memory->bytes;

    (void)state;
    assert_int_equal((uintptr_t)bytes % 4096, 0);
    assert_ptr_equal(memory_hold(memory), memory);
    memory_drop(memory);
    memset(bytes, 1, 300000); /* it has an owner left */
    memory_drop(memory);
    memory_drop(NULL);

    memory = memory_new(100000); /* not for so much less */
    assert_ptr_not_equal(memory->bytes, bytes);
    memory_drop(memory);
    memory = memory_new(290000);
    assert_ptr_equal(memory->bytes, bytes);
    memory_drop(memory);
}

/* By what is held, not by what is kept for the next who asks. */
static void memory_is_short_beyond_its_limit(void **state)
{
    struct memory *first, *second;

    (void)state;
    assert_false(memory_short());
    memory_limit(1 << 20);
    first = memory_new(900000);
    assert_false(memory_short());
    second = memory_new(4096); /* it is given all the same */
    assert_false(memory_short());
    memory_hold(second);
    memory_drop(second);
    memory_drop(second);
    second = memory_new(200000);
    assert_true(memory_short());
    memory_drop(first);
    assert_false(memory_short());
    memory_drop(second);
    memory_limit(UINT64_MAX);
}

/* More than wait at once, in pieces of any size, each in memory of its own
 * that nobody else holds. */
static void digests_are_the_same_aside(void **state)
{
    static const size_t sizes[] = {100000, 5, 40000, 32768, 65536, 300000, 1};
    const unsigned digests = DIGEST_MD5 | DIGEST_SHA256 | DIGEST_CRC64NVME;
    struct digester *here = digester_new(digests);
    struct digester *aside = digester_new(digests);
    struct digester *left = digester_new(digests);
    uint8_t a[DIGEST_SIZE_MAX], b[DIGEST_SIZE_MAX];

    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        size_t size = sizes[i % 7];
        struct memory *memory = memory_new(size);

        for (size_t j = 0; j < size; j++) {
            memory->bytes[j] = (uint8_t)(i + j * 31);
        }
        digester_update(here, memory->bytes, size);
        digester_update_aside(aside, memory, memory->bytes, size);
        digester_update_aside(left, memory, memory->bytes, size);
        memory_drop(memory);
    }
    digester_free(left); /* with whatever is under way */
    for (enum digest which = DIGEST_MD5; which <= DIGEST_CRC64NVME;
         which = (enum digest)(which << 1)) {
        if (digests & which) {
            size_t size = digester_final(here, which, a);

            assert_int_equal(digester_final(aside, which, b), size);
            assert_memory_equal(a, b, size);
        }
    }
    digester_free(here);
    digester_free(aside);
}

/* The last line of what was logged to a file of its own. */
static void read_line(FILE *file, char *line, int size)
{
    line[0] = '\0';
    clearerr(file);
    while (fgets(line, size, file) != NULL) {
        ;
    }
}

static void requests_are_logged(void **state)
{
    char path[] = "/tmp/s3d-base-XXXXXX", line[4096];
    const int fd = mkstemp(path);
    struct log_request request = {
        .id = "0123456789ABCDEF",
        .operation = "PutObject",
        .error = "",
        .status = 200,
        .bucket = SLICE_LITERAL("bkt"),
        .key = SLICE_LITERAL("a\"b\n\xff"),
        .us = 1000,
        .steps_us = 700,
        .phases = {{[PHASE_METADATA] = 300, [PHASE_DRIVE] = 200}},
    };

    (void)state;
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "r");
    assert_int_equal(log_open(path), 0);
    log_request(&request, false);
    read_line(file, line, sizeof(line));
    assert_string_equal(strstr(line, ",\"level\""),
                        ",\"level\":\"info\",\"request\":\"0123456789ABCDEF\","
                        "\"operation\":\"PutObject\",\"bucket\":\"bkt\","
                        "\"key\":\"a\\\"b\\u000a\\u00ff\",\"status\":200,"
                        "\"error\":\"\",\"us\":1000}\n");
    log_set_level(LOG_LEVEL_WARN);
    log_request(&request, true);
    read_line(file, line, sizeof(line));
    assert_non_null(strstr(line,
                           "\"level\":\"warn\",\"message\":\"slow request\","
                           "\"request\":\"0123456789ABCDEF\""));
    assert_non_null(strstr(
        line,
        "\"us\":1000,\"phases\":{\"queue\":0,\"metadata\":300,\"drive\":200,"
        "\"lock\":0,\"keys\":0,\"work\":200,\"client\":300}}\n"));
    log_set_level(LOG_LEVEL_INFO);
    assert_int_equal(log_open(NULL), 0);
    fclose(file);
    unlink(path);
}

/* What is tried each second, and fails each second, is said once. */
static void what_fails_is_said_once(void **state)
{
    static const int errors[] = {0,          0, -EIO,    -EIO, -ECANCELED, -EIO,
                                 -ECANCELED, 0, -ENOSPC, -EIO, 0,          0};
    static const char *const lines[] = {
        "\"error\",\"message\":\"it fails: Input/output error; it is tried "
        "again\"}\n",
        "\"info\",\"message\":\"it works again\"}\n",
        "\"error\",\"message\":\"it fails: No space left on device; it is "
        "tried again\"}\n",
        "\"error\",\"message\":\"it fails: Input/output error; it is tried "
        "again\"}\n",
        "\"info\",\"message\":\"it works again\"}\n",
    };
    char path[] = "/tmp/s3d-base-XXXXXX", line[2048];
    int fd = mkstemp(path), failing = 0;

    (void)state;
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "r");
    assert_int_equal(log_open(path), 0);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        log_failing(&failing, "it", errors[i]);
    }
    assert_int_equal(log_open(NULL), 0);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_non_null(fgets(line, sizeof(line), file));
        assert_non_null(strstr(line, lines[i]));
    }
    assert_null(fgets(line, sizeof(line), file));
    fclose(file);
    unlink(path);
}

static void phases_are_of_the_thread(void **state)
{
    struct phases phases = {{0}};

    (void)state;
    phases_take(&phases);
    phases = (struct phases){.us = {[PHASE_LOCK] = 5}};
    phase_add(PHASE_DRIVE, clock_monotonic_us() - 1000);
    phase_add(PHASE_DRIVE, clock_monotonic_us() - 1000);
    phases_take(&phases);
    assert_in_range(phases.us[PHASE_DRIVE], 2000, 1000000);
    assert_int_equal(phases.us[PHASE_LOCK], 5);
    assert_int_equal(phases.us[PHASE_METADATA], 0);
    phases = (struct phases){{0}};
    phases_take(&phases);
    assert_int_equal(phases.us[PHASE_DRIVE], 0);
}

/* --- a clock that is set ---------------------------------------------------*/
static void test_clock_jumped(void **state)
{
    struct clock_watch watch = {0};

    (void)state;
    clock_set(1000000);
    assert_int_equal(clock_jumped(&watch), 0); /* the first look */
    assert_int_equal(clock_jumped(&watch), 0);
    clock_set(1000003);
    assert_int_equal(clock_jumped(&watch), 0);
    clock_set(1003603);
    assert_in_range(clock_jumped(&watch), 3598000, 3602000);
    assert_int_equal(clock_jumped(&watch), 0); /* once */
    clock_set(0);
    assert_in_range(-clock_jumped(&watch), 1003601000, 1003605000);
    assert_int_equal(clock_jumped(&watch), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(numbers_are_written),
        cmocka_unit_test(times_are_written),
        cmocka_unit_test(slices_compare_bytewise),
        cmocka_unit_test(base64_is_strict),
        cmocka_unit_test(uris_round_trip),
        cmocka_unit_test(numbers_have_their_bytes),
        cmocka_unit_test(arenas_keep_what_they_gave),
        cmocka_unit_test(digests_are_the_published_ones),
        cmocka_unit_test(crcs_combine_at_any_place),
        cmocka_unit_test(crc64_of_any_size),
        cmocka_unit_test(freed_memory_is_used_again),
        cmocka_unit_test(memory_is_short_beyond_its_limit),
        cmocka_unit_test(digests_are_the_same_aside),
        cmocka_unit_test(crc32c_is_castagnoli),
        cmocka_unit_test(strings_are_copied_whole),
        cmocka_unit_test(requests_are_logged),
        cmocka_unit_test(what_fails_is_said_once),
        cmocka_unit_test(phases_are_of_the_thread),
        cmocka_unit_test(test_clock_jumped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
