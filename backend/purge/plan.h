/*
 * Private to purge/: which requests an event asks of an edge. Pure.
 */
#ifndef PURGE_PLAN_H
#define PURGE_PLAN_H

#include "purge/config.h"
#include "purge/event.h"

/* A request is a text, which is its identity too: the method, the URL and the
 * headers, each ended by a NUL. */
typedef void (*plan_add)(void *context, struct slice request);

/* Calls `add` with each request; some may come twice. */
void plan_event(const struct purge_config *config, size_t edge,
                const struct purge_event *event, plan_add add, void *context);

/* The next part, from *rest on; NULL: there is none. */
const char *plan_next_part(struct slice *rest);

/* --- forms of a key: forms.c -----------------------------------------------*/
/* The key, without the suffix of a precompressed form, and as a directory with
 * and without its slash. */
#define FORMS_MAX 4
size_t plan_forms(const struct purge_rule *rule, struct slice key,
                  struct slice forms[FORMS_MAX]);

#endif
