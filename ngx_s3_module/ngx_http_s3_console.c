
/*
 * s3_console: a page for a browser that signs for itself. Its files, which
 * are in the module, know no secret and no state; what they show comes from
 * s3_pass and s3_status of the same server, by the rights of who looks.
 */


#include "ngx_http_s3_module.h"


typedef struct {
    const char  *name;
    ngx_str_t    value;
} ngx_http_s3_console_header_t;


static ngx_int_t ngx_http_s3_console_handler(ngx_http_request_t *r);
static ngx_http_s3_console_file_t *ngx_http_s3_console_find(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_console_headers(ngx_http_request_t *r,
    ngx_http_s3_console_file_t *file);


/*
 * Nothing from elsewhere, nothing inline, no frames, and no markup out of
 * strings but the XML that is parsed to be read. Cross-Origin-Opener-Policy
 * cuts the page off from objects of this origin that are shown in a tab.
 */

static ngx_http_s3_console_header_t  ngx_http_s3_console_common[] = {
    { "Cache-Control", ngx_string("no-cache") },
    { "Content-Security-Policy",
      ngx_string("default-src 'none'; script-src 'self'; style-src 'self'; "
                 "img-src 'self'; media-src 'self'; connect-src 'self'; "
                 "base-uri 'none'; form-action 'none'; "
                 "frame-ancestors 'none'; "
                 "require-trusted-types-for 'script'; trusted-types s3-xml") },
    { "X-Content-Type-Options", ngx_string("nosniff") },
    { "Referrer-Policy", ngx_string("no-referrer") },
    { "Cross-Origin-Opener-Policy", ngx_string("same-origin") },
    { "Cross-Origin-Resource-Policy", ngx_string("same-origin") },
    { NULL, ngx_null_string }
};


static ngx_int_t
ngx_http_s3_console_handler(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_http_s3_console_file_t  *file;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    file = ngx_http_s3_console_find(r);

    if (file == NULL) {
        return NGX_HTTP_NOT_FOUND;
    }

    if (ngx_http_s3_console_headers(r, file) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_s3_send(r, file->body, file->len);
}


/* What follows the location's name; the page itself where nothing does. */

static ngx_http_s3_console_file_t *
ngx_http_s3_console_find(ngx_http_request_t *r)
{
    ngx_str_t                    name;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_s3_console_file_t  *file;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r->uri.len < clcf->name.len) {
        return NULL;
    }

    name.len = r->uri.len - clcf->name.len;
    name.data = r->uri.data + clcf->name.len;

    if (name.len == 0) {
        ngx_str_set(&name, "index.html");
    }

    for (file = ngx_http_s3_console_files; file->name.len; file++) {

        if (file->name.len == name.len
            && ngx_memcmp(file->name.data, name.data, name.len) == 0)
        {
            return file;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_s3_console_headers(ngx_http_request_t *r,
    ngx_http_s3_console_file_t *file)
{
    ngx_table_elt_t               *etag;
    ngx_http_s3_console_header_t  *header;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = file->len;
    r->headers_out.content_type = file->type;
    r->headers_out.content_type_len = file->type.len;

    etag = ngx_list_push(&r->headers_out.headers);
    if (etag == NULL) {
        return NGX_ERROR;
    }

    etag->hash = 1;
    ngx_str_set(&etag->key, "ETag");
    etag->value = file->etag;
#if (nginx_version >= 1023000)
    etag->next = NULL;
#endif

    r->headers_out.etag = etag;

    for (header = ngx_http_s3_console_common; header->name; header++) {

        if (ngx_http_s3_add_header(r, header->name, &header->value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* s3_console */

char *
ngx_http_s3_console(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_s3_loc_conf_t *slcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    if (slcf->handler) {
        return "is duplicate";
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->name.len == 0 || clcf->name.data[clcf->name.len - 1] != '/'
#if (NGX_PCRE)
        || clcf->regex
#endif
        || clcf->exact_match || clcf->named)
    {
        return "requires a location that is a prefix and ends with \"/\"";
    }

    slcf->handler = ngx_http_s3_console_handler;

    clcf->handler = slcf->handler;
    clcf->auto_redirect = 1;

    return NGX_CONF_OK;
}
