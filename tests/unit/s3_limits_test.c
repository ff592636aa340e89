/* Quotas and limits of requests, as clients meet them. */
#include "s3_fixture.h"

#define REQUESTS 1000000000 /* a second: no wait is as short as a call */

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

struct limits {
    uint64_t bytes, objects, requests;
    bool versioned;
};

/* Of bucket "b". */
static void limit(struct limits limits)
{
    struct meta *meta = fixture.service.meta;
    struct arena *arena = arena_new();
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Quota quota = META__QUOTA__INIT;
    Meta__Bucket *bucket;

    quota.bytes = limits.bytes;
    quota.objects = limits.objects;
    quota.requests = limits.requests;
    meta_bucket_lock(meta, SLICE_LITERAL("b"), true);
    assert_int_equal(meta_get_bucket(meta, arena, SLICE_LITERAL("b"), &bucket),
                     0);
    bucket->quota = &quota;
    if (limits.versioned) {
        bucket->versioning = META__BUCKET__VERSIONING__ENABLED;
    }
    meta_put_bucket(batch, bucket);
    assert_int_equal(meta_commit(batch), 0);
    meta_bucket_unlock(meta, SLICE_LITERAL("b"));
    meta_batch_free(batch);
    arena_free(arena);
}

static void fails(struct s3_case c, const char *code, unsigned status)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, c);
    assert_error(&answer, code, status);
    s3_answer_free(&answer);
}

#define OVER(c)    fails(c, "QuotaExceeded", 403)
#define FITS(c)    s3_expect(&fixture, 200, c)
#define DELETED(c) s3_expect(&fixture, 204, c)
#define COPY(k, ...)                                                           \
    S3_CASE(COPY_OBJECT, k, .headers = FIELDS("x-amz-copy-source", __VA_ARGS__))

static void quotas(void **state)
{
    (void)state;
    limit((struct limits){.bytes = 10, .objects = 3});
    OVER(PUT("a", "hello world"));
    FITS(PUT("a", "helloworld"));
    OVER(PUT("b", "x"));
    FITS(PUT("b", ""));
    OVER(PUT("a", "hello world")); /* the difference counts */
    FITS(PUT("a", "world"));
    FITS(PUT("a", "hello"));
    FITS(COPY("c", "/b/a"));
    OVER(PUT("d", ""));
    OVER(COPY("d", "/b/a"));
    FITS(COPY("a", "/b/a", "x-amz-metadata-directive", "REPLACE"));
    DELETED(DELETE("b"));
    FITS(PUT("d", ""));
    OVER(COPY("d", "/b/a"));
}

/* Refused before a byte is taken; with room made meanwhile, taken. */
static void refused_before_the_body(void **state)
{
    const struct s3_case c = PUT("k", "hello world");
    struct arena *arena = arena_new();
    struct s3_answer answer;
    Wire__Request request;
    struct s3_call *call;

    (void)state;
    limit((struct limits){.bytes = 10});
    s3_request(&fixture, arena, &c, &request);
    call = s3_call_begin(&fixture.service, &request);
    assert_false(s3_call_wants_body(call));
    s3_collect(&fixture, call, false, &answer);
    assert_error(&answer, "QuotaExceeded", 403);
    s3_answer_free(&answer);

    limit((struct limits){.bytes = 11});
    call = s3_call_begin(&fixture.service, &request);
    assert_true(s3_call_wants_body(call));
    FITS(PUT("other", "x")); /* and now there is none any more */
    s3_feed(call, c.body, c.size, 4);
    s3_call_end(call);
    s3_collect(&fixture, call, false, &answer);
    assert_error(&answer, "QuotaExceeded", 403);
    s3_answer_free(&answer);
    fails(GET("k"), "NoSuchKey", 404);
    arena_free(arena);
}

/* A delete marker counts, and is never refused. */
static void versions(void **state)
{
    (void)state;
    limit((struct limits){.bytes = 10, .objects = 2, .versioned = true});
    FITS(PUT("k", "hello"));
    FITS(PUT("k", "world"));
    OVER(PUT("k", ""));
    DELETED(DELETE("k"));
    limit((struct limits){.objects = 4, .versioned = true});
    FITS(PUT("k", ""));
    OVER(PUT("k", ""));
}

/* --- parts -----------------------------------------------------------------*/

static void between(const struct s3_answer *answer, const char *before,
                    const char *after, char out[128])
{
    const char *begin = strstr((const char *)answer->body.data, before);
    const char *end;

    assert_non_null(begin);
    begin += strlen(before);
    end = strstr(begin, after);
    assert_non_null(end);
    assert_true(end - begin < 128);
    memcpy(out, begin, (size_t)(end - begin));
    out[end - begin] = '\0';
}

static void create(const char *key, char id[128])
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, S3_CASE(CREATE_MULTIPART_UPLOAD, key, ));
    assert_int_equal(answer.status, 200);
    between(&answer, "<UploadId>", "</UploadId>", id);
    s3_answer_free(&answer);
}

#define PART(id, number, text)                                                 \
    S3_CASE(UPLOAD_PART, "k", .body = text, .size = strlen(text),              \
            .args = FIELDS("uploadId", id, "partNumber", number))

static void parts_count_until_the_upload_ends(void **state)
{
    char id[128], list[512];

    (void)state;
    FITS(((struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                           .bucket = "other",
                           .key = "k",
                           .body = "x",
                           .size = 1}));
    limit((struct limits){.bytes = 10, .objects = 2});
    create("k", id);
    FITS(PART(id, "1", "hello"));
    OVER(PART(id, "2", "world!"));
    FITS(PART(id, "2", "world"));
    OVER(PART(id, "2", "world!"));
    FITS(PART(id, "2", "again"));
    OVER(PUT("other", ""));
    OVER(S3_CASE(UPLOAD_PART_COPY, "k",
                 .args = FIELDS("uploadId", id, "partNumber", "3"),
                 .headers = FIELDS("x-amz-copy-source", "/other/k")));
    snprintf(list, sizeof(list),
             "<CompleteMultipartUpload><Part><PartNumber>2</PartNumber>"
             "<ETag>%s</ETag></Part></CompleteMultipartUpload>",
             "60f6d3b9a2a3a4d0a1f0f5b1d2f6f0e1");
    fails(S3_CASE(COMPLETE_MULTIPART_UPLOAD, "k", .body = list,
                  .size = strlen(list), .args = FIELDS("uploadId", id)),
          "InvalidPart", 400);
    DELETED(
        S3_CASE(ABORT_MULTIPART_UPLOAD, "k", .args = FIELDS("uploadId", id)));
    FITS(PUT("other", "helloworld"));
}

static void completing_needs_no_room(void **state)
{
    char id[128], list[512];

    (void)state;
    create("k", id);
    FITS(PART(id, "1", "hello"));
    FITS(PART(id, "7", "dropped"));
    limit((struct limits){.bytes = 1, .objects = 1});
    snprintf(list, sizeof(list),
             "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
             "<ETag>5d41402abc4b2a76b9719d911017c592</ETag></Part>"
             "</CompleteMultipartUpload>");
    FITS(S3_CASE(COMPLETE_MULTIPART_UPLOAD, "k", .body = list,
                 .size = strlen(list), .args = FIELDS("uploadId", id)));
    limit((struct limits){.bytes = 6, .objects = 2});
    FITS(PUT("other", "x"));
    OVER(PUT("third", ""));
}

/* --- requests --------------------------------------------------------------*/

static void requests(void **state)
{
    struct s3_answer answer;
    unsigned seconds;

    (void)state;
    FITS(PUT("k", "hello"));
    limit((struct limits){.requests = REQUESTS});
    for (unsigned i = 0; i < 20; i++) {
        FITS(GET("k"));
    }
    limit((struct limits){.requests = 1});
    do { /* until two come within a second */
        s3_run(&fixture, &answer, GET("k"));
        if (answer.status == 200) {
            s3_answer_free(&answer);
        }
    } while (answer.status == 200);
    assert_error(&answer, "SlowDown", 503);
    assert_contains(&answer, "<Code>SlowDown</Code>");
    assert_non_null(s3_header(&answer, "Retry-After"));
    seconds = (unsigned)atoi(s3_header(&answer, "Retry-After"));
    assert_in_range(seconds, 1, 2);
    s3_answer_free(&answer);
    limit((struct limits){.requests = 0});
    FITS(GET("k"));
}

/* Who may not has not used up anything. */
static void strangers_count_nothing(void **state)
{
    (void)state;
    FITS(PUT("k", "hello"));
    limit((struct limits){.requests = 1});
    for (unsigned i = 0; i < 20; i++) {
        fails(GET("k", .access_key = ""), "AccessDenied", 403);
    }
    FITS(GET("k"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(quotas),
        TEST(refused_before_the_body),
        TEST(versions),
        TEST(parts_count_until_the_upload_ends),
        TEST(completing_needs_no_room),
        TEST(requests),
        TEST(strangers_count_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
