/*
 * Tokens of OpenID Connect identity providers: who somebody is elsewhere.
 *
 * A token is a signed JWT (RFC 7519). What signs it is looked up in a file,
 * the provider's JSON Web Key Set (RFC 7517), which is read again whenever it
 * has changed: nothing is fetched over the network.
 *
 * Invariants:
 *   J1  Only RS256 and ES256 are believed, and each only with a key of its own
 *       kind: "none" and HMAC never.
 *   J2  Claims are looked at only after the signature was verified, but for
 *       the issuer, which says whose keys to use.
 *   J3  What cannot be read, of a token or of a key, is refused.
 */
#ifndef OIDC_H
#define OIDC_H

#include "base/base.h"

#define OIDC_TOKEN_MAX    20000u /* bytes of a token */
#define OIDC_JWKS_MAX     (256u << 10)
#define OIDC_KEYS_MAX     64u
#define OIDC_ISSUER_MAX   255u
#define OIDC_CLOCK_SKEW_S 60 /* for what must not lie in the future */

struct oidc_provider {
    const char *issuer;   /* "https://idp.example.org/realm": its "iss" */
    const char *audience; /* that its "aud" must hold */
    const char *jwks;     /* path of the file */
};

struct oidc;

/* Copies the providers; the files are read when tokens come. */
struct oidc *oidc_new(const struct oidc_provider *providers, size_t count);
void oidc_free(struct oidc *oidc); /* NULL is allowed */

struct oidc_token {
    const char *provider; /* the issuer without "https://"; as long as oidc */
    const char *audience; /* the same */
    const char *subject;  /* "sub" */
    void *claims;
};

/* Verifies signature, issuer, audience and times. Thread-safe; reads files.
 * The caller frees the token if it is 0.
 *   -EINVAL      it is malformed, or nobody that is believed signed it
 *   -ENOENT      its issuer is none of the providers, or `oidc` is NULL
 *   -EKEYEXPIRED it is over
 *   -EACCES      it is for another audience, or not valid yet
 *   -EIO         the provider's keys cannot be read */
int oidc_verify(struct oidc *oidc, struct slice text, uint64_t now_ms,
                struct oidc_token *token);
void oidc_token_free(struct oidc_token *token);

/* A claim that is a text, or an array of texts: how many, at most `max`. They
 * live as long as the token. */
size_t oidc_claim(const struct oidc_token *token, struct slice name,
                  struct slice *values, size_t max);

#endif
