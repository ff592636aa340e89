/*
 * application/x-www-form-urlencoded.
 * https://url.spec.whatwg.org/#application/x-www-form-urlencoded
 */
#include "s3/query.h"

#include <errno.h>
#include <string.h>

static struct slice cut(struct slice *rest, char separator)
{
    const uint8_t *end =
        rest->size > 0 ? memchr(rest->data, separator, rest->size) : NULL;
    struct slice head = *rest;

    if (end == NULL) {
        *rest = slice_of(NULL, 0);
        return head;
    }
    head.size = (size_t)(end - rest->data);
    *rest = slice_of(end + 1, rest->size - head.size - 1);
    return head;
}

/* '+' is a space, everything else as in a URI. */
static int decode(struct arena *arena, struct slice text, struct slice *out)
{
    struct slice spaced = arena_copy(arena, text.data, text.size);

    for (size_t i = 0; i < spaced.size; i++) {
        if (spaced.data[i] == '+') {
            ((uint8_t *)spaced.data)[i] = ' ';
        }
    }
    return uri_decode(arena, spaced, out);
}

static int take(struct arena *arena, struct slice text, struct slice *out)
{
    if (!utf8_valid(text) ||
        (text.size > 0 && memchr(text.data, '\0', text.size) != NULL)) {
        return -EINVAL;
    }
    *out = slice_of(arena_string(arena, text), text.size);
    return 0;
}

int query_form_add(struct arena *arena, struct query_form *form,
                   struct slice name, struct slice value)
{
    struct query_field *field = &form->fields[form->count];

    if (form->count == QUERY_FIELDS_MAX ||
        take(arena, name, &field->name) != 0 ||
        take(arena, value, &field->value) != 0 || field->name.size == 0 ||
        query_form_find(form, (const char *)field->name.data) != NULL) {
        return -EINVAL;
    }
    form->count++;
    return 0;
}

static int add_pair(struct arena *arena, struct query_form *form,
                    struct slice pair)
{
    struct slice value = pair, name = cut(&value, '=');

    return decode(arena, name, &name) == 0 && decode(arena, value, &value) == 0
               ? query_form_add(arena, form, name, value)
               : -EINVAL;
}

int query_form_parse(struct arena *arena, struct slice body,
                     struct query_form *form)
{
    struct slice pair;

    form->count = 0;
    form->fields = arena_alloc(arena, QUERY_FIELDS_MAX * sizeof(*form->fields));
    while (body.size > 0) {
        pair = cut(&body, '&');
        if (pair.size == 0) {
            continue;
        }
        if (add_pair(arena, form, pair) != 0) {
            return -EINVAL;
        }
    }
    return 0;
}

const char *query_form_find(const struct query_form *form, const char *name)
{
    for (size_t i = 0; i < form->count; i++) {
        if (slice_equal_string(form->fields[i].name, name)) {
            return (const char *)form->fields[i].value.data;
        }
    }
    return NULL;
}
