/*
 * Private to ctl/: one command of s3ctl, asked over the admin socket.
 */
#ifndef CTL_H
#define CTL_H

#include "ctl/options.h"
#include "transfer/transfer.h"
#include <getopt.h>
#include <stdio.h>

/* Exit codes: also in --help and docs/s3ctl.md. */
enum ctl_exit {
    CTL_OK = 0,
    CTL_REFUSED = 1,     /* s3d said no, and why */
    CTL_USAGE = 2,       /* the command line is wrong */
    CTL_UNREACHABLE = 3, /* s3d does not answer on the socket */
    CTL_INCOMPLETE = 4,  /* import, export, migrate: some files could not be
                            moved; bench: requests failed, or a signal came */
    CTL_PROBLEMS = 5,    /* doctor, bench drives, usage verify: there is
                            something to mend */
};

#define CTL_SOCKET     "/run/s3d/admin.sock"
#define CTL_SOCKET_ENV "S3D_ADMIN_SOCKET"

/* The socket that was given, or of the environment, or the default. */
const char *ctl_socket(const struct ctl_given *given);

/* Sends a command and waits for its reply. On CTL_OK and CTL_REFUSED *result
 * is the reply's JSON object; CTL_UNREACHABLE was reported on stderr. */
enum ctl_exit client_ask(const char *socket, const char *command,
                         const json_t *arguments, json_t **result);

/* The same of a command that answers in steps: asks on while the answer has
 * `next`, and makes one answer of all. Lists end, `truncated`, when they are
 * long. (steps.c) */
enum ctl_exit ask_on(const char *socket, const char *command,
                     const json_t *arguments, json_t **result);

/* Prints the result's JSON if that is wanted, and why it was refused if it was.
 * True: it is to be shown to people. */
bool ctl_show(const json_t *result, enum ctl_exit status, bool json);

/* Asks without a word where s3d does not answer: 0, or a negative errno.
 * The result of a command that is refused is an error, too: -EPROTO. */
int client_try(const char *socket, const char *command, const json_t *arguments,
               json_t **result);

/* The same of a command that listens: prints the lines that come after the
 * reply, until the other side ends. */
enum ctl_exit client_follow(const char *socket, const char *command,
                            const json_t *arguments, json_t **result);

/* The same of a command whose reply is followed by a file, if it says so, which
 * is written to `file` up to its end; what went wrong on the way was reported
 * on stderr. */
enum ctl_exit client_fetch(const char *socket, const char *command,
                           const json_t *arguments, FILE *file,
                           json_t **result);

/* Of what a transfer has come to. */
enum ctl_exit ctl_exit_of(enum transfer_result result);

#define CTL_ARGUMENTS_MAX 3

/* In the order of the command line. */
struct ctl_argument {
    const char *name;  /* in the JSON; NULL ends the list */
    const char *shown; /* "NAME"; "[NAME]": may be left out */
    bool file;         /* what is sent is what the file holds */
};

struct ctl_command {
    const char *words;   /* "user add", up to 3 of them */
    const char *command; /* "user.add"; NULL: it is a program of ours */
    struct ctl_argument arguments[CTL_ARGUMENTS_MAX + 1];
    unsigned options; /* OR of enum ctl_option */
    /* NULL: it listens, and prints as it comes. */
    void (*print)(const json_t *result, const char *argument);
    const char *help;
};
/* Ends with an entry whose words are NULL. */
extern const struct ctl_command ctl_commands[];

/* What s3ctl does by itself. `words` are those after the command's own. Ends
 * with an entry whose words are NULL. */
struct ctl_program {
    const char *words;
    enum ctl_exit (*run)(const struct ctl_given *given, char **words);
};
extern const struct ctl_program ctl_programs[];

/* help.c: of the commands that the words begin, of all if none does. */
void ctl_help(FILE *out, int count, char **words);
/* The same on stderr, of a command line that is wrong; only a hint if it names
 * no command. */
void ctl_wrong(int count, char **words);

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

/* --- commands that are not s3d's -------------------------------------------*/
/* rebuild.c: each becomes s3d, and returns only if that fails. The first: from
 * a backup, if one is named. */
enum ctl_exit run_rebuild(const struct ctl_given *given, char **words);
enum ctl_exit run_backup_verify(const struct ctl_given *given, char **words);
/* backup.c: a file in a directory, or for "-" on stdout. */
enum ctl_exit run_backup_create(const struct ctl_given *given, char **words);
/* What the journal has beyond the files of a directory; watched, again and
 * again. */
enum ctl_exit run_backup_journal(const struct ctl_given *given, char **words);
/* purge.c */
enum ctl_exit run_purge(const struct ctl_given *given, char **words);
/* trace.c */
enum ctl_exit run_trace(const struct ctl_given *given, char **words);
/* top.c */
enum ctl_exit run_top(const struct ctl_given *given, char **words);
/* bench.c: how long it takes, as was given; `usual_seconds` if nothing was.
 * False, and it was said: something is malformed. */
struct ctl_bench {
    double seconds; /* 0: only `count` ends it */
    uint64_t count; /* 0: only time does */
};
bool ctl_bench_take(const struct ctl_given *given, double usual_seconds,
                    struct ctl_bench *bench);
enum ctl_exit run_bench(const struct ctl_given *given, char **words);
/* bench_drives.c */
enum ctl_exit run_bench_drives(const struct ctl_given *given, char **words);
/* completion.c */
enum ctl_exit run_completion_bash(const struct ctl_given *given, char **words);
enum ctl_exit run_completion_zsh(const struct ctl_given *given, char **words);
/* doctor.c */
enum ctl_exit run_doctor(const struct ctl_given *given, char **words);

/* transfer.c: "import", "export" or "migrate" and what follows it, with options
 * of their own; `before` it: those of every command. */
bool is_transfer(const char *word);
extern const struct option transfer_options[];
enum ctl_exit run_transfer(const struct ctl_given *before, int argc,
                           char **argv);

/* --- results, for people ---------------------------------------------------*/
/* reclaim.c */
void print_reclaim(const json_t *result, const char *argument);

/* uploads.c */
void print_uploads(const json_t *result, const char *argument);
void print_aborted(const json_t *result, const char *argument);

/* usage.c */
void print_usage_of(const json_t *result, const char *argument);
void print_recount(const json_t *result, const char *argument);

/* rebalance.c */
void print_rebalance(const json_t *result, const char *argument);

/* care.c */
void print_heal(const json_t *result, const char *argument);
void print_scrub(const json_t *result, const char *argument);
/* A line in brief, or of JSON; true when nothing is left to be healed. */
bool watch_heal(const json_t *result, bool json);

#endif
