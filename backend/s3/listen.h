/*
 * Private to s3/: a reply whose body is the feed of a bucket's events.
 */
#ifndef S3_LISTEN_H
#define S3_LISTEN_H

#include "s3/call.h"

struct s3_listen {
    struct feed_listener *listener;
    struct buffer lines; /* of the last piece; heap */
    uint64_t sent_ms;    /* monotonic */
    uint64_t asked_ms;   /* whether it may; monotonic */
};

void listen_next(struct s3_call *call, struct s3_piece *piece);
void listen_free(struct s3_call *call);

#endif
