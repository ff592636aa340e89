/*
 * A token bucket: tokens are bytes, they come with time, and a debt is waited
 * for. While requests are under way they come at a quarter of the rate.
 */
#include "care/private.h"

#include <time.h>

#define BURST_SHARE 4 /* of a second: how much is kept for later */
#define NAP_US      50000u

void pace_init(struct pace *pace, uint64_t rate)
{
    *pace = (struct pace){.rate = rate, .last_us = clock_monotonic_us()};
    invariant(rate > 0 && pthread_mutex_init(&pace->lock, NULL) == 0);
}

void pace_set_rate(struct pace *pace, uint64_t rate)
{
    invariant(rate > 0);
    pthread_mutex_lock(&pace->lock);
    pace->rate = rate;
    pthread_mutex_unlock(&pace->lock);
}

void pace_refill(struct pace *pace, uint64_t now_us, bool busy)
{
    uint64_t rate = busy ? pace->rate / PACE_BUSY_SHARE : pace->rate;
    uint64_t passed = now_us - pace->last_us;
    uint64_t most = pace->rate / BURST_SHARE;
    double tokens = (double)pace->tokens + (double)rate * (double)passed / 1e6;

    pace->tokens = tokens > (double)most ? (int64_t)most : (int64_t)tokens;
    pace->last_us = now_us;
}

static void nap(uint64_t us)
{
    struct timespec time = {.tv_nsec = (long)us * 1000};

    nanosleep(&time, NULL);
}

bool pace_take(struct pace *pace, uint64_t bytes)
{
    bool first = true;

    for (;;) {
        bool stop = pace->stop != NULL && pace->stop(pace->context);
        bool busy = pace->busy != NULL && pace->busy(pace->context);
        int64_t owed;
        uint64_t us;

        pthread_mutex_lock(&pace->lock);
        pace_refill(pace, clock_monotonic_us(), busy);
        if (first) {
            pace->tokens -= (int64_t)bytes;
            first = false;
        }
        owed = -pace->tokens;
        us = owed > 0 ? (uint64_t)((double)owed * 1e6 / (double)pace->rate) : 0;
        pthread_mutex_unlock(&pace->lock);
        if (stop) {
            return false;
        }
        if (owed <= 0) {
            return true;
        }
        nap(us < NAP_US ? us + 1 : NAP_US);
    }
}
