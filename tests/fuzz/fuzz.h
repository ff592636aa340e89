/* What the fuzz targets share. A target takes bytes, and says by abort() that
 * a property does not hold; the sanitizers say the rest. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                        \
    ((condition) ? (void)0 : fuzz_failed(#condition, __FILE__, __LINE__))

static inline void fuzz_failed(const char *condition, const char *file,
                               int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

/* What is left of the input. */
struct input {
    const uint8_t *data;
    size_t size;
};

static inline struct input input_take(struct input *input, size_t size)
{
    struct input taken = {input->data, size < input->size ? size : input->size};

    input->data += taken.size;
    input->size -= taken.size;
    return taken;
}

/* Up to the separator, which is dropped. */
static inline struct input input_until(struct input *input, char separator)
{
    const uint8_t *end =
        input->size > 0 ? memchr(input->data, separator, input->size) : NULL;
    struct input taken = input_take(
        input, end == NULL ? input->size : (size_t)(end - input->data));

    input_take(input, 1);
    return taken;
}

/* On its own, so that the sanitizers see where it ends. */
static inline uint8_t *input_copy(struct input input)
{
    uint8_t *copy = malloc(input.size > 0 ? input.size : 1);

    MUST(copy != NULL);
    if (input.size > 0) {
        memcpy(copy, input.data, input.size);
    }
    return copy;
}

#endif
