
/*
 * The client's body as frames, in the output filter of upstream, as grpc's.
 *
 * A frame's bytes are a shadow of the client's buffer, which counts as
 * consumed when its last shadow was sent: so a slow s3d slows the client
 * down, and no byte is copied.  aws-chunked framing is removed in the same
 * pass.
 */


#include "ngx_http_s3_module.h"


/* room for a frame header and a CHUNK message */

#define NGX_HTTP_S3_FRAME_BUF  128

#define ngx_http_s3_body_tag                                                  \
    (ngx_buf_tag_t) &ngx_http_s3_body_output_filter


static void ngx_http_s3_body_first(ngx_http_s3_ctx_t *ctx, ngx_chain_t ***ll);
static ngx_int_t ngx_http_s3_body_input(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_chain_t ***ll);
static void ngx_http_s3_body_release(ngx_http_s3_ctx_t *ctx);
static ngx_int_t ngx_http_s3_body_plain(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_buf_t *in, ngx_chain_t ***ll);
static ngx_int_t ngx_http_s3_body_chunked(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_buf_t *in, ngx_chain_t ***ll);
static ngx_int_t ngx_http_s3_body_data(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_buf_t *in, u_char *pos, size_t len,
    ngx_chain_t ***ll, ngx_buf_t **shadow);
static ngx_int_t ngx_http_s3_body_chunk(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_chain_t ***ll);
static ngx_int_t ngx_http_s3_body_trailer(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static ngx_int_t ngx_http_s3_body_trailers(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_chain_t ***ll);
static ngx_int_t ngx_http_s3_body_end(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_chain_t ***ll);
static ngx_int_t ngx_http_s3_body_error(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, enum s3_error code);
static ngx_buf_t *ngx_http_s3_body_buf(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_chain_t ***ll);


ngx_int_t
ngx_http_s3_body_init(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    if (!ctx->route.has_body
        || ctx->auth.payload < S3_PAYLOAD_STREAMING_SIGNED)
    {
        return NGX_OK;
    }

    ctx->chunked = ngx_palloc(r->pool, sizeof(s3_chunked_t));
    if (ctx->chunked == NULL) {
        return NGX_ERROR;
    }

    s3_chunked_init(ctx->chunked, ctx->auth.payload, ctx->content_length);

    return ngx_array_init(&ctx->trailers, r->pool, 2, sizeof(s3_field_t));
}


ngx_int_t
ngx_http_s3_body_output_filter(void *data, ngx_chain_t *in)
{
    ngx_http_request_t  *r = data;

    ngx_int_t            rc;
    ngx_chain_t         *out, **ll;
    ngx_http_s3_ctx_t   *ctx;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 output filter");

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_module);

    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (in) {
        if (ngx_chain_add_copy(r->pool, &ctx->in, in) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    out = NULL;
    ll = &out;

    ngx_http_s3_body_first(ctx, &ll);

    if (ngx_http_s3_body_input(r, ctx, &ll) != NGX_OK) {
        return NGX_ERROR;
    }

    *ll = NULL;

    rc = ngx_chain_writer(&r->upstream->writer, out);

    ngx_chain_update_chains(r->pool, &ctx->free, &ctx->busy, &out,
                            ngx_http_s3_body_tag);

    ngx_http_s3_body_release(ctx);

    return rc;
}


/* What goes before the body's frames: REQUEST, then ACK and NACK. */

static void
ngx_http_s3_body_first(ngx_http_s3_ctx_t *ctx, ngx_chain_t ***ll)
{
    ngx_chain_t  *cl;

    if (!ctx->request_sent && ctx->in) {

        /* the first buffer is the REQUEST frame */

        ctx->request_sent = 1;
        ctx->end_sent = ctx->in->buf->last_buf;

        cl = ctx->in;
        ctx->in = cl->next;

        **ll = cl;
        *ll = &cl->next;
        cl->next = NULL;
    }

    if (ctx->control) {
        **ll = ctx->control;

        for (cl = ctx->control; cl; cl = cl->next) {
            *ll = &cl->next;
        }

        ctx->control = NULL;
    }
}


static ngx_int_t
ngx_http_s3_body_input(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_chain_t ***ll)
{
    ngx_buf_t    *b;
    ngx_int_t     rc;
    ngx_uint_t    last;
    ngx_chain_t  *cl;

    while (ctx->in) {

        b = ctx->in->buf;
        last = b->last_buf;

        if (ctx->end_sent) {
            rc = NGX_OK;
            b->pos = b->last;

        } else if (ngx_buf_special(b)) {
            rc = NGX_OK;

        } else if (ctx->chunked) {
            rc = ngx_http_s3_body_chunked(r, ctx, b, ll);

        } else {
            rc = ngx_http_s3_body_plain(r, ctx, b, ll);
        }

        if (rc == NGX_OK && last && !ctx->end_sent) {
            rc = ngx_http_s3_body_end(r, ctx, ll);
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        cl = ctx->in;
        ctx->in = cl->next;
        ngx_free_chain(r->pool, cl);
    }

    return NGX_OK;
}


/* The client's buffer is free when its last shadow was sent. */

static void
ngx_http_s3_body_release(ngx_http_s3_ctx_t *ctx)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    for (cl = ctx->free; cl; cl = cl->next) {

        if (cl->buf->shadow) {
            if (cl->buf->last_shadow) {
                b = cl->buf->shadow;
                b->pos = b->last;
            }

            cl->buf->shadow = NULL;
        }
    }
}


static ngx_int_t
ngx_http_s3_body_plain(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_buf_t *in, ngx_chain_t ***ll)
{
    ngx_buf_t  *shadow;

    if (in->pos == in->last) {
        return NGX_OK;
    }

    ctx->body_seen = 1;

    if (ngx_http_s3_body_data(r, ctx, in, in->pos, in->last - in->pos, ll,
                              &shadow)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    shadow->last_shadow = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_body_chunked(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_buf_t *in, ngx_chain_t ***ll)
{
    u_char              *pos;
    s3_str_t             data;
    ngx_int_t            rc;
    ngx_buf_t           *shadow;
    s3_chunked_event_e   event;

    pos = in->pos;
    shadow = NULL;

    if (pos < in->last) {
        ctx->body_seen = 1;
    }

    while (pos < in->last && !ctx->chunked_done) {

        event = s3_chunked_parse(ctx->chunked, &pos, in->last, &data);

        switch (event) {

        case S3_CHUNKED_AGAIN:
            rc = NGX_OK;
            break;

        case S3_CHUNKED_DATA:
            rc = ngx_http_s3_body_data(r, ctx, in, data.data, data.len, ll,
                                       &shadow);
            break;

        case S3_CHUNKED_CHUNK:
            rc = ngx_http_s3_body_chunk(r, ctx, ll);
            break;

        case S3_CHUNKED_TRAILER:
            rc = ngx_http_s3_body_trailer(r, ctx);
            break;

        case S3_CHUNKED_DONE:
            ctx->chunked_done = 1;
            rc = NGX_OK;
            break;

        default: /* S3_CHUNKED_ERROR */
            rc = ngx_http_s3_body_error(r, ctx, ctx->chunked->error);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        if (event == S3_CHUNKED_AGAIN) {
            break;
        }
    }

    if (pos < in->last) {
        /* bytes behind the end */
        return ngx_http_s3_body_error(r, ctx, S3_ERR_IncompleteBody);
    }

    if (shadow) {
        shadow->last_shadow = 1;

    } else {
        /* framing only: nothing refers to it */
        in->pos = in->last;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_body_data(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_buf_t *in, u_char *pos, size_t len, ngx_chain_t ***ll,
    ngx_buf_t **shadow)
{
    size_t      n;
    ngx_buf_t  *b;

    while (len) {

        n = ngx_min(len, FRAME_DATA_MAX);

        b = ngx_http_s3_body_buf(r, ctx, ll);
        if (b == NULL) {
            return NGX_ERROR;
        }

        frame_encode(b->last, FRAME_DATA, pos, n);
        b->last += FRAME_HEADER_SIZE;

        b = ngx_http_s3_body_buf(r, ctx, ll);
        if (b == NULL) {
            return NGX_ERROR;
        }

        b->pos = pos;
        b->last = pos + n;
        b->shadow = in;

        *shadow = b;

        pos += n;
        len -= n;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_body_chunk(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_chain_t ***ll)
{
    size_t        size;
    u_char       *payload;
    ngx_buf_t    *b;
    Wire__Chunk   chunk;

    if (!ctx->chunked->is_signed) {
        return NGX_OK;
    }

    wire__chunk__init(&chunk);

    chunk.size = ctx->chunked->chunk_size;

    if (ctx->chunked->has_signature) {
        chunk.signature.data = ctx->chunked->signature;
        chunk.signature.len = S3_SIGV4_SIGNATURE_LEN;
    }

    b = ngx_http_s3_body_buf(r, ctx, ll);
    if (b == NULL) {
        return NGX_ERROR;
    }

    size = wire__chunk__get_packed_size(&chunk);

    if (size > NGX_HTTP_S3_FRAME_BUF - FRAME_HEADER_SIZE) {
        return NGX_ERROR;
    }

    payload = b->last + FRAME_HEADER_SIZE;

    (void) wire__chunk__pack(&chunk, payload);
    frame_encode(b->last, FRAME_CHUNK, payload, size);

    b->last = payload + size;

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_body_trailer(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    u_char      *p;
    s3_field_t  *field, *trailer;

    if (ctx->trailers.nelts == S3_CHUNKED_TRAILERS_MAX) {
        return ngx_http_s3_body_error(r, ctx, S3_ERR_MalformedTrailerError);
    }

    trailer = &ctx->chunked->trailer;

    field = ngx_array_push(&ctx->trailers);
    if (field == NULL) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(r->pool, trailer->name.len + trailer->value.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    field->name.data = p;
    field->name.len = trailer->name.len;

    p = ngx_cpymem(p, trailer->name.data, trailer->name.len);

    field->value.data = p;
    field->value.len = trailer->value.len;

    ngx_memcpy(p, trailer->value.data, trailer->value.len);

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_body_trailers(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_chain_t ***ll)
{
    size_t           size;
    u_char          *p;
    ngx_buf_t       *b;
    s3_field_t      *trailer;
    ngx_uint_t       i;
    Wire__Field      fields[S3_CHUNKED_TRAILERS_MAX];
    Wire__Field     *pointers[S3_CHUNKED_TRAILERS_MAX];
    Wire__Trailers   trailers;

    wire__trailers__init(&trailers);

    trailer = ctx->trailers.elts;

    for (i = 0; i < ctx->trailers.nelts; i++) {
        wire__field__init(&fields[i]);

        fields[i].name.data = trailer[i].name.data;
        fields[i].name.len = trailer[i].name.len;
        fields[i].value.data = trailer[i].value.data;
        fields[i].value.len = trailer[i].value.len;

        pointers[i] = &fields[i];
    }

    trailers.fields = pointers;
    trailers.n_fields = ctx->trailers.nelts;

    if (ctx->chunked->is_signed && ctx->chunked->has_signature) {
        trailers.signature.data = ctx->chunked->signature;
        trailers.signature.len = S3_SIGV4_SIGNATURE_LEN;
    }

    size = wire__trailers__get_packed_size(&trailers);

    p = ngx_palloc(r->pool, FRAME_HEADER_SIZE + size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) wire__trailers__pack(&trailers, p + FRAME_HEADER_SIZE);
    frame_encode(p, FRAME_TRAILERS, p + FRAME_HEADER_SIZE, size);

    b = ngx_http_s3_body_buf(r, ctx, ll);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = p;
    b->last = p + FRAME_HEADER_SIZE + size;

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_body_end(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_chain_t ***ll)
{
    ngx_buf_t  *b;

    if (ctx->chunked) {

        if (!ctx->chunked_done) {
            return ngx_http_s3_body_error(r, ctx, S3_ERR_IncompleteBody);
        }

        if (ctx->chunked->has_trailer
            && ngx_http_s3_body_trailers(r, ctx, ll) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    b = ngx_http_s3_body_buf(r, ctx, ll);
    if (b == NULL) {
        return NGX_ERROR;
    }

    frame_encode(b->last, FRAME_END, NULL, 0);

    b->last += FRAME_HEADER_SIZE;
    b->last_buf = 1;

    ctx->end_sent = 1;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 output end");

    return NGX_OK;
}


/*
 * Upstream ends with 502 when this filter fails; the error that is set here
 * takes its place in the answer.
 */

static ngx_int_t
ngx_http_s3_body_error(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    enum s3_error code)
{
    (void) ngx_http_s3_set_error(ctx, code);

    /* its framing is wrong: no telling where its next request begins */
    r->keepalive = 0;

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "client sent an invalid aws-chunked body: %s",
                  s3_error_code(code));

    return NGX_ERROR;
}


static ngx_buf_t *
ngx_http_s3_body_buf(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_chain_t ***ll)
{
    u_char       *start;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    cl = ngx_chain_get_free_buf(r->pool, &ctx->free);
    if (cl == NULL) {
        return NULL;
    }

    b = cl->buf;
    start = b->start;

    if (start == NULL) {
        start = ngx_palloc(r->pool, NGX_HTTP_S3_FRAME_BUF);
        if (start == NULL) {
            return NULL;
        }
    }

    /* what a buffer of the free chain was used for before does not matter */

    ngx_memzero(b, sizeof(ngx_buf_t));

    b->start = start;
    b->pos = start;
    b->last = start;
    b->end = start + NGX_HTTP_S3_FRAME_BUF;
    b->tag = ngx_http_s3_body_tag;
    b->temporary = 1;
    b->flush = 1;

    cl->next = NULL;
    **ll = cl;
    *ll = &cl->next;

    return b;
}


/* ACK or NACK: waits for nothing but its turn on the connection. */

ngx_int_t
ngx_http_s3_send_control(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    enum frame_type type)
{
    ngx_int_t      rc;
    ngx_buf_t     *b;
    ngx_chain_t  **ll;

    for (ll = &ctx->control; *ll; ll = &(*ll)->next) { /* void */ }

    b = ngx_http_s3_body_buf(r, ctx, &ll);
    if (b == NULL) {
        return NGX_ERROR;
    }

    frame_encode(b->last, type, NULL, 0);
    b->last += FRAME_HEADER_SIZE;

    rc = ngx_http_s3_body_output_filter(r, NULL);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_AGAIN
        && ngx_handle_write_event(r->upstream->peer.connection->write, 0)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}
