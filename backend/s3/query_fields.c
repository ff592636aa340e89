/* Fields of a form, as actions want them; and what IAM says of others. */
#include "s3/query.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define CONSTRAINT "failed to satisfy constraint: "

/* Errors name a field in lower camel case: 'userName'. */
static const char *member(struct query *query, const char *name)
{
    char *text = arena_printf(query->call->arena, "%s", name);

    text[0] = (char)tolower((unsigned char)text[0]);
    return text;
}

const char *query_optional(struct query *query, const char *name)
{
    const char *value = query_form_find(&query->form, name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

bool query_required(struct query *query, const char *name, const char **value)
{
    *value = query_optional(query, name);
    if (*value == NULL) {
        query_fail(query, QUERY_VALIDATION_ERROR,
                   "1 validation error detected: Value null at '%s' " CONSTRAINT
                   "Member must not be null",
                   member(query, name));
    }
    return *value != NULL;
}

bool query_number(struct query *query, const char *name, uint64_t min,
                  uint64_t max, uint64_t fallback, uint64_t *value)
{
    const char *text = query_optional(query, name);
    const char *bound = NULL;

    *value = fallback;
    if (text == NULL) {
        return true;
    }
    if (slice_to_u64(slice_from_string(text), value) != 0) {
        query_fail(query, QUERY_VALIDATION_ERROR,
                   "Value '%.64s' at '%s' is not a whole number", text,
                   member(query, name));
        return false;
    }
    if (*value < min) {
        bound = "greater than or equal to";
    } else if (*value > max) {
        bound = "less than or equal to";
    }
    if (bound != NULL) {
        query_fail(query, QUERY_VALIDATION_ERROR,
                   "1 validation error detected: Value '%s' at '%s' " CONSTRAINT
                   "Member must have value %s %" PRIu64,
                   text, member(query, name), bound, *value < min ? min : max);
    }
    return bound == NULL;
}
