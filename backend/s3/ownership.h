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
/* Canonical id of who owns an object that the request writes into
 * call->bucket: the writer, unless the bucket's owner owns all that is in it,
 * prefers to and is given it (bucket-owner-full-control), or the writer is
 * nobody. */
struct slice ownership_of_request(const struct s3_call *call);
/* Of one that is there. */
struct slice ownership_of_object(const Meta__Bucket *bucket,
                                 const Meta__Object *object);
/* The same, the record's `owner` being known. */
struct slice ownership_of_record(const Meta__Bucket *bucket,
                                 struct slice owner);
/* Of a bucket whose requesters pay, others than its owner must say that they
 * do (x-amz-request-payer). False: the call has failed. */
bool request_payment_agreed(struct s3_call *call);

#endif
