/* Texts with variables. */
#include "purge/template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OPEN "${"

static const char *const names[VARIABLE_COUNT] = {
    [VARIABLE_EDGE] = "edge",
    [VARIABLE_PATH] = "path",
    [VARIABLE_BUCKET] = "bucket",
    [VARIABLE_KEY] = "key",
    [VARIABLE_KEY_ENCODED] = "key_encoded",
    [VARIABLE_REST] = "rest",
    [VARIABLE_PREFIX] = "prefix",
    [VARIABLE_DIRECTORY] = "directory",
    [VARIABLE_TAG] = "tag",
    [VARIABLE_SECRET] = "secret",
};

static enum template_variable find(struct slice name)
{
    unsigned i = 0;

    while (i < VARIABLE_COUNT && !slice_equal_string(name, names[i])) {
        i++;
    }
    return (enum template_variable)i;
}

static void add(struct template *template, enum template_variable variable,
                char *text)
{
    template->parts = xrealloc(template->parts, (template->count + 1) *
                                                    sizeof(*template->parts));
    template->parts[template->count++] = (struct template_part){variable, text};
}

static void add_text(struct template *template, const char *text, size_t size)
{
    if (size > 0) {
        char *copy = xmalloc(size + 1);
        memcpy(copy, text, size);
        copy[size] = '\0';
        add(template, VARIABLE_COUNT, copy);
    }
}

/* `text` is behind "${". The size of the variable with its "}"; 0: an error. */
static size_t add_variable(struct template *template, const char *text,
                           unsigned allowed, struct buffer *error)
{
    const char *end = strchr(text, '}');

    if (end == NULL) {
        buffer_append_string(error, "a variable has no end: ${");
        return 0;
    }
    const struct slice name = slice_of(text, (size_t)(end - text));
    const enum template_variable variable = find(name);
    if (variable == VARIABLE_COUNT || (allowed & VARIABLE_BIT(variable)) == 0) {
        buffer_printf(error, "there is no variable ${%.*s} here",
                      (int)name.size, text);
        return 0;
    }
    add(template, variable, NULL);
    template->uses |= VARIABLE_BIT(variable);
    return name.size + 1;
}

int template_parse(const char *text, unsigned allowed,
                   struct template *template, struct buffer *error)
{
    const char *variable;

    *template = (struct template){0};
    while ((variable = strstr(text, OPEN)) != NULL) {
        add_text(template, text, (size_t)(variable - text));
        variable += strlen(OPEN);
        const size_t size = add_variable(template, variable, allowed, error);
        if (size == 0) {
            template_free(template);
            return -EINVAL;
        }
        text = variable + size;
    }
    add_text(template, text, strlen(text));
    return 0;
}

void template_render(const struct template *template,
                     const struct slice values[VARIABLE_COUNT],
                     struct buffer *out)
{
    for (size_t i = 0; i < template->count; i++) {
        const struct template_part *part = &template->parts[i];

        if (part->text != NULL) {
            buffer_append_string(out, part->text);
        } else {
            buffer_append(out, values[part->variable].data,
                          values[part->variable].size);
        }
    }
}

void template_free(struct template *template)
{
    for (size_t i = 0; i < template->count; i++) {
        free(template->parts[i].text);
    }
    free(template->parts);
    *template = (struct template){0};
}
