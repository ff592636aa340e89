/* DeleteObjects: per-key outcomes, Quiet, limits, conditions. */
#include "s3_fixture.h"

static struct s3_fixture fixture;

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    s3_make_bucket(&fixture, "bucket");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_fixture_close(&fixture);
    return 0;
}

static void put(const char *key)
{
    s3_expect(&fixture, 200,
              (struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                               .bucket = "bucket",
                               .key = key,
                               .body = "hello",
                               .size = 5});
}

static bool exists(const char *key)
{
    struct s3_answer answer;
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__HEAD_OBJECT,
                            .bucket = "bucket",
                            .key = key});
    bool found = answer.status == 200;
    s3_answer_free(&answer);
    return found;
}

/* With a Content-MD5, as older clients send it. */
static void run(struct s3_answer *answer, const char *document)
{
    struct digester *digester = digester_new(DIGEST_MD5);
    uint8_t md5[DIGEST_SIZE_MAX];
    char text[32];
    digester_update(digester, document, strlen(document));
    digester_final(digester, DIGEST_MD5, md5);
    digester_free(digester);
    base64_encode(text, md5, 16);
    s3_run(&fixture, answer,
           (struct s3_case){.operation = WIRE__OPERATION__DELETE_OBJECTS,
                            .bucket = "bucket",
                            .headers = FIELDS("content-md5", text),
                            .body = document,
                            .size = strlen(document)});
}

#define DELETED(key) "<Deleted><Key>" key "</Key></Deleted>"

static void test_deletes(void **state)
{
    struct s3_answer answer;
    (void)state;
    put("a");
    put("b/c");
    put("keep");
    run(&answer, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                 "<Object><Key>a</Key></Object>"
                 "<Object><Key>never there</Key></Object>"
                 "<Object><Key>b/c</Key><VersionId>null</VersionId></Object>"
                 "</Delete>");
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, DELETED("a") DELETED("never there"));
    assert_contains(&answer, "<Deleted><Key>b/c</Key><VersionId>null"
                             "</VersionId></Deleted></DeleteResult>");
    s3_answer_free(&answer);
    assert_false(exists("a"));
    assert_false(exists("b/c"));
    assert_true(exists("keep"));
}

static void test_quiet(void **state)
{
    struct s3_answer answer;
    (void)state;
    put("a");
    put("b");
    run(&answer, "<Delete><Quiet>true</Quiet><Object><Key>a</Key></Object>"
                 "<Object><Key>b</Key>"
                 "<VersionId>bogus</VersionId></Object>"
                 "<Object><Key>b</Key>"
                 "<VersionId>0123456789abcdef0123456789abcdef</VersionId>"
                 "</Object></Delete>");
    assert_int_equal(answer.status, 200);
    assert_null(strstr((char *)answer.body.data, "Deleted"));
    assert_contains(&answer, "<Error><Key>b</Key><VersionId>bogus</VersionId>"
                             "<Code>NoSuchVersion</Code><Message>");
    s3_answer_free(&answer);
    assert_false(exists("a"));
    assert_true(exists("b"));
}

static void test_conditions(void **state)
{
    struct s3_answer answer;
    (void)state;
    put("right"), put("wrong"), put("any"), put("sized");
    run(&answer,
        "<Delete>"
        "<Object><Key>right</Key><ETag>&quot;5d41402abc4b2a76b9719d911017c592"
        "&quot;</ETag></Object>"
        "<Object><Key>wrong</Key><ETag>\"00\"</ETag></Object>"
        "<Object><Key>any</Key><ETag>*</ETag></Object>"
        "<Object><Key>absent</Key><ETag>*</ETag></Object>"
        "<Object><Key>sized</Key><Size>9</Size></Object>"
        "</Delete>");
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, DELETED("right"));
    assert_contains(&answer, "<Error><Key>wrong</Key><Code>"
                             "PreconditionFailed</Code><Message>At least");
    assert_contains(&answer, DELETED("any"));
    assert_contains(&answer, "<Error><Key>absent</Key><Code>NoSuchKey");
    assert_contains(&answer, "<Error><Key>sized</Key><Code>PreconditionFailed");
    s3_answer_free(&answer);
    assert_false(exists("right"));
    assert_true(exists("wrong"));
    assert_false(exists("any"));
    assert_true(exists("sized"));
}

static void test_malformed(void **state)
{
    static const char *const bad[] = {
        "",
        "<Delete/>",
        "<Delete><Quiet>true</Quiet></Delete>",
        "<Delete><Object/></Delete>",
        "<Delete><Object><Key/></Object></Delete>",
        "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
        "<Delete><Object><Key>keep</Key><What/></Object></Delete>",
        "<Delete><Object><Key>keep</Key></Object><What/></Delete>",
        "<Delete><Quiet>maybe</Quiet><Object><Key>keep</Key></Object></Delete>",
        "<Delete><Object><Key>keep</Key></Object>",
        "<!DOCTYPE Delete><Delete><Object><Key>keep</Key></Object></Delete>",
    };
    struct s3_answer answer;
    (void)state;
    put("keep");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        run(&answer, bad[i]);
        assert_error(&answer, "MalformedXML", 400);
        s3_answer_free(&answer);
    }
    assert_true(exists("keep"));
}

static void test_limit(void **state)
{
    struct buffer text = {0};
    struct s3_answer answer;
    (void)state;
    put("k0999");
    for (int last = 1000; last >= 999; last--) {
        text.size = 0;
        buffer_append_string(&text, "<Delete>");
        for (int i = 0; i <= last; i++) {
            buffer_printf(&text, "<Object><Key>k%04d</Key></Object>", i);
        }
        buffer_append(&text, "</Delete>", 10);
        run(&answer, (const char *)text.data);
        if (last == 1000) {
            assert_error(&answer, "MalformedXML", 400);
            assert_true(exists("k0999"));
        } else {
            assert_int_equal(answer.status, 200);
            assert_contains(&answer, DELETED("k0000"));
            assert_contains(&answer, DELETED("k0999"));
            assert_false(exists("k0999"));
        }
        s3_answer_free(&answer);
    }
    buffer_free(&text);
}

static void test_integrity(void **state)
{
    const char *text = "<Delete><Object><Key>keep</Key></Object></Delete>";
    struct s3_answer answer;
    struct s3_case c = {.operation = WIRE__OPERATION__DELETE_OBJECTS,
                        .bucket = "bucket",
                        .body = text,
                        .size = strlen(text)};
    (void)state;
    put("keep");
    s3_run(&fixture, &answer, c);
    assert_error(&answer, "InvalidRequest", 400);
    assert_contains(&answer, "Missing required header for this request: "
                             "Content-MD5");
    s3_answer_free(&answer);
    c.headers = FIELDS("x-amz-checksum-crc32", "AAAAAA==");
    s3_run(&fixture, &answer, c);
    assert_error(&answer, "BadDigest", 400);
    s3_answer_free(&answer);
    assert_true(exists("keep"));
    struct digester *digester = digester_new(DIGEST_CRC32);
    uint8_t crc[DIGEST_SIZE_MAX];
    char base64[16];
    digester_update(digester, text, strlen(text));
    digester_final(digester, DIGEST_CRC32, crc);
    digester_free(digester);
    base64_encode(base64, crc, 4);
    c.headers = FIELDS("x-amz-checksum-crc32", base64);
    s3_run(&fixture, &answer, c);
    assert_int_equal(answer.status, 200);
    s3_answer_free(&answer);
    assert_false(exists("keep"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deletes),    cmocka_unit_test(test_quiet),
        cmocka_unit_test(test_conditions), cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_limit),      cmocka_unit_test(test_integrity),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
