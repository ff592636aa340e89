
/*
 * The REPLY frame: status, length and headers of the answer.
 */


#include "ngx_http_s3_module.h"


static void *ngx_http_s3_reply_alloc(void *pool, size_t size);
static void ngx_http_s3_reply_free(void *pool, void *p);
static void ngx_http_s3_reply_length(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, Wire__Reply *reply);
static ngx_int_t ngx_http_s3_reply_headers(ngx_http_request_t *r,
    Wire__Reply *reply);
static ngx_int_t ngx_http_s3_reply_header(ngx_http_request_t *r,
    Wire__Field *field);
static ngx_int_t ngx_http_s3_content_type(ngx_http_request_t *r,
    Wire__Field *field);
static ngx_int_t ngx_http_s3_push_header(ngx_http_request_t *r,
    Wire__Field *field);


/* s3d wants the body: so the client is told to send it. */

ngx_int_t
ngx_http_s3_continue(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ssize_t  n;

    static u_char  line[] = "HTTP/1.1 100 Continue" CRLF CRLF;

    if (!ctx->expect || ctx->body_seen) {
        return NGX_OK;
    }

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 send 100 Continue");

    n = r->connection->send(r->connection, line, sizeof(line) - 1);

    if (n == (ssize_t) sizeof(line) - 1) {
        ctx->expect = 0;
        return NGX_OK;
    }

    /* such a small packet is taken whole, or the connection is of no use */

    r->connection->error = 1;

    return NGX_ERROR;
}


/* The header of the answer, but for what the module adds. */

ngx_int_t
ngx_http_s3_reply(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_int_t             rc;
    Wire__Reply          *reply;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    reply = ngx_http_s3_reply_unpack(r, ctx->reader.message,
                                     ctx->reader.header.length);
    if (reply == NULL) {
        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }

    u->headers_in.status_n = reply->status;
    u->state->status = reply->status;

    /*
     * Amazon S3 says "100 Continue" to an empty body as well; botocore reads
     * a final answer without it wrongly, and hangs on the connection's next.
     */

    if (ctx->route.has_body && ctx->content_length == 0 && !r->reading_body
        && ngx_http_s3_continue(r, ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->reply_read = 1;

    ngx_http_s3_reply_length(r, ctx, reply);

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 reply: %uD, body: %d, length: %O", reply->status,
                   reply->body, u->headers_in.content_length_n);

    rc = ngx_http_s3_reply_headers(r, reply);

    if (rc == NGX_OK && ctx->file) {
        rc = ngx_http_s3_static_reply(r, ctx, reply->status);
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (r->reading_body) {
        /* refused before all of the body was read */
        r->keepalive = 0;
    }

    return NGX_OK;
}


/* Its parts go with the request.  NULL: it is none. */

Wire__Reply *
ngx_http_s3_reply_unpack(ngx_http_request_t *r, u_char *message, size_t len)
{
    Wire__Reply         *reply;
    ProtobufCAllocator   allocator;

    allocator.alloc = ngx_http_s3_reply_alloc;
    allocator.free = ngx_http_s3_reply_free;
    allocator.allocator_data = r->pool;

    reply = wire__reply__unpack(&allocator, len, message);

    if (reply == NULL || reply->status < 200 || reply->status > 599
        || (reply->has_content_length
            && reply->content_length > NGX_MAX_OFF_T_VALUE))
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "s3d sent an invalid reply");
        return NULL;
    }

    return reply;
}


/* A reply has some twenty small parts, which go with the request. */

static void *
ngx_http_s3_reply_alloc(void *pool, size_t size)
{
    return ngx_palloc(pool, size);
}


static void
ngx_http_s3_reply_free(void *pool, void *p)
{
    /* void */
}


static void
ngx_http_s3_reply_length(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    Wire__Reply *reply)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    ctx->reply_empty = (reply->body == WIRE__REPLY__BODY__NONE
                        || r->method == NGX_HTTP_HEAD);

    if (reply->has_content_length) {
        u->headers_in.content_length_n = reply->content_length;
    }

    ctx->body_left = ctx->reply_empty ? 0 : u->headers_in.content_length_n;

    if (!reply->has_content_length && reply->body == WIRE__REPLY__BODY__NONE
        && r->method != NGX_HTTP_HEAD
        && reply->status != NGX_HTTP_NO_CONTENT
        && reply->status != NGX_HTTP_NOT_MODIFIED)
    {
        u->headers_in.content_length_n = 0;
    }
}


static ngx_int_t
ngx_http_s3_reply_headers(ngx_http_request_t *r, Wire__Reply *reply)
{
    size_t  i;

    for (i = 0; i < reply->n_headers; i++) {
        if (ngx_http_s3_reply_header(r, reply->headers[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_reply_header(ngx_http_request_t *r, Wire__Field *field)
{
    ngx_http_s3_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_module);

    if (field->name.len == 0) {
        return NGX_OK;
    }

    if (ngx_http_s3_check_header(r, field) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->file) {

        if (ngx_http_s3_static_is_said(r, field->name.data, field->name.len)) {
            return NGX_OK;
        }

    } else if (field->name.len == sizeof("content-type") - 1
               && ngx_strncasecmp(field->name.data, (u_char *) "content-type",
                                  sizeof("content-type") - 1)
                  == 0)
    {
        return ngx_http_s3_content_type(r, field);
    }

    return ngx_http_s3_push_header(r, field);
}


/* Stored once by somebody, sent to others: never a second header. */

ngx_int_t
ngx_http_s3_check_header(ngx_http_request_t *r, Wire__Field *field)
{
    size_t  i;

    if (!ngx_http_s3_is_token(field->name.data, field->name.len)) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "s3d sent a header with an invalid name");
        return NGX_ERROR;
    }

    for (i = 0; i < field->value.len; i++) {
        if (field->value.data[i] == CR || field->value.data[i] == LF
            || field->value.data[i] == '\0')
        {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "s3d sent a header with a line break");
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* As stored: nginx would take a charset apart and write it anew. */

static ngx_int_t
ngx_http_s3_content_type(ngx_http_request_t *r, Wire__Field *field)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, field->value.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, field->value.data, field->value.len);

    r->headers_out.content_type.data = p;
    r->headers_out.content_type.len = field->value.len;
    r->headers_out.content_type_len = field->value.len;
    r->headers_out.content_type_lowcase = NULL;

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_push_header(ngx_http_request_t *r, Wire__Field *field)
{
    u_char                         *p;
    ngx_table_elt_t                *h;
    ngx_http_upstream_header_t     *hh;
    ngx_http_upstream_main_conf_t  *umcf;

    p = ngx_pnalloc(r->pool, field->name.len * 2 + field->value.len + 3);
    if (p == NULL) {
        return NGX_ERROR;
    }

    h = ngx_list_push(&r->upstream->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->key.len = field->name.len;
    h->key.data = p;
    p = ngx_cpymem(p, field->name.data, field->name.len);
    *p++ = '\0';

    h->value.len = field->value.len;
    h->value.data = p;
    p = ngx_cpymem(p, field->value.data, field->value.len);
    *p++ = '\0';

    h->lowcase_key = p;
    h->hash = ngx_hash_strlow(p, h->key.data, h->key.len);
    p[h->key.len] = '\0';

    umcf = ngx_http_get_module_main_conf(r, ngx_http_upstream_module);

    hh = ngx_hash_find(&umcf->headers_in_hash, h->hash, h->lowcase_key,
                       h->key.len);

    if (hh) {
        return hh->handler(r, h, hh->offset);
    }

    return NGX_OK;
}
