/*
 * Private to query_*.c: who may be a role.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_update-role-trust-policy.html
 */
#ifndef S3_QUERY_TRUST_H
#define S3_QUERY_TRUST_H

#include "oidc/oidc.h"
#include "s3/query.h"

/* Its trust policy names the caller; or it names the caller's account, and
 * the caller's own policies allow sts:AssumeRole; from another account both.
 * False is no answer yet. */
bool query_trusts_caller(struct query *query, const struct iam_entity *role);
/* Its trust policy names the token's provider, as
 * arn:aws:iam::ACCOUNT:oidc-provider/NAME. Conditions can be put on its
 * claims: NAME:sub, NAME:aud and so on. */
bool query_trusts_token(struct query *query, const struct iam_entity *role,
                        const struct oidc_token *token);

#endif
