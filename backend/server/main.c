/*
 * s3d: the command line.
 */
#include "archive/backup.h"
#include "server/server.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DEFAULT_CONFIG "/etc/s3d/s3d.conf"

static const char usage[] =
    "usage: s3d [-c FILE] [-t] [-L] [-R] [-B FILE [-J DIR] [-U POINT]] [-j]\n"
    "           [-V] [-h]\n"
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
    "  -J DIR   and the files of the journal there that follow it\n"
    "  -U POINT up to this commit, or moment: 2025-01-02T03:04:05Z\n"
    "  -j       what -R and -B say is JSON\n"
    "  -V       show the version and exit\n"
    "  -h       show this and exit\n"
    "signals: TERM, INT  end the requests under way, then stop (again: now)\n"
    "         HUP        read the configuration again: what is marked "
    "[reload]\n"
    "         USR1       open the log files again\n"
    "exit: 0 stopped, 1 could not start or go on, 2 usage, 3 it is older than\n"
    "what is on the drives\n";

struct options {
    const char *config;
    struct backup_source backup; /* file NULL: none */
    bool test, accept_lost, rebuild, json;
};

static _Noreturn void exit_usage(void)
{
    fputs(usage, stderr);
    exit(2);
}

/* A number is a commit, anything else a moment: 2025-01-02T03:04:05Z. */
static void take_point(struct backup_source *backup, const char *text)
{
    struct tm utc = {0};
    const char *end;
    if (slice_to_u64(slice_from_string(text), &backup->until_commit) == 0 &&
        backup->until_commit > 0) {
        return;
    }
    backup->until_commit = 0;
    end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    if (end == NULL || *end != '\0' || timegm(&utc) <= 0) {
        exit_usage();
    }
    backup->until_s = (uint64_t)timegm(&utc);
}

static void take_option(struct options *options, int option)
{
    switch (option) {
    case 'c':
        options->config = optarg;
        break;
    case 't':
        options->test = true;
        break;
    case 'L':
        options->accept_lost = true;
        break;
    case 'R':
        options->rebuild = true;
        break;
    case 'B':
        options->backup.file = optarg;
        break;
    case 'J':
        options->backup.journal = optarg;
        break;
    case 'U':
        take_point(&options->backup, optarg);
        break;
    case 'j':
        options->json = true;
        break;
    case 'V':
        puts("s3d " S3D_VERSION);
        exit(0);
    case 'h':
        fputs(usage, stdout);
        exit(0);
    default:
        exit_usage();
    }
}

static int run(const struct options *options)
{
    const struct backup_source *backup =
        options->backup.file != NULL ? &options->backup : NULL;
    struct server_config *config;
    struct buffer error = {0};
    if (backup != NULL && !options->rebuild) {
        return server_check_backup(backup, options->json);
    }
    if (config_load(options->config, &config, &error) != 0) {
        fprintf(stderr, "s3d: %.*s\n", (int)error.size,
                (const char *)error.data);
        buffer_free(&error);
        return 1;
    }
    buffer_free(&error);
    config->accept_lost_mirrors = options->accept_lost;
    if (!options->test && options->rebuild) {
        return server_rebuild(config, backup, options->json);
    }
    if (!options->test) {
        return server_run(config, options->config);
    }
    config_free(config);
    printf("s3d: %s is fine\n", options->config);
    return 0;
}

int main(int argc, char **argv)
{
    struct options options = {.config = DEFAULT_CONFIG};
    int option;
    while ((option = getopt(argc, argv, "c:tLRB:J:U:jVh")) != -1) {
        take_option(&options, option);
    }
    if (optind != argc) {
        exit_usage();
    }
    return run(&options);
}
