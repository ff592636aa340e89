/*
 * The key codec: exact bytes, order, and the way back.
 */
#include "meta/private.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) SLICE_LITERAL(text)

static void expect_bytes(struct buffer *buffer, struct slice want)
{
    assert_int_equal(buffer->size, want.size);
    assert_memory_equal(buffer->data, want.data, want.size);
    buffer_free(buffer);
}

static void test_exact_bytes(void **state)
{
    struct buffer b = {0};

    (void)state;
    key_bucket(&b, BYTES("photos"));
    expect_bytes(&b, BYTES("Bphotos"));
    key_object(&b, 0x0102, BYTES("a\0b"), 5);
    expect_bytes(&b, BYTES("O\0\0\0\0\0\0\x01\x02"
                           "a\0\xFF"
                           "b\0\x01"
                           "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFA"));
    key_upload(&b, 7, BYTES("k"), BYTES("up"));
    expect_bytes(&b, BYTES("U\0\0\0\0\0\0\0\x07k\0\x01up"));
    key_part(&b, BYTES("up"), 10000);
    expect_bytes(&b, BYTES("Pup\0\x01\0\0\x27\x10"));
    key_completed(&b, BYTES("up"));
    expect_bytes(&b, BYTES("Dup"));
    key_blob(&b, META_KEY_RECLAIM, 9);
    expect_bytes(&b, BYTES("G\0\0\0\0\0\0\0\x09"));
    key_heal(&b, &(struct meta_heal){9, 2, false});
    expect_bytes(&b, BYTES("H\x02\0\0\0\0\0\0\0\x09"));
    key_heal(&b, &(struct meta_heal){9, 0, true});
    expect_bytes(&b, BYTES("H\x80\0\0\0\0\0\0\0\x09"));
    key_heal(&b, &(struct meta_heal){9, META_HEAL_UNREADABLE, true});
    expect_bytes(&b, BYTES("H\xFF\0\0\0\0\0\0\0\x09"));
    key_scrub(&b);
    expect_bytes(&b, BYTES("As"));
    key_audit(&b, 20000);
    expect_bytes(&b, BYTES("Ad\0\0\x4E\x20"));
}

static void test_references(void **state)
{
    struct buffer b = {0};
    struct meta_referrer object = {.kind = META_REFERRER_OBJECT,
                                   .bucket = 1,
                                   .key = BYTES("k"),
                                   .sequence = 2};
    struct meta_referrer part = {
        .kind = META_REFERRER_PART, .upload = BYTES("u"), .number = 3};
    struct meta_referrer blob = {.kind = META_REFERRER_BLOB, .blob = 4};

    (void)state;
    key_reference(&b, 5, &object);
    expect_bytes(&b, BYTES("R\0\0\0\0\0\0\0\x05\x01\0\0\0\0\0\0\0\x01k\0\x01"
                           "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFD"));
    key_reference(&b, 5, &part);
    expect_bytes(&b, BYTES("R\0\0\0\0\0\0\0\x05\x02u\0\x01\0\0\0\x03"));
    key_event(&b, SLICE_LITERAL("t"), 6);
    expect_bytes(&b, BYTES("Vt\0\x01\0\0\0\0\0\0\0\x06"));
    key_reference(&b, 5, &blob);
    expect_bytes(&b, BYTES("R\0\0\0\0\0\0\0\x05\x03\0\0\0\0\0\0\0\x04"));
}

static void test_successor(void **state)
{
    struct buffer b = {0};

    (void)state;
    buffer_append(&b, "ab", 2);
    assert_true(key_successor(&b));
    expect_bytes(&b, BYTES("ac"));
    buffer_append(&b, "a\xFF\xFF", 3);
    assert_true(key_successor(&b));
    expect_bytes(&b, BYTES("b"));
    buffer_append(&b, "\xFF\xFF", 2);
    assert_false(key_successor(&b));
    assert_int_equal(b.size, 0);
    assert_false(key_successor(&b));
    buffer_free(&b);
}

static void test_unescape_rejects(void **state)
{
    static const struct slice bad[] = {
        BYTES(""),          BYTES("abc"),    BYTES("abc\0"),
        BYTES("abc\0\x02"), BYTES("a\0\0b"), BYTES("a\0\xFF"),
    };
    struct buffer out = {0};
    struct slice rest;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(key_unescape(bad[i], &out, &rest), -EBADMSG);
    }
    buffer_free(&out);
}

/* Few byte values, so that prefixes and escapes meet often. */
static struct slice random_key(uint8_t bytes[8])
{
    static const uint8_t alphabet[] = {0x00, 0x01, 0x02, 'a', 0xFE, 0xFF};
    size_t size = 1 + (size_t)rand() % 8, i;

    for (i = 0; i < size; i++) {
        bytes[i] = alphabet[(size_t)rand() % sizeof(alphabet)];
    }
    return slice_of(bytes, size);
}

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

/* Stored keys sort as the keys do, then newest first; and come back whole. */
static void test_order_and_back(void **state)
{
    struct buffer a = {0}, b = {0}, out = {0};
    uint8_t bytes_a[8], bytes_b[8];
    struct slice key_a, key_b, rest;
    int want, i;

    (void)state;
    srand(1);
    for (i = 0; i < 200000; i++) {
        uint64_t seq_a = 1 + (uint64_t)rand() % 3;
        uint64_t seq_b = 1 + (uint64_t)rand() % 3;

        key_a = random_key(bytes_a);
        key_b = random_key(bytes_b);
        a.size = b.size = out.size = 0;
        key_object(&a, 1, key_a, seq_a);
        key_object(&b, 1, key_b, seq_b);
        want = sign(slice_compare(key_a, key_b));
        if (want == 0) {
            want = (seq_a < seq_b) - (seq_a > seq_b);
        }
        assert_int_equal(
            sign(slice_compare(buffer_slice(&a), buffer_slice(&b))), want);
        assert_int_equal(
            key_unescape(slice_of(a.data + 9, a.size - 9), &out, &rest), 0);
        assert_true(slice_equal(buffer_slice(&out), key_a));
        assert_int_equal(rest.size, 8);
        assert_true(~get_u64be(rest.data) == seq_a);
    }
    buffer_free(&a);
    buffer_free(&b);
    buffer_free(&out);
}

/* Below the successor of the escaped prefix are exactly the keys with it. */
static void test_prefix_bound(void **state)
{
    struct buffer low = {0}, high = {0}, stored = {0};
    uint8_t bytes_a[8], bytes_b[8];
    struct slice prefix, key;
    bool inside;
    int i;

    (void)state;
    srand(2);
    for (i = 0; i < 200000; i++) {
        prefix = random_key(bytes_a);
        prefix.size = 1 + (size_t)rand() % prefix.size;
        key = random_key(bytes_b);
        low.size = high.size = stored.size = 0;
        key_of_bucket(&low, META_KEY_OBJECT, 1);
        key_escaped(&low, prefix);
        buffer_append(&high, low.data, low.size);
        assert_true(key_successor(&high));
        key_object(&stored, 1, key, 1);
        inside =
            slice_compare(buffer_slice(&stored), buffer_slice(&low)) >= 0 &&
            slice_compare(buffer_slice(&stored), buffer_slice(&high)) < 0;
        assert_int_equal(inside, slice_has_prefix(key, prefix));
    }
    buffer_free(&low);
    buffer_free(&high);
    buffer_free(&stored);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_bytes),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_successor),
        cmocka_unit_test(test_unescape_rejects),
        cmocka_unit_test(test_order_and_back),
        cmocka_unit_test(test_prefix_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
