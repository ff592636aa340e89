/*
 * Private to put.c, get.c, delete.c, copy.c, post_object.c: what they share
 * besides call.h.
 */
#ifndef S3_OBJECT_H
#define S3_OBJECT_H

#include "s3/call.h"

/* ETag, x-amz-version-id of a version that was written. */
void object_identity_headers(struct s3_call *call, const Meta__Object *object);
/* Commits a new version of call->key under its lock, if the conditions of the
 * request hold. False: the call has failed. */
bool object_put_commit(struct s3_call *call, struct meta_batch *batch,
                       Meta__Object *object);
/* Reads the request's key as it is now, without a lock: NULL if there is
 * none. 0 or a negative errno. */
int object_current(struct s3_call *call, Meta__Object **object);
/* The version of the request's key that is asked for (versionId), never a
 * delete marker; the caller may do with it what the operation does. NULL: the
 * call has failed. */
Meta__Object *object_requested(struct s3_call *call);
/* There is no such key or version: NoSuchKey or NoSuchVersion, if the caller
 * may know (authorize.h). */
void object_fail_absent(struct s3_call *call, const Meta__Bucket *bucket,
                        struct slice key, struct slice version_id);

/* object_lock() of two keys of the bucket. */
bool object_lock_two(struct s3_call *call, struct slice a, struct slice b);
void object_unlock_two(struct s3_call *call, struct slice a, struct slice b);
/* The reference that a version of a key of call->bucket holds. */
struct meta_referrer object_referrer(const struct s3_call *call,
                                     struct slice key, uint64_t sequence);
/* Adds to `batch` what removes a version and its reference. */
void object_remove_version(struct s3_call *call, struct meta_batch *batch,
                           struct slice key, const Meta__Object *object);

#endif
