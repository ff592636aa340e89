/* Buckets: their names, owners, regions, listing and end. */
#include "s3_fixture.h"

#include "s3/bucket.h"

#define OTHER_KEY "AKIAOTHER00000000001"

static struct s3_fixture fixture;
static uint64_t other_generation;

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    other_generation =
        s3_add_account(&fixture, "other", false, OTHER_KEY, FIXTURE_SECRET);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_fixture_close(&fixture);
    return 0;
}

/* As s3_run(), for a location with an s3_region, or for the other user. */
static void run_at(struct s3_answer *answer, const char *region, bool other,
                   struct s3_case c)
{
    struct arena *arena = arena_new();
    Wire__Request request;
    if (other) {
        c.access_key = OTHER_KEY;
    }
    s3_request(&fixture, arena, &c, &request);
    request.server_region = fixture_string(region);
    if (other) {
        request.key_generation = other_generation;
    }
    struct s3_call *call = s3_call_begin(&fixture.service, &request);
    if (s3_call_wants_body(call)) {
        s3_feed(call, c.body, c.size, 7);
        s3_call_end(call);
    }
    s3_collect(&fixture, call, false, answer);
    arena_free(arena);
}

static struct s3_case create(const char *bucket, const char *body)
{
    return (struct s3_case){.operation = WIRE__OPERATION__CREATE_BUCKET,
                            .bucket = bucket,
                            .body = body,
                            .size = body != NULL ? strlen(body) : 0};
}

static void test_create(void **state)
{
    struct s3_answer answer;
    (void)state;
    s3_run(&fixture, &answer, create("first", NULL));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "location", "/first");
    s3_answer_free(&answer);
    /* us-east-1: done already; elsewhere, or another's: refused. */
    s3_expect(&fixture, 200, create("first", NULL));
    run_at(&answer, "eu-west-1", false, create("first", NULL));
    assert_error(&answer, "BucketAlreadyOwnedByYou", 409);
    assert_contains(&answer, "<BucketName>first</BucketName>");
    s3_answer_free(&answer);
    run_at(&answer, NULL, true, create("first", NULL));
    assert_error(&answer, "BucketAlreadyExists", 409);
    s3_answer_free(&answer);
}

static void test_names(void **state)
{
    static const char *const bad[] = {
        "ab",       "Abc",          "a_b",         "a..b",       "a.-b",
        "a-.b",     "-abc",         "abc-",        ".abc",       "192.168.1.1",
        "xn--abc",  "a b",          "abc-s3alias", "abc--ol-s3", "sthree-ab",
        "abc.mrap", "abc--table-s3"};
    static const char *const good[] = {"abc", "a.b.c", "1.2.3", "a-b.c-1",
                                       "192.168.1.1a"};
    struct s3_answer answer;
    char name[65];
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        s3_run(&fixture, &answer, create(bad[i], NULL));
        assert_error(&answer, "InvalidBucketName", 400);
        s3_answer_free(&answer);
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(bucket_valid_name(slice_from_string(good[i])));
    }
    memset(name, 'a', 64);
    assert_true(bucket_valid_name(slice_of(name, 63)));
    assert_false(bucket_valid_name(slice_of(name, 64)));
}

#define CONFIGURATION(inside)                                                  \
    "<CreateBucketConfiguration "                                              \
    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" inside                \
    "</CreateBucketConfiguration>"
#define CONSTRAINT(region)                                                     \
    CONFIGURATION("<LocationConstraint>" region "</LocationConstraint>")

static void expect_error(const char *region, struct s3_case c, const char *code,
                         unsigned status)
{
    struct s3_answer answer;
    run_at(&answer, region, false, c);
    assert_error(&answer, code, status);
    s3_answer_free(&answer);
}

static void test_tags(void **state)
{
    struct s3_answer answer;
    (void)state;
    s3_expect(
        &fixture, 200,
        create("tagged", CONFIGURATION("<Tags><Tag><Key>b</Key><Value>2</Value>"
                                       "</Tag><Tag><Key>a</Key><Value/></Tag>"
                                       "</Tags>")));
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__GET_BUCKET_TAGGING,
                            .bucket = "tagged"});
    assert_contains(&answer,
                    "<TagSet><Tag><Key>a</Key><Value></Value></Tag>"
                    "<Tag><Key>b</Key><Value>2</Value></Tag></TagSet>");
    s3_answer_free(&answer);
    s3_expect(&fixture, 200, create("bare", CONFIGURATION("<Tags/>")));
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__GET_BUCKET_TAGGING,
                            .bucket = "bare"});
    assert_error(&answer, "NoSuchTagSet", 404);
    s3_answer_free(&answer);
}

static void test_configuration(void **state)
{
    struct s3_answer answer;
    (void)state;
    expect_error(NULL, create("conf", "<Wrong/>"), "MalformedXML", 400);
    expect_error(NULL, create("conf", CONFIGURATION("<What/>")), "MalformedXML",
                 400);
    expect_error(NULL, create("conf", CONFIGURATION("<Tags><X/></Tags>")),
                 "MalformedXML", 400);
    expect_error(NULL, create("conf", CONFIGURATION("<Tags/><Tags/>")),
                 "MalformedXML", 400);
    expect_error(NULL,
                 create("conf", CONFIGURATION("<Tags><Tag><Key>aws:x</Key>"
                                              "<Value/></Tag></Tags>")),
                 "InvalidTag", 400);
    /* What is of directory buckets. */
    expect_error(NULL,
                 create("conf", CONFIGURATION("<Bucket><Type>Directory</Type>"
                                              "</Bucket>")),
                 "MalformedXML", 400);
    expect_error(NULL, create("conf", CONSTRAINT("us-east-1")),
                 "InvalidLocationConstraint", 400);
    expect_error("us-east-1", create("conf", CONSTRAINT("us-east-1")),
                 "InvalidLocationConstraint", 400);
    expect_error(NULL, create("conf", CONSTRAINT("no such place")),
                 "InvalidLocationConstraint", 400);
    expect_error("eu-west-1", create("conf", CONSTRAINT("eu-west-2")),
                 "IllegalLocationConstraintException", 400);
    struct s3_case c = create("conf", NULL);
    c.headers = FIELDS("x-amz-acl", "public-read");
    expect_error(NULL, c, "InvalidBucketAclWithObjectOwnership", 400);
    c.headers = FIELDS("x-amz-bucket-object-lock-enabled", "maybe");
    expect_error(NULL, c, "InvalidArgument", 400);
    c.headers = FIELDS("x-amz-object-ownership", "Nobody");
    expect_error(NULL, c, "InvalidArgument", 400);
    /* Nothing of that has made it. */
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__HEAD_BUCKET,
                            .bucket = "conf"});
    assert_error(&answer, "NoSuchBucket", 404);
    s3_answer_free(&answer);
}

static void check_location(const char *bucket, const char *wanted)
{
    struct s3_answer answer;
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__GET_BUCKET_LOCATION,
                            .bucket = bucket});
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, wanted);
    s3_answer_free(&answer);
}

static void test_region(void **state)
{
    struct s3_answer answer;
    (void)state;
    run_at(&answer, "eu-west-1", false,
           create("here", CONSTRAINT("eu-west-1")));
    assert_int_equal(answer.status, 200);
    s3_answer_free(&answer);
    run_at(&answer, "us-east-1", false, create("there", CONFIGURATION("")));
    assert_int_equal(answer.status, 200);
    s3_answer_free(&answer);
    check_location("here", ">eu-west-1</LocationConstraint>");
    check_location("there", "2006-03-01/\"></LocationConstraint>");
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__HEAD_BUCKET,
                            .bucket = "here"});
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "x-amz-bucket-region", "eu-west-1");
    assert_int_equal(answer.body.size, 0);
    s3_answer_free(&answer);
    /* Also on the way out. */
    run_at(&answer, NULL, true,
           (struct s3_case){.operation = WIRE__OPERATION__HEAD_BUCKET,
                            .bucket = "here"});
    assert_error(&answer, "AccessDenied", 403);
    assert_header(&answer, "x-amz-bucket-region", "eu-west-1");
    assert_int_equal(answer.body.size, 0);
    s3_answer_free(&answer);
    run_at(&answer, NULL, false,
           (struct s3_case){.operation = WIRE__OPERATION__HEAD_BUCKET,
                            .bucket = "here",
                            .headers = FIELDS("x-amz-expected-bucket-owner",
                                              "123456789012")});
    assert_error(&answer, "AccessDenied", 403);
    s3_answer_free(&answer);
}

/* --- ListBuckets -----------------------------------------------------------*/
static void list(struct s3_answer *answer, const char *const *args, bool other)
{
    run_at(answer, NULL, other,
           (struct s3_case){.operation = WIRE__OPERATION__LIST_BUCKETS,
                            .args = args});
}

static unsigned occurrences(const struct s3_answer *answer, const char *what)
{
    unsigned count = 0;
    for (const char *at = (const char *)answer->body.data;
         (at = strstr(at, what)) != NULL; at++) {
        count++;
    }
    return count;
}

static void element(const struct s3_answer *answer, const char *name,
                    char out[2048])
{
    char open[64];
    snprintf(open, sizeof(open), "<%s>", name);
    const char *at = strstr((const char *)answer->body.data, open);
    assert_non_null(at);
    at += strlen(open);
    snprintf(out, 2048, "%.*s", (int)strcspn(at, "<"), at);
}

static void test_list(void **state)
{
    struct s3_answer answer;
    char name[32], token[2048];
    (void)state;
    for (int i = 0; i < 25; i++) {
        snprintf(name, sizeof(name), "page-%02d", i);
        s3_expect(&fixture, 200, create(name, NULL));
    }
    run_at(&answer, NULL, true, create("page-of-other", NULL));
    assert_int_equal(answer.status, 200);
    s3_answer_free(&answer);

    list(&answer, NULL, false);
    assert_int_equal(answer.status, 200);
    assert_int_equal(occurrences(&answer, "<Name>page-"), 25);
    assert_int_equal(occurrences(&answer, "<BucketRegion>"), 0);
    assert_contains(&answer, "<DisplayName>tester</DisplayName>");
    assert_contains(&answer, "<CreationDate>20");
    s3_answer_free(&answer);
    list(&answer, NULL, true); /* one's own only */
    assert_int_equal(occurrences(&answer, "<Name>"), 1);
    assert_contains(&answer, "<Name>page-of-other</Name>");
    s3_answer_free(&answer);

    list(&answer, FIELDS("prefix", "page-1"), false);
    assert_int_equal(occurrences(&answer, "<Name>"), 10);
    assert_int_equal(occurrences(&answer, "<BucketRegion>"), 10);
    assert_contains(&answer, "<Prefix>page-1</Prefix>");
    assert_null(strstr((char *)answer.body.data, "ContinuationToken"));
    s3_answer_free(&answer);

    list(&answer, FIELDS("prefix", "page-", "max-buckets", "10"), false);
    assert_int_equal(occurrences(&answer, "<Name>"), 10);
    element(&answer, "ContinuationToken", token);
    s3_answer_free(&answer);
    list(&answer,
         FIELDS("prefix", "page-", "max-buckets", "15", "continuation-token",
                token),
         false);
    assert_int_equal(occurrences(&answer, "<Name>"), 15);
    assert_contains(&answer, "<Name>page-10</Name>");
    assert_contains(&answer, "<Name>page-24</Name>");
    assert_null(strstr((char *)answer.body.data, "ContinuationToken"));
    s3_answer_free(&answer);
    list(&answer, FIELDS("bucket-region", "eu-west-1"), false);
    assert_int_equal(occurrences(&answer, "<Name>page-"), 0);
    assert_contains(&answer, "<Name>here</Name>");
    s3_answer_free(&answer);
}

static void test_list_arguments(void **state)
{
    static const char *const bad[] = {"0", "10001", "-1", "x", ""};
    struct s3_answer answer;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        list(&answer, FIELDS("max-buckets", bad[i]), false);
        assert_error(&answer, "InvalidArgument", 400);
        assert_contains(&answer, "<ArgumentName>max-buckets</ArgumentName>");
        s3_answer_free(&answer);
    }
    list(&answer, FIELDS("continuation-token", "bad"), false);
    assert_error(&answer, "InvalidArgument", 400);
    s3_answer_free(&answer);
}

/* --- DeleteBucket ----------------------------------------------------------*/
static struct s3_case on(Wire__Operation operation, const char *bucket,
                         const char *key)
{
    return (struct s3_case){
        .operation = operation, .bucket = bucket, .key = key};
}

static unsigned parts_left(void)
{
    struct kv_iterator *it = kv_iterate(meta_kv(fixture.service.meta));
    unsigned count = 0;
    for (kv_seek(it, SLICE_LITERAL("P"));
         kv_valid(it) && kv_key(it).data[0] == 'P'; kv_next(it)) {
        count++;
    }
    kv_iterator_free(it);
    return count;
}

static void test_delete(void **state)
{
    struct s3_answer answer;
    char upload[2048];
    (void)state;
    s3_expect(&fixture, 200, create("doomed", NULL));
    struct s3_case put = on(WIRE__OPERATION__PUT_OBJECT, "doomed", "k");
    put.body = "hello";
    put.size = 5;
    s3_expect(&fixture, 200, put);
    s3_run(&fixture, &answer,
           on(WIRE__OPERATION__DELETE_BUCKET, "doomed", NULL));
    assert_error(&answer, "BucketNotEmpty", 409);
    s3_answer_free(&answer);
    s3_expect(&fixture, 204, on(WIRE__OPERATION__DELETE_OBJECT, "doomed", "k"));

    /* An upload in progress does not keep it. */
    s3_run(&fixture, &answer,
           on(WIRE__OPERATION__CREATE_MULTIPART_UPLOAD, "doomed", "k"));
    assert_int_equal(answer.status, 200);
    element(&answer, "UploadId", upload);
    s3_answer_free(&answer);
    put.operation = WIRE__OPERATION__UPLOAD_PART;
    put.args = FIELDS("uploadId", upload, "partNumber", "1");
    s3_expect(&fixture, 200, put);
    assert_int_equal(parts_left(), 1);
    s3_run(&fixture, &answer,
           on(WIRE__OPERATION__DELETE_BUCKET, "doomed", NULL));
    assert_int_equal(answer.status, 204);
    assert_int_equal(answer.body.size, 0);
    s3_answer_free(&answer);
    assert_int_equal(parts_left(), 0);
    s3_run(&fixture, &answer,
           on(WIRE__OPERATION__DELETE_BUCKET, "doomed", NULL));
    assert_error(&answer, "NoSuchBucket", 404);
    s3_answer_free(&answer);
    /* A new one of that name is empty. */
    s3_expect(&fixture, 200, create("doomed", NULL));
    put.operation = WIRE__OPERATION__UPLOAD_PART;
    s3_run(&fixture, &answer, put);
    assert_error(&answer, "NoSuchUpload", 404);
    s3_answer_free(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),         cmocka_unit_test(test_names),
        cmocka_unit_test(test_configuration),  cmocka_unit_test(test_tags),
        cmocka_unit_test(test_region),         cmocka_unit_test(test_list),
        cmocka_unit_test(test_list_arguments), cmocka_unit_test(test_delete),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
