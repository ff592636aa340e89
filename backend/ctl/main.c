/*
 * s3ctl: the command line.
 */
#include "ctl/ctl.h"
#include "ctl/show.h"
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (64u << 10) /* bytes of a policy */

/* Of the command that is meant, as far as that is known. */
static _Noreturn void exit_usage(int count, char **words)
{
    ctl_wrong(count, words);
    exit(CTL_USAGE);
}

/* Of a transfer behind options that are not every command's. */
static _Noreturn void exit_misplaced(const char *word)
{
    fprintf(stderr, "s3ctl: options of %s come after it: s3ctl %s --help\n",
            word, word);
    exit(CTL_USAGE);
}

const char *ctl_socket(const struct ctl_given *given)
{
    const char *environment = getenv(CTL_SOCKET_ENV);
    return given->socket != NULL                           ? given->socket
           : environment != NULL && environment[0] != '\0' ? environment
                                                           : CTL_SOCKET;
}

/* --- the command -----------------------------------------------------------*/
/* How many arguments the command's words are; 0: the arguments are others. */
static int match(const char *words, int count, char **arguments)
{
    int used = 0;
    while (*words != '\0') {
        const size_t size = strcspn(words, " ");
        if (used == count || strlen(arguments[used]) != size ||
            memcmp(arguments[used], words, size) != 0) {
            return 0;
        }
        used++;
        words += size;
        words += strspn(words, " ");
    }
    return used;
}

/* The command whose words begin the arguments; *used of them. */
static const struct ctl_command *find(int count, char **words, int *used)
{
    const struct ctl_command *command = ctl_commands;
    for (; command->words != NULL; command++) {
        *used = match(command->words, count, words);
        if (*used > 0) {
            return command;
        }
    }
    return NULL;
}

/* The whole of a small file. */
static json_t *read_file(const char *path)
{
    char *content = xmalloc(FILE_MAX);
    FILE *file = fopen(path, "re");
    const size_t size = file != NULL ? fread(content, 1, FILE_MAX, file) : 0;
    if (file == NULL || ferror(file)) {
        perror(path);
        exit(CTL_USAGE);
    }
    fclose(file);
    json_t *text = size < FILE_MAX ? json_stringn(content, size) : NULL;
    if (text == NULL) {
        fprintf(stderr, "s3ctl: %s: too large, or not UTF-8\n", path);
        exit(CTL_USAGE);
    }
    explicit_bzero(content, size);
    free(content);
    return text;
}

/* The first line of a file: a secret is no matter for a command line. */
static json_t *read_secret(const char *path)
{
    json_t *content = read_file(path);
    char *text = (char *)json_string_value(content);
    json_t *secret = json_stringn(text, strcspn(text, "\r\n"));
    explicit_bzero(text, json_string_length(content));
    json_decref(content);
    return secret;
}

static void set(json_t *arguments, const char *name, json_t *value)
{
    if (json_object_set_new(arguments, name, value) != 0) {
        fprintf(stderr, "s3ctl: %s: not UTF-8\n", name);
        exit(CTL_USAGE);
    }
}

static void set_options(json_t *arguments, const struct ctl_given *given)
{
    const char *const texts[][2] = {
        {"account", given->account},
        {"path", given->path},
        {"description", given->description},
        {"access_key", given->access_key},
        {"bucket", given->bucket},
        {"prefix", given->prefix},
        {"suffix", given->suffix},
        {"bytes", given->bytes},
        {"objects", given->objects},
        {"requests", given->requests},
        {"download", given->download},
        {"upload", given->upload},
        {"user", given->user},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i][1] != NULL) {
            set(arguments, texts[i][0], json_string(texts[i][1]));
        }
    }
    if ((given->options & CTL_OPERATOR) != 0) {
        set(arguments, "operator", json_true());
    }
    if ((given->options & CTL_YES) != 0) {
        set(arguments, "yes", json_true());
    }
    if ((given->options & CTL_FORCE) != 0) {
        set(arguments, "force", json_true());
    }
    if ((given->options & CTL_AGE) != 0) {
        set(arguments, "older_than_s",
            json_integer((json_int_t)given->older_than_s));
    }
    if ((given->options & CTL_DRY_RUN) != 0) {
        set(arguments, "dry_run", json_true());
    }
    if (given->secret_key_file != NULL) {
        set(arguments, "secret_key", read_secret(given->secret_key_file));
    }
    if (given->context != NULL) {
        set(arguments, "context", given->context); /* given away */
    }
    if (given->events != NULL) {
        set(arguments, "events", given->events); /* given away */
    }
    if (given->policy_file != NULL) {
        set(arguments, "document", read_file(given->policy_file));
    }
}

/* `words` are what follows the command's own: as many as it takes. */
static json_t *make_arguments(const struct ctl_command *command, int count,
                              char **words, const struct ctl_given *given)
{
    json_t *arguments = json_object();
    const struct ctl_argument *argument = command->arguments;
    for (; argument->name != NULL && count > 0; argument++) {
        set(arguments, argument->name,
            argument->file ? read_file(*words) : json_string(*words));
        words++;
        count--;
    }
    set_options(arguments, given);
    return arguments;
}

bool ctl_show(const json_t *result, enum ctl_exit status, bool json)
{
    if (json) {
        show_json(result, JSON_INDENT(2));
    }
    if (status == CTL_REFUSED) {
        const char *why = json_string_value(json_object_get(result, "error"));
        show_error("%s", why != NULL ? why : "refused");
    }
    return status == CTL_OK && !json;
}

static void print(const struct ctl_command *command, const json_t *result,
                  const char *argument, const struct ctl_given *given,
                  enum ctl_exit status)
{
    if (ctl_show(result, status, given->json)) {
        command->print(result, argument);
    }
}

/* Once, or with --watch every second until there is nothing more to see. */
static enum ctl_exit run(const struct ctl_command *command,
                         const json_t *arguments, const char *argument,
                         const struct ctl_given *given)
{
    const bool watch = (given->options & CTL_WATCH) != 0;
    enum ctl_exit status;
    bool done = true;
    do {
        json_t *result = NULL;
        if (!done) {
            sleep(1);
        }
        status =
            ask_on(ctl_socket(given), command->command, arguments, &result);
        if (status == CTL_OK && watch) {
            done = watch_heal(result, given->json);
        } else if (status != CTL_UNREACHABLE) {
            print(command, result, argument, given, status);
        }
        if (json_is_true(json_object_get(result, "problem"))) {
            status = CTL_PROBLEMS;
        }
        json_decref(result);
    } while (status == CTL_OK && !done);
    return status;
}

/* What comes is printed as it comes. */
static enum ctl_exit follow(const struct ctl_command *command,
                            const json_t *arguments,
                            const struct ctl_given *given)
{
    json_t *result = NULL;
    const enum ctl_exit status =
        client_follow(ctl_socket(given), command->command, arguments, &result);
    if (status == CTL_REFUSED) {
        print(command, result, "", given, status);
    }
    json_decref(result);
    return status;
}

/* A command of s3d's. */
static enum ctl_exit ask(const struct ctl_command *command, int count,
                         char **words, const struct ctl_given *given)
{
    const char *argument = count > 0 ? words[0] : "";
    json_t *arguments = make_arguments(command, count, words, given);
    const enum ctl_exit status = command->print != NULL
                                     ? run(command, arguments, argument, given)
                                     : follow(command, arguments, given);
    json_decref(arguments);
    return status;
}

/* As many words as the command takes. */
static bool arguments_fit(const struct ctl_command *command, int count)
{
    int least = 0, most = 0;
    for (; command->arguments[most].name != NULL; most++) {
        least += command->arguments[most].shown[0] != '[';
    }
    return count >= least && count <= most;
}

static const struct ctl_program *find_program(const char *words)
{
    const struct ctl_program *program = ctl_programs;
    while (strcmp(program->words, words) != 0) {
        program++;
    }
    return program;
}

static enum ctl_exit run_command(int argc, char **argv)
{
    struct ctl_given given = {0};
    int used = 0;
    const bool parsed = ctl_options_parse(argc, argv, &given);
    char **words = argv + optind;
    const int count = argc - optind;
    if (count > 0 && is_transfer(words[0])) {
        exit_misplaced(words[0]);
    }
    if (!parsed) {
        exit_usage(count, words);
    }
    if (given.help) {
        ctl_help(stdout, count, words);
        return CTL_OK;
    }
    const struct ctl_command *command = find(count, words, &used);
    if (command == NULL || !ctl_options_fit(command->options, &given) ||
        !arguments_fit(command, count - used)) {
        exit_usage(count, words);
    }
    return command->command != NULL
               ? ask(command, count - used, words + used, &given)
               : find_program(command->words)->run(&given, words + used);
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "C.UTF-8"); /* how wide characters are */
    struct ctl_given before = {0};
    const int first = ctl_options_before(argc, argv, &before);
    const enum ctl_exit status =
        first < argc && is_transfer(argv[first])
            ? run_transfer(&before, argc - first, argv + first)
            : run_command(argc, argv);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        show_error("stdout: %s", strerror(errno));
        return status == CTL_OK ? CTL_REFUSED : status;
    }
    return status;
}
