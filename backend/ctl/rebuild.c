/* s3ctl rebuild: s3d does it, while it does not serve. */
#include "ctl/ctl.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The s3d that lies beside this program; returns if there is none. */
static void become_neighbour(const char *const arguments[])
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
        execv(path, (char *const *)arguments);
    }
}

enum ctl_exit run_rebuild(const char *config, bool json)
{
    const char *arguments[6] = {"s3d", "-R"};
    unsigned count = 2;
    if (json) {
        arguments[count++] = "-j";
    }
    if (config != NULL) {
        arguments[count++] = "-c";
        arguments[count++] = config;
    }
    become_neighbour(arguments);
    execvp("s3d", (char *const *)arguments);
    fprintf(stderr, "s3ctl: s3d: %s\n", strerror(errno));
    return CTL_UNREACHABLE;
}
