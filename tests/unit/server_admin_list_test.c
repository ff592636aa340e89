/* Lists of s3ctl: all of many, in their order. */
#include "iam_fixture.h"
#include "server/admin.h"
#include "wire/wire.h"

#define USERS 3000

static json_t *list(struct fixture *f, const struct admin_command *commands,
                    const char *name, struct buffer *out)
{
    struct server server = {0};
    struct admin_call call = {.server = &server,
                              .iam = f->iam,
                              .command = commands,
                              .arguments = json_object(),
                              .out = out};
    while (strcmp(call.command->name, name) != 0) {
        call.command++;
    }
    assert_int_equal(call.command->run(&call), 0);
    json_decref(call.arguments);
    json_t *result = json_loadb((char *)out->data, out->size, 0, NULL);
    assert_non_null(result);
    return result;
}

static void test_users(void **state)
{
    struct fixture *f = *state;
    struct iam_account account;
    struct iam_credentials key;
    struct buffer out = {0};
    char name[32], message[POLICY_MESSAGE_MAX];
    const struct iam_new_account wanted = {.name = "root", .is_operator = true};
    assert_int_equal(iam_account_add(f->iam, &wanted, &account, &key), 0);
    for (unsigned i = 0; i < USERS; i++) {
        const struct iam_new_entity user = {
            .name = {IAM_USER, account.number, name}};
        snprintf(name, sizeof(name), "user-%04u", i);
        assert_int_equal(iam_create(f->iam, &user, NULL, message), 0);
    }
    json_t *result = list(f, admin_entity_commands, "user.list", &out);
    const json_t *users = json_object_get(result, "list");
    assert_true(out.size > FRAME_MESSAGE_MAX);
    assert_int_equal(json_array_size(users), USERS);
    for (unsigned i = 0; i < USERS; i++) {
        snprintf(name, sizeof(name), "user-%04u", i);
        assert_string_equal(json_string_value(json_object_get(
                                json_array_get(users, i), "name")),
                            name);
    }
    json_decref(result);
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_users, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
