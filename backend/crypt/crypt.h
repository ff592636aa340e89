/*
 * Encryption at rest: blocks under AES-256-GCM, keys in envelopes.
 *
 *   master key ──wraps──► object key ──derives──► blob key ──seals──► blocks
 *   (keyring, Vault,      (random, one an         (HMAC over
 *    the customer's)       object or upload)       the blob's id)
 *
 * Between master and object key there may be a bucket key: random, and wrapped
 * by the master key, it wraps the keys of many objects of a bucket.
 *
 * A blob is cut into blocks of CRYPT_BLOCK_SIZE bytes; each is stored with its
 * tag behind it. The nonce is the block's number and whether it is the last:
 * a blob key seals one blob, once, so no nonce is used twice. Blocks that are
 * swapped, cut off, or of another blob do not open.
 *
 * Invariants:
 *   E1  No byte of an object, blob, bucket or master key is written anywhere
 *       but inside an envelope.
 *   E2  Bytes leave only after their block's tag was checked.
 *   E3  Keys are wiped by who held them.
 */
#ifndef CRYPT_H
#define CRYPT_H

#include "base/base.h"

#define CRYPT_KEY_SIZE   32u
#define CRYPT_TAG_SIZE   16u
#define CRYPT_BLOCK_SIZE (64u << 10) /* bytes in the clear */

/* --- blocks (pure) --------------------------------------------------------*/
/* Bytes that `size` bytes take when sealed, and where block `number` begins. */
uint64_t crypt_sealed_size(uint64_t size);
uint64_t crypt_block_offset(uint64_t number);

/* The key of one blob of an object. */
void crypt_blob_key(const uint8_t object_key[CRYPT_KEY_SIZE], uint64_t blob,
                    uint8_t key[CRYPT_KEY_SIZE]);

struct crypt_cipher; /* a blob key, ready; for one thread at a time */
struct crypt_cipher *crypt_cipher_new(const uint8_t key[CRYPT_KEY_SIZE]);
void crypt_cipher_free(struct crypt_cipher *cipher); /* wipes; NULL allowed */
/* 1..CRYPT_BLOCK_SIZE bytes; only the last may be short. `sealed` takes
 * size + CRYPT_TAG_SIZE bytes and may be `plain`. */
void crypt_seal(struct crypt_cipher *cipher, uint64_t number, bool last,
                const uint8_t *plain, size_t size, uint8_t *sealed);
/* size + CRYPT_TAG_SIZE bytes in, size out; may be in place. -EBADMSG: not
 * what was sealed, and nothing is in `plain`. */
int crypt_open(struct crypt_cipher *cipher, uint64_t number, bool last,
               const uint8_t *sealed, size_t size, uint8_t *plain);

/* --- envelopes ------------------------------------------------------------*/
#define CRYPT_ENVELOPE_MAX 1024u /* bytes of a wrapped key */
#define CRYPT_KEY_ID_MAX   256u

struct crypt_envelope {
    char key_id[CRYPT_KEY_ID_MAX + 1]; /* which master key, and its version */
    uint8_t wrapped[CRYPT_ENVELOPE_MAX];
    size_t size;
};

/* With a customer's key: pure. `bound` is what the envelope is for
 * (bucket/key or upload): it opens for nothing else. */
void crypt_wrap_customer(const uint8_t customer[CRYPT_KEY_SIZE],
                         struct slice bound,
                         const uint8_t object_key[CRYPT_KEY_SIZE],
                         struct crypt_envelope *envelope);
int crypt_unwrap_customer(const uint8_t customer[CRYPT_KEY_SIZE],
                          struct slice bound,
                          const struct crypt_envelope *envelope,
                          uint8_t object_key[CRYPT_KEY_SIZE]);

/* --- who holds master keys ------------------------------------------------
 * A provider wraps and unwraps. Thread-safe; calls may block on the network
 * (Vault), bounded by the provider's time limit. */
struct crypt_provider;

/* A file of master keys, mode 0600, made at the first start: the newest wraps,
 * all unwrap. SSE-S3's, and SSE-KMS's unless another is configured. Keys have
 * names; the name "" is SSE-S3's own. -EACCES: others may read it. */
int crypt_keyring_open(const char *path, struct crypt_provider **provider);
/* Tells one keyring from any other; rotation does not change it. No secret. */
#define CRYPT_KEYRING_ID_SIZE 16u
void crypt_keyring_id(struct crypt_provider *keyring,
                      uint8_t id[CRYPT_KEYRING_ID_SIZE]);

/* HashiCorp Vault's transit engine, or what speaks its API.
 * https://developer.hashicorp.com/vault/api-docs/secret/transit */
struct crypt_vault {
    const char *url;         /* https://vault:8200 */
    const char *mount;       /* "transit" */
    const char *token_file;  /* read anew when it changes */
    const char *ca_file;     /* NULL: the system's */
    unsigned timeout_ms;     /* of one question, with connecting */
    const char *default_key; /* what the name "" stands for; NULL: nothing */
    unsigned cache_ms; /* unwrapped keys are kept as long; 0: not at all */
};
/* Does not connect. -EINVAL: the url is not https://, nor http:// of the
 * loopback; or mount or default_key is no name. */
int crypt_vault_open(const struct crypt_vault *vault,
                     struct crypt_provider **provider);
void crypt_provider_close(struct crypt_provider *provider);

/* key: name of the master key. -ENOENT: there is no such key; -EACCES: it is
 * disabled or refused; -EAGAIN: the provider cannot be reached. */
int crypt_wrap(struct crypt_provider *provider, struct slice key,
               struct slice bound, const uint8_t object_key[CRYPT_KEY_SIZE],
               struct crypt_envelope *envelope);
/* The same under a key of the bucket's own, which wraps many objects' before
 * the provider is asked to wrap another one: as many as 65536, for as long as
 * Vault's cache_ms, or 5 minutes of the keyring. `bucket`, 1..255 bytes, is
 * what the bucket's key is bound to. The envelope holds that key's, and is
 * unwrapped and rewrapped as any other. -EMSGSIZE: both are too long. */
int crypt_wrap_in_bucket(struct crypt_provider *provider, struct slice key,
                         struct slice bucket, struct slice bound,
                         const uint8_t object_key[CRYPT_KEY_SIZE],
                         struct crypt_envelope *envelope);
/* What is wrapped from now on is so by keys that are made from now on: of the
 * newest version. crypt_key_rotate() does it. */
void crypt_forget_bucket_keys(struct crypt_provider *provider);
/* -EBADMSG: not an envelope of this provider, or bound to something else. */
int crypt_unwrap(struct crypt_provider *provider, struct slice bound,
                 const struct crypt_envelope *envelope,
                 uint8_t object_key[CRYPT_KEY_SIZE]);
/* Is it an envelope of this kind of provider? Pure: nothing is authenticated.
 */
bool crypt_wrapped_by(const struct crypt_provider *provider,
                      const struct crypt_envelope *envelope);
/* The same object key in a fresh envelope, under the newest version of `key`:
 * what walks the records after a rotation or from one provider to another.
 * `from` and `to` may be the same. On an error the envelope is as it was. */
int crypt_rewrap(struct crypt_provider *from, struct crypt_provider *to,
                 struct slice key, struct slice bound,
                 struct crypt_envelope *envelope);
/* The master key that an envelope names, which need not be there: pure.
 * `name` points into the envelope. -EBADMSG. */
int crypt_wrapping_key(const struct crypt_envelope *envelope,
                       struct slice *name, uint64_t *version);
/* The version that wraps now. 0, or as crypt_wrap(). */
int crypt_newest_version(struct crypt_provider *provider, struct slice key,
                         uint64_t *version);
/* Does the key exist and serve? The same errors. */
int crypt_check_key(struct crypt_provider *provider, struct slice key);

/* --- administration of a keyring ------------------------------------------*/
/* -EEXIST, -EINVAL (1..64 of A-Za-z0-9/_-), -ENOTSUP (not a keyring), -ENOSPC
 * (4096 versions of all keys), and what writing the file says. */
int crypt_key_add(struct crypt_provider *provider, struct slice key);
/* A new version; older ones still unwrap. "" rotates SSE-S3's. */
int crypt_key_rotate(struct crypt_provider *provider, struct slice key);
/* A disabled key neither wraps nor unwraps. Not "": -EINVAL. */
int crypt_key_enable(struct crypt_provider *provider, struct slice key,
                     bool enabled);
/* {"keys":[{"name","versions","enabled","created"}]}: no secrets; created in
 * milliseconds since 1970. */
int crypt_key_list(struct crypt_provider *provider, struct buffer *out);

#endif
