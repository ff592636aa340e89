
/*
 * The aws-chunked decoder: a state machine fed with any split of the bytes.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
 *
 *   <hex size>[;chunk-signature=<64 hex>]\r\n <bytes> \r\n ... 0[...]\r\n
 *   [name:value\r\n ...] [x-amz-trailer-signature:<64 hex>\r\n] \r\n
 */

#ifndef S3_CHUNKED_H
#define S3_CHUNKED_H

#include "s3_core.h"
#include "s3_sigv4.h"

#define S3_CHUNKED_LINE_MAX      1024   /* bytes of a chunk or trailer line */
#define S3_CHUNKED_TRAILERS_MAX  8
#define S3_CHUNKED_CHUNK_MIN     8192   /* but for the last */

typedef enum {
    S3_CHUNKED_AGAIN = 0,    /* all input used, more is needed */
    S3_CHUNKED_DATA,         /* *data has decoded bytes: a slice of the input */
    S3_CHUNKED_CHUNK,        /* a chunk ended: size and signature */
    S3_CHUNKED_TRAILER,      /* trailer name and value, name in lower case */
    S3_CHUNKED_DONE,         /* the body is complete; input may be left */
    S3_CHUNKED_ERROR         /* chunked->error */
} s3_chunked_event_e;

typedef struct {
    unsigned        state;
    unsigned        is_signed:1;
    unsigned        has_trailer:1;
    unsigned        small_seen:1;
    enum s3_error   error;
    uint64_t        chunk_size;
    uint64_t        chunk_left;
    uint64_t        decoded;      /* bytes so far */
    uint64_t        expected;     /* x-amz-decoded-content-length */
    unsigned        ntrailers;
    unsigned char   signature[S3_SIGV4_SIGNATURE_LEN];  /* of the last chunk,
                                                           or of the trailer */
    unsigned        has_signature:1;
    s3_field_t      trailer;      /* points into line */
    size_t          line_len;
    unsigned char   line[S3_CHUNKED_LINE_MAX];
} s3_chunked_t;

void s3_chunked_init(s3_chunked_t *chunked, s3_payload_e payload,
    uint64_t expected);

/*
 * Takes bytes from *pos up to last, moves *pos, and returns the first event.
 * Call again until AGAIN, DONE or ERROR.  S3_CHUNKED_TRAILER's strings are
 * valid until the next call.
 */
s3_chunked_event_e s3_chunked_parse(s3_chunked_t *chunked,
    unsigned char **pos, unsigned char *last, s3_str_t *data);

#endif
