
/* InvalidArgument with what is wrong; private to s3_route*.c. */

#ifndef S3_ROUTE_REFUSE_H
#define S3_ROUTE_REFUSE_H

#include "s3_route.h"

#define S3_ROUTE_NO_VERSION                                                   \
    "This operation does not accept a version-id."
#define S3_ROUTE_NO_PART                                                      \
    "This operation does not accept a part number."

/* Sets message and argument: that of the query with this name. */
enum s3_error s3_route_refuse(const s3_route_request_t *request,
    const char *name, const char *message, s3_route_t *route);

/* The same for two sub-resources; or returns InternalError without memory. */
enum s3_error s3_route_conflict(s3_memory_t *memory, const char *one,
    const char *other, s3_route_t *route);

#endif
