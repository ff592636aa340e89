/*
 * s3ctl: the command line.
 */
#include "ctl/ctl.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    const char *socket;
    const char *access_key;
    const char *secret_key_file;
    bool root;
    bool json;
};

static const char usage[] =
    "usage: s3ctl [-s SOCKET] [--json] COMMAND\n"
    "  user add NAME [--root]   a new user with an access key; --root: may do\n"
    "                           everything\n"
    "       [--access-key KEY --secret-key-file FILE]  instead of made-up "
    "ones\n"
    "  user list                users and their access keys\n"
    "  user delete NAME         a user and all its access keys\n"
    "  key add USER             one more access key\n"
    "  key delete KEY           works no more, at once\n"
    "  key disable KEY\n"
    "  key enable KEY\n"
    "  kms key list             the keyring's master keys\n"
    "  kms key add KEY          one more, for SSE-KMS\n"
    "  kms key rotate KEY       a new version wraps from now on; KEY may be\n"
    "                           SSE-S3, the key of SSE-S3\n"
    "  kms key disable KEY      neither encrypts nor decrypts\n"
    "  kms key enable KEY\n"
    "  status                   drives, connections, requests\n"
    "\n"
    "  -s, --socket SOCKET      s3d's admin socket ($" CTL_SOCKET_ENV ", or\n"
    "                           " CTL_SOCKET ")\n"
    "      --json               the result as JSON\n"
    "  -h, --help               show this\n"
    "exit: 0 done, 1 refused, 2 usage, 3 s3d does not answer\n";

enum { OPTION_JSON = 256, OPTION_ROOT, OPTION_ACCESS_KEY, OPTION_SECRET_KEY };

static const struct option long_options[] = {
    {"socket", required_argument, NULL, 's'},
    {"help", no_argument, NULL, 'h'},
    {"json", no_argument, NULL, OPTION_JSON},
    {"root", no_argument, NULL, OPTION_ROOT},
    {"access-key", required_argument, NULL, OPTION_ACCESS_KEY},
    {"secret-key-file", required_argument, NULL, OPTION_SECRET_KEY},
    {NULL, 0, NULL, 0},
};

static _Noreturn void exit_usage(void)
{
    fputs(usage, stderr);
    exit(CTL_USAGE);
}

static void parse_options(int argc, char **argv, struct options *options)
{
    const char *environment = getenv(CTL_SOCKET_ENV);
    int option;
    options->socket = environment != NULL && environment[0] != '\0'
                          ? environment
                          : CTL_SOCKET;
    while ((option = getopt_long(argc, argv, "s:h", long_options, NULL)) !=
           -1) {
        switch (option) {
        case 's':
            options->socket = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(CTL_OK);
        case OPTION_JSON:
            options->json = true;
            break;
        case OPTION_ROOT:
            options->root = true;
            break;
        case OPTION_ACCESS_KEY:
            options->access_key = optarg;
            break;
        case OPTION_SECRET_KEY:
            options->secret_key_file = optarg;
            break;
        default:
            exit_usage();
        }
    }
}

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

/* The first line of a file: a secret is no matter for a command line. */
static bool read_secret(const char *path, char secret[256])
{
    FILE *file = fopen(path, "re");
    if (file == NULL || fgets(secret, 256, file) == NULL) {
        perror(path);
        if (file != NULL) {
            fclose(file);
        }
        return false;
    }
    fclose(file);
    secret[strcspn(secret, "\r\n")] = '\0';
    return true;
}

static json_t *make_arguments(const struct ctl_command *command,
                              const char *argument,
                              const struct options *options)
{
    json_t *arguments = json_object();
    char secret[256];
    if (command->argument != NULL &&
        json_object_set_new(arguments, command->argument,
                            json_string(argument)) != 0) {
        exit_usage(); /* not UTF-8 */
    }
    if (options->root) {
        json_object_set_new(arguments, "root", json_true());
    }
    if (options->access_key != NULL) {
        json_object_set_new(arguments, "access_key",
                            json_string(options->access_key));
    }
    if (options->secret_key_file != NULL) {
        if (!read_secret(options->secret_key_file, secret)) {
            exit(CTL_USAGE);
        }
        json_object_set_new(arguments, "secret_key", json_string(secret));
        explicit_bzero(secret, sizeof(secret));
    }
    return arguments;
}

static void print(const struct ctl_command *command, const json_t *result,
                  const char *argument, const struct options *options,
                  enum ctl_exit status)
{
    if (options->json) {
        json_dumpf(result, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (status == CTL_OK) {
        command->print(result, argument);
    }
    if (status == CTL_REFUSED) {
        const char *why = json_string_value(json_object_get(result, "error"));
        fprintf(stderr, "s3ctl: %s\n", why != NULL ? why : "refused");
    }
}

int main(int argc, char **argv)
{
    struct options options = {0};
    int used = 0;
    parse_options(argc, argv, &options);
    char **words = argv + optind;
    const int count = argc - optind;
    const struct ctl_command *command = find(count, words, &used);
    const bool user_flags = options.root || options.access_key != NULL ||
                            options.secret_key_file != NULL;
    if (command == NULL ||
        count != used + (command->argument != NULL ? 1 : 0) ||
        (user_flags && !command->takes_user_flags) ||
        (options.access_key == NULL) != (options.secret_key_file == NULL)) {
        exit_usage();
    }

    const char *argument = count > used ? words[used] : "";
    json_t *arguments = make_arguments(command, argument, &options);
    json_t *result = NULL;
    const enum ctl_exit status =
        client_ask(options.socket, command->command, arguments, &result);
    if (status != CTL_UNREACHABLE) {
        print(command, result, argument, &options, status);
    }
    json_decref(result);
    json_decref(arguments);
    return status;
}
