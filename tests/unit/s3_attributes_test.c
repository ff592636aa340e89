/* GetObjectAttributes. */
#include "s3_fixture.h"

#define PART_SIZE (5u << 20)

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

#define OF(k, ...)                                                             \
    S3_CASE(GET_OBJECT_ATTRIBUTES, k, .headers = FIELDS(__VA_ARGS__))
#define ASK "x-amz-object-attributes"

/* What is between the root's tags. */
static void attributes_are(struct s3_case c, const char *inside)
{
    struct s3_answer answer;
    char *document =
        arena_printf(arena,
                     "<GetObjectAttributesResponse "
                     "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">%s"
                     "</GetObjectAttributesResponse>",
                     inside);

    s3_run(&fixture, &answer, c);
    assert_int_equal(answer.status, 200);
    assert_non_null(s3_header(&answer, "Last-Modified"));
    assert_no_header(&answer, "ETag");
    assert_string_equal(strchr((char *)answer.body.data, '\n') + 1, document);
    s3_answer_free(&answer);
}

static void refused(struct s3_case c, const char *code, unsigned status,
                    const char *text)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, c);
    assert_error(&answer, code, status);
    assert_contains(&answer, text);
    s3_answer_free(&answer);
}

/* Of "hello": computed with md5sum and by S3's SDK. */
#define HELLO_MD5   "5d41402abc4b2a76b9719d911017c592"
#define HELLO_CRC32 "NhCmhg=="

static void test_simple(void **state)
{
    struct s3_case get = GET("k");
    struct s3_answer answer, attributes;

    (void)state;
    s3_expect(&fixture, 200,
              PUT("k", "hello",
                  .headers = FIELDS("x-amz-checksum-crc32", HELLO_CRC32)));
    attributes_are(OF("k", ASK, "ETag"), "<ETag>" HELLO_MD5 "</ETag>");
    attributes_are(OF("k", ASK, "ObjectSize"), "<ObjectSize>5</ObjectSize>");
    attributes_are(OF("k", ASK, "StorageClass"),
                   "<StorageClass>STANDARD</StorageClass>");
    attributes_are(OF("k", ASK, "Checksum"),
                   "<Checksum><ChecksumCRC32>" HELLO_CRC32
                   "</ChecksumCRC32><ChecksumType>FULL_OBJECT</ChecksumType>"
                   "</Checksum>");
    attributes_are(OF("k", ASK, "ObjectParts"), "");
    attributes_are(OF("k", ASK, "ObjectSize, ETag,,StorageClass", ASK,
                      "ObjectParts,Checksum"),
                   "<ETag>" HELLO_MD5 "</ETag>"
                   "<Checksum><ChecksumCRC32>" HELLO_CRC32
                   "</ChecksumCRC32><ChecksumType>FULL_OBJECT</ChecksumType>"
                   "</Checksum><StorageClass>STANDARD</StorageClass>"
                   "<ObjectSize>5</ObjectSize>");
    s3_expect(&fixture, 200,
              PUT("k", "", .empty_body = true,
                  .headers = FIELDS("x-amz-storage-class", "STANDARD_IA")));
    attributes_are(OF("k", ASK, "StorageClass,ObjectSize"),
                   "<StorageClass>STANDARD_IA</StorageClass>"
                   "<ObjectSize>0</ObjectSize>");
    /* The same time as GetObject tells. */
    s3_run(&fixture, &answer, get);
    s3_run(&fixture, &attributes, OF("k", ASK, "ETag"));
    assert_header(&attributes, "Last-Modified",
                  arena_string(arena, slice_from_string(s3_header(
                                          &answer, "Last-Modified"))));
    s3_answer_free(&answer);
    s3_answer_free(&attributes);
}

static void test_errors(void **state)
{
    struct s3_case c = OF("k", ASK, "ETag");

    (void)state;
    refused(c, "NoSuchKey", 404, "<Key>k</Key>");
    c.bucket = "nosuch";
    refused(c, "NoSuchBucket", 404, "");
    s3_expect(&fixture, 200, PUT("k", "hello"));
    refused(S3_CASE(GET_OBJECT_ATTRIBUTES, "k"), "InvalidRequest", 400,
            "The x-amz-object-attributes header specifying the attributes to "
            "be retrieved is either missing or empty");
    refused(OF("k", ASK, ""), "InvalidRequest", 400, "missing or empty");
    refused(OF("k", ASK, " , "), "InvalidRequest", 400, "missing or empty");
    refused(OF("k", ASK, "ETag,etag"), "InvalidArgument", 400,
            "<ArgumentName>x-amz-object-attributes</ArgumentName>"
            "<ArgumentValue>etag</ArgumentValue>");
    refused(OF("k", ASK, "ETag", "x-amz-max-parts", "x"), "InvalidArgument",
            400, "<ArgumentName>x-amz-max-parts</ArgumentName>");
    refused(OF("k", ASK, "ETag", "x-amz-part-number-marker", "-1"),
            "InvalidArgument", 400,
            "<ArgumentName>x-amz-part-number-marker</ArgumentName>");
    c = OF("k", ASK, "ETag");
    c.args = FIELDS("versionId", "0123456789abcdef0123456789abcdef");
    refused(c, "NoSuchVersion", 404, "");
}

/* --- multipart -------------------------------------------------------------*/
static char *element(const struct s3_answer *answer, const char *name)
{
    char *open = arena_printf(arena, "<%s>", name);
    const char *start = strstr((const char *)answer->body.data, open);

    assert_non_null(start);
    start += strlen(open);
    return arena_string(arena,
                        slice_of(start, (size_t)(strchr(start, '<') - start)));
}

/* Headers that give a part's SHA-256; none for the other algorithm. */
static const char *const *integrity(const char *algorithm, const uint8_t *data,
                                    size_t size)
{
    const char **headers = arena_zalloc(arena, 4 * sizeof(*headers));
    struct digester *digester = digester_new(DIGEST_SHA256);
    char *encoded = arena_alloc(arena, 64);
    uint8_t sha256[DIGEST_SIZE_MAX];

    digester_update(digester, data, size);
    digester_final(digester, DIGEST_SHA256, sha256);
    digester_free(digester);
    base64_encode(encoded, sha256, 32);
    if (strcmp(algorithm, "SHA256") == 0) {
        headers[0] = "x-amz-checksum-sha256";
        headers[1] = encoded;
    }
    return headers;
}

/* Parts 2, 5 and 9; returns the checksums that the parts had. */
static void upload(const char *algorithm, char *checksums[3])
{
    static const char *const numbers[] = {"2", "5", "9"};
    const char *header =
        arena_printf(arena, "x-amz-checksum-%s",
                     strcmp(algorithm, "SHA256") == 0 ? "sha256" : "crc64nvme");
    uint8_t *data = arena_alloc(arena, PART_SIZE);
    struct buffer complete = {NULL, 0, 0};
    struct s3_answer answer;
    char *id;

    s3_run(&fixture, &answer,
           S3_CASE(CREATE_MULTIPART_UPLOAD, "k",
                   .headers = FIELDS("x-amz-checksum-algorithm", algorithm)));
    assert_int_equal(answer.status, 200);
    id = element(&answer, "UploadId");
    s3_answer_free(&answer);
    buffer_append_string(&complete, "<CompleteMultipartUpload>");
    for (unsigned i = 0; i < 3; i++) {
        size_t size = i == 2 ? 10 : PART_SIZE;

        s3_fill(data, size, i);
        s3_run(
            &fixture, &answer,
            S3_CASE(UPLOAD_PART, "k", .body = data, .size = size,
                    .headers = integrity(algorithm, data, size),
                    .args = FIELDS("partNumber", numbers[i], "uploadId", id)));
        assert_int_equal(answer.status, 200);
        checksums[i] =
            arena_string(arena, slice_from_string(s3_header(&answer, header)));
        buffer_printf(&complete,
                      "<Part><PartNumber>%s</PartNumber><Checksum%s>%s"
                      "</Checksum%s><ETag>%s</ETag></Part>",
                      numbers[i], algorithm, checksums[i], algorithm,
                      s3_header(&answer, "ETag"));
        s3_answer_free(&answer);
    }
    buffer_append_string(&complete, "</CompleteMultipartUpload>");
    s3_expect(&fixture, 200,
              S3_CASE(COMPLETE_MULTIPART_UPLOAD, "k", .body = complete.data,
                      .size = complete.size, .args = FIELDS("uploadId", id)));
    buffer_free(&complete);
}

#define PART(checksum, number, size)                                           \
    "<Part><ChecksumSHA256>" checksum "</ChecksumSHA256><PartNumber>" number   \
    "</PartNumber><Size>" size "</Size></Part>"
#define PAGE(truncated, max, next, after, parts)                               \
    "<ObjectParts><IsTruncated>" truncated "</IsTruncated><MaxParts>" max      \
    "</MaxParts><NextPartNumberMarker>" next "</NextPartNumberMarker>"         \
    "<PartNumberMarker>" after "</PartNumberMarker>" parts                     \
    "<PartsCount>3</PartsCount></ObjectParts>"

static void test_parts(void **state)
{
    char *sums[3];

    (void)state;
    upload("SHA256", sums);
    attributes_are(
        OF("k", ASK, "ObjectParts,ObjectSize"),
        arena_printf(
            arena,
            PAGE("false", "1000", "9", "0",
                 PART("%s", "2", "5242880") PART("%s", "5", "5242880")
                     PART("%s", "9", "10")) "<ObjectSize>10485770</ObjectSize>",
            sums[0], sums[1], sums[2]));
    attributes_are(OF("k", ASK, "ObjectParts", "x-amz-max-parts", "2"),
                   arena_printf(arena,
                                PAGE("true", "2", "5", "0",
                                     PART("%s", "2", "5242880")
                                         PART("%s", "5", "5242880")),
                                sums[0], sums[1]));
    attributes_are(
        OF("k", ASK, "ObjectParts", "x-amz-max-parts", "2",
           "x-amz-part-number-marker", "5"),
        arena_printf(arena, PAGE("false", "2", "9", "5", PART("%s", "9", "10")),
                     sums[2]));
    attributes_are(OF("k", ASK, "ObjectParts", "x-amz-part-number-marker", "9",
                      "x-amz-max-parts", "5000"),
                   PAGE("false", "1000", "0", "9", ""));
}

/* Parts of an upload without a checksum of the client's are only counted. */
static void test_parts_without_checksums(void **state)
{
    char *sums[3];

    (void)state;
    upload("CRC64NVME", sums);
    attributes_are(OF("k", ASK, "ObjectParts"),
                   "<ObjectParts><PartsCount>3</PartsCount></ObjectParts>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_simple, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_parts_without_checksums, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
