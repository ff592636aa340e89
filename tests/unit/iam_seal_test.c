/*
 * Derived keys, sealed secrets, and the master key file.
 */
#include "base/signing_key.h"
#include "iam/private.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* The example of AWS's manual, "Deriving the signing key". */
static void test_published_vector(void **state)
{
    uint8_t key[IAM_KEY_SIZE];
    char hex[2 * IAM_KEY_SIZE + 1];

    (void)state;
    signing_key(SLICE_LITERAL("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                SLICE_LITERAL("20150830"), SLICE_LITERAL("us-east-1"),
                SLICE_LITERAL("iam"), key);
    hex_encode(hex, key, sizeof(key));
    assert_string_equal(
        hex,
        "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
}

static const uint8_t master[MASTER_KEY_SIZE] = {1, 2, 3};

static void test_seal_and_back(void **state)
{
    uint8_t sealed[SEALED_MAX_SIZE], again[SEALED_MAX_SIZE];
    uint8_t secret[IAM_SECRET_MAX];
    struct slice clear = SLICE_LITERAL("a secret of some length");
    size_t size = seal(master, SLICE_LITERAL("KEY"), clear, sealed);
    int rc;

    (void)state;
    assert_int_equal(size, clear.size + SEAL_OVERHEAD);
    assert_null(memmem(sealed, size, clear.data, clear.size));
    rc = unseal(master, SLICE_LITERAL("KEY"), slice_of(sealed, size), secret);
    assert_int_equal(rc, clear.size);
    assert_memory_equal(secret, clear.data, clear.size);
    seal(master, SLICE_LITERAL("KEY"), clear, again);
    assert_memory_not_equal(sealed, again, size); /* a nonce of its own */
}

static void test_longest_secret(void **state)
{
    uint8_t sealed[SEALED_MAX_SIZE], secret[IAM_SECRET_MAX];
    uint8_t clear[IAM_SECRET_MAX];
    size_t size;

    (void)state;
    memset(clear, 'x', sizeof(clear));
    size = seal(master, SLICE_LITERAL("KEY"), slice_of(clear, sizeof(clear)),
                sealed);
    assert_int_equal(size, SEALED_MAX_SIZE);
    assert_int_equal(
        unseal(master, SLICE_LITERAL("KEY"), slice_of(sealed, size), secret),
        IAM_SECRET_MAX);
    assert_memory_equal(secret, clear, sizeof(clear));
}

static void test_unseal_refuses(void **state)
{
    uint8_t sealed[SEALED_MAX_SIZE], secret[IAM_SECRET_MAX];
    uint8_t other[MASTER_KEY_SIZE] = {9};
    struct slice key = SLICE_LITERAL("KEY");
    size_t size = seal(master, key, SLICE_LITERAL("0123456789"), sealed), i;

    (void)state;
    for (i = 0; i < 8 * size; i++) {
        sealed[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(unseal(master, key, slice_of(sealed, size), secret),
                         -EKEYREJECTED);
        sealed[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (i = 0; i < size; i++) {
        assert_int_equal(unseal(master, key, slice_of(sealed, i), secret),
                         -EKEYREJECTED);
    }
    assert_int_equal(unseal(other, key, slice_of(sealed, size), secret),
                     -EKEYREJECTED);
    assert_int_equal(
        unseal(master, SLICE_LITERAL("KEZ"), slice_of(sealed, size), secret),
        -EKEYREJECTED);
    assert_int_equal(unseal(master, key, slice_of(sealed, size), secret), 10);
}

/* --- the file --------------------------------------------------------------*/

static char directory[64], path[80];

static int remove_one(const char *name, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(name);
}

static int setup(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/iam_seal_test.XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/master.key", directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int master_key_load(const char *name, bool create,
                           uint8_t key[MASTER_KEY_SIZE])
{
    struct master *keys = master_new();
    int rc = master_load(keys, name, create);

    memcpy(key, keys->keys[0], MASTER_KEY_SIZE);
    master_free(keys);
    return rc;
}

static void test_created_once(void **state)
{
    uint8_t first[MASTER_KEY_SIZE], second[MASTER_KEY_SIZE];
    uint8_t zeros[MASTER_KEY_SIZE] = {0};
    char leftover[96];
    struct stat st;

    (void)state;
    assert_int_equal(master_key_load(path, false, first), -ENOENT);
    assert_int_equal(master_key_load(path, true, first), 0);
    assert_memory_not_equal(first, zeros, sizeof(zeros));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 65);
    assert_int_equal(st.st_nlink, 1);
    assert_int_equal(master_key_load(path, true, second), 0);
    assert_memory_equal(first, second, sizeof(first));
    snprintf(leftover, sizeof(leftover), "%s.new", path);
    assert_int_equal(access(leftover, F_OK), -1);
}

static void test_created_over_a_crash(void **state)
{
    uint8_t first[MASTER_KEY_SIZE], second[MASTER_KEY_SIZE];
    char leftover[96];

    (void)state;
    snprintf(leftover, sizeof(leftover), "%s.new", path);
    write_file(leftover, "half a ke", 0600);
    assert_int_equal(master_key_load(path, true, first), 0);
    assert_int_equal(master_key_load(path, false, second), 0);
    assert_memory_equal(first, second, sizeof(first));
}

#define HEX_62 "00112233445566778899aabbccddeeff00112233445566778899aabbccddee"

static void test_bad_files(void **state)
{
    uint8_t key[MASTER_KEY_SIZE];

    (void)state;
    write_file(path, HEX_62 "ff\n", 0600);
    assert_int_equal(master_key_load(path, false, key), 0);
    assert_int_equal(key[31], 0xFF);
    write_file(path, HEX_62 "ff\n", 0640);
    assert_int_equal(master_key_load(path, false, key), -EACCES);
    write_file(path, HEX_62 "ff\n", 0604);
    assert_int_equal(master_key_load(path, false, key), -EACCES);
    write_file(path, HEX_62 "ff", 0600);
    assert_int_equal(master_key_load(path, false, key), -EINVAL);
    write_file(path, HEX_62 "ff\n\n", 0600);
    assert_int_equal(master_key_load(path, false, key), -EINVAL);
    write_file(path, HEX_62 "fg\n", 0600);
    assert_int_equal(master_key_load(path, false, key), -EINVAL);
    write_file(path, "", 0600);
    assert_int_equal(master_key_load(path, true, key), -EINVAL);
    assert_int_equal(master_key_load(directory, true, key), -EINVAL);
}

/* The new key first, the one before it below. */
static void test_two_keys(void **state)
{
    struct master *both = master_new(), *read = master_new();

    (void)state;
    write_file(path, HEX_62 "ff\n", 0600);
    assert_int_equal(master_load(both, path, false), 0);
    assert_int_equal(both->count, 1);
    master_push(both);
    assert_int_equal(master_save(both, path), 0);
    assert_int_equal(master_load(read, path, false), 0);
    assert_int_equal(read->count, 2);
    assert_memory_equal(read->keys, both->keys, sizeof(read->keys));
    assert_int_equal(read->keys[1][31], 0xFF);
    master_pop(both);
    assert_int_equal(master_save(both, path), 0);
    assert_int_equal(master_load(read, path, false), 0);
    assert_int_equal(read->count, 1);
    assert_memory_equal(read->keys[0], both->keys[0], MASTER_KEY_SIZE);
    write_file(path, HEX_62 "ff\n" HEX_62 "fe\n" HEX_62 "fd\n", 0600);
    assert_int_equal(master_load(read, path, false), -EINVAL);
    master_free(both);
    master_free(read);
}

static void test_environment(void **state)
{
    struct master *keys = master_new();

    (void)state;
    setenv("S3D_MASTER_KEY", HEX_62 "01 " HEX_62 "02", 1);
    assert_int_equal(master_load(keys, path, false), 0);
    assert_int_equal(keys->count, 2);
    assert_int_equal(keys->keys[0][31], 1);
    assert_int_equal(keys->keys[1][31], 2);
    assert_null(getenv("S3D_MASTER_KEY"));
    setenv("S3D_MASTER_KEY", HEX_62 "01", 1);
    assert_int_equal(master_load(keys, path, false), 0);
    assert_int_equal(keys->count, 1);
    setenv("S3D_MASTER_KEY", HEX_62, 1);
    assert_int_equal(master_load(keys, path, false), -EINVAL);
    setenv("S3D_MASTER_KEY", HEX_62 "01 " HEX_62 "02 " HEX_62 "03", 1);
    assert_int_equal(master_load(keys, path, false), -EINVAL);
    master_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_vector),
        cmocka_unit_test(test_seal_and_back),
        cmocka_unit_test(test_longest_secret),
        cmocka_unit_test(test_unseal_refuses),
        cmocka_unit_test_setup_teardown(test_created_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_created_over_a_crash, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_bad_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_environment, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
