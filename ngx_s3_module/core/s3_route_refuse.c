
/* What a query that does not fit is told. */

#include "s3_route_refuse.h"
#include "s3_string.h"
#include "s3_uri.h"


enum s3_error
s3_route_refuse(const s3_route_request_t *request, const char *name,
    const char *message, s3_route_t *route)
{
    const s3_field_t  *argument;

    route->message = s3_str_text(message);

    argument = s3_field_find(request->args, request->nargs, name);

    if (argument) {
        route->argument = *argument;
    }

    return S3_ERR_InvalidArgument;
}


enum s3_error
s3_route_conflict(s3_memory_t *memory, const char *one, const char *other,
    s3_route_t *route)
{
    int       swap;
    s3_str_t  parts[4];

    /* S3 tells them in alphabetical order */

    swap = strcmp(one, other) > 0;

    parts[0] = s3_str_text("Conflicting query string parameters: ");
    parts[1] = s3_str_text(swap ? other : one);
    parts[2] = s3_str_text(", ");
    parts[3] = s3_str_text(swap ? one : other);

    if (s3_str_join(memory, &route->message, parts, s3_nelts(parts)) != 0) {
        return S3_ERR_InternalError;
    }

    s3_str_set(&route->argument.name, "ResourceType");
    route->argument.value = parts[1];

    return S3_ERR_InvalidArgument;
}
