/*
 * What is counted, in nginx's workers and in s3d: counters and histograms that
 * processes or threads share without a lock, and the message (Metrics in
 * wire.proto) in which they are told.
 */
#ifndef METRICS_H
#define METRICS_H

#include "wire.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- counting ----------------------------------------------------------------
 * From any thread, and any process that shares the memory; relaxed, so that a
 * reader may see a counter before another one that was increased first. */
void metric_count(uint64_t *counter, uint64_t count);
uint64_t metric_read(const uint64_t *counter);

#define METRIC_BUCKETS 17 /* the last has no bound */
/* All zeros at the start. */
struct metric_histogram {
    uint64_t buckets[METRIC_BUCKETS]; /* observations, each in one */
    uint64_t sum_us;
};
void metric_observe(struct metric_histogram *histogram, uint64_t us);

/* --- telling -----------------------------------------------------------------
 * A message under construction; belongs to one thread. All of it comes from
 * the allocator, and nothing is freed. */
struct metrics {
    ProtobufCAllocator *allocator;
    Wire__Metrics message;
    bool failed; /* memory was short: the message is not to be used */
};
void metrics_init(struct metrics *metrics, ProtobufCAllocator *allocator);

/* `name` and `help` must live as long as the message. NULL if memory was short,
 * which the functions below take. */
Wire__MetricFamily *metrics_counter(struct metrics *metrics, const char *name,
                                    const char *help);
Wire__MetricFamily *metrics_gauge(struct metrics *metrics, const char *name,
                                  const char *help);
/* Of seconds. */
Wire__MetricFamily *metrics_histogram(struct metrics *metrics, const char *name,
                                      const char *help);

/* Names and values of labels in turn, then NULL; values are copied. */
void metrics_add(struct metrics *metrics, Wire__MetricFamily *family,
                 double value, ...) __attribute__((sentinel));
/* Nothing, if nothing was observed. */
void metrics_add_histogram(struct metrics *metrics, Wire__MetricFamily *family,
                           const struct metric_histogram *histogram, ...)
    __attribute__((sentinel));

#endif
