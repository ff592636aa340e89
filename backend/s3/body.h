/*
 * Private to body.c, body_headers.c and chunks.c: a body being verified.
 */
#ifndef S3_BODY_H
#define S3_BODY_H

#include "s3/call.h"

struct s3_body {
    Wire__Payload payload;
    uint64_t expected, received; /* bytes */
    struct digester *digester;   /* NULL if nothing is to be computed */
    bool finished;

    /* What the client says. */
    bool has_md5;
    uint8_t md5_wanted[16];
    Meta__ChecksumAlgorithm client; /* in a header, or announced in a trailer */
    bool in_trailer;
    bool has_value;
    uint8_t wanted[DIGEST_SIZE_MAX];
    bool trailers_seen;

    /* What it is: after finish. */
    Meta__ChecksumAlgorithm kept;
    uint8_t md5[DIGEST_SIZE_MAX], sha256[DIGEST_SIZE_MAX];
    uint8_t checksum[DIGEST_SIZE_MAX];

    /* Signed chunks (chunks.c). */
    struct digester *chunk; /* of the chunk under way; NULL between chunks */
    uint64_t chunk_received, chunk_previous; /* bytes */
    unsigned chunk_count;
    bool chunk_final; /* the empty chunk has come */
    uint8_t signing_key[IAM_KEY_SIZE];
    const char *scope;
    char signature[65]; /* of the chunk before */
};

/* body_headers.c: false when the call has failed. */
bool body_parse_headers(struct s3_call *call, struct s3_body *body);
bool body_parse_trailer(struct s3_call *call, struct s3_body *body,
                        const Wire__Field *trailer);

/* chunks.c: nothing happens unless the payload is STREAMING_SIGNED*. */
bool chunks_open(struct s3_call *call, struct s3_body *body);
void chunks_update(struct s3_body *body, const void *data, size_t size);
bool chunks_check_trailers(struct s3_call *call, struct s3_body *body,
                           const Wire__Trailers *trailers);
bool chunks_complete(const struct s3_body *body);
void chunks_free(struct s3_body *body);

#endif
