
/*
 * The control connection: one per worker and s3d.  What s3d says on it is
 * ngx_http_s3_control_message.c's; the questions on it, and who waits for
 * their answers, are ngx_http_s3_control_wait.c's.
 *
 * It is opened when a worker starts, and again when it is lost: after a
 * growing delay, or at once when a request needs a key, or when s3d has said
 * that it ends.
 */


#include "ngx_http_s3_module.h"


#define NGX_HTTP_S3_CONTROL_IN         65536  /* bytes read at once */
#define NGX_HTTP_S3_CONTROL_OUT        65536  /* bytes not yet sent, at most */
#define NGX_HTTP_S3_CONTROL_DELAY_MAX  5000   /* milliseconds */


static ngx_int_t ngx_http_s3_control_hello(ngx_http_s3_control_t *control);
static void ngx_http_s3_control_reconnect(ngx_event_t *ev);
static void ngx_http_s3_control_drop(ngx_http_s3_control_t *control);
static void ngx_http_s3_control_read_handler(ngx_event_t *ev);
static void ngx_http_s3_control_write_handler(ngx_event_t *ev);
static void ngx_http_s3_control_flush_handler(ngx_event_t *ev);
static ssize_t ngx_http_s3_control_recv(ngx_http_s3_control_t *control,
    u_char *buf, size_t size);
static void ngx_http_s3_control_take_fd(ngx_http_s3_control_t *control,
    struct msghdr *msg);
static ngx_int_t ngx_http_s3_control_flush(ngx_http_s3_control_t *control);


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

    ngx_http_s3_extents_init(control);

    control->delay = NGX_HTTP_S3_CONTROL_DELAY;
    control->hot_base = NULL;
    control->hot_fd = -1;

    control->flush.handler = ngx_http_s3_control_flush_handler;
    control->flush.data = control;
    control->flush.log = &control->log;

    control->reconnect.handler = ngx_http_s3_control_reconnect;
    control->reconnect.data = control;
    control->reconnect.log = &control->log;
    control->reconnect.cancelable = 1;

    (void) ngx_http_s3_control_connect(control);
}


ngx_int_t
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

    control->in = ngx_create_temp_buf(control->pool, NGX_HTTP_S3_CONTROL_IN);
    if (control->in == NULL) {
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


void
ngx_http_s3_control_close(ngx_http_s3_control_t *control)
{
    ngx_http_s3_control_drop(control);

    if (!ngx_exiting && !ngx_terminate && !control->reconnect.timer_set) {
        ngx_add_timer(&control->reconnect, control->delay);
        control->delay = ngx_min(control->delay * 2,
                                 NGX_HTTP_S3_CONTROL_DELAY_MAX);
    }

    ngx_http_s3_control_disappoint(control);
}


static void
ngx_http_s3_control_drop(ngx_http_s3_control_t *control)
{
    ngx_connection_t  *c;

    ngx_http_s3_hot_unmap(control);
    ngx_http_s3_control_close_fd(control);
    ngx_http_s3_extents_forget(control);

    if (control->flush.posted) {
        ngx_delete_posted_event(&control->flush);
    }

    c = control->peer.connection;

    if (c) {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, &control->log, 0,
                       "s3 control close: %d", c->fd);

        ngx_close_connection(c);
        control->peer.connection = NULL;
    }

    if (control->pool) {
        if (control->in) {
            ngx_explicit_memzero(control->in->start, NGX_HTTP_S3_CONTROL_IN);
        }

        if (control->out) {
            ngx_explicit_memzero(control->out->start, NGX_HTTP_S3_CONTROL_OUT);
        }

        if (control->reader.message) {
            ngx_explicit_memzero(control->reader.message,
                                 control->reader.size);
        }

        ngx_destroy_pool(control->pool);

        control->pool = NULL;
        control->in = NULL;
        control->out = NULL;
        control->answering = 0;
        control->answered = NULL;
        control->declined = 0;
        control->unasked = 0;
        control->drives = NULL;
        control->requests = 0;
        control->status = 0;
        control->trace = 0;
        control->reader.message = NULL;
    }
}


/*
 * s3d ends.  Another one is there, or will accept what waits in its socket: it
 * is asked what this one leaves open.
 */

void
ngx_http_s3_control_leave(ngx_http_s3_control_t *control)
{
    if (control->left) {
        ngx_log_error(NGX_LOG_ERR, &control->log, 0,
                      "s3d ends before it has begun");
        ngx_http_s3_control_close(control);
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, &control->log, 0,
                  "s3d ends, the next one is asked");

    ngx_http_s3_control_drop(control);

    if (ngx_exiting && control->nwaiters == 0) {
        return;
    }

    control->left = 1;

    if (ngx_http_s3_control_connect(control) != NGX_OK) {
        return;
    }

    if (ngx_http_s3_control_ask_waiting(control) != NGX_OK) {
        ngx_http_s3_control_close(control);
    }
}


static void
ngx_http_s3_control_read_handler(ngx_event_t *ev)
{
    ssize_t                 n;
    ngx_int_t               rc;
    ngx_buf_t              *b;
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

    b = control->in;

    for ( ;; ) {

        n = ngx_http_s3_control_recv(control, b->start, b->end - b->start);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_log_error(NGX_LOG_NOTICE, c->log, 0,
                          "s3d closed the control connection");
            ngx_http_s3_control_close(control);
            return;
        }

        rc = ngx_http_s3_control_process(control, b->start, b->start + n);

        if (!ngx_http_s3_control_is(control, number)) {
            /* closed meanwhile, and its memory with it */
            return;
        }

        ngx_explicit_memzero(b->start, n);

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


void
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

    ngx_http_s3_control_flush_handler(&control->flush);
}


/* What one round of events has brought leaves at once. */

static void
ngx_http_s3_control_flush_handler(ngx_event_t *ev)
{
    ngx_http_s3_control_t  *control;

    control = ev->data;

    if (ngx_http_s3_control_flush(control) != NGX_OK
        || ngx_http_s3_control_ask_waiting(control) != NGX_OK)
    {
        ngx_http_s3_control_close(control);
    }
}


/* NGX_AGAIN: there is no room yet; the write handler asks who waits. */

ngx_int_t
ngx_http_s3_control_send(ngx_http_s3_control_t *control,
    enum frame_type type, const ProtobufCMessage *message)
{
    size_t      size;
    u_char     *payload, *last;
    ngx_buf_t  *b;

    b = control->out;
    size = protobuf_c_message_get_packed_size(message);

    if ((size_t) (b->end - b->last) < FRAME_HEADER_SIZE + size) {

        last = b->last;

        ngx_memmove(b->start, b->pos, b->last - b->pos);
        b->last = b->start + (b->last - b->pos);
        b->pos = b->start;

        ngx_explicit_memzero(b->last, last - b->last);

        if ((size_t) (b->end - b->last) < FRAME_HEADER_SIZE + size) {
            return NGX_AGAIN;
        }
    }

    payload = b->last + FRAME_HEADER_SIZE;

    (void) protobuf_c_message_pack(message, payload);
    frame_encode(b->last, type, payload, size);

    b->last = payload + size;

    ngx_post_event(&control->flush, &ngx_posted_events);

    return NGX_OK;
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

        /* a customer's key may have been in it */

        ngx_explicit_memzero(b->start, b->last - b->start);

        b->pos = b->start;
        b->last = b->start;
    }

    return ngx_handle_write_event(c->write, 0);
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
