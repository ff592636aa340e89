
/*
 * Questions on the control connection: derived keys and s3d's metrics, and the
 * requests that wait for them.
 *
 * A question that finds no room in what is to be sent is asked when there is,
 * and one that s3d leaves open when it ends is asked on the next connection.
 */


#include "ngx_http_s3_module.h"


#define NGX_HTTP_S3_CONTROL_WAITERS  4096


static ngx_http_s3_waiter_t *ngx_http_s3_control_waiter(
    ngx_http_s3_control_t *control, ngx_http_request_t *r);
static ngx_int_t ngx_http_s3_control_ask(ngx_http_s3_waiter_t *waiter);
static ngx_int_t ngx_http_s3_control_ask_key(ngx_http_s3_waiter_t *waiter);
static ngx_int_t ngx_http_s3_control_ask_status(ngx_http_s3_waiter_t *waiter);
static void ngx_http_s3_control_wait(ngx_http_s3_waiter_t *waiter,
    ngx_msec_t timeout);
static ngx_uint_t ngx_http_s3_control_redirected(
    ngx_http_s3_waiter_t *waiter);
static void ngx_http_s3_control_timeout(ngx_event_t *ev);
static void ngx_http_s3_control_cleanup(void *data);
static void ngx_http_s3_control_remove(ngx_http_s3_waiter_t *waiter);
static void ngx_http_s3_control_rest(ngx_http_s3_control_t *control);


/* Asks for the key of a request; ngx_http_s3_key_ready() is told. */

ngx_int_t
ngx_http_s3_control_key(ngx_http_s3_control_t *control,
    ngx_http_request_t *r, ngx_msec_t timeout)
{
    return ngx_http_s3_control_question(control, r,
                                        ngx_http_s3_control_ask_key,
                                        ngx_http_s3_key_ready, timeout);
}


/* Asks for s3d's metrics; ngx_http_s3_status_ready() is told. */

ngx_int_t
ngx_http_s3_control_status(ngx_http_s3_control_t *control,
    ngx_http_request_t *r, ngx_msec_t timeout)
{
    if (control->drives && !control->status) {
        /* WELCOME is there, of an s3d that would not know the question */
        return NGX_DECLINED;
    }

    return ngx_http_s3_control_question(control, r,
                                        ngx_http_s3_control_ask_status,
                                        ngx_http_s3_status_ready, timeout);
}


/*
 * On NGX_OK ready() is called later, or the request ends before.
 * NGX_DECLINED: s3d cannot be asked here.
 */

ngx_int_t
ngx_http_s3_control_question(ngx_http_s3_control_t *control,
    ngx_http_request_t *r, ngx_http_s3_ask_pt ask,
    ngx_http_s3_ready_pt ready, ngx_msec_t timeout)
{
    ngx_int_t              rc;
    ngx_http_s3_waiter_t  *waiter;

    if (ngx_http_s3_control_connect(control) != NGX_OK
        || control->nwaiters >= NGX_HTTP_S3_CONTROL_WAITERS)
    {
        return NGX_DECLINED;
    }

    waiter = ngx_http_s3_control_waiter(control, r);
    if (waiter == NULL) {
        return NGX_ERROR;
    }

    waiter->ask = ask;
    waiter->ready = ready;

    /* a lost connection is noticed by the read handler, not here */

    rc = ngx_http_s3_control_ask(waiter);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        return NGX_DECLINED;
    }

    ngx_http_s3_control_wait(waiter, timeout);

    return NGX_OK;
}


/* NGX_AGAIN: ngx_http_s3_control_ask_waiting() does it later. */

static ngx_int_t
ngx_http_s3_control_ask(ngx_http_s3_waiter_t *waiter)
{
    ngx_int_t  rc;

    /* what has come of an answer on another connection is of no use */

    ngx_memzero(&waiter->answer, sizeof(ngx_http_s3_answer_t));

    rc = waiter->ask(waiter);

    waiter->unasked = (rc == NGX_DECLINED);

    if (rc == NGX_OK) {
        waiter->asked = waiter->control->peer.connection->number;
    }

    return rc;
}


/* Asks what was not asked on this connection yet, as far as there is room. */

ngx_int_t
ngx_http_s3_control_ask_waiting(ngx_http_s3_control_t *control)
{
    ngx_int_t              rc;
    ngx_queue_t           *q;
    ngx_http_s3_waiter_t  *waiter;

    for (q = ngx_queue_head(&control->waiters);
         q != ngx_queue_sentinel(&control->waiters);
         q = ngx_queue_next(q))
    {
        waiter = ngx_queue_data(q, ngx_http_s3_waiter_t, queue);

        if (waiter->asked == control->peer.connection->number
            || ngx_http_s3_control_redirected(waiter))
        {
            continue;
        }

        rc = ngx_http_s3_control_ask(waiter);

        if (rc == NGX_AGAIN) {
            break;
        }

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* WELCOME is there: what cannot be asked on this connection never will be. */

ngx_int_t
ngx_http_s3_control_welcomed(ngx_http_s3_control_t *control)
{
    ngx_queue_t           *q;
    ngx_atomic_uint_t      number;
    ngx_http_s3_waiter_t  *waiter;

    number = control->peer.connection->number;

    if (ngx_http_s3_control_ask_waiting(control) != NGX_OK) {
        return NGX_ERROR;
    }

    q = ngx_queue_head(&control->waiters);

    while (q != ngx_queue_sentinel(&control->waiters)) {
        waiter = ngx_queue_data(q, ngx_http_s3_waiter_t, queue);
        q = ngx_queue_next(q);

        if (!waiter->unasked) {
            continue;
        }

        ngx_http_s3_control_answer(waiter, NULL);

        if (!ngx_http_s3_control_is(control, number)) {
            break;
        }

        /* anything may have happened to the others */

        q = ngx_queue_head(&control->waiters);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_control_ask_key(ngx_http_s3_waiter_t *waiter)
{
    s3_sigv4_t        *auth;
    Wire__KeyRequest   request;

    auth = &waiter->ctx->auth;

    wire__key_request__init(&request);

    request.id = waiter->id;
    request.access_key.data = auth->access_key.data;
    request.access_key.len = auth->access_key.len;
    request.date.data = auth->date.data;
    request.date.len = auth->date.len;
    request.region.data = auth->region.data;
    request.region.len = auth->region.len;
    request.service.data = auth->service.data;
    request.service.len = auth->service.len;

    return ngx_http_s3_control_send(waiter->control, FRAME_KEY_REQUEST,
                                    &request.base);
}


static ngx_int_t
ngx_http_s3_control_ask_status(ngx_http_s3_waiter_t *waiter)
{
    Wire__StatusRequest  request;

    wire__status_request__init(&request);

    request.id = waiter->id;

    return ngx_http_s3_control_send(waiter->control, FRAME_STATUS_REQUEST,
                                    &request.base);
}


static ngx_http_s3_waiter_t *
ngx_http_s3_control_waiter(ngx_http_s3_control_t *control,
    ngx_http_request_t *r)
{
    ngx_http_cleanup_t    *cln;
    ngx_http_s3_waiter_t  *waiter;

    waiter = ngx_pcalloc(r->pool, sizeof(ngx_http_s3_waiter_t));
    if (waiter == NULL) {
        return NULL;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NULL;
    }

    waiter->request = r;
    waiter->ctx = ngx_http_get_module_ctx(r, ngx_http_s3_module);
    waiter->control = control;
    waiter->id = ++control->last_id;

    waiter->timer.handler = ngx_http_s3_control_timeout;
    waiter->timer.data = waiter;
    waiter->timer.log = r->connection->log;

    cln->handler = ngx_http_s3_control_cleanup;
    cln->data = waiter;

    return waiter;
}


static void
ngx_http_s3_control_wait(ngx_http_s3_waiter_t *waiter, ngx_msec_t timeout)
{
    ngx_queue_insert_tail(&waiter->control->waiters, &waiter->queue);
    waiter->queued = 1;
    waiter->control->nwaiters++;

    ngx_add_timer(&waiter->timer, timeout);
}


ngx_int_t
ngx_http_s3_control_key_reply(ngx_http_s3_control_t *control)
{
    Wire__KeyReply        *reply;
    ngx_http_s3_key_t      key;
    ngx_http_s3_waiter_t  *waiter;

    reply = wire__key_reply__unpack(NULL, control->reader.header.length,
                                    control->reader.message);
    if (reply == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&key, sizeof(ngx_http_s3_key_t));

    key.found = reply->found ? 1 : 0;
    key.generation = reply->generation;

    if (key.found) {
        if (reply->signing_key.len != S3_SIGV4_KEY_LEN) {
            wire__key_reply__free_unpacked(reply, NULL);
            return NGX_ERROR;
        }

        ngx_memcpy(key.key, reply->signing_key.data, S3_SIGV4_KEY_LEN);
        ngx_explicit_memzero(reply->signing_key.data, S3_SIGV4_KEY_LEN);
    }

    ngx_explicit_memzero(control->reader.message,
                         control->reader.header.length);

    waiter = ngx_http_s3_control_find(control, reply->id);

    wire__key_reply__free_unpacked(reply, NULL);

    if (waiter) {
        ngx_http_s3_control_answer(waiter, &key);
    }

    ngx_explicit_memzero(&key, sizeof(ngx_http_s3_key_t));

    return NGX_OK;
}


ngx_int_t
ngx_http_s3_control_status_reply(ngx_http_s3_control_t *control)
{
    Wire__StatusReply     *reply;
    ngx_http_s3_waiter_t  *waiter;

    reply = wire__status_reply__unpack(NULL, control->reader.header.length,
                                       control->reader.message);
    if (reply == NULL) {
        return NGX_ERROR;
    }

    waiter = ngx_http_s3_control_find(control, reply->id);

    if (waiter) {
        ngx_http_s3_control_answer(waiter, reply->metrics);
    }

    wire__status_reply__free_unpacked(reply, NULL);

    return NGX_OK;
}


/* NULL: it has gone: its client left, or it waited too long. */

ngx_http_s3_waiter_t *
ngx_http_s3_control_find(ngx_http_s3_control_t *control, uint64_t id)
{
    ngx_queue_t           *q;
    ngx_http_s3_waiter_t  *waiter;

    for (q = ngx_queue_head(&control->waiters);
         q != ngx_queue_sentinel(&control->waiters);
         q = ngx_queue_next(q))
    {
        waiter = ngx_queue_data(q, ngx_http_s3_waiter_t, queue);

        if (waiter->id == id) {
            return waiter;
        }
    }

    return NULL;
}


/* The request may be gone afterwards, and the connection too. */

void
ngx_http_s3_control_answer(ngx_http_s3_waiter_t *waiter, void *answer)
{
    ngx_http_s3_control_t  *control;

    control = waiter->control;

    ngx_http_s3_control_remove(waiter);

    if (!ngx_http_s3_control_redirected(waiter)) {
        waiter->ready(waiter, answer);
    }

    ngx_http_s3_control_rest(control);
}


/*
 * As by post_action: its context is another one by now, its location too, and
 * it waits no more.
 */

static ngx_uint_t
ngx_http_s3_control_redirected(ngx_http_s3_waiter_t *waiter)
{
    return ngx_http_get_module_ctx(waiter->request, ngx_http_s3_module)
           != waiter->ctx;
}


/* No answer will come. */

void
ngx_http_s3_control_disappoint(ngx_http_s3_control_t *control)
{
    ngx_queue_t            waiters, *q;
    ngx_http_s3_waiter_t  *waiter;

    if (ngx_queue_empty(&control->waiters)) {
        return;
    }

    /* what is run here may come back with new waiters */

    ngx_queue_init(&waiters);
    ngx_queue_add(&waiters, &control->waiters);
    ngx_queue_init(&control->waiters);

    while (!ngx_queue_empty(&waiters)) {
        q = ngx_queue_head(&waiters);
        waiter = ngx_queue_data(q, ngx_http_s3_waiter_t, queue);

        ngx_http_s3_control_answer(waiter, NULL);
    }
}


static void
ngx_http_s3_control_timeout(ngx_event_t *ev)
{
    ngx_http_s3_waiter_t *waiter = ev->data;

    ngx_log_error(NGX_LOG_ERR, ev->log, NGX_ETIMEDOUT,
                  "s3d did not answer on its control connection");

    ngx_http_s3_control_answer(waiter, NULL);
}


static void
ngx_http_s3_control_cleanup(void *data)
{
    ngx_http_s3_waiter_t *waiter = data;

    if (waiter->queued) {
        ngx_http_s3_control_remove(waiter);
        ngx_http_s3_control_rest(waiter->control);
    }
}


static void
ngx_http_s3_control_remove(ngx_http_s3_waiter_t *waiter)
{
    ngx_queue_remove(&waiter->queue);

    waiter->queued = 0;
    waiter->control->nwaiters--;

    if (waiter->control->answered == waiter) {
        waiter->control->answered = NULL;
    }

    if (waiter->timer.timer_set) {
        ngx_del_timer(&waiter->timer);
    }
}


/* In a worker that shuts down, nothing may stay open when nobody waits. */

static void
ngx_http_s3_control_rest(ngx_http_s3_control_t *control)
{
    if (ngx_exiting && control->nwaiters == 0 && control->peer.connection) {
        ngx_http_s3_control_close(control);
    }
}
