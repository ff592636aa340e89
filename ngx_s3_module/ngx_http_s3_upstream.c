
/*
 * s3d's reply, with nginx's upstream: REPLY becomes the header; DATA and
 * SEGMENTS become buffers of memory and of files; END ends it.
 */


#include "ngx_http_s3_module.h"


static ngx_int_t ngx_http_s3_reinit_request(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_process_header(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_process_frame(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static ngx_int_t ngx_http_s3_filter_init(void *data);
static ngx_int_t ngx_http_s3_filter(void *data, ssize_t bytes);
static ngx_int_t ngx_http_s3_filter_frame(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_uint_t more, ngx_uint_t *full);
static ngx_int_t ngx_http_s3_filter_data(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, u_char *pos, size_t len);
static ngx_int_t ngx_http_s3_filter_segments(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static ngx_int_t ngx_http_s3_filter_end(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_uint_t more);
static ngx_uint_t ngx_http_s3_is_late_error(ngx_http_s3_ctx_t *ctx,
    u_char *pos, size_t len);
static ngx_int_t ngx_http_s3_body_bytes(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, uint64_t len);
static void ngx_http_s3_abort_request(ngx_http_request_t *r);
static void ngx_http_s3_finalize_request(ngx_http_request_t *r,
    ngx_int_t rc);


ngx_int_t
ngx_http_s3_upstream_start(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_int_t                rc;
    ngx_http_upstream_t     *u;
    ngx_http_s3_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);

    ctx->authenticated = ngx_http_s3_now();

    if (ngx_http_s3_body_init(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!ctx->route.has_body) {

        if (ctx->expect) {
            r->keepalive = 0;
        }

        rc = ngx_http_discard_request_body(r);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (ngx_http_upstream_create(r) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_s3_limit_save(r, ctx);

    u = r->upstream;

    ngx_str_set(&u->schema, "s3d://");
    u->output.tag = (ngx_buf_tag_t) &ngx_http_s3_module;

    /* what changes something is not sent again when the answer is lost */

    u->conf = (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
              ? &slcf->upstream : &slcf->upstream_once;

    u->create_request = ngx_http_s3_create_request;
    u->reinit_request = ngx_http_s3_reinit_request;
    u->process_header = ngx_http_s3_process_header;
    u->abort_request = ngx_http_s3_abort_request;
    u->finalize_request = ngx_http_s3_finalize_request;

    u->input_filter_init = ngx_http_s3_filter_init;
    u->input_filter = ngx_http_s3_filter;
    u->input_filter_ctx = ctx;

    u->buffering = 0;

    if (!ctx->route.has_body) {
        r->main->count++;

        ngx_http_upstream_init(r);

        return NGX_DONE;
    }

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_upstream_init);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_http_s3_reinit_request(ngx_http_request_t *r)
{
    ngx_http_s3_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_module);

    if (ctx == NULL) {
        return NGX_OK;
    }

    ctx->in = NULL;
    ctx->control = NULL;
    ctx->busy = NULL;

    ctx->reader.nraw = 0;
    ctx->reader.len = 0;
    ctx->reader.data_left = 0;

    ctx->request_sent = 0;
    ctx->end_sent = 0;
    ctx->reply_read = 0;
    ctx->reply_empty = 0;
    ctx->end_read = 0;
    ctx->end_ahead = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_process_header(ngx_http_request_t *r)
{
    ngx_int_t           rc;
    ngx_buf_t          *b;
    ngx_http_s3_ctx_t  *ctx;

    b = &r->upstream->buffer;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_module);

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    for ( ;; ) {

        rc = ngx_http_s3_read_frame(&ctx->reader, r->pool, &b->pos, b->last);

        if (rc == NGX_AGAIN) {

            /* messages are copied: the buffer is empty again */

            b->pos = b->start;
            b->last = b->start;

            return NGX_AGAIN;
        }

        if (rc == NGX_OK) {
            rc = ngx_http_s3_process_frame(r, ctx);

            if (rc == NGX_OK) {
                ctx->replied = 1;
                ctx->answered = ngx_http_s3_now();
                return ngx_http_s3_add_headers(r, ctx);
            }

            if (rc == NGX_AGAIN) {
                continue;
            }

            if (rc != NGX_DECLINED) {
                return rc;
            }
        }

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "s3d sent an invalid reply");

        return NGX_HTTP_UPSTREAM_INVALID_HEADER;
    }
}


/*
 * NGX_OK: the header is complete; NGX_AGAIN: more frames belong to it;
 * NGX_DECLINED: this one must not be there.
 */

static ngx_int_t
ngx_http_s3_process_frame(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_int_t   rc;
    ngx_buf_t  *b;

    b = &r->upstream->buffer;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 frame: %d %uD", ctx->reader.header.type,
                   ctx->reader.header.length);

    switch (ctx->reader.header.type) {

    case FRAME_LEAVE:

        /* s3d ends, and serves this request, which it had not seen yet */

        return ctx->reply_read ? NGX_DECLINED : NGX_AGAIN;

    case FRAME_CONTINUE:

        if (ctx->reply_read) {
            return NGX_DECLINED;
        }

        rc = ngx_http_s3_continue(r, ctx);

        return (rc == NGX_OK) ? NGX_AGAIN : rc;

    case FRAME_REPLY:

        if (ctx->reply_read) {
            return NGX_DECLINED;
        }

        rc = ngx_http_s3_reply(r, ctx);

        return (rc == NGX_OK && ctx->reply_empty) ? NGX_AGAIN : rc;

    case FRAME_END:

        if (!ctx->reply_empty
            || ngx_http_s3_filter_end(r, ctx, b->pos != b->last) != NGX_OK)
        {
            return NGX_DECLINED;
        }

        b->pos = b->last;

        return NGX_OK;

    default:
        return NGX_DECLINED;
    }
}


static ngx_int_t
ngx_http_s3_filter_init(void *data)
{
    ngx_http_s3_ctx_t  *ctx = data;

    /* -1 would take a lost connection for the end of the body */

    ctx->request->upstream->length = ctx->end_read ? 0 : 1;

    ngx_http_s3_limit_restore(ctx->request, ctx);

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_filter(void *data, ssize_t bytes)
{
    ngx_http_s3_ctx_t  *ctx = data;

    size_t               n;
    u_char              *pos, *last;
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_uint_t           full;
    ngx_http_request_t  *r;

    r = ctx->request;
    b = &r->upstream->buffer;

    pos = b->last;
    last = b->last + bytes;
    b->last = last;

    full = 0;

    for ( ;; ) {

        rc = ngx_http_s3_read_frame(&ctx->reader, r->pool, &pos, last);

        if (rc == NGX_AGAIN) {
            break;
        }

        if (rc == NGX_DECLINED) {

            /* bytes of DATA */

            n = ngx_min((size_t) (last - pos), ctx->reader.data_left);

            rc = ngx_http_s3_filter_data(r, ctx, pos, n);

            pos += n;
            ctx->reader.data_left -= n;

        } else if (rc == NGX_OK) {
            rc = ngx_http_s3_filter_frame(r, ctx, pos != last, &full);
        }

        if (rc == NGX_DONE) {
            r->upstream->length = 0;

            if (full) {

                /* s3d is not waited for while the client takes the window */

                r->upstream->peer.connection->read->ready = 1;
            }

            break;
        }

        if (rc != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "s3d sent an invalid body");
            return NGX_ERROR;
        }
    }

    if (full) {

        /*
         * the next window is read when this one has been sent: upstream does
         * not read into a full buffer, and empties it when nothing is busy
         */

        b->last = b->end;
    }

    return NGX_OK;
}


/* NGX_DONE: the body has ended. */

static ngx_int_t
ngx_http_s3_filter_frame(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_uint_t more, ngx_uint_t *full)
{
    ngx_int_t  rc;

    switch (ctx->reader.header.type) {

    case FRAME_SEGMENTS:

        rc = ngx_http_s3_filter_segments(r, ctx);

        if (rc == NGX_OK) {
            *full = 1;
        }

        return (rc == NGX_DECLINED) ? NGX_OK : rc;

    case FRAME_END:

        if (ctx->end_ahead && ctx->body_left > 0) {
            ctx->end_ahead = 0;
            return NGX_OK;
        }

        rc = ngx_http_s3_filter_end(r, ctx, more);

        return (rc == NGX_OK) ? NGX_DONE : rc;

    default:
        return NGX_ERROR;
    }
}


static ngx_int_t
ngx_http_s3_filter_data(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    u_char *pos, size_t len)
{
    ngx_buf_t            *b;
    ngx_chain_t          *cl, **ll;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (ngx_http_s3_body_bytes(r, ctx, len) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->code.len == 0
        && (u->headers_in.status_n >= NGX_HTTP_BAD_REQUEST
            || ngx_http_s3_is_late_error(ctx, pos, len)))
    {
        ngx_http_s3_find_code(ctx, pos, pos + len);
    }

    for (ll = &u->out_bufs; *ll; ll = &(*ll)->next) { /* void */ }

    cl = ngx_chain_get_free_buf(r->pool, &u->free_bufs);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    b = cl->buf;

    ngx_memzero(b, sizeof(ngx_buf_t));

    b->memory = 1;
    b->flush = 1;
    b->pos = pos;
    b->last = pos + len;
    b->tag = u->output.tag;

    cl->next = NULL;
    *ll = cl;

    return NGX_OK;
}


/* NGX_DECLINED: the files cannot be read here, s3d sends their bytes. */

static ngx_int_t
ngx_http_s3_filter_segments(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    size_t           i;
    ngx_int_t        rc;
    uint64_t         len;
    Wire__Segments  *segments;

    segments = wire__segments__unpack(NULL, ctx->reader.header.length,
                                      ctx->reader.message);

    if (segments == NULL || segments->n_segments == 0) {
        if (segments) {
            wire__segments__free_unpacked(segments, NULL);
        }

        return NGX_ERROR;
    }

    len = 0;

    for (i = 0; i < segments->n_segments; i++) {
        if (segments->segments[i]->length > NGX_MAX_OFF_T_VALUE - len) {
            wire__segments__free_unpacked(segments, NULL);
            return NGX_ERROR;
        }

        len += segments->segments[i]->length;
    }

    rc = ngx_http_s3_segments(r, ctx, segments);

    wire__segments__free_unpacked(segments, NULL);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 segments: %uL bytes, %s", len,
                   rc == NGX_OK ? "ACK" : "NACK");

    if (rc == NGX_OK && ngx_http_s3_body_bytes(r, ctx, len) != NGX_OK) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {

        /* s3d may have sent END behind them, before it could know */

        ctx->end_ahead = ((uint64_t) ctx->body_left == len);
    }

    if (ngx_http_s3_send_control(r, ctx,
                                 rc == NGX_OK ? FRAME_ACK : FRAME_NACK)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return rc;
}


static ngx_int_t
ngx_http_s3_filter_end(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_uint_t more)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (ctx->body_left > 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "s3d ended a body %O bytes early", ctx->body_left);
        return NGX_ERROR;
    }

    ctx->end_read = 1;

    /* a connection on which both sides are done serves the next request */

    u->keepalive = !more && ctx->end_sent && u->writer.out == NULL;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 reply end, keepalive: %d", u->keepalive);

    return NGX_OK;
}


/* The header has promised a length: neither more nor less. */

static ngx_int_t
ngx_http_s3_body_bytes(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    uint64_t len)
{
    if (ctx->body_left == -1) {
        return NGX_OK;
    }

    if (len > (uint64_t) ctx->body_left) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "s3d sent more than the promised length");
        return NGX_ERROR;
    }

    ctx->body_left -= len;

    return NGX_OK;
}


/* It came when the reply had begun: of a copy that took long. */

static ngx_uint_t
ngx_http_s3_is_late_error(ngx_http_s3_ctx_t *ctx, u_char *pos, size_t len)
{
    static const char  start[] = "<Error>";

    return ctx->body_left == -1 && len >= sizeof(start) - 1
           && ngx_memcmp(pos, start, sizeof(start) - 1) == 0;
}


/* $s3_error_code of an error document by s3d */

void
ngx_http_s3_find_code(ngx_http_s3_ctx_t *ctx, u_char *pos, u_char *last)
{
    u_char  *p, *end;

    p = ngx_strnstr(pos, "<Code>", last - pos);

    if (p == NULL) {
        return;
    }

    p += sizeof("<Code>") - 1;

    for (end = p; end < last && *end != '<'; end++) { /* void */ }

    if (end == last || end - p > NGX_HTTP_S3_CODE_MAX) {
        return;
    }

    ngx_memcpy(ctx->code_data, p, end - p);

    ctx->code.data = ctx->code_data;
    ctx->code.len = end - p;
}


static void
ngx_http_s3_abort_request(ngx_http_request_t *r)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "abort s3 request");
}


static void
ngx_http_s3_finalize_request(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "finalize s3 request: %i", rc);

    /* a filter that failed may have cleared the module contexts */

    ngx_http_s3_limit_end(r, r->upstream->input_filter_ctx);
}
