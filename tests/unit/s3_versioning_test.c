/* Versioning: exact answers, each documented error, multipart and copies. */
#include "s3_fixture.h"

#include "s3/version.h"

#define UNKNOWN "0123456789abcdef0123456789abcdef"
#define STATUS(value)                                                          \
    "<VersioningConfiguration "                                                \
    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>" value         \
    "</Status></VersioningConfiguration>"

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

#define XML(op, k, text, ...)                                                  \
    S3_CASE(op, k, .body = text, .size = strlen(text), __VA_ARGS__)
#define VERSION(id) .args = FIELDS("versionId", id)

static void set_versioning(const char *document)
{
    s3_expect(&fixture, 200, XML(PUT_BUCKET_VERSIONING, "", document));
}

/* The version id of a successful answer, in a buffer of the caller. */
static void expect_id(unsigned status, struct s3_case c, char id[40])
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, c);
    assert_int_equal(answer.status, status);
    assert_non_null(s3_header(&answer, "x-amz-version-id"));
    snprintf(id, 40, "%.39s", s3_header(&answer, "x-amz-version-id"));
    s3_answer_free(&answer);
}

static void expect_no_id(unsigned status, struct s3_case c)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, c);
    assert_int_equal(answer.status, status);
    assert_no_header(&answer, "x-amz-version-id");
    s3_answer_free(&answer);
}

static void expect_status(const char *wanted)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, S3_CASE(GET_BUCKET_VERSIONING, ""));
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, wanted);
    assert_null(strstr((char *)answer.body.data, "MfaDelete"));
    s3_answer_free(&answer);
}

static void expect_error(struct s3_case c, const char *code, unsigned status,
                         const char *part)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, c);
    assert_error(&answer, code, status);
    assert_contains(&answer, part);
    s3_answer_free(&answer);
}

static void test_configuration(void **state)
{
    (void)state;
    expect_status("xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                  "</VersioningConfiguration>");
    expect_error(XML(PUT_BUCKET_VERSIONING, "", "<VersioningConfiguration/>"),
                 "IllegalVersioningConfigurationException", 400,
                 "The Versioning element must be specified");
    expect_error(XML(PUT_BUCKET_VERSIONING, "", STATUS("enabled")),
                 "MalformedXML", 400, "<Message>");
    expect_error(XML(PUT_BUCKET_VERSIONING, "", STATUS("")), "MalformedXML",
                 400, "<Message>");
    expect_error(XML(PUT_BUCKET_VERSIONING, "", "<Other/>"), "MalformedXML",
                 400, "<Message>");
    expect_error(XML(PUT_BUCKET_VERSIONING, "",
                     "<VersioningConfiguration><Status>Enabled</Status>"
                     "<MfaDelete>Perhaps</MfaDelete>"
                     "</VersioningConfiguration>"),
                 "MalformedXML", 400, "<Message>");
    expect_error(XML(PUT_BUCKET_VERSIONING, "",
                     "<VersioningConfiguration><Status>Enabled</Status>"
                     "<MfaDelete>Enabled</MfaDelete></VersioningConfiguration>",
                     .headers = FIELDS("x-amz-mfa", "serial 123456")),
                 "AccessDenied", 403, "Mfa Authentication must be used");
    expect_status("</VersioningConfiguration>"); /* none of that was kept */
    set_versioning(STATUS("Suspended"));         /* also as the first state */
    expect_status("<Status>Suspended</Status>");
    set_versioning(STATUS("Enabled"));
    set_versioning(STATUS("Enabled"));
    expect_status("<Status>Enabled</Status>");
    set_versioning("<VersioningConfiguration><Status>Suspended</Status>"
                   "<MfaDelete>Disabled</MfaDelete>"
                   "</VersioningConfiguration>");
    expect_status("<Status>Suspended</Status>");
}

static void test_ids(void **state)
{
    struct arena *arena = arena_new();
    uint64_t sequence;
    struct slice older, newer;

    (void)state;
    older = version_new_id(arena, 255);
    newer = version_new_id(arena, 256);
    assert_true(version_well_formed(older));
    assert_true(slice_compare(newer, older) < 0);
    assert_true(version_sequence(older, &sequence) && sequence == 255);
    assert_true(version_sequence(newer, &sequence) && sequence == 256);
    assert_false(slice_equal(older, version_new_id(arena, 255)));
    assert_false(version_sequence(SLICE_LITERAL("null"), &sequence));
    assert_false(version_sequence(
        SLICE_LITERAL("ffffffffffffffff0000000000000000"), &sequence));
    assert_false(version_sequence(
        SLICE_LITERAL("QUpfdndhfd8438MNFDN93jdnJFkdmqnh"), &sequence));
    assert_true(
        version_well_formed(SLICE_LITERAL("QUpfdndhfd8438MNFDN93jdnJFkdmqnh")));
    assert_true(version_well_formed(SLICE_LITERAL("null")));
    assert_false(version_well_formed(SLICE_LITERAL("")));
    assert_false(version_well_formed(SLICE_LITERAL("Null")));
    assert_false(
        version_well_formed(SLICE_LITERAL("0123456789abcdef0123456789abcde/")));
    arena_free(arena);
}

static void test_unversioned_says_nothing(void **state)
{
    struct s3_answer answer;

    (void)state;
    expect_no_id(200, PUT("k", "1"));
    expect_no_id(200, GET("k"));
    expect_no_id(200, GET("k", VERSION("null")));
    expect_no_id(204, DELETE("k"));
    s3_run(&fixture, &answer, DELETE("k", VERSION("null")));
    assert_int_equal(answer.status, 204);
    assert_header(&answer, "x-amz-version-id", "null");
    s3_answer_free(&answer);
}

static void expect_body(const char *key, const char *id, const char *body)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, GET(key, VERSION(id)));
    assert_int_equal(answer.status, 200);
    assert_string_equal((char *)answer.body.data, body);
    assert_header(&answer, "x-amz-version-id", id);
    s3_answer_free(&answer);
}

static void test_versions(void **state)
{
    char one[40], two[40], marker[40], id[40];
    struct s3_answer answer;

    (void)state;
    s3_expect(&fixture, 200, PUT("k", "before"));
    set_versioning(STATUS("Enabled"));
    expect_id(200, PUT("k", "one"), one);
    expect_id(200, PUT("k", "two"), two);
    assert_true(strcmp(two, one) < 0); /* newest first */
    expect_body("k", "null", "before");
    expect_body("k", one, "one");
    expect_id(200, GET("k"), id);
    assert_string_equal(id, two);
    expect_id(200, HEAD("k", VERSION(one)), id);
    assert_string_equal(id, one);

    expect_id(204, DELETE("k"), marker);
    s3_run(&fixture, &answer, GET("k"));
    assert_error(&answer, "NoSuchKey", 404);
    assert_header(&answer, "x-amz-delete-marker", "true");
    assert_header(&answer, "x-amz-version-id", marker);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, HEAD("k", VERSION(marker)));
    assert_error(&answer, "MethodNotAllowed", 405);
    assert_header(&answer, "allow", "DELETE");
    assert_header(&answer, "x-amz-delete-marker", "true");
    assert_non_null(s3_header(&answer, "last-modified"));
    s3_answer_free(&answer);
    expect_body("k", two, "two");

    /* The marker goes, the key is back. */
    s3_run(&fixture, &answer, DELETE("k", VERSION(marker)));
    assert_int_equal(answer.status, 204);
    assert_header(&answer, "x-amz-delete-marker", "true");
    assert_header(&answer, "x-amz-version-id", marker);
    s3_answer_free(&answer);
    expect_id(200, GET("k"), id);
    assert_string_equal(id, two);
    /* And again: nothing is there, and no marker is told of. */
    s3_run(&fixture, &answer, DELETE("k", VERSION(marker)));
    assert_int_equal(answer.status, 204);
    assert_no_header(&answer, "x-amz-delete-marker");
    s3_answer_free(&answer);

    expect_id(204, DELETE("k", VERSION(two)), id);
    expect_error(GET("k", VERSION(two)), "NoSuchVersion", 404, two);
    expect_id(200, GET("k"), id);
    assert_string_equal(id, one);
}

static void test_wrong_ids(void **state)
{
    char one[40], other[40];

    (void)state;
    set_versioning(STATUS("Enabled"));
    expect_id(200, PUT("k", "one"), one);
    /* The right sequence does not make an id. */
    memcpy(other, one, sizeof(other));
    other[31] = other[31] == '0' ? '1' : '0';
    expect_error(GET("k", VERSION(other)), "NoSuchVersion", 404, other);
    expect_error(GET("l", VERSION(one)), "NoSuchVersion", 404, one);
    s3_expect(&fixture, 204, DELETE("k", VERSION(other)));
    s3_expect(&fixture, 204, DELETE("l", VERSION(one)));
    s3_expect(&fixture, 204, DELETE("k", VERSION(UNKNOWN)));
    expect_body("k", one, "one");
    expect_error(GET("k", VERSION("bogus")), "InvalidArgument", 400,
                 "Invalid version id specified");
    expect_error(DELETE("k", VERSION("bogus")), "InvalidArgument", 400,
                 "<ArgumentName>versionId</ArgumentName>");
    expect_error(GET("k", VERSION("")), "InvalidArgument", 400,
                 "Version id cannot be the empty string");
}

static void test_suspended(void **state)
{
    char one[40], id[40];
    struct s3_answer answer;

    (void)state;
    s3_expect(&fixture, 200, PUT("k", "before"));
    set_versioning(STATUS("Enabled"));
    expect_id(200, PUT("k", "one"), one);
    set_versioning(STATUS("Suspended"));
    expect_no_id(200, PUT("k", "after")); /* in the place of "before" */
    expect_body("k", "null", "after");
    expect_body("k", one, "one");
    expect_id(200, GET("k"), id);
    assert_string_equal(id, "null");
    s3_run(&fixture, &answer, DELETE("k"));
    assert_int_equal(answer.status, 204);
    assert_header(&answer, "x-amz-delete-marker", "true");
    assert_header(&answer, "x-amz-version-id", "null");
    s3_answer_free(&answer);
    expect_error(GET("k", VERSION("null")), "MethodNotAllowed", 405,
                 "DeleteMarker");
    s3_expect(&fixture, 204, DELETE("k", VERSION("null")));
    expect_body("k", one, "one");
    expect_id(200, GET("k"), id);
    assert_string_equal(id, one);
}

static void test_conditions_on_markers(void **state)
{
    (void)state;
    set_versioning(STATUS("Enabled"));
    s3_expect(&fixture, 200, PUT("k", "one"));
    expect_error(PUT("k", "two", .headers = FIELDS("if-none-match", "*")),
                 "PreconditionFailed", 412, "If-None-Match");
    s3_expect(&fixture, 204, DELETE("k"));
    expect_error(PUT("k", "two", .headers = FIELDS("if-match", "*")),
                 "NoSuchKey", 404, "<Key>k</Key>");
    s3_expect(&fixture, 200,
              PUT("k", "two", .headers = FIELDS("if-none-match", "*")));
    expect_error(PUT("k", "three", .headers = FIELDS("if-match", "\"x\"")),
                 "PreconditionFailed", 412, "If-Match");
}

static void test_copies(void **state)
{
    struct s3_answer answer;
    char one[40], two[40], source[128];

    (void)state;
    set_versioning(STATUS("Enabled"));
    expect_id(200, PUT("k", "one"), one);
    expect_id(200, PUT("k", "two"), two);
    snprintf(source, sizeof(source), "b/k?versionId=%s", one);
    /* Onto itself: the old version becomes the newest. */
    s3_run(&fixture, &answer,
           S3_CASE(COPY_OBJECT, "k",
                   .headers = FIELDS("x-amz-copy-source", source)));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "x-amz-copy-source-version-id", one);
    assert_non_null(s3_header(&answer, "x-amz-version-id"));
    assert_string_not_equal(s3_header(&answer, "x-amz-version-id"), one);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, GET("k"));
    assert_string_equal((char *)answer.body.data, "one");
    s3_answer_free(&answer);
    expect_body("k", two, "two");

    expect_error(
        S3_CASE(COPY_OBJECT, "l",
                .headers = FIELDS("x-amz-copy-source", "b/k?versionId=bogus")),
        "InvalidArgument", 400, "Invalid version id specified");
    expect_error(S3_CASE(COPY_OBJECT, "l",
                         .headers = FIELDS("x-amz-copy-source",
                                           "b/k?versionId=" UNKNOWN)),
                 "NoSuchVersion", 404, UNKNOWN);
    expect_id(204, DELETE("k"), one);
    snprintf(source, sizeof(source), "b/k?versionId=%s", one);
    expect_error(S3_CASE(COPY_OBJECT, "l",
                         .headers = FIELDS("x-amz-copy-source", source)),
                 "InvalidRequest", 400, "delete marker");
    expect_error(S3_CASE(COPY_OBJECT, "l",
                         .headers = FIELDS("x-amz-copy-source", "b/k")),
                 "NoSuchKey", 404, "<Key>k</Key>");
}

/* --- multipart -------------------------------------------------------------*/
static void create_upload(const char *key, char id[64])
{
    struct s3_answer answer;
    const char *at;

    s3_run(&fixture, &answer, S3_CASE(CREATE_MULTIPART_UPLOAD, key));
    assert_int_equal(answer.status, 200);
    at = strstr((char *)answer.body.data, "<UploadId>");
    assert_non_null(at);
    snprintf(id, 64, "%.44s", at + strlen("<UploadId>"));
    s3_answer_free(&answer);
}

static void test_multipart(void **state)
{
    static const char list[] =
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        "<ETag>5d41402abc4b2a76b9719d911017c592</ETag></Part>"
        "</CompleteMultipartUpload>";
    char upload[64], old[40], made[40], again[40], source[128];
    struct s3_answer answer;

    (void)state;
    set_versioning(STATUS("Enabled"));
    expect_id(200, PUT("k", "hello"), old);
    create_upload("k", upload);
    s3_expect(&fixture, 200, PUT("k", "newer"));
    snprintf(source, sizeof(source), "/b/k?versionId=%s", old);
    s3_run(&fixture, &answer,
           S3_CASE(UPLOAD_PART_COPY, "k",
                   .args = FIELDS("uploadId", upload, "partNumber", "1"),
                   .headers = FIELDS("x-amz-copy-source", source)));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "x-amz-copy-source-version-id", old);
    s3_answer_free(&answer);
    expect_id(200,
              XML(COMPLETE_MULTIPART_UPLOAD, "k", list,
                  .args = FIELDS("uploadId", upload)),
              made);
    expect_body("k", made, "hello");
    expect_id(200,
              XML(COMPLETE_MULTIPART_UPLOAD, "k", list,
                  .args = FIELDS("uploadId", upload)),
              again);
    assert_string_equal(again, made);
    expect_id(200, GET("k"), again);
    assert_string_equal(again, made);

    set_versioning(STATUS("Suspended"));
    create_upload("l", upload);
    s3_expect(&fixture, 200,
              S3_CASE(UPLOAD_PART, "l", .body = "hello", .size = 5,
                      .args = FIELDS("uploadId", upload, "partNumber", "1")));
    expect_no_id(200, XML(COMPLETE_MULTIPART_UPLOAD, "l", list,
                          .args = FIELDS("uploadId", upload)));
}

/* --- deletes of many, and of the bucket ------------------------------------*/
static void delete_many(struct s3_answer *answer, const char *document)
{
    struct digester *digester = digester_new(DIGEST_MD5);
    uint8_t md5[DIGEST_SIZE_MAX];
    char text[32];

    digester_update(digester, document, strlen(document));
    digester_final(digester, DIGEST_MD5, md5);
    digester_free(digester);
    base64_encode(text, md5, 16);
    s3_run(&fixture, answer,
           XML(DELETE_OBJECTS, "", document,
               .headers = FIELDS("content-md5", text)));
    assert_int_equal(answer->status, 200);
}

static void test_delete_objects(void **state)
{
    char one[40], two[40], marker[40], document[512], wanted[512];
    struct s3_answer answer;
    const char *at;

    (void)state;
    set_versioning(STATUS("Enabled"));
    expect_id(200, PUT("k", "one"), one);
    expect_id(200, PUT("k", "two"), two);
    expect_id(204, DELETE("k"), marker);
    snprintf(document, sizeof(document),
             "<Delete><Object><Key>k</Key><VersionId>%s</VersionId></Object>"
             "<Object><Key>k</Key><VersionId>%s</VersionId></Object>"
             "<Object><Key>k</Key><VersionId>" UNKNOWN "</VersionId></Object>"
             "<Object><Key>l</Key></Object></Delete>",
             one, marker);
    delete_many(&answer, document);
    snprintf(wanted, sizeof(wanted),
             "<Deleted><Key>k</Key><VersionId>%s</VersionId></Deleted>"
             "<Deleted><Key>k</Key><VersionId>%s</VersionId>"
             "<DeleteMarker>true</DeleteMarker>"
             "<DeleteMarkerVersionId>%s</DeleteMarkerVersionId></Deleted>"
             "<Deleted><Key>k</Key><VersionId>" UNKNOWN "</VersionId></Deleted>"
             "<Deleted><Key>l</Key><DeleteMarker>true</DeleteMarker>"
             "<DeleteMarkerVersionId>",
             one, marker, marker);
    assert_contains(&answer, wanted);
    at = strstr((char *)answer.body.data, "<Key>l</Key>");
    at = strstr(at, "<DeleteMarkerVersionId>") + 23;
    snprintf(marker, sizeof(marker), "%.32s", at);
    s3_answer_free(&answer);
    expect_body("k", two, "two");
    expect_error(GET("k", VERSION(one)), "NoSuchVersion", 404, one);
    expect_error(GET("l", VERSION(marker)), "MethodNotAllowed", 405, "Delete");

    /* Versions and markers keep a bucket alive. */
    struct s3_case bucket = S3_CASE(DELETE_BUCKET, NULL);
    expect_error(bucket, "BucketNotEmpty", 409, "You must delete all versions");
    s3_expect(&fixture, 204, DELETE("k", VERSION(two)));
    expect_error(bucket, "BucketNotEmpty", 409, "<BucketName>b</BucketName>");
    s3_expect(&fixture, 204, DELETE("l", VERSION(marker)));
    s3_expect(&fixture, 204, bucket);
    s3_make_bucket(&fixture, "b");
}

/* --- ListObjectVersions ----------------------------------------------------*/
static void list(struct s3_answer *answer, const char *const *args)
{
    s3_run(&fixture, answer, S3_CASE(LIST_OBJECT_VERSIONS, "", .args = args));
    assert_int_equal(answer->status, 200);
}

static void test_list_elements(void **state)
{
    char one[40], marker[40], wanted[512];
    struct s3_answer answer;

    (void)state;
    s3_expect(&fixture, 200, PUT("a b", "null"));
    set_versioning(STATUS("Enabled"));
    expect_id(200, PUT("a b", "one"), one);
    expect_id(204, DELETE("a b"), marker);
    list(&answer, FIELDS("encoding-type", "url", "prefix", "a "));
    assert_contains(&answer,
                    "<ListVersionsResult "
                    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                    "<Name>b</Name><Prefix>a%20</Prefix><KeyMarker></KeyMarker>"
                    "<VersionIdMarker></VersionIdMarker><MaxKeys>1000</MaxKeys>"
                    "<EncodingType>url</EncodingType>"
                    "<IsTruncated>false</IsTruncated><DeleteMarker>");
    snprintf(wanted, sizeof(wanted),
             "<DeleteMarker><Key>a%%20b</Key><VersionId>%s</VersionId>"
             "<IsLatest>true</IsLatest><LastModified>",
             marker);
    assert_contains(&answer, wanted);
    snprintf(wanted, sizeof(wanted),
             "</Owner></DeleteMarker><Version><Key>a%%20b</Key><VersionId>%s"
             "</VersionId><IsLatest>false</IsLatest><LastModified>",
             one);
    assert_contains(&answer, wanted);
    assert_contains(&answer,
                    "<ETag>&quot;f97c5d29941bfb1b2fdab0874906ab82&quot;</ETag>"
                    "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
                    "<ChecksumType>FULL_OBJECT</ChecksumType><Size>3</Size>"
                    "<Owner><ID>");
    assert_contains(&answer, "<StorageClass>STANDARD</StorageClass></Version>"
                             "<Version><Key>a%20b</Key><VersionId>null<");
    s3_answer_free(&answer);
}

static void test_list_pages(void **state)
{
    char one[40], two[40], wanted[256];
    struct s3_answer answer;

    (void)state;
    set_versioning(STATUS("Enabled"));
    expect_id(200, PUT("k", "one"), one);
    expect_id(200, PUT("k", "two"), two);
    s3_expect(&fixture, 200, PUT("p/q", "x"));
    list(&answer, FIELDS("max-keys", "1", "delimiter", "/"));
    snprintf(wanted, sizeof(wanted),
             "<NextKeyMarker>k</NextKeyMarker><NextVersionIdMarker>%s"
             "</NextVersionIdMarker><MaxKeys>1</MaxKeys>"
             "<Delimiter>/</Delimiter><IsTruncated>true</IsTruncated>",
             two);
    assert_contains(&answer, wanted);
    s3_answer_free(&answer);
    list(&answer, FIELDS("max-keys", "1", "delimiter", "/", "key-marker", "k",
                         "version-id-marker", two));
    snprintf(wanted, sizeof(wanted),
             "<Version><Key>k</Key><VersionId>%s</VersionId>"
             "<IsLatest>false</IsLatest>",
             one);
    assert_contains(&answer, wanted);
    s3_answer_free(&answer);
    /* Of a version that is gone the place is known. */
    s3_expect(&fixture, 204, DELETE("k", VERSION(two)));
    list(&answer, FIELDS("max-keys", "1", "delimiter", "/", "key-marker", "k",
                         "version-id-marker", two));
    snprintf(wanted, sizeof(wanted),
             "<Version><Key>k</Key><VersionId>%s</VersionId>"
             "<IsLatest>true</IsLatest>",
             one);
    assert_contains(&answer, wanted);
    s3_answer_free(&answer);
    list(&answer, FIELDS("max-keys", "1", "delimiter", "/", "key-marker", "k"));
    assert_contains(&answer, "<IsTruncated>false</IsTruncated><CommonPrefixes>"
                             "<Prefix>p/</Prefix></CommonPrefixes>");
    s3_answer_free(&answer);
    list(&answer, FIELDS("delimiter", "/", "key-marker", "p/"));
    assert_contains(&answer, "<IsTruncated>false</IsTruncated>"
                             "</ListVersionsResult>");
    s3_answer_free(&answer);
    list(&answer, FIELDS("max-keys", "0"));
    assert_contains(&answer, "<MaxKeys>0</MaxKeys><IsTruncated>false"
                             "</IsTruncated></ListVersionsResult>");
    s3_answer_free(&answer);
}

static void list_error(const char *const *args, const char *part)
{
    expect_error(S3_CASE(LIST_OBJECT_VERSIONS, "", .args = args),
                 "InvalidArgument", 400, part);
}

static void test_list_errors(void **state)
{
    (void)state;
    list_error(FIELDS("version-id-marker", UNKNOWN),
               "A version-id marker cannot be specified without a key marker.");
    list_error(FIELDS("key-marker", "k", "version-id-marker", "bogus"),
               "<ArgumentValue>bogus</ArgumentValue>");
    list_error(FIELDS("key-marker", "k", "version-id-marker", ""),
               "A version-id marker cannot be empty.</Message><ArgumentName>"
               "version-id-marker</ArgumentName>");
    list_error(FIELDS("max-keys", "-1"), "<ArgumentName>max-keys<");
    list_error(FIELDS("encoding-type", "other"), "<ArgumentName>encoding-type");
    expect_error(
        (struct s3_case){.operation = WIRE__OPERATION__LIST_OBJECT_VERSIONS,
                         .bucket = "nowhere"},
        "NoSuchBucket", 404, "<BucketName>nowhere");
}

/* 1,100 versions of one key, the null version below them all. */
static void test_deep_key(void **state)
{
    struct s3_answer answer;

    (void)state;
    s3_expect(&fixture, 200, PUT("deep", "bottom"));
    set_versioning(STATUS("Enabled"));
    for (unsigned i = 0; i < 1100; i++) {
        s3_expect(&fixture, 200, PUT("deep", ""));
    }
    expect_body("deep", "null", "bottom");
    list(&answer, FIELDS("max-keys", "5000"));
    assert_contains(&answer, "<MaxKeys>1000</MaxKeys>"
                             "<IsTruncated>true</IsTruncated>");
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, S3_CASE(LIST_OBJECTS, ""));
    assert_contains(&answer, "<IsTruncated>false</IsTruncated><Contents>"
                             "<Key>deep</Key>");
    s3_answer_free(&answer);
}

/* The clock went back since the newest version was written. */
static void test_time_does_not_go_back(void **state)
{
    const struct s3_case put = {.operation = WIRE__OPERATION__PUT_OBJECT,
                                .bucket = "b",
                                .key = "clock",
                                .body = "x",
                                .size = 1};
    struct meta *meta = fixture.service.meta;
    struct arena *arena = arena_new();
    Meta__Bucket *bucket;
    Meta__Object *first, *second;

    (void)state;
    s3_expect(&fixture, 200, put);
    assert_int_equal(meta_get_bucket(meta, arena, SLICE_LITERAL("b"), &bucket),
                     0);
    assert_int_equal(meta_get_object(meta, arena, bucket->id,
                                     SLICE_LITERAL("clock"), &first),
                     0);
    first->mtime_ms += 3600 * 1000;
    struct meta_batch *batch = meta_batch_new(meta);
    meta_put_object(batch, bucket->id, SLICE_LITERAL("clock"), first);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);

    set_versioning(STATUS("Enabled"));
    s3_expect(&fixture, 200, put);
    assert_int_equal(meta_get_object(meta, arena, bucket->id,
                                     SLICE_LITERAL("clock"), &second),
                     0);
    assert_true(second->sequence > first->sequence);
    assert_int_equal(second->mtime_ms, first->mtime_ms);
    arena_free(arena);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_configuration),
        cmocka_unit_test(test_ids),
        TEST(test_unversioned_says_nothing),
        TEST(test_versions),
        TEST(test_time_does_not_go_back),
        TEST(test_wrong_ids),
        TEST(test_suspended),
        TEST(test_conditions_on_markers),
        TEST(test_copies),
        TEST(test_multipart),
        TEST(test_delete_objects),
        TEST(test_list_elements),
        TEST(test_list_pages),
        TEST(test_list_errors),
        TEST(test_deep_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
