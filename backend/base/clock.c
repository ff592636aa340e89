#include "base/base.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
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

void time_iso8601(char out[32], uint64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    char text[96]; /* the compiler does not know how small the numbers are */
    struct tm tm;

    gmtime_r(&seconds, &tm);
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ",
             (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
             tm.tm_min, tm.tm_sec, (unsigned)(ms % 1000));
    memcpy(out, text, 31);
    out[31] = '\0';
}

void condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    invariant(pthread_cond_init(condition, &monotonic) == 0);
    pthread_condattr_destroy(&monotonic);
}

bool condition_wait_until(pthread_cond_t *condition, pthread_mutex_t *mutex,
                          uint64_t deadline_us)
{
    const struct timespec deadline = {.tv_sec = (time_t)(deadline_us / 1000000),
                                      .tv_nsec =
                                          (long)(deadline_us % 1000000) * 1000};

    return pthread_cond_timedwait(condition, mutex, &deadline) != ETIMEDOUT;
}
