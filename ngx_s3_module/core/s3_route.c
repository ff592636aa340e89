
/* From method, path, host and query to bucket, key and operation. */

#include "s3_route_refuse.h"
#include "s3_route_target.h"
#include "s3_string.h"
#include "s3_subresource.h"
#include "s3_uri.h"
#include "wire.pb-c.h"


typedef enum {
    S3_METHOD_GET = 0,
    S3_METHOD_HEAD,
    S3_METHOD_PUT,
    S3_METHOD_POST,
    S3_METHOD_DELETE,
    S3_METHOD_OPTIONS,
    S3_METHOD_OTHER
} s3_method_e;


/* Which of the sub-resources that are implemented the query names. */
typedef struct {
    unsigned           location:1;
    unsigned           uploads:1;
    unsigned           upload_id:1;
    unsigned           part_number:1;
    unsigned           delete:1;
    unsigned           version_id:1;
    unsigned           unknown_list:1;
    unsigned           list_v2:1;
    unsigned           listen:1;

    const char              *named;      /* the first of the sub-resources */
    const char              *conflict;   /* another one */
    const s3_subresource_t  *subresource;
} s3_route_args_t;


static enum s3_error s3_route_operation(s3_method_e method,
    const s3_route_request_t *request, const s3_route_args_t *args,
    s3_route_t *route);
static const char *s3_route_type(const s3_route_args_t *args,
    const s3_route_t *route);
static enum s3_error s3_route_allow(s3_memory_t *memory,
    const s3_route_request_t *request, const s3_route_args_t *args,
    s3_route_t *route);
static s3_method_e s3_route_method(const s3_str_t *method);
static int s3_route_args(const s3_route_request_t *request,
    s3_route_args_t *args);
static void s3_route_named(s3_route_args_t *args, const char *name);
static enum s3_error s3_route_subresource(const s3_route_request_t *request,
    const s3_route_args_t *args, s3_route_t *route);
static enum s3_error s3_route_bucket(s3_method_e method,
    const s3_route_request_t *request, const s3_route_args_t *args,
    s3_route_t *route);
static enum s3_error s3_route_bucket_get(const s3_route_request_t *request,
    const s3_route_args_t *args, s3_route_t *route);
static enum s3_error s3_route_object(s3_method_e method,
    const s3_route_request_t *request, const s3_route_args_t *args,
    s3_route_t *route);
static enum s3_error s3_route_object_get(s3_method_e method,
    const s3_route_request_t *request, const s3_route_args_t *args,
    s3_route_t *route);
static enum s3_error s3_route_object_put(const s3_route_request_t *request,
    const s3_route_args_t *args, s3_route_t *route);
static enum s3_error s3_route_object_post(const s3_route_request_t *request,
    const s3_route_args_t *args, s3_route_t *route);


/* What S3 gives a meaning in the query, and is not implemented. */

static const char *const  s3_route_subresources[] = {
    "abac", "annotation", "metadataAnnotationTable", "metadataConfiguration",
    "metadataInventoryTable", "metadataJournalTable", "metadataTable",
    "restore", "select", "select-type", "session", "torrent"
};

static const char *const  s3_route_methods[] = {
    "GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"
};

#define S3_ROUTE_ALLOW_ALL  "GET, HEAD, PUT, POST, DELETE"

/* Paths of S3's other API; a bucket could have the name. */
#define S3_ROUTE_CONTROL    "/v20180820/"


enum s3_error
s3_route(s3_memory_t *memory, const s3_route_request_t *request,
    s3_route_t *route)
{
    s3_method_e      method;
    enum s3_error    rc;
    s3_route_args_t  args;

    memset(route, 0, sizeof(s3_route_t));

    rc = s3_route_target(memory, request, route);

    if (rc != S3_OK) {
        return rc;
    }

    if (request->account && s3_str_starts(&request->path, S3_ROUTE_CONTROL)) {
        route->operation = WIRE__OPERATION__NOT_IMPLEMENTED;
        return S3_OK;
    }

    method = s3_route_method(&request->method);

    if (method == S3_METHOD_OPTIONS && route->bucket.len != 0) {

        /* whatever the query: it is that of the request to come */

        route->operation = WIRE__OPERATION__PREFLIGHT;
        return S3_OK;
    }

    if (method == S3_METHOD_OPTIONS || !s3_route_args(request, &args)) {
        route->operation = WIRE__OPERATION__NOT_IMPLEMENTED;
        return S3_OK;
    }

    if (args.conflict) {
        return s3_route_conflict(memory, args.named, args.conflict, route);
    }

    rc = s3_route_operation(method, request, &args, route);

    if (rc == S3_ERR_MethodNotAllowed) {
        route->type = s3_route_type(&args, route);

        return s3_route_allow(memory, request, &args, route);
    }

    return rc;
}


static enum s3_error
s3_route_operation(s3_method_e method, const s3_route_request_t *request,
    const s3_route_args_t *args, s3_route_t *route)
{
    if (method == S3_METHOD_OTHER) {
        return S3_ERR_MethodNotAllowed;
    }

    if (route->bucket.len == 0) {

        if ((method == S3_METHOD_POST && request->form && request->nargs == 0)
            || (request->sts
                && (method == S3_METHOD_GET || method == S3_METHOD_POST)))
        {
            route->operation = WIRE__OPERATION__IAM_QUERY;
            route->has_body = 1;

            /* should it turn out to be signed for S3 */

            route->type = "SERVICE";
            route->allow = "GET";
            return S3_OK;
        }

        if (method != S3_METHOD_GET || args->subresource) {
            return S3_ERR_MethodNotAllowed;
        }

        route->operation = WIRE__OPERATION__LIST_BUCKETS;
        return S3_OK;
    }

    if (args->subresource) {
        return s3_route_subresource(request, args, route);
    }

    if (route->key.len == 0) {
        return s3_route_bucket(method, request, args, route);
    }

    return s3_route_object(method, request, args, route);
}


static const char *
s3_route_type(const s3_route_args_t *args, const s3_route_t *route)
{
    if (route->bucket.len == 0) {
        return "SERVICE";
    }

    if (args->subresource) {
        return args->subresource->type;
    }

    if (args->location) {
        return "LOCATION";
    }

    if (args->uploads) {
        return "UPLOADS";
    }

    if (args->upload_id) {
        return "UPLOAD";
    }

    if (args->delete) {
        return "MULTI_OBJECT_DELETE";
    }

    return route->key.len ? "OBJECT" : "BUCKET";
}


/* The methods with which the request would have been one that is served. */

static enum s3_error
s3_route_allow(s3_memory_t *memory, const s3_route_request_t *request,
    const s3_route_args_t *args, s3_route_t *route)
{
    char                *allow, *last;
    size_t               i;
    s3_route_t           other;
    s3_route_request_t   asked;

    allow = s3_alloc(memory, sizeof(S3_ROUTE_ALLOW_ALL));
    if (allow == NULL) {
        return S3_ERR_InternalError;
    }

    last = allow;
    *last = '\0';
    route->allow = allow;

    asked = *request;
    asked.copy_source = 0;

    for (i = 0; i < S3_METHOD_OPTIONS; i++) {
        asked.method.data = (unsigned char *) s3_route_methods[i];
        asked.method.len = strlen(s3_route_methods[i]);

        other = *route;

        if (s3_route_operation((s3_method_e) i, &asked, args, &other) != S3_OK
            || other.operation == WIRE__OPERATION__NOT_IMPLEMENTED)
        {
            continue;
        }

        if (last != allow) {
            *last++ = ',';
            *last++ = ' ';
        }

        memcpy(last, asked.method.data, asked.method.len);
        last += asked.method.len;
        *last = '\0';
    }

    return S3_ERR_MethodNotAllowed;
}


static s3_method_e
s3_route_method(const s3_str_t *method)
{
    size_t  i;

    for (i = 0; i < s3_nelts(s3_route_methods); i++) {
        if (s3_str_is(method, s3_route_methods[i])) {
            return (s3_method_e) i;
        }
    }

    return S3_METHOD_OTHER;
}


/* Returns 0 if the query asks for what is not implemented. */

static int
s3_route_args(const s3_route_request_t *request, s3_route_args_t *args)
{
    size_t                   i, n;
    const s3_field_t        *arg;
    const s3_subresource_t  *found;

    memset(args, 0, sizeof(s3_route_args_t));

    for (i = 0; i < request->nargs; i++) {
        arg = &request->args[i];

        for (n = 0; n < s3_nelts(s3_route_subresources); n++) {
            if (s3_str_is(&arg->name, s3_route_subresources[n])) {
                return 0;
            }
        }

        found = s3_subresource_find(&arg->name);

        if (found) {
            args->subresource = found;
            s3_route_named(args, found->name);

        } else if (s3_str_is(&arg->name, "location")) {
            args->location = 1;
            s3_route_named(args, "location");

        } else if (s3_str_is(&arg->name, "uploads")) {
            args->uploads = 1;
            s3_route_named(args, "uploads");

        } else if (s3_str_is(&arg->name, "uploadId")) {
            args->upload_id = 1;
            s3_route_named(args, "uploadId");

        } else if (s3_str_is(&arg->name, "partNumber")) {
            args->part_number = 1;

        } else if (s3_str_is(&arg->name, "delete")) {
            args->delete = 1;
            s3_route_named(args, "delete");

        } else if (s3_str_is(&arg->name, "versionId")) {
            args->version_id = 1;

        } else if (s3_str_is(&arg->name, "events")) {

            /* of others S3 knows nothing */

            args->listen = arg->value.len > sizeof("s3:") - 1
                           && memcmp(arg->value.data, "s3:", 3) == 0;

        } else if (s3_str_is(&arg->name, "list-type")) {

            if (s3_str_is(&arg->value, "2")) {
                args->list_v2 = 1;

            } else {
                args->unknown_list = 1;
            }
        }
    }

    return 1;
}


static void
s3_route_named(s3_route_args_t *args, const char *name)
{
    if (args->named == NULL) {
        args->named = name;

    } else if (strcmp(args->named, name) != 0) {
        args->conflict = name;
    }
}


static enum s3_error
s3_route_subresource(const s3_route_request_t *request,
    const s3_route_args_t *args, s3_route_t *route)
{
    int            operation, has_body;
    enum s3_error  rc;

    if (args->part_number) {
        return s3_route_refuse(request, "partNumber", S3_ROUTE_NO_PART, route);
    }

    if (args->version_id && route->key.len == 0) {
        return s3_route_refuse(request, "versionId", S3_ROUTE_NO_VERSION,
                               route);
    }

    rc = s3_subresource_route(args->subresource, &request->method,
                              route->key.len != 0, &operation, &has_body);

    if (rc != S3_OK) {
        return rc;
    }

    route->operation = operation;
    route->has_body = has_body;

    return S3_OK;
}


static enum s3_error
s3_route_bucket(s3_method_e method, const s3_route_request_t *request,
    const s3_route_args_t *args, s3_route_t *route)
{
    if (args->version_id) {
        return s3_route_refuse(request, "versionId", S3_ROUTE_NO_VERSION,
                               route);
    }

    if (args->upload_id || args->part_number) {
        return S3_ERR_InvalidRequest;           /* they need a key */
    }

    if (method == S3_METHOD_GET) {
        return s3_route_bucket_get(request, args, route);
    }

    if (method == S3_METHOD_POST) {

        if (args->location || args->uploads) {
            return S3_ERR_MethodNotAllowed;
        }

        /* without ?delete it is an upload from a browser's form */

        route->operation = args->delete ? WIRE__OPERATION__DELETE_OBJECTS
                                        : WIRE__OPERATION__POST_OBJECT;
        route->has_body = 1;

        return S3_OK;
    }

    if (args->location || args->uploads || args->delete) {
        return S3_ERR_MethodNotAllowed;
    }

    switch (method) {

    case S3_METHOD_PUT:

        if (request->copy_source) {
            return S3_ERR_InvalidRequest;       /* a copy needs a key */
        }

        route->operation = WIRE__OPERATION__CREATE_BUCKET;
        route->has_body = 1;
        break;

    case S3_METHOD_HEAD:
        route->operation = WIRE__OPERATION__HEAD_BUCKET;
        break;

    default: /* S3_METHOD_DELETE */
        route->operation = WIRE__OPERATION__DELETE_BUCKET;
        break;
    }

    return S3_OK;
}


static enum s3_error
s3_route_bucket_get(const s3_route_request_t *request,
    const s3_route_args_t *args, s3_route_t *route)
{
    if (args->delete) {
        return S3_ERR_MethodNotAllowed;
    }

    if (args->location) {
        route->operation = WIRE__OPERATION__GET_BUCKET_LOCATION;

    } else if (args->uploads) {
        route->operation = WIRE__OPERATION__LIST_MULTIPART_UPLOADS;

    } else if (args->listen) {
        route->operation = WIRE__OPERATION__LISTEN_NOTIFICATION;

    } else if (args->unknown_list) {
        return s3_route_refuse(request, "list-type",
                               "Invalid List Type specified in Request", route);

    } else if (args->list_v2) {
        route->operation = WIRE__OPERATION__LIST_OBJECTS_V2;

    } else {
        route->operation = WIRE__OPERATION__LIST_OBJECTS;
    }

    return S3_OK;
}


static enum s3_error
s3_route_object(s3_method_e method, const s3_route_request_t *request,
    const s3_route_args_t *args, s3_route_t *route)
{
    if (args->delete) {
        return S3_ERR_MethodNotAllowed;
    }

    if (args->location || (args->uploads && method != S3_METHOD_POST)) {
        return S3_ERR_InvalidRequest;           /* no key is expected */
    }

    if (args->version_id
        && (args->upload_id || method == S3_METHOD_PUT
            || method == S3_METHOD_POST))
    {
        return s3_route_refuse(request, "versionId", S3_ROUTE_NO_VERSION,
                               route);
    }

    switch (method) {

    case S3_METHOD_PUT:
        return s3_route_object_put(request, args, route);

    case S3_METHOD_POST:
        return s3_route_object_post(request, args, route);

    case S3_METHOD_DELETE:

        if (args->part_number) {
            return s3_route_refuse(request, "partNumber", S3_ROUTE_NO_PART,
                                   route);
        }

        route->operation = args->upload_id
                           ? WIRE__OPERATION__ABORT_MULTIPART_UPLOAD
                           : WIRE__OPERATION__DELETE_OBJECT;
        return S3_OK;

    default: /* S3_METHOD_GET, S3_METHOD_HEAD */
        return s3_route_object_get(method, request, args, route);
    }
}


static enum s3_error
s3_route_object_get(s3_method_e method, const s3_route_request_t *request,
    const s3_route_args_t *args, s3_route_t *route)
{
    if (args->upload_id) {

        if (method == S3_METHOD_HEAD) {
            return S3_ERR_MethodNotAllowed;
        }

        if (args->part_number) {
            return s3_route_refuse(request, "partNumber", S3_ROUTE_NO_PART,
                                   route);
        }

        route->operation = WIRE__OPERATION__LIST_PARTS;
        return S3_OK;
    }

    route->operation = method == S3_METHOD_HEAD
                       ? WIRE__OPERATION__HEAD_OBJECT
                       : WIRE__OPERATION__GET_OBJECT;
    return S3_OK;
}


static enum s3_error
s3_route_object_put(const s3_route_request_t *request,
    const s3_route_args_t *args, s3_route_t *route)
{
    enum s3_error  rc;

    /* either alone would be a plain PutObject over the object */

    if (args->part_number && !args->upload_id) {
        rc = s3_route_refuse(request, "partNumber",
                             "This operation does not accept partNumber "
                             "without uploadId", route);

        route->argument.value = route->argument.name;   /* as S3 does */
        return rc;
    }

    if (args->upload_id && !args->part_number) {
        return S3_ERR_MethodNotAllowed;
    }

    if (args->upload_id) {
        route->operation = request->copy_source
                           ? WIRE__OPERATION__UPLOAD_PART_COPY
                           : WIRE__OPERATION__UPLOAD_PART;
    } else {
        route->operation = request->copy_source
                           ? WIRE__OPERATION__COPY_OBJECT
                           : WIRE__OPERATION__PUT_OBJECT;
    }

    route->has_body = !request->copy_source;

    return S3_OK;
}


static enum s3_error
s3_route_object_post(const s3_route_request_t *request,
    const s3_route_args_t *args, s3_route_t *route)
{
    if (args->part_number) {
        return s3_route_refuse(request, "partNumber", S3_ROUTE_NO_PART, route);
    }

    if (args->uploads) {
        route->operation = WIRE__OPERATION__CREATE_MULTIPART_UPLOAD;
        return S3_OK;
    }

    if (args->upload_id) {
        route->operation = WIRE__OPERATION__COMPLETE_MULTIPART_UPLOAD;
        route->has_body = 1;
        return S3_OK;
    }

    return S3_ERR_MethodNotAllowed;
}
