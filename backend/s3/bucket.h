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

#endif
