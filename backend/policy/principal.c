/*
 * Principals: who a statement is about.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
 */
#include "policy/private.h"

#define ACCOUNT_SIZE   12
#define CANONICAL_SIZE 64

/* --- compiling -------------------------------------------------------------*/

static bool all_in(struct slice text, const char *bytes)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '\0' || strchr(bytes, text.data[i]) == NULL) {
            return false;
        }
    }
    return true;
}

static bool is_account(struct slice text)
{
    return text.size == ACCOUNT_SIZE && all_in(text, "0123456789");
}

static bool is_canonical(struct slice text)
{
    return text.size == CANONICAL_SIZE && all_in(text, "0123456789abcdef");
}

/* "arn:aws:iam::123456789012:user/..." and its like. Which of them exist is
 * known elsewhere. */
static bool parse_arn(struct slice text, struct principal *principal)
{
    static const char *const prefixes[] = {"arn:aws:iam::", "arn:aws:sts::"};
    static const char *const kinds[2][2] = {
        {":user/", ":role/"}, {":assumed-role/", ":federated-user/"}};

    for (size_t i = 0; i < 2; i++) {
        struct slice prefix = slice_from_string(prefixes[i]);
        if (!slice_has_prefix(text, prefix) ||
            text.size < prefix.size + ACCOUNT_SIZE) {
            continue;
        }
        struct slice rest = slice_tail(text, prefix.size);
        struct slice account = slice_head(rest, ACCOUNT_SIZE);
        rest = slice_tail(rest, ACCOUNT_SIZE);
        if (!is_account(account)) {
            return false;
        }
        if (i == 0 && slice_equal_string(rest, ":root")) {
            *principal = (struct principal){PRINCIPAL_ACCOUNT, account};
            return true;
        }
        for (size_t k = 0; k < 2; k++) {
            struct slice kind = slice_from_string(kinds[i][k]);
            if (slice_has_prefix(rest, kind) && rest.size > kind.size) {
                *principal = (struct principal){PRINCIPAL_ARN, text};
                return text_is_fixed(text);
            }
        }
    }
    return false;
}

static bool parse_aws(struct slice text, struct principal *principal)
{
    if (slice_equal_string(text, "*")) {
        principal->type = PRINCIPAL_ANYONE;
        return true;
    }
    if (is_account(text)) {
        *principal = (struct principal){PRINCIPAL_ACCOUNT, text};
        return true;
    }
    if (is_canonical(text)) {
        *principal = (struct principal){PRINCIPAL_CANONICAL, text};
        return true;
    }
    return parse_arn(text, principal);
}

static bool parse_principal(const char *type, struct slice text,
                            struct principal *principal)
{
    if (strcmp(type, "AWS") == 0) {
        return parse_aws(text, principal);
    }
    if (strcmp(type, "CanonicalUser") == 0) {
        *principal = (struct principal){PRINCIPAL_CANONICAL, text};
        return is_canonical(text);
    }
    if (strcmp(type, "Federated") == 0) {
        *principal = (struct principal){PRINCIPAL_FEDERATED, text};
        return text.size > 0 && text_is_fixed(text);
    }
    if (strcmp(type, "Service") == 0) {
        *principal = (struct principal){PRINCIPAL_SERVICE, text};
        return slice_find(text, '.') != NULL && text_is_fixed(text);
    }
    return false;
}

static bool fail(struct compiler *compiler)
{
    return compile_fail(compiler, "Invalid principal in policy");
}

static bool compile_type(struct compiler *compiler, const char *type,
                         const json_t *value, struct statement *statement)
{
    size_t count;
    struct slice *texts = compile_texts(compiler, value, &count);

    if (texts == NULL) {
        return fail(compiler);
    }
    for (size_t i = 0; i < count; i++) {
        struct principal *principal =
            &statement->principals[statement->principal_count++];
        if (!parse_principal(type, texts[i], principal)) {
            return fail(compiler);
        }
    }
    return true;
}

bool principals_compile(struct compiler *compiler, json_t *json,
                        struct statement *statement)
{
    const char *type;
    json_t *value;
    size_t count = 0;

    if (json_is_string(json)) {
        statement->principals =
            arena_zalloc(compiler->arena, sizeof(struct principal));
        statement->principals[0].type = PRINCIPAL_ANYONE;
        statement->principal_count = 1;
        return strcmp(json_string_value(json), "*") == 0 || fail(compiler);
    }
    if (!json_is_object(json) || json_object_size(json) == 0) {
        return fail(compiler);
    }
    json_object_foreach(json, type, value)
    {
        count += json_is_array(value) ? json_array_size(value) : 1;
    }
    statement->principals =
        arena_zalloc(compiler->arena, count * sizeof(struct principal));
    json_object_foreach(json, type, value)
    {
        if (!compile_type(compiler, type, value, statement)) {
            return false;
        }
    }
    return true;
}

/* --- evaluating ------------------------------------------------------------*/

static bool same(struct slice a, struct slice b)
{
    return a.size > 0 && slice_equal(a, b);
}

static enum closeness match_one(const struct principal *principal,
                                const struct policy_principal *caller)
{
    if (principal->type == PRINCIPAL_ANYONE) {
        return CLOSE_CALLER;
    }
    if (caller->anonymous) {
        return CLOSE_NOT;
    }
    switch (principal->type) {
    case PRINCIPAL_ACCOUNT:
        return same(caller->account, principal->text) ? CLOSE_ACCOUNT
                                                      : CLOSE_NOT;
    case PRINCIPAL_CANONICAL:
        return same(caller->canonical, principal->text) ? CLOSE_ACCOUNT
                                                        : CLOSE_NOT;
    case PRINCIPAL_FEDERATED:
        return same(caller->federated, principal->text) ? CLOSE_CALLER
                                                        : CLOSE_NOT;
    case PRINCIPAL_ARN:
        if (same(caller->arn, principal->text)) {
            return caller->role_arn.size > 0 ? CLOSE_SESSION : CLOSE_CALLER;
        }
        return same(caller->role_arn, principal->text) ? CLOSE_CALLER
                                                       : CLOSE_NOT;
    default:
        return CLOSE_NOT;
    }
}

static bool is_account_root(const struct policy_principal *caller)
{
    static const struct slice root = SLICE_LITERAL(":root");

    return caller->arn.size > root.size &&
           slice_equal(slice_tail(caller->arn, caller->arn.size - root.size),
                       root);
}

/* Errs to denying, as AWS does: an account in the NotPrincipal of a Deny saves
 * its root user, not its users; in that of an Allow it leaves out them all. */
static enum closeness match_others(const struct statement *statement,
                                   const struct policy_principal *caller)
{
    enum closeness needed = statement->allows || is_account_root(caller)
                                ? CLOSE_ACCOUNT
                                : CLOSE_CALLER;

    for (size_t i = 0; i < statement->principal_count; i++) {
        if (match_one(&statement->principals[i], caller) >= needed) {
            return CLOSE_NOT;
        }
    }
    return CLOSE_CALLER;
}

enum closeness principals_match(const struct statement *statement,
                                const struct policy_principal *caller)
{
    enum closeness closest = CLOSE_NOT;

    if (statement->not_principals) {
        return match_others(statement, caller);
    }
    if (statement->principal_count == 0) { /* of an identity's policy */
        return CLOSE_CALLER;
    }
    for (size_t i = 0; i < statement->principal_count; i++) {
        enum closeness one = match_one(&statement->principals[i], caller);
        closest = one > closest ? one : closest;
    }
    return closest;
}
