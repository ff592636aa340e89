/* What lists allow: every permission against every action. */
#include "s3_fixture.h"

#include "s3/acl.h"
#include "s3/document.h"

static const char OWNER[] = "1111";
static const char WRITER[] = "2222";
static const char FRIEND[] = "3333";
static const char STRANGER[] = "4444";

static const uint32_t permissions[] = {
    META__ACL_PERMISSION__READ, META__ACL_PERMISSION__WRITE,
    META__ACL_PERMISSION__READ_ACP, META__ACL_PERMISSION__WRITE_ACP};

static struct iam_identity account(const char *user)
{
    struct iam_identity identity;

    memset(&identity, 0, sizeof(identity));
    snprintf(identity.user, sizeof(identity.user), "%s", user);
    return identity;
}

/* A list of one grant. */
struct list {
    Meta__Acl acl;
    Meta__Grant grant, *grants[1];
};

static const Meta__Acl *list_of(struct list *list, const char *grantee,
                                Meta__AclGroup group, uint32_t granted)
{
    meta__acl__init(&list->acl);
    meta__grant__init(&list->grant);
    list->grant.grantee = fixture_string(grantee);
    list->grant.group = group;
    list->grant.permissions = granted;
    list->grants[0] = &list->grant;
    list->acl.grants = list->grants;
    list->acl.n_grants = 1;
    return &list->acl;
}

static bool allows(const Meta__Acl *acl, const char *user, uint32_t wanted)
{
    const struct iam_identity who = account(user);

    return acl_allows(acl, slice_from_string(OWNER), &who, wanted);
}

static void each_grant_gives_its_permission_only(void **state)
{
    struct list list;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const Meta__Acl *acl =
            list_of(&list, FRIEND, META__ACL_GROUP__NO_GROUP, permissions[i]);

        for (size_t j = 0; j < 4; j++) {
            assert_int_equal(allows(acl, FRIEND, permissions[j]), i == j);
            assert_true(allows(acl, OWNER, permissions[j]));
            assert_false(allows(acl, STRANGER, permissions[j]));
            assert_false(allows(acl, "", permissions[j]));
        }
        assert_false(allows(acl, FRIEND, ACL_FULL_CONTROL));
    }
    list_of(&list, FRIEND, META__ACL_GROUP__NO_GROUP, ACL_FULL_CONTROL);
    for (size_t j = 0; j < 4; j++) {
        assert_true(allows(&list.acl, FRIEND, permissions[j]));
    }
}

static void groups_hold_whom_they_name(void **state)
{
    static const struct {
        Meta__AclGroup group;
        bool anonymous, somebody, is_public;
    } cases[] = {
        {META__ACL_GROUP__NO_GROUP, false, false, false},
        {META__ACL_GROUP__ALL_USERS, true, true, true},
        {META__ACL_GROUP__AUTHENTICATED_USERS, false, true, true},
        {META__ACL_GROUP__LOG_DELIVERY, false, false, false},
    };
    struct list list;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const Meta__Acl *acl =
            list_of(&list, "", cases[i].group, META__ACL_PERMISSION__READ);

        assert_int_equal(allows(acl, "", META__ACL_PERMISSION__READ),
                         cases[i].anonymous);
        assert_int_equal(allows(acl, STRANGER, META__ACL_PERMISSION__READ),
                         cases[i].somebody);
        assert_false(allows(acl, STRANGER, META__ACL_PERMISSION__WRITE));
        assert_int_equal(acl_is_public(acl), cases[i].is_public);
        assert_false(acl_is_private(acl, slice_from_string(OWNER)));
    }
}

static void nobody_owns_what_has_no_owner(void **state)
{
    const struct iam_identity anonymous = account("");

    (void)state;
    assert_false(acl_allows(NULL, slice_of("", 0), &anonymous,
                            META__ACL_PERMISSION__READ));
    assert_true(allows(NULL, OWNER, META__ACL_PERMISSION__WRITE_ACP));
    assert_false(allows(NULL, STRANGER, META__ACL_PERMISSION__READ));
    assert_false(allows(NULL, OWNER, META__ACL_PERMISSION__NO_PERMISSION));
}

static void private_is_the_owner_alone(void **state)
{
    struct list list;

    (void)state;
    assert_true(acl_is_private(NULL, slice_from_string(OWNER)));
    list_of(&list, OWNER, META__ACL_GROUP__NO_GROUP, ACL_FULL_CONTROL);
    assert_true(acl_is_private(&list.acl, slice_from_string(OWNER)));
    assert_false(acl_is_private(&list.acl, slice_from_string(WRITER)));
    assert_false(acl_is_public(&list.acl));
}

/* The published table. */
static const struct {
    const char *action;
    uint32_t bucket, object;
} actions[] = {
    {"s3:ListBucket", META__ACL_PERMISSION__READ, 0},
    {"s3:ListBucketVersions", META__ACL_PERMISSION__READ, 0},
    {"s3:ListBucketMultipartUploads", META__ACL_PERMISSION__READ, 0},
    {"s3:PutObject", META__ACL_PERMISSION__WRITE, 0},
    {"s3:DeleteObject", META__ACL_PERMISSION__WRITE, 0},
    {"s3:GetBucketAcl", META__ACL_PERMISSION__READ_ACP, 0},
    {"s3:PutBucketAcl", META__ACL_PERMISSION__WRITE_ACP, 0},
    {"s3:GetObject", 0, META__ACL_PERMISSION__READ},
    {"s3:GetObjectVersion", 0, META__ACL_PERMISSION__READ},
    {"s3:GetObjectAcl", 0, META__ACL_PERMISSION__READ_ACP},
    {"s3:GetObjectVersionAcl", 0, META__ACL_PERMISSION__READ_ACP},
    {"s3:PutObjectAcl", 0, META__ACL_PERMISSION__WRITE_ACP},
    {"s3:PutObjectVersionAcl", 0, META__ACL_PERMISSION__WRITE_ACP},
    {"s3:DeleteObjectVersion", 0, 0},
    {"s3:DeleteBucket", 0, 0},
    {"s3:GetObjectTagging", 0, 0},
    {"s3:PutObjectTagging", 0, 0},
    {"s3:PutObjectRetention", 0, 0},
    {"s3:BypassGovernanceRetention", 0, 0},
    {"s3:GetObjectAttributes", 0, 0},
    {"s3:PutBucketPolicy", 0, 0},
    {"s3:PutBucketOwnershipControls", 0, 0},
    {"s3:ListAllMyBuckets", 0, 0},
    {"s3:CreateBucket", 0, 0},
    {"", 0, 0},
};

static void set_ownership(Meta__Bucket *bucket, Meta__Field *field,
                          Meta__Field **documents, const char *value)
{
    meta__field__init(field);
    field->name = fixture_string(DOCUMENT_OWNERSHIP);
    field->value = fixture_string(value);
    documents[0] = field;
    bucket->documents = documents;
    bucket->n_documents = 1;
}

/* Every permission, on the bucket and on the object, against every action. */
static void actions_are_allowed_as_published(void **state)
{
    Meta__Bucket bucket = META__BUCKET__INIT;
    Meta__Object object = META__OBJECT__INIT;
    const struct iam_identity friend = account(FRIEND);
    const struct iam_identity writer = account(WRITER);
    Meta__Field field, *documents[1];
    struct list of_bucket, of_object;

    (void)state;
    bucket.owner = fixture_string(OWNER);
    object.owner = fixture_string(WRITER);
    bucket.acl = &of_bucket.acl;
    object.acl = &of_object.acl;
    for (size_t a = 0; a < sizeof(actions) / sizeof(actions[0]); a++) {
        const char *action = actions[a].action;

        assert_int_equal(acl_bucket_permission(action), actions[a].bucket);
        assert_int_equal(acl_object_permission(action), actions[a].object);
        for (size_t i = 0; i < 16; i++) {
            const uint32_t on_bucket = permissions[i / 4];
            const uint32_t on_object = permissions[i % 4];

            list_of(&of_bucket, FRIEND, META__ACL_GROUP__NO_GROUP, on_bucket);
            list_of(&of_object, FRIEND, META__ACL_GROUP__NO_GROUP, on_object);
            set_ownership(&bucket, &field, documents, "ObjectWriter");
            assert_int_equal(
                acl_grants(&bucket, &object, &friend, action, false),
                on_bucket == actions[a].bucket ||
                    on_object == actions[a].object);
            assert_int_equal(acl_grants(&bucket, NULL, &friend, action, true),
                             on_bucket == actions[a].bucket);
            assert_int_equal(
                acl_grants(&bucket, &object, &writer, action, false),
                actions[a].object != 0);
            set_ownership(&bucket, &field, documents, "BucketOwnerEnforced");
            assert_false(acl_grants(&bucket, &object, &friend, action, false));
            assert_false(acl_grants(&bucket, &object, &writer, action, false));
        }
    }
}

static void public_lists_can_be_ignored(void **state)
{
    Meta__Bucket bucket = META__BUCKET__INIT;
    const struct iam_identity stranger = account(STRANGER);
    struct list list;

    (void)state;
    bucket.owner = fixture_string(OWNER);
    bucket.acl = (Meta__Acl *)list_of(&list, "", META__ACL_GROUP__ALL_USERS,
                                      META__ACL_PERMISSION__READ);
    assert_true(acl_grants(&bucket, NULL, &stranger, "s3:ListBucket", false));
    assert_false(acl_grants(&bucket, NULL, &stranger, "s3:ListBucket", true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_grant_gives_its_permission_only),
        cmocka_unit_test(groups_hold_whom_they_name),
        cmocka_unit_test(nobody_owns_what_has_no_owner),
        cmocka_unit_test(private_is_the_owner_alone),
        cmocka_unit_test(actions_are_allowed_as_published),
        cmocka_unit_test(public_lists_can_be_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
