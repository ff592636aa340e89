#include "base/base.h"

#include <errno.h>
#include <string.h>

struct slice slice_from_string(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

bool slice_equal_string(struct slice a, const char *text)
{
    return slice_equal(a, slice_from_string(text));
}

struct slice slice_trim(struct slice text)
{
    while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && (text.data[text.size - 1] == ' ' ||
                             text.data[text.size - 1] == '\t')) {
        text.size--;
    }
    return text;
}

int slice_compare(struct slice a, struct slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;

    if (order != 0) {
        return order;
    }
    return a.size < b.size ? -1 : a.size > b.size;
}

bool slice_has_prefix(struct slice a, struct slice prefix)
{
    return a.size >= prefix.size &&
           (prefix.size == 0 || memcmp(a.data, prefix.data, prefix.size) == 0);
}

int slice_to_u64(struct slice a, uint64_t *value)
{
    uint64_t result = 0;

    if (a.size == 0) {
        return -EINVAL;
    }
    for (size_t i = 0; i < a.size; i++) {
        unsigned digit = (unsigned)a.data[i] - '0';

        if (digit > 9 || __builtin_mul_overflow(result, 10, &result) ||
            __builtin_add_overflow(result, digit, &result)) {
            return -EINVAL;
        }
    }
    *value = result;
    return 0;
}
