
/*
 * The control connection: one per worker and s3d.  It fetches derived keys
 * and s3d's metrics, whose requests wait here, and learns where the drives
 * are.
 *
 * It is opened when a worker starts, and again when it is lost: after a
 * growing delay, or at once when a request needs a key, or when s3d has said
 * that it ends.
 */


#include "ngx_http_s3_module.h"


#define NGX_HTTP_S3_CONTROL_OUT      65536  /* bytes not yet sent, at most */
#define NGX_HTTP_S3_CONTROL_WAITERS  4096
#define NGX_HTTP_S3_CONTROL_DELAY    100    /* milliseconds */
#define NGX_HTTP_S3_CONTROL_DELAY_MAX  5000
#define NGX_HTTP_S3_DRIVES_MAX       4096


static ngx_int_t ngx_http_s3_control_connect(ngx_http_s3_control_t *control);
static ngx_int_t ngx_http_s3_control_hello(ngx_http_s3_control_t *control);
static void ngx_http_s3_control_reconnect(ngx_event_t *ev);
static void ngx_http_s3_control_close(ngx_http_s3_control_t *control);
static void ngx_http_s3_control_drop(ngx_http_s3_control_t *control);
static void ngx_http_s3_control_leave(ngx_http_s3_control_t *control);
static void ngx_http_s3_control_read_handler(ngx_event_t *ev);
static void ngx_http_s3_control_write_handler(ngx_event_t *ev);
static ssize_t ngx_http_s3_control_recv(ngx_http_s3_control_t *control,
    u_char *buf, size_t size);
static void ngx_http_s3_control_take_fd(ngx_http_s3_control_t *control,
    struct msghdr *msg);
static void ngx_http_s3_control_close_fd(ngx_http_s3_control_t *control);
static ngx_int_t ngx_http_s3_control_process(ngx_http_s3_control_t *control,
    u_char *pos, u_char *last);
static ngx_int_t ngx_http_s3_control_welcome(ngx_http_s3_control_t *control);
static ngx_int_t ngx_http_s3_control_trace_set(
    ngx_http_s3_control_t *control);
static ngx_int_t ngx_http_s3_control_set_drives(
    ngx_http_s3_control_t *control, Wire__Welcome *welcome);
static ngx_int_t ngx_http_s3_control_key_reply(
    ngx_http_s3_control_t *control);
static ngx_int_t ngx_http_s3_control_status_reply(
    ngx_http_s3_control_t *control);
static ngx_http_s3_waiter_t *ngx_http_s3_control_find(
    ngx_http_s3_control_t *control, uint64_t id);
static void ngx_http_s3_control_answer(ngx_http_s3_waiter_t *waiter,
    void *answer);
static ngx_http_s3_waiter_t *ngx_http_s3_control_waiter(
    ngx_http_s3_control_t *control, ngx_http_request_t *r,
    ngx_http_s3_ready_pt ready);
static ngx_int_t ngx_http_s3_control_ask(ngx_http_s3_waiter_t *waiter);
static ngx_int_t ngx_http_s3_control_ask_key(ngx_http_s3_waiter_t *waiter);
static ngx_int_t ngx_http_s3_control_ask_status(ngx_http_s3_waiter_t *waiter);
static void ngx_http_s3_control_wait(ngx_http_s3_waiter_t *waiter,
    ngx_msec_t timeout);
static ngx_int_t ngx_http_s3_control_send(ngx_http_s3_control_t *control,
    enum frame_type type, const ProtobufCMessage *message);
static ngx_int_t ngx_http_s3_control_flush(ngx_http_s3_control_t *control);
static void ngx_http_s3_control_timeout(ngx_event_t *ev);
static void ngx_http_s3_control_cleanup(void *data);
static void ngx_http_s3_control_remove(ngx_http_s3_waiter_t *waiter);
static void ngx_http_s3_control_rest(ngx_http_s3_control_t *control);


/* whether the connection is still the one of that number */

#define ngx_http_s3_control_is(control, n)                                    \
    ((control)->peer.connection && (control)->peer.connection->number == n)


ngx_http_s3_control_t *
ngx_http_s3_control_add(ngx_conf_t *cf, ngx_http_upstream_srv_conf_t *upstream)
{
    ngx_uint_t                i;
    ngx_http_s3_control_t    *control, **elt;
    ngx_http_s3_main_conf_t  *smcf;

    smcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_s3_module);

    elt = smcf->controls.elts;

    for (i = 0; i < smcf->controls.nelts; i++) {
        if (elt[i]->upstream == upstream) {
            return elt[i];
        }
    }

    control = ngx_pcalloc(cf->pool, sizeof(ngx_http_s3_control_t));
    if (control == NULL) {
        return NULL;
    }

    control->upstream = upstream;
    control->main_conf = smcf;

    elt = ngx_array_push(&smcf->controls);
    if (elt == NULL) {
        return NULL;
    }

    *elt = control;

    return control;
}


/*
 * Finds the Unix socket of the upstream: keys never travel over a network.
 * There is one s3d: segments and generations of another's mean other bytes
 * and other keys.
 */

ngx_int_t
ngx_http_s3_control_check(ngx_conf_t *cf, ngx_http_s3_control_t *control)
{
    ngx_uint_t                     i, j;
    ngx_http_upstream_server_t    *server;
    ngx_http_upstream_srv_conf_t  *uscf;

    uscf = control->upstream;

    if (uscf->servers) {
        server = uscf->servers->elts;

        for (i = 0; i < uscf->servers->nelts; i++) {
            for (j = 0; j < server[i].naddrs; j++) {

                if (server[i].addrs[j].sockaddr->sa_family != AF_UNIX) {
                    continue;
                }

                if (uscf->servers->nelts > 1) {
                    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                                  "\"s3_pass\" needs a single server, "
                                  "\"%V\" has %ui",
                                  &uscf->host, uscf->servers->nelts);
                    return NGX_ERROR;
                }

                control->addr = &server[i].addrs[j];
                return NGX_OK;
            }
        }
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"s3_pass\" needs a \"unix:\" server, \"%V\" has none",
                  &uscf->host);

    return NGX_ERROR;
}


void
ngx_http_s3_control_start(ngx_cycle_t *cycle, ngx_http_s3_control_t *control)
{
    ngx_queue_init(&control->waiters);

    control->log = *cycle->log;
    control->log.action = NULL;
    control->log.handler = NULL;
    control->log.data = NULL;

    control->delay = NGX_HTTP_S3_CONTROL_DELAY;
    control->hot_base = NULL;
    control->hot_fd = -1;

    control->reconnect.handler = ngx_http_s3_control_reconnect;
    control->reconnect.data = control;
    control->reconnect.log = &control->log;
    control->reconnect.cancelable = 1;

    (void) ngx_http_s3_control_connect(control);
}


static ngx_int_t
ngx_http_s3_control_connect(ngx_http_s3_control_t *control)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    if (control->peer.connection) {
        return NGX_OK;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &control->log, 0,
                   "s3 control connect to %V", &control->addr->name);

    ngx_memzero(&control->peer, sizeof(ngx_peer_connection_t));

    control->peer.sockaddr = control->addr->sockaddr;
    control->peer.socklen = control->addr->socklen;
    control->peer.name = &control->addr->name;
    control->peer.get = ngx_event_get_peer;
    control->peer.log = &control->log;
    control->peer.log_error = NGX_ERROR_ERR;

    rc = ngx_event_connect_peer(&control->peer);

    if (rc == NGX_ERROR || rc == NGX_BUSY || rc == NGX_DECLINED) {
        goto failed;
    }

    c = control->peer.connection;

    c->data = control;
    c->log = &control->log;
    c->read->log = c->log;
    c->write->log = c->log;
    c->read->handler = ngx_http_s3_control_read_handler;
    c->write->handler = ngx_http_s3_control_write_handler;

    /* a worker that shuts down closes idle connections and does not wait */
    c->idle = 1;

    if (ngx_http_s3_control_hello(control) != NGX_OK) {
        goto failed;
    }

    if (control->reconnect.timer_set) {
        ngx_del_timer(&control->reconnect);
    }

    return NGX_OK;

failed:

    ngx_http_s3_control_close(control);

    return NGX_ERROR;
}


/* What the connection needs, and the first word on it. */

static ngx_int_t
ngx_http_s3_control_hello(ngx_http_s3_control_t *control)
{
    Wire__Hello  hello;

    control->pool = ngx_create_pool(1024, &control->log);
    if (control->pool == NULL) {
        return NGX_ERROR;
    }

    control->out = ngx_create_temp_buf(control->pool,
                                       NGX_HTTP_S3_CONTROL_OUT);
    if (control->out == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&control->reader, sizeof(ngx_http_s3_reader_t));

    wire__hello__init(&hello);
    hello.version = FRAME_VERSION;
    hello.hot = HOT_VERSION;
    hello.trace = 1;

    return ngx_http_s3_control_send(control, FRAME_HELLO, &hello.base);
}


static void
ngx_http_s3_control_reconnect(ngx_event_t *ev)
{
    ngx_http_s3_control_t *control = ev->data;

    (void) ngx_http_s3_control_connect(control);
}


static void
ngx_http_s3_control_close(ngx_http_s3_control_t *control)
{
    ngx_queue_t            waiters, *q;
    ngx_http_s3_waiter_t  *waiter;

    ngx_http_s3_control_drop(control);

    if (!ngx_exiting && !ngx_terminate && !control->reconnect.timer_set) {
        ngx_add_timer(&control->reconnect, control->delay);
        control->delay = ngx_min(control->delay * 2,
                                 NGX_HTTP_S3_CONTROL_DELAY_MAX);
    }

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
ngx_http_s3_control_drop(ngx_http_s3_control_t *control)
{
    ngx_connection_t  *c;

    ngx_http_s3_hot_unmap(control);
    ngx_http_s3_control_close_fd(control);

    c = control->peer.connection;

    if (c) {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &control->log, 0,
                       "s3 control close: %d", c->fd);

        ngx_close_connection(c);
        control->peer.connection = NULL;
    }

    if (control->pool) {
        if (control->out) {
            ngx_explicit_memzero(control->out->start, NGX_HTTP_S3_CONTROL_OUT);
        }

        if (control->reader.message) {
            ngx_explicit_memzero(control->reader.message,
                                 control->reader.size);
        }

        ngx_destroy_pool(control->pool);

        control->pool = NULL;
        control->out = NULL;
        control->drives = NULL;
        control->status = 0;
        control->trace = 0;
        control->reader.message = NULL;
    }
}


/*
 * s3d ends.  Another one is there, or will accept what waits in its socket: it
 * is asked what this one leaves open.
 */

static void
ngx_http_s3_control_leave(ngx_http_s3_control_t *control)
{
    ngx_queue_t           *q;
    ngx_http_s3_waiter_t  *waiter;

    ngx_log_error(NGX_LOG_NOTICE, &control->log, 0,
                  "s3d ends, the next one is asked");

    ngx_http_s3_control_drop(control);

    if (ngx_exiting && control->nwaiters == 0) {
        return;
    }

    if (ngx_http_s3_control_connect(control) != NGX_OK) {
        return;
    }

    for (q = ngx_queue_head(&control->waiters);
         q != ngx_queue_sentinel(&control->waiters);
         q = ngx_queue_next(q))
    {
        waiter = ngx_queue_data(q, ngx_http_s3_waiter_t, queue);

        if (ngx_http_s3_control_ask(waiter) != NGX_OK) {
            ngx_http_s3_control_close(control);
            return;
        }
    }
}


static void
ngx_http_s3_control_read_handler(ngx_event_t *ev)
{
    u_char                  buf[4096];
    ssize_t                 n;
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_atomic_uint_t       number;
    ngx_http_s3_control_t  *control;

    c = ev->data;
    control = c->data;
    number = c->number;

    if (c->close && control->nwaiters == 0) {
        ngx_http_s3_control_close(control);
        return;
    }

    for ( ;; ) {

        n = ngx_http_s3_control_recv(control, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_log_error(NGX_LOG_NOTICE, c->log, 0,
                          "s3d closed the control connection");
            ngx_http_s3_control_close(control);
            return;
        }

        rc = ngx_http_s3_control_process(control, buf, buf + n);

        ngx_explicit_memzero(buf, n);

        if (!ngx_http_s3_control_is(control, number)) {
            /* closed meanwhile */
            return;
        }

        if (rc != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, c->log, 0,
                          "s3d sent an invalid control message");
            ngx_http_s3_control_close(control);
            return;
        }
    }

    if (ngx_handle_read_event(ev, 0) != NGX_OK) {
        ngx_http_s3_control_close(control);
    }
}


/* As ngx_unix_recv(), with the descriptor that may come along. */

static ssize_t
ngx_http_s3_control_recv(ngx_http_s3_control_t *control, u_char *buf,
    size_t size)
{
    ssize_t            n;
    ngx_err_t          err;
    struct iovec       iov;
    struct msghdr      msg;
    ngx_connection_t  *c;

    union {
        struct cmsghdr  head;
        char            space[CMSG_SPACE(sizeof(int))];
    } cmsg;

    c = control->peer.connection;

    do {
        iov.iov_base = buf;
        iov.iov_len = size;

        ngx_memzero(&msg, sizeof(struct msghdr));

        msg.msg_iov = &iov;
        msg.msg_iovlen = 1;
        msg.msg_control = &cmsg;
        msg.msg_controllen = sizeof(cmsg);

        n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);

        err = ngx_socket_errno;

    } while (n == -1 && err == NGX_EINTR);

    if (n == -1) {
        c->read->ready = 0;

        return (err == NGX_EAGAIN) ? NGX_AGAIN
                                   : ngx_connection_error(c, err,
                                                          "recvmsg() failed");
    }

    ngx_http_s3_control_take_fd(control, &msg);

    if (n == 0) {
        c->read->eof = 1;
        c->read->ready = 0;
    }

    return n;
}


static void
ngx_http_s3_control_take_fd(ngx_http_s3_control_t *control,
    struct msghdr *msg)
{
    size_t           i, n;
    struct cmsghdr  *cmsg;

    for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {

        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS) {
            continue;
        }

        n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        for (i = 0; i < n; i++) {
            ngx_http_s3_control_close_fd(control);
            ngx_memcpy(&control->hot_fd, CMSG_DATA(cmsg) + i * sizeof(int),
                       sizeof(int));
        }
    }
}


static void
ngx_http_s3_control_close_fd(ngx_http_s3_control_t *control)
{
    if (control->hot_fd == -1) {
        return;
    }

    if (ngx_close_file(control->hot_fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, &control->log, ngx_errno,
                      ngx_close_file_n " of the hot index failed");
    }

    control->hot_fd = -1;
}


static void
ngx_http_s3_control_write_handler(ngx_event_t *ev)
{
    ngx_connection_t       *c;
    ngx_http_s3_control_t  *control;

    c = ev->data;
    control = c->data;

    if (ngx_http_s3_control_flush(control) != NGX_OK) {
        ngx_http_s3_control_close(control);
    }
}


static ngx_int_t
ngx_http_s3_control_process(ngx_http_s3_control_t *control, u_char *pos,
    u_char *last)
{
    ngx_int_t          rc;
    ngx_atomic_uint_t  number;

    number = control->peer.connection->number;

    for ( ;; ) {

        rc = ngx_http_s3_read_frame(&control->reader, control->pool, &pos,
                                    last);

        if (rc == NGX_AGAIN) {
            return NGX_OK;
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }

        switch (control->reader.header.type) {

        case FRAME_WELCOME:
            rc = ngx_http_s3_control_welcome(control);
            break;

        case FRAME_KEY_REPLY:
            rc = ngx_http_s3_control_key_reply(control);
            break;

        case FRAME_STATUS_REPLY:
            rc = ngx_http_s3_control_status_reply(control);
            break;

        case FRAME_LEAVE:
            ngx_http_s3_control_leave(control);
            return NGX_OK;

        case FRAME_TRACE_SET:
            rc = ngx_http_s3_control_trace_set(control);
            break;

        default:
            rc = NGX_ERROR;
        }

        if (rc != NGX_OK || !ngx_http_s3_control_is(control, number)) {
            return rc;
        }
    }
}


static ngx_int_t
ngx_http_s3_control_welcome(ngx_http_s3_control_t *control)
{
    ngx_int_t       rc;
    Wire__Welcome  *welcome;

    welcome = wire__welcome__unpack(NULL, control->reader.header.length,
                                    control->reader.message);
    if (welcome == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (welcome->version == FRAME_VERSION) {
        rc = ngx_http_s3_control_set_drives(control, welcome);
        control->status = welcome->status;
    }

    if (rc == NGX_OK && welcome->hot == HOT_VERSION && control->hot_fd != -1
        && control->hot_base == NULL)
    {
        ngx_http_s3_hot_map(control, control->hot_fd);
    }

    ngx_http_s3_control_close_fd(control);

    wire__welcome__free_unpacked(welcome, NULL);

    if (rc == NGX_OK) {
        control->delay = NGX_HTTP_S3_CONTROL_DELAY;
    }

    return rc;
}


static ngx_int_t
ngx_http_s3_control_set_drives(ngx_http_s3_control_t *control,
    Wire__Welcome *welcome)
{
    size_t                i;
    ngx_array_t          *drives;
    ngx_http_s3_drive_t  *drive;

    if (welcome->n_drives > NGX_HTTP_S3_DRIVES_MAX) {
        return NGX_ERROR;
    }

    /* rarely sent again: the old array may stay until the connection ends */

    drives = ngx_array_create(control->pool, welcome->n_drives + 1,
                              sizeof(ngx_http_s3_drive_t));
    if (drives == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < welcome->n_drives; i++) {

        if (welcome->drives[i]->directory.len == 0
            || welcome->drives[i]->directory.len > NGX_MAX_PATH
            || welcome->drives[i]->directory.data[0] != '/')
        {
            continue;
        }

        drive = ngx_array_push(drives);
        if (drive == NULL) {
            return NGX_ERROR;
        }

        drive->index = welcome->drives[i]->index;
        drive->directory.len = welcome->drives[i]->directory.len;
        drive->directory.data = ngx_pnalloc(control->pool,
                                            drive->directory.len);
        if (drive->directory.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(drive->directory.data, welcome->drives[i]->directory.data,
                   drive->directory.len);
    }

    control->drives = drives;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &control->log, 0,
                   "s3 control welcome, drives: %ui", drives->nelts);

    return NGX_OK;
}


static ngx_int_t
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
        ngx_http_s3_control_rest(control);
    }

    ngx_explicit_memzero(&key, sizeof(ngx_http_s3_key_t));

    return NGX_OK;
}


static ngx_int_t
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
        ngx_http_s3_control_rest(control);
    }

    wire__status_reply__free_unpacked(reply, NULL);

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_control_trace_set(ngx_http_s3_control_t *control)
{
    Wire__TraceSet  *set;

    set = wire__trace_set__unpack(NULL, control->reader.header.length,
                                  control->reader.message);
    if (set == NULL) {
        return NGX_ERROR;
    }

    control->trace = set->on ? 1 : 0;

    wire__trace_set__free_unpacked(set, NULL);

    return NGX_OK;
}


/* NULL: it has gone: its client left, or it waited too long. */

static ngx_http_s3_waiter_t *
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


static void
ngx_http_s3_control_answer(ngx_http_s3_waiter_t *waiter, void *answer)
{
    ngx_http_request_t    *r;
    ngx_http_s3_ready_pt   ready;

    r = waiter->request;
    ready = waiter->ready;

    ngx_http_s3_control_remove(waiter);

    ready(r, answer);
}


/*
 * Asks for a key.  On NGX_OK ngx_http_s3_key_ready() is called later, or the
 * request ends before.  NGX_DECLINED: s3d cannot be asked.
 */

ngx_int_t
ngx_http_s3_control_key(ngx_http_s3_control_t *control,
    ngx_http_request_t *r, s3_sigv4_t *auth, ngx_msec_t timeout,
    ngx_http_s3_waiter_t **result)
{
    ngx_http_s3_waiter_t  *waiter;

    if (ngx_http_s3_control_connect(control) != NGX_OK
        || control->nwaiters >= NGX_HTTP_S3_CONTROL_WAITERS)
    {
        return NGX_DECLINED;
    }

    waiter = ngx_http_s3_control_waiter(control, r, ngx_http_s3_key_ready);
    if (waiter == NULL) {
        return NGX_ERROR;
    }

    waiter->auth = auth;

    /* a lost connection is noticed by the read handler, not here */

    if (ngx_http_s3_control_ask(waiter) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_http_s3_control_wait(waiter, timeout);

    *result = waiter;

    return NGX_OK;
}


/*
 * Asks for s3d's metrics.  On NGX_OK ngx_http_s3_status_ready() is called
 * later, or the request ends before.  NGX_DECLINED: s3d cannot be asked.
 */

ngx_int_t
ngx_http_s3_control_status(ngx_http_s3_control_t *control,
    ngx_http_request_t *r, ngx_msec_t timeout)
{
    ngx_http_s3_waiter_t  *waiter;

    if (ngx_http_s3_control_connect(control) != NGX_OK
        || control->nwaiters >= NGX_HTTP_S3_CONTROL_WAITERS)
    {
        return NGX_DECLINED;
    }

    if (control->drives && !control->status) {
        /* WELCOME is there, of an s3d that would not know the question */
        return NGX_DECLINED;
    }

    waiter = ngx_http_s3_control_waiter(control, r, ngx_http_s3_status_ready);
    if (waiter == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_s3_control_ask(waiter) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_http_s3_control_wait(waiter, timeout);

    return NGX_OK;
}


static ngx_int_t
ngx_http_s3_control_ask(ngx_http_s3_waiter_t *waiter)
{
    return waiter->auth ? ngx_http_s3_control_ask_key(waiter)
                        : ngx_http_s3_control_ask_status(waiter);
}


static ngx_int_t
ngx_http_s3_control_ask_key(ngx_http_s3_waiter_t *waiter)
{
    s3_sigv4_t        *auth;
    Wire__KeyRequest   request;

    auth = waiter->auth;

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
    ngx_http_request_t *r, ngx_http_s3_ready_pt ready)
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
    waiter->control = control;
    waiter->ready = ready;
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


static ngx_int_t
ngx_http_s3_control_send(ngx_http_s3_control_t *control,
    enum frame_type type, const ProtobufCMessage *message)
{
    size_t      size;
    u_char     *payload;
    ngx_buf_t  *b;

    b = control->out;
    size = protobuf_c_message_get_packed_size(message);

    if ((size_t) (b->end - b->last) < FRAME_HEADER_SIZE + size) {

        ngx_memmove(b->start, b->pos, b->last - b->pos);
        b->last = b->start + (b->last - b->pos);
        b->pos = b->start;

        if ((size_t) (b->end - b->last) < FRAME_HEADER_SIZE + size) {
            ngx_log_error(NGX_LOG_ERR, &control->log, 0,
                          "s3d does not read its control connection");
            return NGX_ERROR;
        }
    }

    payload = b->last + FRAME_HEADER_SIZE;

    (void) protobuf_c_message_pack(message, payload);
    frame_encode(b->last, type, payload, size);

    b->last = payload + size;

    return ngx_http_s3_control_flush(control);
}


static ngx_int_t
ngx_http_s3_control_flush(ngx_http_s3_control_t *control)
{
    ssize_t            n;
    ngx_buf_t         *b;
    ngx_connection_t  *c;

    c = control->peer.connection;
    b = control->out;

    while (b->pos < b->last && c->write->ready) {

        n = c->send(c, b->pos, b->last - b->pos);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        b->pos += n;
    }

    if (b->pos == b->last) {
        b->pos = b->start;
        b->last = b->start;
    }

    return ngx_handle_write_event(c->write, 0);
}


static void
ngx_http_s3_control_timeout(ngx_event_t *ev)
{
    ngx_http_s3_waiter_t   *waiter;
    ngx_http_s3_control_t  *control;

    waiter = ev->data;
    control = waiter->control;

    ngx_log_error(NGX_LOG_ERR, ev->log, NGX_ETIMEDOUT,
                  "s3d did not answer on its control connection");

    ngx_http_s3_control_answer(waiter, NULL);
    ngx_http_s3_control_rest(control);
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


/* What is not taken fast enough is left out: keys come first. */

void
ngx_http_s3_control_trace(ngx_http_s3_control_t *control, Wire__Trace *trace)
{
    size_t      size;
    ngx_buf_t  *b;

    if (control->peer.connection == NULL || !control->trace) {
        return;
    }

    b = control->out;
    size = (b->last - b->pos) + FRAME_HEADER_SIZE
           + wire__trace__get_packed_size(trace);

    if (size > NGX_HTTP_S3_CONTROL_OUT / 2) {
        return;
    }

    /* a lost connection is noticed by the read handler, not here */

    (void) ngx_http_s3_control_send(control, FRAME_TRACE, &trace->base);
}


ngx_str_t *
ngx_http_s3_control_drive(ngx_http_s3_control_t *control, uint32_t index)
{
    ngx_uint_t            i;
    ngx_http_s3_drive_t  *drive;

    if (control->drives == NULL) {
        return NULL;
    }

    drive = control->drives->elts;

    for (i = 0; i < control->drives->nelts; i++) {
        if (drive[i].index == index) {
            return &drive[i].directory;
        }
    }

    return NULL;
}
