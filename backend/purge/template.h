/*
 * Private to purge/: texts with variables, such as "${edge}${path}". Pure.
 */
#ifndef PURGE_TEMPLATE_H
#define PURGE_TEMPLATE_H

#include "base/base.h"

/* Names and meaning are in docs/purge.md. */
enum template_variable {
    VARIABLE_EDGE,
    VARIABLE_PATH,
    VARIABLE_BUCKET,
    VARIABLE_KEY,
    VARIABLE_KEY_ENCODED,
    VARIABLE_REST,
    VARIABLE_PREFIX,
    VARIABLE_DIRECTORY,
    VARIABLE_TAG,
    VARIABLE_SECRET,
    VARIABLE_COUNT, /* no variable: the part is text */
};
#define VARIABLE_BIT(variable) (1u << (variable))

struct template_part {
    enum template_variable variable;
    char *text; /* NULL: a variable */
};
struct template
{
    struct template_part *parts;
    size_t count;
    unsigned uses; /* OR of VARIABLE_BIT() */
};

/* `allowed`: OR of VARIABLE_BIT(). -EINVAL: `error` says what is wrong, and
 * the template is empty. */
int template_parse(const char *text, unsigned allowed,
                   struct template *template, struct buffer *error);
/* Appends. */
void template_render(const struct template *template,
                     const struct slice values[VARIABLE_COUNT],
                     struct buffer *out);
void template_free(struct template *template); /* leaves it empty */

#endif
