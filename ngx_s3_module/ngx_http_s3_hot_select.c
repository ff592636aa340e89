
/*
 * What of an object in the hot index a request asks for: by conditions and a
 * range, judged by the code that s3d judges them with.
 */


#include "ngx_http_s3_module.h"


static ngx_uint_t ngx_http_s3_hot_has(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, struct hot_found *found,
    ngx_http_s3_selection_t *selection);
static ngx_int_t ngx_http_s3_hot_etag(struct hot_found *found,
    struct slice *etag);
static struct slice ngx_http_s3_hot_asked(ngx_http_s3_ctx_t *ctx,
    const char *name);
static void ngx_http_s3_hot_condition(ngx_http_s3_ctx_t *ctx,
    struct slice etag, uint64_t mtime_ms, ngx_http_s3_selection_t *selection);
static ngx_int_t ngx_http_s3_hot_range(ngx_http_s3_ctx_t *ctx,
    struct slice etag, struct hot_entry const *entry,
    ngx_http_s3_selection_t *selection);


/* NGX_DECLINED: s3d is to be asked. */

ngx_int_t
ngx_http_s3_hot_select(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    struct hot_found *found, ngx_http_s3_selection_t *selection)
{
    struct slice  etag;

    selection->status = NGX_HTTP_OK;
    selection->offset = 0;
    selection->size = found->entry->content_length;
    selection->condition = NULL;

    if (ctx->hot_selects) {

        if (ngx_http_s3_hot_etag(found, &etag) != NGX_OK) {
            return NGX_DECLINED;
        }

        ngx_http_s3_hot_condition(ctx, etag, found->entry->mtime_ms,
                                  selection);

        if (selection->status == NGX_HTTP_OK
            && ngx_http_s3_hot_range(ctx, etag, found->entry, selection)
               != NGX_OK)
        {
            return NGX_DECLINED;
        }
    }

    return ngx_http_s3_hot_has(r, ctx, found, selection) ? NGX_OK
                                                         : NGX_DECLINED;
}


static ngx_uint_t
ngx_http_s3_hot_has(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    struct hot_found *found, ngx_http_s3_selection_t *selection)
{
    switch (selection->status) {

    case NGX_HTTP_OK:

        if (ctx->hot_checksums && !found->entry->checksums) {
            return 0;
        }

        /* fall through */

    case NGX_HTTP_PARTIAL_CONTENT:
        return r->method == NGX_HTTP_HEAD || found->entry->has_body;

    case NGX_HTTP_NOT_MODIFIED:
        return 1;

    default: /* an error: of a file nginx's page, of an object a document */
        return ctx->file
               || (ctx->route.operation == WIRE__OPERATION__GET_OBJECT
                   && r->method == NGX_HTTP_GET);
    }
}


/* Without its quotes. */

static ngx_int_t
ngx_http_s3_hot_etag(struct hot_found *found, struct slice *etag)
{
    size_t            at;
    struct hot_field  field;

    for (at = 0; hot_next_field(found, &at, &field); ) {

        if (field.name_size == sizeof("ETag") - 1
            && ngx_memcmp(field.name, "ETag", field.name_size) == 0
            && field.value_size >= 2)
        {
            *etag = slice_of(field.value + 1, field.value_size - 2);
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static struct slice
ngx_http_s3_hot_asked(ngx_http_s3_ctx_t *ctx, const char *name)
{
    s3_field_t  *header;

    header = s3_field_find(ctx->sigv4.headers, ctx->sigv4.nheaders, name);

    return header ? slice_of(header->value.data, header->value.len)
                  : slice_of(NULL, 0);
}


static void
ngx_http_s3_hot_condition(ngx_http_s3_ctx_t *ctx, struct slice etag,
    uint64_t mtime_ms, ngx_http_s3_selection_t *selection)
{
    struct conditions  conditions;

    conditions.match = ngx_http_s3_hot_asked(ctx, "if-match");
    conditions.none_match = ngx_http_s3_hot_asked(ctx, "if-none-match");
    conditions.modified_since = ngx_http_s3_hot_asked(ctx,
                                                      "if-modified-since");
    conditions.unmodified_since = ngx_http_s3_hot_asked(ctx,
                                                        "if-unmodified-since");
    conditions.weak = (ctx->file != NULL);
    conditions.exact = (ctx->file && ctx->file->exact_date);

    switch (conditions_evaluate(&conditions, etag, mtime_ms,
                                &selection->condition))
    {

    case CONDITION_FAILED:
        selection->status = NGX_HTTP_PRECONDITION_FAILED;
        break;

    case CONDITION_NOT_MODIFIED:
        selection->status = NGX_HTTP_NOT_MODIFIED;
        break;

    default: /* CONDITION_PASS */
        break;
    }
}


/* Several ranges, which nginx knows of files, are for s3d to put together. */

static ngx_int_t
ngx_http_s3_hot_range(ngx_http_s3_ctx_t *ctx, struct slice etag,
    struct hot_entry const *entry, ngx_http_s3_selection_t *selection)
{
    uint64_t            last;
    struct slice        range;
    enum range_result   result;
    struct byte_ranges  ranges;

    range = ngx_http_s3_hot_asked(ctx, "range");

    if (!range_wanted(ngx_http_s3_hot_asked(ctx, "if-range"), etag,
                      entry->mtime_ms))
    {
        return NGX_OK;
    }

    if (ctx->file) {
        result = byte_ranges_parse(range, entry->content_length,
                                   ctx->file->max_ranges, &ranges);

        if (result == RANGE_OK && ranges.count != 1) {
            return NGX_DECLINED;
        }

    } else {
        result = range_parse(range, entry->content_length,
                             &ranges.ranges[0].offset, &last);

        if (result == RANGE_OK) {
            ranges.ranges[0].size = last - ranges.ranges[0].offset + 1;
        }
    }

    switch (result) {

    case RANGE_OK:
        selection->status = NGX_HTTP_PARTIAL_CONTENT;
        selection->offset = ranges.ranges[0].offset;
        selection->size = ranges.ranges[0].size;
        break;

    case RANGE_UNSATISFIABLE:
        selection->status = NGX_HTTP_RANGE_NOT_SATISFIABLE;
        break;

    default: /* RANGE_IGNORED */
        break;
    }

    return NGX_OK;
}
