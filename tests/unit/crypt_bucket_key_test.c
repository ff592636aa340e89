/*
 * Bucket keys: how often Vault is asked, and that their envelopes are as good
 * as any.
 */
#include "crypt_vault_fixture.h"

static const struct slice bucket = {(const uint8_t *)"arn:aws:s3:::b", 14};
static const struct slice other = {(const uint8_t *)"arn:aws:s3:::c", 14};
static const struct slice photos = {(const uint8_t *)"photos", 6};

static struct crypt_provider *open_caching(const struct fake *fake)
{
    struct crypt_vault vault = settings(fake);
    vault.cache_ms = 3600 * 1000;
    return open_vault(&vault);
}

static void wrap_in(struct crypt_provider *provider, struct slice key,
                    struct slice in, struct crypt_envelope *envelope)
{
    assert_int_equal(
        crypt_wrap_in_bucket(provider, key, in, bound, object_key, envelope),
        0);
    assert_int_equal(envelope->wrapped[1], ENVELOPE_BUCKET);
    assert_true(crypt_wrapped_by(provider, envelope));
}

static void assert_opens(struct crypt_provider *provider,
                         const struct crypt_envelope *envelope)
{
    memset(out, 0, sizeof(out));
    assert_int_equal(crypt_unwrap(provider, bound, envelope, out), 0);
    assert_memory_equal(out, object_key, sizeof(out));
}

/* --- how often -------------------------------------------------------------*/
static void one_question_for_many(void **state)
{
    struct fake *fake = *state;
    struct crypt_provider *provider = open_caching(fake);
    struct crypt_envelope first, envelope;
    const long before = asked(fake);

    wrap_in(provider, master, bucket, &first);
    for (unsigned i = 0; i < 3000; i++) {
        wrap_in(provider, master, bucket, &envelope);
        assert_opens(provider, &envelope);
    }
    assert_int_equal(asked(fake), before + 1);
    wrap_in(provider, master, other, &envelope);
    assert_opens(provider, &envelope);
    assert_opens(provider, &first);
    assert_int_equal(asked(fake), before + 2);
    crypt_provider_close(provider);
    provider = open_caching(fake); /* another process, later */
    for (unsigned i = 0; i < 100; i++) {
        assert_opens(provider, &first);
    }
    assert_int_equal(asked(fake), before + 3);
    crypt_provider_close(provider);
}

static void another_key_after_so_many(void **state)
{
    struct fake *fake = *state;
    struct crypt_provider *provider = open_caching(fake);
    struct crypt_envelope envelope;
    const long before = asked(fake);

    for (unsigned i = 0; i < 1u << 16; i++) {
        wrap_in(provider, master, bucket, &envelope);
    }
    assert_int_equal(asked(fake), before + 1);
    wrap_in(provider, master, bucket, &envelope);
    assert_int_equal(asked(fake), before + 2);
    crypt_provider_close(provider);
}

/* Who wants each question asked gets each. */
static void nothing_is_kept_without_a_cache(void **state)
{
    struct fake *fake = *state;
    struct crypt_envelope envelope;
    const long before = asked(fake);

    wrap_in(fake->provider, master, bucket, &envelope);
    wrap_in(fake->provider, master, bucket, &envelope);
    assert_int_equal(asked(fake), before + 2);
    assert_opens(fake->provider, &envelope);
    assert_int_equal(asked(fake), before + 3);
}

/* --- what the envelope is good for -----------------------------------------*/
static void bound_in_every_byte(void **state)
{
    struct fake *fake = *state;
    struct crypt_envelope envelope, bad;

    wrap_in(fake->provider, master, bucket, &envelope);
    assert_opens(fake->provider, &envelope);
    assert_int_equal(crypt_unwrap(fake->provider, SLICE_LITERAL("bucket/kez"),
                                  &envelope, out),
                     -EBADMSG);
    for (size_t i = 0; i < envelope.size; i++) {
        bad = envelope;
        bad.wrapped[i] ^= 1;
        assert_int_not_equal(crypt_unwrap(fake->provider, bound, &bad, out), 0);
    }
    for (size_t size = 0; size < envelope.size; size++) {
        bad = envelope;
        bad.size = size;
        assert_int_not_equal(crypt_unwrap(fake->provider, bound, &bad, out), 0);
    }
    bad = envelope;
    bad.key_id[0] = 'n';
    assert_int_not_equal(crypt_unwrap(fake->provider, bound, &bad, out), 0);
}

/* What is told apart: an envelope of another kind in it. */
static void only_of_its_provider(void **state)
{
    struct fake *fake = *state;
    struct crypt_envelope envelope, inner;
    struct crypt_provider *keyring;
    char path[128];

    snprintf(path, sizeof(path), "%s/keyring", fake->directory);
    assert_int_equal(crypt_keyring_open(path, &keyring), 0);
    wrap_in(fake->provider, master, bucket, &envelope);
    assert_false(crypt_wrapped_by(keyring, &envelope));
    assert_int_equal(crypt_unwrap(keyring, bound, &envelope, out), -EBADMSG);
    /* One in another in another: nobody makes such. */
    inner = envelope;
    const size_t head = ENVELOPE_SIZE + 1 + bucket.size;
    assert_true(inner.size + head <= sizeof(envelope.wrapped));
    memcpy(envelope.wrapped + head, inner.wrapped, inner.size);
    envelope.size = head + inner.size;
    assert_int_equal(crypt_unwrap(fake->provider, bound, &envelope, out),
                     -EBADMSG);
    crypt_provider_close(keyring);
}

static void errors_are_the_providers(void **state)
{
    struct fake *fake = *state;
    struct crypt_provider *provider = open_caching(fake);
    struct crypt_envelope envelope;

    assert_int_equal(crypt_wrap_in_bucket(provider, photos, bucket, bound,
                                          object_key, &envelope),
                     -ENOENT);
    assert_int_equal(crypt_wrap_in_bucket(provider, SLICE_LITERAL("a b"),
                                          bucket, bound, object_key, &envelope),
                     -ENOENT);
    fake_tell(fake, "{\"mode\":\"sealed\"}", "asked");
    assert_int_equal(crypt_wrap_in_bucket(provider, master, bucket, bound,
                                          object_key, &envelope),
                     -EAGAIN);
    fake_tell(fake, "{\"mode\":\"ok\"}", "asked");
    wrap_in(provider, master, bucket, &envelope);
    fake_tell(fake, "{\"mode\":\"sealed\"}", "asked");
    wrap_in(provider, master, bucket, &envelope); /* what is kept serves */
    assert_opens(provider, &envelope);
    crypt_provider_close(provider);
}

/* --- rotation --------------------------------------------------------------*/
static void vault_rotates(void **state)
{
    struct fake *fake = *state;
    struct crypt_provider *provider = open_caching(fake);
    struct crypt_envelope first, second, moved;
    uint64_t version;

    wrap_in(provider, master, bucket, &first);
    fake_tell(fake, "{\"rotate\":\"master\"}", "asked");
    assert_int_equal(crypt_newest_version(provider, master, &version), 0);
    assert_int_equal(version, 2);
    crypt_forget_bucket_keys(provider);
    wrap_in(provider, master, bucket, &second);
    assert_string_equal(first.key_id, "master:1");
    assert_string_equal(second.key_id, "master:2");
    const long before = asked(fake);
    for (unsigned i = 0; i < 100; i++) {
        moved = first;
        assert_int_equal(
            crypt_rewrap(provider, provider, master, bound, &moved), 0);
        assert_string_equal(moved.key_id, "master:2");
        assert_opens(provider, &moved);
    }
    assert_int_equal(asked(fake), before); /* still bucket keys, in memory */
    fake_tell(fake, "{\"retire\":\"master\"}", "asked");
    crypt_provider_close(provider);
    assert_int_equal(crypt_unwrap(fake->provider, bound, &first, out), -EACCES);
    assert_opens(fake->provider, &moved);
}

/* The keyring's keys need no question: a rotation and a key that is disabled
 * are seen at once. */
static void keyring_rotates(void **state)
{
    struct fake *fake = *state;
    struct crypt_provider *keyring;
    struct crypt_envelope first, second;
    char path[128];

    snprintf(path, sizeof(path), "%s/keyring", fake->directory);
    assert_int_equal(crypt_keyring_open(path, &keyring), 0);
    assert_int_equal(crypt_key_add(keyring, photos), 0);
    wrap_in(keyring, photos, bucket, &first);
    wrap_in(keyring, photos, bucket, &second);
    /* Both under one bucket key. */
    assert_memory_equal(first.wrapped + ENVELOPE_SIZE,
                        second.wrapped + ENVELOPE_SIZE,
                        first.size - ENVELOPE_SIZE);
    assert_memory_not_equal(first.wrapped, second.wrapped, ENVELOPE_SIZE);
    assert_int_equal(crypt_key_rotate(keyring, photos), 0);
    wrap_in(keyring, photos, bucket, &second);
    assert_string_equal(first.key_id, "photos:1");
    assert_string_equal(second.key_id, "photos:2");
    assert_opens(keyring, &first);
    assert_int_equal(crypt_key_enable(keyring, photos, false), 0);
    assert_int_equal(crypt_wrap_in_bucket(keyring, photos, bucket, bound,
                                          object_key, &second),
                     -EACCES);
    assert_int_equal(crypt_unwrap(keyring, bound, &first, out), -EACCES);
    crypt_provider_close(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_question_for_many, setup, teardown),
        cmocka_unit_test_setup_teardown(another_key_after_so_many, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nothing_is_kept_without_a_cache, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(bound_in_every_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(only_of_its_provider, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_are_the_providers, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(vault_rotates, setup, teardown),
        cmocka_unit_test_setup_teardown(keyring_rotates, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
