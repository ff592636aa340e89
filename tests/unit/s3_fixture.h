/*
 * A whole s3_service over six simulated drives and metadata in memory, and a
 * function that runs one request and collects its answer.
 *
 *   struct s3_fixture fixture;
 *   struct s3_answer answer;
 *   s3_fixture_open(&fixture);
 *   s3_run(&fixture, &answer, (struct s3_case){
 *              .operation = WIRE__OPERATION__PUT_OBJECT,
 *              .bucket = "b", .key = "k", .body = "hello", .size = 5,
 *              .headers = FIELDS("content-type", "text/plain")});
 *   assert_int_equal(answer.status, 200);
 *   s3_answer_free(&answer);
 *   s3_fixture_close(&fixture);
 *
 * s3_run() may be called from several threads at once.
 */
#ifndef S3_FIXTURE_H
#define S3_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "erasure/erasure.h"
#include "extent/extent.h"
#include "io/io.h"
#include "s3/s3.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define FIXTURE_DRIVES 6
#define FIXTURE_KEY    "AKIAFIXTURE000000001"
#define FIXTURE_SECRET "fixture/secret/key/of/the/tests/only0000"
#define FIXTURE_DATE   "20260102"
#define FIXTURE_REGION "us-east-1"
/* Names and values in turn. */
#define FIELDS(...) ((const char *const[]){__VA_ARGS__, NULL})

struct s3_fixture {
    struct io *io; /* io_sim_*() can hurt it */
    struct drive *drives[FIXTURE_DRIVES];
    struct s3_service service;
    uint64_t generation; /* of FIXTURE_KEY */
    char directory[64];  /* holds the master key */
    char master_key[96], keyring[96];
};

struct s3_case {
    Wire__Operation operation;
    const char *bucket, *key;
    size_t key_size;                          /* 0: strlen(key) */
    const char *const *args, *const *headers; /* FIELDS() */
    const void *body; /* NULL: has_body is false, unless empty_body */
    size_t size;      /* bytes of body */
    bool empty_body;  /* has_body with no bytes */
    size_t step;      /* bytes a DATA frame; 0: 64 KiB */
    bool segments, no_verify;
    bool secure;            /* the request came over TLS */
    bool refuse_segments;   /* answers the first SEGMENTS with a NACK */
    const char *access_key; /* NULL: FIXTURE_KEY; "": anonymous */
};

/* A case on bucket "b": S3_CASE(GET_OBJECT, "key", .segments = true). */
#define S3_CASE(op, k, ...)                                                    \
    ((struct s3_case){.operation = WIRE__OPERATION__##op,                      \
                      .bucket = "b",                                           \
                      .key = k,                                                \
                      __VA_ARGS__})
#define PUT(k, text, ...)                                                      \
    S3_CASE(PUT_OBJECT, k, .body = text, .size = strlen(text), __VA_ARGS__)
#define GET(k, ...)    S3_CASE(GET_OBJECT, k, __VA_ARGS__)
#define HEAD(k, ...)   S3_CASE(HEAD_OBJECT, k, __VA_ARGS__)
#define DELETE(k, ...) S3_CASE(DELETE_OBJECT, k, __VA_ARGS__)

struct s3_answer {
    unsigned status;
    char error[64];        /* code, "" if none */
    struct buffer headers; /* "name: value\n" each */
    struct buffer body;    /* NUL behind the last byte */
    bool has_length, failed;
    uint64_t length;
    unsigned segment_windows, data_pieces;
};

static const uint8_t fixture_cluster[DRIVE_UUID_SIZE] = "a cluster's uuid";

static inline struct drive_config fixture_drive(unsigned index, char path[16])
{
    snprintf(path, 16, "/drive%u", index);
    return (struct drive_config){
        .directory = path, .domain = "", .index = index};
}

/* Opens the drives, as at a start. None is given up because the machine is
 * busy. */
static inline void s3_fixture_attach(struct s3_fixture *fixture)
{
    struct drive_options options = {.extent_size = 16u << 20,
                                    .timeout_us = 3600u * 1000000ull};
    struct blob_store_options store = {.drives = fixture->drives,
                                       .drive_count = FIXTURE_DRIVES,
                                       .seed = 1,
                                       .may_miss = BLOB_MAY_MISS_DEFAULT};

    memcpy(options.cluster, fixture_cluster, sizeof(fixture_cluster));
    for (unsigned i = 0; i < FIXTURE_DRIVES; i++) {
        char path[16];
        struct drive_config config = fixture_drive(i, path);

        assert_int_equal(
            drive_open(fixture->io, &config, &options, &fixture->drives[i]), 0);
        assert_int_equal(drive_state(fixture->drives[i]), DRIVE_OK);
    }
    assert_int_equal(blob_store_open(&store, &fixture->service.blobs), 0);
}

/* Blank drives on a disk of this seed, opened. */
static inline void s3_fixture_begin(struct s3_fixture *fixture, uint64_t seed)
{
    memset(fixture, 0, sizeof(*fixture));
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(erasure_init(), 0);
    fixture->io = io_sim_new(seed, 4ull << 30);
    for (unsigned i = 0; i < FIXTURE_DRIVES; i++) {
        char path[16];
        struct drive_config config = fixture_drive(i, path);

        assert_int_equal(io_mkdir(fixture->io, path), 0);
        assert_int_equal(drive_format(fixture->io, &config, fixture_cluster),
                         0);
    }
    s3_fixture_attach(fixture);
}

/* The generation of an access key. */
static inline uint64_t s3_key_generation(struct s3_fixture *fixture,
                                         const char *access_key)
{
    uint8_t key[IAM_KEY_SIZE];
    uint64_t generation;

    assert_int_equal(iam_signing_key(fixture->service.iam,
                                     slice_from_string(access_key),
                                     slice_from_string(FIXTURE_DATE),
                                     slice_from_string(FIXTURE_REGION),
                                     SLICE_LITERAL("s3"), key, &generation),
                     0);
    return generation;
}

/* An account of its own: a stranger to the buckets of others, unless it is
 * the operator. Returns the generation of its root user's key. */
static inline uint64_t s3_add_account(struct s3_fixture *fixture,
                                      const char *name, bool is_operator,
                                      const char *access_key,
                                      const char *secret)
{
    const struct iam_new_account wanted = {.name = name,
                                           .is_operator = is_operator,
                                           .access_key = access_key,
                                           .secret_key = secret};
    struct iam_credentials key;

    assert_int_equal(iam_account_add(fixture->service.iam, &wanted, NULL, &key),
                     0);
    return s3_key_generation(fixture, access_key);
}

/* Opens what is in the metadata, as at a start; takes over kv. */
static inline void s3_fixture_reopen(struct s3_fixture *fixture, struct kv *kv)
{
    assert_int_equal(meta_open(kv, &fixture->service.meta), 0);
    assert_int_equal(iam_open(meta_kv(fixture->service.meta),
                              fixture->master_key, &fixture->service.iam),
                     0);
    fixture->service.policies = s3_policy_cache_new();
}

/* The service, on metadata that are blank; takes over kv. */
static inline void s3_fixture_serve(struct s3_fixture *fixture, struct kv *kv)
{
    snprintf(fixture->directory, sizeof(fixture->directory),
             "/tmp/s3-fixture-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(fixture->master_key, sizeof(fixture->master_key), "%s/key",
             fixture->directory);
    s3_fixture_reopen(fixture, kv);
    fixture->generation =
        s3_add_account(fixture, "tester", true, FIXTURE_KEY, FIXTURE_SECRET);
    snprintf(fixture->keyring, sizeof(fixture->keyring), "%s/keyring",
             fixture->directory);
    assert_int_equal(
        crypt_keyring_open(fixture->keyring, &fixture->service.keyring), 0);
    fixture->service.kms = fixture->service.keyring;
    fixture->service.region = FIXTURE_REGION;
}

static inline void s3_fixture_open(struct s3_fixture *fixture)
{
    s3_fixture_begin(fixture, 1);
    s3_fixture_serve(fixture, kv_open_memory());
}

static inline void fixture_compare_usage(void *context,
                                         const struct meta_recount *recount)
{
    (void)context;
    assert_true(recount->recorded.bytes == recount->counted.bytes);
    assert_true(recount->recorded.objects == recount->counted.objects);
}

/* Closes drives and metadata: s3_fixture_attach() and s3_fixture_reopen()
 * open them again. Whatever was done, the usage that is kept is right, if it
 * can be read after a crash. */
static inline void s3_fixture_detach(struct s3_fixture *fixture)
{
    int rc =
        meta_recount_usage(fixture->service.meta, fixture_compare_usage, NULL);

    assert_true(rc == 0 || rc == -EIO);
    s3_policy_cache_free(fixture->service.policies);
    blob_store_close(fixture->service.blobs);
    for (unsigned i = 0; i < FIXTURE_DRIVES; i++) {
        drive_close(fixture->drives[i]);
    }
    iam_close(fixture->service.iam);
    meta_close(fixture->service.meta);
}

static inline void s3_fixture_close(struct s3_fixture *fixture)
{
    s3_fixture_detach(fixture);
    crypt_provider_close(fixture->service.keyring);
    io_free(fixture->io);
    erasure_exit();
    unlink(fixture->master_key);
    unlink(fixture->keyring);
    rmdir(fixture->directory);
}

static inline ProtobufCBinaryData fixture_bytes(const void *data, size_t size)
{
    return (ProtobufCBinaryData){.len = size, .data = (uint8_t *)data};
}

static inline ProtobufCBinaryData fixture_string(const char *text)
{
    return fixture_bytes(text, text != NULL ? strlen(text) : 0);
}

static inline size_t fixture_fields(struct arena *arena,
                                    const char *const *pairs,
                                    Wire__Field ***fields)
{
    size_t count = 0;

    *fields = NULL;
    if (pairs == NULL)
        return 0;
    while (pairs[2 * count] != NULL)
        count++;
    *fields = arena_alloc(arena, count * sizeof(**fields) + 1);
    for (size_t i = 0; i < count; i++) {
        (*fields)[i] = arena_alloc(arena, sizeof(Wire__Field));
        wire__field__init((*fields)[i]);
        (*fields)[i]->name = fixture_string(pairs[2 * i]);
        /* A call wipes customers' keys. */
        (*fields)[i]->value = fixture_string(
            arena_string(arena, slice_from_string(pairs[2 * i + 1])));
    }
    return count;
}

/* The request of a case; the caller may change it before it begins. */
static inline void s3_request(struct s3_fixture *fixture, struct arena *arena,
                              const struct s3_case *c, Wire__Request *request)
{
    const char *access_key = c->access_key ? c->access_key : FIXTURE_KEY;

    wire__request__init(request);
    request->operation = c->operation;
    request->request_id = fixture_string("0123456789ABCDEF");
    request->resource = fixture_string("/resource");
    request->bucket = fixture_string(c->bucket);
    request->key = c->key_size > 0 ? fixture_bytes(c->key, c->key_size)
                                   : fixture_string(c->key);
    request->n_args = fixture_fields(arena, c->args, &request->args);
    request->n_headers = fixture_fields(arena, c->headers, &request->headers);
    request->access_key = fixture_string(access_key);
    request->key_generation = fixture->generation;
    request->has_body = c->body != NULL || c->empty_body;
    request->content_length = c->size;
    request->segments = c->segments;
    request->verify = !c->no_verify;
    request->secure = c->secure;
    request->region = fixture_string(FIXTURE_REGION);
    request->host = fixture_string("s3.test");
    request->method = fixture_string("");
}

/* As the worker does it: the bytes of the files. */
static inline void fixture_read_segments(struct s3_fixture *fixture,
                                         const Wire__Segments *segments,
                                         struct buffer *out)
{
    assert_true(segments->n_segments > 0);
    for (size_t i = 0; i < segments->n_segments; i++) {
        const Wire__Segment *segment = segments->segments[i];

        assert_true(segment->length > 0);
        assert_true(segment->drive < FIXTURE_DRIVES);
        buffer_reserve(out, out->size + segment->length);
        assert_int_equal(drive_read(fixture->drives[segment->drive],
                                    segment->extent, segment->offset,
                                    out->data + out->size, segment->length),
                         0);
        out->size += segment->length;
    }
}

static inline void fixture_collect_body(struct s3_fixture *fixture,
                                        struct s3_call *call,
                                        bool refuse_segments,
                                        struct s3_answer *answer)
{
    struct s3_piece piece;

    for (;;) {
        s3_call_next(call, &piece);
        if (piece.kind == S3_PIECE_SEGMENTS && refuse_segments) {
            s3_call_refuse_segments(call);
            refuse_segments = false;
        } else if (piece.kind == S3_PIECE_SEGMENTS) {
            answer->segment_windows++;
            fixture_read_segments(fixture, piece.segments, &answer->body);
        } else if (piece.kind == S3_PIECE_DATA) {
            assert_true(piece.data.size > 0);
            assert_true(piece.data.size <= FRAME_DATA_MAX);
            answer->data_pieces++;
            buffer_append(&answer->body, piece.data.data, piece.data.size);
        } else {
            answer->failed = piece.kind == S3_PIECE_FAILED;
            break;
        }
    }
}

/* Reads the reply of a call that wants no body, and frees the call. */
static inline void s3_collect(struct s3_fixture *fixture, struct s3_call *call,
                              bool refuse_segments, struct s3_answer *answer)
{
    const Wire__Reply *reply;

    while (s3_call_is_working(call)) {
        s3_call_work(call);
    }
    reply = s3_call_reply(call);
    memset(answer, 0, sizeof(*answer));
    answer->status = reply->status;
    snprintf(answer->error, sizeof(answer->error), "%s", s3_call_error(call));
    for (size_t i = 0; i < reply->n_headers; i++) {
        const Wire__Field *field = reply->headers[i];
        buffer_append(&answer->headers, field->name.data, field->name.len);
        buffer_append_string(&answer->headers, ": ");
        buffer_append(&answer->headers, field->value.data, field->value.len);
        buffer_append_string(&answer->headers, "\n");
    }
    buffer_append(&answer->headers, "", 1);
    answer->has_length = reply->has_content_length;
    answer->length = reply->content_length;
    fixture_collect_body(fixture, call, refuse_segments, answer);
    buffer_append(&answer->body, "", 1);
    answer->body.size--;
    s3_call_free(call);
}

static inline void s3_feed(struct s3_call *call, const void *body, size_t size,
                           size_t step)
{
    for (size_t at = 0; at < size; at += step)
        s3_call_data(call, (const uint8_t *)body + at,
                     size - at < step ? size - at : step);
}

static inline void s3_run(struct s3_fixture *fixture, struct s3_answer *answer,
                          struct s3_case c)
{
    struct arena *arena = arena_new();
    Wire__Request request;
    struct s3_call *call;

    s3_request(fixture, arena, &c, &request);
    call = s3_call_begin(&fixture->service, &request);
    if (s3_call_wants_body(call)) {
        s3_feed(call, c.body, c.size, c.step > 0 ? c.step : 65536);
        s3_call_end(call);
    }
    s3_collect(fixture, call, c.refuse_segments, answer);
    arena_free(arena);
}

static inline void s3_answer_free(struct s3_answer *answer)
{
    buffer_free(&answer->headers);
    buffer_free(&answer->body);
}

/* A reply header's value in a static buffer of the thread; NULL if absent. */
static inline const char *s3_header(const struct s3_answer *answer,
                                    const char *name)
{
    static _Thread_local char value[4096];
    const char *line = (const char *)answer->headers.data;
    size_t size = strlen(name);

    while (line != NULL && *line != '\0') {
        const char *end = strchr(line, '\n');

        if (strncasecmp(line, name, size) == 0 && line[size] == ':') {
            snprintf(value, sizeof(value), "%.*s", (int)(end - line - size - 2),
                     line + size + 2);
            return value;
        }
        line = end + 1;
    }
    return NULL;
}

#define assert_header(answer, name, wanted)                                    \
    do {                                                                       \
        const char *value_ = s3_header(answer, name);                          \
        assert_non_null(value_);                                               \
        assert_string_equal(value_, wanted);                                   \
    } while (0)
#define assert_no_header(answer, name) assert_null(s3_header(answer, name))
#define assert_error(answer, code, http)                                       \
    do {                                                                       \
        assert_string_equal((answer)->error, code);                            \
        assert_int_equal((answer)->status, http);                              \
    } while (0)
#define assert_contains(answer, text)                                          \
    assert_non_null(strstr((const char *)(answer)->body.data, text))

/* Runs and throws the answer away; it must have the status. */
static inline void s3_expect(struct s3_fixture *fixture, unsigned status,
                             struct s3_case c)
{
    struct s3_answer answer;

    s3_run(fixture, &answer, c);
    if (answer.status != status)
        fail_msg("status %u instead of %u: %s", answer.status, status,
                 (const char *)answer.body.data);
    s3_answer_free(&answer);
}

/* Puts a bucket record without CreateBucket: tests of objects need no more. */
static inline void s3_make_bucket(struct s3_fixture *fixture, const char *name)
{
    struct meta_batch *batch = meta_batch_new(fixture->service.meta);
    Meta__Bucket bucket = META__BUCKET__INIT;
    struct iam_identity identity;

    assert_int_equal(
        iam_authenticate(fixture->service.iam, slice_from_string(FIXTURE_KEY),
                         fixture->generation, (struct slice){0}, &identity),
        0);
    bucket.id = meta_next_id(fixture->service.meta);
    bucket.name = fixture_string(name);
    bucket.owner = fixture_string(identity.user);
    bucket.region = fixture_string(FIXTURE_REGION);
    bucket.created_ms = clock_wall_ms();
    meta_bucket_lock(fixture->service.meta, slice_from_string(name), true);
    meta_put_bucket(batch, &bucket);
    assert_int_equal(meta_commit(batch), 0);
    meta_bucket_unlock(fixture->service.meta, slice_from_string(name));
    meta_batch_free(batch);
    iam_identity_release(&identity);
}

/* Reproducible bytes that differ everywhere. */
static inline void s3_fill(uint8_t *data, size_t size, uint64_t seed)
{
    uint64_t x = seed * 0x9e3779b97f4a7c15ull + 1;

    for (size_t i = 0; i < size; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        data[i] = (uint8_t)(x >> 24);
    }
}

#endif
