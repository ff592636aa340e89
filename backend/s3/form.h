/*
 * multipart/form-data (RFC 7578), read byte by byte: a state machine that is
 * fed with any split of the bytes. Pure: no allocation, no I/O.
 *
 *   [preamble] --boundary CRLF headers CRLF CRLF bytes CRLF
 *   --boundary CRLF ... CRLF --boundary-- [epilogue]
 */
#ifndef S3_FORM_H
#define S3_FORM_H

#include "base/base.h"

#define FORM_BOUNDARY_MAX 70u   /* bytes: RFC 2046, 5.1.1 */
#define FORM_HEADERS_MAX  8192u /* bytes of a part's headers */

enum form_event {
    FORM_AGAIN,    /* all bytes are used, more are needed */
    FORM_PART,     /* a part begins: form->name, form->filename */
    FORM_DATA,     /* *data is next of the part */
    FORM_PART_END, /* the part is complete */
    FORM_DONE,     /* the last part is; what follows means nothing */
    FORM_ERROR,    /* this is no form; it stays so */
};

struct form {
    unsigned state;
    size_t matched; /* bytes of the delimiter that came and are held back */
    uint8_t delimiter[FORM_BOUNDARY_MAX + 4]; /* CRLF "--" boundary */
    size_t delimiter_size;
    struct slice name;     /* of the part; valid until it ends */
    struct slice filename; /* data == NULL: the part has none */
    uint8_t headers[FORM_HEADERS_MAX];
    size_t headers_size;
};

/* The type of a request: false if it is no multipart/form-data. */
bool form_is_type(struct slice content_type);
/* Its boundary; false if there is none that could be one. */
bool form_boundary(struct slice content_type, uint8_t out[FORM_BOUNDARY_MAX],
                   size_t *size);
/* `boundary` has 1..FORM_BOUNDARY_MAX bytes. */
void form_open(struct form *form, struct slice boundary);
/* Takes bytes from *at up to `end`, moves *at, returns the first event. To be
 * called again until AGAIN or ERROR; `data` points into the input or into
 * `form` and is valid until the next call. */
enum form_event form_parse(struct form *form, const uint8_t **at,
                           const uint8_t *end, struct slice *data);

#endif
