/*
 * A server in a child process on a directory of its own, and a client that
 * speaks frames. The child exits with the server's status, so that a leak or
 * a race that a sanitizer finds fails the test.
 */
#ifndef SERVER_FIXTURE_H
#define SERVER_FIXTURE_H

#include "server/server.h"
#include "wire.pb-c.h"
#include "wire/wire.h"
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define UNUSED         __attribute__((unused))
#define WAIT_S         60    /* for anything that must happen */
#define FIXTURE_RESULT 65536 /* bytes of an answer to s3ctl, with NUL */

struct fixture {
    char dir[64];
    pid_t pid;
    const char *settings; /* more lines for the configuration */
    unsigned drives;
};

static inline void pause_ms(long ms)
{
    nanosleep(&(struct timespec){0, ms * 1000000}, NULL);
}

/* Waits until the condition holds; fails the test if it never does. */
#define wait_until(condition)                                                  \
    do {                                                                       \
        int left_ = WAIT_S * 1000;                                             \
        while (!(condition) && left_-- > 0)                                    \
            pause_ms(1);                                                       \
        assert_true(condition);                                                \
    } while (0)

/* --- the server ------------------------------------------------------------*/
UNUSED static void fixture_path(const struct fixture *fixture, const char *name,
                                char path[128])
{
    snprintf(path, 128, "%s/%s", fixture->dir, name);
}

UNUSED static void fixture_configure(const struct fixture *fixture)
{
    char path[128];
    fixture_path(fixture, "s3d.conf", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "socket = \"%s/s3d.sock\"; admin_socket = \"%s/admin.sock\";\n"
            "metadata = \"%s/metadata\"; reserve = 0; threads = 8;\n"
            "log = \"%s/log\";\n%s\ndrives = (",
            fixture->dir, fixture->dir, fixture->dir, fixture->dir,
            fixture->settings != NULL ? fixture->settings : "");
    for (unsigned i = 0; i < fixture->drives; i++)
        fprintf(file, "%s{ path = \"%s/drive%u\"; }", i > 0 ? ", " : "",
                fixture->dir, i);
    fprintf(file, ");\n");
    assert_int_equal(fclose(file), 0);
}

/* The child's exit status. */
UNUSED static int fixture_wait(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

UNUSED static pid_t fixture_fork(const struct fixture *fixture)
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing outlives a failed test */
    static char path[128];
    struct server_config *config;
    struct buffer error = {0};
    fixture_path(fixture, "s3d.conf", path);
    if (config_load(path, &config, &error) != 0) {
        fprintf(stderr, "%.*s\n", (int)error.size, (char *)error.data);
        exit(99);
    }
    exit(server_run(config, path));
}

UNUSED static int dial_path(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval timeout = {WAIT_S, 0};
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

UNUSED static int dial(const struct fixture *fixture, const char *name)
{
    char path[128];
    fixture_path(fixture, name, path);
    return dial_path(path);
}

/* The socket of the workers opens last. */
UNUSED static void fixture_start(struct fixture *fixture)
{
    int fd = -1;
    fixture_configure(fixture);
    fixture->pid = fixture_fork(fixture);
    wait_until(fd >= 0 || (fd = dial(fixture, "s3d.sock")) >= 0 ||
               waitpid(fixture->pid, NULL, WNOHANG) != 0);
    assert_true(fd >= 0);
    close(fd);
}

UNUSED static void fixture_stop(struct fixture *fixture)
{
    assert_int_equal(kill(fixture->pid, SIGTERM), 0);
    assert_int_equal(fixture_wait(fixture->pid), 0);
    fixture->pid = 0;
}

UNUSED static void fixture_new(struct fixture *fixture, unsigned drives,
                               const char *settings)
{
    *fixture = (struct fixture){.dir = "/tmp/s3d-server-XXXXXX",
                                .settings = settings,
                                .drives = drives};
    assert_non_null(mkdtemp(fixture->dir));
    fixture_start(fixture);
}

UNUSED static void fixture_remove(struct fixture *fixture)
{
    char command[128];
    if (fixture->pid != 0)
        fixture_stop(fixture);
    snprintf(command, sizeof(command), "rm -rf '%s'", fixture->dir);
    assert_int_equal(system(command), 0);
}

/* --- frames out ------------------------------------------------------------*/
UNUSED static void put_frame(struct buffer *out, enum frame_type type,
                             const void *payload, size_t size)
{
    uint8_t header[FRAME_HEADER_SIZE];
    frame_encode(header, type, payload, size);
    buffer_append(out, header, sizeof(header));
    if (size > 0)
        buffer_append(out, payload, size);
}

UNUSED static void put_message(struct buffer *out, enum frame_type type,
                               const void *message)
{
    const size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = xmalloc(size + 1);
    protobuf_c_message_pack(message, packed);
    put_frame(out, type, packed, size);
    free(packed);
}

/* YYYYMMDD: s3d derives no keys of a time far away. */
UNUSED static const char *today(void)
{
    static char text[16];
    const time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(text, sizeof(text), "%Y%m%d", &tm);
    return text;
}

UNUSED static ProtobufCBinaryData bytes_of(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

UNUSED static void send_bytes(int fd, const void *data, size_t size)
{
    const uint8_t *at = data;
    while (size > 0) {
        const ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        assert_true(sent > 0);
        at += sent;
        size -= (size_t)sent;
    }
}

UNUSED static void send_buffer(int fd, struct buffer *out)
{
    send_bytes(fd, out->data, out->size);
    buffer_free(out);
}

/* Waits until the server has read all that was sent. */
UNUSED static void wait_read(int fd)
{
    int unread = 0;
    wait_until(ioctl(fd, SIOCOUTQ, &unread) == 0 && unread == 0);
}

/* --- frames in -------------------------------------------------------------*/
struct frame {
    struct frame_header header;
    uint8_t *payload;
};

UNUSED static void receive_bytes(int fd, uint8_t *data, size_t size)
{
    while (size > 0) {
        const ssize_t got = recv(fd, data, size, 0);
        assert_true(got > 0);
        data += got;
        size -= (size_t)got;
    }
}

UNUSED static struct frame receive_frame(int fd)
{
    struct frame frame;
    uint8_t head[FRAME_HEADER_SIZE];
    receive_bytes(fd, head, sizeof(head));
    assert_int_equal(frame_decode(head, &frame.header), 0);
    frame.payload = xmalloc(frame.header.length + 1);
    receive_bytes(fd, frame.payload, frame.header.length);
    assert_int_equal(frame_check(&frame.header, frame.payload), 0);
    return frame;
}

UNUSED static void expect_frame(int fd, enum frame_type type)
{
    struct frame frame = receive_frame(fd);
    assert_int_equal(frame.header.type, type);
    free(frame.payload);
}

/* The server has closed the connection, and sent nothing more. */
UNUSED static void expect_closed(int fd)
{
    uint8_t byte;
    const ssize_t got = recv(fd, &byte, 1, 0);
    assert_true(got == 0 || (got < 0 && errno == ECONNRESET));
    close(fd);
}

UNUSED static void expect_reply(int fd, unsigned status)
{
    struct frame frame = receive_frame(fd);
    assert_int_equal(frame.header.type, FRAME_REPLY);
    Wire__Reply *reply =
        wire__reply__unpack(NULL, frame.header.length, frame.payload);
    assert_non_null(reply);
    assert_int_equal(reply->status, status);
    wire__reply__free_unpacked(reply, NULL);
    free(frame.payload);
}

/* DATA frames up to END. */
UNUSED static void receive_body(int fd, struct buffer *body)
{
    for (;;) {
        struct frame frame = receive_frame(fd);
        const unsigned type = frame.header.type;
        if (type == FRAME_DATA)
            buffer_append(body, frame.payload, frame.header.length);
        free(frame.payload);
        if (type == FRAME_END)
            return;
        assert_int_equal(type, FRAME_DATA);
    }
}

/* REPLY with a status, DATA with these bytes, END. */
UNUSED static void expect_answer(int fd, unsigned status, const void *data,
                                 size_t size)
{
    struct buffer body = {0};
    expect_reply(fd, status);
    receive_body(fd, &body);
    assert_int_equal(body.size, size);
    if (size > 0)
        assert_memory_equal(body.data, data, size);
    buffer_free(&body);
}

/* --- administration --------------------------------------------------------*/
/* The result, of all frames of the reply; returns how many there were. */
UNUSED static unsigned ask_admin_whole(int fd, const char *command,
                                       const char *arguments, bool *ok,
                                       struct buffer *result)
{
    struct buffer out = {0};
    Wire__AdminRequest request = WIRE__ADMIN_REQUEST__INIT;
    unsigned frames = 0;
    bool more = true;
    request.command = bytes_of(command);
    request.arguments = bytes_of(arguments);
    put_message(&out, FRAME_ADMIN_REQUEST, &request);
    send_buffer(fd, &out);
    while (more) {
        struct frame frame = receive_frame(fd);
        assert_int_equal(frame.header.type, FRAME_ADMIN_REPLY);
        Wire__AdminReply *reply =
            wire__admin_reply__unpack(NULL, frame.header.length, frame.payload);
        assert_non_null(reply);
        buffer_append(result, reply->result.data, reply->result.len);
        *ok = reply->ok;
        more = reply->more;
        frames++;
        wire__admin_reply__free_unpacked(reply, NULL);
        free(frame.payload);
    }
    return frames;
}

UNUSED static bool ask_admin(int fd, const char *command, const char *arguments,
                             char result[FIXTURE_RESULT])
{
    struct buffer whole = {0};
    bool ok;
    assert_int_equal(ask_admin_whole(fd, command, arguments, &ok, &whole), 1);
    buffer_append(&whole, "", 1);
    assert_true(whole.size <= FIXTURE_RESULT);
    memcpy(result, whole.data, whole.size);
    buffer_free(&whole);
    return ok;
}

#endif
