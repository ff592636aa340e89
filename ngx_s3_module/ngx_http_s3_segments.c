
/*
 * Parts of extents as file buffers.  A sealed byte never changes, and an open
 * descriptor stays good even after s3d has unlinked the file.
 */


#include "ngx_http_s3_module.h"


#define NGX_HTTP_S3_FILES_MAX     64   /* open at once for a request, but for
                                          those that one window needs */


struct ngx_http_s3_file_s {
    ngx_http_s3_file_t    *next;
    ngx_file_t             file;
    ngx_http_s3_extent_t  *extent;    /* NULL: none */
    unsigned               used:1;
};


static ngx_http_s3_file_t *ngx_http_s3_open(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, Wire__Segment *segment);
static ngx_http_s3_file_t *ngx_http_s3_open_file(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, Wire__Segment *segment);
static ngx_http_s3_file_t *ngx_http_s3_free_file(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static void ngx_http_s3_close_unused(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static void ngx_http_s3_mark_used(ngx_http_s3_ctx_t *ctx, ngx_chain_t *cl);
static void ngx_http_s3_close_files(void *data);


/*
 * Opens all files of a window, then queues their parts.  NGX_DECLINED: one
 * cannot be read here, and nothing was queued.
 */

ngx_int_t
ngx_http_s3_segments(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    Wire__Segments *segments)
{
    size_t                i;
    ngx_buf_t            *b;
    ngx_chain_t          *cl, **ll;
    Wire__Segment        *segment;
    ngx_http_upstream_t  *u;
    ngx_http_s3_file_t  **files;

    u = r->upstream;

    if (ctx->nfiles > NGX_HTTP_S3_FILES_MAX) {
        ngx_http_s3_close_unused(r, ctx);
    }

    files = ngx_alloc(segments->n_segments * sizeof(ngx_http_s3_file_t *),
                      r->connection->log);
    if (files == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < segments->n_segments; i++) {
        files[i] = ngx_http_s3_open(r, ctx, segments->segments[i]);

        if (files[i] == NULL) {
            ngx_free(files);
            return NGX_DECLINED;
        }
    }

    for (ll = &u->out_bufs; *ll; ll = &(*ll)->next) { /* void */ }

    for (i = 0; i < segments->n_segments; i++) {
        segment = segments->segments[i];

        cl = ngx_chain_get_free_buf(r->pool, &u->free_bufs);
        if (cl == NULL) {
            ngx_free(files);
            return NGX_ERROR;
        }

        b = cl->buf;

        ngx_memzero(b, sizeof(ngx_buf_t));

        b->in_file = 1;
        b->file = &files[i]->file;
        b->file_pos = segment->offset;
        b->file_last = segment->offset + segment->length;
        b->flush = (i + 1 == segments->n_segments);
        b->tag = u->output.tag;

        *ll = cl;
        ll = &cl->next;
        cl->next = NULL;
    }

    ngx_free(files);

    return NGX_OK;
}


static ngx_http_s3_file_t *
ngx_http_s3_open(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    Wire__Segment *segment)
{
    ngx_http_s3_file_t    *file;
    ngx_http_s3_extent_t  *extent;

    if (segment->length == 0
        || segment->offset > NGX_MAX_OFF_T_VALUE
        || segment->length > NGX_MAX_OFF_T_VALUE - segment->offset)
    {
        return NULL;
    }

    for (file = ctx->files; file; file = file->next) {
        extent = file->extent;

        if (extent
            && extent->id == segment->extent
            && extent->drive == segment->drive
            && ngx_http_s3_extent_is(extent, segment))
        {
            break;
        }
    }

    if (file == NULL) {
        file = ngx_http_s3_open_file(r, ctx, segment);
        if (file == NULL) {
            return NULL;
        }
    }

    extent = file->extent;

    if ((uint64_t) extent->size < segment->offset + segment->length) {

        /* an extent that is still written to has grown */

        if (ngx_http_s3_extent_look(extent, r->connection->log) != NGX_OK
            || (uint64_t) extent->size < segment->offset + segment->length)
        {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "extent %016xL of drive %uD is too short",
                          segment->extent, segment->drive);
            return NULL;
        }
    }

    return file;
}


static ngx_http_s3_file_t *
ngx_http_s3_open_file(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    Wire__Segment *segment)
{
    ngx_http_s3_file_t      *file;
    ngx_http_s3_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);

    file = ngx_http_s3_free_file(r, ctx);
    if (file == NULL) {
        return NULL;
    }

    file->extent = ngx_http_s3_extent_get(slcf->control, segment,
                                          r->connection->log);
    if (file->extent == NULL) {
        return NULL;
    }

    file->file.fd = file->extent->fd;
    file->file.log = r->connection->log;
    ngx_str_set(&file->file.name, "extent");

    ctx->nfiles++;

    return file;
}


/* One that was closed, or a new one; with the first comes their end. */

static ngx_http_s3_file_t *
ngx_http_s3_free_file(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_pool_cleanup_t  *cln;
    ngx_http_s3_file_t  *file;

    for (file = ctx->files; file; file = file->next) {
        if (file->extent == NULL) {
            return file;
        }
    }

    file = ngx_pcalloc(r->pool, sizeof(ngx_http_s3_file_t));
    if (file == NULL) {
        return NULL;
    }

    if (ctx->files == NULL) {
        cln = ngx_pool_cleanup_add(r->pool, 0);
        if (cln == NULL) {
            return NULL;
        }

        cln->handler = ngx_http_s3_close_files;
        cln->data = ctx;
    }

    file->next = ctx->files;
    ctx->files = file;

    return file;
}


/* A long download passes through many extents: those sent are closed. */

static void
ngx_http_s3_close_unused(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_http_s3_file_t  *file;

    for (file = ctx->files; file; file = file->next) {
        file->used = 0;
    }

    ngx_http_s3_mark_used(ctx, r->upstream->busy_bufs);
    ngx_http_s3_mark_used(ctx, r->upstream->out_bufs);

    for (file = ctx->files; file; file = file->next) {

        if (file->used || file->extent == NULL) {
            continue;
        }

        ngx_http_s3_extent_put(file->extent);
        file->extent = NULL;
        ctx->nfiles--;
    }
}


static void
ngx_http_s3_mark_used(ngx_http_s3_ctx_t *ctx, ngx_chain_t *cl)
{
    ngx_http_s3_file_t  *file;

    for ( /* void */ ; cl; cl = cl->next) {

        if (!cl->buf->in_file) {
            continue;
        }

        file = (ngx_http_s3_file_t *)
               ((u_char *) cl->buf->file - offsetof(ngx_http_s3_file_t, file));

        file->used = 1;
    }
}


static void
ngx_http_s3_close_files(void *data)
{
    ngx_http_s3_ctx_t *ctx = data;

    ngx_http_s3_file_t  *file;

    for (file = ctx->files; file; file = file->next) {

        if (file->extent == NULL) {
            continue;
        }

        ngx_http_s3_extent_put(file->extent);
        file->extent = NULL;
    }
}
