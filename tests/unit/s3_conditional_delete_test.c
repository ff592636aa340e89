/* Deletes that hold only for a certain version: entity tag, size, time. */
#include "s3_fixture.h"

#define ETAG "\"5d41402abc4b2a76b9719d911017c592\"" /* of "hello" */

static struct s3_fixture fixture;

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    s3_make_bucket(&fixture, "b");
    s3_expect(&fixture, 200, PUT("k", "hello"));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_fixture_close(&fixture);
    return 0;
}

static bool exists(void)
{
    struct s3_answer answer;
    bool found;

    s3_run(&fixture, &answer, HEAD("k"));
    found = answer.status == 200;
    s3_answer_free(&answer);
    return found;
}

static void modified(char out[64])
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, HEAD("k"));
    copy_string(out, 64, s3_header(&answer, "Last-Modified"));
    s3_answer_free(&answer);
}

static void refused(const char *const *headers, const char *condition)
{
    struct s3_answer answer;
    char wanted[128];

    s3_run(&fixture, &answer, DELETE("k", .headers = headers));
    assert_error(&answer, "PreconditionFailed", 412);
    snprintf(wanted, sizeof(wanted), "<Condition>%s</Condition>", condition);
    assert_contains(&answer, wanted);
    s3_answer_free(&answer);
    assert_true(exists());
}

static void test_each(void **state)
{
    char time[64];
    (void)state;
    modified(time);
    refused(FIELDS("if-match", "\"00\""), "If-Match");
    refused(FIELDS("x-amz-if-match-size", "4"), "x-amz-if-match-size");
    refused(FIELDS("x-amz-if-match-last-modified-time",
                   "Thu, 01 Jan 2015 00:00:00 GMT"),
            "x-amz-if-match-last-modified-time");
    s3_expect(&fixture, 204,
              DELETE("k", .headers = FIELDS("x-amz-if-match-size", "5")));
    assert_false(exists());
    s3_expect(&fixture, 200, PUT("k", "hello"));
    modified(time);
    s3_expect(&fixture, 204,
              DELETE("k", .headers = FIELDS("x-amz-if-match-last-modified-time",
                                            time)));
    assert_false(exists());
    s3_expect(&fixture, 200, PUT("k", "hello"));
    s3_expect(&fixture, 204, DELETE("k", .headers = FIELDS("if-match", "*")));
    assert_false(exists());
}

static void test_all_must_hold(void **state)
{
    char time[64];
    (void)state;
    modified(time);
    refused(FIELDS("if-match", ETAG, "x-amz-if-match-size", "6",
                   "x-amz-if-match-last-modified-time", time),
            "x-amz-if-match-size");
    refused(FIELDS("if-match", "\"00\"", "x-amz-if-match-size", "5"),
            "If-Match");
    s3_expect(&fixture, 204,
              DELETE("k", .headers = FIELDS(
                              "if-match", ETAG, "x-amz-if-match-size", "5",
                              "x-amz-if-match-last-modified-time", time)));
    assert_false(exists());
}

/* An entity tag is missed where there is nothing; size and time are not. */
static void test_absent(void **state)
{
    struct s3_answer answer;
    (void)state;
    s3_run(&fixture, &answer,
           DELETE("absent", .headers = FIELDS("if-match", "*")));
    assert_error(&answer, "NoSuchKey", 404);
    s3_answer_free(&answer);
    s3_expect(&fixture, 204,
              DELETE("absent", .headers = FIELDS("x-amz-if-match-size", "9")));
    s3_expect(
        &fixture, 204,
        DELETE("absent", .headers = FIELDS("x-amz-if-match-last-modified-time",
                                           "Thu, 01 Jan 2015 00:00:00 GMT")));
}

static void test_malformed(void **state)
{
    static const char *const headers[][2] = {
        {"x-amz-if-match-size", "-1"},
        {"x-amz-if-match-size", ""},
        {"x-amz-if-match-size", "5 "},
        {"x-amz-if-match-last-modified-time", "yesterday"},
    };
    struct s3_answer answer;
    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        s3_run(&fixture, &answer,
               DELETE("k", .headers = FIELDS(headers[i][0], headers[i][1])));
        assert_error(&answer, "InvalidArgument", 400);
        assert_contains(&answer, headers[i][0]);
        s3_answer_free(&answer);
    }
    assert_true(exists());
}

static void test_versions(void **state)
{
    static const char enabled[] = "<VersioningConfiguration><Status>Enabled"
                                  "</Status></VersioningConfiguration>";
    struct s3_answer answer;
    char marker[64];
    (void)state;
    s3_expect(&fixture, 200,
              S3_CASE(PUT_BUCKET_VERSIONING, NULL, .body = enabled,
                      .size = sizeof(enabled) - 1));
    refused(FIELDS("x-amz-if-match-size", "4"), "x-amz-if-match-size");
    s3_run(&fixture, &answer,
           DELETE("k", .headers = FIELDS("x-amz-if-match-size", "5")));
    assert_int_equal(answer.status, 204);
    assert_header(&answer, "x-amz-delete-marker", "true");
    copy_string(marker, sizeof(marker), s3_header(&answer, "x-amz-version-id"));
    s3_answer_free(&answer);
    /* Behind the marker there is nothing; by its id it is a version. */
    s3_run(&fixture, &answer, DELETE("k", .headers = FIELDS("if-match", "*")));
    assert_error(&answer, "NoSuchKey", 404);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           DELETE("k", .args = FIELDS("versionId", marker),
                  .headers = FIELDS("x-amz-if-match-size", "7")));
    assert_error(&answer, "PreconditionFailed", 412);
    s3_answer_free(&answer);
    s3_expect(&fixture, 204,
              DELETE("k", .args = FIELDS("versionId", marker),
                     .headers = FIELDS("x-amz-if-match-size", "0")));
    assert_true(exists());
    s3_expect(&fixture, 204,
              DELETE("k", .args = FIELDS("versionId", "null"),
                     .headers = FIELDS("x-amz-if-match-size", "5")));
    assert_false(exists());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_must_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(test_absent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_versions, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
