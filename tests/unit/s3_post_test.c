/* PostObject: whole forms through a call. */
#include "s3_events_fixture.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define BOUNDARY "----boundary"
#define TYPE     "multipart/form-data; boundary=" BOUNDARY
#define CREDENTIAL                                                             \
    FIXTURE_KEY "/" FIXTURE_DATE "/" FIXTURE_REGION "/s3/aws4_request"
#define AMZ_DATE "20260102T030405Z" /* of FIXTURE_DATE */
/* Conditions that hold for any key and whatever is signed. */
#define ANY                                                                    \
    "{\"bucket\":\"b\"},[\"starts-with\",\"$key\",\"\"],"                      \
    "{\"x-amz-algorithm\":\"AWS4-HMAC-SHA256\"},"                              \
    "{\"x-amz-credential\":\"" CREDENTIAL "\"},"                               \
    "{\"x-amz-date\":\"" AMZ_DATE "\"}"

#define PIECE (8u << 20) /* bytes */

static const char tagging[] =
    "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet>"
    "</Tagging>";
static const char nobody[] =
    "NOBODY/" FIXTURE_DATE "/" FIXTURE_REGION "/s3/aws4_request";

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

/* --- forms -----------------------------------------------------------------*/
struct upload {
    const char *conditions;    /* more of them; NULL: none */
    const char *const *fields; /* FIELDS(), before the file; NULL: none */
    const char *const *after;  /* and after it */
    const char *filename;      /* NULL: none */
    const void *file;
    size_t size;
    size_t step;         /* bytes a DATA frame; 0: 64 KiB */
    const char *without; /* a field of the signature that is left out */
    const char *date;    /* of the expiration */
    const char *type;    /* Content-Type of the request */
    const char *const *headers;
    bool no_file, unsigned_form, no_end;
};

static void add_field(struct buffer *form, const char *name, const char *value)
{
    buffer_printf(form,
                  "--" BOUNDARY "\r\nContent-Disposition: form-data; "
                  "name=\"%s\"\r\n\r\n%s\r\n",
                  name, value);
}

static void add_fields(struct buffer *form, const char *const *pairs)
{
    for (; pairs != NULL && pairs[0] != NULL; pairs += 2) {
        add_field(form, pairs[0], pairs[1]);
    }
}

static void sign(const char *policy, char hex[65])
{
    uint8_t key[IAM_KEY_SIZE], mac[32];
    uint64_t generation;
    unsigned size = 32;

    assert_int_equal(iam_signing_key(fixture.service.iam,
                                     slice_from_string(FIXTURE_KEY),
                                     slice_from_string(FIXTURE_DATE),
                                     slice_from_string(FIXTURE_REGION),
                                     SLICE_LITERAL("s3"), key, &generation),
                     0);
    assert_non_null(HMAC(EVP_sha256(), key, sizeof(key),
                         (const uint8_t *)policy, strlen(policy), mac, &size));
    hex_encode(hex, mac, 32);
}

static void add_signature(struct buffer *form, const struct upload *upload)
{
    struct buffer json = {0};
    const char *pairs[11] = {"x-amz-algorithm",  "AWS4-HMAC-SHA256",
                             "x-amz-credential", CREDENTIAL,
                             "x-amz-date",       AMZ_DATE,
                             "policy",           NULL,
                             "x-amz-signature",  NULL};
    char hex[65], *policy;

    buffer_printf(&json, "{\"expiration\":\"%s\",\"conditions\":[" ANY "%s%s]}",
                  upload->date != NULL ? upload->date : "2099-01-01T00:00:00Z",
                  upload->conditions != NULL ? "," : "",
                  upload->conditions != NULL ? upload->conditions : "");
    policy = xmalloc(2 * json.size + 8);
    base64_encode(policy, json.data, json.size);
    sign(policy, hex);
    pairs[7] = policy;
    pairs[9] = hex;
    for (size_t i = 0; i < 10; i += 2) {
        if (upload->without == NULL || strcmp(pairs[i], upload->without) != 0) {
            add_field(form, pairs[i], pairs[i + 1]);
        }
    }
    free(policy);
    buffer_free(&json);
}

static void build(struct buffer *form, const struct upload *upload)
{
    add_fields(form, upload->fields);
    if (!upload->unsigned_form) {
        add_signature(form, upload);
    }
    if (!upload->no_file) {
        buffer_append_string(form, "--" BOUNDARY "\r\nContent-Disposition: "
                                   "form-data; name=\"file\"");
        if (upload->filename != NULL) {
            buffer_printf(form, "; filename=\"%s\"", upload->filename);
        }
        buffer_append_string(form, "\r\nContent-Type: text/x-ignored\r\n\r\n");
        buffer_append(form, upload->file, upload->size);
        buffer_append_string(form, "\r\n");
    }
    add_fields(form, upload->after);
    if (!upload->no_end) {
        buffer_append_string(form, "--" BOUNDARY "--\r\n");
    }
}

static void run(struct s3_answer *answer, struct upload upload)
{
    const char *headers[12] = {"content-type",
                               upload.type != NULL ? upload.type : TYPE};
    struct buffer form = {0};

    for (size_t i = 0; upload.headers != NULL && upload.headers[i] != NULL;
         i++) {
        headers[2 + i] = upload.headers[i];
    }
    build(&form, &upload);
    s3_run(&fixture, answer,
           (struct s3_case){.operation = WIRE__OPERATION__POST_OBJECT,
                            .bucket = "b",
                            .key = "",
                            .access_key = "",
                            .headers = headers,
                            .body = form.data,
                            .size = form.size,
                            .step = upload.step});
    buffer_free(&form);
}

#define UPLOAD(text, ...)                                                      \
    ((struct upload){.file = text, .size = strlen(text), __VA_ARGS__})
#define KEY(name) FIELDS("key", name)

static void expect(unsigned status, struct upload upload)
{
    struct s3_answer answer;

    run(&answer, upload);
    if (answer.status != status) {
        fail_msg("status %u instead of %u: %s", answer.status, status,
                 (const char *)answer.body.data);
    }
    s3_answer_free(&answer);
}

static void refused(const char *code, unsigned status, const char *text,
                    struct upload upload)
{
    struct s3_answer answer;

    run(&answer, upload);
    if (strcmp(answer.error, code) != 0) {
        fail_msg("not %s: %s", code, (const char *)answer.body.data);
    }
    assert_int_equal(answer.status, status);
    assert_contains(&answer, text);
    s3_answer_free(&answer);
}

static void holds(const char *key, const void *data, size_t size)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, GET(key));
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.body.size, size);
    assert_memory_equal(answer.body.data, data, size);
    s3_answer_free(&answer);
}

/* --- what is stored --------------------------------------------------------*/
static void stores(void **state)
{
    struct s3_answer answer;

    (void)state;
    run(&answer, UPLOAD("hello world", .fields = KEY("hello")));
    assert_int_equal(answer.status, 204);
    assert_header(&answer, "ETag", "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"");
    assert_header(&answer, "x-amz-checksum-crc64nvme", "jSnVw/bqjr4=");
    assert_header(&answer, "x-amz-checksum-type", "FULL_OBJECT");
    assert_header(&answer, "Location", "http://s3.test/b/hello");
    assert_no_header(&answer, "x-amz-version-id");
    assert_int_equal(answer.body.size, 0);
    s3_answer_free(&answer);

    holds("hello", "hello world", 11);
    s3_run(&fixture, &answer, HEAD("hello"));
    assert_header(&answer, "Content-Type", "binary/octet-stream");
    s3_answer_free(&answer);
    expect(204, UPLOAD("", .fields = KEY("empty")));
    holds("empty", "", 0);
}

static void fields_are_headers(void **state)
{
    struct s3_answer answer;

    (void)state;
    expect(204,
           UPLOAD("x",
                  .fields = FIELDS(
                      "key", "k", "Content-Type", "image/png", "cache-control",
                      "no-cache", "Content-Disposition",
                      "attachment; filename=\"${filename}\"",
                      "x-amz-meta-Colour", "green", "acl", "private",
                      "x-amz-storage-class", "STANDARD_IA", "tagging", tagging,
                      "unknown", "1", "x-ignore-a", "1", "x-ignore-a", "2"),
                  .filename = "C:\\dir\\my file.png",
                  .conditions = "{\"Content-Type\":\"image/png\"},"
                                "{\"Cache-Control\":\"no-cache\"},"
                                "[\"starts-with\",\"$Content-Disposition\","
                                "\"attachment\"],"
                                "{\"x-amz-meta-colour\":\"green\"},"
                                "{\"acl\":\"private\"},"
                                "{\"x-amz-storage-class\":\"STANDARD_IA\"},"
                                "[\"starts-with\",\"$tagging\",\"\"],"
                                "[\"starts-with\",\"$unknown\",\"\"]"));
    s3_run(&fixture, &answer, HEAD("k"));
    assert_header(&answer, "Content-Type", "image/png");
    assert_header(&answer, "Cache-Control", "no-cache");
    assert_header(&answer, "Content-Disposition",
                  "attachment; filename=\"my file.png\"");
    assert_header(&answer, "x-amz-meta-colour", "green");
    assert_header(&answer, "x-amz-storage-class", "STANDARD_IA");
    assert_header(&answer, "x-amz-tagging-count", "1");
    assert_no_header(&answer, "unknown");
    s3_answer_free(&answer);
}

static void file_names(void **state)
{
    (void)state;
    expect(204, UPLOAD("1", .fields = KEY("in/${filename}"),
                       .filename = "/home/me/a.txt"));
    holds("in/a.txt", "1", 1);
    expect(204, UPLOAD("2", .fields = KEY("in/${filename}/${filename}"),
                       .filename = "b"));
    holds("in/b/b", "2", 1);
    expect(204, UPLOAD("3", .fields = KEY("in/${filename}"), .filename = ""));
    holds("in/", "3", 1);
    expect(204, UPLOAD("4", .fields = KEY("in/${filename}")));
    holds("in/${filename}", "4", 1);
    struct buffer many = {0}, name = {0};
    for (size_t i = 0; i < 1000; i++) {
        buffer_append_string(&many, "${filename}");
        buffer_append_string(&name, "n");
    }
    buffer_append(&many, "", 1);
    buffer_append(&name, "", 1);
    refused("MaxPostPreDataLengthExceeded", 400, "",
            UPLOAD("5",
                   .fields = FIELDS("key", "k", "x-ignore-a",
                                    (const char *)many.data),
                   .filename = (const char *)name.data));
    buffer_free(&many);
    buffer_free(&name);
    refused("InvalidArgument", 400, "<ArgumentName>key</ArgumentName>",
            UPLOAD("5", .fields = KEY("${filename}"), .filename = "dir/"));
}

/* Sizes around a piece, in frames of every kind of length. */
static void pieces(void **state)
{
    static const struct {
        size_t size, step;
    } cases[] = {
        {PIECE - 1, 65536}, {PIECE, 65521},         {PIECE + 1, 262144},
        {2 * PIECE, 65536}, {2 * PIECE + 17, 1021}, {3 * PIECE + 5, 65536},
    };
    struct s3_answer answer;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const size_t size = cases[i].size;
        uint8_t *data = xmalloc(size);

        s3_fill(data, size, i + 1);
        memcpy(data + 100, "\r\n------boundarX\r\n--", 20);
        expect(204, (struct upload){.fields = KEY("big"),
                                    .file = data,
                                    .size = size,
                                    .step = cases[i].step});
        holds("big", data, size);
        s3_run(&fixture, &answer, HEAD("big"));
        assert_int_equal(answer.length, size);
        assert_no_header(&answer, "x-amz-mp-parts-count");
        s3_answer_free(&answer);
        s3_run(&fixture, &answer,
               GET("big", .headers = FIELDS("range", "bytes=8388600-8388615")));
        if (size > PIECE + 8) {
            assert_int_equal(answer.body.size, 16);
            assert_memory_equal(answer.body.data, data + 8388600, 16);
        }
        s3_answer_free(&answer);
        free(data);
    }
    s3_expect(&fixture, 204, DELETE("big"));
}

static size_t parts_of(const char *key)
{
    struct meta *meta = fixture.service.meta;
    struct arena *arena = arena_new();
    Meta__Bucket *bucket;
    Meta__Object *object;
    Meta__Blob *blob;
    size_t parts;

    assert_int_equal(meta_get_bucket(meta, arena, SLICE_LITERAL("b"), &bucket),
                     0);
    assert_int_equal(meta_get_object(meta, arena, bucket->id,
                                     slice_from_string(key), &object),
                     0);
    assert_int_equal(meta_get_blob(meta, arena, object->blob, &blob), 0);
    parts = blob->n_parts;
    arena_free(arena);
    return parts;
}

static void smaller_pieces_where_memory_is_short(void **state)
{
    const size_t size = (3u << 20) + 5;
    uint8_t *data = xmalloc(size);
    struct memory *others = memory_new(5000);

    (void)state;
    s3_fill(data, size, 99);
    for (unsigned i = 0; i < 2; i++) {
        memory_limit(i == 0 ? 4096 : UINT64_MAX);
        expect(204, (struct upload){
                        .fields = KEY("big"), .file = data, .size = size});
        memory_limit(UINT64_MAX);
        holds("big", data, size);
        assert_int_equal(parts_of("big"), i == 0 ? 4 : 0);
    }
    s3_expect(&fixture, 204, DELETE("big"));
    memory_drop(others);
    free(data);
}

static void every_split(void **state)
{
    (void)state;
    for (size_t step = 1; step < 1200;
         step = step < 40 ? step + 1 : step + 97) {
        expect(204, UPLOAD("\r\n--\r\n------bound\r\n\r\n",
                           .fields = KEY("split"), .step = step));
        holds("split", "\r\n--\r\n------bound\r\n\r\n", 21);
    }
}

/* --- conditions ------------------------------------------------------------*/
#define NONE_MATCH "{\"If-None-Match\":\"*\"}"

static void write_conditions(void **state)
{
    (void)state;
    expect(204, UPLOAD("x", .conditions = NONE_MATCH,
                       .fields = FIELDS("key", "once", "If-None-Match", "*")));
    refused("PreconditionFailed", 412, "<Condition>If-None-Match</Condition>",
            UPLOAD("y", .conditions = NONE_MATCH,
                   .fields = FIELDS("key", "once", "If-None-Match", "*")));
    refused("AccessDenied", 403, "Extra input fields: If-None-Match",
            UPLOAD("y", .fields = FIELDS("key", "once", "If-None-Match", "*")));
    refused("PreconditionFailed", 412, "<Condition>If-Match</Condition>",
            UPLOAD("y", .conditions = "{\"if-match\":\"other\"}",
                   .fields = FIELDS("key", "once", "if-match", "other")));
}

/* --- answers ---------------------------------------------------------------*/
#define STATUS "[\"starts-with\",\"$success_action_status\",\"\"]"
#define TO     "[\"starts-with\",\"$success_action_redirect\",\"\"]"

static void statuses(void **state)
{
    struct s3_answer answer;

    (void)state;
    expect(200, UPLOAD("x", .conditions = STATUS,
                       .fields =
                           FIELDS("key", "k", "success_action_status", "200")));
    expect(204, UPLOAD("x", .conditions = STATUS,
                       .fields =
                           FIELDS("key", "k", "success_action_status", "404")));
    run(&answer, UPLOAD("hello world", .conditions = STATUS,
                        .fields = FIELDS("key", "a/b \xc3\xa4&",
                                         "success_action_status", "201")));
    assert_int_equal(answer.status, 201);
    assert_header(&answer, "Content-Type", "application/xml");
    assert_header(&answer, "Location", "http://s3.test/b/a%2Fb%20%C3%A4%26");
    assert_string_equal(
        (char *)answer.body.data,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse>"
        "<Location>http://s3.test/b/a%2Fb%20%C3%A4%26</Location>"
        "<Bucket>b</Bucket><Key>a/b \xc3\xa4&amp;</Key>"
        "<ETag>&quot;5eb63bbbe01eeed093cb22bb8f5acdc3&quot;</ETag>"
        "</PostResponse>");
    s3_answer_free(&answer);
}

static void redirects(void **state)
{
    struct s3_answer answer;

    (void)state;
    run(&answer,
        UPLOAD("hello world", .conditions = TO "," STATUS,
               .fields = FIELDS("key", "a/b c", "success_action_redirect",
                                "http://x.test/done", "success_action_status",
                                "201")));
    assert_int_equal(answer.status, 303);
    assert_header(&answer, "Location",
                  "http://x.test/done?bucket=b&key=a%2Fb+c&etag="
                  "%225eb63bbbe01eeed093cb22bb8f5acdc3%22");
    assert_int_equal(answer.body.size, 0);
    s3_answer_free(&answer);
    run(&answer,
        UPLOAD("x", .conditions = "{\"redirect\":\"HTTPS://x/?a=1\"}",
               .fields = FIELDS("key", "k", "redirect", "HTTPS://x/?a=1")));
    assert_int_equal(answer.status, 303);
    assert_header(&answer, "Location",
                  "HTTPS://x/?a=1&bucket=b&key=k&etag="
                  "%229dd4e461268c8034f5c8564e155c67a6%22");
    s3_answer_free(&answer);
    expect(204, UPLOAD("x", .conditions = TO,
                       .fields = FIELDS("key", "k", "success_action_redirect",
                                        "/relative")));
    /* No header of the client's own making. */
    run(&answer, UPLOAD("x", .conditions = TO,
                        .fields = FIELDS("key", "k", "success_action_redirect",
                                         "http://x/\r\nSet-Cookie: a=b")));
    assert_no_header(&answer, "Set-Cookie");
    s3_answer_free(&answer);
}

/* --- refusals --------------------------------------------------------------*/
static void who(void **state)
{
    static const char *const missing[][2] = {
        {"x-amz-algorithm", "X-Amz-Algorithm"},
        {"x-amz-credential", "X-Amz-Credential"},
        {"x-amz-date", "X-Amz-Date"},
        {"x-amz-signature", "X-Amz-Signature"},
        {"policy", "Policy"},
    };
    char text[128];

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        snprintf(text, sizeof(text),
                 "must contain a field named &apos;%s&apos;", missing[i][1]);
        refused("InvalidArgument", 400, missing[i][1],
                UPLOAD("x", .fields = KEY("k"), .without = missing[i][0]));
    }
    refused("AccessDenied", 403, "<Message>Access Denied</Message>",
            UPLOAD("x", .fields = KEY("k"), .unsigned_form = true));
    refused("AccessDenied", 403, "<Message>Access Denied</Message>",
            UPLOAD("x", .fields = FIELDS("key", "k", "policy", "e30="),
                   .unsigned_form = true));
    refused("InvalidRequest", 400, "AWS4-HMAC-SHA256",
            UPLOAD("x",
                   .fields = FIELDS("key", "k", "AWSAccessKeyId", "A", "policy",
                                    "e30=", "signature", "s"),
                   .unsigned_form = true));
    refused(
        "InvalidAccessKeyId", 403, "<AWSAccessKeyId>NOBODY</AWSAccessKeyId>",
        UPLOAD("x", .fields = FIELDS("key", "k", "x-amz-credential", nobody),
               .without = "x-amz-credential"));
    refused("SignatureDoesNotMatch", 403, "<StringToSign>e30=</StringToSign>",
            UPLOAD("x", .fields = FIELDS("key", "k", "policy", "e30="),
                   .without = "policy"));
    refused("SignatureDoesNotMatch", 403,
            "<StringToSignBytes>65 33 30 3d</StringToSignBytes>",
            UPLOAD("x", .fields = FIELDS("key", "k", "policy", "e30="),
                   .without = "policy"));
    refused(
        "InvalidToken", 400, "",
        UPLOAD("x", .fields = FIELDS("key", "k", "x-amz-security-token", "t")));
}

static void credentials(void **state)
{
    static const char *const cases[][2] = {
        {"A/20260102/us-east-1/s3", "mal-formed"},
        {"/20260102/us-east-1/s3/aws4_request", "non-empty Access Key"},
        {"A/2026-1-2/us-east-1/s3/aws4_request", "yyyyMMdd"},
        {"A/20260102/us-east-1/ec2/aws4_request", "incorrect service"},
        {"A/20260102/us-east-1/s3/aws5_request", "incorrect terminal"},
        {"A/20260102//s3/aws4_request", "region is not valid"},
        {"A/20260103/us-east-1/s3/aws4_request", "date in the credential"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        refused("InvalidArgument", 400, cases[i][1],
                UPLOAD("x",
                       .fields =
                           FIELDS("key", "k", "x-amz-credential", cases[i][0]),
                       .without = "x-amz-credential"));
    }
    refused("InvalidArgument", 400, "ISO8601 Long format",
            UPLOAD("x", .fields = FIELDS("key", "k", "x-amz-date", "20260102"),
                   .without = "x-amz-date"));
    refused("InvalidArgument", 400, "only supports",
            UPLOAD("x", .fields = FIELDS("key", "k", "x-amz-algorithm", "AWS4"),
                   .without = "x-amz-algorithm"));
}

#define SIZES "[\"content-length-range\",5,10]"

static void policies(void **state)
{
    (void)state;
    refused("AccessDenied", 403, "Invalid according to Policy: Policy expired.",
            UPLOAD("x", .fields = KEY("k"), .date = "2020-01-01T00:00:00Z"));
    refused("AccessDenied", 403,
            "Invalid according to Policy: Extra input fields: x-amz-meta-a",
            UPLOAD("x", .fields = FIELDS("key", "k", "x-amz-meta-a", "1")));
    refused(
        "AccessDenied", 403, "Policy Condition failed",
        UPLOAD("x", .fields = KEY("k"), .conditions = "{\"key\":\"other\"}"));
    refused("InvalidPolicyDocument", 400, "Invalid Policy: Invalid JSON.",
            UPLOAD("x", .fields = KEY("k"), .conditions = "x"));
    refused(
        "EntityTooLarge", 400,
        "<ProposedSize>11</ProposedSize><MaxSizeAllowed>10</MaxSizeAllowed>",
        UPLOAD("hello world", .fields = KEY("k"), .conditions = SIZES));
    refused("EntityTooLarge", 400, "<MaxSizeAllowed>10</MaxSizeAllowed>",
            UPLOAD("hello world", .fields = KEY("k"), .conditions = SIZES,
                   .step = 1));
    refused("EntityTooSmall", 400,
            "<ProposedSize>4</ProposedSize><MinSizeAllowed>5</MinSizeAllowed>",
            UPLOAD("hell", .fields = KEY("k"), .conditions = SIZES));
    expect(204, UPLOAD("hello", .fields = KEY("k"), .conditions = SIZES));
    expect(204, UPLOAD("hello worl", .fields = KEY("k"), .conditions = SIZES));
    s3_expect(&fixture, 204, DELETE("k"));
}

static void forms(void **state)
{
    struct buffer many = {0};

    (void)state;
    refused("PreconditionFailed", 412,
            "<Condition>Bucket POST must be of the enclosure-type "
            "multipart/form-data</Condition>",
            UPLOAD("x", .fields = KEY("k"), .type = "text/html"));
    refused("MalformedPOSTRequest", 400, "not well-formed",
            UPLOAD("x", .fields = KEY("k"), .type = "multipart/form-data"));
    refused("MalformedPOSTRequest", 400, "not well-formed",
            UPLOAD("x", .fields = KEY("k"), .no_end = true));
    refused("InvalidArgument", 400, "<ArgumentName>key</ArgumentName>",
            UPLOAD("x", .after = KEY("k")));
    refused("InvalidArgument", 400, "POST requires exactly one file upload",
            (struct upload){.fields = KEY("k"), .no_file = true});
    refused("InvalidArgument", 400, "POST requires exactly one file upload",
            UPLOAD("x", .fields = KEY("k"), .after = FIELDS("file", "y")));
    refused("InvalidArgument", 400, "must not be repeated",
            UPLOAD("x", .fields = FIELDS("key", "k", "KEY", "l")));
    refused("NotImplemented", 501, "if-none-match",
            UPLOAD("x", .fields = KEY("k"),
                   .headers = FIELDS("if-none-match", "*")));
    for (size_t i = 0; i < 20481; i++) {
        buffer_append_string(&many, "x");
    }
    buffer_append(&many, "", 1);
    refused("MaxPostPreDataLengthExceeded", 400,
            "<MaxPostPreDataLengthBytes>20480</MaxPostPreDataLengthBytes>",
            UPLOAD("x", .fields = FIELDS("key", "k", "x-ignore-a",
                                         (const char *)many.data)));
    many.data[18000] = '\0';
    expect(204, UPLOAD("x", .fields = FIELDS("key", "k", "x-ignore-a",
                                             (const char *)many.data)));
    many.data[1025] = '\0';
    refused("KeyTooLongError", 400, "<MaxSizeAllowed>1024</MaxSizeAllowed>",
            UPLOAD("x", .fields = KEY((const char *)many.data)));
    buffer_free(&many);
    expect(204, UPLOAD("x", .fields = KEY("k"),
                       .after = FIELDS("x-amz-meta-a", "1", "b", "2")));
    holds("k", "x", 1);
    s3_expect(&fixture, 204, DELETE("k"));
}

static void contents(void **state)
{
    struct s3_answer answer;

    (void)state;
    refused("BadDigest", 400, "",
            UPLOAD("x", .conditions = "[\"starts-with\",\"$Content-MD5\",\"\"]",
                   .fields = FIELDS("key", "k", "Content-MD5",
                                    "XrY7u+Ae7tCTyyK7j1rNww==")));
    expect(204, UPLOAD("hello world",
                       .conditions = "[\"starts-with\",\"$Content-MD5\",\"\"]",
                       .fields = FIELDS("key", "k", "Content-MD5",
                                        "XrY7u+Ae7tCTyyK7j1rNww==")));
    run(&answer,
        UPLOAD("hello world",
               .conditions = "[\"starts-with\",\"$x-amz-checksum-crc32\",\"\"]",
               .fields =
                   FIELDS("key", "k", "x-amz-checksum-crc32", "DUoRhQ==")));
    assert_int_equal(answer.status, 204);
    assert_header(&answer, "x-amz-checksum-crc32", "DUoRhQ==");
    s3_answer_free(&answer);
    refused(
        "BadDigest", 400, "CRC32 you specified",
        UPLOAD("hello",
               .conditions = "[\"starts-with\",\"$x-amz-checksum-crc32\",\"\"]",
               .fields =
                   FIELDS("key", "k", "x-amz-checksum-crc32", "DUoRhQ==")));
    refused("MalformedXML", 400, "",
            UPLOAD("x", .conditions = "[\"starts-with\",\"$tagging\",\"\"]",
                   .fields = FIELDS("key", "k", "tagging", "not-xml")));
    refused("InvalidStorageClass", 400, "FakeClass",
            UPLOAD("x", .conditions = "{\"x-amz-storage-class\":\"FakeClass\"}",
                   .fields =
                       FIELDS("key", "k", "x-amz-storage-class", "FakeClass")));
    refused("InvalidArgument", 400,
            "encryption method specified is not supported",
            UPLOAD("x",
                   .conditions = "{\"x-amz-server-side-encryption\":\"rot13\"}",
                   .fields = FIELDS("key", "k", "x-amz-server-side-encryption",
                                    "rot13")));
    refused("InvalidArgument", 400, "name of a field",
            UPLOAD("x", .conditions = "{\"x-amz-meta-a b\":\"1\"}",
                   .fields = FIELDS("key", "k", "x-amz-meta-a b", "1")));
    holds("k", "hello world", 11);
}

/* In pieces, each of them sealed. */
static void encrypted(void **state)
{
    struct upload upload = {
        .conditions = "[\"starts-with\",\"$x-amz-server-side-encryption\","
                      "\"\"]",
        .fields = FIELDS("key", "k", "x-amz-server-side-encryption", "AES256"),
        .size = PIECE + 70000};
    uint8_t *bytes = xmalloc(upload.size);
    struct s3_answer answer;

    (void)state;
    s3_fill(bytes, upload.size, 3);
    upload.file = bytes;
    run(&answer, upload);
    assert_int_equal(answer.status, 204);
    assert_header(&answer, "x-amz-server-side-encryption", "AES256");
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, GET("k", .segments = true));
    assert_header(&answer, "x-amz-server-side-encryption", "AES256");
    assert_int_equal(answer.segment_windows, 0);
    s3_answer_free(&answer);
    holds("k", bytes, upload.size);
    /* The request's own headers are not the form's. */
    upload.headers = FIELDS("x-amz-server-side-encryption", "AES256");
    refused("InvalidArgument", 400, "not supported for this operation", upload);
    free(bytes);
}

/* A client that goes away in the middle leaves nothing. */
static void aborts(void **state)
{
    struct upload upload = {.fields = KEY("gone"), .size = 2 * PIECE + 9};
    struct arena *arena = arena_new();
    struct buffer form = {0};
    uint8_t *data = xcalloc(1, upload.size);
    Wire__Request request;

    (void)state;
    upload.file = data;
    build(&form, &upload);
    for (size_t cut = 100; cut < form.size; cut += form.size / 5) {
        struct s3_case c = {.operation = WIRE__OPERATION__POST_OBJECT,
                            .bucket = "b",
                            .key = "",
                            .access_key = "",
                            .headers = FIELDS("content-type", TYPE),
                            .body = form.data,
                            .size = form.size};
        struct s3_answer answer;
        struct s3_call *call;

        s3_request(&fixture, arena, &c, &request);
        call = s3_call_begin(&fixture.service, &request);
        s3_feed(call, form.data, cut, 65536);
        assert_true(s3_call_wants_body(call));
        s3_call_free(call);

        call = s3_call_begin(&fixture.service, &request);
        s3_feed(call, form.data, cut, 65536);
        s3_call_end(call);
        s3_collect(&fixture, call, false, &answer);
        assert_error(&answer, "IncompleteBody", 400);
        s3_answer_free(&answer);
    }
    s3_expect(&fixture, 404, GET("gone"));
    buffer_free(&form);
    free(data);
    arena_free(arena);
}

static void versions(void **state)
{
    static const char on[] = "<VersioningConfiguration><Status>Enabled"
                             "</Status></VersioningConfiguration>";
    struct s3_answer answer;

    (void)state;
    s3_expect(
        &fixture, 200,
        (struct s3_case){.operation = WIRE__OPERATION__PUT_BUCKET_VERSIONING,
                         .bucket = "b",
                         .key = "",
                         .body = on,
                         .size = sizeof(on) - 1});
    run(&answer, UPLOAD("one", .fields = KEY("versioned")));
    assert_int_equal(answer.status, 204);
    assert_int_equal(strlen(s3_header(&answer, "x-amz-version-id")), 32);
    s3_answer_free(&answer);
    expect(204, UPLOAD("two", .fields = KEY("versioned")));
    holds("versioned", "two", 3);
}

static void bucket_is_gone(void **state)
{
    struct s3_answer answer;
    struct buffer form = {0};
    struct upload upload = UPLOAD("x", .fields = KEY("k"));

    (void)state;
    build(&form, &upload);
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__POST_OBJECT,
                            .bucket = "nosuch",
                            .key = "",
                            .access_key = "",
                            .headers = FIELDS("content-type", TYPE),
                            .body = form.data,
                            .size = form.size});
    assert_error(&answer, "NoSuchBucket", 404);
    s3_answer_free(&answer);
    buffer_free(&form);
}

/* Who signed the form is told, not who sent it; a full outbox refuses it. */
static void told(void **state)
{
    struct arena *arena = arena_new();
    char account[13], who[32];
    Meta__Event **events;
    size_t count;

    (void)state;
    s3_open_events(&fixture, 2, EVENTS_BLOCK);
    s3_account(&fixture, account);
    snprintf(who, sizeof(who), "AWS:%s", account);
    s3_expect(&fixture, 200, s3_notify(&fixture, "b", ALL_EVENTS));
    expect(204, UPLOAD("hello", .fields = KEY("a/${filename}"),
                       .filename = "b c.txt"));
    refused("SlowDown", 503, "", UPLOAD("x", .fields = KEY("full")));
    s3_take_events(&fixture, arena, &events, &count);
    assert_int_equal(count, 2);
    assert_int_equal(events[0]->type, META__EVENT_TYPE__TEST_EVENT);
    assert_int_equal(events[1]->type, META__EVENT_TYPE__OBJECT_CREATED_POST);
    assert_int_equal(events[1]->key.len, strlen("a/b c.txt"));
    assert_memory_equal(events[1]->key.data, "a/b c.txt", events[1]->key.len);
    assert_int_equal(events[1]->size, 5);
    assert_int_equal(events[1]->requester.len, strlen(who));
    assert_memory_equal(events[1]->requester.data, who, strlen(who));
    s3_close_events(&fixture);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stores),
        cmocka_unit_test(fields_are_headers),
        cmocka_unit_test(file_names),
        cmocka_unit_test(pieces),
        cmocka_unit_test(smaller_pieces_where_memory_is_short),
        cmocka_unit_test(every_split),
        cmocka_unit_test(write_conditions),
        cmocka_unit_test(statuses),
        cmocka_unit_test(redirects),
        cmocka_unit_test(who),
        cmocka_unit_test(credentials),
        cmocka_unit_test(policies),
        cmocka_unit_test(forms),
        cmocka_unit_test(contents),
        cmocka_unit_test(encrypted),
        cmocka_unit_test(aborts),
        cmocka_unit_test(versions),
        cmocka_unit_test(bucket_is_gone),
        cmocka_unit_test(told),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
