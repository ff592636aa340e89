
/*
 * The request target, as S3 reads it: percent-decoded exactly once, nothing
 * merged, nothing normalised.
 */

#ifndef S3_URI_H
#define S3_URI_H

#include "s3_core.h"

/*
 * Splits the raw target ("/a%20b?x=1") into raw path and raw query; an
 * absolute form "http://host/..." loses its scheme and authority.
 * Returns 0, or -1 if it does not start with "/".
 */
int s3_uri_split(const s3_str_t *target, s3_str_t *path, s3_str_t *query);

/* Decodes %XX; '+' becomes a space only if `plus`. -1: malformed, no memory. */
int s3_uri_decode(s3_memory_t *memory, const s3_str_t *in, int plus,
    s3_str_t *out);

/*
 * RFC 3986 encoding with upper-case hex; '/' is kept if keep_slash.
 * Writes to dst (3 * len bytes at most) and returns the end.
 */
unsigned char *s3_uri_encode(unsigned char *dst, const s3_str_t *in,
    int keep_slash);

/*
 * Parses a raw query into decoded fields, in order; "?acl" has an empty
 * value.  '+' stands for itself in SigV4; clients send %20 for a space, and
 * Amazon S3 reads '+' in a query value as a space: `value` has it so.
 * At most `max` fields.  Returns the count, or -1.
 */
int s3_uri_parse_query(s3_memory_t *memory, const s3_str_t *query,
    s3_field_t *fields, int max);

/* The field of that name, or NULL. */
s3_field_t *s3_field_find(s3_field_t *fields, size_t n, const char *name);

#endif
