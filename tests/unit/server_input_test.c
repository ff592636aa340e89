/* Where a request was that has moved on, nothing of it is left. */
#include "server/private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void fill(struct input *input, size_t size)
{
    while (size > 0) {
        const uv_buf_t room = input_room(input);
        const size_t part = size < room.len ? size : room.len;

        memset(room.base, 'k', part);
        input->end += part;
        size -= part;
    }
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    while (size > 0 && *bytes == 0) {
        bytes++;
        size--;
    }
    return size == 0;
}

static void test_moved_to_the_front(void **unused)
{
    struct input input = {0};

    (void)unused;
    fill(&input, 60000);
    input_consume(&input, 59000);
    (void)input_room(&input);
    assert_int_equal(input.start, 0);
    assert_int_equal(input_size(&input), 1000);
    assert_true(is_zero(input.memory->bytes + 1000, 59000));
    input_release(&input);
}

static void test_taken_with_the_buffer(void **unused)
{
    struct input input = {0}, taken;

    (void)unused;
    fill(&input, 3000);
    input_take(&input, 2000, &taken);
    assert_int_equal(input_size(&taken), 2000);
    assert_int_equal(input_size(&input), 1000);
    assert_int_equal(*input_start(&input), 'k');
    assert_true(is_zero(taken.memory->bytes + 2000, 1000));
    input_release(&taken);
    input_release(&input);
}

static void test_never_taken(void **unused)
{
    struct input input = {0};

    (void)unused;
    input_wipe(&input);
    fill(&input, 3000);
    input_consume(&input, 1000);
    input_wipe(&input);
    assert_true(is_zero(input_start(&input), 2000));
    input_release(&input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moved_to_the_front),
        cmocka_unit_test(test_taken_with_the_buffer),
        cmocka_unit_test(test_never_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
