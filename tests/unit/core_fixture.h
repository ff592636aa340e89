/* Private to core_*_test.c: memory that is freed in one go and can run out. */
#ifndef CORE_FIXTURE_H
#define CORE_FIXTURE_H

#include "s3_core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CORE_BLOCKS_MAX 4096

struct core_pool {
    void *blocks[CORE_BLOCKS_MAX];
    size_t count;
    size_t limit; /* allocations that succeed */
};

static struct core_pool core_pool = {.limit = CORE_BLOCKS_MAX};

static inline void *core_alloc(void *pool, size_t size)
{
    struct core_pool *blocks = pool;
    void *block;

    if (blocks->count == blocks->limit)
        return NULL;
    block = malloc(size);
    assert_non_null(block);
    memset(block, 0xa5, size); /* expose what counts on zeroed memory */
    blocks->blocks[blocks->count++] = block;
    return block;
}

static s3_memory_t core_memory
    __attribute__((unused)) = {core_alloc, &core_pool};

static inline void core_reset(void)
{
    while (core_pool.count > 0)
        free(core_pool.blocks[--core_pool.count]);
    core_pool.limit = CORE_BLOCKS_MAX;
}

static inline int core_setup(void **state)
{
    (void)state;
    core_reset();
    return 0;
}

static inline int core_teardown(void **state)
{
    (void)state;
    core_reset();
    return 0;
}

#define core_test(test)                                                        \
    cmocka_unit_test_setup_teardown(test, core_setup, core_teardown)

/* The literal's bytes without NUL, in memory of its own: ASan sees overruns. */
static inline s3_str_t core_bytes(const void *data, size_t len)
{
    s3_str_t str = {len, core_alloc(&core_pool, len)};

    if (len > 0)
        memcpy(str.data, data, len);
    return str;
}

static inline s3_str_t core_str(const char *text)
{
    return core_bytes(text, strlen(text));
}

static inline void core_assert_str(s3_str_t str, const char *text)
{
    char copy[65536];

    assert_true(str.len < sizeof(copy));
    if (str.len > 0)
        memcpy(copy, str.data, str.len);
    copy[str.len] = '\0';
    assert_string_equal(copy, text);
    assert_int_equal(str.len, strlen(text));
}

#endif
