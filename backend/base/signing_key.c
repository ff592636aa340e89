/*
 * SigV4's chain of keys: each HMAC-SHA256 is the key of the next.
 */
#include "base/signing_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define PREFIX "AWS4"

static void hmac(const void *key, size_t key_size, struct slice message,
                 uint8_t out[SIGNING_KEY_SIZE])
{
    unsigned size = SIGNING_KEY_SIZE;

    invariant(HMAC(EVP_sha256(), key, (int)key_size, message.data, message.size,
                   out, &size) != NULL);
    invariant(size == SIGNING_KEY_SIZE);
}

void signing_key(struct slice secret, struct slice date, struct slice region,
                 struct slice service, uint8_t key[SIGNING_KEY_SIZE])
{
    uint8_t first[sizeof(PREFIX) - 1 + SIGNING_SECRET_MAX];
    uint8_t step[SIGNING_KEY_SIZE];

    invariant(secret.size <= SIGNING_SECRET_MAX);
    memcpy(first, PREFIX, sizeof(PREFIX) - 1);
    memcpy(first + sizeof(PREFIX) - 1, secret.data, secret.size);
    hmac(first, sizeof(PREFIX) - 1 + secret.size, date, step);
    hmac(step, sizeof(step), region, key);
    hmac(key, SIGNING_KEY_SIZE, service, step);
    hmac(step, sizeof(step), SLICE_LITERAL("aws4_request"), key);
    OPENSSL_cleanse(first, sizeof(first));
    OPENSSL_cleanse(step, sizeof(step));
}
