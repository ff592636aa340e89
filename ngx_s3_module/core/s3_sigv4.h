
/*
 * AWS Signature Version 4, the verifying side.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
 *
 * parse: who signed, what and when; then the caller gets the derived key for
 * (access key, date, region, service); then verify.  The secret never comes here.
 */

#ifndef S3_SIGV4_H
#define S3_SIGV4_H

#include "s3_core.h"
#include "wire/wire.h"  /* enum s3_error */

#define S3_SIGV4_KEY_LEN        32
#define S3_SIGV4_SIGNATURE_LEN  64
#define S3_SIGV4_HEADERS_MAX    128
#define S3_SIGV4_SKEW           900      /* seconds */
#define S3_SIGV4_EXPIRES_MAX    604800   /* seconds */

/* Values are sent to s3d as wire.Payload. */
typedef enum {
    S3_PAYLOAD_UNSIGNED = 0,
    S3_PAYLOAD_SIGNED,
    S3_PAYLOAD_STREAMING_SIGNED,
    S3_PAYLOAD_STREAMING_SIGNED_TRAILER,
    S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER
} s3_payload_e;

/* The request as received: the caller fills it in. */
typedef struct {
    s3_str_t      method;
    s3_str_t      path;        /* raw */
    s3_field_t   *args;        /* decoded query, in order */
    size_t        nargs;
    s3_str_t      query;       /* raw */
    s3_field_t   *headers;     /* names in lower case, in order; repeated
                                  names are separate entries */
    size_t        nheaders;
    time_t        now;         /* seconds */
    s3_str_t      region;      /* required region, or empty: any */
    s3_str_t      body_sha256; /* hex; set: the request is one of IAM or STS,
                                  which sign it without sending it */
} s3_sigv4_request_t;

typedef struct {
    unsigned      anonymous:1;
    unsigned      presigned:1;
    s3_str_t      access_key;
    s3_str_t      date;        /* YYYYMMDD of the scope */
    s3_str_t      region;      /* of the scope */
    s3_str_t      service;     /* of the scope: "s3", "iam" or "sts" */
    s3_str_t      amz_date;    /* YYYYMMDDTHHMMSSZ */
    s3_str_t      signed_headers;  /* "host;x-amz-date" */
    s3_str_t      signature;   /* hex */
    s3_str_t      session_token;
    s3_payload_e  payload;
    s3_str_t      content_sha256;  /* as sent: goes into the canonical request */
    time_t        time;        /* of the request */
    time_t        expires;     /* seconds; presigned only */
} s3_sigv4_t;

/*
 * An error with what goes into its XML beside code and message.  Fields have
 * the XML element's name; all strings point into the request or `memory`.
 */
#define S3_ERROR_FIELDS_MAX  10

typedef struct {
    enum s3_error  code;
    s3_str_t       message;    /* empty: the table's */
    s3_field_t     fields[S3_ERROR_FIELDS_MAX];
    size_t         nfields;
} s3_error_t;

/*
 * Finds and checks the authentication of a request: form, scope, time,
 * x-amz-content-sha256, and that all that must be signed is.  An SigV2
 * header or query is refused as S3 does.  Returns S3_OK or error->code.
 */
enum s3_error s3_sigv4_parse(s3_memory_t *memory,
    const s3_sigv4_request_t *request, s3_sigv4_t *auth, s3_error_t *error);

/*
 * Whether the query is a request of STS: one that names its Action there, and
 * is signed for "sts" or not at all, if it is the one that needs no signature.
 * Nothing is checked.
 */
int s3_sigv4_is_sts(const s3_sigv4_request_t *request);

/* The SHA-256 of a body, in hex: 0, or -1 without memory. */
int s3_sigv4_digest(s3_memory_t *memory, const s3_str_t *body, s3_str_t *hex);

/*
 * Compares signatures in constant time.  On SignatureDoesNotMatch error's
 * fields hold what S3 returns for debugging: AWSAccessKeyId, StringToSign,
 * SignatureProvided, StringToSignBytes, CanonicalRequest,
 * CanonicalRequestBytes.
 */
enum s3_error s3_sigv4_verify(s3_memory_t *memory,
    const s3_sigv4_request_t *request, const s3_sigv4_t *auth,
    const unsigned char key[S3_SIGV4_KEY_LEN], s3_error_t *error);

#endif
