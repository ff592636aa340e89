/*
 * Secrets sealed under the master key.
 *
 *   0   1  version, 1
 *   1  12  nonce, random
 *  13      secret, AES-256-GCM; the access key is authenticated with it
 *   .  16  tag
 */
#include "iam/private.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#define SEAL_VERSION 1
#define NONCE_SIZE   12
#define TAG_SIZE     16

void random_fill(void *out, size_t size)
{
    invariant(RAND_bytes(out, (int)size) == 1);
}

/* --- sealing ---------------------------------------------------------------*/

size_t seal(const uint8_t master[MASTER_KEY_SIZE], struct slice access_key,
            struct slice secret, uint8_t out[SEALED_MAX_SIZE])
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    uint8_t *nonce = out + 1, *body = nonce + NONCE_SIZE;
    int size, last;

    invariant(cipher != NULL && secret.size <= IAM_SECRET_MAX);
    out[0] = SEAL_VERSION;
    random_fill(nonce, NONCE_SIZE);
    invariant(EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, master,
                                 nonce) == 1);
    invariant(EVP_EncryptUpdate(cipher, NULL, &size, access_key.data,
                                (int)access_key.size) == 1);
    invariant(EVP_EncryptUpdate(cipher, body, &size, secret.data,
                                (int)secret.size) == 1);
    invariant(EVP_EncryptFinal_ex(cipher, body + size, &last) == 1);
    invariant((size_t)size + (size_t)last == secret.size);
    invariant(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, TAG_SIZE,
                                  body + secret.size) == 1);
    EVP_CIPHER_CTX_free(cipher);
    return secret.size + SEAL_OVERHEAD;
}

int unseal(const uint8_t master[MASTER_KEY_SIZE], struct slice access_key,
           struct slice sealed, uint8_t secret[IAM_SECRET_MAX])
{
    const uint8_t *nonce = sealed.data + 1, *body = nonce + NONCE_SIZE;
    EVP_CIPHER_CTX *cipher;
    size_t body_size;
    int size = 0, last = 0;
    bool good;

    if (sealed.size < SEAL_OVERHEAD || sealed.size > SEALED_MAX_SIZE ||
        sealed.data[0] != SEAL_VERSION) {
        return -EKEYREJECTED;
    }
    body_size = sealed.size - SEAL_OVERHEAD;
    cipher = EVP_CIPHER_CTX_new();
    invariant(cipher != NULL);
    good =
        EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, master, nonce) ==
            1 &&
        EVP_DecryptUpdate(cipher, NULL, &size, access_key.data,
                          (int)access_key.size) == 1 &&
        EVP_DecryptUpdate(cipher, secret, &size, body, (int)body_size) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, TAG_SIZE,
                            (void *)(body + body_size)) == 1 &&
        EVP_DecryptFinal_ex(cipher, secret + size, &last) == 1;
    EVP_CIPHER_CTX_free(cipher);
    if (!good) {
        OPENSSL_cleanse(secret, IAM_SECRET_MAX);
        return -EKEYREJECTED;
    }
    return size + last;
}
