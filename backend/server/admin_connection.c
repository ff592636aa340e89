/*
 * An admin connection: one command at a time, run on the pool. After a command
 * that listens to events it only sends them; after one that makes a backup it
 * sends that, a piece when the one before has left.
 */
#include "archive/backup.h"
#include "events/feed.h"
#include "server/private.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LINES_MAX (64u << 10)  /* bytes of events in a frame */
#define PIECE_MAX (128u << 10) /* bytes of a file in a frame */
/* Bytes of a result in a frame: the rest of its message takes less than that.
 */
#define PART_MAX   (FRAME_MESSAGE_MAX - 64)
#define RESULT_MAX (64u << 20) /* bytes of a result in all its frames */

struct admin_connection {
    struct connection base;
    struct job job;
    Wire__AdminRequest *request;
    struct buffer result;
    struct admin_sequel sequel; /* nothing: it takes commands */
    unsigned uid;               /* of who sent the request */
    bool ok;
};

static struct admin_connection *from_base(struct connection *base)
{
    return (struct admin_connection *)base;
}

static struct admin_connection *from_job(struct job *job)
{
    return (struct admin_connection *)((char *)job -
                                       offsetof(struct admin_connection, job));
}

static void admin_input(struct connection *base);

static void admin_run(struct job *job)
{
    struct admin_connection *admin = from_job(job);
    const Wire__AdminRequest *request = admin->request;
    admin->ok =
        admin_execute(admin->base.server, admin->uid,
                      slice_of(request->command.data, request->command.len),
                      slice_of(request->arguments.data, request->arguments.len),
                      &admin->result, &admin->sequel);
}

static void wipe_result(struct admin_connection *admin)
{
    if (admin->result.size > 0) {
        explicit_bzero(admin->result.data, admin->result.size);
    }
    buffer_free(&admin->result);
}

/* In as many frames as it takes. */
static void append_frames(struct buffer *output,
                          const struct admin_connection *admin)
{
    size_t sent = 0;

    do {
        Wire__AdminReply reply = WIRE__ADMIN_REPLY__INIT;
        const size_t left = admin->result.size - sent;
        reply.ok = admin->ok;
        reply.more = left > PART_MAX;
        reply.result.len = reply.more ? PART_MAX : left;
        reply.result.data = left > 0 ? admin->result.data + sent : NULL;
        frame_append_message(output, FRAME_ADMIN_REPLY, &reply);
        sent += reply.result.len;
    } while (sent < admin->result.size);
}

/* Sends the result, and wipes it. */
static void send_result(struct admin_connection *admin)
{
    struct buffer output = {0};

    if (admin->result.size > RESULT_MAX) {
        wipe_result(admin);
        buffer_printf(&admin->result,
                      "{\"error\": \"the answer is too large\"}");
        admin->ok = false;
    }
    append_frames(&output, admin);
    connection_send(&admin->base, &output, (struct slice){0},
                    (struct slice){0});
    wipe_result(admin);
}

/* Sends events while the other side takes them. */
static void admin_wake(struct connection *base)
{
    struct admin_connection *admin = from_base(base);

    if (admin->sequel.listener == NULL || base->jobs > 0) {
        return;
    }
    while (base->writes == 0 && !base->closing) {
        switch (feed_take(admin->sequel.listener, LINES_MAX, &admin->result)) {
        case FEED_TAKEN:
            send_result(admin);
            break;
        case FEED_NOTHING:
            return;
        case FEED_ENDED:
            connection_close(base);
            return;
        }
    }
}

/* --- a file ----------------------------------------------------------------*/

static void backup_run(struct job *job)
{
    struct admin_connection *admin = from_job(job);

    admin->ok =
        backup_next(admin->sequel.backup, PIECE_MAX, &admin->result) == 0;
}

/* The piece that is empty is the last one. */
static void backup_done(struct job *job)
{
    struct admin_connection *admin = from_job(job);
    struct connection *base = &admin->base;

    connection_job_done(base);
    if (base->closing) {
        connection_settle(base);
        return;
    }
    if (!admin->ok || admin->result.size == 0) {
        backup_close(admin->sequel.backup);
        admin->sequel.backup = NULL;
    }
    send_result(admin);
    admin_input(base);
}

/* Nobody waits for the end of a backup when s3d stops. */
static void send_backup(struct connection *base)
{
    struct admin_connection *admin = from_base(base);

    if (base->server->stopping) {
        connection_close(base);
    } else if (base->jobs == 0 && base->writes == 0) {
        admin->job.run = backup_run;
        admin->job.done = backup_done;
        connection_submit(base, &admin->job);
    }
}

/* --- commands --------------------------------------------------------------*/

static void admin_done(struct job *job)
{
    struct admin_connection *admin = from_job(job);
    struct connection *base = &admin->base;

    connection_job_done(base);
    send_result(admin);
    if (admin->request->arguments.len > 0) {
        explicit_bzero(admin->request->arguments.data,
                       admin->request->arguments.len);
    }
    wire__admin_request__free_unpacked(admin->request, NULL);
    admin->request = NULL;
    if (base->closing) {
        connection_settle(base);
    } else if (base->server->stopping && base->writes == 0) {
        connection_close(base);
    } else {
        admin_input(base);
    }
}

static unsigned peer_uid(const struct connection *base)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t size = sizeof(peer);
    uv_os_fd_t fd;

    if (uv_fileno((const uv_handle_t *)&base->pipe, &fd) == 0) {
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    }
    return peer.uid;
}

static void admin_input(struct connection *base)
{
    struct admin_connection *admin = from_base(base);
    struct frame_header header;
    const uint8_t *payload;

    if (admin->sequel.listener != NULL) {
        admin_wake(base);
        return;
    }
    if (admin->sequel.backup != NULL) {
        send_backup(base);
        return;
    }
    if (base->jobs > 0 || base->writes > 0 || connection_refuse_version(base)) {
        return;
    }
    const ssize_t size =
        connection_peek(base, &header, &payload, FRAME_MESSAGE_MAX);
    if (size > 0 && header.type == FRAME_ADMIN_REQUEST) {
        admin->request =
            wire__admin_request__unpack(NULL, header.length, payload);
    }
    if (size != 0 && admin->request == NULL) {
        connection_close(base);
        return;
    }
    if (size > 0) {
        explicit_bzero((void *)payload, header.length);
        connection_consume(base, (size_t)size);
        admin->uid = peer_uid(base);
        admin->job.run = admin_run;
        admin->job.done = admin_done;
        connection_submit(base, &admin->job);
    }
    connection_flow(base);
}

static void admin_open(struct connection *base)
{
    (void)base;
}

static bool admin_idle(const struct connection *base)
{
    return base->jobs == 0 && base->writes == 0;
}

static uint64_t admin_timeout(const struct connection *base)
{
    const struct admin_connection *admin =
        (const struct admin_connection *)base;
    return base->jobs > 0 || admin->sequel.listener != NULL
               ? 0
               : base->server->config->limits.idle_timeout_s;
}

static bool admin_release(struct connection *base)
{
    feed_leave(from_base(base)->sequel.listener);
    backup_close(from_base(base)->sequel.backup);
    return true;
}

const struct connection_kind admin_kind = {
    .name = "admin",
    .confidential = true,
    .size = sizeof(struct admin_connection),
    .open = admin_open,
    .input = admin_input,
    .written = admin_input,
    .wake = admin_wake,
    .idle = admin_idle,
    .timeout_s = admin_timeout,
    .release = admin_release,
};
