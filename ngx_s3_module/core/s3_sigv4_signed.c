
/* What is signed: the headers, and what x-amz-content-sha256 says of a body. */

#include "s3_sigv4_private.h"
#include "s3_string.h"
#include "s3_xml.h"


typedef struct {
    s3_str_t                   name;
    s3_payload_e               payload;
} s3_sigv4_payload_t;


static int s3_sigv4_in_list(const s3_str_t *list, const s3_str_t *name);
static enum s3_error s3_sigv4_payload_error(s3_sigv4_ctx_t *ctx,
    const s3_str_t *value);
static int s3_sigv4_is_sha256(const s3_str_t *value);


static const s3_sigv4_payload_t  s3_sigv4_payloads[] = {
    { s3_string("UNSIGNED-PAYLOAD"), S3_PAYLOAD_UNSIGNED },
    { s3_string("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
      S3_PAYLOAD_STREAMING_SIGNED },
    { s3_string("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
      S3_PAYLOAD_STREAMING_SIGNED_TRAILER },
    { s3_string("STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
      S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER }
};


/*
 * Names in lower case, each once, not too many: the size of the canonical
 * request depends on it.
 */

enum s3_error
s3_sigv4_check_signed_list(s3_sigv4_ctx_t *ctx)
{
    size_t    i, n;
    s3_str_t  rest, name;

    rest = ctx->auth->signed_headers;

    if (rest.len == 0 || rest.data[rest.len - 1] == ';') {
        goto malformed;
    }

    for (n = 0; rest.len; n++) {
        name = s3_str_token(&rest, ';');

        if (name.len == 0 || n == S3_SIGV4_HEADERS_MAX) {
            goto malformed;
        }

        for (i = 0; i < name.len; i++) {
            if (name.data[i] <= ' ' || name.data[i] >= 0x7f
                || (name.data[i] >= 'A' && name.data[i] <= 'Z'))
            {
                goto malformed;
            }
        }

        if (s3_sigv4_in_list(&rest, &name)) {
            goto malformed;
        }
    }

    return S3_OK;

malformed:

    return s3_sigv4_fail_credential(ctx, "the SignedHeaders are mal-formed.",
                                    NULL, "");
}


static int
s3_sigv4_in_list(const s3_str_t *list, const s3_str_t *name)
{
    s3_str_t  rest, token;

    rest = *list;

    while (rest.len) {
        token = s3_str_token(&rest, ';');

        if (s3_str_same(&token, name)) {
            return 1;
        }
    }

    return 0;
}


enum s3_error
s3_sigv4_check_signed(s3_sigv4_ctx_t *ctx)
{
    size_t           i, size;
    s3_str_t         missing, host;
    const s3_str_t  *name, *list;
    unsigned char   *p;

    s3_str_set(&host, "host");

    list = &ctx->auth->signed_headers;
    size = host.len;

    for (i = 0; i < ctx->request->nheaders; i++) {
        size += ctx->request->headers[i].name.len + sizeof(", ") - 1;
    }

    missing.data = NULL;
    p = NULL;

    for (i = 0; i <= ctx->request->nheaders; i++) {

        if (i == 0) {
            name = &host;

        } else {
            name = &ctx->request->headers[i - 1].name;

            if (!s3_str_starts(name, "x-amz-")) {
                continue;
            }
        }

        if (s3_sigv4_in_list(list, name)) {
            continue;
        }

        if (p == NULL) {
            p = s3_alloc(ctx->memory, size);
            if (p == NULL) {
                return s3_sigv4_fail(ctx, S3_ERR_InternalError, NULL);
            }

            missing.data = p;

        } else {
            *p++ = ',';
            *p++ = ' ';
        }

        p = s3_str_copy(p, name);
    }

    if (p == NULL) {
        return S3_OK;
    }

    missing.len = (size_t) (p - missing.data);

    s3_sigv4_fail(ctx, S3_ERR_AccessDenied,
                  "There were headers present in the request which were not "
                  "signed");
    s3_error_add(ctx->error, "HeadersNotSigned", &missing);

    return S3_ERR_AccessDenied;
}


enum s3_error
s3_sigv4_parse_payload(s3_sigv4_ctx_t *ctx)
{
    size_t           i;
    s3_sigv4_t      *auth;
    const s3_str_t  *value;

    auth = ctx->auth;

    value = s3_sigv4_header(ctx, "x-amz-content-sha256");

    if (value == NULL && auth->presigned) {
        value = s3_sigv4_arg(ctx, "X-Amz-Content-Sha256");
    }

    if (value == NULL) {

        if (!auth->presigned && !auth->anonymous) {
            return s3_sigv4_fail(ctx, S3_ERR_InvalidRequest,
                       "Missing required header for this request: "
                       "x-amz-content-sha256");
        }

        auth->payload = S3_PAYLOAD_UNSIGNED;
        s3_str_set(&auth->content_sha256, "UNSIGNED-PAYLOAD");

        return S3_OK;
    }

    auth->content_sha256 = s3_str_trim(value);
    value = &auth->content_sha256;

    for (i = 0; i < s3_nelts(s3_sigv4_payloads); i++) {

        if (!s3_str_same(value, &s3_sigv4_payloads[i].name)) {
            continue;
        }

        auth->payload = s3_sigv4_payloads[i].payload;

        if (auth->anonymous
            && (auth->payload == S3_PAYLOAD_STREAMING_SIGNED
                || auth->payload == S3_PAYLOAD_STREAMING_SIGNED_TRAILER))
        {
            /* there is no seed for the signatures of chunks */

            return s3_sigv4_fail(ctx, S3_ERR_AccessDenied, NULL);
        }

        return S3_OK;
    }

    if (s3_sigv4_is_sha256(value)) {
        auth->payload = S3_PAYLOAD_SIGNED;
        return S3_OK;
    }

    return s3_sigv4_payload_error(ctx, value);
}


static enum s3_error
s3_sigv4_payload_error(s3_sigv4_ctx_t *ctx, const s3_str_t *value)
{
    s3_str_t  name;

    s3_str_set(&name, "x-amz-content-sha256");

    if (s3_str_is(value, "STREAMING-" S3_SIGV4_ECDSA "-PAYLOAD")
        || s3_str_is(value, "STREAMING-" S3_SIGV4_ECDSA "-PAYLOAD-TRAILER"))
    {
        s3_sigv4_fail(ctx, S3_ERR_NotImplemented, NULL);
        s3_error_add(ctx->error, "Header", &name);

        return S3_ERR_NotImplemented;
    }

    s3_sigv4_fail(ctx, S3_ERR_InvalidArgument,
                  "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "
                  "STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
                  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
                  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, "
                  "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, "
                  "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a "
                  "valid sha256 value.");

    s3_error_add(ctx->error, "ArgumentName", &name);
    s3_error_add(ctx->error, "ArgumentValue", value);

    return S3_ERR_InvalidArgument;
}


/* The body is there, and what is said of it is compared at once. */

enum s3_error
s3_sigv4_parse_query_payload(s3_sigv4_ctx_t *ctx)
{
    s3_str_t         text;
    s3_sigv4_t      *auth;
    const s3_str_t  *value;

    auth = ctx->auth;

    auth->content_sha256 = ctx->request->body_sha256;
    auth->payload = auth->anonymous ? S3_PAYLOAD_UNSIGNED : S3_PAYLOAD_SIGNED;

    value = s3_sigv4_header(ctx, "x-amz-content-sha256");

    if (value == NULL) {
        return S3_OK;
    }

    text = s3_str_trim(value);

    return s3_str_same(&text, &auth->content_sha256)
           ? S3_OK
           : s3_sigv4_fail(ctx, S3_ERR_XAmzContentSHA256Mismatch, NULL);
}


static int
s3_sigv4_is_sha256(const s3_str_t *value)
{
    size_t  i;

    if (value->len != 64) {
        return 0;
    }

    for (i = 0; i < value->len; i++) {
        if (s3_hex_digit(value->data[i]) < 0) {
            return 0;
        }
    }

    return 1;
}
