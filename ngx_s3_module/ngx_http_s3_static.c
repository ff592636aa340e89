
/*
 * Objects as files.  What may answer a request goes to s3d as a list, and the
 * first that is there comes back: one round trip.  Errors and redirects are
 * nginx's own, as those of its static module.
 */


#include "ngx_http_s3_module.h"


typedef struct {
    ngx_str_t                      name;
    ngx_uint_t                     conditional; /* unsigned  conditional:1; */
} ngx_http_s3_static_header_t;


static ngx_uint_t ngx_http_s3_static_is_preflight(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_static_request(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static ngx_table_elt_t *ngx_http_s3_static_header(ngx_http_request_t *r,
    ngx_str_t *name);
static ngx_int_t ngx_http_s3_static_location(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_static_header_filter(ngx_http_request_t *r);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;


/* the conditional ones are of the page that was asked for, and of no other */

static ngx_http_s3_static_header_t  ngx_http_s3_static_names[] = {
    { ngx_string("range"), 1 },
    { ngx_string("if-range"), 1 },
    { ngx_string("if-match"), 1 },
    { ngx_string("if-none-match"), 1 },
    { ngx_string("if-modified-since"), 1 },
    { ngx_string("if-unmodified-since"), 1 },
    { ngx_string("origin"), 0 },
    { ngx_string("access-control-request-method"), 0 },
    { ngx_string("access-control-request-headers"), 0 },
    { ngx_string("user-agent"), 0 },
    { ngx_string("referer"), 0 },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_http_s3_static_handler(ngx_http_request_t *r)
{
    ngx_http_s3_ctx_t  *ctx;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
        && !ngx_http_s3_static_is_preflight(r))
    {
        return NGX_HTTP_NOT_ALLOWED;
    }

    ctx = ngx_http_s3_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_s3_static_request(r, ctx) != NGX_OK
        || ngx_http_s3_static_headers(r, ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_s3_result(r, ngx_http_s3_serve(r, ctx));
}


/* The bucket's rules say what scripts of other origins may do. */

static ngx_uint_t
ngx_http_s3_static_is_preflight(ngx_http_request_t *r)
{
    static ngx_str_t  origin = ngx_string("origin");
    static ngx_str_t  method = ngx_string("access-control-request-method");

    return r->method == NGX_HTTP_OPTIONS
           && ngx_http_s3_static_header(r, &origin)
           && ngx_http_s3_static_header(r, &method);
}


/* What the REQUEST frame is made of. */

static ngx_int_t
ngx_http_s3_static_request(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    s3_str_t                   raw, decoded;
    ngx_str_t                  bucket, after;
    Wire__FileRequest         *file;
    ngx_http_s3_loc_conf_t    *slcf;
    ngx_http_core_loc_conf_t  *clcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    file = ngx_palloc(r->pool, sizeof(Wire__FileRequest));
    if (file == NULL) {
        return NGX_ERROR;
    }

    wire__file_request__init(file);

    if (ngx_http_s3_candidates(r, &slcf->files, &bucket, file) != NGX_OK) {
        return NGX_ERROR;
    }

    file->max_ranges = clcf->max_ranges;
    file->exact_date = (clcf->if_modified_since == NGX_HTTP_IMS_EXACT);

    ngx_http_s3_set(file->title, r->uri);
    ngx_http_s3_set(file->default_type, clcf->default_type);

    /* said by who sent X-Accel-Redirect */
    ngx_http_s3_set(file->content_type, r->headers_out.content_type);

    if (slcf->files.autoindex != NGX_HTTP_S3_AUTOINDEX_OFF
        && ngx_http_arg(r, (u_char *) "after", 5, &after) == NGX_OK)
    {
        raw.len = after.len;
        raw.data = after.data;

        if (s3_uri_decode(&ctx->memory, &raw, 1, &decoded) == 0) {
            ngx_http_s3_set(file->after, decoded);
        }
    }

    ctx->file = file;

    ctx->route.operation = (r->method == NGX_HTTP_OPTIONS)
                           ? WIRE__OPERATION__PREFLIGHT
                           : WIRE__OPERATION__GET_FILE;
    ngx_http_s3_set(ctx->route.bucket, bucket);
    ngx_http_s3_set(ctx->sigv4.path, r->uri);
    ngx_http_s3_set(ctx->host, r->headers_in.server);

    if (file->n_candidates) {
        ngx_http_s3_set(ctx->route.key, file->candidates[0]->key);
    }

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 static: \"%V\" \"%*s\", %uz candidates", &bucket,
                   ctx->route.key.len, ctx->route.key.data,
                   file->n_candidates);

    return NGX_OK;
}


/* What of the client's headers concerns s3d. */

ngx_int_t
ngx_http_s3_static_headers(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_uint_t                    asked;
    s3_field_t                   *field;
    ngx_table_elt_t              *h;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_s3_static_header_t  *name;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    field = ngx_palloc(r->pool, sizeof(ngx_http_s3_static_names)
                                / sizeof(ngx_http_s3_static_header_t)
                                * sizeof(s3_field_t));
    if (field == NULL) {
        return NGX_ERROR;
    }

    ctx->sigv4.headers = field;

    /* neither a subrequest nor the page of an error was asked for */

    asked = (r == r->main && r->err_status == 0);

    for (name = ngx_http_s3_static_names; name->name.len; name++) {

        if (name->conditional && !asked) {
            continue;
        }

        if (clcf->if_modified_since == NGX_HTTP_IMS_OFF
            && ngx_strcmp(name->name.data, "if-modified-since") == 0)
        {
            continue;
        }

        h = ngx_http_s3_static_header(r, &name->name);

        if (h) {
            ngx_http_s3_set(field->name, name->name);
            ngx_http_s3_set(field->value, h->value);
            field++;
        }
    }

    ctx->sigv4.nheaders = field - ctx->sigv4.headers;

    return NGX_OK;
}


static ngx_table_elt_t *
ngx_http_s3_static_header(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == name->len
                && ngx_strncmp(h[i].lowcase_key, name->data, name->len) == 0)
            {
                return &h[i];
            }
        }
    }

    return NULL;
}


/*
 * s3d's status has come.  What is neither the object nor "not modified"
 * becomes a page of nginx's: ctx->file_status says so to the header filter.
 */

ngx_int_t
ngx_http_s3_static_reply(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_uint_t status)
{
    ngx_http_s3_loc_conf_t    *slcf;
#if (NGX_HTTP_GZIP)
    ngx_http_core_loc_conf_t  *clcf;
#endif

    static ngx_str_t  vary = ngx_string("Accept-Encoding");

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);

    if (status == NGX_HTTP_MOVED_PERMANENTLY) {
        ctx->file_status = status;
        return ngx_http_s3_static_location(r);
    }

    if (status >= NGX_HTTP_SPECIAL_RESPONSE
        && status != NGX_HTTP_NOT_MODIFIED)
    {
        ctx->file_status = (status == NGX_HTTP_NOT_FOUND)
                           ? slcf->files.try_status : status;
        return NGX_OK;
    }

    if (slcf->files.precompressed == NULL || r != r->main) {
        return NGX_OK;
    }

#if (NGX_HTTP_GZIP)

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->gzip_vary) {
        r->gzip_vary = 1;
        return NGX_OK;
    }

#endif

    return ngx_http_s3_add_header(r, "Vary", &vary);
}


/* What came with X-Accel-Redirect goes before what the object says. */

ngx_uint_t
ngx_http_s3_static_is_said(ngx_http_request_t *r, u_char *name, size_t len)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].hash && h[i].key.len == len
                && ngx_strncasecmp(h[i].key.data, name, len) == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


/* "/dir" is a directory. */

static ngx_int_t
ngx_http_s3_static_location(ngx_http_request_t *r)
{
    u_char           *p;
    size_t            len;
    uintptr_t         escape;
    ngx_table_elt_t  *location;

    ngx_http_clear_location(r);

    location = ngx_list_push(&r->headers_out.headers);
    if (location == NULL) {
        return NGX_ERROR;
    }

    r->headers_out.location = location;

    escape = 2 * ngx_escape_uri(NULL, r->uri.data, r->uri.len,
                                NGX_ESCAPE_URI);

    len = r->uri.len + escape + 1;

    if (r->args.len) {
        len += r->args.len + 1;
    }

    p = ngx_pnalloc(r->pool, len);
    if (p == NULL) {
        ngx_http_clear_location(r);
        return NGX_ERROR;
    }

    location->hash = 1;
    ngx_str_set(&location->key, "Location");
    location->value.len = len;
    location->value.data = p;
#if (nginx_version >= 1023000)
    location->next = NULL;
#endif

    p = (u_char *) ngx_escape_uri(p, r->uri.data, r->uri.len, NGX_ESCAPE_URI);

    *p++ = '/';

    if (r->args.len) {
        *p++ = '?';
        ngx_memcpy(p, r->args.data, r->args.len);
    }

    return NGX_OK;
}


void
ngx_http_s3_static_init(void)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_s3_static_header_filter;
}


/*
 * A status that a header filter returns, having sent nothing, is what the
 * request is finalized with: nginx's range filter does the same.
 */

static ngx_int_t
ngx_http_s3_static_header_filter(ngx_http_request_t *r)
{
    ngx_int_t           status;
    ngx_http_s3_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_module);

    if (ctx == NULL || ctx->file_status == 0) {
        return ngx_http_next_header_filter(r);
    }

    status = ctx->file_status;
    ctx->file_status = 0;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 static: nginx's page for %i", status);

    ngx_http_clear_content_length(r);

    return status;
}
