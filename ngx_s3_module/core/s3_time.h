
/* Times as SigV4 and HTTP write them; UTC, proleptic, no locale, no libc. */

#ifndef S3_TIME_H
#define S3_TIME_H

#include "s3_core.h"

/* "20130524T000000Z": returns seconds since 1970, or (time_t) -1. */
time_t s3_time_parse_amz(const s3_str_t *text);
/* Any of the three HTTP date forms (RFC 9110 5.6.7), or -1. */
time_t s3_time_parse_http(const s3_str_t *text);

#define S3_TIME_AMZ_LEN  16     /* "20130524T000000Z" */
#define S3_TIME_ISO_LEN  20     /* "2013-05-24T00:00:00Z" */

/* Write exactly that many bytes, without a NUL; years 1970..9999. */
void s3_time_format_amz(time_t time, unsigned char *out);
void s3_time_format_iso(time_t time, unsigned char *out);

#endif
