
/*
 * Pure logic of the S3 front end: no nginx types, no I/O, no allocation but
 * what the caller passes in.  Linked into the module, the unit tests and the
 * fuzz targets alike.
 */

#ifndef S3_CORE_H
#define S3_CORE_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Same layout as ngx_str_t. */
typedef struct {
    size_t          len;
    unsigned char  *data;
} s3_str_t;

#define s3_string(text)  { sizeof(text) - 1, (unsigned char *) text }

typedef struct {
    s3_str_t  name;
    s3_str_t  value;
} s3_field_t;

/* Memory comes from the caller: ngx_palloc() with its pool, or malloc(). */
typedef void *(*s3_alloc_pt)(void *pool, size_t size);

typedef struct {
    s3_alloc_pt   alloc;
    void         *pool;
} s3_memory_t;

#endif
