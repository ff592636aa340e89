/*
 * How long a drive takes: counts in buckets, four to each power of two, of a
 * window that slides by halves.
 */
#include "extent/private.h"

/* The largest power of two not above it and the two bits behind: a bucket is
 * at most a quarter wide. */
static unsigned bucket_of(uint64_t us)
{
    if (us < 4) {
        return (unsigned)us;
    }
    unsigned power = 63u - (unsigned)__builtin_clzll(us);
    unsigned bucket = 4 * (power - 1) + (unsigned)(us >> (power - 2) & 3);
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* The middle of the bucket. */
static uint64_t time_of(unsigned bucket)
{
    if (bucket < 4) {
        return bucket;
    }
    unsigned power = bucket / 4 + 1;
    uint64_t step = 1ull << (power - 2);
    return (4 + bucket % 4) * step + step / 2;
}

void latency_note(struct latency *latency, uint64_t us)
{
    unsigned half = atomic_load(&latency->current);
    atomic_fetch_add_explicit(&latency->counts[half][bucket_of(us)], 1,
                              memory_order_relaxed);
}

void latency_turn(struct latency *latency, uint64_t now_us)
{
    if (now_us - latency->turned_us < LATENCY_HALF_US) {
        return;
    }
    bool long_ago = now_us - latency->turned_us >= 2 * LATENCY_HALF_US;
    latency->turned_us = now_us;
    unsigned older = 1 - atomic_load(&latency->current);
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        atomic_store(&latency->counts[older][i], 0);
        if (long_ago) {
            atomic_store(&latency->counts[1 - older][i], 0);
        }
    }
    atomic_store(&latency->current, older);
}

static uint64_t quantile(const uint64_t counts[LATENCY_BUCKETS], uint64_t rank)
{
    uint64_t before = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        before += counts[i];
        if (before > rank) {
            return time_of(i);
        }
    }
    return 0;
}

void latency_describe(struct latency *latency, struct drive_latency *summary)
{
    uint64_t counts[LATENCY_BUCKETS];
    *summary = (struct drive_latency){0};
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        counts[i] = atomic_load(&latency->counts[0][i]) +
                    (uint64_t)atomic_load(&latency->counts[1][i]);
        summary->count += counts[i];
    }
    summary->median_us = quantile(counts, summary->count / 2);
    summary->p95_us = quantile(counts, summary->count * 95 / 100);
}
