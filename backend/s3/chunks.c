/*
 * Signed chunks: each chunk's signature covers the one before, the first
 * covers the request's.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and
 * .../sigv4-streaming-trailers.html
 */
#include "s3/body.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_MIN  8192u /* bytes of every chunk but the last */
#define REGION_MAX 128u  /* bytes */
/* Bytes of a string to sign: there may be very many chunks, so that none is
 * kept in the arena. */
#define TO_SIGN 512u

static const char empty_sha256[] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static bool is_signed(const struct s3_body *body)
{
    return body->payload == WIRE__PAYLOAD__STREAMING_SIGNED ||
           body->payload == WIRE__PAYLOAD__STREAMING_SIGNED_TRAILER;
}

bool chunks_open(struct s3_call *call, struct s3_body *body)
{
    const Wire__Request *request = call->request;
    struct slice amz_date = pb_slice(request->amz_date);
    struct slice region = pb_slice(request->region);
    uint64_t generation;
    int error;

    if (!is_signed(body)) {
        return true;
    }
    if (amz_date.size != 16 || region.size > REGION_MAX ||
        request->seed_signature.len != 64) {
        call_fail(call, S3_ERR_InvalidRequest);
        return false;
    }
    error =
        iam_signing_key(call->service->iam, pb_slice(request->access_key),
                        slice_of(amz_date.data, 8), region, SLICE_LITERAL("s3"),
                        body->signing_key, &generation);
    if (error != 0 || generation != request->key_generation) {
        call_fail(call, error != 0 ? S3_ERR_InvalidAccessKeyId
                                   : S3_ERR_SignatureDoesNotMatch);
        return false;
    }
    body->scope = arena_printf(call->arena, "%.8s/%.*s/s3/aws4_request",
                               (const char *)amz_date.data, (int)region.size,
                               (const char *)region.data);
    memcpy(body->signature, request->seed_signature.data, 64);
    return true;
}

void chunks_update(struct s3_body *body, const void *data, size_t size)
{
    if (!is_signed(body) || size == 0) {
        return;
    }
    if (body->chunk == NULL) {
        body->chunk = digester_new(DIGEST_SHA256);
    }
    digester_update(body->chunk, data, size);
    body->chunk_received += size;
}

/* Checks `given` and makes it the one that the next chunk covers. */
static bool check_signature(struct s3_call *call, struct s3_body *body,
                            const char *text, struct slice given)
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    char ours[65];

    invariant(HMAC(EVP_sha256(), body->signing_key, sizeof(body->signing_key),
                   (const uint8_t *)text, strlen(text), mac, &size) != NULL);
    invariant(size == 32);
    hex_encode(ours, mac, 32);
    if (given.size != 64 || CRYPTO_memcmp(ours, given.data, 64) != 0) {
        call_fail(call, S3_ERR_SignatureDoesNotMatch);
        return false;
    }
    memcpy(body->signature, ours, 64);
    return true;
}

static bool check_chunk_sizes(struct s3_call *call, struct s3_body *body,
                              uint64_t size)
{
    char number[24], bad[24];

    if (body->chunk_final || size != body->chunk_received) {
        call_fail(call, S3_ERR_IncompleteBody);
        return false;
    }
    body->chunk_count++;
    if (size > 0 && body->chunk_count > 1 && body->chunk_previous < CHUNK_MIN) {
        snprintf(number, sizeof(number), "%u", body->chunk_count - 1);
        snprintf(bad, sizeof(bad), "%llu",
                 (unsigned long long)body->chunk_previous);
        call_error_field(call, "Chunk", slice_from_string(number));
        call_error_field(call, "BadChunkSize", slice_from_string(bad));
        call_fail(call, S3_ERR_InvalidChunkSizeError);
        return false;
    }
    return true;
}

bool body_chunk(struct s3_call *call, const Wire__Chunk *chunk)
{
    struct s3_body *body = call->body;
    uint8_t sha256[DIGEST_SIZE_MAX];
    char hex[65], text[TO_SIGN];

    if (!is_signed(body)) {
        call_fail(call, S3_ERR_InvalidRequest);
        return false;
    }
    if (!check_chunk_sizes(call, body, chunk->size)) {
        return false;
    }
    memcpy(hex, empty_sha256, sizeof(hex));
    if (body->chunk != NULL) {
        digester_final(body->chunk, DIGEST_SHA256, sha256);
        hex_encode(hex, sha256, 32);
        chunks_free(body);
    }
    snprintf(text, sizeof(text),
             "AWS4-HMAC-SHA256-PAYLOAD\n%.16s\n%s\n%s\n%s\n%s",
             (const char *)call->request->amz_date.data, body->scope,
             body->signature, empty_sha256, hex);
    if (!check_signature(call, body, text, pb_slice(chunk->signature))) {
        return false;
    }
    body->chunk_previous = chunk->size;
    body->chunk_received = 0;
    body->chunk_final = chunk->size == 0;
    return true;
}

/* The trailer's lines as they were signed: "name:value\n". */
bool chunks_check_trailers(struct s3_call *call, struct s3_body *body,
                           const Wire__Trailers *trailers)
{
    struct digester *lines;
    uint8_t sha256[DIGEST_SIZE_MAX];
    char hex[65], text[TO_SIGN];

    if (!is_signed(body)) {
        return true;
    }
    if (!body->chunk_final) {
        call_fail(call, S3_ERR_IncompleteBody);
        return false;
    }
    lines = digester_new(DIGEST_SHA256);
    for (size_t i = 0; i < trailers->n_fields; i++) {
        const Wire__Field *field = trailers->fields[i];
        digester_update(lines, field->name.data, field->name.len);
        digester_update(lines, ":", 1);
        digester_update(lines, field->value.data, field->value.len);
        digester_update(lines, "\n", 1);
    }
    digester_final(lines, DIGEST_SHA256, sha256);
    digester_free(lines);
    hex_encode(hex, sha256, 32);
    snprintf(text, sizeof(text), "AWS4-HMAC-SHA256-TRAILER\n%.16s\n%s\n%s\n%s",
             (const char *)call->request->amz_date.data, body->scope,
             body->signature, hex);
    return check_signature(call, body, text, pb_slice(trailers->signature));
}

bool chunks_complete(const struct s3_body *body)
{
    /* What came after the last chunk is under no signature. */
    return !is_signed(body) || (body->chunk_final && body->chunk_received == 0);
}

void chunks_free(struct s3_body *body)
{
    digester_free(body->chunk);
    body->chunk = NULL;
}
