
/*
 * s3_status: what the workers count and what s3d tells of itself, as metrics.
 * s3d is asked over the control connection, without blocking; if it does not
 * answer, the workers' part is sent, and "s3_up 0".
 */


#include "ngx_http_s3_module.h"


#define NGX_HTTP_S3_STATUS_TIMEOUT  5000  /* less than who scrapes waits */


static ngx_int_t ngx_http_s3_status_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_status_format(ngx_http_request_t *r,
    s3_exposition_e *format);
static ngx_int_t ngx_http_s3_status_send(ngx_http_request_t *r,
    Wire__Metrics *s3d);
static ngx_int_t ngx_http_s3_status_body(ngx_http_request_t *r,
    Wire__Metrics *s3d, s3_exposition_e format, s3_str_t *body);
static void *ngx_http_s3_status_alloc(void *pool, size_t size);
static void ngx_http_s3_status_free(void *pool, void *p);


static ngx_int_t
ngx_http_s3_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                rc;
    s3_exposition_e          format;
    ngx_http_s3_loc_conf_t  *slcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    if (ngx_http_s3_status_format(r, &format) != NGX_OK) {
        return NGX_HTTP_BAD_REQUEST;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);

    rc = ngx_http_s3_control_status(slcf->control, r,
                                    ngx_min(slcf->key_timeout,
                                            NGX_HTTP_S3_STATUS_TIMEOUT));

    if (rc == NGX_OK) {
        r->read_event_handler = ngx_http_test_reading;
        r->write_event_handler = ngx_http_request_empty_handler;
        r->main->count++;

        return NGX_DONE;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_s3_status_send(r, NULL);
    }

    return NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/* What s3d has answered; NULL: nothing, or not in time. */

void
ngx_http_s3_status_ready(ngx_http_s3_waiter_t *waiter, void *answer)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = waiter->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "s3 status ready: %p", answer);

    r->read_event_handler = ngx_http_block_reading;

    ngx_http_finalize_request(r, ngx_http_s3_status_send(r, answer));

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_s3_status_format(ngx_http_request_t *r, s3_exposition_e *format)
{
    s3_str_t          argument, accept;
    ngx_str_t         value;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    argument.data = NULL;
    argument.len = 0;

    if (ngx_http_arg(r, (u_char *) "format", 6, &value) == NGX_OK) {
        argument.data = value.data;
        argument.len = value.len;
    }

    accept.data = NULL;
    accept.len = 0;

    /* r->headers_in.accept is there only in some builds of nginx */

    part = &r->headers_in.headers.part;
    header = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (header[i].key.len == sizeof("Accept") - 1
            && ngx_strncasecmp(header[i].key.data, (u_char *) "Accept",
                               sizeof("Accept") - 1)
               == 0)
        {
            accept.data = header[i].value.data;
            accept.len = header[i].value.len;
            break;
        }
    }

    return s3_exposition_choose(&argument, &accept, format) == 0
           ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_s3_status_send(ngx_http_request_t *r, Wire__Metrics *s3d)
{
    s3_str_t         body, type;
    ngx_str_t        value;
    s3_exposition_e  format;

    if (ngx_http_s3_status_format(r, &format) != NGX_OK
        || ngx_http_s3_status_body(r, s3d, format, &body) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    type = s3_exposition_type(format);

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = body.len;
    r->headers_out.content_type.len = type.len;
    r->headers_out.content_type.data = type.data;
    r->headers_out.content_type_len = type.len;

    ngx_str_set(&value, "no-store");

    if (ngx_http_s3_add_header(r, "Cache-Control", &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_set(&value, "default-src 'none'; style-src 'unsafe-inline'");

    if (format == S3_EXPOSITION_HTML
        && ngx_http_s3_add_header(r, "Content-Security-Policy", &value)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_s3_send(r, body.data, body.len);
}


static ngx_int_t
ngx_http_s3_status_body(ngx_http_request_t *r, Wire__Metrics *s3d,
    s3_exposition_e format, s3_str_t *body)
{
    s3_memory_t          memory;
    Wire__Metrics       *parts[2];
    struct metrics       metrics;
    ProtobufCAllocator   allocator;
    Wire__MetricFamily  *family;

    allocator.alloc = ngx_http_s3_status_alloc;
    allocator.free = ngx_http_s3_status_free;
    allocator.allocator_data = r->pool;

    metrics_init(&metrics, &allocator);

    family = metrics_gauge(&metrics, "s3_up",
                           "Whether s3d answers; its metrics are missing "
                           "where it does not.");
    metrics_add(&metrics, family, s3d ? 1 : 0, NULL);

    family = metrics_gauge(&metrics, "s3_nginx_info",
                           "The version of nginx.");
    metrics_add(&metrics, family, 1, "version", NGINX_VERSION, NULL);

    s3_counters_tell(ngx_http_s3_counters(r), &metrics);

    if (metrics.failed) {
        return NGX_ERROR;
    }

    parts[0] = &metrics.message;
    parts[1] = s3d;

    memory.alloc = ngx_http_s3_status_alloc;
    memory.pool = r->pool;

    return s3_exposition(&memory, parts, s3d ? 2 : 1, format, body) == 0
           ? NGX_OK : NGX_ERROR;
}


static void *
ngx_http_s3_status_alloc(void *pool, size_t size)
{
    return ngx_palloc(pool, size);
}


static void
ngx_http_s3_status_free(void *pool, void *p)
{
    /* all of it goes with the pool */
}


/* s3_status UPSTREAM */

char *
ngx_http_s3_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_s3_set_handler(cf, conf, ngx_http_s3_status_handler);
}
