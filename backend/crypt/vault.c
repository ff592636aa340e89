/*
 * Vault's transit engine as a provider. An envelope is its head, as any
 * envelope's, and Vault's ciphertext: "vault:v1:...". What the envelope is
 * bound to is Vault's associated data, which the key types of AEAD check.
 */
#include "crypt/private.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CIPHERTEXT_MAX    (CRYPT_ENVELOPE_MAX - ENVELOPE_HEAD)
#define CIPHERTEXT_PREFIX "vault:v"
#define KEY_TEXT_SIZE     (4 * ((CRYPT_KEY_SIZE + 2) / 3) + 1)
#define PATH_SIZE         (KEY_NAME_MAX + 16)

struct vault {
    struct crypt_provider provider;
    char *default_key;
    struct vault_http *http;
    struct cache *keys; /* unwrapped a moment ago */
};

static struct vault *vault_of(struct crypt_provider *provider)
{
    return (struct vault *)provider;
}

/* A slash would name another path of Vault's. */
static bool vault_key_name(struct slice name)
{
    return valid_key_name(name) && memchr(name.data, '/', name.size) == NULL;
}

static void make_path(char path[PATH_SIZE], const char *verb, struct slice name)
{
    snprintf(path, PATH_SIZE, "%s/%.*s", verb, (int)name.size,
             (const char *)name.data);
}

/* --- answers ---------------------------------------------------------------*/
static bool says(const json_t *answer, const char *words)
{
    const char *text =
        json_string_value(json_array_get(json_object_get(answer, "errors"), 0));
    return text != NULL && strstr(text, words) != NULL;
}

/* What another status than 200 means. */
static int refused(const char *path, long status, const json_t *answer)
{
    if (status == 404 || (status == 400 && says(answer, "not found"))) {
        return -ENOENT;
    }
    log_warn("vault: %s: HTTP status %ld", path, status);
    if (status == 400) { /* of a key version that Vault retired, or damaged */
        return says(answer, "disallowed") ? -EACCES : -EBADMSG;
    }
    return status == 403 ? -EACCES : -EAGAIN;
}

/* The answer's data, or NULL with the error: the caller wipes and frees
 * *answer. */
static int ask(struct vault *vault, const char *path, const json_t *question,
               json_t **answer)
{
    long status = 0;
    const int error = vault_ask(vault->http, path, question, &status, answer);
    if (error != 0) {
        return error;
    }
    if (status != 200) {
        return refused(path, status, *answer);
    }
    if (!json_is_object(json_object_get(*answer, "data"))) {
        log_error("vault: %s: the answer is not Vault's", path);
        return -EAGAIN;
    }
    return 0;
}

static const char *data_text(const json_t *answer, const char *name)
{
    return json_string_value(
        json_object_get(json_object_get(answer, "data"), name));
}

static bool data_version(const json_t *answer, uint64_t *version)
{
    const json_int_t latest = json_integer_value(
        json_object_get(json_object_get(answer, "data"), "latest_version"));
    *version = (uint64_t)latest;
    return latest > 0;
}

/* Jansson does not wipe what it frees. */
static void wipe_text(const char *text)
{
    if (text != NULL) {
        OPENSSL_cleanse((char *)text, strlen(text));
    }
}

/* --- questions -------------------------------------------------------------*/
static json_t *base64_text(struct slice bytes)
{
    char *text = xmalloc(4 * ((bytes.size + 2) / 3) + 1);
    base64_encode(text, bytes.data, bytes.size);
    json_t *value = json_string(text);
    invariant(value != NULL);
    OPENSSL_cleanse(text, strlen(text));
    free(text);
    return value;
}

/* Vault refuses associated data that is empty. */
static json_t *make_question(const char *name, json_t *value,
                             struct slice bound)
{
    json_t *question = json_object();
    json_object_set_new(question, name, value);
    if (bound.size > 0) {
        json_object_set_new(question, "associated_data", base64_text(bound));
    }
    return question;
}

/* "vault:v3:..." -> 3; -EBADMSG: not of that form. */
static int ciphertext_version(struct slice ciphertext, uint64_t *version)
{
    const size_t head = sizeof(CIPHERTEXT_PREFIX) - 1;
    if (!slice_has_prefix(ciphertext, SLICE_LITERAL(CIPHERTEXT_PREFIX))) {
        return -EBADMSG;
    }
    const uint8_t *digits = ciphertext.data + head;
    const uint8_t *colon = memchr(digits, ':', ciphertext.size - head);
    if (colon == NULL ||
        slice_to_u64(slice_of(digits, (size_t)(colon - digits)), version) !=
            0) {
        return -EBADMSG;
    }
    for (size_t i = 0; i < ciphertext.size; i++) { /* goes into JSON */
        if (ciphertext.data[i] <= ' ' || ciphertext.data[i] > '~') {
            return -EBADMSG;
        }
    }
    return 0;
}

/* --- keys ------------------------------------------------------------------*/
/* Only a key type of AEAD checks what an envelope is bound to. */
static bool seals_with_data(const json_t *answer)
{
    static const char *const types[] = {"aes128-gcm96", "aes256-gcm96",
                                        "chacha20-poly1305"};
    const char *type = data_text(answer, "type");
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (type != NULL && strcmp(type, types[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int newest_of(struct vault *vault, struct slice name, uint64_t *version)
{
    char path[PATH_SIZE];
    json_t *answer;

    make_path(path, "keys", name);
    int error = ask(vault, path, NULL, &answer);
    if (error == 0 && !seals_with_data(answer)) {
        log_error("vault: %s: its type cannot be used", path);
        error = -EACCES;
    } else if (error == 0 && !data_version(answer, version)) {
        log_error("vault: %s: the answer is not Vault's", path);
        error = -EAGAIN;
    }
    json_decref(answer);
    return error == -EBADMSG ? -EACCES : error;
}

static bool name_is_gone(struct vault *vault, struct slice name)
{
    uint64_t version;
    return newest_of(vault, name, &version) == -ENOENT;
}

static int resolve(const struct vault *vault, struct slice key,
                   struct slice *name)
{
    *name = key.size > 0 ? key : slice_from_string(vault->default_key);
    return vault_key_name(*name) ? 0 : -ENOENT;
}

static int vault_newest(struct crypt_provider *provider, struct slice key,
                        uint64_t *version)
{
    struct slice name;
    const int error = resolve(vault_of(provider), key, &name);
    return error != 0 ? error : newest_of(vault_of(provider), name, version);
}

/* --- keys that are kept ----------------------------------------------------*/
/* All that unwrapping depends on. */
struct unwrapping {
    struct slice parts[3];
};

static struct unwrapping unwrapping_of(struct slice bound,
                                       const struct crypt_envelope *envelope)
{
    return (struct unwrapping){{slice_from_string(envelope->key_id),
                                slice_of(envelope->wrapped, envelope->size),
                                bound}};
}

static bool recall(struct vault *vault, struct slice bound,
                   const struct crypt_envelope *envelope,
                   uint8_t object_key[CRYPT_KEY_SIZE])
{
    const struct unwrapping from = unwrapping_of(bound, envelope);
    return cache_get(vault->keys, from.parts, 3, object_key);
}

static void keep(struct vault *vault, struct slice bound,
                 const struct crypt_envelope *envelope,
                 const uint8_t object_key[CRYPT_KEY_SIZE], uint64_t asked_us)
{
    const struct unwrapping from = unwrapping_of(bound, envelope);
    cache_put(vault->keys, from.parts, 3, object_key, asked_us);
}

/* --- wrapping --------------------------------------------------------------*/
static int take_ciphertext(struct slice name, const json_t *answer,
                           struct crypt_envelope *envelope)
{
    const char *text = data_text(answer, "ciphertext");
    uint64_t version;

    if (text == NULL || strlen(text) > CIPHERTEXT_MAX ||
        ciphertext_version(slice_from_string(text), &version) != 0) {
        log_error("vault: its ciphertext is not of the form expected");
        return -EAGAIN;
    }
    key_id_set(envelope, name, version);
    envelope->wrapped[0] = ENVELOPE_VERSION;
    envelope->wrapped[1] = ENVELOPE_VAULT;
    memcpy(envelope->wrapped + ENVELOPE_HEAD, text, strlen(text));
    envelope->size = ENVELOPE_HEAD + strlen(text);
    return 0;
}

static int vault_wrap(struct crypt_provider *provider, struct slice key,
                      struct slice bound,
                      const uint8_t object_key[CRYPT_KEY_SIZE],
                      struct crypt_envelope *envelope)
{
    struct vault *vault = vault_of(provider);
    char path[PATH_SIZE];
    struct slice name;
    json_t *answer;

    const uint64_t asked_us = clock_monotonic_us();
    int error = resolve(vault, key, &name);
    if (error != 0) {
        return error;
    }
    make_path(path, "encrypt", name);
    json_t *plain = base64_text(slice_of(object_key, CRYPT_KEY_SIZE));
    json_t *question = make_question("plaintext", plain, bound);
    error = ask(vault, path, question, &answer);
    wipe_text(json_string_value(plain));
    json_decref(question);
    if (error == 0) {
        error = take_ciphertext(name, answer, envelope);
    } else if (error == -EACCES || error == -EBADMSG) {
        /* Vault forbids to encrypt under a key that is not there: making one
         * is another right. */
        error = name_is_gone(vault, name) ? -ENOENT : -EACCES;
    }
    json_decref(answer);
    if (error == 0) {
        keep(vault, bound, envelope, object_key, asked_us);
    }
    return error;
}

/* --- unwrapping ------------------------------------------------------------*/
static int take_plaintext(const json_t *answer,
                          uint8_t object_key[CRYPT_KEY_SIZE])
{
    const char *text = data_text(answer, "plaintext");
    uint8_t bytes[CRYPT_KEY_SIZE + 1];
    int size = -EINVAL;

    if (text != NULL && strlen(text) == KEY_TEXT_SIZE - 1) {
        size = base64_decode(bytes, sizeof(bytes), slice_from_string(text));
    }
    if (size == CRYPT_KEY_SIZE) {
        memcpy(object_key, bytes, CRYPT_KEY_SIZE);
    }
    wipe_text(text);
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return size == CRYPT_KEY_SIZE ? 0 : -EBADMSG;
}

static int ask_plaintext(struct vault *vault, struct slice name,
                         struct slice bound, struct slice ciphertext,
                         uint8_t object_key[CRYPT_KEY_SIZE])
{
    char path[PATH_SIZE];
    json_t *answer;

    make_path(path, "decrypt", name);
    json_t *value =
        json_stringn((const char *)ciphertext.data, ciphertext.size);
    invariant(value != NULL);
    json_t *question = make_question("ciphertext", value, bound);
    int error = ask(vault, path, question, &answer);
    json_decref(question);
    if (error == 0) {
        error = take_plaintext(answer, object_key);
    }
    json_decref(answer);
    return error;
}

static int vault_unwrap(struct crypt_provider *provider, struct slice bound,
                        const struct crypt_envelope *envelope,
                        uint8_t object_key[CRYPT_KEY_SIZE])
{
    struct vault *vault = vault_of(provider);
    const struct slice ciphertext = slice_of(envelope->wrapped + ENVELOPE_HEAD,
                                             envelope->size - ENVELOPE_HEAD);
    uint64_t version, sealed_with;
    struct slice name;

    if (key_id_parse(envelope, &name, &version) != 0 || !vault_key_name(name) ||
        ciphertext_version(ciphertext, &sealed_with) != 0 ||
        version != sealed_with) {
        return -EBADMSG;
    }
    if (recall(vault, bound, envelope, object_key)) {
        return 0;
    }
    const uint64_t asked_us = clock_monotonic_us();
    const int error = ask_plaintext(vault, name, bound, ciphertext, object_key);
    if (error == 0) {
        keep(vault, bound, envelope, object_key, asked_us);
    }
    return error;
}

/* --- opening ---------------------------------------------------------------*/
static void vault_close(struct crypt_provider *provider)
{
    struct vault *vault = vault_of(provider);
    vault_http_free(vault->http);
    cache_free(vault->keys);
    cache_free(provider->bucket_keys);
    free(vault->default_key);
    free(vault);
}

int crypt_vault_open(const struct crypt_vault *config,
                     struct crypt_provider **provider)
{
    static const struct provider_calls calls = {
        .kind = ENVELOPE_VAULT,
        .wrap = vault_wrap,
        .unwrap = vault_unwrap,
        .newest = vault_newest,
        .close = vault_close,
    };
    const char *key = config->default_key != NULL ? config->default_key : "";
    struct vault_http *http;

    if (key[0] != '\0' && !vault_key_name(slice_from_string(key))) {
        return -EINVAL;
    }
    const int error = vault_http_new(config, &http);
    if (error != 0) {
        return error;
    }
    struct vault *vault = xcalloc(1, sizeof(*vault));
    vault->provider.calls = &calls;
    vault->default_key = xstrdup(key);
    vault->http = http;
    vault->keys = cache_new(&(struct cache_shape){.sets = 256,
                                                  .value_size = CRYPT_KEY_SIZE,
                                                  .life_ms = config->cache_ms});
    vault->provider.bucket_keys = bucket_keys_new(config->cache_ms);
    *provider = &vault->provider;
    return 0;
}
