
/*
 * S3's error document: for what the worker refuses, and in place of the page
 * that nginx makes when it refuses something in an s3_pass location itself.
 */


#include "ngx_http_s3_module.h"


static ngx_int_t ngx_http_s3_error_header(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_str_t *document);
static enum s3_error ngx_http_s3_error_of_status(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_error_header_filter(ngx_http_request_t *r);
static ngx_uint_t ngx_http_s3_error_is_ours(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_error_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


/* Returns NGX_DECLINED, for callers that pass it on. */

ngx_int_t
ngx_http_s3_set_error(ngx_http_s3_ctx_t *ctx, enum s3_error code)
{
    s3_error_init(&ctx->error, code);

    return NGX_DECLINED;
}


/* Sends ctx->error; returns what a content handler does. */

ngx_int_t
ngx_http_s3_send_error(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_int_t  rc;
    ngx_str_t  document;

    if (ctx->expect && !ctx->body_seen) {
        /* the client may send its body or not: no telling what comes next */
        r->keepalive = 0;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_s3_error_header(r, ctx, &document) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = s3_error_status(ctx->error.code);

    return ngx_http_s3_send(r, document.data, document.len);
}


/* What ctx->error says, as XML. */

ngx_int_t
ngx_http_s3_error_document(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_str_t *document)
{
    s3_str_t  out, resource, request_id;

    resource = ctx->sigv4.path;

    if (resource.data == NULL) {
        resource.len = r->unparsed_uri.len;
        resource.data = r->unparsed_uri.data;
    }

    if (resource.data == NULL && r->uri_start && r->uri_end > r->uri_start) {
        resource.len = r->uri_end - r->uri_start;
        resource.data = r->uri_start;
    }

    request_id.len = ctx->request_id.len;
    request_id.data = ctx->request_id.data;

    if (s3_xml_error(&ctx->memory, &ctx->error, &resource, &request_id,
                     &request_id, &out)
        != 0)
    {
        return NGX_ERROR;
    }

    document->len = out.len;
    document->data = out.data;

    return NGX_OK;
}


/* The document, and the reply's header for it. */

static ngx_int_t
ngx_http_s3_error_header(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_str_t *document)
{
    if (ngx_http_s3_error_document(r, ctx, document) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->code.data = (u_char *) s3_error_code(ctx->error.code);
    ctx->code.len = ngx_strlen(ctx->code.data);

    ctx->replied = 1;

    ngx_str_set(&r->headers_out.content_type, "application/xml");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    /* as S3 does: the size of what a HEAD does not get is not told */

    r->headers_out.content_length_n = (r->method == NGX_HTTP_HEAD)
                                      ? -1 : (off_t) document->len;

    if (r->headers_out.content_length) {
        r->headers_out.content_length->hash = 0;
        r->headers_out.content_length = NULL;
    }

    return ngx_http_s3_add_headers(r, ctx);
}


ngx_int_t
ngx_http_s3_add_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.len = ngx_strlen(name);
    h->key.data = (u_char *) name;
    h->value = *value;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}


/*
 * What the worker knows.  HostId is the request id too, as in s3d's own
 * documents.
 */

ngx_int_t
ngx_http_s3_add_headers(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    if (ctx->file) {
        return NGX_OK;
    }

    if (ctx->error.code == S3_ERR_MethodNotAllowed && ctx->allow.len
        && ngx_http_s3_add_header(r, "Allow", &ctx->allow) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_s3_add_header(r, "x-amz-request-id", &ctx->request_id)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_s3_add_header(r, "x-amz-id-2", &ctx->request_id);
}


void
ngx_http_s3_error_init(void)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_s3_error_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_s3_error_body_filter;
}


static ngx_int_t
ngx_http_s3_error_header_filter(ngx_http_request_t *r)
{
    ngx_str_t           document;
    ngx_buf_t          *b;
    ngx_http_s3_ctx_t  *ctx;

    if (r->headers_out.status < NGX_HTTP_BAD_REQUEST
        || r != r->main
        || !ngx_http_s3_error_is_ours(r))
    {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_s3_get_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    if (ctx->replied) {
        return ngx_http_next_header_filter(r);
    }

    if (ctx->error.code == S3_OK) {
        s3_error_init(&ctx->error,
                      ngx_http_s3_error_of_status(r));
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 error page: %ui %s", r->headers_out.status,
                   s3_error_code(ctx->error.code));

    r->headers_out.status = s3_error_status(ctx->error.code);
    r->headers_out.status_line.len = 0;

    if (ngx_http_s3_error_header(r, ctx, &document) != NGX_OK) {
        return NGX_ERROR;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = document.data;
    b->last = document.data + document.len;
    b->memory = 1;
    b->last_buf = 1;
    b->last_in_chain = 1;

    ctx->error_page = b;

    return ngx_http_next_header_filter(r);
}


/*
 * In an s3_pass location; or before the request has come to any phase, in a
 * server that has one: nginx itself refuses targets such as "/%00", headers
 * that are too large, hosts that are none.
 */

static ngx_uint_t
ngx_http_s3_error_is_ours(ngx_http_request_t *r)
{
    ngx_uint_t                  i;
    ngx_http_core_srv_conf_t   *cscf, **cscfp;
    ngx_http_s3_loc_conf_t     *slcf;
    ngx_http_s3_main_conf_t    *smcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);

    if (slcf->control) {
        return slcf->handler == ngx_http_s3_handler;
    }

    if (r->valid_location) {
        return 0;
    }

    smcf = ngx_http_get_module_main_conf(r, ngx_http_s3_module);
    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    cscfp = smcf->servers.elts;

    for (i = 0; i < smcf->servers.nelts; i++) {
        if (cscfp[i] == cscf) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_s3_error_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t          *b;
    ngx_chain_t         out;
    ngx_http_s3_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_module);

    if (ctx == NULL || ctx->error_page == NULL || in == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    for ( /* void */ ; in; in = in->next) {
        in->buf->pos = in->buf->last;
        in->buf->file_pos = in->buf->file_last;
    }

    if (ctx->error_page_sent) {
        return NGX_OK;
    }

    ctx->error_page_sent = 1;

    b = ctx->error_page;

    out.buf = b;
    out.next = NULL;

    return ngx_http_next_body_filter(r, &out);
}


static enum s3_error
ngx_http_s3_error_of_status(ngx_http_request_t *r)
{
    ngx_uint_t  status;

    status = r->headers_out.status;

    switch (status) {

    case NGX_HTTP_BAD_REQUEST:
        return r->uri.len ? S3_ERR_BadRequest : S3_ERR_InvalidURI;

    case NGX_HTTP_UNAUTHORIZED:
    case NGX_HTTP_FORBIDDEN:
        return S3_ERR_AccessDenied;

    case NGX_HTTP_NOT_FOUND:
        return S3_ERR_NoSuchKey;

    case NGX_HTTP_NOT_ALLOWED:
        return S3_ERR_MethodNotAllowed;

    case NGX_HTTP_REQUEST_TIME_OUT:
        return S3_ERR_RequestTimeout;

    case NGX_HTTP_LENGTH_REQUIRED:
        return S3_ERR_MissingContentLength;

    case NGX_HTTP_REQUEST_ENTITY_TOO_LARGE:
        return S3_ERR_EntityTooLarge;

    case NGX_HTTP_REQUEST_URI_TOO_LARGE:
        return S3_ERR_RequestHeaderSectionTooLarge;

    case NGX_HTTP_NOT_IMPLEMENTED:
        return S3_ERR_NotImplemented;

    case NGX_HTTP_TOO_MANY_REQUESTS:
    case NGX_HTTP_SERVICE_UNAVAILABLE:
        return S3_ERR_SlowDown;

    case NGX_HTTP_BAD_GATEWAY:
    case NGX_HTTP_GATEWAY_TIME_OUT:
        return S3_ERR_ServiceUnavailable;
    }

    return status < NGX_HTTP_INTERNAL_SERVER_ERROR ? S3_ERR_BadRequest
                                                   : S3_ERR_InternalError;
}
