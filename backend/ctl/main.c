/*
 * s3ctl: the command line.
 */
#include "ctl/ctl.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (64u << 10) /* bytes of a policy */

struct options {
    const char *socket;
    const char *account, *path, *description, *policy_file;
    const char *access_key, *secret_key_file;
    const char *bucket, *prefix, *suffix;
    const char *config; /* of s3d; NULL: not given */
    json_t *events;     /* NULL: none */
    json_t *context;    /* NULL: none */
    unsigned given;     /* OR of enum ctl_option */
    bool json;
};

/* --- usage -----------------------------------------------------------------*/
static const char usage_options[] =
    "\n"
    "  --account NAME           of another account than the operator's\n"
    "  --operator               account add: may do everything everywhere\n"
    "  --access-key KEY --secret-key-file FILE   instead of made-up ones\n"
    "  --secret-key-file FILE   key rotate: instead of a made-up one\n"
    "  --path /PATH/            of a user, group, role or policy\n"
    "  --description TEXT       of a role, policy or service account\n"
    "  --yes                    drive replace, drive remove, backup accept: "
    "do it\n"
    "  --force                  drive remove: what is on it counts as lost\n"
    "  --context KEY=VALUE      policy simulate: of a condition, repeatable\n"
    "  --policy-file FILE       service-account add: narrows what it may\n"
    "  --bucket NAME --prefix TEXT --suffix TEXT --event TYPE\n"
    "                           events tail: only these; TYPE is such as\n"
    "                           s3:ObjectCreated:*, repeatable\n"
    "  --watch                  heal: until nothing is left to be healed\n"
    "  --test                   purge: only read the configuration\n"
    "  --status                 purge: what its edges have confirmed\n"
    "\n"
    "  -c FILE                  rebuild, restore: s3d's configuration; purge: "
    "its own\n"
    "  -s, --socket SOCKET      s3d's admin socket ($" CTL_SOCKET_ENV ", or\n"
    "                           " CTL_SOCKET ")\n"
    "      --json               the result as JSON\n"
    "  -h, --help               show this\n"
    "exit: 0 done, 1 refused, 2 usage, 3 no answer, 4 some files not moved\n";

static void print_usage(FILE *out)
{
    fputs("usage: s3ctl [-s SOCKET] [--json] COMMAND\n", out);
    for (const struct ctl_command *command = ctl_commands;
         command->words != NULL; command++) {
        int width = fprintf(out, "  %s", command->words);
        for (const struct ctl_argument *argument = command->arguments;
             argument->name != NULL; argument++) {
            width += fprintf(out, " %s", argument->shown);
        }
        fprintf(out, "%*s%s\n", width < 42 ? 42 - width : 1, "", command->help);
    }
    fputs("  rebuild [-c FILE]                       make the metadata anew "
          "from the drives,\n"
          "                                          when all of their mirrors "
          "are lost; s3d must\n"
          "                                          not run\n"
          "  backup create DIR                       the metadata as they are "
          "now, in a file;\n"
          "                                          DIR -: on stdout\n"
          "  backup verify FILE                      whether it is whole, and "
          "of what\n"
          "  restore [-c FILE] FILE                  make the metadata anew "
          "from a backup and\n"
          "                                          the drives; s3d must not "
          "run\n"
          "  import DIR s3://BUCKET[/PREFIX]         files become objects "
          "(import --help)\n"
          "  export s3://BUCKET[/PREFIX] DIR         and back\n"
          "  migrate s3://BUCKET s3://BUCKET         from any endpoint to any "
          "other\n"
          "  purge [-c FILE]                         tell caches what has "
          "changed, until a\n"
          "                                          signal: docs/purge.md\n",
          out);
    fputs(usage_options, out);
}

static _Noreturn void exit_usage(void)
{
    print_usage(stderr);
    exit(CTL_USAGE);
}

/* --- options ---------------------------------------------------------------*/
enum {
    OPTION_JSON = 256,
    OPTION_ACCOUNT,
    OPTION_OPERATOR,
    OPTION_ACCESS_KEY,
    OPTION_SECRET_KEY,
    OPTION_PATH,
    OPTION_DESCRIPTION,
    OPTION_POLICY,
    OPTION_CONTEXT,
    OPTION_WATCH,
    OPTION_YES,
    OPTION_FORCE,
    OPTION_BUCKET,
    OPTION_PREFIX,
    OPTION_SUFFIX,
    OPTION_EVENT,
    OPTION_STATUS,
    OPTION_TEST,
};

static const struct option long_options[] = {
    {"socket", required_argument, NULL, 's'},
    {"help", no_argument, NULL, 'h'},
    {"json", no_argument, NULL, OPTION_JSON},
    {"account", required_argument, NULL, OPTION_ACCOUNT},
    {"operator", no_argument, NULL, OPTION_OPERATOR},
    {"access-key", required_argument, NULL, OPTION_ACCESS_KEY},
    {"secret-key-file", required_argument, NULL, OPTION_SECRET_KEY},
    {"path", required_argument, NULL, OPTION_PATH},
    {"description", required_argument, NULL, OPTION_DESCRIPTION},
    {"policy-file", required_argument, NULL, OPTION_POLICY},
    {"watch", no_argument, NULL, OPTION_WATCH},
    {"context", required_argument, NULL, OPTION_CONTEXT},
    {"yes", no_argument, NULL, OPTION_YES},
    {"force", no_argument, NULL, OPTION_FORCE},
    {"bucket", required_argument, NULL, OPTION_BUCKET},
    {"prefix", required_argument, NULL, OPTION_PREFIX},
    {"suffix", required_argument, NULL, OPTION_SUFFIX},
    {"event", required_argument, NULL, OPTION_EVENT},
    {"status", no_argument, NULL, OPTION_STATUS},
    {"test", no_argument, NULL, OPTION_TEST},
    {NULL, 0, NULL, 0},
};

static void give(struct options *options, enum ctl_option option,
                 const char **value)
{
    options->given |= option;
    *value = optarg;
}

/* KEY=VALUE */
static void take_context(struct options *options)
{
    const char *equals = strchr(optarg, '=');
    if (equals == NULL || equals == optarg) {
        exit_usage();
    }
    char *key = strndup(optarg, (size_t)(equals - optarg));
    if (options->context == NULL) {
        options->context = json_object();
    }
    if (key == NULL || json_object_set_new(options->context, key,
                                           json_string(equals + 1)) != 0) {
        exit_usage();
    }
    free(key);
    options->given |= CTL_CONTEXT;
}

static void take_event(struct options *options)
{
    if (options->events == NULL) {
        options->events = json_array();
    }
    if (json_array_append_new(options->events, json_string(optarg)) != 0) {
        exit_usage();
    }
    options->given |= CTL_FILTER;
}

/* Options of events tail. */
static void take_filter(struct options *options, int option)
{
    switch (option) {
    case OPTION_BUCKET:
        give(options, CTL_FILTER, &options->bucket);
        break;
    case OPTION_PREFIX:
        give(options, CTL_FILTER, &options->prefix);
        break;
    case OPTION_SUFFIX:
        give(options, CTL_FILTER, &options->suffix);
        break;
    case OPTION_EVENT:
        take_event(options);
        break;
    default:
        exit_usage();
    }
}

static void take_option(struct options *options, int option)
{
    switch (option) {
    case 's':
        options->socket = optarg;
        break;
    case 'c':
        options->config = optarg;
        break;
    case 'h':
        print_usage(stdout);
        exit(CTL_OK);
    case OPTION_JSON:
        options->json = true;
        break;
    case OPTION_ACCOUNT:
        give(options, CTL_ACCOUNT, &options->account);
        break;
    case OPTION_OPERATOR:
        options->given |= CTL_OPERATOR;
        break;
    case OPTION_ACCESS_KEY:
        give(options, CTL_KEYS, &options->access_key);
        break;
    case OPTION_SECRET_KEY:
        give(options, CTL_SECRET, &options->secret_key_file);
        break;
    case OPTION_PATH:
        give(options, CTL_PATH, &options->path);
        break;
    case OPTION_DESCRIPTION:
        give(options, CTL_DESCRIPTION, &options->description);
        break;
    case OPTION_WATCH:
        options->given |= CTL_WATCH;
        break;
    case OPTION_POLICY:
        give(options, CTL_POLICY, &options->policy_file);
        break;
    case OPTION_YES:
        options->given |= CTL_YES;
        break;
    case OPTION_FORCE:
        options->given |= CTL_FORCE;
        break;
    case OPTION_STATUS:
        options->given |= CTL_STATUS;
        break;
    case OPTION_TEST:
        options->given |= CTL_TEST;
        break;
    case OPTION_CONTEXT:
        take_context(options);
        break;
    default:
        take_filter(options, option);
    }
}

static void parse_options(int argc, char **argv, struct options *options)
{
    const char *environment = getenv(CTL_SOCKET_ENV);
    int option;
    options->socket = environment != NULL && environment[0] != '\0'
                          ? environment
                          : CTL_SOCKET;
    while ((option = getopt_long(argc, argv, "s:c:h", long_options, NULL)) !=
           -1) {
        take_option(options, option);
    }
}

/* A key that is given has a secret; a secret alone is for who may have it. */
static bool options_fit(const struct ctl_command *command,
                        const struct options *options)
{
    unsigned given = options->given;
    if ((given & CTL_KEYS) != 0) {
        if ((given & CTL_SECRET) == 0) {
            return false;
        }
        given &= ~(unsigned)CTL_SECRET;
    }
    return (given & ~command->options) == 0;
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
        exit_usage(); /* not UTF-8 */
    }
}

static void set_options(json_t *arguments, const struct options *options)
{
    const char *const texts[][2] = {
        {"account", options->account},
        {"path", options->path},
        {"description", options->description},
        {"access_key", options->access_key},
        {"bucket", options->bucket},
        {"prefix", options->prefix},
        {"suffix", options->suffix},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i][1] != NULL) {
            set(arguments, texts[i][0], json_string(texts[i][1]));
        }
    }
    if ((options->given & CTL_OPERATOR) != 0) {
        set(arguments, "operator", json_true());
    }
    if ((options->given & CTL_YES) != 0) {
        set(arguments, "yes", json_true());
    }
    if ((options->given & CTL_FORCE) != 0) {
        set(arguments, "force", json_true());
    }
    if (options->secret_key_file != NULL) {
        set(arguments, "secret_key", read_secret(options->secret_key_file));
    }
    if (options->context != NULL) {
        set(arguments, "context", options->context); /* given away */
    }
    if (options->events != NULL) {
        set(arguments, "events", options->events); /* given away */
    }
    if (options->policy_file != NULL) {
        set(arguments, "document", read_file(options->policy_file));
    }
}

/* `words` are what follows the command's own. */
static json_t *make_arguments(const struct ctl_command *command, int count,
                              char **words, const struct options *options)
{
    json_t *arguments = json_object();
    const struct ctl_argument *argument = command->arguments;
    for (; argument->name != NULL; argument++) {
        if (count == 0 && argument->shown[0] == '[') {
            continue;
        }
        if (count == 0) {
            exit_usage();
        }
        set(arguments, argument->name,
            argument->file ? read_file(*words) : json_string(*words));
        words++;
        count--;
    }
    if (count > 0) {
        exit_usage();
    }
    set_options(arguments, options);
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

/* Once, or with --watch every second until there is nothing more to see. */
static enum ctl_exit run(const struct ctl_command *command,
                         const json_t *arguments, const char *argument,
                         const struct options *options)
{
    const bool watch = (options->given & CTL_WATCH) != 0;
    enum ctl_exit status;
    bool done = true;
    do {
        json_t *result = NULL;
        if (!done) {
            sleep(1);
        }
        status =
            client_ask(options->socket, command->command, arguments, &result);
        if (status == CTL_OK && watch) {
            done = watch_heal(result);
        } else if (status != CTL_UNREACHABLE) {
            print(command, result, argument, options, status);
        }
        json_decref(result);
    } while (status == CTL_OK && !done);
    return status;
}

/* What comes is printed as it comes. */
static enum ctl_exit follow(const struct ctl_command *command,
                            const json_t *arguments,
                            const struct options *options)
{
    json_t *result = NULL;
    const enum ctl_exit status =
        client_follow(options->socket, command->command, arguments, &result);
    if (status == CTL_REFUSED) {
        print(command, result, "", options, status);
    }
    json_decref(result);
    return status;
}

/* False: it is another command. */
static bool is_alone(const char *command, int count, char **words)
{
    return count == 1 && strcmp(words[0], command) == 0;
}

/* The one word that follows the command; NULL: it is another one. */
static const char *argument_of(const char *command, int count, char **words)
{
    int used = match(command, count, words);
    return used > 0 && count == used + 1 ? words[used] : NULL;
}

/* Backups, and what is made of them. False: it is another command. */
static bool run_backup(const struct options *options, int count, char **words,
                       enum ctl_exit *status)
{
    const char *where = argument_of("backup create", count, words);
    const char *verified = argument_of("backup verify", count, words);
    const char *restored = argument_of("restore", count, words);
    if (options->given != 0 || (options->config != NULL && restored == NULL)) {
        return false;
    }
    if (where != NULL) {
        *status = run_backup_create(options->socket, where, options->json);
    } else if (verified != NULL) {
        *status = run_backup_verify(verified, options->json);
    } else if (restored != NULL) {
        *status = run_restore(options->config, restored, options->json);
    } else {
        return false;
    }
    return true;
}

static enum ctl_exit purge(const struct options *options)
{
    switch (options->given) {
    case 0:
        return run_purge(options->config, CTL_PURGE_RUN, options->json);
    case CTL_TEST:
        return run_purge(options->config, CTL_PURGE_TEST, options->json);
    case CTL_STATUS:
        return run_purge(options->config, CTL_PURGE_STATUS, options->json);
    default:
        exit_usage();
    }
}

int main(int argc, char **argv)
{
    struct options options = {0};
    int used = 0;
    if (argc > 1 && is_transfer(argv[1])) {
        return run_transfer(argc - 1, argv + 1);
    }
    parse_options(argc, argv, &options);
    char **words = argv + optind;
    const int count = argc - optind;
    if (is_alone("rebuild", count, words) && options.given == 0) {
        return run_rebuild(options.config, options.json);
    }
    if (is_alone("purge", count, words)) {
        return purge(&options);
    }
    enum ctl_exit done;
    if (run_backup(&options, count, words, &done)) {
        return done;
    }
    const struct ctl_command *command = find(count, words, &used);
    if (command == NULL || options.config != NULL ||
        !options_fit(command, &options)) {
        exit_usage();
    }

    const char *argument = count > used ? words[used] : "";
    json_t *arguments =
        make_arguments(command, count - used, words + used, &options);
    const enum ctl_exit status =
        command->print != NULL ? run(command, arguments, argument, &options)
                               : follow(command, arguments, &options);
    json_decref(arguments);
    return status;
}
