/*
 * Private to s3/: what an access log says of a request.
 */
#ifndef S3_ACCESS_LOG_H
#define S3_ACCESS_LOG_H

#include "s3/call.h"

/* What a request did besides what its own line says: a key that DeleteObjects
 * deleted, the source that a copy read. */
struct s3_log_entry {
    struct s3_log_entry *next;
    const char *operation; /* "BATCH.DELETE.OBJECT" */
    const Meta__Bucket *bucket;
    struct slice key, version_id; /* version_id may be empty */
    unsigned status;              /* 0: as the request's own */
    const char *error;            /* "" if there is none */
};

/* Adds a copy of it, less `next`, to what s3_call_log() writes. Its bucket,
 * key and version last as long as the call. */
void access_log_also(struct s3_call *call, const struct s3_log_entry *entry);
/* One line, in the format of S3's server access logs. Nothing secret: not the
 * signature, credential or token of a pre-signed URL. `status` is what the
 * client got; `entry`: NULL for the request's own line. */
void access_log_line(const struct s3_call *call, const Meta__Bucket *bucket,
                     const struct s3_log_entry *entry, unsigned status,
                     struct buffer *out);

#endif
