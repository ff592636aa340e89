#include "s3_fixture.h"

#include "s3/call.h"

static struct s3_fixture fixture;

/* The user, the date and the chunks of Amazon's own examples:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and
 * .../sigv4-streaming-trailers.html */
#define EXAMPLE_KEY    "AKIAIOSFODNN7EXAMPLE"
#define EXAMPLE_SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
static uint64_t example_generation;
static char letters[66560]; /* 'a' */

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    s3_make_bucket(&fixture, "b");
    example_generation =
        s3_add_account(&fixture, "example", true, EXAMPLE_KEY, EXAMPLE_SECRET);
    memset(letters, 'a', sizeof(letters));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_fixture_close(&fixture);
    return 0;
}

/* --- one request, step by step -------------------------------------------*/
static struct arena *arena;
static Wire__Request request;
static struct s3_call *call;

static void prepare(size_t size, const char *const *headers)
{
    struct s3_case c = {.operation = WIRE__OPERATION__PUT_OBJECT,
                        .bucket = "b",
                        .key = "body",
                        .headers = headers,
                        .size = size,
                        .empty_body = true};

    arena = arena_new();
    s3_request(&fixture, arena, &c, &request);
}

static void begin(void)
{
    call = s3_call_begin(&fixture.service, &request);
}

/* Ends the call; "" for 200. An error leaves nothing behind. */
static void finish(const char *code, const char *text)
{
    struct s3_answer answer;

    s3_call_end(call);
    s3_collect(&fixture, call, false, &answer);
    assert_string_equal(answer.error, code);
    if (text != NULL)
        assert_contains(&answer, text);
    s3_answer_free(&answer);
    arena_free(arena);
    s3_expect(&fixture, code[0] == '\0' ? 200 : 404,
              (struct s3_case){.operation = WIRE__OPERATION__HEAD_OBJECT,
                               .bucket = "b",
                               .key = "body"});
    s3_expect(&fixture, 204,
              (struct s3_case){.operation = WIRE__OPERATION__DELETE_OBJECT,
                               .bucket = "b",
                               .key = "body"});
}

static void put(const char *const *headers, const char *code, const char *text)
{
    prepare(11, headers);
    begin();
    s3_call_data(call, "hello ", 6);
    s3_call_data(call, "world", 5);
    finish(code, text);
}

/* --- headers ---------------------------------------------------------------*/
static void content_md5(void **state)
{
    (void)state;
    put(FIELDS("content-md5", "XrY7u+Ae7tCTyyK7j1rNww=="), "", NULL);
    put(FIELDS("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="), "BadDigest",
        "<CalculatedDigest>XrY7u+Ae7tCTyyK7j1rNww==</CalculatedDigest>");
    put(FIELDS("content-md5", "not base64"), "InvalidDigest", NULL);
    put(FIELDS("content-md5", "XrY7u+Ae7tCTyyK7j1rN"), "InvalidDigest", NULL);
}

static void checksum_headers(void **state)
{
    static const struct {
        const char *name, *right, *wrong, *message;
    } cases[] = {
        {"x-amz-checksum-crc32", "DUoRhQ==", "AAAAAA==",
         "The CRC32 you specified did not match the calculated checksum."},
        {"x-amz-checksum-crc32c", "yZRlqg==", "AAAAAA==", "The CRC32C you"},
        {"x-amz-checksum-crc64nvme",
         "jSnVw/bqjr4=", "AAAAAAAAAAA=", "The CRC64NVME you"},
        {"x-amz-checksum-sha1", "Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
         "AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "The SHA1 you"},
        {"x-amz-checksum-sha256",
         "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=",
         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "The SHA256 you"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char message[96];

        put(FIELDS(cases[i].name, cases[i].right), "", NULL);
        put(FIELDS(cases[i].name, cases[i].wrong), "BadDigest",
            cases[i].message);
        snprintf(message, sizeof(message), "Value for %s header is invalid.",
                 cases[i].name);
        put(FIELDS(cases[i].name, "AAAA"), "InvalidRequest", message);
        put(FIELDS(cases[i].name, "!!!!"), "InvalidRequest", message);
        put(FIELDS(cases[i].name, ""), "InvalidRequest", message);
    }
    put(FIELDS("x-amz-checksum-crc32", "DUoRhQ==", "x-amz-checksum-crc32c",
               "yZRlqg=="),
        "InvalidRequest",
        "Expecting a single x-amz-checksum- header. Multiple checksum Types "
        "are not allowed.");
    put(FIELDS("x-amz-checksum-md9", "AAAA"), "InvalidRequest", NULL);
}

static void sdk_algorithm(void **state)
{
    (void)state;
    put(FIELDS("x-amz-sdk-checksum-algorithm", "CRC32", "x-amz-checksum-crc32",
               "DUoRhQ=="),
        "", NULL);
    put(FIELDS("x-amz-sdk-checksum-algorithm", "CRC32"), "InvalidRequest",
        "x-amz-sdk-checksum-algorithm specified, but no corresponding");
    put(FIELDS("x-amz-sdk-checksum-algorithm", "SHA1", "x-amz-checksum-crc32",
               "DUoRhQ=="),
        "InvalidRequest", NULL);
}

static void checksums_are_kept(void **state)
{
    struct s3_answer answer;

    (void)state;
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                            .bucket = "b",
                            .key = "kept",
                            .body = "hello world",
                            .size = 11,
                            .headers =
                                FIELDS("x-amz-checksum-crc32", "DUoRhQ==")});
    assert_header(&answer, "x-amz-checksum-crc32", "DUoRhQ==");
    assert_no_header(&answer, "x-amz-checksum-crc64nvme");
    s3_answer_free(&answer);
    s3_run(
        &fixture, &answer,
        (struct s3_case){.operation = WIRE__OPERATION__GET_OBJECT,
                         .bucket = "b",
                         .key = "kept",
                         .headers = FIELDS("x-amz-checksum-mode", "ENABLED")});
    assert_header(&answer, "x-amz-checksum-crc32", "DUoRhQ==");
    s3_answer_free(&answer);
}

/* --- lengths ---------------------------------------------------------------*/
static void lengths(void **state)
{
    (void)state;
    prepare(11, NULL);
    begin();
    s3_call_data(call, "hello", 5);
    finish("IncompleteBody", NULL);

    prepare(11, NULL);
    begin();
    s3_call_data(call, "hello world!", 12);
    assert_false(s3_call_wants_body(call));
    s3_call_data(call, "more", 4); /* read and dropped */
    finish("IncompleteBody", NULL);

    prepare((5ull << 30) + 1, NULL);
    begin();
    assert_false(s3_call_wants_body(call));
    finish("EntityTooLarge", "<MaxSizeAllowed>5368709120</MaxSizeAllowed>");
}

static void abandoned(void **state)
{
    (void)state;
    prepare(11, NULL);
    begin();
    s3_call_data(call, "hello", 5);
    s3_call_free(call);
    arena_free(arena);
    s3_expect(&fixture, 404,
              (struct s3_case){.operation = WIRE__OPERATION__HEAD_OBJECT,
                               .bucket = "b",
                               .key = "body"});
}

static void signed_payload(void **state)
{
    uint8_t sha256[32] = {0};

    (void)state;
    for (unsigned right = 0; right < 2; right++) {
        if (right)
            hex_decode(sha256, SLICE_LITERAL("b94d27b9934d3e08a52e52d7da7dabfa"
                                             "c484efe37a5380ee9088f7ace2efcde"
                                             "9"));
        prepare(11, NULL);
        request.payload = WIRE__PAYLOAD__SIGNED;
        request.content_sha256 = fixture_bytes(sha256, 32);
        begin();
        s3_call_data(call, "hello world", 11);
        finish(right ? "" : "XAmzContentSHA256Mismatch",
               right ? NULL
                     : "<S3ComputedContentSHA256>b94d27b9934d3e08a52e52d7da7d"
                       "abfac484efe37a5380ee9088f7ace2efcde9");
    }
    /* With a SHA-256 checksum beside it one hash serves both. */
    prepare(11, FIELDS("x-amz-checksum-sha256",
                       "uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="));
    request.payload = WIRE__PAYLOAD__SIGNED;
    request.content_sha256 = fixture_bytes(sha256, 32);
    begin();
    s3_call_data(call, "hello world", 11);
    finish("", NULL);
}

/* --- signed chunks ---------------------------------------------------------*/
#define SEED  "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
#define FIRST "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"
#define SECOND                                                                 \
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"
#define LAST "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"

static void prepare_chunks(Wire__Payload payload, const char *seed)
{
    prepare(66560, NULL);
    request.payload = payload;
    request.access_key = fixture_string(EXAMPLE_KEY);
    request.key_generation = example_generation;
    request.seed_signature = fixture_string(seed);
    request.amz_date = fixture_string("20130524T000000Z");
    request.region = fixture_string("us-east-1");
}

static void chunk(size_t size, const char *signature, size_t step)
{
    Wire__Chunk message = WIRE__CHUNK__INIT;

    s3_feed(call, letters, size, step);
    message.size = size;
    message.signature = fixture_string(signature);
    s3_call_chunk(call, &message);
}

/* Signs the chunk as a client does. */
static const char *sign(const char *previous, size_t size)
{
    static char hex[65];
    struct digester *digester = digester_new(DIGEST_SHA256);
    uint8_t digest[DIGEST_SIZE_MAX], key[64] = {0}, pad[64];
    uint64_t generation;
    char text[512];

    digester_update(digester, letters, size);
    digester_final(digester, DIGEST_SHA256, digest);
    digester_free(digester);
    hex_encode(hex, digest, 32);
    snprintf(text, sizeof(text),
             "AWS4-HMAC-SHA256-PAYLOAD\n20130524T000000Z\n20130524/us-east-1/"
             "s3/aws4_request\n%s\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649"
             "b934ca495991b7852b855\n%s",
             previous, hex);
    assert_int_equal(
        iam_signing_key(fixture.service.iam, SLICE_LITERAL(EXAMPLE_KEY),
                        SLICE_LITERAL("20130524"), SLICE_LITERAL("us-east-1"),
                        SLICE_LITERAL("s3"), key, &generation),
        0);
    /* HMAC by its definition, RFC 2104. */
    for (unsigned outer = 0; outer < 2; outer++) {
        digester = digester_new(DIGEST_SHA256);
        for (unsigned i = 0; i < 64; i++)
            pad[i] = key[i] ^ (outer ? 0x5c : 0x36);
        digester_update(digester, pad, 64);
        if (outer)
            digester_update(digester, digest, 32);
        else
            digester_update(digester, text, strlen(text));
        digester_final(digester, DIGEST_SHA256, digest);
        digester_free(digester);
    }
    hex_encode(hex, digest, 32);
    return hex;
}

static void signed_chunks(void **state)
{
    char last[65];

    (void)state;
    prepare_chunks(WIRE__PAYLOAD__STREAMING_SIGNED, SEED);
    begin();
    chunk(65536, FIRST, 65536);
    chunk(1024, SECOND, 7);
    chunk(0, LAST, 1);
    finish("", NULL);

    /* Without the empty chunk the body may have been cut. */
    prepare_chunks(WIRE__PAYLOAD__STREAMING_SIGNED, SEED);
    begin();
    chunk(65536, FIRST, 65536);
    chunk(1024, SECOND, 1024);
    finish("IncompleteBody", NULL);

    prepare_chunks(WIRE__PAYLOAD__STREAMING_SIGNED, SEED);
    begin();
    chunk(65536, FIRST, 65536);
    chunk(1024, LAST, 1024);
    finish("SignatureDoesNotMatch", NULL);

    /* Another byte under the right signature. */
    prepare_chunks(WIRE__PAYLOAD__STREAMING_SIGNED, SEED);
    letters[65535] = 'b';
    begin();
    chunk(65536, FIRST, 65536);
    letters[65535] = 'a';
    assert_false(s3_call_wants_body(call));
    finish("SignatureDoesNotMatch", NULL);

    /* The chain begins at the request's own signature. */
    prepare_chunks(WIRE__PAYLOAD__STREAMING_SIGNED, LAST);
    begin();
    chunk(65536, FIRST, 65536);
    finish("SignatureDoesNotMatch", NULL);

    /* Nor may unsigned bytes follow the empty chunk. */
    prepare_chunks(WIRE__PAYLOAD__STREAMING_SIGNED, SEED);
    begin();
    chunk(65536, FIRST, 65536);
    snprintf(last, sizeof(last), "%s", sign(FIRST, 0));
    chunk(0, last, 1);
    s3_call_data(call, letters, 1024);
    finish("IncompleteBody", NULL);

    prepare_chunks(WIRE__PAYLOAD__STREAMING_SIGNED, SEED);
    begin();
    chunk(65536, FIRST, 65536);
    s3_call_data(call, letters, 1000);
    chunk(24, SECOND, 24);
    finish("IncompleteBody", NULL);
}

static void small_chunks(void **state)
{
    char first[65], second[65];

    (void)state;
    snprintf(first, sizeof(first), "%s", sign(SEED, 8191));
    snprintf(second, sizeof(second), "%s", sign(first, 58369));
    prepare_chunks(WIRE__PAYLOAD__STREAMING_SIGNED, SEED);
    begin();
    chunk(8191, first, 8191);
    chunk(58369, second, 58369);
    assert_false(s3_call_wants_body(call));
    finish("InvalidChunkSizeError", "<BadChunkSize>8191</BadChunkSize>");

    /* The last one may be small. */
    snprintf(first, sizeof(first), "%s", sign(SEED, 58369));
    snprintf(second, sizeof(second), "%s", sign(first, 8191));
    prepare_chunks(WIRE__PAYLOAD__STREAMING_SIGNED, SEED);
    begin();
    chunk(58369, first, 8191);
    chunk(8191, second, 8191);
    chunk(0, sign(second, 0), 1);
    finish("", NULL);
}

/* --- trailers --------------------------------------------------------------*/
static ProtobufCBinaryData announced[2];

static void announce(const char *name)
{
    announced[0] = fixture_string(name);
    request.trailers = announced;
    request.n_trailers = 1;
}

static void trailers(const char *const *fields, const char *signature)
{
    Wire__Trailers message = WIRE__TRAILERS__INIT;
    struct arena *own = arena_new();

    message.n_fields = fixture_fields(own, fields, &message.fields);
    message.signature = fixture_string(signature);
    s3_call_trailers(call, &message);
    arena_free(own);
}

static void unsigned_trailers_are(const char *name, const char *const *fields,
                                  const char *code, const char *text)
{
    prepare(11, NULL);
    request.payload = WIRE__PAYLOAD__STREAMING_UNSIGNED_TRAILER;
    if (name != NULL)
        announce(name);
    begin();
    s3_call_data(call, "hello world", 11);
    if (fields != NULL)
        trailers(fields, NULL);
    finish(code, text);
}

static void unsigned_trailers(void **state)
{
    const char *crc32 = "x-amz-checksum-crc32";

    (void)state;
    unsigned_trailers_are(crc32, FIELDS(crc32, "DUoRhQ=="), "", NULL);
    unsigned_trailers_are(crc32, FIELDS(crc32, "AAAAAA=="), "BadDigest",
                          "The CRC32 you specified did not match");
    unsigned_trailers_are(
        crc32, FIELDS(crc32, "AAAA"), "InvalidRequest",
        "Value for x-amz-checksum-crc32 trailing header is invalid.");
    unsigned_trailers_are(crc32, FIELDS("x-amz-checksum-crc32c", "yZRlqg=="),
                          "MalformedTrailerError", NULL);
    unsigned_trailers_are(crc32, FIELDS(crc32, "DUoRhQ==", crc32, "DUoRhQ=="),
                          "MalformedTrailerError", NULL);
    unsigned_trailers_are(crc32, NULL, "MalformedTrailerError", NULL);
    unsigned_trailers_are(NULL, NULL, "", NULL); /* nothing is promised */
    unsigned_trailers_are(NULL, FIELDS(crc32, "DUoRhQ=="),
                          "MalformedTrailerError", NULL);
    unsigned_trailers_are(
        "x-amz-meta-x", FIELDS("x-amz-meta-x", "1"), "InvalidRequest",
        "The value specified in the x-amz-trailer header is not supported");
    unsigned_trailers_are("x-amz-checksum-foo", NULL, "InvalidRequest", NULL);

    prepare(11, FIELDS(crc32, "DUoRhQ=="));
    request.payload = WIRE__PAYLOAD__STREAMING_UNSIGNED_TRAILER;
    announce(crc32);
    begin();
    finish("InvalidRequest", "Expecting a single x-amz-checksum- header");
}

#define T_SEED                                                                 \
    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
#define T_FIRST                                                                \
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"
#define T_SECOND                                                               \
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"
#define T_LAST                                                                 \
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"
#define T_SIGN                                                                 \
    "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"

static void signed_trailers_are(const char *value, const char *signature,
                                const char *code)
{
    const char *name = "x-amz-checksum-crc32c";

    prepare_chunks(WIRE__PAYLOAD__STREAMING_SIGNED_TRAILER, T_SEED);
    announce(name);
    begin();
    chunk(65536, T_FIRST, 65536);
    chunk(1024, T_SECOND, 1024);
    chunk(0, T_LAST, 1);
    if (value != NULL)
        trailers(FIELDS(name, value), signature);
    finish(code, NULL);
}

static void signed_trailers(void **state)
{
    (void)state;
    signed_trailers_are("sOO8/Q==", T_SIGN, "");
    signed_trailers_are("sOO8/Q==", T_LAST, "SignatureDoesNotMatch");
    signed_trailers_are("sOO8/A==", T_SIGN, "SignatureDoesNotMatch");
    signed_trailers_are("sOO8/Q==", "", "SignatureDoesNotMatch");
    signed_trailers_are(NULL, NULL, "MalformedTrailerError");
}

/* S3's algorithms that s3d has not. */
static void missing_algorithms(void **state)
{
    static const char *const names[] = {"md5", "sha512", "xxhash64", "xxhash3",
                                        "xxhash128"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char header[64], told[96];

        snprintf(header, sizeof(header), "x-amz-checksum-%s", names[i]);
        snprintf(told, sizeof(told), "<Header>%s</Header>", header);
        put(FIELDS(header, "AAAA"), "NotImplemented", told);

        prepare(11, NULL);
        request.payload = WIRE__PAYLOAD__STREAMING_UNSIGNED_TRAILER;
        announce(header);
        begin();
        finish("NotImplemented", "<Header>x-amz-trailer</Header>");
    }
}

/* A trailer is promised, and the body cannot have one. */
static void trailers_without_chunks(void **state)
{
    (void)state;
    prepare(11, NULL);
    announce("x-amz-checksum-crc32");
    begin();
    finish("InvalidRequest",
           "The value specified in the x-amz-trailer header is not supported");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_md5),
        cmocka_unit_test(checksum_headers),
        cmocka_unit_test(sdk_algorithm),
        cmocka_unit_test(checksums_are_kept),
        cmocka_unit_test(lengths),
        cmocka_unit_test(abandoned),
        cmocka_unit_test(signed_payload),
        cmocka_unit_test(signed_chunks),
        cmocka_unit_test(small_chunks),
        cmocka_unit_test(unsigned_trailers),
        cmocka_unit_test(signed_trailers),
        cmocka_unit_test(missing_algorithms),
        cmocka_unit_test(trailers_without_chunks),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
