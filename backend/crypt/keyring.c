/*
 * The keyring: a provider whose master keys are in a file.
 *
 * Invariants:
 *   L1  What is in memory is in the file: the file is written first.
 *   L2  Only the holder of `writer` changes anything; `lock` is held for
 *       writing only while memory changes, never while the file is written.
 */
#include "crypt/private.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUCKET_KEY_LIFE_MS (5 * 60 * 1000)

struct keyring {
    struct crypt_provider provider;
    char *path;
    pthread_mutex_t writer;
    pthread_rwlock_t lock;
    struct keyring_file file;
};

static struct keyring *keyring_of(struct crypt_provider *provider)
{
    return (struct keyring *)provider;
}

/* --- looking up; the caller holds one of the locks -------------------------*/
/* version 0: the newest. -ENOENT; -EACCES: disabled. */
static int find(const struct keyring *keyring, struct slice name,
                uint64_t version, struct master_key *found)
{
    const size_t count = keyring_count(&keyring->file);
    int error = -ENOENT;
    for (size_t i = 0; i < count; i++) {
        const struct master_key key = keyring_at(&keyring->file, i);
        if (slice_equal(key.name, name) &&
            (version == 0 || key.version == version)) {
            *found = key;
            error = key.disabled ? -EACCES : 0;
        }
    }
    return error;
}

/* The same, copied out: *version is in and out. */
static int copy_key(struct keyring *keyring, struct slice name,
                    uint64_t *version, uint8_t out[CRYPT_KEY_SIZE])
{
    struct master_key key;
    pthread_rwlock_rdlock(&keyring->lock);
    const int error = find(keyring, name, *version, &key);
    if (error == 0) {
        *version = key.version;
        memcpy(out, key.key, CRYPT_KEY_SIZE);
    }
    pthread_rwlock_unlock(&keyring->lock);
    return error;
}

/* --- the provider ----------------------------------------------------------*/
static int keyring_wrap(struct crypt_provider *provider, struct slice key,
                        struct slice bound,
                        const uint8_t object_key[CRYPT_KEY_SIZE],
                        struct crypt_envelope *envelope)
{
    uint8_t master[CRYPT_KEY_SIZE];
    uint64_t version = 0;
    const int error = copy_key(keyring_of(provider), key, &version, master);
    if (error == 0) {
        key_id_set(envelope, key, version);
        envelope_seal(ENVELOPE_KEYRING, master, bound, object_key, envelope);
        OPENSSL_cleanse(master, sizeof(master));
    }
    return error;
}

static int keyring_unwrap(struct crypt_provider *provider, struct slice bound,
                          const struct crypt_envelope *envelope,
                          uint8_t object_key[CRYPT_KEY_SIZE])
{
    uint8_t master[CRYPT_KEY_SIZE];
    struct slice name;
    uint64_t version;

    if (key_id_parse(envelope, &name, &version) != 0 || version == 0) {
        return -EBADMSG;
    }
    int error = copy_key(keyring_of(provider), name, &version, master);
    if (error == 0) {
        error = envelope_open(ENVELOPE_KEYRING, master, bound, envelope,
                              object_key);
        OPENSSL_cleanse(master, sizeof(master));
    }
    return error;
}

static int keyring_newest(struct crypt_provider *provider, struct slice key,
                          uint64_t *version)
{
    struct keyring *keyring = keyring_of(provider);
    struct master_key found;
    pthread_rwlock_rdlock(&keyring->lock);
    const int error = find(keyring, key, 0, &found);
    if (error == 0) {
        *version = found.version;
    }
    pthread_rwlock_unlock(&keyring->lock);
    return error;
}

static void keyring_close(struct crypt_provider *provider)
{
    struct keyring *keyring = keyring_of(provider);
    keyring_file_free(&keyring->file);
    cache_free(provider->bucket_keys);
    pthread_rwlock_destroy(&keyring->lock);
    pthread_mutex_destroy(&keyring->writer);
    free(keyring->path);
    free(keyring);
}

/* --- administration; `writer` is held --------------------------------------*/
/* Takes `fresh` over. */
static int store(struct keyring *keyring, struct keyring_file *fresh)
{
    const int error = keyring_save(keyring->path, fresh, true);
    if (error == 0) {
        pthread_rwlock_wrlock(&keyring->lock);
        const struct keyring_file old = keyring->file;
        keyring->file = *fresh;
        pthread_rwlock_unlock(&keyring->lock);
        *fresh = old;
    } else {
        log_error("%s cannot be written: %s", keyring->path, strerror(-error));
    }
    keyring_file_free(fresh);
    return error;
}

static int add_version(struct keyring *keyring, struct slice name,
                       uint32_t version)
{
    struct keyring_file fresh;
    const int error =
        keyring_with_version(&keyring->file, name, version, &fresh);
    return error != 0 ? error : store(keyring, &fresh);
}

static int keyring_add(struct crypt_provider *provider, struct slice key)
{
    struct keyring *keyring = keyring_of(provider);
    struct master_key found;
    pthread_mutex_lock(&keyring->writer);
    const int error = find(keyring, key, 0, &found) != -ENOENT
                          ? -EEXIST
                          : add_version(keyring, key, 1);
    pthread_mutex_unlock(&keyring->writer);
    return error;
}

static int keyring_rotate(struct crypt_provider *provider, struct slice key)
{
    struct keyring *keyring = keyring_of(provider);
    struct master_key newest;
    pthread_mutex_lock(&keyring->writer);
    int error = find(keyring, key, 0, &newest);
    if (error != -ENOENT) { /* also of one that is disabled */
        error = add_version(keyring, key, newest.version + 1);
    }
    pthread_mutex_unlock(&keyring->writer);
    return error;
}

static int keyring_enable(struct crypt_provider *provider, struct slice key,
                          bool enabled)
{
    struct keyring *keyring = keyring_of(provider);
    struct keyring_file fresh;
    struct master_key found;
    pthread_mutex_lock(&keyring->writer);
    int error = find(keyring, key, 0, &found);
    if (error != -ENOENT) {
        keyring_with_state(&keyring->file, key, !enabled, &fresh);
        error = store(keyring, &fresh);
    }
    pthread_mutex_unlock(&keyring->writer);
    return error;
}

static json_t *describe(const struct master_key *key)
{
    return json_pack("{s:s%,s:I,s:b,s:I}", "name", (const char *)key->name.data,
                     key->name.size, "versions", (json_int_t)key->version,
                     "enabled", !key->disabled, "created",
                     (json_int_t)key->created_ms);
}

/* The newest version of a name is the last of it (K1); created: its first. */
static int keyring_list(struct crypt_provider *provider, struct buffer *out)
{
    struct keyring *keyring = keyring_of(provider);
    json_t *keys = json_array();
    uint64_t created_ms = 0;

    pthread_rwlock_rdlock(&keyring->lock);
    const size_t count = keyring_count(&keyring->file);
    for (size_t i = 0; i < count; i++) {
        struct master_key key = keyring_at(&keyring->file, i);
        if (key.version == 1) {
            created_ms = key.created_ms;
        }
        if (i + 1 == count || keyring_at(&keyring->file, i + 1).version == 1) {
            key.created_ms = created_ms;
            json_array_append_new(keys, describe(&key));
        }
    }
    pthread_rwlock_unlock(&keyring->lock);
    json_t *object = json_pack("{s:o}", "keys", keys);
    char *text = json_dumps(object, JSON_COMPACT);
    invariant(text != NULL);
    buffer_append_string(out, text);
    free(text);
    json_decref(object);
    return 0;
}

/* Of the first key of SSE-S3, which is always the first record (K1, K2). */
void crypt_keyring_id(struct crypt_provider *provider,
                      uint8_t id[CRYPT_KEYRING_ID_SIZE])
{
    struct keyring *keyring = keyring_of(provider);
    uint8_t derived[CRYPT_KEY_SIZE];
    pthread_rwlock_rdlock(&keyring->lock);
    derive(keyring_at(&keyring->file, 0).key, SLICE_LITERAL("s3d keyring 1"),
           slice_of(NULL, 0), derived);
    pthread_rwlock_unlock(&keyring->lock);
    memcpy(id, derived, CRYPT_KEYRING_ID_SIZE);
    OPENSSL_cleanse(derived, sizeof(derived));
}

/* --- opening ---------------------------------------------------------------*/
static int create(const char *path, struct keyring_file *file)
{
    const struct keyring_file none = {0};
    int error = keyring_with_version(&none, slice_of(NULL, 0), 1, file);
    if (error == 0) {
        error = keyring_save(path, file, false);
    }
    if (error != 0) {
        keyring_file_free(file);
    }
    return error;
}

int crypt_keyring_open(const char *path, struct crypt_provider **provider)
{
    static const struct provider_calls calls = {
        .kind = ENVELOPE_KEYRING,
        .wrap = keyring_wrap,
        .unwrap = keyring_unwrap,
        .newest = keyring_newest,
        .close = keyring_close,
        .add = keyring_add,
        .rotate = keyring_rotate,
        .enable = keyring_enable,
        .list = keyring_list,
    };
    struct keyring_file file;
    int error = keyring_load(path, &file);

    if (error == -ENOENT) {
        error = create(path, &file);
    }
    if (error != 0) {
        return error;
    }
    struct keyring *keyring = xcalloc(1, sizeof(*keyring));
    keyring->provider.calls = &calls;
    keyring->provider.bucket_keys = bucket_keys_new(BUCKET_KEY_LIFE_MS);
    keyring->path = xstrdup(path);
    keyring->file = file;
    pthread_mutex_init(&keyring->writer, NULL);
    pthread_rwlock_init(&keyring->lock, NULL);
    *provider = &keyring->provider;
    return 0;
}
