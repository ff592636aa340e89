/*
 * Ways around what is denied: keys of a root user that are narrowed, answers
 * that tell what is there, lists under a public policy.
 */
#include "s3/authorize.h"
#include "s3_fixture.h"

#define OTHER_KEY "AKIAOTHER00000000001"
#define THIRD_KEY "AKIATHIRD00000000001"
#define ROBOT_KEY "AKIAROBOT00000000001"

static struct s3_fixture fixture;
static char other_id[65], third_id[65];

static void identify(const char *access_key, uint64_t generation, char id[65])
{
    struct iam_identity identity;

    assert_int_equal(iam_authenticate(fixture.service.iam,
                                      slice_from_string(access_key), generation,
                                      slice_of(NULL, 0), &identity),
                     0);
    memcpy(id, identity.user, 65);
    iam_identity_release(&identity);
}

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    fixture.service.extensions = true;
    s3_make_bucket(&fixture, "b");
    identify(
        OTHER_KEY,
        s3_add_account(&fixture, "other", false, OTHER_KEY, FIXTURE_SECRET),
        other_id);
    identify(
        THIRD_KEY,
        s3_add_account(&fixture, "third", false, THIRD_KEY, FIXTURE_SECRET),
        third_id);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_fixture_close(&fixture);
    return 0;
}

/* --- requests --------------------------------------------------------------*/
static void run_as(const char *access_key, struct s3_answer *answer,
                   struct s3_case c)
{
    const uint64_t root = fixture.generation;

    c.access_key = access_key;
    fixture.generation = s3_key_generation(&fixture, access_key);
    s3_run(&fixture, answer, c);
    fixture.generation = root;
}

static void is(const char *access_key, struct s3_case c, unsigned status,
               const char *error)
{
    struct s3_answer answer;

    run_as(access_key, &answer, c);
    assert_error(&answer, error, status);
    s3_answer_free(&answer);
}

/* Statements with "Principal":{"CanonicalUser":OTHER} where they say %s. */
static void put_policy(const char *statements)
{
    char text[2048], policy[2200];

    snprintf(text, sizeof(text), statements, other_id, other_id);
    snprintf(policy, sizeof(policy),
             "{\"Version\":\"2012-10-17\",\"Statement\":[%s]}", text);
    s3_expect(&fixture, 204,
              S3_CASE(PUT_BUCKET_POLICY, NULL, .body = policy,
                      .size = strlen(policy)));
}

#define ALLOW(actions)                                                         \
    "{\"Effect\":\"Allow\",\"Principal\":{\"CanonicalUser\":\"%s\"},"          \
    "\"Action\":[" actions "],\"Resource\":[\"arn:aws:s3:::b\","               \
    "\"arn:aws:s3:::b/*\"]}"

/* --- narrowed keys ---------------------------------------------------------*/
static void add_robot(const char *policy)
{
    struct iam *iam = fixture.service.iam;
    struct iam_account account;
    struct iam_new_key key = {.access_key = ROBOT_KEY,
                              .secret_key = FIXTURE_SECRET,
                              .service_account = true,
                              .policy = slice_from_string(policy)};
    struct iam_credentials made;
    char message[POLICY_MESSAGE_MAX];

    assert_int_equal(iam_account_get(iam, "tester", &account), 0);
    key.account = account.number;
    assert_int_equal(iam_key_add(iam, &key, &made, message), 0);
    iam_credentials_wipe(&made);
}

/* The root user mends policies whatever they say; its service account may no
 * more than its own policy says. */
static void test_a_roots_service_account_mends_no_policy(void **state)
{
    static const char policy[] =
        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\","
        "\"Principal\":\"*\",\"Action\":\"s3:*\",\"Resource\":"
        "\"arn:aws:s3:::b/*\"}]}";

    (void)state;
    add_robot("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":"
              "\"Allow\",\"Action\":\"s3:GetObject\",\"Resource\":\"*\"}]}");
    s3_expect(&fixture, 200, PUT("k", "text"));
    is(ROBOT_KEY, GET("k"), 200, "");
    is(ROBOT_KEY, PUT("k", "x"), 403, "AccessDenied");
    is(ROBOT_KEY,
       S3_CASE(PUT_BUCKET_POLICY, NULL, .body = policy,
               .size = sizeof(policy) - 1),
       403, "AccessDenied");
    is(ROBOT_KEY, S3_CASE(GET_BUCKET_POLICY, NULL), 403, "AccessDenied");
    is(ROBOT_KEY, S3_CASE(DELETE_BUCKET_POLICY, NULL), 403, "AccessDenied");
    s3_expect(&fixture, 404, S3_CASE(GET_BUCKET_POLICY, NULL));
    put_policy("{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"s3:*\","
               "\"Resource\":\"arn:aws:s3:::b\"}");
    is(FIXTURE_KEY, S3_CASE(GET_BUCKET_VERSIONING, NULL), 403, "AccessDenied");
    s3_expect(&fixture, 200, S3_CASE(GET_BUCKET_POLICY, NULL));
    s3_expect(&fixture, 204, S3_CASE(DELETE_BUCKET_POLICY, NULL));
}

/* --- answers that tell -----------------------------------------------------*/
static const char *md5_of(const char *body)
{
    static char text[25];
    struct digester *digester = digester_new(DIGEST_MD5);
    uint8_t md5[DIGEST_SIZE_MAX];

    digester_update(digester, body, strlen(body));
    digester_final(digester, DIGEST_MD5, md5);
    digester_free(digester);
    base64_encode(text, md5, 16);
    return text;
}

static void delete_is(const char *document, const char *wanted)
{
    const char *const headers[] = {"content-md5", md5_of(document), NULL};
    struct s3_answer answer;

    run_as(OTHER_KEY, &answer,
           S3_CASE(DELETE_OBJECTS, NULL, .body = document,
                   .size = strlen(document), .headers = headers));
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, wanted);
    s3_answer_free(&answer);
}

#define DELETION(more) "<Delete><Object><Key>k</Key>" more "</Object></Delete>"

/* Who may delete and not read cannot ask for size, time and tag first. */
static void test_conditions_of_deletes_need_reading(void **state)
{
    (void)state;
    s3_expect(&fixture, 200, PUT("k", "text"));
    put_policy(ALLOW("\"s3:DeleteObject\""));
    delete_is(DELETION("<Size>5</Size>"), "<Code>AccessDenied</Code>");
    delete_is(DELETION("<LastModifiedTime>2020-01-01T00:00:00Z"
                       "</LastModifiedTime>"),
              "<Code>AccessDenied</Code>");
    delete_is(DELETION("<ETag>x</ETag>"), "<Code>AccessDenied</Code>");
    is(OTHER_KEY, DELETE("k", .headers = FIELDS("x-amz-if-match-size", "5")),
       403, "AccessDenied");
    put_policy(ALLOW("\"s3:DeleteObject\",\"s3:GetObject\""));
    delete_is(DELETION("<Size>5</Size>"), "<Code>PreconditionFailed</Code>");
    delete_is(DELETION("<Size>4</Size>"), "<Deleted><Key>k</Key></Deleted>");
}

/* If-Match on nothing is 404 for who may list, as a read is. */
static void test_conditions_tell_no_absence(void **state)
{
    const struct s3_case put =
        PUT("none", "x", .headers = FIELDS("if-match", "\"e\""));
    const struct s3_case drop =
        DELETE("none", .headers = FIELDS("if-match", "\"e\""));

    (void)state;
    put_policy(ALLOW("\"s3:PutObject\",\"s3:DeleteObject\",\"s3:GetObject\""));
    is(OTHER_KEY, GET("none"), 403, "AccessDenied");
    is(OTHER_KEY, put, 403, "AccessDenied");
    is(OTHER_KEY, drop, 403, "AccessDenied");
    delete_is("<Delete><Object><Key>none</Key><ETag>e</ETag></Object>"
              "</Delete>",
              "<Code>AccessDenied</Code><Message>Access Denied</Message>");
    put_policy(ALLOW("\"s3:*\""));
    is(OTHER_KEY, put, 404, "NoSuchKey");
    is(OTHER_KEY, drop, 404, "NoSuchKey");
    delete_is("<Delete><Object><Key>none</Key><ETag>e</ETag></Object>"
              "</Delete>",
              "<Code>NoSuchKey</Code>");
}

/* A rename onto a key takes any tag in If-None-Match, and so asks. */
static void test_renames_ask_for_no_tags(void **state)
{
    struct s3_case c = S3_CASE(RENAME_OBJECT, "taken",
                               .headers = FIELDS("x-amz-rename-source", "mine",
                                                 "if-none-match", "\"e\""));

    (void)state;
    s3_expect(&fixture, 200, PUT("mine", "x"));
    s3_expect(&fixture, 200, PUT("taken", "secret"));
    put_policy("{\"Effect\":\"Allow\",\"Principal\":{\"CanonicalUser\":\"%s\"},"
               "\"Action\":[\"s3:PutObject\",\"s3:DeleteObject\"],"
               "\"Resource\":\"arn:aws:s3:::b/*\"},"
               "{\"Effect\":\"Allow\",\"Principal\":{\"CanonicalUser\":\"%s\"},"
               "\"Action\":\"s3:GetObject\","
               "\"Resource\":\"arn:aws:s3:::b/mine\"}");
    is(OTHER_KEY, c, 403, "AccessDenied");
    c.headers = FIELDS("x-amz-rename-source", "mine", "if-none-match", "*");
    is(OTHER_KEY, c, 412, "PreconditionFailed");
}

/* --- public access ---------------------------------------------------------*/
static void put_document(Wire__Operation operation, const char *text)
{
    s3_expect(&fixture, 200,
              (struct s3_case){.operation = operation,
                               .bucket = "b",
                               .body = text,
                               .size = strlen(text)});
}

/* Under a public policy only the account of the bucket is let in, also to
 * what another account wrote there and shares. */
static void test_restricted_buckets_keep_lists_out(void **state)
{
    char grant[80];

    (void)state;
    put_document(WIRE__OPERATION__PUT_BUCKET_OWNERSHIP_CONTROLS,
                 "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter"
                 "</ObjectOwnership></Rule></OwnershipControls>");
    put_policy("{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":"
               "\"s3:PutObject\",\"Resource\":\"arn:aws:s3:::b/*\"}");
    snprintf(grant, sizeof(grant), "id=%s", third_id);
    is(OTHER_KEY,
       PUT("shared", "x",
           .headers = FIELDS("x-amz-grant-read", grant,
                             "x-amz-grant-full-control", "")),
       400, "InvalidArgument");
    is(OTHER_KEY,
       PUT("shared", "x", .headers = FIELDS("x-amz-grant-read", grant)), 200,
       "");
    is(THIRD_KEY, GET("shared"), 200, "");
    put_document(WIRE__OPERATION__PUT_PUBLIC_ACCESS_BLOCK,
                 "<PublicAccessBlockConfiguration><RestrictPublicBuckets>true"
                 "</RestrictPublicBuckets></PublicAccessBlockConfiguration>");
    is(THIRD_KEY, GET("shared"), 403, "AccessDenied");
    is(OTHER_KEY, PUT("more", "x"), 403, "AccessDenied");
    is(OTHER_KEY, GET("shared"), 200, ""); /* it is its owner's */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_roots_service_account_mends_no_policy),
        TEST(test_conditions_of_deletes_need_reading),
        TEST(test_conditions_tell_no_absence),
        TEST(test_renames_ask_for_no_tags),
        TEST(test_restricted_buckets_keep_lists_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
