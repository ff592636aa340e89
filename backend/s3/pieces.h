/*
 * Private to s3/: a body whose length is not known before its end.
 *
 * A blob's size must be told before its first byte. So the body is kept as
 * blobs of PIECE_SIZE, or PIECE_LEAST: a piece is collected in memory, then
 * written as a blob of its own; of more than one a composite is made, as of a
 * multipart upload's parts. Memory is that of one piece, whatever the body's
 * length.
 */
#ifndef S3_PIECES_H
#define S3_PIECES_H

#include "s3/call.h"

#define PIECE_SIZE  (8u << 20) /* bytes; the last one may be shorter */
#define PIECE_LEAST (1u << 20) /* of those begun while memory is short */

/* What `object` says so far goes into each piece's Origin. Freed with the
 * call, or by its end. */
void pieces_open(struct s3_call *call, const Meta__Object *object);
/* False: the call has failed. */
bool pieces_append(struct s3_call *call, struct slice data);
/* Makes all of it durable and puts the blobs' records into `batch`: *blob is
 * what an object may reference, 0 if there were no bytes. False: the call has
 * failed. */
bool pieces_finish(struct s3_call *call, struct meta_batch *batch,
                   uint64_t *blob);
void pieces_free(struct s3_call *call); /* nothing to free is allowed */

#endif
