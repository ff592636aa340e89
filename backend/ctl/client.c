/*
 * The admin protocol from the client's side: one frame out, a reply of one or
 * more frames in.
 */
#include "ctl/ctl.h"
#include "ctl/show.h"
#include "wire.pb-c.h"
#include "wire/wire.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define RESULT_MAX (64u << 20) /* bytes of a reply: s3d sends no more */

/* One, of all its frames. */
struct reply {
    bool ok;
    struct buffer result;
};

static int dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t size = strlen(path);
    if (size >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, size);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        return fd;
    }
    const int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static bool send_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        const ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent <= 0) {
            return false;
        }
        data += sent;
        size -= (size_t)sent;
    }
    return true;
}

static bool receive_all(int fd, uint8_t *data, size_t size)
{
    while (size > 0) {
        const ssize_t got = recv(fd, data, size, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got == 0) {
            errno = ECONNRESET;
        }
        if (got <= 0) {
            return false;
        }
        data += got;
        size -= (size_t)got;
    }
    return true;
}

static bool send_request(int fd, const char *command, const json_t *arguments)
{
    char *json = json_dumps(arguments, JSON_COMPACT);
    Wire__AdminRequest request = WIRE__ADMIN_REQUEST__INIT;
    request.command.data = (uint8_t *)command;
    request.command.len = strlen(command);
    request.arguments.data = (uint8_t *)json;
    request.arguments.len = strlen(json);

    const size_t size = wire__admin_request__get_packed_size(&request);
    uint8_t *frame = xmalloc(FRAME_HEADER_SIZE + size);
    wire__admin_request__pack(&request, frame + FRAME_HEADER_SIZE);
    frame_encode(frame, FRAME_ADMIN_REQUEST, frame + FRAME_HEADER_SIZE, size);
    const bool sent = send_all(fd, frame, FRAME_HEADER_SIZE + size);
    free(frame);
    free(json);
    return sent;
}

static Wire__AdminReply *receive_frame(int fd)
{
    uint8_t head[FRAME_HEADER_SIZE];
    struct frame_header header;
    Wire__AdminReply *reply = NULL;

    if (!receive_all(fd, head, sizeof(head))) {
        return NULL;
    }
    errno = frame_version(head) == FRAME_VERSION ? EPROTO : EPROTONOSUPPORT;
    if (frame_decode(head, &header) != 0 || header.type != FRAME_ADMIN_REPLY) {
        return NULL;
    }
    uint8_t *payload = xmalloc(header.length + 1);
    if (receive_all(fd, payload, header.length)) {
        errno = EPROTO;
        if (frame_check(&header, payload) == 0) {
            reply = wire__admin_reply__unpack(NULL, header.length, payload);
        }
    }
    free(payload);
    return reply;
}

/* What it told may be a secret. */
static void reply_free(struct reply *reply)
{
    if (reply->result.size > 0) {
        explicit_bzero(reply->result.data, reply->result.size);
    }
    buffer_free(&reply->result);
}

/* False, and errno: there is none. To be freed in any case. */
static bool receive_reply(int fd, struct reply *reply)
{
    bool more = true;
    while (more) {
        Wire__AdminReply *frame = receive_frame(fd);
        if (frame == NULL) {
            return false;
        }
        reply->ok = frame->ok;
        more = frame->more;
        buffer_append(&reply->result, frame->result.data, frame->result.len);
        wire__admin_reply__free_unpacked(frame, NULL);
        if (more && reply->result.size > RESULT_MAX) {
            errno = EPROTO;
            return false;
        }
    }
    return true;
}

/* Lines of JSON. False: the other side has ended. */
static bool print_lines(int fd)
{
    struct reply reply = {0};
    const bool came = receive_reply(fd, &reply);
    if (came) {
        fwrite(reply.result.data, 1, reply.result.size, stdout);
    }
    reply_free(&reply);
    return came && fflush(stdout) == 0;
}

/* The reply; *fd is the connection, or negative. Where s3d does not answer
 * errno says why. */
static enum ctl_exit begin(const char *path, const char *command,
                           const json_t *arguments, json_t **result, int *fd)
{
    struct reply reply = {0};
    enum ctl_exit status = CTL_UNREACHABLE;

    *fd = dial(path);
    if (*fd >= 0 && send_request(*fd, command, arguments) &&
        receive_reply(*fd, &reply)) {
        *result = json_loadb((const char *)reply.result.data, reply.result.size,
                             0, NULL);
        errno = EPROTO;
        if (json_is_object(*result)) {
            status = reply.ok ? CTL_OK : CTL_REFUSED;
        }
    }
    const int error = errno;
    reply_free(&reply);
    errno = error;
    return status;
}

/* What is wrong, and how it is mended. */
static const char *explain(int error)
{
    switch (error) {
    case EPROTONOSUPPORT:
        return "it is of another version: install both of one version";
    case ENOENT:
        return "there is no such socket: s3d does not run, or its "
               "admin_socket in s3d.conf is another: -s, or $" CTL_SOCKET_ENV;
    case ECONNREFUSED:
        return "it does not run: systemctl start s3d";
    case EACCES:
    case EPERM:
        return "not allowed: only s3d's user and root may administrate it: "
               "sudo s3ctl";
    default:
        return strerror(error);
    }
}

/* The same, and says why. */
static enum ctl_exit ask(const char *path, const char *command,
                         const json_t *arguments, json_t **result, int *fd)
{
    const enum ctl_exit status = begin(path, command, arguments, result, fd);
    if (status == CTL_UNREACHABLE) {
        show_error("s3d on %s: %s", path, explain(errno));
    }
    return status;
}

static void hang_up(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

int client_try(const char *path, const char *command, const json_t *arguments,
               json_t **result)
{
    int fd;
    const enum ctl_exit status = begin(path, command, arguments, result, &fd);
    const int error = status == CTL_UNREACHABLE ? -errno : -EPROTO;

    hang_up(fd);
    if (status == CTL_OK) {
        return 0;
    }
    json_decref(*result);
    *result = NULL;
    return error;
}

enum ctl_exit client_ask(const char *path, const char *command,
                         const json_t *arguments, json_t **result)
{
    int fd;
    const enum ctl_exit status = ask(path, command, arguments, result, &fd);

    hang_up(fd);
    return status;
}

enum ctl_exit client_follow(const char *path, const char *command,
                            const json_t *arguments, json_t **result)
{
    int fd;
    enum ctl_exit status = ask(path, command, arguments, result, &fd);

    if (status == CTL_OK) {
        while (print_lines(fd)) {
            ;
        }
        status = CTL_UNREACHABLE; /* it only ends with s3d */
        fprintf(stderr, "s3ctl: s3d on %s has gone\n", path);
    }
    hang_up(fd);
    return status;
}

/* A piece; *end: it was the empty one, which is the last. */
static enum ctl_exit receive_piece(int fd, FILE *file, bool *end)
{
    struct reply reply = {0};
    enum ctl_exit status = CTL_UNREACHABLE;

    if (receive_reply(fd, &reply)) {
        const size_t size = reply.result.size;
        *end = size == 0;
        status = reply.ok && (*end ||
                              fwrite(reply.result.data, 1, size, file) == size)
                     ? CTL_OK
                     : CTL_REFUSED;
    }
    const int error = errno;
    reply_free(&reply);
    errno = error;
    return status;
}

enum ctl_exit client_fetch(const char *path, const char *command,
                           const json_t *arguments, FILE *file, json_t **result)
{
    int fd;
    enum ctl_exit status = ask(path, command, arguments, result, &fd);
    const bool refused = status != CTL_OK;
    bool end = refused || !json_is_true(json_object_get(*result, "file"));

    while (status == CTL_OK && !end) {
        errno = EIO;
        status = receive_piece(fd, file, &end);
    }
    if (status != CTL_OK && !refused) {
        fprintf(stderr, "s3ctl: the file is not whole: %s\n", strerror(errno));
    }
    hang_up(fd);
    return status;
}
