
/*
 * The endpoint of websites.  The host's name says which bucket; s3d knows the
 * bucket's configuration and answers with the object, a redirect or a page.
 */


#include "ngx_http_s3_module.h"


static ngx_int_t ngx_http_s3_website_target(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static void ngx_http_s3_website_bucket(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);


ngx_int_t
ngx_http_s3_website_handler(ngx_http_request_t *r)
{
    ngx_int_t           rc;
    ngx_http_s3_ctx_t  *ctx;

    ctx = ngx_http_s3_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!ngx_http_s3_host(r, &ctx->host) || r->headers_in.server.len == 0) {
        return NGX_HTTP_BAD_REQUEST;
    }

    ctx->route.operation = (r->method == NGX_HTTP_OPTIONS)
                           ? WIRE__OPERATION__PREFLIGHT
                           : WIRE__OPERATION__GET_WEBSITE;

    ngx_http_s3_website_bucket(r, ctx);

    rc = ngx_http_s3_website_target(r, ctx);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_s3_static_headers(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 website: \"%*s\" \"%*s\"",
                   ctx->route.bucket.len, ctx->route.bucket.data,
                   ctx->route.key.len, ctx->route.key.data);

    return ngx_http_s3_result(r, ngx_http_s3_serve(r, ctx));
}


/*
 * Below one of the domains, the longest that fits, the rest is the bucket; else
 * all of the name is.
 */

static void
ngx_http_s3_website_bucket(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    s3_str_t                *domain;
    ngx_str_t                host;
    ngx_uint_t               i, longest;
    ngx_http_s3_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);

    host = r->headers_in.server;

    ngx_http_s3_set(ctx->route.bucket, host);

    if (slcf->domains == NULL) {
        return;
    }

    domain = slcf->domains->elts;
    longest = 0;

    for (i = 0; i < slcf->domains->nelts; i++) {

        if (domain[i].len > longest && host.len > domain[i].len + 1
            && host.data[host.len - domain[i].len - 1] == '.'
            && ngx_strncasecmp(host.data + host.len - domain[i].len,
                               domain[i].data, domain[i].len)
               == 0)
        {
            longest = domain[i].len;
            ctx->route.bucket.len = host.len - longest - 1;
        }
    }
}


/* The key is all of the path, as the S3 API reads it: nothing is merged. */

static ngx_int_t
ngx_http_s3_website_target(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    s3_str_t  target;

    target.len = r->unparsed_uri.len;
    target.data = r->unparsed_uri.data;

    if (s3_uri_split(&target, &ctx->sigv4.path, &ctx->website_query) != 0
        || s3_uri_decode(&ctx->memory, &ctx->sigv4.path, 0, &ctx->route.key)
           != 0)
    {
        return NGX_HTTP_BAD_REQUEST;
    }

    ctx->route.key.data++;
    ctx->route.key.len--;

    return NGX_OK;
}


/* s3_website UPSTREAM */

char *
ngx_http_s3_website(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_s3_set_handler(cf, conf, ngx_http_s3_website_handler);
}
