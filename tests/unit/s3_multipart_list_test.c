/* ListParts and ListMultipartUploads. */
#include "s3_multipart_fixture.h"

static void test_list_parts(void **state)
{
    struct text id =
        create("listed", FIELDS("x-amz-checksum-algorithm", "CRC32",
                                "x-amz-checksum-type", "FULL_OBJECT"));
    struct s3_answer answer;
    (void)state;
    for (int i = 1; i <= 5; i++) {
        char number[16];
        snprintf(number, sizeof(number), "%d", 2 * i);
        part("listed", id.s, number, "abc", 3);
    }
    s3_run(&fixture, &answer,
           on(WIRE__OPERATION__LIST_PARTS, "listed",
              FIELDS("uploadId", id.s, "max-parts", "2", "part-number-marker",
                     "4")));
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, "<PartNumberMarker>4</PartNumberMarker>"
                             "<NextPartNumberMarker>8</NextPartNumberMarker>"
                             "<MaxParts>2</MaxParts>"
                             "<IsTruncated>true</IsTruncated>"
                             "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>"
                             "<ChecksumType>FULL_OBJECT</ChecksumType><Part>"
                             "<PartNumber>6</PartNumber>");
    assert_contains(&answer,
                    "<ETag>&quot;900150983cd24fb0d6963f7d28e17f72&quot;</ETag>"
                    "<Size>3</Size><ChecksumCRC32>NSRBwg==</ChecksumCRC32>"
                    "</Part>");
    assert_contains(&answer, "<DisplayName>tester</DisplayName></Initiator>");
    assert_contains(&answer, "<StorageClass>STANDARD</StorageClass>");
    assert_null(strstr((char *)answer.body.data, ">10<"));
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           on(WIRE__OPERATION__LIST_PARTS, "listed",
              FIELDS("uploadId", id.s, "part-number-marker", "8")));
    assert_contains(&answer, "<IsTruncated>false</IsTruncated>");
    assert_contains(&answer, "<PartNumber>10</PartNumber>");
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           on(WIRE__OPERATION__LIST_PARTS, "listed",
              FIELDS("uploadId", id.s, "max-parts", "x")));
    assert_error(&answer, "InvalidArgument", 400);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           on(WIRE__OPERATION__LIST_PARTS, "listed",
              FIELDS("uploadId", id.s, "part-number-marker", "-1")));
    assert_error(&answer, "InvalidArgument", 400);
    s3_answer_free(&answer);
    s3_expect(&fixture, 204,
              on(WIRE__OPERATION__ABORT_MULTIPART_UPLOAD, "listed",
                 FIELDS("uploadId", id.s)));
    check_references();
}

static void uploads(struct s3_answer *answer, const char *const *args)
{
    s3_run(
        &fixture, answer,
        (struct s3_case){.operation = WIRE__OPERATION__LIST_MULTIPART_UPLOADS,
                         .bucket = "uploads",
                         .args = args});
}

static struct text start_upload(const char *key)
{
    struct s3_answer answer;
    struct s3_case c = on(WIRE__OPERATION__CREATE_MULTIPART_UPLOAD, key, NULL);
    c.bucket = "uploads";
    s3_run(&fixture, &answer, c);
    assert_int_equal(answer.status, 200);
    struct text id = element(&answer, "UploadId");
    s3_answer_free(&answer);
    return id;
}

/* Appends "key:id " of each upload and "prefix " of each common prefix. */
static void names_of(const struct s3_answer *answer, struct buffer *out)
{
    const char *at = (const char *)answer->body.data;
    while ((at = strstr(at, "<Upload>")) != NULL) {
        const char *key = strstr(at, "<Key>") + 5;
        const char *id = strstr(at, "<UploadId>") + 10;
        buffer_printf(out, "%.*s:%.*s ", (int)strcspn(key, "<"), key,
                      (int)strcspn(id, "<"), id);
        at++;
    }
    at = (const char *)answer->body.data;
    while ((at = strstr(at, "<CommonPrefixes><Prefix>")) != NULL) {
        at += 24;
        buffer_printf(out, "%.*s ", (int)strcspn(at, "<"), at);
    }
}

static void test_list_uploads(void **state)
{
    struct text a1, a2, a3, b1, d1, z1;
    struct buffer seen = {0}, wanted = {0};
    struct s3_answer answer;
    struct text key_marker = {""}, id_marker = {""};
    (void)state;
    s3_make_bucket(&fixture, "uploads");
    a1 = start_upload("a"), a2 = start_upload("a"), a3 = start_upload("a");
    if (strcmp(a1.s, a2.s) > 0) { /* of the same millisecond */
        struct text swap = a1;
        a1 = a2, a2 = swap;
    }
    if (strcmp(a2.s, a3.s) > 0) {
        struct text swap = a2;
        a2 = a3, a3 = swap;
    }
    if (strcmp(a1.s, a2.s) > 0) {
        struct text swap = a1;
        a1 = a2, a2 = swap;
    }
    b1 = start_upload("b c"), d1 = start_upload("d/1");
    start_upload("d/2"), z1 = start_upload("z");

    /* Nothing of them is in a list of objects. */
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__LIST_OBJECTS_V2,
                            .bucket = "uploads"});
    assert_contains(&answer, "<KeyCount>0</KeyCount>");
    s3_answer_free(&answer);

    /* One at a time, through keys, ids and the common prefix. */
    buffer_printf(&wanted, "a:%s a:%s a:%s b%%20c:%s d/ z:%s ", a1.s, a2.s,
                  a3.s, b1.s, z1.s);
    for (int i = 0; i < 6; i++) {
        char *key = key_marker.s, decoded[512] = "";
        for (char *to = decoded; *key != '\0'; to++) { /* "%20" only */
            *to = *key == '%' ? ' ' : *key;
            key += *key == '%' ? 3 : 1;
            to[1] = '\0';
        }
        uploads(&answer, FIELDS("max-uploads", "1", "delimiter", "/",
                                "encoding-type", "url", "key-marker", decoded,
                                "upload-id-marker", id_marker.s));
        assert_int_equal(answer.status, 200);
        names_of(&answer, &seen);
        assert_string_equal(element(&answer, "IsTruncated").s,
                            i < 5 ? "true" : "false");
        key_marker = element(&answer, "NextKeyMarker");
        id_marker = element(&answer, "NextUploadIdMarker");
        s3_answer_free(&answer);
    }
    buffer_append(&seen, "", 1), buffer_append(&wanted, "", 1);
    assert_string_equal((char *)seen.data, (char *)wanted.data);

    /* key-marker alone: past the key; an id alone: ignored. */
    seen.size = 0;
    uploads(&answer, FIELDS("key-marker", "b c", "prefix", "d"));
    names_of(&answer, &seen);
    assert_non_null(strstr((char *)seen.data, d1.s));
    assert_contains(&answer, "<Prefix>d</Prefix>");
    s3_answer_free(&answer);
    uploads(&answer, FIELDS("upload-id-marker", a2.s));
    assert_contains(&answer, a1.s);
    assert_contains(&answer, "<MaxUploads>1000</MaxUploads>");
    s3_answer_free(&answer);
    uploads(&answer, FIELDS("max-uploads", "-1"));
    assert_error(&answer, "InvalidArgument", 400);
    s3_answer_free(&answer);
    s3_run(
        &fixture, &answer,
        (struct s3_case){.operation = WIRE__OPERATION__LIST_MULTIPART_UPLOADS,
                         .bucket = "uploads",
                         .key = "a"});
    assert_error(&answer, "InvalidRequest", 400);
    s3_answer_free(&answer);
    buffer_free(&seen);
    buffer_free(&wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_parts),
        cmocka_unit_test(test_list_uploads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
