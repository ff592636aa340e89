
/* Accept-Encoding (RFC 9110, 12.5.3): which form of an object a client takes. */

#ifndef S3_ACCEPT_H
#define S3_ACCEPT_H

#include "s3_core.h"

typedef struct {
    s3_str_t  name;       /* "gzip"; "identity": as it is */
    s3_str_t  suffix;     /* ".gz": of the object that is in this coding */
    unsigned  q;          /* set by s3_accept(): 0..1000 */
} s3_coding_t;

/*
 * Sets each coding's q and sorts them, the best first, equal ones in the order
 * given; q is 0 for what the client does not take or does not name.  A value
 * without data is a header that was not sent.
 */
void s3_accept(const s3_str_t *value, s3_coding_t *codings, size_t n);

#endif
