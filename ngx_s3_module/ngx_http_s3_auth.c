
/*
 * What the signature covers of a request, and the key that verifies it.
 */


#include "ngx_http_s3_module.h"


#define NGX_HTTP_S3_ACCESS_KEY_MAX  128
#define NGX_HTTP_S3_REGION_MAX      64


static ngx_int_t ngx_http_s3_gather_headers(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static ngx_uint_t ngx_http_s3_is_host(ngx_http_request_t *r, s3_str_t *host);
static ngx_int_t ngx_http_s3_gather_args(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static ngx_int_t ngx_http_s3_ask_key(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);


/*
 * Fills ctx->sigv4 with the request as it was received: r->uri and r->args
 * are decoded and merged, the raw target is not.  On NGX_DECLINED ctx->error
 * is set.
 */

ngx_int_t
ngx_http_s3_gather(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_int_t                rc;
    s3_str_t                 target;
    s3_sigv4_request_t      *request;
    ngx_http_s3_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);

    request = &ctx->sigv4;

    request->method.len = r->method_name.len;
    request->method.data = r->method_name.data;
    request->now = ngx_time();
    request->region.len = slcf->region.len;
    request->region.data = slcf->region.data;

    target.len = r->unparsed_uri.len;
    target.data = r->unparsed_uri.data;

    if (s3_uri_split(&target, &request->path, &request->query) != 0) {
        return ngx_http_s3_set_error(ctx, S3_ERR_InvalidURI);
    }

    rc = ngx_http_s3_gather_args(r, ctx);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_s3_gather_headers(r, ctx);
}


static ngx_int_t
ngx_http_s3_gather_args(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    int                  n;
    size_t               i;
    s3_sigv4_request_t  *request;

    request = &ctx->sigv4;

    if (request->query.len == 0) {
        return NGX_OK;
    }

    n = 1;

    for (i = 0; i < request->query.len; i++) {
        if (request->query.data[i] == '&') {
            n++;
        }
    }

    request->args = ngx_palloc(r->pool, n * sizeof(s3_field_t));
    if (request->args == NULL) {
        return NGX_ERROR;
    }

    n = s3_uri_parse_query(&ctx->memory, &request->query, request->args, n);

    if (n < 0) {
        return ngx_http_s3_set_error(ctx, S3_ERR_InvalidURI);
    }

    request->nargs = n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_gather_headers(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_uint_t           i, n;
    s3_field_t          *field;
    ngx_list_part_t     *part;
    ngx_table_elt_t     *h;
    s3_sigv4_request_t  *request;

    request = &ctx->sigv4;

    n = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        n += part->nelts;
    }

    field = ngx_palloc(r->pool, (n + 1) * sizeof(s3_field_t));
    if (field == NULL) {
        return NGX_ERROR;
    }

    request->headers = field;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            field->name.len = h[i].key.len;
            field->name.data = h[i].lowcase_key;
            field->value.len = h[i].value.len;
            field->value.data = h[i].value.data;
            field++;
        }
    }

    request->nheaders = field - request->headers;

    if (ngx_http_s3_host(r, &ctx->host) && r->headers_in.host == NULL) {
        ngx_str_set(&field->name, "host");
        field->value = ctx->host;
        request->nheaders++;
    }

    if (r->host_start && !ngx_http_s3_is_host(r, &ctx->host)) {
        return ngx_http_s3_set_error(ctx, S3_ERR_InvalidURI);
    }

    return NGX_OK;
}


/*
 * The Host header, or of HTTP/3 the ":authority": HTTP/2 makes the one of the
 * other, HTTP/3 does not.
 */

ngx_uint_t
ngx_http_s3_host(ngx_http_request_t *r, s3_str_t *host)
{
    if (r->headers_in.host) {
        ngx_http_s3_set(*host, r->headers_in.host->value);
        return 1;
    }

    if (r->http_version > NGX_HTTP_VERSION_20 && r->host_start) {
        host->len = r->host_end - r->host_start;
        host->data = r->host_start;
        return 1;
    }

    return 0;
}


/*
 * A target "http://host/..." has chosen the server, and the signature covers
 * the Host header: both must be of one host.
 */

static ngx_uint_t
ngx_http_s3_is_host(ngx_http_request_t *r, s3_str_t *host)
{
    size_t  len;

    len = r->host_end - r->host_start;

    return host->len >= len
           && ngx_strncasecmp(host->data, r->host_start, len) == 0
           && (host->len == len || host->data[len] == ':');
}


/*
 * NGX_OK: *key holds it; NGX_AGAIN: s3d was asked, ngx_http_s3_key_ready()
 * goes on; NGX_DECLINED: ctx->error is set.
 */

ngx_int_t
ngx_http_s3_find_key(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_http_s3_key_t *key)
{
    ngx_int_t                 rc;
    ngx_http_s3_main_conf_t  *smcf;

    if (ctx->auth.access_key.len > NGX_HTTP_S3_ACCESS_KEY_MAX
        || ctx->auth.region.len > NGX_HTTP_S3_REGION_MAX)
    {
        /* s3d has none of that size, and bounds what it reads */

        (void) ngx_http_s3_set_error(ctx, S3_ERR_InvalidAccessKeyId);
        s3_error_add(&ctx->error, "AWSAccessKeyId", &ctx->auth.access_key);
        return NGX_DECLINED;
    }

    smcf = ngx_http_get_module_main_conf(r, ngx_http_s3_module);

    if (ngx_http_s3_zone_get(smcf->zone, &ctx->auth, key) == NGX_OK) {
        metric_count(&ngx_http_s3_counters(r)->keys_found, 1);
        return NGX_OK;
    }

    rc = ngx_http_s3_ask_key(r, ctx);

    if (rc == NGX_DECLINED) {
        return ngx_http_s3_set_error(ctx, S3_ERR_ServiceUnavailable);
    }

    return rc;
}


/*
 * The signature does not match a key of the zone: its secret may have changed
 * since.  NGX_AGAIN: s3d was asked; NGX_DECLINED: the error stands, s3d was
 * asked for this key just before, or cannot be.
 */

ngx_int_t
ngx_http_s3_renew_key(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_http_s3_main_conf_t  *smcf;

    if (ctx->error.code != S3_ERR_SignatureDoesNotMatch) {
        return NGX_DECLINED;
    }

    smcf = ngx_http_get_module_main_conf(r, ngx_http_s3_module);

    if (ngx_http_s3_zone_renew(smcf->zone, &ctx->auth) != NGX_OK) {
        return NGX_DECLINED;
    }

    rc = ngx_http_s3_ask_key(r, ctx);

    if (rc == NGX_AGAIN) {
        ngx_memzero(&ctx->error, sizeof(s3_error_t));
    }

    return rc;
}


static ngx_int_t
ngx_http_s3_ask_key(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_int_t                rc;
    ngx_http_s3_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);

    metric_count(&ngx_http_s3_counters(r)->keys_asked, 1);

    rc = ngx_http_s3_control_key(slcf->control, r, slcf->key_timeout);

    return (rc == NGX_OK) ? NGX_AGAIN : rc;
}


ngx_int_t
ngx_http_s3_verify(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_http_s3_key_t *key)
{
    if (!key->found) {
        (void) ngx_http_s3_set_error(ctx, S3_ERR_InvalidAccessKeyId);
        s3_error_add(&ctx->error, "AWSAccessKeyId", &ctx->auth.access_key);
        return NGX_DECLINED;
    }

    if (s3_sigv4_verify(&ctx->memory, &ctx->sigv4, &ctx->auth, key->key,
                        &ctx->error)
        != S3_OK)
    {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "s3 signature of access key \"%*s\" does not match",
                      ctx->auth.access_key.len, ctx->auth.access_key.data);
        return NGX_DECLINED;
    }

    ctx->key_generation = key->generation;

    return NGX_OK;
}
