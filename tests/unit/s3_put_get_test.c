#include "s3_fixture.h"

#include "s3/call.h"

#include <errno.h>

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

static void stores_and_returns(void **state)
{
    struct s3_answer answer;

    (void)state;
    s3_run(&fixture, &answer, PUT("hello", "hello world"));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "ETag", "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"");
    assert_header(&answer, "x-amz-checksum-crc64nvme", "jSnVw/bqjr4=");
    assert_header(&answer, "x-amz-checksum-type", "FULL_OBJECT");
    assert_true(answer.has_length);
    assert_int_equal(answer.length, 0);
    assert_int_equal(answer.body.size, 0);
    s3_answer_free(&answer);

    s3_run(&fixture, &answer, GET("hello"));
    assert_int_equal(answer.status, 200);
    assert_string_equal((char *)answer.body.data, "hello world");
    assert_int_equal(answer.length, 11);
    assert_header(&answer, "ETag", "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"");
    assert_header(&answer, "Content-Type", "binary/octet-stream");
    assert_header(&answer, "Accept-Ranges", "bytes");
    assert_non_null(s3_header(&answer, "Last-Modified"));
    assert_no_header(&answer, "x-amz-checksum-crc64nvme");
    assert_no_header(&answer, "x-amz-storage-class");
    assert_no_header(&answer, "Content-Range");
    s3_answer_free(&answer);

    s3_run(&fixture, &answer,
           HEAD("hello", .headers = FIELDS("x-amz-checksum-mode", "ENABLED")));
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.length, 11);
    assert_int_equal(answer.body.size, 0);
    assert_header(&answer, "x-amz-checksum-crc64nvme", "jSnVw/bqjr4=");
    assert_header(&answer, "x-amz-checksum-type", "FULL_OBJECT");
    s3_answer_free(&answer);
}

static void empty_objects(void **state)
{
    struct s3_answer answer;

    (void)state;
    s3_expect(&fixture, 200, PUT("empty", "", .empty_body = true));
    s3_expect(&fixture, 200,
              (struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                               .bucket = "b",
                               .key = "bodiless"});
    s3_run(&fixture, &answer, GET("empty"));
    assert_int_equal(answer.status, 200);
    assert_true(answer.has_length);
    assert_int_equal(answer.length, 0);
    assert_header(&answer, "ETag", "\"d41d8cd98f00b204e9800998ecf8427e\"");
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, GET("bodiless"));
    assert_header(&answer, "ETag", "\"d41d8cd98f00b204e9800998ecf8427e\"");
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           GET("empty", .headers = FIELDS("range", "bytes=0-0")));
    assert_error(&answer, "InvalidRange", 416);
    assert_header(&answer, "Content-Range", "bytes */0");
    s3_answer_free(&answer);
}

/* Every way of sending, at sizes around the units. */
static void sizes(void **state)
{
    static const size_t sizes[] = {1,       63,      65536,   65537,
                                   131072,  131073,  262144,  262145,
                                   1048576, 1048577, 3145733, 9437189};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint8_t *data = xmalloc(sizes[i]);

        s3_fill(data, sizes[i], i + 1);
        s3_expect(&fixture, 200,
                  (struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                                   .bucket = "b",
                                   .key = "sized",
                                   .body = data,
                                   .size = sizes[i],
                                   .step = 100003});
        for (unsigned way = 0; way < 4; way++) {
            struct s3_answer answer;

            s3_run(&fixture, &answer,
                   GET("sized", .segments = way > 0, .no_verify = way == 2,
                       .refuse_segments = way == 3));
            assert_int_equal(answer.status, 200);
            assert_false(answer.failed);
            assert_int_equal(answer.length, sizes[i]);
            assert_int_equal(answer.body.size, sizes[i]);
            assert_memory_equal(answer.body.data, data, sizes[i]);
            if (way == 0 || way == 3 || sizes[i] <= 131072)
                assert_int_equal(answer.segment_windows, 0);
            else
                assert_true(answer.segment_windows > 0);
            s3_answer_free(&answer);
        }
        free(data);
    }
}

static void ranges(void **state)
{
    static const size_t size = 3000000;
    static const struct {
        const char *range;
        unsigned status;
        size_t first, last;
    } cases[] = {
        {"bytes=0-0", 206, 0, 0},
        {"bytes=0-", 206, 0, 2999999},
        {"bytes=-7", 206, 2999993, 2999999},
        {"bytes=262143-262144", 206, 262143, 262144},
        {"bytes=1000000-2500000", 206, 1000000, 2500000},
        {"bytes=2999999-9999999", 206, 2999999, 2999999},
        {"bytes=7-3", 200, 0, 2999999},
        {"bytes=0-1,5-6", 200, 0, 2999999},
    };
    uint8_t *data = xmalloc(size);

    (void)state;
    s3_fill(data, size, 7);
    s3_expect(&fixture, 200,
              (struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                               .bucket = "b",
                               .key = "ranged",
                               .body = data,
                               .size = size});
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t length = cases[i].last - cases[i].first + 1;

        for (unsigned way = 0; way < 3; way++) {
            struct s3_answer answer;
            char wanted[64];

            s3_run(&fixture, &answer,
                   GET("ranged", .segments = way > 0,
                       .refuse_segments = way > 1,
                       .headers = FIELDS("range", cases[i].range,
                                         "x-amz-checksum-mode", "ENABLED")));
            assert_int_equal(answer.status, cases[i].status);
            assert_int_equal(answer.length, length);
            assert_int_equal(answer.body.size, length);
            assert_memory_equal(answer.body.data, data + cases[i].first,
                                length);
            if (cases[i].status == 206) {
                snprintf(wanted, sizeof(wanted), "bytes %zu-%zu/%zu",
                         cases[i].first, cases[i].last, size);
                assert_header(&answer, "Content-Range", wanted);
                assert_no_header(&answer, "x-amz-checksum-crc64nvme");
            } else {
                assert_no_header(&answer, "Content-Range");
                assert_non_null(s3_header(&answer, "x-amz-checksum-crc64nvme"));
            }
            s3_answer_free(&answer);
        }
    }
    free(data);
}

static void range_errors(void **state)
{
    struct s3_answer answer;

    (void)state;
    s3_expect(&fixture, 200, PUT("ten", "0123456789"));
    s3_run(&fixture, &answer,
           GET("ten", .headers = FIELDS("range", "bytes=10-")));
    assert_error(&answer, "InvalidRange", 416);
    assert_header(&answer, "Content-Range", "bytes */10");
    assert_contains(&answer, "<RangeRequested>bytes=10-</RangeRequested>");
    assert_contains(&answer, "<ActualObjectSize>10</ActualObjectSize>");
    s3_answer_free(&answer);

    s3_run(&fixture, &answer,
           HEAD("ten", .headers = FIELDS("range", "bytes=-0")));
    assert_error(&answer, "InvalidRange", 416);
    assert_int_equal(answer.body.size, 0);
    s3_answer_free(&answer);

    s3_run(&fixture, &answer,
           GET("ten", .headers = FIELDS("range", "bytes=1-2", "if-range",
                                        "\"other\"")));
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.body.size, 10);
    s3_answer_free(&answer);

    s3_run(&fixture, &answer,
           GET("ten", .headers = FIELDS("range", "bytes=1-2", "if-range",
                                        "\"781e5e245d69b566979b86e28d23f2c7"
                                        "\"")));
    assert_int_equal(answer.status, 206);
    assert_string_equal((char *)answer.body.data, "12");
    s3_answer_free(&answer);
}

static void part_numbers(void **state)
{
    struct s3_answer answer;

    (void)state;
    s3_expect(&fixture, 200, PUT("parted", "abc"));
    s3_run(&fixture, &answer, GET("parted", .args = FIELDS("partNumber", "1")));
    assert_int_equal(answer.status, 206);
    assert_string_equal((char *)answer.body.data, "abc");
    assert_header(&answer, "Content-Range", "bytes 0-2/3");
    assert_no_header(&answer, "x-amz-mp-parts-count");
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, GET("parted", .args = FIELDS("partNumber", "2")));
    assert_error(&answer, "InvalidPartNumber", 416);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, GET("parted", .args = FIELDS("partNumber", "0")));
    assert_error(&answer, "InvalidArgument", 400);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           GET("parted", .args = FIELDS("partNumber", "1"),
               .headers = FIELDS("range", "bytes=0-1")));
    assert_error(&answer, "InvalidRequest", 400);
    s3_answer_free(&answer);
}

/* A multipart object as CompleteMultipartUpload leaves it. */
static void make_composite(const uint8_t *data)
{
    struct meta *meta = fixture.service.meta;
    static const size_t sizes[] = {700001, 5, 1500000};
    Meta__Part parts[3], *list[3];
    Meta__Blob blob = META__BLOB__INIT;
    Meta__Object object = META__OBJECT__INIT;
    struct arena *arena = arena_new();
    struct slice key = SLICE_LITERAL("composite");
    struct meta_batch *batch;
    Meta__Bucket *bucket;
    size_t at = 0;
    uint64_t id;

    assert_int_equal(meta_get_bucket(meta, arena, SLICE_LITERAL("b"), &bucket),
                     0);
    for (unsigned i = 0; i < 3; i++) {
        Meta__Object *part;

        s3_expect(&fixture, 200,
                  (struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                                   .bucket = "b",
                                   .key = "part",
                                   .body = data + at,
                                   .size = sizes[i]});
        assert_int_equal(meta_get_object(meta, arena, bucket->id,
                                         SLICE_LITERAL("part"), &part),
                         0);
        meta__part__init(&parts[i]);
        parts[i].number = 10 * (i + 1);
        parts[i].blob = part->blob;
        parts[i].size = sizes[i];
        list[i] = &parts[i];
        at += sizes[i];
    }
    blob.n_parts = 3;
    blob.parts = list;
    id = meta_next_id(meta);
    object.sequence = meta_next_id(meta);
    object.mtime_ms = clock_wall_ms();
    object.size = 2200006;
    object.etag = fixture_string("0123456789abcdef0123456789abcdef-3");
    object.blob = id;
    object.parts = 3;
    batch = meta_batch_new(meta);
    meta_put_blob(batch, id, &blob, 0);
    meta_add_object(batch, bucket->id, key, &object);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    arena_free(arena);
}

static void composite(void **state)
{
    uint8_t *data = xmalloc(2200006);
    struct s3_answer answer;

    (void)state;
    s3_fill(data, 2200006, 99);
    make_composite(data);
    for (unsigned way = 0; way < 3; way++) {
        s3_run(&fixture, &answer,
               GET("composite", .segments = way > 0, .no_verify = way > 1));
        assert_int_equal(answer.status, 200);
        assert_int_equal(answer.body.size, 2200006);
        assert_memory_equal(answer.body.data, data, 2200006);
        s3_answer_free(&answer);
        s3_run(&fixture, &answer,
               GET("composite", .segments = way > 0, .no_verify = way > 1,
                   .headers = FIELDS("range", "bytes=699990-1700010")));
        assert_int_equal(answer.status, 206);
        assert_int_equal(answer.body.size, 1000021);
        assert_memory_equal(answer.body.data, data + 699990, 1000021);
        s3_answer_free(&answer);
    }
    s3_run(&fixture, &answer,
           GET("composite", .args = FIELDS("partNumber", "2")));
    assert_int_equal(answer.status, 206);
    assert_header(&answer, "Content-Range", "bytes 700001-700005/2200006");
    assert_header(&answer, "x-amz-mp-parts-count", "3");
    assert_memory_equal(answer.body.data, data + 700001, 5);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           HEAD("composite", .args = FIELDS("partNumber", "4")));
    assert_error(&answer, "InvalidPartNumber", 416);
    s3_answer_free(&answer);
    free(data);
}

/* Two of six drives lost: every byte is still there, by both ways. */
static void survives_two_drives(void **state)
{
    static const size_t size = 5000000;
    uint8_t *data = xmalloc(size);
    struct s3_answer answer;

    (void)state;
    s3_fill(data, size, 5);
    s3_expect(&fixture, 200,
              (struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                               .bucket = "b",
                               .key = "survivor",
                               .body = data,
                               .size = size});
    io_sim_fail_path(fixture.io, "/drive1", EIO);
    io_sim_fail_path(fixture.io, "/drive4", EIO);
    for (unsigned way = 0; way < 2; way++) {
        s3_run(&fixture, &answer, GET("survivor", .segments = way > 0));
        assert_int_equal(answer.status, 200);
        assert_false(answer.failed);
        assert_int_equal(answer.body.size, size);
        assert_memory_equal(answer.body.data, data, size);
        s3_answer_free(&answer);
    }
    for (unsigned i = 0; i < FIXTURE_DRIVES; i++)
        io_sim_fail_path(fixture.io, drive_config(fixture.drives[i])->directory,
                         EIO);
    s3_run(&fixture, &answer, GET("survivor"));
    assert_error(&answer, "InternalError", 500);
    s3_answer_free(&answer);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stores_and_returns),
        cmocka_unit_test(empty_objects),
        cmocka_unit_test(sizes),
        cmocka_unit_test(ranges),
        cmocka_unit_test(range_errors),
        cmocka_unit_test(part_numbers),
        cmocka_unit_test(composite),
        cmocka_unit_test(survives_two_drives),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
