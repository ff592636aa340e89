
/*
 * The REQUEST frame.
 */


#include "ngx_http_s3_module.h"


static ngx_int_t ngx_http_s3_request_payload(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, Wire__Request *request);
static void ngx_http_s3_request_refusal(ngx_http_s3_ctx_t *ctx,
    Wire__Request *request, Wire__Refusal *refusal);
static void ngx_http_s3_request_environment(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, Wire__Request *request);
#if (NGX_HTTP_SSL)
static void ngx_http_s3_request_tls(ngx_connection_t *c,
    Wire__Request *request);
#endif
static ngx_int_t ngx_http_s3_request_bufs(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, Wire__Request *request);
static ngx_chain_t *ngx_http_s3_request_frame(ngx_http_request_t *r,
    Wire__Request *request);
static ngx_int_t ngx_http_s3_request_body(ngx_http_request_t *r,
    ngx_chain_t *cl, ngx_chain_t *body);


ngx_int_t
ngx_http_s3_create_request(ngx_http_request_t *r)
{
    Wire__Request       request;
    Wire__Refusal       refusal;
    ngx_http_s3_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_module);

    if (ngx_http_s3_request_message(r, ctx, &request, &refusal) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_s3_request_bufs(r, ctx, &request);
}


/* All of the message; the refusal is part of it, if there is one. */

ngx_int_t
ngx_http_s3_request_message(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    Wire__Request *request, Wire__Refusal *refusal)
{
    ngx_http_s3_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);

    wire__request__init(request);

    request->operation = ctx->route.operation;
    ngx_http_s3_set(request->bucket, ctx->route.bucket);
    ngx_http_s3_set(request->key, ctx->route.key);

    ngx_http_s3_set(request->access_key, ctx->auth.access_key);
    request->key_generation = ctx->key_generation;
    ngx_http_s3_set(request->session_token, ctx->auth.session_token);

    request->file = ctx->file;
    request->website = (slcf->handler == ngx_http_s3_website_handler);

    request->segments = slcf->segments && slcf->control->drives != NULL;
    request->verify = slcf->verify;
    request->end_ahead = 1;
    request->compares_files = 1;
    request->read_timeout_ms = slcf->upstream.read_timeout;
    request->hot = slcf->hot && slcf->control->hot_base != NULL;

    ngx_http_s3_request_environment(r, ctx, request);

    if (ctx->refusal.len) {
        ngx_http_s3_request_refusal(ctx, request, refusal);
    }

    if (ngx_http_s3_request_args(r, ctx, request) != NGX_OK
        || ngx_http_s3_request_headers(r, ctx, request) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_s3_request_payload(r, ctx, request);
}


/* No s3d may take it for a request that was authenticated. */

static void
ngx_http_s3_request_refusal(ngx_http_s3_ctx_t *ctx, Wire__Request *request,
    Wire__Refusal *refusal)
{
    wire__refusal__init(refusal);

    refusal->operation = request->operation;
    refusal->code.data = (u_char *) s3_error_code(ctx->error.code);
    refusal->code.len = ngx_strlen(refusal->code.data);
    ngx_http_s3_set(refusal->document, ctx->refusal);

    request->operation = WIRE__OPERATION__REFUSED;
    request->refusal = refusal;

    request->access_key.len = 0;
    request->session_token.len = 0;
    request->key_generation = 0;
}


static void
ngx_http_s3_request_environment(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    Wire__Request *request)
{
    ngx_http_s3_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);

    ngx_http_s3_set(request->request_id, ctx->request_id);
    ngx_http_s3_set(request->host, ctx->host);
    ngx_http_s3_set(request->resource, ctx->sigv4.path);
    ngx_http_s3_set(request->source_ip, r->connection->addr_text);
    ngx_http_s3_set(request->query, ctx->website_query);
    ngx_http_s3_set(request->method, r->method_name);

    if (slcf->region.len) {
        ngx_http_s3_set(request->server_region, slcf->region);

        if (ctx->route.operation == WIRE__OPERATION__POST_OBJECT) {
            ngx_http_s3_set(request->region, slcf->region);
        }

    } else {
        request->server_region.data = (u_char *) "us-east-1";
        request->server_region.len = sizeof("us-east-1") - 1;
    }

    ngx_http_s3_set(request->http_version, r->http_protocol);
    request->presigned = ctx->auth.presigned;
    request->signed_ms = (uint64_t) ctx->auth.time * 1000;

    if (ctx->route.operation == WIRE__OPERATION__IAM_QUERY) {
        ngx_http_s3_set(request->service, ctx->auth.service);
    }

#if (NGX_HTTP_SSL)
    request->secure = (r->connection->ssl != NULL);

    if (request->secure) {
        ngx_http_s3_request_tls(r->connection, request);
    }
#endif
}


#if (NGX_HTTP_SSL)

static void
ngx_http_s3_request_tls(ngx_connection_t *c, Wire__Request *request)
{
    const char  *version, *cipher;

    version = SSL_get_version(c->ssl->connection);
    cipher = SSL_get_cipher_name(c->ssl->connection);

    request->tls_version.data = (u_char *) version;
    request->tls_version.len = ngx_strlen(version);

    if (cipher != NULL) {
        request->tls_cipher.data = (u_char *) cipher;
        request->tls_cipher.len = ngx_strlen(cipher);
    }
}

#endif


static ngx_int_t
ngx_http_s3_request_payload(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    Wire__Request *request)
{
    ngx_int_t   n;
    ngx_uint_t  i;
    s3_str_t   *hex;

    if (!ctx->route.has_body) {
        return NGX_OK;
    }

    request->has_body = 1;
    request->content_length = ctx->content_length;
    request->payload = (Wire__Payload) ctx->auth.payload;
    request->expect_continue = ctx->expect && ctx->content_length;

    switch (ctx->auth.payload) {

    case S3_PAYLOAD_SIGNED:

        hex = &ctx->auth.content_sha256;

        if (hex->len != 64) {
            return NGX_ERROR;
        }

        request->content_sha256.len = 32;
        request->content_sha256.data = ngx_palloc(r->pool, 32);
        if (request->content_sha256.data == NULL) {
            return NGX_ERROR;
        }

        for (i = 0; i < 32; i++) {
            n = ngx_hextoi(hex->data + i * 2, 2);

            if (n == NGX_ERROR) {
                return NGX_ERROR;
            }

            request->content_sha256.data[i] = (u_char) n;
        }

        break;

    case S3_PAYLOAD_STREAMING_SIGNED:
    case S3_PAYLOAD_STREAMING_SIGNED_TRAILER:

        ngx_http_s3_set(request->seed_signature, ctx->auth.signature);
        ngx_http_s3_set(request->amz_date, ctx->auth.amz_date);
        ngx_http_s3_set(request->region, ctx->auth.region);
        break;

    default: /* S3_PAYLOAD_UNSIGNED, S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER */
        break;
    }

    return ngx_http_s3_request_trailers(r, ctx, request);
}


/*
 * The first buffer holds REQUEST, and END if there is no body; the body's
 * buffers follow it here if all of it was read before, else upstream adds
 * them as they come.
 */

static ngx_int_t
ngx_http_s3_request_bufs(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    Wire__Request *request)
{
    ngx_buf_t            *b;
    ngx_chain_t          *cl, *body;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    cl = ngx_http_s3_request_frame(r, request);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    body = u->request_bufs;
    u->request_bufs = cl;

    u->output.output_filter = ngx_http_s3_body_output_filter;
    u->output.filter_ctx = r;
    u->output.need_in_memory = 1;

    if (!ctx->route.has_body) {
        b = cl->buf;
        frame_encode(b->last, FRAME_END, NULL, 0);
        b->last += FRAME_HEADER_SIZE;
        b->last_buf = 1;
        return NGX_OK;
    }

    if (r->request_body_no_buffering) {
        return NGX_OK;
    }

    return ngx_http_s3_request_body(r, cl, body);
}


/* With room for END behind it. */

static ngx_chain_t *
ngx_http_s3_request_frame(ngx_http_request_t *r, Wire__Request *request)
{
    size_t        size;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    size = wire__request__get_packed_size(request);

    if (size > FRAME_MESSAGE_MAX) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "s3 request is too big: %uz", size);
        return NULL;
    }

    b = ngx_create_temp_buf(r->pool, size + 2 * FRAME_HEADER_SIZE);
    if (b == NULL) {
        return NULL;
    }

    (void) wire__request__pack(request, b->pos + FRAME_HEADER_SIZE);
    frame_encode(b->pos, FRAME_REQUEST, b->pos + FRAME_HEADER_SIZE, size);

    b->last = b->pos + FRAME_HEADER_SIZE + size;
    b->flush = 1;

    cl = ngx_alloc_chain_link(r->pool);
    if (cl == NULL) {
        return NULL;
    }

    cl->buf = b;
    cl->next = NULL;

    return cl;
}


/* Behind cl; the end of an empty body has a buffer of its own. */

static ngx_int_t
ngx_http_s3_request_body(ngx_http_request_t *r, ngx_chain_t *cl,
    ngx_chain_t *body)
{
    ngx_buf_t  *b;

    do {
        b = ngx_calloc_buf(r->pool);
        if (b == NULL) {
            return NGX_ERROR;
        }

        cl->next = ngx_alloc_chain_link(r->pool);
        if (cl->next == NULL) {
            return NGX_ERROR;
        }

        cl = cl->next;
        cl->buf = b;
        cl->next = NULL;

        if (body) {
            ngx_memcpy(b, body->buf, sizeof(ngx_buf_t));
            body = body->next;
        }

    } while (body);

    b->last_buf = 1;

    return NGX_OK;
}
