#include "s3/query_trust.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "s3/audit.h"
#include "s3/authorize_context.h"

#define PROVIDER_ARN_MAX (64 + OIDC_ISSUER_MAX)

struct trust_question {
    struct access_context context; /* for the keys that every request has */
    struct s3_question question;
    struct query *query;
    const struct oidc_token *token; /* NULL: AssumeRole */
    struct policy *trust;
};

/* --- condition keys --------------------------------------------------------*/
static size_t field(struct trust_question *asked, const char *name,
                    struct slice *values)
{
    const char *value = query_optional(asked->query, name);

    if (value == NULL) {
        return 0;
    }
    values[0] = slice_from_string(value);
    return 1;
}

static bool is_key(struct slice key, const char *name)
{
    return key.size == strlen(name) &&
           strncasecmp((const char *)key.data, name, key.size) == 0;
}

static size_t trust_values(void *argument, struct slice key,
                           struct slice *values)
{
    struct trust_question *asked = argument;

    if (is_key(key, "sts:ExternalId")) {
        return field(asked, "ExternalId", values);
    }
    if (is_key(key, "sts:RoleSessionName")) {
        return field(asked, "RoleSessionName", values);
    }
    if (asked->token != NULL) {
        const size_t size = strlen(asked->token->provider);

        if (key.size > size + 1 && key.data[size] == ':' &&
            memcmp(key.data, asked->token->provider, size) == 0) {
            return oidc_claim(
                asked->token,
                slice_of(key.data + size + 1, key.size - size - 1), values,
                POLICY_VALUES_MAX);
        }
    }
    return access_values(&asked->context, key, values);
}

/* --- questions -------------------------------------------------------------*/
static bool open_question(struct query *query, const struct iam_entity *role,
                          const struct oidc_token *token,
                          struct trust_question *asked,
                          struct policy_request *request)
{
    const struct iam_name name = {IAM_ROLE, role->account, role->name};

    *asked = (struct trust_question){.query = query, .token = token};
    asked->question.resource = slice_from_string(role->arn);
    asked->context.call = query->call;
    asked->context.question = &asked->question;
    *request = (struct policy_request){
        .action = token != NULL ? SLICE_LITERAL("sts:AssumeRoleWithWebIdentity")
                                : SLICE_LITERAL("sts:AssumeRole"),
        .resource = asked->question.resource,
        .values = trust_values,
        .context = asked,
    };
    return iam_role_trust(query->iam, &name, &asked->trust) == 0;
}

static bool decide(struct trust_question *asked,
                   const struct policy_inputs *inputs,
                   const struct policy_request *request)
{
    const struct policy_decision decision = policy_decide(inputs, request);

    audit_decision(asked->query->call->service->audit, asked->query->call,
                   request, &decision);
    policy_release(asked->trust);
    return decision.allowed;
}

bool query_trusts_caller(struct query *query, const struct iam_entity *role)
{
    const struct iam_identity *who = &query->call->identity;
    struct policy_inputs inputs = {.root = false};
    struct trust_question asked;
    struct policy_request request;

    if (!open_question(query, role, NULL, &asked, &request)) {
        return false;
    }
    access_principal(who, &request.principal);
    iam_rights_inputs(who, &inputs);
    inputs.resource = asked.trust;
    inputs.same_account = strcmp(role->account, who->account) == 0;
    /* In its account, too, a role is whose its trust policy says: nobody's own
     * policies are enough. */
    if (policy_evaluate(asked.trust, &request, NULL) == POLICY_NO_MATCH) {
        inputs.identity_count = 0;
    }
    return decide(&asked, &inputs, &request);
}

/* Who comes with a token has no account and no policies: the trust policy
 * alone decides. */
bool query_trusts_token(struct query *query, const struct iam_entity *role,
                        const struct oidc_token *token)
{
    struct policy_inputs inputs = {.same_account = true};
    struct trust_question asked;
    struct policy_request request;
    char arn[PROVIDER_ARN_MAX];

    if (!open_question(query, role, token, &asked, &request)) {
        return false;
    }
    snprintf(arn, sizeof(arn), "arn:aws:iam::%s:oidc-provider/%s",
             role->account, token->provider);
    request.principal.federated = slice_from_string(arn);
    inputs.resource = asked.trust;
    return decide(&asked, &inputs, &request);
}
