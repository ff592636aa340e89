/* CORS: rules read and matched, preflights, headers on answers. */
#include "s3_fixture.h"

#include "s3/cors.h"

static struct s3_fixture fixture;
static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    s3_make_bucket(&fixture, "b");
    arena = arena_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    s3_fixture_close(&fixture);
    return 0;
}

#define CONFIGURATION(rules)                                                   \
    "<CORSConfiguration "                                                      \
    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" rules                 \
    "</CORSConfiguration>"
#define RULE(inside) "<CORSRule>" inside "</CORSRule>"
#define ORIGIN(text) "<AllowedOrigin>" text "</AllowedOrigin>"
#define METHOD(text) "<AllowedMethod>" text "</AllowedMethod>"
#define ALLOW(text)  "<AllowedHeader>" text "</AllowedHeader>"
#define EXPOSE(text) "<ExposeHeader>" text "</ExposeHeader>"
#define AGE(text)    "<MaxAgeSeconds>" text "</MaxAgeSeconds>"

/* --- pure ------------------------------------------------------------------*/
static enum cors_result read_rules(const char *document,
                                   struct cors_rules *rules,
                                   const char **message)
{
    struct xml_node *root =
        xml_in_parse(arena, slice_from_string(document), "CORSConfiguration");

    assert_non_null(root);
    return cors_read(arena, root, rules, message);
}

static void test_read(void **state)
{
    struct cors_rules rules;
    const char *message;

    (void)state;
    assert_int_equal(
        read_rules(
            CONFIGURATION(RULE("<ID>one</ID>" ORIGIN("http://*.a.com")
                                   ORIGIN("*") METHOD("GET") METHOD("PUT")
                                       ALLOW("x-*") EXPOSE("ETag") AGE("3000"))
                              RULE(METHOD("HEAD") ORIGIN(""))),
            &rules, &message),
        CORS_OK);
    assert_int_equal(rules.count, 2);
    assert_int_equal(rules.rules[0].origins.count, 2);
    assert_int_equal(rules.rules[0].methods.count, 2);
    assert_int_equal(rules.rules[0].headers.count, 1);
    assert_int_equal(rules.rules[0].exposed.count, 1);
    assert_true(slice_equal_string(rules.rules[0].id, "one"));
    assert_true(slice_equal_string(rules.rules[0].max_age, "3000"));
    assert_null(rules.rules[1].id.data);
    assert_null(rules.rules[1].max_age.data);
}

static void test_malformed(void **state)
{
    static const char *const documents[] = {
        CONFIGURATION(""),
        CONFIGURATION("<Rule/>"),
        CONFIGURATION(RULE("")),
        CONFIGURATION(RULE(ORIGIN("*"))),
        CONFIGURATION(RULE(METHOD("GET"))),
        CONFIGURATION(RULE(ORIGIN("*") METHOD("GET") "<Other/>")),
        CONFIGURATION(RULE(ORIGIN("<a/>") METHOD("GET"))),
        CONFIGURATION(RULE(ORIGIN("*") METHOD("GET") AGE("x"))),
        CONFIGURATION(RULE(ORIGIN("*") METHOD("GET") AGE("-1"))),
        CONFIGURATION(RULE(ORIGIN("*") METHOD("GET") AGE("2147483648"))),
        CONFIGURATION(RULE(ORIGIN("*") METHOD("GET") AGE("1") AGE("1"))),
        CONFIGURATION(RULE(ORIGIN("*") METHOD("GET") "<ID>a</ID><ID>b</ID>")),
    };
    struct cors_rules rules;
    const char *message;

    (void)state;
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        if (read_rules(documents[i], &rules, &message) != CORS_MALFORMED) {
            fail_msg("taken: %s", documents[i]);
        }
    }
}

static void invalid(const char *document, const char *wanted)
{
    struct cors_rules rules;
    const char *message;

    assert_int_equal(read_rules(document, &rules, &message), CORS_INVALID);
    assert_string_equal(message, wanted);
}

static void test_invalid(void **state)
{
    struct buffer many = {NULL, 0, 0};
    struct cors_rules rules;
    const char *message;

    (void)state;
    invalid(CONFIGURATION(RULE(ORIGIN("*") METHOD("OPTIONS"))),
            "Found unsupported HTTP method in CORS config. Unsupported method "
            "is OPTIONS");
    invalid(CONFIGURATION(RULE(ORIGIN("*") METHOD("get"))),
            "Found unsupported HTTP method in CORS config. Unsupported method "
            "is get");
    invalid(CONFIGURATION(RULE(ORIGIN("*a*") METHOD("GET"))),
            "AllowedOrigin \"*a*\" can not have more than one wildcard.");
    invalid(CONFIGURATION(RULE(ORIGIN("*") METHOD("GET") ALLOW("**"))),
            "AllowedHeader \"**\" can not have more than one wildcard.");
    invalid(CONFIGURATION(RULE(ORIGIN("*") METHOD("GET") EXPOSE("x-*"))),
            "ExposeHeader \"x-*\" contains wildcard. We currently do not "
            "support wildcard for ExposeHeader.");
    buffer_append_string(&many, "<CORSConfiguration>");
    for (unsigned i = 0; i < 100; i++) {
        buffer_append_string(&many, RULE(ORIGIN("*") METHOD("GET")));
    }
    size_t size = many.size;
    buffer_append(&many, "</CORSConfiguration>", 21);
    assert_int_equal(read_rules((char *)many.data, &rules, &message), CORS_OK);
    many.size = size;
    buffer_append_string(&many, RULE(ORIGIN("*") METHOD("GET")));
    buffer_append(&many, "</CORSConfiguration>", 21);
    invalid((char *)many.data, "The number of CORS rules should not exceed "
                               "allowed limit of 100 rules.");
    buffer_free(&many);
}

static bool finds(const char *document, const char *origin, const char *method,
                  const char *headers, struct cors_match *match)
{
    struct cors_rules *rules = arena_alloc(arena, sizeof(*rules));
    struct cors_request request = {
        .origin = slice_from_string(origin),
        .method = slice_from_string(method),
        .headers =
            headers != NULL ? slice_from_string(headers) : slice_of(NULL, 0),
    };
    const char *message;

    assert_int_equal(read_rules(document, rules, &message), CORS_OK);
    return cors_find(rules, &request, match);
}

static void test_origins(void **state)
{
    static const struct {
        const char *pattern, *origin;
        bool matches;
    } cases[] = {
        {"*", "http://a", true},
        {"*", "null", true},
        {"http://a", "http://a", true},
        {"http://a", "http://A", false},
        {"http://a", "http://a/", false},
        {"http://a", "http://ab", false},
        {"*suffix", "foo.suffix", true},
        {"*suffix", "suffix", true},
        {"*suffix", "suffix.", false},
        {"start*end", "startend", true},
        {"start*end", "start12end", true},
        {"start*end", "0startend", false},
        {"start*end", "starend", false},
        {"prefix*", "prefix", true},
        {"prefix*", "prefix.x", true},
        {"prefix*", "bla.prefix", false},
        {"aba*aba", "aba", false},
        {"aba*aba", "abaaba", true},
        {"http://*.com", "http://a.b.com", true},
    };
    struct cors_match match;
    char document[512];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(document, sizeof(document),
                 CONFIGURATION(RULE(ORIGIN("%s") METHOD("GET"))),
                 cases[i].pattern);
        if (finds(document, cases[i].origin, "GET", NULL, &match) !=
            cases[i].matches) {
            fail_msg("%s against %s", cases[i].origin, cases[i].pattern);
        }
        if (cases[i].matches) {
            assert_int_equal(match.any_origin,
                             strcmp(cases[i].pattern, "*") == 0);
        }
    }
    /* What is named is told by name, whatever follows. */
    assert_true(
        finds(CONFIGURATION(RULE(ORIGIN("http://a") ORIGIN("*") METHOD("GET"))),
              "http://a", "GET", NULL, &match));
    assert_false(match.any_origin);
    assert_true(
        finds(CONFIGURATION(RULE(ORIGIN("http://a") ORIGIN("*") METHOD("GET"))),
              "http://b", "GET", NULL, &match));
    assert_true(match.any_origin);
}

static void test_methods_and_headers(void **state)
{
    const char *rules = CONFIGURATION(
        RULE(ORIGIN("a") METHOD("GET") ALLOW("x-Amz-*") ALLOW("Range"))
            RULE(ORIGIN("a") METHOD("PUT") METHOD("POST") ALLOW("*"))
                RULE(ORIGIN("a") METHOD("GET") ALLOW("*-last")));
    struct cors_match match;

    (void)state;
    assert_true(finds(rules, "a", "GET", NULL, &match));
    assert_true(finds(rules, "a", "GET", "", &match));
    assert_true(finds(rules, "a", "GET", "range,X-AMZ-date , ,", &match));
    assert_int_equal(match.rule->headers.count, 2);
    assert_false(finds(rules, "a", "GET", "range,x-other", &match));
    /* The first rule that allows everything, not parts of several. */
    assert_true(finds(rules, "a", "GET", "the-LAST", &match));
    assert_int_equal(match.rule->headers.count, 1);
    assert_false(finds(rules, "a", "GET", "the-last,range", &match));
    assert_true(finds(rules, "a", "POST", "anything", &match));
    assert_false(finds(rules, "a", "DELETE", NULL, &match));
    assert_false(finds(rules, "b", "GET", NULL, &match));
    assert_false(finds(CONFIGURATION(RULE(ORIGIN("*") METHOD("GET"))), "a",
                       "GET", "accept", &match));
}

/* --- operations ------------------------------------------------------------*/
static const char *content_md5(const char *text)
{
    struct digester *digester = digester_new(DIGEST_MD5);
    uint8_t md5[DIGEST_SIZE_MAX];
    char *encoded = arena_alloc(arena, 32);

    digester_update(digester, text, strlen(text));
    digester_final(digester, DIGEST_MD5, md5);
    digester_free(digester);
    base64_encode(encoded, md5, 16);
    return encoded;
}

static struct s3_case put_cors(const char *document)
{
    const char **headers = arena_zalloc(arena, 4 * sizeof(*headers));

    headers[0] = "content-md5";
    headers[1] = content_md5(document);
    return S3_CASE(PUT_BUCKET_CORS, NULL, .headers = headers, .body = document,
                   .size = strlen(document));
}

#define PREFLIGHT_OF(k, ...)                                                   \
    S3_CASE(PREFLIGHT, k, .access_key = "", .headers = FIELDS(__VA_ARGS__))

static void test_configuration(void **state)
{
    struct s3_answer answer;
    const char *document = CONFIGURATION(
        RULE("<ID>a&amp;b</ID>" METHOD("GET") METHOD("PUT") ORIGIN("http://A")
                 ORIGIN("*") ALLOW("X-Own") AGE("5") EXPOSE("ETag")));

    (void)state;
    s3_run(&fixture, &answer, S3_CASE(GET_BUCKET_CORS, NULL));
    assert_error(&answer, "NoSuchCORSConfiguration", 404);
    assert_contains(&answer, "<BucketName>b</BucketName>");
    s3_answer_free(&answer);
    s3_expect(&fixture, 204, S3_CASE(DELETE_BUCKET_CORS, NULL));
    for (unsigned i = 0; i < 2; i++) {
        s3_run(&fixture, &answer, put_cors(document));
        assert_int_equal(answer.status, 200);
        assert_int_equal(answer.body.size, 0);
        s3_answer_free(&answer);
    }
    s3_run(&fixture, &answer, S3_CASE(GET_BUCKET_CORS, NULL));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "Content-Type", "application/xml");
    assert_string_equal(strchr((char *)answer.body.data, '\n') + 1, document);
    s3_answer_free(&answer);
    s3_expect(&fixture, 204, S3_CASE(DELETE_BUCKET_CORS, NULL));
    s3_expect(&fixture, 404, S3_CASE(GET_BUCKET_CORS, NULL));
}

static void refused(struct s3_case c, const char *code)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, c);
    assert_error(&answer, code, 400);
    s3_answer_free(&answer);
    s3_expect(&fixture, 404, S3_CASE(GET_BUCKET_CORS, NULL));
}

static void test_refused_configurations(void **state)
{
    const char *good = CONFIGURATION(RULE(ORIGIN("*") METHOD("GET")));
    struct s3_case c = put_cors(good);
    char *large = arena_zalloc(arena, (64u << 10) + 2);

    (void)state;
    c.headers = NULL;
    refused(c, "InvalidRequest");
    refused(put_cors(CONFIGURATION(RULE(ORIGIN("*") METHOD("X")))),
            "InvalidRequest");
    refused(put_cors(CONFIGURATION("")), "MalformedXML");
    refused(put_cors("<CORSConfiguration>"), "MalformedXML");
    refused(put_cors("<Other/>"), "MalformedXML");
    c = put_cors("");
    c.empty_body = true;
    refused(c, "MissingRequestBodyError");
    memset(large, ' ', (64u << 10) + 1);
    memcpy(large, good, strlen(good));
    refused(put_cors(large), "MaxMessageLengthExceeded");
    c = put_cors(good);
    c.bucket = "nosuch";
    s3_expect(&fixture, 404, c);
}

static void forbidden(struct s3_case c, const char *message, const char *method,
                      const char *resource)
{
    struct s3_answer answer;
    char fields[128];

    s3_run(&fixture, &answer, c);
    assert_error(&answer, "AccessForbidden", 403);
    assert_contains(&answer, message);
    snprintf(fields, sizeof(fields),
             "<Method>%s</Method><ResourceType>%s</ResourceType>", method,
             resource);
    assert_contains(&answer, fields);
    assert_no_header(&answer, "Access-Control-Allow-Origin");
    s3_answer_free(&answer);
}

#define NOT_ENABLED "CORSResponse: CORS is not enabled for this bucket."
#define NOT_ALLOWED                                                            \
    "CORSResponse: This CORS request is not allowed. This is usually because"

static void test_refused_preflights(void **state)
{
    struct s3_answer answer;
    struct s3_case c = PREFLIGHT_OF("k", "origin", "http://a");

    (void)state;
    s3_run(&fixture, &answer, S3_CASE(PREFLIGHT, "k", .access_key = ""));
    assert_error(&answer, "BadRequest", 400);
    assert_contains(&answer, "Insufficient information. Origin request header "
                             "needed.");
    s3_answer_free(&answer);
    forbidden(c, NOT_ENABLED, "OPTIONS", "BUCKET");
    forbidden(PREFLIGHT_OF("k", "origin", "http://a",
                           "access-control-request-method", "PUT"),
              NOT_ENABLED, "PUT", "BUCKET");
    c.bucket = "nosuch";
    forbidden(c, "CORSResponse: Bucket not found", "OPTIONS", "BUCKET");
    s3_expect(&fixture, 200,
              put_cors(CONFIGURATION(RULE(ORIGIN("http://a") METHOD("PUT")))));
    s3_run(&fixture, &answer, PREFLIGHT_OF("k", "origin", "http://a"));
    assert_error(&answer, "BadRequest", 400);
    assert_contains(&answer, "Invalid Access-Control-Request-Method: null");
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           PREFLIGHT_OF("k", "origin", "http://a",
                        "access-control-request-method", "PATCH"));
    assert_error(&answer, "BadRequest", 400);
    assert_contains(&answer, "Invalid Access-Control-Request-Method: PATCH");
    s3_answer_free(&answer);
    forbidden(PREFLIGHT_OF("k", "origin", "http://b",
                           "access-control-request-method", "PUT"),
              NOT_ALLOWED, "PUT", "OBJECT");
    forbidden(PREFLIGHT_OF(NULL, "origin", "http://a",
                           "access-control-request-method", "GET"),
              NOT_ALLOWED, "GET", "BUCKET");
    forbidden(PREFLIGHT_OF("k", "origin", "http://a",
                           "access-control-request-method", "PUT",
                           "access-control-request-headers", "x"),
              NOT_ALLOWED, "PUT", "OBJECT");
}

#define VARY                                                                   \
    "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"

static void test_preflight(void **state)
{
    struct s3_answer answer;

    (void)state;
    s3_expect(&fixture, 200,
              put_cors(CONFIGURATION(RULE(ORIGIN("http://*.a.com") METHOD(
                  "GET") METHOD("PUT") ALLOW("*") AGE("3000") EXPOSE("ETag")
                                              EXPOSE("x-amz-version-id"))
                                         RULE(ORIGIN("*") METHOD("GET")))));
    s3_run(&fixture, &answer,
           PREFLIGHT_OF("no/such/key", "origin", "http://x.a.com",
                        "access-control-request-method", "PUT",
                        "access-control-request-headers",
                        "Content-Type,x-amz-Date"));
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.body.size, 0);
    assert_true(answer.has_length);
    assert_int_equal(answer.length, 0);
    assert_header(&answer, "Access-Control-Allow-Origin", "http://x.a.com");
    assert_header(&answer, "Access-Control-Allow-Methods", "GET, PUT");
    assert_header(&answer, "Access-Control-Allow-Headers",
                  "content-type, x-amz-date");
    assert_header(&answer, "Access-Control-Expose-Headers",
                  "ETag, x-amz-version-id");
    assert_header(&answer, "Access-Control-Max-Age", "3000");
    assert_header(&answer, "Access-Control-Allow-Credentials", "true");
    assert_header(&answer, "Vary", VARY);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           PREFLIGHT_OF(NULL, "origin", "http://other",
                        "access-control-request-method", "GET"));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "Access-Control-Allow-Origin", "*");
    assert_header(&answer, "Access-Control-Allow-Methods", "GET");
    assert_no_header(&answer, "Access-Control-Allow-Headers");
    assert_no_header(&answer, "Access-Control-Allow-Credentials");
    assert_no_header(&answer, "Access-Control-Max-Age");
    assert_no_header(&answer, "Access-Control-Expose-Headers");
    s3_answer_free(&answer);
}

/* The fixture's method is empty: set it as the worker does. */
static void run_as(struct s3_answer *answer, const char *method,
                   struct s3_case c)
{
    struct arena *memory = arena_new();
    Wire__Request request;
    struct s3_call *call;

    s3_request(&fixture, memory, &c, &request);
    request.method = fixture_string(method);
    call = s3_call_begin(&fixture.service, &request);
    if (s3_call_wants_body(call)) {
        s3_feed(call, c.body, c.size, 65536);
        s3_call_end(call);
    }
    s3_collect(&fixture, call, false, answer);
    arena_free(memory);
}

static void allowed(const char *method, struct s3_case c, unsigned status,
                    const char *origin)
{
    struct s3_answer answer;

    run_as(&answer, method, c);
    assert_int_equal(answer.status, status);
    if (origin != NULL) {
        assert_header(&answer, "Access-Control-Allow-Origin", origin);
        assert_header(&answer, "Vary", VARY);
    } else {
        assert_no_header(&answer, "Access-Control-Allow-Origin");
        assert_no_header(&answer, "Vary");
    }
    s3_answer_free(&answer);
}

static void test_actual_requests(void **state)
{
    struct s3_case c;

    (void)state;
    s3_expect(&fixture, 200, PUT("k", "bytes"));
    allowed("GET", GET("k", .headers = FIELDS("origin", "http://a")), 200,
            NULL);
    s3_expect(&fixture, 200,
              put_cors(CONFIGURATION(RULE(ORIGIN("http://a") METHOD("GET")
                                              METHOD("HEAD") EXPOSE("ETag"))
                                         RULE(ORIGIN("*.put") METHOD("PUT")))));
    allowed("GET", GET("k"), 200, NULL);
    allowed("GET", GET("k", .headers = FIELDS("origin", "http://a")), 200,
            "http://a");
    allowed("HEAD", HEAD("k", .headers = FIELDS("origin", "http://a")), 200,
            "http://a");
    allowed("GET", GET("k", .headers = FIELDS("origin", "http://b")), 200,
            NULL);
    allowed("PUT", PUT("k", "new", .headers = FIELDS("origin", "http://a")),
            200, NULL);
    allowed("PUT", PUT("k", "new", .headers = FIELDS("origin", "x.put")), 200,
            "x.put");
    /* Refusals, too: without an object, a key or a right. */
    allowed("GET", GET("nosuch", .headers = FIELDS("origin", "http://a")), 404,
            "http://a");
    allowed("HEAD", HEAD("nosuch", .headers = FIELDS("origin", "http://a")),
            404, "http://a");
    allowed("GET",
            GET("k", .headers = FIELDS("origin", "http://a"), .access_key = ""),
            403, "http://a");
    allowed("GET",
            GET("k", .headers = FIELDS("origin", "http://a"),
                .access_key = "AKIANOSUCH"),
            403, "http://a");
    c = GET("k", .headers = FIELDS("origin", "http://a"));
    c.bucket = "nosuch";
    allowed("GET", c, 404, NULL);
    /* What a preflight would ask decides where it is sent along. */
    allowed("PUT",
            PUT("k", "new",
                .headers = FIELDS("origin", "http://a",
                                  "access-control-request-method", "GET")),
            200, "http://a");
    allowed("GET",
            GET("k", .headers = FIELDS("origin", "http://a",
                                       "access-control-request-method", "PUT")),
            200, NULL);
    allowed(
        "GET",
        GET("k", .headers = FIELDS("origin", "http://a",
                                   "access-control-request-headers", "x-own")),
        200, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_invalid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_origins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_methods_and_headers, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_configurations, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_refused_preflights, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_preflight, setup, teardown),
        cmocka_unit_test_setup_teardown(test_actual_requests, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
