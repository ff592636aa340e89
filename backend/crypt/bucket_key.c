/*
 * Bucket keys: between a master key and the object keys of one bucket, so that
 * the provider is asked once for many objects. An envelope of an object key
 * holds that of its bucket key, so that it opens for as long as the master
 * key does, whatever becomes of the bucket's key in memory:
 *
 *    0  82  the object key under the bucket key, an envelope as in envelope.c
 *   82   1  n
 *   83   n  what the bucket key's envelope is bound to
 *   83+n    the bucket key's envelope, of the keyring or Vault
 *
 * Both have the same key id: the master key's. In memory is, for each master
 * key and bucket, the envelope of the key that wraps now; the key itself is
 * asked of the provider, which keeps it or has it at hand.
 */
#include "crypt/private.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#define BUCKET_SIZE_AT ENVELOPE_SIZE
#define BUCKET_AT      (BUCKET_SIZE_AT + 1u)
#define BUCKET_MAX     255u

#define USES (1u << 16) /* objects that one bucket key wraps */

struct cache *bucket_keys_new(unsigned life_ms)
{
    const struct cache_shape shape = {.sets = 64,
                                      .value_size =
                                          sizeof(struct crypt_envelope),
                                      .life_ms = life_ms,
                                      .uses = USES};
    return cache_new(&shape);
}

/* --- both envelopes in one -------------------------------------------------*/
int bucket_envelope_split(const struct crypt_envelope *envelope,
                          struct slice *bucket, struct crypt_envelope *outer)
{
    if (!envelope_is(envelope, ENVELOPE_BUCKET) || envelope->size < BUCKET_AT) {
        return -EBADMSG;
    }
    const size_t bucket_size = envelope->wrapped[BUCKET_SIZE_AT];
    const size_t outer_at = BUCKET_AT + bucket_size;
    if (envelope->size <= outer_at) {
        return -EBADMSG;
    }
    *bucket = slice_of(envelope->wrapped + BUCKET_AT, bucket_size);
    memcpy(outer->key_id, envelope->key_id, sizeof(outer->key_id));
    outer->size = envelope->size - outer_at;
    memcpy(outer->wrapped, envelope->wrapped + outer_at, outer->size);
    return 0;
}

/* `envelope` holds the object key's alone until then. */
static int append_outer(struct crypt_envelope *envelope, struct slice bucket,
                        const struct crypt_envelope *outer)
{
    const size_t outer_at = BUCKET_AT + bucket.size;
    if (outer_at + outer->size > sizeof(envelope->wrapped)) {
        return -EMSGSIZE;
    }
    envelope->wrapped[BUCKET_SIZE_AT] = (uint8_t)bucket.size;
    memcpy(envelope->wrapped + BUCKET_AT, bucket.data, bucket.size);
    memcpy(envelope->wrapped + outer_at, outer->wrapped, outer->size);
    envelope->size = outer_at + outer->size;
    return 0;
}

/* --- wrapping --------------------------------------------------------------*/
static int new_bucket_key(struct crypt_provider *provider, struct slice key,
                          struct slice bucket, struct crypt_envelope *outer,
                          uint8_t bucket_key[CRYPT_KEY_SIZE])
{
    const struct slice parts[] = {key, bucket};
    const uint64_t asked_us = clock_monotonic_us();

    invariant(RAND_bytes(bucket_key, CRYPT_KEY_SIZE) == 1);
    memset(outer, 0, sizeof(*outer));
    const int error =
        provider->calls->wrap(provider, key, bucket, bucket_key, outer);
    if (error == 0) {
        cache_put(provider->bucket_keys, parts, 2, outer, asked_us);
    }
    return error;
}

/* The one that wraps now. One that the provider no longer opens has served:
 * its version may be retired. */
static int current_bucket_key(struct crypt_provider *provider, struct slice key,
                              struct slice bucket, struct crypt_envelope *outer,
                              uint8_t bucket_key[CRYPT_KEY_SIZE])
{
    const struct slice parts[] = {key, bucket};

    if (cache_get(provider->bucket_keys, parts, 2, outer)) {
        const int error =
            provider->calls->unwrap(provider, bucket, outer, bucket_key);
        if (error == 0 || error == -EAGAIN) {
            return error;
        }
    }
    return new_bucket_key(provider, key, bucket, outer, bucket_key);
}

int bucket_wrap(struct crypt_provider *provider, struct slice key,
                struct slice bucket, struct slice bound,
                const uint8_t object_key[CRYPT_KEY_SIZE],
                struct crypt_envelope *envelope)
{
    uint8_t bucket_key[CRYPT_KEY_SIZE];
    struct crypt_envelope outer;

    invariant(bucket.size >= 1 && bucket.size <= BUCKET_MAX);
    int error = current_bucket_key(provider, key, bucket, &outer, bucket_key);
    if (error == 0) {
        memcpy(envelope->key_id, outer.key_id, sizeof(envelope->key_id));
        envelope_seal(ENVELOPE_BUCKET, bucket_key, bound, object_key, envelope);
        error = append_outer(envelope, bucket, &outer);
    }
    OPENSSL_cleanse(bucket_key, sizeof(bucket_key));
    return error;
}

/* --- unwrapping ------------------------------------------------------------*/
int bucket_unwrap(struct crypt_provider *provider, struct slice bound,
                  const struct crypt_envelope *envelope,
                  uint8_t object_key[CRYPT_KEY_SIZE])
{
    uint8_t bucket_key[CRYPT_KEY_SIZE];
    struct crypt_envelope outer, inner = *envelope;
    struct slice bucket;

    int error = bucket_envelope_split(envelope, &bucket, &outer);
    if (error == 0) {
        error = provider->calls->unwrap(provider, bucket, &outer, bucket_key);
    }
    if (error == 0) {
        inner.size = ENVELOPE_SIZE;
        error = envelope_open(ENVELOPE_BUCKET, bucket_key, bound, &inner,
                              object_key);
    }
    OPENSSL_cleanse(bucket_key, sizeof(bucket_key));
    return error;
}
