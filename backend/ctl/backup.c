/*
 * s3ctl backup create: s3d hands the file out, and it is written here, where
 * whoever asked for it may write.
 */
#include "ctl/ctl.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char *path_in(const char *directory, const char *name)
{
    struct buffer path = {0};
    buffer_printf(&path, "%s/%s", directory, name);
    buffer_append(&path, "", 1);
    return (char *)path.data;
}

/* "s3d-20250102T030405Z-0000000000001234.backup": of the moment and commit. */
static char *path_for(const char *directory, const json_t *result)
{
    const time_t at =
        (time_t)(json_integer_value(json_object_get(result, "created_ms")) /
                 1000);
    struct tm utc;
    char moment[32], name[80];
    gmtime_r(&at, &utc);
    strftime(moment, sizeof(moment), "%Y%m%dT%H%M%SZ", &utc);
    snprintf(name, sizeof(name), "s3d-%s-%016llx.backup", moment,
             (unsigned long long)json_integer_value(
                 json_object_get(result, "commit")));
    return path_in(directory, name);
}

static int sync_directory(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    const int error = fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    return error;
}

/* Durable under its name, or not there under it. */
static int publish(FILE *file, const char *temporary, const char *path,
                   const char *directory)
{
    if (fflush(file) != 0 || fsync(fileno(file)) != 0 ||
        rename(temporary, path) != 0) {
        return -errno;
    }
    return sync_directory(directory);
}

static void print_created(const char *path, const json_t *result, off_t size,
                          bool json)
{
    const json_int_t commit =
        json_integer_value(json_object_get(result, "commit"));
    if (!json) {
        printf("%s: commit %lld, %lld bytes\n", path, (long long)commit,
               (long long)size);
        return;
    }
    json_t *object = json_pack("{s:s,s:I,s:I}", "file", path, "commit", commit,
                               "size", (json_int_t)size);
    json_object_update((json_t *)object, (json_t *)result);
    json_dumpf(object, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(object);
}

static enum ctl_exit fetch(const char *socket, FILE *file, json_t **result)
{
    json_t *arguments = json_object();
    const enum ctl_exit status =
        client_fetch(socket, "backup.create", arguments, file, result);
    const char *why = json_string_value(json_object_get(*result, "error"));
    if (status == CTL_REFUSED && why != NULL) {
        fprintf(stderr, "s3ctl: %s\n", why);
    }
    json_decref(arguments);
    return status;
}

static enum ctl_exit to_directory(const char *socket, const char *directory,
                                  FILE *file, const char *temporary, bool json)
{
    json_t *result = NULL;
    enum ctl_exit status = fetch(socket, file, &result);
    if (status == CTL_OK) {
        char *path = path_for(directory, result);
        const int error = publish(file, temporary, path, directory);
        struct stat st = {0};
        if (error != 0) {
            fprintf(stderr, "s3ctl: %s: %s\n", path, strerror(-error));
            status = CTL_REFUSED;
        } else if (fstat(fileno(file), &st) == 0) {
            print_created(path, result, st.st_size, json);
        }
        free(path);
    }
    json_decref(result);
    return status;
}

static enum ctl_exit to_stdout(const char *socket)
{
    json_t *result = NULL;
    if (isatty(STDOUT_FILENO)) {
        fprintf(stderr, "s3ctl: stdout is a terminal\n");
        return CTL_USAGE;
    }
    enum ctl_exit status = fetch(socket, stdout, &result);
    if (status == CTL_OK && fflush(stdout) != 0) {
        perror("s3ctl: stdout");
        status = CTL_REFUSED;
    }
    json_decref(result);
    return status;
}

enum ctl_exit run_backup_create(const struct ctl_given *given, char **words)
{
    const char *where = words[0], *socket = ctl_socket(given);
    if (strcmp(where, "-") == 0) {
        return to_stdout(socket);
    }
    char *temporary = path_in(where, ".s3d-backup-XXXXXX");
    const int fd = mkstemp(temporary); /* 0600 */
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    enum ctl_exit status = CTL_REFUSED;
    if (file == NULL) {
        fprintf(stderr, "s3ctl: %s: %s\n", where, strerror(errno));
    } else {
        status = to_directory(socket, where, file, temporary, given->json);
        fclose(file);
        unlink(temporary); /* unless it has its name */
    }
    free(temporary);
    return status;
}
