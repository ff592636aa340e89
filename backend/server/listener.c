/*
 * Listening sockets in the file system.
 */
#include "server/private.h"
#include <errno.h>
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
    /* Nobody may connect before the mode is set. */
    const mode_t old = umask(0777);
    int error = uv_pipe_bind(&listener->pipe, listener->path);
    umask(old);
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

int listener_open(struct server *server, struct listener *listener,
                  const char *path, unsigned mode, const char *group,
                  const struct connection_kind *kind)
{
    listener->server = server;
    listener->kind = kind;
    int error = remove_stale(path);
    if (error == -EADDRINUSE) {
        log_error("%s: another s3d listens there", path);
    } else if (error != 0) {
        log_error("%s: %s", path, strerror(-error));
    }
    if (error != 0) {
        return error;
    }

    listener->path = xstrdup(path);
    invariant(uv_pipe_init(&server->loop, &listener->pipe, 0) == 0);
    listener->pipe.data = listener;
    error = listen_on(listener, mode, group);
    if (error == 0) {
        return 0;
    }
    log_error("cannot listen on %s%s%s: %s", path,
              group[0] != '\0' ? " for group " : "", group, strerror(-error));
    uv_close((uv_handle_t *)&listener->pipe, NULL);
    if (listener->open) {
        unlink(path);
    }
    listener->open = false;
    free(listener->path);
    return error;
}

void listener_close(struct listener *listener)
{
    if (!listener->open) {
        return;
    }
    listener->open = false;
    unlink(listener->path);
    free(listener->path);
    listener->path = NULL;
    uv_close((uv_handle_t *)&listener->pipe, NULL);
}
