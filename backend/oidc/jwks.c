/*
 * JSON Web Key Sets.
 * https://www.rfc-editor.org/rfc/rfc7517
 * https://www.rfc-editor.org/rfc/rfc7518#section-6
 */
#include "oidc/private.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

#define RSA_BITS_MIN    2048
#define RSA_BITS_MAX    8192
#define COORDINATE_SIZE 32 /* of P-256 */
#define KEY_ID_MAX      255u

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static bool member(struct arena *arena, const json_t *jwk, const char *name,
                   struct slice *bytes)
{
    const char *text = text_of(jwk, name);

    return text != NULL &&
           base64url_decode(arena, slice_from_string(text), bytes) == 0 &&
           bytes->size > 0;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *builder)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;

    if (params == NULL || context == NULL ||
        EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *read_rsa(struct arena *arena, const json_t *jwk)
{
    struct slice n, e;
    OSSL_PARAM_BLD *builder;
    BIGNUM *modulus, *exponent;
    EVP_PKEY *key = NULL;

    if (!member(arena, jwk, "n", &n) || !member(arena, jwk, "e", &e) ||
        n.size > RSA_BITS_MAX / 8 + 1 || e.size > 8) {
        return NULL;
    }
    modulus = BN_bin2bn(n.data, (int)n.size, NULL);
    exponent = BN_bin2bn(e.data, (int)e.size, NULL);
    builder = OSSL_PARAM_BLD_new();
    invariant(modulus != NULL && exponent != NULL && builder != NULL);
    if (BN_num_bits(modulus) >= RSA_BITS_MIN &&
        BN_num_bits(modulus) <= RSA_BITS_MAX && BN_is_odd(modulus) &&
        BN_is_odd(exponent) && !BN_is_one(exponent) &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1) {
        key = from_params("RSA", builder);
    }
    OSSL_PARAM_BLD_free(builder);
    BN_free(modulus);
    BN_free(exponent);
    return key;
}

/* A point that is not on the curve is refused by OpenSSL. */
static EVP_PKEY *read_ec(struct arena *arena, const json_t *jwk)
{
    static const char group[] = "prime256v1";
    uint8_t point[1 + 2 * COORDINATE_SIZE] = {POINT_CONVERSION_UNCOMPRESSED};
    const char *curve = text_of(jwk, "crv");
    OSSL_PARAM_BLD *builder;
    EVP_PKEY *key = NULL;
    struct slice x, y;

    if (curve == NULL || strcmp(curve, "P-256") != 0 ||
        !member(arena, jwk, "x", &x) || !member(arena, jwk, "y", &y) ||
        x.size != COORDINATE_SIZE || y.size != COORDINATE_SIZE) {
        return NULL;
    }
    memcpy(point + 1, x.data, COORDINATE_SIZE);
    memcpy(point + 1 + COORDINATE_SIZE, y.data, COORDINATE_SIZE);
    builder = OSSL_PARAM_BLD_new();
    invariant(builder != NULL);
    if (OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME,
                                        group, sizeof(group) - 1) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY,
                                         point, sizeof(point)) == 1) {
        key = from_params("EC", builder);
    }
    OSSL_PARAM_BLD_free(builder);
    return key;
}

static bool is_or_absent(const json_t *jwk, const char *name, const char *value)
{
    const json_t *found = json_object_get(jwk, name);

    return found == NULL || (json_is_string(found) &&
                             strcmp(json_string_value(found), value) == 0);
}

/* Keys for other ends, and of other kinds, are no error: sets hold them. */
static void add_key(struct arena *arena, const json_t *jwk,
                    struct oidc_keys *keys)
{
    const char *type = text_of(jwk, "kty"), *id = text_of(jwk, "kid");
    struct oidc_key *key = &keys->items[keys->count];

    if (type == NULL || !is_or_absent(jwk, "use", "sig") ||
        (id != NULL && strlen(id) > KEY_ID_MAX)) {
        return;
    }
    if (strcmp(type, "RSA") == 0 && is_or_absent(jwk, "alg", "RS256")) {
        *key = (struct oidc_key){.algorithm = OIDC_RS256,
                                 .key = read_rsa(arena, jwk)};
    } else if (strcmp(type, "EC") == 0 && is_or_absent(jwk, "alg", "ES256")) {
        *key = (struct oidc_key){.algorithm = OIDC_ES256,
                                 .key = read_ec(arena, jwk)};
    } else {
        return;
    }
    if (key->key != NULL) {
        key->id = xstrdup(id != NULL ? id : "");
        keys->count++;
    }
}

int keys_parse(struct slice json, struct oidc_keys *keys)
{
    json_t *set = json_loadb((const char *)json.data, json.size,
                             JSON_REJECT_DUPLICATES, NULL);
    const json_t *list = json_object_get(set, "keys");
    const size_t count = json_array_size(list);
    struct arena *arena = arena_new();

    *keys = (struct oidc_keys){NULL, 0};
    if (count > 0 && count <= OIDC_KEYS_MAX) {
        keys->items = xcalloc(count, sizeof(*keys->items));
        for (size_t i = 0; i < count; i++) {
            add_key(arena, json_array_get(list, i), keys);
        }
    }
    arena_free(arena);
    json_decref(set);
    if (keys->count == 0) {
        keys_free(keys);
        return -EINVAL;
    }
    return 0;
}

void keys_free(struct oidc_keys *keys)
{
    for (size_t i = 0; i < keys->count; i++) {
        free(keys->items[i].id);
        EVP_PKEY_free(keys->items[i].key);
    }
    free(keys->items);
    *keys = (struct oidc_keys){NULL, 0};
}

const struct oidc_key *keys_find(const struct oidc_keys *keys, const char *id,
                                 enum oidc_algorithm algorithm)
{
    const struct oidc_key *found = NULL;

    for (size_t i = 0; i < keys->count; i++) {
        const struct oidc_key *key = &keys->items[i];

        if (key->algorithm != algorithm ||
            (id != NULL && strcmp(key->id, id) != 0)) {
            continue;
        }
        if (found != NULL) {
            return NULL;
        }
        found = key;
    }
    return found;
}
