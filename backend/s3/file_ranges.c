/*
 * Ranges as nginx serves them: any number of them in one answer (RFC 9110,
 * 14.2 and 14.6).
 */
#include "s3/file.h"

#include <inttypes.h>
#include <strings.h>

/* --- the header ------------------------------------------------------------*/
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
        if (ranges->count == max || ranges->count == FILE_RANGES_MAX) {
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

/* --- the body --------------------------------------------------------------*/
/* Before each range, and at the end, a head goes; the first one is the
 * reply's body when it begins. */
struct s3_multirange {
    struct byte_ranges ranges;
    struct slice heads[FILE_RANGES_MAX + 1];
    size_t next; /* head to be sent */
};

/* The request's id is random, and known to nobody before the answer. */
static struct slice boundary(const struct s3_call *call)
{
    return pb_slice(call->request->request_id);
}

struct slice multirange_type(struct s3_call *call)
{
    struct slice name = boundary(call);

    return slice_from_string(
        arena_printf(call->arena, "multipart/byteranges; boundary=%.*s",
                     (int)name.size, (const char *)name.data));
}

uint64_t multirange_begin(struct s3_call *call,
                          const struct byte_ranges *ranges, uint64_t total,
                          struct slice type)
{
    struct s3_multirange *multi = arena_zalloc(call->arena, sizeof(*multi));
    struct slice name = boundary(call);
    uint64_t length = 0;

    multi->ranges = *ranges;
    for (size_t i = 0; i < ranges->count; i++) {
        const struct byte_range *range = &ranges->ranges[i];

        multi->heads[i] = slice_from_string(arena_printf(
            call->arena,
            "\r\n--%.*s\r\n%s%.*s%sContent-Range: bytes %" PRIu64 "-%" PRIu64
            "/%" PRIu64 "\r\n\r\n",
            (int)name.size, (const char *)name.data,
            type.size > 0 ? "Content-Type: " : "", (int)type.size,
            (const char *)type.data, type.size > 0 ? "\r\n" : "", range->offset,
            range->offset + range->size - 1, total));
        length += multi->heads[i].size + range->size;
    }
    multi->heads[ranges->count] = slice_from_string(
        arena_printf(call->arena, "\r\n--%.*s--\r\n", (int)name.size,
                     (const char *)name.data));
    call->reply_body = multi->heads[0];
    multi->next = 1;
    call->multirange = multi;
    return length + multi->heads[ranges->count].size;
}

bool multirange_next(struct s3_call *call)
{
    struct s3_multirange *multi = call->multirange;

    if (multi == NULL || multi->next > multi->ranges.count) {
        return false;
    }
    if (multi->next < multi->ranges.count) {
        const struct byte_range *range = &multi->ranges.ranges[multi->next];

        source_seek(call, range->offset, range->size);
    } else {
        source_free(call);
    }
    call->reply_body = multi->heads[multi->next++];
    call->reply_sent = 0;
    return true;
}
