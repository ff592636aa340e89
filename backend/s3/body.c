/*
 * A body being verified against everything the client says of it.
 *
 * One pass over the bytes feeds all digests. Nothing that came with the body
 * is believed before body_finish() has returned true; the operations commit
 * after that and never before.
 */
#include "s3/body.h"

#include <string.h>

/* The digest that x-amz-content-sha256 needs, and the client's own. */
static unsigned digests_for(const struct s3_body *body,
                            Meta__ChecksumAlgorithm kept, bool md5)
{
    unsigned digests = md5 ? DIGEST_MD5 : 0;

    if (body->payload == WIRE__PAYLOAD__SIGNED) {
        digests |= DIGEST_SHA256;
    }
    if (kept != META__CHECKSUM_ALGORITHM__NO_CHECKSUM) {
        digests |= checksum_digest(kept);
    }
    return digests;
}

/* Its MD5 is the ETag. */
static bool is_object(const struct s3_call *call)
{
    return call->operation->body == S3_BODY_OBJECT ||
           call->operation->body == S3_BODY_FORM;
}

bool body_open(struct s3_call *call, Meta__ChecksumAlgorithm fallback)
{
    struct s3_body *body = arena_zalloc(call->arena, sizeof(*body));
    const Wire__Request *request = call->request;
    unsigned digests;
    bool md5;

    call->body = body;
    body->payload = request->payload;
    body->expected = request->has_body ? request->content_length : 0;
    if (!body_parse_headers(call, body)) {
        return false;
    }
    body->kept = body->client;
    if (body->kept == META__CHECKSUM_ALGORITHM__NO_CHECKSUM) {
        body->kept = fallback;
    }
    md5 = body->has_md5 || is_object(call);
    digests = digests_for(body, body->kept, md5);
    if (digests != 0) {
        body->digester = digester_new(digests);
    }
    return chunks_open(call, body);
}

void body_update(struct s3_call *call, struct memory *memory, const void *data,
                 size_t size)
{
    struct s3_body *body = call->body;

    if (size > body->expected - body->received) {
        call_fail(call, S3_ERR_IncompleteBody);
        return;
    }
    body->received += size;
    if (body->digester != NULL && memory != NULL) {
        digester_update_aside(body->digester, memory, data, size);
    } else if (body->digester != NULL) {
        digester_update(body->digester, data, size);
    }
    chunks_update(body, data, size);
}

bool body_trailers(struct s3_call *call, const Wire__Trailers *trailers)
{
    struct s3_body *body = call->body;

    if (body->trailers_seen ||
        (body->payload != WIRE__PAYLOAD__STREAMING_SIGNED_TRAILER &&
         body->payload != WIRE__PAYLOAD__STREAMING_UNSIGNED_TRAILER) ||
        trailers->n_fields > 1) {
        call_fail(call, S3_ERR_MalformedTrailerError);
        return false;
    }
    body->trailers_seen = true;
    if (!chunks_check_trailers(call, body, trailers)) {
        return false;
    }
    return trailers->n_fields == 0 ||
           body_parse_trailer(call, body, trailers->fields[0]);
}

static bool check_sha256(struct s3_call *call, struct s3_body *body)
{
    char ours[2 * DIGEST_SIZE_MAX + 1], theirs[2 * DIGEST_SIZE_MAX + 1];
    ProtobufCBinaryData want = call->request->content_sha256;

    if (body->payload != WIRE__PAYLOAD__SIGNED) {
        return true;
    }
    if (want.len == 32 && memcmp(want.data, body->sha256, 32) == 0) {
        return true;
    }
    hex_encode(theirs, want.data, want.len <= 32 ? want.len : 32);
    hex_encode(ours, body->sha256, 32);
    call_error_field(call, "ClientComputedContentSHA256",
                     slice_from_string(theirs));
    call_error_field(call, "S3ComputedContentSHA256", slice_from_string(ours));
    call_fail(call, S3_ERR_XAmzContentSHA256Mismatch);
    return false;
}

static bool check_md5(struct s3_call *call, struct s3_body *body)
{
    char theirs[32], ours[32];

    if (!body->has_md5 || memcmp(body->md5_wanted, body->md5, 16) == 0) {
        return true;
    }
    base64_encode(theirs, body->md5_wanted, 16);
    base64_encode(ours, body->md5, 16);
    call_error_field(call, "ExpectedDigest", slice_from_string(theirs));
    call_error_field(call, "CalculatedDigest", slice_from_string(ours));
    call_fail(call, S3_ERR_BadDigest);
    return false;
}

static bool check_checksum(struct s3_call *call, struct s3_body *body)
{
    if (body->client == META__CHECKSUM_ALGORITHM__NO_CHECKSUM) {
        return true;
    }
    if (!body->has_value) { /* announced in x-amz-trailer, and not sent */
        call_fail(call, S3_ERR_MalformedTrailerError);
        return false;
    }
    if (memcmp(body->wanted, body->checksum, checksum_size(body->client)) ==
        0) {
        return true;
    }
    call_fail_message(
        call, S3_ERR_BadDigest,
        "The %s you specified did not match the calculated checksum.",
        checksum_name(body->client));
    return false;
}

static void finish_digests(struct s3_call *call, struct s3_body *body)
{
    uint8_t digest[DIGEST_SIZE_MAX];
    unsigned digests = digests_for(body, body->kept, true);

    if (body->digester == NULL) {
        return;
    }
    if (body->has_md5 || is_object(call)) {
        digester_final(body->digester, DIGEST_MD5, body->md5);
    }
    if (digests & DIGEST_SHA256) {
        digester_final(body->digester, DIGEST_SHA256, digest);
        memcpy(body->sha256, digest, 32);
    }
    if (body->kept == META__CHECKSUM_ALGORITHM__SHA256) {
        memcpy(body->checksum, body->sha256, 32);
    } else if (body->kept != META__CHECKSUM_ALGORITHM__NO_CHECKSUM) {
        digester_final(body->digester, (enum digest)checksum_digest(body->kept),
                       body->checksum);
    }
}

void body_end_here(struct s3_call *call)
{
    struct s3_body *body = call->body;

    invariant(!body->finished && body->expected == UINT64_MAX);
    body->expected = body->received;
}

bool body_finish(struct s3_call *call)
{
    struct s3_body *body = call->body;

    invariant(!body->finished);
    body->finished = true;
    if (body->received != body->expected || !chunks_complete(body)) {
        call_fail(call, S3_ERR_IncompleteBody);
        return false;
    }
    if (body->payload == WIRE__PAYLOAD__STREAMING_SIGNED_TRAILER &&
        !body->trailers_seen) {
        call_fail(call, S3_ERR_MalformedTrailerError);
        return false;
    }
    finish_digests(call, body);
    return check_sha256(call, body) && check_md5(call, body) &&
           check_checksum(call, body);
}

const uint8_t *body_md5(const struct s3_call *call)
{
    invariant(call->body->finished);
    return call->body->md5;
}

Meta__Checksum *body_checksum(const struct s3_call *call)
{
    const struct s3_body *body = call->body;
    Meta__Checksum *checksum;

    invariant(body->finished);
    if (body->kept == META__CHECKSUM_ALGORITHM__NO_CHECKSUM) {
        return NULL;
    }
    checksum = arena_alloc(call->arena, sizeof(*checksum));
    meta__checksum__init(checksum);
    checksum->algorithm = body->kept;
    checksum->type = META__CHECKSUM_TYPE__FULL_OBJECT;
    checksum->value = pb_bytes(
        arena_copy(call->arena, body->checksum, checksum_size(body->kept)));
    return checksum;
}

bool body_has_integrity(const struct s3_call *call)
{
    return call->body->has_md5 ||
           call->body->client != META__CHECKSUM_ALGORITHM__NO_CHECKSUM;
}

Meta__ChecksumAlgorithm body_client_algorithm(const struct s3_call *call)
{
    return call->body->client;
}

Meta__ChecksumAlgorithm body_kept_algorithm(const struct s3_call *call)
{
    return call->body->kept;
}

void body_free(struct s3_call *call)
{
    struct s3_body *body = call->body;

    if (body == NULL) {
        return;
    }
    digester_free(body->digester);
    body->digester = NULL;
    chunks_free(body);
}
