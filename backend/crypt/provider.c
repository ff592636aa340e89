/*
 * What is asked of any provider goes to the one that was opened.
 */
#include "crypt/private.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

bool valid_key_name(struct slice name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz"
                                  "0123456789/_-";
    for (size_t i = 0; i < name.size; i++) {
        if (memchr(allowed, name.data[i], sizeof(allowed) - 1) == NULL) {
            return false;
        }
    }
    return name.size >= 1 && name.size <= KEY_NAME_MAX;
}

int crypt_wrap(struct crypt_provider *provider, struct slice key,
               struct slice bound, const uint8_t object_key[CRYPT_KEY_SIZE],
               struct crypt_envelope *envelope)
{
    if (key.size > 0 && !valid_key_name(key)) {
        return -ENOENT;
    }
    return provider->calls->wrap(provider, key, bound, object_key, envelope);
}

int crypt_wrap_in_bucket(struct crypt_provider *provider, struct slice key,
                         struct slice bucket, struct slice bound,
                         const uint8_t object_key[CRYPT_KEY_SIZE],
                         struct crypt_envelope *envelope)
{
    if (key.size > 0 && !valid_key_name(key)) {
        return -ENOENT;
    }
    return bucket_wrap(provider, key, bucket, bound, object_key, envelope);
}

void crypt_forget_bucket_keys(struct crypt_provider *provider)
{
    cache_clear(provider->bucket_keys);
}

bool crypt_wrapped_by(const struct crypt_provider *provider,
                      const struct crypt_envelope *envelope)
{
    struct crypt_envelope outer;
    struct slice bucket;

    if (bucket_envelope_split(envelope, &bucket, &outer) == 0) {
        envelope = &outer;
    }
    return envelope_is(envelope, provider->calls->kind);
}

int crypt_wrapping_key(const struct crypt_envelope *envelope,
                       struct slice *name, uint64_t *version)
{
    return key_id_parse(envelope, name, version);
}

int crypt_unwrap(struct crypt_provider *provider, struct slice bound,
                 const struct crypt_envelope *envelope,
                 uint8_t object_key[CRYPT_KEY_SIZE])
{
    if (!crypt_wrapped_by(provider, envelope)) {
        return -EBADMSG;
    }
    if (envelope_is(envelope, ENVELOPE_BUCKET)) {
        return bucket_unwrap(provider, bound, envelope, object_key);
    }
    return provider->calls->unwrap(provider, bound, envelope, object_key);
}

int crypt_rewrap(struct crypt_provider *from, struct crypt_provider *to,
                 struct slice key, struct slice bound,
                 struct crypt_envelope *envelope)
{
    uint8_t object_key[CRYPT_KEY_SIZE];
    struct crypt_envelope fresh = {.size = 0}, outer;
    struct slice bucket;
    int error = crypt_unwrap(from, bound, envelope, object_key);

    if (error == 0) {
        error = bucket_envelope_split(envelope, &bucket, &outer) == 0
                    ? crypt_wrap_in_bucket(to, key, bucket, bound, object_key,
                                           &fresh)
                    : crypt_wrap(to, key, bound, object_key, &fresh);
    }
    if (error == 0) {
        *envelope = fresh;
    }
    OPENSSL_cleanse(object_key, sizeof(object_key));
    return error;
}

int crypt_newest_version(struct crypt_provider *provider, struct slice key,
                         uint64_t *version)
{
    if (key.size > 0 && !valid_key_name(key)) {
        return -ENOENT;
    }
    return provider->calls->newest(provider, key, version);
}

int crypt_check_key(struct crypt_provider *provider, struct slice key)
{
    uint64_t version;
    return crypt_newest_version(provider, key, &version);
}

void crypt_provider_close(struct crypt_provider *provider)
{
    if (provider != NULL) {
        provider->calls->close(provider);
    }
}

/* --- administration --------------------------------------------------------*/
int crypt_key_add(struct crypt_provider *provider, struct slice key)
{
    if (provider->calls->add == NULL) {
        return -ENOTSUP;
    }
    return valid_key_name(key) ? provider->calls->add(provider, key) : -EINVAL;
}

int crypt_key_rotate(struct crypt_provider *provider, struct slice key)
{
    if (provider->calls->rotate == NULL) {
        return -ENOTSUP;
    }
    const int error = provider->calls->rotate(provider, key);
    crypt_forget_bucket_keys(provider);
    return error;
}

int crypt_key_enable(struct crypt_provider *provider, struct slice key,
                     bool enabled)
{
    if (provider->calls->enable == NULL) {
        return -ENOTSUP;
    }
    return valid_key_name(key) ? provider->calls->enable(provider, key, enabled)
                               : -EINVAL;
}

int crypt_key_list(struct crypt_provider *provider, struct buffer *out)
{
    return provider->calls->list != NULL ? provider->calls->list(provider, out)
                                         : -ENOTSUP;
}
