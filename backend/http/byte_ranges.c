/*
 * Range headers as nginx reads them: any number of ranges in one answer
 * (RFC 9110, 14.2).
 */
#include "http/http.h"

#include <strings.h>

static void skip_blanks(struct slice *text)
{
    while (text->size > 0 && text->data[0] == ' ') {
        text->data++;
        text->size--;
    }
}

/* Takes a number off the text. False: there is none, or it is too large. */
static bool take_number(struct slice *text, uint64_t *value)
{
    bool found = false;

    *value = 0;
    while (text->size > 0 && text->data[0] >= '0' && text->data[0] <= '9') {
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, text->data[0] - (unsigned)'0',
                                   value) ||
            *value > INT64_MAX) {
            return false;
        }
        found = true;
        text->data++;
        text->size--;
    }
    return found;
}

/* The bytes from *first up to *end, which may be none. False: malformed. */
static bool parse_range(struct slice text, uint64_t size, uint64_t *first,
                        uint64_t *end)
{
    bool suffix, open;
    uint64_t last = 0;

    skip_blanks(&text);
    suffix = text.size > 0 && text.data[0] == '-';
    if (!suffix && !take_number(&text, first)) {
        return false;
    }
    skip_blanks(&text);
    if (text.size == 0 || text.data[0] != '-') {
        return false;
    }
    text = slice_of(text.data + 1, text.size - 1);
    skip_blanks(&text);
    open = !suffix && text.size == 0;
    if (!open && !take_number(&text, &last)) {
        return false;
    }
    skip_blanks(&text);
    if (suffix) {
        *first = last < size ? size - last : 0;
    }
    *end = suffix || open || last >= size ? size : last + 1;
    return text.size == 0;
}

enum range_result byte_ranges_parse(struct slice text, uint64_t size,
                                    unsigned max, struct byte_ranges *ranges)
{
    uint64_t total = 0;
    bool more = true;

    ranges->count = 0;
    if (max == 0 || text.size < sizeof("bytes=") ||
        strncasecmp((const char *)text.data, "bytes=", 6) != 0) {
        return RANGE_IGNORED;
    }
    text = slice_of(text.data + 6, text.size - 6);
    while (more) {
        uint64_t first = 0, end = 0;
        size_t comma = 0;

        while (comma < text.size && text.data[comma] != ',') {
            comma++;
        }
        if (!parse_range(slice_of(text.data, comma), size, &first, &end)) {
            return RANGE_UNSATISFIABLE;
        }
        more = comma < text.size;
        text = slice_of(text.data + comma + more, text.size - comma - more);
        if (first >= end) {
            if (first == 0) {
                return RANGE_IGNORED;
            }
            continue;
        }
        if (ranges->count == max || ranges->count == BYTE_RANGES_MAX) {
            return RANGE_IGNORED;
        }
        ranges->ranges[ranges->count].offset = first;
        ranges->ranges[ranges->count].size = end - first;
        ranges->count++;
        total += end - first;
    }
    if (ranges->count == 0) {
        return RANGE_UNSATISFIABLE;
    }
    return total > size ? RANGE_IGNORED : RANGE_OK;
}
