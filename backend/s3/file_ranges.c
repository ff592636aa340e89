/* Several ranges in one answer (RFC 9110, 14.6). */
#include "s3/file.h"

#include <inttypes.h>

/* Before each range, and at the end, a head goes; the first one is the
 * reply's body when it begins. */
struct s3_multirange {
    struct byte_ranges ranges;
    struct slice heads[BYTE_RANGES_MAX + 1];
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
