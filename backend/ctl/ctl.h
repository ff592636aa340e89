/*
 * Private to ctl/: one command of s3ctl, asked over the admin socket.
 */
#ifndef CTL_H
#define CTL_H

#include "base/base.h"
#include <jansson.h>

/* Exit codes: also in --help. */
enum ctl_exit {
    CTL_OK = 0,
    CTL_REFUSED = 1,     /* s3d said no, and why */
    CTL_USAGE = 2,       /* the command line is wrong */
    CTL_UNREACHABLE = 3, /* s3d does not answer on the socket */
};

#define CTL_SOCKET     "/run/s3d/admin.sock"
#define CTL_SOCKET_ENV "S3D_ADMIN_SOCKET"

/* Sends a command and waits for its reply. On CTL_OK and CTL_REFUSED *result
 * is the reply's JSON object; CTL_UNREACHABLE was reported on stderr. */
enum ctl_exit client_ask(const char *socket, const char *command,
                         const json_t *arguments, json_t **result);

struct ctl_command {
    const char *words;     /* "user add", up to 3 of them */
    const char *command;   /* "user.add" */
    const char *argument;  /* JSON name of the one argument, or NULL */
    const char *shown;     /* the argument in the usage: "NAME" */
    bool takes_user_flags; /* --root, --access-key, --secret-key */
    void (*print)(const json_t *result, const char *argument);
};
/* Ends with an entry whose words are NULL. */
extern const struct ctl_command ctl_commands[];

/* kms.c */
void print_kms_keys(const json_t *result, const char *argument);

#endif
