
/*
 * The hot index: objects that s3d has laid into shared memory, answered without
 * asking it.  docs/hot-index.md says why such an answer is the newest.
 *
 * The region is s3d's, mapped read-only, and comes with the control connection;
 * what is in it is bounded and checked before it is used.
 */


#include "ngx_http_s3_module.h"

#include <sys/mman.h>


static ngx_uint_t ngx_http_s3_hot_eligible(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx);
static ngx_uint_t ngx_http_s3_hot_args(ngx_http_s3_ctx_t *ctx);
static ngx_uint_t ngx_http_s3_hot_headers(ngx_http_s3_ctx_t *ctx);
static ngx_uint_t ngx_http_s3_hot_checksum_mode(ngx_http_s3_ctx_t *ctx,
    s3_field_t *header);
static ngx_uint_t ngx_http_s3_hot_is_checksum(struct hot_field *field);
static ngx_int_t ngx_http_s3_hot_header(ngx_http_request_t *r,
    struct hot_field *field);
static ngx_uint_t ngx_http_s3_hot_hidden(ngx_http_request_t *r,
    struct hot_field *field);
static ngx_int_t ngx_http_s3_hot_cache_control(ngx_http_request_t *r,
    ngx_table_elt_t *h);
static ngx_int_t ngx_http_s3_hot_reply(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, struct hot_found *found);


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
    ngx_http_s3_control_t    *control;
    ngx_http_s3_loc_conf_t   *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);
    control = slcf->control;

    if (!slcf->hot || control->hot_base == NULL
        || !ngx_http_s3_hot_eligible(r, ctx))
    {
        return NGX_DECLINED;
    }

    copy = ngx_palloc(r->pool, HOT_PAYLOAD_MAX);
    if (copy == NULL) {
        return NGX_ERROR;
    }

    hit = hot_find(&control->hot, ctx->route.bucket.data,
                   ctx->route.bucket.len, ctx->route.key.data,
                   ctx->route.key.len, copy, &found)
          && (ctx->auth.anonymous
              ? found.entry->anybody
              : hot_may_read(&found, ctx->auth.access_key.data,
                             ctx->auth.access_key.len, ctx->key_generation))
          && (found.entry->has_body || r->method == NGX_HTTP_HEAD)
          && (found.entry->checksums || !ctx->hot_checksums);

    counters = ngx_http_s3_counters(r);
    metric_count(hit ? &counters->hot_hits : &counters->hot_misses, 1);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "s3 hot index: %ui", hit);

    if (!hit) {
        (void) ngx_pfree(r->pool, copy);
        return NGX_DECLINED;
    }

    return ngx_http_s3_hot_reply(r, ctx, &found);
}


/* Whether nothing in the request could make the answer another one. */

static ngx_uint_t
ngx_http_s3_hot_eligible(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    return (ctx->route.operation == WIRE__OPERATION__GET_OBJECT
            || ctx->route.operation == WIRE__OPERATION__HEAD_OBJECT)
           && r == r->main
           && !ctx->expect
           && r->headers_in.content_length_n <= 0
           && !r->headers_in.chunked
           && ctx->auth.session_token.len == 0
           && ngx_http_s3_hot_args(ctx)
           && ngx_http_s3_hot_headers(ctx);
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


/*
 * Of the headers that s3d would get, these change nothing: a policy that asks
 * for one keeps an object out of the index.
 */

static ngx_str_t  ngx_http_s3_hot_harmless[] = {
    ngx_string("user-agent"),
    ngx_string("referer"),
    ngx_string("x-amz-date"),
    ngx_string("x-amz-content-sha256"),
    ngx_null_string
};


static ngx_uint_t
ngx_http_s3_hot_headers(ngx_http_s3_ctx_t *ctx)
{
    size_t       i;
    ngx_str_t   *name;
    s3_field_t  *header;

    for (i = 0; i < ctx->sigv4.nheaders; i++) {
        header = &ctx->sigv4.headers[i];

        for (name = ngx_http_s3_hot_harmless; name->len; name++) {
            if (header->name.len == name->len
                && ngx_memcmp(header->name.data, name->data, name->len) == 0)
            {
                break;
            }
        }

        if (name->len == 0 && ngx_http_s3_is_for_s3d(header)
            && !ngx_http_s3_hot_checksum_mode(ctx, header))
        {
            return 0;
        }
    }

    return 1;
}


/* SDKs ask for an object's checksum: an entry may have it. */

static ngx_uint_t
ngx_http_s3_hot_checksum_mode(ngx_http_s3_ctx_t *ctx, s3_field_t *header)
{
    if (header->name.len != sizeof("x-amz-checksum-mode") - 1
        || ngx_memcmp(header->name.data, "x-amz-checksum-mode",
                      header->name.len)
           != 0
        || header->value.len != sizeof("ENABLED") - 1
        || ngx_memcmp(header->value.data, "ENABLED", header->value.len) != 0)
    {
        return 0;
    }

    ctx->hot_checksums = 1;

    return 1;
}


/* Such headers are told to who asks for them. */

static ngx_uint_t
ngx_http_s3_hot_is_checksum(struct hot_field *field)
{
    return field->name_size > sizeof("x-amz-checksum-") - 1
           && ngx_memcmp(field->name, "x-amz-checksum-",
                         sizeof("x-amz-checksum-") - 1)
              == 0;
}


static ngx_int_t
ngx_http_s3_hot_reply(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    struct hot_found *found)
{
    size_t             at;
    ngx_int_t          rc;
    ngx_buf_t         *b;
    ngx_chain_t        out;
    struct hot_field   field;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ctx->hot = 1;
    ctx->replied = 1;
    ctx->authenticated = ngx_http_s3_now();

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = found->entry->content_length;

    /* conditions are not for nginx to judge, as with an answer of s3d's */
    r->disable_not_modified = 1;

    if (ngx_http_s3_add_headers(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    at = 0;

    while (hot_next_field(found, &at, &field)) {

        if (!ctx->hot_checksums && ngx_http_s3_hot_is_checksum(&field)) {
            continue;
        }

        if (ngx_http_s3_hot_header(r, &field) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    /* everything is allocated before the header is sent */

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    if (found->entry->body_size) {
        b->pos = (u_char *) found->body;
        b->last = b->pos + found->entry->body_size;
        b->memory = 1;
    }

    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, &out);
}


/* As nginx's upstream takes over the headers of a reply. */

static ngx_int_t
ngx_http_s3_hot_header(ngx_http_request_t *r, struct hot_field *field)
{
    ngx_table_elt_t  *h;

    if (field->name_size == sizeof("Content-Type") - 1
        && ngx_memcmp(field->name, "Content-Type", field->name_size) == 0)
    {
        r->headers_out.content_type.data = (u_char *) field->value;
        r->headers_out.content_type.len = field->value_size;
        r->headers_out.content_type_len = field->value_size;
        r->headers_out.content_type_lowcase = NULL;
        return NGX_OK;
    }

    if (ngx_http_s3_hot_hidden(r, field)) {
        return NGX_OK;
    }

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.data = (u_char *) field->name;
    h->key.len = field->name_size;
    h->value.data = (u_char *) field->value;
    h->value.len = field->value_size;
    h->lowcase_key = NULL;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    switch (h->key.len) {

    case sizeof("ETag") - 1:
        if (ngx_memcmp(h->key.data, "ETag", h->key.len) == 0) {
            r->headers_out.etag = h;
        }

        break;

    case sizeof("Expires") - 1:
        if (ngx_memcmp(h->key.data, "Expires", h->key.len) == 0) {
            r->headers_out.expires = h;
        }

        break;

    case sizeof("Last-Modified") - 1:
        if (ngx_memcmp(h->key.data, "Last-Modified", h->key.len) == 0) {
            r->headers_out.last_modified = h;
            r->headers_out.last_modified_time =
                              ngx_parse_http_time(h->value.data, h->value.len);

        } else if (ngx_memcmp(h->key.data, "Accept-Ranges", h->key.len) == 0) {
            r->headers_out.accept_ranges = h;

        } else if (ngx_memcmp(h->key.data, "Cache-Control", h->key.len) == 0) {
            return ngx_http_s3_hot_cache_control(r, h);
        }

        break;

    case sizeof("Content-Encoding") - 1:
        if (ngx_memcmp(h->key.data, "Content-Encoding", h->key.len) == 0) {
            r->headers_out.content_encoding = h;
        }

        break;
    }

    return NGX_OK;
}


/* By "s3_hide_header". */

static ngx_uint_t
ngx_http_s3_hot_hidden(ngx_http_request_t *r, struct hot_field *field)
{
    ngx_uint_t               i;
    ngx_str_t               *hidden;
    ngx_array_t             *names;
    ngx_http_s3_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);

    names = slcf->upstream.hide_headers;

    if (names == NULL || names == NGX_CONF_UNSET_PTR) {
        return 0;
    }

    hidden = names->elts;

    for (i = 0; i < names->nelts; i++) {
        if (hidden[i].len == field->name_size
            && ngx_strncasecmp(hidden[i].data, (u_char *) field->name,
                               field->name_size)
               == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* There may be several: "expires" replaces them. */

static ngx_int_t
ngx_http_s3_hot_cache_control(ngx_http_request_t *r, ngx_table_elt_t *h)
{
#if (nginx_version >= 1023000)

    r->headers_out.cache_control = h;

#else

    ngx_table_elt_t  **ph;

    if (r->headers_out.cache_control.elts == NULL
        && ngx_array_init(&r->headers_out.cache_control, r->pool, 1,
                          sizeof(ngx_table_elt_t *))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ph = ngx_array_push(&r->headers_out.cache_control);
    if (ph == NULL) {
        return NGX_ERROR;
    }

    *ph = h;

#endif

    return NGX_OK;
}
