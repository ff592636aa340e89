#include "s3_fixture.h"

#include "s3/call.h"

static struct s3_fixture fixture;

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    s3_make_bucket(&fixture, "b");
    s3_make_bucket(&fixture, "other");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_fixture_close(&fixture);
    return 0;
}

#define CASE(op, k, ...)                                                       \
    ((struct s3_case){.operation = WIRE__OPERATION__##op,                      \
                      .bucket = "b",                                           \
                      .key = k,                                                \
                      __VA_ARGS__})
#define ETAG "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"" /* of "hello world" */

static void put_source(void)
{
    s3_expect(
        &fixture, 200,
        CASE(PUT_OBJECT, "a source/\xc3\xa9", .body = "hello world", .size = 11,
             .headers = FIELDS("content-type", "text/plain", "x-amz-meta-a",
                               "1", "x-amz-tagging", "t=1")));
}
#define SOURCE "b/a%20source/%C3%A9"

static void keeps_everything(void **state)
{
    struct s3_answer answer;

    (void)state;
    put_source();
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__COPY_OBJECT,
                            .bucket = "other",
                            .key = "copy",
                            .headers =
                                FIELDS("x-amz-copy-source", "/" SOURCE,
                                       "content-type", "ignored/with-copy")});
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, "<CopyObjectResult xmlns=");
    assert_contains(
        &answer, "<ETag>&quot;5eb63bbbe01eeed093cb22bb8f5acdc3&quot;</ETag>");
    assert_contains(&answer,
                    "<ChecksumCRC64NVME>jSnVw/bqjr4=</ChecksumCRC64NVME>");
    assert_contains(&answer, "<ChecksumType>FULL_OBJECT</ChecksumType>");
    assert_contains(&answer, "<LastModified>20");
    s3_answer_free(&answer);

    /* The copy outlives what it was made of. */
    s3_expect(&fixture, 204, CASE(DELETE_OBJECT, "a source/\xc3\xa9"));
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__GET_OBJECT,
                            .bucket = "other",
                            .key = "copy"});
    assert_string_equal((char *)answer.body.data, "hello world");
    assert_header(&answer, "ETag", ETAG);
    assert_header(&answer, "Content-Type", "text/plain");
    assert_header(&answer, "x-amz-meta-a", "1");
    assert_header(&answer, "x-amz-tagging-count", "1");
    s3_answer_free(&answer);
}

static void references(void **state)
{
    struct meta *meta = fixture.service.meta;
    struct arena *arena = arena_new();
    Meta__Object *source, *copy;
    Meta__Bucket *bucket;

    (void)state;
    put_source();
    s3_expect(&fixture, 200,
              CASE(COPY_OBJECT, "reference",
                   .headers = FIELDS("x-amz-copy-source", SOURCE)));
    assert_int_equal(meta_get_bucket(meta, arena, SLICE_LITERAL("b"), &bucket),
                     0);
    assert_int_equal(meta_get_object(meta, arena, bucket->id,
                                     SLICE_LITERAL("a source/\xc3\xa9"),
                                     &source),
                     0);
    assert_int_equal(meta_get_object(meta, arena, bucket->id,
                                     SLICE_LITERAL("reference"), &copy),
                     0);
    assert_true(source->blob != 0);
    assert_int_equal(source->blob, copy->blob);
    arena_free(arena);
}

static void replaces(void **state)
{
    struct s3_answer answer;

    (void)state;
    put_source();
    s3_expect(&fixture, 200,
              CASE(COPY_OBJECT, "replaced",
                   .headers = FIELDS("x-amz-copy-source", SOURCE,
                                     "x-amz-metadata-directive", "REPLACE",
                                     "x-amz-tagging-directive", "REPLACE",
                                     "x-amz-meta-b", "2", "x-amz-storage-class",
                                     "ONEZONE_IA")));
    s3_run(&fixture, &answer, CASE(GET_OBJECT, "replaced"));
    assert_string_equal((char *)answer.body.data, "hello world");
    assert_header(&answer, "Content-Type", "binary/octet-stream");
    assert_header(&answer, "x-amz-meta-b", "2");
    assert_header(&answer, "x-amz-storage-class", "ONEZONE_IA");
    assert_no_header(&answer, "x-amz-meta-a");
    assert_no_header(&answer, "x-amz-tagging-count");
    s3_answer_free(&answer);
}

static void fails(const char *key, const char *const *headers, const char *code,
                  unsigned status)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, CASE(COPY_OBJECT, key, .headers = headers));
    assert_string_equal(answer.error, code);
    assert_int_equal(answer.status, status);
    s3_answer_free(&answer);
}

static void onto_itself(void **state)
{
    struct s3_answer answer;
    const char *key = "a source/\xc3\xa9";

    (void)state;
    put_source();
    s3_run(
        &fixture, &answer,
        CASE(COPY_OBJECT, key, .headers = FIELDS("x-amz-copy-source", SOURCE)));
    assert_error(&answer, "InvalidRequest", 400);
    assert_contains(&answer, "This copy request is illegal because it is "
                             "trying to copy an object to itself");
    s3_answer_free(&answer);
    s3_expect(&fixture, 200,
              CASE(COPY_OBJECT, key,
                   .headers = FIELDS("x-amz-copy-source", SOURCE,
                                     "x-amz-metadata-directive", "REPLACE",
                                     "x-amz-meta-c", "3")));
    s3_run(&fixture, &answer, CASE(GET_OBJECT, key));
    assert_string_equal((char *)answer.body.data, "hello world");
    assert_header(&answer, "x-amz-meta-c", "3");
    s3_answer_free(&answer);
    s3_expect(&fixture, 200,
              CASE(COPY_OBJECT, key,
                   .headers = FIELDS("x-amz-copy-source", SOURCE,
                                     "x-amz-storage-class", "STANDARD_IA")));
    s3_run(&fixture, &answer, CASE(GET_OBJECT, key));
    assert_header(&answer, "x-amz-storage-class", "STANDARD_IA");
    assert_header(&answer, "x-amz-meta-c", "3");
    s3_answer_free(&answer);
}

static void other_checksum(void **state)
{
    struct s3_answer answer;

    (void)state;
    put_source();
    s3_run(&fixture, &answer,
           CASE(COPY_OBJECT, "sha",
                .headers = FIELDS("x-amz-copy-source", SOURCE,
                                  "x-amz-checksum-algorithm", "SHA256")));
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, "<ChecksumSHA256>uU0nuZNNPgilLlLX2n2r+"
                             "sSE7+N6U4DukIj3rOLvzek=</ChecksumSHA256>");
    assert_contains(&answer, "5eb63bbbe01eeed093cb22bb8f5acdc3");
    s3_answer_free(&answer);
    fails("sha",
          FIELDS("x-amz-copy-source", SOURCE, "x-amz-checksum-algorithm", "X"),
          "InvalidRequest", 400);
}

/* A copy of a multipart object has the ETag of one PUT of the same bytes. */
static void of_multipart(void **state)
{
    struct meta *meta = fixture.service.meta;
    struct arena *arena = arena_new();
    struct meta_batch *batch;
    struct s3_answer answer;
    Meta__Bucket *bucket;
    Meta__Object *object;

    (void)state;
    s3_expect(&fixture, 200,
              CASE(PUT_OBJECT, "multi", .body = "hello world", .size = 11));
    assert_int_equal(meta_get_bucket(meta, arena, SLICE_LITERAL("b"), &bucket),
                     0);
    assert_int_equal(meta_get_object(meta, arena, bucket->id,
                                     SLICE_LITERAL("multi"), &object),
                     0);
    object->etag = fixture_string("00000000000000000000000000000000-1");
    object->parts = 1;
    object->checksum->type = META__CHECKSUM_TYPE__COMPOSITE;
    batch = meta_batch_new(meta);
    meta_put_object(batch, bucket->id, SLICE_LITERAL("multi"), object);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    arena_free(arena);

    s3_expect(&fixture, 200,
              CASE(COPY_OBJECT, "single",
                   .headers = FIELDS("x-amz-copy-source", "b/multi")));
    s3_run(&fixture, &answer,
           CASE(GET_OBJECT, "single",
                .headers = FIELDS("x-amz-checksum-mode", "ENABLED")));
    assert_header(&answer, "ETag", ETAG);
    assert_header(&answer, "x-amz-checksum-crc64nvme", "jSnVw/bqjr4=");
    assert_header(&answer, "x-amz-checksum-type", "FULL_OBJECT");
    assert_string_equal((char *)answer.body.data, "hello world");
    s3_answer_free(&answer);
}

static void empty_source(void **state)
{
    struct s3_answer answer;

    (void)state;
    s3_expect(&fixture, 200, CASE(PUT_OBJECT, "zero", .empty_body = true));
    s3_expect(&fixture, 200,
              CASE(COPY_OBJECT, "zero copy",
                   .headers = FIELDS("x-amz-copy-source", "b/zero")));
    s3_run(&fixture, &answer, CASE(GET_OBJECT, "zero copy"));
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.length, 0);
    s3_answer_free(&answer);
}

static void conditions(void **state)
{
    static const char past[] = "Sat, 01 Jan 2000 00:00:00 GMT";

    (void)state;
    put_source();
    fails("c",
          FIELDS("x-amz-copy-source", SOURCE, "x-amz-copy-source-if-match",
                 "\"x\""),
          "PreconditionFailed", 412);
    fails("c",
          FIELDS("x-amz-copy-source", SOURCE, "x-amz-copy-source-if-none-match",
                 ETAG),
          "PreconditionFailed", 412);
    fails("c",
          FIELDS("x-amz-copy-source", SOURCE,
                 "x-amz-copy-source-if-unmodified-since", past),
          "PreconditionFailed", 412);
    fails("c",
          FIELDS("x-amz-copy-source", SOURCE, "x-amz-copy-source-if-match",
                 ETAG, "x-amz-copy-source-if-unmodified-since", past),
          "", 200);
    fails("c", FIELDS("x-amz-copy-source", SOURCE, "if-none-match", "*"),
          "PreconditionFailed", 412);
}

static void bad_requests(void **state)
{
    (void)state;
    put_source();
    fails("e", FIELDS("x-amz-copy-source", "nowhere/x"), "NoSuchBucket", 404);
    fails("e", FIELDS("x-amz-copy-source", "b/not-there"), "NoSuchKey", 404);
    fails("e", FIELDS("x-amz-copy-source", "b"), "InvalidArgument", 400);
    fails("e", FIELDS("x-amz-copy-source", "b/"), "InvalidArgument", 400);
    fails("e", FIELDS("x-amz-copy-source", "b/%zz"), "InvalidArgument", 400);
    fails("e",
          FIELDS("x-amz-copy-source",
                 SOURCE "?versionId=0123456789abcdef0123456789abcdef"),
          "NoSuchVersion", 404);
    fails("e", FIELDS("x-amz-copy-source", SOURCE "?versionId=null"), "", 200);
    fails("e",
          FIELDS("x-amz-copy-source", SOURCE, "x-amz-metadata-directive", "X"),
          "InvalidArgument", 400);
    fails("e",
          FIELDS("x-amz-copy-source", SOURCE, "x-amz-tagging-directive", "X"),
          "InvalidArgument", 400);
    fails("e", FIELDS("x-amz-copy-source", SOURCE, "range", "bytes=0-1"),
          "NotImplemented", 501);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_everything), cmocka_unit_test(references),
        cmocka_unit_test(replaces),         cmocka_unit_test(onto_itself),
        cmocka_unit_test(other_checksum),   cmocka_unit_test(of_multipart),
        cmocka_unit_test(empty_source),     cmocka_unit_test(conditions),
        cmocka_unit_test(bad_requests),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
