/* What condition keys are, and are not, of a request. */
#include "s3/authorize_context.h"
#include "s3_fixture.h"

static struct s3_fixture fixture;
static Wire__Request request;
static struct s3_call call;
static struct s3_question question;

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    wire__request__init(&request);
    memset(&question, 0, sizeof(question));
    call = (struct s3_call){.service = &fixture.service,
                            .request = &request,
                            .arena = arena_new(),
                            .began_ms = 1767323045678ull};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(call.arena);
    s3_fixture_close(&fixture);
    return 0;
}

static void take(const char *const *args, const char *const *headers)
{
    request.n_args = fixture_fields(call.arena, args, &request.args);
    request.n_headers = fixture_fields(call.arena, headers, &request.headers);
}

static void sign_in(void)
{
    snprintf(call.identity.user, sizeof(call.identity.user), "%064d", 1);
    snprintf(call.identity.arn, sizeof(call.identity.arn), "arn:user");
    snprintf(call.identity.account, sizeof(call.identity.account),
             "123456789012");
    snprintf(call.identity.user_name, sizeof(call.identity.user_name), "ann");
    snprintf(call.identity.user_id, sizeof(call.identity.user_id), "AIDAX");
}

/* "" for a key that is absent, values with a '|' between them. */
static void is(const char *key, const char *expected)
{
    struct access_context context = {.call = &call, .question = &question};
    struct slice values[POLICY_VALUES_MAX];
    char text[512] = "";
    size_t count = access_values(&context, slice_from_string(key), values);

    for (size_t i = 0, size = 0; i < count; i++) {
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%.*s",
                                 i > 0 ? "|" : "", (int)values[i].size,
                                 (const char *)values[i].data);
    }
    if (strcmp(text, expected) != 0) {
        fail_msg("%s is '%s' instead of '%s'", key, text, expected);
    }
}

static void test_connection_and_time(void **state)
{
    (void)state;
    is("aws:SourceIp", "");
    request.source_ip = fixture_string("192.0.2.1");
    is("aws:SourceIp", "192.0.2.1");
    is("AWS:sourceip", "192.0.2.1");
    is("aws:SourceIpx", "");
    is("aws:SecureTransport", "false");
    is("s3:TlsVersion", "");
    request.secure = true;
    request.tls_version = fixture_string("TLSv1");
    is("aws:SecureTransport", "true");
    is("s3:TlsVersion", "1.0");
    request.tls_version = fixture_string("TLSv1.3");
    is("s3:TlsVersion", "1.3");
    is("aws:CurrentTime", "2026-01-02T03:04:05.678Z");
    is("aws:EpochTime", "1767323045");
    is("aws:RequestedRegion", FIXTURE_REGION);
}

static void test_the_caller(void **state)
{
    static const char *const absent[] = {
        "aws:username",         "aws:userid",     "aws:PrincipalArn",
        "aws:PrincipalAccount", "s3:authType",    "s3:signatureversion",
        "aws:TokenIssueTime",   "s3:signatureAge"};

    (void)state;
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        is(absent[i], "");
    }
    is("aws:PrincipalType", "Anonymous");
    sign_in();
    is("aws:username", "ann");
    is("aws:userid", "AIDAX");
    is("aws:PrincipalArn", "arn:user");
    is("aws:PrincipalAccount", "123456789012");
    is("aws:PrincipalType", "User");
    is("s3:authType", "REST-HEADER");
    request.presigned = true;
    is("s3:authType", "REST-QUERY-STRING");
    request.operation = WIRE__OPERATION__POST_OBJECT;
    is("s3:authType", "POST");
    is("s3:signatureversion", "AWS4-HMAC-SHA256");
    request.signed_ms = call.began_ms - 1500;
    is("s3:signatureAge", "1500");
    request.signed_ms = call.began_ms + 5000; /* its clock is ahead */
    is("s3:signatureAge", "0");
    call.identity.temporary = true;
    call.identity.issued_ms = 1767323045000ull;
    is("aws:TokenIssueTime", "2026-01-02T03:04:05.000Z");
    snprintf(call.identity.role_arn, sizeof(call.identity.role_arn),
             "arn:role");
    is("aws:PrincipalArn", "arn:role");
    is("aws:PrincipalType", "AssumedRole");
}

static void test_arguments_are_of_lists(void **state)
{
    (void)state;
    take(FIELDS("prefix", "a/", "delimiter", "", "max-keys", "5"), NULL);
    request.operation = WIRE__OPERATION__GET_OBJECT;
    is("s3:prefix", "");
    is("s3:max-keys", "");
    request.operation = WIRE__OPERATION__LIST_OBJECTS_V2;
    is("s3:prefix", "a/");
    is("s3:max-keys", "5");
    take(FIELDS("prefix", "a/", "prefix", "b/"), NULL);
    is("s3:prefix", "a/"); /* the one that is listed */
}

static void test_headers(void **state)
{
    (void)state;
    is("s3:x-amz-acl", "");
    take(NULL, FIELDS("x-amz-acl", "private", "referer", "http://a/",
                      "user-agent", "curl", "if-match", "\"e\"",
                      "if-none-match", "*", "x-amz-copy-source", "/b/k"));
    is("s3:x-amz-acl", "private");
    is("S3:X-AMZ-ACL", "private");
    is("s3:x-amz-grant-read", "");
    is("s3:x-amz-", "");
    is("s3:referer", "");
    is("aws:Referer", "http://a/");
    is("aws:UserAgent", "curl");
    is("s3:if-match", "\"e\"");
    is("s3:if-none-match", "*");
    request.operation = WIRE__OPERATION__PUT_OBJECT;
    is("s3:ObjectCreationOperation", "true");
    request.operation = WIRE__OPERATION__UPLOAD_PART;
    is("s3:ObjectCreationOperation", "false");
}

/* What is read has one name, whatever the header looks like. */
static void test_copy_sources(void **state)
{
    static const char *const spellings[] = {"b/k", "/b/k", "%62/%6b",
                                            "%2Fb%2Fk?versionId=null"};

    (void)state;
    request.operation = WIRE__OPERATION__COPY_OBJECT;
    is("s3:x-amz-copy-source", "");
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        take(NULL, FIELDS("x-amz-copy-source", spellings[i]));
        is("s3:x-amz-copy-source", "b/k");
    }
    request.operation = WIRE__OPERATION__UPLOAD_PART_COPY;
    is("s3:x-amz-copy-source", "b/k");
    request.operation = WIRE__OPERATION__PUT_OBJECT;
    is("s3:x-amz-copy-source", ""); /* it copies nothing */
    request.operation = WIRE__OPERATION__COPY_OBJECT;
    take(NULL, FIELDS("x-amz-copy-source", "b/%6"));
    is("s3:x-amz-copy-source", ""); /* nothing can be read so */
}

static void test_object_lock(void **state)
{
    Meta__Retention retention = META__RETENTION__INIT;
    Meta__Object asked = META__OBJECT__INIT;

    (void)state;
    is("s3:object-lock-mode", "");
    is("s3:object-lock-remaining-retention-days", "");
    take(NULL,
         FIELDS("x-amz-object-lock-mode", "COMPLIANCE",
                "x-amz-object-lock-legal-hold", "ON",
                "x-amz-object-lock-retain-until-date", "2026-01-12T03:04:06Z"));
    is("s3:object-lock-mode", "COMPLIANCE");
    is("s3:object-lock-legal-hold", "ON");
    is("s3:object-lock-retain-until-date", "2026-01-12T03:04:06.000Z");
    is("s3:object-lock-remaining-retention-days", "11"); /* one has begun */
    retention.mode = META__LOCK_MODE__GOVERNANCE;
    retention.until_ms = call.began_ms + 86400000;
    asked.retention = &retention;
    asked.legal_hold = META__LEGAL_HOLD__HOLD_OFF;
    call.asked.object = &asked; /* the body says it, not a header */
    is("s3:object-lock-mode", "GOVERNANCE");
    is("s3:object-lock-legal-hold", "OFF");
    is("s3:object-lock-remaining-retention-days", "1");
    retention.mode = META__LOCK_MODE__NO_LOCK;
    is("s3:object-lock-mode", "");
    is("s3:object-lock-retain-until-date", "");
}

static void test_tags(void **state)
{
    Meta__Field tag = META__FIELD__INIT, *tags[] = {&tag};
    Meta__Object object = META__OBJECT__INIT;

    (void)state;
    question.key = SLICE_LITERAL("k");
    is("s3:RequestObjectTagKeys", "");
    take(NULL, FIELDS("x-amz-tagging", "a=1&b=x%20y+z&empty"));
    is("s3:RequestObjectTagKeys", "a|b|empty");
    is("s3:RequestObjectTag/b", "x y z");
    is("s3:RequestObjectTag/B", "");
    is("s3:ExistingObjectTag/a", "");
    take(NULL, FIELDS("x-amz-tagging", "a=1&b=%zz"));
    is("s3:RequestObjectTagKeys", "");
    request.operation = WIRE__OPERATION__COPY_OBJECT;
    take(NULL, FIELDS("x-amz-tagging", "a=1"));
    is("s3:RequestObjectTag/a", ""); /* the source's are copied */
    take(NULL,
         FIELDS("x-amz-tagging", "a=1", "x-amz-tagging-directive", "REPLACE"));
    is("s3:RequestObjectTag/a", "1");
    tag.name = fixture_string("a");
    tag.value = fixture_string("2");
    object.tags = tags;
    object.n_tags = 1;
    question.object = &object;
    is("s3:ExistingObjectTag/a", "2");
    is("s3:ExistingObjectTag/b", "");
    is("s3:ExistingObjectTag/", "");
    call.asked.object = &object;
    is("s3:RequestObjectTag/a", "2");
    is("aws:RequestTag/a", "");
    is("aws:TagKeys", "");
    /* Of a bucket that is made. */
    question.key = slice_of(NULL, 0);
    is("aws:RequestTag/a", "2");
    is("aws:TagKeys", "a");
    is("s3:RequestObjectTag/a", "");
    is("s3:RequestObjectTagKeys", "");
    call.asked.object = NULL;
    is("aws:TagKeys", ""); /* no bucket has them in a header */
}

static void test_tags_of_the_bucket(void **state)
{
    Meta__Bucket bucket = META__BUCKET__INIT;
    Meta__Field document = META__FIELD__INIT, *documents[] = {&document};

    (void)state;
    is("s3:BucketTag/team", ""); /* it is being made */
    question.bucket = &bucket;
    is("s3:BucketTag/team", "");
    document.name = fixture_string("tagging");
    document.value = fixture_string(
        "<Tagging><TagSet><Tag><Key>team</Key><Value>a &amp; b</Value></Tag>"
        "<Tag><Key>x</Key><Value></Value></Tag></TagSet></Tagging>");
    bucket.documents = documents;
    bucket.n_documents = 1;
    is("s3:BucketTag/team", "a & b");
    is("S3:buckettag/team", "a & b");
    is("s3:BucketTag/Team", "");
    is("s3:BucketTag/", "");
    question.key = SLICE_LITERAL("k"); /* objects are in it */
    is("s3:BucketTag/team", "a & b");
    is("aws:ResourceTag/team", "");
    document.value = fixture_string("<Tagging><TagSet>");
    is("s3:BucketTag/team", "");
}

static void test_what_is_asked_about(void **state)
{
    (void)state;
    is("s3:VersionId", "");
    question.version_id = SLICE_LITERAL("null");
    is("s3:VersionId", "null");
    is("s3:LocationConstraint", "");
    call.asked.location = SLICE_LITERAL("eu-west-1");
    is("s3:LocationConstraint", "eu-west-1");
    sign_in();
    is("s3:ResourceAccount", "123456789012"); /* of a bucket to be */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_connection_and_time),
        TEST(test_the_caller),
        TEST(test_arguments_are_of_lists),
        TEST(test_headers),
        TEST(test_copy_sources),
        TEST(test_object_lock),
        TEST(test_tags),
        TEST(test_tags_of_the_bucket),
        TEST(test_what_is_asked_about),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
