/*
 * From every mode to every mode: copies, uploads and their parts; and what an
 * append and a rename make of an object that is encrypted.
 */
#include "s3_sse_fixture.h"

struct text {
    char s[128];
};

static struct text element(const struct s3_answer *answer, const char *name)
{
    struct text out = {""};
    char open[64];
    const char *at;

    snprintf(open, sizeof(open), "<%s>", name);
    at = strstr((const char *)answer->body.data, open);
    assert_non_null(at);
    at += strlen(open);
    snprintf(out.s, sizeof(out.s), "%.*s", (int)strcspn(at, "<"), at);
    return out;
}

/* --- copies ----------------------------------------------------------------*/
static void copy_as(struct s3_answer *answer, const char *from, enum mode mode,
                    const char *to, enum mode wanted)
{
    char source[64];

    snprintf(source, sizeof(source), "b/%s", from);
    s3_run(&fixture, answer,
           S3_CASE(COPY_OBJECT, to, .secure = true,
                   .headers = joined(FIELDS("x-amz-copy-source", source),
                                     sources[mode], writes[wanted])));
    if (answer->status != 200) {
        fail_msg("%s to %s: %s", mode_names[mode], mode_names[wanted],
                 (const char *)answer->body.data);
    }
}

/* The references of a blob: one for each record that names it. */
static bool shares(const char *a, const char *b)
{
    struct arena *arena = arena_new();
    bool same = record(arena, a)->blob == record(arena, b)->blob;

    arena_free(arena);
    return same;
}

static void every_copy(void **state)
{
    (void)state;
    for (enum mode from = PLAIN; from < MODES; from++) {
        put("from", from, bytes, 300000);
        for (enum mode to = PLAIN; to < MODES; to++) {
            struct s3_answer answer;

            copy_as(&answer, "from", from, "to", to);
            tells(&answer, to);
            s3_answer_free(&answer);
            head_tells("to", to);
            holds("to", to, bytes, 300000);
            assert_int_equal(shares("from", "to"), from == to);
        }
        holds("from", from, bytes, 300000);
        s3_expect(&fixture, 204, DELETE("from"));
        holds("to", C_B, bytes, 300000);
    }
}

static void empty_copies(void **state)
{
    (void)state;
    for (enum mode from = PLAIN; from < MODES; from++) {
        put("from", from, NULL, 0);
        for (enum mode to = PLAIN; to < MODES; to++) {
            struct s3_answer answer;

            copy_as(&answer, "from", from, "to", to);
            s3_answer_free(&answer);
            head_tells("to", to);
            holds("to", to, NULL, 0);
        }
    }
}

/* The tag is an MD5 where it may be one, whatever it was copied from. */
static void tags_of_copies(void **state)
{
    static const char md5[] = "&quot;5d41402abc4b2a76b9719d911017c592&quot;";

    (void)state;
    for (enum mode from = PLAIN; from < MODES; from++) {
        put("from", from, "hello", 5);
        for (enum mode to = PLAIN; to < MODES; to++) {
            struct s3_answer answer;

            copy_as(&answer, "from", from, "to", to);
            if (to == PLAIN || to == S3) {
                assert_string_equal(element(&answer, "ETag").s, md5);
            } else {
                assert_string_not_equal(element(&answer, "ETag").s, md5);
            }
            s3_answer_free(&answer);
        }
    }
}

static void onto_itself(void **state)
{
    struct s3_answer answer;

    (void)state;
    put("k", PLAIN, bytes, 100);
    s3_run(&fixture, &answer,
           S3_CASE(COPY_OBJECT, "k",
                   .headers = FIELDS("x-amz-copy-source", "b/k")));
    assert_error(&answer, "InvalidRequest", 400);
    s3_answer_free(&answer);
    copy_as(&answer, "k", PLAIN, "k", S3);
    s3_answer_free(&answer);
    head_tells("k", S3);
    holds("k", S3, bytes, 100);
    copy_as(&answer, "k", S3, "k", C_A);
    s3_answer_free(&answer);
    copy_as(&answer, "k", C_A, "k", C_B);
    s3_answer_free(&answer);
    holds("k", C_B, bytes, 100);
}

static void keys_of_copies(void **state)
{
    const char *const from[] = {"x-amz-copy-source", "b/from", NULL};
    struct s3_answer answer;

    (void)state;
    put("from", C_A, bytes, 100);
    s3_run(&fixture, &answer, S3_CASE(COPY_OBJECT, "to", .headers = from));
    assert_error(&answer, "InvalidRequest", 400);
    assert_contains(&answer, "The object was stored using a form of Server "
                             "Side Encryption.");
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           S3_CASE(COPY_OBJECT, "to", .secure = true,
                   .headers = joined(from, sources[C_B], NULL)));
    assert_error(&answer, "AccessDenied", 403);
    s3_answer_free(&answer);
    put("from", PLAIN, bytes, 100);
    s3_run(&fixture, &answer,
           S3_CASE(COPY_OBJECT, "to", .secure = true,
                   .headers = joined(from, sources[C_A], NULL)));
    assert_error(&answer, "InvalidRequest", 400);
    assert_contains(&answer, "not applicable to this object");
    s3_answer_free(&answer);
}

/* --- uploads ---------------------------------------------------------------*/
static struct text create(const char *key, enum mode mode)
{
    struct s3_answer answer;
    struct text id;

    s3_run(&fixture, &answer,
           S3_CASE(CREATE_MULTIPART_UPLOAD, key, .secure = true,
                   .headers = writes[mode]));
    assert_int_equal(answer.status, 200);
    tells(&answer, mode);
    id = element(&answer, "UploadId");
    s3_answer_free(&answer);
    return id;
}

static struct text part(const char *key, const char *id, const char *number,
                        enum mode mode, const void *body, size_t size)
{
    struct s3_answer answer;
    struct text etag;

    s3_run(&fixture, &answer,
           S3_CASE(UPLOAD_PART, key, .secure = true,
                   .args = FIELDS("uploadId", id, "partNumber", number),
                   .headers = reads[mode], .body = body, .size = size));
    assert_int_equal(answer.status, 200);
    tells(&answer, mode);
    copy_string(etag.s, sizeof(etag.s), s3_header(&answer, "etag"));
    s3_answer_free(&answer);
    return etag;
}

static struct text part_copy(const char *key, const char *id,
                             const char *number, enum mode mode,
                             const char *from, enum mode of, const char *range)
{
    struct s3_answer answer;
    char source[64];
    struct text etag;

    snprintf(source, sizeof(source), "b/%s", from);
    s3_run(&fixture, &answer,
           S3_CASE(UPLOAD_PART_COPY, key, .secure = true,
                   .args = FIELDS("uploadId", id, "partNumber", number),
                   .headers = joined(FIELDS("x-amz-copy-source", source,
                                            "x-amz-copy-source-range", range),
                                     sources[of], reads[mode])));
    if (answer.status != 200) {
        fail_msg("part of %s from %s: %s", mode_names[mode], mode_names[of],
                 (const char *)answer.body.data);
    }
    tells(&answer, mode);
    etag = element(&answer, "ETag");
    s3_answer_free(&answer);
    return etag;
}

static void complete(const char *key, const char *id, enum mode mode,
                     const struct text *etags, size_t count)
{
    struct buffer text = {NULL, 0, 0};
    struct s3_answer answer;

    buffer_append_string(&text, "<CompleteMultipartUpload>");
    for (size_t i = 0; i < count; i++) {
        buffer_printf(&text,
                      "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag>"
                      "</Part>",
                      i + 1, etags[i].s);
    }
    buffer_append_string(&text, "</CompleteMultipartUpload>");
    for (int again = 0; again < 2; again++) {
        s3_run(&fixture, &answer,
               S3_CASE(COMPLETE_MULTIPART_UPLOAD, key,
                       .args = FIELDS("uploadId", id), .body = text.data,
                       .size = text.size));
        if (answer.status != 200) {
            fail_msg("%s", (const char *)answer.body.data);
        }
        tells(&answer, mode == C_A || mode == C_B ? PLAIN : mode);
        s3_answer_free(&answer);
    }
    buffer_free(&text);
}

static void every_upload(void **state)
{
    const size_t first = 5 * MIB + 11, second = 70000;

    (void)state;
    for (enum mode mode = PLAIN; mode < MODES; mode++) {
        struct text id = create("k", mode), etags[2];
        struct s3_answer answer;

        etags[0] = part("k", id.s, "1", mode, bytes, first);
        etags[1] = part("k", id.s, "2", mode, bytes + first, second);
        complete("k", id.s, mode, etags, 2);
        head_tells("k", mode);
        holds("k", mode, bytes, first + second);
        range_holds("k", mode, first - 3, first + 3);
        range_holds("k", mode, first, first + second);
        /* Copied as a whole, with its parts, and sealed anew. */
        copy_as(&answer, "k", mode, "same", mode);
        s3_answer_free(&answer);
        holds("same", mode, bytes, first + second);
        copy_as(&answer, "k", mode, "other", mode == S3 ? C_A : S3);
        s3_answer_free(&answer);
        holds("other", mode == S3 ? C_A : S3, bytes, first + second);
    }
}

static void every_part_copy(void **state)
{
    (void)state;
    for (enum mode from = PLAIN; from < MODES; from++) {
        put("from", from, bytes, 6 * MIB);
        for (enum mode to = PLAIN; to < MODES; to++) {
            struct text id = create("to", to), etags[2];

            etags[0] =
                part_copy("to", id.s, "1", to, "from", from, "bytes=0-5242879");
            etags[1] = part_copy("to", id.s, "2", to, "from", from,
                                 "bytes=5242880-5312345");
            complete("to", id.s, to, etags, 2);
            holds("to", to, bytes, 5312346);
        }
    }
}

/* The key must come with each part, and be the one of the beginning. */
static void keys_of_uploads(void **state)
{
    static const struct {
        enum mode upload, part;
        const char *code, *text;
    } cases[] = {
        {C_A, PLAIN, "InvalidRequest",
         "The multipart upload initiate requested encryption."},
        {C_A, C_B, "InvalidArgument",
         "did not match the ones used originally."},
        {S3, C_A, "InvalidRequest", "not applicable"},
        {PLAIN, C_A, "InvalidRequest", "not applicable"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct text id = create("k", cases[i].upload);
        struct s3_answer answer;

        s3_run(&fixture, &answer,
               S3_CASE(UPLOAD_PART, "k", .secure = true,
                       .args = FIELDS("uploadId", id.s, "partNumber", "1"),
                       .headers = reads[cases[i].part], .body = "x",
                       .size = 1));
        assert_error(&answer, cases[i].code, 400);
        assert_contains(&answer, cases[i].text);
        s3_answer_free(&answer);
    }
}

/* A checksum that the upload does not keep: the part is read back. */
static void parts_are_read_back(void **state)
{
    struct text id = create("k", S3), etag;
    struct s3_answer answer;

    (void)state;
    s3_run(&fixture, &answer,
           S3_CASE(UPLOAD_PART, "k",
                   .args = FIELDS("uploadId", id.s, "partNumber", "1"),
                   .headers = FIELDS("x-amz-checksum-crc32", "NhCmhg=="),
                   .body = "hello", .size = 5));
    assert_int_equal(answer.status, 200);
    copy_string(etag.s, sizeof(etag.s), s3_header(&answer, "etag"));
    s3_answer_free(&answer);
    complete("k", id.s, S3, &etag, 1);
    s3_run(&fixture, &answer,
           HEAD("k", .headers = FIELDS("x-amz-checksum-mode", "ENABLED")));
    assert_header(&answer, "x-amz-checksum-crc64nvme", "M3eFcAZSQlc=");
    s3_answer_free(&answer);
}

/* --- appends and renames ---------------------------------------------------*/
/* More headers: of a checksum in another algorithm than the object's, so that
 * what was sealed is read back. */
static const char *const *checksum;

static void append(struct s3_answer *answer, const char *offset,
                   const char *const *headers, const void *body, size_t size)
{
    s3_run(&fixture, answer,
           S3_CASE(PUT_OBJECT, "k", .secure = true, .body = body, .size = size,
                   .headers = joined(FIELDS("x-amz-write-offset-bytes", offset),
                                     headers, checksum)));
}

static void appends(void **state)
{
    struct s3_answer answer;

    (void)state;
    fixture.service.extensions = true;
    for (enum mode mode = PLAIN; mode < MODES; mode++) {
        put("k", mode, bytes, 100000);
        append(&answer, "100000", reads[mode], bytes + 100000, 70000);
        assert_int_equal(answer.status, 200);
        tells(&answer, mode);
        s3_answer_free(&answer);
        holds("k", mode, bytes, 170000);
        head_tells("k", mode);
    }
    put("k", C_A, "", 0);
    checksum = FIELDS("x-amz-checksum-crc32", "NhCmhg==");
    append(&answer, "0", reads[C_A], "hello", 5);
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "x-amz-checksum-crc64nvme", "M3eFcAZSQlc=");
    s3_answer_free(&answer);
    checksum = NULL;
    holds("k", C_A, "hello", 5);
    put("k", C_A, bytes, 10);
    append(&answer, "10", reads[PLAIN], "x", 1);
    assert_error(&answer, "InvalidRequest", 400);
    s3_answer_free(&answer);
    append(&answer, "10", reads[C_B], "x", 1);
    assert_error(&answer, "AccessDenied", 403);
    s3_answer_free(&answer);
    put("k", PLAIN, bytes, 10);
    append(&answer, "10", writes[S3], "x", 1);
    assert_error(&answer, "InvalidRequest", 400);
    s3_answer_free(&answer);
    s3_expect(&fixture, 204, DELETE("k"));
    append(&answer, "0", writes[KMS_ONE], bytes, 10);
    tells(&answer, KMS_ONE);
    s3_answer_free(&answer);
    holds("k", KMS_ONE, bytes, 10);
    fixture.service.extensions = false;
}

static void renames(void **state)
{
    (void)state;
    fixture.service.extensions = true;
    for (enum mode mode = PLAIN; mode < MODES; mode++) {
        put("from", mode, bytes, 100000);
        s3_expect(&fixture, 200,
                  S3_CASE(RENAME_OBJECT, "moved",
                          .headers = FIELDS("x-amz-rename-source", "from")));
        holds("moved", mode, bytes, 100000);
        head_tells("moved", mode);
    }
    fixture.service.extensions = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_copy),
        cmocka_unit_test(empty_copies),
        cmocka_unit_test(tags_of_copies),
        cmocka_unit_test(onto_itself),
        cmocka_unit_test(keys_of_copies),
        cmocka_unit_test(every_upload),
        cmocka_unit_test(every_part_copy),
        cmocka_unit_test(keys_of_uploads),
        cmocka_unit_test(parts_are_read_back),
        cmocka_unit_test(appends),
        cmocka_unit_test(renames),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
