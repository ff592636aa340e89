
/* The canonical request; private to s3_sigv4*.c. */

#ifndef S3_SIGV4_CANONICAL_H
#define S3_SIGV4_CANONICAL_H

#include "s3_sigv4.h"

/* Returns S3_OK, InvalidURI or InternalError. */
enum s3_error s3_sigv4_canonical(s3_memory_t *memory,
    const s3_sigv4_request_t *request, const s3_sigv4_t *auth, s3_str_t *out);

#endif
