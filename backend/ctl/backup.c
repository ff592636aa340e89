/*
 * s3ctl backup create, journal: s3d hands the files out, and they are written
 * here, where whoever asked for them may write.
 */
#include "ctl/ctl.h"
#include "ctl/show.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WATCH_S 10 /* between two looks at the journal */
/* Of the head of a file: docs/disk-format.md, 'archive/'. */
#define HEAD_SIZE  128
#define STORE_AT   64
#define STORE_SIZE 16
#define NUMBER     16 /* digits of a commit in a name */

static char *path_in(const char *directory, const char *name)
{
    struct buffer path = {0};
    buffer_printf(&path, "%s/%s", directory, name);
    buffer_append(&path, "", 1);
    return (char *)path.data;
}

/* --- a file ----------------------------------------------------------------*/

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

/* What a command gives; *result is NULL, or to be freed. */
struct order {
    const char *socket, *command;
    const json_t *arguments;
    const char *directory;
    bool json, watch;
};

static void print_created(const struct order *order, const char *path,
                          json_t *result, off_t size)
{
    if (!order->json) {
        printf("%s: up to commit %lld, %lld bytes\n", path,
               show_number(result, "commit"), (long long)size);
        return;
    }
    json_object_set_new(result, "file", json_string(path));
    json_object_set_new(result, "size", json_integer((json_int_t)size));
    show_json(result, order->watch ? JSON_COMPACT : JSON_INDENT(2));
}

/* Nothing is new. */
static void print_nothing(const struct order *order, const json_t *result)
{
    if (order->json && !order->watch &&
        !json_is_true(json_object_get(result, "gone"))) {
        show_json(result, JSON_INDENT(2));
    }
}

static enum ctl_exit to_file(const struct order *order, FILE *file,
                             const char *temporary, json_t **result)
{
    const enum ctl_exit status = client_fetch(order->socket, order->command,
                                              order->arguments, file, result);
    if (status != CTL_OK) {
        return status;
    }
    if (!json_is_true(json_object_get(*result, "file"))) {
        print_nothing(order, *result);
        return status;
    }
    char *path = path_in(order->directory, show_text(*result, "name"));
    struct stat st = {0};
    const int error = publish(file, temporary, path, order->directory);
    if (error != 0) {
        fprintf(stderr, "s3ctl: %s: %s\n", path, strerror(-error));
    } else if (fstat(fileno(file), &st) == 0) {
        print_created(order, path, *result, st.st_size);
    }
    free(path);
    return error == 0 ? CTL_OK : CTL_REFUSED;
}

static enum ctl_exit to_directory(const struct order *order, json_t **result)
{
    char *temporary = path_in(order->directory, ".s3d-backup-XXXXXX");
    const int fd = mkstemp(temporary); /* 0600 */
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    enum ctl_exit status = CTL_REFUSED;
    if (file == NULL) {
        fprintf(stderr, "s3ctl: %s: %s\n", order->directory, strerror(errno));
    } else {
        status = to_file(order, file, temporary, result);
        fclose(file);
        unlink(temporary); /* unless it has its name */
    }
    free(temporary);
    return status;
}

static void print_refused(const json_t *result)
{
    if (show_text(result, "error")[0] != '\0') {
        show_error("%s", show_text(result, "error"));
    }
}

/* --- backup create ---------------------------------------------------------*/

static enum ctl_exit to_stdout(const struct order *order, json_t **result)
{
    if (isatty(STDOUT_FILENO)) {
        fprintf(stderr, "s3ctl: stdout is a terminal\n");
        return CTL_USAGE;
    }
    const enum ctl_exit status = client_fetch(order->socket, order->command,
                                              order->arguments, stdout, result);
    if (status == CTL_OK && fflush(stdout) != 0) {
        perror("s3ctl: stdout");
        return CTL_REFUSED;
    }
    return status;
}

enum ctl_exit run_backup_create(const struct ctl_given *given, char **words)
{
    json_t *arguments = json_object(), *result = NULL;
    const struct order order = {ctl_socket(given), "backup.create", arguments,
                                words[0],          given->json,     false};
    const enum ctl_exit status = strcmp(words[0], "-") == 0
                                     ? to_stdout(&order, &result)
                                     : to_directory(&order, &result);
    print_refused(result);
    json_decref(result);
    json_decref(arguments);
    return status;
}

/* --- backup journal --------------------------------------------------------*/

/* A file of the directory, and the last commit in it. */
struct end {
    char *path; /* NULL: there is none */
    uint64_t commit;
};

/* The number before the suffix of a name that is s3d's. */
static bool ends_with_number(const char *name, const char *suffix,
                             uint64_t *commit)
{
    const size_t size = strlen(name), tail = strlen(suffix);
    uint8_t number[NUMBER / 2];
    if (strncmp(name, "s3d-", 4) != 0 || size < 4 + NUMBER + tail ||
        strcmp(name + size - tail, suffix) != 0 ||
        hex_decode(number, slice_of(name + size - tail - NUMBER, NUMBER)) !=
            0) {
        return false;
    }
    *commit = get_u64be(number);
    return true;
}

static void find_end(const char *directory, const char *suffix, struct end *end)
{
    DIR *list = opendir(directory);
    const struct dirent *entry;
    uint64_t commit;
    while (list != NULL && (entry = readdir(list)) != NULL) {
        if (ends_with_number(entry->d_name, suffix, &commit) &&
            (end->path == NULL || commit > end->commit)) {
            free(end->path);
            end->path = path_in(directory, entry->d_name);
            end->commit = commit;
        }
    }
    if (list != NULL) {
        closedir(list);
    }
}

/* The store that a file is of, as hex digits. */
static bool read_store(const char *path, char store[2 * STORE_SIZE + 1])
{
    uint8_t head[HEAD_SIZE];
    FILE *file = fopen(path, "re");
    const bool read = file != NULL &&
                      fread(head, 1, sizeof(head), file) == sizeof(head) &&
                      memcmp(head, "S3DARCHV", 8) == 0;
    if (file != NULL) {
        fclose(file);
    }
    if (!read) {
        fprintf(stderr, "s3ctl: %s: it is no file of a backup\n", path);
        return false;
    }
    hex_encode(store, head + STORE_AT, STORE_SIZE);
    return true;
}

/* What comes after that file. *gone: it is not in the journal any more. */
static enum ctl_exit pull_after(struct order *order, const struct end *end,
                                bool *gone)
{
    char store[2 * STORE_SIZE + 1];
    json_t *result = NULL;
    if (!read_store(end->path, store)) {
        return CTL_REFUSED;
    }
    json_t *arguments = json_pack("{s:s,s:I}", "store", store, "after",
                                  (json_int_t)end->commit);
    order->arguments = arguments;
    const enum ctl_exit status = to_directory(order, &result);
    *gone = json_is_true(json_object_get(result, "gone"));
    if (!*gone) {
        print_refused(result);
    }
    json_decref(result);
    json_decref(arguments);
    return status;
}

/* From the end of the journal there, or if that is too long ago from the newest
 * backup, which begins a new piece of history. */
static enum ctl_exit pull(struct order *order)
{
    struct end piece = {0}, backup = {0};
    enum ctl_exit status = CTL_REFUSED;
    bool gone = true;
    find_end(order->directory, ".journal", &piece);
    find_end(order->directory, ".backup", &backup);
    if (backup.path == NULL) {
        fprintf(stderr, "s3ctl: %s: it holds no backup to go on from\n",
                order->directory);
        gone = false;
    } else if (piece.path != NULL) {
        status = pull_after(order, &piece, &gone);
    }
    if (gone && (piece.path == NULL || backup.commit > piece.commit)) {
        status = pull_after(order, &backup, &gone);
    }
    if (gone) {
        fprintf(stderr, "s3ctl: what follows is not in the journal any more: "
                        "make a new backup\n");
    }
    free(piece.path);
    free(backup.path);
    return status;
}

enum ctl_exit run_backup_journal(const struct ctl_given *given, char **words)
{
    const bool watch = (given->options & CTL_WATCH) != 0;
    struct order order = {ctl_socket(given), "backup.journal", NULL,
                          words[0],          given->json,      watch};
    enum ctl_exit status = pull(&order);
    while (watch && status == CTL_OK) {
        fflush(stdout);
        sleep(WATCH_S);
        status = pull(&order);
    }
    return status;
}
