/*
 * Statements: their elements, and whether they fit together.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
 */
#include "policy/private.h"

#define RESOURCE_PREFIX "arn:aws:s3:::"

/* One of "X" and "NotX". */
struct element {
    json_t *json; /* NULL: neither is there */
    bool negated;
};

/* False with a message if both are there. */
static bool element_find(struct compiler *compiler, json_t *json,
                         const char *name, struct element *element)
{
    char negated[32];

    snprintf(negated, sizeof(negated), "Not%s", name);
    *element = (struct element){.json = json_object_get(json, name)};
    json_t *other = json_object_get(json, negated);
    if (other != NULL) {
        if (element->json != NULL) {
            return compile_fail_syntax(compiler);
        }
        *element = (struct element){.json = other, .negated = true};
    }
    return true;
}

static bool missing(struct compiler *compiler, const char *name)
{
    return compile_fail(compiler, "Missing required field %s", name);
}

static bool check_fields(struct compiler *compiler, json_t *json)
{
    static const char *const known[] = {
        "Sid",       "Effect",   "Principal",   "NotPrincipal", "Action",
        "NotAction", "Resource", "NotResource", "Condition"};
    const char *name;
    json_t *value;

    json_object_foreach(json, name, value)
    {
        size_t i = 0;
        while (i < sizeof(known) / sizeof(known[0]) &&
               strcmp(name, known[i]) != 0) {
            i++;
        }
        if (i == sizeof(known) / sizeof(known[0])) {
            return compile_fail(compiler, "Unknown field %.128s", name);
        }
    }
    return true;
}

static bool compile_sid(struct compiler *compiler, const json_t *json,
                        struct statement *statement)
{
    statement->sid = "";
    if (json == NULL) {
        return true;
    }
    if (!json_is_string(json)) {
        return compile_fail_syntax(compiler);
    }
    statement->sid =
        arena_string(compiler->arena, slice_of(json_string_value(json),
                                               json_string_length(json)));
    return true;
}

static bool compile_effect(struct compiler *compiler, const json_t *json,
                           struct statement *statement)
{
    if (json == NULL) {
        return missing(compiler, "Effect");
    }
    const char *effect = json_is_string(json) ? json_string_value(json) : "";
    statement->allows = strcmp(effect, "Allow") == 0;
    return statement->allows || strcmp(effect, "Deny") == 0 ||
           compile_fail(compiler, "Invalid effect: %.128s", effect);
}

static bool compile_principal(struct compiler *compiler, json_t *json,
                              struct statement *statement)
{
    struct element element;

    if (!element_find(compiler, json, "Principal", &element)) {
        return false;
    }
    if (compiler->kind == POLICY_IDENTITY) {
        return element.json == NULL ||
               compile_fail(compiler, "Policy document should not specify a "
                                      "principal.");
    }
    if (element.json == NULL) {
        return missing(compiler, "Principal");
    }
    statement->not_principals = element.negated;
    return principals_compile(compiler, element.json, statement);
}

/* --- actions ---------------------------------------------------------------*/

static bool check_action(struct compiler *compiler, struct slice text,
                         const struct pattern *action)
{
    const uint8_t *colon = slice_find(text, ':');

    switch (compiler->kind) {
    case POLICY_BUCKET:
        return s3_action_levels(action) != 0 ||
               compile_fail(compiler, "Policy has invalid action");
    case POLICY_TRUST:
        return (text.size > 4 &&
                slice_equal_fold(slice_head(text, 4), SLICE_LITERAL("sts:"))) ||
               compile_fail(compiler, "AssumeRole policy may only specify STS "
                                      "AssumeRole actions.");
    case POLICY_IDENTITY:
        return slice_equal_string(text, "*") ||
               (colon != NULL && colon != text.data) ||
               compile_fail(compiler, "Actions/Conditions must be prefaced by "
                                      "a vendor, e.g., iam, sdb, ec2, etc.");
    }
    return false;
}

static bool compile_actions(struct compiler *compiler, json_t *json,
                            struct statement *statement)
{
    struct element element;
    size_t count;

    if (!element_find(compiler, json, "Action", &element)) {
        return false;
    }
    if (element.json == NULL) {
        return missing(compiler, "Action");
    }
    struct slice *texts = compile_texts(compiler, element.json, &count);
    if (texts == NULL) {
        return false;
    }
    statement->not_actions = element.negated;
    statement->actions =
        arena_alloc(compiler->arena, count * sizeof(statement->actions[0]));
    statement->action_count = count;
    for (size_t i = 0; i < count; i++) {
        struct pattern *action = &statement->actions[i];
        if (!pattern_compile(compiler->arena, texts[i],
                             PATTERN_WILDCARDS | PATTERN_FOLD, action)) {
            return compile_fail_syntax(compiler);
        }
        if (!check_action(compiler, texts[i], action)) {
            return false;
        }
    }
    return true;
}

/* --- resources -------------------------------------------------------------*/

/* The bucket's name and nothing else, or something in the bucket, or a
 * wildcard that may be both. Levels; 0: it is not of this bucket. */
static unsigned bucket_levels(struct slice text, struct slice bucket)
{
    static const struct slice prefix = SLICE_LITERAL(RESOURCE_PREFIX);

    if (!slice_has_prefix(text, prefix)) {
        return 0;
    }
    text = slice_tail(text, prefix.size);
    if (!slice_has_prefix(text, bucket)) {
        return 0;
    }
    text = slice_tail(text, bucket.size);
    if (text.size == 0) {
        return LEVEL_BUCKET;
    }
    switch (text.data[0]) {
    case '*':
        return LEVEL_BUCKET | LEVEL_OBJECT;
    case '/':
    case '?':
        return LEVEL_OBJECT;
    default:
        return 0;
    }
}

static bool check_resource(struct compiler *compiler, struct slice text)
{
    if (compiler->kind == POLICY_BUCKET) {
        return bucket_levels(text, compiler->bucket) != 0 ||
               compile_fail(compiler, "Policy has invalid resource");
    }
    return slice_equal_string(text, "*") ||
           slice_has_prefix(text, SLICE_LITERAL("arn:")) ||
           compile_fail(compiler,
                        "Resource %.*s must be in ARN format or "
                        "\"*\".",
                        (int)(text.size < 128 ? text.size : 128),
                        (const char *)text.data);
}

static bool compile_resources(struct compiler *compiler, json_t *json,
                              struct statement *statement)
{
    unsigned flags = PATTERN_WILDCARDS;
    struct element element;
    size_t count;

    if (!element_find(compiler, json, "Resource", &element)) {
        return false;
    }
    if (compiler->kind == POLICY_TRUST) {
        return element.json == NULL ||
               compile_fail(compiler, "Has prohibited field Resource");
    }
    if (element.json == NULL) {
        return missing(compiler, "Resource");
    }
    statement->resource_texts = compile_texts(compiler, element.json, &count);
    if (statement->resource_texts == NULL) {
        return false;
    }
    flags |= compiler->variables ? PATTERN_VARIABLES : 0;
    statement->not_resources = element.negated;
    statement->resources =
        arena_alloc(compiler->arena, count * sizeof(statement->resources[0]));
    statement->resource_count = count;
    for (size_t i = 0; i < count; i++) {
        if (!check_resource(compiler, statement->resource_texts[i])) {
            return false;
        }
        if (!pattern_compile(compiler->arena, statement->resource_texts[i],
                             flags, &statement->resources[i])) {
            return compile_fail_syntax(compiler);
        }
    }
    return true;
}

/* In a bucket's policy each action must have a resource that it acts on. */
static bool check_levels(struct compiler *compiler,
                         const struct statement *statement)
{
    unsigned levels = 0;

    if (compiler->kind != POLICY_BUCKET || statement->not_actions ||
        statement->not_resources) {
        return true;
    }
    for (size_t i = 0; i < statement->resource_count; i++) {
        levels |= bucket_levels(statement->resource_texts[i], compiler->bucket);
    }
    for (size_t i = 0; i < statement->action_count; i++) {
        if ((s3_action_levels(&statement->actions[i]) & levels) == 0) {
            return compile_fail(compiler, "Action does not apply to any "
                                          "resource(s) in statement");
        }
    }
    return true;
}

bool statement_compile(struct compiler *compiler, json_t *json,
                       struct statement *statement)
{
    if (!json_is_object(json)) {
        return compile_fail_syntax(compiler);
    }
    json_t *condition = json_object_get(json, "Condition");
    return check_fields(compiler, json) &&
           compile_sid(compiler, json_object_get(json, "Sid"), statement) &&
           compile_effect(compiler, json_object_get(json, "Effect"),
                          statement) &&
           compile_principal(compiler, json, statement) &&
           compile_actions(compiler, json, statement) &&
           compile_resources(compiler, json, statement) &&
           check_levels(compiler, statement) &&
           (condition == NULL ||
            conditions_compile(compiler, condition, statement));
}
