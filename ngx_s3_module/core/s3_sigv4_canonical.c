
/*
 * The canonical request.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */

#include <stdlib.h>

#include "s3_sigv4_canonical.h"
#include "s3_string.h"
#include "s3_uri.h"


static int s3_sigv4_query(s3_memory_t *memory,
    const s3_sigv4_request_t *request, const s3_sigv4_t *auth, s3_str_t *out);
static int s3_sigv4_query_encode(s3_memory_t *memory, s3_field_t *arg,
    const s3_field_t *decoded);
static int s3_sigv4_query_cmp(const void *one, const void *two);
static size_t s3_sigv4_headers_size(const s3_sigv4_request_t *request,
    const s3_str_t *signed_headers);
static unsigned char *s3_sigv4_headers(unsigned char *p,
    const s3_sigv4_request_t *request, const s3_str_t *signed_headers);
static unsigned char *s3_sigv4_header_value(unsigned char *p,
    const s3_str_t *value);


enum s3_error
s3_sigv4_canonical(s3_memory_t *memory, const s3_sigv4_request_t *request,
    const s3_sigv4_t *auth, s3_str_t *out)
{
    size_t          size;
    s3_str_t        path, query;
    unsigned char  *p;

    if (s3_uri_decode(memory, &request->path, 0, &path) != 0) {
        return S3_ERR_InvalidURI;
    }

    if (s3_sigv4_query(memory, request, auth, &query) != 0) {
        return S3_ERR_InternalError;
    }

    size = request->method.len + 3 * path.len + query.len
           + s3_sigv4_headers_size(request, &auth->signed_headers)
           + auth->signed_headers.len + auth->content_sha256.len
           + sizeof("\n\n\n\n\n");

    p = s3_alloc(memory, size);
    if (p == NULL) {
        return S3_ERR_InternalError;
    }

    out->data = p;

    p = s3_str_copy(p, &request->method);
    *p++ = '\n';

    p = s3_uri_encode(p, &path, 1);
    *p++ = '\n';

    p = s3_str_copy(p, &query);
    *p++ = '\n';

    p = s3_sigv4_headers(p, request, &auth->signed_headers);
    *p++ = '\n';

    p = s3_str_copy(p, &auth->signed_headers);
    *p++ = '\n';

    p = s3_str_copy(p, &auth->content_sha256);

    out->len = (size_t) (p - out->data);

    return S3_OK;
}


/* Sorted by the encoded name, then by the encoded value. */

static int
s3_sigv4_query(s3_memory_t *memory, const s3_sigv4_request_t *request,
    const s3_sigv4_t *auth, s3_str_t *out)
{
    size_t          i, n, size;
    s3_field_t     *args;
    unsigned char  *p;

    args = s3_alloc(memory, (request->nargs + 1) * sizeof(s3_field_t));
    if (args == NULL) {
        return -1;
    }

    n = 0;
    size = 1;

    for (i = 0; i < request->nargs; i++) {

        if (auth->presigned
            && s3_str_is(&request->args[i].name, "X-Amz-Signature"))
        {
            continue;
        }

        if (s3_sigv4_query_encode(memory, &args[n], &request->args[i]) != 0) {
            return -1;
        }

        size += args[n].name.len + args[n].value.len + 2;
        n++;
    }

    qsort(args, n, sizeof(s3_field_t), s3_sigv4_query_cmp);

    p = s3_alloc(memory, size);
    if (p == NULL) {
        return -1;
    }

    out->data = p;

    for (i = 0; i < n; i++) {
        if (i) {
            *p++ = '&';
        }

        p = s3_str_copy(p, &args[i].name);
        *p++ = '=';
        p = s3_str_copy(p, &args[i].value);
    }

    out->len = (size_t) (p - out->data);

    return 0;
}


static int
s3_sigv4_query_encode(s3_memory_t *memory, s3_field_t *arg,
    const s3_field_t *decoded)
{
    unsigned char  *p;

    p = s3_alloc(memory, 3 * (decoded->name.len + decoded->value.len) + 1);
    if (p == NULL) {
        return -1;
    }

    arg->name.data = p;
    p = s3_uri_encode(p, &decoded->name, 0);
    arg->name.len = (size_t) (p - arg->name.data);

    arg->value.data = p;
    p = s3_uri_encode(p, &decoded->value, 0);
    arg->value.len = (size_t) (p - arg->value.data);

    return 0;
}


static int
s3_sigv4_query_cmp(const void *one, const void *two)
{
    int                rc;
    const s3_field_t  *first, *second;

    first = one;
    second = two;

    rc = s3_str_cmp(&first->name, &second->name);

    return rc ? rc : s3_str_cmp(&first->value, &second->value);
}


/* An upper bound: no name is twice in signed_headers. */

static size_t
s3_sigv4_headers_size(const s3_sigv4_request_t *request,
    const s3_str_t *signed_headers)
{
    size_t  i, size;

    size = 2 * signed_headers->len + 2;     /* names, ':' and LF */

    for (i = 0; i < request->nheaders; i++) {
        size += request->headers[i].value.len + 1;
    }

    return size;
}


static unsigned char *
s3_sigv4_headers(unsigned char *p, const s3_sigv4_request_t *request,
    const s3_str_t *signed_headers)
{
    size_t    i, n;
    s3_str_t  rest, name;

    rest = *signed_headers;

    while (rest.len) {
        name = s3_str_token(&rest, ';');

        p = s3_str_copy(p, &name);
        *p++ = ':';

        n = 0;

        for (i = 0; i < request->nheaders; i++) {

            if (!s3_str_same(&request->headers[i].name, &name)) {
                continue;
            }

            if (n++) {
                *p++ = ',';
            }

            p = s3_sigv4_header_value(p, &request->headers[i].value);
        }

        *p++ = '\n';
    }

    return p;
}


/* Trimmed, and blanks within folded to one space. */

static unsigned char *
s3_sigv4_header_value(unsigned char *p, const s3_str_t *value)
{
    size_t    i;
    s3_str_t  text;

    text = s3_str_trim(value);

    for (i = 0; i < text.len; i++) {

        if (!s3_is_blank(text.data[i])) {
            *p++ = text.data[i];
            continue;
        }

        if (!s3_is_blank(text.data[i - 1])) {
            *p++ = ' ';
        }
    }

    return p;
}
