
/*
 * Sub-resources: what of a bucket or an object the query names.
 */

#ifndef S3_SUBRESOURCE_H
#define S3_SUBRESOURCE_H

#include "s3_core.h"
#include "wire/wire.h"

typedef struct {
    int          get;         /* Wire__Operation, NONE: no such method */
    int          put;         /* reads a body */
    int          delete;
} s3_subresource_methods_t;

typedef struct {
    const char                *name;
    const char                *type;      /* as errors and logs call it */
    s3_subresource_methods_t   bucket;
    s3_subresource_methods_t   object;
} s3_subresource_t;

/* NULL: the argument names no sub-resource, or one that is unknown here. */
const s3_subresource_t *s3_subresource_find(const s3_str_t *name);

/*
 * Returns S3_OK, or MethodNotAllowed; InvalidRequest if it is of buckets
 * and a key is given, or the other way around.
 */
enum s3_error s3_subresource_route(const s3_subresource_t *subresource,
    const s3_str_t *method, int is_object, int *operation, int *has_body);

#endif
