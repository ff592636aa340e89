/*
 * One document, one request.
 */
#include "policy/private.h"

/* Patterns against a text. Negated, a pattern that lacks a variable's value is
 * as good as matched where the statement allows: it then allows nothing. */
static bool matches(const struct statement *statement,
                    const struct pattern *patterns, size_t count, bool negated,
                    const struct policy_request *request, struct slice text)
{
    bool unknown = false;

    for (size_t i = 0; i < count; i++) {
        enum match match = pattern_match(&patterns[i], request, text);
        if (match == MATCH_YES) {
            return !negated;
        }
        unknown |= match == MATCH_UNKNOWN;
    }
    return negated && !(unknown && statement->allows);
}

/* CLOSE_NOT: the statement has nothing to say. */
static enum closeness statement_match(const struct statement *statement,
                                      const struct policy_request *request)
{
    enum closeness closeness = principals_match(statement, &request->principal);

    if (closeness == CLOSE_NOT ||
        !matches(statement, statement->actions, statement->action_count,
                 statement->not_actions, request, request->action)) {
        return CLOSE_NOT;
    }
    /* A trust policy has no resources: it is part of one. */
    if (statement->resource_count > 0 &&
        !matches(statement, statement->resources, statement->resource_count,
                 statement->not_resources, request, request->resource)) {
        return CLOSE_NOT;
    }
    return conditions_match(statement, request) ? closeness : CLOSE_NOT;
}

struct verdict policy_judge(const struct policy *policy,
                            const struct policy_request *request)
{
    struct verdict verdict = {.effect = POLICY_NO_MATCH,
                              .closeness = CLOSE_NOT};

    for (size_t i = 0; i < policy->count; i++) {
        const struct statement *statement = &policy->statements[i];
        enum closeness closeness = statement_match(statement, request);
        if (closeness == CLOSE_NOT ||
            (statement->allows && closeness <= verdict.closeness)) {
            continue;
        }
        verdict.reason = (struct policy_reason){statement->sid, (unsigned)i};
        if (!statement->allows) { /* P2 */
            verdict.effect = POLICY_DENY;
            return verdict;
        }
        verdict.effect = POLICY_ALLOW;
        verdict.closeness = closeness;
    }
    return verdict;
}

enum policy_effect policy_evaluate(const struct policy *policy,
                                   const struct policy_request *request,
                                   struct policy_reason *reason)
{
    struct verdict verdict = policy_judge(policy, request);

    if (reason != NULL) {
        *reason = verdict.reason;
    }
    return verdict.effect;
}
