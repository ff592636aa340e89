/*
 * Private to s3/: public access blocks.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
 */
#ifndef S3_PUBLIC_ACCESS_H
#define S3_PUBLIC_ACCESS_H

#include "s3/call.h"

struct public_access {
    bool block_acls, ignore_acls, block_policy, restrict_buckets;
};

/* What holds for a bucket: what was put there, or for its owner's account. */
struct public_access public_access_of(const struct s3_call *call,
                                      const Meta__Bucket *bucket);
/* All four, as for every new bucket. */
void public_access_create(struct s3_call *call, Meta__Bucket *bucket);

#endif
