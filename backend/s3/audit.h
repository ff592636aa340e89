/*
 * Private to s3/: the audit log, a line of JSON for each decision.
 */
#ifndef S3_AUDIT_H
#define S3_AUDIT_H

#include "policy/policy.h"
#include "s3/call.h"

/* "default", "root", "identity", "session", "bucket-policy", "acl" */
const char *audit_source_name(enum policy_source source);
/* `log` may be NULL. Never the content of a header: those can be secret. */
void audit_decision(struct s3_audit *log, const struct s3_call *call,
                    const struct policy_request *request,
                    const struct policy_decision *decision);

#endif
