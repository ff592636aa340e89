
/*
 * An answer out of the hot index: what s3d's reply would become.
 */


#include "ngx_http_s3_module.h"


static ngx_int_t ngx_http_s3_hot_head(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, struct hot_found *found,
    ngx_http_s3_selection_t *selection, ngx_str_t *body);
static ngx_int_t ngx_http_s3_hot_fields(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, struct hot_found *found);
static ngx_uint_t ngx_http_s3_hot_is_told(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_str_t *name);
static ngx_int_t ngx_http_s3_hot_content_range(ngx_http_request_t *r,
    struct hot_found *found, ngx_http_s3_selection_t *selection);
static ngx_int_t ngx_http_s3_hot_error(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, struct hot_found *found,
    ngx_http_s3_selection_t *selection, ngx_str_t *document);


ngx_int_t
ngx_http_s3_hot_reply(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    struct hot_found *found, ngx_http_s3_selection_t *selection)
{
    ngx_int_t  rc;
    ngx_str_t  body;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ctx->hot = 1;
    ctx->replied = 1;
    ctx->authenticated = ngx_http_s3_now();

    if (ngx_http_s3_hot_head(r, ctx, found, selection, &body) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_s3_send(r, body.data, body.len);
}


/* All but what nginx itself adds; and what the body will be. */

static ngx_int_t
ngx_http_s3_hot_head(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    struct hot_found *found, ngx_http_s3_selection_t *selection,
    ngx_str_t *body)
{
    ngx_int_t  rc;

    ngx_str_null(body);

    r->headers_out.status = selection->status;

    /* conditions are not for nginx to judge, as with an answer of s3d's */
    r->disable_not_modified = 1;

    rc = ctx->file ? ngx_http_s3_static_reply(r, ctx, selection->status)
                   : ngx_http_s3_add_headers(r, ctx);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    switch (selection->status) {

    case NGX_HTTP_OK:
    case NGX_HTTP_PARTIAL_CONTENT:

        r->headers_out.content_length_n = selection->size;

        if (found->entry->has_body) {
            body->data = (u_char *) found->body + selection->offset;
            body->len = selection->size;
        }

        /* fall through */

    case NGX_HTTP_NOT_MODIFIED:

        if (ngx_http_s3_hot_fields(r, ctx, found) != NGX_OK) {
            return NGX_ERROR;
        }

        return (selection->status == NGX_HTTP_PARTIAL_CONTENT)
               ? ngx_http_s3_hot_content_range(r, found, selection) : NGX_OK;

    default: /* 412, 416 */
        return ngx_http_s3_hot_error(r, ctx, found, selection, body);
    }
}


/* In the order of s3d's reply. */

static ngx_int_t
ngx_http_s3_hot_fields(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    struct hot_found *found)
{
    size_t             at;
    ngx_int_t          rc;
    ngx_str_t          name, value;
    struct hot_field   field;

    rc = NGX_OK;

    for (at = 0; rc == NGX_OK && hot_next_field(found, &at, &field); ) {

        name.len = field.name_size;
        name.data = (u_char *) field.name;
        value.len = field.value_size;
        value.data = (u_char *) field.value;

        if (!ngx_http_s3_hot_is_told(r, ctx, &name)) {
            continue;
        }

        if (name.len == sizeof("Content-Type") - 1
            && ngx_memcmp(name.data, "Content-Type", name.len) == 0)
        {
            rc = ngx_http_s3_out_content_type(r, ctx, &value);

        } else {
            rc = ngx_http_s3_out_header(r, &name, &value);
        }
    }

    if (r->headers_out.last_modified) {
        r->headers_out.last_modified_time = found->entry->mtime_ms / 1000;
    }

    return rc;
}


#define ngx_http_s3_hot_begins(name, text)                                    \
    ((name)->len >= sizeof(text) - 1                                          \
     && ngx_memcmp((name)->data, text, sizeof(text) - 1) == 0)


/* An entry has what s3d says with 200; with other statuses it says less. */

static ngx_uint_t
ngx_http_s3_hot_is_told(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_str_t *name)
{
    if (ngx_http_s3_hot_begins(name, "x-amz-checksum-")) {
        return ctx->hot_checksums && r->headers_out.status == NGX_HTTP_OK;
    }

    switch (r->headers_out.status) {

    case NGX_HTTP_PARTIAL_CONTENT:
        return ctx->file == NULL
               || !ngx_http_s3_hot_begins(name, "Accept-Ranges");

    case NGX_HTTP_NOT_MODIFIED:
        return !ngx_http_s3_hot_begins(name, "Accept-Ranges")
               && !ngx_http_s3_hot_begins(name, "Content-")
               && (!ngx_http_s3_hot_begins(name, "x-amz-")
                   || ngx_http_s3_hot_begins(name, "x-amz-version-id"));

    default: /* NGX_HTTP_OK */
        return 1;
    }
}


static ngx_int_t
ngx_http_s3_hot_content_range(ngx_http_request_t *r, struct hot_found *found,
    ngx_http_s3_selection_t *selection)
{
    u_char     *p;
    ngx_str_t   value;

    static ngx_str_t  name = ngx_string("Content-Range");

    p = ngx_pnalloc(r->pool, sizeof("bytes -/") + 3 * NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;

    if (selection->status == NGX_HTTP_PARTIAL_CONTENT) {
        p = ngx_sprintf(p, "bytes %uL-%uL/", selection->offset,
                        selection->offset + selection->size - 1);
    } else {
        p = ngx_cpymem(p, "bytes */", sizeof("bytes */") - 1);
    }

    value.len = ngx_sprintf(p, "%uL", found->entry->content_length)
                - value.data;

    return ngx_http_s3_out_header(r, &name, &value);
}


/* Of a file there is nginx's page, and no document. */

static ngx_int_t
ngx_http_s3_hot_error(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    struct hot_found *found, ngx_http_s3_selection_t *selection,
    ngx_str_t *document)
{
    s3_str_t     value;
    s3_field_t  *range;
    ngx_uint_t   failed;

    static ngx_str_t  type = ngx_string("application/xml");
    static ngx_str_t  name = ngx_string("Accept-Ranges");
    static ngx_str_t  bytes = ngx_string("bytes");

    failed = (selection->status == NGX_HTTP_PRECONDITION_FAILED);

    if (!failed
        && ngx_http_s3_hot_content_range(r, found, selection) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->file) {
        return NGX_OK;
    }

    (void) ngx_http_s3_set_error(ctx, failed ? S3_ERR_PreconditionFailed
                                             : S3_ERR_InvalidRange);

    if (failed) {
        value.data = (u_char *) selection->condition;
        value.len = ngx_strlen(selection->condition);

        s3_error_add(&ctx->error, "Condition", &value);

    } else {

        if (ngx_http_s3_out_header(r, &name, &bytes) != NGX_OK) {
            return NGX_ERROR;
        }

        range = s3_field_find(ctx->sigv4.headers, ctx->sigv4.nheaders,
                              "range");

        value.data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
        if (value.data == NULL || range == NULL) {
            return NGX_ERROR;
        }

        value.len = ngx_sprintf(value.data, "%uL",
                                found->entry->content_length)
                    - value.data;

        s3_error_add(&ctx->error, "RangeRequested", &range->value);
        s3_error_add(&ctx->error, "ActualObjectSize", &value);
    }

    ctx->code.data = (u_char *) s3_error_code(ctx->error.code);
    ctx->code.len = ngx_strlen(ctx->code.data);

    if (ngx_http_s3_error_document(r, ctx, document) != NGX_OK) {
        return NGX_ERROR;
    }

    r->headers_out.content_length_n = document->len;

    return ngx_http_s3_out_content_type(r, ctx, &type);
}
