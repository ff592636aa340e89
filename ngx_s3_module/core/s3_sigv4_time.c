
/* When a request was signed, and whether that still counts. */

#include "s3_sigv4_private.h"
#include "s3_string.h"
#include "s3_time.h"
#include "s3_xml.h"


static enum s3_error s3_sigv4_check_skew(s3_sigv4_ctx_t *ctx);
static enum s3_error s3_sigv4_check_expiry(s3_sigv4_ctx_t *ctx);
static enum s3_error s3_sigv4_add_time(s3_sigv4_ctx_t *ctx, const char *name,
    time_t time);


enum s3_error
s3_sigv4_parse_date(s3_sigv4_ctx_t *ctx)
{
    s3_sigv4_t      *auth;
    const s3_str_t  *text;
    unsigned char   *p;

    auth = ctx->auth;

    if (auth->presigned) {
        auth->amz_date = ctx->date;
        auth->time = s3_time_parse_amz(&ctx->date);

        if (auth->time == -1) {
            return s3_sigv4_fail(ctx,
                       S3_ERR_AuthorizationQueryParametersError,
                       "X-Amz-Date must be in the ISO8601 Long Format "
                       "\"yyyyMMdd'T'HHmmss'Z'\"");
        }

        return S3_OK;
    }

    text = s3_sigv4_header(ctx, "x-amz-date");

    if (text == NULL) {
        text = s3_sigv4_header(ctx, "date");
    }

    auth->time = -1;

    if (text) {
        ctx->date = s3_str_trim(text);

        auth->amz_date = ctx->date;
        auth->time = s3_time_parse_amz(&ctx->date);

        if (auth->time != -1) {
            return S3_OK;
        }

        auth->time = s3_time_parse_http(&ctx->date);
    }

    if (auth->time == -1) {
        return s3_sigv4_fail(ctx, S3_ERR_AccessDenied,
                   "AWS authentication requires a valid Date or x-amz-date "
                   "header");
    }

    p = s3_alloc(ctx->memory, S3_TIME_AMZ_LEN);
    if (p == NULL) {
        return s3_sigv4_fail(ctx, S3_ERR_InternalError, NULL);
    }

    s3_time_format_amz(auth->time, p);

    auth->amz_date.data = p;
    auth->amz_date.len = S3_TIME_AMZ_LEN;

    return S3_OK;
}


enum s3_error
s3_sigv4_check_date(s3_sigv4_ctx_t *ctx)
{
    s3_str_t     parts[4], text;
    s3_sigv4_t  *auth;

    auth = ctx->auth;

    if (memcmp(auth->amz_date.data, auth->date.data, 8) != 0) {
        parts[0] = auth->date;
        parts[1] = s3_str_text("\". This date is not the same as "
                               "X-Amz-Date: \"");
        parts[2] = auth->amz_date;
        parts[2].len = 8;
        parts[3] = s3_str_text("\".");

        if (s3_str_join(ctx->memory, &text, parts, 4) != 0) {
            return s3_sigv4_fail(ctx, S3_ERR_InternalError, NULL);
        }

        return s3_sigv4_fail_credential(ctx, "Invalid credential date \"",
                                        &text, "");
    }

    return auth->presigned ? s3_sigv4_check_expiry(ctx)
                           : s3_sigv4_check_skew(ctx);
}


static enum s3_error
s3_sigv4_check_skew(s3_sigv4_ctx_t *ctx)
{
    time_t     skew;
    s3_str_t   max;

    skew = ctx->request->now - ctx->auth->time;

    if (skew <= S3_SIGV4_SKEW && skew >= -S3_SIGV4_SKEW) {
        return S3_OK;
    }

    s3_sigv4_fail(ctx, S3_ERR_RequestTimeTooSkewed, NULL);

    s3_error_add(ctx->error, "RequestTime", &ctx->date);

    if (s3_sigv4_add_time(ctx, "ServerTime", ctx->request->now) != S3_OK) {
        return S3_ERR_InternalError;
    }

    s3_str_set(&max, "900000");
    s3_error_add(ctx->error, "MaxAllowedSkewMilliseconds", &max);

    return S3_ERR_RequestTimeTooSkewed;
}


static enum s3_error
s3_sigv4_check_expiry(s3_sigv4_ctx_t *ctx)
{
    time_t       now;
    s3_sigv4_t  *auth;

    auth = ctx->auth;
    now = ctx->request->now;

    if (auth->time > now + S3_SIGV4_SKEW) {
        s3_sigv4_fail(ctx, S3_ERR_AccessDenied, "Request is not yet valid");
        s3_error_add(ctx->error, "X-Amz-Date", &ctx->date);

    } else if (now > auth->time + auth->expires) {
        s3_sigv4_fail(ctx, S3_ERR_AccessDenied, "Request has expired");
        s3_error_add(ctx->error, "X-Amz-Expires",
                     s3_sigv4_arg(ctx, "X-Amz-Expires"));

        if (s3_sigv4_add_time(ctx, "Expires", auth->time + auth->expires)
            != S3_OK)
        {
            return S3_ERR_InternalError;
        }

    } else {
        return S3_OK;
    }

    if (s3_sigv4_add_time(ctx, "ServerTime", now) != S3_OK) {
        return S3_ERR_InternalError;
    }

    return S3_ERR_AccessDenied;
}


static enum s3_error
s3_sigv4_add_time(s3_sigv4_ctx_t *ctx, const char *name, time_t time)
{
    s3_str_t  text;

    text.data = s3_alloc(ctx->memory, S3_TIME_ISO_LEN);
    if (text.data == NULL) {
        return s3_sigv4_fail(ctx, S3_ERR_InternalError, NULL);
    }

    text.len = S3_TIME_ISO_LEN;
    s3_time_format_iso(time, text.data);

    s3_error_add(ctx->error, name, &text);

    return S3_OK;
}
