/* Appends: bytes in order, whole checksums, refusals, the limit of parts. */
#include "s3_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

static struct s3_fixture fixture;

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    fixture.service.extensions = true;
    s3_make_bucket(&fixture, "b");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_fixture_close(&fixture);
    return 0;
}

#define APPEND(k, text, ...)                                                   \
    PUT(k, text, .headers = FIELDS("x-amz-write-offset-bytes", __VA_ARGS__))

static void holds(const char *key, const char *body)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, GET(key));
    assert_int_equal(answer.status, 200);
    assert_string_equal((char *)answer.body.data, body);
    s3_answer_free(&answer);
}

static void fails(struct s3_case c, const char *code, unsigned status)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, c);
    assert_error(&answer, code, status);
    s3_answer_free(&answer);
}

/* The header that the checksum of these bytes would have. */
static char *checksum_of(const char *text, enum digest which, char out[64])
{
    struct digester *digester = digester_new(which);
    uint8_t value[DIGEST_SIZE_MAX];
    size_t size;

    digester_update(digester, text, strlen(text));
    size = digester_final(digester, which, value);
    digester_free(digester);
    base64_encode(out, value, size);
    return out;
}

/* The header that the SHA-256 of the parts' own has. */
static char *composite_of(const char *const *texts, size_t count, char out[64])
{
    struct digester *whole = digester_new(DIGEST_SHA256), *part;
    uint8_t value[DIGEST_SIZE_MAX];
    size_t size;

    for (size_t i = 0; i < count; i++) {
        part = digester_new(DIGEST_SHA256);
        digester_update(part, texts[i], strlen(texts[i]));
        size = digester_final(part, DIGEST_SHA256, value);
        digester_free(part);
        digester_update(whole, value, size);
    }
    size = digester_final(whole, DIGEST_SHA256, value);
    digester_free(whole);
    base64_encode(out, value, size);
    snprintf(out + strlen(out), 4, "-%zu", count);
    return out;
}

static void test_appends(void **state)
{
    struct s3_answer answer;
    char whole[64];
    (void)state;
    s3_expect(
        &fixture, 200,
        PUT("k", "one ",
            .headers = FIELDS("content-type", "text/x", "x-amz-meta-a", "1")));
    s3_run(&fixture, &answer,
           APPEND("k", "two ", "4", "content-type", "text/y"));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "x-amz-object-size", "8");
    assert_header(&answer, "x-amz-checksum-crc64nvme",
                  checksum_of("one two ", DIGEST_CRC64NVME, whole));
    assert_header(&answer, "x-amz-checksum-type", "FULL_OBJECT");
    /* As of a multipart upload of these two parts. */
    assert_header(&answer, "ETag", "\"236e0e0457d524b4dd2f7c3ff8ca6d2b-2\"");
    s3_answer_free(&answer);
    s3_expect(&fixture, 200, APPEND("k", "three", "8"));
    holds("k", "one two three");
    s3_run(&fixture, &answer,
           GET("k", .headers = FIELDS("x-amz-checksum-mode", "ENABLED")));
    assert_header(&answer, "content-type", "text/x");
    assert_header(&answer, "x-amz-meta-a", "1");
    assert_header(&answer, "x-amz-checksum-crc64nvme",
                  checksum_of("one two three", DIGEST_CRC64NVME, whole));
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, GET("k", .args = FIELDS("partNumber", "2")));
    assert_int_equal(answer.status, 206);
    assert_header(&answer, "x-amz-mp-parts-count", "3");
    assert_string_equal((char *)answer.body.data, "two ");
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           GET("k", .headers = FIELDS("range", "bytes=3-8")));
    assert_string_equal((char *)answer.body.data, " two t");
    s3_answer_free(&answer);
}

static void test_first(void **state)
{
    struct s3_answer answer;
    (void)state;
    s3_expect(&fixture, 200,
              APPEND("new", "hello", "0", "content-type", "text/x"));
    s3_run(&fixture, &answer, GET("new"));
    assert_string_equal((char *)answer.body.data, "hello");
    assert_header(&answer, "content-type", "text/x");
    assert_header(&answer, "ETag", "\"5d41402abc4b2a76b9719d911017c592\"");
    s3_answer_free(&answer);
    s3_expect(&fixture, 200,
              PUT("empty", "", .headers = FIELDS("content-type", "text/z"),
                  .empty_body = true));
    s3_expect(&fixture, 200, APPEND("empty", "hello", "0"));
    s3_run(&fixture, &answer, GET("empty"));
    assert_string_equal((char *)answer.body.data, "hello");
    assert_header(&answer, "content-type", "text/z");
    s3_answer_free(&answer);
    /* Of no bytes: nothing happens. */
    s3_run(&fixture, &answer,
           APPEND("empty", "", "5", "content-type", "text/q"));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "ETag", "\"5d41402abc4b2a76b9719d911017c592\"");
    assert_header(&answer, "x-amz-object-size", "5");
    s3_answer_free(&answer);
}

/* An object that begins keeps the checksum that its client sent. */
static void test_first_checksum(void **state)
{
    struct s3_answer answer;
    char first[64], whole[64];
    (void)state;
    s3_run(&fixture, &answer,
           APPEND("new", "one", "0", "x-amz-checksum-crc32",
                  checksum_of("one", DIGEST_CRC32, first)));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "x-amz-checksum-crc32", first);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, APPEND("new", "two", "3"));
    assert_header(&answer, "x-amz-checksum-crc32",
                  checksum_of("onetwo", DIGEST_CRC32, whole));
    s3_answer_free(&answer);
}

static void test_refusals(void **state)
{
    (void)state;
    s3_expect(&fixture, 200, PUT("k", "hello"));
    fails(APPEND("k", "x", "4"), "InvalidWriteOffset", 400);
    fails(APPEND("k", "x", "6"), "InvalidWriteOffset", 400);
    fails(APPEND("k", "x", "0"), "InvalidWriteOffset", 400);
    fails(APPEND("absent", "x", "1"), "InvalidWriteOffset", 400);
    fails(APPEND("k", "x", "-1"), "InvalidArgument", 400);
    fails(APPEND("k", "x", "5", "if-match", "\"0\""), "PreconditionFailed",
          412);
    fails(APPEND("k", "x", "5", "if-none-match", "*"), "PreconditionFailed",
          412);
    fails(APPEND("k", "x", "5", "x-amz-checksum-crc32", "AAAAAA=="),
          "BadDigest", 400);
    fails(S3_CASE(CREATE_MULTIPART_UPLOAD, "k",
                  .headers = FIELDS("x-amz-write-offset-bytes", "5")),
          "NotImplemented", 501);
    fixture.service.extensions = false;
    fails(APPEND("k", "x", "5"), "NotImplemented", 501);
    fixture.service.extensions = true;
    holds("k", "hello");
}

static void test_checksums(void **state)
{
    struct s3_answer answer;
    char part[64], whole[64];
    (void)state;
    /* The object's algorithm stays, whatever the client checks with. */
    s3_expect(&fixture, 200,
              PUT("crc", "one",
                  .headers = FIELDS("x-amz-checksum-crc32",
                                    checksum_of("one", DIGEST_CRC32, part))));
    s3_run(&fixture, &answer,
           APPEND("crc", "two", "3", "x-amz-checksum-sha256",
                  checksum_of("two", DIGEST_SHA256, part)));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "x-amz-checksum-crc32",
                  checksum_of("onetwo", DIGEST_CRC32, whole));
    assert_header(&answer, "x-amz-checksum-type", "FULL_OBJECT");
    s3_answer_free(&answer);
    s3_expect(&fixture, 200,
              PUT("sha", "one",
                  .headers = FIELDS("x-amz-checksum-sha256",
                                    checksum_of("one", DIGEST_SHA256, part))));
    s3_run(&fixture, &answer, APPEND("sha", "two", "3"));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "x-amz-checksum-type", "COMPOSITE");
    assert_true(strstr(s3_header(&answer, "x-amz-checksum-sha256"), "-2") !=
                NULL);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, APPEND("sha", "three", "6"));
    assert_int_equal(answer.status, 200);
    assert_true(strstr(s3_header(&answer, "x-amz-checksum-sha256"), "-3") !=
                NULL);
    s3_answer_free(&answer);
    holds("sha", "onetwothree");
}

/* An append to a copy leaves the original alone, and the other way round. */
static void test_copies(void **state)
{
    (void)state;
    s3_expect(&fixture, 200, PUT("a", "one"));
    s3_expect(&fixture, 200, APPEND("a", "two", "3"));
    s3_expect(&fixture, 200,
              S3_CASE(COPY_OBJECT, "c",
                      .headers = FIELDS("x-amz-copy-source", "/b/a")));
    s3_expect(&fixture, 200, APPEND("a", "A", "6"));
    s3_expect(&fixture, 200, APPEND("c", "C", "6"));
    holds("a", "onetwoA");
    s3_expect(&fixture, 204, DELETE("a"));
    holds("c", "onetwoC");
    s3_expect(&fixture, 200, APPEND("c", "D", "7"));
    holds("c", "onetwoCD");
}

/* What a copy hides of its source's parts an append does not bring back. */
static void test_parts_of_copies(void **state)
{
    char one[64], part[256], whole[64];
    struct s3_answer answer;
    (void)state;
    s3_expect(&fixture, 200, PUT("a", "one"));
    s3_expect(&fixture, 200, APPEND("a", "two", "3"));
    s3_run(&fixture, &answer,
           S3_CASE(COPY_OBJECT, "c",
                   .headers = FIELDS("x-amz-copy-source", "/b/a",
                                     "x-amz-checksum-algorithm", "SHA256")));
    assert_int_equal(answer.status, 200);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, APPEND("c", "three", "6"));
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(s3_header(&answer, "ETag"), "-2\""));
    assert_string_equal(
        s3_header(&answer, "x-amz-checksum-sha256"),
        composite_of((const char *[]){"onetwo", "three"}, 2, whole));
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, APPEND("c", "4", "11"));
    assert_int_equal(answer.status, 200);
    assert_string_equal(
        s3_header(&answer, "x-amz-checksum-sha256"),
        composite_of((const char *[]){"onetwo", "three", "4"}, 3, whole));
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, GET("c", .args = FIELDS("partNumber", "1")));
    assert_header(&answer, "x-amz-mp-parts-count", "3");
    assert_string_equal((char *)answer.body.data, "onetwo");
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, GET("c", .args = FIELDS("partNumber", "2")));
    assert_string_equal((char *)answer.body.data, "three");
    s3_answer_free(&answer);
    s3_run(
        &fixture, &answer,
        S3_CASE(GET_OBJECT_ATTRIBUTES, "c",
                .headers = FIELDS("x-amz-object-attributes", "ObjectParts")));
    snprintf(part, sizeof(part),
             "<Part><ChecksumSHA256>%s</ChecksumSHA256>"
             "<PartNumber>1</PartNumber><Size>6</Size></Part>",
             checksum_of("onetwo", DIGEST_SHA256, one));
    assert_contains(&answer, part);
    assert_contains(&answer, "<PartNumber>3</PartNumber><Size>1</Size></Part>"
                             "<PartsCount>3</PartsCount>");
    s3_answer_free(&answer);
    holds("c", "onetwothree4");
}

static void test_versions(void **state)
{
    static const char enabled[] = "<VersioningConfiguration><Status>Enabled"
                                  "</Status></VersioningConfiguration>";
    struct s3_answer answer;
    (void)state;
    s3_expect(&fixture, 200, PUT("k", "one"));
    s3_expect(&fixture, 200,
              S3_CASE(PUT_BUCKET_VERSIONING, NULL, .body = enabled,
                      .size = sizeof(enabled) - 1));
    s3_expect(&fixture, 200, APPEND("k", "two", "3"));
    holds("k", "onetwo");
    s3_run(&fixture, &answer, GET("k", .args = FIELDS("versionId", "null")));
    assert_string_equal((char *)answer.body.data, "one");
    s3_answer_free(&answer);
    s3_expect(&fixture, 204, DELETE("k")); /* a marker: nothing to append to */
    fails(APPEND("k", "x", "6"), "InvalidWriteOffset", 400);
    s3_expect(&fixture, 200, APPEND("k", "new", "0"));
    holds("k", "new");
}

/* Makes the object one of `count` parts of one byte, all of one blob. */
static void spread(const char *key, unsigned count)
{
    struct meta *meta = fixture.service.meta;
    struct arena *arena = arena_new();
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Blob composite = META__BLOB__INIT;
    uint64_t id = meta_next_id(meta);
    struct meta_referrer who = {.kind = META_REFERRER_BLOB, .blob = id};
    Meta__Bucket *bucket;
    Meta__Object *object;

    assert_int_equal(meta_get_bucket(meta, arena, SLICE_LITERAL("b"), &bucket),
                     0);
    assert_int_equal(meta_get_object(meta, arena, bucket->id,
                                     slice_from_string(key), &object),
                     0);
    assert_int_equal(object->size, count);
    composite.n_parts = count;
    composite.parts = arena_alloc(arena, count * sizeof(Meta__Part *));
    for (unsigned i = 0; i < count; i++) {
        Meta__Part *part = arena_alloc(arena, sizeof(*part));

        meta__part__init(part);
        part->number = i + 1;
        part->blob = object->blob;
        part->offset = i;
        part->size = 1;
        composite.parts[i] = part;
    }
    meta_put_blob(batch, id, &composite, 0);
    meta_add_ref(batch, object->blob, &who);
    object->blob = id;
    object->parts = count;
    who = (struct meta_referrer){.kind = META_REFERRER_OBJECT,
                                 .bucket = bucket->id,
                                 .key = slice_from_string(key),
                                 .sequence = object->sequence};
    meta_add_ref(batch, id, &who);
    meta_put_object(batch, bucket->id, slice_from_string(key), object);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    arena_free(arena);
}

static void test_limit(void **state)
{
    char *text = xmalloc(10001);
    struct s3_answer answer;
    (void)state;
    memset(text, 'x', 9999);
    text[9999] = '\0';
    s3_expect(&fixture, 200, PUT("k", text));
    spread("k", 9999);
    s3_run(&fixture, &answer, APPEND("k", "y", "9999"));
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(s3_header(&answer, "ETag"), "-10000\""));
    s3_answer_free(&answer);
    fails(APPEND("k", "z", "10000"), "TooManyParts", 400);
    text[9999] = 'y';
    text[10000] = '\0';
    holds("k", text);
    free(text);
}

/* Of those who append at the same offset one wins. */
#define THREADS 8

static atomic_uint won, lost;

static void *append_one(void *argument)
{
    struct s3_answer answer;
    char text[2] = {(char)('a' + (uintptr_t)argument), '\0'};

    for (unsigned at = 1; at <= 5; at++) {
        char offset[8];

        snprintf(offset, sizeof(offset), "%u", at);
        s3_run(&fixture, &answer, APPEND("k", text, offset));
        atomic_fetch_add(&won, answer.status == 200);
        atomic_fetch_add(&lost,
                         strcmp(answer.error, "InvalidWriteOffset") == 0);
        s3_answer_free(&answer);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];
    struct s3_answer answer;
    (void)state;
    s3_expect(&fixture, 200, PUT("k", "0"));
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, append_one, (void *)i), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(won + lost, 5 * THREADS);
    s3_run(&fixture, &answer, GET("k"));
    assert_int_equal(answer.body.size, 1 + won);
    s3_answer_free(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_appends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_checksums, setup, teardown),
        cmocka_unit_test_setup_teardown(test_copies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parts_of_copies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_first_checksum, setup, teardown),
        cmocka_unit_test_setup_teardown(test_versions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
