/*
 * Memory for secrets: what the kernel was told about it.
 */
#include "crypt_fixture.h"

#include <inttypes.h>
#include <sys/resource.h>

/* The flags of the mapping that begins at `memory`: "rd wr ... lo dd". */
static void flags_of(const void *memory, char flags[512])
{
    FILE *maps = fopen("/proc/self/smaps", "re");
    char line[512];
    uintptr_t start, end;
    bool inside = false;

    assert_non_null(maps);
    flags[0] = '\0';
    while (flags[0] == '\0' && fgets(line, sizeof(line), maps) != NULL) {
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &start, &end) == 2) {
            inside = (uintptr_t)memory >= start && (uintptr_t)memory < end;
        } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            snprintf(flags, 512, "%s", line + 8);
        }
    }
    fclose(maps);
}

/* Sanitizers make mlock() do nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LOCKS false
#else
#define LOCKS true
#endif

static void test_flags(void **state)
{
    struct rlimit limit;
    char flags[512];
    uint8_t *secret = secret_alloc(100);
    (void)state;
    assert_true(all_zeros(secret, 100));
    fill(secret, 100, 1);
    flags_of(secret, flags);
    assert_non_null(strstr(flags, " dd")); /* not in core files */
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
    if (LOCKS && limit.rlim_cur >= 64 << 10) {
        assert_non_null(strstr(flags, " lo")); /* not swapped */
    }
    secret_free(secret, 100);
    secret_free(NULL, 100);
}

/* Without the right to lock, memory all the same. */
static void test_without_locks(void **state)
{
    const struct rlimit none = {0, 0};
    (void)state;
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &none), 0);
    uint8_t *secret = secret_alloc(1 << 20);
    fill(secret, 1 << 20, 1);
    assert_int_equal(secret[256], 1);
    secret_free(secret, 1 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_without_locks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
