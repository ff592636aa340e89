/*
 * Frames between a worker and s3d, linked into both sides.
 *
 * A stream is a sequence of frames: a 12-byte header and `length` bytes of
 * payload. DATA carries raw bytes; every other type carries the protobuf
 * message of the same name in wire.proto, or nothing.
 *
 *   offset  size  field
 *   0       2     magic "S3"
 *   2       1     version (FRAME_VERSION)
 *   3       1     type (enum frame_type)
 *   4       4     length of the payload, little-endian
 *   8       4     CRC32C of the payload, little-endian; 0 for DATA, whose
 *                 bytes are covered end to end by S3's own checksums
 *
 * docs/protocol.md holds the sequence of frames. Pure: no I/O, no allocation,
 * safe to call from any thread.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_VERSION     1
#define FRAME_HEADER_SIZE 12
#define FRAME_DATA_MAX    (256 * 1024) /* payload bytes of one DATA frame */
#define FRAME_MESSAGE_MAX (256 * 1024) /* packed bytes of any other message */

/* Of a REQUEST on a control connection, where others wait behind it. */
#define ASK_MESSAGE_MAX (16 * 1024) /* packed bytes */
#define ASK_BODY_MAX    (32 * 1024) /* of the answer, bytes */

/* Values are on the wire: never renumber. */
enum frame_type {
    FRAME_HELLO = 1,   /* worker to s3d: opens a control connection */
    FRAME_WELCOME = 2, /* s3d to worker: drives; again when they change */
    FRAME_KEY_REQUEST = 3,
    FRAME_KEY_REPLY = 4,
    FRAME_STATUS_REQUEST = 5, /* if WELCOME says that it is answered */
    FRAME_STATUS_REPLY = 6,
    FRAME_TRACE_SET = 7, /* s3d to worker: if HELLO says that it is known */
    FRAME_TRACE = 8,     /* worker to s3d: if TRACE_SET says so */
    FRAME_ANSWER = 9, /* s3d to worker, on a control connection: what follows,
                         up to END, is the answer to that REQUEST */

    FRAME_REQUEST = 10, /* worker to s3d */
    FRAME_DATA = 11,    /* both ways */
    FRAME_CHUNK = 12,
    FRAME_TRAILERS = 13,
    FRAME_END = 14, /* both ways: the body, or the reply, is complete */

    FRAME_CONTINUE = 20, /* s3d to worker: the body is wanted */
    FRAME_REPLY = 21,
    FRAME_SEGMENTS = 22,
    FRAME_ACK = 23, /* worker to s3d: files are open, name the next ones */
    FRAME_NACK =
        24, /* worker to s3d: send these bytes, and the rest, as DATA */

    FRAME_ADMIN_REQUEST = 30,
    FRAME_ADMIN_REPLY = 31,

    FRAME_LEAVE = 40, /* s3d to worker: it ends; close this connection */
};

/* "s3d wire version 1": stands in every program that speaks it, for who looks
 * at the file. */
extern const char wire_version_text[];

struct frame_header {
    uint8_t type;
    uint32_t length; /* bytes of payload */
    uint32_t crc;
};

/* Writes a header for `payload`; DATA frames leave the checksum 0. */
void frame_encode(uint8_t out[FRAME_HEADER_SIZE], enum frame_type type,
                  const void *payload, size_t length);

/* Returns 0, or -1 if magic, version, type or length is not acceptable. */
int frame_decode(const uint8_t in[FRAME_HEADER_SIZE],
                 struct frame_header *header);

/* The version of the protocol that a header is of, also of one that
 * frame_decode() does not take; -1: it is no header. */
int frame_version(const uint8_t in[FRAME_HEADER_SIZE]);

/* Returns 0 if the payload is what the header promised, or -1. */
int frame_check(const struct frame_header *header, const void *payload);

/* "PutObject" of PUT_OBJECT, as S3's documentation writes it; what has no name
 * is "Operation" and its number. */
#define OPERATION_NAME_SIZE 40
void operation_name(unsigned operation, char name[OPERATION_NAME_SIZE]);

/* CRC32C (RFC 3720), continuing from `crc` (0 to start). */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/*
 * S3's error codes: one table for both sides (errors.def).
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 */
enum s3_error {
    S3_OK = 0,
#define S3_ERROR(name, status, message)     S3_ERR_##name,
#define S3_KMS_ERROR(name, status, message) S3_ERR_KMS_##name,
#include "errors.def"
#undef S3_KMS_ERROR
#undef S3_ERROR
    S3_ERROR_COUNT
};

const char *s3_error_code(enum s3_error error);             /* "NoSuchKey" */
const char *s3_error_message(enum s3_error error);          /* never empty */
enum s3_error s3_error_find(const char *code, size_t size); /* S3_OK: none */
unsigned s3_error_status(enum s3_error error);              /* HTTP status */

#endif
