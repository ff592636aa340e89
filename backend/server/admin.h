/*
 * The commands of s3ctl, for the files that have some. Each takes a JSON
 * object and answers one; an error is {"error": "what is wrong"}.
 */
#ifndef SERVER_ADMIN_H
#define SERVER_ADMIN_H

#include "server/private.h"
#include <jansson.h>

struct admin_command {
    const char *name;
    int (*run)(struct server *server, json_t *arguments, struct buffer *out);
};

/* Each ends with an entry whose name is NULL. */
extern const struct admin_command admin_kms_commands[];

/* NULL: there is no such argument, or it is no text. */
const char *admin_text(json_t *arguments, const char *name);
/* Answers the message; returns the error. */
int admin_refuse(struct buffer *out, int error, const char *message);
/* Answers {}. */
int admin_done(struct buffer *out);

#endif
