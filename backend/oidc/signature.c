/*
 * RS256 and ES256.
 * https://www.rfc-editor.org/rfc/rfc7518#section-3
 */
#include "oidc/private.h"

#include <openssl/crypto.h>
#include <openssl/ecdsa.h>

#define ES256_SIZE 64

static bool verify(EVP_PKEY *key, struct slice text, struct slice signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good =
        context != NULL &&
        EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestVerify(context, signature.data, signature.size, text.data,
                         text.size) == 1;

    EVP_MD_CTX_free(context);
    return good;
}

/* The two numbers side by side; OpenSSL wants them in DER. */
static bool verify_es256(EVP_PKEY *key, struct slice text,
                         struct slice signature)
{
    ECDSA_SIG *numbers;
    BIGNUM *r, *s;
    unsigned char *der = NULL;
    bool good = false;
    int size;

    if (signature.size != ES256_SIZE) {
        return false;
    }
    numbers = ECDSA_SIG_new();
    r = BN_bin2bn(signature.data, ES256_SIZE / 2, NULL);
    s = BN_bin2bn(signature.data + ES256_SIZE / 2, ES256_SIZE / 2, NULL);
    invariant(numbers != NULL && r != NULL && s != NULL);
    invariant(ECDSA_SIG_set0(numbers, r, s) == 1); /* takes them over */
    size = i2d_ECDSA_SIG(numbers, &der);
    if (size > 0) {
        good = verify(key, text, slice_of(der, (size_t)size));
    }
    OPENSSL_free(der);
    ECDSA_SIG_free(numbers);
    return good;
}

bool signature_verify(const struct oidc_key *key, struct slice text,
                      struct slice signature)
{
    return key->algorithm == OIDC_ES256
               ? verify_es256(key->key, text, signature)
               : verify(key->key, text, signature);
}
