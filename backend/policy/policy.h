/*
 * The AWS policy language: documents are checked and compiled once, then
 * decided on without allocation. Pure: no I/O, no clock, no global state.
 *
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
 *
 * Invariants:
 *   P1  What no statement allows is denied.
 *   P2  A matching Deny decides, whatever else allows.
 *   P3  A document that is not wholly understood is refused when it is parsed:
 *       evaluation never meets what it does not know.
 *   P4  A compiled policy never changes; any thread may evaluate it.
 */
#ifndef POLICY_H
#define POLICY_H

#include "base/base.h"

struct policy; /* immutable, reference-counted */

enum policy_kind {
    POLICY_IDENTITY, /* of users, groups, roles, service accounts: no principal;
                        also sessions' */
    POLICY_BUCKET,   /* has principals; resources inside one bucket */
    POLICY_TRUST,    /* of roles: has principals, no resource */
};

#define POLICY_MESSAGE_MAX 256u
#define POLICY_BUCKET_MAX  (20u << 10) /* bytes of a bucket policy */

/* Parses, checks, compiles. `bucket` is the bucket's name for POLICY_BUCKET,
 * and empty for the others. -EINVAL with S3's MalformedPolicy text in
 * `message`. */
int policy_parse(enum policy_kind kind, struct slice bucket, struct slice json,
                 struct policy **policy, char message[POLICY_MESSAGE_MAX]);
struct policy *policy_retain(struct policy *policy);
void policy_release(struct policy *policy); /* NULL is allowed */

/* An action of S3's by its full name, in either case: "s3:GetObject". */
bool policy_s3_action_known(struct slice action);

/* Does it grant anything to everybody, as GetBucketPolicyStatus and public
 * access blocks define "public"?
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
 */
bool policy_is_public(const struct policy *policy);

/* --- what is asked --------------------------------------------------------*/

#define POLICY_VALUES_MAX 64u /* of one condition key */

struct policy_principal {
    bool anonymous;
    struct slice arn;       /* of the user, or of the role's session */
    struct slice role_arn;  /* of an assumed role; else empty */
    struct slice account;   /* 12 digits */
    struct slice canonical; /* canonical id of the account, 64 hex digits */
    struct slice federated; /* trust policies: the identity provider */
};

struct policy_request {
    struct policy_principal principal;
    struct slice action;   /* "s3:GetObject" */
    struct slice resource; /* "arn:aws:s3:::bucket/key" */
    /* The values of a condition key ("aws:SourceIp"; its case does not
     * matter), at most POLICY_VALUES_MAX: how many there are, 0 if the request
     * has no such key. Slices live as long as the request. */
    size_t (*values)(void *context, struct slice key, struct slice *values);
    void *context;
};

enum policy_effect { POLICY_NO_MATCH, POLICY_ALLOW, POLICY_DENY };

/* The statement that decided. */
struct policy_reason {
    const char *sid;    /* "" if it has none; lives as long as the policy */
    unsigned statement; /* from 0 */
};

/* One document's answer: a Deny over an Allow. `reason` may be NULL. */
enum policy_effect policy_evaluate(const struct policy *policy,
                                   const struct policy_request *request,
                                   struct policy_reason *reason);

/* --- the whole decision ---------------------------------------------------*/

/* Everything that has a say. */
struct policy_inputs {
    bool root; /* the account's root user: needs no identity policy */
    struct policy *const *identity; /* the user's, or the role's */
    size_t identity_count;
    bool has_session;              /* then each allow needs one of: */
    struct policy *const *session; /* session or service account policies */
    size_t session_count;
    const struct policy *resource; /* bucket policy; NULL: none */
    bool ignore_public; /* RestrictPublicBuckets: under a public resource
                           policy only the owner's account is let in */
    bool same_account;  /* of the caller and the resource's owner */
    bool acl_allows;    /* an ACL grants it to the caller. What it grants to
                           the owner's account itself does not count: that is
                           the account's to grant on, by identity policies */
};

enum policy_source {
    POLICY_BY_DEFAULT, /* nothing allowed it */
    POLICY_BY_ROOT,
    POLICY_BY_IDENTITY,
    POLICY_BY_SESSION, /* never allows: denied, or allowed by no session
                          policy what else would be */
    POLICY_BY_RESOURCE,
    POLICY_BY_ACL,
};

struct policy_decision {
    bool allowed;
    bool explicit_deny;
    enum policy_source source;
    size_t document; /* index in identity or session */
    struct policy_reason reason;
};

/* Explicit deny anywhere; else, within an account, an identity policy, the
 * resource policy or an ACL; between accounts an identity policy (or root) and
 * one of the other two. A resource policy that names an account, not its user,
 * allows what the user's identity policies allow as well. Session policies
 * narrow all of it, unless a resource policy names the role's very session.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
 */
struct policy_decision policy_decide(const struct policy_inputs *inputs,
                                     const struct policy_request *request);

#endif
