#include "base/base.h"

#include <time.h>

static uint64_t now(clockid_t clock, uint64_t per_second)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * per_second +
           (uint64_t)time.tv_nsec / (1000000000 / per_second);
}

uint64_t clock_wall_ms(void)
{
    return now(CLOCK_REALTIME, 1000);
}

uint64_t clock_monotonic_us(void)
{
    return now(CLOCK_MONOTONIC, 1000000);
}
