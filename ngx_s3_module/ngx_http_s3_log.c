
/*
 * What nginx adds to a line of its error log about a request: as nginx's own
 * handler does, and no query.  The one of a pre-signed request lets whoever
 * reads it send the request again, until it expires.
 */


#include "ngx_http_s3_module.h"


static ngx_int_t ngx_http_s3_log_handler(ngx_http_request_t *r);
static u_char *ngx_http_s3_log_error(ngx_http_request_t *r,
    ngx_http_request_t *sr, u_char *buf, size_t len);
static ngx_str_t ngx_http_s3_log_no_query(ngx_str_t *value);
static char *ngx_http_s3_log_separator(ngx_http_upstream_t *u);


ngx_int_t
ngx_http_s3_log_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *handler;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    handler = ngx_array_push(&cmcf->phases[NGX_HTTP_POST_READ_PHASE].handlers);
    if (handler == NULL) {
        return NGX_ERROR;
    }

    *handler = ngx_http_s3_log_handler;

    return NGX_OK;
}


/* The first that a module sees of a request; its location is not known yet. */

static ngx_int_t
ngx_http_s3_log_handler(ngx_http_request_t *r)
{
    ngx_http_s3_srv_conf_t  *sscf;

    sscf = ngx_http_get_module_srv_conf(r, ngx_http_s3_module);

    if (sscf->used) {
        r->log_handler = ngx_http_s3_log_error;
    }

    return NGX_DECLINED;
}


static u_char *
ngx_http_s3_log_error(ngx_http_request_t *r, ngx_http_request_t *sr,
    u_char *buf, size_t len)
{
    u_char                    *last;
    ngx_str_t                  text;
    ngx_http_upstream_t       *u;
    ngx_http_core_srv_conf_t  *cscf;

    last = buf + len;

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    buf = ngx_slprintf(buf, last, ", server: %V", &cscf->server_name);

    if (r->request_line.len) {
        text = ngx_http_s3_log_no_query(&r->request_line);
        buf = ngx_slprintf(buf, last, ", request: \"%V\"", &text);
    }

    if (r != sr) {
        buf = ngx_slprintf(buf, last, ", subrequest: \"%V\"", &sr->uri);
    }

    u = sr->upstream;

    if (u && u->peer.name) {
        text = ngx_http_s3_log_no_query(&u->uri);
        buf = ngx_slprintf(buf, last, ", upstream: \"%V%V%s%V\"", &u->schema,
                           u->peer.name, ngx_http_s3_log_separator(u), &text);
    }

    if (r->headers_in.host) {
        buf = ngx_slprintf(buf, last, ", host: \"%V\"",
                           &r->headers_in.host->value);
    }

    if (r->headers_in.referer) {
        text = ngx_http_s3_log_no_query(&r->headers_in.referer->value);
        buf = ngx_slprintf(buf, last, ", referrer: \"%V\"", &text);
    }

    return buf;
}


/* What follows the query goes, too: of a request line, the protocol. */

static ngx_str_t
ngx_http_s3_log_no_query(ngx_str_t *value)
{
    u_char     *query;
    ngx_str_t   text;

    text = *value;

    query = ngx_strlchr(text.data, text.data + text.len, '?');

    if (query) {
        text.len = query - text.data;
    }

    return text;
}


static char *
ngx_http_s3_log_separator(ngx_http_upstream_t *u)
{
#if (NGX_HAVE_UNIX_DOMAIN)

    if (u->peer.sockaddr && u->peer.sockaddr->sa_family == AF_UNIX) {
        return ":";
    }

#endif

    return "";
}
