/* Checksums of uploads: which there are, what they must be. */
#include "s3_multipart_fixture.h"

static void create_fails(const char *const *headers)
{
    struct s3_answer answer;
    struct s3_case c =
        on(WIRE__OPERATION__CREATE_MULTIPART_UPLOAD, "sums", NULL);
    c.headers = headers;
    s3_run(&fixture, &answer, c);
    assert_error(&answer, "InvalidRequest", 400);
    s3_answer_free(&answer);
}

static void test_checksum_types(void **state)
{
    static const char *const composite[] = {"CRC32", "CRC32C", "SHA1",
                                            "SHA256"};
    struct s3_answer answer;
    (void)state;
    create_fails(FIELDS("x-amz-checksum-type", "FULL_OBJECT"));
    create_fails(FIELDS("x-amz-checksum-algorithm", "MD4"));
    create_fails(FIELDS("x-amz-checksum-algorithm", "CRC64NVME",
                        "x-amz-checksum-type", "COMPOSITE"));
    create_fails(FIELDS("x-amz-checksum-algorithm", "SHA256",
                        "x-amz-checksum-type", "FULL_OBJECT"));
    create_fails(FIELDS("x-amz-checksum-algorithm", "SHA1",
                        "x-amz-checksum-type", "FULL_OBJECT"));
    create_fails(FIELDS("x-amz-checksum-algorithm", "CRC32",
                        "x-amz-checksum-type", "HALF"));
    for (int i = 0; i < 5; i++) {
        struct s3_case c =
            on(WIRE__OPERATION__CREATE_MULTIPART_UPLOAD, "sums", NULL);
        c.headers = FIELDS("x-amz-checksum-algorithm",
                           i < 4 ? composite[i] : "CRC64NVME");
        s3_run(&fixture, &answer, c);
        assert_int_equal(answer.status, 200);
        assert_header(&answer, "x-amz-checksum-algorithm",
                      i < 4 ? composite[i] : "CRC64NVME");
        assert_header(&answer, "x-amz-checksum-type",
                      i < 4 ? "COMPOSITE" : "FULL_OBJECT");
        s3_answer_free(&answer);
    }
}

static const struct algorithm {
    const char *name, *header, *element;
    enum digest digest;
} algorithms[] = {
    {"CRC32", "x-amz-checksum-crc32", "ChecksumCRC32", DIGEST_CRC32},
    {"CRC32C", "x-amz-checksum-crc32c", "ChecksumCRC32C", DIGEST_CRC32C},
    {"CRC64NVME", "x-amz-checksum-crc64nvme", "ChecksumCRC64NVME",
     DIGEST_CRC64NVME},
    {"SHA1", "x-amz-checksum-sha1", "ChecksumSHA1", DIGEST_SHA1},
    {"SHA256", "x-amz-checksum-sha256", "ChecksumSHA256", DIGEST_SHA256},
};

/* What the checksum of parts [0, BIG) and [BIG, BIG + 7) has to be. */
static struct text wanted_checksum(const struct algorithm *a, bool composite)
{
    uint8_t raw[2 * DIGEST_SIZE_MAX];
    struct text out;
    if (!composite) {
        return base64_of(a->digest, bytes, BIG + 7);
    }
    size_t size = digest(a->digest, bytes, BIG, raw);
    uint8_t second[DIGEST_SIZE_MAX];
    digest(a->digest, bytes + BIG, 7, second);
    memcpy(raw + size, second, size);
    out = base64_of(a->digest, raw, 2 * size);
    strcat(out.s, "-2");
    return out;
}

static void list_with_checksums(struct buffer *list, const struct algorithm *a,
                                const struct text *etags,
                                const struct text *sums, bool given)
{
    char more[256];
    list->size = 0;
    for (int i = 0; i < 2; i++) {
        snprintf(more, sizeof(more), "<%s>%s</%s>", a->element, sums[i].s,
                 a->element);
        add_part(list, i ? "2" : "1", etags[i].s, given ? more : "");
    }
}

static void one_algorithm(const struct algorithm *a, bool composite)
{
    const char *type = composite ? "COMPOSITE" : "FULL_OBJECT";
    struct text id = create("sums", FIELDS("x-amz-checksum-algorithm", a->name,
                                           "x-amz-checksum-type", type));
    struct text sums[2] = {base64_of(a->digest, bytes, BIG),
                           base64_of(a->digest, bytes + BIG, 7)};
    struct text etags[2], wanted = wanted_checksum(a, composite);
    struct buffer list = {0};
    struct s3_answer answer;

    for (int i = 0; i < 2; i++) {
        upload(&answer, "sums", id.s, i ? "2" : "1", bytes + i * BIG,
               i ? 7 : BIG, FIELDS(a->header, sums[i].s));
        assert_int_equal(answer.status, 200);
        assert_header(&answer, a->header, sums[i].s);
        etags[i] = header(&answer, "etag");
        s3_answer_free(&answer);
    }
    /* A wrong sum, another algorithm, none at all. */
    upload(&answer, "sums", id.s, "2", "x", 1, FIELDS(a->header, sums[0].s));
    assert_error(&answer, "BadDigest", 400);
    s3_answer_free(&answer);
    const struct algorithm *other =
        a == &algorithms[0] ? &algorithms[1] : &algorithms[0];
    struct text sum = base64_of(other->digest, "x", 1);
    upload(&answer, "sums", id.s, "2", "x", 1, FIELDS(other->header, sum.s));
    assert_error(&answer, "InvalidRequest", 400);
    assert_contains(&answer, "Checksum Type mismatch occurred");
    s3_answer_free(&answer);
    upload(&answer, "sums", id.s, "3", "x", 1, NULL);
    if (composite) {
        assert_error(&answer, "InvalidRequest", 400);
        assert_contains(&answer, "actual checksum Type: null");
    } else {
        assert_int_equal(answer.status, 200);
    }
    s3_answer_free(&answer);

    list_with_checksums(&list, a, etags, sums, true);
    complete_fails(
        "sums", id.s, &list,
        FIELDS("x-amz-checksum-type", composite ? "FULL_OBJECT" : "COMPOSITE"),
        "InvalidRequest", 400, type);
    list_with_checksums(&list, a, etags, sums, true);
    complete_fails("sums", id.s, &list, FIELDS(a->header, sums[1].s),
                   "BadDigest", 400, a->name);
    struct text swapped[2] = {sums[1], sums[0]};
    list_with_checksums(&list, a, etags, swapped, true);
    complete_fails("sums", id.s, &list, NULL, "InvalidPart", 400, id.s);
    if (composite) {
        list_with_checksums(&list, a, etags, sums, false);
        complete_fails("sums", id.s, &list, NULL, "InvalidRequest", 400,
                       "It was missing for part 1 in the request.");
    }
    list_with_checksums(&list, a, etags, sums, composite);
    complete(&answer, "sums", id.s, &list,
             FIELDS(a->header, wanted.s, "x-amz-checksum-type", type));
    assert_int_equal(answer.status, 200);
    assert_string_equal(element(&answer, a->element).s, wanted.s);
    assert_string_equal(element(&answer, "ChecksumType").s, type);
    s3_answer_free(&answer);
    struct s3_case head = on(WIRE__OPERATION__HEAD_OBJECT, "sums", NULL);
    head.headers = FIELDS("x-amz-checksum-mode", "ENABLED");
    s3_run(&fixture, &answer, head);
    assert_header(&answer, a->header, wanted.s);
    assert_header(&answer, "x-amz-checksum-type", type);
    s3_answer_free(&answer);
    buffer_free(&list);
    check_references();
}

static void test_checksums(void **state)
{
    (void)state;
    one_algorithm(&algorithms[0], true);
    one_algorithm(&algorithms[0], false);
    one_algorithm(&algorithms[1], true);
    one_algorithm(&algorithms[1], false);
    one_algorithm(&algorithms[2], false);
    one_algorithm(&algorithms[3], true);
    one_algorithm(&algorithms[4], true);
}

/* SDKs that name no algorithm at create, but send one with each part. */
static void test_checksum_not_named(void **state)
{
    struct text id = create("sums", NULL);
    struct text crc = base64_of(DIGEST_CRC32, bytes, BIG), etags[2];
    struct text crc2 = base64_of(DIGEST_CRC32, bytes + BIG, 7);
    struct buffer list = {0};
    struct s3_answer answer;
    (void)state;
    upload(&answer, "sums", id.s, "1", bytes, BIG,
           FIELDS("x-amz-checksum-crc32", crc.s));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "x-amz-checksum-crc32", crc.s);
    etags[0] = header(&answer, "etag");
    s3_answer_free(&answer);
    etags[1] = part("sums", id.s, "2", bytes + BIG, 7);
    struct text sums[2] = {crc, crc2};
    list_with_checksums(&list, &algorithms[0], etags, sums, true);
    complete(&answer, "sums", id.s, &list, NULL);
    assert_int_equal(answer.status, 200);
    assert_string_equal(element(&answer, "ChecksumCRC64NVME").s,
                        base64_of(DIGEST_CRC64NVME, bytes, BIG + 7).s);
    s3_answer_free(&answer);
    buffer_free(&list);
    check_references();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksum_types),
        cmocka_unit_test(test_checksums),
        cmocka_unit_test(test_checksum_not_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
