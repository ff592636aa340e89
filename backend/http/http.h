/*
 * What HTTP says of reads: dates, conditions, ranges (RFC 9110). Linked into
 * both sides: what the hot index answers is what s3d would.
 *
 * Pure: no I/O, no allocation; any thread.
 */
#ifndef HTTP_H
#define HTTP_H

#include "base/base.h"

/* --- dates (time.c) --------------------------------------------------------*/
/* Any HTTP date form; milliseconds, or -EINVAL. */
int time_parse_http(struct slice text, uint64_t *ms);

/* --- conditions (conditions.c) ---------------------------------------------*/
enum condition { CONDITION_PASS, CONDITION_FAILED, CONDITION_NOT_MODIFIED };
struct conditions { /* header values; data == NULL: absent */
    struct slice match, none_match, modified_since, unmodified_since;
    bool weak;  /* If-None-Match takes W/"tag" for "tag" (RFC 9110, 13.1.2) */
    bool exact; /* If-Modified-Since means that very date, none later */
};
/* Which one decides is named in *which: "If-Match" and so on. */
enum condition conditions_evaluate(const struct conditions *conditions,
                                   struct slice etag, uint64_t mtime_ms,
                                   const char **which);
/* A list of entity tags, quoted or not, or "*"; etag has no quotes. */
bool etag_list_matches(struct slice list, struct slice etag);
/* If-Range, data == NULL: absent: a strong tag, or exactly the date of
 * Last-Modified. False: the range is to be ignored. */
bool range_wanted(struct slice if_range, struct slice etag, uint64_t mtime_ms);

/* --- ranges (range.c, byte_ranges.c) ---------------------------------------*/
enum range_result { RANGE_IGNORED, RANGE_OK, RANGE_UNSATISFIABLE };
/* A Range header against a body of `size` bytes, as S3 reads it:
 * [first, last], clamped. */
enum range_result range_parse(struct slice text, uint64_t size, uint64_t *first,
                              uint64_t *last);

#define BYTE_RANGES_MAX 64u

struct byte_range {
    uint64_t offset, size; /* bytes */
};
struct byte_ranges {
    struct byte_range ranges[BYTE_RANGES_MAX];
    size_t count;
};

/* The same as nginx reads it: what is malformed cannot be satisfied; what asks
 * for more than `max` ranges, or for more bytes than there are, is ignored. */
enum range_result byte_ranges_parse(struct slice text, uint64_t size,
                                    unsigned max, struct byte_ranges *ranges);

#endif
