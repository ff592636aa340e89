/* GET_FILE: candidates, ranges as nginx serves them, listings. */
#include "s3_fixture.h"

#include "s3/file.h"

#define SSE "x-amz-server-side-encryption-customer-"

static struct s3_fixture fixture;
static uint8_t bytes[3u << 20]; /* differ everywhere */

/* --- one request -----------------------------------------------------------*/
#define CANDIDATES_MAX 4

struct file_case {
    const char *method; /* NULL: GET */
    struct {
        Wire__FileCandidate__Kind kind;
        const char *key, *type, *encoding;
    } candidates[CANDIDATES_MAX];
    const char *const *headers;
    const char *content_type, *after;
    size_t after_size;   /* 0: strlen(after) */
    unsigned max_ranges; /* 0: 100 */
    bool segments, refuse_segments;
};

static void run(struct s3_answer *answer, struct file_case c)
{
    Wire__FileRequest file = WIRE__FILE_REQUEST__INIT;
    Wire__FileCandidate candidates[CANDIDATES_MAX], *list[CANDIDATES_MAX];
    struct arena *arena = arena_new();
    Wire__Request request;

    s3_request(&fixture, arena,
               &S3_CASE(GET_FILE, "", .headers = c.headers,
                        .segments = c.segments, .access_key = ""),
               &request);
    request.method = fixture_string(c.method != NULL ? c.method : "GET");
    for (size_t i = 0; i < CANDIDATES_MAX && c.candidates[i].key != NULL; i++) {
        wire__file_candidate__init(&candidates[i]);
        candidates[i].kind = c.candidates[i].kind;
        candidates[i].key = fixture_string(c.candidates[i].key);
        candidates[i].type = fixture_string(c.candidates[i].type);
        candidates[i].encoding = fixture_string(c.candidates[i].encoding);
        list[file.n_candidates++] = &candidates[i];
    }
    file.candidates = list;
    file.max_ranges = c.max_ranges > 0 ? c.max_ranges : 100;
    file.content_type = fixture_string(c.content_type);
    file.default_type = fixture_string("text/default");
    file.title = fixture_string("/<dir>/");
    file.after = c.after_size > 0 ? fixture_bytes(c.after, c.after_size)
                                  : fixture_string(c.after);
    request.file = &file;
    s3_collect(&fixture, s3_call_begin(&fixture.service, &request),
               c.refuse_segments, answer);
    arena_free(arena);
}

/* Status and body of the first of some keys. */
static void check(const char *const *keys, unsigned status, const char *body)
{
    struct file_case c = {0};
    struct s3_answer answer;

    for (size_t i = 0; keys[i] != NULL; i++) {
        c.candidates[i].key = keys[i];
    }
    run(&answer, c);
    assert_int_equal(answer.status, status);
    assert_string_equal((const char *)answer.body.data, body);
    s3_answer_free(&answer);
}

/* --- candidates ------------------------------------------------------------*/
static void the_first_that_is_there(void **state)
{
    (void)state;
    s3_expect(&fixture, 200, PUT("one", "1"));
    s3_expect(&fixture, 200, PUT("two", "22"));
    check(FIELDS("absent", "two", "one"), 200, "22");
    check(FIELDS("one", "two"), 200, "1");
    check(FIELDS("absent", "", "\xff"), 404, "");
    check(FIELDS(NULL), 404, "");
}

/* --- conditions ------------------------------------------------------------*/
static void check_date(bool exact, const char *since, unsigned wanted)
{
    const struct conditions conditions = {
        .modified_since = slice_from_string(since), .exact = exact};
    const char *which;

    assert_int_equal(conditions_evaluate(&conditions, SLICE_LITERAL("x"),
                                         784111777999, &which),
                     wanted);
}

static void dates(void **state)
{
    (void)state;
    check_date(true, "Sun, 06 Nov 1994 08:49:37 GMT", CONDITION_NOT_MODIFIED);
    check_date(true, "Sun, 06 Nov 1994 08:49:38 GMT", CONDITION_PASS);
    check_date(true, "Sun, 06 Nov 1994 08:49:36 GMT", CONDITION_PASS);
    check_date(false, "Sun, 06 Nov 1994 08:49:38 GMT", CONDITION_NOT_MODIFIED);
    check_date(false, "Sun, 06 Nov 1994 08:49:36 GMT", CONDITION_PASS);
    check_date(true, "some day", CONDITION_PASS);
}

#define DIRECTORY WIRE__FILE_CANDIDATE__KIND__DIRECTORY

static void directories(void **state)
{
    struct s3_answer answer;

    (void)state;
    s3_expect(&fixture, 200, PUT("dir/deep/key", "x"));
    run(&answer, (struct file_case){
                     .candidates = {{DIRECTORY, "di/"}, {DIRECTORY, "dir/"}}});
    assert_int_equal(answer.status, 301);
    s3_answer_free(&answer);
    run(&answer, (struct file_case){.candidates = {{DIRECTORY, "deep/"}}});
    assert_int_equal(answer.status, 404);
    s3_answer_free(&answer);
}

static void delete_markers_are_absent(void **state)
{
    static const char enabled[] = "<VersioningConfiguration><Status>Enabled"
                                  "</Status></VersioningConfiguration>";
    struct s3_answer answer;

    (void)state;
    s3_expect(&fixture, 200,
              S3_CASE(PUT_BUCKET_VERSIONING, "", .body = enabled,
                      .size = sizeof(enabled) - 1));
    s3_expect(&fixture, 200, PUT("marked/key", "x"));
    s3_expect(&fixture, 204, DELETE("marked/key"));
    check(FIELDS("marked/key", "one"), 200, "1");
    run(&answer, (struct file_case){.candidates = {{DIRECTORY, "marked/"}}});
    assert_int_equal(answer.status, 404);
    s3_answer_free(&answer);
    s3_expect(&fixture, 200, PUT("marked/later", "x"));
    run(&answer, (struct file_case){.candidates = {{DIRECTORY, "marked/"}}});
    assert_int_equal(answer.status, 301);
    s3_answer_free(&answer);
}

static void customers_keys_are_theirs(void **state)
{
    struct s3_answer answer;

    (void)state;
    s3_expect(
        &fixture, 200,
        PUT("sealed", "x", .secure = true,
            .headers = FIELDS(SSE "algorithm", "AES256", SSE "key",
                              "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
                              SSE "key-md5", "UhbdzFjo2t5SVgded/ZC2g==")));
    run(&answer, (struct file_case){.candidates = {{.key = "sealed"}}});
    assert_error(&answer, "AccessDenied", 403);
    assert_int_equal(answer.body.size, 0);
    s3_answer_free(&answer);
}

static void without_a_list(void **state)
{
    (void)state;
    s3_expect(&fixture, 404, S3_CASE(GET_FILE, "one"));
    s3_expect(&fixture, 404,
              (struct s3_case){.operation = WIRE__OPERATION__GET_FILE,
                               .bucket = "absent"});
}

/* --- types -----------------------------------------------------------------*/
static void check_type(const char *stored, const char *by_name,
                       const char *encoding, const char *said,
                       const char *wanted)
{
    struct s3_answer answer;

    s3_expect(
        &fixture, 200,
        PUT("typed", "x",
            .headers = stored != NULL ? FIELDS("content-type", stored) : NULL));
    run(&answer, (struct file_case){.candidates = {{.key = "typed",
                                                    .type = by_name,
                                                    .encoding = encoding}},
                                    .content_type = said});
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "content-type", wanted);
    if (encoding != NULL) {
        assert_header(&answer, "content-encoding", encoding);
    } else {
        assert_no_header(&answer, "content-encoding");
    }
    s3_answer_free(&answer);
}

static void types(void **state)
{
    (void)state;
    check_type("text/a", "text/b", NULL, NULL, "text/a");
    check_type(NULL, "text/b", NULL, NULL, "text/b");
    check_type("binary/octet-stream", "text/b", NULL, NULL, "text/b");
    check_type("application/octet-stream", "text/b", NULL, NULL, "text/b");
    check_type("application/octet-stream", NULL, NULL, NULL,
               "application/octet-stream");
    check_type(NULL, NULL, NULL, NULL, "text/default");
    check_type("text/a", "text/b", NULL, "text/c", "text/c");
    check_type("application/gzip", "text/b", "gzip", NULL, "text/b");
    check_type("text/a", NULL, "gzip", NULL, "text/a");
}

/* --- ranges ----------------------------------------------------------------*/
/* "0+1 5+2", "ignored", "unsatisfiable". */
static void check_ranges(const char *header, uint64_t size, const char *wanted)
{
    struct byte_ranges ranges;
    char text[256] = "ignored";
    size_t at = 0;

    switch (byte_ranges_parse(slice_from_string(header), size, 4, &ranges)) {
    case RANGE_OK:
        for (size_t i = 0; i < ranges.count; i++) {
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%llu+%llu",
                                   i > 0 ? " " : "",
                                   (unsigned long long)ranges.ranges[i].offset,
                                   (unsigned long long)ranges.ranges[i].size);
        }
        break;
    case RANGE_UNSATISFIABLE:
        snprintf(text, sizeof(text), "unsatisfiable");
        break;
    default:
        break;
    }
    if (strcmp(text, wanted) != 0) {
        fail_msg("%s of %llu: %s instead of %s", header,
                 (unsigned long long)size, text, wanted);
    }
}

static void ranges_are_read(void **state)
{
    (void)state;
    check_ranges("bytes=0-0", 10, "0+1");
    check_ranges("bytes=2-", 10, "2+8");
    check_ranges("bytes=-3", 10, "7+3");
    check_ranges("bytes=-30", 10, "0+10");
    check_ranges("bytes=8-30", 10, "8+2");
    check_ranges("BYTES= 1 - 2 , -1", 10, "1+2 9+1");
    check_ranges("bytes=0-0,2-2,4-4,6-6", 10, "0+1 2+1 4+1 6+1");
    check_ranges("bytes=0-0,2-2,4-4,6-6,8-8", 10, "ignored");
    check_ranges("bytes=0-8,5-7", 10, "ignored");
    check_ranges("bytes=3-4,20-", 10, "3+2");
    check_ranges("bytes=20-", 10, "unsatisfiable");
    check_ranges("bytes=5-2", 10, "unsatisfiable");
    check_ranges("bytes=-0", 10, "unsatisfiable");
    check_ranges("bytes=0-", 0, "ignored");
    check_ranges("bytes=5-", 0, "unsatisfiable");
    check_ranges("bytes=9223372036854775808-", 10, "unsatisfiable");
    check_ranges("bytes=0-99999999999999999999", 10, "unsatisfiable");
    check_ranges("bytes=1-2,", 10, "unsatisfiable");
    check_ranges("bytes=1 2", 10, "unsatisfiable");
    check_ranges("bytes=1-2x", 10, "unsatisfiable");
    check_ranges("bytes=--1", 10, "unsatisfiable");
    check_ranges("bytes=", 10, "ignored");
    check_ranges("items=0-1", 10, "ignored");
    check_ranges("", 10, "ignored");
}

#define PART(from, to)                                                         \
    "\r\n--0123456789ABCDEF\r\nContent-Type: text/default\r\n"                 \
    "Content-Range: bytes " from "-" to "/3145728\r\n\r\n"

static void add(struct buffer *out, const char *head, size_t offset,
                size_t size)
{
    buffer_append_string(out, head);
    buffer_append(out, bytes + offset, size);
}

/* Small ones as data, large ones as segments, one of which is refused; what is
 * encrypted always as data. */
static void several_ranges(void **state)
{
    struct buffer wanted = {0};

    (void)state;
    s3_expect(
        &fixture, 200,
        S3_CASE(PUT_OBJECT, "large", .body = bytes, .size = sizeof(bytes)));
    s3_expect(
        &fixture, 200,
        S3_CASE(PUT_OBJECT, "sse", .body = bytes, .size = sizeof(bytes),
                .headers = FIELDS("x-amz-server-side-encryption", "AES256")));
    add(&wanted, PART("1048576", "1048578"), 1048576, 3);
    add(&wanted, PART("0", "999999"), 0, 1000000);
    add(&wanted, PART("2000000", "3145727"), 2000000, 1145728);
    add(&wanted, PART("5", "5"), 5, 1);
    buffer_append_string(&wanted, "\r\n--0123456789ABCDEF--\r\n");
    for (unsigned way = 0; way < 5; way++) {
        struct s3_answer answer;

        run(&answer,
            (struct file_case){
                .method = way == 3 ? "HEAD" : "GET",
                .candidates = {{.key = way == 4 ? "sse" : "large"}},
                .headers = FIELDS("range", "bytes=1048576-1048578,0-999999,"
                                           "2000000-,5-5"),
                .segments = way > 0,
                .refuse_segments = way == 2});
        assert_int_equal(answer.status, 206);
        assert_int_equal(answer.length, wanted.size);
        assert_header(&answer, "content-type",
                      "multipart/byteranges; boundary=0123456789ABCDEF");
        assert_no_header(&answer, "content-range");
        assert_true((answer.segment_windows > 0) == (way == 1));
        assert_int_equal(answer.body.size, way == 3 ? 0 : wanted.size);
        assert_memory_equal(answer.body.data, wanted.data, answer.body.size);
        s3_answer_free(&answer);
    }
    buffer_free(&wanted);
}

/* --- listings --------------------------------------------------------------*/
static void check_page(struct file_case c, const char *link, const char *body)
{
    struct s3_answer answer;

    run(&answer, c);
    assert_int_equal(answer.status, 200);
    if (link != NULL) {
        assert_header(&answer, "link", link);
    } else {
        assert_no_header(&answer, "link");
    }
    assert_contains(&answer, body);
    s3_answer_free(&answer);
}

#define LISTING      WIRE__FILE_CANDIDATE__KIND__LISTING
#define LISTING_JSON WIRE__FILE_CANDIDATE__KIND__LISTING_JSON

static void listings(void **state)
{
    (void)state;
    s3_expect(&fixture, 200, PUT("list/", ""));
    s3_expect(&fixture, 200, PUT("list/a:<b>\"&'", "12345"));
    s3_expect(&fixture, 200, PUT("list/sub/one", "x"));
    s3_expect(&fixture, 200, PUT("list/sub/two", "x"));
    s3_expect(&fixture, 200, PUT("list/z", "x"));
    check_page((struct file_case){.candidates = {{LISTING, "list/"}}}, NULL,
               "<h1>Index of /&lt;dir&gt;/</h1>");
    check_page((struct file_case){.candidates = {{LISTING, "list/"}}}, NULL,
               "<tr><td><a href=\"./a%3A%3Cb%3E%22%26%27\">"
               "a:&lt;b&gt;&quot;&amp;");
    check_page((struct file_case){.candidates = {{LISTING, "list/"}}}, NULL,
               "<a href=\"./sub/\">sub/</a></td><td></td><td>-</td></tr>\n"
               "<tr><td><a href=\"./z\">");
    check_page((struct file_case){.candidates = {{LISTING_JSON, "list/"}}},
               NULL, "{\"name\": \"sub\", \"type\": \"directory\"}");
    check_page((struct file_case){.candidates = {{LISTING_JSON, "list/"}},
                                  .after = "sub/"},
               NULL, "[{\"name\": \"z\", \"type\": \"file\", ");
}

/* A name may hold any byte of UTF-8. */
static void after_a_nul(void **state)
{
    struct s3_answer answer;

    (void)state;
    s3_expect(&fixture, 200, PUT("nul/a\0b", "x", .key_size = 7));
    s3_expect(&fixture, 200, PUT("nul/c", "x"));
    run(&answer, (struct file_case){.candidates = {{LISTING, "nul/"}},
                                    .after = "a\0b",
                                    .after_size = 3});
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, "./c");
    assert_null(strstr((const char *)answer.body.data, "./a"));
    s3_answer_free(&answer);
}

static void pages(void **state)
{
    struct s3_answer answer;

    (void)state;
    for (unsigned i = 0; i < 1001; i++) {
        char key[32];

        snprintf(key, sizeof(key), "many/%04u", i);
        s3_expect(&fixture, 200, PUT(key, ""));
    }
    check_page((struct file_case){.candidates = {{LISTING, "many/"}}},
               "<?after=0999>; rel=\"next\"",
               "<a href=\"?after=0999\">next page</a>");
    run(&answer, (struct file_case){.candidates = {{LISTING, "many/"}},
                                    .after = "0999"});
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, "./1000");
    assert_null(strstr((const char *)answer.body.data, "0999"));
    s3_answer_free(&answer);
    run(&answer, (struct file_case){.method = "HEAD",
                                    .candidates = {{LISTING, "many/"}}});
    assert_int_equal(answer.status, 200);
    assert_true(answer.length > 1000);
    assert_int_equal(answer.body.size, 0);
    s3_answer_free(&answer);
    run(&answer, (struct file_case){.candidates = {{LISTING, "none/"}}});
    assert_int_equal(answer.status, 404);
    s3_answer_free(&answer);
}

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    s3_make_bucket(&fixture, "b");
    s3_fill(bytes, sizeof(bytes), 7);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_fixture_close(&fixture);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_is_there),
        cmocka_unit_test(dates),
        cmocka_unit_test(directories),
        cmocka_unit_test(customers_keys_are_theirs),
        cmocka_unit_test(without_a_list),
        cmocka_unit_test(types),
        cmocka_unit_test(ranges_are_read),
        cmocka_unit_test(several_ranges),
        cmocka_unit_test(listings),
        cmocka_unit_test(after_a_nul),
        cmocka_unit_test(pages),
        cmocka_unit_test(delete_markers_are_absent),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
