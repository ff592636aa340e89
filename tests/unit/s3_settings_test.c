/* Settings of buckets: ownership, who pays, and what cannot be set. */
#include "s3_fixture.h"

#define OTHER_KEY "AKIAOTHER00000000001"

static struct s3_fixture fixture;
static uint64_t other_generation;

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    s3_make_bucket(&fixture, "b");
    other_generation =
        s3_add_account(&fixture, "other", false, OTHER_KEY, FIXTURE_SECRET);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_fixture_close(&fixture);
    return 0;
}

/* As the user who is not root. */
static void run_other(struct s3_answer *answer, struct s3_case c)
{
    uint64_t root = fixture.generation;

    c.access_key = OTHER_KEY;
    fixture.generation = other_generation;
    s3_run(&fixture, answer, c);
    fixture.generation = root;
}

static struct s3_case put(Wire__Operation operation, const char *document)
{
    return (struct s3_case){.operation = operation,
                            .bucket = "b",
                            .body = document,
                            .size = strlen(document)};
}
#define SET(op, document) put(WIRE__OPERATION__##op, document)

static void refused(struct s3_case c, const char *code, unsigned status)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, c);
    assert_error(&answer, code, status);
    s3_answer_free(&answer);
}

#define XMLNS " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

static void document_is(struct s3_case c, const char *document)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, c);
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "Content-Type", "application/xml");
    assert_string_equal(strchr((char *)answer.body.data, '\n') + 1, document);
    s3_answer_free(&answer);
}

/* --- ownership -------------------------------------------------------------*/
#define OWNERSHIP(value)                                                       \
    "<OwnershipControls" XMLNS "><Rule><ObjectOwnership>" value                \
    "</ObjectOwnership></Rule></OwnershipControls>"
#define GET_OWNERSHIP    S3_CASE(GET_BUCKET_OWNERSHIP_CONTROLS, NULL)
#define DELETE_OWNERSHIP S3_CASE(DELETE_BUCKET_OWNERSHIP_CONTROLS, NULL)

static void test_ownership(void **state)
{
    static const char *const bad[] = {
        OWNERSHIP("Nobody"),
        OWNERSHIP(""),
        "<OwnershipControls/>",
        "<OwnershipControls><Rule/></OwnershipControls>",
        "<OwnershipControls><Rule><Other/></Rule></OwnershipControls>",
        "<OwnershipControls><Other/></OwnershipControls>",
        "<OwnershipControls>",
    };

    (void)state;
    refused(GET_OWNERSHIP, "OwnershipControlsNotFoundError", 404);
    for (unsigned i = 0; i < 2; i++) {
        s3_expect(&fixture, 200,
                  SET(PUT_BUCKET_OWNERSHIP_CONTROLS,
                      OWNERSHIP("BucketOwnerPreferred")));
        document_is(GET_OWNERSHIP, OWNERSHIP("BucketOwnerPreferred"));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        refused(SET(PUT_BUCKET_OWNERSHIP_CONTROLS, bad[i]), "MalformedXML",
                400);
    }
    refused(S3_CASE(PUT_BUCKET_OWNERSHIP_CONTROLS, NULL, .empty_body = true),
            "MissingRequestBodyError", 400);
    document_is(GET_OWNERSHIP, OWNERSHIP("BucketOwnerPreferred"));
    s3_expect(&fixture, 204, DELETE_OWNERSHIP);
    s3_expect(&fixture, 204, DELETE_OWNERSHIP);
    refused(GET_OWNERSHIP, "OwnershipControlsNotFoundError", 404);
}

static void test_ownership_of_new_buckets(void **state)
{
    struct s3_case create = {.operation = WIRE__OPERATION__CREATE_BUCKET,
                             .bucket = "fresh"};
    struct s3_case get = GET_OWNERSHIP;

    (void)state;
    s3_expect(&fixture, 200, create);
    get.bucket = "fresh";
    document_is(get, OWNERSHIP("BucketOwnerEnforced"));
    create.bucket = get.bucket = "second";
    create.headers = FIELDS("x-amz-object-ownership", "ObjectWriter");
    s3_expect(&fixture, 200, create);
    document_is(get, OWNERSHIP("ObjectWriter"));
    create.bucket = get.bucket = "third";
    create.headers = FIELDS("x-amz-object-ownership", "Nobody");
    refused(create, "InvalidArgument", 400);
    refused(get, "NoSuchBucket", 404);
}

/* Root writes into the other user's bucket: whose is the object? */
static void owner_is(const char *acl, const char *name)
{
    const char *headers[] = {"x-amz-acl", acl, NULL};
    struct s3_answer answer;
    char wanted[64];

    s3_expect(&fixture, 200,
              (struct s3_case){.operation = WIRE__OPERATION__PUT_OBJECT,
                               .bucket = "theirs",
                               .key = "k",
                               .body = "x",
                               .size = 1,
                               .headers = acl != NULL ? headers : NULL});
    run_other(&answer,
              (struct s3_case){.operation = WIRE__OPERATION__LIST_OBJECTS,
                               .bucket = "theirs"});
    snprintf(wanted, sizeof(wanted), "<DisplayName>%s</DisplayName>", name);
    assert_contains(&answer, wanted);
    s3_answer_free(&answer);
}

static void test_ownership_of_objects(void **state)
{
    struct s3_answer answer;
    struct s3_case set =
        SET(PUT_BUCKET_OWNERSHIP_CONTROLS, OWNERSHIP("ObjectWriter"));

    (void)state;
    run_other(&answer,
              (struct s3_case){.operation = WIRE__OPERATION__CREATE_BUCKET,
                               .bucket = "theirs"});
    assert_int_equal(answer.status, 200);
    s3_answer_free(&answer);
    owner_is(NULL, "other");
    set.bucket = "theirs";
    s3_expect(&fixture, 200, set);
    owner_is(NULL, "tester");
    owner_is("bucket-owner-full-control", "tester");
    set.body = OWNERSHIP("BucketOwnerPreferred");
    set.size = strlen(set.body);
    s3_expect(&fixture, 200, set);
    owner_is(NULL, "tester");
    owner_is("bucket-owner-full-control", "other");
}

/* --- who pays --------------------------------------------------------------*/
#define PAYMENT(payer)                                                         \
    "<RequestPaymentConfiguration" XMLNS "><Payer>" payer                      \
    "</Payer></RequestPaymentConfiguration>"
#define GET_PAYMENT S3_CASE(GET_BUCKET_REQUEST_PAYMENT, NULL)

static void test_request_payment(void **state)
{
    (void)state;
    document_is(GET_PAYMENT, PAYMENT("BucketOwner"));
    for (unsigned i = 0; i < 2; i++) {
        s3_expect(&fixture, 200,
                  SET(PUT_BUCKET_REQUEST_PAYMENT, PAYMENT("Requester")));
        document_is(GET_PAYMENT, PAYMENT("Requester"));
    }
    refused(SET(PUT_BUCKET_REQUEST_PAYMENT, PAYMENT("Nobody")), "MalformedXML",
            400);
    refused(SET(PUT_BUCKET_REQUEST_PAYMENT, "<RequestPaymentConfiguration/>"),
            "MalformedXML", 400);
    s3_expect(&fixture, 200, PUT("k", "its owner pays"));
    document_is(GET_PAYMENT, PAYMENT("Requester"));
    s3_expect(&fixture, 200,
              SET(PUT_BUCKET_REQUEST_PAYMENT, PAYMENT("BucketOwner")));
    document_is(GET_PAYMENT, PAYMENT("BucketOwner"));
}

static void test_requester_pays(void **state)
{
    struct s3_answer answer;
    struct s3_case create = {.operation = WIRE__OPERATION__CREATE_BUCKET,
                             .bucket = "theirs"};
    struct s3_case set = SET(PUT_BUCKET_REQUEST_PAYMENT, PAYMENT("Requester"));
    struct s3_case object = PUT("k", "bytes");
    struct s3_case list = S3_CASE(LIST_OBJECTS_V2, NULL);
    struct s3_case get = GET_PAYMENT;

    (void)state;
    set.bucket = object.bucket = list.bucket = get.bucket = "theirs";
    run_other(&answer, create);
    assert_int_equal(answer.status, 200);
    s3_answer_free(&answer);
    s3_expect(&fixture, 200, object);
    run_other(&answer, set);
    assert_int_equal(answer.status, 200);
    s3_answer_free(&answer);
    refused(object, "AccessDenied", 403);
    refused(list, "AccessDenied", 403);
    object.headers = FIELDS("x-amz-request-payer", "other");
    refused(object, "AccessDenied", 403);
    object.headers = FIELDS("x-amz-request-payer", "requester");
    s3_run(&fixture, &answer, object);
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "x-amz-request-charged", "requester");
    s3_answer_free(&answer);
    object.headers = NULL;
    run_other(&answer, object);
    assert_int_equal(answer.status, 200);
    assert_no_header(&answer, "x-amz-request-charged");
    s3_answer_free(&answer);
    document_is(get, PAYMENT("Requester"));
}

/* --- what cannot be set ----------------------------------------------------*/
static void test_unset(void **state)
{
    static const struct {
        Wire__Operation get, delete;
        const char *code;
    } unset[] = {
        {WIRE__OPERATION__GET_BUCKET_ENCRYPTION,
         WIRE__OPERATION__DELETE_BUCKET_ENCRYPTION,
         "ServerSideEncryptionConfigurationNotFoundError"},
        {WIRE__OPERATION__GET_BUCKET_WEBSITE,
         WIRE__OPERATION__DELETE_BUCKET_WEBSITE, "NoSuchWebsiteConfiguration"},
        {WIRE__OPERATION__GET_BUCKET_LIFECYCLE,
         WIRE__OPERATION__DELETE_BUCKET_LIFECYCLE,
         "NoSuchLifecycleConfiguration"},
        {WIRE__OPERATION__GET_BUCKET_REPLICATION,
         WIRE__OPERATION__DELETE_BUCKET_REPLICATION,
         "ReplicationConfigurationNotFoundError"},
        {WIRE__OPERATION__GET_BUCKET_POLICY,
         WIRE__OPERATION__DELETE_BUCKET_POLICY, "NoSuchBucketPolicy"},
        {WIRE__OPERATION__GET_BUCKET_POLICY_STATUS, WIRE__OPERATION__NONE,
         "NoSuchBucketPolicy"},
        {WIRE__OPERATION__GET_PUBLIC_ACCESS_BLOCK,
         WIRE__OPERATION__DELETE_PUBLIC_ACCESS_BLOCK,
         "NoSuchPublicAccessBlockConfiguration"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(unset) / sizeof(unset[0]); i++) {
        struct s3_case c = {.operation = unset[i].get, .bucket = "b"};
        struct s3_answer answer;

        s3_run(&fixture, &answer, c);
        assert_error(&answer, unset[i].code, 404);
        assert_contains(&answer, "<BucketName>b</BucketName>");
        s3_answer_free(&answer);
        c.bucket = "nosuch";
        refused(c, "NoSuchBucket", 404);
        if (unset[i].delete != WIRE__OPERATION__NONE) {
            c.operation = unset[i].delete;
            refused(c, "NoSuchBucket", 404);
            c.bucket = "b";
            s3_expect(&fixture, 204, c);
        }
    }
}

static void test_logging(void **state)
{
    (void)state;
    document_is(S3_CASE(GET_BUCKET_LOGGING, NULL),
                "<BucketLoggingStatus" XMLNS "></BucketLoggingStatus>");
    s3_expect(&fixture, 200,
              SET(PUT_BUCKET_LOGGING, "<BucketLoggingStatus" XMLNS "/>"));
    s3_expect(&fixture, 200,
              SET(PUT_BUCKET_LOGGING,
                  "<BucketLoggingStatus>\n</BucketLoggingStatus>"));
    refused(SET(PUT_BUCKET_LOGGING,
                "<BucketLoggingStatus><Other/></BucketLoggingStatus>"),
            "MalformedXML", 400);
    refused(SET(PUT_BUCKET_LOGGING,
                "<BucketLoggingStatus>text</BucketLoggingStatus>"),
            "MalformedXML", 400);
    refused(SET(PUT_BUCKET_LOGGING, "<Other/>"), "MalformedXML", 400);
}

static void test_accelerate(void **state)
{
    (void)state;
    document_is(S3_CASE(GET_BUCKET_ACCELERATE_CONFIGURATION, NULL),
                "<AccelerateConfiguration" XMLNS "></AccelerateConfiguration>");
}

/* Settings are of the bucket, and go with it. */
static void test_settings_end_with_the_bucket(void **state)
{
    struct s3_case set = SET(PUT_BUCKET_REQUEST_PAYMENT, PAYMENT("Requester"));
    struct s3_case get = GET_PAYMENT, delete = S3_CASE(DELETE_BUCKET, NULL);
    struct s3_case create = {.operation = WIRE__OPERATION__CREATE_BUCKET,
                             .bucket = "short-lived"};

    (void)state;
    set.bucket = get.bucket = delete.bucket = create.bucket;
    s3_expect(&fixture, 200, create);
    s3_expect(&fixture, 200, set);
    document_is(get, PAYMENT("Requester"));
    s3_expect(&fixture, 204, delete);
    s3_expect(&fixture, 200, create);
    document_is(get, PAYMENT("BucketOwner"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ownership, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ownership_of_new_buckets, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_ownership_of_objects, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_request_payment, setup, teardown),
        cmocka_unit_test_setup_teardown(test_requester_pays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_logging, setup, teardown),
        cmocka_unit_test_setup_teardown(test_accelerate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_settings_end_with_the_bucket,
                                        setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
