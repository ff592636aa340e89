/*
 * Private to s3/: the audit logs, a line of JSON for each decision and for each
 * change. Never the content of a document or of most headers: those can be
 * secret.
 */
#ifndef S3_AUDIT_H
#define S3_AUDIT_H

#include "policy/policy.h"
#include "s3/call.h"

/* "default", "root", "identity", "session", "bucket-policy", "acl" */
const char *audit_source_name(enum policy_source source);
/* `log` may be NULL, here and below. */
void audit_decision(struct s3_audit *log, const struct s3_call *call,
                    const struct policy_request *request,
                    const struct policy_decision *decision);

/* If the call was to change a bucket's settings, or to make or delete one:
 * whatever has come of it. */
void audit_bucket_change(struct s3_audit *log, const struct s3_call *call,
                         unsigned status);
/* An action of IAM that has ended. `parameters` is given up. */
void audit_identity_change(struct s3_audit *log, const struct s3_call *call,
                           const char *action, const char *arn,
                           struct json_t *parameters);

#endif
