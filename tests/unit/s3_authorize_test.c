/*
 * Each operation as another account: denied, allowed by exactly the actions
 * it needs, denied again by each of them.
 */
#include "s3/authorize.h"
#include "s3_fixture.h"

#define OTHER_KEY "AKIAOTHER00000000001"
#define USER_KEY  "AKIAUSER000000000001"

static struct s3_fixture fixture;
static uint64_t other_generation;
static char other_id[65];
static const char *other_key;

static int setup(void **state)
{
    struct iam_identity identity;

    (void)state;
    s3_fixture_open(&fixture);
    fixture.service.extensions = true;
    s3_make_bucket(&fixture, "b");
    other_generation =
        s3_add_account(&fixture, "other", false, OTHER_KEY, FIXTURE_SECRET);
    assert_int_equal(
        iam_authenticate(fixture.service.iam, slice_from_string(OTHER_KEY),
                         other_generation, slice_of(NULL, 0), &identity),
        0);
    other_key = OTHER_KEY;
    memcpy(other_id, identity.user, sizeof(other_id));
    iam_identity_release(&identity);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_fixture_close(&fixture);
    return 0;
}

/* --- requests --------------------------------------------------------------*/
#define TAGGING "<Tagging><TagSet></TagSet></Tagging>"
#define RETENTION                                                              \
    "<Retention><Mode>GOVERNANCE</Mode>"                                       \
    "<RetainUntilDate>2200-01-01T00:00:00Z</RetainUntilDate></Retention>"
#define UPLOAD   "00000000000000000000000000000000000000000000"
#define HOLD     "<LegalHold><Status>ON</Status></LegalHold>"
#define DELETION "<Delete><Object><Key>k</Key></Object></Delete>"

/* What has to be right before an operation asks, and what it asks besides. */
static const struct {
    Wire__Operation operation;
    const char *body;
    const char *headers[3];
    const char *actions[3]; /* beside those of the table */
    const char *args[3];
} details[] = {
    {WIRE__OPERATION__ABORT_MULTIPART_UPLOAD,
     NULL,
     {NULL},
     {NULL},
     {"uploadId", UPLOAD}},
    {WIRE__OPERATION__LIST_PARTS, NULL, {NULL}, {NULL}, {"uploadId", UPLOAD}},
    {WIRE__OPERATION__PUT_OBJECT_TAGGING, TAGGING, {NULL}, {NULL}, {NULL}},
    {WIRE__OPERATION__PUT_OBJECT_RETENTION, RETENTION, {NULL}, {NULL}, {NULL}},
    {WIRE__OPERATION__PUT_OBJECT_LEGAL_HOLD, HOLD, {NULL}, {NULL}, {NULL}},
    {WIRE__OPERATION__PUT_OBJECT_ACL,
     NULL,
     {"x-amz-acl", "private"},
     {NULL},
     {NULL}},
    {WIRE__OPERATION__PUT_BUCKET_ACL,
     NULL,
     {"x-amz-acl", "private"},
     {NULL},
     {NULL}},
    {WIRE__OPERATION__GET_OBJECT_ATTRIBUTES,
     NULL,
     {"x-amz-object-attributes", "ETag"},
     {NULL},
     {NULL}},
    {WIRE__OPERATION__COPY_OBJECT,
     NULL,
     {"x-amz-copy-source", "/b/source"},
     {"s3:GetObject"},
     {NULL}},
    {WIRE__OPERATION__RENAME_OBJECT,
     NULL,
     {"x-amz-rename-source", "source"},
     {"s3:GetObject", "s3:DeleteObject"},
     {NULL}},
};

/* Tested elsewhere: no bucket policy decides on them, or not on the whole
 * request. */
static bool is_special(Wire__Operation operation)
{
    switch (operation) {
    case WIRE__OPERATION__LIST_BUCKETS:
    case WIRE__OPERATION__CREATE_BUCKET:
    case WIRE__OPERATION__DELETE_OBJECTS:
    case WIRE__OPERATION__POST_OBJECT:
    case WIRE__OPERATION__PREFLIGHT:
    case WIRE__OPERATION__IAM_QUERY:
    case WIRE__OPERATION__GET_FILE: /* whoever wrote the location allows it */
    case WIRE__OPERATION__GET_WEBSITE: /* pages: tests/t/website.t */
        return true;
    default:
        return false;
    }
}

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

static void run_as(bool other, struct s3_answer *answer, struct s3_case c)
{
    uint64_t root = fixture.generation;

    if (other) {
        c.access_key = other_key;
        fixture.generation = other_generation;
    }
    s3_run(&fixture, answer, c);
    fixture.generation = root;
}

/* As the other account, of an object that is there. The error's code. */
static const char *outcome(const struct s3_permission *permission, bool version)
{
    static char error[64];
    static const char *const null_version[] = {"versionId", "null", NULL};
    const char *const *args = version ? null_version : NULL;
    const char *headers[6] = {NULL};
    struct s3_case c = {.operation = permission->operation, .bucket = "b"};
    struct s3_answer answer;
    size_t count = 0;

    s3_expect(&fixture, 200, PUT("k", "text"));
    s3_expect(&fixture, 200, PUT("source", "text"));
    if (permission->scope == SCOPE_OBJECT) {
        c.key = "k";
    }
    for (size_t i = 0; i < sizeof(details) / sizeof(details[0]); i++) {
        if (details[i].operation != permission->operation) {
            continue;
        }
        if (details[i].args[0] != NULL) {
            args = details[i].args;
        }
        for (; count < 2 && details[i].headers[count] != NULL; count++) {
            headers[count] = details[i].headers[count];
        }
        if (details[i].body != NULL) {
            c.body = details[i].body;
            c.size = strlen(details[i].body);
            headers[count++] = "content-md5";
            headers[count++] = md5_of(details[i].body);
        }
    }
    c.headers = headers;
    c.args = args;
    run_as(true, &answer, c);
    snprintf(error, sizeof(error), "%s", answer.error);
    s3_answer_free(&answer);
    return error;
}

/* --- policies --------------------------------------------------------------*/
struct text {
    char text[2048];
};

static void add_statement(struct text *out, const char *effect,
                          const char *const *actions)
{
    size_t size = strlen(out->text);

    size += (size_t)snprintf(
        out->text + size, sizeof(out->text) - size,
        "%s{\"Effect\":\"%s\",\"Principal\":{\"CanonicalUser\":\"%s\"},"
        "\"Resource\":[\"arn:aws:s3:::b\",\"arn:aws:s3:::b/*\"],\"Action\":[",
        size > 0 ? "," : "", effect, other_id);
    for (size_t i = 0; actions[i] != NULL; i++) {
        size += (size_t)snprintf(out->text + size, sizeof(out->text) - size,
                                 "%s\"%s\"", i > 0 ? "," : "", actions[i]);
    }
    snprintf(out->text + size, sizeof(out->text) - size, "]}");
}

static void put_policy(const struct text *statements)
{
    char policy[2200];
    struct s3_answer answer;

    snprintf(policy, sizeof(policy),
             "{\"Version\":\"2012-10-17\",\"Statement\":[%s]}",
             statements->text);
    run_as(false, &answer,
           (struct s3_case){.operation = WIRE__OPERATION__PUT_BUCKET_POLICY,
                            .bucket = "b",
                            .body = policy,
                            .size = strlen(policy)});
    if (answer.status != 204) {
        fail_msg("%s: %s", policy, (const char *)answer.body.data);
    }
    s3_answer_free(&answer);
}

static void allow_only(const char *const *actions)
{
    struct text text = {""};

    add_statement(&text, "Allow", actions);
    put_policy(&text);
}

static void allow_all_but(const char *action)
{
    struct text text = {""};

    add_statement(&text, "Allow", (const char *const[]){"s3:*", NULL});
    add_statement(&text, "Deny", (const char *const[]){action, NULL});
    put_policy(&text);
}

static void allow_nothing(void)
{
    s3_expect(
        &fixture, 204,
        (struct s3_case){.operation = WIRE__OPERATION__DELETE_BUCKET_POLICY,
                         .bucket = "b"});
}

/* All that an operation needs; NULL at the end. */
static void needed(const struct s3_permission *permission, bool version,
                   const char *actions[8])
{
    size_t count = 0;

    actions[count++] = version && permission->version_action != NULL
                           ? permission->version_action
                           : permission->action;
    if (permission->also != NULL) {
        actions[count++] =
            version ? permission->also_version : permission->also;
    }
    for (size_t i = 0; i < sizeof(details) / sizeof(details[0]); i++) {
        for (size_t j = 0; details[i].operation == permission->operation &&
                           j < 2 && details[i].actions[j] != NULL;
             j++) {
            actions[count++] = details[i].actions[j];
        }
    }
    actions[count] = NULL;
}

/* --- tests -----------------------------------------------------------------*/
static void check(const struct s3_permission *permission, bool version)
{
    const char *actions[8];

    needed(permission, version, actions);
    allow_nothing();
    if (strcmp(outcome(permission, version), "AccessDenied") != 0) {
        fail_msg("%s is not denied: %s", permission->action,
                 outcome(permission, version));
    }
    allow_only(actions);
    if (strcmp(outcome(permission, version), "AccessDenied") == 0) {
        fail_msg("%s (operation %d) is denied to who may %s", actions[0],
                 permission->operation, actions[0]);
    }
    for (size_t i = 0; actions[i] != NULL; i++) {
        allow_all_but(actions[i]);
        if (strcmp(outcome(permission, version), "AccessDenied") != 0) {
            fail_msg("operation %d is not denied to who may not %s: %s",
                     permission->operation, actions[i],
                     outcome(permission, version));
        }
    }
}

static void test_every_operation(void **state)
{
    const ProtobufCEnumDescriptor *all = &wire__operation__descriptor;
    unsigned count = 0;

    (void)state;
    for (unsigned i = 0; i < all->n_values; i++) {
        Wire__Operation operation = (Wire__Operation)all->values[i].value;
        const struct s3_permission *permission = s3_permission_find(operation);

        if (s3_operation_find(operation) == NULL || is_special(operation)) {
            continue;
        }
        assert_non_null(permission);
        check(permission, false);
        if (permission->version_action != NULL) {
            check(permission, true);
        }
        count++;
    }
    assert_true(count > 45);
}

/* A version by its id is more than its key. */
static void test_versions_have_actions_of_their_own(void **state)
{
    const char *get[] = {"s3:GetObject", NULL};
    const char *version[] = {"s3:GetObjectVersion", NULL};
    const struct s3_permission *permission =
        s3_permission_find(WIRE__OPERATION__GET_OBJECT);

    (void)state;
    allow_only(get);
    assert_string_equal(outcome(permission, false), "");
    assert_string_equal(outcome(permission, true), "AccessDenied");
    allow_only(version);
    assert_string_equal(outcome(permission, false), "AccessDenied");
    assert_string_equal(outcome(permission, true), "");
}

/* A policy's revision is what its compiled form is found by. */
static void test_a_changed_policy_counts_at_once(void **state)
{
    const char *get[] = {"s3:GetObject", NULL}, *put[] = {"s3:PutObject", NULL};
    const struct s3_permission *permission =
        s3_permission_find(WIRE__OPERATION__GET_OBJECT);

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        allow_only(get);
        assert_string_equal(outcome(permission, false), "");
        assert_string_equal(outcome(permission, false), "");
        allow_only(put);
        assert_string_equal(outcome(permission, false), "AccessDenied");
        allow_nothing();
        assert_string_equal(outcome(permission, false), "AccessDenied");
    }
}

/* A user of the owner's own account begins without rights. */
static void add_user(void)
{
    struct iam *iam = fixture.service.iam;
    struct iam_account account;
    struct iam_new_entity user = {.name = {.kind = IAM_USER, .name = "ann"}};
    struct iam_new_key key = {
        .user = "ann", .access_key = USER_KEY, .secret_key = FIXTURE_SECRET};
    struct iam_credentials made;
    char message[POLICY_MESSAGE_MAX];
    uint8_t derived[IAM_KEY_SIZE];

    assert_int_equal(iam_account_get(iam, "tester", &account), 0);
    user.name.account = key.account = account.number;
    assert_int_equal(iam_create(iam, &user, NULL, message), 0);
    assert_int_equal(iam_key_add(iam, &key, &made, message), 0);
    iam_credentials_wipe(&made);
    assert_int_equal(iam_signing_key(iam, slice_from_string(USER_KEY),
                                     slice_from_string(FIXTURE_DATE),
                                     slice_from_string(FIXTURE_REGION),
                                     SLICE_LITERAL("s3"), derived,
                                     &other_generation),
                     0);
    other_key = USER_KEY;
}

static void test_users_without_rights(void **state)
{
    const ProtobufCEnumDescriptor *all = &wire__operation__descriptor;

    (void)state;
    add_user();
    for (unsigned i = 0; i < all->n_values; i++) {
        Wire__Operation operation = (Wire__Operation)all->values[i].value;
        const struct s3_permission *permission = s3_permission_find(operation);

        if (s3_operation_find(operation) == NULL ||
            (is_special(operation) &&
             operation != WIRE__OPERATION__LIST_BUCKETS)) {
            continue;
        }
        if (strcmp(outcome(permission, false), "AccessDenied") != 0) {
            fail_msg("%s is not denied: %s", permission->action,
                     outcome(permission, false));
        }
    }
}

/* --- what an object's owner decides ----------------------------------------*/
static void put_ownership(const char *value)
{
    char text[256];

    snprintf(text, sizeof(text),
             "<OwnershipControls><Rule><ObjectOwnership>%s</ObjectOwnership>"
             "</Rule></OwnershipControls>",
             value);
    s3_expect(&fixture, 200,
              (struct s3_case){
                  .operation = WIRE__OPERATION__PUT_BUCKET_OWNERSHIP_CONTROLS,
                  .bucket = "b",
                  .body = text,
                  .size = strlen(text)});
}

static void run_is(bool other, struct s3_case c, const char *error)
{
    struct s3_answer answer;

    run_as(other, &answer, c);
    assert_string_equal(answer.error, error);
    s3_answer_free(&answer);
}

static void test_objects_of_another_account(void **state)
{
    const char *put[] = {"s3:PutObject", NULL};
    const char *all[] = {"s3:*", NULL};
    struct s3_case get = S3_CASE(GET_OBJECT, "theirs");

    (void)state;
    put_ownership("ObjectWriter");
    allow_only(put);
    run_is(true, PUT("theirs", "x"), "");
    run_is(true, get, ""); /* its owner needs nobody's leave */
    allow_only(all);
    run_is(true, get, "");
    allow_all_but("s3:GetObject");
    run_is(true, get, "AccessDenied"); /* the bucket's owner can close it */
    put_ownership("BucketOwnerEnforced");
    allow_only(put);
    run_is(true, get, "AccessDenied"); /* it is the bucket's owner's now */
    run_is(false, get, "");
    put_ownership("ObjectWriter");
    allow_nothing();
    run_is(true, S3_CASE(DELETE_OBJECT, "theirs"), "AccessDenied");
    run_is(false, S3_CASE(DELETE_OBJECT, "theirs"), "");
}

/* --- those that are special ------------------------------------------------*/
static void test_deletes_of_many(void **state)
{
    const char *some[] = {"s3:DeleteObject", NULL};
    struct s3_answer answer;
    struct s3_case c = S3_CASE(DELETE_OBJECTS, NULL, .body = DELETION,
                               .size = strlen(DELETION));
    const char *headers[] = {"content-md5", md5_of(DELETION), NULL};

    (void)state;
    c.headers = headers;
    allow_nothing();
    run_as(true, &answer, c);
    assert_int_equal(answer.status, 200);
    assert_contains(&answer, "<Error><Key>k</Key><Code>AccessDenied</Code>"
                             "<Message>Access Denied</Message></Error>");
    s3_answer_free(&answer);
    allow_only(some);
    run_as(true, &answer, c);
    assert_contains(&answer, "<Deleted><Key>k</Key></Deleted>");
    s3_answer_free(&answer);
}

static void test_the_anonymous_own_nothing(void **state)
{
    const Wire__Operation operations[] = {
        WIRE__OPERATION__LIST_BUCKETS,
        WIRE__OPERATION__CREATE_BUCKET,
        WIRE__OPERATION__COPY_OBJECT,
        WIRE__OPERATION__CREATE_MULTIPART_UPLOAD,
        WIRE__OPERATION__RENAME_OBJECT,
        WIRE__OPERATION__NOT_IMPLEMENTED,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        run_is(false,
               (struct s3_case){.operation = operations[i],
                                .bucket = operations[i] ==
                                                  WIRE__OPERATION__CREATE_BUCKET
                                              ? "new"
                                              : "b",
                                .key = "k",
                                .access_key = ""},
               "AccessDenied");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_operation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_versions_have_actions_of_their_own,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_changed_policy_counts_at_once,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_users_without_rights, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_objects_of_another_account, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_deletes_of_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_anonymous_own_nothing, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
