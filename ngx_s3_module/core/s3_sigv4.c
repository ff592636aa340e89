
/*
 * AWS Signature Version 4: who signed, what and when.
 *
 * Order of the checks: which mechanism, form and scope of the credential,
 * time, what is signed, x-amz-content-sha256.
 */

#include "s3_sigv4_private.h"
#include "s3_string.h"
#include "s3_uri.h"
#include "s3_xml.h"


#define S3_SIGV4_ALGORITHM       "AWS4-HMAC-SHA256"

#define S3_SIGV4_ACCESS_KEY_MAX  128
#define S3_SIGV4_REGION_MAX      64


static enum s3_error s3_sigv4_fail_joined(s3_sigv4_ctx_t *ctx,
    enum s3_error code, const s3_str_t *parts, size_t n);
static enum s3_error s3_sigv4_fail_scheme(s3_sigv4_ctx_t *ctx,
    const char *message);
static enum s3_error s3_sigv4_mechanism(s3_sigv4_ctx_t *ctx);
static enum s3_error s3_sigv4_parse_header(s3_sigv4_ctx_t *ctx);
static enum s3_error s3_sigv4_parse_components(s3_sigv4_ctx_t *ctx,
    s3_str_t *rest);
static enum s3_error s3_sigv4_parse_query(s3_sigv4_ctx_t *ctx);
static enum s3_error s3_sigv4_parse_expires(s3_sigv4_ctx_t *ctx);
static enum s3_error s3_sigv4_parse_credential(s3_sigv4_ctx_t *ctx);
static enum s3_error s3_sigv4_check_service(s3_sigv4_ctx_t *ctx);
static enum s3_error s3_sigv4_check_region(s3_sigv4_ctx_t *ctx);


enum s3_error
s3_sigv4_parse(s3_memory_t *memory, const s3_sigv4_request_t *request,
    s3_sigv4_t *auth, s3_error_t *error)
{
    size_t          i;
    enum s3_error   rc;
    s3_sigv4_ctx_t  ctx;

    static enum s3_error (*const checks[])(s3_sigv4_ctx_t *ctx) = {
        s3_sigv4_parse_credential,
        s3_sigv4_check_service,
        s3_sigv4_check_region,
        s3_sigv4_parse_date,
        s3_sigv4_check_date,
        s3_sigv4_check_signed_list,
        s3_sigv4_check_signed
    };

    memset(auth, 0, sizeof(s3_sigv4_t));
    memset(&ctx, 0, sizeof(s3_sigv4_ctx_t));

    ctx.memory = memory;
    ctx.request = request;
    ctx.auth = auth;
    ctx.error = error;

    s3_error_init(error, S3_OK);

    rc = s3_sigv4_mechanism(&ctx);

    if (rc != S3_OK) {
        return rc;
    }

    if (!auth->anonymous) {

        rc = auth->presigned ? s3_sigv4_parse_query(&ctx)
                             : s3_sigv4_parse_header(&ctx);

        for (i = 0; rc == S3_OK && i < s3_nelts(checks); i++) {
            rc = checks[i](&ctx);
        }

        if (rc != S3_OK) {
            return rc;
        }
    }

    return request->body_sha256.len ? s3_sigv4_parse_query_payload(&ctx)
                                    : s3_sigv4_parse_payload(&ctx);
}


enum s3_error
s3_sigv4_fail(s3_sigv4_ctx_t *ctx, enum s3_error code, const char *message)
{
    s3_error_init(ctx->error, code);

    if (message) {
        ctx->error->message = s3_str_text(message);
    }

    return code;
}


static enum s3_error
s3_sigv4_fail_joined(s3_sigv4_ctx_t *ctx, enum s3_error code,
    const s3_str_t *parts, size_t n)
{
    s3_error_init(ctx->error, code);

    if (s3_str_join(ctx->memory, &ctx->error->message, parts, n) != 0) {
        return s3_sigv4_fail(ctx, S3_ERR_InternalError, NULL);
    }

    return code;
}


/* The code and the start of the message depend on where it was sent. */

enum s3_error
s3_sigv4_fail_credential(s3_sigv4_ctx_t *ctx, const char *before,
    const s3_str_t *value, const char *after)
{
    s3_str_t       parts[4];
    enum s3_error  code;

    if (ctx->auth->presigned) {
        code = S3_ERR_AuthorizationQueryParametersError;
        s3_str_set(&parts[0], "Error parsing the X-Amz-Credential parameter; ");

    } else {
        code = S3_ERR_AuthorizationHeaderMalformed;
        s3_str_set(&parts[0], "The authorization header is malformed; ");
    }

    parts[1] = s3_str_text(before);
    parts[2] = value ? *value : s3_str_text("");
    parts[3] = s3_str_text(after);

    return s3_sigv4_fail_joined(ctx, code, parts, 4);
}


/* Names the scheme only: what follows may be a password of another one. */

static enum s3_error
s3_sigv4_fail_scheme(s3_sigv4_ctx_t *ctx, const char *message)
{
    s3_str_t         rest, scheme;
    const s3_str_t  *header;

    s3_sigv4_fail(ctx, S3_ERR_InvalidArgument, message);

    scheme = s3_str_text("Authorization");
    s3_error_add(ctx->error, "ArgumentName", &scheme);

    header = s3_sigv4_header(ctx, "authorization");

    if (header) {
        rest = *header;

        if (rest.len && memchr(rest.data, ' ', rest.len)) {
            scheme = s3_str_token(&rest, ' ');
            s3_error_add(ctx->error, "ArgumentValue", &scheme);
        }
    }

    return S3_ERR_InvalidArgument;
}


const s3_str_t *
s3_sigv4_arg(s3_sigv4_ctx_t *ctx, const char *name)
{
    s3_field_t  *field;

    field = s3_field_find(ctx->request->args, ctx->request->nargs, name);

    return field ? &field->value : NULL;
}


const s3_str_t *
s3_sigv4_header(s3_sigv4_ctx_t *ctx, const char *name)
{
    s3_field_t  *field;

    field = s3_field_find(ctx->request->headers, ctx->request->nheaders, name);

    return field ? &field->value : NULL;
}


static enum s3_error
s3_sigv4_mechanism(s3_sigv4_ctx_t *ctx)
{
    int              presigned, key_v2, signature_v2;
    const s3_str_t  *header;

    static const char  unsupported[] =
        "The authorization mechanism you have provided is not supported. "
        "Please use AWS4-HMAC-SHA256.";

    header = s3_sigv4_header(ctx, "authorization");

    presigned = s3_sigv4_arg(ctx, "X-Amz-Algorithm")
                || s3_sigv4_arg(ctx, "X-Amz-Credential")
                || s3_sigv4_arg(ctx, "X-Amz-Signature");

    key_v2 = s3_sigv4_arg(ctx, "AWSAccessKeyId") != NULL;
    signature_v2 = s3_sigv4_arg(ctx, "Signature") != NULL;

    if ((header != NULL) + presigned + (key_v2 && signature_v2) > 1) {
        return s3_sigv4_fail_scheme(ctx,
                   "Only one auth mechanism allowed; only the "
                   "X-Amz-Algorithm query parameter, Signature query string "
                   "parameter or the Authorization header should be "
                   "specified");
    }

    if (presigned) {
        ctx->auth->presigned = 1;
        return S3_OK;
    }

    if (header) {

        if (s3_str_starts(header, "AWS ")) {
            return s3_sigv4_fail(ctx, S3_ERR_InvalidRequest, unsupported);
        }

        return S3_OK;
    }

    if (key_v2 && signature_v2) {
        return s3_sigv4_fail(ctx, S3_ERR_InvalidRequest, unsupported);
    }

    if (key_v2 || signature_v2) {
        return s3_sigv4_fail(ctx, S3_ERR_AccessDenied,
                   "Query-string authentication requires the Signature, "
                   "Expires and AWSAccessKeyId parameters");
    }

    ctx->auth->anonymous = 1;

    return S3_OK;
}


static enum s3_error
s3_sigv4_parse_header(s3_sigv4_ctx_t *ctx)
{
    s3_str_t         rest, scheme;
    const s3_str_t  *token;

    rest = s3_str_trim(s3_sigv4_header(ctx, "authorization"));
    scheme = s3_str_token(&rest, ' ');

    if (s3_str_is(&scheme, S3_SIGV4_ECDSA)) {
        s3_sigv4_fail(ctx, S3_ERR_NotImplemented, NULL);
        scheme = s3_str_text("Authorization");
        s3_error_add(ctx->error, "Header", &scheme);
        return S3_ERR_NotImplemented;
    }

    if (!s3_str_is(&scheme, S3_SIGV4_ALGORITHM)) {
        return s3_sigv4_fail_scheme(ctx, "Unsupported Authorization Type");
    }

    token = s3_sigv4_header(ctx, "x-amz-security-token");

    if (token) {
        ctx->auth->session_token = *token;
    }

    return s3_sigv4_parse_components(ctx, &rest);
}


/* "Credential=..., SignedHeaders=..., Signature=..." */

static enum s3_error
s3_sigv4_parse_components(s3_sigv4_ctx_t *ctx, s3_str_t *rest)
{
    s3_str_t  value, name, *to;

    while (rest->len) {
        value = s3_str_token(rest, ',');
        value = s3_str_trim(&value);
        name = s3_str_token(&value, '=');

        if (s3_str_is(&name, "Credential")) {
            to = &ctx->credential;

        } else if (s3_str_is(&name, "SignedHeaders")) {
            to = &ctx->auth->signed_headers;

        } else if (s3_str_is(&name, "Signature")) {
            to = &ctx->auth->signature;

        } else {
            continue;
        }

        if (to->len) {
            return s3_sigv4_fail_credential(ctx, "a component is repeated.",
                                            NULL, "");
        }

        *to = value;
    }

    if (ctx->credential.len == 0 || ctx->auth->signed_headers.len == 0
        || ctx->auth->signature.len == 0)
    {
        return s3_sigv4_fail_credential(ctx,
                   "the authorization header requires three components: "
                   "Credential, SignedHeaders, and Signature.", NULL, "");
    }

    return S3_OK;
}


static enum s3_error
s3_sigv4_parse_query(s3_sigv4_ctx_t *ctx)
{
    const s3_str_t  *algorithm, *credential, *date, *signed_headers;
    const s3_str_t  *signature, *token;

    algorithm = s3_sigv4_arg(ctx, "X-Amz-Algorithm");
    credential = s3_sigv4_arg(ctx, "X-Amz-Credential");
    date = s3_sigv4_arg(ctx, "X-Amz-Date");
    signed_headers = s3_sigv4_arg(ctx, "X-Amz-SignedHeaders");
    signature = s3_sigv4_arg(ctx, "X-Amz-Signature");
    token = s3_sigv4_arg(ctx, "X-Amz-Security-Token");

    if (algorithm == NULL || credential == NULL || date == NULL
        || signed_headers == NULL || signature == NULL
        || s3_sigv4_arg(ctx, "X-Amz-Expires") == NULL)
    {
        return s3_sigv4_fail(ctx, S3_ERR_AuthorizationQueryParametersError,
                             NULL);
    }

    if (s3_str_is(algorithm, S3_SIGV4_ECDSA)) {
        return s3_sigv4_fail(ctx, S3_ERR_NotImplemented,
                   "X-Amz-Algorithm implies functionality that is not "
                   "implemented");
    }

    if (!s3_str_is(algorithm, S3_SIGV4_ALGORITHM)) {
        return s3_sigv4_fail(ctx, S3_ERR_AuthorizationQueryParametersError,
                   "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"");
    }

    ctx->credential = *credential;
    ctx->date = *date;
    ctx->auth->signed_headers = *signed_headers;
    ctx->auth->signature = *signature;

    if (token) {
        ctx->auth->session_token = *token;
    }

    return s3_sigv4_parse_expires(ctx);
}


static enum s3_error
s3_sigv4_parse_expires(s3_sigv4_ctx_t *ctx)
{
    size_t           i;
    time_t           value;
    const s3_str_t  *text;

    text = s3_sigv4_arg(ctx, "X-Amz-Expires");

    if (text->len > 1 && text->data[0] == '-') {
        return s3_sigv4_fail(ctx, S3_ERR_AuthorizationQueryParametersError,
                             "X-Amz-Expires must be non-negative");
    }

    value = 0;

    for (i = 0; i < text->len; i++) {

        if (text->data[i] < '0' || text->data[i] > '9') {
            break;
        }

        if (value <= S3_SIGV4_EXPIRES_MAX) {
            value = value * 10 + (text->data[i] - '0');
        }
    }

    if (text->len == 0 || i < text->len) {
        return s3_sigv4_fail(ctx, S3_ERR_AuthorizationQueryParametersError,
                             "X-Amz-Expires should be a number");
    }

    if (value > S3_SIGV4_EXPIRES_MAX) {
        return s3_sigv4_fail(ctx, S3_ERR_AuthorizationQueryParametersError,
                   "X-Amz-Expires must be less than a week (in seconds); "
                   "that is, the given X-Amz-Expires must be less than "
                   "604800 seconds");
    }

    if (value == 0) {
        return s3_sigv4_fail(ctx, S3_ERR_AuthorizationQueryParametersError,
                   "X-Amz-Expires must be between 1 and 604800 seconds");
    }

    ctx->auth->expires = value;

    return S3_OK;
}


/* "<access key>/YYYYMMDD/<region>/s3/aws4_request" */

static enum s3_error
s3_sigv4_parse_credential(s3_sigv4_ctx_t *ctx)
{
    size_t       i, n;
    s3_str_t     rest, parts[5];
    s3_sigv4_t  *auth;

    auth = ctx->auth;
    rest = ctx->credential;

    for (n = 0; n < 5 && rest.len; n++) {
        parts[n] = s3_str_token(&rest, '/');
    }

    if (n < 5 || rest.len || parts[2].len == 0
        || parts[2].len > S3_SIGV4_REGION_MAX)
    {
        return s3_sigv4_fail_credential(ctx,
                   "the Credential is mal-formed; expecting "
                   "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
                   NULL, "");
    }

    auth->access_key = parts[0];
    auth->date = parts[1];
    auth->region = parts[2];
    auth->service = parts[3];

    if (auth->access_key.len == 0) {
        return s3_sigv4_fail_credential(ctx,
                   "a non-empty Access Key (AKID) must be provided in the "
                   "credential.", NULL, "");
    }

    for (i = 0; i < auth->date.len; i++) {
        if (auth->date.data[i] < '0' || auth->date.data[i] > '9') {
            break;
        }
    }

    if (i < auth->date.len || auth->date.len != 8) {
        return s3_sigv4_fail_credential(ctx, "incorrect date format \"",
                   &auth->date, "\". This date in the credential must be in "
                   "the format \"yyyyMMdd\".");
    }

    if (!s3_str_is(&parts[4], "aws4_request")) {
        return s3_sigv4_fail_credential(ctx, "incorrect terminal \"",
                   &parts[4], "\". This endpoint uses \"aws4_request\".");
    }

    if (auth->access_key.len > S3_SIGV4_ACCESS_KEY_MAX) {
        return s3_sigv4_fail(ctx, S3_ERR_InvalidAccessKeyId, NULL);
    }

    return S3_OK;
}


int
s3_sigv4_is_sts(const s3_sigv4_request_t *request)
{
    s3_str_t           rest, part;
    const s3_field_t  *action, *scope;

    action = s3_field_find(request->args, request->nargs, "Action");

    if (action == NULL) {
        return 0;
    }

    scope = s3_field_find(request->args, request->nargs, "X-Amz-Credential");

    if (scope == NULL) {
        scope = s3_field_find(request->headers, request->nheaders,
                              "authorization");
    }

    if (scope == NULL) {
        return s3_str_is(&action->value, "AssumeRoleWithWebIdentity");
    }

    rest = scope->value;

    while (rest.len) {
        part = s3_str_token(&rest, '/');

        if (s3_str_is(&part, "sts")) {
            return s3_str_starts(&rest, "aws4_request");
        }
    }

    return 0;
}


/* What posts a form to the service is IAM's or STS's, if it is signed so. */

static enum s3_error
s3_sigv4_check_service(s3_sigv4_ctx_t *ctx)
{
    const s3_str_t  *service;

    service = &ctx->auth->service;

    if (ctx->request->body_sha256.len == 0) {

        if (s3_str_is(service, "s3")) {
            return S3_OK;
        }

        return s3_sigv4_fail_credential(ctx, "incorrect service \"", service,
                                   "\". This endpoint belongs to \"s3\".");
    }

    if (s3_str_is(service, "iam") || s3_str_is(service, "sts")) {
        return S3_OK;
    }

    return s3_sigv4_fail(ctx, S3_ERR_MethodNotAllowed, NULL);
}


/* Those of IAM and STS are signed for a region that is the client's choice. */

static enum s3_error
s3_sigv4_check_region(s3_sigv4_ctx_t *ctx)
{
    s3_str_t         parts[4], text;
    enum s3_error    rc;
    const s3_str_t  *expected;

    expected = &ctx->request->region;

    if (expected->len == 0 || s3_str_same(expected, &ctx->auth->region)
        || ctx->request->body_sha256.len)
    {
        return S3_OK;
    }

    parts[0] = ctx->auth->region;
    parts[1] = s3_str_text("' is wrong; expecting '");
    parts[2] = *expected;
    parts[3] = s3_str_text("'");

    if (s3_str_join(ctx->memory, &text, parts, 4) != 0) {
        return s3_sigv4_fail(ctx, S3_ERR_InternalError, NULL);
    }

    rc = s3_sigv4_fail_credential(ctx, "the region '", &text, "");

    if (rc != S3_ERR_InternalError) {
        s3_error_add(ctx->error, "Region", expected);
    }

    return rc;
}
