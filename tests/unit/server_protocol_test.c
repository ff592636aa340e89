/*
 * Request connections, against calls that are played here: the key of a
 * request says how its call behaves. What the server must never do (two steps
 * of one call at once, a step after free, a call left over) is counted in
 * memory shared with it.
 */
#include "s3/s3.h"
#include "server_fixture.h"
#include <fcntl.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>

struct shared {
    atomic_int live;     /* calls begun and not freed */
    atomic_int overlaps; /* steps of one call at once */
    atomic_int calls;    /* begun */
    atomic_int logged, declined;
    atomic_ulong bytes; /* of bodies that calls have seen */
    sem_t gate;         /* "gate": begin waits for it */
    sem_t trickle;      /* "trickle": each data step waits for it */
};
static struct shared *shared;
static struct fixture fixture;

#define LIMITS(shutdown_timeout)                                               \
    "limits = { connections = 250; body_timeout = 5;"                          \
    " shutdown_timeout = " shutdown_timeout "; };"

/* --- the played calls ------------------------------------------------------*/
struct s3_call {
    char key[32];
    atomic_int busy;
    bool wants;
    unsigned chunks, trailers, pieces;
    bool refused;
    struct buffer body;
    size_t sent;
    uint64_t turn_us;
    Wire__Reply reply;
    Wire__Segment segment, *segment_list[1];
    Wire__Segments segments;
};

static void enter(struct s3_call *call)
{
    if (atomic_fetch_add(&call->busy, 1) != 0)
        atomic_fetch_add(&shared->overlaps, 1);
}

static void leave(struct s3_call *call)
{
    atomic_fetch_sub(&call->busy, 1);
}

static bool is(const struct s3_call *call, const char *key)
{
    return strcmp(call->key, key) == 0;
}

/* As a step that waits without saying so: the pool has to notice. */
static void wait_at(sem_t *gate)
{
    while (sem_wait(gate) != 0) {
        continue;
    }
}

/* As a step that waits for a drive. */
static void wait_announced(sem_t *gate)
{
    blocking_begin();
    wait_at(gate);
    blocking_end();
}

struct s3_call *s3_call_begin(struct s3_service *service,
                              const Wire__Request *request)
{
    struct s3_call *call = xcalloc(1, sizeof(*call));
    invariant(service->meta != NULL && service->blobs != NULL);
    atomic_fetch_add(&shared->live, 1);
    atomic_fetch_add(&shared->calls, 1);
    enter(call);
    snprintf(call->key, sizeof(call->key), "%.*s", (int)request->key.len,
             (const char *)request->key.data);
    wire__reply__init(&call->reply);
    wire__segments__init(&call->segments);
    wire__segment__init(&call->segment);
    call->reply.status = is(call, "refuse") ? 403 : 200;
    call->wants = request->has_body && !is(call, "refuse");
    if (is(call, "refuse"))
        buffer_append_string(&call->body, "no");
    if (is(call, "gate")) {
        wait_at(&shared->gate);
    }
    leave(call);
    return call;
}

bool s3_call_wants_body(const struct s3_call *call)
{
    return call->wants;
}

/* "paced": each step's turn comes later; "never": not while a test runs. */
#define PACE_US 2000

static void take_turn(struct s3_call *call)
{
    if (is(call, "paced")) {
        call->turn_us = clock_monotonic_us() + PACE_US;
    } else if (is(call, "never")) {
        call->turn_us = UINT64_MAX;
    }
}

uint64_t s3_call_turn_us(const struct s3_call *call)
{
    return call->turn_us;
}

bool s3_call_is_paced(const struct s3_call *call)
{
    return call->wants && is(call, "paced");
}

void s3_call_data_in(struct s3_call *call, struct memory *memory,
                     const void *data, size_t size)
{
    (void)memory;
    enter(call);
    atomic_fetch_add(&shared->bytes, size);
    if (is(call, "trickle")) {
        wait_announced(&shared->trickle);
    }
    if (is(call, "midway")) {
        call->wants = false;
        call->reply.status = 400;
    } else {
        buffer_append(&call->body, data, size);
    }
    take_turn(call);
    leave(call);
}

void s3_call_chunk(struct s3_call *call, const Wire__Chunk *chunk)
{
    enter(call);
    buffer_printf(&call->body, "[%llu]", (unsigned long long)chunk->size);
    leave(call);
}

void s3_call_trailers(struct s3_call *call, const Wire__Trailers *trailers)
{
    enter(call);
    buffer_printf(&call->body, "{%zu}", trailers->n_fields);
    leave(call);
}

void s3_call_end(struct s3_call *call)
{
    enter(call);
    call->wants = false;
    leave(call);
}

const Wire__Reply *s3_call_reply(const struct s3_call *call)
{
    return &call->reply;
}

const char *s3_call_error(const struct s3_call *call)
{
    (void)call;
    return "";
}

static void next_segments(struct s3_call *call, struct s3_piece *piece)
{
    if (call->pieces == 3) {
        piece->kind = S3_PIECE_END;
    } else if (call->refused) {
        piece->kind = S3_PIECE_DATA;
        piece->data = SLICE_LITERAL("data");
        call->pieces++;
    } else {
        call->segment.offset = call->pieces++;
        call->segment_list[0] = &call->segment;
        call->segments.segments = call->segment_list;
        call->segments.n_segments = 1;
        piece->kind = S3_PIECE_SEGMENTS;
        piece->segments = &call->segments;
        piece->last = call->pieces == 3;
    }
}

void s3_call_next(struct s3_call *call, struct s3_piece *piece)
{
    enter(call);
    const size_t rest = call->body.size - call->sent;
    if (is(call, "segments") || is(call, "segments ahead")) {
        next_segments(call, piece);
    } else if (rest > 0) {
        piece->kind = S3_PIECE_DATA;
        piece->data = slice_of(call->body.data + call->sent,
                               rest < FRAME_DATA_MAX ? rest : FRAME_DATA_MAX);
        call->sent += piece->data.size;
        take_turn(call);
    } else {
        piece->kind = is(call, "fail") ? S3_PIECE_FAILED : S3_PIECE_END;
    }
    leave(call);
}

void s3_call_refuse_segments(struct s3_call *call)
{
    enter(call);
    call->refused = true;
    call->pieces--; /* of that frame, and all after it */
    leave(call);
}

/* Once per call, while it is there. */
void s3_call_log(struct s3_call *call, unsigned status)
{
    assert_non_null(call);
    assert_true(status >= 200);
    atomic_fetch_add(&shared->logged, 1);
}

struct s3_access_log *s3_access_log_open(struct s3_service *service,
                                         uint64_t interval_ms)
{
    (void)service;
    (void)interval_ms;
    return NULL;
}

bool s3_access_log_due(struct s3_access_log *log)
{
    (void)log;
    return false;
}

void s3_access_log_deliver(struct s3_access_log *log, bool all)
{
    (void)log;
    (void)all;
}

void s3_access_log_close(struct s3_access_log *log)
{
    (void)log;
}

struct s3_policy_cache *s3_policy_cache_new(void)
{
    return NULL;
}

void s3_policy_cache_free(struct s3_policy_cache *cache)
{
    (void)cache;
}

int s3_audit_open(const char *path, struct s3_audit **audit)
{
    (void)path;
    (void)audit;
    return 0;
}

int s3_audit_reopen(struct s3_audit *audit)
{
    (void)audit;
    return 0;
}

void s3_audit_command(struct s3_audit *audit, unsigned uid, const char *command,
                      struct json_t *arguments, const char *error)
{
    (void)audit;
    (void)uid;
    (void)command;
    (void)arguments;
    (void)error;
}

void s3_audit_close(struct s3_audit *audit)
{
    (void)audit;
}

int s3_forget_completed(struct s3_service *service)
{
    (void)service;
    return 0;
}

int s3_simulate(struct s3_service *service,
                const struct s3_simulation *simulation,
                struct s3_simulated *answer)
{
    (void)service;
    (void)simulation;
    (void)answer;
    return -ENOENT;
}

int s3_rewrap_open(struct s3_service *service, struct s3_rewrap **rewrap)
{
    (void)service;
    *rewrap = NULL;
    return 0;
}

void s3_rewrap_close(struct s3_rewrap *rewrap)
{
    (void)rewrap;
}

int s3_rewrap_start(struct s3_rewrap *rewrap)
{
    (void)rewrap;
    return 0;
}

bool s3_rewrap_due(struct s3_rewrap *rewrap)
{
    (void)rewrap;
    return false;
}

void s3_rewrap_run(struct s3_rewrap *rewrap, unsigned for_ms)
{
    (void)rewrap;
    (void)for_ms;
}

int s3_rewrap_status(struct s3_rewrap *rewrap, struct s3_rewrap_status *status)
{
    (void)rewrap;
    (void)status;
    return -ENOENT;
}

bool s3_call_body_is_secret(const struct s3_call *call)
{
    (void)call;
    return false;
}

void s3_wipe_frame(const Wire__Request *request, uint8_t *frame, size_t size)
{
    (void)request;
    (void)frame;
    (void)size;
}

void s3_call_decline(struct s3_call *call)
{
    assert_non_null(call);
    atomic_fetch_add(&shared->declined, 1);
}

void s3_call_free(struct s3_call *call)
{
    enter(call);
    buffer_free(&call->body);
    free(call);
    atomic_fetch_sub(&shared->live, 1);
}

/* --- requests --------------------------------------------------------------*/
static void put_request(struct buffer *out, const char *key, bool body,
                        bool expect)
{
    Wire__Request request = WIRE__REQUEST__INIT;
    request.operation = WIRE__OPERATION__PUT_OBJECT;
    request.request_id = bytes_of("0123456789ABCDEF");
    request.bucket = bytes_of("bucket");
    request.key = bytes_of(key);
    request.has_body = body;
    request.expect_continue = expect;
    request.end_ahead = strcmp(key, "segments ahead") == 0;
    put_message(out, FRAME_REQUEST, &request);
}

static void put_end(struct buffer *out)
{
    put_frame(out, FRAME_END, NULL, 0);
}

/* On a control connection. */
static void put_ask(struct buffer *out, uint64_t id, const char *key)
{
    Wire__Request request = WIRE__REQUEST__INIT;
    request.operation = WIRE__OPERATION__GET_OBJECT;
    request.request_id = bytes_of("0123456789ABCDEF");
    request.key = bytes_of(key);
    request.id = id;
    put_message(out, FRAME_REQUEST, &request);
}

/* A request with every kind of frame; the answer is `text`. */
static const char full_answer[] = "hello[5]world![6][0]{2}";
static void put_full(struct buffer *out)
{
    Wire__Chunk chunk = WIRE__CHUNK__INIT;
    Wire__Field field = WIRE__FIELD__INIT, *fields[2] = {&field, &field};
    Wire__Trailers trailers = WIRE__TRAILERS__INIT;
    chunk.signature = bytes_of("sig");
    field.name = bytes_of("x-amz-checksum-crc32");
    trailers.fields = fields;
    trailers.n_fields = 2;
    put_request(out, "echo", true, false);
    put_frame(out, FRAME_DATA, "hello", 5);
    chunk.size = 5;
    put_message(out, FRAME_CHUNK, &chunk);
    put_frame(out, FRAME_DATA, "wor", 3);
    put_frame(out, FRAME_DATA, "ld!", 3);
    chunk.size = 6;
    put_message(out, FRAME_CHUNK, &chunk);
    chunk.size = 0;
    put_message(out, FRAME_CHUNK, &chunk);
    put_message(out, FRAME_TRAILERS, &trailers);
    put_end(out);
}

static int connect_worker(void)
{
    const int fd = dial(&fixture, "s3d.sock");
    assert_true(fd >= 0);
    return fd;
}

/* The connection still takes a request. */
static void check_usable(int fd)
{
    struct buffer out = {0};
    put_full(&out);
    send_buffer(fd, &out);
    expect_answer(fd, 200, full_answer, strlen(full_answer));
}

/* --- whole and split -------------------------------------------------------*/
static void test_keepalive(void **state)
{
    const int fd = connect_worker();
    (void)state;
    for (int i = 0; i < 100; i++)
        check_usable(fd);
    struct buffer out = {0};
    put_request(&out, "empty", false, false);
    put_end(&out);
    send_buffer(fd, &out);
    expect_answer(fd, 200, NULL, 0);
    close(fd);
}

static void test_split_everywhere(void **state)
{
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    put_full(&out);
    for (size_t i = 1; i < out.size; i++) {
        send_bytes(fd, out.data, i);
        wait_read(fd);
        send_bytes(fd, out.data + i, out.size - i);
        expect_answer(fd, 200, full_answer, strlen(full_answer));
    }
    for (size_t i = 0; i < out.size; i++) {
        send_bytes(fd, out.data + i, 1);
        wait_read(fd);
    }
    expect_answer(fd, 200, full_answer, strlen(full_answer));
    buffer_free(&out);
    close(fd);
}

/* Larger than every buffer on the way, both ways. */
static void test_large(void **state)
{
    const size_t size = 5u << 20;
    const int fd = connect_worker();
    struct buffer out = {0}, body = {0};
    (void)state;
    uint8_t *data = xmalloc(size);
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 24);
    put_request(&out, "echo", true, false);
    for (size_t at = 0; at < size; at += FRAME_DATA_MAX)
        put_frame(&out, FRAME_DATA, data + at,
                  size - at < FRAME_DATA_MAX ? size - at : FRAME_DATA_MAX);
    put_end(&out);
    send_buffer(fd, &out);
    expect_reply(fd, 200);
    receive_body(fd, &body);
    assert_int_equal(body.size, size);
    assert_memory_equal(body.data, data, size);
    buffer_free(&body);
    free(data);
    check_usable(fd);
    close(fd);
}

static void test_continue(void **state)
{
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    put_request(&out, "echo", true, true);
    send_buffer(fd, &out);
    expect_frame(fd, FRAME_CONTINUE);
    put_frame(&out, FRAME_DATA, "body", 4);
    put_end(&out);
    send_buffer(fd, &out);
    expect_answer(fd, 200, "body", 4);

    /* Refused: no CONTINUE. */
    put_request(&out, "refuse", true, true);
    send_buffer(fd, &out);
    expect_answer(fd, 403, "no", 2);
    put_end(&out);
    send_buffer(fd, &out);
    check_usable(fd);
    close(fd);
}

/* --- early replies ---------------------------------------------------------*/
static void test_early_reply(void **state)
{
    static uint8_t block[FRAME_DATA_MAX];
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    put_request(&out, "refuse", true, false);
    send_buffer(fd, &out);
    expect_answer(fd, 403, "no", 2);
    /* The rest of the body is read and dropped, however large. */
    const unsigned long before = atomic_load(&shared->bytes);
    for (int i = 0; i < 20; i++)
        put_frame(&out, FRAME_DATA, block, sizeof(block));
    put_end(&out);
    send_buffer(fd, &out);
    check_usable(fd);
    assert_int_equal(atomic_load(&shared->bytes) - before, 11);

    /* In mid body. */
    put_request(&out, "midway", true, false);
    put_frame(&out, FRAME_DATA, "x", 1);
    send_buffer(fd, &out);
    expect_answer(fd, 400, NULL, 0);
    put_frame(&out, FRAME_DATA, "y", 1);
    put_end(&out);
    send_buffer(fd, &out);
    check_usable(fd);
    close(fd);
}

/* --- segments --------------------------------------------------------------*/
static void expect_segments(int fd, unsigned offset)
{
    struct frame frame = receive_frame(fd);
    assert_int_equal(frame.header.type, FRAME_SEGMENTS);
    Wire__Segments *segments =
        wire__segments__unpack(NULL, frame.header.length, frame.payload);
    assert_non_null(segments);
    assert_int_equal(segments->n_segments, 1);
    assert_int_equal(segments->segments[0]->offset, offset);
    wire__segments__free_unpacked(segments, NULL);
    free(frame.payload);
}

static void answer(int fd, enum frame_type type)
{
    struct buffer out = {0};
    put_frame(&out, type, NULL, 0);
    send_buffer(fd, &out);
}

static int ask_segments(const char *key)
{
    const int fd = connect_worker();
    struct buffer out = {0};
    put_request(&out, key, false, false);
    put_end(&out);
    send_buffer(fd, &out);
    expect_reply(fd, 200);
    expect_segments(fd, 0);
    return fd;
}

static void test_segments(void **state)
{
    const int fd = ask_segments("segments");
    struct pollfd readable = {fd, POLLIN, 0};
    (void)state;
    /* Nothing follows before the ACK. */
    assert_int_equal(poll(&readable, 1, 50), 0);
    answer(fd, FRAME_ACK);
    expect_segments(fd, 1);
    answer(fd, FRAME_ACK);
    expect_segments(fd, 2);
    answer(fd, FRAME_ACK);
    expect_frame(fd, FRAME_END);
    check_usable(fd);
    close(fd);
}

static void test_nack(void **state)
{
    struct buffer body = {0};
    const int fd = ask_segments("segments");
    (void)state;
    answer(fd, FRAME_ACK);
    expect_segments(fd, 1);
    answer(fd, FRAME_NACK);
    receive_body(fd, &body);
    assert_int_equal(body.size, 8);
    assert_memory_equal(body.data, "datadata", 8);
    buffer_free(&body);
    check_usable(fd);
    close(fd);
}

/* END comes with the last segments. Another request may be there already when
 * they are answered. */
static void test_end_ahead(void **state)
{
    const int fd = ask_segments("segments ahead");
    struct buffer out = {0};
    (void)state;
    answer(fd, FRAME_ACK);
    expect_segments(fd, 1);
    answer(fd, FRAME_ACK);
    expect_segments(fd, 2);
    expect_frame(fd, FRAME_END);
    put_frame(&out, FRAME_ACK, NULL, 0);
    put_request(&out, "empty", false, false);
    put_end(&out);
    send_buffer(fd, &out);
    expect_reply(fd, 200);
    expect_frame(fd, FRAME_END);
    check_usable(fd);
    close(fd);
}

static void test_end_ahead_refused(void **state)
{
    const int fd = ask_segments("segments ahead");
    struct buffer body = {0};
    (void)state;
    answer(fd, FRAME_ACK);
    expect_segments(fd, 1);
    answer(fd, FRAME_ACK);
    expect_segments(fd, 2);
    expect_frame(fd, FRAME_END);
    answer(fd, FRAME_NACK);
    receive_body(fd, &body);
    assert_int_equal(body.size, 4);
    assert_memory_equal(body.data, "data", 4);
    buffer_free(&body);
    check_usable(fd);
    close(fd);
}

static void test_failed_body(void **state)
{
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    put_request(&out, "fail", true, false);
    put_frame(&out, FRAME_DATA, "part", 4);
    put_end(&out);
    send_buffer(fd, &out);
    /* Whatever of the reply has left: no END. */
    uint8_t got[256];
    ssize_t size;
    while ((size = recv(fd, got, sizeof(got), 0)) > 0)
        assert_true(size < FRAME_HEADER_SIZE ||
                    got[size - FRAME_HEADER_SIZE + 3] != FRAME_END);
    assert_int_equal(size, 0);
    close(fd);
    wait_until(atomic_load(&shared->live) == 0);
}

/* --- turns ---*/
/* Both directions, with other requests behind; nothing is lost or mixed up. */
static void test_paced(void **state)
{
    const size_t size = 300000;
    uint8_t *data = xmalloc(size);
    struct buffer out = {0}, body = {0};
    const int fd = connect_worker();
    const uint64_t began_us = clock_monotonic_us();
    (void)state;
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(i * 7 + i / 251);
    }
    put_request(&out, "paced", true, false);
    for (size_t at = 0; at < size; at += 10000) {
        put_frame(&out, FRAME_DATA, data + at, 10000);
    }
    put_end(&out);
    send_buffer(fd, &out);
    expect_frame(fd, FRAME_REPLY);
    receive_body(fd, &body);
    assert_int_equal(body.size, size);
    assert_memory_equal(body.data, data, size);
    /* at the least one step for what came, and one for what was sent */
    assert_true(clock_monotonic_us() - began_us >= 2 * PACE_US);
    check_usable(fd);
    buffer_free(&body);
    free(data);
    close(fd);
}

/* Who goes away while he waits is not waited for; nor does he hold up anybody.
 */
static void test_never(void **state)
{
    const int fd = connect_worker(), other = connect_worker();
    const unsigned long before = atomic_load(&shared->bytes);
    struct buffer out = {0};
    (void)state;
    put_request(&out, "never", true, false);
    put_frame(&out, FRAME_DATA, "x", 1);
    send_buffer(fd, &out);
    wait_until(atomic_load(&shared->bytes) - before == 1);
    check_usable(other);
    assert_int_equal(atomic_load(&shared->live), 1);
    close(fd);
    wait_until(atomic_load(&shared->live) == 0);
    check_usable(other);
    close(other);
}

/* --- what cuts a connection ------------------------------------------------*/
enum bad {
    BAD_MAGIC,
    BAD_TYPE,
    BAD_CRC,
    BAD_PROTOBUF,
    BAD_DATA_LENGTH,
    BAD_MESSAGE_LENGTH,
    BAD_DATA_FIRST,
    BAD_END_FIRST,
    BAD_REPLY,
    BAD_REQUEST_TWICE,
    BAD_END_WITH_PAYLOAD,
    BAD_ACK,
    BAD_CHUNK_CRC,
    BAD_COUNT
};

static void make_bad(enum bad bad, struct buffer *out)
{
    uint8_t header[FRAME_HEADER_SIZE];
    put_request(out, "echo", true, false);
    switch (bad) {
    case BAD_MAGIC:
        out->data[0] = 'X';
        break;
    case BAD_TYPE:
        out->data[3] = 200;
        break;
    case BAD_CRC:
        out->data[out->size - 1] ^= 1;
        break;
    case BAD_PROTOBUF:
        out->size = 0;
        put_frame(out, FRAME_REQUEST, "\xff\xff\xff\xff", 4);
        break;
    case BAD_DATA_LENGTH:
        frame_encode(header, FRAME_DATA, NULL, 0);
        put_u32le(header + 4, FRAME_DATA_MAX + 1);
        buffer_append(out, header, sizeof(header));
        break;
    case BAD_MESSAGE_LENGTH:
        put_u32le(out->data + 4, FRAME_MESSAGE_MAX + 1);
        break;
    case BAD_DATA_FIRST:
        out->size = 0;
        put_frame(out, FRAME_DATA, "x", 1);
        break;
    case BAD_END_FIRST:
        out->size = 0;
        put_end(out);
        break;
    case BAD_REPLY:
        out->size = 0;
        put_frame(out, FRAME_REPLY, NULL, 0);
        break;
    case BAD_REQUEST_TWICE:
        put_request(out, "echo", true, false);
        break;
    case BAD_END_WITH_PAYLOAD:
        put_frame(out, FRAME_END, "x", 1);
        break;
    case BAD_ACK:
        put_frame(out, FRAME_ACK, NULL, 0);
        break;
    default:
        put_frame(out, FRAME_CHUNK, "\x08\x01", 2);
        out->data[out->size - 1] ^= 1;
    }
}

static void test_bad_frames(void **state)
{
    (void)state;
    for (unsigned bad = 0; bad < BAD_COUNT; bad++) {
        const int fd = connect_worker();
        struct buffer out = {0};
        make_bad((enum bad)bad, &out);
        send_buffer(fd, &out);
        expect_closed(fd);
    }
    wait_until(atomic_load(&shared->live) == 0);
    const int fd = connect_worker();
    check_usable(fd);
    close(fd);
}

/* Who speaks another version is told which one is spoken here. */
static void test_other_version(void **state)
{
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    put_request(&out, "echo", false, false);
    out.data[2]++;
    send_buffer(fd, &out);
    expect_frame(fd, FRAME_LEAVE);
    expect_closed(fd);
}

/* --- disconnects -----------------------------------------------------------*/
static void test_disconnect_everywhere(void **state)
{
    struct buffer out = {0};
    (void)state;
    put_full(&out);
    for (size_t i = 1; i < out.size; i++) {
        const int fd = connect_worker();
        send_bytes(fd, out.data, i);
        if (i % 2 == 0)
            wait_read(fd);
        close(fd);
    }
    buffer_free(&out);
    const int fd = connect_worker();
    check_usable(fd);
    close(fd);
    wait_until(atomic_load(&shared->live) == 0);
}

static void test_disconnect_in_reply(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        close(ask_segments("segments"));
    wait_until(atomic_load(&shared->live) == 0);
}

/* A reader that stops, then vanishes, while large pieces wait to be sent. */
static void test_disconnect_unread(void **state)
{
    static uint8_t block[FRAME_DATA_MAX];
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    put_request(&out, "echo", true, false);
    for (int i = 0; i < 20; i++)
        put_frame(&out, FRAME_DATA, block, sizeof(block));
    put_end(&out);
    send_buffer(fd, &out);
    expect_reply(fd, 200);
    close(fd);
    wait_until(atomic_load(&shared->live) == 0);
}

static void test_disconnect_during_step(void **state)
{
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    put_request(&out, "gate", true, false);
    send_buffer(fd, &out);
    wait_until(atomic_load(&shared->live) == 1);
    close(fd);
    assert_int_equal(atomic_load(&shared->live), 1);
    sem_post(&shared->gate);
    wait_until(atomic_load(&shared->live) == 0);
}

/* --- back-pressure ---------------------------------------------------------*/
static void test_back_pressure(void **state)
{
    static uint8_t block[FRAME_DATA_MAX];
    const size_t frames = 64; /* 16 MiB */
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    const unsigned long before = atomic_load(&shared->bytes);
    put_request(&out, "trickle", true, false);
    for (size_t i = 0; i < frames; i++)
        put_frame(&out, FRAME_DATA, block, sizeof(block));
    put_end(&out);

    /* The call takes nothing: the server stops reading soon. */
    size_t sent = 0;
    struct pollfd writable = {fd, POLLOUT, 0};
    while (poll(&writable, 1, 200) == 1) {
        const ssize_t now = send(fd, out.data + sent, out.size - sent,
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
        assert_true(now > 0 || (now < 0 && errno == EAGAIN));
        sent += now > 0 ? (size_t)now : 0;
        assert_true(sent < 4u << 20);
    }
    for (int i = 0; i < 100000; i++)
        sem_post(&shared->trickle);
    send_bytes(fd, out.data + sent, out.size - sent);
    buffer_free(&out);
    struct buffer body = {0};
    expect_reply(fd, 200);
    receive_body(fd, &body);
    assert_int_equal(body.size, frames * sizeof(block));
    assert_int_equal(atomic_load(&shared->bytes) - before, body.size);
    buffer_free(&body);
    close(fd);
    while (sem_trywait(&shared->trickle) == 0)
        ;
}

/* --- many at once ----------------------------------------------------------*/
static void test_many_connections(void **state)
{
    enum { COUNT = 200 };
    int fds[COUNT];
    (void)state;
    for (int i = 0; i < COUNT; i++)
        fds[i] = connect_worker();
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < COUNT; i++) {
            struct buffer out = {0};
            put_full(&out);
            send_buffer(fds[i], &out);
        }
        for (int i = 0; i < COUNT; i++)
            expect_answer(fds[i], 200, full_answer, strlen(full_answer));
    }
    for (int i = 0; i < COUNT; i++)
        close(fds[i]);
}

/* --- control connections ---------------------------------------------------*/
static int greet(void)
{
    const int fd = connect_worker();
    struct buffer out = {0};
    Wire__Hello hello = WIRE__HELLO__INIT;
    hello.version = FRAME_VERSION;
    put_message(&out, FRAME_HELLO, &hello);
    send_buffer(fd, &out);
    expect_frame(fd, FRAME_WELCOME);
    return fd;
}

static void expect_id(int fd, uint64_t id, bool declined)
{
    struct frame frame = receive_frame(fd);
    assert_int_equal(frame.header.type, FRAME_ANSWER);
    Wire__Answer *answer =
        wire__answer__unpack(NULL, frame.header.length, frame.payload);
    assert_non_null(answer);
    assert_int_equal(answer->id, id);
    assert_int_equal(answer->declined, declined);
    wire__answer__free_unpacked(answer, NULL);
    free(frame.payload);
}

/* Neither others nor a worker's keys wait for one that hangs. */
static void test_ask_that_hangs(void **state)
{
    const int fd = greet();
    struct buffer out = {0};
    Wire__KeyRequest key = WIRE__KEY_REQUEST__INIT;
    (void)state;
    put_ask(&out, 1, "gate");
    put_ask(&out, 2, "empty");
    send_buffer(fd, &out);
    expect_id(fd, 2, false);
    expect_answer(fd, 200, NULL, 0);
    key.access_key = bytes_of("nobody's");
    put_message(&out, FRAME_KEY_REQUEST, &key);
    send_buffer(fd, &out);
    expect_frame(fd, FRAME_KEY_REPLY);
    sem_post(&shared->gate);
    expect_id(fd, 1, false);
    expect_answer(fd, 200, NULL, 0);
    close(fd);
}

/* Known only when its body is asked for: nothing has left by then. */
static void test_ask_that_fails(void **state)
{
    const int fd = greet();
    struct buffer out = {0};
    (void)state;
    wait_until(atomic_load(&shared->live) == 0);
    const int logged = atomic_load(&shared->logged);
    put_ask(&out, 1, "fail");
    send_buffer(fd, &out);
    expect_id(fd, 1, true);
    put_ask(&out, 2, "segments");
    send_buffer(fd, &out);
    expect_id(fd, 2, true);
    assert_int_equal(atomic_load(&shared->live), 0);
    assert_int_equal(atomic_load(&shared->declined), 2);
    assert_int_equal(atomic_load(&shared->logged), logged);
    close(fd);
}

static void test_ask_outlives_its_worker(void **state)
{
    const int fd = greet();
    struct buffer out = {0};
    (void)state;
    put_ask(&out, 1, "gate");
    put_ask(&out, 2, "gate");
    send_buffer(fd, &out);
    wait_until(atomic_load(&shared->live) == 2);
    close(fd);
    sem_post(&shared->gate);
    sem_post(&shared->gate);
    wait_until(atomic_load(&shared->live) == 0);
}

static void test_stop_with_an_ask(void **state)
{
    const int fd = greet();
    struct buffer out = {0};
    (void)state;
    put_ask(&out, 1, "gate");
    send_buffer(fd, &out);
    wait_until(atomic_load(&shared->live) == 1);
    assert_int_equal(kill(fixture.pid, SIGTERM), 0);
    expect_frame(fd, FRAME_LEAVE);
    close(fd);
    sem_post(&shared->gate);
    assert_int_equal(fixture_wait(fixture.pid), 0);
    assert_int_equal(atomic_load(&shared->live), 0);
    fixture_start(&fixture);
}

/* --- the end ---------------------------------------------------------------*/
static void test_graceful_stop(void **state)
{
    const int idle = connect_worker(), busy = connect_worker();
    struct buffer out = {0};
    char path[128];
    (void)state;
    check_usable(idle);
    put_request(&out, "gate", true, false);
    put_frame(&out, FRAME_DATA, "kept", 4);
    send_buffer(busy, &out);
    wait_until(atomic_load(&shared->live) == 1);
    assert_int_equal(kill(fixture.pid, SIGTERM), 0);
    expect_frame(idle, FRAME_LEAVE);
    check_usable(idle); /* what crosses with LEAVE is served */
    expect_frame(idle, FRAME_LEAVE);
    close(idle);
    assert_int_equal(dial(&fixture, "s3d.sock"), -1);
    fixture_path(&fixture, "s3d.sock", path);
    assert_int_equal(access(path, F_OK), -1);

    sem_post(&shared->gate);
    put_end(&out);
    send_buffer(busy, &out);
    expect_answer(busy, 200, "kept", 4);
    expect_frame(busy, FRAME_LEAVE);
    close(busy);
    assert_int_equal(fixture_wait(fixture.pid), 0);
    assert_int_equal(atomic_load(&shared->live), 0);
    fixture_start(&fixture);
}

/* A body that never comes is cut off. */
static void test_stop_is_bounded(void **state)
{
    struct buffer out = {0};
    (void)state;
    fixture_stop(&fixture);
    fixture.settings = LIMITS("1");
    fixture_start(&fixture);
    const int fd = connect_worker();
    put_request(&out, "echo", true, false);
    send_buffer(fd, &out);
    wait_until(atomic_load(&shared->live) == 1);
    fixture_stop(&fixture);
    expect_closed(fd);
    assert_int_equal(atomic_load(&shared->live), 0);
    fixture.settings = LIMITS("30");
    fixture_start(&fixture);
}

static void test_body_timeout(void **state)
{
    const int fd = connect_worker();
    struct buffer out = {0};
    (void)state;
    put_request(&out, "echo", true, false);
    send_buffer(fd, &out);
    expect_closed(fd); /* body_timeout is 5 s here */
    wait_until(atomic_load(&shared->live) == 0);
}

/* More steps hang than there are threads (8): the loop goes on all the same. */
static void test_the_loop_outlives_hanging_steps(void **state)
{
    int hanging[12];
    struct buffer out = {0};
    const int bad = connect_worker();
    (void)state;
    for (int i = 0; i < 12; i++) {
        hanging[i] = connect_worker();
        put_request(&out, "gate", true, false);
        put_frame(&out, FRAME_DATA, "kept", 4);
        put_end(&out);
        send_buffer(hanging[i], &out);
    }
    wait_until(atomic_load(&shared->live) == 7);

    buffer_append(&out, "no frame at all.", 16);
    send_buffer(bad, &out);
    expect_closed(bad);

    for (int i = 0; i < 12; i++) {
        sem_post(&shared->gate);
    }
    for (int i = 0; i < 12; i++) {
        expect_answer(hanging[i], 200, "kept", 4);
        close(hanging[i]);
    }
    wait_until(atomic_load(&shared->live) == 0);
}

static void test_connection_limit(void **state)
{
    int fds[300];
    (void)state;
    for (int i = 0; i < 300; i++)
        fds[i] = connect_worker();
    for (int i = 250; i < 300; i++)
        expect_closed(fds[i]);
    for (int i = 0; i < 250; i++) {
        check_usable(fds[i]);
        close(fds[i]);
    }
    /* They are free again. */
    wait_until(({
        const int fd = connect_worker();
        struct buffer out = {0};
        uint8_t byte;
        put_request(&out, "empty", false, false);
        (void)!send(fd, out.data, out.size, MSG_NOSIGNAL);
        buffer_free(&out);
        const bool served = recv(fd, &byte, 1, 0) == 1;
        close(fd);
        served;
    }));
}

static int open_all(void **state)
{
    (void)state;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    sem_init(&shared->gate, 1, 0);
    sem_init(&shared->trickle, 1, 0);
    fixture_new(&fixture, 1, LIMITS("30"));
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    fixture_remove(&fixture);
    assert_int_equal(atomic_load(&shared->live), 0);
    assert_int_equal(atomic_load(&shared->overlaps), 0);
    assert_true(atomic_load(&shared->calls) > 1000);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keepalive),
        cmocka_unit_test(test_split_everywhere),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_continue),
        cmocka_unit_test(test_early_reply),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_nack),
        cmocka_unit_test(test_end_ahead),
        cmocka_unit_test(test_end_ahead_refused),
        cmocka_unit_test(test_failed_body),
        cmocka_unit_test(test_paced),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_bad_frames),
        cmocka_unit_test(test_other_version),
        cmocka_unit_test(test_disconnect_everywhere),
        cmocka_unit_test(test_disconnect_in_reply),
        cmocka_unit_test(test_disconnect_unread),
        cmocka_unit_test(test_disconnect_during_step),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_many_connections),
        cmocka_unit_test(test_ask_that_hangs),
        cmocka_unit_test(test_ask_that_fails),
        cmocka_unit_test(test_ask_outlives_its_worker),
        cmocka_unit_test(test_stop_with_an_ask),
        cmocka_unit_test(test_graceful_stop),
        cmocka_unit_test(test_stop_is_bounded),
        cmocka_unit_test(test_the_loop_outlives_hanging_steps),
        cmocka_unit_test(test_body_timeout),
        cmocka_unit_test(test_connection_limit),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
