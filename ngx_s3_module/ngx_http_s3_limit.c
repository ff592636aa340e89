
/*
 * limit_rate.  nginx turns it off for an upstream that is not buffered, as
 * that would take away the timer of a write which is delayed: here such a
 * write has a timer of its own.
 */


#include "ngx_http_s3_module.h"


static ngx_int_t ngx_http_s3_limit_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static void ngx_http_s3_limit_handler(ngx_event_t *ev);


static ngx_http_output_body_filter_pt  ngx_http_next_body_filter;


void
ngx_http_s3_limit_init(void)
{
    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_s3_limit_body_filter;
}


/* The rate that was set before the upstream began: by X-Accel-Limit-Rate. */

void
ngx_http_s3_limit_save(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ctx->limit_rate = r->limit_rate;
    ctx->limit_rate_set = r->limit_rate_set;
}


void
ngx_http_s3_limit_restore(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    r->limit_rate = ctx->limit_rate;
    r->limit_rate_set = ctx->limit_rate_set;

    ctx->limit.handler = ngx_http_s3_limit_handler;
    ctx->limit.data = r;
    ctx->limit.log = r->connection->log;
}


static ngx_int_t
ngx_http_s3_limit_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_int_t           rc;
    ngx_event_t        *wev;
    ngx_http_s3_ctx_t  *ctx;

    rc = ngx_http_next_body_filter(r, in);

    ctx = ngx_http_get_module_ctx(r, ngx_http_s3_module);

    if (ctx == NULL || ctx->limit.handler == NULL || ctx->limit.timer_set) {
        return rc;
    }

    wev = r->connection->write;

    if (wev->delayed && wev->timer_set) {
        ngx_add_timer(&ctx->limit, ngx_max((ngx_msec_int_t)
                                       (wev->timer.key - ngx_current_msec),
                                       1));

    } else if (rc == NGX_AGAIN && wev->ready && !wev->delayed) {

        /*
         * sendfile_max_chunk was sent, the rest is posted: a worker that shuts
         * down ends as soon as there is no timer
         */

        ngx_add_timer(&ctx->limit, 1);
    }

    return rc;
}


static void
ngx_http_s3_limit_handler(ngx_event_t *ev)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ev->data;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, c->log, 0, "s3 delayed write");

    ev->timedout = 0;

    c->write->delayed = 0;
    c->write->handler(c->write);
}


/* What is still delayed is nginx's to send. */

void
ngx_http_s3_limit_end(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_event_t  *wev;

    ctx->limit.handler = NULL;

    if (!ctx->limit.timer_set) {
        return;
    }

    wev = r->connection->write;

    if (wev->delayed && !wev->timer_set) {
        ngx_add_timer(wev, ngx_max((ngx_msec_int_t)
                                   (ctx->limit.timer.key - ngx_current_msec),
                                   1));
    }

    ngx_del_timer(&ctx->limit);
}
