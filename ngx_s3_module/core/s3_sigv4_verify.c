
/*
 * AWS Signature Version 4: whether the signature is right.  Nothing here is
 * secret but the key: what HMAC makes of it stays until the next one's.
 * For one thread.
 */

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

#include "s3_sigv4.h"
#include "s3_sigv4_canonical.h"
#include "s3_string.h"
#include "s3_xml.h"


#define S3_SIGV4_ALGORITHM  "AWS4-HMAC-SHA256"

/* What a mismatch shows of a canonical request is no larger. */
#define S3_SIGV4_DEBUG_MAX  (16 * 1024)


static const EVP_MD *s3_sigv4_sha256(void);
static int s3_sigv4_hmac(const unsigned char key[S3_SIGV4_KEY_LEN],
    const s3_str_t *text, unsigned char mac[S3_SIGV4_KEY_LEN]);
static int s3_sigv4_string_to_sign(s3_memory_t *memory, const s3_sigv4_t *auth,
    const s3_str_t *canonical, s3_str_t *out);
static enum s3_error s3_sigv4_mismatch(s3_memory_t *memory,
    const s3_sigv4_t *auth, const s3_str_t *canonical,
    const s3_str_t *string_to_sign, s3_error_t *error);
static int s3_sigv4_add_bytes(s3_memory_t *memory, s3_error_t *error,
    const char *name, const s3_str_t *text);


enum s3_error
s3_sigv4_verify(s3_memory_t *memory, const s3_sigv4_request_t *request,
    const s3_sigv4_t *auth, const unsigned char key[S3_SIGV4_KEY_LEN],
    s3_error_t *error)
{
    s3_str_t       canonical, string_to_sign;
    enum s3_error  rc;
    unsigned char  mac[S3_SIGV4_KEY_LEN], hex[S3_SIGV4_SIGNATURE_LEN];

    s3_error_init(error, S3_OK);

    if (auth->anonymous) {
        s3_error_init(error, S3_ERR_AccessDenied);
        return S3_ERR_AccessDenied;
    }

    rc = s3_sigv4_canonical(memory, request, auth, &canonical);

    if (rc == S3_OK
        && s3_sigv4_string_to_sign(memory, auth, &canonical, &string_to_sign)
           != 0)
    {
        rc = S3_ERR_InternalError;
    }

    if (rc == S3_OK && s3_sigv4_hmac(key, &string_to_sign, mac) != 0) {
        rc = S3_ERR_InternalError;
    }

    if (rc != S3_OK) {
        s3_error_init(error, rc);
        return rc;
    }

    (void) s3_hex_dump(hex, mac, sizeof(mac));

    if (auth->signature.len == S3_SIGV4_SIGNATURE_LEN
        && CRYPTO_memcmp(hex, auth->signature.data, S3_SIGV4_SIGNATURE_LEN)
           == 0)
    {
        return S3_OK;
    }

    return s3_sigv4_mismatch(memory, auth, &canonical, &string_to_sign, error);
}


/*
 * OpenSSL looks an algorithm up by its name, under locks, whenever it is asked
 * for by HMAC() or EVP_sha256(): here once.
 */

static const EVP_MD *
s3_sigv4_sha256(void)
{
    static EVP_MD  *md;

    if (md == NULL) {
        md = EVP_MD_fetch(NULL, "SHA256", NULL);
    }

    return md;
}


static int
s3_sigv4_hmac(const unsigned char key[S3_SIGV4_KEY_LEN], const s3_str_t *text,
    unsigned char mac[S3_SIGV4_KEY_LEN])
{
    size_t       len;
    EVP_MAC     *hmac;
    OSSL_PARAM   params[2];

    static EVP_MAC_CTX  *ctx;

    if (ctx == NULL) {
        hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
        ctx = hmac != NULL ? EVP_MAC_CTX_new(hmac) : NULL;
        EVP_MAC_free(hmac);

        params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                     (char *) "SHA256", 0);
        params[1] = OSSL_PARAM_construct_end();

        if (ctx == NULL || EVP_MAC_CTX_set_params(ctx, params) != 1) {
            EVP_MAC_CTX_free(ctx);
            ctx = NULL;
            return -1;
        }
    }

    if (EVP_MAC_init(ctx, key, S3_SIGV4_KEY_LEN, NULL) != 1
        || EVP_MAC_update(ctx, text->data, text->len) != 1
        || EVP_MAC_final(ctx, mac, &len, S3_SIGV4_KEY_LEN) != 1
        || len != S3_SIGV4_KEY_LEN)
    {
        return -1;
    }

    return 0;
}


int
s3_sigv4_digest(s3_memory_t *memory, const s3_str_t *body, s3_str_t *hex)
{
    unsigned       len;
    unsigned char  hash[EVP_MAX_MD_SIZE];

    hex->len = S3_SIGV4_SIGNATURE_LEN;
    hex->data = s3_alloc(memory, S3_SIGV4_SIGNATURE_LEN);

    if (hex->data == NULL
        || EVP_Digest(body->data, body->len, hash, &len, s3_sigv4_sha256(),
                      NULL)
           != 1
        || len != S3_SIGV4_KEY_LEN)
    {
        return -1;
    }

    (void) s3_hex_dump(hex->data, hash, len);

    return 0;
}


static int
s3_sigv4_string_to_sign(s3_memory_t *memory, const s3_sigv4_t *auth,
    const s3_str_t *canonical, s3_str_t *out)
{
    unsigned       len;
    s3_str_t       parts[10];
    unsigned char  hash[EVP_MAX_MD_SIZE], hex[S3_SIGV4_SIGNATURE_LEN];

    if (EVP_Digest(canonical->data, canonical->len, hash, &len,
                   s3_sigv4_sha256(), NULL)
        != 1 || len != S3_SIGV4_KEY_LEN)
    {
        return -1;
    }

    (void) s3_hex_dump(hex, hash, len);

    s3_str_set(&parts[0], S3_SIGV4_ALGORITHM "\n");
    parts[1] = auth->amz_date;
    s3_str_set(&parts[2], "\n");
    parts[3] = auth->date;
    s3_str_set(&parts[4], "/");
    parts[5] = auth->region;
    s3_str_set(&parts[6], "/");
    parts[7] = auth->service;
    s3_str_set(&parts[8], "/aws4_request\n");
    parts[9].data = hex;
    parts[9].len = sizeof(hex);

    return s3_str_join(memory, out, parts, s3_nelts(parts));
}


/* What S3 shows, so that the author of a client can compare. */

static enum s3_error
s3_sigv4_mismatch(s3_memory_t *memory, const s3_sigv4_t *auth,
    const s3_str_t *canonical, const s3_str_t *string_to_sign,
    s3_error_t *error)
{
    s3_error_init(error, S3_ERR_SignatureDoesNotMatch);

    s3_error_add(error, "AWSAccessKeyId", &auth->access_key);
    s3_error_add(error, "StringToSign", string_to_sign);
    s3_error_add(error, "SignatureProvided", &auth->signature);

    if (s3_sigv4_add_bytes(memory, error, "StringToSignBytes", string_to_sign)
        != 0)
    {
        goto failed;
    }

    if (canonical->len <= S3_SIGV4_DEBUG_MAX) {

        s3_error_add(error, "CanonicalRequest", canonical);

        if (s3_sigv4_add_bytes(memory, error, "CanonicalRequestBytes",
                               canonical)
            != 0)
        {
            goto failed;
        }
    }

    return S3_ERR_SignatureDoesNotMatch;

failed:

    s3_error_init(error, S3_ERR_InternalError);

    return S3_ERR_InternalError;
}


/* "41 57 53 34" */

static int
s3_sigv4_add_bytes(s3_memory_t *memory, s3_error_t *error, const char *name,
    const s3_str_t *text)
{
    size_t          i;
    s3_str_t        bytes;
    unsigned char  *p;

    p = s3_alloc(memory, 3 * text->len + 1);
    if (p == NULL) {
        return -1;
    }

    bytes.data = p;

    for (i = 0; i < text->len; i++) {
        if (i) {
            *p++ = ' ';
        }

        p = s3_hex_dump(p, text->data + i, 1);
    }

    bytes.len = (size_t) (p - bytes.data);

    s3_error_add(error, name, &bytes);

    return 0;
}
