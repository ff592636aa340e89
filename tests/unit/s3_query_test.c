/* s3/: forms, and the answers of IAM and STS that take more than a client. */
#include "s3_fixture.h"

#include "s3/query.h"

#include <errno.h>

/* --- forms -----------------------------------------------------------------*/
static int parse(struct arena *arena, const char *text, struct query_form *form)
{
    return query_form_parse(arena, slice_from_string(text), form);
}

static void test_forms(void **state)
{
    struct arena *arena = arena_new();
    struct query_form form;

    (void)state;
    assert_int_equal(
        parse(arena, "a=1&b=x+y%2B%26&c&d=&%65=%C3%A4&f=a=b", &form), 0);
    assert_int_equal(form.count, 6);
    assert_string_equal(query_form_find(&form, "a"), "1");
    assert_string_equal(query_form_find(&form, "b"), "x y+&");
    assert_string_equal(query_form_find(&form, "c"), "");
    assert_string_equal(query_form_find(&form, "d"), "");
    assert_string_equal(query_form_find(&form, "e"), "\xc3\xa4");
    assert_string_equal(query_form_find(&form, "f"), "a=b");
    assert_null(query_form_find(&form, "A"));
    assert_null(query_form_find(&form, ""));
    assert_int_equal(query_form_add(arena, &form, SLICE_LITERAL("g"),
                                    SLICE_LITERAL("x+%2B")),
                     0);
    assert_string_equal(query_form_find(&form, "g"), "x+%2B");
    assert_int_equal(query_form_add(arena, &form, SLICE_LITERAL("a"),
                                    SLICE_LITERAL("twice")),
                     -EINVAL);
    assert_int_equal(query_form_add(arena, &form, SLICE_LITERAL("nul"),
                                    SLICE_LITERAL("x\0y")),
                     -EINVAL);
    assert_int_equal(parse(arena, "", &form), 0);
    assert_int_equal(form.count, 0);
    assert_int_equal(parse(arena, "&&a&&", &form), 0);
    assert_int_equal(form.count, 1);
    arena_free(arena);
}

static void test_what_is_no_form(void **state)
{
    static const char *const texts[] = {
        "=",       "=a",        "a=%",     "a=%4",        "a=%4g",
        "%zz=a",   "a=%00",     "a%00b=c", "a=%ff",       "a=%c3",
        "a=1&a=2", "a=1&%61=2", "a=\xff",  "a=%ed%a0%80",
    };
    struct arena *arena = arena_new();
    struct query_form form;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (parse(arena, texts[i], &form) != -EINVAL)
            fail_msg("%s is a form", texts[i]);
    arena_free(arena);
}

static void test_how_many_fields(void **state)
{
    struct arena *arena = arena_new();
    struct buffer text = {0};
    struct query_form form;

    (void)state;
    for (unsigned i = 0; i < QUERY_FIELDS_MAX; i++)
        buffer_printf(&text, "f%u=%u&", i, i);
    assert_int_equal(
        query_form_parse(arena, slice_of(text.data, text.size), &form), 0);
    assert_int_equal(form.count, QUERY_FIELDS_MAX);
    buffer_append_string(&text, "g");
    assert_int_equal(
        query_form_parse(arena, slice_of(text.data, text.size), &form),
        -EINVAL);
    buffer_free(&text);
    arena_free(arena);
}

/* --- requests --------------------------------------------------------------*/
struct holder { /* NULL: the fixture's root user */
    const char *access_key, *token;
    uint64_t generation;
};

static void query(struct s3_fixture *fixture, struct s3_answer *answer,
                  const char *service, const struct holder *holder,
                  const char *form)
{
    struct arena *arena = arena_new();
    const struct s3_case c = {.operation = WIRE__OPERATION__IAM_QUERY,
                              .body = form,
                              .size = strlen(form)};
    Wire__Request request;
    struct s3_call *call;

    s3_request(fixture, arena, &c, &request);
    request.service = fixture_string(service);
    if (holder != NULL) {
        request.access_key = fixture_string(holder->access_key);
        request.session_token = fixture_string(holder->token);
        request.key_generation = holder->generation;
    }
    call = s3_call_begin(&fixture->service, &request);
    if (s3_call_wants_body(call)) {
        s3_feed(call, form, strlen(form), 7);
        s3_call_end(call);
    }
    s3_collect(fixture, call, false, answer);
    arena_free(arena);
}

static void expect_query(struct s3_fixture *fixture, const char *service,
                         const struct holder *holder, const char *form,
                         unsigned status, const char *error)
{
    struct s3_answer answer;

    query(fixture, &answer, service, holder, form);
    assert_error(&answer, error, status);
    if (error[0] != '\0') {
        char code[80];

        snprintf(code, sizeof(code), "<Type>Sender</Type><Code>%s</Code>",
                 error);
        assert_contains(&answer, code);
        assert_contains(&answer, "<RequestId>0123456789ABCDEF</RequestId>");
    }
    s3_answer_free(&answer);
}

/* The end of a session is put into the past, in the store. */
static void expire(struct s3_fixture *fixture, const char *access_key)
{
    struct kv *kv = meta_kv(fixture->service.meta);
    struct kv_batch *batch = kv_batch_new();
    struct arena *arena = arena_new();
    Meta__AccessKey *record;
    struct slice value;
    char name[IAM_ACCESS_KEY_MAX + 2];

    snprintf(name, sizeof(name), "K%s", access_key);
    assert_int_equal(kv_get(kv, arena, slice_from_string(name), &value), 0);
    assert_int_equal(meta_unpack(arena, META_RECORD_ACCESS_KEY,
                                 &meta__access_key__descriptor, value,
                                 (ProtobufCMessage **)&record),
                     0);
    record->expires_ms = clock_wall_ms() - 1;
    kv_batch_put(batch, slice_from_string(name),
                 meta_pack(arena, META_RECORD_ACCESS_KEY, &record->base));
    assert_int_equal(kv_commit(kv, batch), 0);
    kv_batch_free(batch);
    arena_free(arena);
    iam_close(fixture->service.iam);
    assert_int_equal(iam_open(kv, fixture->master_key, &fixture->service.iam),
                     0);
}

#define WHO "Action=GetCallerIdentity&Version=2011-06-15"

static void test_expired_sessions(void **state)
{
    struct s3_fixture fixture;
    struct iam_credentials key;
    const struct iam_new_session wanted = {.access_key = FIXTURE_KEY,
                                           .seconds = IAM_SESSION_MIN_S};
    char message[POLICY_MESSAGE_MAX];
    struct holder holder;
    struct s3_answer answer;
    struct arena *arena = arena_new();
    struct s3_case list = {.operation = WIRE__OPERATION__LIST_BUCKETS};
    Wire__Request request;

    (void)state;
    s3_fixture_open(&fixture);
    assert_int_equal(
        iam_session_add(fixture.service.iam, &wanted, &key, message), 0);
    holder = (struct holder){key.access_key, key.session_token,
                             s3_key_generation(&fixture, key.access_key)};
    expect_query(&fixture, "sts", &holder, WHO, 200, "");
    expire(&fixture, key.access_key);
    expect_query(&fixture, "sts", &holder, WHO, 403, "ExpiredToken");
    expect_query(&fixture, "iam", &holder, "Action=ListUsers", 403,
                 "ExpiredToken");

    s3_request(&fixture, arena, &list, &request);
    request.access_key = fixture_string(holder.access_key);
    request.session_token = fixture_string(holder.token);
    request.key_generation = holder.generation;
    s3_collect(&fixture, s3_call_begin(&fixture.service, &request), false,
               &answer);
    assert_error(&answer, "ExpiredToken", 400);
    assert_contains(&answer, "<Message>The provided token has expired.<");
    s3_answer_free(&answer);
    arena_free(arena);
    s3_fixture_close(&fixture);
}

/* No more than the two keys of a user, and never the last of the operator. */
static void test_the_operators_own_keys(void **state)
{
    struct s3_fixture fixture;
    struct s3_answer answer;

    (void)state;
    s3_fixture_open(&fixture);
    query(&fixture, &answer, "iam", NULL, "Action=CreateAccessKey");
    assert_error(&answer, "", 200);
    assert_contains(&answer, "<UserName>tester</UserName>");
    s3_answer_free(&answer);
    expect_query(&fixture, "iam", NULL, "Action=CreateAccessKey", 409,
                 "LimitExceeded");
    query(&fixture, &answer, "iam", NULL, "Action=ListAccessKeys&MaxItems=1");
    assert_error(&answer, "", 200);
    assert_contains(&answer, "<IsTruncated>true</IsTruncated><Marker>AKIA");
    s3_answer_free(&answer);
    s3_fixture_close(&fixture);

    s3_fixture_open(&fixture);
    expect_query(
        &fixture, "iam", NULL,
        "Action=UpdateAccessKey&Status=Inactive&AccessKeyId=" FIXTURE_KEY, 400,
        "UnmodifiableEntity");
    expect_query(&fixture, "iam", NULL,
                 "Action=DeleteAccessKey&AccessKeyId=" FIXTURE_KEY, 400,
                 "UnmodifiableEntity");
    s3_fixture_close(&fixture);
}

/* A user's limits go with it. */
static void test_a_deleted_user_has_no_limits(void **state)
{
    struct s3_fixture fixture;
    struct iam_account account;
    struct iam_entity bob;
    Meta__Quota quota = META__QUOTA__INIT;

    (void)state;
    s3_fixture_open(&fixture);
    struct meta *meta = fixture.service.meta;
    assert_int_equal(iam_account_get(fixture.service.iam, NULL, &account), 0);
    const struct iam_name name = {IAM_USER, account.number, "bob"};
    expect_query(&fixture, "iam", NULL, "Action=CreateUser&UserName=bob", 200,
                 "");
    assert_int_equal(iam_get(fixture.service.iam, &name, &bob), 0);
    struct meta_batch *batch = meta_batch_new(meta);
    quota.requests = 1;
    meta_put_owner_quota(batch, slice_from_string(bob.id), &quota);
    assert_int_equal(meta_commit(batch), 0);
    meta_batch_free(batch);
    expect_query(&fixture, "iam", NULL, "Action=DeleteUser&UserName=bob", 200,
                 "");
    meta_get_owner_quota(meta, slice_from_string(bob.id), &quota);
    assert_true(meta_quota_is_none(&quota));
    s3_fixture_close(&fixture);
}

/* A service that has no providers believes nobody. */
static void test_no_providers(void **state)
{
    struct s3_fixture fixture;
    const struct holder nobody = {"", "", 0};

    (void)state;
    s3_fixture_open(&fixture);
    expect_query(&fixture, "", &nobody,
                 "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn="
                 "arn:aws:iam::123456789012:role/r&RoleSessionName=session&"
                 "WebIdentityToken=a.b.c",
                 400, "InvalidIdentityToken");
    expect_query(&fixture, "", &nobody, WHO, 403, "MissingAuthenticationToken");
    s3_fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_what_is_no_form),
        cmocka_unit_test(test_how_many_fields),
        cmocka_unit_test(test_expired_sessions),
        cmocka_unit_test(test_the_operators_own_keys),
        cmocka_unit_test(test_a_deleted_user_has_no_limits),
        cmocka_unit_test(test_no_providers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
