/*
 * Listening sockets in the file system: made here, or passed by who has started
 * s3d and keeps them open when it ends, as systemd does (sd_listen_fds(3)).
 */
#include "server/private.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* All that may be open can come at once; the kernel caps it. */
#define BACKLOG 4096

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *listener = stream->data;
    if (status == 0) {
        connection_accept(listener->server, stream, listener->kind);
    } else {
        log_warn("accept on %s: %s", listener->path, uv_strerror(status));
    }
}

/* --- passed ones -----------------------------------------------------------*/
#define PASSED_FROM 3 /* SD_LISTEN_FDS_START */
#define PASSED_MAX  16u

static unsigned passed_count(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    if (pid == NULL || count == NULL ||
        strtoul(pid, NULL, 10) != (unsigned long)getpid()) {
        return 0;
    }
    const unsigned long passed = strtoul(count, NULL, 10);
    return passed < PASSED_MAX ? (unsigned)passed : PASSED_MAX;
}

static bool listens_at(int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNSPEC};
    socklen_t size = sizeof(address), flag_size = sizeof(int);
    int listening = 0;

    return getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
           address.sun_family == AF_UNIX &&
           strncmp(address.sun_path, path, sizeof(address.sun_path)) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &flag_size) ==
               0 &&
           listening;
}

/* The descriptor of the socket at `path`; -1: it was not passed. */
static int passed_at(const char *path)
{
    const unsigned count = passed_count();
    for (unsigned i = 0; i < count; i++) {
        const int fd = PASSED_FROM + (int)i;
        if (listens_at(fd, path)) {
            return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
        }
    }
    return -1;
}

void listener_check_passed(const struct listener *listeners, unsigned count)
{
    unsigned passed = 0;
    for (unsigned i = 0; i < count; i++) {
        passed += listeners[i].passed;
    }
    if (passed < passed_count()) {
        log_warn("a socket was passed that is not at a path of the "
                 "configuration: nobody listens on it");
    }
}

/* Its path, mode and group are those of who has made it. */
static int listen_on_passed(struct listener *listener, int fd)
{
    int error = uv_pipe_open(&listener->pipe, fd);
    if (error == 0) {
        error =
            uv_listen((uv_stream_t *)&listener->pipe, BACKLOG, on_connection);
    }
    listener->open = listener->passed = error == 0;
    return error;
}

/* --- own ones --------------------------------------------------------------*/
/* A socket file that nobody listens on is left from a crash: removed. */
static int remove_stale(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat info;

    if (lstat(path, &info) != 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISSOCK(info.st_mode)) {
        return -EEXIST;
    }
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
    const int result =
        connect(fd, (struct sockaddr *)&address, sizeof(address));
    const int error = result == 0 ? EADDRINUSE : errno;
    close(fd);
    if (error != ECONNREFUSED) {
        return -error;
    }
    return unlink(path) == 0 ? 0 : -errno;
}

static int give_to_group(const char *path, const char *name)
{
    if (name[0] == '\0') {
        return 0;
    }
    const struct group *group = getgrnam(name);
    if (group == NULL) {
        return -ENOENT;
    }
    return chown(path, (uid_t)-1, group->gr_gid) == 0 ? 0 : -errno;
}

static int listen_on(struct listener *listener, unsigned mode,
                     const char *group)
{
    /* By s3d's umask nobody else may connect before the mode is set. To set
     * another one here is not possible: it is the process's, and would be that
     * of what other threads create. */
    int error = uv_pipe_bind(&listener->pipe, listener->path);
    if (error != 0) {
        return error;
    }
    listener->open = true;
    error = give_to_group(listener->path, group);
    if (error == 0 && chmod(listener->path, mode) != 0) {
        error = -errno;
    }
    if (error == 0) {
        error =
            uv_listen((uv_stream_t *)&listener->pipe, BACKLOG, on_connection);
    }
    return error;
}

static int open_own(struct listener *listener, const char *path, unsigned mode,
                    const char *group)
{
    int error = remove_stale(path);
    if (error == 0) {
        error = listen_on(listener, mode, group);
    }
    if (error != 0 && listener->open) {
        unlink(path);
        listener->open = false;
    }
    return error;
}

int listener_open(struct server *server, struct listener *listener,
                  const char *path, unsigned mode, const char *group,
                  const struct connection_kind *kind)
{
    const int passed = passed_at(path);
    listener->server = server;
    listener->kind = kind;
    listener->path = xstrdup(path);
    invariant(uv_pipe_init(&server->loop, &listener->pipe, 0) == 0);
    listener->pipe.data = listener;
    const int error = passed >= 0 ? listen_on_passed(listener, passed)
                                  : open_own(listener, path, mode, group);
    if (error == 0) {
        return 0;
    }
    if (error == -EADDRINUSE) {
        log_error("%s: another s3d listens there", path);
    } else {
        log_error("cannot listen on %s%s%s: %s", path,
                  group[0] != '\0' ? " for group " : "", group,
                  strerror(-error));
    }
    uv_close((uv_handle_t *)&listener->pipe, NULL);
    free(listener->path);
    return error;
}

void listener_close(struct listener *listener)
{
    if (!listener->open) {
        return;
    }
    listener->open = false;
    if (!listener->passed) {
        unlink(listener->path);
    }
    free(listener->path);
    listener->path = NULL;
    uv_close((uv_handle_t *)&listener->pipe, NULL);
}
