#include "server/exchange.h"
#include <string.h>

#define COPY_MAX   (64u << 10) /* larger pieces are sent from where they are */
#define REPLY_ROOM 2048u       /* of most answers all but the body */

static struct slice slice_of_bytes(const ProtobufCBinaryData *bytes)
{
    return slice_of(bytes->data, bytes->len);
}

/* --- the end ---------------------------------------------------------------*/
static bool is_slow(struct exchange *x)
{
    const uint64_t limit_us = 1000 * atomic_load_explicit(&x->counters->slow_ms,
                                                          memory_order_relaxed);
    if (limit_us == 0 || x->steps_us < limit_us) {
        return false;
    }
    atomic_fetch_add_explicit(&x->counters->slow, 1, memory_order_relaxed);
    return true;
}

static void count(struct counters *counters, const struct exchange *x,
                  unsigned status)
{
    const unsigned operation = (unsigned)x->request->operation;
    uint64_t waited_us = 0;
    if (operation < SERVER_OPERATIONS) {
        atomic_fetch_add_explicit(&counters->requests[operation], 1,
                                  memory_order_relaxed);
    }
    if (status >= 500) {
        atomic_fetch_add_explicit(&counters->errors, 1, memory_order_relaxed);
    }
    for (unsigned i = 0; i < PHASES; i++) {
        if (x->phases.us[i] > 0) {
            metric_observe(&counters->phases[i], x->phases.us[i]);
            waited_us += x->phases.us[i];
        }
    }
    metric_observe(&counters->work,
                   x->steps_us > waited_us ? x->steps_us - waited_us : 0);
}

/* What moves, for who looks on. */
static void count_bytes(atomic_uint_fast64_t *moved, uint64_t bytes)
{
    atomic_fetch_add_explicit(moved, bytes, memory_order_relaxed);
}

static uint64_t bytes_of(const Wire__Segments *segments)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < segments->n_segments; i++) {
        bytes += segments->segments[i]->length;
    }
    return bytes;
}

static void account(struct exchange *x, unsigned status, const char *error)
{
    char id[80] = "", name[OPERATION_NAME_SIZE];
    const size_t size = x->request->request_id.len;
    if (size < sizeof(id) && size > 0) {
        memcpy(id, x->request->request_id.data, size);
    }
    operation_name((unsigned)x->request->operation, name);
    count(x->counters, x, status);
    const struct log_request line = {
        .id = id,
        .operation = name,
        .error = error,
        .status = status,
        .bucket = slice_of_bytes(&x->request->bucket),
        .key = slice_of_bytes(&x->request->key),
        .us = clock_monotonic_us() - x->started_us,
        .steps_us = x->steps_us,
        .phases = x->phases,
    };
    log_request(&line, is_slow(x));
    requests_end(x->requests, &x->live, x->request, &line);
}

/* The part of a step that is over: its time is the request's. */
static void end_step(struct exchange *x)
{
    phases_take(&x->phases);
    x->steps_us += clock_monotonic_us() - x->step_us;
    x->step_us = clock_monotonic_us();
}

static void free_call(struct exchange *x)
{
    s3_call_free(x->call);
    x->call = NULL;
    atomic_fetch_sub_explicit(&x->counters->in_flight, 1, memory_order_relaxed);
}

static void free_request(struct exchange *x)
{
    arena_free(x->arena);
    x->arena = NULL;
    x->request = NULL;
    x->body_wanted = false;
}

/* Logs and frees the call, which has ended as `status` and `error` say; what
 * the client got may have said otherwise. */
static void end_call(struct exchange *x, unsigned status, const char *error,
                     unsigned got)
{
    end_step(x);
    account(x, status, error);
    s3_call_log(x->call, got);
    x->turn_us = s3_call_turn_us(x->call);
    free_call(x);
}

/* All of the reply is there. */
static void finish(struct exchange *x)
{
    end_call(x, s3_call_status(x->call), s3_call_error(x->call),
             s3_call_reply(x->call)->status);
    free_request(x);
}

/* The client gets no more. */
static void give_up(struct exchange *x, const char *why)
{
    if (x->call != NULL) {
        end_call(x, 499, why, 499);
    }
    free_request(x);
}

/* As if it had not been asked. */
static void decline(struct exchange *x)
{
    requests_drop(x->requests, &x->live);
    s3_call_decline(x->call);
    free_call(x);
    free_request(x);
}

static void cut(struct exchange *x, const char *why)
{
    give_up(x, why);
    x->cut = true;
}

/* --- input -----------------------------------------------------------------*/
static void begin_call(struct exchange *x)
{
    x->started_us = x->submitted_us;
    x->steps_us = 0;
    x->phases = (struct phases){0};
    atomic_fetch_add_explicit(&x->counters->in_flight, 1, memory_order_relaxed);
    requests_begin(x->requests, &x->live, x->request, x->started_us);
    x->call = s3_call_begin(x->service, x->request);
}

static bool take_request(struct exchange *x, struct slice payload)
{
    x->arena = arena_new();
    x->request = wire__request__unpack(arena_protobuf_allocator(x->arena),
                                       payload.size, payload.data);
    if (x->request == NULL) {
        return false;
    }
    s3_wipe_frame(x->request, (uint8_t *)payload.data, payload.size);
    begin_call(x);
    return true;
}

static bool take_chunk(struct exchange *x, struct slice payload)
{
    Wire__Chunk *chunk = wire__chunk__unpack(NULL, payload.size, payload.data);
    if (chunk == NULL) {
        return false;
    }
    if (s3_call_wants_body(x->call)) {
        s3_call_chunk(x->call, chunk);
    }
    wire__chunk__free_unpacked(chunk, NULL);
    return true;
}

static bool take_trailers(struct exchange *x, struct slice payload)
{
    Wire__Trailers *trailers =
        wire__trailers__unpack(NULL, payload.size, payload.data);
    if (trailers == NULL) {
        return false;
    }
    if (s3_call_wants_body(x->call)) {
        s3_call_trailers(x->call, trailers);
    }
    wire__trailers__free_unpacked(trailers, NULL);
    return true;
}

static bool take_frame(struct exchange *x, unsigned type, struct slice payload)
{
    if (type == FRAME_REQUEST) {
        return x->call == NULL && take_request(x, payload);
    }
    if (x->call == NULL) {
        return false;
    }
    switch (type) {
    case FRAME_CHUNK:
        return take_chunk(x, payload);
    case FRAME_TRAILERS:
        return take_trailers(x, payload);
    case FRAME_END:
        if (s3_call_wants_body(x->call)) {
            s3_call_end(x->call);
            invariant(!s3_call_wants_body(x->call));
        }
        return true;
    case FRAME_ACK:
    case FRAME_NACK:
        return true; /* the loop has seen it */
    default:
        return false;
    }
}

static void take_data(struct exchange *x, const uint8_t *data, size_t size)
{
    const bool secret = s3_call_body_is_secret(x->call);

    count_bytes(&x->live.received, size);
    if (s3_call_wants_body(x->call)) {
        s3_call_data_in(x->call, secret ? NULL : x->batch.memory, data, size);
    }
    if (secret) {
        explicit_bzero((uint8_t *)data, size);
    }
}

/* The loop has checked headers, order and sizes; checksums are left. */
static bool take_batch(struct exchange *x)
{
    const uint8_t *at = input_start(&x->batch);
    const uint8_t *end = at + input_size(&x->batch);
    uint32_t data_left = x->data_left;
    while (at < end) {
        if (data_left > 0) {
            const size_t rest = (size_t)(end - at);
            const size_t size = data_left < rest ? data_left : rest;
            if (x->call != NULL) {
                take_data(x, at, size);
            }
            at += size;
            data_left -= (uint32_t)size;
            continue;
        }
        struct frame_header header;
        invariant((size_t)(end - at) >= FRAME_HEADER_SIZE);
        invariant(frame_decode(at, &header) == 0);
        at += FRAME_HEADER_SIZE;
        if (header.type == FRAME_DATA) {
            data_left = header.length;
            continue;
        }
        invariant((size_t)(end - at) >= header.length);
        if (frame_check(&header, at) != 0 ||
            !take_frame(x, header.type, slice_of(at, header.length))) {
            return false;
        }
        at += header.length;
    }
    return true;
}

/* --- output ----------------------------------------------------------------*/
/* A DATA frame: copied if small, else sent from the call's memory. Returns
 * true if the step may go on. */
static bool put_data(struct exchange *x, struct slice data)
{
    invariant(data.size > 0 && data.size <= FRAME_DATA_MAX);
    if (x->output.size + data.size <= COPY_MAX) {
        frame_append(&x->output, FRAME_DATA, data.data, data.size);
        return true;
    }
    frame_encode(x->piece_header, FRAME_DATA, data.data, data.size);
    x->piece_head = slice_of(x->piece_header, sizeof(x->piece_header));
    x->piece = data;
    return false;
}

/* Who only waits is not under way: nobody needs to make room for it. */
static void park(struct exchange *x, bool parked)
{
    if (x->parked != parked) {
        x->parked = parked;
        atomic_fetch_add_explicit(&x->counters->in_flight, parked ? -1 : 1,
                                  memory_order_relaxed);
    }
}

static bool put_piece(struct exchange *x)
{
    struct s3_piece piece = {0};
    s3_call_next(x->call, &piece);
    switch (piece.kind) {
    case S3_PIECE_DATA:
        count_bytes(&x->live.sent, piece.data.size);
        return put_data(x, piece.data) && !piece.pause;
    case S3_PIECE_SEGMENTS:
        frame_append_message(&x->output, FRAME_SEGMENTS, piece.segments);
        x->named = bytes_of(piece.segments);
        count_bytes(&x->live.sent, x->named);
        if (piece.last && x->request->end_ahead) {
            frame_append(&x->output, FRAME_END, NULL, 0);
            x->end_sent = true;
        }
        x->segments = true;
        return false;
    case S3_PIECE_WAIT:
        park(x, true);
        return false;
    case S3_PIECE_END:
        if (!x->end_sent) {
            frame_append(&x->output, FRAME_END, NULL, 0);
        }
        x->finished = true;
        finish(x);
        return false;
    case S3_PIECE_FAILED:
        break;
    }
    cut(x, "body could not be read");
    return false;
}

static void put_reply(struct exchange *x)
{
    if (!x->replied) {
        frame_append_message(&x->output, FRAME_REPLY, s3_call_reply(x->call));
        x->replied = true;
    }
    while (put_piece(x)) {
        ;
    }
}

static void step(struct exchange *x)
{
    x->piece_head = x->piece = (struct slice){0};
    x->segments = x->paced = false;
    x->turn_us = 0;
    park(x, false);
    if (x->abort) {
        give_up(x, "connection closed");
        return;
    }
    if (!take_batch(x)) {
        cut(x, "malformed frame");
        return;
    }
    invariant(x->call != NULL);
    if (x->refused) {
        s3_call_refuse_segments(x->call);
        atomic_fetch_sub_explicit(&x->live.sent, x->named,
                                  memory_order_relaxed); /* as DATA, again */
        x->refused = x->end_sent = false;
    }
    if (x->working) {
        s3_call_work(x->call);
    }
    x->working = s3_call_is_working(x->call);
    x->body_wanted = s3_call_wants_body(x->call);
    if (x->working) {
        return;
    }
    if (!x->body_wanted) {
        put_reply(x);
    } else if (x->request->expect_continue && !x->continue_sent) {
        frame_append(&x->output, FRAME_CONTINUE, NULL, 0);
        x->continue_sent = true;
    }
}

static void begin_step(struct exchange *x)
{
    struct phases others = {0};
    phases_take(&others); /* of what the thread did before */
    phase_add(PHASE_QUEUE, x->submitted_us);
    x->step_us = x->submitted_us;
}

void exchange_open(struct exchange *x, struct server *server)
{
    x->service = &server->service;
    x->counters = &server->counters;
    x->requests = server->requests;
}

void exchange_step(struct exchange *x)
{
    begin_step(x);
    step(x);
    if (x->call != NULL) {
        x->turn_us = s3_call_turn_us(x->call);
        x->paced = s3_call_is_paced(x->call);
    }
    end_step(x);
}

void exchange_reset(struct exchange *x)
{
    invariant(x->call == NULL && x->arena == NULL);
    x->body_wanted = x->continue_sent = x->working = false;
    x->replied = x->segments = x->end_sent = x->finished = false;
}

/* --- answers at once -------------------------------------------------------*/
static bool is_short(const Wire__Reply *reply)
{
    return reply->body == WIRE__REPLY__BODY__NONE ||
           (reply->has_content_length && reply->content_length <= ASK_BODY_MAX);
}

/* For all of the answer at once, mostly: it is not copied as it grows. */
static void make_room(struct exchange *x, const Wire__Reply *reply)
{
    const size_t body =
        reply->body == WIRE__REPLY__BODY__NONE ? 0 : reply->content_length;

    buffer_reserve(&x->output, REPLY_ROOM + body);
}

/* False: not all of it is there, or it is too long. */
static bool put_whole_body(struct exchange *x)
{
    struct s3_piece piece = {0};

    s3_call_next(x->call, &piece);
    while (piece.kind == S3_PIECE_DATA &&
           x->output.size + piece.data.size <= COPY_MAX) {
        frame_append(&x->output, FRAME_DATA, piece.data.data, piece.data.size);
        count_bytes(&x->live.sent, piece.data.size);
        s3_call_next(x->call, &piece);
    }
    return piece.kind == S3_PIECE_END;
}

bool exchange_answer(struct exchange *x)
{
    begin_step(x);
    begin_call(x);
    invariant(!s3_call_wants_body(x->call));
    if (s3_call_is_working(x->call)) {
        decline(x);
        return false;
    }
    const Wire__Reply *reply = s3_call_reply(x->call);
    if (is_short(reply)) {
        make_room(x, reply);
        frame_append_message(&x->output, FRAME_REPLY, reply);
        if (put_whole_body(x)) {
            frame_append(&x->output, FRAME_END, NULL, 0);
            finish(x);
            return true;
        }
    }
    decline(x);
    return false;
}
