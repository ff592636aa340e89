#include "s3_fixture.h"

#include "s3/call.h"

static struct s3_fixture fixture;

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    s3_make_bucket(&fixture, "b");
    s3_expect(&fixture, 200, PUT("mine", "1"));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_fixture_close(&fixture);
    return 0;
}

static void headers_are_kept(void **state)
{
    struct s3_answer answer;

    (void)state;
    s3_expect(
        &fixture, 200,
        PUT("headers", "x",
            .headers = FIELDS(
                "content-type", "text/plain; charset=utf-8", "cache-control",
                "max-age=60", "content-disposition",
                "attachment; filename=\"a b\"", "content-encoding",
                "aws-chunked, gzip", "content-language", "de", "expires",
                "Thu, 01 Dec 2033 16:00:00 GMT", "x-amz-meta-plain", "Value",
                "x-amz-meta-weird_name.x", "1", "x-amz-meta-accent",
                "h\xc3\xa9llo", "x-amz-storage-class", "STANDARD_IA",
                "x-amz-tagging", "a=1&b=two+words&c=%C3%A9")));
    s3_run(&fixture, &answer, GET("headers"));
    assert_header(&answer, "content-type", "text/plain; charset=utf-8");
    assert_header(&answer, "cache-control", "max-age=60");
    assert_header(&answer, "content-disposition",
                  "attachment; filename=\"a b\"");
    assert_header(&answer, "content-encoding", "gzip");
    assert_header(&answer, "content-language", "de");
    assert_header(&answer, "expires", "Thu, 01 Dec 2033 16:00:00 GMT");
    assert_header(&answer, "x-amz-meta-plain", "Value");
    assert_header(&answer, "x-amz-meta-weird_name.x", "1");
    assert_header(&answer, "x-amz-meta-accent", "=?UTF-8?B?aMOpbGxv?=");
    assert_header(&answer, "x-amz-storage-class", "STANDARD_IA");
    assert_header(&answer, "x-amz-tagging-count", "3");
    s3_answer_free(&answer);

    s3_run(&fixture, &answer,
           GET("headers", .args = FIELDS("response-content-type", "a/b",
                                         "response-cache-control", "no-cache",
                                         "response-content-disposition",
                                         "inline", "response-expires", "0",
                                         "response-content-language", "en",
                                         "response-content-encoding", "br")));
    assert_header(&answer, "content-type", "a/b");
    assert_header(&answer, "cache-control", "no-cache");
    assert_header(&answer, "content-disposition", "inline");
    assert_header(&answer, "expires", "0");
    assert_header(&answer, "content-language", "en");
    assert_header(&answer, "content-encoding", "br");
    s3_answer_free(&answer);

    s3_run(&fixture, &answer,
           GET("headers", .args = FIELDS("response-content-type",
                                         "a/b\r\nset-cookie: x=1")));
    assert_error(&answer, "InvalidArgument", 400);
    s3_answer_free(&answer);

    s3_expect(&fixture, 200,
              PUT("chunked-only", "x",
                  .headers = FIELDS("content-encoding", "aws-chunked")));
    s3_run(&fixture, &answer, HEAD("chunked-only"));
    assert_no_header(&answer, "content-encoding");
    s3_answer_free(&answer);
}

static void refused(const char *name, const char *value, const char *code,
                    unsigned status)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer,
           PUT("refused", "x", .headers = FIELDS(name, value)));
    assert_error(&answer, code, status);
    assert_contains(&answer, "<Message>");
    s3_answer_free(&answer);
    s3_expect(&fixture, 404, HEAD("refused"));
}

/* Each that S3 documents. */
static void storage_classes(void **state)
{
    static const char *const kept[] = {"REDUCED_REDUNDANCY", "STANDARD_IA",
                                       "ONEZONE_IA", "INTELLIGENT_TIERING",
                                       "GLACIER_IR"};
    static const char *const elsewhere[] = {
        "OUTPOSTS", "SNOW", "EXPRESS_ONEZONE", "FSX_OPENZFS", "FSX_ONTAP",
        "standard", ""};
    struct s3_answer answer;
    char name[96];

    (void)state;
    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
        s3_expect(&fixture, 200,
                  PUT("class", "x",
                      .headers = FIELDS("x-amz-storage-class", kept[i])));
        s3_run(&fixture, &answer, HEAD("class"));
        assert_header(&answer, "x-amz-storage-class", kept[i]);
        s3_answer_free(&answer);
        s3_run(
            &fixture, &answer,
            S3_CASE(LIST_OBJECTS_V2, NULL, .args = FIELDS("prefix", "class")));
        snprintf(name, sizeof(name), "<StorageClass>%s</StorageClass>",
                 kept[i]);
        assert_contains(&answer, name);
        s3_answer_free(&answer);
    }
    s3_expect(&fixture, 200,
              PUT("class", "x",
                  .headers = FIELDS("x-amz-storage-class", "STANDARD")));
    s3_run(&fixture, &answer, HEAD("class"));
    assert_no_header(&answer, "x-amz-storage-class");
    s3_answer_free(&answer);
    /* Nothing can be restored from an archive. */
    refused("x-amz-storage-class", "GLACIER", "NotImplemented", 501);
    refused("x-amz-storage-class", "DEEP_ARCHIVE", "NotImplemented", 501);
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(*elsewhere); i++) {
        refused("x-amz-storage-class", elsewhere[i], "InvalidStorageClass",
                400);
    }
}

/* Kept with the object, not copied with its metadata. */
static void redirects(void **state)
{
    static const char name[] = "x-amz-website-redirect-location";
    char *url = xmalloc(2050);
    struct s3_answer answer;

    (void)state;
    s3_expect(&fixture, 200,
              PUT("redirect", "page",
                  .headers = FIELDS(name, "https://example.com/a?b")));
    s3_run(&fixture, &answer, HEAD("redirect"));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, name, "https://example.com/a?b");
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, GET("redirect"));
    assert_string_equal((char *)answer.body.data, "page");
    assert_header(&answer, name, "https://example.com/a?b");
    s3_answer_free(&answer);
    s3_expect(&fixture, 200,
              S3_CASE(COPY_OBJECT, "copied",
                      .headers = FIELDS("x-amz-copy-source", "/b/redirect")));
    s3_run(&fixture, &answer, HEAD("copied"));
    assert_no_header(&answer, name);
    s3_answer_free(&answer);
    /* It is a change that a copy to itself may make. */
    s3_expect(&fixture, 200,
              S3_CASE(COPY_OBJECT, "copied",
                      .headers = FIELDS("x-amz-copy-source", "/b/copied", name,
                                        "/other")));
    s3_run(&fixture, &answer, HEAD("copied"));
    assert_header(&answer, name, "/other");
    s3_answer_free(&answer);
    refused(name, "example.com", "InvalidRedirectLocation", 400);
    refused(name, "ftp://example.com/", "InvalidRedirectLocation", 400);
    refused(name, "", "InvalidRedirectLocation", 400);
    memset(url, 'x', 2049);
    url[0] = '/';
    url[2049] = '\0';
    refused(name, url, "InvalidRedirectLocation", 400);
    url[2048] = '\0';
    s3_expect(&fixture, 200,
              PUT("redirect", "x", .headers = FIELDS(name, url)));
    free(url);
}

static void refuses_what_it_cannot_do(void **state)
{
    char *large = xmalloc(2100);

    (void)state;
    refused("x-amz-object-lock-mode", "GOVERNANCE", "InvalidRequest", 400);
    refused("x-amz-acl", "no-such-acl", "InvalidArgument", 400);
    refused("x-amz-grant-read", "id=1", "InvalidArgument", 400);
    refused("x-amz-write-offset-bytes", "0", "NotImplemented", 501);
    refused("x-amz-tagging", "a=1&a=2", "InvalidArgument", 400);
    refused("x-amz-tagging", "a=%zz", "InvalidArgument", 400);
    refused("x-amz-tagging", "=1", "InvalidTag", 400);
    refused("x-amz-tagging", "a%21=1", "InvalidTag", 400);
    refused("x-amz-tagging", "a=1&b=&c=&d=&e=&f=&g=&h=&i=&j=&k=", "BadRequest",
            400);
    memset(large, 'x', 2099);
    large[2048 - 5 + 1] = '\0'; /* one byte too many, with the name "large" */
    refused("x-amz-meta-large", large, "MetadataTooLarge", 400);
    large[2048 - 5] = '\0';
    s3_expect(&fixture, 200,
              PUT("large", "x", .headers = FIELDS("x-amz-meta-large", large)));
    free(large);
}

/* A record of a time that took any name. */
static void name_metadata(const char *key, const char *name)
{
    struct meta *meta = fixture.service.meta;
    struct arena *arena = arena_new();
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Bucket *bucket;
    Meta__Object *object;

    assert_int_equal(meta_get_bucket(meta, arena, SLICE_LITERAL("b"), &bucket),
                     0);
    assert_int_equal(meta_get_object(meta, arena, bucket->id,
                                     slice_from_string(key), &object),
                     0);
    object->metadata[0]->name = fixture_string(name);
    meta_put_object(batch, bucket->id, slice_from_string(key), object);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    arena_free(arena);
}

static void metadata_have_names_of_headers(void **state)
{
    static const char *const names[] = {
        "x-amz-meta-a\r\nset-cookie: b=c\r\nd", "x-amz-meta-a b",
        "x-amz-meta-a:", "x-amz-meta-a\x80", "x-amz-meta-a\x7f"};
    struct s3_answer answer;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        refused(names[i], "x", "InvalidArgument", 400);
    }
    s3_expect(&fixture, 200,
              PUT("names", "x",
                  .headers = FIELDS("x-amz-meta-a", "1", "x-amz-meta-b", "2")));
    name_metadata("names", "a\r\nset-cookie: b=c\r\nd");
    s3_run(&fixture, &answer, GET("names"));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "x-amz-meta-b", "2");
    buffer_append(&answer.headers, "", 1);
    assert_null(strstr((char *)answer.headers.data, "set-cookie"));
    s3_answer_free(&answer);
}

static void keys(void **state)
{
    static const char *const names[] = {
        "a/b",         "a/b/c", "dir/",  "//",  "..",
        "./x",         "a+b",   "a%2Fb", "a b", "\xf0\x9f\x98\x80",
        "tab\tand\x01"};
    struct s3_answer answer;
    char long_key[1026];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        s3_expect(&fixture, 200, PUT(names[i], names[i]));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        s3_run(&fixture, &answer, GET(names[i]));
        assert_int_equal(answer.status, 200);
        assert_string_equal((char *)answer.body.data, names[i]);
        s3_answer_free(&answer);
    }
    s3_expect(&fixture, 200, PUT("nul\0x", "1", .key_size = 5));
    s3_expect(&fixture, 404, GET("nul"));
    s3_expect(&fixture, 200, GET("nul\0x", .key_size = 5));

    memset(long_key, 'k', 1025);
    long_key[1025] = '\0';
    s3_run(&fixture, &answer, PUT(long_key, "1"));
    assert_error(&answer, "KeyTooLongError", 400);
    s3_answer_free(&answer);
    long_key[1024] = '\0';
    s3_expect(&fixture, 200, PUT(long_key, "1"));
    s3_run(&fixture, &answer, PUT("bad\xff", "1"));
    assert_error(&answer, "InvalidURI", 400);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, GET("not\x01there"));
    assert_error(&answer, "NoSuchKey", 404);
    assert_contains(&answer, "<Key>not\xef\xbf\xbdthere</Key>");
    s3_answer_free(&answer);
}

static void who_may(void **state)
{
    struct s3_answer answer;

    (void)state;
    s3_run(&fixture, &answer, GET("mine", .access_key = ""));
    assert_error(&answer, "AccessDenied", 403);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, GET("mine", .access_key = "AKIANOBODY"));
    assert_error(&answer, "InvalidAccessKeyId", 403);
    assert_contains(&answer, "<AWSAccessKeyId>AKIANOBODY</AWSAccessKeyId>");
    assert_contains(&answer, "<RequestId>0123456789ABCDEF</RequestId>");
    assert_contains(&answer, "<Resource>/resource</Resource>");
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__GET_OBJECT,
                            .bucket = "nowhere",
                            .key = "k"});
    assert_error(&answer, "NoSuchBucket", 404);
    assert_contains(&answer, "<BucketName>nowhere</BucketName>");
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__NOT_IMPLEMENTED,
                            .bucket = "b"});
    assert_error(&answer, "NotImplemented", 501);
    s3_answer_free(&answer);
    s3_run(
        &fixture, &answer,
        GET("mine", .headers = FIELDS("x-amz-expected-bucket-owner", "other")));
    assert_error(&answer, "InvalidBucketOwnerAWSAccountID", 400);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, HEAD("no-such-key"));
    assert_error(&answer, "NoSuchKey", 404);
    assert_int_equal(answer.body.size, 0);
    s3_answer_free(&answer);
}

static void strangers_may_not(void **state)
{
    static const char access_key[] = "AKIASTRANGER00000001";
    struct s3_answer answer;
    uint64_t ours = fixture.generation;

    (void)state;
    fixture.generation =
        s3_add_account(&fixture, "stranger", false, access_key,
                       "a/secret/of/forty/characters/12345678900");
    s3_run(&fixture, &answer, GET("mine", .access_key = access_key));
    assert_error(&answer, "AccessDenied", 403);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, PUT("mine", "1", .access_key = access_key));
    assert_error(&answer, "AccessDenied", 403);
    s3_answer_free(&answer);
    fixture.generation = ours;
}

static void deletes(void **state)
{
    struct s3_answer answer;

    (void)state;
    s3_expect(&fixture, 200, PUT("gone", "1"));
    s3_run(&fixture, &answer, DELETE("gone"));
    assert_int_equal(answer.status, 204);
    assert_false(answer.has_length);
    assert_int_equal(answer.body.size, 0);
    s3_answer_free(&answer);
    s3_expect(&fixture, 404, GET("gone"));
    s3_expect(&fixture, 204, DELETE("gone"));

    s3_expect(&fixture, 200, PUT("gone", "1"));
    s3_run(&fixture, &answer,
           DELETE("gone", .headers = FIELDS("if-match", "\"other\"")));
    assert_error(&answer, "PreconditionFailed", 412);
    assert_contains(&answer, "<Condition>If-Match</Condition>");
    s3_answer_free(&answer);
    s3_expect(&fixture, 204,
              DELETE("gone", .headers = FIELDS("if-match", "*")));
    s3_run(&fixture, &answer,
           DELETE("gone", .headers = FIELDS("if-match", "*")));
    assert_error(&answer, "NoSuchKey", 404);
    s3_answer_free(&answer);
}

static void version_ids(void **state)
{
    static const char unknown[] = "0123456789abcdef0123456789abcdef";
    struct s3_answer answer;

    (void)state;
    s3_expect(&fixture, 200, PUT("version", "1"));
    s3_expect(&fixture, 200,
              GET("version", .args = FIELDS("versionId", "null")));
    s3_run(&fixture, &answer,
           GET("version", .args = FIELDS("versionId", unknown)));
    assert_error(&answer, "NoSuchVersion", 404);
    assert_contains(&answer, "<VersionId>0123456789abcdef");
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           GET("version", .args = FIELDS("versionId", "bogus")));
    assert_error(&answer, "InvalidArgument", 400);
    assert_contains(&answer, "Invalid version id specified");
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           DELETE("version", .args = FIELDS("versionId", unknown)));
    assert_int_equal(answer.status, 204); /* nothing was there to delete */
    assert_header(&answer, "x-amz-version-id", unknown);
    s3_answer_free(&answer);
    s3_expect(&fixture, 200, HEAD("version"));
    s3_run(&fixture, &answer,
           DELETE("version", .args = FIELDS("versionId", "bogus")));
    assert_error(&answer, "InvalidArgument", 400);
    s3_answer_free(&answer);
    s3_expect(&fixture, 204,
              DELETE("version", .args = FIELDS("versionId", "null")));
    s3_expect(&fixture, 404, GET("version"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_kept),
        cmocka_unit_test(refuses_what_it_cannot_do),
        cmocka_unit_test(storage_classes),
        cmocka_unit_test(redirects),
        cmocka_unit_test(metadata_have_names_of_headers),
        cmocka_unit_test(keys),
        cmocka_unit_test(who_may),
        cmocka_unit_test(strangers_may_not),
        cmocka_unit_test(deletes),
        cmocka_unit_test(version_ids),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
