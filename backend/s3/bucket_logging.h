/*
 * Private to s3/: a bucket's logging setting.
 */
#ifndef S3_BUCKET_LOGGING_H
#define S3_BUCKET_LOGGING_H

#include "s3/document.h"

enum logging_format {
    LOGGING_SIMPLE,   /* <prefix>YYYY-mm-DD-HH-MM-SS-<unique> */
    LOGGING_EVENT,    /* partitioned, by the time of the requests */
    LOGGING_DELIVERY, /* partitioned, by the time of delivery */
};

struct logging_target {
    struct slice bucket, prefix;
    enum logging_format format;
    bool names_format; /* it was given */
};

/* Reads a bucket's setting; false: it logs nowhere. What it finds is in the
 * arena. */
bool logging_read(struct arena *arena, const Meta__Bucket *bucket,
                  struct logging_target *target);

#endif
