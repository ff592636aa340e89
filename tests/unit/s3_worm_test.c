/* Object Lock: configuration, retention, legal holds, and what they refuse. */
#include "s3_fixture.h"

#include "s3/call.h"
#include "s3/worm.h"

#define DAY_MS (24ull * 60 * 60 * 1000)
#define LATER  "2099-01-02T03:04:05.678Z"
#define LATEST "2099-06-02T03:04:05Z"
#define SOONER "2098-01-02T03:04:05Z"

#define LOCK_MODE  "x-amz-object-lock-mode"
#define LOCK_UNTIL "x-amz-object-lock-retain-until-date"
#define LOCK_HOLD  "x-amz-object-lock-legal-hold"
#define BYPASS     "x-amz-bypass-governance-retention", "true"

static struct s3_fixture fixture;

static int teardown(void **state)
{
    (void)state;
    s3_fixture_close(&fixture);
    return 0;
}

/* A case with a body and its Content-MD5, and up to two further headers and
 * arguments; the texts belong to the call. */
struct document_case {
    Wire__Operation operation;
    const char *bucket, *key, *text;
    const char *version; /* versionId; NULL: none */
    const char *const *headers;
    bool no_md5;
};

static void run(struct s3_answer *answer, struct document_case d)
{
    const char *headers[16] = {NULL};
    struct digester *digester = digester_new(DIGEST_MD5);
    uint8_t md5[DIGEST_SIZE_MAX];
    char base64[32];
    size_t count = 0;

    digester_update(digester, d.text, strlen(d.text));
    digester_final(digester, DIGEST_MD5, md5);
    digester_free(digester);
    base64_encode(base64, md5, 16);
    for (; d.headers != NULL && d.headers[count] != NULL; count++) {
        headers[count] = d.headers[count];
    }
    if (!d.no_md5) {
        headers[count++] = "content-md5";
        headers[count++] = base64;
    }
    s3_run(&fixture, answer,
           (struct s3_case){.operation = d.operation,
                            .bucket = d.bucket ? d.bucket : "b",
                            .key = d.key,
                            .headers = headers,
                            .args = d.version ? FIELDS("versionId", d.version)
                                              : NULL,
                            .body = d.text,
                            .size = strlen(d.text)});
}

#define DOCUMENT(op, k, xml, ...)                                              \
    ((struct document_case){.operation = WIRE__OPERATION__##op,                \
                            .key = k,                                          \
                            .text = xml,                                       \
                            __VA_ARGS__})

static void expect(unsigned status, struct document_case d)
{
    struct s3_answer answer;

    run(&answer, d);
    if (answer.status != status) {
        fail_msg("status %u instead of %u: %s", answer.status, status,
                 (char *)answer.body.data);
    }
    s3_answer_free(&answer);
}

static void expect_error(struct document_case d, const char *code,
                         unsigned status, const char *part)
{
    struct s3_answer answer;

    run(&answer, d);
    assert_error(&answer, code, status);
    assert_contains(&answer, part);
    s3_answer_free(&answer);
}

/* Puts with these headers; the version's id goes to `id`. */
static void put(const char *key, const char *const *headers, char id[40])
{
    struct s3_answer answer;

    run(&answer, DOCUMENT(PUT_OBJECT, key, "body", .headers = headers));
    assert_int_equal(answer.status, 200);
    snprintf(id, 40, "%.39s", s3_header(&answer, "x-amz-version-id"));
    s3_answer_free(&answer);
}

static void delete_version(unsigned status, const char *key, const char *id,
                           const char *const *headers)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer,
           DELETE(key, .args = FIELDS("versionId", id), .headers = headers));
    assert_int_equal(answer.status, status);
    if (status == 403) {
        assert_string_equal(answer.error, "AccessDenied");
        assert_contains(&answer, "object protected by object lock");
    }
    s3_answer_free(&answer);
}

static void expect_headers(const char *key, const char *id, const char *mode,
                           const char *until, const char *hold)
{
    struct s3_answer answer;
    const char *const wanted[][2] = {
        {LOCK_MODE, mode}, {LOCK_UNTIL, until}, {LOCK_HOLD, hold}};

    s3_run(&fixture, &answer, HEAD(key, .args = FIELDS("versionId", id)));
    assert_int_equal(answer.status, 200);
    for (unsigned i = 0; i < 3; i++) {
        if (wanted[i][1] != NULL) {
            assert_header(&answer, wanted[i][0], wanted[i][1]);
        } else {
            assert_no_header(&answer, wanted[i][0]);
        }
    }
    s3_answer_free(&answer);
}

#define NO_RULE                                                                \
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>"  \
    "</ObjectLockConfiguration>"
#define CONFIGURE(xml, ...)                                                    \
    DOCUMENT(PUT_OBJECT_LOCK_CONFIGURATION, NULL, xml, __VA_ARGS__)
#define VERSIONING(status)                                                     \
    "<VersioningConfiguration><Status>" status                                 \
    "</Status></VersioningConfiguration>"

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    s3_make_bucket(&fixture, "plain");
    s3_make_bucket(&fixture, "b");
    expect(200, DOCUMENT(PUT_BUCKET_VERSIONING, NULL, VERSIONING("Enabled")));
    expect(200, CONFIGURE(NO_RULE));
    return 0;
}

/* --- dates and rules: pure -------------------------------------------------*/
static void test_dates(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-01-02T03:04:05Z", 1767323045000},
        {"2026-01-02T03:04:05.6Z", 1767323045600},
        {"2026-01-02T03:04:05.678901234Z", 1767323045678},
        {"2026-01-02T04:34:05+01:30", 1767323045000},
        {"2026-01-01T22:04:05-05:00", 1767323045000},
        {"2024-02-29T00:00:00Z", 1709164800000},
    };
    static const char *const bad[] = {
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:05Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05ZZ",
        "2026-13-02T03:04:05Z",
        "2026-02-29T03:04:05Z",
        "2026-00-10T03:04:05Z",
        "2026-01-02T24:04:05Z",
        "2026-01-02T03:60:05Z",
        "2026-01-02T03:04:60Z",
        "2026-01-02T03:04:05+1:00",
        "2026-01-02T03:04:05+15:00",
        "1969-12-31T23:59:59Z",
        "+026-01-02T03:04:05Z",
        "Thu, 01 Dec 2033 16:00:00 GMT",
        "1767323045",
    };
    uint64_t ms;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(
            time_parse_iso8601(slice_from_string(good[i].text), &ms), 0);
        assert_true(ms == good[i].ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(time_parse_iso8601(slice_from_string(bad[i]), &ms) < 0);
    }
}

#define RETENTION(m, until)                                                    \
    (&(Meta__Retention){                                                       \
        .base = PROTOBUF_C_MESSAGE_INIT(&meta__retention__descriptor),         \
        .mode = META__LOCK_MODE__##m,                                          \
        .until_ms = until})

static void test_rules(void **state)
{
    Meta__Object object = META__OBJECT__INIT;

    (void)state;
    assert_false(worm_protects(&object, 100, false));
    assert_true(worm_may_change(&object, NULL, 100, false));
    object.legal_hold = META__LEGAL_HOLD__HOLD_ON;
    assert_true(worm_protects(&object, 100, true));
    object.legal_hold = META__LEGAL_HOLD__HOLD_OFF;
    assert_false(worm_protects(&object, 100, false));

    object.retention = RETENTION(GOVERNANCE, 200);
    assert_true(worm_protects(&object, 199, false));
    assert_false(worm_protects(&object, 199, true));
    assert_false(worm_protects(&object, 200, false)); /* it has run out */
    assert_true(worm_may_change(&object, RETENTION(GOVERNANCE, 200), 1, false));
    assert_true(worm_may_change(&object, RETENTION(GOVERNANCE, 201), 1, false));
    assert_false(
        worm_may_change(&object, RETENTION(GOVERNANCE, 199), 1, false));
    assert_false(
        worm_may_change(&object, RETENTION(COMPLIANCE, 300), 1, false));
    assert_false(worm_may_change(&object, NULL, 1, false));
    assert_true(worm_may_change(&object, NULL, 1, true));
    assert_true(worm_may_change(&object, RETENTION(GOVERNANCE, 2), 1, true));
    assert_true(worm_may_change(&object, NULL, 200, false));

    object.retention = RETENTION(COMPLIANCE, 200);
    assert_true(worm_protects(&object, 199, true));
    assert_false(worm_protects(&object, 200, false));
    for (int bypass = 0; bypass < 2; bypass++) {
        assert_false(worm_may_change(&object, NULL, 1, bypass));
        assert_false(
            worm_may_change(&object, RETENTION(COMPLIANCE, 199), 1, bypass));
        assert_false(
            worm_may_change(&object, RETENTION(GOVERNANCE, 999), 1, bypass));
        assert_true(
            worm_may_change(&object, RETENTION(COMPLIANCE, 201), 1, bypass));
    }
    assert_true(worm_may_change(&object, NULL, 200, false));
}

/* --- the bucket ------------------------------------------------------------*/
#define RULE(inside)                                                           \
    "<ObjectLockConfiguration "                                                \
    "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"                       \
    "<ObjectLockEnabled>Enabled</"                                             \
    "ObjectLockEnabled><Rule><DefaultRetention>" inside                        \
    "</DefaultRetention></Rule></ObjectLockConfiguration>"
static void expect_configuration(const char *bucket, const char *wanted)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer,
           (struct s3_case){.operation =
                                WIRE__OPERATION__GET_OBJECT_LOCK_CONFIGURATION,
                            .bucket = bucket});
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, wanted);
    s3_answer_free(&answer);
}

static void test_created_with_lock(void **state)
{
    struct s3_answer answer;

    (void)state;
    s3_expect(
        &fixture, 200,
        (struct s3_case){
            .operation = WIRE__OPERATION__CREATE_BUCKET,
            .bucket = "locked",
            .headers = FIELDS("x-amz-bucket-object-lock-enabled", "True")});
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__GET_BUCKET_VERSIONING,
                            .bucket = "locked"});
    assert_contains(&answer, "<Status>Enabled</Status>");
    s3_answer_free(&answer);
    expect_configuration("locked",
                         "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/"
                         "\"><ObjectLockEnabled>Enabled"
                         "</ObjectLockEnabled></ObjectLockConfiguration>");
    expect_error(DOCUMENT(PUT_BUCKET_VERSIONING, NULL, VERSIONING("Suspended"),
                          .bucket = "locked"),
                 "InvalidBucketState", 409, "An Object Lock configuration");
    expect(200, DOCUMENT(PUT_BUCKET_VERSIONING, NULL, VERSIONING("Enabled"),
                         .bucket = "locked"));
    s3_run(&fixture, &answer,
           (struct s3_case){.operation =
                                WIRE__OPERATION__GET_OBJECT_LOCK_CONFIGURATION,
                            .bucket = "plain"});
    assert_error(&answer, "ObjectLockConfigurationNotFoundError", 404);
    s3_answer_free(&answer);
}

static void test_enabled_later(void **state)
{
    (void)state;
    expect_error(CONFIGURE(NO_RULE, .bucket = "plain"), "InvalidBucketState",
                 409, "Versioning must be 'Enabled'");
    expect(200, DOCUMENT(PUT_BUCKET_VERSIONING, NULL, VERSIONING("Suspended"),
                         .bucket = "plain"));
    expect_error(CONFIGURE(NO_RULE, .bucket = "plain"), "InvalidBucketState",
                 409, "Versioning must be 'Enabled'");
    expect(200, DOCUMENT(PUT_BUCKET_VERSIONING, NULL, VERSIONING("Enabled"),
                         .bucket = "plain"));
    expect(200, CONFIGURE(NO_RULE, .bucket = "plain"));
    expect(200, CONFIGURE(NO_RULE, .bucket = "plain"));
    expect_configuration("plain", "<ObjectLockEnabled>Enabled");
}

static void test_configuration(void **state)
{
    static const char *const malformed[] = {
        "<ObjectLockConfiguration/>",
        "<ObjectLockConfiguration><ObjectLockEnabled>Disabled"
        "</ObjectLockEnabled></ObjectLockConfiguration>",
        RULE(""),
        RULE("<Mode>GOVERNANCE</Mode>"),
        RULE("<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>"),
        RULE("<Mode>governance</Mode><Days>1</Days>"),
        RULE("<Mode>GOVERNANCE</Mode><Days>one</Days>"),
        RULE("<Mode>GOVERNANCE</Mode><Days></Days>"),
        RULE("<Days>1</Days>"),
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled"
        "</ObjectLockEnabled><Rule/></ObjectLockConfiguration>",
        "<ObjectLockConfiguration><What/></ObjectLockConfiguration>",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        expect_error(CONFIGURE(malformed[i]), "MalformedXML", 400, "<Message>");
    }
    expect_error(CONFIGURE(RULE("<Mode>GOVERNANCE</Mode><Days>0</Days>")),
                 "InvalidArgument", 400, "must be a positive integer");
    expect_error(CONFIGURE(RULE("<Mode>GOVERNANCE</Mode><Years>-1</Years>")),
                 "InvalidArgument", 400, "<ArgumentName>Years<");
    expect_error(CONFIGURE(RULE("<Mode>GOVERNANCE</Mode><Days>36501</Days>")),
                 "InvalidArgument", 400, "too large");
    expect_error(CONFIGURE(RULE("<Mode>GOVERNANCE</Mode><Years>101</Years>")),
                 "InvalidArgument", 400, "too large");
    expect_error(CONFIGURE(NO_RULE, .no_md5 = true), "InvalidRequest", 400,
                 "Missing required header for this request: Content-MD5");
    expect_configuration("b", "</ObjectLockEnabled></ObjectLockConfiguration>");

    expect(200, CONFIGURE(RULE("<Mode>COMPLIANCE</Mode><Years>2</Years>")));
    expect_configuration("b", "<Rule><DefaultRetention><Mode>COMPLIANCE</Mode>"
                              "<Years>2</Years></DefaultRetention></Rule>");
    expect(200, CONFIGURE(RULE("<Mode>GOVERNANCE</Mode><Days>7</Days>")));
    expect_configuration("b", "<Mode>GOVERNANCE</Mode><Days>7</Days>");
    expect(200, CONFIGURE(NO_RULE)); /* takes the rule away */
    expect_configuration("b", "</ObjectLockEnabled></ObjectLockConfiguration>");
}

/* --- new objects -----------------------------------------------------------*/
static void refuse(const char *const *headers, const char *code,
                   const char *part)
{
    expect_error(DOCUMENT(PUT_OBJECT, "refused", "x", .headers = headers), code,
                 400, part);
    s3_expect(&fixture, 404, HEAD("refused"));
}

static void test_headers(void **state)
{
    char id[40];

    (void)state;
    put("k", FIELDS(LOCK_MODE, "GOVERNANCE", LOCK_UNTIL, LATER), id);
    expect_headers("k", id, "GOVERNANCE", LATER, NULL);
    put("k", FIELDS(LOCK_HOLD, "ON"), id);
    expect_headers("k", id, NULL, NULL, "ON");
    put("k", FIELDS(LOCK_HOLD, "OFF"), id);
    expect_headers("k", id, NULL, NULL, "OFF");
    put("k", NULL, id);
    expect_headers("k", id, NULL, NULL, NULL);

    refuse(FIELDS(LOCK_MODE, "GOVERNANCE"), "InvalidArgument",
           "must both be supplied");
    refuse(FIELDS(LOCK_UNTIL, LATER), "InvalidArgument",
           "must both be supplied");
    refuse(FIELDS(LOCK_MODE, "WORM", LOCK_UNTIL, LATER), "InvalidArgument",
           "Unknown wormMode directive.");
    refuse(FIELDS(LOCK_MODE, "GOVERNANCE", LOCK_UNTIL, "tomorrow"),
           "InvalidArgument", "ISO 8601");
    refuse(FIELDS(LOCK_MODE, "GOVERNANCE", LOCK_UNTIL, "2001-01-01T00:00:00Z"),
           "InvalidArgument", "must be in the future!");
    refuse(FIELDS(LOCK_HOLD, "on"), "InvalidArgument", "Legal Hold must be");
    expect_error(DOCUMENT(PUT_OBJECT, "refused", "x", .bucket = "plain",
                          .headers = FIELDS(LOCK_HOLD, "ON")),
                 "InvalidRequest", 400,
                 "Bucket is missing Object Lock Configuration");
    expect_error(DOCUMENT(PUT_OBJECT, "refused", "x", .no_md5 = true,
                          .headers = FIELDS(LOCK_HOLD, "ON")),
                 "InvalidRequest", 400,
                 "Content-MD5 OR x-amz-checksum- HTTP header is required for "
                 "Put Object requests");
}

static uint64_t until_of(const char *key)
{
    struct s3_answer answer;
    uint64_t ms = 0;

    s3_run(&fixture, &answer, HEAD(key));
    assert_non_null(s3_header(&answer, LOCK_UNTIL));
    assert_int_equal(
        time_parse_iso8601(slice_from_string(s3_header(&answer, LOCK_UNTIL)),
                           &ms),
        0);
    s3_answer_free(&answer);
    return ms;
}

static void test_default_retention(void **state)
{
    uint64_t now = clock_wall_ms(), until;
    struct s3_answer answer;
    char id[40];

    (void)state;
    expect(200, CONFIGURE(RULE("<Mode>COMPLIANCE</Mode><Days>7</Days>")));
    put("k", NULL, id);
    until = until_of("k");
    assert_true(until >= now + 7 * DAY_MS);
    assert_true(until <= clock_wall_ms() + 7 * DAY_MS);
    delete_version(403, "k", id, FIELDS(BYPASS));
    put("k", FIELDS(LOCK_MODE, "GOVERNANCE", LOCK_UNTIL, LATER), id);
    expect_headers("k", id, "GOVERNANCE", LATER, NULL); /* its own wins */
    expect_error(DOCUMENT(PUT_OBJECT, "refused", "x", .no_md5 = true),
                 "InvalidRequest", 400, "Content-MD5 OR");
    /* Copies are new objects; markers are not protected. */
    s3_expect(&fixture, 200,
              S3_CASE(COPY_OBJECT, "copy",
                      .headers = FIELDS("x-amz-copy-source", "b/k")));
    assert_true(until_of("copy") < now + 8 * DAY_MS);
    s3_run(&fixture, &answer, DELETE("copy"));
    assert_int_equal(answer.status, 204);
    snprintf(id, sizeof(id), "%.39s", s3_header(&answer, "x-amz-version-id"));
    s3_answer_free(&answer);
    delete_version(204, "copy", id, NULL);
    expect(200, CONFIGURE(RULE("<Mode>GOVERNANCE</Mode><Years>1</Years>")));
    put("year", NULL, id);
    until = until_of("year");
    assert_true(until >= now + 365 * DAY_MS);
    assert_true(until <= clock_wall_ms() + 366 * DAY_MS);
}

static void test_copy_and_multipart(void **state)
{
    static const char list[] =
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        "<ETag>841a2d689ad86bd1611447453c22c6fc</ETag></Part>"
        "</CompleteMultipartUpload>";
    struct s3_answer answer;
    char id[64], version[40];
    const char *at;

    (void)state;
    put("k",
        FIELDS(LOCK_MODE, "COMPLIANCE", LOCK_UNTIL, LATER, LOCK_HOLD, "ON"),
        version);
    s3_run(&fixture, &answer,
           S3_CASE(COPY_OBJECT, "copy",
                   .headers = FIELDS("x-amz-copy-source", "b/k")));
    snprintf(version, sizeof(version), "%.39s",
             s3_header(&answer, "x-amz-version-id"));
    s3_answer_free(&answer);
    expect_headers("copy", version, NULL, NULL, NULL); /* not inherited */
    s3_run(&fixture, &answer,
           S3_CASE(COPY_OBJECT, "copy",
                   .headers = FIELDS("x-amz-copy-source", "b/k", LOCK_MODE,
                                     "GOVERNANCE", LOCK_UNTIL, LATER)));
    snprintf(version, sizeof(version), "%.39s",
             s3_header(&answer, "x-amz-version-id"));
    s3_answer_free(&answer);
    expect_headers("copy", version, "GOVERNANCE", LATER, NULL);

    s3_run(&fixture, &answer,
           S3_CASE(CREATE_MULTIPART_UPLOAD, "mp",
                   .headers = FIELDS(LOCK_MODE, "GOVERNANCE", LOCK_UNTIL, LATER,
                                     LOCK_HOLD, "ON")));
    assert_int_equal(answer.status, 200);
    at = strstr((char *)answer.body.data, "<UploadId>") + strlen("<UploadId>");
    snprintf(id, sizeof(id), "%.44s", at);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           S3_CASE(UPLOAD_PART, "mp", .body = "body", .size = 4,
                   .args = FIELDS("uploadId", id, "partNumber", "1")));
    assert_error(&answer, "InvalidRequest", 400);
    assert_contains(&answer, "Put Part requests with Object Lock parameters");
    s3_answer_free(&answer);
    s3_expect(
        &fixture, 200,
        S3_CASE(UPLOAD_PART, "mp", .body = "body", .size = 4,
                .args = FIELDS("uploadId", id, "partNumber", "1"),
                .headers = FIELDS("content-md5", "hBotaJrYa9FhFEdFPCLG/A==")));
    s3_run(&fixture, &answer,
           S3_CASE(COMPLETE_MULTIPART_UPLOAD, "mp", .body = list,
                   .size = strlen(list), .args = FIELDS("uploadId", id)));
    assert_int_equal(answer.status, 200);
    snprintf(version, sizeof(version), "%.39s",
             s3_header(&answer, "x-amz-version-id"));
    s3_answer_free(&answer);
    expect_headers("mp", version, "GOVERNANCE", LATER, "ON");
}

/* --- retention of what is there --------------------------------------------*/
#define RETAIN(k, mode, until, ...)                                            \
    DOCUMENT(PUT_OBJECT_RETENTION, k,                                          \
             "<Retention><Mode>" mode "</Mode><RetainUntilDate>" until         \
             "</RetainUntilDate></Retention>",                                 \
             __VA_ARGS__)
#define RETAIN_NOT(k, ...)                                                     \
    DOCUMENT(PUT_OBJECT_RETENTION, k, "<Retention/>", __VA_ARGS__)

static void test_governance(void **state)
{
    char id[40], newer[40];
    struct s3_answer answer;

    (void)state;
    put("k", NULL, id);
    put("k", NULL, newer);
    expect(200, RETAIN("k", "GOVERNANCE", LATER, .version = id));
    expect(200, RETAIN("k", "GOVERNANCE", LATER, .version = id));
    expect_headers("k", id, "GOVERNANCE", LATER, NULL);
    expect_headers("k", newer, NULL, NULL, NULL);
    s3_run(&fixture, &answer,
           S3_CASE(GET_OBJECT_RETENTION, "k", .args = FIELDS("versionId", id)));
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, "<Mode>GOVERNANCE</Mode><RetainUntilDate>" LATER
                             "</RetainUntilDate></Retention>");
    s3_answer_free(&answer);

    expect_error(RETAIN("k", "GOVERNANCE", SOONER, .version = id),
                 "AccessDenied", 403, "object lock");
    expect_error(RETAIN("k", "COMPLIANCE", LATEST, .version = id),
                 "AccessDenied", 403, "object lock");
    expect_error(RETAIN_NOT("k", .version = id), "AccessDenied", 403,
                 "object lock");
    expect(200, RETAIN("k", "GOVERNANCE", LATEST, .version = id));
    expect(200, RETAIN("k", "GOVERNANCE", SOONER, .version = id,
                       .headers = FIELDS(BYPASS)));
    expect_headers("k", id, "GOVERNANCE", "2098-01-02T03:04:05.000Z", NULL);

    delete_version(403, "k", id, NULL);
    delete_version(403, "k", id,
                   FIELDS("x-amz-bypass-governance-retention", "false"));
    s3_expect(&fixture, 200, GET("k", .args = FIELDS("versionId", id)));
    s3_expect(&fixture, 204, DELETE("k")); /* of the key: a marker */
    expect(200, RETAIN_NOT("k", .version = newer, .headers = FIELDS(BYPASS)));
    delete_version(204, "k", id, FIELDS(BYPASS));
    s3_expect(&fixture, 404, GET("k", .args = FIELDS("versionId", id)));
    delete_version(204, "k", newer, NULL);
}

static void test_compliance(void **state)
{
    struct s3_answer answer;
    char id[40], document[256];

    (void)state;
    put("k", FIELDS(LOCK_MODE, "COMPLIANCE", LOCK_UNTIL, LATER), id);
    expect_error(RETAIN("k", "COMPLIANCE", SOONER, .headers = FIELDS(BYPASS)),
                 "AccessDenied", 403, "object lock");
    expect_error(RETAIN("k", "GOVERNANCE", LATEST, .headers = FIELDS(BYPASS)),
                 "AccessDenied", 403, "object lock");
    expect_error(RETAIN_NOT("k", .headers = FIELDS(BYPASS)), "AccessDenied",
                 403, "object lock");
    expect(200, RETAIN("k", "COMPLIANCE", LATEST));
    delete_version(403, "k", id, FIELDS(BYPASS));
    snprintf(document, sizeof(document),
             "<Delete><Object><Key>k</Key><VersionId>%s</VersionId></Object>"
             "<Object><Key>k</Key></Object></Delete>",
             id);
    run(&answer,
        DOCUMENT(DELETE_OBJECTS, NULL, document, .headers = FIELDS(BYPASS)));
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, "<Code>AccessDenied</Code><Message>Access Denied "
                             "because object protected");
    assert_contains(&answer, "<Deleted><Key>k</Key><DeleteMarker>true");
    s3_answer_free(&answer);
    expect_headers("k", id, "COMPLIANCE", "2099-06-02T03:04:05.000Z", NULL);
}

/* A retention that has run out protects nothing. */
static void test_run_out(void **state)
{
    struct meta *meta = fixture.service.meta;
    struct arena *arena = arena_new();
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__Bucket *bucket;
    Meta__Object *object;
    char id[40];

    (void)state;
    put("k", FIELDS(LOCK_MODE, "COMPLIANCE", LOCK_UNTIL, LATER), id);
    assert_int_equal(meta_get_bucket(meta, arena, SLICE_LITERAL("b"), &bucket),
                     0);
    assert_int_equal(
        meta_get_object(meta, arena, bucket->id, SLICE_LITERAL("k"), &object),
        0);
    object->retention->until_ms = clock_wall_ms() - 1;
    meta_put_object(batch, bucket->id, SLICE_LITERAL("k"), object);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    arena_free(arena);
    expect(200, RETAIN_NOT("k"));
    expect_headers("k", id, NULL, NULL, NULL);
    delete_version(204, "k", id, NULL);
}

static void test_retention_errors(void **state)
{
    struct s3_answer answer;
    char id[40];

    (void)state;
    put("k", NULL, id);
    expect_error(RETAIN("k", "abc", LATER), "MalformedXML", 400, "<Message>");
    expect_error(RETAIN("k", "GOVERNANCE", "tomorrow"), "MalformedXML", 400,
                 "<Message>");
    expect_error(RETAIN("k", "GOVERNANCE", ""), "MalformedXML", 400,
                 "<Message>");
    expect_error(DOCUMENT(PUT_OBJECT_RETENTION, "k",
                          "<Retention><Mode>GOVERNANCE</Mode></Retention>"),
                 "MalformedXML", 400, "<Message>");
    expect_error(DOCUMENT(PUT_OBJECT_RETENTION, "k", "<Other/>"),
                 "MalformedXML", 400, "<Message>");
    expect_error(RETAIN("k", "GOVERNANCE", "2001-01-01T00:00:00Z"),
                 "InvalidArgument", 400, "must be in the future!");
    expect_error(RETAIN("k", "GOVERNANCE", LATER, .no_md5 = true),
                 "InvalidRequest", 400, "Content-MD5");
    expect_error(RETAIN("k", "GOVERNANCE", LATER, .bucket = "plain"),
                 "InvalidRequest", 400, "Bucket is missing Object Lock");
    expect_error(RETAIN("none", "GOVERNANCE", LATER), "NoSuchKey", 404,
                 "<Key>none</Key>");
    expect_error(RETAIN("k", "GOVERNANCE", LATER,
                        .version = "0123456789abcdef0123456789abcdef"),
                 "NoSuchVersion", 404, "<VersionId>0123");
    expect_error(RETAIN("k", "GOVERNANCE", LATER, .version = "bogus"),
                 "InvalidArgument", 400, "Invalid version id specified");
    s3_run(&fixture, &answer, S3_CASE(GET_OBJECT_RETENTION, "k"));
    assert_error(&answer, "NoSuchObjectLockConfiguration", 404);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__GET_OBJECT_RETENTION,
                            .bucket = "plain",
                            .key = "k"});
    assert_error(&answer, "InvalidRequest", 400);
    s3_answer_free(&answer);
    s3_run(&fixture, &answer, DELETE("k"));
    snprintf(id, sizeof(id), "%.39s", s3_header(&answer, "x-amz-version-id"));
    s3_answer_free(&answer);
    expect_error(RETAIN("k", "GOVERNANCE", LATER), "NoSuchKey", 404, "<Key>");
    expect_error(RETAIN("k", "GOVERNANCE", LATER, .version = id),
                 "MethodNotAllowed", 405, "DeleteMarker");
}

/* --- legal holds -----------------------------------------------------------*/
#define HOLD(k, status, ...)                                                   \
    DOCUMENT(PUT_OBJECT_LEGAL_HOLD, k,                                         \
             "<LegalHold><Status>" status "</Status></LegalHold>",             \
             __VA_ARGS__)

static void test_legal_hold(void **state)
{
    struct s3_answer answer;
    char id[40];

    (void)state;
    put("k", NULL, id);
    s3_run(&fixture, &answer, S3_CASE(GET_OBJECT_LEGAL_HOLD, "k"));
    assert_error(&answer, "NoSuchObjectLockConfiguration", 404);
    s3_answer_free(&answer);
    expect(200, HOLD("k", "ON"));
    expect(200, HOLD("k", "ON", .version = id));
    expect_headers("k", id, NULL, NULL, "ON");
    delete_version(403, "k", id, FIELDS(BYPASS));
    s3_expect(&fixture, 204, DELETE("k"));
    expect(200, HOLD("k", "OFF", .version = id));
    s3_run(
        &fixture, &answer,
        S3_CASE(GET_OBJECT_LEGAL_HOLD, "k", .args = FIELDS("versionId", id)));
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, "><Status>OFF</Status></LegalHold>");
    s3_answer_free(&answer);
    delete_version(204, "k", id, NULL);

    put("l", NULL, id);
    expect_error(HOLD("l", "on"), "MalformedXML", 400, "<Message>");
    expect_error(HOLD("l", ""), "MalformedXML", 400, "<Message>");
    expect_error(DOCUMENT(PUT_OBJECT_LEGAL_HOLD, "l", "<LegalHold/>"),
                 "MalformedXML", 400, "<Message>");
    expect_error(HOLD("l", "ON", .no_md5 = true), "InvalidRequest", 400,
                 "Content-MD5");
    expect_error(HOLD("l", "ON", .bucket = "plain"), "InvalidRequest", 400,
                 "Bucket is missing Object Lock");
    expect_error(HOLD("none", "ON"), "NoSuchKey", 404, "<Key>none");
    expect_headers("l", id, NULL, NULL, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates), cmocka_unit_test(test_rules),
        TEST(test_created_with_lock), TEST(test_enabled_later),
        TEST(test_configuration),     TEST(test_headers),
        TEST(test_default_retention), TEST(test_copy_and_multipart),
        TEST(test_governance),        TEST(test_compliance),
        TEST(test_run_out),           TEST(test_retention_errors),
        TEST(test_legal_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
