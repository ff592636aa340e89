/*
 * Copies that take longer than the worker would wait for their reply: it
 * begins before they have ended, and is kept alive until then.
 */
#include "s3_fixture.h"

#include "s3/call.h"

#define SIZE     ((size_t)6 << 20) /* takes longer than half a millisecond */
#define PATIENCE 1                 /* milliseconds, of the worker */

static struct s3_fixture fixture;
static uint8_t *bytes;

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    s3_make_bucket(&fixture, "b");
    bytes = xmalloc(SIZE);
    s3_fill(bytes, SIZE, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(bytes);
    s3_fixture_close(&fixture);
    return 0;
}

static int put_source(void **state)
{
    (void)state;
    s3_expect(
        &fixture, 200,
        S3_CASE(PUT_OBJECT, "source", .body = bytes, .size = SIZE,
                .headers = FIELDS("x-amz-checksum-algorithm", "CRC64NVME")));
    return 0;
}

/* One shares the source's bytes and has to read them, one writes them anew. */
#define READS                                                                  \
    "x-amz-copy-source", "b/source", "x-amz-checksum-algorithm", "SHA256"
#define WRITES                                                                 \
    "x-amz-copy-source", "b/source", "x-amz-server-side-encryption", "AES256"

struct copying {
    struct arena *arena;
    Wire__Request request;
    struct s3_call *call;
};

static void begin(struct copying *copying, struct s3_case c, uint64_t patience)
{
    copying->arena = arena_new();
    s3_request(&fixture, copying->arena, &c, &copying->request);
    copying->request.read_timeout_ms = patience;
    copying->call = s3_call_begin(&fixture.service, &copying->request);
}

/* Until its reply begins, which says nothing of how it will end. */
static void begin_reply(struct copying *copying, struct s3_case c)
{
    const Wire__Reply *reply;

    begin(copying, c, PATIENCE);
    while (s3_call_is_working(copying->call)) {
        s3_call_work(copying->call);
    }
    reply = s3_call_reply(copying->call);
    assert_int_equal(reply->status, 200);
    assert_int_equal(reply->body, WIRE__REPLY__BODY__DATA);
    assert_false(reply->has_content_length);
    assert_int_equal(copying->call->status, 0);
}

static void end(struct copying *copying)
{
    s3_call_free(copying->call);
    arena_free(copying->arena);
}

/* The rest of the body; how the call ends is told aside. */
static void expect_end(struct copying *copying, unsigned status,
                       const char *error, struct buffer *body)
{
    struct s3_piece piece;

    *body = (struct buffer){0};
    do {
        const bool under_way = copying->call->status == 0;

        s3_call_next(copying->call, &piece);
        if (piece.kind == S3_PIECE_DATA) {
            buffer_append(body, piece.data.data, piece.data.size);
            assert_int_equal(piece.pause, copying->call->status == 0);
            assert_true(under_way || !piece.pause);
        }
    } while (piece.kind == S3_PIECE_DATA);
    assert_int_equal(piece.kind, S3_PIECE_END);
    buffer_append(body, "", 1);
    assert_int_equal(s3_call_reply(copying->call)->status, 200);
    assert_int_equal(s3_call_status(copying->call), status);
    assert_string_equal(s3_call_error(copying->call), error);
    end(copying);
}

/* XML_DECLARATION, blanks, the document. */
static const char *document_in(const struct buffer *body)
{
    const char *text = (const char *)body->data;
    const size_t blanks = strspn(text + strlen(XML_DECLARATION), " ");

    assert_memory_equal(text, XML_DECLARATION, strlen(XML_DECLARATION));
    assert_true(blanks > 0);
    return text + strlen(XML_DECLARATION) + blanks;
}

static void expect_error(struct copying *copying, unsigned status,
                         const char *code)
{
    struct buffer body;
    char wanted[64];
    const char *document;

    expect_end(copying, status, code, &body);
    document = document_in(&body);
    snprintf(wanted, sizeof(wanted), "<Error><Code>%s</Code>", code);
    assert_memory_equal(document, wanted, strlen(wanted));
    assert_non_null(strstr(document, "<RequestId>0123456789ABCDEF</RequestId>"
                                     "<HostId>0123456789ABCDEF</HostId>"
                                     "</Error>"));
    buffer_free(&body);
}

static void expect_bytes(const char *key)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, GET(key));
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.body.size, SIZE);
    assert_memory_equal(answer.body.data, bytes, SIZE);
    s3_answer_free(&answer);
}

/* Nothing is written any more, and nothing kept. */
static void expect_nothing(const char *key)
{
    s3_expect(&fixture, 404, HEAD(key));
    for (unsigned i = 0; i < FIXTURE_DRIVES; i++) {
        struct drive_usage usage;

        drive_usage(fixture.drives[i], &usage);
        assert_int_equal(usage.pending, 0);
    }
}

/* --- copies that succeed ---------------------------------------------------*/
static bool has_header(const struct s3_call *call, const char *name,
                       const char *value)
{
    const Wire__Reply *reply = s3_call_reply(call);

    for (size_t i = 0; i < reply->n_headers; i++) {
        const Wire__Field *field = reply->headers[i];

        if (slice_equal_string(pb_slice(field->name), name)) {
            return slice_equal_string(pb_slice(field->value), value);
        }
    }
    return false;
}

static void copies(void **state)
{
    struct copying copying;
    struct buffer body;

    (void)state;
    begin_reply(&copying,
                S3_CASE(COPY_OBJECT, "read", .headers = FIELDS(READS)));
    assert_true(has_header(copying.call, "Content-Type", "application/xml"));
    s3_expect(&fixture, 404, HEAD("read"));
    expect_end(&copying, 200, "", &body);
    assert_memory_equal(document_in(&body), "<CopyObjectResult xmlns=", 24);
    assert_non_null(strstr((char *)body.data, "<ChecksumSHA256>"));
    buffer_free(&body);
    expect_bytes("read");
}

static void writes_anew(void **state)
{
    struct copying copying;
    struct buffer body;

    (void)state;
    begin_reply(&copying,
                S3_CASE(COPY_OBJECT, "written", .headers = FIELDS(WRITES)));
    assert_true(
        has_header(copying.call, "x-amz-server-side-encryption", "AES256"));
    expect_end(&copying, 200, "", &body);
    assert_memory_equal(document_in(&body), "<CopyObjectResult xmlns=", 24);
    buffer_free(&body);
    expect_bytes("written");
}

/* Of the whole source, into a new upload. */
static void begin_part(struct copying *copying, char id[128])
{
    struct s3_answer answer;
    const char *at;

    s3_run(&fixture, &answer,
           S3_CASE(CREATE_MULTIPART_UPLOAD, "upload",
                   .headers = FIELDS("x-amz-checksum-algorithm", "SHA256")));
    at = strstr((char *)answer.body.data, "<UploadId>") + 10;
    snprintf(id, 128, "%.*s", (int)strcspn(at, "<"), at);
    s3_answer_free(&answer);
    begin_reply(copying,
                S3_CASE(UPLOAD_PART_COPY, "upload",
                        .args = FIELDS("uploadId", id, "partNumber", "1"),
                        .headers = FIELDS("x-amz-copy-source", "b/source")));
}

static void copies_a_part(void **state)
{
    struct s3_answer answer;
    struct copying copying;
    struct buffer body;
    char id[128];

    (void)state;
    begin_part(&copying, id);
    expect_end(&copying, 200, "", &body);
    assert_memory_equal(document_in(&body), "<CopyPartResult xmlns=", 22);
    buffer_free(&body);
    s3_run(&fixture, &answer,
           S3_CASE(LIST_PARTS, "upload", .args = FIELDS("uploadId", id)));
    assert_contains(&answer, "<PartNumber>1</PartNumber>");
    s3_answer_free(&answer);
}

/* Whoever deletes it meanwhile: its bytes are there until the copy has them. */
static void keeps_its_source(void **state)
{
    struct meta *meta = fixture.service.meta;
    struct copying copying;
    struct buffer body;
    Meta__Object *object;

    (void)state;
    s3_expect(&fixture, 200,
              S3_CASE(PUT_OBJECT, "gone", .body = bytes, .size = SIZE));
    begin_reply(&copying, S3_CASE(COPY_OBJECT, "late",
                                  .headers = FIELDS(
                                      "x-amz-copy-source", "b/gone",
                                      "x-amz-checksum-algorithm", "SHA256")));
    assert_int_equal(meta_get_object(meta, copying.arena,
                                     copying.call->bucket->id,
                                     SLICE_LITERAL("gone"), &object),
                     0);
    s3_expect(&fixture, 204, DELETE("gone"));
    assert_false(meta_condemn_blob(meta, object->blob));
    expect_end(&copying, 200, "", &body);
    buffer_free(&body);
    expect_bytes("late");
}

/* A worker that does not say how long it waits is not kept waiting: that is
 * long. */
static void answers_as_ever(void **state)
{
    struct s3_answer answer;

    (void)state;
    s3_run(&fixture, &answer,
           S3_CASE(COPY_OBJECT, "in time", .headers = FIELDS(READS)));
    assert_true(answer.has_length);
    assert_int_equal(answer.length, answer.body.size);
    assert_contains(&answer, "?>\n<CopyObjectResult xmlns=");
    s3_answer_free(&answer);
}

/* --- and those that do not -------------------------------------------------*/
static void fails_late(void **state)
{
    struct copying copying;

    (void)state;
    begin_reply(&copying,
                S3_CASE(COPY_OBJECT, "taken",
                        .headers = FIELDS(WRITES, "if-none-match", "*")));
    s3_expect(&fixture, 200, PUT("taken", "by another"));
    expect_error(&copying, 412, "PreconditionFailed");
    s3_expect(&fixture, 204, DELETE("taken"));
    expect_nothing("taken");
}

static void fails_with_its_upload(void **state)
{
    struct copying copying;
    char id[128];

    (void)state;
    begin_part(&copying, id);
    s3_expect(&fixture, 204,
              S3_CASE(ABORT_MULTIPART_UPLOAD, "upload",
                      .args = FIELDS("uploadId", id)));
    expect_error(&copying, 404, "NoSuchUpload");
    expect_nothing("upload");
}

/* Without a byte being read. */
static void is_refused(void **state)
{
    struct copying copying;

    (void)state;
    s3_expect(&fixture, 200, PUT("there", "x"));
    begin(&copying,
          S3_CASE(COPY_OBJECT, "there",
                  .headers = FIELDS(WRITES, "if-none-match", "*")),
          PATIENCE);
    assert_false(s3_call_is_working(copying.call));
    assert_int_equal(s3_call_reply(copying.call)->status, 412);
    end(&copying);
}

/* --- clients that go away --------------------------------------------------*/
static uint64_t blob_of(struct copying *copying, struct slice key)
{
    Meta__Object *object;

    assert_int_equal(meta_get_object(fixture.service.meta, copying->arena,
                                     copying->call->bucket->id, key, &object),
                     0);
    return object->blob;
}

/* The source goes in the middle of the copy, which goes, too. */
static void expect_let_go(struct copying *copying)
{
    struct meta *meta = fixture.service.meta;
    const uint64_t blob = blob_of(copying, SLICE_LITERAL("source"));

    s3_expect(&fixture, 204, DELETE("source"));
    assert_false(meta_condemn_blob(meta, blob));
    end(copying);
    assert_true(meta_condemn_blob(meta, blob));
    meta_absolve_blob(meta, blob);
}

static void lets_go(void **state)
{
    struct copying copying;
    char id[128];

    begin_reply(&copying,
                S3_CASE(COPY_OBJECT, "aborted", .headers = FIELDS(READS)));
    expect_let_go(&copying);
    put_source(state);
    begin_part(&copying, id);
    expect_let_go(&copying);
}

static void is_aborted(void **state)
{
    struct s3_piece piece;
    struct copying copying;

    (void)state;
    begin_reply(&copying,
                S3_CASE(COPY_OBJECT, "aborted", .headers = FIELDS(WRITES)));
    s3_call_next(copying.call, &piece);
    assert_int_equal(piece.kind, S3_PIECE_DATA);
    end(&copying);
    expect_nothing("aborted");
}

static void is_aborted_early(void **state)
{
    struct copying copying;

    (void)state;
    begin(&copying, S3_CASE(COPY_OBJECT, "aborted", .headers = FIELDS(WRITES)),
          4);
    assert_int_equal(copying.call->status, 0);
    end(&copying);
    expect_nothing("aborted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(copies, put_source),
        cmocka_unit_test(writes_anew),
        cmocka_unit_test(copies_a_part),
        cmocka_unit_test(answers_as_ever),
        cmocka_unit_test(fails_late),
        cmocka_unit_test(fails_with_its_upload),
        cmocka_unit_test(is_refused),
        cmocka_unit_test(is_aborted),
        cmocka_unit_test(is_aborted_early),
        cmocka_unit_test(keeps_its_source),
        cmocka_unit_test(lets_go),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
