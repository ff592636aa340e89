#include "base/times.h"
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return left < right ? -1 : left > right;
}

static uint32_t percentile(const uint32_t *us, size_t count, unsigned percent)
{
    return us[(count * percent + 99) / 100 - 1];
}

struct times times_of(uint32_t *us, size_t count)
{
    uint64_t sum = 0;
    if (count == 0) {
        return (struct times){0};
    }
    qsort(us, count, sizeof(*us), compare);
    for (size_t i = 0; i < count; i++) {
        sum += us[i];
    }
    return (struct times){
        .mean_us = (uint32_t)(sum / count),
        .p50_us = percentile(us, count, 50),
        .p95_us = percentile(us, count, 95),
        .p99_us = percentile(us, count, 99),
        .max_us = us[count - 1],
    };
}
