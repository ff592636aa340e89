/*
 * Private to s3/: a reply whose body is the feed of a bucket's events.
 */
#ifndef S3_LISTEN_H
#define S3_LISTEN_H

#include "s3/call.h"

void listen_next(struct s3_call *call, struct s3_piece *piece);
void listen_free(struct s3_call *call);

#endif
