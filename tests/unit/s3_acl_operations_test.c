/* Lists as they are put, kept and told. */
#include "s3_fixture.h"

#include "s3/acl.h"
#include "s3/version.h"

#define OTHER_KEY "AKIAOTHER00000000001"
#define ALL_USERS "http://acs.amazonaws.com/groups/global/AllUsers"
#define ACCOUNTS  "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
#define LOGGING   "http://acs.amazonaws.com/groups/s3/LogDelivery"
#define XMLNS     " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""
#define XSI       "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\""

static struct s3_fixture fixture;
static uint64_t other_generation;
static char tester[65], other[65]; /* canonical ids */

static void identify(const char *access_key, uint64_t generation, char id[65])
{
    struct iam_identity identity;

    assert_int_equal(iam_authenticate(fixture.service.iam,
                                      slice_from_string(access_key), generation,
                                      (struct slice){0}, &identity),
                     0);
    memcpy(id, identity.user, 65);
    iam_identity_release(&identity);
}

static int setup(void **state)
{
    (void)state;
    s3_fixture_open(&fixture);
    other_generation =
        s3_add_account(&fixture, "other", false, OTHER_KEY, FIXTURE_SECRET);
    identify(FIXTURE_KEY, fixture.generation, tester);
    identify(OTHER_KEY, other_generation, other);
    s3_make_bucket(&fixture, "b"); /* lists count: no OwnershipControls */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s3_fixture_close(&fixture);
    return 0;
}

/* --- documents -------------------------------------------------------------*/
static const char *canonical(const char *id, const char *name,
                             const char *permission)
{
    static _Thread_local char text[4][600];
    static _Thread_local unsigned at;
    char *out = text[at++ % 4];

    snprintf(out, sizeof(text[0]),
             "<Grant><Grantee " XSI " xsi:type=\"CanonicalUser\"><ID>%s</ID>"
             "%s%s%s</Grantee><Permission>%s</Permission></Grant>",
             id, name[0] ? "<DisplayName>" : "", name,
             name[0] ? "</DisplayName>" : "", permission);
    return out;
}

#define GROUP(uri, permission)                                                 \
    "<Grant><Grantee " XSI " xsi:type=\"Group\"><URI>" uri                     \
    "</URI></Grantee><Permission>" permission "</Permission></Grant>"

static const char *policy_of(const char *owner, const char *name,
                             const char *grants)
{
    static char text[16384];

    snprintf(text, sizeof(text),
             "<AccessControlPolicy" XMLNS "><Owner><ID>%s</ID><DisplayName>%s"
             "</DisplayName></Owner><AccessControlList>%s</AccessControlList>"
             "</AccessControlPolicy>",
             owner, name, grants);
    return text;
}

static void list_is(struct s3_case get, const char *owner, const char *name,
                    const char *grants)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, get);
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "Content-Type", "application/xml");
    assert_string_equal(strchr((char *)answer.body.data, '\n') + 1,
                        policy_of(owner, name, grants));
    s3_answer_free(&answer);
}

static const char *joined(const char *a, const char *b)
{
    static char text[8192];

    snprintf(text, sizeof(text), "%s%s", a, b);
    return text;
}

#define GET_BUCKET         S3_CASE(GET_BUCKET_ACL, NULL)
#define GET_OBJECT(k, ...) S3_CASE(GET_OBJECT_ACL, k, __VA_ARGS__)

static struct s3_case put_list(const char *key, const char *document)
{
    return (struct s3_case){.operation = key != NULL
                                             ? WIRE__OPERATION__PUT_OBJECT_ACL
                                             : WIRE__OPERATION__PUT_BUCKET_ACL,
                            .bucket = "b",
                            .key = key,
                            .body = document,
                            .size = strlen(document)};
}

static void refused(struct s3_case c, const char *code, unsigned status,
                    const char *text)
{
    struct s3_answer answer;

    s3_run(&fixture, &answer, c);
    assert_error(&answer, code, status);
    assert_contains(&answer, text);
    s3_answer_free(&answer);
}

static const char *all(void)
{
    return canonical(tester, "tester", "FULL_CONTROL");
}

static void run_other(struct s3_answer *answer, struct s3_case c)
{
    uint64_t root = fixture.generation;

    c.access_key = OTHER_KEY;
    fixture.generation = other_generation;
    s3_run(&fixture, answer, c);
    fixture.generation = root;
}

static void set_ownership(const char *bucket, const char *value)
{
    char document[256];
    struct s3_case c =
        S3_CASE(PUT_BUCKET_OWNERSHIP_CONTROLS, NULL, .body = document);

    snprintf(document, sizeof(document),
             "<OwnershipControls><Rule><ObjectOwnership>%s</ObjectOwnership>"
             "</Rule></OwnershipControls>",
             value);
    c.bucket = bucket;
    c.size = strlen(document);
    s3_expect(&fixture, 200, c);
}

/* --- canned ----------------------------------------------------------------*/
static const struct {
    const char *name, *grants; /* besides the owner's */
} canned[] = {
    {"private", ""},
    {"public-read", GROUP(ALL_USERS, "READ")},
    {"public-read-write", GROUP(ALL_USERS, "READ") GROUP(ALL_USERS, "WRITE")},
    {"authenticated-read", GROUP(ACCOUNTS, "READ")},
    {"bucket-owner-read", ""},
    {"bucket-owner-full-control", ""},
};

static void canned_lists_grant_what_s3_says(void **state)
{
    (void)state;
    list_is(GET_BUCKET, tester, "tester", all());
    s3_expect(&fixture, 200, PUT("k", "x"));
    list_is(GET_OBJECT("k"), tester, "tester", all());
    for (size_t i = 0; i < sizeof(canned) / sizeof(canned[0]); i++) {
        const char *headers[] = {"x-amz-acl", canned[i].name, NULL};

        s3_expect(&fixture, 200,
                  S3_CASE(PUT_BUCKET_ACL, NULL, .headers = headers));
        list_is(GET_BUCKET, tester, "tester", joined(all(), canned[i].grants));
        s3_expect(&fixture, 200,
                  S3_CASE(PUT_OBJECT_ACL, "k", .headers = headers));
        list_is(GET_OBJECT("k"), tester, "tester",
                joined(all(), canned[i].grants));
        s3_expect(&fixture, 200, PUT("new", "x", .headers = headers));
        list_is(GET_OBJECT("new"), tester, "tester",
                joined(all(), canned[i].grants));
    }
    s3_expect(&fixture, 200,
              S3_CASE(PUT_BUCKET_ACL, NULL,
                      .headers = FIELDS("x-amz-acl", "log-delivery-write")));
    list_is(GET_BUCKET, tester, "tester",
            joined(all(), GROUP(LOGGING, "WRITE") GROUP(LOGGING, "READ_ACP")));
    s3_expect(&fixture, 200,
              S3_CASE(PUT_OBJECT_ACL, "k",
                      .headers = FIELDS("x-amz-acl", "aws-exec-read")));
    list_is(GET_OBJECT("k"), tester, "tester",
            joined(all(), canonical("6aa5a366c34c1cbe25dc49211496e913"
                                    "e0351eb0e8c37aa3477e40942ec6b97c",
                                    "", "READ")));
}

static void canned_lists_that_are_none(void **state)
{
    static const char *const names[] = {"nobody", "", "Private", "public-read ",
                                        "log-delivery-write"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *headers[] = {"x-amz-acl", names[i], NULL};

        s3_expect(&fixture, 200, PUT("k", "x"));
        refused(S3_CASE(PUT_OBJECT_ACL, "k", .headers = headers),
                "InvalidArgument", 400,
                "<ArgumentName>x-amz-acl</ArgumentName>");
        refused(PUT("k", "x", .headers = headers), "InvalidArgument", 400,
                "The canned ACL you specified is not valid");
    }
}

/* --- grants in headers -----------------------------------------------------*/
static void headers_grant(void **state)
{
    char value[256];
    const char *headers[] = {"x-amz-grant-full-control", value,
                             "x-amz-grant-read",
                             "uri=\"" ALL_USERS "\", uri=" ACCOUNTS, NULL};

    (void)state;
    snprintf(value, sizeof(value), "id=\"%s\"", other);
    s3_expect(&fixture, 200, PUT("k", "x", .headers = headers));
    list_is(GET_OBJECT("k"), tester, "tester",
            joined(canonical(other, "other", "FULL_CONTROL"),
                   GROUP(ALL_USERS, "READ") GROUP(ACCOUNTS, "READ")));
    headers[0] = "x-amz-grant-write-acp";
    headers[2] = "x-amz-grant-read-acp";
    s3_expect(&fixture, 200, S3_CASE(PUT_BUCKET_ACL, NULL, .headers = headers));
    list_is(GET_BUCKET, tester, "tester",
            joined(GROUP(ALL_USERS, "READ_ACP") GROUP(ACCOUNTS, "READ_ACP"),
                   canonical(other, "other", "WRITE_ACP")));
    headers[0] = "x-amz-grant-write";
    headers[2] = NULL;
    s3_expect(&fixture, 200, S3_CASE(PUT_BUCKET_ACL, NULL, .headers = headers));
    list_is(GET_BUCKET, tester, "tester", canonical(other, "other", "WRITE"));
    s3_expect(&fixture, 200,
              PUT("k", "x",
                  .headers = FIELDS("x-amz-grant-read", "uri=" ACCOUNTS,
                                    "x-amz-grant-read", "uri=" ALL_USERS)));
    list_is(GET_OBJECT("k"), tester, "tester", GROUP(ACCOUNTS, "READ"));
}

static void headers_that_grant_nothing(void **state)
{
    static const struct {
        const char *value, *code, *text;
    } cases[] = {
        {"id=1234", "InvalidArgument", "Invalid id"},
        {"id=", "InvalidArgument", "Invalid id"},
        {"uri=http://acs.amazonaws.com/groups/global/Nobody", "InvalidArgument",
         "Invalid group uri"},
        {"emailAddress=\"a@example.com\"", "UnresolvableGrantByEmailAddress",
         "does not match any account"},
        {"name=x", "InvalidArgument", "Argument format not recognized"},
        {"", "InvalidArgument", "Argument format not recognized"},
        {" , ", "InvalidArgument", "Argument format not recognized"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *headers[] = {"x-amz-grant-read", cases[i].value, NULL};

        refused(PUT("none", "x", .headers = headers), cases[i].code, 400,
                cases[i].text);
        refused(S3_CASE(PUT_BUCKET_ACL, NULL, .headers = headers),
                cases[i].code, 400, cases[i].text);
    }
    refused(PUT("none", "x",
                .headers = FIELDS("x-amz-acl", "private", "x-amz-grant-read",
                                  "uri=" ALL_USERS)),
            "InvalidRequest", 400,
            "Specifying both Canned ACLs and Header Grants is not allowed");
    s3_expect(&fixture, 404, HEAD("none"));
    list_is(GET_BUCKET, tester, "tester", all());
}

/* --- documents -------------------------------------------------------------*/
static void documents_are_kept_as_put(void **state)
{
    char grants[4096];
    const char *document;

    (void)state;
    snprintf(grants, sizeof(grants), "%s%s%s%s",
             canonical(other, "other", "WRITE_ACP"),
             GROUP(LOGGING, "FULL_CONTROL"),
             canonical(tester, "tester", "READ"), GROUP(ACCOUNTS, "READ_ACP"));
    document = policy_of(tester, "tester", grants);
    s3_expect(&fixture, 200, PUT("k", "x"));
    s3_expect(&fixture, 200, put_list("k", document));
    list_is(GET_OBJECT("k"), tester, "tester", grants);
    s3_expect(&fixture, 200, put_list(NULL, document));
    list_is(GET_BUCKET, tester, "tester", grants);
    document = policy_of(tester, "tester", "");
    s3_expect(&fixture, 200, put_list(NULL, document));
    list_is(GET_BUCKET, tester, "tester", "");
    document = policy_of(tester, "tester", all());
    s3_expect(&fixture, 200, put_list(NULL, document));
    list_is(GET_BUCKET, tester, "tester", all());
}

static void malformed_documents(void **state)
{
#define GRANTEE(type, inside) "<Grantee " XSI type ">" inside "</Grantee>"
#define READ                  "<Permission>READ</Permission>"
#define USER                  " xsi:type=\"CanonicalUser\""
    static const char *const grants[] = {
        "<Other/>",
        "<Grant/>",
        "<Grant>" READ "</Grant>",
        "<Grant>" GRANTEE(USER, "<ID>1</ID>") "</Grant>",
        "<Grant>" GRANTEE("", "<ID>1</ID>") READ "</Grant>",
        "<Grant><Grantee type=\"CanonicalUser\"><ID>1</ID></Grantee>" READ
        "</Grant>",
        "<Grant>" GRANTEE(" xsi:type=\"Nobody\"", "<ID>1</ID>") READ "</Grant>",
        "<Grant>" GRANTEE(" xsi:type=\"Group\"", "<ID>1</ID>") READ "</Grant>",
        "<Grant>" GRANTEE(USER, "<What>1</What>") READ "</Grant>",
        "<Grant>" GRANTEE(USER, "<ID>1</ID><ID>1</ID>") READ "</Grant>",
        "<Grant>" GRANTEE(USER, "<ID>1</ID>") READ READ "</Grant>",
        "<Grant>" GRANTEE(USER, "<ID>1</ID>") GRANTEE(USER, "<ID>1</ID>") READ
        "</Grant>",
        "<Grant>" GRANTEE(
            USER, "<ID>1</ID>") "<Permission>EVERYTHING</Permission></Grant>",
    };
    struct s3_case c;

    (void)state;
    for (size_t i = 0; i < sizeof(grants) / sizeof(grants[0]); i++) {
        refused(put_list(NULL, policy_of(tester, "tester", grants[i])),
                "MalformedACLError", 400, "well-formed");
    }
    refused(put_list(NULL, "<AccessControlPolicy>"), "MalformedACLError", 400,
            "");
    refused(put_list(NULL, "<AccessControlPolicy/>"), "MalformedACLError", 400,
            "");
    refused(put_list(NULL, "<AccessControlPolicy><AccessControlList/>"
                           "</AccessControlPolicy>"),
            "MalformedACLError", 400, "");
    refused(put_list(NULL, policy_of(tester, "tester",
                                     "<Grant>" GRANTEE(USER, "<ID>1</ID>") READ
                                     "</Grant>")),
            "InvalidArgument", 400,
            "<ArgumentName>CanonicalUser/ID</ArgumentName>"
            "<ArgumentValue>1</ArgumentValue>");
    refused(put_list(NULL, policy_of(tester, "tester",
                                     "<Grant>" GRANTEE(
                                         " xsi:type=\"AmazonCustomerByEmail\"",
                                         "<EmailAddress>a@b.c</EmailAddress>")
                                         READ "</Grant>")),
            "UnresolvableGrantByEmailAddress", 400, "");
    refused(put_list(NULL, policy_of(other, "other", "")), "AccessDenied", 403,
            "");
    c = put_list(NULL, policy_of(tester, "tester", ""));
    c.headers = FIELDS("x-amz-acl", "private");
    refused(c, "UnexpectedContent", 400, "");
    refused(S3_CASE(PUT_BUCKET_ACL, NULL), "MissingSecurityHeader", 400,
            "<MissingHeaderName>x-amz-acl</MissingHeaderName>");
    refused(S3_CASE(PUT_OBJECT_ACL, "none",
                    .headers = FIELDS("x-amz-acl", "private")),
            "NoSuchKey", 404, "<Key>none</Key>");
    refused(GET_OBJECT("none"), "NoSuchKey", 404, "");
    list_is(GET_BUCKET, tester, "tester", all());
}

static void a_hundred_grants_and_no_more(void **state)
{
    struct buffer grants = {0}, document = {0};

    (void)state;
    for (unsigned i = 0; i < 101; i++) {
        struct s3_case c;

        buffer_append_string(&grants, GROUP(ALL_USERS, "READ"));
        if (i < 99)
            continue;
        buffer_append(&grants, "", 1);
        grants.size--;
        document.size = 0;
        buffer_printf(&document,
                      "<AccessControlPolicy><Owner><ID>%s</ID></Owner>"
                      "<AccessControlList>%s</AccessControlList>"
                      "</AccessControlPolicy>",
                      tester, (char *)grants.data);
        c = S3_CASE(PUT_BUCKET_ACL, NULL, .body = document.data,
                    .size = document.size);
        if (i == 99)
            s3_expect(&fixture, 200, c);
        else
            refused(c, "MalformedACLError", 400, "");
    }
    buffer_free(&grants);
    buffer_free(&document);
}

/* What cannot stand in the origin of a shard does not stop the object. */
static void long_lists_with_long_keys(void **state)
{
    struct buffer value = {0};
    const char *headers[] = {"x-amz-grant-read", NULL, NULL};
    char key[1025];

    (void)state;
    memset(key, 'k', 1024);
    key[1024] = '\0';
    for (unsigned i = 0; i < 100; i++)
        buffer_printf(&value, "id=%s,", other);
    buffer_append(&value, "", 1);
    headers[1] = (char *)value.data;
    s3_expect(&fixture, 200, PUT(key, "x", .headers = headers));
    s3_expect(&fixture, 200, GET(key));
    buffer_free(&value);
}

/* --- what keeps and what loses a list --------------------------------------*/
static void copies_are_private(void **state)
{
    (void)state;
    s3_expect(&fixture, 200,
              PUT("k", "x", .headers = FIELDS("x-amz-acl", "public-read")));
    s3_expect(&fixture, 200,
              S3_CASE(COPY_OBJECT, "copy",
                      .headers = FIELDS("x-amz-copy-source", "/b/k")));
    list_is(GET_OBJECT("copy"), tester, "tester", all());
    s3_expect(&fixture, 200,
              S3_CASE(COPY_OBJECT, "copy",
                      .headers = FIELDS("x-amz-copy-source", "/b/k",
                                        "x-amz-acl", "authenticated-read")));
    list_is(GET_OBJECT("copy"), tester, "tester",
            joined(all(), GROUP(ACCOUNTS, "READ")));
    s3_expect(&fixture, 200, PUT("k", "y"));
    list_is(GET_OBJECT("k"), tester, "tester", all());
}

static void renames_and_appends_keep_lists(void **state)
{
    (void)state;
    fixture.service.extensions = true;
    s3_expect(&fixture, 200,
              PUT("k", "x", .headers = FIELDS("x-amz-acl", "public-read")));
    s3_expect(
        &fixture, 200,
        PUT("k", "y", .headers = FIELDS("x-amz-write-offset-bytes", "1")));
    list_is(GET_OBJECT("k"), tester, "tester",
            joined(all(), GROUP(ALL_USERS, "READ")));
    s3_expect(&fixture, 200,
              S3_CASE(RENAME_OBJECT, "moved",
                      .headers = FIELDS("x-amz-rename-source", "/b/k")));
    list_is(GET_OBJECT("moved"), tester, "tester",
            joined(all(), GROUP(ALL_USERS, "READ")));
}

static void appended(const char *key, unsigned status)
{
    struct s3_answer answer;

    run_other(&answer, PUT(key, "y",
                           .headers = FIELDS("x-amz-write-offset-bytes", "1")));
    assert_int_equal(answer.status, status);
    if (status == 403) {
        assert_error(&answer, "AccessDenied", 403);
    }
    s3_answer_free(&answer);
}

/* Where its end is would be told by trying. */
static void who_appends_can_read(void **state)
{
    char value[128];
    const char *headers[] = {"x-amz-grant-write", value, NULL};

    (void)state;
    fixture.service.extensions = true;
    snprintf(value, sizeof(value), "id=%s", other);
    s3_expect(&fixture, 200, S3_CASE(PUT_BUCKET_ACL, NULL, .headers = headers));
    s3_expect(&fixture, 200, PUT("long", "xx"));
    s3_expect(&fixture, 200, PUT("k", "x"));
    appended("long", 403);
    appended("k", 403);
    headers[0] = "x-amz-grant-read";
    s3_expect(&fixture, 200, S3_CASE(PUT_OBJECT_ACL, "k", .headers = headers));
    appended("k", 200);
}

static void versions_have_lists_of_their_own(void **state)
{
    static const char enable[] =
        "<VersioningConfiguration><Status>Enabled</Status>"
        "</VersioningConfiguration>";
    struct s3_answer answer;
    char first[VERSION_ID_SIZE + 1];

    (void)state;
    s3_expect(&fixture, 200,
              S3_CASE(PUT_BUCKET_VERSIONING, NULL, .body = enable,
                      .size = sizeof(enable) - 1));
    s3_run(&fixture, &answer, PUT("k", "1"));
    memcpy(first, s3_header(&answer, "x-amz-version-id"), sizeof(first));
    s3_answer_free(&answer);
    s3_expect(&fixture, 200, PUT("k", "2"));
    s3_run(&fixture, &answer,
           S3_CASE(PUT_OBJECT_ACL, "k", .args = FIELDS("versionId", first),
                   .headers = FIELDS("x-amz-acl", "public-read")));
    assert_int_equal(answer.status, 200);
    assert_header(&answer, "x-amz-version-id", first);
    s3_answer_free(&answer);
    list_is(GET_OBJECT("k", .args = FIELDS("versionId", first)), tester,
            "tester", joined(all(), GROUP(ALL_USERS, "READ")));
    list_is(GET_OBJECT("k"), tester, "tester", all());
    s3_expect(&fixture, 204, DELETE("k"));
    refused(GET_OBJECT("k"), "NoSuchKey", 404, "");
}

/* --- Object Ownership ------------------------------------------------------*/
static void lists_do_not_count_where_the_owner_owns_all(void **state)
{
    static const char *const allowed[] = {"private",
                                          "bucket-owner-full-control"};

    (void)state;
    s3_expect(&fixture, 200,
              PUT("k", "x", .headers = FIELDS("x-amz-acl", "public-read")));
    set_ownership("b", "BucketOwnerEnforced");
    list_is(GET_OBJECT("k"), tester, "tester", all());
    for (size_t i = 1; i < 5; i++) {
        const char *headers[] = {"x-amz-acl", canned[i].name, NULL};

        if (i == 4)
            headers[1] = "aws-exec-read";
        refused(PUT("new", "x", .headers = headers),
                "AccessControlListNotSupported", 400,
                "The bucket does not allow ACLs");
        refused(S3_CASE(PUT_OBJECT_ACL, "k", .headers = headers),
                "AccessControlListNotSupported", 400, "");
        refused(S3_CASE(PUT_BUCKET_ACL, NULL, .headers = headers),
                "AccessControlListNotSupported", 400, "");
        refused(S3_CASE(CREATE_MULTIPART_UPLOAD, "k", .headers = headers),
                "AccessControlListNotSupported", 400, "");
    }
    refused(put_list("k", policy_of(tester, "tester", "")),
            "AccessControlListNotSupported", 400, "");
    s3_expect(&fixture, 200,
              put_list(NULL, policy_of(tester, "tester", all())));
    for (size_t i = 0; i < 2; i++) {
        const char *headers[] = {"x-amz-acl", allowed[i], NULL};

        s3_expect(&fixture, 200, PUT("new", "x", .headers = headers));
        s3_expect(&fixture, 200,
                  S3_CASE(PUT_BUCKET_ACL, NULL, .headers = headers));
    }
    set_ownership("b", "ObjectWriter");
    list_is(GET_OBJECT("k"), tester, "tester",
            joined(all(), GROUP(ALL_USERS, "READ")));
}

static void a_bucket_that_grants_cannot_do_without_lists(void **state)
{
    static const char enforced[] =
        "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced"
        "</ObjectOwnership></Rule></OwnershipControls>";
    struct s3_case c = S3_CASE(PUT_BUCKET_OWNERSHIP_CONTROLS, NULL,
                               .body = enforced, .size = sizeof(enforced) - 1);

    (void)state;
    s3_expect(&fixture, 200,
              S3_CASE(PUT_BUCKET_ACL, NULL,
                      .headers = FIELDS("x-amz-acl", "authenticated-read")));
    refused(c, "InvalidBucketAclWithObjectOwnership", 400,
            "Bucket cannot have ACLs set with ObjectOwnership");
    list_is(GET_BUCKET, tester, "tester",
            joined(all(), GROUP(ACCOUNTS, "READ")));
    s3_expect(&fixture, 200,
              S3_CASE(PUT_BUCKET_ACL, NULL,
                      .headers = FIELDS("x-amz-acl", "private")));
    s3_expect(&fixture, 200, c);
}

static struct s3_case create(const char *bucket, const char *const *headers)
{
    return (struct s3_case){.operation = WIRE__OPERATION__CREATE_BUCKET,
                            .bucket = bucket,
                            .headers = headers};
}

static void new_buckets(void **state)
{
    struct s3_case get = GET_BUCKET;

    (void)state;
    refused(create("one", FIELDS("x-amz-acl", "public-read")),
            "InvalidBucketAclWithObjectOwnership", 400, "");
    refused(
        create("one", FIELDS("x-amz-grant-read", "uri=" ALL_USERS,
                             "x-amz-object-ownership", "BucketOwnerEnforced")),
        "InvalidBucketAclWithObjectOwnership", 400, "");
    refused(create("one", FIELDS("x-amz-acl", "x", "x-amz-object-ownership",
                                 "ObjectWriter")),
            "InvalidArgument", 400, "");
    refused(create("one", FIELDS("x-amz-acl", "public-read",
                                 "x-amz-object-ownership", "ObjectWriter")),
            "InvalidBucketAclWithBlockPublicAccessError", 400, "");
    s3_expect(&fixture, 200, create("one", FIELDS("x-amz-acl", "private")));
    s3_expect(&fixture, 200,
              create("two", FIELDS("x-amz-acl", "log-delivery-write",
                                   "x-amz-object-ownership", "ObjectWriter")));
    get.bucket = "two";
    list_is(get, tester, "tester",
            joined(all(), GROUP(LOGGING, "WRITE") GROUP(LOGGING, "READ_ACP")));
    s3_expect(&fixture, 200,
              create("three",
                     FIELDS("x-amz-grant-write", "uri=" LOGGING,
                            "x-amz-object-ownership", "BucketOwnerPreferred")));
    get.bucket = "three";
    list_is(get, tester, "tester", GROUP(LOGGING, "WRITE"));
}

/* The operator writes into the other account's bucket. */
static void the_bucket_owner_is_given_what_it_prefers(void **state)
{
    struct s3_answer answer;
    struct s3_case put = PUT("k", "x");
    struct s3_case get = GET_OBJECT("k");

    (void)state;
    run_other(&answer, create("theirs", FIELDS("x-amz-object-ownership",
                                               "ObjectWriter")));
    assert_int_equal(answer.status, 200);
    s3_answer_free(&answer);
    put.bucket = get.bucket = "theirs";
    put.headers = FIELDS("x-amz-acl", "bucket-owner-full-control");
    s3_expect(&fixture, 200, put);
    list_is(get, tester, "tester",
            joined(all(), canonical(other, "other", "FULL_CONTROL")));
    put.headers = FIELDS("x-amz-acl", "bucket-owner-read");
    s3_expect(&fixture, 200, put);
    list_is(get, tester, "tester",
            joined(all(), canonical(other, "other", "READ")));
    set_ownership("theirs", "BucketOwnerPreferred");
    s3_expect(&fixture, 200, put);
    list_is(get, tester, "tester",
            joined(all(), canonical(other, "other", "READ")));
    put.headers = FIELDS("x-amz-acl", "bucket-owner-full-control");
    s3_expect(&fixture, 200, put);
    list_is(get, other, "other", canonical(other, "other", "FULL_CONTROL"));
    put.headers = NULL;
    s3_expect(&fixture, 200, put);
    list_is(get, tester, "tester", all());
    set_ownership("theirs", "BucketOwnerEnforced");
    list_is(get, other, "other", canonical(other, "other", "FULL_CONTROL"));
}

/* The list and the owner are decided when an upload begins. */
static void uploads_bring_their_lists(void **state)
{
    static const char list[] = "<CompleteMultipartUpload><Part><PartNumber>1"
                               "</PartNumber><ETag>"
                               "9dd4e461268c8034f5c8564e155c67a6</ETag></Part>"
                               "</CompleteMultipartUpload>";
    struct s3_answer answer;
    struct s3_case get = GET_OBJECT("k");
    char id[65], *at;

    (void)state;
    run_other(&answer, create("theirs", FIELDS("x-amz-object-ownership",
                                               "BucketOwnerPreferred")));
    s3_answer_free(&answer);
    s3_expect(&fixture, 204,
              (struct s3_case){.operation =
                                   WIRE__OPERATION__DELETE_PUBLIC_ACCESS_BLOCK,
                               .bucket = "theirs"});
    for (unsigned i = 0; i < 2; i++) {
        const char *acl = i == 0 ? "bucket-owner-full-control" : "public-read";
        const char *headers[] = {"x-amz-acl", acl, NULL};
        const char *args[] = {"uploadId", id, "partNumber", "1", NULL};
        struct s3_case c =
            S3_CASE(CREATE_MULTIPART_UPLOAD, "k", .headers = headers);

        c.bucket = get.bucket = "theirs";
        s3_run(&fixture, &answer, c);
        assert_int_equal(answer.status, 200);
        at = strstr((char *)answer.body.data, "<UploadId>");
        assert_non_null(at);
        snprintf(id, sizeof(id), "%.*s", (int)strcspn(at + 10, "<"), at + 10);
        s3_answer_free(&answer);
        c = S3_CASE(UPLOAD_PART, "k", .body = "x", .size = 1, .args = args,
                    .headers = FIELDS("x-amz-acl", "nobody", "x-amz-grant-read",
                                      "nothing"));
        c.bucket = "theirs";
        s3_expect(&fixture, 200, c);
        args[2] = NULL;
        c = S3_CASE(COMPLETE_MULTIPART_UPLOAD, "k", .args = args, .body = list,
                    .size = sizeof(list) - 1);
        c.bucket = "theirs";
        s3_expect(&fixture, 200, c);
        if (i == 0)
            list_is(get, other, "other",
                    canonical(other, "other", "FULL_CONTROL"));
        else
            list_is(get, tester, "tester",
                    joined(all(), GROUP(ALL_USERS, "READ")));
    }
}

/* --- public lists that are blocked -----------------------------------------*/
static void block_public_lists(void)
{
    struct arena *arena = arena_new();
    struct meta *meta = fixture.service.meta;
    struct meta_batch *batch = meta_batch_new(meta);
    Meta__PublicAccessBlock block = META__PUBLIC_ACCESS_BLOCK__INIT;
    Meta__Bucket *bucket;

    block.block_public_acls = true;
    meta_bucket_lock(meta, slice_from_string("b"), true);
    assert_int_equal(
        meta_get_bucket(meta, arena, slice_from_string("b"), &bucket), 0);
    bucket->public_access_block = &block;
    meta_put_bucket(batch, bucket);
    assert_int_equal(meta_commit(batch), 0);
    meta_bucket_unlock(meta, slice_from_string("b"));
    meta_batch_free(batch);
    arena_free(arena);
}

static void public_lists_can_be_blocked(void **state)
{
    (void)state;
    s3_expect(&fixture, 200, PUT("k", "x"));
    block_public_lists();
    for (size_t i = 1; i < 4; i++) {
        const char *headers[] = {"x-amz-acl", canned[i].name, NULL};

        refused(PUT("new", "x", .headers = headers), "AccessDenied", 403, "");
        refused(S3_CASE(PUT_OBJECT_ACL, "k", .headers = headers),
                "AccessDenied", 403, "");
        refused(S3_CASE(PUT_BUCKET_ACL, NULL, .headers = headers),
                "AccessDenied", 403, "");
        refused(put_list(NULL,
                         policy_of(tester, "tester", GROUP(ALL_USERS, "READ"))),
                "AccessDenied", 403, "");
    }
    s3_expect(&fixture, 404, HEAD("new"));
    s3_expect(&fixture, 200,
              S3_CASE(PUT_BUCKET_ACL, NULL,
                      .headers = FIELDS("x-amz-acl", "log-delivery-write")));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(canned_lists_grant_what_s3_says),
        TEST(canned_lists_that_are_none),
        TEST(headers_grant),
        TEST(headers_that_grant_nothing),
        TEST(documents_are_kept_as_put),
        TEST(malformed_documents),
        TEST(a_hundred_grants_and_no_more),
        TEST(long_lists_with_long_keys),
        TEST(copies_are_private),
        TEST(renames_and_appends_keep_lists),
        TEST(who_appends_can_read),
        TEST(versions_have_lists_of_their_own),
        TEST(lists_do_not_count_where_the_owner_owns_all),
        TEST(a_bucket_that_grants_cannot_do_without_lists),
        TEST(new_buckets),
        TEST(the_bucket_owner_is_given_what_it_prefers),
        TEST(uploads_bring_their_lists),
        TEST(public_lists_can_be_blocked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
