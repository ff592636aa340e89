/*
 * Who sends a form: the signature over its policy.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-authentication-HTTPPOST.html
 *
 * The string to sign is the policy as it was sent, in base64. There is no
 * clock in it: the policy says how long it is good for.
 */
#include "s3/post.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define ACCESS_KEY_MAX 128u /* bytes; as the worker bounds it */
#define REGION_MAX     64u

/* In the order in which S3 misses them. */
static const char *const required[] = {
    "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date",
    "X-Amz-Signature", "Policy",
};
#define REQUIRED (sizeof(required) / sizeof(required[0]))

struct scope {
    struct slice access_key, date, region, service, end;
};

static bool is_signed(const struct post *post)
{
    bool any = false;

    for (size_t i = 0; i + 1 < REQUIRED;
         i++) { /* a policy alone signs nothing */
        any |= post_value(post, required[i]).data != NULL;
    }
    return any;
}

/* Of nobody: what the bucket lets everybody do, it lets forms do. */
static bool authenticate_nobody(struct s3_call *call, const struct post *post)
{
    if (post_value(post, "awsaccesskeyid").data != NULL ||
        post_value(post, "signature").data != NULL) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "The authorization mechanism you have provided is "
                          "not supported. Please use AWS4-HMAC-SHA256.");
        return false;
    }
    if (post_value(post, "policy").data != NULL) {
        call_fail(call, S3_ERR_AccessDenied);
        return false;
    }
    return call_authenticate(call, slice_of(NULL, 0), 0,
                             post_value(post, "x-amz-security-token"));
}

static bool check_fields(struct s3_call *call, const struct post *post)
{
    for (size_t i = 0; i < REQUIRED; i++) {
        if (post_value(post, required[i]).data == NULL) {
            return post_fail_missing(call, required[i]);
        }
    }
    return true;
}

/* --- the credential --------------------------------------------------------*/
static struct slice take_last(struct slice *text)
{
    size_t start = text->size;
    struct slice last;

    while (start > 0 && text->data[start - 1] != '/') {
        start--;
    }
    last = slice_of(text->data + start, text->size - start);
    text->size = start > 0 ? start - 1 : 0;
    return last;
}

static bool is_date(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
    }
    return text.size == 8;
}

static bool fail_credential(struct s3_call *call, struct slice credential,
                            const char *message)
{
    call_fail_argument(call, "X-Amz-Credential", credential, message);
    return false;
}

static bool check_region(struct s3_call *call, struct slice credential,
                         struct slice region)
{
    struct slice wanted = pb_slice(call->request->region);

    if (region.size == 0 || region.size > REGION_MAX) {
        return fail_credential(call, credential, "the region is not valid");
    }
    if (wanted.size == 0 || slice_equal(region, wanted)) {
        return true;
    }
    call_error_field(call, "Region", wanted);
    return fail_credential(
        call, credential,
        arena_printf(call->arena,
                     "the region '%.*s' is wrong; expecting '%.*s'",
                     (int)region.size, (const char *)region.data,
                     (int)wanted.size, (const char *)wanted.data));
}

static bool read_scope(struct s3_call *call, struct slice credential,
                       struct scope *scope)
{
    struct slice rest = credential;
    size_t slashes = 0;

    for (size_t i = 0; i < credential.size; i++) {
        slashes += credential.data[i] == '/';
    }
    if (slashes < 4) {
        return fail_credential(
            call, credential,
            "the Credential is mal-formed; expecting "
            "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
    }
    scope->end = take_last(&rest);
    scope->service = take_last(&rest);
    scope->region = take_last(&rest);
    scope->date = take_last(&rest);
    scope->access_key = rest;
    if (rest.size == 0) {
        return fail_credential(call, credential,
                               "a non-empty Access Key (AKID) must be provided "
                               "in the credential.");
    }
    if (!is_date(scope->date)) {
        return fail_credential(call, credential,
                               "incorrect date format. This date in the "
                               "credential must be in the format "
                               "\"yyyyMMdd\".");
    }
    if (!slice_equal_string(scope->service, "s3")) {
        return fail_credential(
            call, credential,
            "incorrect service. This endpoint belongs to \"s3\".");
    }
    if (!slice_equal_string(scope->end, "aws4_request")) {
        return fail_credential(
            call, credential,
            "incorrect terminal. This endpoint uses \"aws4_request\".");
    }
    return check_region(call, credential, scope->region);
}

/* 20130524T000000Z: 2013-05-24T00:00:00Z without what separates. */
static int parse_date(struct slice date, uint64_t *ms)
{
    const char *text = (const char *)date.data;
    char full[32];

    if (date.size != 16 || text[8] != 'T' || text[15] != 'Z') {
        return -EINVAL;
    }
    snprintf(full, sizeof(full), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", text,
             text + 4, text + 6, text + 9, text + 11, text + 13);
    return time_parse_iso8601(slice_from_string(full), ms);
}

/* It must be of the credential's day. */
static bool check_date(struct s3_call *call, struct post *post,
                       struct slice credential, const struct scope *scope)
{
    struct slice date = post_value(post, "x-amz-date");

    if (parse_date(date, &post->signed_ms) != 0) {
        call_fail_argument(call, "X-Amz-Date", date,
                           "X-Amz-Date must be formated via ISO8601 Long "
                           "format");
        return false;
    }
    if (memcmp(date.data, scope->date.data, 8) != 0) {
        return fail_credential(call, credential,
                               "the date in the credential must be that of "
                               "X-Amz-Date.");
    }
    return true;
}

/* --- the signature ---------------------------------------------------------*/
/* What S3 shows, so that the author of a client can compare. */
static bool fail_signature(struct s3_call *call, struct slice access_key,
                           struct slice policy, struct slice signature)
{
    struct buffer bytes = {NULL, 0, 0};

    for (size_t i = 0; i < policy.size; i++) {
        buffer_printf(&bytes, i > 0 ? " %02x" : "%02x", policy.data[i]);
    }
    call_error_field(call, "AWSAccessKeyId", access_key);
    call_error_field(call, "StringToSign", policy);
    call_error_field(call, "SignatureProvided", signature);
    call_error_field(call, "StringToSignBytes",
                     slice_of(bytes.data, bytes.size));
    buffer_free(&bytes);
    call_fail(call, S3_ERR_SignatureDoesNotMatch);
    return false;
}

static bool fail_key(struct s3_call *call, struct slice access_key)
{
    call_error_field(call, "AWSAccessKeyId", access_key);
    call_fail(call, S3_ERR_InvalidAccessKeyId);
    return false;
}

static bool verify(struct s3_call *call, const struct post *post,
                   const struct scope *scope, uint64_t *generation)
{
    struct slice policy = post_value(post, "policy");
    struct slice signature = post_value(post, "x-amz-signature");
    uint8_t key[IAM_KEY_SIZE], mac[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    int error;

    if (scope->access_key.size > ACCESS_KEY_MAX) {
        return fail_key(call, scope->access_key);
    }
    error =
        iam_signing_key(call->service->iam, scope->access_key, scope->date,
                        scope->region, SLICE_LITERAL("s3"), key, generation);
    if (error == -ENOENT) {
        return fail_key(call, scope->access_key);
    }
    if (error != 0) {
        call_fail_errno(call, error, "deriving a signing key");
        return false;
    }
    invariant(HMAC(EVP_sha256(), key, IAM_KEY_SIZE, policy.data, policy.size,
                   mac, &size) != NULL);
    OPENSSL_cleanse(key, sizeof(key));
    invariant(size == 32);
    hex_encode(hex, mac, size);
    if (signature.size != 64 || CRYPTO_memcmp(signature.data, hex, 64) != 0) {
        return fail_signature(call, scope->access_key, policy, signature);
    }
    return true;
}

bool post_authenticate(struct s3_call *call, struct post *post)
{
    struct slice algorithm = post_value(post, "x-amz-algorithm");
    struct slice credential = post_value(post, "x-amz-credential");
    struct scope scope;
    uint64_t generation;

    if (!is_signed(post)) {
        return authenticate_nobody(call, post);
    }
    if (!check_fields(call, post)) {
        return false;
    }
    if (!slice_equal_string(algorithm, "AWS4-HMAC-SHA256")) {
        call_fail_argument(
            call, "X-Amz-Algorithm", algorithm,
            "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"");
        return false;
    }
    return read_scope(call, credential, &scope) &&
           check_date(call, post, credential, &scope) &&
           verify(call, post, &scope, &generation) &&
           call_authenticate(call, scope.access_key, generation,
                             post_value(post, "x-amz-security-token"));
}
