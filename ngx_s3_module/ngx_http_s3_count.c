
/*
 * What all workers count: a zone with s3_counters_t and nothing else, which
 * outlives reloads as the zone of keys does.
 */


#include "ngx_http_s3_module.h"


#define NGX_HTTP_S3_TRACE_BUCKET  63
#define NGX_HTTP_S3_TRACE_KEY     1024


static ngx_int_t ngx_http_s3_count_init_zone(ngx_shm_zone_t *zone,
    void *data);
static ngx_int_t ngx_http_s3_count_handler(ngx_http_request_t *r);
static void ngx_http_s3_count_trace(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, s3_counted_t *counted);


ngx_int_t
ngx_http_s3_count_init(ngx_conf_t *cf, ngx_http_s3_main_conf_t *smcf)
{
    size_t                      size;
    ngx_http_handler_pt        *handler;
    ngx_http_core_main_conf_t  *cmcf;

    static ngx_str_t  name = ngx_string("ngx_http_s3_counters");

    /* and the slab allocator's own */
    size = ngx_align(sizeof(s3_counters_t), ngx_pagesize) + 8 * ngx_pagesize;

    smcf->counters = ngx_shared_memory_add(cf, &name, size,
                                           &ngx_http_s3_module);
    if (smcf->counters == NULL) {
        return NGX_ERROR;
    }

    smcf->counters->init = ngx_http_s3_count_init_zone;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    handler = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (handler == NULL) {
        return NGX_ERROR;
    }

    *handler = ngx_http_s3_count_handler;

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_count_init_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t  *shpool;

    if (data) {
        zone->data = data;
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        zone->data = shpool->data;
        return NGX_OK;
    }

    shpool->data = ngx_slab_calloc(shpool, sizeof(s3_counters_t));
    zone->data = shpool->data;

    return shpool->data ? NGX_OK : NGX_ERROR;
}


/* Of a request that has ended, whoever has answered it in the end. */

static ngx_int_t
ngx_http_s3_count_handler(ngx_http_request_t *r)
{
    s3_counted_t        counted;
    ngx_http_s3_ctx_t  *ctx;

    ctx = ngx_http_s3_find_ctx(r);

    if (ctx == NULL) {
        return NGX_OK;
    }

    counted.operation = ctx->route.operation;
    counted.hot = ctx->hot;
    counted.status = r->err_status ? r->err_status : r->headers_out.status;
    counted.received = r->request_length;
    counted.sent = r->connection->sent;
    counted.began = ctx->began;
    counted.authenticated = ctx->authenticated;
    counted.replied = ctx->answered;
    counted.ended = ngx_http_s3_now();

    s3_counters_count(ngx_http_s3_counters(r), &counted);

    ngx_http_s3_count_trace(r, ctx, &counted);

    return NGX_OK;
}


/* Tells s3d of the request, while somebody traces. */

static void
ngx_http_s3_count_trace(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    s3_counted_t *counted)
{
    uint64_t                 authenticated;
    Wire__Trace              trace;
    ngx_http_s3_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);

    if (slcf->control == NULL || !slcf->control->trace) {
        return;
    }

    wire__trace__init(&trace);

    trace.operation = (Wire__Operation) counted->operation;
    trace.request_id.data = ctx->request_id.data;
    trace.request_id.len = ctx->request_id.len;
    trace.bucket.data = ctx->route.bucket.data;
    trace.bucket.len = ngx_min(ctx->route.bucket.len,
                               NGX_HTTP_S3_TRACE_BUCKET);
    trace.key.data = ctx->route.key.data;
    trace.key.len = ngx_min(ctx->route.key.len, NGX_HTTP_S3_TRACE_KEY);
    trace.error.data = ctx->code.data;
    trace.error.len = ctx->code.len;
    trace.status = counted->status;
    trace.hot = counted->hot;
    trace.alone = (r->upstream_states == NULL);
    trace.received = counted->received;
    trace.sent = counted->sent;

    authenticated = counted->authenticated ? counted->authenticated
                                           : counted->ended;
    trace.auth_us = authenticated - counted->began;

    if (counted->replied) {
        trace.backend_us = counted->replied - authenticated;
        trace.send_us = counted->ended - counted->replied;

    } else {
        trace.send_us = counted->ended - authenticated;
    }

    ngx_http_s3_control_trace(slcf->control, &trace);
}


s3_counters_t *
ngx_http_s3_counters(ngx_http_request_t *r)
{
    ngx_http_s3_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_s3_module);

    return smcf->counters->data;
}


/* Microseconds; nginx's own time stands still while events are handled. */

uint64_t
ngx_http_s3_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
