
/* The request target, percent-decoded exactly once. */

#include "s3_string.h"
#include "s3_uri.h"


static size_t s3_uri_authority(const s3_str_t *target);


int
s3_uri_split(const s3_str_t *target, s3_str_t *path, s3_str_t *query)
{
    size_t    skip;
    s3_str_t  rest;

    skip = s3_uri_authority(target);

    rest.data = target->data + skip;
    rest.len = target->len - skip;

    *path = s3_str_token(&rest, '?');
    *query = rest;

    if (skip && path->len == 0) {
        s3_str_set(path, "/");
    }

    return path->len && path->data[0] == '/' ? 0 : -1;
}


/* The length of "http://host" at the start, or 0. */

static size_t
s3_uri_authority(const s3_str_t *target)
{
    size_t      i, len;
    const char  *scheme;

    if (target->len == 0 || target->data[0] == '/') {
        return 0;
    }

    scheme = "http";

    for (i = 0; i < target->len && i < 4; i++) {
        if ((target->data[i] | 0x20) != scheme[i]) {
            return 0;
        }
    }

    if (i < target->len && (target->data[i] | 0x20) == 's') {
        i++;
    }

    if (target->len - i < 3 || memcmp(target->data + i, "://", 3) != 0) {
        return 0;
    }

    for (len = i + 3; len < target->len; len++) {
        if (target->data[len] == '/' || target->data[len] == '?') {
            break;
        }
    }

    /* a host must be there */

    return len > i + 3 ? len : 0;
}


int
s3_uri_decode(s3_memory_t *memory, const s3_str_t *in, int plus,
    s3_str_t *out)
{
    int             high, low;
    size_t          i;
    unsigned char  *p;

    p = s3_alloc(memory, in->len + 1);
    if (p == NULL) {
        return -1;
    }

    out->data = p;

    for (i = 0; i < in->len; i++) {

        if (in->data[i] == '+' && plus) {
            *p++ = ' ';
            continue;
        }

        if (in->data[i] != '%') {
            *p++ = in->data[i];
            continue;
        }

        if (in->len - i < 3) {
            return -1;
        }

        high = s3_hex_digit(in->data[i + 1]);
        low = s3_hex_digit(in->data[i + 2]);

        if (high < 0 || low < 0) {
            return -1;
        }

        *p++ = (unsigned char) (high << 4 | low);
        i += 2;
    }

    out->len = (size_t) (p - out->data);

    return 0;
}


unsigned char *
s3_uri_encode(unsigned char *dst, const s3_str_t *in, int keep_slash)
{
    size_t         i;
    unsigned char  c;

    static const char  digits[] = "0123456789ABCDEF";

    for (i = 0; i < in->len; i++) {
        c = in->data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9')
            || c == '-' || c == '_' || c == '.' || c == '~'
            || (c == '/' && keep_slash))
        {
            *dst++ = c;
            continue;
        }

        *dst++ = '%';
        *dst++ = (unsigned char) digits[c >> 4];
        *dst++ = (unsigned char) digits[c & 0xf];
    }

    return dst;
}


int
s3_uri_parse_query(s3_memory_t *memory, const s3_str_t *query,
    s3_field_t *fields, int max)
{
    int       n;
    s3_str_t  rest, pair, name;

    rest = *query;
    n = 0;

    while (rest.len) {
        pair = s3_str_token(&rest, '&');

        if (pair.len == 0) {
            continue;
        }

        if (n == max) {
            return -1;
        }

        name = s3_str_token(&pair, '=');

        if (s3_uri_decode(memory, &name, 1, &fields[n].name) != 0
            || s3_uri_decode(memory, &pair, 1, &fields[n].value) != 0)
        {
            return -1;
        }

        n++;
    }

    return n;
}


s3_field_t *
s3_field_find(s3_field_t *fields, size_t n, const char *name)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (s3_str_is(&fields[i].name, name)) {
            return &fields[i];
        }
    }

    return NULL;
}
