/*
 * Private to s3/: bucket policies, compiled once.
 *
 * A policy is found by its bucket's id and policy_revision, which changes
 * with the document: what is found is never stale. Bounded; thread-safe.
 */
#ifndef S3_POLICY_CACHE_H
#define S3_POLICY_CACHE_H

#include "policy/policy.h"
#include "s3/call.h"

/* The bucket's policy, to be released; NULL if it has none. 0, or -EBADMSG if
 * the stored document is not one. */
int policy_cache_get(struct s3_policy_cache *cache, const Meta__Bucket *bucket,
                     struct policy **policy);

#endif
