
/*
 * Small reads on the control connection.  What the requests of one round of
 * events ask leaves in one write, and the answers that s3d has by then come in
 * one: a connection each would cost both sides two calls more.
 *
 * An answer that is not small s3d declines, and the request takes a connection
 * of its own, having been looked up in vain.  Where that is the rule, it is
 * seldom tried: see ngx_http_s3_answer_begin().
 */


#include "ngx_http_s3_module.h"


#define NGX_HTTP_S3_ASKS  64  /* under way; keys are asked there as well */


static ngx_uint_t ngx_http_s3_ask_eligible(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_http_s3_control_t *control);
static ngx_int_t ngx_http_s3_ask_send(ngx_http_s3_waiter_t *waiter);
static void ngx_http_s3_ask_ready(ngx_http_s3_waiter_t *waiter,
    void *answer);
static ngx_int_t ngx_http_s3_ask_reply(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, ngx_http_s3_answer_t *answer);
static ngx_int_t ngx_http_s3_ask_check(ngx_http_request_t *r,
    Wire__Reply *reply);
static ngx_int_t ngx_http_s3_ask_begin(ngx_http_request_t *r,
    ngx_http_s3_control_t *control);
static void ngx_http_s3_ask_end(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_uint_t status, size_t len);
static void ngx_http_s3_ask_undo(ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_ask_fields(ngx_http_request_t *r,
    ngx_http_s3_ctx_t *ctx, Wire__Reply *reply);


/* NGX_DECLINED: it takes a connection of its own. */

ngx_int_t
ngx_http_s3_ask(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx)
{
    ngx_int_t                rc;
    ngx_http_s3_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_s3_module);

    if (!ngx_http_s3_ask_eligible(r, ctx, slcf->control)) {
        return NGX_DECLINED;
    }

    if (slcf->control->unasked) {
        slcf->control->unasked--;
        return NGX_DECLINED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ctx->authenticated = ngx_http_s3_now();

    if (ngx_http_s3_ask_begin(r, slcf->control) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_s3_control_question(slcf->control, r, ngx_http_s3_ask_send,
                                      ngx_http_s3_ask_ready,
                                      slcf->upstream.read_timeout);

    if (rc != NGX_OK) {
        ngx_http_s3_ask_undo(r);
        return rc;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;
    r->main->count++;

    return NGX_DONE;
}


/* What changes nothing may be asked again, of the next s3d as well. */

static ngx_uint_t
ngx_http_s3_ask_eligible(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_http_s3_control_t *control)
{
    return control->requests
           && control->nwaiters < NGX_HTTP_S3_ASKS
           && (ctx->route.operation == WIRE__OPERATION__GET_OBJECT
               || ctx->route.operation == WIRE__OPERATION__HEAD_OBJECT
               || ctx->route.operation == WIRE__OPERATION__GET_FILE
               || ctx->route.operation == WIRE__OPERATION__GET_WEBSITE)
           && (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
           && ctx->refusal.len == 0
           && !ctx->expect
           && r == r->main
           && r->headers_in.content_length_n <= 0
           && !r->headers_in.chunked
           /* said by who sent X-Accel-Redirect */
           && r->headers_out.headers.part.nelts == 0;
}


static ngx_int_t
ngx_http_s3_ask_send(ngx_http_s3_waiter_t *waiter)
{
    Wire__Refusal        refusal;
    Wire__Request        request;
    ngx_http_s3_ctx_t   *ctx;
    ngx_http_request_t  *r;

    r = waiter->request;
    ctx = waiter->ctx;

    if (!waiter->control->requests) {
        return NGX_DECLINED;
    }

    if (ngx_http_s3_request_message(r, ctx, &request, &refusal) != NGX_OK) {
        return NGX_ERROR;
    }

    request.id = waiter->id;

    if (wire__request__get_packed_size(&request) > ASK_MESSAGE_MAX) {
        return NGX_DECLINED;
    }

    return ngx_http_s3_control_send(waiter->control, FRAME_REQUEST,
                                    &request.base);
}


/* NULL: s3d has declined, or is away: a connection of its own will tell. */

static void
ngx_http_s3_ask_ready(ngx_http_s3_waiter_t *waiter, void *answer)
{
    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_s3_ctx_t   *ctx;
    ngx_http_request_t  *r;

    r = waiter->request;
    c = r->connection;
    ctx = waiter->ctx;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "s3 answer: %d", answer != NULL);

    r->read_event_handler = ngx_http_block_reading;

    if (answer) {
        rc = ngx_http_s3_ask_reply(r, ctx, answer);

    } else if (waiter->timer.timedout) {
        rc = NGX_HTTP_GATEWAY_TIME_OUT;
        ngx_http_s3_ask_end(r, ctx, rc, 0);

    } else {
        ngx_http_s3_ask_undo(r);
        rc = ngx_http_s3_upstream_start(r, ctx);
    }

    ngx_http_finalize_request(r, ngx_http_s3_answer(r, ctx, rc));

    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_s3_ask_reply(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_http_s3_answer_t *answer)
{
    ngx_int_t     rc;
    Wire__Reply  *reply;

    reply = answer->reply;

    ngx_http_s3_ask_end(r, ctx, reply->status, answer->last - answer->body);

    if (ngx_http_s3_ask_check(r, reply) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->replied = 1;

    r->headers_out.status = reply->status;

    /* conditions are s3d's to judge */
    r->disable_not_modified = 1;

    rc = ctx->file ? ngx_http_s3_static_reply(r, ctx, reply->status)
                   : ngx_http_s3_add_headers(r, ctx);

    if (rc != NGX_OK || ngx_http_s3_ask_fields(r, ctx, reply) != NGX_OK) {
        return NGX_ERROR;
    }

    if (reply->status >= NGX_HTTP_BAD_REQUEST) {
        ngx_http_s3_find_code(ctx, answer->body, answer->last);
    }

    return ngx_http_s3_send(r, answer->body, answer->last - answer->body);
}


static ngx_int_t
ngx_http_s3_ask_check(ngx_http_request_t *r, Wire__Reply *reply)
{
    size_t  i;

    for (i = 0; i < reply->n_headers; i++) {
        if (ngx_http_s3_check_header(r, reply->headers[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/*
 * For $upstream_status and its like, and for who traces: s3d is asked.  As
 * upstream does it, an empty one stands between this and what was before.
 */

static ngx_int_t
ngx_http_s3_ask_begin(ngx_http_request_t *r, ngx_http_s3_control_t *control)
{
    ngx_uint_t                  n;
    ngx_http_upstream_state_t  *state;

    n = 1;

    if (r->upstream_states == NULL) {
        r->upstream_states = ngx_array_create(r->pool, 1,
                                           sizeof(ngx_http_upstream_state_t));
        if (r->upstream_states == NULL) {
            return NGX_ERROR;
        }

    } else if (r->upstream_states->nelts) {
        n = 2;
    }

    state = ngx_array_push_n(r->upstream_states, n);
    if (state == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(state, n * sizeof(ngx_http_upstream_state_t));

    state[n - 1].peer = &control->addr->name;

    return NGX_OK;
}


static void
ngx_http_s3_ask_end(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    ngx_uint_t status, size_t len)
{
    ngx_http_upstream_state_t  *state;

    ctx->answered = ngx_http_s3_now();

    state = r->upstream_states->elts;
    state += r->upstream_states->nelts - 1;

    state->status = status;
    state->header_time = (ctx->answered - ctx->authenticated) / 1000;
    state->response_time = state->header_time;
    state->response_length = len;
}


/* Upstream begins anew. */

static void
ngx_http_s3_ask_undo(ngx_http_request_t *r)
{
    r->upstream_states->nelts -= (r->upstream_states->nelts > 1) ? 2 : 1;

    if (r->upstream_states->nelts == 0) {
        r->upstream_states = NULL;
    }
}


static ngx_int_t
ngx_http_s3_ask_fields(ngx_http_request_t *r, ngx_http_s3_ctx_t *ctx,
    Wire__Reply *reply)
{
    size_t        i;
    ngx_int_t     rc;
    ngx_str_t     name, value;
    Wire__Field  *field;

    for (i = 0; i < reply->n_headers; i++) {
        field = reply->headers[i];

        ngx_http_s3_set(name, field->name);
        ngx_http_s3_set(value, field->value);

        if (name.len == sizeof("Content-Type") - 1
            && ngx_strncasecmp(name.data, (u_char *) "Content-Type", name.len)
               == 0)
        {
            rc = ngx_http_s3_out_content_type(r, ctx, &value);

        } else {
            rc = ngx_http_s3_out_header(r, &name, &value);
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (r->headers_out.last_modified) {
        r->headers_out.last_modified_time =
            ngx_parse_http_time(r->headers_out.last_modified->value.data,
                                r->headers_out.last_modified->value.len);
    }

    if (reply->has_content_length) {
        r->headers_out.content_length_n = reply->content_length;

    } else if (reply->status != NGX_HTTP_NO_CONTENT
               && reply->status != NGX_HTTP_NOT_MODIFIED
               && r->method != NGX_HTTP_HEAD)
    {
        r->headers_out.content_length_n = 0;
    }

    return NGX_OK;
}
