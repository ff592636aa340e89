/*
 * Private to s3/: bytes in the clear on their way into a blob, which is
 * sealed block by block if there is a key. What a blob_writer says of errors
 * holds here too.
 */
#ifndef S3_WRITER_H
#define S3_WRITER_H

#include "s3/s3.h"

struct s3_writer;

/* spec->size is that of the bytes in the clear, > 0. `key` is the object's;
 * NULL: the blob is not sealed. */
int writer_open(struct s3_service *service, const struct blob_spec *spec,
                const uint8_t *key, struct s3_writer **writer);
int writer_append(struct s3_writer *writer, const void *data, size_t size);
/* Frees the writer, also on error. */
int writer_finish(struct s3_writer *writer, Layout__Layout **layout);
void writer_abort(struct s3_writer *writer); /* NULL is allowed */

#endif
