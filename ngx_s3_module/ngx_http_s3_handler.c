
/*
 * A request: route it, authenticate it, pass it on to s3d.
 */


#include "ngx_http_s3_module.h"


static ngx_int_t ngx_http_s3_route(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static ngx_int_t ngx_http_s3_route_error(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, enum s3_error error);
static ngx_int_t ngx_http_s3_add_sizes(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, const char *name, uint64_t size, uint64_t max);
static ngx_int_t ngx_http_s3_execute(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static ngx_int_t ngx_http_s3_body_length(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static ngx_int_t ngx_http_s3_decoded_length(ngx_http_s3_ctx_t *ctx,
    uint64_t *length);
static ngx_int_t ngx_http_s3_refuse(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static void ngx_http_s3_cleanup(void *data);
static void *ngx_http_s3_alloc(void *pool, size_t size);


ngx_int_t
ngx_http_s3_handler(ngx_http_request_t *r)
{
    ngx_int_t           rc;
    ngx_http_s3_ctx_t  *ctx;

    ctx = ngx_http_s3_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

#if (NGX_HTTP_GZIP)
    /* an object's bytes and ETag are never altered */
    r->gzip_tested = 1;
    r->gzip_ok = 0;
#endif

    /* the line of a status is HTTP/1.1's, streams have frames for it */

    if (r->headers_in.expect && r->http_version == NGX_HTTP_VERSION_11) {
        ctx->expect = (r->headers_in.expect->value.len
                       == sizeof("100-continue") - 1
                       && ngx_strncasecmp(r->headers_in.expect->value.data,
                                          (u_char *) "100-continue",
                                          sizeof("100-continue") - 1)
                          == 0);
    }

    /* the client is told to go on when s3d wants its body, not before */
    r->expect_tested = 1;

    rc = ngx_http_s3_gather(r, ctx);

    if (rc == NGX_OK) {
        rc = ngx_http_s3_route(r, ctx);
    }

    if (rc == NGX_OK) {
        rc = (ctx->route.operation == WIRE__OPERATION__IAM_QUERY)
             ? ngx_http_s3_query_read(r, ctx)
             : ngx_http_s3_authenticate(r, ctx);
    }

    return ngx_http_s3_answer(r, ctx, rc);
}


/* Executes the request as well, now or when its key is there. */

ngx_int_t
ngx_http_s3_authenticate(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_int_t          rc;
    ngx_http_s3_key_t  key;

    if (ctx->route.operation == WIRE__OPERATION__PREFLIGHT) {
        /* a browser signs no preflight, though the URL may be signed */
        ctx->auth.anonymous = 1;

    } else if (ctx->route.operation == WIRE__OPERATION__POST_OBJECT) {
        /* who sends it stands in the form, and s3d reads that */
        ctx->auth.anonymous = 1;

    } else if (s3_sigv4_parse(&ctx->memory, &ctx->sigv4, &ctx->auth,
                              &ctx->error)
               != S3_OK)
    {
        return (ctx->error.code == S3_ERR_MethodNotAllowed)
               ? ngx_http_s3_route_error(r, ctx, S3_ERR_MethodNotAllowed)
               : NGX_DECLINED;
    }

    if (ctx->auth.anonymous) {
        return ngx_http_s3_execute(r, ctx);
    }

    rc = ngx_http_s3_find_key(r, ctx, &key);

    if (rc == NGX_OK) {
        rc = ngx_http_s3_verify(r, ctx, &key);

        ngx_explicit_memzero(&key, sizeof(ngx_http_s3_key_t));

        if (rc == NGX_DECLINED) {
            rc = ngx_http_s3_renew_key(r, ctx);
        }
    }

    if (rc == NGX_AGAIN) {
        ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "s3 request waits for a key");

        r->read_event_handler = ngx_http_test_reading;
        r->write_event_handler = ngx_http_request_empty_handler;
        r->main->count++;

        return NGX_DONE;
    }

    return (rc == NGX_OK) ? ngx_http_s3_execute(r, ctx) : rc;
}


/* The key that a request waited for; NULL if it could not be had. */

void
ngx_http_s3_key_ready(ngx_http_s3_waiter_t *waiter, void *answer)
{
    ngx_http_s3_key_t *key = answer;

    ngx_int_t                 rc;
    ngx_connection_t         *c;
    ngx_http_request_t       *r;
    ngx_http_s3_ctx_t        *ctx;
    ngx_http_s3_main_conf_t  *smcf;

    r = waiter->request;
    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_module);

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "s3 key ready: %d", key ? (int) key->found : -1);

    r->read_event_handler = ngx_http_block_reading;

    if (key) {
        smcf = ngx_http_get_module_main_conf(r, ngx_http_s3_module);
        ngx_http_s3_zone_set(smcf->zone, &ctx->auth, key);

        rc = ngx_http_s3_verify(r, ctx, key);

        if (rc == NGX_OK) {
            rc = ngx_http_s3_execute(r, ctx);
        }

    } else {
        rc = ngx_http_s3_set_error(ctx, S3_ERR_ServiceUnavailable);
    }

    ngx_http_finalize_request(r, ngx_http_s3_answer(r, ctx, rc));

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_s3_route(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    enum s3_error            error;
    s3_route_request_t       request;
    ngx_http_s3_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);

    ngx_memzero(&request, sizeof(s3_route_request_t));

    request.method = ctx->sigv4.method;
    request.path = ctx->sigv4.path;
    request.host = ctx->host;
    request.args = ctx->sigv4.args;
    request.nargs = ctx->sigv4.nargs;
    request.copy_source = s3_field_find(ctx->sigv4.headers,
                                        ctx->sigv4.nheaders,
                                        "x-amz-copy-source")
                          != NULL;
    request.account = s3_field_find(ctx->sigv4.headers, ctx->sigv4.nheaders,
                                    "x-amz-account-id")
                      != NULL;
    request.form = ngx_http_s3_query_is_form(r);
    request.sts = s3_sigv4_is_sts(&ctx->sigv4);

    if (slcf->domains) {
        request.domains = slcf->domains->elts;
        request.ndomains = slcf->domains->nelts;
    }

    error = s3_route(&ctx->memory, &request, &ctx->route);

    if (error != S3_OK) {
        return ngx_http_s3_route_error(r, ctx, error);
    }

    ngx_log_debug5(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 route: %d \"%*s\" \"%*s\"", ctx->route.operation,
                   ctx->route.bucket.len, ctx->route.bucket.data,
                   ctx->route.key.len, ctx->route.key.data);

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_route_error(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    enum s3_error error)
{
    s3_str_t  value;

    (void) ngx_http_s3_set_error(ctx, error);

    if (error == S3_ERR_KeyTooLongError) {
        return ngx_http_s3_add_sizes(r, ctx, "Size", ctx->route.key.len,
                                     S3_ROUTE_KEY_MAX);
    }

    if (error == S3_ERR_InvalidArgument) {
        ctx->error.message = ctx->route.message;

        s3_error_add(&ctx->error, "ArgumentName", &ctx->route.argument.name);
        s3_error_add(&ctx->error, "ArgumentValue", &ctx->route.argument.value);
    }

    if (error == S3_ERR_MethodNotAllowed) {
        s3_error_add(&ctx->error, "Method", &ctx->sigv4.method);

        value.data = (u_char *) ctx->route.type;
        value.len = ngx_strlen(value.data);

        s3_error_add(&ctx->error, "ResourceType", &value);

        ctx->allow.data = (u_char *) ctx->route.allow;
        ctx->allow.len = ngx_strlen(ctx->allow.data);
    }

    return NGX_DECLINED;
}


/* What was sent, and what is the most. */

static ngx_int_t
ngx_http_s3_add_sizes(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    const char *name, uint64_t size, uint64_t max)
{
    u_char    *p;
    s3_str_t   value;

    p = ngx_pnalloc(r->pool, 2 * NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_sprintf(p, "%uL", size) - p;

    s3_error_add(&ctx->error, name, &value);

    p += value.len;

    value.data = p;
    value.len = ngx_sprintf(p, "%uL", max) - p;

    s3_error_add(&ctx->error, "MaxSizeAllowed", &value);

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_s3_execute(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_s3_check_hoisted(ctx);

    if (rc == NGX_OK && ctx->route.has_body) {
        rc = ngx_http_s3_body_length(r, ctx);
    }

    return (rc == NGX_OK) ? ngx_http_s3_serve(r, ctx) : rc;
}


/* In the cheapest way that there is. */

ngx_int_t
ngx_http_s3_serve(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_s3_hot_send(r, ctx);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_s3_ask(r, ctx);
    }

    if (rc == NGX_DECLINED) {
        rc = ngx_http_s3_upstream_start(r, ctx);
    }

    return rc;
}


static ngx_int_t
ngx_http_s3_body_length(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_uint_t  object;

    object = (ctx->route.operation == WIRE__OPERATION__PUT_OBJECT
              || ctx->route.operation == WIRE__OPERATION__UPLOAD_PART);

    if (ctx->auth.payload >= S3_PAYLOAD_STREAMING_SIGNED) {

        if ((r->headers_in.content_length_n < 0 && !r->headers_in.chunked)
            || ngx_http_s3_decoded_length(ctx, &ctx->content_length)
               != NGX_OK)
        {
            return ngx_http_s3_set_error(ctx, S3_ERR_MissingContentLength);
        }

    } else if (r->headers_in.content_length_n >= 0) {
        ctx->content_length = r->headers_in.content_length_n;

    } else if (r->headers_in.chunked || object
               || ctx->route.operation == WIRE__OPERATION__POST_OBJECT)
    {
        return ngx_http_s3_set_error(ctx, S3_ERR_MissingContentLength);
    }

    if (object && ctx->content_length > NGX_HTTP_S3_OBJECT_MAX) {

        (void) ngx_http_s3_set_error(ctx, S3_ERR_EntityTooLarge);

        return ngx_http_s3_add_sizes(r, ctx, "ProposedSize",
                                     ctx->content_length,
                                     NGX_HTTP_S3_OBJECT_MAX);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_decoded_length(ngx_http_s3_ctx_t *ctx, uint64_t *length)
{
    off_t        value;
    s3_field_t  *field;

    field = s3_field_find(ctx->sigv4.headers, ctx->sigv4.nheaders,
                          "x-amz-decoded-content-length");

    if (field == NULL) {
        return NGX_DECLINED;
    }

    value = ngx_atoof(field->value.data, field->value.len);

    if (value == NGX_ERROR) {
        return NGX_DECLINED;
    }

    *length = value;

    return NGX_OK;
}


/* NGX_DECLINED says that ctx->error is to be sent. */

ngx_int_t
ngx_http_s3_answer(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_int_t rc)
{
    if (rc == NGX_DECLINED) {
        rc = ngx_http_s3_refuse(r, ctx);
    }

    return ngx_http_s3_result(r, rc);
}


/* Of a handler: an answer that has begun can only be cut off. */

ngx_int_t
ngx_http_s3_result(ngx_http_request_t *r, ngx_int_t rc)
{
    if (rc == NGX_ERROR && !r->header_sent) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return rc;
}


/*
 * What is refused of a bucket goes through s3d, which knows what the bucket
 * says of CORS and of logs; and what is IAM's or STS's, whose errors look
 * otherwise.  If s3d is not there, then ctx->error is sent in place of the
 * page that says so.
 */

static ngx_int_t
ngx_http_s3_refuse(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    if ((ctx->route.bucket.len == 0
         && (ctx->route.operation != WIRE__OPERATION__IAM_QUERY
             || ctx->error.code == S3_ERR_MethodNotAllowed))
        || ctx->error.code == S3_ERR_InvalidBucketName
        || s3_error_status(ctx->error.code) >= NGX_HTTP_INTERNAL_SERVER_ERROR)
    {
        return ngx_http_s3_send_error(r, ctx);
    }

    if (ngx_http_s3_error_document(r, ctx, &ctx->refusal) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->refusal.len > NGX_HTTP_S3_REFUSAL_MAX) {
        return ngx_http_s3_send_error(r, ctx);
    }

    ctx->route.has_body = 0;

    return ngx_http_s3_upstream_start(r, ctx);
}


ngx_http_s3_ctx_t *
ngx_http_s3_get_ctx(ngx_http_request_t *r)
{
    u_char              *p;
    ngx_uint_t           i, bits;
    ngx_http_s3_ctx_t   *ctx;
    ngx_pool_cleanup_t  *cln;

    static u_char  hex[] = "0123456789ABCDEF";

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_module);

    if (ctx) {
        return ctx;
    }

    /* found by ngx_http_s3_find_ctx() */

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_s3_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_s3_cleanup;

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_s3_ctx_t));

    ctx->request = r;
    ctx->began = ngx_http_s3_now();
    ctx->memory.alloc = ngx_http_s3_alloc;
    ctx->memory.pool = r->pool;
    ctx->body_left = -1;

    p = ctx->id_data;

    bits = 0;

    for (i = 0; i < NGX_HTTP_S3_REQUEST_ID_LEN; i++) {

        if (i % 4 == 0) {
            bits = ngx_random() >> 8;
        }

        *p++ = hex[bits & 0xf];
        bits >>= 4;
    }

    ctx->request_id.data = ctx->id_data;
    ctx->request_id.len = NGX_HTTP_S3_REQUEST_ID_LEN;

    ngx_http_set_ctx(r, ctx, ngx_http_s3_module);

    return ctx;
}


/*
 * For what is logged: when nginx answers with a page of its own, or another
 * location does, contexts are reset, but the request is still the one that it
 * was.  The last one of the request is found by its cleanup.
 */

ngx_http_s3_ctx_t *
ngx_http_s3_find_ctx(ngx_http_request_t *r)
{
    ngx_http_s3_ctx_t   *ctx;
    ngx_pool_cleanup_t  *cln;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_module);

    if (ctx || !(r->internal || r->filter_finalize)) {
        return ctx;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_s3_cleanup) {
            ctx = cln->data;

            if (ctx->request == r) {
                return ctx;
            }
        }
    }

    return NULL;
}


static void
ngx_http_s3_cleanup(void *data)
{
    /* a mark */
}


static void *
ngx_http_s3_alloc(void *pool, size_t size)
{
    return ngx_palloc(pool, size);
}
