/*
 * What all connections share: reading with back-pressure, writing, jobs, and
 * an end that waits for all of them.
 *
 * A connection is freed when its pipe is closed and no job runs; writes end
 * before the pipe's close callback.
 */
#include "server/private.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct output {
    uv_write_t request;
    struct connection *connection;
    struct buffer buffer;
};

static unsigned kind_count(const struct connection_kind *kind)
{
    if (kind == &control_kind) {
        return COUNT_CONTROL;
    }
    return kind == &admin_kind ? COUNT_ADMIN : COUNT_REQUEST;
}

static void count_change(struct connection *connection, int change)
{
    atomic_fetch_add_explicit(
        &connection->server->counters.connections[kind_count(connection->kind)],
        change, memory_order_relaxed);
}

static void connection_free(struct connection *connection)
{
    struct server *server = connection->server;
    if (connection->next != NULL) {
        connection->next->link = connection->link;
    }
    *connection->link = connection->next;
    input_wipe(&connection->input);
    input_release(&connection->input);
    count_change(connection, -1);
    free(connection);
    server_connection_gone(server);
}

void connection_settle(struct connection *connection)
{
    if (connection->closed && connection->jobs == 0 &&
        connection->kind->release(connection)) {
        connection_free(connection);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    connection->closed = true;
    connection_settle(connection);
}

void connection_close(struct connection *connection)
{
    if (connection->closing) {
        return;
    }
    connection->closing = true;
    uv_close((uv_handle_t *)&connection->pipe, on_closed);
}

static void send_leave(struct connection *connection)
{
    struct buffer output = {0};
    frame_append(&output, FRAME_LEAVE, NULL, 0);
    connection_send(connection, &output, (struct slice){0}, (struct slice){0});
}

void connection_leave(struct connection *connection)
{
    if (connection->kind->leaves) {
        control_flush(connection->server); /* not behind LEAVE */
        send_leave(connection);
    } else {
        connection_close(connection);
    }
}

bool connection_refuse_version(struct connection *connection)
{
    const struct input *input = &connection->input;
    const int version = input_size(input) >= FRAME_HEADER_SIZE
                            ? frame_version(input_start(input))
                            : -1;
    if (version < 0 || version == FRAME_VERSION) {
        return false;
    }
    log_error("a %s connection is of version %d of the protocol, this s3d of "
              "version %d: install s3d, s3ctl and the module of one version",
              connection->kind->name, version, FRAME_VERSION);
    send_leave(connection); /* its header says which version this is */
    connection_close(connection);
    return true;
}

/* --- reading ---------------------------------------------------------------*/
static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct connection *connection = handle->data;
    (void)suggested;
    *buffer = input_room(&connection->input);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    (void)buffer;
    if (count < 0) {
        connection_close(connection);
        return;
    }
    connection->input.end += (size_t)count;
    if (count == 0) {
        input_consume(&connection->input, 0);
        return;
    }
    connection->active_ms = uv_now(&connection->server->loop);
    connection->kind->input(connection);
    connection_flow(connection);
}

/* While memory is short, or the bandwidth limited, a request's bytes stay in
 * the socket until the step that works on those before has ended. The step
 * waits for no connection, so it does end, and reading goes on; then, or when
 * the connection's turn has come. */
static bool waits(const struct connection *connection)
{
    return (connection->waits && input_size(&connection->input) > 0) ||
           (connection->kind == &request_kind && connection->jobs > 0 &&
            (connection->paced || memory_short()));
}

void connection_flow(struct connection *connection)
{
    if (connection->closing) {
        return;
    }
    const bool full = input_full(&connection->input) || waits(connection);
    if (full == !connection->reading) {
        return;
    }
    connection->reading = !full;
    if (full) {
        uv_read_stop((uv_stream_t *)&connection->pipe);
    } else if (uv_read_start((uv_stream_t *)&connection->pipe, on_room,
                             on_read) != 0) {
        connection_close(connection);
    }
}

ssize_t connection_peek(struct connection *connection,
                        struct frame_header *header, const uint8_t **payload,
                        size_t limit)
{
    const struct input *input = &connection->input;
    const uint8_t *start = input_start(input);
    if (input_size(input) < FRAME_HEADER_SIZE) {
        return 0;
    }
    if (frame_decode(start, header) != 0 || header->length > limit) {
        return -1;
    }
    if (input_size(input) < FRAME_HEADER_SIZE + header->length) {
        return 0;
    }
    *payload = start + FRAME_HEADER_SIZE;
    if (frame_check(header, *payload) != 0) {
        return -1;
    }
    return FRAME_HEADER_SIZE + header->length;
}

void connection_consume(struct connection *connection, size_t size)
{
    input_consume(&connection->input, size);
}

/* --- writing ---------------------------------------------------------------*/
void connection_drop(struct connection *connection, struct buffer *buffer)
{
    if (connection->kind->confidential && buffer->size > 0) {
        explicit_bzero(buffer->data, buffer->size);
    }
    buffer_free(buffer);
}

static void on_written(uv_write_t *request, int status)
{
    struct output *output = request->data;
    struct connection *connection = output->connection;
    connection_drop(connection, &output->buffer);
    free(output);
    connection->writes--;
    if (status < 0) {
        connection_close(connection);
        return;
    }
    connection->active_ms = uv_now(&connection->server->loop);
    if (connection->writes == 0 && !connection->closing) {
        connection->kind->written(connection);
    }
}

/* Drops what was sent from the front of the list. */
static unsigned advance(uv_buf_t *buffers, unsigned count, size_t sent)
{
    unsigned from = 0;
    while (from < count && sent >= buffers[from].len) {
        sent -= buffers[from++].len;
    }
    for (unsigned i = from; i < count; i++) {
        buffers[i - from] = buffers[i];
    }
    if (from < count) {
        buffers[0].base += sent;
        buffers[0].len -= sent;
    }
    return count - from;
}

void connection_send(struct connection *connection, struct buffer *buffer,
                     struct slice tail_head, struct slice tail)
{
    uv_stream_t *stream = (uv_stream_t *)&connection->pipe;
    uv_buf_t buffers[3] = {
        uv_buf_init((char *)buffer->data, (unsigned)buffer->size),
        uv_buf_init((char *)tail_head.data, (unsigned)tail_head.size),
        uv_buf_init((char *)tail.data, (unsigned)tail.size)};
    unsigned count = advance(buffers, 3, 0);
    if (connection->closing || count == 0) {
        connection_drop(connection, buffer);
        return;
    }
    if (connection->writes == 0) {
        const int sent = uv_try_write(stream, buffers, count);
        if (sent > 0) {
            count = advance(buffers, count, (size_t)sent);
        }
    }
    if (count == 0) {
        connection_drop(connection, buffer);
        connection->active_ms = uv_now(&connection->server->loop);
        return;
    }
    struct output *output = xcalloc(1, sizeof(*output));
    output->connection = connection;
    output->buffer = *buffer;
    *buffer = (struct buffer){0};
    output->request.data = output;
    connection->writes++;
    if (uv_write(&output->request, stream, buffers, count, on_written) != 0) {
        connection->writes--;
        connection_drop(connection, &output->buffer);
        free(output);
        connection_close(connection);
    }
}

ssize_t connection_send_descriptor(struct connection *connection,
                                   const struct buffer *output, int descriptor)
{
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
                          .cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS}};
    struct iovec bytes = {output->data, output->size};
    const struct msghdr message = {.msg_iov = &bytes,
                                   .msg_iovlen = 1,
                                   .msg_control = &control,
                                   .msg_controllen = sizeof(control.space)};
    uv_os_fd_t socket;

    memcpy(CMSG_DATA(&control.head), &descriptor, sizeof(descriptor));
    if (connection->writes != 0 ||
        uv_fileno((uv_handle_t *)&connection->pipe, &socket) != 0) {
        return -1;
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* --- jobs ------------------------------------------------------------------*/
void connection_submit(struct connection *connection, struct job *job)
{
    connection->jobs++;
    pool_submit(connection->server->pool, job);
}

void connection_job_done(struct connection *connection)
{
    invariant(connection->jobs > 0);
    connection->jobs--;
    connection->active_ms = uv_now(&connection->server->loop);
}

void connection_become(struct connection *connection,
                       const struct connection_kind *kind)
{
    count_change(connection, -1);
    connection->kind = kind;
    count_change(connection, 1);
    kind->open(connection);
    kind->input(connection);
}

/* --- a new one -------------------------------------------------------------*/
static void discard(uv_handle_t *handle)
{
    free(handle);
}

/* A connection over the limit: taken from the queue and closed. */
static void refuse(struct server *server, uv_stream_t *listener)
{
    uv_pipe_t *pipe = xcalloc(1, sizeof(*pipe));
    invariant(uv_pipe_init(&server->loop, pipe, 0) == 0);
    (void)!uv_accept(listener, (uv_stream_t *)pipe);
    uv_close((uv_handle_t *)pipe, discard);
}

/* A worker's connection becomes one of two kinds. */
static size_t connection_size(const struct connection_kind *kind)
{
    if (kind != &worker_kind) {
        return kind->size;
    }
    return request_kind.size > control_kind.size ? request_kind.size
                                                 : control_kind.size;
}

void connection_accept(struct server *server, uv_stream_t *listener,
                       const struct connection_kind *kind)
{
    const unsigned open = (unsigned)atomic_load_explicit(
        &server->counters.connections[kind_count(kind)], memory_order_relaxed);
    if (server->stopping || open >= server->config->limits.connections) {
        if (!server->stopping) {
            log_warn("refused a %s connection: %u are open", kind->name, open);
        }
        refuse(server, listener);
        return;
    }
    struct connection *connection = xcalloc(1, connection_size(kind));
    invariant(uv_pipe_init(&server->loop, &connection->pipe, 0) == 0);
    connection->pipe.data = connection;
    connection->server = server;
    connection->kind = kind;
    connection->active_ms = uv_now(&server->loop);
    connection->link = &server->connections;
    connection->next = server->connections;
    if (connection->next != NULL) {
        connection->next->link = &connection->next;
    }
    server->connections = connection;
    kind->open(connection);
    count_change(connection, 1);
    if (uv_accept(listener, (uv_stream_t *)&connection->pipe) != 0) {
        connection_close(connection);
        return;
    }
    connection_flow(connection);
}
