/* Memory and fields for the targets of core/. */
#ifndef FUZZ_CORE_H
#define FUZZ_CORE_H

#include "fuzz.h"
#include "s3_core.h"

#define BLOCKS_MAX 8192

static struct {
    void *blocks[BLOCKS_MAX];
    size_t count;
} fuzz_pool;

static void *fuzz_alloc(void *pool, size_t size)
{
    (void)pool;
    if (fuzz_pool.count == BLOCKS_MAX) {
        return NULL;
    }
    void *block = malloc(size);
    MUST(block != NULL || size == 0);
    fuzz_pool.blocks[fuzz_pool.count++] = block;
    return block;
}

static s3_memory_t fuzz_memory = {fuzz_alloc, NULL};

static inline void fuzz_free_all(void)
{
    while (fuzz_pool.count > 0) {
        free(fuzz_pool.blocks[--fuzz_pool.count]);
    }
}

/* A copy of its own. */
static inline s3_str_t fuzz_str(struct input input)
{
    s3_str_t str = {input.size, fuzz_alloc(NULL, input.size)};

    if (input.size > 0) {
        memcpy(str.data, input.data, input.size);
    }
    return str;
}

static inline int fuzz_str_same(s3_str_t a, s3_str_t b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

#endif
