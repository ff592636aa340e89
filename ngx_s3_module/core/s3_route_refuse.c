
/* What a query that does not fit is told. */

#include "s3_route_refuse.h"
#include "s3_string.h"


static s3_str_t s3_route_str(const char *text);


static const s3_str_t  s3_route_conflicting =
    s3_string("Conflicting query string parameters: ");
static const s3_str_t  s3_route_comma = s3_string(", ");


enum s3_error
s3_route_refuse(const s3_route_request_t *request, const char *name,
    const char *message, s3_route_t *route)
{
    size_t  i;

    route->message = s3_route_str(message);

    for (i = 0; i < request->nargs; i++) {
        if (s3_str_is(&request->args[i].name, name)) {
            route->argument = request->args[i];
            break;
        }
    }

    return S3_ERR_InvalidArgument;
}


enum s3_error
s3_route_conflict(s3_memory_t *memory, const char *one, const char *other,
    s3_route_t *route)
{
    s3_str_t        first, second;
    unsigned char  *p;

    /* S3 tells them in alphabetical order */

    first = s3_route_str(strcmp(one, other) < 0 ? one : other);
    second = s3_route_str(strcmp(one, other) < 0 ? other : one);

    route->message.len = s3_route_conflicting.len + first.len
                         + s3_route_comma.len + second.len;
    route->message.data = s3_alloc(memory, route->message.len);

    if (route->message.data == NULL) {
        return S3_ERR_InternalError;
    }

    p = s3_str_copy(route->message.data, &s3_route_conflicting);
    p = s3_str_copy(p, &first);
    p = s3_str_copy(p, &s3_route_comma);
    (void) s3_str_copy(p, &second);

    s3_str_set(&route->argument.name, "ResourceType");
    route->argument.value = first;

    return S3_ERR_InvalidArgument;
}


static s3_str_t
s3_route_str(const char *text)
{
    s3_str_t  str;

    str.len = strlen(text);
    str.data = (unsigned char *) text;

    return str;
}
