/*
 * Blocks of a blob, and the keys of blobs.
 *
 * The nonce: the block's number in 8 bytes, big-endian, 3 bytes of zero, and
 * 1 for the last block, 0 for the others.
 */
#include "crypt/private.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Far above what an object may have; sums of sizes do not overflow. */
#define SIZE_LIMIT (UINT64_C(1) << 60)

struct crypt_cipher {
    EVP_CIPHER_CTX *context; /* has the key; takes a nonce for each block */
};

uint64_t crypt_sealed_size(uint64_t size)
{
    invariant(size < SIZE_LIMIT);
    const uint64_t blocks = (size + CRYPT_BLOCK_SIZE - 1) / CRYPT_BLOCK_SIZE;
    return size + blocks * CRYPT_TAG_SIZE;
}

uint64_t crypt_block_offset(uint64_t number)
{
    invariant(number < SIZE_LIMIT / CRYPT_BLOCK_SIZE);
    return number * (CRYPT_BLOCK_SIZE + CRYPT_TAG_SIZE);
}

void crypt_blob_key(const uint8_t object_key[CRYPT_KEY_SIZE], uint64_t blob,
                    uint8_t key[CRYPT_KEY_SIZE])
{
    uint8_t id[8];
    put_u64be(id, blob);
    derive(object_key, SLICE_LITERAL("s3d blob 1"), slice_of(id, sizeof(id)),
           key);
}

struct crypt_cipher *crypt_cipher_new(const uint8_t key[CRYPT_KEY_SIZE])
{
    struct crypt_cipher *cipher = xcalloc(1, sizeof(*cipher));
    cipher->context = EVP_CIPHER_CTX_new();
    invariant(cipher->context != NULL);
    invariant(EVP_EncryptInit_ex(cipher->context, EVP_aes_256_gcm(), NULL, key,
                                 NULL) == 1);
    return cipher;
}

void crypt_cipher_free(struct crypt_cipher *cipher)
{
    if (cipher != NULL) {
        EVP_CIPHER_CTX_free(cipher->context); /* wipes the key */
        free(cipher);
    }
}

static void block_nonce(uint64_t number, bool last,
                        uint8_t nonce[GCM_NONCE_SIZE])
{
    memset(nonce, 0, GCM_NONCE_SIZE);
    put_u64be(nonce, number);
    nonce[GCM_NONCE_SIZE - 1] = last;
}

static void check_block(bool last, size_t size)
{
    invariant(size >= 1 && size <= CRYPT_BLOCK_SIZE);
    invariant(last || size == CRYPT_BLOCK_SIZE);
}

void crypt_seal(struct crypt_cipher *cipher, uint64_t number, bool last,
                const uint8_t *plain, size_t size, uint8_t *sealed)
{
    EVP_CIPHER_CTX *context = cipher->context;
    uint8_t nonce[GCM_NONCE_SIZE];
    int n = 0, end = 0;

    check_block(last, size);
    block_nonce(number, last, nonce);
    invariant(EVP_EncryptInit_ex(context, NULL, NULL, NULL, nonce) == 1);
    invariant(EVP_EncryptUpdate(context, sealed, &n, plain, (int)size) == 1);
    invariant(EVP_EncryptFinal_ex(context, sealed + n, &end) == 1);
    invariant((size_t)n + (size_t)end == size);
    invariant(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, CRYPT_TAG_SIZE,
                                  sealed + size) == 1);
}

int crypt_open(struct crypt_cipher *cipher, uint64_t number, bool last,
               const uint8_t *sealed, size_t size, uint8_t *plain)
{
    EVP_CIPHER_CTX *context = cipher->context;
    uint8_t nonce[GCM_NONCE_SIZE], tag[CRYPT_TAG_SIZE];
    int n = 0, end = 0;

    check_block(last, size);
    block_nonce(number, last, nonce);
    memcpy(tag, sealed + size, sizeof(tag));
    invariant(EVP_DecryptInit_ex(context, NULL, NULL, NULL, nonce) == 1);
    invariant(EVP_DecryptUpdate(context, plain, &n, sealed, (int)size) == 1);
    invariant(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, CRYPT_TAG_SIZE,
                                  tag) == 1);
    if (EVP_DecryptFinal_ex(context, plain + n, &end) != 1) {
        OPENSSL_cleanse(plain, size);
        return -EBADMSG;
    }
    invariant((size_t)n + (size_t)end == size);
    return 0;
}
