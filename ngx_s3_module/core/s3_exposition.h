
/*
 * Metrics as text: the format of Prometheus (version 0.0.4), JSON, HTML.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */

#ifndef S3_EXPOSITION_H
#define S3_EXPOSITION_H

#include "s3_core.h"
#include "wire.pb-c.h"

typedef enum {
    S3_EXPOSITION_PROMETHEUS = 0,
    S3_EXPOSITION_JSON,
    S3_EXPOSITION_HTML
} s3_exposition_e;

/*
 * By "prometheus", "json" or "html", the value of ?format=, if it is there, or
 * by Accept; a value without data is one that is not there.  Returns 0, or -1
 * if the value is another one.
 */
int s3_exposition_choose(const s3_str_t *format, const s3_str_t *accept,
    s3_exposition_e *exposition);

/* "text/plain; version=0.0.4; charset=utf-8" and so on. */
s3_str_t s3_exposition_type(s3_exposition_e exposition);

/*
 * All families of all parts, in their order.  Escapes, and replaces what is
 * not UTF-8 by U+FFFD.  Returns 0, or -1 without memory.
 */
int s3_exposition(s3_memory_t *memory, Wire__Metrics *const *parts, size_t n,
    s3_exposition_e exposition, s3_str_t *out);

#endif
