/*
 * Envelopes under a key that is at hand.
 */
#include "crypt_fixture.h"

static const struct slice bound = {(const uint8_t *)"bucket/key", 10};
static uint8_t object_key[CRYPT_KEY_SIZE], customer[CRYPT_KEY_SIZE];
static uint8_t out[CRYPT_KEY_SIZE];
static struct crypt_envelope envelope;

static int setup(void **state)
{
    (void)state;
    memset(&envelope, 0, sizeof(envelope));
    fill(object_key, sizeof(object_key), 0);
    fill(customer, sizeof(customer), 0x40);
    memset(out, 0xAA, sizeof(out));
    return 0;
}

static void assert_refused(const struct crypt_envelope *bad, struct slice to)
{
    memset(out, 0xAA, sizeof(out));
    assert_int_equal(crypt_unwrap_customer(customer, to, bad, out), -EBADMSG);
    assert_memory_not_equal(out, object_key, sizeof(out));
}

/* Made with another program. */
static void test_golden(void **state)
{
    static const char customers[] =
        "0101808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
        "cee5361b823ef8a78bd2b34da46fb386a4ab07453a7da4fb28d2c7921cb64998"
        "e6b827aefac8e93975318908502b6f02";
    static const char keyrings[] =
        "0102a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
        "3481becf8f3fe856352abc5fd268579ad9d7724d3c6ecdd9a0893af305c3ed9f"
        "fe03f8fee686eaf7b6bf6e232657b9d2";
    (void)state;
    envelope.size = 82;
    hex_decode(envelope.wrapped, slice_from_string(customers));
    assert_int_equal(crypt_unwrap_customer(customer, bound, &envelope, out), 0);
    assert_memory_equal(out, object_key, sizeof(out));

    memset(out, 0, sizeof(out));
    strcpy(envelope.key_id, ":1");
    hex_decode(envelope.wrapped, slice_from_string(keyrings));
    assert_int_equal(
        envelope_open(ENVELOPE_KEYRING, customer, bound, &envelope, out), 0);
    assert_memory_equal(out, object_key, sizeof(out));
    assert_refused(&envelope, bound); /* of another kind */
}

static void test_there_and_back(void **state)
{
    struct crypt_envelope again;
    (void)state;
    crypt_wrap_customer(customer, bound, object_key, &envelope);
    assert_int_equal(envelope.size, 82);
    assert_string_equal(envelope.key_id, "");
    assert_null(memmem(envelope.wrapped, envelope.size, object_key, 8));
    assert_int_equal(crypt_unwrap_customer(customer, bound, &envelope, out), 0);
    assert_memory_equal(out, object_key, sizeof(out));
    crypt_wrap_customer(customer, bound, object_key, &again);
    assert_memory_not_equal(again.wrapped + 2, envelope.wrapped + 2, 32);
    assert_memory_not_equal(again.wrapped + 34, envelope.wrapped + 34, 32);
    crypt_wrap_customer(customer, slice_of(NULL, 0), object_key, &again);
    assert_int_equal(
        crypt_unwrap_customer(customer, slice_of(NULL, 0), &again, out), 0);
}

static void test_every_bit(void **state)
{
    (void)state;
    crypt_wrap_customer(customer, bound, object_key, &envelope);
    for (size_t bit = 0; bit < 8 * envelope.size; bit++) {
        envelope.wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_refused(&envelope, bound);
        envelope.wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    const size_t size = envelope.size;
    for (envelope.size = 0; envelope.size < size; envelope.size++) {
        assert_refused(&envelope, bound);
    }
    envelope.size = size + 1;
    assert_refused(&envelope, bound);
    envelope.size = SIZE_MAX;
    assert_refused(&envelope, bound);
    envelope.size = size;
    assert_int_equal(crypt_unwrap_customer(customer, bound, &envelope, out), 0);
}

static void test_bound(void **state)
{
    (void)state;
    crypt_wrap_customer(customer, bound, object_key, &envelope);
    assert_refused(&envelope, SLICE_LITERAL("bucket/kez"));
    assert_refused(&envelope, SLICE_LITERAL("bucket/ke"));
    assert_refused(&envelope, SLICE_LITERAL("bucket/key/"));
    assert_refused(&envelope, slice_of(NULL, 0));
    customer[31] ^= 1;
    assert_refused(&envelope, bound);
    customer[31] ^= 1;
    strcpy(envelope.key_id, "b"); /* not taken from what it is bound to */
    assert_refused(&envelope, SLICE_LITERAL("ucket/key"));
}

static void test_key_ids(void **state)
{
    static const char *const bad[] = {"",
                                      "photos",
                                      "photos:",
                                      ":",
                                      "a b:1",
                                      "ph\n:1",
                                      "photos:x",
                                      "photos:1x",
                                      "photos:-1",
                                      "photos:1:2",
                                      "photos:99999999999999999999"};
    struct slice name;
    uint64_t version;
    (void)state;
    key_id_set(&envelope, SLICE_LITERAL("photos"), 12);
    assert_string_equal(envelope.key_id, "photos:12");
    assert_int_equal(key_id_parse(&envelope, &name, &version), 0);
    assert_true(slice_equal_string(name, "photos"));
    assert_int_equal(version, 12);
    key_id_set(&envelope, slice_of(NULL, 0), 1);
    assert_string_equal(envelope.key_id, ":1");
    assert_int_equal(key_id_parse(&envelope, &name, &version), 0);
    assert_int_equal(name.size, 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        strcpy(envelope.key_id, bad[i]);
        assert_int_equal(key_id_parse(&envelope, &name, &version), -EBADMSG);
    }
    memset(envelope.key_id, ':', sizeof(envelope.key_id)); /* no NUL */
    assert_int_equal(key_id_parse(&envelope, &name, &version), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_golden, setup),
        cmocka_unit_test_setup(test_there_and_back, setup),
        cmocka_unit_test_setup(test_every_bit, setup),
        cmocka_unit_test_setup(test_bound, setup),
        cmocka_unit_test_setup(test_key_ids, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
