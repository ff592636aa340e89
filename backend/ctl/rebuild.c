/* s3ctl rebuild, restore, backup verify: s3d does it, while it does not serve.
 */
#include "ctl/ctl.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ARGUMENTS_MAX 12

/* A command line that grows. */
struct line {
    const char *arguments[ARGUMENTS_MAX + 1]; /* NULL ends it */
    unsigned count;
};

static void add(struct line *line, const char *argument)
{
    invariant(line->count < ARGUMENTS_MAX);
    line->arguments[line->count++] = argument;
}

/* Nothing if there is no value. */
static void add_option(struct line *line, const char *option, const char *value)
{
    if (value != NULL) {
        add(line, option);
        add(line, value);
    }
}

/* The s3d that lies beside this program; returns if there is none. */
static void become_neighbour(char *const arguments[])
{
    char own[PATH_MAX], path[PATH_MAX + 8];
    const ssize_t size = readlink("/proc/self/exe", own, sizeof(own) - 1);
    const char *slash;
    if (size <= 0) {
        return;
    }
    own[size] = '\0';
    slash = strrchr(own, '/');
    if (slash != NULL) {
        snprintf(path, sizeof(path), "%.*s/s3d", (int)(slash - own), own);
        execv(path, arguments);
    }
}

static enum ctl_exit become_s3d(struct line *line, bool json)
{
    char *const *arguments = (char *const *)line->arguments;
    if (json) {
        add(line, "-j");
    }
    become_neighbour(arguments);
    execvp("s3d", arguments);
    fprintf(stderr, "s3ctl: s3d: %s\n", strerror(errno));
    return CTL_UNREACHABLE;
}

static void add_backup(struct line *line, const struct ctl_given *given,
                       const char *backup)
{
    add_option(line, "-B", backup);
    add_option(line, "-J", given->journal);
    add_option(line, "-U", given->until);
}

enum ctl_exit run_rebuild(const struct ctl_given *given, char **words)
{
    struct line line = {.arguments = {"s3d", "-R"}, .count = 2};
    add_backup(&line, given, words[0]);
    add_option(&line, "-c", given->config);
    return become_s3d(&line, given->json);
}

enum ctl_exit run_backup_verify(const struct ctl_given *given, char **words)
{
    struct line line = {.arguments = {"s3d"}, .count = 1};
    add_backup(&line, given, words[0]);
    return become_s3d(&line, given->json);
}
