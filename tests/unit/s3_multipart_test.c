/* Multipart uploads: from create to complete or abort. */
#include "s3_multipart_fixture.h"

#include "s3/multipart.h"
#include "set_clock.h"

#include <pthread.h>

static void test_roundtrip(void **state)
{
    struct text id = create("whole", FIELDS("content-type", "text/x-test",
                                            "x-amz-meta-colour", "blue"));
    size_t size = 2 * BIG + 100;
    struct buffer list = {0};
    struct s3_answer answer;
    uint8_t md5[3 * 16], all[DIGEST_SIZE_MAX];
    char hex[33], etag[64];
    (void)state;

    /* In no order, and with a gap. */
    struct text e9 = part("whole", id.s, "9", bytes + 2 * BIG, 100);
    struct text e1 = part("whole", id.s, "1", bytes, BIG);
    struct text e4 = part("whole", id.s, "4", bytes + BIG, BIG);
    assert_int_equal(records('P'), 3);
    add_part(&list, "1", e1.s, "");
    add_part(&list, "4", e4.s, "");
    add_part(&list, "9", e9.s, "");
    complete(&answer, "whole", id.s, &list,
             FIELDS("x-amz-mp-object-size", "10485860"));
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, "<Location>http://s3.test/bucket/whole</Location>"
                             "<Bucket>bucket</Bucket><Key>whole</Key>");
    for (int i = 0; i < 3; i++) {
        digest(DIGEST_MD5, bytes + i * BIG, i < 2 ? BIG : 100, all);
        memcpy(md5 + 16 * i, all, 16);
    }
    digest(DIGEST_MD5, md5, sizeof(md5), all);
    hex_encode(hex, all, 16);
    snprintf(etag, sizeof(etag), "<ETag>&quot;%s-3&quot;</ETag>", hex);
    assert_contains(&answer, etag);
    struct text crc = base64_of(DIGEST_CRC64NVME, bytes, size);
    assert_string_equal(element(&answer, "ChecksumCRC64NVME").s, crc.s);
    assert_string_equal(element(&answer, "ChecksumType").s, "FULL_OBJECT");
    s3_answer_free(&answer);

    check_object("whole", bytes, size);
    check_range("whole", BIG - 10, BIG + 10, bytes + BIG - 10);
    check_range("whole", 2 * BIG - 1, size, bytes + 2 * BIG - 1);
    s3_run(&fixture, &answer, on(WIRE__OPERATION__HEAD_OBJECT, "whole", NULL));
    snprintf(etag, sizeof(etag), "\"%s-3\"", hex);
    assert_header(&answer, "etag", etag);
    assert_header(&answer, "content-type", "text/x-test");
    assert_header(&answer, "x-amz-meta-colour", "blue");
    s3_answer_free(&answer);
    assert_int_equal(records('P'), 0);
    assert_int_equal(records('U'), 0);
    check_references();

    /* Again: the same answer. With other parts, or an abort: gone. */
    complete(&answer, "whole", id.s, &list, NULL);
    assert_int_equal(answer.status, 200);
    snprintf(etag, sizeof(etag), "&quot;%s-3&quot;", hex);
    assert_contains(&answer, etag);
    assert_string_equal(element(&answer, "ChecksumCRC64NVME").s, crc.s);
    s3_answer_free(&answer);
    list.size = 0;
    add_part(&list, "1", e1.s, "");
    complete_fails("whole", id.s, &list, NULL, "NoSuchUpload", 404, id.s);
    s3_run(&fixture, &answer,
           on(WIRE__OPERATION__ABORT_MULTIPART_UPLOAD, "whole",
              FIELDS("uploadId", id.s)));
    assert_error(&answer, "NoSuchUpload", 404);
    s3_answer_free(&answer);
    check_object("whole", bytes, size);
    check_references();
    buffer_free(&list);
}

static void test_single_and_empty(void **state)
{
    struct buffer list = {0};
    struct s3_answer answer;
    (void)state;
    for (size_t size = 0; size <= 3; size += 3) {
        struct text id = create("one", NULL);
        struct text etag = part("one", id.s, "1", bytes, size);
        list.size = 0;
        add_part(&list, "1", etag.s, "");
        complete(&answer, "one", id.s, &list, NULL);
        assert_int_equal(answer.status, 200);
        assert_non_null(strstr(element(&answer, "ETag").s, "-1&quot;"));
        s3_answer_free(&answer);
        check_object("one", bytes, size);
        check_references();
    }
    buffer_free(&list);
}

static void test_part_numbers(void **state)
{
    static const char *const bad[] = {"0", "10001", "-1", "x", "", "1.5"};
    struct text id = create("numbers", NULL);
    struct s3_answer answer;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        upload(&answer, "numbers", id.s, bad[i], "x", 1, NULL);
        assert_error(&answer, "InvalidArgument", 400);
        assert_contains(&answer, "Part number must be an integer between 1 "
                                 "and 10000, inclusive");
        s3_answer_free(&answer);
    }
    part("numbers", id.s, "10000", "x", 1);
    upload(&answer, "numbers", "not an id", "1", "x", 1, NULL);
    assert_error(&answer, "NoSuchUpload", 404);
    s3_answer_free(&answer);
    upload(&answer, "other key", id.s, "1", "x", 1, NULL);
    assert_error(&answer, "NoSuchUpload", 404);
    s3_answer_free(&answer);
    s3_expect(&fixture, 204,
              on(WIRE__OPERATION__ABORT_MULTIPART_UPLOAD, "numbers",
                 FIELDS("uploadId", id.s)));
    check_references();
}

static void test_complete_refused(void **state)
{
    struct text id = create("refused", NULL);
    struct text e1 = part("refused", id.s, "1", bytes, BIG);
    struct text e2 = part("refused", id.s, "2", bytes, 10);
    struct text e3 = part("refused", id.s, "3", bytes, 10);
    struct buffer list = {0};
    struct s3_answer answer;
    char wanted[256];
    (void)state;

    buffer_append_string(&list, "<CompleteMultipartUpload>");
    complete_fails("refused", id.s, &list, NULL, "MalformedXML", 400, "XML");
    buffer_append_string(&list, "<CompleteMultipartUpload><Part>"
                                "<PartNumber>1</PartNumber></Part>");
    complete_fails("refused", id.s, &list, NULL, "MalformedXML", 400, "XML");
    add_part(&list, "1", e1.s, "<What/>");
    complete_fails("refused", id.s, &list, NULL, "MalformedXML", 400, "XML");
    add_part(&list, "2", e2.s, "");
    add_part(&list, "1", e1.s, "");
    complete_fails("refused", id.s, &list, NULL, "InvalidPartOrder", 400, "");
    add_part(&list, "1", e1.s, "");
    add_part(&list, "1", e1.s, "");
    complete_fails("refused", id.s, &list, NULL, "InvalidPartOrder", 400, "");
    snprintf(wanted, sizeof(wanted),
             "<UploadId>%s</UploadId><PartNumber>5</PartNumber>", id.s);
    add_part(&list, "5", e1.s, "");
    complete_fails("refused", id.s, &list, NULL, "InvalidPart", 400, wanted);
    add_part(&list, "1", "\"00000000000000000000000000000000\"", "");
    complete_fails("refused", id.s, &list, NULL, "InvalidPart", 400,
                   "<ETag>00000000000000000000000000000000</ETag>");
    add_part(&list, "2", e2.s, "");
    add_part(&list, "3", e3.s, "");
    complete_fails("refused", id.s, &list, NULL, "EntityTooSmall", 400,
                   "<ProposedSize>10</ProposedSize>"
                   "<MinSizeAllowed>5242880</MinSizeAllowed>"
                   "<PartNumber>2</PartNumber><ETag>");
    add_part(&list, "1", e1.s, "");
    complete_fails("refused", id.s, &list, FIELDS("x-amz-mp-object-size", "1"),
                   "InvalidRequest", 400, "x-amz-mp-object-size");

    /* After all that it still completes; what it leaves out is let go. */
    add_part(&list, "1", e1.s, "");
    add_part(&list, "3", e3.s, "");
    complete(&answer, "refused", id.s, &list, NULL);
    assert_int_equal(answer.status, 200);
    s3_answer_free(&answer);
    assert_int_equal(records('P'), 0);
    check_range("refused", BIG, BIG + 10, bytes);
    check_references();
    buffer_free(&list);
}

static void test_part_replaced(void **state)
{
    struct text id = create("again", NULL);
    struct buffer list = {0};
    struct s3_answer answer;
    (void)state;
    struct text old = part("again", id.s, "1", "first", 5);
    struct text new = part("again", id.s, "1", "second", 6);
    check_references();
    add_part(&list, "1", old.s, "");
    complete_fails("again", id.s, &list, NULL, "InvalidPart", 400, id.s);
    add_part(&list, "1", new.s, "");
    complete(&answer, "again", id.s, &list, NULL);
    assert_int_equal(answer.status, 200);
    s3_answer_free(&answer);
    check_object("again", "second", 6);
    check_references();
    buffer_free(&list);
}

/* A remembered upload, begun and completed so many hours ago. */
static void remembered(unsigned began_hours, unsigned completed_hours)
{
    const uint64_t hour_ms = 3600 * 1000, now_ms = clock_wall_ms();
    struct meta_batch *batch = meta_batch_new(fixture.service.meta);
    Meta__Completed record = META__COMPLETED__INIT;
    char id[UPLOAD_ID_SIZE + 1];

    memset(id, '7', UPLOAD_ID_SIZE + 1);
    upload_id_time(id, now_ms - began_hours * hour_ms);
    id[UPLOAD_ID_TIME_SIZE] = '7'; /* in place of the terminator */
    record.completed_ms = now_ms - completed_hours * hour_ms;
    meta_put_completed(batch, slice_of(id, UPLOAD_ID_SIZE), &record);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
}

static void test_forgotten(void **state)
{
    size_t before = records('D');

    (void)state;
    for (unsigned i = 0; i < 2100; i++) { /* more than one commit's */
        remembered(169 + i, 169);
    }
    remembered(9999, 167); /* a slow one */
    remembered(167, 0);
    assert_int_equal(records('D'), before + 2102);
    assert_int_equal(s3_forget_completed(&fixture.service), 0);
    assert_int_equal(records('D'), before + 2);
    assert_int_equal(s3_forget_completed(&fixture.service), 0);
    assert_int_equal(records('D'), before + 2);
    clock_set(3600 - time(NULL)); /* a clock without a battery: 1970 */
    assert_int_equal(s3_forget_completed(&fixture.service), 0);
    clock_set(0);
    assert_int_equal(records('D'), before + 2);
}

/* A part whose body was under way when the upload ended changes nothing. */
static void late_part(bool abort)
{
    struct text id = create("late", NULL);
    struct text etag = part("late", id.s, "1", "committed", 9);
    struct arena *arena = arena_new();
    struct buffer list = {0};
    struct s3_answer answer;
    Wire__Request request;
    struct s3_case c = on(WIRE__OPERATION__UPLOAD_PART, "late",
                          FIELDS("uploadId", id.s, "partNumber", "1"));
    c.body = "too late!";
    c.size = 9;
    s3_request(&fixture, arena, &c, &request);
    struct s3_call *call = s3_call_begin(&fixture.service, &request);
    assert_true(s3_call_wants_body(call));
    s3_feed(call, "too ", 4, 4);
    if (abort) {
        s3_expect(&fixture, 204,
                  on(WIRE__OPERATION__ABORT_MULTIPART_UPLOAD, "late",
                     FIELDS("uploadId", id.s)));
    } else {
        add_part(&list, "1", etag.s, "");
        complete(&answer, "late", id.s, &list, NULL);
        assert_int_equal(answer.status, 200);
        s3_answer_free(&answer);
    }
    s3_feed(call, "late!", 5, 5);
    s3_call_end(call);
    s3_collect(&fixture, call, false, &answer);
    assert_error(&answer, "NoSuchUpload", 404);
    s3_answer_free(&answer);
    arena_free(arena);
    buffer_free(&list);
    assert_int_equal(records('P'), 0);
    check_references();
}

static void test_late_part(void **state)
{
    struct s3_answer answer;
    (void)state;
    late_part(true);
    s3_run(&fixture, &answer, on(WIRE__OPERATION__HEAD_OBJECT, "late", NULL));
    assert_int_equal(answer.status, 404);
    s3_answer_free(&answer);
    late_part(false);
    check_object("late", "committed", 9);
}

static void test_conditions(void **state)
{
    struct buffer list = {0};
    struct s3_answer answer;
    (void)state;
    put("there", "old", 3);
    struct text id = create("there", NULL);
    struct text etag = part("there", id.s, "1", "new", 3);
    add_part(&list, "1", etag.s, "");
    complete_fails("there", id.s, &list, FIELDS("if-none-match", "*"),
                   "PreconditionFailed", 412, "If-None-Match");
    add_part(&list, "1", etag.s, "");
    complete_fails("there", id.s, &list, FIELDS("if-match", "\"00\""),
                   "PreconditionFailed", 412, "If-Match");
    check_object("there", "old", 3);
    /* It is still there: to list, and to abort. */
    s3_expect(
        &fixture, 200,
        on(WIRE__OPERATION__LIST_PARTS, "there", FIELDS("uploadId", id.s)));
    s3_expect(&fixture, 204,
              on(WIRE__OPERATION__ABORT_MULTIPART_UPLOAD, "there",
                 FIELDS("uploadId", id.s)));
    s3_run(&fixture, &answer,
           on(WIRE__OPERATION__LIST_PARTS, "there", FIELDS("uploadId", id.s)));
    assert_error(&answer, "NoSuchUpload", 404);
    s3_answer_free(&answer);

    id = create("not there", NULL);
    etag = part("not there", id.s, "1", "new", 3);
    add_part(&list, "1", etag.s, "");
    complete_fails("not there", id.s, &list, FIELDS("if-match", "*"),
                   "NoSuchKey", 404, "not there");
    add_part(&list, "1", etag.s, "");
    complete(&answer, "not there", id.s, &list, FIELDS("if-none-match", "*"));
    assert_int_equal(answer.status, 200);
    s3_answer_free(&answer);
    check_references();
    buffer_free(&list);
}

/* 10,000 parts of 5 MiB, of which only the records exist. */
static void test_ten_thousand_parts(void **state)
{
    struct text id = create("huge", NULL);
    struct meta_batch *batch = meta_batch_new(fixture.service.meta);
    uint8_t md5[16] = {0}, crc[8] = {0};
    Meta__Checksum checksum = META__CHECKSUM__INIT;
    struct buffer list = {0};
    struct s3_answer answer;
    char number[16];
    Meta__Bucket *bucket;
    struct arena *arena = arena_new();
    (void)state;
    unsigned references = records('R'), parts = records('P');
    assert_int_equal(meta_get_bucket(fixture.service.meta, arena,
                                     SLICE_LITERAL("bucket"), &bucket),
                     0);
    checksum.algorithm = META__CHECKSUM_ALGORITHM__CRC64NVME;
    checksum.value = fixture_bytes(crc, 8);
    uint64_t first = meta_next_id(fixture.service.meta);
    for (unsigned i = 1; i <= 10000; i++) {
        Meta__Part record = META__PART__INIT;
        struct meta_referrer referrer = {.kind = META_REFERRER_PART,
                                         .upload = slice_from_string(id.s),
                                         .number = i};
        record.number = i;
        record.blob = first + i;
        record.size = BIG;
        record.md5 = fixture_bytes(md5, 16);
        record.checksum = &checksum;
        meta_put_part(batch, bucket->id, slice_from_string(id.s), &record,
                      NULL);
        meta_add_ref(batch, record.blob, &referrer);
        snprintf(number, sizeof(number), "%u", i);
        add_part(&list, number, "00000000000000000000000000000000", "");
    }
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    complete(&answer, "huge", id.s, &list, NULL);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(element(&answer, "ETag").s, "-10000&quot;"));
    s3_answer_free(&answer);
    assert_int_equal(records('P'), parts);
    assert_int_equal(records('R'), references + 10000 + 1);
    s3_run(&fixture, &answer, on(WIRE__OPERATION__HEAD_OBJECT, "huge", NULL));
    assert_int_equal(answer.length, 10000ull * BIG);
    s3_answer_free(&answer);
    arena_free(arena);
    buffer_free(&list);
}

struct racer {
    pthread_t thread;
    struct text id, etag;
    unsigned status;
};

static void *race(void *argument)
{
    struct racer *racer = argument;
    struct buffer list = {0};
    struct s3_answer answer;
    add_part(&list, "1", racer->etag.s, "");
    complete(&answer, "raced", racer->id.s, &list,
             FIELDS("if-none-match", "*"));
    racer->status = answer.status;
    s3_answer_free(&answer);
    buffer_free(&list);
    return NULL;
}

/* Of concurrent creators exactly one wins. */
static void test_race(void **state)
{
    struct racer racers[8];
    unsigned won = 0;
    (void)state;
    for (int i = 0; i < 8; i++) {
        racers[i].id = create("raced", NULL);
        racers[i].etag = part("raced", racers[i].id.s, "1", bytes + i, 10);
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(
            pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(racers[i].thread, NULL);
        if (racers[i].status == 200) {
            won++;
            check_object("raced", bytes + i, 10);
        } else {
            assert_int_equal(racers[i].status, 412);
        }
    }
    assert_int_equal(won, 1);
    check_references();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_roundtrip),
        cmocka_unit_test(test_single_and_empty),
        cmocka_unit_test(test_part_numbers),
        cmocka_unit_test(test_complete_refused),
        cmocka_unit_test(test_part_replaced),
        cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_late_part),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_race),
        cmocka_unit_test(test_ten_thousand_parts), /* of blobs not there */
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
