/* core/: aws-chunked, the same events whatever the split of the input. */
#include "core_fixture.h"

#include "s3_chunked.h"

#include <stdio.h>

#define SIG_A       "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"
#define SIG_B       "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"
#define SIG_C       "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"
#define SIG_T       "63bddb248ad2590c92712055f51b8e78ab024eead08276b24f010b0efd74843f"
#define SIGNED(sig) ";chunk-signature=" sig "\r\n"

/* What a run has shown: the events as text, and the decoded bytes. */
struct run {
    char log[4096];
    size_t log_len;
    unsigned char data[32768];
    size_t data_len;
    size_t used; /* bytes of input */
};

static struct run expected, actual;
static s3_chunked_t chunked;

static void note(struct run *run, const char *what, size_t len)
{
    assert_true(run->log_len + len < sizeof(run->log));
    memcpy(run->log + run->log_len, what, len);
    run->log_len += len;
    run->log[run->log_len] = '\0';
}

static void note_signature(struct run *run)
{
    if (chunked.has_signature)
        note(run, (char *)chunked.signature, S3_SIGV4_SIGNATURE_LEN);
}

static void note_event(struct run *run, s3_chunked_event_e event)
{
    char text[64];

    switch (event) {
    case S3_CHUNKED_CHUNK:
        snprintf(text, sizeof(text), "chunk %zu ", (size_t)chunked.chunk_size);
        note(run, text, strlen(text));
        note_signature(run);
        break;
    case S3_CHUNKED_TRAILER:
        note(run, "trailer ", 8);
        note(run, (char *)chunked.trailer.name.data, chunked.trailer.name.len);
        note(run, "=", 1);
        note(run, (char *)chunked.trailer.value.data,
             chunked.trailer.value.len);
        break;
    case S3_CHUNKED_DONE:
        note(run, "done ", 5);
        note_signature(run);
        break;
    case S3_CHUNKED_ERROR:
        note(run, "error ", 6);
        note(run, s3_error_code(chunked.error),
             strlen(s3_error_code(chunked.error)));
        break;
    default:
        fail();
    }
    note(run, "\n", 1);
}

/* Feeds one piece, in memory of its own. Returns 0 when it is over. */
static int feed(struct run *run, const unsigned char *input, size_t len)
{
    unsigned char *piece = malloc(len), *pos = piece;
    s3_chunked_event_e event;
    s3_str_t data;

    assert_true(piece != NULL || len == 0);
    if (len > 0)
        memcpy(piece, input, len);
    for (;;) {
        event = s3_chunked_parse(&chunked, &pos, piece + len, &data);
        if (event == S3_CHUNKED_AGAIN) {
            assert_ptr_equal(pos, piece + len);
            break;
        }
        if (event == S3_CHUNKED_DATA) {
            assert_true(data.len > 0 && data.data + data.len == pos);
            assert_true(run->data_len + data.len <= sizeof(run->data));
            memcpy(run->data + run->data_len, data.data, data.len);
            run->data_len += data.len;
            continue;
        }
        note_event(run, event);
        if (event == S3_CHUNKED_DONE || event == S3_CHUNKED_ERROR)
            break;
    }
    run->used += (size_t)(pos - piece);
    free(piece);
    return event == S3_CHUNKED_AGAIN;
}

static void run_pieces(struct run *run, s3_payload_e payload, uint64_t size,
                       const unsigned char *input, size_t len, size_t first,
                       size_t step)
{
    size_t at = 0, piece = first;

    run->log_len = run->data_len = run->used = 0;
    run->log[0] = '\0';
    s3_chunked_init(&chunked, payload, size);
    for (;;) {
        if (piece > len - at)
            piece = len - at;
        if (!feed(run, input + at, piece))
            return;
        at += piece;
        if (at == len)
            break;
        piece = step;
    }
    note(run, "again\n", 6);
}

/* In one piece, then cut at every point, then byte by byte. */
static void decodes(s3_payload_e payload, uint64_t size, const void *body,
                    size_t len, const char *log, const void *data,
                    size_t data_len)
{
    run_pieces(&expected, payload, size, body, len, len, len);
    assert_string_equal(expected.log, log);
    assert_int_equal(expected.data_len, data_len);
    if (data_len > 0)
        assert_memory_equal(expected.data, data, data_len);

    for (size_t cut = 0; cut <= len; cut++) {
        run_pieces(&actual, payload, size, body, len, cut, len);
        assert_string_equal(actual.log, log);
        assert_int_equal(actual.used, expected.used);
        assert_int_equal(actual.data_len, data_len);
        if (data_len > 0)
            assert_memory_equal(actual.data, data, data_len);
    }
    run_pieces(&actual, payload, size, body, len, 1, 1);
    assert_string_equal(actual.log, log);
    assert_int_equal(actual.used, expected.used);
    assert_int_equal(actual.data_len, data_len);
    if (data_len > 0)
        assert_memory_equal(actual.data, data, data_len);
}

static void text_decodes(s3_payload_e payload, const char *body,
                         const char *log, const char *data)
{
    decodes(payload, strlen(data), body, strlen(body), log, data, strlen(data));
}

/* An error, whatever bytes were passed on before it. */
static void fails(s3_payload_e payload, uint64_t size, const char *body,
                  const char *error)
{
    char log[128];
    size_t len = strlen(body);

    snprintf(log, sizeof(log), "error %s\n", error);
    for (size_t cut = 0; cut <= len + 1; cut++) {
        size_t step = cut > len ? 1 : len;

        run_pieces(&actual, payload, size, (const unsigned char *)body, len,
                   cut > len ? 1 : cut, step);
        assert_true(actual.log_len >= strlen(log));
        assert_string_equal(actual.log + actual.log_len - strlen(log), log);
    }
}

/* --- whole bodies ----------------------------------------------------------*/

static void signed_chunks(void **state)
{
    (void)state;
    text_decodes(S3_PAYLOAD_STREAMING_SIGNED,
                 "3" SIGNED(SIG_A) "abc\r\n0" SIGNED(SIG_C) "\r\n",
                 "chunk 3 " SIG_A "\nchunk 0 " SIG_C "\ndone \n", "abc");
    text_decodes(S3_PAYLOAD_STREAMING_SIGNED, "0" SIGNED(SIG_C) "\r\n",
                 "chunk 0 " SIG_C "\ndone \n", "");
    text_decodes(S3_PAYLOAD_STREAMING_SIGNED,
                 "3;x=y;chunk-signature=" SIG_A
                 ";z\r\nabc\r\n0" SIGNED(SIG_C) "\r\n",
                 "chunk 3 " SIG_A "\nchunk 0 " SIG_C "\ndone \n", "abc");
}

static void unsigned_trailer(void **state)
{
    (void)state;
    text_decodes(S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER,
                 "b\r\nhello\r\nworl\r\n0\r\n"
                 "x-amz-checksum-crc32:AAAAAA==\r\n\r\n",
                 "chunk 11 \nchunk 0 \n"
                 "trailer x-amz-checksum-crc32=AAAAAA==\ndone \n",
                 "hello\r\nworl");
    text_decodes(S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER,
                 "0A;ext=1\r\n0123456789\r\n000\r\n"
                 "X-Amz-Checksum-CRC32 :x\r\n\r\n",
                 "chunk 10 \nchunk 0 \nerror MalformedTrailerError\n",
                 "0123456789");
    text_decodes(S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER,
                 "0\r\nX-Amz-Checksum-CRC32: \t x y \r\na:\r\n\r\n",
                 "chunk 0 \ntrailer x-amz-checksum-crc32=x y\ntrailer a=\n"
                 "done \n",
                 "");
    text_decodes(S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER, "0\r\n\r\n",
                 "chunk 0 \ndone \n", "");
}

static void signed_trailer(void **state)
{
    static const char log[] = "chunk 3 " SIG_A "\nchunk 0 " SIG_C
                              "\ntrailer x-amz-checksum-crc32c=sOO8/Q==\n"
                              "done " SIG_T "\n";

    (void)state;
    text_decodes(S3_PAYLOAD_STREAMING_SIGNED_TRAILER,
                 "3" SIGNED(SIG_A) "abc\r\n0" SIGNED(
                     SIG_C) "x-amz-checksum-crc32c:sOO8/Q==\r\n"
                            "x-amz-trailer-signature:" SIG_T "\r\n\r\n",
                 log, "abc");
    text_decodes(S3_PAYLOAD_STREAMING_SIGNED_TRAILER,
                 "3" SIGNED(SIG_A) "abc\r\n0" SIGNED(
                     SIG_C) "x-amz-checksum-crc32c:sOO8/Q==\n\r\n"
                            "x-amz-trailer-signature:" SIG_T "\r\n\r\n",
                 log, "abc");
}

/* Full chunks, then a small last one; bytes that look like framing. */
static void many_chunks(void **state)
{
    static unsigned char body[20000], data[16384 + 7];
    size_t len = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)"\r\n0;a\xff"[i * 31 % 6];
    for (size_t i = 0; i < 2; i++) {
        len += (size_t)sprintf((char *)body + len, "2000\r\n");
        memcpy(body + len, data + i * 8192, 8192);
        len += 8192;
        len += (size_t)sprintf((char *)body + len, "\r\n");
    }
    len += (size_t)sprintf((char *)body + len, "7\r\n");
    memcpy(body + len, data + 16384, 7);
    len += 7;
    len += (size_t)sprintf((char *)body + len, "\r\n0\r\nx-a:b\r\n\r\n");
    decodes(S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER, sizeof(data), body, len,
            "chunk 8192 \nchunk 8192 \nchunk 7 \nchunk 0 \n"
            "trailer x-a=b\ndone \n",
            data, sizeof(data));
}

static void what_follows_is_left(void **state)
{
    static const char body[] = "0" SIGNED(SIG_C) "\r\nGET / HTTP/1.1\r\n";

    (void)state;
    decodes(S3_PAYLOAD_STREAMING_SIGNED, 0, body, sizeof(body) - 1,
            "chunk 0 " SIG_C "\ndone \n", "", 0);
    assert_int_equal(actual.used, sizeof(body) - 1 - 16);
}

/* Not even without the last CRLF: the caller says IncompleteBody. */
static void every_prefix_is_incomplete(void **state)
{
    static const char body[] =
        "3" SIGNED(SIG_A) "abc\r\n0" SIGNED(SIG_C) "\r\n";

    (void)state;
    for (size_t len = 0; len < sizeof(body) - 1; len++) {
        run_pieces(&actual, S3_PAYLOAD_STREAMING_SIGNED, 3,
                   (const unsigned char *)body, len, len, len);
        assert_true(actual.log_len >= 6);
        assert_string_equal(actual.log + actual.log_len - 6, "again\n");
    }
}

static void done_and_errors_stay(void **state)
{
    unsigned char more[] = "0\r\n\r\n", *pos = more;
    s3_str_t data;

    (void)state;
    s3_chunked_init(&chunked, S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER, 0);
    run_pieces(&actual, S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER, 0, more, 5, 5,
               5);
    assert_int_equal(s3_chunked_parse(&chunked, &pos, more + 5, &data),
                     S3_CHUNKED_DONE);
    assert_ptr_equal(pos, more);
    fails(S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER, 0, "x\r\n", "IncompleteBody");
    assert_int_equal(s3_chunked_parse(&chunked, &pos, more + 5, &data),
                     S3_CHUNKED_ERROR);
    assert_ptr_equal(pos, more);
}

/* --- refusals --------------------------------------------------------------*/

static void chunk_sizes(void **state)
{
    static const s3_payload_e mode = S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER;

    (void)state;
    fails(mode, 3, "\r\n", "IncompleteBody");
    fails(mode, 3, ";a=b\r\n", "IncompleteBody");
    fails(mode, 3, "0x3\r\nabc\r\n", "IncompleteBody");
    fails(mode, 3, "-3\r\nabc\r\n", "IncompleteBody");
    fails(mode, 3, " 3\r\nabc\r\n", "IncompleteBody");
    fails(mode, 3, "3 \r\nabc\r\n", "IncompleteBody");
    fails(mode, 3, "3\nabc\r\n", "IncompleteBody");
    fails(mode, UINT64_MAX, "00000000000000003\r\nabc\r\n", "IncompleteBody");
    fails(mode, UINT64_MAX - 1, "ffffffffffffffff\r\n", "IncompleteBody");
    run_pieces(&actual, mode, UINT64_MAX,
               (const unsigned char *)"ffffffffffffffff\r\nabc", 21, 21, 21);
    assert_string_equal(actual.log, "again\n");
    assert_int_equal(actual.data_len, 3);
    assert_int_equal(chunked.chunk_left, UINT64_MAX - 3);
}

static void sums(void **state)
{
    static const s3_payload_e mode = S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER;

    (void)state;
    fails(mode, 2, "3\r\nabc\r\n0\r\n\r\n", "IncompleteBody");
    assert_int_equal(actual.data_len, 0);
    fails(mode, 4, "3\r\nabc\r\n0\r\n\r\n", "IncompleteBody");
    fails(mode, 1, "0\r\n\r\n", "IncompleteBody");
    fails(mode, 3, "3\r\nabc\r\n3\r\nabc\r\n0\r\n\r\n",
          "InvalidChunkSizeError");
}

static void ends_of_chunks(void **state)
{
    static const s3_payload_e mode = S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER;

    (void)state;
    fails(mode, 3, "3\r\nabcd\r\n0\r\n\r\n", "IncompleteBody");
    fails(mode, 3, "3\r\nabc\n\n0\r\n\r\n", "IncompleteBody");
    fails(mode, 3, "3\r\nabc\r\r\n0\r\n\r\n", "IncompleteBody");
    fails(mode, 3, "3\r\nabc0\r\n\r\n", "IncompleteBody");
}

static void small_chunks(void **state)
{
    char body[8192 + 64];

    (void)state;
    snprintf(body, sizeof(body), "1fff\r\n%08191d\r\n1\r\na\r\n0\r\n\r\n", 0);
    run_pieces(&actual, S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER, 8192,
               (unsigned char *)body, strlen(body), strlen(body), 1);
    assert_string_equal(actual.log,
                        "chunk 8191 \nerror InvalidChunkSizeError\n");
    snprintf(body, sizeof(body), "2000\r\n%08192d\r\n1\r\na\r\n0\r\n\r\n", 0);
    run_pieces(&actual, S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER, 8193,
               (unsigned char *)body, strlen(body), strlen(body), 1);
    assert_string_equal(actual.log, "chunk 8192 \nchunk 1 \nchunk 0 \ndone \n");
}

static void chunk_signatures(void **state)
{
    static const s3_payload_e mode = S3_PAYLOAD_STREAMING_SIGNED;
    static const char wrong[] = "SignatureDoesNotMatch";

    (void)state;
    fails(mode, 3, "3\r\nabc\r\n", wrong);
    fails(mode, 3, "3;chunk-signature=\r\nabc\r\n", wrong);
    fails(mode, 3, "3;chunk-signature\r\nabc\r\n", wrong);
    fails(mode, 3, "3;chunk-signature=" SIG_A "0\r\nabc\r\n", wrong);
    fails(mode, 3, "3;chunk-signature= " SIG_A "\r\nabc\r\n", wrong);
    fails(mode, 3, "3;signature=" SIG_A "\r\nabc\r\n", wrong);
    fails(mode, 3,
          "3;chunk-signature=" SIG_A ";chunk-signature=" SIG_B "\r\nabc\r\n",
          wrong);
    fails(mode, 3,
          "3;chunk-signature=xd80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade"
          "35a65485a288648\r\nabc\r\n",
          wrong);
    fails(mode, 3, "3" SIGNED(SIG_A) "abc\r\n0\r\n\r\n", wrong);
}

static void trailers(void **state)
{
    static const s3_payload_e plain = S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER;
    static const s3_payload_e mode = S3_PAYLOAD_STREAMING_SIGNED_TRAILER;
    static const char malformed[] = "MalformedTrailerError";

    (void)state;
    fails(S3_PAYLOAD_STREAMING_SIGNED, 0, "0" SIGNED(SIG_C) "a:b\r\n\r\n",
          malformed);
    fails(plain, 0, "0\r\nnocolon\r\n\r\n", malformed);
    fails(plain, 0, "0\r\n:v\r\n\r\n", malformed);
    fails(plain, 0, "0\r\na b:v\r\n\r\n", malformed);
    fails(plain, 0, "0\r\na:v\x01\r\n\r\n", malformed);
    fails(plain, 0, "0\r\na:v\nb:w\r\n\r\n", malformed);
    fails(plain, 0, "0\r\na:v\n\n\r\n\r\n", malformed);
    fails(plain, 0, "0\r\nx-amz-trailer-signature:" SIG_T "\r\n\r\n",
          malformed);
    fails(mode, 0, "0" SIGNED(SIG_C) "\r\n", malformed);
    fails(mode, 0, "0" SIGNED(SIG_C) "a:b\r\n\r\n", malformed);
    fails(mode, 0,
          "0" SIGNED(SIG_C) "x-amz-trailer-signature:" SIG_T "\r\na:b\r\n\r\n",
          malformed);
    fails(mode, 0, "0" SIGNED(SIG_C) "x-amz-trailer-signature:12\r\n\r\n",
          malformed);
    fails(plain, 0,
          "0\r\na:1\r\nb:1\r\nc:1\r\nd:1\r\ne:1\r\nf:1\r\ng:1\r\nh:1\r\n"
          "i:1\r\n\r\n",
          malformed);
}

/* A line holds S3_CHUNKED_LINE_MAX bytes with its CRLF. */
static void long_lines(void **state)
{
    char body[2 * S3_CHUNKED_LINE_MAX];

    (void)state;
    snprintf(body, sizeof(body), "0;%0*d\r\n\r\n", S3_CHUNKED_LINE_MAX - 4, 0);
    run_pieces(&actual, S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER, 0,
               (unsigned char *)body, strlen(body), 1, 1);
    assert_string_equal(actual.log, "chunk 0 \ndone \n");
    snprintf(body, sizeof(body), "0;%0*d\r\n\r\n", S3_CHUNKED_LINE_MAX - 3, 0);
    fails(S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER, 0, body, "IncompleteBody");
    snprintf(body, sizeof(body), "0\r\na:%0*d\r\n\r\n", S3_CHUNKED_LINE_MAX - 3,
             0);
    fails(S3_PAYLOAD_STREAMING_UNSIGNED_TRAILER, 0, body,
          "MalformedTrailerError");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        core_test(signed_chunks),
        core_test(unsigned_trailer),
        core_test(signed_trailer),
        core_test(many_chunks),
        core_test(what_follows_is_left),
        core_test(every_prefix_is_incomplete),
        core_test(done_and_errors_stay),
        core_test(chunk_sizes),
        core_test(sums),
        core_test(ends_of_chunks),
        core_test(small_chunks),
        core_test(chunk_signatures),
        core_test(trailers),
        core_test(long_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
