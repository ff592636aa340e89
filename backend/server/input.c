/*
 * Input of a connection: one buffer, there only while it holds something.
 *
 * It has INPUT_SMALL bytes, or INPUT_MAX where more comes while a job works on
 * what came before. Who is given it may hold its memory for longer.
 *
 * A request may hold a customer's key: nothing is left behind where it was.
 */
#include "server/private.h"
#include <string.h>

#define INPUT_SMALL (64u << 10)
#define INPUT_READ  (16u << 10) /* least room worth a read */

size_t input_size(const struct input *input)
{
    return input->end - input->start;
}

const uint8_t *input_start(const struct input *input)
{
    return input->memory != NULL ? input->memory->bytes + input->start : NULL;
}

bool input_full(const struct input *input)
{
    return input_size(input) > INPUT_MAX - INPUT_READ;
}

/* One that holds these bytes, and has room for as many and more. */
static struct input new_input(size_t capacity, const uint8_t *data, size_t size)
{
    struct input input = {.capacity = capacity, .end = size};

    invariant(size <= capacity);
    input.memory = memory_new(capacity);
    if (size > 0) {
        memcpy(input.memory->bytes, data, size);
    }
    return input;
}

uv_buf_t input_room(struct input *input)
{
    invariant(!input_full(input));
    if (input->memory == NULL) {
        *input = new_input(INPUT_SMALL, NULL, 0);
    }
    if (input->capacity - input->end < INPUT_READ && input->start > 0) {
        const size_t size = input_size(input);
        memmove(input->memory->bytes, input_start(input), size);
        explicit_bzero(input->memory->bytes + size, input->end - size);
        input->end = size;
        input->start = 0;
    }
    if (input->capacity - input->end < INPUT_READ) {
        struct input grown =
            new_input(INPUT_MAX, input_start(input), input_size(input));
        explicit_bzero(input->memory->bytes, input->end);
        input_release(input);
        *input = grown;
    }
    return uv_buf_init((char *)input->memory->bytes + input->end,
                       (unsigned)(input->capacity - input->end));
}

void input_wipe(struct input *input)
{
    if (input_size(input) > 0) {
        explicit_bzero(input->memory->bytes + input->start, input_size(input));
    }
}

void input_release(struct input *input)
{
    memory_drop(input->memory);
    *input = (struct input){0};
}

void input_consume(struct input *input, size_t size)
{
    invariant(size <= input_size(input));
    input->start += size;
    if (input->start == input->end) {
        input_release(input);
    }
}

void input_take(struct input *input, size_t size, struct input *taken)
{
    invariant(size <= input_size(input));
    const size_t rest = input_size(input) - size;
    *taken = *input;
    taken->end = taken->start + size;
    *input = (struct input){0};
    if (rest > 0) { /* a frame that is not whole yet */
        *input = new_input(rest <= INPUT_SMALL ? INPUT_SMALL : INPUT_MAX,
                           taken->memory->bytes + taken->end, rest);
        explicit_bzero(taken->memory->bytes + taken->end, rest);
    }
}
