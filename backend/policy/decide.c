/*
 * All documents, one request.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
 */
#include "policy/private.h"

/* What a set of documents says; the first that decides. */
struct opinion {
    enum policy_effect effect;
    size_t document;
    struct policy_reason reason;
};

static struct opinion ask(struct policy *const *policies, size_t count,
                          const struct policy_request *request)
{
    struct opinion opinion = {.effect = POLICY_NO_MATCH};

    for (size_t i = 0; i < count; i++) {
        struct policy_reason reason;
        enum policy_effect effect =
            policy_evaluate(policies[i], request, &reason);
        if (effect == POLICY_DENY ||
            (effect == POLICY_ALLOW && opinion.effect == POLICY_NO_MATCH)) {
            opinion = (struct opinion){effect, i, reason};
        }
        if (effect == POLICY_DENY) {
            break;
        }
    }
    return opinion;
}

/* Everything that was asked. */
struct hearing {
    struct opinion identity, session;
    struct verdict resource;
    bool same_account;
    bool restricted; /* by RestrictPublicBuckets */
};

static struct hearing hear(const struct policy_inputs *inputs,
                           const struct policy_request *request)
{
    struct hearing hearing = {
        .identity = ask(inputs->identity, inputs->identity_count, request),
        .session = ask(inputs->session, inputs->session_count, request),
        .same_account = inputs->same_account && !request->principal.anonymous,
    };

    if (inputs->resource != NULL) {
        hearing.resource = policy_judge(inputs->resource, request);
        hearing.restricted = inputs->ignore_public && !hearing.same_account &&
                             policy_is_public(inputs->resource);
    }
    return hearing;
}

static struct policy_decision decision(bool allowed, enum policy_source source,
                                       const struct opinion *opinion)
{
    struct policy_decision made = {
        .allowed = allowed, .source = source, .reason = {.sid = ""}};

    if (opinion != NULL) {
        made.document = opinion->document;
        made.reason = opinion->reason;
    }
    return made;
}

static bool denied(const struct hearing *hearing, struct policy_decision *made)
{
    struct opinion resource = {.reason = hearing->resource.reason};

    if (hearing->identity.effect == POLICY_DENY) {
        *made = decision(false, POLICY_BY_IDENTITY, &hearing->identity);
    } else if (hearing->session.effect == POLICY_DENY) {
        *made = decision(false, POLICY_BY_SESSION, &hearing->session);
    } else if (hearing->resource.effect == POLICY_DENY) {
        *made = decision(false, POLICY_BY_RESOURCE, &resource);
    } else {
        return false;
    }
    made->explicit_deny = true;
    return true;
}

/* Who allows it, were there no session policies. */
static struct policy_decision allowed(const struct policy_inputs *inputs,
                                      const struct policy_request *request,
                                      const struct hearing *hearing)
{
    bool identity = inputs->root || hearing->identity.effect == POLICY_ALLOW;
    enum closeness closeness = hearing->resource.closeness;
    struct opinion resource = {.reason = hearing->resource.reason};

    if (hearing->same_account && inputs->root) {
        return decision(true, POLICY_BY_ROOT, NULL);
    }
    if (hearing->same_account && identity) {
        return decision(true, POLICY_BY_IDENTITY, &hearing->identity);
    }
    /* What is granted to an account is its administrators' to grant on; from
     * another account even what is granted to the caller needs their consent.
     * Anonymous callers have no account. */
    bool consent =
        hearing->same_account || identity || request->principal.anonymous;
    if (consent && !hearing->restricted) {
        if (closeness >= CLOSE_CALLER ||
            (closeness == CLOSE_ACCOUNT && identity)) {
            return decision(true, POLICY_BY_RESOURCE, &resource);
        }
        if (inputs->acl_allows) {
            return decision(true, POLICY_BY_ACL, NULL);
        }
    }
    return decision(false, POLICY_BY_DEFAULT, NULL);
}

struct policy_decision policy_decide(const struct policy_inputs *inputs,
                                     const struct policy_request *request)
{
    struct hearing hearing = hear(inputs, request);
    struct policy_decision made;

    if (denied(&hearing, &made)) {
        return made;
    }
    made = allowed(inputs, request, &hearing);
    if (!made.allowed || !inputs->has_session ||
        hearing.session.effect == POLICY_ALLOW) {
        return made;
    }
    /* A resource's policy that names the session itself is not narrowed. */
    if (hearing.same_account && !hearing.restricted &&
        hearing.resource.closeness == CLOSE_SESSION) {
        struct opinion resource = {.reason = hearing.resource.reason};
        return decision(true, POLICY_BY_RESOURCE, &resource);
    }
    return decision(false, POLICY_BY_SESSION, NULL);
}
