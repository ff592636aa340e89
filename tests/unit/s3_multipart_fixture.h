/*
 * Uploads over s3_fixture.h: requests in one line each, and a check of the
 * reference counts against all records.
 */
#ifndef S3_MULTIPART_FIXTURE_H
#define S3_MULTIPART_FIXTURE_H

#include "s3_fixture.h"

#define MIB (1u << 20)
#define BIG (5 * MIB)

static struct s3_fixture fixture;
static uint8_t *bytes; /* 16 MiB that differ everywhere */

struct text {
    char s[128];
};

/* --- requests --------------------------------------------------------------*/
static inline struct text element(const struct s3_answer *answer,
                                  const char *name)
{
    struct text out = {""};
    char open[64];
    snprintf(open, sizeof(open), "<%s>", name);
    const char *at = strstr((const char *)answer->body.data, open);
    if (at != NULL) {
        at += strlen(open);
        snprintf(out.s, sizeof(out.s), "%.*s", (int)strcspn(at, "<"), at);
    }
    return out;
}

static inline struct text header(const struct s3_answer *answer,
                                 const char *name)
{
    struct text out = {""};
    const char *value = s3_header(answer, name);
    assert_non_null(value);
    assert_true(strlen(value) < sizeof(out.s));
    strcpy(out.s, value);
    return out;
}

static inline struct text create(const char *key, const char *const *headers)
{
    struct s3_answer answer;
    s3_run(
        &fixture, &answer,
        (struct s3_case){.operation = WIRE__OPERATION__CREATE_MULTIPART_UPLOAD,
                         .bucket = "bucket",
                         .key = key,
                         .headers = headers});
    assert_int_equal(answer.status, 200);
    struct text id = element(&answer, "UploadId");
    assert_int_equal(strlen(id.s), 44);
    s3_answer_free(&answer);
    return id;
}

static inline void upload(struct s3_answer *answer, const char *key,
                          const char *id, const char *number, const void *body,
                          size_t size, const char *const *headers)
{
    s3_run(
        &fixture, answer,
        (struct s3_case){.operation = WIRE__OPERATION__UPLOAD_PART,
                         .bucket = "bucket",
                         .key = key,
                         .args = FIELDS("uploadId", id, "partNumber", number),
                         .headers = headers,
                         .body = body,
                         .size = size,
                         .empty_body = size == 0});
}

/* The part's ETag, with quotes. */
static inline struct text part(const char *key, const char *id,
                               const char *number, const void *body,
                               size_t size)
{
    struct s3_answer answer;
    struct text etag;
    upload(&answer, key, id, number, body, size, NULL);
    assert_int_equal(answer.status, 200);
    etag = header(&answer, "etag");
    s3_answer_free(&answer);
    return etag;
}

static inline void add_part(struct buffer *list, const char *number,
                            const char *etag, const char *more)
{
    if (list->size == 0) {
        buffer_append_string(list, "<CompleteMultipartUpload>");
    }
    buffer_printf(list,
                  "<Part><PartNumber>%s</PartNumber><ETag>%s</ETag>%s</Part>",
                  number, etag, more);
}

static inline void complete(struct s3_answer *answer, const char *key,
                            const char *id, const struct buffer *list,
                            const char *const *headers)
{
    struct buffer text = {0};
    buffer_append(&text, list->data, list->size);
    buffer_append_string(&text, "</CompleteMultipartUpload>");
    s3_run(&fixture, answer,
           (struct s3_case){.operation =
                                WIRE__OPERATION__COMPLETE_MULTIPART_UPLOAD,
                            .bucket = "bucket",
                            .key = key,
                            .args = FIELDS("uploadId", id),
                            .headers = headers,
                            .body = text.data,
                            .size = text.size});
    buffer_free(&text);
}

static inline void complete_fails(const char *key, const char *id,
                                  struct buffer *list,
                                  const char *const *headers, const char *code,
                                  unsigned status, const char *contains)
{
    struct s3_answer answer;
    complete(&answer, key, id, list, headers);
    if (strcmp(answer.error, code) != 0) {
        fail_msg("%s instead of %s: %s", answer.error, code,
                 (char *)answer.body.data);
    }
    assert_int_equal(answer.status, status);
    assert_contains(&answer, contains);
    s3_answer_free(&answer);
    list->size = 0;
}

static inline struct s3_case on(Wire__Operation operation, const char *key,
                                const char *const *args)
{
    return (struct s3_case){
        .operation = operation, .bucket = "bucket", .key = key, .args = args};
}

static inline void check_object(const char *key, const void *wanted,
                                size_t size)
{
    struct s3_answer answer;
    s3_run(&fixture, &answer, on(WIRE__OPERATION__GET_OBJECT, key, NULL));
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.body.size, size);
    assert_memory_equal(answer.body.data, wanted, size);
    s3_answer_free(&answer);
}

static inline void check_range(const char *key, size_t from, size_t to,
                               const void *wanted)
{
    struct s3_answer answer;
    char range[64];
    snprintf(range, sizeof(range), "bytes=%zu-%zu", from, to - 1);
    struct s3_case c = on(WIRE__OPERATION__GET_OBJECT, key, NULL);
    c.headers = FIELDS("range", range);
    s3_run(&fixture, &answer, c);
    assert_int_equal(answer.status, 206);
    assert_int_equal(answer.body.size, to - from);
    assert_memory_equal(answer.body.data, wanted, to - from);
    s3_answer_free(&answer);
}

static inline void put(const char *key, const void *body, size_t size)
{
    struct s3_case c = on(WIRE__OPERATION__PUT_OBJECT, key, NULL);
    c.body = body;
    c.size = size;
    s3_expect(&fixture, 200, c);
}

/* --- digests by themselves -------------------------------------------------*/
static inline size_t digest(enum digest which, const void *data, size_t size,
                            uint8_t out[DIGEST_SIZE_MAX])
{
    struct digester *digester = digester_new(which);
    digester_update(digester, data, size);
    size_t length = digester_final(digester, which, out);
    digester_free(digester);
    return length;
}

static inline struct text base64_of(enum digest which, const void *data,
                                    size_t size)
{
    uint8_t raw[DIGEST_SIZE_MAX];
    struct text out;
    base64_encode(out.s, raw, digest(which, data, size, raw));
    return out;
}

/* --- what is in the metadata -----------------------------------------------*/
static inline unsigned records(char tag)
{
    struct kv_iterator *it = kv_iterate(meta_kv(fixture.service.meta));
    unsigned count = 0;
    for (kv_seek(it, slice_of(&tag, 1));
         kv_valid(it) && kv_key(it).data[0] == tag; kv_next(it)) {
        count++;
    }
    assert_int_equal(kv_error(it), 0);
    kv_iterator_free(it);
    return count;
}

static inline uint64_t bucket_id(void)
{
    struct arena *arena = arena_new();
    Meta__Bucket *bucket;
    assert_int_equal(meta_get_bucket(fixture.service.meta, arena,
                                     SLICE_LITERAL("bucket"), &bucket),
                     0);
    uint64_t id = bucket->id;
    arena_free(arena);
    return id;
}

static inline void blob_is_there(struct arena *arena, uint64_t blob)
{
    Meta__Blob *record;
    assert_int_equal(meta_get_blob(fixture.service.meta, arena, blob, &record),
                     0);
}

static inline unsigned object_references(struct arena *arena)
{
    struct meta_scan *scan =
        meta_scan_objects(fixture.service.meta, bucket_id());
    unsigned count = 0;
    for (meta_scan_seek(scan, SLICE_LITERAL("")); meta_scan_valid(scan);
         meta_scan_next(scan)) {
        Meta__Object *object;
        assert_int_equal(meta_scan_object(scan, arena, &object), 0);
        if (object->blob != 0) {
            blob_is_there(arena, object->blob);
            count++;
        }
    }
    meta_scan_free(scan);
    return count;
}

static inline unsigned part_references(struct arena *arena)
{
    struct meta_scan *scan =
        meta_scan_uploads(fixture.service.meta, bucket_id());
    unsigned count = 0;
    for (meta_scan_seek(scan, SLICE_LITERAL("")); meta_scan_valid(scan);
         meta_scan_next(scan)) {
        Meta__Upload *record;
        Meta__Part **parts;
        size_t n;
        bool more;
        assert_int_equal(meta_scan_upload(scan, arena, &record), 0);
        assert_int_equal(
            meta_list_parts(fixture.service.meta, arena,
                            slice_of(record->id.data, record->id.len), 1, 10000,
                            &parts, &n, &more),
            0);
        for (size_t i = 0; i < n; i++) {
            if (parts[i]->blob != 0) {
                blob_is_there(arena, parts[i]->blob);
                count++;
            }
        }
    }
    meta_scan_free(scan);
    return count;
}

/* Each child of a composite is a stored blob (U3), counted once. */
static inline unsigned children(struct arena *arena, uint64_t blob)
{
    Meta__Blob *record, *child;
    unsigned count = 0;
    assert_int_equal(meta_get_blob(fixture.service.meta, arena, blob, &record),
                     0);
    for (size_t i = 0; i < record->n_parts; i++) {
        bool before = record->parts[i]->blob == 0;
        for (size_t j = 0; j < i && !before; j++) {
            before = record->parts[j]->blob == record->parts[i]->blob;
        }
        if (!before) {
            assert_int_equal(meta_get_blob(fixture.service.meta, arena,
                                           record->parts[i]->blob, &child),
                             0);
            assert_int_equal(child->n_parts, 0);
            count++;
        }
    }
    return count;
}

static inline void check_references(void)
{
    struct arena *arena = arena_new();
    unsigned wanted = object_references(arena) + part_references(arena);
    struct kv_iterator *it = kv_iterate(meta_kv(fixture.service.meta));
    for (kv_seek(it, SLICE_LITERAL("L"));
         kv_valid(it) && kv_key(it).data[0] == 'L'; kv_next(it)) {
        wanted += children(arena, get_u64be(kv_key(it).data + 1));
    }
    kv_iterator_free(it);
    arena_free(arena);
    assert_int_equal(records('R'), wanted);
}

static inline int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    s3_make_bucket(&fixture, "bucket");
    bytes = xmalloc(16 * MIB);
    s3_fill(bytes, 16 * MIB, 42);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    free(bytes);
    s3_fixture_close(&fixture);
    return 0;
}

#endif
