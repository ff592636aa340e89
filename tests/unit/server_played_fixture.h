/*
 * A server against calls that are played here: the key of a request says how
 * its call behaves. What the server must never do (two steps of one call at
 * once, a step after free, a call left over) is counted in memory shared with
 * it.
 */
#ifndef SERVER_PLAYED_FIXTURE_H
#define SERVER_PLAYED_FIXTURE_H

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
    atomic_int umasks;  /* calls of umask() */
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
    unsigned chunks, trailers, pieces, steps;
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

/* "working": not done for two steps; its reply has two blanks, of which the
 * second waits for the gate. "working on": not done for as long as anybody
 * waits. */
bool s3_call_is_working(const struct s3_call *call)
{
    return (is(call, "working") && call->steps < 2) || is(call, "working on");
}

void s3_call_work(struct s3_call *call)
{
    computing_long(); /* or nobody would look at connections */
    enter(call);
    call->steps++;
    leave(call);
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

unsigned s3_call_status(const struct s3_call *call)
{
    return call->reply.status;
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

static void next_blank(struct s3_call *call, struct s3_piece *piece)
{
    if (call->pieces == 2) {
        piece->kind = S3_PIECE_END;
        return;
    }
    if (call->pieces++ == 1) {
        wait_announced(&shared->gate);
    }
    piece->kind = S3_PIECE_DATA;
    piece->data = SLICE_LITERAL(" ");
    piece->pause = true;
}

void s3_call_next(struct s3_call *call, struct s3_piece *piece)
{
    enter(call);
    const size_t rest = call->body.size - call->sent;
    if (is(call, "working")) {
        next_blank(call, piece);
    } else if (is(call, "segments") || is(call, "segments ahead")) {
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

int s3_walk_uploads(struct s3_service *service, struct s3_uploads_walk *walk,
                    s3_upload_fn fn, void *context)
{
    (void)service;
    (void)walk;
    (void)fn;
    (void)context;
    return 0;
}

int s3_upload_measure(struct s3_service *service,
                      const struct s3_upload *upload,
                      struct s3_upload_parts *parts)
{
    (void)service;
    (void)upload;
    (void)parts;
    return -ENOENT;
}

int s3_upload_abort(struct s3_service *service, const struct s3_upload *upload,
                    struct s3_upload_parts *parts)
{
    return s3_upload_measure(service, upload, parts);
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
    return 0;
}

#endif
