
/*
 * s3d's reply, with nginx's upstream: REPLY becomes the header; DATA and
 * SEGMENTS become buffers of memory and of files; END ends it.
 */


#include "ngx_http_s3_module.h"


static ngx_int_t ngx_http_s3_reinit_request(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_process_header(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_continue(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static ngx_int_t ngx_http_s3_reply(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static ngx_int_t ngx_http_s3_reply_headers(ngx_http_request_t *r,
    Wire__Reply *reply);
static ngx_int_t ngx_http_s3_reply_header(ngx_http_request_t *r,
    Wire__Field *field);
static ngx_int_t ngx_http_s3_filter_init(void *data);
static ngx_int_t ngx_http_s3_filter(void *data, ssize_t bytes);
static ngx_int_t ngx_http_s3_filter_data(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, u_char *pos, size_t len);
static ngx_int_t ngx_http_s3_filter_segments(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static ngx_int_t ngx_http_s3_filter_end(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_uint_t more);
static ngx_int_t ngx_http_s3_body_bytes(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, uint64_t len);
static void ngx_http_s3_find_code(ngx_http_s3_ctx_t *ctx, u_char *pos,
    u_char *last);
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

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_process_header(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_buf_t            *b;
    ngx_http_s3_ctx_t    *ctx;
    ngx_http_upstream_t  *u;

    u = r->upstream;
    b = &u->buffer;

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

        if (rc != NGX_OK) {
            goto invalid;
        }

        ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                       "s3 frame: %d %uD", ctx->reader.header.type,
                       ctx->reader.header.length);

        switch (ctx->reader.header.type) {

        case FRAME_CONTINUE:

            if (ctx->reply_read) {
                goto invalid;
            }

            if (ngx_http_s3_continue(r, ctx) != NGX_OK) {
                return NGX_ERROR;
            }

            break;

        case FRAME_REPLY:

            if (ctx->reply_read) {
                goto invalid;
            }

            rc = ngx_http_s3_reply(r, ctx);

            if (rc != NGX_OK) {
                return rc;
            }

            if (!ctx->reply_empty) {
                ctx->replied = 1;
                return ngx_http_s3_add_headers(r, ctx);
            }

            break;

        case FRAME_END:

            if (!ctx->reply_empty) {
                goto invalid;
            }

            if (ngx_http_s3_filter_end(r, ctx, b->pos != b->last) != NGX_OK) {
                goto invalid;
            }

            b->pos = b->last;

            ctx->replied = 1;
            return ngx_http_s3_add_headers(r, ctx);

        default:
            goto invalid;
        }
    }

invalid:

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "s3d sent an invalid reply");

    return NGX_HTTP_UPSTREAM_INVALID_HEADER;
}


/* s3d wants the body: so the client is told to send it. */

static ngx_int_t
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


static ngx_int_t
ngx_http_s3_reply(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_int_t             rc;
    Wire__Reply          *reply;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    reply = wire__reply__unpack(NULL, ctx->reader.header.length,
                                ctx->reader.message);

    if (reply == NULL || reply->status < 200 || reply->status > 599
        || (reply->has_content_length
            && reply->content_length > NGX_MAX_OFF_T_VALUE))
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "s3d sent an invalid reply");

        if (reply) {
            wire__reply__free_unpacked(reply, NULL);
        }

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
        wire__reply__free_unpacked(reply, NULL);
        return NGX_ERROR;
    }

    ctx->reply_read = 1;
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

    ngx_log_debug3(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 reply: %uD, body: %d, length: %O", reply->status,
                   reply->body, u->headers_in.content_length_n);

    rc = ngx_http_s3_reply_headers(r, reply);

    if (rc == NGX_OK && ctx->file) {
        rc = ngx_http_s3_static_reply(r, ctx, reply->status);
    }

    wire__reply__free_unpacked(reply, NULL);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (r->reading_body) {
        /* refused before all of the body was read */
        r->keepalive = 0;
    }

    return NGX_OK;
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
    size_t                          i;
    u_char                         *p;
    ngx_table_elt_t                *h;
    ngx_http_s3_ctx_t              *ctx;
    ngx_http_upstream_t            *u;
    ngx_http_upstream_header_t     *hh;
    ngx_http_upstream_main_conf_t  *umcf;

    u = r->upstream;
    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_module);

    if (field->name.len == 0) {
        return NGX_OK;
    }

    /* stored once by somebody, sent to others: never a second header */

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

    if (ctx->file
        && ngx_http_s3_static_is_said(r, field->name.data, field->name.len))
    {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, field->name.len * 2 + field->value.len + 3);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (ctx->file == NULL
        && field->name.len == sizeof("content-type") - 1
        && ngx_strncasecmp(field->name.data, (u_char *) "content-type",
                           sizeof("content-type") - 1)
           == 0)
    {
        /* as stored: nginx would take a charset apart and write it anew */

        ngx_memcpy(p, field->value.data, field->value.len);

        r->headers_out.content_type.data = p;
        r->headers_out.content_type.len = field->value.len;
        r->headers_out.content_type_len = field->value.len;
        r->headers_out.content_type_lowcase = NULL;

        return NGX_OK;
    }

    h = ngx_list_push(&u->headers_in.headers);
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


static ngx_int_t
ngx_http_s3_filter_init(void *data)
{
    ngx_http_s3_ctx_t  *ctx = data;

    /* -1 would take a lost connection for the end of the body */

    ctx->request->upstream->length = ctx->end_read ? 0 : 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_filter(void *data, ssize_t bytes)
{
    ngx_http_s3_ctx_t  *ctx = data;

    size_t                n;
    u_char               *pos, *last;
    ngx_int_t             rc;
    ngx_buf_t            *b;
    ngx_uint_t            full;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = ctx->request;
    u = r->upstream;
    b = &u->buffer;

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

        } else if (rc == NGX_OK
                   && ctx->reader.header.type == FRAME_SEGMENTS)
        {
            rc = ngx_http_s3_filter_segments(r, ctx);

            if (rc == NGX_OK) {
                full = 1;

            } else if (rc == NGX_DECLINED) {
                rc = NGX_OK;
            }

        } else if (rc == NGX_OK && ctx->reader.header.type == FRAME_END) {

            rc = ngx_http_s3_filter_end(r, ctx, pos != last);

            if (rc == NGX_OK) {
                u->length = 0;
                break;
            }

        } else {
            rc = NGX_ERROR;
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

    if (u->headers_in.status_n >= NGX_HTTP_BAD_REQUEST && ctx->code.len == 0) {
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


/* $s3_error_code of an error document by s3d */

static void
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
}
