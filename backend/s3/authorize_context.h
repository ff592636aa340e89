/*
 * Private to authorize*.c: the condition keys of one question.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html#amazons3-policy-keys
 *
 * A key is looked at only when a policy asks for it. Lives on the stack of
 * who decides; nothing is allocated but for tags in a header.
 */
#ifndef S3_AUTHORIZE_CONTEXT_H
#define S3_AUTHORIZE_CONTEXT_H

#include "policy/policy.h"
#include "s3/authorize.h"
#include "s3/tags.h"

struct access_context {
    struct s3_call *call;
    const struct s3_question *question;
    const struct s3_given *given; /* before what the request has */
    size_t given_count;
    struct policy *policy; /* the bucket's, while its reason is looked at */
    /* What has to be written to be a value. */
    char current_time[32], issue_time[32], epoch[24], age[24], until[32],
        days[24], account[13];
    /* Of the question's bucket; read once, when they are asked for. */
    struct tag_set bucket_tags;
    bool bucket_tags_read;
};

/* Answers the question, and tells the audit log. Until access_release() the
 * decision's reason can be read. */
void access_decide(struct access_context *context,
                   struct policy_decision *decision);
void access_release(struct access_context *context);

/* Of the policy that decided: the ARN or name of an identity's or session's,
 * "" of a bucket's; NULL: no policy did. Lives as long as the identity. */
const char *access_policy_name(const struct iam_identity *identity,
                               const struct policy_decision *decision);

/* Who asks, as policies name it. */
void access_principal(const struct iam_identity *identity,
                      struct policy_principal *principal);

/* policy_request.values of a context. */
size_t access_values(void *context, struct slice key, struct slice *values);

#endif
