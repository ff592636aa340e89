/*
 * Private to s3/: who owns what is written into a bucket, and who pays.
 */
#ifndef S3_OWNERSHIP_H
#define S3_OWNERSHIP_H

#include "s3/call.h"

/* x-amz-object-ownership of CreateBucket. False: the call has failed. */
bool ownership_check_header(struct s3_call *call);
/* The same, or its default, into the new bucket. */
void ownership_create(struct s3_call *call, Meta__Bucket *bucket);
/* Canonical id of who owns an object that `writer` puts into call->bucket. */
struct slice ownership_object_owner(const struct s3_call *call,
                                    struct slice writer);
/* Of a bucket whose requesters pay, others than its owner must say that they
 * do (x-amz-request-payer). False: the call has failed. */
bool request_payment_agreed(struct s3_call *call);

#endif
