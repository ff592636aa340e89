/*
 * Users, groups, roles, policies and service accounts: what is refused, what
 * they may, and that a restart keeps all of it.
 */
#include "iam_fixture.h"

#include "iam/private.h"
#include "records.pb-c.h"
#include "set_clock.h"

#define ALLOW(action)                                                          \
    SLICE_LITERAL("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":"    \
                  "\"Allow\",\"Action\":\"" action "\",\"Resource\":\"*\"}]}")
#define TRUST                                                                  \
    SLICE_LITERAL(                                                             \
        "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\","    \
        "\"Principal\":{\"AWS\":\"*\"},\"Action\":\"sts:AssumeRole\"}]}")
#define READ_ONLY "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"

static char message[POLICY_MESSAGE_MAX];
static struct iam_account account;

static int setup_account(void **state)
{
    struct iam_credentials key;
    int rc = setup(state);

    add_account(*state, "root", true, &account, &key);
    return rc;
}

#define TEST_ACCOUNT(name)                                                     \
    cmocka_unit_test_setup_teardown(name, setup_account, teardown)

static struct iam_name named(enum iam_kind kind, const char *name)
{
    return (struct iam_name){kind, account.number, name};
}

static int create(struct fixture *f, enum iam_kind kind, const char *name,
                  struct slice document)
{
    const struct iam_new_entity wanted = {.name = named(kind, name),
                                          .document = document};

    return iam_create(f->iam, &wanted, NULL, message);
}

static void add_key(struct fixture *f, const char *user,
                    struct iam_credentials *key)
{
    const struct iam_new_key wanted = {.account = account.number, .user = user};

    assert_int_equal(iam_key_add(f->iam, &wanted, key, message), 0);
}

static size_t no_values(void *context, struct slice key, struct slice *values)
{
    (void)context, (void)key, (void)values;
    return 0;
}

static bool identity_may(const struct iam_identity *identity,
                         const char *action)
{
    struct policy_inputs inputs = {.same_account = true};
    const struct policy_request request = {
        .principal = {.arn = slice_from_string(identity->arn),
                      .account = slice_from_string(identity->account)},
        .action = slice_from_string(action),
        .resource = SLICE_LITERAL("arn:aws:s3:::b/k"),
        .values = no_values,
    };

    iam_rights_inputs(identity, &inputs);
    return policy_decide(&inputs, &request).allowed;
}

static bool may(struct fixture *f, const struct iam_credentials *key,
                const char *action)
{
    struct iam_identity identity;
    bool answer;

    identify(f, key, &identity);
    answer = identity_may(&identity, action);
    iam_identity_release(&identity);
    return answer;
}

/* --- names -----------------------------------------------------------------*/

static void test_names(void **state)
{
    struct fixture *f = *state;
    struct iam_new_entity wanted = {.name = named(IAM_USER, "alice"),
                                    .path = "/a/b/"};
    struct iam_entity made, found;
    char arn[IAM_ARN_MAX + 1];

    assert_int_equal(iam_create(f->iam, &wanted, &made, message), 0);
    snprintf(arn, sizeof(arn), "arn:aws:iam::%s:user/a/b/alice",
             account.number);
    assert_string_equal(made.arn, arn);
    assert_memory_equal(made.id, "AIDA", 4);
    assert_int_equal(strlen(made.id), 21);
    assert_int_equal(iam_get_by_arn(f->iam, arn, &found), 0);
    assert_string_equal(found.id, made.id);
    snprintf(arn, sizeof(arn), "arn:aws:iam::%s:user/alice", account.number);
    assert_int_equal(iam_get_by_arn(f->iam, arn, &found), -ENOENT);
    assert_int_equal(iam_get_by_arn(f->iam, "arn:aws:iam::", &found), -ENOENT);
    assert_int_equal(create(f, IAM_USER, "ALICE", ALLOW("*")), -EEXIST);
    assert_int_equal(create(f, IAM_GROUP, "alice", ALLOW("*")), 0);
    assert_int_equal(create(f, IAM_USER, "a b", ALLOW("*")), -EINVAL);
    assert_int_equal(create(f, IAM_USER, "", ALLOW("*")), -EINVAL);
    wanted.name.name = "bob";
    wanted.path = "no/slash";
    assert_int_equal(iam_create(f->iam, &wanted, &made, message), -EINVAL);
    wanted.path = NULL;
    wanted.max_session_s = 3600;
    assert_int_equal(iam_create(f->iam, &wanted, &made, message), -EINVAL);
    wanted.max_session_s = 0;
    wanted.name.account = "000000000000";
    assert_int_equal(iam_create(f->iam, &wanted, &made, message), -ENOENT);
    wanted.name.account = IAM_BUILT_IN;
    assert_int_equal(iam_create(f->iam, &wanted, &made, message), -ENOENT);
}

static void test_rename(void **state)
{
    struct fixture *f = *state;
    struct iam_name alice = named(IAM_USER, "alice");
    struct iam_name carol = named(IAM_USER, "Carol");
    struct iam_credentials key;
    struct iam_identity identity;
    struct iam_entity before, after;

    create(f, IAM_USER, "alice", (struct slice){0});
    create(f, IAM_USER, "bob", (struct slice){0});
    add_key(f, "alice", &key);
    assert_int_equal(iam_get(f->iam, &alice, &before), 0);
    assert_int_equal(iam_rename(f->iam, &alice, "bob", NULL), -EEXIST);
    assert_int_equal(iam_rename(f->iam, &alice, "b b", NULL), -EINVAL);
    assert_int_equal(iam_rename(f->iam, &alice, "Carol", "/x/"), 0);
    assert_int_equal(iam_get(f->iam, &alice, &after), -ENOENT);
    assert_int_equal(iam_rename(f->iam, &alice, "dora", NULL), -ENOENT);
    reopen(f);
    assert_int_equal(iam_get(f->iam, &carol, &after), 0);
    assert_string_equal(after.id, before.id);
    identify(f, &key, &identity);
    assert_string_equal(identity.user_name, "Carol");
    assert_non_null(strstr(identity.arn, ":user/x/Carol"));
    assert_string_equal(identity.user_id, before.id);
    assert_string_equal(identity.user, account.id);
    assert_false(identity.root);
    assert_false(identity.account_root);
    iam_identity_release(&identity);
}

static bool gather(const struct iam_entity *entity, void *context)
{
    struct buffer *names = context;

    buffer_printf(names, "%s,", entity->name);
    return true;
}

static void check_names(struct buffer *names, const char *want)
{
    buffer_append(names, "", 1);
    assert_string_equal(names->data, want);
    buffer_free(names);
}

static void test_list(void **state)
{
    struct fixture *f = *state;
    struct buffer names = {0};

    create(f, IAM_USER, "b", (struct slice){0});
    create(f, IAM_USER, "A", (struct slice){0});
    create(f, IAM_USER, "c", (struct slice){0});
    create(f, IAM_GROUP, "g", (struct slice){0});
    iam_list(f->iam, IAM_USER, account.number, NULL, NULL, gather, &names);
    check_names(&names, "A,b,c,");
    iam_list(f->iam, IAM_USER, account.number, "/", "a", gather, &names);
    check_names(&names, "b,c,");
    iam_list(f->iam, IAM_USER, account.number, "/x/", NULL, gather, &names);
    check_names(&names, "");
    iam_list(f->iam, IAM_POLICY, IAM_BUILT_IN, NULL, NULL, gather, &names);
    check_names(
        &names,
        "AdministratorAccess,AmazonS3FullAccess,AmazonS3ReadOnlyAccess,");
}

/* --- rights ----------------------------------------------------------------*/

static void test_user_rights(void **state)
{
    struct fixture *f = *state;
    const struct iam_name alice = named(IAM_USER, "alice");
    struct iam_credentials key;
    struct buffer json = {0};

    create(f, IAM_USER, "alice", (struct slice){0});
    add_key(f, "alice", &key);
    assert_false(may(f, &key, "s3:GetObject"));
    assert_int_equal(
        iam_inline_put(f->iam, &alice, "p", ALLOW("s3:GetObject"), message), 0);
    assert_true(may(f, &key, "s3:GetObject"));
    assert_false(may(f, &key, "s3:PutObject"));
    reopen(f);
    assert_true(may(f, &key, "s3:GetObject"));
    assert_int_equal(iam_inline_get(f->iam, &alice, "p", &json), 0);
    assert_true(
        slice_equal(slice_of(json.data, json.size), ALLOW("s3:GetObject")));
    buffer_free(&json);
    assert_int_equal(iam_inline_get(f->iam, &alice, "q", &json), -ENOENT);
    assert_int_equal(
        iam_inline_put(f->iam, &alice, "p", SLICE_LITERAL("{"), message),
        -EINVAL);
    assert_string_not_equal(message, "");
    assert_int_equal(iam_inline_delete(f->iam, &alice, "q"), -ENOENT);
    assert_int_equal(iam_inline_delete(f->iam, &alice, "p"), 0);
    assert_false(may(f, &key, "s3:GetObject"));
}

static void test_group_and_managed_rights(void **state)
{
    struct fixture *f = *state;
    const struct iam_name alice = named(IAM_USER, "alice");
    const struct iam_name team = named(IAM_GROUP, "team");
    const struct iam_name own = named(IAM_POLICY, "own");
    struct iam_credentials key;
    struct iam_entity policy;
    struct buffer names = {0};

    create(f, IAM_USER, "alice", (struct slice){0});
    create(f, IAM_GROUP, "team", (struct slice){0});
    assert_int_equal(create(f, IAM_POLICY, "own", ALLOW("s3:PutObject")), 0);
    assert_int_equal(iam_get(f->iam, &own, &policy), 0);
    add_key(f, "alice", &key);
    assert_int_equal(iam_attach(f->iam, &team, READ_ONLY), 0);
    assert_int_equal(iam_attach(f->iam, &team, READ_ONLY), 0);
    assert_int_equal(iam_attach(f->iam, &team, policy.arn), 0);
    assert_int_equal(iam_attach(f->iam, &team, "arn:aws:iam::aws:policy/No"),
                     -ENOENT);
    assert_false(may(f, &key, "s3:GetObject"));
    assert_int_equal(iam_join(f->iam, &alice, "nobody"), -ENOENT);
    assert_int_equal(iam_leave(f->iam, &alice, "team"), -ENOENT);
    assert_int_equal(iam_join(f->iam, &alice, "TEAM"), 0);
    assert_true(may(f, &key, "s3:GetObject"));
    assert_true(may(f, &key, "s3:PutObject"));
    assert_int_equal(
        iam_document_put(f->iam, &own, ALLOW("s3:DeleteObject"), message), 0);
    assert_false(may(f, &key, "s3:PutObject"));
    assert_true(may(f, &key, "s3:DeleteObject"));
    reopen(f);
    assert_true(may(f, &key, "s3:GetObject"));
    assert_true(may(f, &key, "s3:DeleteObject"));
    assert_int_equal(iam_get(f->iam, &own, &policy), 0);
    assert_int_equal(policy.version, 2);
    assert_int_equal(policy.attachments, 1);
    iam_members_of(f->iam, &team, gather, &names);
    iam_groups_of(f->iam, &alice, gather, &names);
    iam_attachments(f->iam, policy.arn, gather, &names);
    check_names(&names, "alice,team,team,");
    assert_int_equal(iam_delete(f->iam, &team, false), -EBUSY);
    assert_int_equal(iam_delete(f->iam, &own, false), -EBUSY);
    assert_int_equal(iam_delete(f->iam, &alice, false), -EBUSY);
    assert_int_equal(iam_delete(f->iam, &own, true), 0);
    assert_false(may(f, &key, "s3:DeleteObject"));
    assert_true(may(f, &key, "s3:GetObject"));
    assert_int_equal(iam_delete(f->iam, &team, true), 0);
    assert_false(may(f, &key, "s3:GetObject"));
    assert_int_equal(iam_delete(f->iam, &alice, true), 0);
    assert_int_equal(authenticate(f, key.access_key, 1), -ENOENT);
    reopen(f);
    assert_int_equal(iam_get(f->iam, &alice, &policy), -ENOENT);
}

/* Rights that a request holds outlive the user. */
static void test_rights_outlive(void **state)
{
    struct fixture *f = *state;
    const struct iam_name alice = named(IAM_USER, "alice");
    struct iam_identity identity, copy;
    struct iam_credentials key;

    create(f, IAM_USER, "alice", (struct slice){0});
    add_key(f, "alice", &key);
    assert_int_equal(iam_attach(f->iam, &alice, READ_ONLY), 0);
    identify(f, &key, &identity);
    copy = identity;
    iam_identity_retain(&copy);
    assert_int_equal(iam_delete(f->iam, &alice, true), 0);
    assert_true(identity_may(&identity, "s3:GetObject"));
    iam_identity_release(&identity);
    assert_true(identity_may(&copy, "s3:GetObject"));
    assert_string_equal(iam_rights_name(&copy, false, 0), READ_ONLY);
    iam_identity_release(&copy);
}

static void test_limits(void **state)
{
    struct fixture *f = *state;
    const struct iam_name alice = named(IAM_USER, "alice");
    struct iam_new_key wanted = {
        .account = account.number, .user = "alice", .limit = 2};
    struct iam_credentials key;
    struct iam_entity policy;
    char name[16], large[IAM_USER_INLINE_MAX + 200];
    int i;

    create(f, IAM_USER, "alice", (struct slice){0});
    for (i = 0; i < IAM_GROUPS_MAX + 1; i++) {
        snprintf(name, sizeof(name), "g%d", i);
        create(f, IAM_GROUP, name, (struct slice){0});
        assert_int_equal(iam_join(f->iam, &alice, name),
                         i < IAM_GROUPS_MAX ? 0 : -EDQUOT);
        create(f, IAM_POLICY, name, ALLOW("*"));
        const struct iam_name p = named(IAM_POLICY, name);
        assert_int_equal(iam_get(f->iam, &p, &policy), 0);
        assert_int_equal(iam_attach(f->iam, &alice, policy.arn),
                         i < IAM_ATTACHED_MAX ? 0 : -EDQUOT);
    }
    for (i = 0; i < 3; i++) {
        assert_int_equal(iam_key_add(f->iam, &wanted, &key, message),
                         i < 2 ? 0 : -EDQUOT);
    }
    memset(large, ' ', sizeof(large));
    memcpy(large, ALLOW("s3:*").data, ALLOW("s3:*").size);
    assert_int_equal(iam_inline_put(f->iam, &alice, "wide",
                                    slice_of(large, sizeof(large)), message),
                     0);
    memset(large, 'x', sizeof(large));
    assert_int_equal(iam_inline_put(f->iam, &alice, "large",
                                    slice_of(large, sizeof(large)), message),
                     -E2BIG);
    for (i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        if (iam_inline_put(f->iam, &alice, name, ALLOW("s3:*"), message) != 0) {
            break;
        }
    }
    assert_true(i > 10 && i < 40); /* all together */
}

static void test_built_in_stays(void **state)
{
    struct fixture *f = *state;
    const struct iam_name name = {IAM_POLICY, IAM_BUILT_IN,
                                  "AmazonS3ReadOnlyAccess"};

    assert_int_equal(iam_delete(f->iam, &name, true), -EPERM);
    assert_int_equal(iam_document_put(f->iam, &name, ALLOW("*"), message),
                     -EPERM);
    assert_int_equal(iam_describe(f->iam, &name, "mine", 0), -EPERM);
}

static void test_account_with_entities_stays(void **state)
{
    struct fixture *f = *state;
    struct iam_account other;
    struct iam_credentials key;
    struct iam_name user = {IAM_USER, other.number, "u"};
    struct iam_new_entity wanted = {.name = user};

    add_account(f, "other", false, &other, &key);
    assert_int_equal(iam_create(f->iam, &wanted, NULL, message), 0);
    assert_int_equal(iam_account_delete(f->iam, other.number), -EBUSY);
    assert_int_equal(iam_delete(f->iam, &user, false), 0);
    assert_int_equal(iam_account_delete(f->iam, other.number), 0);
    assert_int_equal(iam_account_delete(f->iam, other.number), -ENOENT);
}

/* --- service accounts ------------------------------------------------------*/

static void test_service_account(void **state)
{
    struct fixture *f = *state;
    const struct iam_name alice = named(IAM_USER, "alice");
    struct iam_new_key wanted = {.account = account.number,
                                 .user = "alice",
                                 .policy = ALLOW("s3:GetObject"),
                                 .description = "backup"};
    struct iam_credentials narrow, root;
    struct buffer json = {0};
    struct iam_key shown;

    create(f, IAM_USER, "alice", (struct slice){0});
    assert_int_equal(iam_key_add(f->iam, &wanted, &narrow, message), -EINVAL);
    wanted.service_account = true;
    assert_int_equal(iam_key_add(f->iam, &wanted, &narrow, message), 0);
    assert_false(may(f, &narrow, "s3:GetObject")); /* its user may not */
    assert_int_equal(iam_attach(f->iam, &alice,
                                "arn:aws:iam::aws:policy/AmazonS3FullAccess"),
                     0);
    assert_true(may(f, &narrow, "s3:GetObject"));
    assert_false(may(f, &narrow, "s3:PutObject"));
    wanted.user = NULL;
    assert_int_equal(iam_key_add(f->iam, &wanted, &root, message), 0);
    assert_true(may(f, &root, "s3:GetObject"));
    assert_false(may(f, &root, "s3:PutObject"));
    reopen(f);
    assert_false(may(f, &narrow, "s3:PutObject"));
    assert_false(may(f, &root, "s3:PutObject"));
    assert_int_equal(iam_key_get(f->iam, narrow.access_key, &shown), 0);
    assert_true(shown.service_account);
    assert_string_equal(shown.description, "backup");
    assert_string_equal(shown.user, "alice");
    assert_int_equal(iam_key_policy_get(f->iam, narrow.access_key, &json), 0);
    assert_true(
        slice_equal(slice_of(json.data, json.size), ALLOW("s3:GetObject")));
    buffer_free(&json);
    assert_int_equal(iam_key_policy_put(f->iam, narrow.access_key,
                                        ALLOW("s3:PutObject"), message),
                     0);
    assert_false(may(f, &narrow, "s3:GetObject"));
    assert_true(may(f, &narrow, "s3:PutObject"));
    assert_int_equal(iam_key_policy_put(f->iam, narrow.access_key,
                                        (struct slice){0}, message),
                     0);
    assert_true(may(f, &narrow, "s3:GetObject"));
    assert_int_equal(iam_key_policy_get(f->iam, narrow.access_key, &json),
                     -ENOENT);
    assert_int_equal(iam_key_policy_put(f->iam, "UNKNOWN", ALLOW("*"), message),
                     -ENOENT);
}

/* --- sessions --------------------------------------------------------------*/

static void make_role(struct fixture *f, struct iam_name *role)
{
    *role = named(IAM_ROLE, "reader");
    assert_int_equal(create(f, IAM_ROLE, "reader", TRUST), 0);
    assert_int_equal(iam_attach(f->iam, role, READ_ONLY), 0);
}

static void test_role_session(void **state)
{
    struct fixture *f = *state;
    struct iam_name role;
    struct iam_new_session wanted = {
        .role = &role, .session_name = "me", .seconds = 900};
    struct iam_credentials key;
    struct iam_identity identity;
    struct policy *trust;
    uint64_t generation;
    char arn[IAM_ARN_MAX];

    make_role(f, &role);
    assert_int_equal(iam_role_trust(f->iam, &role, &trust), 0);
    policy_release(trust);
    assert_int_equal(iam_session_add(f->iam, &wanted, &key, message), 0);
    assert_memory_equal(key.access_key, "ASIA", 4);
    reopen(f);
    identify(f, &key, &identity);
    snprintf(arn, sizeof(arn), "arn:aws:sts::%s:assumed-role/reader/me",
             account.number);
    assert_string_equal(identity.arn, arn);
    assert_non_null(strstr(identity.role_arn, ":role/reader"));
    assert_string_equal(identity.user_name, "");
    assert_memory_equal(identity.user_id, "AROA", 4);
    assert_string_equal(identity.user_id + 21, ":me");
    assert_true(identity.temporary);
    iam_identity_release(&identity);
    assert_true(may(f, &key, "s3:GetObject"));
    assert_false(may(f, &key, "s3:PutObject"));
    generation = generation_of(f, key.access_key);
    assert_int_equal(authenticate(f, key.access_key, generation), -EBADMSG);
    assert_int_equal(iam_authenticate(f->iam, slice_from_string(key.access_key),
                                      generation, SLICE_LITERAL("wrong"),
                                      &identity),
                     -EBADMSG);
    assert_int_equal(iam_key_delete(f->iam, key.access_key), -ENOENT);
    assert_int_equal(iam_delete(f->iam, &role, true), 0);
    assert_int_equal(authenticate(f, key.access_key, generation), -ENOENT);
}

static void test_narrowed_session(void **state)
{
    static const char *const arns[] = {
        "arn:aws:iam::aws:policy/AmazonS3FullAccess"};
    struct fixture *f = *state;
    struct iam_name role;
    struct iam_new_session wanted = {.role = &role,
                                     .session_name = "me",
                                     .seconds = 900,
                                     .policy = ALLOW("s3:ListBucket")};
    struct iam_credentials key;

    make_role(f, &role);
    assert_int_equal(iam_session_add(f->iam, &wanted, &key, message), 0);
    assert_true(may(f, &key, "s3:ListBucket"));
    assert_false(may(f, &key, "s3:GetObject"));
    assert_int_equal(iam_detach(f->iam, &role, READ_ONLY), 0);
    assert_false(may(f, &key, "s3:ListBucket"));
    assert_int_equal(iam_detach(f->iam, &role, READ_ONLY), -ENOENT);
    assert_int_equal(iam_attach(f->iam, &role, READ_ONLY), 0);
    assert_true(may(f, &key, "s3:ListBucket"));
    reopen(f);
    assert_false(may(f, &key, "s3:GetObject"));
    wanted.policy_arns = arns;
    wanted.policy_arn_count = 1;
    assert_int_equal(iam_session_add(f->iam, &wanted, &key, message), 0);
    assert_true(may(f, &key, "s3:GetObject"));
    assert_false(may(f, &key, "s3:PutObject"));
}

static void test_session_token_of_a_user(void **state)
{
    struct fixture *f = *state;
    struct iam_credentials own, session, refused;
    struct iam_new_session wanted = {.access_key = own.access_key,
                                     .seconds = 900};
    const struct iam_new_key service = {
        .account = account.number, .user = "alice", .service_account = true};
    struct iam_identity identity;

    create(f, IAM_USER, "alice", (struct slice){0});
    add_key(f, "alice", &own);
    assert_int_equal(iam_session_add(f->iam, &wanted, &session, message), 0);
    identify(f, &session, &identity);
    assert_string_equal(identity.user_name, "alice");
    iam_identity_release(&identity);
    wanted.access_key = session.access_key;
    assert_int_equal(iam_session_add(f->iam, &wanted, &refused, message),
                     -EPERM);
    assert_string_equal(refused.secret_key, "");
    assert_int_equal(iam_key_add(f->iam, &service, &own, message), 0);
    wanted.access_key = own.access_key;
    assert_int_equal(iam_session_add(f->iam, &wanted, &refused, message),
                     -EPERM);
    wanted.access_key = "UNKNOWN";
    assert_int_equal(iam_session_add(f->iam, &wanted, &refused, message),
                     -ENOENT);
}

static void test_refused_sessions(void **state)
{
    struct fixture *f = *state;
    struct iam_name role;
    const struct iam_new_session good = {
        .role = &role, .session_name = "me", .seconds = 900};
    struct iam_new_session wanted = good;
    struct iam_credentials key;

    make_role(f, &role);
    wanted.seconds = 899;
    assert_int_equal(iam_session_add(f->iam, &wanted, &key, message), -EINVAL);
    wanted.seconds = 3601; /* more than the role allows */
    assert_int_equal(iam_session_add(f->iam, &wanted, &key, message), -EINVAL);
    assert_int_equal(iam_describe(f->iam, &role, NULL, 7200), 0);
    assert_int_equal(iam_session_add(f->iam, &wanted, &key, message), 0);
    wanted = good;
    wanted.session_name = "a b";
    assert_int_equal(iam_session_add(f->iam, &wanted, &key, message), -EINVAL);
    wanted = good;
    wanted.policy = SLICE_LITERAL("[]");
    assert_int_equal(iam_session_add(f->iam, &wanted, &key, message), -EINVAL);
    role.name = "nobody";
    assert_int_equal(iam_session_add(f->iam, &good, &key, message), -ENOENT);
}

/* As many as the user gets, at most `most`; then there are no more. */
static void take_sessions(struct fixture *f, const char *user, unsigned most)
{
    struct iam_credentials own, made;
    struct iam_new_session wanted = {.access_key = own.access_key,
                                     .seconds = 900};
    unsigned count = 0;

    create(f, IAM_USER, user, (struct slice){0});
    add_key(f, user, &own);
    while (count <= most &&
           iam_session_add(f->iam, &wanted, &made, message) == 0) {
        count++;
    }
    assert_int_equal(count, most);
    assert_int_equal(iam_session_add(f->iam, &wanted, &made, message), -EDQUOT);
}

/* Who needs no leave to ask for sessions cannot take them from others, of the
 * account or beside it. */
static void test_sessions_of_one_account(void **state)
{
    struct fixture *f = *state;
    struct iam_account other;
    struct iam_credentials theirs, made;
    struct iam_new_session wanted = {.access_key = theirs.access_key,
                                     .seconds = 900};
    char user[8];

    for (unsigned i = 0; i < 8; i++) {
        snprintf(user, sizeof(user), "user%u", i);
        take_sessions(f, user, 2048);
    }
    take_sessions(f, "last", 0);
    add_account(f, "other", false, &other, &theirs);
    assert_int_equal(iam_session_add(f->iam, &wanted, &made, message), 0);
}

/* Whose time is over takes no room. */
static void test_sessions_that_ran_out(void **state)
{
    struct fixture *f = *state;
    struct iam_credentials own, made;
    struct iam_new_session wanted = {.access_key = own.access_key,
                                     .seconds = 900};
    struct access_key *key;

    take_sessions(f, "greedy", 2048);
    add_key(f, "greedy", &own);
    assert_int_equal(iam_session_add(f->iam, &wanted, &made, message), -EDQUOT);
    for (size_t i = 0; i < f->iam->keys.count; i++) {
        key = f->iam->keys.items[i];
        if (key->temporary) {
            key->expires_ms = clock_wall_ms() - 1000;
        }
    }
    assert_int_equal(iam_session_add(f->iam, &wanted, &made, message), 0);
    assert_int_equal(f->iam->sessions, 2049);
    f->iam->sessions += 32768; /* others have half of the room */
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(iam_session_add(f->iam, &wanted, &made, message), 0);
    }
    assert_int_equal(f->iam->sessions, 32768 + 101);
    f->iam->sessions -= 32768;
}

/* Moves the end of a session in the store. */
static void set_expiry(struct fixture *f, const char *access_key,
                       uint64_t expires_ms)
{
    struct kv_batch *batch = kv_batch_new();
    struct arena *arena = arena_new();
    Meta__AccessKey *record;
    struct slice value;
    char name[32];

    snprintf(name, sizeof(name), "K%s", access_key);
    assert_int_equal(kv_get(f->kv, arena, slice_from_string(name), &value), 0);
    assert_int_equal(meta_unpack(arena, META_RECORD_ACCESS_KEY,
                                 &meta__access_key__descriptor, value,
                                 (ProtobufCMessage **)&record),
                     0);
    record->expires_ms = expires_ms;
    kv_batch_put(batch, slice_from_string(name),
                 meta_pack(arena, META_RECORD_ACCESS_KEY, &record->base));
    assert_int_equal(kv_commit(f->kv, batch), 0);
    kv_batch_free(batch);
    arena_free(arena);
    reopen(f);
}

/* It is told for a day that a session ran out; then the key is unknown. */
static void test_expired_session(void **state)
{
    struct fixture *f = *state;
    struct iam_name role;
    struct iam_new_session wanted = {
        .role = &role, .session_name = "me", .seconds = 900};
    struct iam_credentials key, next;
    struct iam_identity identity;
    struct slice token;
    uint64_t generation;

    make_role(f, &role);
    assert_int_equal(iam_session_add(f->iam, &wanted, &key, message), 0);
    generation = generation_of(f, key.access_key);
    token = slice_from_string(key.session_token);
    set_expiry(f, key.access_key, clock_wall_ms() - 1000);
    assert_int_equal(iam_authenticate(f->iam, slice_from_string(key.access_key),
                                      generation, token, &identity),
                     -EKEYEXPIRED);
    assert_int_equal(authenticate(f, key.access_key, generation), -EBADMSG);
    assert_int_equal(iam_session_add(f->iam, &wanted, &next, message), 0);
    assert_int_equal(authenticate(f, key.access_key, generation), -EBADMSG);
    set_expiry(f, key.access_key, clock_wall_ms() - 2 * 86400000ull);
    assert_int_equal(iam_session_add(f->iam, &wanted, &next, message), 0);
    assert_int_equal(authenticate(f, key.access_key, generation), -ENOENT);
    identify(f, &next, &identity);
    iam_identity_release(&identity);
    reopen(f);
    assert_int_equal(authenticate(f, key.access_key, generation), -ENOENT);
}

/* Made while the clock was ahead it would last for as long as that was. */
static void test_session_of_the_future(void **state)
{
    struct fixture *f = *state;
    struct iam_name role;
    struct iam_new_session wanted = {
        .role = &role, .session_name = "me", .seconds = 900};
    struct iam_credentials key, other;
    struct iam_identity identity;
    uint64_t generation;

    make_role(f, &role);
    clock_set(86400);
    assert_int_equal(iam_session_add(f->iam, &wanted, &key, message), 0);
    generation = generation_of(f, key.access_key);
    for (unsigned i = 0; i < 2; i++) { /* a clock that is a little back */
        clock_set(i == 0 ? 86400 : 86400 - 600);
        assert_int_equal(
            iam_authenticate(f->iam, slice_from_string(key.access_key),
                             generation, slice_from_string(key.session_token),
                             &identity),
            0);
        iam_identity_release(&identity);
    }
    clock_set(0);
    assert_int_equal(
        iam_authenticate(f->iam, slice_from_string(key.access_key), generation,
                         slice_from_string(key.session_token), &identity),
        -EKEYEXPIRED);

    f->iam->sessions += 32768; /* room is short: it goes */
    assert_int_equal(iam_session_add(f->iam, &wanted, &other, message), 0);
    f->iam->sessions -= 32768;
    assert_int_equal(
        iam_authenticate(f->iam, slice_from_string(key.access_key), generation,
                         slice_from_string(key.session_token), &identity),
        -ENOENT);
}

/* --- failures --------------------------------------------------------------*/

static void test_failed_commit_changes_nothing(void **state)
{
    struct fixture *f = *state;
    const struct iam_name alice = named(IAM_USER, "alice");
    const struct iam_name group = named(IAM_GROUP, "g");
    struct iam_entity found;
    struct iam_credentials key;

    create(f, IAM_USER, "alice", (struct slice){0});
    create(f, IAM_GROUP, "g", (struct slice){0});
    add_key(f, "alice", &key);
    assert_int_equal(iam_attach(f->iam, &alice, READ_ONLY), 0);
    kv_memory_fail_after(f->kv, 0);
    assert_int_equal(create(f, IAM_USER, "bob", (struct slice){0}), -EROFS);
    assert_int_equal(iam_detach(f->iam, &alice, READ_ONLY), -EROFS);
    assert_int_equal(
        iam_inline_put(f->iam, &alice, "p", ALLOW("s3:*"), message), -EROFS);
    assert_int_equal(iam_join(f->iam, &alice, "g"), -EROFS);
    assert_int_equal(iam_rename(f->iam, &alice, "carol", NULL), -EROFS);
    assert_int_equal(iam_delete(f->iam, &alice, true), -EROFS);
    assert_int_equal(iam_delete(f->iam, &group, false), -EROFS);
    assert_int_equal(iam_get(f->iam, &alice, &found), 0);
    assert_true(may(f, &key, "s3:GetObject"));
    assert_false(may(f, &key, "s3:PutObject"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_ACCOUNT(test_names),
        TEST_ACCOUNT(test_rename),
        TEST_ACCOUNT(test_list),
        TEST_ACCOUNT(test_user_rights),
        TEST_ACCOUNT(test_group_and_managed_rights),
        TEST_ACCOUNT(test_rights_outlive),
        TEST_ACCOUNT(test_limits),
        TEST_ACCOUNT(test_built_in_stays),
        TEST_ACCOUNT(test_account_with_entities_stays),
        TEST_ACCOUNT(test_service_account),
        TEST_ACCOUNT(test_role_session),
        TEST_ACCOUNT(test_narrowed_session),
        TEST_ACCOUNT(test_session_token_of_a_user),
        TEST_ACCOUNT(test_refused_sessions),
        TEST_ACCOUNT(test_sessions_of_one_account),
        TEST_ACCOUNT(test_sessions_that_ran_out),
        TEST_ACCOUNT(test_expired_session),
        TEST_ACCOUNT(test_session_of_the_future),
        TEST_ACCOUNT(test_failed_commit_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
