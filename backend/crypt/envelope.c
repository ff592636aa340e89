/*
 * Envelopes whose key is at hand: a customer's, one of the keyring, or a
 * bucket's.
 *
 *    0   1  version, 1
 *    1   1  kind: enum envelope_kind
 *    2  32  salt, random
 *   34  32  the object key, AES-256-GCM
 *   66  16  tag
 *
 * The key of the envelope is derived from the master key and the salt and
 * seals this one envelope, with a nonce of zeros: however many envelopes a
 * master key makes, no nonce comes twice. Authenticated with it: version and
 * kind, the length of the key id in 2 bytes, big-endian, the key id, and what
 * the envelope is bound to.
 */
#include "crypt/private.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#define SALT_SIZE 32u
#define KEY_AT    (ENVELOPE_HEAD + SALT_SIZE)
#define TAG_AT    (KEY_AT + CRYPT_KEY_SIZE)
_Static_assert(ENVELOPE_SIZE == TAG_AT + CRYPT_TAG_SIZE, "as drawn above");

static const uint8_t no_nonce[GCM_NONCE_SIZE];

bool envelope_is(const struct crypt_envelope *envelope, enum envelope_kind kind)
{
    return envelope->size > ENVELOPE_HEAD &&
           envelope->size <= CRYPT_ENVELOPE_MAX &&
           envelope->wrapped[0] == ENVELOPE_VERSION &&
           envelope->wrapped[1] == (uint8_t)kind;
}

static void envelope_key(const uint8_t key[CRYPT_KEY_SIZE],
                         const struct crypt_envelope *envelope,
                         uint8_t out[CRYPT_KEY_SIZE])
{
    derive(key, SLICE_LITERAL("s3d envelope 1"),
           slice_of(envelope->wrapped + ENVELOPE_HEAD, SALT_SIZE), out);
}

/* Works for both directions: the context knows its own. */
static void authenticate(EVP_CIPHER_CTX *context, struct slice bound,
                         const struct crypt_envelope *envelope)
{
    const size_t id_size = strnlen(envelope->key_id, CRYPT_KEY_ID_MAX);
    uint8_t id[2 + CRYPT_KEY_ID_MAX];
    int n;

    invariant(bound.size <= INT_MAX);
    put_u16be(id, (uint16_t)id_size);
    memcpy(id + 2, envelope->key_id, id_size);
    invariant(EVP_CipherUpdate(context, NULL, &n, envelope->wrapped,
                               ENVELOPE_HEAD) == 1);
    invariant(EVP_CipherUpdate(context, NULL, &n, id, (int)(2 + id_size)) == 1);
    invariant(
        EVP_CipherUpdate(context, NULL, &n, bound.data, (int)bound.size) == 1);
}

void envelope_seal(enum envelope_kind kind, const uint8_t key[CRYPT_KEY_SIZE],
                   struct slice bound, const uint8_t object_key[CRYPT_KEY_SIZE],
                   struct crypt_envelope *envelope)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    uint8_t *out = envelope->wrapped, once[CRYPT_KEY_SIZE];
    int n, end;

    invariant(context != NULL);
    envelope->size = ENVELOPE_SIZE;
    out[0] = ENVELOPE_VERSION;
    out[1] = (uint8_t)kind;
    invariant(RAND_bytes(out + ENVELOPE_HEAD, SALT_SIZE) == 1);
    envelope_key(key, envelope, once);
    invariant(EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, once,
                                 no_nonce) == 1);
    authenticate(context, bound, envelope);
    invariant(EVP_EncryptUpdate(context, out + KEY_AT, &n, object_key,
                                CRYPT_KEY_SIZE) == 1);
    invariant(EVP_EncryptFinal_ex(context, out + KEY_AT + n, &end) == 1);
    invariant((unsigned)(n + end) == CRYPT_KEY_SIZE);
    invariant(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, CRYPT_TAG_SIZE,
                                  out + TAG_AT) == 1);
    EVP_CIPHER_CTX_free(context);
    OPENSSL_cleanse(once, sizeof(once));
}

int envelope_open(enum envelope_kind kind, const uint8_t key[CRYPT_KEY_SIZE],
                  struct slice bound, const struct crypt_envelope *envelope,
                  uint8_t object_key[CRYPT_KEY_SIZE])
{
    uint8_t once[CRYPT_KEY_SIZE], tag[CRYPT_TAG_SIZE];
    int n, end;

    if (!envelope_is(envelope, kind) || envelope->size != ENVELOPE_SIZE) {
        return -EBADMSG;
    }
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    invariant(context != NULL);
    envelope_key(key, envelope, once);
    memcpy(tag, envelope->wrapped + TAG_AT, sizeof(tag));
    invariant(EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, once,
                                 no_nonce) == 1);
    authenticate(context, bound, envelope);
    invariant(EVP_DecryptUpdate(context, object_key, &n,
                                envelope->wrapped + KEY_AT,
                                CRYPT_KEY_SIZE) == 1);
    invariant(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, CRYPT_TAG_SIZE,
                                  tag) == 1);
    const bool good = EVP_DecryptFinal_ex(context, object_key + n, &end) == 1;
    EVP_CIPHER_CTX_free(context);
    OPENSSL_cleanse(once, sizeof(once));
    if (!good) {
        OPENSSL_cleanse(object_key, CRYPT_KEY_SIZE);
        return -EBADMSG;
    }
    return 0;
}

/* --- key ids ---------------------------------------------------------------*/
void key_id_set(struct crypt_envelope *envelope, struct slice name,
                uint64_t version)
{
    invariant(name.size <= KEY_NAME_MAX);
    snprintf(envelope->key_id, sizeof(envelope->key_id), "%.*s:%llu",
             (int)name.size, (const char *)name.data,
             (unsigned long long)version);
}

int key_id_parse(const struct crypt_envelope *envelope, struct slice *name,
                 uint64_t *version)
{
    const char *id = envelope->key_id;
    const size_t size = strnlen(id, sizeof(envelope->key_id));
    const char *colon = memchr(id, ':', size);

    if (size > CRYPT_KEY_ID_MAX || colon == NULL) {
        return -EBADMSG;
    }
    *name = slice_of(id, (size_t)(colon - id));
    const struct slice digits =
        slice_of(colon + 1, size - (size_t)(colon + 1 - id));
    if ((name->size > 0 && !valid_key_name(*name)) ||
        slice_to_u64(digits, version) != 0) {
        return -EBADMSG;
    }
    return 0;
}

/* --- customers' keys -------------------------------------------------------*/
void crypt_wrap_customer(const uint8_t customer[CRYPT_KEY_SIZE],
                         struct slice bound,
                         const uint8_t object_key[CRYPT_KEY_SIZE],
                         struct crypt_envelope *envelope)
{
    envelope->key_id[0] = '\0';
    envelope_seal(ENVELOPE_CUSTOMER, customer, bound, object_key, envelope);
}

int crypt_unwrap_customer(const uint8_t customer[CRYPT_KEY_SIZE],
                          struct slice bound,
                          const struct crypt_envelope *envelope,
                          uint8_t object_key[CRYPT_KEY_SIZE])
{
    return envelope_open(ENVELOPE_CUSTOMER, customer, bound, envelope,
                         object_key);
}
