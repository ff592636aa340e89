/*
 * Private to s3/: what an access log says of a request.
 */
#ifndef S3_ACCESS_LOG_H
#define S3_ACCESS_LOG_H

#include "s3/call.h"

/* One line, in the format of S3's server access logs. Nothing secret: not the
 * signature, credential or token of a pre-signed URL. `status` is what the
 * client got. */
void access_log_line(const struct s3_call *call, const Meta__Bucket *bucket,
                     unsigned status, struct buffer *out);

#endif
