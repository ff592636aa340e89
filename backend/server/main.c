/*
 * s3d: the command line.
 */
#include "server/server.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_CONFIG "/etc/s3d/s3d.conf"

static const char usage[] =
    "usage: s3d [-c FILE] [-t] [-L] [-R] [-B FILE] [-j] [-V]\n"
    "           [-h]\n"
    "Stores the objects of an nginx with ngx_http_s3_module. Runs in the\n"
    "foreground.\n"
    "  -c FILE  configuration (" DEFAULT_CONFIG ")\n"
    "  -t       test the configuration and exit\n"
    "  -L       start although half of the metadata's mirrors or more are "
    "lost:\n"
    "           what only they knew is gone\n"
    "  -R       make the metadata anew from the drives, and exit: `s3ctl "
    "rebuild`\n"
    "  -B FILE  check a backup, and exit: `s3ctl backup verify`; with -R: make "
    "the\n"
    "           metadata anew from it: `s3ctl restore`\n"
    "  -j       what -R and -B say is JSON\n"
    "  -V       show the version and exit\n"
    "  -h       show this and exit\n"
    "signals: TERM, INT  end the requests under way, then stop (again: now)\n"
    "         HUP        read the configuration again: what is marked "
    "[reload]\n"
    "         USR1       open the log files again\n"
    "exit: 0 stopped, 1 could not start or go on, 2 usage, 3 it is older than\n"
    "what is on the drives\n";

int main(int argc, char **argv)
{
    const char *path = DEFAULT_CONFIG, *backup = NULL;
    bool test = false, accept_lost = false, rebuild = false, json = false;
    int option;
    while ((option = getopt(argc, argv, "c:tLRB:jVh")) != -1) {
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case 't':
            test = true;
            break;
        case 'L':
            accept_lost = true;
            break;
        case 'R':
            rebuild = true;
            break;
        case 'B':
            backup = optarg;
            break;
        case 'j':
            json = true;
            break;
        case 'V':
            puts("s3d " S3D_VERSION);
            return 0;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind != argc) {
        fputs(usage, stderr);
        return 2;
    }

    if (backup != NULL && !rebuild) {
        return server_check_backup(backup, json);
    }
    struct server_config *config;
    struct buffer error = {0};
    if (config_load(path, &config, &error) != 0) {
        fprintf(stderr, "s3d: %.*s\n", (int)error.size,
                (const char *)error.data);
        buffer_free(&error);
        return 1;
    }
    buffer_free(&error);
    config->accept_lost_mirrors = accept_lost;
    if (!test && rebuild) {
        return server_rebuild(config, backup, json);
    }
    if (!test) {
        return server_run(config, path);
    }
    config_free(config);
    printf("s3d: %s is fine\n", path);
    return 0;
}
