/*
 * Input of a connection: one buffer, there only while it holds something.
 *
 * Buffers of INPUT_SMALL bytes are kept for the next reader; they grow while
 * a job works on what came before, up to INPUT_MAX.
 */
#include "server/private.h"
#include <stdlib.h>
#include <string.h>

#define INPUT_SMALL (64u << 10)
#define INPUT_READ  (16u << 10) /* least room worth a read */

size_t input_size(const struct input *input)
{
    return input->end - input->start;
}

bool input_full(const struct input *input)
{
    return input_size(input) > INPUT_MAX - INPUT_READ;
}

static uint8_t *small_buffer(struct input_cache *cache)
{
    if (cache->count > 0) {
        return cache->buffers[--cache->count];
    }
    return xmalloc(INPUT_SMALL);
}

uv_buf_t input_room(struct input_cache *cache, struct input *input)
{
    invariant(!input_full(input));
    if (input->data == NULL) {
        input->data = small_buffer(cache);
        input->start = input->end = 0;
        input->capacity = INPUT_SMALL;
    }
    if (input->capacity - input->end < INPUT_READ && input->start > 0) {
        memmove(input->data, input->data + input->start, input_size(input));
        input->end -= input->start;
        input->start = 0;
    }
    if (input->capacity - input->end < INPUT_READ) {
        input->capacity *= 2;
        input->data = xrealloc(input->data, input->capacity);
    }
    invariant(input->capacity <= INPUT_MAX);
    return uv_buf_init((char *)input->data + input->end,
                       (unsigned)(input->capacity - input->end));
}

void input_release(struct input_cache *cache, struct input *input)
{
    const unsigned limit = sizeof(cache->buffers) / sizeof(cache->buffers[0]);
    if (input->data != NULL && input->capacity == INPUT_SMALL &&
        cache->count < limit) {
        cache->buffers[cache->count++] = input->data;
    } else {
        free(input->data);
    }
    *input = (struct input){0};
}

void input_consume(struct input_cache *cache, struct input *input, size_t size)
{
    invariant(size <= input_size(input));
    input->start += size;
    if (input->start == input->end && input->data != NULL) {
        input_release(cache, input);
    }
}

void input_take(struct input_cache *cache, struct input *input, size_t size,
                struct input *taken)
{
    invariant(size <= input_size(input));
    const size_t rest = input_size(input) - size;
    *taken = *input;
    taken->end = taken->start + size;
    *input = (struct input){0};
    if (rest == 0) {
        return;
    }

    /* A frame that is not whole yet goes to the next buffer. */
    input->capacity = INPUT_SMALL;
    if (rest <= INPUT_SMALL) {
        input->data = small_buffer(cache);
    } else {
        while (input->capacity < rest) {
            input->capacity *= 2;
        }
        input->data = xmalloc(input->capacity);
    }
    memcpy(input->data, taken->data + taken->end, rest);
    input->end = rest;
}

void input_cache_free(struct input_cache *cache)
{
    while (cache->count > 0) {
        free(cache->buffers[--cache->count]);
    }
}
