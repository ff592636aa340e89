/*
 * Private to ctl/: the options of the command line. One table is what is
 * parsed, what --help shows and what a shell completes.
 */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include "base/base.h"
#include <jansson.h>

/* Which commands take which. */
enum ctl_option {
    CTL_ACCOUNT = 1 << 0,
    CTL_OPERATOR = 1 << 1,
    CTL_KEYS = 1 << 2,   /* --access-key, with --secret-key-file */
    CTL_SECRET = 1 << 3, /* --secret-key-file */
    CTL_PATH = 1 << 4,
    CTL_DESCRIPTION = 1 << 5,
    CTL_POLICY = 1 << 6,  /* --policy-file */
    CTL_CONTEXT = 1 << 7, /* --context, any number of them */
    CTL_WATCH = 1 << 8,   /* --watch, of healing and backups */
    CTL_YES = 1 << 9,
    CTL_FORCE = 1 << 10,
    CTL_BUCKET = 1 << 11,   /* --bucket */
    CTL_STATUS = 1 << 12,   /* --status, of purge */
    CTL_TEST = 1 << 13,     /* --test, of purge */
    CTL_EVENT = 1 << 14,    /* --suffix, --event */
    CTL_CONFIG = 1 << 15,   /* -c */
    CTL_NGINX = 1 << 16,    /* --nginx-conf */
    CTL_LIMITS = 1 << 17,   /* of quota set: --bytes and the others */
    CTL_POINT = 1 << 18,    /* --journal, --until, of backups */
    CTL_FOLLOW = 1 << 19,   /* --follow, of traces */
    CTL_ONCE = 1 << 20,     /* --once, of top */
    CTL_USER = 1 << 21,     /* --user, of quotas */
    CTL_AGE = 1 << 22,      /* --older-than, of uploads */
    CTL_DRY_RUN = 1 << 23,  /* --dry-run */
    CTL_ENDPOINT = 1 << 24, /* --endpoint and what belongs to it */
    CTL_BENCH = 1 << 25,    /* --size, --duration, --count */
    CTL_AGED = 1 << 26,     /* of a command: not without --older-than */
    CTL_PREFIX = 1 << 27,   /* --prefix */
    CTL_FILTER = CTL_BUCKET | CTL_PREFIX,
};

#define CTL_SIZES_MAX 8

/* What was given. */
struct ctl_given {
    const char *socket; /* NULL: not given */
    const char *config, *nginx_conf;
    const char *journal, *until;
    const char *account, *path, *description, *policy_file;
    const char *access_key, *secret_key_file;
    const char *bucket, *prefix, *suffix;
    const char *user;
    const char *bytes, *objects, *requests, *download, *upload;
    const char *endpoint, *profile, *region, *ca_file, *concurrency;
    const char *duration, *count;
    uint64_t sizes[CTL_SIZES_MAX]; /* bytes */
    unsigned size_count;
    uint64_t older_than_s;
    json_t *events;   /* NULL: none */
    json_t *context;  /* NULL: none */
    unsigned options; /* OR of enum ctl_option */
    bool json, help;
};

struct ctl_option_row {
    const char *name;
    char letter;       /* '\0': it has none */
    const char *value; /* "NAME"; NULL: it takes none */
    unsigned option;   /* of enum ctl_option; 0: every command takes it */
    size_t offset;     /* of the value: a const char * of struct ctl_given */
    /* Instead; false: the value is malformed. */
    bool (*take)(struct ctl_given *given, const char *value);
    const char *help;
};
/* Ends with an entry without a name. */
extern const struct ctl_option_row ctl_options[];

/* "16M": bytes, or KiB, MiB or GiB. False: malformed, or too large. */
bool ctl_parse_size(const char *text, uint64_t *bytes);

/* False: an option is wrong, which was said. What is left of the arguments
 * begins at optind. */
bool ctl_options_parse(int argc, char **argv, struct ctl_given *given);
/* Where the first word stands behind options that every command takes, and
 * these; argc: there is another option before it, or no word. All of the line
 * can be parsed after it. */
int ctl_options_before(int argc, char **argv, struct ctl_given *given);
/* Whether a command that takes `options` takes what was given, and needs no
 * more. A key that is
 * given has a secret; a secret alone is for who may have it. */
bool ctl_options_fit(unsigned options, const struct ctl_given *given);

#endif
