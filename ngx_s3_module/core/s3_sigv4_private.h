
/* What the stages of s3_sigv4_parse() share; private to s3_sigv4*.c. */

#ifndef S3_SIGV4_PRIVATE_H
#define S3_SIGV4_PRIVATE_H

#include "s3_sigv4.h"

#define S3_SIGV4_ECDSA  "AWS4-ECDSA-P256-SHA256"


typedef struct {
    s3_memory_t               *memory;
    const s3_sigv4_request_t  *request;
    s3_sigv4_t                *auth;
    s3_error_t                *error;
    s3_str_t                   credential;
    s3_str_t                   date;      /* as sent, in whatever form */
} s3_sigv4_ctx_t;


/* s3_sigv4.c */

enum s3_error s3_sigv4_fail(s3_sigv4_ctx_t *ctx, enum s3_error code,
    const char *message);
enum s3_error s3_sigv4_fail_credential(s3_sigv4_ctx_t *ctx,
    const char *before, const s3_str_t *value, const char *after);
const s3_str_t *s3_sigv4_arg(s3_sigv4_ctx_t *ctx, const char *name);
const s3_str_t *s3_sigv4_header(s3_sigv4_ctx_t *ctx, const char *name);

/* s3_sigv4_time.c */

enum s3_error s3_sigv4_parse_date(s3_sigv4_ctx_t *ctx);
enum s3_error s3_sigv4_check_date(s3_sigv4_ctx_t *ctx);

/* s3_sigv4_signed.c */

enum s3_error s3_sigv4_check_signed_list(s3_sigv4_ctx_t *ctx);
enum s3_error s3_sigv4_check_signed(s3_sigv4_ctx_t *ctx);
enum s3_error s3_sigv4_parse_payload(s3_sigv4_ctx_t *ctx);
enum s3_error s3_sigv4_parse_query_payload(s3_sigv4_ctx_t *ctx);

#endif
