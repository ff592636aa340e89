#include "s3_fixture.h"

#include "s3/call.h"

#include <errno.h>

#define ETAG   "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"" /* of "hello world" */
#define PAST   "Sat, 01 Jan 2000 00:00:00 GMT"
#define FUTURE "Fri, 01 Jan 2100 00:00:00 GMT"

static struct s3_fixture fixture;

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    s3_make_bucket(&fixture, "b");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_fixture_close(&fixture);
    return 0;
}

static void tags_match(void **state)
{
    struct slice etag = SLICE_LITERAL("abc");

    (void)state;
    assert_true(etag_list_matches(SLICE_LITERAL("\"abc\""), etag));
    assert_true(etag_list_matches(SLICE_LITERAL("abc"), etag));
    assert_true(etag_list_matches(SLICE_LITERAL("*"), etag));
    assert_true(etag_list_matches(SLICE_LITERAL("\"x\", \"abc\""), etag));
    assert_true(etag_list_matches(SLICE_LITERAL("\"x,y\" ,\"abc\" "), etag));
    assert_false(etag_list_matches(SLICE_LITERAL("W/\"abc\""), etag));
    assert_false(etag_list_matches(SLICE_LITERAL("\"abcd\""), etag));
    assert_false(etag_list_matches(SLICE_LITERAL("\"x,abc\""), etag));
    assert_false(etag_list_matches(SLICE_LITERAL(""), etag));
    assert_false(etag_list_matches(SLICE_LITERAL("\""), etag));
}

static void date(const char *text, uint64_t wanted)
{
    uint64_t ms = 0;

    if (time_parse_http(slice_from_string(text), &ms) != 0 || ms != wanted)
        fail_msg("%s is not %llu", text, (unsigned long long)wanted);
}

static void dates(void **state)
{
    char text[32];
    uint64_t ms;

    (void)state;
    date("Sun, 06 Nov 1994 08:49:37 GMT", 784111777000);
    date("Sunday, 06-Nov-94 08:49:37 GMT", 784111777000);
    date("Sun Nov  6 08:49:37 1994", 784111777000);
    date("1994-11-06T08:49:37Z", 784111777000);
    date("1994-11-06T08:49:37.000Z", 784111777000);
    assert_int_equal(time_parse_http(SLICE_LITERAL("yesterday"), &ms), -EINVAL);
    assert_int_equal(time_parse_http(SLICE_LITERAL(""), &ms), -EINVAL);
    assert_int_equal(
        time_parse_http(SLICE_LITERAL("Sun, 06 Nov 1994 08:49:37 GMT x"), &ms),
        -EINVAL);
    assert_int_equal(
        time_parse_http(SLICE_LITERAL("Sun, 06 Foo 1994 08:49:37 GMT"), &ms),
        -EINVAL);
    time_http(text, 784111777999);
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    time_iso8601(text, 784111777009);
    assert_string_equal(text, "1994-11-06T08:49:37.009Z");
}

static void get(const char *const *headers, unsigned status)
{
    static const Wire__Operation operations[] = {WIRE__OPERATION__GET_OBJECT,
                                                 WIRE__OPERATION__HEAD_OBJECT};

    for (unsigned i = 0; i < 2; i++) {
        struct s3_answer answer;

        s3_run(&fixture, &answer,
               (struct s3_case){.operation = operations[i],
                                .bucket = "b",
                                .key = "k",
                                .headers = headers});
        if (answer.status != status)
            fail_msg("%s: %s: %u instead of %u", headers[0], headers[1],
                     answer.status, status);
        if (status == 304) {
            assert_int_equal(answer.body.size, 0);
            assert_false(answer.has_length);
            assert_header(&answer, "ETag", ETAG);
            assert_header(&answer, "Cache-Control", "max-age=9");
            assert_non_null(s3_header(&answer, "Last-Modified"));
        }
        s3_answer_free(&answer);
    }
}

static void reads(void **state)
{
    (void)state;
    s3_expect(&fixture, 200,
              (struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                               .bucket = "b",
                               .key = "k",
                               .headers = FIELDS("cache-control", "max-age=9"),
                               .body = "hello world",
                               .size = 11});
    get(FIELDS("if-match", ETAG), 200);
    get(FIELDS("if-match", "*"), 200);
    get(FIELDS("if-match", "\"other\""), 412);
    get(FIELDS("if-none-match", ETAG), 304);
    get(FIELDS("if-none-match", "\"other\""), 200);
    get(FIELDS("if-modified-since", PAST), 200);
    get(FIELDS("if-modified-since", FUTURE), 304);
    get(FIELDS("if-modified-since", "nonsense"), 200);
    get(FIELDS("if-unmodified-since", PAST), 412);
    get(FIELDS("if-unmodified-since", FUTURE), 200);
    /* The tag silences the date beside it. */
    get(FIELDS("if-match", ETAG, "if-unmodified-since", PAST), 200);
    get(FIELDS("if-match", "\"other\"", "if-unmodified-since", FUTURE), 412);
    get(FIELDS("if-none-match", ETAG, "if-modified-since", PAST), 304);
    get(FIELDS("if-none-match", "\"other\"", "if-modified-since", FUTURE), 200);
}

static void put(const char *key, const char *const *headers, unsigned status,
                const char *code)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                            .bucket = "b",
                            .key = key,
                            .headers = headers,
                            .body = "hello world",
                            .size = 11});
    assert_string_equal(answer.error, code);
    assert_int_equal(answer.status, status);
    s3_answer_free(&answer);
}

static void writes(void **state)
{
    (void)state;
    put("w", FIELDS("if-match", ETAG), 404, "NoSuchKey");
    put("w", FIELDS("if-match", "*"), 404, "NoSuchKey");
    put("w", FIELDS("if-none-match", "*"), 200, "");
    put("w", FIELDS("if-none-match", "*"), 412, "PreconditionFailed");
    put("w", FIELDS("if-match", "\"other\""), 412, "PreconditionFailed");
    put("w", FIELDS("if-match", ETAG), 200, "");
    put("w", FIELDS("if-match", "*"), 200, "");
    put("w", FIELDS("if-none-match", ETAG), 501, "NotImplemented");
    put("w", FIELDS("if-none-match", "*", "if-match", ETAG), 501,
        "NotImplemented");
}

/* What is refused is refused before the body is asked for. */
static void refused_early(void **state)
{
    struct arena *arena = arena_new();
    struct s3_case c = {.operation = WIRE__OPERATION__PUT_OBJECT,
                        .bucket = "b",
                        .key = "w",
                        .headers = FIELDS("if-none-match", "*"),
                        .body = "x",
                        .size = 1};
    struct s3_answer answer;
    Wire__Request request;
    struct s3_call *call;

    (void)state;
    s3_request(&fixture, arena, &c, &request);
    call = s3_call_begin(&fixture.service, &request);
    assert_false(s3_call_wants_body(call));
    s3_collect(&fixture, call, false, &answer);
    assert_error(&answer, "PreconditionFailed", 412);
    s3_answer_free(&answer);
    arena_free(arena);
}

/* And decided again at the end: another may have been first. */
static void decided_at_the_end(void **state)
{
    struct arena *arena = arena_new();
    struct s3_case c = {.operation = WIRE__OPERATION__PUT_OBJECT,
                        .bucket = "b",
                        .key = "late",
                        .headers = FIELDS("if-none-match", "*"),
                        .body = "x",
                        .size = 1};
    struct s3_answer answer;
    Wire__Request request;
    struct s3_call *call;

    (void)state;
    s3_request(&fixture, arena, &c, &request);
    call = s3_call_begin(&fixture.service, &request);
    assert_true(s3_call_wants_body(call));
    s3_call_data(call, "x", 1);
    put("late", NULL, 200, "");
    s3_call_end(call);
    s3_collect(&fixture, call, false, &answer);
    assert_error(&answer, "PreconditionFailed", 412);
    s3_answer_free(&answer);
    arena_free(arena);
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__GET_OBJECT,
                            .bucket = "b",
                            .key = "late"});
    assert_string_equal((char *)answer.body.data, "hello world");
    s3_answer_free(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_match),    cmocka_unit_test(dates),
        cmocka_unit_test(reads),         cmocka_unit_test(writes),
        cmocka_unit_test(refused_early), cmocka_unit_test(decided_at_the_end),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
