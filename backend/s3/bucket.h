/*
 * Private to s3/: what other operations need of a bucket.
 */
#ifndef S3_BUCKET_H
#define S3_BUCKET_H

#include "s3/call.h"

/* S3's rules for the name of a general purpose bucket. */
bool bucket_valid_name(struct slice name);

/* Letters, digits, '-' and '_' only: needs no escaping anywhere. */
bool bucket_valid_region(struct slice region);

/* The region that this request's endpoint stands for; never empty. */
struct slice bucket_endpoint_region(const struct s3_call *call);

/* Changes the bucket as it is now, under its lock: true if it is to be
 * stored; false if there is nothing to store, or the call has failed. */
typedef bool bucket_change(struct s3_call *call, Meta__Bucket *bucket,
                           const void *wanted);
/* Applies a change to call->bucket, in one commit. False: the call has
 * failed. */
bool bucket_update(struct s3_call *call, bucket_change *change,
                   const void *wanted);
/* Adds to the batch that stores the changed bucket. */
typedef void bucket_addition(struct s3_call *call, struct meta_batch *batch,
                             const Meta__Bucket *bucket, const void *wanted);
/* bucket_update() with more in its commit. */
bool bucket_update_with(struct s3_call *call, bucket_change *change,
                        bucket_addition *addition, const void *wanted);

#endif
