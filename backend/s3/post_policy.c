#include "s3/post_policy.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "s3/call.h"

#define SHOWN_MAX 384 /* bytes of what the client sent, in a message */

struct check {
    struct arena *arena;
    const struct post_input *input;
    struct post_outcome *outcome;
};

enum operation { EQ, STARTS_WITH, LENGTH_RANGE, UNKNOWN };
static const char *const operations[] = {"eq", "starts-with",
                                         "content-length-range"};

/* --- names -----------------------------------------------------------------*/
static bool same_name(struct slice a, struct slice b)
{
    return a.size == b.size &&
           (a.size == 0 || strncasecmp((const char *)a.data,
                                       (const char *)b.data, a.size) == 0);
}

bool post_name_is(struct slice name, const char *other)
{
    return same_name(name, slice_from_string(other));
}

bool post_name_ignored(struct slice name)
{
    return name.size >= 9 &&
           same_name(slice_of(name.data, 9), SLICE_LITERAL("x-ignore-"));
}

const struct post_field *post_field_find(const struct post_field *fields,
                                         size_t count, struct slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (same_name(fields[i].name, name)) {
            return &fields[i];
        }
    }
    return NULL;
}

static struct slice json_slice(const json_t *string)
{
    return slice_of(json_string_value(string), json_string_length(string));
}

/* --- refusals --------------------------------------------------------------*/
static bool refuse(struct check *check, enum s3_error error, const char *what,
                   struct slice shown, const char *end)
{
    const char *prefix = error == S3_ERR_AccessDenied
                             ? "Invalid according to Policy: "
                             : "Invalid Policy: ";
    size_t size = shown.size < SHOWN_MAX ? shown.size : SHOWN_MAX;

    check->outcome->error = error;
    check->outcome->message =
        arena_printf(check->arena, "%s%s%.*s%s", prefix, what, (int)size,
                     size > 0 ? (const char *)shown.data : "", end);
    return false;
}

static bool malformed(struct check *check, const char *what)
{
    return refuse(check, S3_ERR_InvalidPolicyDocument, what, slice_of("", 0),
                  "");
}

static bool condition_failed(struct check *check, const json_t *condition)
{
    char *text = json_dumps(condition, JSON_ENCODE_ANY);
    bool result;

    invariant(text != NULL); /* it was parsed: it can be written */
    result = refuse(check, S3_ERR_AccessDenied,
                    "Policy Condition failed: ", slice_from_string(text), "");
    free(text);
    return result;
}

/* --- the document ----------------------------------------------------------*/
/* The policy language has two escapes that JSON has not: \$ and \v. */
static struct slice plain_json(struct arena *arena, struct slice policy)
{
    uint8_t *out = arena_alloc(arena, 3 * policy.size + 1);
    bool in_string = false;
    size_t size = 0;

    for (size_t i = 0; i < policy.size; i++) {
        uint8_t c = policy.data[i];

        if (c == '"') {
            in_string = !in_string;
        } else if (c == '\\' && in_string && i + 1 < policy.size) {
            uint8_t next = policy.data[++i];

            if (next == 'v') {
                memcpy(out + size, "\\u000b", 6);
                size += 6;
            } else if (next == '$') {
                out[size++] = '$';
            } else {
                out[size++] = '\\';
                out[size++] = next;
            }
            continue;
        }
        out[size++] = c;
    }
    return slice_of(out, size);
}

static enum operation operation_of(const json_t *condition)
{
    struct slice name = json_slice(json_array_get(condition, 0));

    for (int i = EQ; i < UNKNOWN; i++) {
        if (post_name_is(name, operations[i])) {
            return (enum operation)i;
        }
    }
    return UNKNOWN;
}

static bool well_formed_simple(struct check *check, const json_t *condition)
{
    void *only = json_object_iter((json_t *)condition);

    if (json_object_size(condition) != 1) {
        return malformed(check, "Invalid Simple-Condition: Simple-Conditions "
                                "must have exactly one property specified.");
    }
    if (!json_is_string(json_object_iter_value(only))) {
        return malformed(check,
                         "Invalid Simple-Condition: value must be a string.");
    }
    return true;
}

static bool well_formed_list(struct check *check, const json_t *condition)
{
    const json_t *name = json_array_get(condition, 0);
    const json_t *one = json_array_get(condition, 1);
    const json_t *two = json_array_get(condition, 2);
    enum operation operation;

    if (!json_is_string(name)) {
        return malformed(check,
                         "Invalid Condition: missing operation identifier.");
    }
    operation = operation_of(condition);
    if (operation == UNKNOWN) {
        return refuse(check, S3_ERR_InvalidPolicyDocument,
                      "Invalid Condition: unknown operation '",
                      json_slice(name), "'.");
    }
    if (json_array_size(condition) != 3) {
        return refuse(check, S3_ERR_InvalidPolicyDocument, "Invalid ",
                      slice_from_string(operations[operation]),
                      ": wrong number of arguments.");
    }
    if (operation != LENGTH_RANGE) {
        return (json_is_string(one) && json_is_string(two)) ||
               malformed(check, "Invalid JSON.");
    }
    if ((!json_is_integer(one) && !json_is_string(one)) ||
        (!json_is_integer(two) && !json_is_string(two)) ||
        json_integer_value(one) < 0 || json_integer_value(two) < 0) {
        return malformed(check, "Invalid JSON.");
    }
    return true;
}

static bool well_formed_conditions(struct check *check,
                                   const json_t *conditions)
{
    if (conditions == NULL) {
        return malformed(check, "Policy missing conditions.");
    }
    if (!json_is_array(conditions)) {
        return malformed(check, "Invalid 'conditions' value: must be a List.");
    }
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);

        if (json_is_object(condition)) {
            if (!well_formed_simple(check, condition)) {
                return false;
            }
        } else if (!json_is_array(condition)) {
            return malformed(check,
                             "Invalid condition: must be a List or Object.");
        } else if (!well_formed_list(check, condition)) {
            return false;
        }
    }
    return true;
}

static bool read_expiration(struct check *check, const json_t *expiration,
                            uint64_t *ms)
{
    struct slice text = json_slice(expiration);

    if (expiration == NULL) {
        return malformed(check, "Policy missing expiration.");
    }
    if (!json_is_string(expiration) || text.size == 0 ||
        text.data[text.size - 1] != 'Z' || time_parse_iso8601(text, ms) != 0) {
        return refuse(check, S3_ERR_InvalidPolicyDocument,
                      "Invalid 'expiration' value: '", text, "'");
    }
    return true;
}

static bool read_policy(struct check *check, json_t *policy, uint64_t *ms)
{
    const char *name;
    json_t *value;

    if (!json_is_object(policy)) {
        return malformed(check, "Invalid JSON.");
    }
    json_object_foreach(policy, name, value)
    {
        char lower[64];
        size_t i = 0;

        if (strcmp(name, "expiration") == 0 ||
            strcmp(name, "conditions") == 0) {
            continue;
        }
        for (; i + 1 < sizeof(lower) && name[i] != '\0'; i++) {
            lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20)
                                                        : name[i];
        }
        lower[i] = '\0';
        return refuse(check, S3_ERR_InvalidPolicyDocument, "Unexpected: '",
                      slice_from_string(lower), "'");
    }
    return read_expiration(check, json_object_get(policy, "expiration"), ms) &&
           well_formed_conditions(check, json_object_get(policy, "conditions"));
}

/* --- the conditions --------------------------------------------------------*/
/* The field's value; data == NULL: the form has no such field. */
static struct slice value_of(const struct check *check, struct slice name)
{
    const struct post_input *input = check->input;
    const struct post_field *field;

    if (post_name_is(name, "bucket")) {
        return input->bucket;
    }
    field = post_field_find(input->fields, input->count, name);
    if (field == NULL) {
        return slice_of(NULL, 0);
    }
    return field->value.size > 0 ? field->value : slice_of("", 0);
}

/* Of a list of types each one must begin so. */
static bool list_starts_with(struct slice list, struct slice prefix)
{
    struct slice item;

    while (call_list_next(&list, &item)) {
        if (!slice_has_prefix(item, prefix)) {
            return false;
        }
    }
    return true;
}

static bool matches(const struct check *check, enum operation operation,
                    struct slice name, struct slice wanted)
{
    struct slice value = value_of(check, name);

    if (value.data == NULL) {
        return false;
    }
    if (operation == EQ) {
        return slice_equal(value, wanted);
    }
    if (post_name_is(name, "content-type") &&
        memchr(value.data, ',', value.size) != NULL) {
        return list_starts_with(value, wanted);
    }
    return slice_has_prefix(value, wanted);
}

static bool check_simple(struct check *check, const json_t *condition)
{
    void *only = json_object_iter((json_t *)condition);
    const char *name = json_object_iter_key(only);
    json_t *value = json_object_iter_value(only);
    json_t *shown;
    bool result;

    if (matches(check, EQ, slice_from_string(name), json_slice(value))) {
        return true;
    }
    shown = json_pack("[s, o]", "eq",
                      json_string(arena_printf(check->arena, "$%s", name)));
    invariant(shown != NULL && json_array_append(shown, value) == 0);
    result = condition_failed(check, shown);
    json_decref(shown);
    return result;
}

static bool bound(const json_t *value, uint64_t *number)
{
    if (json_is_string(value)) {
        return slice_to_u64(json_slice(value), number) == 0;
    }
    *number = (uint64_t)json_integer_value(value);
    return true;
}

static bool check_range(struct check *check, const json_t *condition)
{
    struct post_outcome *outcome = check->outcome;
    uint64_t least, most;

    if (!bound(json_array_get(condition, 1), &least) ||
        !bound(json_array_get(condition, 2), &most)) {
        return condition_failed(check, condition);
    }
    if (least > outcome->size_min) {
        outcome->size_min = least;
    }
    if (most < outcome->size_max) {
        outcome->size_max = most;
    }
    return true;
}

/* Without the '$'; data == NULL if there is none. */
static struct slice variable(const json_t *name)
{
    struct slice text = json_slice(name);

    if (text.size == 0 || text.data[0] != '$') {
        return slice_of(NULL, 0);
    }
    return slice_of(text.data + 1, text.size - 1);
}

static bool check_condition(struct check *check, const json_t *condition)
{
    struct slice name;
    enum operation operation;

    if (json_is_object(condition)) {
        return check_simple(check, condition);
    }
    operation = operation_of(condition);
    if (operation == LENGTH_RANGE) {
        return check_range(check, condition);
    }
    name = variable(json_array_get(condition, 1));
    return (name.data != NULL &&
            matches(check, operation, name,
                    json_slice(json_array_get(condition, 2)))) ||
           condition_failed(check, condition);
}

static bool is_covered(struct slice name, const json_t *conditions)
{
    for (size_t i = 0; i < json_array_size(conditions); i++) {
        const json_t *condition = json_array_get(conditions, i);
        struct slice covered;

        if (json_is_object(condition)) {
            covered = slice_from_string(
                json_object_iter_key(json_object_iter((json_t *)condition)));
        } else if (operation_of(condition) == LENGTH_RANGE) {
            continue;
        } else {
            covered = variable(json_array_get(condition, 1));
        }
        if (same_name(covered, name)) {
            return true;
        }
    }
    return false;
}

static bool check_extra(struct check *check, const json_t *conditions,
                        struct slice name)
{
    if (post_name_is(name, "x-amz-signature") || post_name_is(name, "file") ||
        post_name_is(name, "policy") || post_name_ignored(name) ||
        is_covered(name, conditions)) {
        return true;
    }
    return refuse(check, S3_ERR_AccessDenied, "Extra input fields: ", name, "");
}

static bool check_conditions(struct check *check, const json_t *conditions)
{
    const struct post_input *input = check->input;

    for (size_t i = 0; i < json_array_size(conditions); i++) {
        if (!check_condition(check, json_array_get(conditions, i))) {
            return false;
        }
    }
    for (size_t i = 0; i < input->count; i++) {
        if (!check_extra(check, conditions, input->fields[i].name)) {
            return false;
        }
    }
    /* The bucket counts as one, whether the form names it or its URL. */
    return check_extra(check, conditions, SLICE_LITERAL("bucket"));
}

void post_policy_check(struct arena *arena, struct slice policy,
                       const struct post_input *input,
                       struct post_outcome *outcome)
{
    struct check check = {arena, input, outcome};
    struct slice text = plain_json(arena, policy);
    json_t *root = json_loadb((const char *)text.data, text.size,
                              JSON_REJECT_DUPLICATES, NULL);
    uint64_t expires_ms;

    *outcome = (struct post_outcome){.error = S3_OK, .size_max = UINT64_MAX};
    if (read_policy(&check, root, &expires_ms)) {
        if (expires_ms <= input->now_ms) {
            refuse(&check, S3_ERR_AccessDenied, "Policy expired.",
                   slice_of("", 0), "");
        } else {
            check_conditions(&check, json_object_get(root, "conditions"));
        }
    }
    json_decref(root);
}
