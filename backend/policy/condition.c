/*
 * Conditions: operators joined by "and", their values by "or".
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html
 */
#include "policy/private.h"

/* --- compiling -------------------------------------------------------------*/

/* "ForAnyValue:StringLikeIfExists" */
static bool parse_name(struct slice name, struct condition *condition)
{
    static const struct slice for_all = SLICE_LITERAL("ForAllValues:");
    static const struct slice for_any = SLICE_LITERAL("ForAnyValue:");
    static const struct slice if_exists = SLICE_LITERAL("IfExists");

    if (slice_has_prefix(name, for_all)) {
        condition->quantifier = FOR_ALL_VALUES;
        name = slice_tail(name, for_all.size);
    } else if (slice_has_prefix(name, for_any)) {
        condition->quantifier = FOR_ANY_VALUE;
        name = slice_tail(name, for_any.size);
    }
    if (name.size > if_exists.size &&
        slice_equal(slice_tail(name, name.size - if_exists.size), if_exists)) {
        condition->if_exists = true;
        name = slice_head(name, name.size - if_exists.size);
    }
    condition->op = operator_find(name);
    /* Null asks whether the key exists: nothing else goes with it. */
    return condition->op != NULL &&
           (condition->op->type != OPERATOR_NULL ||
            (!condition->if_exists &&
             condition->quantifier == QUANTIFIER_NONE));
}

/* Numbers and booleans may be written as such. */
static bool scalar_text(struct compiler *compiler, const json_t *value,
                        struct slice *text)
{
    if (json_is_string(value)) {
        *text = compile_text(compiler, value);
        return true;
    }
    const char *written;
    if (json_is_boolean(value)) {
        written = json_is_true(value) ? "true" : "false";
    } else if (json_is_integer(value)) {
        written = arena_printf(compiler->arena, "%" JSON_INTEGER_FORMAT,
                               json_integer_value(value));
    } else if (json_is_real(value)) {
        written =
            arena_printf(compiler->arena, "%.15g", json_real_value(value));
    } else {
        return compile_fail_syntax(compiler);
    }
    *text = slice_from_string(written);
    return true;
}

static bool compile_operands(struct compiler *compiler, const json_t *value,
                             struct condition *condition)
{
    bool list = json_is_array(value);
    size_t count = list ? json_array_size(value) : 1;
    struct slice text = {NULL, 0};

    if (count == 0) {
        return compile_fail_syntax(compiler);
    }
    condition->count = count;
    condition->operands =
        arena_zalloc(compiler->arena, count * sizeof(condition->operands[0]));
    for (size_t i = 0; i < count; i++) {
        const json_t *one = list ? json_array_get(value, i) : value;
        if (!scalar_text(compiler, one, &text) ||
            !operand_compile(compiler, condition->op, text,
                             &condition->operands[i])) {
            return false;
        }
    }
    return true;
}

static bool compile_key(struct compiler *compiler, const char *name,
                        const struct statement *statement, struct slice *key)
{
    *key = arena_copy(compiler->arena, name, strlen(name));
    if (slice_find(*key, ':') == NULL ||
        (compiler->kind == POLICY_BUCKET && !s3_condition_key_known(*key))) {
        return compile_fail(compiler, "Policy has an invalid condition key");
    }
    if (compiler->kind == POLICY_BUCKET && !statement->not_actions &&
        !s3_condition_key_applies(*key, statement->actions,
                                  statement->action_count)) {
        return compile_fail(compiler,
                            "Conditions do not apply to combination of actions "
                            "and resources in statement");
    }
    return true;
}

static bool count_conditions(json_t *json, size_t *count)
{
    const char *name;
    json_t *keys;

    *count = 0;
    if (!json_is_object(json)) {
        return false;
    }
    json_object_foreach(json, name, keys)
    {
        if (json_object_size(keys) == 0) { /* 0 for what is no object */
            return false;
        }
        *count += json_object_size(keys);
    }
    return true;
}

bool conditions_compile(struct compiler *compiler, json_t *json,
                        struct statement *statement)
{
    struct condition named, *condition;
    const char *name, *key;
    json_t *keys, *value;
    size_t count;

    if (!count_conditions(json, &count)) {
        return compile_fail_syntax(compiler);
    }
    condition = arena_zalloc(compiler->arena, count * sizeof(*condition));
    statement->conditions = condition;
    json_object_foreach(json, name, keys)
    {
        named = (struct condition){.op = NULL};
        if (!parse_name(slice_from_string(name), &named)) {
            return compile_fail(compiler, "Invalid Condition type : %.128s",
                                name);
        }
        json_object_foreach(keys, key, value)
        {
            *condition = named;
            if (!compile_key(compiler, key, statement, &condition->key) ||
                !compile_operands(compiler, value, condition)) {
                return false;
            }
            condition++;
        }
    }
    statement->condition_count = count;
    return true;
}

/* --- evaluating ------------------------------------------------------------*/

struct view {
    const struct condition *condition;
    const struct policy_request *request;
    bool allows; /* the statement does */
};

/* One value of the request against all operands. What cannot be compared does
 * not match, and makes no negation true where that would allow. */
static bool value_holds(const struct view *view, struct slice value)
{
    const struct condition *condition = view->condition;
    bool unknown = false;

    for (size_t i = 0; i < condition->count; i++) {
        enum match match = operand_match(condition->op, &condition->operands[i],
                                         view->request, value);
        if (match == MATCH_YES) {
            return !condition->op->negated;
        }
        unknown |= match == MATCH_UNKNOWN;
    }
    return condition->op->negated && !(unknown && view->allows);
}

static bool null_holds(const struct condition *condition, bool missing)
{
    for (size_t i = 0; i < condition->count; i++) {
        if (condition->operands[i].truth == missing) {
            return true;
        }
    }
    return false;
}

static bool missing_holds(const struct condition *condition)
{
    if (condition->if_exists || condition->quantifier == FOR_ALL_VALUES) {
        return true;
    }
    return condition->quantifier == QUANTIFIER_NONE && condition->op->negated;
}

/* Without a quantifier, a key of several values is as good as its best value;
 * negated, none may match. */
static bool holds(const struct view *view)
{
    const struct condition *condition = view->condition;
    struct slice values[POLICY_VALUES_MAX];
    size_t count =
        view->request->values(view->request->context, condition->key, values);

    invariant(count <= POLICY_VALUES_MAX);
    if (condition->op->type == OPERATOR_NULL) {
        return null_holds(condition, count == 0);
    }
    if (count == 0) {
        return missing_holds(condition);
    }
    bool all =
        condition->quantifier == FOR_ALL_VALUES ||
        (condition->quantifier == QUANTIFIER_NONE && condition->op->negated);
    for (size_t i = 0; i < count; i++) {
        if (value_holds(view, values[i]) != all) {
            return !all;
        }
    }
    return all;
}

bool conditions_match(const struct statement *statement,
                      const struct policy_request *request)
{
    for (size_t i = 0; i < statement->condition_count; i++) {
        if (!holds(&(struct view){&statement->conditions[i], request,
                                  statement->allows})) {
            return false;
        }
    }
    return true;
}
