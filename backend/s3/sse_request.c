/*
 * x-amz-server-side-encryption and its like, as requests send them.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-kms-encryption.html
 */
#include "s3/sse.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define SSE         "x-amz-server-side-encryption"
#define KMS_KEY     SSE "-aws-kms-key-id"
#define CONTEXT     SSE "-context"
#define BUCKET_KEY  SSE "-bucket-key-enabled"
#define COPY_SOURCE "x-amz-copy-source-server-side-encryption"
#define CUSTOMER    "-customer-"

#define CONTEXT_MAX 1024u /* bytes of JSON */

/* --- which operation takes which -------------------------------------------*/
enum { TAKES_MODE = 1, TAKES_CUSTOMER = 2, TAKES_COPY_SOURCE = 4 };

static unsigned taken(const struct s3_call *call)
{
    switch (call->operation->operation) {
    case WIRE__OPERATION__POST_OBJECT:
        /* Headers are made of the form's fields, when its bucket is known. */
        return call->bucket != NULL ? TAKES_MODE | TAKES_CUSTOMER : 0;
    case WIRE__OPERATION__PUT_OBJECT:
    case WIRE__OPERATION__CREATE_MULTIPART_UPLOAD:
        return TAKES_MODE | TAKES_CUSTOMER;
    case WIRE__OPERATION__COPY_OBJECT:
        return TAKES_MODE | TAKES_CUSTOMER | TAKES_COPY_SOURCE;
    case WIRE__OPERATION__UPLOAD_PART_COPY:
        return TAKES_CUSTOMER | TAKES_COPY_SOURCE;
    case WIRE__OPERATION__GET_OBJECT:
    case WIRE__OPERATION__HEAD_OBJECT:
    case WIRE__OPERATION__GET_OBJECT_ATTRIBUTES:
    case WIRE__OPERATION__UPLOAD_PART:
    case WIRE__OPERATION__LIST_PARTS:
    case WIRE__OPERATION__COMPLETE_MULTIPART_UPLOAD:
        return TAKES_CUSTOMER;
    default:
        return 0;
    }
}

static const struct {
    const char *name;
    unsigned kind;
} headers[] = {
    {SSE, TAKES_MODE},
    {KMS_KEY, TAKES_MODE},
    {CONTEXT, TAKES_MODE},
    {BUCKET_KEY, TAKES_MODE},
    {SSE CUSTOMER "algorithm", TAKES_CUSTOMER},
    {SSE CUSTOMER "key", TAKES_CUSTOMER},
    {SSE CUSTOMER "key-md5", TAKES_CUSTOMER},
    {COPY_SOURCE CUSTOMER "algorithm", TAKES_COPY_SOURCE},
    {COPY_SOURCE CUSTOMER "key", TAKES_COPY_SOURCE},
    {COPY_SOURCE CUSTOMER "key-md5", TAKES_COPY_SOURCE},
};

/* A value is never told: it may be a key. */
static bool fail_header(struct s3_call *call, const char *name,
                        enum s3_error error, const char *message)
{
    call_error_field(call, "ArgumentName", slice_from_string(name));
    call_fail_message(call, error, "%s", message);
    return false;
}

static bool check_header(struct s3_call *call, struct slice name)
{
    if (!slice_has_prefix(name, SLICE_LITERAL(SSE)) &&
        !slice_has_prefix(name, SLICE_LITERAL(COPY_SOURCE))) {
        return true;
    }
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        if (!slice_equal_string(name, headers[i].name)) {
            continue;
        }
        if (taken(call) & headers[i].kind) {
            return true;
        }
        return fail_header(call, headers[i].name, S3_ERR_InvalidArgument,
                           arena_printf(call->arena,
                                        "%s header is not supported for this "
                                        "operation.",
                                        headers[i].name));
    }
    call_error_field(call, "Header", name);
    call_fail(call, S3_ERR_NotImplemented);
    return false;
}

/* --- the customer's key ----------------------------------------------------*/
enum { ALGORITHM, KEY, KEY_MD5, CUSTOMER_HEADERS };

static const char *const own_names[CUSTOMER_HEADERS] = {
    SSE CUSTOMER "algorithm", SSE CUSTOMER "key", SSE CUSTOMER "key-md5"};
static const char *const source_names[CUSTOMER_HEADERS] = {
    COPY_SOURCE CUSTOMER "algorithm", COPY_SOURCE CUSTOMER "key",
    COPY_SOURCE CUSTOMER "key-md5"};

#define MUST_PROVIDE                                                           \
    "Requests specifying Server Side Encryption with Customer provided keys "  \
    "must provide "

static bool check_customer(struct s3_call *call, const char *const *names,
                           const struct slice *values)
{
    static const char *const missing[CUSTOMER_HEADERS] = {
        MUST_PROVIDE "a valid encryption algorithm.",
        MUST_PROVIDE "an appropriate secret key.",
        MUST_PROVIDE "the client calculated MD5 of the secret key.",
    };

    if (!call->request->secure) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "Requests specifying Server Side Encryption with "
                          "Customer provided keys must be made over a secure "
                          "connection.");
        return false;
    }
    for (size_t i = 0; i < CUSTOMER_HEADERS; i++) {
        if (values[i].data == NULL) {
            return fail_header(call, names[i], S3_ERR_InvalidArgument,
                               missing[i]);
        }
    }
    return slice_equal_string(values[ALGORITHM], "AES256") ||
           fail_header(
               call, names[ALGORITHM], S3_ERR_InvalidEncryptionAlgorithmError,
               s3_error_message(S3_ERR_InvalidEncryptionAlgorithmError));
}

static bool take_key(struct slice text, uint8_t key[CRYPT_KEY_SIZE])
{
    uint8_t raw[CRYPT_KEY_SIZE + 4];
    bool valid = text.size < 2 * CRYPT_KEY_SIZE &&
                 base64_decode(raw, sizeof(raw), text) == CRYPT_KEY_SIZE;

    if (valid) {
        memcpy(key, raw, CRYPT_KEY_SIZE);
    }
    OPENSSL_cleanse(raw, sizeof(raw));
    return valid;
}

/* OpenSSL leaves nothing of the key in memory; digests of bodies do. Where it
 * is told to know no MD5 (FIPS), no key can be given. */
static bool take_md5(struct slice text, struct sse_customer *customer)
{
    uint8_t given[24];

    return EVP_Digest(customer->key, CRYPT_KEY_SIZE, customer->md5, NULL,
                      EVP_md5(), NULL) == 1 &&
           text.size == 24 && base64_decode(given, sizeof(given), text) == 16 &&
           CRYPTO_memcmp(given, customer->md5, 16) == 0;
}

bool sse_read_customer(struct s3_call *call, enum sse_whose whose,
                       struct sse_customer *customer)
{
    const char *const *names =
        whose == SSE_COPY_SOURCE ? source_names : own_names;
    struct slice values[CUSTOMER_HEADERS];

    *customer = (struct sse_customer){.given = false};
    for (size_t i = 0; i < CUSTOMER_HEADERS; i++) {
        values[i] = call_request_header(call, names[i]);
        customer->given = customer->given || values[i].data != NULL;
    }
    if (!customer->given) {
        return true;
    }
    if (!check_customer(call, names, values)) {
        return false;
    }
    if (!take_key(values[KEY], customer->key)) {
        return fail_header(
            call, names[KEY], S3_ERR_InvalidArgument,
            "The secret key was invalid for the specified algorithm.");
    }
    return take_md5(values[KEY_MD5], customer) ||
           fail_header(call, names[KEY_MD5], S3_ERR_InvalidArgument,
                       "The calculated MD5 hash of the key did not match the "
                       "hash that was provided.");
}

/* --- SSE-S3 and SSE-KMS ----------------------------------------------------*/
static bool take_mode(struct s3_call *call, struct slice text,
                      struct sse_wish *wish)
{
    if (slice_equal_string(text, "AES256")) {
        wish->mode = META__ENCRYPTION_MODE__SSE_S3;
    } else if (slice_equal_string(text, "aws:kms")) {
        wish->mode = META__ENCRYPTION_MODE__SSE_KMS;
    } else if (slice_equal_string(text, "aws:kms:dsse")) {
        call_error_field(call, "Header", SLICE_LITERAL(SSE));
        call_fail(call, S3_ERR_NotImplemented);
        return false;
    } else {
        call_fail_argument(call, SSE, text,
                           "The encryption method specified is not supported");
        return false;
    }
    wish->named = true;
    return true;
}

/* A map of strings to strings, in one form whatever the client's was. */
static bool take_context(struct s3_call *call, struct slice text,
                         struct slice *context)
{
    uint8_t *raw = arena_alloc(call->arena, text.size + 4);
    int size = base64_decode(raw, text.size + 4, text);
    json_t *map = size > 0 ? json_loadb((const char *)raw, (size_t)size,
                                        JSON_REJECT_DUPLICATES, NULL)
                           : NULL;
    bool valid = json_is_object(map) && (size_t)size <= CONTEXT_MAX;
    const char *name;
    json_t *value;
    char *dump;

    json_object_foreach(map, name, value)
    {
        valid = valid && json_is_string(value);
    }
    if (valid) {
        dump = json_dumps(map, JSON_COMPACT | JSON_SORT_KEYS);
        *context = arena_copy(call->arena, dump, strlen(dump));
        free(dump);
    }
    json_decref(map);
    return valid ||
           fail_header(call, CONTEXT, S3_ERR_InvalidArgument,
                       "The header " CONTEXT " shall be Base64-encoded UTF-8 "
                       "string holding JSON with the encryption context "
                       "key-value pairs");
}

static bool take_bucket_key(struct s3_call *call, struct slice text,
                            struct sse_wish *wish)
{
    wish->bucket_key = slice_equal_string(text, "true");
    if (!wish->bucket_key && !slice_equal_string(text, "false")) {
        call_fail_argument(call, BUCKET_KEY, text,
                           "The value must be true or false");
        return false;
    }
    return true;
}

/* What only SSE-KMS has. */
static bool take_kms(struct s3_call *call, struct sse_wish *wish)
{
    struct slice key = call_request_header(call, KMS_KEY);
    struct slice context = call_request_header(call, CONTEXT);
    struct slice bucket_key = call_request_header(call, BUCKET_KEY);

    if (wish->mode != META__ENCRYPTION_MODE__SSE_KMS &&
        (key.data != NULL || context.data != NULL)) {
        return fail_header(
            call, key.data != NULL ? KMS_KEY : CONTEXT, S3_ERR_InvalidArgument,
            "Server Side Encryption with AWS KMS managed key requires HTTP "
            "header x-amz-server-side-encryption : aws:kms");
    }
    wish->kms_key = key;
    return (context.data == NULL ||
            take_context(call, context, &wish->context)) &&
           (bucket_key.data == NULL || take_bucket_key(call, bucket_key, wish));
}

/* Without the defaults. */
static bool read_headers(struct s3_call *call, struct sse_wish *wish)
{
    struct slice mode = call_request_header(call, SSE);

    *wish = (struct sse_wish){.mode = META__ENCRYPTION_MODE__NOT_ENCRYPTED};
    if (!sse_read_customer(call, SSE_OBJECT, &wish->customer) ||
        (mode.data != NULL && !take_mode(call, mode, wish)) ||
        !take_kms(call, wish)) {
        return false;
    }
    if (!wish->customer.given) {
        return true;
    }
    if (wish->named) {
        return fail_header(call, SSE, S3_ERR_InvalidArgument,
                           "Server Side Encryption with Customer provided key "
                           "is incompatible with the encryption method "
                           "specified");
    }
    wish->mode = META__ENCRYPTION_MODE__SSE_C;
    wish->named = true;
    return true;
}

static void take_default(struct s3_call *call, struct sse_wish *wish)
{
    const Meta__DefaultEncryption *bucket = call->bucket->default_encryption;

    if (bucket == NULL ||
        bucket->mode == META__ENCRYPTION_MODE__NOT_ENCRYPTED) {
        wish->mode = call->service->encrypt_by_default
                         ? META__ENCRYPTION_MODE__SSE_S3
                         : META__ENCRYPTION_MODE__NOT_ENCRYPTED;
        return;
    }
    wish->mode = bucket->mode;
    wish->kms_key = pb_slice(bucket->kms_key);
}

bool sse_may_bring_key(struct s3_call *call)
{
    const Meta__DefaultEncryption *bucket = call->bucket->default_encryption;

    if (bucket == NULL ||
        bucket->blocked != META__DEFAULT_ENCRYPTION__BLOCKED__BLOCKED_SSE_C) {
        return true;
    }
    call_fail_message(call, S3_ERR_AccessDenied,
                      "This bucket has blocked upload requests that specify "
                      "Server Side Encryption with Customer provided keys "
                      "(SSE-C). Please specify a different server-side "
                      "encryption type.");
    return false;
}

bool sse_read_wish(struct s3_call *call, struct sse_wish *wish)
{
    const Meta__DefaultEncryption *bucket = call->bucket->default_encryption;
    bool told = call_request_header(call, BUCKET_KEY).data != NULL;

    if (!read_headers(call, wish) ||
        (wish->customer.given && !sse_may_bring_key(call))) {
        return false;
    }
    if (!wish->named) {
        take_default(call, wish);
    }
    if (wish->mode == META__ENCRYPTION_MODE__SSE_KMS && !told &&
        bucket != NULL) {
        wish->bucket_key = bucket->bucket_key;
    }
    return true;
}

bool sse_named(const struct s3_call *call)
{
    return call_request_header(call, SSE).data != NULL ||
           call_request_header(call, SSE CUSTOMER "algorithm").data != NULL;
}

static bool is_key(const Wire__Field *header)
{
    struct slice name = pb_slice(header->name);

    return slice_equal_string(name, own_names[KEY]) ||
           slice_equal_string(name, source_names[KEY]);
}

void sse_wipe_request(const Wire__Request *request)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        if (is_key(request->headers[i])) {
            OPENSSL_cleanse(request->headers[i]->value.data,
                            request->headers[i]->value.len);
        }
    }
}

void s3_wipe_frame(const Wire__Request *request, uint8_t *frame, size_t size)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        const ProtobufCBinaryData *value = &request->headers[i]->value;
        uint8_t *found = value->len > 0 && is_key(request->headers[i])
                             ? memmem(frame, size, value->data, value->len)
                             : NULL;

        if (found != NULL) {
            OPENSSL_cleanse(found, value->len);
        }
    }
}

/* --- all of them -----------------------------------------------------------*/
bool sse_check_request(struct s3_call *call)
{
    const Wire__Request *request = call->request;
    struct sse_wish wish = {.named = false};
    struct sse_customer source = {.given = false};
    bool valid = true;

    for (size_t i = 0; valid && i < request->n_headers; i++) {
        valid = check_header(call, pb_slice(request->headers[i]->name));
    }
    valid = valid && read_headers(call, &wish) &&
            sse_read_customer(call, SSE_COPY_SOURCE, &source);
    OPENSSL_cleanse(&wish.customer, sizeof(wish.customer));
    OPENSSL_cleanse(&source, sizeof(source));
    return valid;
}
