/* UploadPartCopy: whose bytes a part names. */
#include "s3_multipart_fixture.h"

static void copy(struct s3_answer *answer, const char *id, const char *number,
                 const char *const *headers)
{
    struct s3_case c = on(WIRE__OPERATION__UPLOAD_PART_COPY, "target",
                          FIELDS("uploadId", id, "partNumber", number));
    c.headers = headers;
    s3_run(&fixture, answer, c);
}

static struct text copied(const char *id, const char *number,
                          const char *source, size_t from, size_t to,
                          const uint8_t *wanted)
{
    struct s3_answer answer;
    struct text etag;
    uint8_t md5[DIGEST_SIZE_MAX];
    char range[64], hex[33];
    snprintf(range, sizeof(range), "bytes=%zu-%zu", from, to - 1);
    copy(&answer, id, number,
         to == 0 ? FIELDS("x-amz-copy-source", source)
                 : FIELDS("x-amz-copy-source", source,
                          "x-amz-copy-source-range", range));
    if (answer.status != 200) {
        fail_msg("%s", (char *)answer.body.data);
    }
    assert_contains(&answer, "<CopyPartResult");
    assert_contains(&answer, "<LastModified>20");
    etag = element(&answer, "ETag");
    if (to != 0) {
        digest(DIGEST_MD5, wanted, to - from, md5);
        hex_encode(hex, md5, 16);
        char quoted[64];
        snprintf(quoted, sizeof(quoted), "&quot;%s&quot;", hex);
        assert_string_equal(etag.s, quoted);
        assert_string_equal(element(&answer, "ChecksumCRC64NVME").s,
                            base64_of(DIGEST_CRC64NVME, wanted, to - from).s);
    }
    s3_answer_free(&answer);
    return etag;
}

static void make_composite(const char *key)
{
    struct text id = create(key, NULL);
    struct text e1 = part(key, id.s, "1", bytes, BIG);
    struct text e2 = part(key, id.s, "2", bytes + BIG, BIG);
    struct text e3 = part(key, id.s, "3", bytes + 2 * BIG, 1000);
    struct buffer list = {0};
    struct s3_answer answer;
    add_part(&list, "1", e1.s, "");
    add_part(&list, "2", e2.s, "");
    add_part(&list, "3", e3.s, "");
    complete(&answer, key, id.s, &list, NULL);
    assert_int_equal(answer.status, 200);
    s3_answer_free(&answer);
    buffer_free(&list);
}

static void test_part_copy(void **state)
{
    struct text id = create("target", NULL), etags[6];
    struct buffer list = {0}, wanted = {0};
    struct s3_answer answer;
    char number[16];
    (void)state;
    put("src one", bytes, BIG + 100);
    make_composite("parts");
    unsigned blobs = records('L');

    /* Whole, a slice, a whole part, across parts, within a part. */
    etags[0] = copied(id.s, "1", "/bucket/src%20one", 0, 0, NULL);
    etags[1] =
        copied(id.s, "2", "bucket/src%20one", 100, BIG + 100, bytes + 100);
    etags[2] = copied(id.s, "3", "bucket/parts", BIG, 2 * BIG, bytes + BIG);
    assert_int_equal(records('L'), blobs); /* not a byte written */
    etags[3] = copied(id.s, "4", "bucket/parts", BIG - 5, 2 * BIG + 5,
                      bytes + BIG - 5);
    assert_int_equal(records('L'), blobs + 1);
    etags[4] = copied(id.s, "5", "bucket/parts", 2 * BIG + 1, 2 * BIG + 9,
                      bytes + 2 * BIG + 1);
    etags[4] = copied(id.s, "5", "bucket/parts", 2 * BIG + 1, 2 * BIG + 9,
                      bytes + 2 * BIG + 1); /* again, over itself */
    check_references();
    for (int i = 0; i < 5; i++) {
        snprintf(number, sizeof(number), "%d", i + 1);
        add_part(&list, number, etags[i].s, "");
    }
    /* The sources may go: the copies hold their bytes. */
    s3_expect(&fixture, 204,
              on(WIRE__OPERATION__DELETE_OBJECT, "src one", NULL));
    s3_expect(&fixture, 204, on(WIRE__OPERATION__DELETE_OBJECT, "parts", NULL));
    complete(&answer, "target", id.s, &list, NULL);
    assert_int_equal(answer.status, 200);
    buffer_append(&wanted, bytes, BIG + 100);
    buffer_append(&wanted, bytes + 100, BIG);
    buffer_append(&wanted, bytes + BIG, BIG);
    buffer_append(&wanted, bytes + BIG - 5, BIG + 10);
    buffer_append(&wanted, bytes + 2 * BIG + 1, 8);
    assert_string_equal(
        element(&answer, "ChecksumCRC64NVME").s,
        base64_of(DIGEST_CRC64NVME, wanted.data, wanted.size).s);
    s3_answer_free(&answer);
    check_object("target", wanted.data, wanted.size);
    check_references();
    buffer_free(&list);
    buffer_free(&wanted);
}

static void copy_fails(const char *id, const char *const *headers,
                       const char *code, unsigned status)
{
    struct s3_answer answer;
    copy(&answer, id, "1", headers);
    if (strcmp(answer.error, code) != 0) {
        fail_msg("%s instead of %s", answer.error, code);
    }
    assert_int_equal(answer.status, status);
    s3_answer_free(&answer);
}

static void test_part_copy_refused(void **state)
{
    static const char *const ranges[] = {
        "bytes=0-10", "bytes=10-11", "bytes=5-4", "bytes=0-",
        "bytes=-5",   "0-5",         "bytes=a-b", "bytes=0-1,3-4"};
    struct text id = create("target", NULL);
    struct s3_answer answer;
    (void)state;
    put("ten", bytes, 10);
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        copy_fails(id.s,
                   FIELDS("x-amz-copy-source", "bucket/ten",
                          "x-amz-copy-source-range", ranges[i]),
                   "InvalidArgument", 400);
    }
    copy_fails(id.s,
               FIELDS("x-amz-copy-source", "bucket/ten",
                      "x-amz-copy-source-if-match", "\"00\""),
               "PreconditionFailed", 412);
    copy_fails(id.s,
               FIELDS("x-amz-copy-source", "bucket/ten",
                      "x-amz-copy-source-if-none-match", "*"),
               "PreconditionFailed", 412);
    copy_fails(id.s, FIELDS("x-amz-copy-source", "bucket/none"), "NoSuchKey",
               404);
    copy_fails(id.s, FIELDS("x-amz-copy-source", "nobucket/x"), "NoSuchBucket",
               404);
    s3_run(&fixture, &answer,
           on(WIRE__OPERATION__LIST_PARTS, "target", FIELDS("uploadId", id.s)));
    assert_null(strstr((char *)answer.body.data, "<Part>"));
    s3_answer_free(&answer);
    copied(id.s, "1", "bucket/ten", 0, 10, bytes);
    s3_expect(&fixture, 204,
              on(WIRE__OPERATION__ABORT_MULTIPART_UPLOAD, "target",
                 FIELDS("uploadId", id.s)));
    check_object("ten", bytes, 10); /* an abort takes nothing from it */
    check_references();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_part_copy),
        cmocka_unit_test(test_part_copy_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
