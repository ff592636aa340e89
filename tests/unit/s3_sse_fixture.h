/*
 * Encryption over s3_fixture.h: requests of every mode, and looks at what is
 * stored.
 */
#ifndef S3_SSE_FIXTURE_H
#define S3_SSE_FIXTURE_H

#include "s3_fixture.h"

#define KIB 1024u
#define MIB (1024u * KIB)

#define SSE "x-amz-server-side-encryption"

/* Two customers' keys, 32 bytes each, and their digests. */
#define KEY_A "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
#define MD5_A "UhbdzFjo2t5SVgded/ZC2g=="
#define KEY_B "QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI="
#define MD5_B "8NB6psqPvuXCjIqE3J2m5Q=="

#define CUSTOMER(prefix, key, md5)                                             \
    prefix "-customer-algorithm", "AES256", prefix "-customer-key", key,       \
        prefix "-customer-key-md5", md5
#define SOURCE "x-amz-copy-source-server-side-encryption"

enum mode { PLAIN, S3, KMS_ONE, KMS_TWO, C_A, C_B, MODES };
static const char *const mode_names[MODES] = {
    "plain", "SSE-S3", "SSE-KMS one", "SSE-KMS two", "SSE-C a", "SSE-C b"};
/* What a write of that mode says, what a read does, and a copy's source. */
static const char *const *const writes[MODES] = {
    FIELDS(NULL),
    FIELDS(SSE, "AES256"),
    FIELDS(SSE, "aws:kms", SSE "-aws-kms-key-id", "one"),
    FIELDS(SSE, "aws:kms", SSE "-aws-kms-key-id",
           "arn:aws:kms:us-east-1:123456789012:key/two"),
    FIELDS(CUSTOMER(SSE, KEY_A, MD5_A)),
    FIELDS(CUSTOMER(SSE, KEY_B, MD5_B)),
};
static const char *const *const reads[MODES] = {
    FIELDS(NULL),
    FIELDS(NULL),
    FIELDS(NULL),
    FIELDS(NULL),
    FIELDS(CUSTOMER(SSE, KEY_A, MD5_A)),
    FIELDS(CUSTOMER(SSE, KEY_B, MD5_B)),
};
static const char *const *const sources[MODES] = {
    FIELDS(NULL),
    FIELDS(NULL),
    FIELDS(NULL),
    FIELDS(NULL),
    FIELDS(CUSTOMER(SOURCE, KEY_A, MD5_A)),
    FIELDS(CUSTOMER(SOURCE, KEY_B, MD5_B)),
};

static struct s3_fixture fixture;
static uint8_t *bytes; /* 16 MiB that differ everywhere */

/* Up to three lists of headers in one, in a static buffer. */
static inline const char *const *joined(const char *const *a,
                                        const char *const *b,
                                        const char *const *c)
{
    static const char *list[64];
    const char *const *all[] = {a, b, c};
    size_t count = 0;

    for (size_t i = 0; i < 3; i++)
        for (; all[i] != NULL && *all[i] != NULL; all[i]++)
            list[count++] = *all[i];
    list[count] = NULL;
    return list;
}

/* --- requests --------------------------------------------------------------*/
static inline void put_as(struct s3_answer *answer, const char *key,
                          enum mode mode, const void *body, size_t size)
{
    s3_run(&fixture, answer,
           S3_CASE(PUT_OBJECT, key, .body = body, .size = size,
                   .empty_body = size == 0, .secure = true,
                   .headers = writes[mode]));
    if (answer->status != 200)
        fail_msg("PUT %s: %s", mode_names[mode],
                 (const char *)answer->body.data);
}

static inline void put(const char *key, enum mode mode, const void *body,
                       size_t size)
{
    struct s3_answer answer;

    put_as(&answer, key, mode, body, size);
    s3_answer_free(&answer);
}

static inline void get_as(struct s3_answer *answer, const char *key,
                          enum mode mode, const char *range)
{
    const char *const ranges[] = {"range", range, NULL};

    s3_run(&fixture, answer,
           GET(key, .secure = true, .segments = true,
               .headers =
                   joined(reads[mode], range != NULL ? ranges : NULL, NULL)));
}

static inline void holds(const char *key, enum mode mode, const void *wanted,
                         size_t size)
{
    struct s3_answer answer;

    get_as(&answer, key, mode, NULL);
    if (answer.status != 200)
        fail_msg("GET %s (%s): %s", key, mode_names[mode],
                 (const char *)answer.body.data);
    assert_false(answer.failed);
    assert_int_equal(answer.length, size);
    assert_int_equal(answer.body.size, size);
    if (size > 0)
        assert_memory_equal(answer.body.data, wanted, size);
    s3_answer_free(&answer);
}

static inline void range_holds(const char *key, enum mode mode, size_t from,
                               size_t to)
{
    struct s3_answer answer;
    char range[64];

    snprintf(range, sizeof(range), "bytes=%zu-%zu", from, to - 1);
    get_as(&answer, key, mode, range);
    assert_int_equal(answer.status, 206);
    assert_false(answer.failed);
    assert_int_equal(answer.body.size, to - from);
    assert_memory_equal(answer.body.data, bytes + from, to - from);
    s3_answer_free(&answer);
}

/* The headers that tell of the mode, and none of the others. */
static inline void tells(const struct s3_answer *answer, enum mode mode)
{
    if (mode == S3)
        assert_header(answer, SSE, "AES256");
    else if (mode == KMS_ONE || mode == KMS_TWO) {
        assert_header(answer, SSE, "aws:kms");
        assert_header(answer, SSE "-aws-kms-key-id", writes[mode][3]);
    } else
        assert_no_header(answer, SSE);
    if (mode == C_A || mode == C_B) {
        assert_header(answer, SSE "-customer-algorithm", "AES256");
        assert_header(answer, SSE "-customer-key-MD5", writes[mode][5]);
    } else {
        assert_no_header(answer, SSE "-customer-algorithm");
        assert_no_header(answer, SSE "-customer-key-MD5");
    }
    if (mode < KMS_ONE || mode > KMS_TWO)
        assert_no_header(answer, SSE "-aws-kms-key-id");
    assert_null(strstr((const char *)answer->headers.data, KEY_A));
    assert_null(strstr((const char *)answer->headers.data, KEY_B));
}

static inline void head_tells(const char *key, enum mode mode)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer,
           HEAD(key, .secure = true, .headers = reads[mode]));
    assert_int_equal(answer.status, 200);
    tells(&answer, mode);
    s3_answer_free(&answer);
}

/* --- records ---------------------------------------------------------------*/
static inline Meta__Bucket *bucket_record(struct arena *arena)
{
    Meta__Bucket *bucket;

    assert_int_equal(meta_get_bucket(fixture.service.meta, arena,
                                     SLICE_LITERAL("b"), &bucket),
                     0);
    return bucket;
}

static inline Meta__Object *record(struct arena *arena, const char *key)
{
    Meta__Object *object;

    assert_int_equal(meta_get_object(fixture.service.meta, arena,
                                     bucket_record(arena)->id,
                                     slice_from_string(key), &object),
                     0);
    return object;
}

/* The stored bytes of a blob that is in one piece. */
static inline Layout__Layout *stored(struct arena *arena, uint64_t blob,
                                     uint8_t **data)
{
    Meta__Blob *found;

    assert_int_equal(meta_get_blob(fixture.service.meta, arena, blob, &found),
                     0);
    assert_non_null(found->layout);
    *data = arena_alloc(arena, found->layout->size);
    assert_int_equal(blob_read(fixture.service.blobs, found->layout, 0, *data,
                               found->layout->size),
                     0);
    return found->layout;
}

/* Puts other bytes in the place of a blob's, with checksums that fit. */
static inline void replace_stored(uint64_t blob, const uint8_t *data,
                                  size_t size)
{
    struct meta_batch *batch = meta_batch_new(fixture.service.meta);
    struct blob_spec spec = {.blob = blob, .size = size};
    Meta__Blob found = META__BLOB__INIT;
    struct blob_writer *writer;

    assert_int_equal(blob_writer_open(fixture.service.blobs, &spec, &writer),
                     0);
    assert_int_equal(blob_writer_append(writer, data, size), 0);
    assert_int_equal(blob_writer_finish(writer, &found.layout), 0);
    meta_put_blob(batch, blob, &found, false);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    layout__layout__free_unpacked(found.layout, NULL);
}

static inline int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    s3_make_bucket(&fixture, "b");
    assert_int_equal(
        crypt_key_add(fixture.service.keyring, SLICE_LITERAL("one")), 0);
    assert_int_equal(
        crypt_key_add(fixture.service.keyring, SLICE_LITERAL("two")), 0);
    bytes = xmalloc(16 * MIB);
    s3_fill(bytes, 16 * MIB, 7);
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
