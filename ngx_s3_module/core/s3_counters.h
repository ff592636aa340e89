
/*
 * What the workers count: one structure in memory that all of them share,
 * without a lock.  Of a fixed size: there are no labels of buckets or keys.
 */

#ifndef S3_COUNTERS_H
#define S3_COUNTERS_H

#include "s3_core.h"
#include "wire/metrics.h"

#define S3_COUNTERS_OPERATIONS  128   /* Wire__Operation; see s3_counters.c */
#define S3_COUNTERS_STATUSES    40

/* The parts of a request's time that a worker sees. */
typedef enum {
    S3_PHASE_AUTH = 0,   /* until it is authenticated, its key fetched */
    S3_PHASE_BACKEND,    /* from there until s3d's reply */
    S3_PHASE_SEND,       /* from there until all is sent */
    S3_PHASES
} s3_phase_e;

/*
 * All zeros at the start.  What else is counted gets its counters here and its
 * families in s3_counters_tell().
 */
typedef struct {
    uint64_t                 requests[S3_COUNTERS_OPERATIONS]
                                     [S3_COUNTERS_STATUSES];
    uint64_t                 received[S3_COUNTERS_OPERATIONS]; /* bytes */
    uint64_t                 sent[S3_COUNTERS_OPERATIONS];
    struct metric_histogram  durations[S3_COUNTERS_OPERATIONS];
    struct metric_histogram  phases[S3_PHASES];
    uint64_t                 keys_found;    /* in the zone */
    uint64_t                 keys_asked;    /* of s3d */
    uint64_t                 hot_hits;      /* requests that the hot index */
    uint64_t                 hot_misses;    /* has or could have answered */
} s3_counters_t;

/* A request that has ended. */
typedef struct {
    int                      operation;   /* Wire__Operation */
    unsigned                 status;
    unsigned                 hot;         /* it was answered without s3d */
    uint64_t                 received;    /* bytes, header included */
    uint64_t                 sent;
    uint64_t                 began;       /* microseconds, monotonic */
    uint64_t                 authenticated;  /* 0: it never was */
    uint64_t                 replied;     /* by s3d; 0: never */
    uint64_t                 ended;
} s3_counted_t;

void s3_counters_count(s3_counters_t *counters, const s3_counted_t *request);

/* Adds what was counted; metrics->failed says whether memory was short. */
void s3_counters_tell(const s3_counters_t *counters, struct metrics *metrics);

#endif
