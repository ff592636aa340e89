/*
 * Range headers (RFC 9110, 14.1.2). S3 knows one range of bytes; whatever it
 * does not understand it ignores, and so sends the whole object.
 */
#include "http/http.h"

#include <strings.h>

/* Digits only; a number too large for 64 bits is clamped. */
static bool number(struct slice text, uint64_t *value)
{
    uint64_t result = 0;

    if (text.size == 0) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = text.data[i] - (unsigned)'0';
        if (digit > 9) {
            return false;
        }
        if (__builtin_mul_overflow(result, 10, &result) ||
            __builtin_add_overflow(result, digit, &result)) {
            result = UINT64_MAX / 16;
        }
    }
    *value = result;
    return true;
}

/* "bytes=a-b" into the parts around the dash. */
static bool split(struct slice text, struct slice *from, struct slice *to)
{
    size_t dash = 0;

    if (text.size < 6 ||
        strncasecmp((const char *)text.data, "bytes=", 6) != 0) {
        return false;
    }
    text = slice_trim(slice_of(text.data + 6, text.size - 6));
    while (dash < text.size && text.data[dash] != '-') {
        dash++;
    }
    if (dash == text.size) {
        return false;
    }
    *from = slice_trim(slice_of(text.data, dash));
    *to = slice_trim(slice_of(text.data + dash + 1, text.size - dash - 1));
    return true;
}

enum range_result range_parse(struct slice text, uint64_t size, uint64_t *first,
                              uint64_t *last)
{
    struct slice from, to;
    uint64_t a, b;

    if (text.data == NULL || !split(text, &from, &to)) {
        return RANGE_IGNORED;
    }
    if (from.size == 0) { /* the last b bytes */
        if (!number(to, &b)) {
            return RANGE_IGNORED;
        }
        if (b == 0 || size == 0) {
            return RANGE_UNSATISFIABLE;
        }
        *first = b < size ? size - b : 0;
        *last = size - 1;
        return RANGE_OK;
    }
    if (!number(from, &a)) {
        return RANGE_IGNORED;
    }
    if (to.size == 0) {
        b = UINT64_MAX;
    } else if (!number(to, &b) || b < a) {
        return RANGE_IGNORED;
    }
    if (a >= size) {
        return RANGE_UNSATISFIABLE;
    }
    *first = a;
    *last = b < size ? b : size - 1;
    return RANGE_OK;
}
