
/* Helpers on strings that the files of core share; not for the module. */

#ifndef S3_STRING_H
#define S3_STRING_H

#include <string.h>

#include "s3_core.h"

#define s3_alloc(memory, size)  (memory)->alloc((memory)->pool, size)

#define s3_nelts(array)         (sizeof(array) / sizeof((array)[0]))

#define s3_str_set(str, text)                                                 \
    (str)->len = sizeof(text) - 1; (str)->data = (unsigned char *) text

#define s3_str_null(str)        (str)->len = 0; (str)->data = NULL

#define s3_is_blank(c)          ((c) == ' ' || (c) == '\t')

/* Equality and prefix, byte by byte. */

static inline int
s3_str_is(const s3_str_t *str, const char *text)
{
    /* names are looked up in tables: most differ in the first byte */

    if (str->len == 0 || str->data[0] != (unsigned char) text[0]) {
        return str->len == 0 && text[0] == '\0';
    }

    return str->len == strlen(text) && memcmp(str->data, text, str->len) == 0;
}

/* Of a text that stays: nothing is copied. */
s3_str_t s3_str_text(const char *text);

int s3_str_same(const s3_str_t *one, const s3_str_t *two);
int s3_str_starts(const s3_str_t *str, const char *prefix);

/* Order of bytes, the shorter first. */
int s3_str_cmp(const s3_str_t *one, const s3_str_t *two);

/* Without blanks at both ends. */
s3_str_t s3_str_trim(const s3_str_t *str);

/* The bytes up to the separator; *rest starts after it, or is empty. */
s3_str_t s3_str_token(s3_str_t *rest, unsigned char separator);

/* Copies and returns the end. */
unsigned char *s3_str_copy(unsigned char *dst, const s3_str_t *str);

/* All parts in one new string: 0, or -1 without memory. */
int s3_str_join(s3_memory_t *memory, s3_str_t *out, const s3_str_t *parts,
    size_t n);

/* 0..15, or -1 */
int s3_hex_digit(unsigned char c);

/* Writes 2 * len lower-case digits and returns the end. */
unsigned char *s3_hex_dump(unsigned char *dst, const unsigned char *src,
    size_t len);

/* Bytes of the valid UTF-8 sequence at p < last, or 0. */
size_t s3_utf8_sequence(const unsigned char *p, const unsigned char *last);

#endif
