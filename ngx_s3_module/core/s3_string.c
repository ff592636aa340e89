
/* Helpers on strings that the files of core share. */

#include "s3_string.h"


s3_str_t
s3_str_text(const char *text)
{
    s3_str_t  str;

    str.data = (unsigned char *) text;
    str.len = strlen(text);

    return str;
}


int
s3_str_same(const s3_str_t *one, const s3_str_t *two)
{
    return one->len == two->len
           && (one->len == 0 || memcmp(one->data, two->data, one->len) == 0);
}


int
s3_str_starts(const s3_str_t *str, const char *prefix)
{
    size_t  len;

    len = strlen(prefix);

    return str->len >= len
           && (len == 0 || memcmp(str->data, prefix, len) == 0);
}


int
s3_str_cmp(const s3_str_t *one, const s3_str_t *two)
{
    int     rc;
    size_t  len;

    len = one->len < two->len ? one->len : two->len;

    rc = len ? memcmp(one->data, two->data, len) : 0;

    if (rc != 0) {
        return rc;
    }

    return (one->len > two->len) - (one->len < two->len);
}


s3_str_t
s3_str_trim(const s3_str_t *str)
{
    s3_str_t  out;

    out = *str;

    while (out.len && s3_is_blank(out.data[0])) {
        out.data++;
        out.len--;
    }

    while (out.len && s3_is_blank(out.data[out.len - 1])) {
        out.len--;
    }

    return out;
}


s3_str_t
s3_str_token(s3_str_t *rest, unsigned char separator)
{
    s3_str_t        out;
    unsigned char  *p;

    out = *rest;

    p = out.len ? memchr(out.data, separator, out.len) : NULL;

    if (p == NULL) {
        rest->data = out.data ? out.data + out.len : NULL;
        rest->len = 0;
        return out;
    }

    out.len = (size_t) (p - out.data);

    rest->data = p + 1;
    rest->len -= out.len + 1;

    return out;
}


unsigned char *
s3_str_copy(unsigned char *dst, const s3_str_t *str)
{
    if (str->len == 0) {
        return dst;
    }

    memcpy(dst, str->data, str->len);

    return dst + str->len;
}


int
s3_str_join(s3_memory_t *memory, s3_str_t *out, const s3_str_t *parts,
    size_t n)
{
    size_t          i, len;
    unsigned char  *p;

    len = 0;

    for (i = 0; i < n; i++) {
        len += parts[i].len;
    }

    p = s3_alloc(memory, len + 1);
    if (p == NULL) {
        return -1;
    }

    out->data = p;
    out->len = len;

    for (i = 0; i < n; i++) {
        p = s3_str_copy(p, &parts[i]);
    }

    return 0;
}


int
s3_hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }

    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }

    return -1;
}


unsigned char *
s3_hex_dump(unsigned char *dst, const unsigned char *src, size_t len)
{
    static const char  digits[] = "0123456789abcdef";

    while (len--) {
        *dst++ = (unsigned char) digits[*src >> 4];
        *dst++ = (unsigned char) digits[*src++ & 0xf];
    }

    return dst;
}


/* Well-formed sequences only, as in table 3-7 of the Unicode standard. */

size_t
s3_utf8_sequence(const unsigned char *p, const unsigned char *last)
{
    size_t         i, len;
    unsigned char  low, high;

    if (p[0] < 0x80) {
        return 1;
    }

    if (p[0] < 0xc2 || p[0] > 0xf4) {
        return 0;
    }

    len = (p[0] < 0xe0) ? 2 : (p[0] < 0xf0) ? 3 : 4;

    if ((size_t) (last - p) < len) {
        return 0;
    }

    low = (p[0] == 0xe0) ? 0xa0 : (p[0] == 0xf0) ? 0x90 : 0x80;
    high = (p[0] == 0xed) ? 0x9f : (p[0] == 0xf4) ? 0x8f : 0xbf;

    if (p[1] < low || p[1] > high) {
        return 0;
    }

    for (i = 2; i < len; i++) {
        if (p[i] < 0x80 || p[i] > 0xbf) {
            return 0;
        }
    }

    return len;
}
