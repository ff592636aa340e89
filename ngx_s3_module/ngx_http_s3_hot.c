
/*
 * The hot index: answers that s3d has laid into shared memory, given without
 * asking it.  docs/hot-index.md says why such an answer is the newest.
 *
 * The region is s3d's, mapped read-only, and comes with the control connection;
 * what is in it is bounded and checked before it is used.
 */


#include "ngx_http_s3_module.h"

#include <sys/mman.h>


static ngx_uint_t ngx_http_s3_hot_may_read(ngx_http_s3_ctx_t *ctx,
    struct hot_found *found);
static ngx_uint_t ngx_http_s3_hot_eligible(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, struct hot_question *question);
static ngx_uint_t ngx_http_s3_hot_args(ngx_http_s3_ctx_t *ctx);
static ngx_uint_t ngx_http_s3_hot_headers(ngx_http_s3_ctx_t *ctx);


/* Maps the region of a descriptor, which stays the caller's. */

void
ngx_http_s3_hot_map(ngx_http_s3_control_t *control, int fd)
{
    int              seals;
    void            *base;
    ngx_file_info_t  fi;

    /* memory that shrinks would kill whoever reads it */

    seals = fcntl(fd, F_GET_SEALS);

    if (seals == -1 || (seals & F_SEAL_SHRINK) == 0
        || ngx_fd_info(fd, &fi) == NGX_FILE_ERROR
        || ngx_file_size(&fi) <= 0)
    {
        ngx_log_error(NGX_LOG_ERR, &control->log, ngx_errno,
                      "s3d sent an invalid hot index");
        return;
    }

    base = mmap(NULL, ngx_file_size(&fi), PROT_READ, MAP_SHARED, fd, 0);

    if (base == MAP_FAILED) {
        ngx_log_error(NGX_LOG_ALERT, &control->log, ngx_errno,
                      "mmap() of the hot index failed");
        return;
    }

    if (!hot_view_open(&control->hot, base, ngx_file_size(&fi))) {
        ngx_log_error(NGX_LOG_ERR, &control->log, 0,
                      "s3d sent an invalid hot index");
        (void) munmap(base, ngx_file_size(&fi));
        return;
    }

    control->hot_base = base;
    control->hot_size = ngx_file_size(&fi);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &control->log, 0,
                   "s3 hot index: %uz bytes", control->hot_size);
}


void
ngx_http_s3_hot_unmap(ngx_http_s3_control_t *control)
{
    if (control->hot_base == NULL) {
        return;
    }

    if (munmap(control->hot_base, control->hot_size) == -1) {
        ngx_log_error(NGX_LOG_ALERT, &control->log, ngx_errno,
                      "munmap() of the hot index failed");
    }

    control->hot_base = NULL;
}


/* NGX_DECLINED: s3d is to be asked. */

ngx_int_t
ngx_http_s3_hot_send(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    void                     *copy;
    ngx_uint_t                hit;
    s3_counters_t            *counters;
    struct hot_found          found;
    struct hot_question       question;
    ngx_http_s3_control_t    *control;
    ngx_http_s3_loc_conf_t   *slcf;
    ngx_http_s3_selection_t   selection;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);
    control = slcf->control;

    if (!slcf->hot || control->hot_base == NULL
        || !ngx_http_s3_hot_eligible(r, ctx, &question))
    {
        return NGX_DECLINED;
    }

    copy = ngx_palloc(r->pool, control->hot.payload_max);
    if (copy == NULL) {
        return NGX_ERROR;
    }

    hit = hot_find(&control->hot, question.data, question.size, copy, &found)
          && ngx_http_s3_hot_may_read(ctx, &found)
          && ngx_http_s3_hot_select(r, ctx, &found, &selection) == NGX_OK;

    counters = ngx_http_s3_counters(r);
    metric_count(hit ? &counters->hot_hits : &counters->hot_misses, 1);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 hot index: %ui", hit);

    if (!hit) {
        (void) ngx_pfree(r->pool, copy);
        return NGX_DECLINED;
    }

    return ngx_http_s3_hot_reply(r, ctx, &found, &selection);
}


/* Of files and websites nobody is asked who they are. */

static ngx_uint_t
ngx_http_s3_hot_may_read(ngx_http_s3_ctx_t *ctx, struct hot_found *found)
{
    return ctx->auth.access_key.len == 0
           ? found->entry->anybody
           : hot_may_read(found, ctx->auth.access_key.data,
                          ctx->auth.access_key.len, ctx->key_generation);
}


/* Whether nothing in the request could make the answer another one. */

static ngx_uint_t
ngx_http_s3_hot_eligible(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    struct hot_question *question)
{
    return r == r->main
           && (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
           && !ctx->expect
           && r->headers_in.content_length_n <= 0
           && !r->headers_in.chunked
           && ctx->auth.session_token.len == 0
           /* said by who sent X-Accel-Redirect */
           && r->headers_out.headers.part.nelts == 0
           && ngx_http_s3_hot_args(ctx)
           && ngx_http_s3_hot_headers(ctx)
           && hot_ask(question, ctx->route.operation,
                      slice_of(ctx->route.bucket.data, ctx->route.bucket.len),
                      slice_of(ctx->route.key.data, ctx->route.key.len),
                      ctx->file);
}


static ngx_uint_t
ngx_http_s3_hot_args(ngx_http_s3_ctx_t *ctx)
{
    size_t       i;
    s3_field_t  *arg;

    for (i = 0; i < ctx->sigv4.nargs; i++) {
        arg = &ctx->sigv4.args[i];

        if (ctx->auth.presigned && ngx_http_s3_is_auth_arg(arg)) {
            continue;
        }

        /* the operation's name, added by SDKs */

        if (arg->name.len != sizeof("x-id") - 1
            || ngx_memcmp(arg->name.data, "x-id", sizeof("x-id") - 1) != 0)
        {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_http_s3_hot_headers(ngx_http_s3_ctx_t *ctx)
{
    size_t       i;
    s3_field_t  *header;

    for (i = 0; i < ctx->sigv4.nheaders; i++) {
        header = &ctx->sigv4.headers[i];

        if (!ngx_http_s3_is_for_s3d(header)) {
            continue;
        }

        switch (hot_header_of(slice_of(header->name.data, header->name.len),
                              slice_of(header->value.data,
                                       header->value.len)))
        {

        case HOT_HEADER_HARMLESS:
            break;

        case HOT_HEADER_CHECKSUMS:
            ctx->hot_checksums = 1;
            break;

        case HOT_HEADER_SELECTS:
            ctx->hot_selects = 1;
            break;

        default: /* HOT_HEADER_UNKNOWN */
            return 0;
        }
    }

    return 1;
}
