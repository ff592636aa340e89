/* Tags of objects and buckets. */
#include "s3_fixture.h"

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

#define TAGGING(tags)                                                          \
    "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet>" tags \
    "</TagSet></Tagging>"
#define TAG(key, value) "<Tag><Key>" key "</Key><Value>" value "</Value></Tag>"

static struct s3_case with_body(struct s3_case c, const char *document)
{
    struct digester *digester = digester_new(DIGEST_MD5);
    const char **headers = arena_zalloc(arena, 4 * sizeof(*headers));
    char *encoded = arena_alloc(arena, 32);
    uint8_t md5[DIGEST_SIZE_MAX];

    digester_update(digester, document, strlen(document));
    digester_final(digester, DIGEST_MD5, md5);
    digester_free(digester);
    base64_encode(encoded, md5, 16);
    headers[0] = "content-md5";
    headers[1] = encoded;
    c.headers = headers;
    c.body = document;
    c.size = strlen(document);
    return c;
}

static struct s3_case put_object_tags(const char *document)
{
    return with_body(S3_CASE(PUT_OBJECT_TAGGING, "k"), document);
}

static struct s3_case put_bucket_tags(const char *document)
{
    return with_body(S3_CASE(PUT_BUCKET_TAGGING, NULL), document);
}

/* "<Tag>...": what the answer holds between TagSet's tags. */
static void tags_are(struct s3_case c, const char *tags)
{
    struct s3_answer answer;
    char *document =
        arena_printf(arena,
                     "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/"
                     "\"><TagSet>%s</TagSet></Tagging>",
                     tags);

    s3_run(&fixture, &answer, c);
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "Content-Type", "application/xml");
    assert_string_equal(strchr((char *)answer.body.data, '\n') + 1, document);
    s3_answer_free(&answer);
}
#define OBJECT_TAGS S3_CASE(GET_OBJECT_TAGGING, "k")
#define BUCKET_TAGS S3_CASE(GET_BUCKET_TAGGING, NULL)

static void refused(struct s3_case c, const char *code, unsigned status,
                    const char *text)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, c);
    assert_error(&answer, code, status);
    assert_contains(&answer, text);
    s3_answer_free(&answer);
}

static char *many_tags(unsigned count)
{
    struct buffer out = {NULL, 0, 0};
    char *document;

    buffer_append_string(&out, "<Tagging><TagSet>");
    for (unsigned i = 0; i < count; i++) {
        buffer_printf(&out, TAG("k%02u", "v"), i);
    }
    buffer_append_string(&out, "</TagSet></Tagging>");
    document = arena_string(arena, slice_of(out.data, out.size));
    buffer_free(&out);
    return document;
}

/* `count` characters of two bytes each. */
static char *wide(unsigned count)
{
    char *text = arena_zalloc(arena, 2 * count + 1);

    for (unsigned i = 0; i < count; i++) {
        memcpy(text + 2 * i, "\xc3\xa9", 2);
    }
    return text;
}

static void test_object(void **state)
{
    struct s3_answer answer;
    char before[64];

    (void)state;
    s3_expect(&fixture, 200, PUT("k", "bytes"));
    tags_are(OBJECT_TAGS, "");
    s3_run(&fixture, &answer, HEAD("k"));
    snprintf(before, sizeof(before), "%.63s",
             s3_header(&answer, "Last-Modified"));
    assert_no_header(&answer, "x-amz-tagging-count");
    s3_answer_free(&answer);
    for (unsigned i = 0; i < 2; i++) {
        s3_run(&fixture, &answer,
               put_object_tags(TAGGING(TAG("b", "2 &lt; 3") TAG("a", ""))));
        assert_error(&answer, "InvalidTag", 400); /* '<' */
        s3_answer_free(&answer);
        s3_run(&fixture, &answer,
               put_object_tags(TAGGING(TAG("b", "2 + 3") TAG("a", ""))));
        assert_int_equal(answer.status, 200);
        assert_int_equal(answer.body.size, 0);
        s3_answer_free(&answer);
    }
    tags_are(OBJECT_TAGS, TAG("a", "") TAG("b", "2 + 3"));
    /* Nothing else of the object has changed. */
    s3_run(&fixture, &answer, GET("k"));
    assert_header(&answer, "x-amz-tagging-count", "2");
    assert_header(&answer, "Last-Modified", before);
    assert_string_equal((char *)answer.body.data, "bytes");
    s3_answer_free(&answer);
    /* An empty set removes them; so does DELETE, again and again. */
    s3_expect(&fixture, 200, put_object_tags(TAGGING("")));
    tags_are(OBJECT_TAGS, "");
    s3_expect(&fixture, 200, put_object_tags(TAGGING(TAG("a", "1"))));
    s3_expect(&fixture, 204, S3_CASE(DELETE_OBJECT_TAGGING, "k"));
    s3_expect(&fixture, 204, S3_CASE(DELETE_OBJECT_TAGGING, "k"));
    tags_are(OBJECT_TAGS, "");
    /* A new object has none. */
    s3_expect(&fixture, 200, put_object_tags(TAGGING(TAG("a", "1"))));
    s3_expect(&fixture, 200, PUT("k", "new"));
    tags_are(OBJECT_TAGS, "");
}

static void test_missing_object(void **state)
{
    struct s3_case c = put_object_tags(TAGGING(TAG("a", "1")));

    (void)state;
    refused(c, "NoSuchKey", 404, "<Key>k</Key>");
    refused(OBJECT_TAGS, "NoSuchKey", 404, "<Key>k</Key>");
    refused(S3_CASE(DELETE_OBJECT_TAGGING, "k"), "NoSuchKey", 404, "");
    c.bucket = "nosuch";
    refused(c, "NoSuchBucket", 404, "");
    s3_expect(&fixture, 200, PUT("k", "bytes"));
    refused(S3_CASE(GET_OBJECT_TAGGING, "k",
                    .args = FIELDS("versionId",
                                   "0123456789abcdef0123456789abcdef")),
            "NoSuchVersion", 404, "");
    refused(S3_CASE(GET_OBJECT_TAGGING, "k", .args = FIELDS("versionId", "")),
            "InvalidArgument", 400, "");
    tags_are(
        S3_CASE(GET_OBJECT_TAGGING, "k", .args = FIELDS("versionId", "null")),
        "");
}

static void test_object_limits(void **state)
{
    struct s3_case c;

    (void)state;
    s3_expect(&fixture, 200, PUT("k", "bytes"));
    refused(put_object_tags(many_tags(11)), "BadRequest", 400,
            "Object tags cannot be greater than 10");
    tags_are(OBJECT_TAGS, "");
    s3_expect(&fixture, 200, put_object_tags(many_tags(10)));
    c = put_object_tags(
        arena_printf(arena, TAGGING(TAG("%s", "%s")), wide(128), wide(256)));
    s3_expect(&fixture, 200, c);
    refused(
        put_object_tags(arena_printf(arena, TAGGING(TAG("%s", "")), wide(129))),
        "InvalidTag", 400, "The TagKey you have provided is invalid");
    refused(put_object_tags(
                arena_printf(arena, TAGGING(TAG("a", "%s")), wide(257))),
            "InvalidTag", 400, "The TagValue you have provided is invalid");
    refused(put_object_tags(TAGGING(TAG("", "1"))), "InvalidTag", 400,
            "<TagKey></TagKey>");
    refused(put_object_tags(TAGGING(TAG("a!", "1"))), "InvalidTag", 400,
            "<TagKey>a!</TagKey>");
    refused(put_object_tags(TAGGING(TAG("a", "1") TAG("a", "2"))), "InvalidTag",
            400, "Cannot provide multiple Tags with the same key");
    refused(put_object_tags(TAGGING(TAG("aws:x", "1"))), "InvalidTag", 400,
            "Your TagKey cannot be prefixed with aws:");
    s3_expect(&fixture, 200,
              put_object_tags(TAGGING(TAG("AWS:x +-=._:/@", "09azAZ"))));
}

static void test_malformed(void **state)
{
    static const char *const documents[] = {
        "<Tagging>",
        "<Tagging/>",
        "<Tags/>",
        "<Tagging><Tag/></Tagging>",
        "<Tagging><TagSet/><TagSet/></Tagging>",
        TAGGING("<Tag/>"),
        TAGGING("<Tag><Key>a</Key></Tag>"),
        TAGGING("<Tag><Value>a</Value></Tag>"),
        TAGGING("<Tag><Key>a</Key><Key>b</Key><Value>c</Value></Tag>"),
        TAGGING("<Other/>"),
        "<!DOCTYPE a><Tagging><TagSet/></Tagging>",
    };
    struct s3_case c = put_object_tags(TAGGING(TAG("a", "1")));

    (void)state;
    s3_expect(&fixture, 200, PUT("k", "bytes"));
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        refused(put_object_tags(documents[i]), "MalformedXML", 400, "");
        refused(put_bucket_tags(documents[i]), "MalformedXML", 400, "");
    }
    refused(put_object_tags(""), "MissingRequestBodyError", 400, "");
    c.headers = NULL;
    refused(c, "InvalidRequest", 400, "Content-MD5");
    tags_are(OBJECT_TAGS, "");
    refused(BUCKET_TAGS, "NoSuchTagSet", 404, "");
}

static void test_header_order(void **state)
{
    (void)state;
    s3_expect(&fixture, 400,
              PUT("k", "x", .headers = FIELDS("x-amz-tagging", "a=c%26")));
    refused(PUT("k", "x", .headers = FIELDS("x-amz-tagging", "aws:a=1")),
            "InvalidTag", 400, "Your TagKey cannot be prefixed with aws:");
    s3_expect(
        &fixture, 200,
        PUT("k", "x", .headers = FIELDS("x-amz-tagging", "foo=bar&bar&a+b=c")));
    tags_are(OBJECT_TAGS, TAG("a b", "c") TAG("bar", "") TAG("foo", "bar"));
}

static void test_copy(void **state)
{
    static const char *const source[] = {"x-amz-copy-source", "/b/k", NULL};
    static const char *const replaced[] = {"x-amz-copy-source",
                                           "/b/k",
                                           "x-amz-tagging-directive",
                                           "REPLACE",
                                           "x-amz-tagging",
                                           "c=d",
                                           NULL};
    static const char *const removed[] = {"x-amz-copy-source", "/b/k",
                                          "x-amz-tagging-directive", "REPLACE",
                                          NULL};

    (void)state;
    s3_expect(&fixture, 200, PUT("k", "bytes"));
    s3_expect(&fixture, 200, put_object_tags(TAGGING(TAG("a", "1"))));
    s3_expect(&fixture, 200, S3_CASE(COPY_OBJECT, "copy", .headers = source));
    tags_are(S3_CASE(GET_OBJECT_TAGGING, "copy"), TAG("a", "1"));
    s3_expect(&fixture, 200, S3_CASE(COPY_OBJECT, "copy", .headers = replaced));
    tags_are(S3_CASE(GET_OBJECT_TAGGING, "copy"), TAG("c", "d"));
    s3_expect(&fixture, 200, S3_CASE(COPY_OBJECT, "copy", .headers = removed));
    tags_are(S3_CASE(GET_OBJECT_TAGGING, "copy"), "");
    /* The copy's tags are its own. */
    s3_expect(&fixture, 204, S3_CASE(DELETE_OBJECT_TAGGING, "k"));
    s3_expect(&fixture, 200, S3_CASE(COPY_OBJECT, "copy", .headers = replaced));
    tags_are(OBJECT_TAGS, "");
}

static void test_bucket(void **state)
{
    (void)state;
    refused(BUCKET_TAGS, "NoSuchTagSet", 404, "The TagSet does not exist");
    refused(BUCKET_TAGS, "NoSuchTagSet", 404, "<BucketName>b</BucketName>");
    for (unsigned i = 0; i < 2; i++) {
        s3_expect(&fixture, 204,
                  put_bucket_tags(TAGGING(TAG("z", "1") TAG("y", "2"))));
    }
    tags_are(BUCKET_TAGS, TAG("y", "2") TAG("z", "1"));
    s3_expect(&fixture, 204, put_bucket_tags(TAGGING(TAG("z", "3"))));
    tags_are(BUCKET_TAGS, TAG("z", "3"));
    s3_expect(&fixture, 204, S3_CASE(DELETE_BUCKET_TAGGING, NULL));
    s3_expect(&fixture, 204, S3_CASE(DELETE_BUCKET_TAGGING, NULL));
    refused(BUCKET_TAGS, "NoSuchTagSet", 404, "");
    s3_expect(&fixture, 204, put_bucket_tags(many_tags(50)));
    refused(put_bucket_tags(many_tags(51)), "BadRequest", 400,
            "Bucket tag count cannot be greater than 50");
    refused(put_bucket_tags(TAGGING(TAG("aws:a", "1"))), "InvalidTag", 400,
            "System tags cannot be added/updated by requester");
    s3_expect(&fixture, 204, put_bucket_tags(TAGGING("")));
    refused(BUCKET_TAGS, "NoSuchTagSet", 404, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_object, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing_object, setup, teardown),
        cmocka_unit_test_setup_teardown(test_object_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_header_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bucket, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
