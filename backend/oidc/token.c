/*
 * Tokens.
 * https://www.rfc-editor.org/rfc/rfc7515 https://www.rfc-editor.org/rfc/rfc7519
 */
#include "oidc/provider.h"

#include <errno.h>
#include <string.h>

#define TIME_MAX 253402300799.0 /* seconds: the year 9999 */

/* header "." claims "." signature, and the bytes that the signature covers */
struct parts {
    struct slice covered, signature;
    json_t *header, *claims;
};

/* --- taking apart ----------------------------------------------------------*/
static json_t *read_object(struct arena *arena, struct slice text)
{
    struct slice bytes;
    json_t *json;

    if (base64url_decode(arena, text, &bytes) != 0) {
        return NULL;
    }
    json = json_loadb((const char *)bytes.data, bytes.size,
                      JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(json)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

static const uint8_t *find_dot(struct slice text)
{
    return text.size > 0 ? memchr(text.data, '.', text.size) : NULL;
}

static bool take_apart(struct arena *arena, struct slice text,
                       struct parts *parts)
{
    const uint8_t *first = find_dot(text), *second;
    const uint8_t *end = text.data + text.size;

    if (first == NULL) {
        return false;
    }
    second = find_dot(slice_of(first + 1, (size_t)(end - first - 1)));
    if (second == NULL ||
        base64url_decode(arena,
                         slice_of(second + 1, (size_t)(end - second - 1)),
                         &parts->signature) != 0) {
        return false;
    }
    parts->covered = slice_of(text.data, (size_t)(second - text.data));
    parts->header =
        read_object(arena, slice_of(text.data, (size_t)(first - text.data)));
    parts->claims =
        read_object(arena, slice_of(first + 1, (size_t)(second - first - 1)));
    return parts->header != NULL && parts->claims != NULL;
}

/* --- who signed it ---------------------------------------------------------*/
/* J1. What "crit" names must be understood, and nothing is. */
static bool read_algorithm(const json_t *header, enum oidc_algorithm *algorithm)
{
    const char *name = json_string_value(json_object_get(header, "alg"));

    if (name == NULL || json_object_get(header, "crit") != NULL) {
        return false;
    }
    *algorithm = strcmp(name, "ES256") == 0 ? OIDC_ES256 : OIDC_RS256;
    return *algorithm == OIDC_ES256 || strcmp(name, "RS256") == 0;
}

static bool is_signed_by(const struct provider *provider,
                         const struct parts *parts)
{
    const json_t *id = json_object_get(parts->header, "kid");
    enum oidc_algorithm algorithm;
    const struct oidc_key *key;

    if (!read_algorithm(parts->header, &algorithm) ||
        (id != NULL && !json_is_string(id))) {
        return false;
    }
    key = keys_find(&provider->keys, json_string_value(id), algorithm);
    return key != NULL &&
           signature_verify(key, parts->covered, parts->signature);
}

static int check_signature(struct provider *provider, const struct parts *parts)
{
    int result = -EIO;

    pthread_mutex_lock(&provider->lock);
    if (provider_refresh(provider) == 0) {
        result = is_signed_by(provider, parts) ? 0 : -EINVAL;
    }
    pthread_mutex_unlock(&provider->lock);
    return result;
}

/* --- what it says ----------------------------------------------------------*/
static bool names_audience(const json_t *claims, const char *audience)
{
    const json_t *found = json_object_get(claims, "aud");
    const json_t *item;
    size_t i;

    if (json_is_string(found)) {
        return strcmp(json_string_value(found), audience) == 0;
    }
    json_array_foreach(found, i, item)
    {
        if (json_is_string(item) &&
            strcmp(json_string_value(item), audience) == 0) {
            return true;
        }
    }
    return false;
}

/* False: it is there and is no time. */
static bool read_time(const json_t *claims, const char *name, double *seconds)
{
    const json_t *found = json_object_get(claims, name);

    if (found == NULL) {
        return true;
    }
    *seconds = json_number_value(found);
    return json_is_number(found) && *seconds >= 0 && *seconds <= TIME_MAX;
}

static int check_times(const json_t *claims, uint64_t now_ms)
{
    const double now = (double)now_ms / 1000;
    double expires = -1, begins = 0, issued = 0;

    if (!read_time(claims, "exp", &expires) || expires < 0 ||
        !read_time(claims, "nbf", &begins) ||
        !read_time(claims, "iat", &issued)) {
        return -EINVAL;
    }
    if (now >= expires) {
        return -EKEYEXPIRED;
    }
    return begins > now + OIDC_CLOCK_SKEW_S || issued > now + OIDC_CLOCK_SKEW_S
               ? -EACCES
               : 0;
}

/* Several providers may be one issuer's, for different audiences. */
static int verify_by(struct provider *provider, const struct parts *parts,
                     uint64_t now_ms, struct oidc_token *token)
{
    const char *subject =
        json_string_value(json_object_get(parts->claims, "sub"));
    int error = check_signature(provider, parts);

    if (error == 0) {
        error = check_times(parts->claims, now_ms);
    }
    if (error == 0 && (subject == NULL || subject[0] == '\0')) {
        error = -EINVAL;
    }
    if (error == 0 && !names_audience(parts->claims, provider->audience)) {
        error = -EACCES;
    }
    if (error == 0) {
        *token = (struct oidc_token){provider->name, provider->audience,
                                     subject, json_incref(parts->claims)};
    }
    return error;
}

static int verify(struct oidc *oidc, const struct parts *parts, uint64_t now_ms,
                  struct oidc_token *token)
{
    const char *issuer =
        json_string_value(json_object_get(parts->claims, "iss"));
    int error = -ENOENT;

    for (size_t i = 0; issuer != NULL && i < oidc->count; i++) {
        struct provider *provider = &oidc->providers[i];

        if (strcmp(issuer, provider->issuer) == 0) {
            error = verify_by(provider, parts, now_ms, token);
            if (error != -EACCES) {
                break;
            }
        }
    }
    return error;
}

int oidc_verify(struct oidc *oidc, struct slice text, uint64_t now_ms,
                struct oidc_token *token)
{
    struct parts parts = {.header = NULL};
    struct arena *arena;
    int error = -EINVAL;

    if (oidc == NULL) {
        return -ENOENT;
    }
    if (text.size > OIDC_TOKEN_MAX) {
        return -EINVAL;
    }
    arena = arena_new();
    if (take_apart(arena, text, &parts)) {
        error = verify(oidc, &parts, now_ms, token);
    }
    json_decref(parts.header);
    json_decref(parts.claims);
    arena_free(arena);
    return error;
}

void oidc_token_free(struct oidc_token *token)
{
    json_decref(token->claims);
}

size_t oidc_claim(const struct oidc_token *token, struct slice name,
                  struct slice *values, size_t max)
{
    const json_t *found, *item;
    char text[64];
    size_t i, count = 0;

    if (name.size >= sizeof(text) || max == 0) {
        return 0;
    }
    memcpy(text, name.data, name.size);
    text[name.size] = '\0';
    found = json_object_get(token->claims, text);
    if (json_is_string(found)) {
        values[0] =
            slice_of(json_string_value(found), json_string_length(found));
        return 1;
    }
    json_array_foreach(found, i, item)
    {
        if (json_is_string(item) && count < max) {
            values[count++] =
                slice_of(json_string_value(item), json_string_length(item));
        }
    }
    return count;
}
