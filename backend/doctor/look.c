/* Files, users, s3d and the machine. */
#include "doctor/facts.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <unistd.h>

/* --- files -----------------------------------------------------------------*/
void doctor_look_at_file(const char *path, struct doctor_file *file)
{
    struct stat st;
    *file = (struct doctor_file){.path = path};
    if (stat(path, &st) != 0) {
        file->error = errno;
        return;
    }
    file->mode = st.st_mode & 07777;
    file->uid = st.st_uid;
    file->gid = st.st_gid;
    file->device = st.st_dev;
}

bool doctor_may(const struct doctor_user *user, const struct doctor_file *file,
                unsigned bits)
{
    unsigned shift = 0;
    if (user->uid == 0) {
        return true;
    }
    for (int i = 0; i < user->group_count; i++) {
        shift = user->groups[i] == file->gid ? 3 : shift;
    }
    shift = user->uid == file->uid ? 6 : shift;
    return (file->mode >> shift & bits) == bits;
}

const char *doctor_closed(struct arena *arena, const struct doctor_user *user,
                          const char *path, unsigned bits)
{
    const size_t size = strlen(path);
    for (size_t end = 1; end <= size; end++) {
        if (end < size && path[end] != '/') {
            continue;
        }
        const char *step = arena_string(arena, slice_of(path, end));
        struct doctor_file file;
        doctor_look_at_file(step, &file);
        if (file.error != 0 ||
            !doctor_may(user, &file, end == size ? bits : 1)) {
            return step;
        }
    }
    return NULL;
}

static void look_at_secret(struct doctor_facts *facts, const char *path)
{
    if (path[0] != '\0') {
        doctor_look_at_file(path, &facts->secrets[facts->secret_count++]);
    }
}

static void look_at_files(struct doctor_facts *facts)
{
    const struct server_config *config = facts->config;
    const struct server_events_config *events = &config->events;
    doctor_look_at_file(facts->config_path, &facts->config_file);
    doctor_look_at_file(config->state, &facts->state);
    doctor_look_at_file(config->master_key, &facts->master_key);
    doctor_look_at_file(config->keyring, &facts->keyring);
    doctor_look_at_file(config->socket, &facts->worker_socket);
    doctor_look_at_file(config->admin_socket, &facts->admin_socket);
    look_at_secret(facts, config->vault.token_file);
    for (unsigned i = 0; i < events->target_count; i++) {
        look_at_secret(facts, events->targets[i].password_file);
        look_at_secret(facts, events->targets[i].sentinel_password_file);
    }
}

/* --- users -----------------------------------------------------------------*/
void doctor_look_at_user(struct arena *arena, const char *name,
                         struct doctor_user *user)
{
    const struct passwd *entry = getpwnam(name);
    *user = (struct doctor_user){
        .name = arena_string(arena, slice_from_string(name)),
        .known = entry != NULL};
    if (entry != NULL) {
        user->uid = entry->pw_uid;
        user->group_count = DOCTOR_GROUPS_MAX;
        if (getgrouplist(name, entry->pw_gid, user->groups,
                         &user->group_count) < 0) {
            user->group_count = DOCTOR_GROUPS_MAX;
        }
    }
}

/* --- s3d -------------------------------------------------------------------*/
/* The process that listens on the socket; 0: not known. */
static pid_t listener_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    if (strlen(path) >= sizeof(address.sun_path)) {
        return 0;
    }
    memcpy(address.sun_path, path, strlen(path));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 &&
        connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    }
    if (fd >= 0) {
        close(fd);
    }
    return peer.pid;
}

static int64_t locked_memory_of(pid_t pid)
{
    char path[64], line[256];
    long long bytes = -1;
    snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
    FILE *file = pid > 0 ? fopen(path, "re") : NULL;
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "Max locked memory", 17) == 0 &&
            sscanf(line + 17, "%lld", &bytes) != 1) {
            bytes = INT64_MAX; /* "unlimited" */
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

static void look_at_s3d(const struct doctor_options *options,
                        struct doctor_facts *facts)
{
    facts->socket = options->socket != NULL ? options->socket
                    : facts->config != NULL ? facts->config->admin_socket
                                            : "/run/s3d/admin.sock";
    facts->status_error = -options->ask(facts->socket, &facts->status);
    facts->locked_memory = facts->status != NULL
                               ? locked_memory_of(listener_of(facts->socket))
                               : -1;
}

/* --- the machine -----------------------------------------------------------*/
static void look_at_machine(struct doctor_facts *facts)
{
    struct timex clock = {0};
    struct stat root;
    const long pages = sysconf(_SC_PHYS_PAGES);
    facts->is_root = geteuid() == 0;
    facts->now_ms = clock_wall_ms();
    facts->clock_synchronized =
        adjtimex(&clock) != TIME_ERROR && (clock.status & STA_UNSYNC) == 0;
    facts->memory =
        pages > 0 ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
    facts->root_device = stat("/", &root) == 0 ? root.st_dev : 0;
}

static void look_at_config(struct arena *arena, const char *path,
                           struct doctor_facts *facts)
{
    struct buffer error = {0};
    facts->config_path = path;
    if (config_load(path, &facts->config, &error) != 0) {
        facts->config_error =
            arena_string(arena, slice_of(error.data, error.size));
    }
    buffer_free(&error);
}

void doctor_look(struct arena *arena, const struct doctor_options *options,
                 struct doctor_facts *facts)
{
    *facts = (struct doctor_facts){0};
    look_at_config(arena, options->config, facts);
    look_at_s3d(options, facts);
    look_at_machine(facts);
    if (facts->config != NULL) {
        look_at_files(facts);
    }
    doctor_look_at_nginx(arena, options, facts); /* its user sees drives */
    if (facts->config != NULL) {
        doctor_look_at_drives(arena, facts);
        doctor_look_at_targets(arena, facts);
    }
}

void doctor_facts_free(struct doctor_facts *facts)
{
    json_decref(facts->status);
    config_free(facts->config);
}
