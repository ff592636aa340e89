
/*
 * Headers of an answer that came without nginx's upstream: from the hot index,
 * or on the control connection.  They become what upstream would have made of
 * them.
 */


#include "ngx_http_s3_module.h"


typedef struct {
    ngx_str_t                      name;
    ngx_uint_t                     offset;    /* in headers_out */
} ngx_http_s3_out_known_t;


static ngx_uint_t ngx_http_s3_out_hidden(ngx_http_request_t *r,
    ngx_str_t *name);
static ngx_int_t ngx_http_s3_out_known(ngx_http_request_t *r,
    ngx_table_elt_t *h);
#if (nginx_version < 1023000)
static ngx_int_t ngx_http_s3_out_cache_control(ngx_http_request_t *r,
    ngx_table_elt_t *h);
#endif


/* nginx's filters look for these */

static ngx_http_s3_out_known_t  ngx_http_s3_out_knowns[] = {
    { ngx_string("ETag"), offsetof(ngx_http_headers_out_t, etag) },
    { ngx_string("Expires"), offsetof(ngx_http_headers_out_t, expires) },
    { ngx_string("Last-Modified"),
      offsetof(ngx_http_headers_out_t, last_modified) },
    { ngx_string("Accept-Ranges"),
      offsetof(ngx_http_headers_out_t, accept_ranges) },
    { ngx_string("Content-Encoding"),
      offsetof(ngx_http_headers_out_t, content_encoding) },
#if (nginx_version >= 1023000)
    { ngx_string("Cache-Control"),
      offsetof(ngx_http_headers_out_t, cache_control) },
#endif
    { ngx_null_string, 0 }
};


/* By "s3_hide_header". */

static ngx_uint_t
ngx_http_s3_out_hidden(ngx_http_request_t *r, ngx_str_t *name)
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
        if (hidden[i].len == name->len
            && ngx_strncasecmp(hidden[i].data, name->data, name->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * S3's clients get it as it is stored, and always; that of a file can be
 * hidden, and is taken apart as upstream does it, which wants a text with an
 * end.
 */

ngx_int_t
ngx_http_s3_out_content_type(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_str_t *value)
{
    ngx_table_elt_t                *h;
    ngx_http_upstream_header_t     *hh;
    ngx_http_upstream_main_conf_t  *umcf;

    static ngx_str_t  name = ngx_string("content-type");

    if (ctx->file && ngx_http_s3_out_hidden(r, &name)) {
        return NGX_OK;
    }

    r->headers_out.content_type = *value;
    r->headers_out.content_type_len = value->len;
    r->headers_out.content_type_lowcase = NULL;

    if (ctx->file == NULL
        || ngx_strlchr(value->data, value->data + value->len, ';') == NULL)
    {
        return NGX_OK;
    }

    umcf = ngx_http_get_module_main_conf(r, ngx_http_upstream_module);

    hh = ngx_hash_find(&umcf->headers_in_hash,
                       ngx_hash_key(name.data, name.len), name.data, name.len);

    h = ngx_pcalloc(r->pool, sizeof(ngx_table_elt_t) + value->len + 1);

    if (hh == NULL || h == NULL) {
        return NGX_ERROR;
    }

    h->value.len = value->len;
    h->value.data = (u_char *) h + sizeof(ngx_table_elt_t);
    ngx_memcpy(h->value.data, value->data, value->len);

    return hh->copy_handler(r, h, hh->conf);
}


ngx_int_t
ngx_http_s3_out_header(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    if (ngx_http_s3_out_hidden(r, name)) {
        return NGX_OK;
    }

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key = *name;
    h->value = *value;
    h->lowcase_key = NULL;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return ngx_http_s3_out_known(r, h);
}


static ngx_int_t
ngx_http_s3_out_known(ngx_http_request_t *r, ngx_table_elt_t *h)
{
    ngx_http_s3_out_known_t  *known;

    for (known = ngx_http_s3_out_knowns; known->name.len; known++) {
        if (h->key.len == known->name.len
            && ngx_memcmp(h->key.data, known->name.data, h->key.len) == 0)
        {
            *(ngx_table_elt_t **) ((u_char *) &r->headers_out + known->offset)
                = h;
            return NGX_OK;
        }
    }

#if (nginx_version < 1023000)

    if (h->key.len == sizeof("Cache-Control") - 1
        && ngx_memcmp(h->key.data, "Cache-Control", h->key.len) == 0)
    {
        return ngx_http_s3_out_cache_control(r, h);
    }

#endif

    return NGX_OK;
}


#if (nginx_version < 1023000)

/* There may be several: "expires" replaces them. */

static ngx_int_t
ngx_http_s3_out_cache_control(ngx_http_request_t *r, ngx_table_elt_t *h)
{
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

    return NGX_OK;
}

#endif
