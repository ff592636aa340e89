
#include "s3_counters.h"
#include "s3_string.h"
#include "wire/wire.h"

#include <stdio.h>


/* The last entry stands for all that are not here. */

static const unsigned  s3_statuses[S3_COUNTERS_STATUSES] = {
    100, 200, 201, 202, 203, 204, 206, 207, 301, 302,
    303, 304, 307, 308, 400, 401, 403, 404, 405, 406,
    408, 409, 411, 412, 413, 414, 415, 416, 417, 421,
    429, 494, 499, 500, 501, 502, 503, 504, 507, 0
};

static unsigned s3_counters_operation(int operation);
static void s3_counters_name(unsigned i, char name[OPERATION_NAME_SIZE]);
static unsigned s3_counters_status(unsigned status);
static void s3_counters_tell_requests(const s3_counters_t *counters,
    struct metrics *metrics);
static void s3_counters_tell_operations(const s3_counters_t *counters,
    struct metrics *metrics);
static void s3_counters_tell_phases(const s3_counters_t *counters,
    struct metrics *metrics);


void
s3_counters_count(s3_counters_t *counters, const s3_counted_t *request)
{
    unsigned  operation;

    operation = s3_counters_operation(request->operation);

    metric_count(&counters->requests[operation]
                                    [s3_counters_status(request->status)], 1);
    metric_count(&counters->received[operation], request->received);
    metric_count(&counters->sent[operation], request->sent);

    metric_observe(&counters->durations[operation],
                   request->ended - request->began);

    if (request->authenticated == 0) {
        return;
    }

    metric_observe(&counters->phases[S3_PHASE_AUTH],
                   request->authenticated - request->began);

    if (request->hot) {
        metric_observe(&counters->phases[S3_PHASE_SEND],
                       request->ended - request->authenticated);
    }

    if (request->replied == 0) {
        return;
    }

    metric_observe(&counters->phases[S3_PHASE_BACKEND],
                   request->replied - request->authenticated);
    metric_observe(&counters->phases[S3_PHASE_SEND],
                   request->ended - request->replied);
}


void
s3_counters_tell(const s3_counters_t *counters, struct metrics *metrics)
{
    Wire__MetricFamily  *family;

    s3_counters_tell_requests(counters, metrics);
    s3_counters_tell_operations(counters, metrics);
    s3_counters_tell_phases(counters, metrics);

    family = metrics_counter(metrics, "s3_signing_keys_total",
                             "Signing keys that requests needed, by where "
                             "they came from.");

    metrics_add(metrics, family, metric_read(&counters->keys_found),
                "from", "zone", NULL);
    metrics_add(metrics, family, metric_read(&counters->keys_asked),
                "from", "s3d", NULL);

    family = metrics_counter(metrics, "s3_hot_index_requests_total",
                             "Requests that the hot index has answered, and "
                             "those that it could have.");

    metrics_add(metrics, family, metric_read(&counters->hot_hits),
                "result", "hit", NULL);
    metrics_add(metrics, family, metric_read(&counters->hot_misses),
                "result", "miss", NULL);
}


static void
s3_counters_tell_requests(const s3_counters_t *counters,
    struct metrics *metrics)
{
    char                 name[OPERATION_NAME_SIZE], code[16];
    unsigned             i, k;
    uint64_t             count;
    Wire__MetricFamily  *family;

    family = metrics_counter(metrics, "s3_requests_total",
                             "Requests that have ended, by operation and "
                             "HTTP status.");

    for (i = 0; i < S3_COUNTERS_OPERATIONS; i++) {
        s3_counters_name(i, name);

        for (k = 0; k < S3_COUNTERS_STATUSES; k++) {
            count = metric_read(&counters->requests[i][k]);

            if (count == 0) {
                continue;
            }

            if (s3_statuses[k]) {
                (void) snprintf(code, sizeof(code), "%u", s3_statuses[k]);

            } else {
                (void) snprintf(code, sizeof(code), "other");
            }

            metrics_add(metrics, family, count, "operation", name,
                        "code", code, NULL);
        }
    }
}


static void
s3_counters_tell_operations(const s3_counters_t *counters,
    struct metrics *metrics)
{
    char                 name[OPERATION_NAME_SIZE];
    unsigned             i;
    Wire__MetricFamily  *received, *sent, *durations;

    received = metrics_counter(metrics, "s3_received_bytes_total",
                               "Bytes of requests, headers included.");
    sent = metrics_counter(metrics, "s3_sent_bytes_total",
                           "Bytes of answers, headers included.");
    durations = metrics_histogram(metrics, "s3_request_duration_seconds",
                                  "From a request's header to the end of its "
                                  "answer.");

    for (i = 0; i < S3_COUNTERS_OPERATIONS; i++) {

        if (metric_read(&counters->received[i]) == 0) {
            /* no request is without bytes */
            continue;
        }

        s3_counters_name(i, name);

        metrics_add(metrics, received, metric_read(&counters->received[i]),
                    "operation", name, NULL);
        metrics_add(metrics, sent, metric_read(&counters->sent[i]),
                    "operation", name, NULL);
        metrics_add_histogram(metrics, durations, &counters->durations[i],
                              "operation", name, NULL);
    }
}


static void
s3_counters_tell_phases(const s3_counters_t *counters,
    struct metrics *metrics)
{
    unsigned             i;
    Wire__MetricFamily  *family;

    static const char  *names[S3_PHASES] = { "auth", "backend", "send" };

    family = metrics_histogram(metrics, "s3_request_phase_duration_seconds",
                               "Parts of a request's time: until it is "
                               "authenticated, until s3d's reply, until all "
                               "is sent.");

    for (i = 0; i < S3_PHASES; i++) {
        metrics_add_histogram(metrics, family, &counters->phases[i],
                              "phase", names[i], NULL);
    }
}


/* 0: it is not known what was asked for; the last: what is not implemented. */

static unsigned
s3_counters_operation(int operation)
{
    if (operation == WIRE__OPERATION__NOT_IMPLEMENTED) {
        return S3_COUNTERS_OPERATIONS - 1;
    }

    return (operation > 0 && operation < S3_COUNTERS_OPERATIONS - 1)
           ? (unsigned) operation : 0;
}


static void
s3_counters_name(unsigned i, char name[OPERATION_NAME_SIZE])
{
    if (i == 0) {
        (void) snprintf(name, OPERATION_NAME_SIZE, "Unknown");

    } else if (i == S3_COUNTERS_OPERATIONS - 1) {
        operation_name(WIRE__OPERATION__NOT_IMPLEMENTED, name);

    } else {
        operation_name(i, name);
    }
}


static unsigned
s3_counters_status(unsigned status)
{
    unsigned  i;

    for (i = 0; i < S3_COUNTERS_STATUSES - 1; i++) {
        if (s3_statuses[i] == status) {
            break;
        }
    }

    return i;
}
