/*
 * Keys from keys.
 */
#include "crypt/private.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define DERIVE_INPUT_MAX 128

void derive(const uint8_t key[CRYPT_KEY_SIZE], struct slice label,
            struct slice bytes, uint8_t out[CRYPT_KEY_SIZE])
{
    uint8_t input[DERIVE_INPUT_MAX];
    unsigned size = 0;

    invariant(label.size + 1 + bytes.size <= sizeof(input));
    memcpy(input, label.data, label.size);
    input[label.size] = 0;
    if (bytes.size > 0) {
        memcpy(input + label.size + 1, bytes.data, bytes.size);
    }
    invariant(HMAC(EVP_sha256(), key, CRYPT_KEY_SIZE, input,
                   label.size + 1 + bytes.size, out, &size) != NULL);
    invariant(size == CRYPT_KEY_SIZE);
}
