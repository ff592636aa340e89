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
    bool names_format;             /* it was given */
    const struct xml_node *grants; /* TargetGrants; NULL: none */
};

#define LOGGING_GRANTS_MAX 3u

/* Reads a bucket's setting; false: it logs nowhere. What it finds is in the
 * arena. */
bool logging_read(struct arena *arena, const Meta__Bucket *bucket,
                  struct logging_target *target);

/* The target's grants as x-amz-grant-* of what is put there; returns how many
 * headers they are. */
size_t logging_grant_headers(struct arena *arena,
                             const struct logging_target *target,
                             Wire__Field *headers[LOGGING_GRANTS_MAX]);

#endif
