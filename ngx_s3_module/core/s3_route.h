
/*
 * From method, path, host and query to bucket, key and operation.
 */

#ifndef S3_ROUTE_H
#define S3_ROUTE_H

#include "s3_core.h"
#include "wire/wire.h"

#define S3_ROUTE_KEY_MAX  1024

typedef struct {
    s3_str_t     method;
    s3_str_t     path;        /* raw */
    s3_str_t     host;        /* as received, port included */
    s3_field_t  *args;        /* decoded query */
    size_t       nargs;
    unsigned     copy_source:1;   /* x-amz-copy-source is there */
    unsigned     form:1;          /* the body is a form, urlencoded */
    unsigned     sts:1;           /* the query is a request of STS */
    unsigned     account:1;       /* x-amz-account-id is there */
    s3_str_t    *domains;     /* of virtual-hosted style, s3_domain */
    size_t       ndomains;
} s3_route_request_t;

typedef struct {
    int           operation;  /* Wire__Operation */
    s3_str_t      bucket;
    s3_str_t      key;        /* decoded */
    const char   *type;       /* MethodNotAllowed, IAM_QUERY: "OBJECT" ... */
    const char   *allow;      /* the same: "GET, PUT" */
    s3_str_t      message;    /* InvalidArgument: what is wrong */
    s3_field_t    argument;   /* the same: which of the query's, and its value */
    unsigned      has_body:1; /* the operation reads a body */
} s3_route_t;

/*
 * Returns S3_OK, or the error: InvalidURI, KeyTooLongError, InvalidBucketName,
 * MethodNotAllowed; InvalidArgument and InvalidRequest for a query that does
 * not fit the method or the target; InternalError without memory.  Known
 * sub-resources that are not implemented, and methods that S3 has elsewhere,
 * give operation NOT_IMPLEMENTED: never a neighbour's.
 */
enum s3_error s3_route(s3_memory_t *memory, const s3_route_request_t *request,
    s3_route_t *route);

#endif
