/* Every operation has an entry that says what it needs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/policy.h"
#include "s3/authorize.h"

static void test_every_operation_has_an_action(void **state)
{
    const ProtobufCEnumDescriptor *all = &wire__operation__descriptor;
    unsigned count = 0;

    (void)state;
    for (unsigned i = 0; i < all->n_values; i++) {
        Wire__Operation operation = (Wire__Operation)all->values[i].value;
        const struct s3_operation *found = s3_operation_find(operation);
        const struct s3_permission *permission = s3_permission_find(operation);

        if (found == NULL) {
            continue;
        }
        count++;
        if (permission == NULL) {
            fail_msg("%s has no action", found->name);
        }
        if (permission->moment == ASKED_NEVER) {
            assert_null(permission->action);
            continue;
        }
        assert_true(
            policy_s3_action_known(slice_from_string(permission->action)));
        assert_true(permission->scope != SCOPE_OBJECT || found->needs_key ||
                    operation == WIRE__OPERATION__DELETE_OBJECTS ||
                    operation == WIRE__OPERATION__GET_WEBSITE);
        assert_true(permission->moment != ASKED_WITH_OBJECT ||
                    permission->version_action != NULL);
    }
    assert_true(count > 50);
}

static void test_what_nobody_is_asked_for(void **state)
{
    const ProtobufCEnumDescriptor *all = &wire__operation__descriptor;

    (void)state;
    for (unsigned i = 0; i < all->n_values; i++) {
        Wire__Operation operation = (Wire__Operation)all->values[i].value;
        const struct s3_permission *permission = s3_permission_find(operation);

        if (permission != NULL && permission->moment == ASKED_NEVER) {
            assert_true(operation == WIRE__OPERATION__PREFLIGHT ||
                        operation == WIRE__OPERATION__GET_FILE ||
                        operation == WIRE__OPERATION__IAM_QUERY);
        }
    }
    assert_null(s3_permission_find(WIRE__OPERATION__NOT_IMPLEMENTED));
    assert_null(s3_permission_find(WIRE__OPERATION__NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_operation_has_an_action),
        cmocka_unit_test(test_what_nobody_is_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
