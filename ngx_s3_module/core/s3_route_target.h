
/* Bucket and key of a request; private to s3_route*.c. */

#ifndef S3_ROUTE_TARGET_H
#define S3_ROUTE_TARGET_H

#include "s3_route.h"

/*
 * Sets bucket and key, decoded, or neither for the service.  Returns S3_OK,
 * InvalidURI, InvalidBucketName, KeyTooLongError or InternalError.
 */
enum s3_error s3_route_target(s3_memory_t *memory,
    const s3_route_request_t *request, s3_route_t *route);

#endif
