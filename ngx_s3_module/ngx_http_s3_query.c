
/*
 * A request of IAM or STS: POST / with a form; of STS also GET or POST with
 * the parameters in the query.  The client signs the SHA-256
 * of the form without sending it, so all of the form is read before the
 * signature can be looked at: into one bounded buffer of memory, never into a
 * temporary file.
 */


#include "ngx_http_s3_module.h"


static void ngx_http_s3_query_begin(ngx_http_request_t *r);
static void ngx_http_s3_query_collect(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_query_take(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static ngx_int_t ngx_http_s3_query_execute(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);


/* "application/x-www-form-urlencoded", whatever follows. */

ngx_uint_t
ngx_http_s3_query_is_form(ngx_http_request_t *r)
{
    size_t      len;
    ngx_str_t  *type;

    static u_char  form[] = "application/x-www-form-urlencoded";

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    type = &r->headers_in.content_type->value;
    len = sizeof(form) - 1;

    return type->len >= len
           && ngx_strncasecmp(type->data, form, len) == 0
           && (type->len == len || type->data[len] == ';'
               || type->data[len] == ' ');
}


/* Returns what a content handler does, or NGX_DECLINED: see ctx->error. */

ngx_int_t
ngx_http_s3_query_read(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    off_t      len;
    ngx_int_t  rc;

    len = r->headers_in.content_length_n;

    if (len < 0) {

        if (r->headers_in.chunked) {
            return ngx_http_s3_set_error(ctx, S3_ERR_MissingContentLength);
        }

        len = 0;
    }

    if (len > NGX_HTTP_S3_QUERY_MAX) {
        return ngx_http_s3_set_error(ctx, S3_ERR_MaxMessageLengthExceeded);
    }

    ctx->query = ngx_create_temp_buf(r->pool, (size_t) len + 1);
    if (ctx->query == NULL) {
        return NGX_ERROR;
    }

    if (ctx->expect) {

        /* the form is wanted before s3d is asked: nginx may say so */

        ctx->expect = 0;
        r->expect_tested = 0;
    }

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_s3_query_begin);

    return (rc >= NGX_HTTP_SPECIAL_RESPONSE) ? rc : NGX_DONE;
}


static void
ngx_http_s3_query_begin(ngx_http_request_t *r)
{
    r->read_event_handler = ngx_http_s3_query_collect;

    ngx_http_s3_query_collect(r);
}


static void
ngx_http_s3_query_collect(ngx_http_request_t *r)
{
    ngx_int_t           rc;
    ngx_http_s3_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_module);

    for ( ;; ) {

        if (ngx_http_s3_query_take(r, ctx) != NGX_OK) {
            ngx_http_finalize_request(r, NGX_HTTP_BAD_REQUEST);
            return;
        }

        if (!r->reading_body) {
            break;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            ngx_http_finalize_request(r, rc);
            return;
        }

        if (rc == NGX_AGAIN && r->request_body->bufs == NULL) {
            return;
        }
    }

    r->read_event_handler = ngx_http_block_reading;

    rc = ngx_http_s3_query_execute(r, ctx);

    ngx_http_finalize_request(r, ngx_http_s3_answer(r, ctx, rc));
}


/* What has come, so that nginx has its buffer back. */

static ngx_int_t
ngx_http_s3_query_take(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    size_t        len;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {

        b = cl->buf;
        len = b->last - b->pos;

        if (len > (size_t) (ctx->query->end - ctx->query->last)) {
            return NGX_ERROR;
        }

        ctx->query->last = ngx_cpymem(ctx->query->last, b->pos, len);
        b->pos = b->last;
    }

    r->request_body->bufs = NULL;

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_query_execute(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    s3_str_t      body;
    ngx_chain_t  *cl;

    body.data = ctx->query->pos;
    body.len = ctx->query->last - ctx->query->pos;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 query: %uz bytes", body.len);

    if (s3_sigv4_digest(&ctx->memory, &body, &ctx->sigv4.body_sha256) != 0) {
        return NGX_ERROR;
    }

    if (body.len) {
        cl = ngx_alloc_chain_link(r->pool);
        if (cl == NULL) {
            return NGX_ERROR;
        }

        cl->buf = ctx->query;
        cl->next = NULL;

        r->request_body->bufs = cl;
    }

    return ngx_http_s3_authenticate(r, ctx);
}
