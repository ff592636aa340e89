#include "s3_fixture.h"

#include "s3/call.h"

static void check(const char *text, uint64_t size, enum range_result wanted,
                  uint64_t first, uint64_t last)
{
    uint64_t a = 0, b = 0;
    enum range_result result =
        range_parse(slice_from_string(text), size, &a, &b);

    if (result != wanted || (result == RANGE_OK && (a != first || b != last)))
        fail_msg("%s of %llu: result %d, %llu-%llu", text,
                 (unsigned long long)size, result, (unsigned long long)a,
                 (unsigned long long)b);
}

static void satisfiable(void **state)
{
    (void)state;
    check("bytes=0-0", 10, RANGE_OK, 0, 0);
    check("bytes=0-9", 10, RANGE_OK, 0, 9);
    check("bytes=0-", 10, RANGE_OK, 0, 9);
    check("bytes=9-", 10, RANGE_OK, 9, 9);
    check("bytes=3-5", 10, RANGE_OK, 3, 5);
    check("bytes=-1", 10, RANGE_OK, 9, 9);
    check("bytes=-10", 10, RANGE_OK, 0, 9);
    check("Bytes= 2 - 4 ", 10, RANGE_OK, 2, 4);
}

static void clamped(void **state)
{
    (void)state;
    check("bytes=5-99", 10, RANGE_OK, 5, 9);
    check("bytes=-99", 10, RANGE_OK, 0, 9);
    check("bytes=0-99999999999999999999999999", 10, RANGE_OK, 0, 9);
    check("bytes=-99999999999999999999999999", 10, RANGE_OK, 0, 9);
}

static void unsatisfiable(void **state)
{
    (void)state;
    check("bytes=10-", 10, RANGE_UNSATISFIABLE, 0, 0);
    check("bytes=10-20", 10, RANGE_UNSATISFIABLE, 0, 0);
    check("bytes=-0", 10, RANGE_UNSATISFIABLE, 0, 0);
    check("bytes=0-0", 0, RANGE_UNSATISFIABLE, 0, 0);
    check("bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0);
    check("bytes=-5", 0, RANGE_UNSATISFIABLE, 0, 0);
    check("bytes=99999999999999999999999999-", 10, RANGE_UNSATISFIABLE, 0, 0);
}

static void ignored(void **state)
{
    static const char *const texts[] = {
        "",           "bytes",     "bytes=",        "bytes=-",
        "bytes=a-b",  "bytes=5-2", "bytes=0-1,4-5", "bytes=1",
        "items=0-1",  "bytes=--1", "bytes=1-2-3",   "bytes=+1-2",
        "bytes=0x1-2"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        check(texts[i], 10, RANGE_IGNORED, 0, 0);
    uint64_t a, b;
    assert_int_equal(range_parse(slice_of(NULL, 0), 10, &a, &b), RANGE_IGNORED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(satisfiable),
        cmocka_unit_test(clamped),
        cmocka_unit_test(unsatisfiable),
        cmocka_unit_test(ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
