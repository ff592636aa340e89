/*
 * Private to s3/: the bytes of a copy's source, read for their digests and, if
 * call->writer is open, written anew; in steps (work.h).
 */
#ifndef S3_COPY_BYTES_H
#define S3_COPY_BYTES_H

#include "s3/call.h"

struct copy_bytes { /* zero: there is nothing to read */
    struct s3_reader *reader;
    struct digester *digester;
    Meta__ChecksumAlgorithm algorithm;
    uint64_t offset, left;
};

/* [offset, offset+size) of a blob that is sealed as `from` says. */
void copy_bytes_open(struct s3_call *call, struct copy_bytes *bytes,
                     uint64_t blob, const struct sse *from, uint64_t offset,
                     uint64_t size, Meta__ChecksumAlgorithm algorithm);
/* 0: all are read; -EINPROGRESS: not in this step; or an errno of reading or
 * writing. */
int copy_bytes_go_on(struct s3_call *call, struct copy_bytes *bytes);
/* When all are read, once. */
Meta__Checksum *copy_bytes_digest(struct s3_call *call,
                                  struct copy_bytes *bytes,
                                  uint8_t md5[DIGEST_SIZE_MAX]);
void copy_bytes_close(struct copy_bytes *bytes); /* also what is zero */

#endif
