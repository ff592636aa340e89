/*
 * Whom or what an action is about, and whether the caller may do it.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
 */
#include "s3/query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "s3/authorize_context.h"

#define ACTION_MAX 96

static const struct {
    const char *arn, *field;
} kinds[] = {[IAM_USER] = {"user", "UserName"},
             [IAM_GROUP] = {"group", "GroupName"},
             [IAM_ROLE] = {"role", "RoleName"},
             [IAM_POLICY] = {"policy", "PolicyName"}};

void query_arn(const struct query *query, enum iam_kind kind, const char *path,
               const char *name, char arn[IAM_ARN_MAX + 1])
{
    snprintf(arn, IAM_ARN_MAX + 1, "arn:aws:iam::%s:%s%s%s",
             query->call->identity.account, kinds[kind].arn, path, name);
}

/* --- the question ----------------------------------------------------------*/
static void action_name(const struct query *query, char name[ACTION_MAX])
{
    snprintf(name, ACTION_MAX, "%s:%s",
             query->service == QUERY_IAM ? "iam" : "sts", query->action->name);
}

void query_deny(struct query *query, const char *resource)
{
    char action[ACTION_MAX];

    action_name(query, action);
    query_fail(query, QUERY_ACCESS_DENIED,
               "User: %s is not authorized to perform: %s on resource: %s",
               query->call->identity.arn, action, resource);
}

bool query_allowed(struct query *query, const char *resource)
{
    const char *policy = query_optional(query, "PolicyArn");
    const struct s3_given given = {
        SLICE_LITERAL("iam:PolicyARN"),
        slice_from_string(policy != NULL ? policy : "")};
    char action[ACTION_MAX];
    struct s3_question question = {.action = action,
                                   .resource = slice_from_string(resource)};
    struct access_context context = {.call = query->call,
                                     .question = &question,
                                     .given = &given,
                                     .given_count = policy != NULL};
    struct policy_decision decision;

    action_name(query, action);
    access_decide(&context, &decision);
    access_release(&context);
    if (!decision.allowed) {
        query_deny(query, resource);
    }
    return decision.allowed;
}

/* What GetSessionToken gives is for S3: it must not make itself permanent. */
static bool check_session(struct query *query)
{
    const struct iam_identity *who = &query->call->identity;

    if (query->service != QUERY_IAM || !who->temporary ||
        who->role_arn[0] != '\0') {
        return true;
    }
    query_fail(query, QUERY_INVALID_CLIENT_TOKEN_ID,
               "The security token included in the request is invalid");
    return false;
}

/* --- the subject -----------------------------------------------------------*/
/* query->entity and its ARN, or the ARN of what is not there. */
static int look_up(struct query *query, char arn[IAM_ARN_MAX + 1])
{
    struct iam_entity *found = arena_alloc(query->call->arena, sizeof(*found));
    int error = iam_get(query->iam, &query->name, found);

    if (error != 0) {
        query_arn(query, query->name.kind, "/", query->name.name, arn);
        return error;
    }
    query->entity = found;
    query->name.name = found->name;
    copy_string(arn, IAM_ARN_MAX + 1, found->arn);
    return 0;
}

/* A managed policy of the account, or a built-in one. */
static int look_up_policy(struct query *query, const char *policy,
                          char arn[IAM_ARN_MAX + 1])
{
    struct iam_entity *found = arena_alloc(query->call->arena, sizeof(*found));
    int error = iam_get_by_arn(query->iam, policy, found);

    snprintf(arn, IAM_ARN_MAX + 1, "%s", policy);
    query->name.name = policy;
    if (error != 0) {
        return error;
    }
    if (found->kind != IAM_POLICY ||
        (strcmp(found->account, query->call->identity.account) != 0 &&
         strcmp(found->account, IAM_BUILT_IN) != 0)) {
        return -ENOENT;
    }
    query->entity = found;
    query->name = (struct iam_name){IAM_POLICY, found->account, found->name};
    return 0;
}

/* The user who calls; -EINVAL: it is none. */
static int look_up_caller(struct query *query, char arn[IAM_ARN_MAX + 1])
{
    const struct iam_identity *who = &query->call->identity;

    if (who->role_arn[0] != '\0') {
        query_fail(query, QUERY_VALIDATION_ERROR,
                   "Must specify userName when calling with non-User "
                   "credentials");
        return -EINVAL;
    }
    if (who->user_name[0] == '\0') {
        copy_string(arn, IAM_ARN_MAX + 1, who->arn);
        return 0;
    }
    query->name.name = who->user_name;
    return look_up(query, arn);
}

/* Returns 0, -ENOENT (asked about first, then refused), or the query has
 * failed. */
static int resolve(struct query *query, char arn[IAM_ARN_MAX + 1])
{
    const struct query_action *action = query->action;
    const char *value = "";

    switch (action->naming) {
    case NAMES_ALL:
        value = query_optional(query, "PathPrefix");
        query_arn(query, action->kind, value != NULL ? value : "/", "", arn);
        return 0;
    case NAMES_ONE_OR_ME:
        if (query_optional(query, kinds[action->kind].field) == NULL) {
            return look_up_caller(query, arn);
        }
        break;
    case NAMES_ONE:
    case NAMES_NEW:
        break;
    default:
        copy_string(arn, IAM_ARN_MAX + 1, "*");
        return 0;
    }
    if (action->kind == IAM_POLICY && action->naming == NAMES_ONE) {
        return query_required(query, "PolicyArn", &value)
                   ? look_up_policy(query, value, arn)
                   : -EINVAL;
    }
    if (!query_required(query, kinds[action->kind].field, &value)) {
        return -EINVAL;
    }
    query->name.name = value;
    if (action->naming == NAMES_NEW) {
        value = query_optional(query, "Path");
        query_arn(query, action->kind, value != NULL ? value : "/",
                  query->name.name, arn);
        return 0;
    }
    return look_up(query, arn);
}

bool query_subject(struct query *query)
{
    const struct query_action *action = query->action;
    int error;

    query->name =
        (struct iam_name){action->kind, query->call->identity.account, NULL};
    if (!check_session(query)) {
        return false;
    }
    if (action->naming == NAMES_ITSELF) {
        return true;
    }
    error = resolve(query, query->arn);
    if (query->failed || !query_allowed(query, query->arn)) {
        return false;
    }
    if (error != 0) {
        query_fail(query, QUERY_NO_SUCH_ENTITY,
                   "The %s with name %.256s cannot be found.",
                   kinds[action->kind].arn, query->name.name);
    }
    return error == 0;
}
