/* Private to oidc/: keys, and the parts of a token. */
#ifndef OIDC_PRIVATE_H
#define OIDC_PRIVATE_H

#include "oidc/oidc.h"

#include <jansson.h>
#include <openssl/evp.h>

enum oidc_algorithm { OIDC_RS256, OIDC_ES256 };

/* --- base64url.c -----------------------------------------------------------*/
/* Without padding (RFC 7515, 2). In the arena; 0 or -EINVAL. */
int base64url_decode(struct arena *arena, struct slice text,
                     struct slice *bytes);

/* --- jwks.c: the keys of a provider ----------------------------------------*/
struct oidc_key {
    char *id; /* "kid"; "" if it has none */
    enum oidc_algorithm algorithm;
    EVP_PKEY *key;
};
struct oidc_keys {
    struct oidc_key *items;
    size_t count;
};
/* Those that verify signatures; others in the set are left out. 0, -EINVAL. */
int keys_parse(struct slice json, struct oidc_keys *keys);
void keys_free(struct oidc_keys *keys);
/* The one key that a token names (`id` NULL: it names none), if there is
 * exactly one. */
const struct oidc_key *keys_find(const struct oidc_keys *keys, const char *id,
                                 enum oidc_algorithm algorithm);

/* --- signature.c -----------------------------------------------------------*/
bool signature_verify(const struct oidc_key *key, struct slice text,
                      struct slice signature);

#endif
