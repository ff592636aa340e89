/*
 * Private to doctor/: nginx's configuration as a tree of directives, with what
 * it includes.
 */
#ifndef DOCTOR_NGINX_CONF_H
#define DOCTOR_NGINX_CONF_H

#include "base/base.h"

#define NGINX_WORDS_MAX 64 /* of a directive; more are left out */

struct nginx_directive {
    const char *name;
    const char *words[NGINX_WORDS_MAX]; /* its arguments */
    unsigned word_count;
    const char *file;
    unsigned line;
    struct nginx_directive *parent; /* NULL: of the file's own level */
    struct nginx_directive *children, *last_child, *next;
};

/* Reads the file and what it includes. The root has no name. NULL, and why in
 * `error`: it cannot be read, or its braces do not match. All is in the arena.
 */
struct nginx_directive *nginx_conf_read(struct arena *arena, const char *path,
                                        struct buffer *error);
/* The next directive of the tree in the order of the text; NULL at its end. */
struct nginx_directive *nginx_conf_next(const struct nginx_directive *after);
/* The first of that name among the children; NULL: none. */
const struct nginx_directive *nginx_conf_child(
    const struct nginx_directive *block, const char *name);
/* The one that is in force in that block: its own, or an outer one's. */
const struct nginx_directive *nginx_conf_effective(
    const struct nginx_directive *block, const char *name);
/* "64k", "1m", "2g", "5s", "1h" and the like. False: something else. */
bool nginx_conf_size(const char *text, uint64_t *bytes);
bool nginx_conf_time(const char *text, uint64_t *ms);

#endif
