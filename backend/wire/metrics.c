#include "wire/metrics.h"

#include <stdarg.h>
#include <string.h>

/* --- counting --------------------------------------------------------------*/
/* Upper ends of the buckets, microseconds. */
static const uint64_t bounds_us[METRIC_BUCKETS - 1] = {
    100,   250,    500,    1000,   2500,    5000,    10000,   25000,
    50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

void metric_count(uint64_t *counter, uint64_t count)
{
    __atomic_fetch_add(counter, count, __ATOMIC_RELAXED);
}

uint64_t metric_read(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void metric_observe(struct metric_histogram *histogram, uint64_t us)
{
    unsigned bucket = 0;

    while (bucket < METRIC_BUCKETS - 1 && us > bounds_us[bucket]) {
        bucket++;
    }
    metric_count(&histogram->buckets[bucket], 1);
    metric_count(&histogram->sum_us, us);
}

/* --- telling ---------------------------------------------------------------*/
void metrics_init(struct metrics *metrics, ProtobufCAllocator *allocator)
{
    metrics->allocator = allocator;
    metrics->failed = false;
    wire__metrics__init(&metrics->message);
}

static void *allocate(struct metrics *metrics, size_t size)
{
    void *memory =
        metrics->allocator->alloc(metrics->allocator->allocator_data, size);

    if (memory == NULL) {
        metrics->failed = true;
    }
    return memory;
}

/* One more pointer at the end of a list, which doubles when it is full. */
static bool append(struct metrics *metrics, void *list, size_t *count,
                   void *item)
{
    void ***items = list;

    if ((*count & (*count - 1)) == 0) {
        const size_t room = *count > 0 ? 2 * *count : 1;
        void **more = allocate(metrics, room * sizeof(*more));

        if (more == NULL) {
            return false;
        }
        if (*count > 0) {
            memcpy(more, *items, *count * sizeof(*more));
        }
        *items = more;
    }
    (*items)[(*count)++] = item;
    return true;
}

static Wire__MetricFamily *add_family(struct metrics *metrics,
                                      Wire__MetricFamily__Type type,
                                      const char *name, const char *help)
{
    Wire__MetricFamily *family = allocate(metrics, sizeof(*family));

    if (family == NULL) {
        return NULL;
    }
    wire__metric_family__init(family);
    family->name = (char *)name;
    family->help = (char *)help;
    family->type = type;
    return append(metrics, &metrics->message.families,
                  &metrics->message.n_families, family)
               ? family
               : NULL;
}

Wire__MetricFamily *metrics_counter(struct metrics *metrics, const char *name,
                                    const char *help)
{
    return add_family(metrics, WIRE__METRIC_FAMILY__TYPE__COUNTER, name, help);
}

Wire__MetricFamily *metrics_gauge(struct metrics *metrics, const char *name,
                                  const char *help)
{
    return add_family(metrics, WIRE__METRIC_FAMILY__TYPE__GAUGE, name, help);
}

Wire__MetricFamily *metrics_histogram(struct metrics *metrics, const char *name,
                                      const char *help)
{
    Wire__MetricFamily *family =
        add_family(metrics, WIRE__METRIC_FAMILY__TYPE__HISTOGRAM, name, help);

    if (family == NULL) {
        return NULL;
    }
    family->bounds =
        allocate(metrics, (METRIC_BUCKETS - 1) * sizeof(*family->bounds));
    if (family->bounds == NULL) {
        return NULL;
    }
    family->n_bounds = METRIC_BUCKETS - 1;
    for (size_t i = 0; i < family->n_bounds; i++) {
        family->bounds[i] = (double)bounds_us[i] / 1e6;
    }
    return family;
}

static bool add_label(struct metrics *metrics, Wire__MetricSample *sample,
                      const char *name, const char *value)
{
    const size_t size = strlen(value) + 1;
    Wire__MetricLabel *label = allocate(metrics, sizeof(*label));
    char *copy = allocate(metrics, size);

    if (label == NULL || copy == NULL) {
        return false;
    }
    wire__metric_label__init(label);
    label->name = (char *)name;
    label->value = memcpy(copy, value, size);
    return append(metrics, &sample->labels, &sample->n_labels, label);
}

/* NULL if memory was short. */
static Wire__MetricSample *add_sample(struct metrics *metrics,
                                      Wire__MetricFamily *family,
                                      va_list labels)
{
    Wire__MetricSample *sample =
        family != NULL ? allocate(metrics, sizeof(*sample)) : NULL;
    const char *name;

    if (sample == NULL) {
        return NULL;
    }
    wire__metric_sample__init(sample);
    while ((name = va_arg(labels, const char *)) != NULL) {
        if (!add_label(metrics, sample, name, va_arg(labels, const char *))) {
            return NULL;
        }
    }
    return append(metrics, &family->samples, &family->n_samples, sample)
               ? sample
               : NULL;
}

void metrics_add(struct metrics *metrics, Wire__MetricFamily *family,
                 double value, ...)
{
    Wire__MetricSample *sample;
    va_list labels;

    va_start(labels, value);
    sample = add_sample(metrics, family, labels);
    va_end(labels);
    if (sample != NULL) {
        sample->value = value;
    }
}

static bool is_empty(const struct metric_histogram *histogram)
{
    for (unsigned i = 0; i < METRIC_BUCKETS; i++) {
        if (metric_read(&histogram->buckets[i]) > 0) {
            return false;
        }
    }
    return true;
}

void metrics_add_histogram(struct metrics *metrics, Wire__MetricFamily *family,
                           const struct metric_histogram *histogram, ...)
{
    Wire__MetricSample *sample;
    va_list labels;

    if (is_empty(histogram)) {
        return;
    }
    va_start(labels, histogram);
    sample = add_sample(metrics, family, labels);
    va_end(labels);
    if (sample == NULL) {
        return;
    }
    sample->buckets =
        allocate(metrics, METRIC_BUCKETS * sizeof(*sample->buckets));
    if (sample->buckets == NULL) {
        return;
    }
    sample->n_buckets = METRIC_BUCKETS;
    for (unsigned i = 0; i < METRIC_BUCKETS; i++) {
        sample->buckets[i] = metric_read(&histogram->buckets[i]);
    }
    sample->value = (double)metric_read(&histogram->sum_us) / 1e6;
}
