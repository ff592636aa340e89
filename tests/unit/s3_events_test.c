/* What each operation tells of. */
#include "s3_events_fixture.h"

static struct s3_fixture fixture;
static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = s3_events_begin(&fixture);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_events_end(&fixture, arena);
    return 0;
}

static void configure(const char *events)
{
    Meta__Event **tests;
    size_t count;

    s3_expect(&fixture, 200, s3_notify(&fixture, "b", events));
    s3_take_events(&fixture, arena, &tests, &count);
    assert_int_equal(count, 1);
}

static void enable_versions(void)
{
    static const char enable[] =
        "<VersioningConfiguration><Status>Enabled</Status>"
        "</VersioningConfiguration>";

    s3_expect(
        &fixture, 200,
        (struct s3_case){.operation = WIRE__OPERATION__PUT_BUCKET_VERSIONING,
                         .bucket = "b",
                         .body = enable,
                         .size = strlen(enable)});
}

/* Without "s3:Object" or "s3:". */
static const char *short_name(Meta__EventType type)
{
    const char *name = events_type_name(type);

    return strncmp(name, "s3:Object", 9) == 0 ? name + 9 : name + 3;
}

/* What is waiting, as lines "type key size etag version", and takes it. */
static void told(const char *expected)
{
    struct buffer lines = {0};
    Meta__Event **events;
    size_t count;

    s3_take_events(&fixture, arena, &events, &count);
    for (size_t i = 0; i < count; i++) {
        const Meta__Event *event = events[i];

        buffer_printf(&lines, "%s %.*s %u %.*s %s\n", short_name(event->type),
                      (int)event->key.len, (const char *)event->key.data,
                      (unsigned)event->size, (int)event->etag.len,
                      (const char *)event->etag.data,
                      event->version_id.len == 0    ? "-"
                      : event->version_id.len == 32 ? "version"
                                                    : "null");
    }
    buffer_append(&lines, "", 1);
    assert_string_equal((char *)lines.data, expected);
    buffer_free(&lines);
}

#define HELLO "5d41402abc4b2a76b9719d911017c592"

static struct s3_case with_md5(Wire__Operation operation, const char *key,
                               const char *document)
{
    struct digester *digester = digester_new(DIGEST_MD5);
    uint8_t md5[DIGEST_SIZE_MAX];
    static char text[32];
    static const char *headers[] = {"content-md5", text, NULL};

    digester_update(digester, document, strlen(document));
    digester_final(digester, DIGEST_MD5, md5);
    digester_free(digester);
    base64_encode(text, md5, 16);
    return (struct s3_case){.operation = operation,
                            .bucket = "b",
                            .key = key,
                            .headers = headers,
                            .body = document,
                            .size = strlen(document)};
}

#define TAGGING                                                                \
    "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet>"        \
    "</Tagging>"

static void test_objects(void **state)
{
    (void)state;
    configure(ALL_EVENTS);
    s3_expect(&fixture, 200, PUT("k", "hello"));
    told("Created:Put k 5 " HELLO " -\n");
    s3_expect(&fixture, 200, PUT("k", "hello")); /* nothing is removed */
    told("Created:Put k 5 " HELLO " -\n");
    s3_expect(&fixture, 200,
              S3_CASE(COPY_OBJECT, "c",
                      .headers = FIELDS("x-amz-copy-source", "/b/k")));
    told("Created:Copy c 5 " HELLO " -\n");
    s3_expect(&fixture, 200,
              with_md5(WIRE__OPERATION__PUT_OBJECT_TAGGING, "k", TAGGING));
    told("Tagging:Put k 5 " HELLO " -\n");
    s3_expect(&fixture, 204, S3_CASE(DELETE_OBJECT_TAGGING, "k"));
    told("Tagging:Delete k 5 " HELLO " -\n");
    s3_expect(&fixture, 200,
              S3_CASE(PUT_OBJECT_ACL, "k",
                      .headers = FIELDS("x-amz-acl", "public-read")));
    told("Acl:Put k 5 " HELLO " -\n");
    s3_expect(&fixture, 200, GET("k"));
    s3_expect(&fixture, 200, HEAD("k"));
    told("");
    s3_expect(&fixture, 204, DELETE("k"));
    told("Removed:Delete k 0  -\n");
    s3_expect(&fixture, 204, DELETE("k")); /* nothing changes */
    told("");
}

static void test_refused_requests_tell_nothing(void **state)
{
    (void)state;
    configure(ALL_EVENTS);
    s3_expect(&fixture, 200, PUT("k", "hello"));
    told("Created:Put k 5 " HELLO " -\n");
    s3_expect(&fixture, 412,
              PUT("k", "other", .headers = FIELDS("if-none-match", "*")));
    s3_expect(&fixture, 412,
              DELETE("k", .headers = FIELDS("if-match", "\"x\"")));
    s3_expect(
        &fixture, 400,
        PUT("k", "hello",
            .headers = FIELDS("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")));
    s3_expect(&fixture, 404, S3_CASE(DELETE_OBJECT_TAGGING, "none"));
    told("");
}

static void test_extensions(void **state)
{
    (void)state;
    configure(ALL_EVENTS);
    s3_expect(
        &fixture, 200,
        PUT("k", "hello", .headers = FIELDS("x-amz-write-offset-bytes", "0")));
    told("Created:Put k 5 " HELLO " -\n");
    s3_expect(&fixture, 200,
              S3_CASE(RENAME_OBJECT, "new",
                      .headers = FIELDS("x-amz-rename-source", "k")));
    told("Created:Copy new 5 " HELLO " -\nRemoved:Delete k 0  -\n");
}

/* The tags of what is waiting, a line each, and takes it. */
static void told_tags(const char *expected)
{
    struct buffer lines = {0};
    Meta__Event **events;
    size_t count;

    s3_take_events(&fixture, arena, &events, &count);
    for (size_t i = 0; i < count; i++) {
        buffer_printf(&lines, "%.*s\n", (int)events[i]->cache_tags.len,
                      (const char *)events[i]->cache_tags.data);
    }
    buffer_append(&lines, "", 1);
    assert_string_equal((char *)lines.data, expected);
    buffer_free(&lines);
}

static void test_cache_tags(void **state)
{
    (void)state;
    configure(ALL_EVENTS);
    s3_expect(&fixture, 200,
              PUT("k", "hello",
                  .headers = FIELDS("x-amz-meta-cache-tag", "a,b, c",
                                    "x-amz-meta-other", "d")));
    told_tags("a b c\n");
    s3_expect(&fixture, 200,
              PUT("k", "hello",
                  .headers = FIELDS("x-amz-meta-surrogate-key", "e f")));
    told_tags("a b c e f\n"); /* of the old one, and of the new one */
    s3_expect(&fixture, 200,
              S3_CASE(RENAME_OBJECT, "new",
                      .headers = FIELDS("x-amz-rename-source", "k")));
    told_tags("e f\ne f\n");
    s3_expect(&fixture, 204, DELETE("new"));
    told_tags("e f\n");
    s3_expect(&fixture, 200, PUT("k", "hello"));
    told_tags("\n");
    enable_versions();
    s3_expect(
        &fixture, 200,
        PUT("k", "hello", .headers = FIELDS("x-amz-meta-cache-tag", ",, g ,")));
    told_tags("g\n");
    s3_expect(&fixture, 204, DELETE("k")); /* a marker */
    told_tags("g\n");
}

/* The text of the first element of this name. */
static const char *element(const struct s3_answer *answer, const char *name)
{
    const char *at = strstr((const char *)answer->body.data, name);

    assert_non_null(at);
    at += strlen(name) + 1;
    return arena_string(arena, slice_of(at, strcspn(at, "<")));
}

static void test_uploads(void **state)
{
    struct s3_answer answer;
    const char *id, *document;

    (void)state;
    configure(ALL_EVENTS);
    s3_run(&fixture, &answer, S3_CASE(CREATE_MULTIPART_UPLOAD, "m"));
    id = element(&answer, "<UploadId");
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           S3_CASE(UPLOAD_PART, "m",
                   .args = FIELDS("uploadId", id, "partNumber", "1"),
                   .body = "hello", .size = 5));
    assert_int_equal(answer.status, 200);
    s3_answer_free(&answer);
    told("");
    document = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
               "<ETag>" HELLO "</ETag></Part></CompleteMultipartUpload>";
    for (int i = 0; i < 2; i++) { /* the second is answered from memory */
        s3_expect(&fixture, 200,
                  S3_CASE(COMPLETE_MULTIPART_UPLOAD, "m",
                          .args = FIELDS("uploadId", id), .body = document,
                          .size = strlen(document)));
    }
    told("Created:CompleteMultipartUpload m 5 "
         "62109206880d38a4010a98e11243924a-1 -\n");
}

static void test_several_at_once(void **state)
{
    (void)state;
    s3_expect(&fixture, 200, PUT("a", "1"));
    s3_expect(&fixture, 200, PUT("b", "1"));
    configure(ALL_EVENTS);
    s3_expect(&fixture, 200,
              with_md5(WIRE__OPERATION__DELETE_OBJECTS, NULL,
                       "<Delete><Object><Key>a</Key></Object><Object>"
                       "<Key>none</Key></Object><Object><Key>b</Key></Object>"
                       "</Delete>"));
    told("Removed:Delete a 0  -\nRemoved:Delete b 0  -\n");
}

static void test_versions(void **state)
{
    struct s3_answer answer;
    const char *id;

    (void)state;
    s3_expect(&fixture, 200, PUT("k", "hello"));
    enable_versions();
    configure(ALL_EVENTS);
    s3_run(&fixture, &answer, PUT("k", "hello"));
    id = arena_string(
        arena, slice_from_string(s3_header(&answer, "x-amz-version-id")));
    s3_answer_free(&answer);
    told("Created:Put k 5 " HELLO " version\n");
    s3_expect(&fixture, 204, DELETE("k"));
    told("Removed:DeleteMarkerCreated k 0  version\n");
    s3_expect(&fixture, 200,
              S3_CASE(PUT_OBJECT_ACL, "k", .args = FIELDS("versionId", id),
                      .headers = FIELDS("x-amz-acl", "private")));
    told("Acl:Put k 5 " HELLO " version\n");
    s3_expect(&fixture, 204, DELETE("k", .args = FIELDS("versionId", id)));
    told("Removed:Delete k 0  version\n");
    s3_expect(&fixture, 204, DELETE("k", .args = FIELDS("versionId", "null")));
    told("Removed:Delete k 0  null\n");
    s3_expect(&fixture, 204, DELETE("k", .args = FIELDS("versionId", id)));
    told("");
}

static void test_who_and_where(void **state)
{
    struct s3_case c = PUT("k", "hello");
    struct s3_answer answer;
    Wire__Request request;
    Meta__Event **events;
    struct s3_call *call;
    char account[13], who[32];
    uint64_t now = clock_wall_ms();
    size_t count;

    (void)state;
    configure(ALL_EVENTS);
    s3_account(&fixture, account);
    snprintf(who, sizeof(who), "AWS:%s", account);
    s3_request(&fixture, arena, &c, &request);
    request.source_ip = fixture_string("192.0.2.7");
    call = s3_call_begin(&fixture.service, &request);
    s3_feed(call, c.body, c.size, c.size);
    s3_call_end(call);
    s3_collect(&fixture, call, false, &answer);
    assert_int_equal(answer.status, 200);
    s3_answer_free(&answer);
    s3_take_events(&fixture, arena, &events, &count);
    assert_int_equal(count, 1);
    assert_memory_equal(events[0]->requester.data, who, strlen(who));
    assert_memory_equal(events[0]->source_ip.data, "192.0.2.7", 9);
    assert_memory_equal(events[0]->request_id.data, "0123456789ABCDEF", 16);
    assert_memory_equal(events[0]->configuration.data, "rule", 4);
    assert_memory_equal(events[0]->region.data, FIXTURE_REGION,
                        strlen(FIXTURE_REGION));
    assert_int_equal(events[0]->bucket_owner.len, 64);
    assert_in_range(events[0]->time_ms, now, clock_wall_ms());
}

static void test_filters(void **state)
{
    (void)state;
    configure("<Event>s3:ObjectCreated:Put</Event><Filter><S3Key><FilterRule>"
              "<Name>prefix</Name><Value>a</Value></FilterRule><FilterRule>"
              "<Name>suffix</Name><Value>z</Value></FilterRule></S3Key>"
              "</Filter>");
    s3_expect(&fixture, 200, PUT("az", "hello"));
    s3_expect(&fixture, 200, PUT("a", "hello"));
    s3_expect(&fixture, 200, PUT("z", "hello"));
    s3_expect(&fixture, 200,
              S3_CASE(COPY_OBJECT, "abz",
                      .headers = FIELDS("x-amz-copy-source", "/b/az")));
    s3_expect(&fixture, 204, DELETE("az"));
    told("Created:Put az 5 " HELLO " -\n");
}

/* --- a full outbox ---------------------------------------------------------*/
static void counts(struct events_counts *counts)
{
    events_count(events_target(fixture.service.events, 0), counts);
}

static void limit(uint64_t events, enum events_overflow overflow)
{
    s3_close_events(&fixture);
    s3_open_events(&fixture, events, overflow);
    configure(ALL_EVENTS);
}

static void slow_down(struct s3_case c)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, c);
    assert_error(&answer, "SlowDown", 503);
    s3_answer_free(&answer);
}

/* What comes of several requests, or makes a delete marker. */
static void test_block_later(void **state)
{
    const char *id, *document;
    struct s3_answer answer;

    (void)state;
    limit(1, EVENTS_BLOCK);
    s3_run(&fixture, &answer, S3_CASE(CREATE_MULTIPART_UPLOAD, "m"));
    id = element(&answer, "<UploadId");
    s3_answer_free(&answer);
    s3_expect(&fixture, 200,
              S3_CASE(UPLOAD_PART, "m",
                      .args = FIELDS("uploadId", id, "partNumber", "1"),
                      .body = "hello", .size = 5));
    s3_expect(&fixture, 200, PUT("k", "hello"));
    document = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
               "<ETag>" HELLO "</ETag></Part></CompleteMultipartUpload>";
    const struct s3_case complete =
        S3_CASE(COMPLETE_MULTIPART_UPLOAD, "m", .args = FIELDS("uploadId", id),
                .body = document, .size = strlen(document));
    slow_down(complete);
    slow_down(S3_CASE(COPY_OBJECT, "c",
                      .headers = FIELDS("x-amz-copy-source", "/b/k")));
    slow_down(
        PUT("k", "more", .headers = FIELDS("x-amz-write-offset-bytes", "5")));
    enable_versions();
    slow_down(DELETE("k"));
    s3_expect(&fixture, 200, GET("k"));
    told("Created:Put k 5 " HELLO " -\n");
    s3_expect(&fixture, 200, complete);
    s3_expect(&fixture, 200, GET("m"));
}

static void test_block(void **state)
{
    struct events_counts count;
    struct s3_answer answer;

    (void)state;
    limit(2, EVENTS_BLOCK);
    s3_expect(&fixture, 200, PUT("a", "1"));
    s3_expect(&fixture, 200, PUT("b", "1"));
    slow_down(PUT("c", "1"));
    s3_expect(&fixture, 404, GET("c"));
    slow_down(DELETE("a"));
    slow_down(S3_CASE(DELETE_OBJECT_TAGGING, "a"));
    slow_down(S3_CASE(PUT_OBJECT_ACL, "a",
                      .headers = FIELDS("x-amz-acl", "private")));
    slow_down(S3_CASE(RENAME_OBJECT, "c",
                      .headers = FIELDS("x-amz-rename-source", "a")));
    s3_run(&fixture, &answer,
           with_md5(WIRE__OPERATION__DELETE_OBJECTS, NULL,
                    "<Delete><Object><Key>a</Key></Object></Delete>"));
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, "<Code>SlowDown</Code>");
    s3_answer_free(&answer);
    s3_expect(&fixture, 200, GET("a"));
    counts(&count);
    assert_int_equal(count.backlog.events, 2);
    assert_true(count.refused >= 6);
    assert_int_equal(count.dropped, 0);
    s3_expect(&fixture, 200,
              s3_notify(&fixture, "b",
                        "<Event>s3:ObjectAcl:Put"
                        "</Event>"));
    s3_expect(&fixture, 200, PUT("c", "1")); /* nobody is told */
    s3_expect(&fixture, 200, s3_notify(&fixture, "b", ALL_EVENTS));
    told("Created:Put a 1 c4ca4238a0b923820dcc509a6f75849b -\n"
         "Created:Put b 1 c4ca4238a0b923820dcc509a6f75849b -\n"
         "TestEvent  0  -\n"
         "TestEvent  0  -\n");
    s3_expect(&fixture, 204, DELETE("a")); /* there is room again */
    told("Removed:Delete a 0  -\n");
}

static void test_drop(void **state)
{
    struct events_counts count;

    (void)state;
    limit(2, EVENTS_DROP);
    s3_expect(&fixture, 200, PUT("a", "hello"));
    s3_expect(&fixture, 200, PUT("b", "hello"));
    s3_expect(&fixture, 200, PUT("c", "hello"));
    s3_expect(&fixture, 200, PUT("d", "hello"));
    counts(&count);
    assert_int_equal(count.backlog.events, 2);
    assert_int_equal(count.dropped, 2);
    assert_int_equal(count.refused, 0);
    told("Created:Put c 5 " HELLO " -\nCreated:Put d 5 " HELLO " -\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_objects, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_requests_tell_nothing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_extensions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cache_tags, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uploads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_several_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_versions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_and_where, setup, teardown),
        cmocka_unit_test_setup_teardown(test_filters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_block, setup, teardown),
        cmocka_unit_test_setup_teardown(test_block_later, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drop, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
