/*
 * A call's way from begin to free: s3.h draws it. What is allowed in each
 * step follows from two fields: `done` (the reply is valid) and `wants_body`
 * (neither done nor at the end of the body). Exactly one of the two is set
 * between steps, or none while the call is working (work.h).
 */
#include "s3/authorize.h"
#include "s3/cors_call.h"
#include "s3/file.h"
#include "s3/hot_answer.h"
#include "s3/limits.h"
#include "s3/listen.h"
#include "s3/ownership.h"
#include "s3/pieces.h"
#include "s3/sse.h"
#include "s3/work.h"
#include "s3/writer.h"

#include <errno.h>
#include <string.h>

/* Of a call that has ended: it keeps nothing for what it has stored. */
static void release(struct s3_call *call)
{
    limits_end(call);
    writer_abort(call->writer);
    call->writer = NULL;
    pieces_free(call);
    body_free(call);
    sse_wipe(&call->sse);
    buffer_free(&call->xml);
}

/* After every step until the reply is there. */
static void settle(struct s3_call *call)
{
    if (!call->done) {
        return;
    }
    invariant(!call->wants_body);
    if (call->done_us == 0) {
        call->done_us = clock_monotonic_us();
    }
    cors_answer(call);
    if (call->status != 0) {
        release(call);
    }
}

bool call_authenticate(struct s3_call *call, struct slice access_key,
                       uint64_t generation, struct slice session_token)
{
    int error = iam_authenticate(call->service->iam, access_key, generation,
                                 session_token, &call->identity);

    if (error == -ENOENT) {
        call_error_field(call, "AWSAccessKeyId", access_key);
        call_fail(call, S3_ERR_InvalidAccessKeyId);
        return false;
    }
    if (error == -EKEYREVOKED) { /* signed with the secret before */
        call_fail(call, S3_ERR_SignatureDoesNotMatch);
        return false;
    }
    if (error == -EKEYEXPIRED || error == -EBADMSG) {
        call_fail(call, error == -EKEYEXPIRED ? S3_ERR_ExpiredToken
                                              : S3_ERR_InvalidToken);
        return false;
    }
    if (error != 0) {
        call_fail_errno(call, error, "authentication");
        return false;
    }
    return true;
}

bool call_is_anonymous(const struct s3_call *call)
{
    return call->identity.user[0] == '\0';
}

bool call_load_bucket(struct s3_call *call)
{
    int error;

    if (!call->operation->needs_bucket) {
        return true;
    }
    error = meta_get_bucket(call->service->meta, call->arena, call->bucket_name,
                            &call->bucket);
    if (error == -ENOENT) {
        call_fail_no_bucket(call, call->bucket_name);
        return false;
    }
    if (error != 0) {
        call_fail_errno(call, error, "reading a bucket");
        return false;
    }
    return call_check_owner(call, call->bucket, "x-amz-expected-bucket-owner");
}

bool call_check_key(struct s3_call *call)
{
    if (call->key.size > S3_KEY_MAX) {
        struct buffer size = {0};

        buffer_printf(&size, "%zu", call->key.size);
        call_error_field(call, "Size", slice_of(size.data, size.size));
        call_error_field(call, "MaxSizeAllowed", SLICE_LITERAL("1024"));
        buffer_free(&size);
        call_fail(call, S3_ERR_KeyTooLongError);
        return false;
    }
    if (call->operation->needs_key && !object_valid_key(call->key)) {
        call_fail(call, S3_ERR_InvalidURI);
        return false;
    }
    return true;
}

/* Operations over many keys, or over bytes that they read and hash. */
static void run_operation(struct s3_call *call)
{
    switch (call->operation->operation) {
    case WIRE__OPERATION__LIST_MULTIPART_UPLOADS:
    case WIRE__OPERATION__DELETE_OBJECTS:
    case WIRE__OPERATION__DELETE_BUCKET:
    case WIRE__OPERATION__COPY_OBJECT:
    case WIRE__OPERATION__UPLOAD_PART_COPY:
    case WIRE__OPERATION__COMPLETE_MULTIPART_UPLOAD:
        computing_long();
        break;
    default:
        break;
    }
    call->operation->run(call);
    invariant(call->done || call->work.kind != NULL);
}

static bool is_form(const struct s3_call *call)
{
    return call->operation != NULL && call->operation->body == S3_BODY_FORM;
}

bool s3_call_body_is_secret(const struct s3_call *call)
{
    return is_form(call);
}

static void take_end(struct s3_call *call)
{
    call->wants_body = false;
    if (is_form(call) || body_finish(call)) {
        run_operation(call);
    }
    invariant(call->done);
}

static void start_body(struct s3_call *call)
{
    const struct s3_operation *operation = call->operation;
    const Wire__Request *request = call->request;

    if (operation->body == S3_BODY_NONE) {
        run_operation(call);
        return;
    }
    if (operation->body == S3_BODY_XML) {
        if (request->has_body && request->content_length > operation->xml_max) {
            call_fail(call, S3_ERR_MaxMessageLengthExceeded);
            return;
        }
        if (!body_open(call, META__CHECKSUM_ALGORITHM__NO_CHECKSUM)) {
            return;
        }
    } else {
        operation->open(call);
        if (call->done) {
            return;
        }
        invariant(call->body != NULL || is_form(call));
    }
    if (request->has_body) {
        call->wants_body = true;
    } else {
        take_end(call);
    }
}

static struct s3_call *call_new(struct s3_service *service,
                                const Wire__Request *request)
{
    struct arena *arena = arena_new();
    struct s3_call *call = arena_zalloc(arena, sizeof(*call));

    call->service = service;
    call->request = request;
    call->arena = arena;
    call->bucket_name = pb_slice(request->bucket);
    call->key = pb_slice(request->key);
    call->operation = s3_operation_find(request->operation);
    call->began_ms = clock_wall_ms();
    call->began_us = call->body_us = clock_monotonic_us();
    wire__reply__init(&call->reply);
    return call;
}

/* Also an extension that is switched off. S3's usual message blames a header.
 */
static void fail_unknown(struct s3_call *call)
{
    if (call_is_anonymous(call)) {
        call_fail(call, S3_ERR_AccessDenied);
    } else {
        call_fail_message(call, S3_ERR_NotImplemented,
                          "This operation is not implemented.");
    }
}

struct s3_call *s3_call_begin(struct s3_service *service,
                              const Wire__Request *request)
{
    struct s3_call *call = call_new(service, request);

    hot_answer_begin(call);
    if (request->operation == WIRE__OPERATION__REFUSED) {
        call_refuse(call);
    } else if (is_form(call)) {
        start_body(call);
    } else if (call_authenticate(call, pb_slice(request->access_key),
                                 request->key_generation,
                                 pb_slice(request->session_token))) {
        if (call->operation == NULL ||
            (call->operation->extension && !service->extensions)) {
            fail_unknown(call);
        } else if (call_load_bucket(call) && call_check_key(call) &&
                   call_authorize_operation(call) &&
                   request_payment_agreed(call) && limits_count_request(call) &&
                   call_supported(call)) {
            start_body(call);
        }
    }
    settle(call);
    return call;
}

struct s3_call *call_begin_as(struct s3_service *service,
                              const Wire__Request *request,
                              const struct iam_identity *identity)
{
    struct s3_call *call = call_new(service, request);

    call->identity = *identity;
    iam_identity_retain(&call->identity);
    if (call_load_bucket(call) && call_check_key(call) &&
        call_authorize_operation(call)) {
        start_body(call);
    }
    settle(call);
    return call;
}

bool call_still_may(const struct s3_call *call)
{
    struct s3_call *again = call_new(call->service, call->request);
    const bool may =
        call_authenticate(again, pb_slice(call->request->access_key),
                          call->request->key_generation,
                          pb_slice(call->request->session_token)) &&
        call_load_bucket(again) && again->bucket->id == call->bucket->id &&
        call_authorize_operation(again);

    s3_call_free(again);
    return may;
}

bool s3_call_wants_body(const struct s3_call *call)
{
    return call->wants_body;
}

bool s3_call_is_working(const struct s3_call *call)
{
    return !call->done && !call->wants_body;
}

void s3_call_work(struct s3_call *call)
{
    invariant(s3_call_is_working(call));
    computing_long();
    work_go_on(call);
    settle(call);
}

uint64_t s3_call_turn_us(const struct s3_call *call)
{
    return call->turn_us;
}

bool s3_call_is_paced(const struct s3_call *call)
{
    return call->wants_body &&
           limits_turn_size(call, META_UPLOAD) != UINT64_MAX;
}

void s3_call_data(struct s3_call *call, const void *data, size_t size)
{
    s3_call_data_in(call, NULL, data, size);
}

void s3_call_data_in(struct s3_call *call, struct memory *memory,
                     const void *data, size_t size)
{
    int error = 0;

    if (!call->wants_body || size == 0) {
        return;
    }
    limits_take_turn(call, META_UPLOAD, size);
    if (is_form(call)) {
        call->operation->take(call, slice_of(data, size));
    } else {
        body_update(call, memory, data, size);
    }
    if (!call->done) {
        if (call->operation->body == S3_BODY_XML) {
            buffer_append(&call->xml, data, size);
        } else if (call->writer != NULL) {
            error = writer_append(call->writer, data, size);
        }
        if (error != 0) {
            call_fail_errno(call, error, "storing a body");
        }
    }
    settle(call);
}

void s3_call_chunk(struct s3_call *call, const Wire__Chunk *chunk)
{
    if (!call->wants_body) {
        return;
    }
    body_chunk(call, chunk);
    settle(call);
}

void s3_call_trailers(struct s3_call *call, const Wire__Trailers *trailers)
{
    if (!call->wants_body) {
        return;
    }
    body_trailers(call, trailers);
    settle(call);
}

void s3_call_end(struct s3_call *call)
{
    if (!call->wants_body) {
        return;
    }
    call->body_us = clock_monotonic_us();
    take_end(call);
    settle(call);
}

const Wire__Reply *s3_call_reply(const struct s3_call *call)
{
    invariant(call->done);
    return &call->reply;
}

unsigned s3_call_status(const struct s3_call *call)
{
    invariant(call->status != 0);
    return call->status;
}

const char *s3_call_error(const struct s3_call *call)
{
    if (call->query_error != NULL) {
        return call->query_error;
    }
    return call->error == S3_OK ? "" : s3_error_code(call->error);
}

static void count_sent(struct s3_call *call, const struct s3_piece *piece)
{
    call->last_segments = 0;
    if (piece->kind == S3_PIECE_DATA) {
        call->bytes_sent += piece->data.size;
        limits_take_turn(call, META_DOWNLOAD, piece->data.size);
    } else if (piece->kind == S3_PIECE_SEGMENTS) {
        for (size_t i = 0; i < piece->segments->n_segments; i++) {
            call->last_segments += piece->segments->segments[i]->length;
        }
        call->bytes_sent += call->last_segments;
        limits_take_turn(call, META_DOWNLOAD, call->last_segments);
    }
}

/* More of a reply that has begun before the call's end. False: that is there,
 * and the document. */
static bool is_still_working(struct s3_call *call, struct s3_piece *piece)
{
    if (call->status != 0 || call->reply_sent < call->reply_body.size) {
        return false;
    }
    computing_long();
    work_go_on(call);
    if (call->status != 0) {
        release(call);
        return false;
    }
    piece->kind = S3_PIECE_DATA;
    piece->data = SLICE_LITERAL(" ");
    return true;
}

static void next_piece(struct s3_call *call, struct s3_piece *piece)
{
    size_t left;

    memset(piece, 0, sizeof(*piece));
    if (is_still_working(call, piece)) {
        return;
    }
    left = call->reply_body.size - call->reply_sent;
    if (left > 0) {
        piece->kind = S3_PIECE_DATA;
        piece->data = slice_of(call->reply_body.data + call->reply_sent,
                               left < FRAME_DATA_MAX ? left : FRAME_DATA_MAX);
        call->reply_sent += piece->data.size;
    } else if (call->source != NULL) {
        source_next(call, piece);
    } else if (call->listen != NULL) {
        listen_next(call, piece);
    } else {
        piece->kind = S3_PIECE_END;
    }
}

void s3_call_next(struct s3_call *call, struct s3_piece *piece)
{
    invariant(call->done);
    memset(piece, 0, sizeof(*piece));
    if (call->reply.body == WIRE__REPLY__BODY__NONE) {
        piece->kind = S3_PIECE_END;
        return;
    }
    next_piece(call, piece);
    if (piece->kind == S3_PIECE_END && multirange_next(call)) {
        next_piece(call, piece);
    }
    count_sent(call, piece);
    piece->pause = call->status == 0;
    piece->last = piece->kind == S3_PIECE_SEGMENTS &&
                  call->bytes_sent == call->reply.content_length;
}

void s3_call_refuse_segments(struct s3_call *call)
{
    call->bytes_sent -= call->last_segments;
    call->last_segments = 0;
    if (call->source != NULL) {
        source_refuse_segments(call);
    }
}

void s3_call_decline(struct s3_call *call)
{
    limits_decline(call);
}

void s3_call_free(struct s3_call *call)
{
    struct arena *arena = call->arena; /* the call is in it */

    work_free(call);
    writer_abort(call->writer);
    sse_wipe(&call->sse);
    sse_wipe_request(call->request);
    pieces_free(call);
    body_free(call);
    source_free(call);
    listen_free(call);
    buffer_free(&call->xml);
    buffer_free(&call->error_fields);
    iam_identity_release(&call->identity);
    if (call->secret_reply && call->reply_body.size > 0) {
        explicit_bzero((void *)call->reply_body.data, call->reply_body.size);
    }
    buffer_free(&call->document);
    if (call->layout != NULL) {
        layout__layout__free_unpacked(call->layout, NULL);
    }
    blob_intent_end(call->service->blobs, &call->intent);
    if (s3_call_body_is_secret(call)) {
        arena_wipe(arena);
    }
    arena_free(arena);
}
