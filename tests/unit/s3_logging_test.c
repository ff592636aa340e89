/* Access logs: the setting, the line, the delivery and its bounds. */
#include "s3_fixture.h"

#include <regex.h>

#define ENABLED(inner)                                                         \
    "<BucketLoggingStatus><LoggingEnabled>" inner                              \
    "</LoggingEnabled></BucketLoggingStatus>"
#define TARGET(bucket, prefix)                                                 \
    "<TargetBucket>" bucket "</TargetBucket><TargetPrefix>" prefix             \
    "</TargetPrefix>"
#define OTHER_KEY    "AKIAFIXTURE000000002"
#define OTHER_SECRET "fixture/secret/key/of/another/user000000"

static struct s3_fixture fixture;

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    fixture.service.access_log =
        s3_access_log_open(&fixture.service, 3600 * 1000);
    s3_make_bucket(&fixture, "b");
    s3_make_bucket(&fixture, "logs");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_access_log_close(fixture.service.access_log);
    s3_fixture_close(&fixture);
    return 0;
}

#define SET(document)                                                          \
    S3_CASE(PUT_BUCKET_LOGGING, NULL, .body = document,                        \
            .size = strlen(document))

static void fails(struct s3_case c, const char *code, unsigned status)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, c);
    assert_error(&answer, code, status);
    s3_answer_free(&answer);
}

/* As the server does it: runs, and logs what was answered. */
static void run_logged(struct s3_case c, unsigned status,
                       void (*change)(Wire__Request *request))
{
    struct arena *arena = arena_new();
    Wire__Request request;
    struct s3_answer answer = {0};
    struct s3_piece piece;
    struct s3_call *call;

    s3_request(&fixture, arena, &c, &request);
    if (change != NULL) {
        change(&request);
    }
    call = s3_call_begin(&fixture.service, &request);
    if (s3_call_wants_body(call)) {
        s3_feed(call, c.body, c.size, 65536);
        s3_call_end(call);
    }
    assert_int_equal(s3_call_reply(call)->status, status);
    do {
        s3_call_next(call, &piece);
    } while (piece.kind != S3_PIECE_END);
    s3_call_log(call, status);
    s3_call_free(call);
    s3_answer_free(&answer);
    arena_free(arena);
}

/* The keys of a bucket, each with a line break; the caller frees it. */
static char *keys_of(const char *bucket)
{
    struct s3_answer answer;
    struct buffer keys = {NULL, 0, 0};
    const char *at;

    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__LIST_OBJECTS,
                            .bucket = bucket});
    assert_int_equal(answer.status, 200);
    at = (const char *)answer.body.data;
    while ((at = strstr(at, "<Key>")) != NULL) {
        const char *end = strstr(at, "</Key>");

        buffer_append(&keys, at + 5, (size_t)(end - at - 5));
        buffer_append_string(&keys, "\n");
        at = end;
    }
    buffer_append(&keys, "", 1);
    s3_answer_free(&answer);
    return (char *)keys.data;
}

static void matches(const char *text, const char *pattern)
{
    regex_t regex;

    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, text, 0, NULL, 0) != 0) {
        fail_msg("'%s' does not match '%s'", text, pattern);
    }
    regfree(&regex);
}

/* The one log there is. */
static void one_log(const char *key_pattern, struct s3_answer *log)
{
    char *keys = keys_of("logs");

    matches(keys, key_pattern);
    assert_ptr_equal(strchr(keys, '\n'), keys + strlen(keys) - 1);
    keys[strlen(keys) - 1] = '\0';
    s3_run(&fixture, log,
           (struct s3_case){.operation = WIRE__OPERATION__GET_OBJECT,
                            .bucket = "logs",
                            .key = keys});
    assert_int_equal(log->status, 200);
    free(keys);
}

/* --- the setting -----------------------------------------------------------*/
static void test_setting(void **state)
{
    struct s3_answer answer;
    (void)state;
    s3_expect(&fixture, 200, SET(ENABLED(TARGET("logs", "p/"))));
    s3_run(&fixture, &answer, S3_CASE(GET_BUCKET_LOGGING, NULL));
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, "2006-03-01/\"><LoggingEnabled>" TARGET(
                                 "logs", "p/") "</LoggingEnabled></");
    s3_answer_free(&answer);
    s3_expect(&fixture, 200,
              SET(ENABLED("<TargetObjectKeyFormat><PartitionedPrefix/>"
                          "</TargetObjectKeyFormat><TargetGrants/>" TARGET(
                              "logs", ""))));
    s3_run(&fixture, &answer, S3_CASE(GET_BUCKET_LOGGING, NULL));
    assert_contains(&answer, "<TargetObjectKeyFormat><PartitionedPrefix>"
                             "<PartitionDateSource>EventTime"
                             "</PartitionDateSource></PartitionedPrefix>"
                             "</TargetObjectKeyFormat>");
    s3_answer_free(&answer);
    s3_expect(&fixture, 200, SET("<BucketLoggingStatus/>"));
    s3_run(&fixture, &answer, S3_CASE(GET_BUCKET_LOGGING, NULL));
    assert_null(strstr((char *)answer.body.data, "LoggingEnabled"));
    s3_answer_free(&answer);
}

#define GRANT(permission)                                                      \
    "<Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" " \
    "xsi:type=\"Group\"><URI>"                                                 \
    "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"                \
    "</URI></Grantee><Permission>" permission "</Permission></Grant>"
#define GRANTED                                                                \
    ENABLED(TARGET("logs", "p") "<TargetGrants>" GRANT("READ")                 \
                GRANT("FULL_CONTROL") "</TargetGrants>")

static void test_setting_refused(void **state)
{
    static const char *const malformed[] = {
        "<Other/>",
        "<BucketLoggingStatus>text</BucketLoggingStatus>",
        "<BucketLoggingStatus><Other/></BucketLoggingStatus>",
        ENABLED(""),
        ENABLED("<TargetBucket>logs</TargetBucket>"),
        ENABLED("<TargetPrefix/>"),
        ENABLED("<TargetBucket/><TargetPrefix/>"),
        ENABLED(TARGET("logs", "p") "<TargetPrefix>q</TargetPrefix>"),
        ENABLED(TARGET("logs", "p") "<Other/>"),
        ENABLED(TARGET("logs", "p") "<TargetObjectKeyFormat/>"),
        ENABLED(TARGET("logs", "p") "<TargetObjectKeyFormat><Other/>"
                                    "</TargetObjectKeyFormat>"),
        ENABLED(TARGET("logs", "p") "<TargetObjectKeyFormat><SimplePrefix/>"
                                    "<PartitionedPrefix/>"
                                    "</TargetObjectKeyFormat>"),
        ENABLED(TARGET("logs", "p") "<TargetObjectKeyFormat><PartitionedPrefix>"
                                    "<PartitionDateSource>Noon"
                                    "</PartitionDateSource></PartitionedPrefix>"
                                    "</TargetObjectKeyFormat>"),
    };
    struct s3_answer answer;
    uint64_t generation;
    struct arena *arena = arena_new();
    struct meta_batch *batch = meta_batch_new(fixture.service.meta);
    struct iam_identity identity;
    Meta__Bucket *bucket;
    (void)state;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        fails(SET(malformed[i]), "MalformedXML", 400);
    }
    fails(SET(ENABLED(TARGET("logs", "p") "<TargetGrants><Grant/>"
                                          "</TargetGrants>")),
          "MalformedACLError", 400);
    fails(SET(ENABLED(TARGET("logs", "p") "<TargetGrants>" GRANT(
              "READ_ACP") "</TargetGrants>")),
          "MalformedXML", 400);
    s3_run(&fixture, &answer, SET(ENABLED(TARGET("nosuch", "p"))));
    assert_error(&answer, "InvalidTargetBucketForLogging", 400);
    assert_contains(&answer, "<TargetBucket>nosuch</TargetBucket>");
    s3_answer_free(&answer);
    /* A bucket of somebody else's. */
    generation =
        s3_add_account(&fixture, "other", false, OTHER_KEY, OTHER_SECRET);
    assert_int_equal(iam_authenticate(fixture.service.iam,
                                      slice_from_string(OTHER_KEY), generation,
                                      (struct slice){0}, &identity),
                     0);
    assert_int_equal(meta_get_bucket(fixture.service.meta, arena,
                                     SLICE_LITERAL("logs"), &bucket),
                     0);
    bucket->owner = fixture_string(identity.user);
    meta_put_bucket(batch, bucket);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    s3_run(&fixture, &answer, SET(ENABLED(TARGET("logs", "p"))));
    assert_error(&answer, "InvalidTargetBucketForLogging", 400);
    assert_contains(&answer, "must be the same.");
    s3_answer_free(&answer);
    arena_free(arena);
}

/* --- the line --------------------------------------------------------------*/
static void browser(Wire__Request *request)
{
    request->method = fixture_string("GET");
    request->resource = fixture_string("/b/a%20key");
    request->source_ip = fixture_string("192.0.2.3");
    request->http_version = fixture_string("HTTP/1.1");
    request->secure = true;
    request->tls_version = fixture_string("TLSv1.3");
    request->tls_cipher = fixture_string("TLS_AES_256_GCM_SHA384");
    request->presigned = true;
}

static void test_line(void **state)
{
    struct s3_answer log;
    (void)state;
    s3_expect(&fixture, 200, SET(ENABLED(TARGET("logs", "p/"))));
    s3_expect(&fixture, 200, PUT("a key", "hello world"));
    run_logged(
        GET("a key",
            .args = FIELDS("response-content-type", "a b", "X-Amz-Signature",
                           "deadbeef", "x-amz-credential", "AKIASECRET",
                           "X-Amz-Security-Token", "sesame"),
            .headers = FIELDS("range", "bytes=0-4", "user-agent",
                              "a \"quoted\" agent", "referer", "http://x/\n")),
        206, browser);
    s3_access_log_deliver(fixture.service.access_log, true);
    one_log("^p/[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{2}-[0-9]{2}-[0-9]{2}-"
            "[0-9A-F]{16}\n$",
            &log);
    matches((char *)log.body.data,
            "^[0-9a-f]{64} b "
            "\\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} "
            "\\+0000\\] 192\\.0\\.2\\.3 [0-9a-f]{64} 0123456789ABCDEF "
            "REST\\.GET\\.OBJECT a%20key "
            "\"GET /b/a%20key\\?response-content-type=a%20b&"
            "X-Amz-Signature=-&x-amz-credential=-&X-Amz-Security-Token=- "
            "HTTP/1\\.1\" 206 - 5 11 [0-9]+ [0-9]+ \"http://x/%0A\" "
            "\"a %22quoted%22 agent\" - 0123456789ABCDEF SigV4 "
            "TLS_AES_256_GCM_SHA384 QueryString s3\\.test TLSv1\\.3 - - "
            "us-east-1\n$");
    assert_header(&log, "Content-Type", "text/plain");
    s3_answer_free(&log);
}

/* Also what was refused; an anonymous caller has no name. */
static void test_refused_requests(void **state)
{
    struct s3_answer log;
    (void)state;
    s3_expect(&fixture, 200, SET(ENABLED(TARGET("logs", "p/"))));
    run_logged(GET("absent"), 404, browser);
    run_logged(GET("absent", .access_key = ""), 403, browser);
    s3_access_log_deliver(fixture.service.access_log, true);
    one_log("^p/", &log);
    matches((char *)log.body.data, " 404 NoSuchKey [0-9]+ - ");
    matches(
        (char *)log.body.data,
        "192\\.0\\.2\\.3 - 0123456789ABCDEF REST\\.GET\\.OBJECT absent "
        "\"GET /b/a%20key HTTP/1\\.1\" 403 AccessDenied [0-9]+ - [0-9]+ "
        "[0-9]+ \"-\" \"-\" - 0123456789ABCDEF - TLS_AES_256_GCM_SHA384 - ");
    s3_answer_free(&log);
}

/* --- delivery --------------------------------------------------------------*/
static void log_grants(const char *first, const char *second)
{
    struct s3_answer keys, list;
    char key[64];
    const char *at;

    run_logged(GET("absent"), 404, NULL);
    s3_access_log_deliver(fixture.service.access_log, true);
    s3_run(&fixture, &keys,
           (struct s3_case){.operation = WIRE__OPERATION__LIST_OBJECTS,
                            .bucket = "logs"});
    at = strstr((char *)keys.body.data, "<Key>");
    assert_non_null(at);
    snprintf(key, sizeof(key), "%.*s", (int)strcspn(at + 5, "<"), at + 5);
    s3_answer_free(&keys);
    s3_run(&fixture, &list,
           (struct s3_case){.operation = WIRE__OPERATION__GET_OBJECT_ACL,
                            .bucket = "logs",
                            .key = key});
    assert_int_equal(list.status, 200);
    assert_contains(&list, first);
    assert_contains(&list, second);
    s3_answer_free(&list);
    s3_expect(&fixture, 204,
              (struct s3_case){.operation = WIRE__OPERATION__DELETE_OBJECT,
                               .bucket = "logs",
                               .key = key});
}

static void test_grants(void **state)
{
    static const char enforced[] =
        "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced"
        "</ObjectOwnership></Rule></OwnershipControls>";
    struct s3_answer answer;
    struct s3_case close =
        S3_CASE(PUT_BUCKET_OWNERSHIP_CONTROLS, NULL, .body = enforced,
                .size = sizeof(enforced) - 1);

    (void)state;
    s3_expect(&fixture, 200, SET(GRANTED));
    s3_run(&fixture, &answer, S3_CASE(GET_BUCKET_LOGGING, NULL));
    assert_contains(&answer, TARGET("logs", "p") "<TargetGrants>" GRANT("READ")
                                 GRANT("FULL_CONTROL") "</TargetGrants>");
    s3_answer_free(&answer);
    log_grants("<AccessControlList>" GRANT("FULL_CONTROL") GRANT("READ"), "");
    close.bucket = "logs";
    s3_expect(&fixture, 200, close);
    fails(SET(GRANTED), "AccessControlListNotSupported", 400);
    /* The setting is from before: logs come without grants. */
    log_grants("xsi:type=\"CanonicalUser\"",
               "<Permission>FULL_CONTROL</Permission></Grant>"
               "</AccessControlList>");
}

static void test_partitioned(void **state)
{
    struct s3_answer log;
    (void)state;
    s3_expect(&fixture, 200,
              SET(ENABLED(TARGET("logs", "x-") "<TargetObjectKeyFormat>"
                                               "<PartitionedPrefix/>"
                                               "</TargetObjectKeyFormat>")));
    run_logged(GET("absent"), 404, NULL);
    s3_access_log_deliver(fixture.service.access_log, true);
    one_log("^x-[0-9a-f]{64}/us-east-1/b/[0-9]{4}/[0-9]{2}/[0-9]{2}/"
            "[0-9]{4}-[0-9]{2}-[0-9]{2}-00-00-00-[0-9A-F]{16}\n$",
            &log);
    s3_answer_free(&log);
}

static void test_due(void **state)
{
    struct s3_access_log *log = fixture.service.access_log;
    char *keys;
    (void)state;
    s3_expect(&fixture, 200, SET(ENABLED(TARGET("logs", "p/"))));
    run_logged(GET("absent"), 404, NULL);
    assert_false(s3_access_log_due(log));
    s3_access_log_deliver(log, false);
    keys = keys_of("logs");
    assert_string_equal(keys, "");
    free(keys);
    for (unsigned i = 0; !s3_access_log_due(log); i++) {
        assert_true(i < 20000);
        run_logged(GET("absent"), 404, NULL);
    }
    s3_access_log_deliver(log, false);
    assert_false(s3_access_log_due(log));
    keys = keys_of("logs");
    matches(keys, "^p/[^\n]*\n$");
    free(keys);
    /* A log of one's own deliveries would never end. */
    s3_access_log_deliver(log, true);
    keys = keys_of("logs");
    matches(keys, "^p/[^\n]*\n$");
    free(keys);
}

/* What cannot be stored is kept, up to the bound, and stored later. */
static void test_bound(void **state)
{
    char long_key[1025];
    struct s3_answer log;
    size_t lines = 0;
    (void)state;
    memset(long_key, 'k', 1024);
    long_key[1024] = '\0';
    s3_expect(&fixture, 200, SET(ENABLED(TARGET("logs", "p/"))));
    run_logged(GET("the first"), 404, NULL);
    for (unsigned i = 0; i < 5000; i++) { /* 6 MiB */
        run_logged(GET(long_key), 404, NULL);
    }
    run_logged(GET("the last"), 404, NULL);
    s3_access_log_deliver(fixture.service.access_log, true);
    one_log("^p/", &log);
    assert_true(log.body.size <= 4u << 20);
    assert_true(log.body.size > 2u << 20);
    assert_null(strstr((char *)log.body.data, " the%20first "));
    assert_non_null(strstr((char *)log.body.data, " the%20last "));
    for (size_t i = 0; i < log.body.size; i++) {
        lines += log.body.data[i] == '\n';
    }
    assert_true(lines > 2000 && lines < 5000);
    s3_answer_free(&log);
}

static void test_retry(void **state)
{
    struct kv *kv = meta_kv(fixture.service.meta);
    const char *tmp = "/tmp";
    struct s3_answer log;
    (void)state;
    s3_expect(&fixture, 200, SET(ENABLED(TARGET("logs", "p/"))));
    run_logged(GET("before"), 404, NULL);
    kv_set_reserve(kv, &tmp, 1, 1ull << 60); /* no room for a record */
    s3_access_log_deliver(fixture.service.access_log, true);
    run_logged(GET("after"), 404, NULL);
    s3_access_log_deliver(fixture.service.access_log, true);
    kv_set_reserve(kv, &tmp, 1, 0);
    s3_access_log_deliver(fixture.service.access_log, true);
    one_log("^p/", &log);
    matches((char *)log.body.data, " before .* after ");
    s3_answer_free(&log);
}

static void test_target_gone(void **state)
{
    char *keys;
    (void)state;
    s3_expect(&fixture, 200, SET(ENABLED(TARGET("logs", "p/"))));
    run_logged(GET("absent"), 404, NULL);
    s3_expect(&fixture, 200, SET("<BucketLoggingStatus/>"));
    s3_access_log_deliver(fixture.service.access_log, true);
    keys = keys_of("logs");
    assert_string_equal(keys, "");
    free(keys);
    s3_expect(&fixture, 200, SET(ENABLED(TARGET("logs", "p/"))));
    run_logged(GET("absent"), 404, NULL);
    s3_expect(&fixture, 204,
              (struct s3_case){.operation = WIRE__OPERATION__DELETE_BUCKET,
                               .bucket = "logs"});
    log_set_level(LOG_LEVEL_ERROR);
    s3_access_log_deliver(fixture.service.access_log, true);
    s3_make_bucket(&fixture, "logs");
    keys = keys_of("logs");
    assert_string_equal(keys, "");
    free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_setting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_setting_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_grants, setup, teardown),
        cmocka_unit_test_setup_teardown(test_partitioned, setup, teardown),
        cmocka_unit_test_setup_teardown(test_due, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_target_gone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
