/*
 * Private to ctl/: one command of s3ctl, asked over the admin socket.
 */
#ifndef CTL_H
#define CTL_H

#include "base/base.h"
#include <jansson.h>
#include <stdio.h>

/* Exit codes: also in --help. */
enum ctl_exit {
    CTL_OK = 0,
    CTL_REFUSED = 1,     /* s3d said no, and why */
    CTL_USAGE = 2,       /* the command line is wrong */
    CTL_UNREACHABLE = 3, /* s3d does not answer on the socket */
    CTL_INCOMPLETE = 4,  /* import, export: some files could not be moved */
};

#define CTL_SOCKET     "/run/s3d/admin.sock"
#define CTL_SOCKET_ENV "S3D_ADMIN_SOCKET"

/* Sends a command and waits for its reply. On CTL_OK and CTL_REFUSED *result
 * is the reply's JSON object; CTL_UNREACHABLE was reported on stderr. */
enum ctl_exit client_ask(const char *socket, const char *command,
                         const json_t *arguments, json_t **result);

/* The same of a command that listens: prints the lines that come after the
 * reply, until the other side ends. */
enum ctl_exit client_follow(const char *socket, const char *command,
                            const json_t *arguments, json_t **result);

/* The same of a command whose reply is followed by a file, which is written to
 * `file` up to its end; what went wrong on the way was reported on stderr. */
enum ctl_exit client_fetch(const char *socket, const char *command,
                           const json_t *arguments, FILE *file,
                           json_t **result);

/* Options that only some commands take. */
enum ctl_option {
    CTL_ACCOUNT = 1 << 0,
    CTL_OPERATOR = 1 << 1,
    CTL_KEYS = 1 << 2,   /* --access-key, --secret-key-file */
    CTL_SECRET = 1 << 3, /* --secret-key-file */
    CTL_PATH = 1 << 4,
    CTL_DESCRIPTION = 1 << 5,
    CTL_POLICY = 1 << 6,  /* --policy-file */
    CTL_CONTEXT = 1 << 7, /* --context, any number of them */
    CTL_WATCH = 1 << 8,   /* --watch, of healing */
    CTL_YES = 1 << 9,
    CTL_FORCE = 1 << 10,
    CTL_FILTER = 1 << 11, /* --bucket, --prefix, --suffix, --event */
    CTL_STATUS = 1 << 12, /* --status, of purge */
    CTL_TEST = 1 << 13,   /* --test, of purge */
};

#define CTL_ARGUMENTS_MAX 3

/* In the order of the command line. */
struct ctl_argument {
    const char *name;  /* in the JSON; NULL ends the list */
    const char *shown; /* "NAME"; "[NAME]": may be left out */
    bool file;         /* what is sent is what the file holds */
};

struct ctl_command {
    const char *words;   /* "user add", up to 3 of them */
    const char *command; /* "user.add" */
    struct ctl_argument arguments[CTL_ARGUMENTS_MAX + 1];
    unsigned options; /* OR of enum ctl_option */
    /* NULL: it listens, and prints as it comes. */
    void (*print)(const json_t *result, const char *argument);
    const char *help;
};
/* Ends with an entry whose words are NULL. */
extern const struct ctl_command ctl_commands[];

/* drives.c */
void print_drives(const json_t *result, const char *argument);
void print_replaced(const json_t *result, const char *argument);
void print_drained(const json_t *result, const char *argument);
void print_removed(const json_t *result, const char *argument);

/* durability.c */
void print_durability(const json_t *result, const char *argument);

/* kms.c */
void print_kms_keys(const json_t *result, const char *argument);
void print_rewrap(const json_t *result, const char *argument);

/* events.c */
void print_events(const json_t *result, const char *argument);

/* rebuild.c: each becomes s3d, and returns only if that fails. `config` NULL:
 * the default. */
enum ctl_exit run_rebuild(const char *config, bool json);
enum ctl_exit run_restore(const char *config, const char *backup, bool json);
enum ctl_exit run_backup_verify(const char *backup, bool json);

/* backup.c: a file in a directory, or for "-" on stdout. */
enum ctl_exit run_backup_create(const char *socket, const char *where,
                                bool json);

/* transfer.c: "import", "export" or "migrate" and what follows it, with options
 * of their own. */
bool is_transfer(const char *word);
enum ctl_exit run_transfer(int argc, char **argv);

/* purge.c: needs no s3d. `config` NULL: the default. */
enum ctl_purge {
    CTL_PURGE_RUN, /* until a signal */
    CTL_PURGE_TEST,
    CTL_PURGE_STATUS,
};
enum ctl_exit run_purge(const char *config, enum ctl_purge what, bool json);

/* reclaim.c */
void print_reclaim(const json_t *result, const char *argument);

/* rebalance.c */
void print_rebalance(const json_t *result, const char *argument);

/* care.c */
void print_heal(const json_t *result, const char *argument);
void print_scrub(const json_t *result, const char *argument);
/* A line in brief; true when nothing is left to be healed. */
bool watch_heal(const json_t *result);

#endif
