/* nginx: its configuration, its workers' user, the module that it loads. */
#include "doctor/facts.h"
#include "wire/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_MAX (64u << 10)

/* --- the program -----------------------------------------------------------*/
static _Noreturn void become_nginx(const char *const arguments[], int output)
{
    const char *path = getenv("PATH");
    struct buffer with_sbin = {0};
    buffer_printf(&with_sbin, "%s:/usr/sbin:/usr/local/sbin%c",
                  path != NULL ? path : "/usr/bin:/bin", '\0');
    setenv("PATH", (const char *)with_sbin.data, 1);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execvp(arguments[0], (char *const *)arguments);
    _exit(127);
}

/* Runs nginx: its exit status, 127 if there is none; *said is what it wrote. */
static int run_nginx(struct arena *arena, const char *const arguments[],
                     const char **said)
{
    int ends[2], status = 0;
    struct buffer output = {0};
    ssize_t got;
    invariant(pipe2(ends, O_CLOEXEC) == 0);
    const pid_t child = fork();
    if (child == 0) {
        become_nginx(arguments, ends[1]);
    }
    close(ends[1]);
    do {
        buffer_reserve(&output, OUTPUT_MAX);
        got =
            read(ends[0], output.data + output.size, OUTPUT_MAX - output.size);
        output.size += got > 0 ? (size_t)got : 0;
    } while (got > 0 || (got < 0 && errno == EINTR));
    close(ends[0]);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
        ;
    }
    *said = arena_string(arena, slice_of(output.data, output.size));
    buffer_free(&output);
    return child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

/* The value of "--conf-path=/etc/nginx/nginx.conf" in what -V says. */
static const char *built_with(struct arena *arena, const char *said,
                              const char *option)
{
    const char *at = strstr(said, option);
    if (at == NULL) {
        return NULL;
    }
    at += strlen(option);
    return arena_string(arena, slice_of(at, strcspn(at, " \n")));
}

/* Both as nginx itself has them if it was built without the option. */
static const char *prefix_of(struct arena *arena, const char *said)
{
    const char *prefix = built_with(arena, said, "--prefix=");
    return prefix != NULL ? prefix : "/usr/local/nginx";
}

static const char *conf_path_of(struct arena *arena, const char *said)
{
    const char *path = built_with(arena, said, "--conf-path=");
    return path != NULL ? path
                        : arena_printf(arena, "%s/conf/nginx.conf",
                                       prefix_of(arena, said));
}

/* --- the module ------------------------------------------------------------*/
/* Whether the file holds the text, with the zero at its end. */
static bool holds(const char *path, const char *text, int *error)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    bool found = false;
    if (fd < 0 || fstat(fd, &st) != 0) {
        *error = errno;
    } else {
        const size_t size = (size_t)st.st_size;
        void *bytes = size > 0 ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0)
                               : MAP_FAILED;
        if (bytes != MAP_FAILED) {
            found = memmem(bytes, size, text, strlen(text) + 1) != NULL;
            munmap(bytes, size);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return found;
}

static void look_at_module(struct arena *arena, const char *prefix,
                           struct doctor_nginx *nginx)
{
    const struct nginx_directive *at = nginx->conf;
    for (; at != NULL; at = nginx_conf_next(at)) {
        if (at->name == NULL || strcmp(at->name, "load_module") != 0 ||
            at->word_count != 1 ||
            strstr(at->words[0], "ngx_http_s3_module") == NULL) {
            continue;
        }
        nginx->module =
            at->words[0][0] == '/'
                ? at->words[0]
                : arena_printf(arena, "%s/%s", prefix, at->words[0]);
        nginx->module_matches =
            holds(nginx->module, wire_version_text, &nginx->module_error);
    }
}

/* --- all of it -------------------------------------------------------------*/
static void read_conf(struct arena *arena, struct doctor_nginx *nginx)
{
    struct buffer error = {0};
    nginx->conf = nginx_conf_read(arena, nginx->path, &error);
    if (nginx->conf == NULL) {
        nginx->error = arena_string(arena, slice_of(error.data, error.size));
    }
    buffer_free(&error);
}

static const char *user_of(const struct nginx_directive *conf,
                           const char *built_in)
{
    const struct nginx_directive *user = nginx_conf_child(conf, "user");
    if (user != NULL && user->word_count > 0) {
        return user->words[0];
    }
    return built_in != NULL ? built_in : "nobody";
}

void doctor_look_at_nginx(struct arena *arena,
                          const struct doctor_options *options,
                          struct doctor_facts *facts)
{
    static const char *const ask_version[] = {"nginx", "-V", NULL};
    struct doctor_nginx *nginx = &facts->nginx;
    const char *built, *said;
    const bool there = run_nginx(arena, ask_version, &built) == 0;
    nginx->path = options->nginx_conf != NULL ? options->nginx_conf
                  : there                     ? conf_path_of(arena, built)
                                              : NULL;
    if (nginx->path == NULL) {
        return;
    }
    read_conf(arena, nginx);
    if (there) {
        const char *const test[] = {"nginx", "-t",        "-q",
                                    "-c",    nginx->path, NULL};
        nginx->test = run_nginx(arena, test, &said) != 0 ? said : NULL;
    }
    if (nginx->conf == NULL) {
        return;
    }
    look_at_module(arena, prefix_of(arena, built), nginx);
    doctor_look_at_user(
        arena, user_of(nginx->conf, built_with(arena, built, "--user=")),
        &nginx->user);
    if (nginx->user.known && facts->config != NULL) {
        nginx->closed =
            doctor_closed(arena, &nginx->user, facts->config->socket, 2);
    }
}
