/*
 * AWS Signature Version 4, the signing side, in a header. Pure.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
#include "transfer/private.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define HASH_SIZE 32

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct field *)a)->name,
                  ((const struct field *)b)->name);
}

void fields_sort(struct field *fields, size_t count)
{
    qsort(fields, count, sizeof(*fields), compare);
}

static void signed_names(struct buffer *out,
                         const struct signed_request *request)
{
    for (size_t i = 0; i < request->header_count; i++) {
        buffer_append_string(out, i > 0 ? ";" : "");
        buffer_append_string(out, request->headers[i].name);
    }
}

/* Trimmed, and with one space where there are some. */
static void append_folded(struct buffer *out, const char *value)
{
    bool space = false;

    for (value += strspn(value, " "); *value != '\0'; value++) {
        if (*value == ' ') {
            space = true;
        } else {
            buffer_append(out, " ", space ? 1 : 0);
            buffer_append(out, value, 1);
            space = false;
        }
    }
}

/* The SHA-256 of the canonical request, in hex. */
static void canonical_hash(const struct signed_request *request,
                           char hex[2 * HASH_SIZE + 1])
{
    struct buffer text = {0};
    uint8_t hash[HASH_SIZE];

    buffer_printf(&text, "%s\n%s\n%s\n", request->method, request->path,
                  request->query);
    for (size_t i = 0; i < request->header_count; i++) {
        buffer_printf(&text, "%s:", request->headers[i].name);
        append_folded(&text, request->headers[i].value);
        buffer_append_string(&text, "\n");
    }
    buffer_append_string(&text, "\n");
    signed_names(&text, request);
    buffer_printf(&text, "\n%s", request->payload);
    invariant(
        EVP_Digest(text.data, text.size, hash, NULL, EVP_sha256(), NULL) == 1);
    hex_encode(hex, hash, sizeof(hash));
    buffer_free(&text);
}

void sign(struct buffer *out, const struct signed_request *request,
          const char *region, const char *access_key, const char *secret_key)
{
    const struct slice day = slice_of(request->date, 8);
    char canonical[2 * HASH_SIZE + 1], signature[2 * HASH_SIZE + 1];
    uint8_t key[SIGNING_KEY_SIZE], mac[HASH_SIZE];
    struct buffer text = {0};

    canonical_hash(request, canonical);
    buffer_printf(&text, ALGORITHM "\n%s\n%.8s/%s/s3/aws4_request\n%s",
                  request->date, request->date, region, canonical);
    signing_key(slice_from_string(secret_key), day, slice_from_string(region),
                SLICE_LITERAL("s3"), key);
    invariant(HMAC(EVP_sha256(), key, sizeof(key), text.data, text.size, mac,
                   NULL) != NULL);
    hex_encode(signature, mac, sizeof(mac));
    buffer_printf(out,
                  ALGORITHM " Credential=%s/%.8s/%s/s3/aws4_request, "
                            "SignedHeaders=",
                  access_key, request->date, region);
    signed_names(out, request);
    buffer_printf(out, ", Signature=%s", signature);
    OPENSSL_cleanse(key, sizeof(key));
    buffer_free(&text);
}
