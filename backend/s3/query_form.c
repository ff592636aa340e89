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
    struct slice decoded;

    for (size_t i = 0; i < spaced.size; i++) {
        if (spaced.data[i] == '+') {
            ((uint8_t *)spaced.data)[i] = ' ';
        }
    }
    if (uri_decode(arena, spaced, &decoded) != 0 || !utf8_valid(decoded) ||
        (decoded.size > 0 &&
         memchr(decoded.data, '\0', decoded.size) != NULL)) {
        return -EINVAL;
    }
    *out = slice_of(arena_string(arena, decoded), decoded.size);
    return 0;
}

static int add(struct arena *arena, struct query_form *form, struct slice pair)
{
    struct query_field *field = &form->fields[form->count];
    struct slice value = pair, name = cut(&value, '=');

    if (decode(arena, name, &field->name) != 0 ||
        decode(arena, value, &field->value) != 0 || field->name.size == 0 ||
        query_form_find(form, (const char *)field->name.data) != NULL) {
        return -EINVAL;
    }
    form->count++;
    return 0;
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
        if (form->count == QUERY_FIELDS_MAX || add(arena, form, pair) != 0) {
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
