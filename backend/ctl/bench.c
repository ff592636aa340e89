/*
 * s3ctl bench: how fast an endpoint is, for people and for programs.
 */
#include "transfer/bench.h"
#include "ctl/ctl.h"
#include "ctl/safe_text.h"
#include "ctl/show.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONCURRENCY 8
#define SECONDS     5.0
#define SECONDS_MAX 3600.0
#define COUNT_MAX   UINT64_C(1000000000)
#define BAR_WIDTH   24
#define MIB         (1024.0 * 1024)

static const uint64_t usual_sizes[] = {4ull << 10, 64ull << 20};

/* --- options ---------------------------------------------------------------*/
static bool refuse(const char *why)
{
    fprintf(stderr, "s3ctl: %s\n", why);
    return false;
}

static bool take_concurrency(const char *text, unsigned *concurrency)
{
    uint64_t value = CONCURRENCY;
    if (text != NULL && (slice_to_u64(slice_from_string(text), &value) != 0 ||
                         value < 1 || value > BENCH_CONCURRENCY_MAX)) {
        return refuse("--concurrency is from 1 to 256");
    }
    *concurrency = (unsigned)value;
    return true;
}

bool ctl_bench_take(const struct ctl_given *given, double usual_seconds,
                    struct ctl_bench *bench)
{
    char *end = NULL;
    *bench = (struct ctl_bench){0};
    if (given->count != NULL &&
        (slice_to_u64(slice_from_string(given->count), &bench->count) != 0 ||
         bench->count < 1 || bench->count > COUNT_MAX)) {
        return refuse("--count is a number, from 1");
    }
    if (given->duration == NULL) {
        bench->seconds = given->count == NULL ? usual_seconds : 0;
        return true;
    }
    bench->seconds = strtod(given->duration, &end);
    if (end == given->duration || *end != '\0' ||
        !(bench->seconds >= 0.001 && bench->seconds <= SECONDS_MAX)) {
        return refuse("--duration is in seconds, up to 3600");
    }
    return true;
}

static bool take_options(const struct ctl_given *given,
                         struct bench_options *options)
{
    struct ctl_bench bench;
    *options = (struct bench_options){
        .endpoint = given->endpoint,
        .region = given->region,
        .profile = given->profile,
        .ca_file = given->ca_file,
        .size_count = given->size_count,
    };
    _Static_assert(CTL_SIZES_MAX == BENCH_SIZES_MAX, "sizes of a benchmark");
    memcpy(options->sizes, given->sizes, sizeof(options->sizes));
    if (options->size_count == 0) {
        options->size_count = sizeof(usual_sizes) / sizeof(usual_sizes[0]);
        memcpy(options->sizes, usual_sizes, sizeof(usual_sizes));
    }
    for (unsigned i = 0; i < options->size_count; i++) {
        if (options->sizes[i] > BENCH_SIZE_MAX) {
            return refuse("--size is up to 1G");
        }
    }
    if (!take_concurrency(given->concurrency, &options->concurrency) ||
        !ctl_bench_take(given, SECONDS, &bench)) {
        return false;
    }
    options->seconds = bench.seconds;
    options->count = bench.count;
    return true;
}

/* --- what is shown ---------------------------------------------------------*/
struct show {
    bool json;
    bool head; /* the table's is printed */
    bool bar;  /* is on the terminal, which stderr is */
    json_t *results;
};

static void clear_bar(struct show *show)
{
    if (show->bar) {
        fputs("\r\x1b[K", stderr);
        show->bar = false;
    }
}

static void show_progress(void *context, const char *operation, double done)
{
    struct show *show = context;
    char bar[BAR_WIDTH + 1];
    if (isatty(STDERR_FILENO) != 1) {
        return;
    }
    memset(bar, '-', BAR_WIDTH);
    memset(bar, '#', (size_t)(done * BAR_WIDTH));
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r%-6s [%s] %3.0f%%\x1b[K", operation, bar, 100 * done);
    fflush(stderr);
    show->bar = true;
}

static double per_second(double amount, double seconds)
{
    return seconds > 0 ? amount / seconds : 0;
}

static json_t *result_json(const struct bench_result *result)
{
    json_t *latency = json_pack(
        "{s:f,s:f,s:f,s:f,s:f}", "mean", result->times.mean_us / 1e3, "p50",
        result->times.p50_us / 1e3, "p95", result->times.p95_us / 1e3, "p99",
        result->times.p99_us / 1e3, "max", result->times.max_us / 1e3);
    json_t *object = json_pack(
        "{s:s,s:o,s:f,s:I,s:I,s:f,s:I,s:f,s:o}", "operation", result->operation,
        "size",
        result->sized ? json_integer((json_int_t)result->size) : json_null(),
        "seconds", result->seconds, "requests", (json_int_t)result->requests,
        "errors", (json_int_t)result->errors, "requests_per_second",
        per_second((double)result->requests, result->seconds), "bytes",
        (json_int_t)result->bytes, "mib_per_second",
        per_second((double)result->bytes / MIB, result->seconds), "latency_ms",
        latency);
    invariant(object != NULL);
    return object;
}

static void print_row(struct show *show, const struct bench_result *result)
{
    char size[SHOW_SIZE] = "";
    if (!show->head) {
        printf("%-9s %10s %10s %8s %12s %10s %10s %10s %10s %10s\n",
               "OPERATION", "SIZE", "REQUESTS", "ERRORS", "REQUESTS/S", "MIB/S",
               "P50 MS", "P95 MS", "P99 MS", "MAX MS");
        show->head = true;
    }
    printf("%-9s %10s %10" PRIu64 " %8" PRIu64
           " %12.1f %10.2f %10.2f %10.2f %10.2f %10.2f\n",
           result->operation,
           result->sized ? show_bytes(result->size, size) : "",
           result->requests, result->errors,
           per_second((double)result->requests, result->seconds),
           per_second((double)result->bytes / MIB, result->seconds),
           result->times.p50_us / 1e3, result->times.p95_us / 1e3,
           result->times.p99_us / 1e3, result->times.max_us / 1e3);
    fflush(stdout);
}

static void show_result(void *context, const struct bench_result *result)
{
    struct show *show = context;
    clear_bar(show);
    if (show->json) {
        json_array_append_new(show->results, result_json(result));
    } else {
        print_row(show, result);
    }
    if (result->errors > 0) {
        show_error("%s", result->why);
    }
}

/* `result` is what the whole has come to. */
static void show_end(struct show *show, const struct bench_options *options,
                     enum transfer_result result, const struct bench_end *end)
{
    struct buffer safe = {0};
    const bool left = end->created && !end->removed;
    safe_text(&safe, end->why);
    if (show->json) {
        json_t *object = json_pack(
            "{s:s,s:i,s:b,s:b,s:I,s:O}", "bucket", end->bucket, "concurrency",
            (int)options->concurrency, "interrupted",
            (int)atomic_load(options->stop), "bucket_is_left", (int)left,
            "errors", (json_int_t)end->errors, "results", show->results);
        invariant(object != NULL);
        if (result != TRANSFER_DONE) {
            json_object_set_new(object, "error",
                                json_string((const char *)safe.data));
        }
        show_json(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
        json_decref(object);
    }
    if (result != TRANSFER_DONE) {
        show_error("%s%s%s%s", left ? "the bucket " : "",
                   left ? end->bucket : "", left ? " is left: " : "", end->why);
    }
    buffer_free(&safe);
}

/* --- the command -----------------------------------------------------------*/
static atomic_bool stopped;

static void on_signal(int signal)
{
    static const char text[] = "\ns3ctl: stopping; the bucket is removed\n";
    (void)signal;
    atomic_store(&stopped, true);
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0) {
        return;
    }
}

/* The second one ends it as ever. */
static void catch_signals(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    const struct sigaction action = {.sa_handler = on_signal,
                                     .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        sigaction(signals[i], &action, NULL);
    }
    signal(SIGPIPE, SIG_IGN); /* the bucket is removed then, too */
}

enum ctl_exit run_bench(const struct ctl_given *given, char **words)
{
    struct show show = {.json = given->json};
    const struct bench_watch watch = {
        .context = &show, .progress = show_progress, .result = show_result};
    struct bench_options options;
    struct bench_end end;
    (void)words;
    if (!take_options(given, &options)) {
        return CTL_USAGE;
    }
    options.stop = &stopped;
    show.results = json_array();
    catch_signals();
    const enum transfer_result result = bench_run(&options, &watch, &end);
    show_end(&show, &options, result, &end);
    json_decref(show.results);
    return result != TRANSFER_DONE                   ? ctl_exit_of(result)
           : end.errors > 0 || atomic_load(&stopped) ? CTL_INCOMPLETE
                                                     : CTL_OK;
}
