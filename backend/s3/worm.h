/*
 * Private to s3/: Object Lock. A version is written once and can then be
 * protected: for a time by its retention, until told otherwise by a legal
 * hold.
 *
 * Invariants:
 *   W1  A bucket with Object Lock has versioning enabled, for ever: a write
 *       never replaces a version.
 *   W2  Whatever removes a version asks worm_protects() under the key's lock.
 *   W3  A COMPLIANCE retention that runs is only ever lengthened.
 */
#ifndef S3_WORM_H
#define S3_WORM_H

#include "s3/call.h"

#define WORM_PROTECTED_MESSAGE                                                 \
    "Access Denied because object protected by object lock."

/* May this version not be removed at `now_ms`? `bypass`: the caller has the
 * permission to bypass GOVERNANCE, and says so. Pure. */
bool worm_protects(const Meta__Object *object, uint64_t now_ms, bool bypass);
/* May the retention become `wanted` (NULL: none)? Pure. */
bool worm_may_change(const Meta__Object *object, const Meta__Retention *wanted,
                     uint64_t now_ms, bool bypass);
/* x-amz-bypass-governance-retention: true, of who may. */
bool worm_bypass(struct s3_call *call, struct slice key);

/* x-amz-object-lock-* of the request into a new object. False: the call has
 * failed. */
bool worm_take(struct s3_call *call, Meta__Object *object);
/* Retention of a new version that brings none: the bucket's default, counted
 * from its mtime. */
void worm_default(struct s3_call *call, Meta__Object *object);
/* A body that becomes protected needs a digest of the client's: false if it
 * has none and the call has failed. `what`: "Put Object", "Put Part". */
bool worm_check_integrity(struct s3_call *call,
                          const Meta__Retention *retention,
                          Meta__LegalHold legal_hold, const char *what);
/* x-amz-object-lock-* of a version that is read. */
void worm_headers(struct s3_call *call, const Meta__Object *object);
/* "GOVERNANCE", "COMPLIANCE"; NO_LOCK: neither. */
Meta__LockMode worm_parse_mode(struct slice text);
const char *worm_mode_name(Meta__LockMode mode);
/* False: the bucket has no Object Lock and the call has failed. */
bool worm_check_bucket(struct s3_call *call);

#endif
