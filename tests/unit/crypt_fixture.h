/*
 * What the tests of crypt/ share: cmocka, counting bytes, a directory.
 */
#ifndef CRYPT_FIXTURE_H
#define CRYPT_FIXTURE_H

#include "crypt/private.h"

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

/* first, first + 1, ... */
static inline void fill(uint8_t *out, size_t size, uint8_t first)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = (uint8_t)(first + i);
    }
}

static inline void assert_hex(const void *data, size_t size, const char *hex)
{
    char text[2 * CRYPT_ENVELOPE_MAX + 1];
    assert_true(size <= CRYPT_ENVELOPE_MAX);
    hex_encode(text, data, size);
    assert_string_equal(text, hex);
}

static inline bool all_zeros(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] != 0) {
            return false;
        }
    }
    return true;
}

static inline int remove_one(const char *name, const struct stat *st, int type,
                             struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(name);
}

/* The directory is named by *state. */
static inline int directory_setup(void **state)
{
    static char directory[64];
    strcpy(directory, "/tmp/crypt_test.XXXXXX");
    assert_non_null(mkdtemp(directory));
    *state = directory;
    return 0;
}

static inline int directory_teardown(void **state)
{
    nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}

#endif
