/*
 * Private to crypt/: AES-256-GCM in one call, memory for secrets, local
 * envelopes, the keyring's file, and what a provider is.
 */
#ifndef CRYPT_PRIVATE_H
#define CRYPT_PRIVATE_H

#include "crypt/crypt.h"
#include <jansson.h>

/* --- derive.c ----------------------------------------------------------------
 */
#define GCM_NONCE_SIZE 12u

/* HMAC-SHA-256 under `key` of the label, a zero byte and the bytes: together
 * at most 128. */
void derive(const uint8_t key[CRYPT_KEY_SIZE], struct slice label,
            struct slice bytes, uint8_t out[CRYPT_KEY_SIZE]);

/* --- secret.c: pages that are not swapped or dumped, wiped at the end -------
 * Zeroed. Where the limit for locked memory is too low that is logged, once,
 * and the memory is an ordinary one. */
void *secret_alloc(size_t size);
void secret_free(void *memory, size_t size); /* NULL is allowed */

/* --- envelope.c: object keys under a key that is at hand --------------------
 */
enum envelope_kind { /* on disk: never renumber */
                     ENVELOPE_CUSTOMER = 1,
                     ENVELOPE_KEYRING = 2,
                     ENVELOPE_VAULT = 3,
                     ENVELOPE_BUCKET = 4,
};
#define ENVELOPE_VERSION 1
#define ENVELOPE_HEAD    2u  /* version and kind */
#define ENVELOPE_SIZE    82u /* of one whose key is at hand (envelope.c) */

/* Is it of this kind, and long enough to have a head? */
bool envelope_is(const struct crypt_envelope *envelope,
                 enum envelope_kind kind);
/* envelope->key_id must be set: it is authenticated. */
void envelope_seal(enum envelope_kind kind, const uint8_t key[CRYPT_KEY_SIZE],
                   struct slice bound, const uint8_t object_key[CRYPT_KEY_SIZE],
                   struct crypt_envelope *envelope);
/* -EBADMSG; object_key is wiped then. */
int envelope_open(enum envelope_kind kind, const uint8_t key[CRYPT_KEY_SIZE],
                  struct slice bound, const struct crypt_envelope *envelope,
                  uint8_t object_key[CRYPT_KEY_SIZE]);

/* "NAME:VERSION". */
void key_id_set(struct crypt_envelope *envelope, struct slice name,
                uint64_t version);
/* -EBADMSG: not of that form. The name points into the envelope. */
int key_id_parse(const struct crypt_envelope *envelope, struct slice *name,
                 uint64_t *version);

/* --- provider.c -------------------------------------------------------------
 */
struct provider_calls {
    enum envelope_kind kind;
    int (*wrap)(struct crypt_provider *provider, struct slice key,
                struct slice bound, const uint8_t object_key[CRYPT_KEY_SIZE],
                struct crypt_envelope *envelope);
    int (*unwrap)(struct crypt_provider *provider, struct slice bound,
                  const struct crypt_envelope *envelope,
                  uint8_t object_key[CRYPT_KEY_SIZE]);
    int (*newest)(struct crypt_provider *provider, struct slice key,
                  uint64_t *version);
    void (*close)(struct crypt_provider *provider);
    /* Administration: NULL where it is not s3d's. */
    int (*add)(struct crypt_provider *provider, struct slice key);
    int (*rotate)(struct crypt_provider *provider, struct slice key);
    int (*enable)(struct crypt_provider *provider, struct slice key,
                  bool enabled);
    int (*list)(struct crypt_provider *provider, struct buffer *out);
};
/* The first member of every provider. */
struct crypt_provider {
    const struct provider_calls *calls;
    struct cache *bucket_keys; /* bucket_keys_new() */
};
/* 1..64 of A-Za-z0-9/_- */
#define KEY_NAME_MAX 64u
bool valid_key_name(struct slice name);

/* --- keyring_file.c: the file of master keys is also how they are in memory -
 */
#define KEYRING_HEADER_SIZE 16u
#define KEYRING_RECORD_SIZE 128u
#define KEYRING_SUM_SIZE    4u
#define KEYRING_KEYS_MAX    4096u

struct keyring_file {
    uint8_t *data; /* secret_alloc() */
    size_t size;
};
struct master_key {
    struct slice name;
    uint32_t version;
    bool disabled;
    uint64_t created_ms;
    const uint8_t *key;
};
/* Is that a keyring, in every byte? 0 or -EBADMSG. */
int keyring_check(const uint8_t *data, size_t size);
size_t keyring_count(const struct keyring_file *file);
struct master_key keyring_at(const struct keyring_file *file, size_t at);
/* A copy with one more version at the end of its name's; with the other state
 * of a name. The caller frees it. -ENOSPC: there are KEYRING_KEYS_MAX. */
int keyring_with_version(const struct keyring_file *file, struct slice name,
                         uint32_t version, struct keyring_file *copy);
void keyring_with_state(const struct keyring_file *file, struct slice name,
                        bool disabled, struct keyring_file *copy);
void keyring_file_free(struct keyring_file *file);
/* -ENOENT, -EACCES: others may read it, -EBADMSG, and what open() says. */
int keyring_load(const char *path, struct keyring_file *file);
/* Whole or not at all, and durable. Without `replace`, -EEXIST. */
int keyring_save(const char *path, const struct keyring_file *file,
                 bool replace);

/* --- cache.c: what was said a moment ago, by what it depends on -------------
 * Thread-safe, bounded, in memory for secrets. */
struct cache;
struct cache_shape {
    unsigned sets; /* 1..256, of 4 values each */
    size_t value_size;
    unsigned life_ms; /* 0: keeps nothing */
    uint64_t uses;    /* of one value; 0: any number */
};
struct cache *cache_new(const struct cache_shape *shape);
void cache_free(struct cache *cache);
bool cache_get(struct cache *cache, const struct slice *parts, size_t count,
               void *value);
/* asked_us: clock_monotonic_us() before the value was asked for. Its life
 * begins then, and a cache_clear() since then keeps it out. */
void cache_put(struct cache *cache, const struct slice *parts, size_t count,
               const void *value, uint64_t asked_us);
void cache_clear(struct cache *cache);

/* --- bucket_key.c: keys of buckets, between master and object keys ----------
 */
struct cache *bucket_keys_new(unsigned life_ms);
/* What crypt_wrap_in_bucket() and crypt_unwrap() do. */
int bucket_wrap(struct crypt_provider *provider, struct slice key,
                struct slice bucket, struct slice bound,
                const uint8_t object_key[CRYPT_KEY_SIZE],
                struct crypt_envelope *envelope);
int bucket_unwrap(struct crypt_provider *provider, struct slice bound,
                  const struct crypt_envelope *envelope,
                  uint8_t object_key[CRYPT_KEY_SIZE]);
/* The bucket key's envelope, and what it is bound to, which points into
 * `envelope`. -EBADMSG: it is not of a bucket key. */
int bucket_envelope_split(const struct crypt_envelope *envelope,
                          struct slice *bucket, struct crypt_envelope *outer);

/* --- vault_http.c: one question to Vault, one answer -------------------------
 * Thread-safe; keeps a few connections open. */
struct vault_http;
/* What crypt_vault_open() says of url and mount. */
int vault_http_new(const struct crypt_vault *vault, struct vault_http **http);
void vault_http_free(struct vault_http *http);
/* Posts `question`, or gets if it is NULL. *status is HTTP's, *answer the JSON
 * object, NULL if there was none: the caller wipes and frees. -EAGAIN: no
 * answer in time, or one that is not to be trusted; -EACCES: no token.
 * Both were logged. */
int vault_ask(struct vault_http *http, const char *path, const json_t *question,
              long *status, json_t **answer);

#endif
