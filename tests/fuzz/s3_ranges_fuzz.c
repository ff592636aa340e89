/*
 * Range headers of files: what is asked for lies within the object, is no more
 * than all of it, and no more ranges than are allowed.
 */
#include "fuzz.h"

#include "s3/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct input numbers = input_take(&input, 9);
    uint8_t raw[9] = {0};
    struct byte_ranges ranges;
    uint64_t total = 0, length;
    unsigned max;
    uint8_t *text;

    memcpy(raw, numbers.data, numbers.size);
    length = get_u64be(raw) >> 16;
    max = raw[8];
    text = input_copy(input);
    if (byte_ranges_parse(slice_of(text, input.size), length, max, &ranges) ==
        RANGE_OK) {
        MUST(ranges.count > 0 && ranges.count <= max);
        MUST(ranges.count <= BYTE_RANGES_MAX);
        for (size_t i = 0; i < ranges.count; i++) {
            const struct byte_range *range = &ranges.ranges[i];

            MUST(range->size > 0 && range->offset < length);
            MUST(range->size <= length - range->offset);
            total += range->size;
        }
        MUST(total <= length);
    }
    free(text);
    return 0;
}
