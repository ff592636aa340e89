/*
 * STS: temporary credentials.
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html
 */
#include "s3/query_actions.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "s3/query_trust.h"

#define SESSION_DEFAULT_S      43200u
#define ROOT_SESSION_MAX_S     3600u
#define ROLE_SESSION_DEFAULT_S 3600u
#define CHAINED_SESSION_MAX_S  3600u

void query_caller_identity(struct query *query)
{
    const struct iam_identity *who = &query->call->identity;

    xml_string(&query->result, "Arn", who->arn);
    xml_string(&query->result, "UserId", who->user_id);
    xml_string(&query->result, "Account", who->account);
}

/* --- GetSessionToken -------------------------------------------------------*/
void query_session_token(struct query *query)
{
    const struct iam_identity *who = &query->call->identity;
    struct slice access_key = pb_slice(query->call->request->access_key);
    struct iam_new_session wanted = {
        .access_key = arena_string(query->call->arena, access_key)};
    struct iam_credentials key;
    char message[POLICY_MESSAGE_MAX];
    uint64_t seconds;
    int error;

    snprintf(query->arn, sizeof(query->arn), "%s", who->arn);
    if (!query_number(query, "DurationSeconds", IAM_SESSION_MIN_S,
                      IAM_SESSION_MAX_S, SESSION_DEFAULT_S, &seconds)) {
        return;
    }
    if (who->account_root && seconds > ROOT_SESSION_MAX_S) {
        seconds = ROOT_SESSION_MAX_S;
    }
    wanted.seconds = (unsigned)seconds;
    error = iam_session_add(query->iam, &wanted, &key, message);
    if (error == -EPERM) {
        query_fail(query, QUERY_ACCESS_DENIED,
                   "Cannot call GetSessionToken with session credentials");
    } else if (error != 0) {
        query_fail_errno(query, error, message);
    } else {
        query_show_credentials(query, &key);
        iam_credentials_wipe(&key);
    }
}

/* --- roles -----------------------------------------------------------------*/
/* Who wants to be which role, and for how long. */
struct wish {
    const char *role_arn, *session_name;
    struct iam_entity role;
    bool exists; /* `role` is filled in */
    uint64_t seconds;
    struct slice policy;
    const char *arns[IAM_SESSION_ARNS_MAX];
    size_t arn_count;
};

static size_t count_prefixed(const struct query *query, struct slice prefix)
{
    size_t count = 0;

    for (size_t i = 0; i < query->form.count; i++) {
        count += slice_has_prefix(query->form.fields[i].name, prefix);
    }
    return count;
}

/* PolicyArns.member.1.arn and so on, all of them: one that were overlooked
 * would not narrow the session. */
static bool read_arns(struct query *query, struct wish *wish)
{
    const size_t count = count_prefixed(query, SLICE_LITERAL("PolicyArns."));
    char name[40];

    for (; wish->arn_count < count && count <= IAM_SESSION_ARNS_MAX;
         wish->arn_count++) {
        snprintf(name, sizeof(name), "PolicyArns.member.%u.arn",
                 (unsigned)wish->arn_count + 1);
        if (!query_required(query, name, &wish->arns[wish->arn_count])) {
            return false;
        }
    }
    if (wish->arn_count == count) {
        return true;
    }
    query_fail(query, QUERY_VALIDATION_ERROR,
               "1 validation error detected: Value at 'policyArns' failed to "
               "satisfy constraint: Member must have length less than or equal "
               "to %u",
               IAM_SESSION_ARNS_MAX);
    return false;
}

static bool read_wish(struct query *query, struct wish *wish)
{
    /* An empty one is a mistake, and narrows nothing. */
    const char *policy = query_form_find(&query->form, "Policy");

    memset(wish, 0, sizeof(*wish));
    if (!query_required(query, "RoleArn", &wish->role_arn)) {
        return false;
    }
    snprintf(query->arn, sizeof(query->arn), "%s", wish->role_arn);
    if (!query_required(query, "RoleSessionName", &wish->session_name) ||
        !query_number(query, "DurationSeconds", IAM_SESSION_MIN_S,
                      IAM_ROLE_SESSION_MAX_S, ROLE_SESSION_DEFAULT_S,
                      &wish->seconds) ||
        !read_arns(query, wish)) {
        return false;
    }
    if (policy != NULL) {
        wish->policy = slice_from_string(policy);
    }
    wish->exists =
        iam_get_by_arn(query->iam, wish->role_arn, &wish->role) == 0 &&
        wish->role.kind == IAM_ROLE;
    return true;
}

static bool check_duration(struct query *query, const struct wish *wish)
{
    const bool chained = query->call->identity.role_arn[0] != '\0';

    if (wish->seconds > wish->role.max_session_s) {
        query_fail(query, QUERY_VALIDATION_ERROR,
                   "The requested DurationSeconds exceeds the "
                   "MaxSessionDuration set for this role.");
        return false;
    }
    if (chained && wish->seconds > CHAINED_SESSION_MAX_S) {
        query_fail(query, QUERY_VALIDATION_ERROR,
                   "The requested DurationSeconds exceeds the 1 hour session "
                   "limit for roles assumed by role chaining.");
        return false;
    }
    return true;
}

static void fail_session(struct query *query, int error, const char *message)
{
    switch (error) {
    case -E2BIG:
        query_fail(query, QUERY_PACKED_POLICY_TOO_LARGE,
                   "The session policy is larger than %u bytes.",
                   IAM_SESSION_POLICY_MAX);
        break;
    case -ENOENT:
        query_fail(query, QUERY_VALIDATION_ERROR,
                   "A policy of PolicyArns does not exist.");
        break;
    default:
        query_fail_errno(query, error, message);
    }
}

static void show_holder(struct buffer *out, const struct wish *wish,
                        const struct oidc_token *token)
{
    xml_open(out, "AssumedRoleUser");
    xml_open(out, "AssumedRoleId");
    buffer_printf(out, "%s:%s", wish->role.id, wish->session_name);
    xml_close(out, "AssumedRoleId");
    xml_open(out, "Arn");
    buffer_printf(out, "arn:aws:sts::%s:assumed-role/%s/%s", wish->role.account,
                  wish->role.name, wish->session_name);
    xml_close(out, "Arn");
    xml_close(out, "AssumedRoleUser");
    if (token != NULL) {
        xml_string(out, "SubjectFromWebIdentityToken", token->subject);
        xml_string(out, "Audience", token->audience);
        xml_string(out, "Provider", token->provider);
    }
}

/* Writes the credentials, behind who their holder is: once they are in the
 * buffer it must not grow. `token` may be NULL. */
static void begin_session(struct query *query, const struct wish *wish,
                          const struct oidc_token *token)
{
    const struct iam_name role = {IAM_ROLE, wish->role.account,
                                  wish->role.name};
    const struct iam_new_session wanted = {.role = &role,
                                           .session_name = wish->session_name,
                                           .seconds = (unsigned)wish->seconds,
                                           .policy = wish->policy,
                                           .policy_arns = wish->arns,
                                           .policy_arn_count = wish->arn_count};
    struct iam_credentials key;
    char message[POLICY_MESSAGE_MAX];
    int error = iam_session_add(query->iam, &wanted, &key, message);

    if (error != 0) {
        fail_session(query, error, message);
        return;
    }
    show_holder(&query->result, wish, token);
    query_show_credentials(query, &key);
    iam_credentials_wipe(&key);
}

void query_assume_role(struct query *query)
{
    struct wish wish;

    if (!read_wish(query, &wish)) {
        return;
    }
    if (query->call->identity.account_root) {
        query_fail(query, QUERY_ACCESS_DENIED,
                   "Roles may not be assumed by root accounts.");
    } else if (!wish.exists || !query_trusts_caller(query, &wish.role)) {
        query_deny(query, wish.role_arn);
    } else if (check_duration(query, &wish)) {
        begin_session(query, &wish, NULL);
    }
}

/* --- AssumeRoleWithWebIdentity ---------------------------------------------*/
static void fail_token(struct query *query, int error)
{
    switch (error) {
    case -EKEYEXPIRED:
        query_fail(query, QUERY_EXPIRED_WEB_TOKEN, "Token expired");
        break;
    case -EACCES:
        query_fail(query, QUERY_IDP_REJECTED_CLAIM,
                   "The token is for another audience, or not valid yet.");
        break;
    case -ENOENT:
        query_fail(query, QUERY_INVALID_IDENTITY_TOKEN,
                   "No OpenIDConnect provider found for the token's issuer");
        break;
    case -EIO:
        query_fail(query, QUERY_INVALID_IDENTITY_TOKEN,
                   "Couldn't retrieve verification key from your identity "
                   "provider");
        break;
    default:
        query_fail(query, QUERY_INVALID_IDENTITY_TOKEN,
                   "The web identity token is malformed, or its signature is "
                   "not valid.");
    }
}

static void assume_by_token(struct query *query, const struct wish *wish,
                            const struct oidc_token *token)
{
    if (!wish->exists || !query_trusts_token(query, &wish->role, token)) {
        query_fail(query, QUERY_ACCESS_DENIED,
                   "Not authorized to perform sts:AssumeRoleWithWebIdentity");
        return;
    }
    if (check_duration(query, wish)) {
        begin_session(query, wish, token);
    }
}

void query_assume_role_with_web_identity(struct query *query)
{
    struct oidc_token token;
    const char *text;
    struct wish wish;
    int error;

    if (!read_wish(query, &wish) ||
        !query_required(query, "WebIdentityToken", &text)) {
        return;
    }
    error = oidc_verify(query->call->service->oidc, slice_from_string(text),
                        clock_wall_ms(), &token);
    if (error != 0) {
        fail_token(query, error);
        return;
    }
    query->provider = token.provider;
    query->subject =
        arena_string(query->call->arena, slice_from_string(token.subject));
    assume_by_token(query, &wish, &token);
    oidc_token_free(&token);
}
