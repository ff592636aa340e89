/*
 * Blocks: the format, and everything that must not open.
 */
#include "crypt_fixture.h"

#include <openssl/sha.h>

static const uint64_t blob = 0x0102030405060708;
static uint8_t object_key[CRYPT_KEY_SIZE], blob_key[CRYPT_KEY_SIZE];
static uint8_t plain[CRYPT_BLOCK_SIZE], opened[CRYPT_BLOCK_SIZE];
static uint8_t sealed[CRYPT_BLOCK_SIZE + CRYPT_TAG_SIZE];

static int setup(void **state)
{
    fill(object_key, sizeof(object_key), 0);
    for (size_t i = 0; i < sizeof(plain); i++) {
        plain[i] = (uint8_t)(7 * i);
    }
    crypt_blob_key(object_key, blob, blob_key);
    *state = crypt_cipher_new(blob_key);
    return 0;
}

static int teardown(void **state)
{
    crypt_cipher_free(*state);
    return 0;
}

/* Nothing may be left of what was decrypted before its tag was checked. */
static void assert_refused(struct crypt_cipher *cipher, uint64_t number,
                           bool last, const uint8_t *bytes, size_t size)
{
    memset(opened, 0xAA, size);
    assert_int_equal(crypt_open(cipher, number, last, bytes, size, opened),
                     -EBADMSG);
    assert_true(all_zeros(opened, size));
}

/* --- the format: values made with another program --------------------------*/
static void test_golden(void **state)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    assert_hex(
        blob_key, sizeof(blob_key),
        "ebe6df9088db94bbd2574037f446b686770658cab4aa5328a81c0569bac84aac");
    crypt_seal(*state, 0, true, (const uint8_t *)"hello, world", 12, sealed);
    assert_hex(sealed, 12 + CRYPT_TAG_SIZE,
               "ccf78aca37d4196a44066b56ca5afe69f53a7bb501675d37fe108a9b");
    crypt_seal(*state, 3, false, plain, sizeof(plain), sealed);
    SHA256(sealed, sizeof(sealed), digest);
    assert_hex(
        digest, sizeof(digest),
        "d102bd59a27040708505c53ec7b1a4d4224b4023ec487c07c19cb81162c437ba");
}

static void test_sizes(void **state)
{
    (void)state;
    assert_int_equal(crypt_sealed_size(0), 0);
    assert_int_equal(crypt_sealed_size(1), 17);
    assert_int_equal(crypt_sealed_size(65536), 65552);
    assert_int_equal(crypt_sealed_size(65537), 65552 + 17);
    assert_int_equal(crypt_sealed_size(UINT64_C(5) << 40),
                     (UINT64_C(5) << 40) + 16 * (UINT64_C(5) << 24));
    assert_int_equal(crypt_block_offset(0), 0);
    assert_int_equal(crypt_block_offset(1), 65552);
    for (uint64_t n = 0; n < 5; n++) {
        assert_int_equal(crypt_block_offset(n),
                         crypt_sealed_size(n * CRYPT_BLOCK_SIZE));
    }
}

/* --- there and back --------------------------------------------------------*/
static void test_round_trips(void **state)
{
    static const size_t sizes[] = {1, 15, 16, 17, 4096, 65535, 65536};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const size_t size = sizes[i];
        crypt_seal(*state, i, true, plain, size, sealed);
        assert_int_equal(crypt_open(*state, i, true, sealed, size, opened), 0);
        assert_memory_equal(opened, plain, size);
    }
}

static void test_in_place(void **state)
{
    memcpy(sealed, plain, sizeof(plain));
    crypt_seal(*state, 9, false, sealed, sizeof(plain), sealed);
    assert_memory_not_equal(sealed, plain, sizeof(plain));
    assert_int_equal(
        crypt_open(*state, 9, false, sealed, sizeof(plain), sealed), 0);
    assert_memory_equal(sealed, plain, sizeof(plain));
    sealed[0] ^= 1;
    assert_int_equal(
        crypt_open(*state, 9, false, sealed, sizeof(plain), sealed), -EBADMSG);
    assert_true(all_zeros(sealed, sizeof(plain)));
}

/* --- what must not open ----------------------------------------------------*/
static void test_every_bit(void **state)
{
    const size_t size = 100;
    crypt_seal(*state, 2, true, plain, size, sealed);
    for (size_t bit = 0; bit < 8 * (size + CRYPT_TAG_SIZE); bit++) {
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_refused(*state, 2, true, sealed, size);
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(crypt_open(*state, 2, true, sealed, size, opened), 0);
}

static void test_bits_of_a_full_block(void **state)
{
    crypt_seal(*state, 2, false, plain, sizeof(plain), sealed);
    for (size_t byte = 0; byte < sizeof(sealed); byte += 1021) {
        sealed[byte] ^= 0x10;
        assert_refused(*state, 2, false, sealed, sizeof(plain));
        sealed[byte] ^= 0x10;
    }
    assert_int_equal(
        crypt_open(*state, 2, false, sealed, sizeof(plain), opened), 0);
}

static void test_swapped_and_cut_off(void **state)
{
    const size_t full = CRYPT_BLOCK_SIZE;
    crypt_seal(*state, 0, false, plain, full, sealed);
    assert_refused(*state, 1, false, sealed, full); /* another place */
    assert_refused(*state, UINT64_C(1) << 40, false, sealed, full);
    assert_refused(*state, 0, true, sealed, full); /* the rest is gone */
    crypt_seal(*state, 1, true, plain, 500, sealed);
    assert_refused(*state, 1, false, sealed, full); /* something was added */
    for (size_t size = 1; size < 500; size += 83) { /* shorter */
        assert_refused(*state, 1, true, sealed, size);
    }
}

static void test_other_keys(void **state)
{
    uint8_t key[CRYPT_KEY_SIZE], other[CRYPT_KEY_SIZE];
    struct crypt_cipher *cipher;

    crypt_seal(*state, 0, true, plain, 100, sealed);
    crypt_blob_key(object_key, blob + 1, key); /* of another blob */
    cipher = crypt_cipher_new(key);
    assert_refused(cipher, 0, true, sealed, 100);
    crypt_cipher_free(cipher);
    fill(other, sizeof(other), 1); /* of another object */
    crypt_blob_key(other, blob, key);
    cipher = crypt_cipher_new(key);
    assert_refused(cipher, 0, true, sealed, 100);
    crypt_cipher_free(cipher);
    crypt_cipher_free(NULL);
}

/* A refused block does not spoil the cipher. */
static void test_goes_on(void **state)
{
    crypt_seal(*state, 0, true, plain, 10, sealed);
    assert_refused(*state, 1, true, sealed, 10);
    assert_int_equal(crypt_open(*state, 0, true, sealed, 10, opened), 0);
    crypt_seal(*state, 1, true, plain, 10, sealed);
    assert_int_equal(crypt_open(*state, 1, true, sealed, 10, opened), 0);
    assert_memory_equal(opened, plain, 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_golden),
        TEST(test_sizes),
        TEST(test_round_trips),
        TEST(test_in_place),
        TEST(test_every_bit),
        TEST(test_bits_of_a_full_block),
        TEST(test_swapped_and_cut_off),
        TEST(test_other_keys),
        TEST(test_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
