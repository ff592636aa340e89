
/* Times as SigV4 and HTTP write them; UTC, proleptic, no locale, no libc. */

#ifndef S3_TIME_H
#define S3_TIME_H

#include "s3_core.h"

/* "20130524T000000Z": returns seconds since 1970, or (time_t) -1. */
time_t s3_time_parse_amz(const s3_str_t *text);
/* Any of the three HTTP date forms (RFC 9110 5.6.7), or -1. */
time_t s3_time_parse_http(const s3_str_t *text);

#endif
