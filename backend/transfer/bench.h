/*
 * How fast an endpoint is: s3ctl bench.
 *
 * Objects of some sizes are put into a bucket of its own, read, listed and
 * deleted, by some threads with a connection each. Nothing is tried again: what
 * fails is counted. The times are a client's, with its own work in them.
 */
#ifndef TRANSFER_BENCH_H
#define TRANSFER_BENCH_H

#include "base/times.h"
#include "transfer/transfer.h"

#include <stdatomic.h>

#define BENCH_SIZES_MAX       8
#define BENCH_SIZE_MAX        (1ull << 30) /* bytes; they are held in memory */
#define BENCH_CONCURRENCY_MAX 256u
#define BENCH_BUCKET_MAX      64 /* bytes of a name, with its NUL */

struct bench_options {
    /* NULL: as of struct transfer_options. */
    const char *endpoint, *region, *profile, *ca_file;
    uint64_t sizes[BENCH_SIZES_MAX]; /* bytes of the objects */
    unsigned size_count;
    unsigned concurrency;
    double seconds;          /* of each operation; 0: only `count` ends it */
    uint64_t count;          /* requests of each operation; 0: only time does */
    const atomic_bool *stop; /* ends it early; the bucket is removed */
};

/* Of one operation. */
struct bench_result {
    const char *operation; /* "PUT", "GET", "LIST", "DELETE" */
    bool sized;            /* of objects of one size: */
    uint64_t size;
    double seconds;
    uint64_t requests; /* that succeeded: all below is of them */
    uint64_t errors;   /* those that did not */
    uint64_t bytes;    /* of bodies */
    struct times times;
    char why[TRANSFER_WHY_MAX]; /* one of the errors */
};

/* Both come from the thread that called. */
struct bench_watch {
    void *context;
    /* Some times a second; `done` is from 0 to 1, of this operation. */
    void (*progress)(void *context, const char *operation, double done);
    void (*result)(void *context, const struct bench_result *result);
};

struct bench_end {
    char bucket[BENCH_BUCKET_MAX];
    bool created, removed; /* the bucket */
    uint64_t errors;       /* of all operations */
    char why[TRANSFER_WHY_MAX];
};

/* TRANSFER_DONE whatever failed while the bucket was there; `end` is filled in
 * any case, end->why if it has not ended well. */
enum transfer_result bench_run(const struct bench_options *options,
                               const struct bench_watch *watch,
                               struct bench_end *end);

#endif
