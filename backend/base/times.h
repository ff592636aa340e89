/*
 * What many times come to.
 */
#ifndef BASE_TIMES_H
#define BASE_TIMES_H

#include "base/base.h"

/* Microseconds; of none all are 0. A percentile is the least time that so many
 * percent are not above. */
struct times {
    uint32_t mean_us, p50_us, p95_us, p99_us, max_us;
};

/* Sorts them. */
struct times times_of(uint32_t *us, size_t count);

#endif
