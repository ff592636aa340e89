/*
 * Metrics of the process and its requests; those of drives, metadata, care and
 * events are in metrics_*.c. Each name ends in its unit, or in _total if it
 * only grows; labels take few values.
 */
#include "server/private.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static void gauge(struct metrics *metrics, const char *name, const char *help,
                  double value)
{
    metrics_add(metrics, metrics_gauge(metrics, name, help), value, NULL);
}

static void counter(struct metrics *metrics, const char *name, const char *help,
                    double value)
{
    metrics_add(metrics, metrics_counter(metrics, name, help), value, NULL);
}

/* --- the process -----------------------------------------------------------*/
static double resident_bytes(void)
{
    unsigned long long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%llu %llu", &total, &resident) != 2) {
        resident = 0;
    }
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double open_files(void)
{
    DIR *directory = opendir("/proc/self/fd");
    double count = -3; /* ".", "..", and the directory itself */
    if (directory == NULL) {
        return 0;
    }
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

void metrics_of_process(struct metrics *metrics)
{
    struct rlimit limit = {0};
    getrlimit(RLIMIT_NOFILE, &limit);
    gauge(metrics, "s3d_resident_memory_bytes", "Memory of s3d.",
          resident_bytes());
    counter(metrics, "s3d_cpu_seconds_total", "Processor time of s3d.",
            cpu_seconds());
    gauge(metrics, "s3d_open_files", "Open file descriptors.", open_files());
    gauge(metrics, "s3d_open_files_limit", "How many there may be.",
          (double)limit.rlim_cur);
}

/* --- requests --------------------------------------------------------------*/
static void add_requests(struct counters *counters, struct metrics *metrics)
{
    Wire__MetricFamily *family =
        metrics_counter(metrics, "s3d_requests_total",
                        "Requests that s3d has ended, by operation.");
    for (unsigned i = 0; i < SERVER_OPERATIONS; i++) {
        char name[OPERATION_NAME_SIZE];
        const uint64_t count = atomic_load(&counters->requests[i]);
        if (count > 0) {
            operation_name(i, name);
            metrics_add(metrics, family, (double)count, "operation", name,
                        NULL);
        }
    }
    counter(metrics, "s3d_server_errors_total", "Requests answered 5xx.",
            (double)atomic_load(&counters->errors));
    counter(metrics, "s3d_aborted_requests_total",
            "Requests whose connection was closed before their end.",
            (double)atomic_load(&counters->aborted));
    counter(metrics, "s3d_slow_requests_total",
            "Requests that took slow_request_ms of s3d's time, or longer.",
            (double)atomic_load(&counters->slow));
}

static void add_phases(struct counters *counters, struct metrics *metrics)
{
    Wire__MetricFamily *family = metrics_histogram(
        metrics, "s3d_request_phase_duration_seconds",
        "What requests waited for in s3d (metadata, drive, lock, keys), and "
        "the rest of its time (work).");
    for (unsigned i = 0; i < PHASES; i++) {
        metrics_add_histogram(metrics, family, &counters->phases[i], "phase",
                              phase_name(i), NULL);
    }
    metrics_add_histogram(metrics, family, &counters->work, "phase", "work",
                          NULL);
}

static void add_queues(struct server *server, struct metrics *metrics)
{
    static const char *const names[] = {"request", "control", "admin"};
    struct counters *counters = &server->counters;
    struct pool_status pool;
    Wire__MetricFamily *family = metrics_gauge(
        metrics, "s3d_connections", "Open connections of workers and s3ctl.");
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        metrics_add(metrics, family, atomic_load(&counters->connections[i]),
                    "kind", names[i], NULL);
    }
    gauge(metrics, "s3d_requests_in_flight", "Requests under way.",
          atomic_load(&counters->in_flight));
    pool_look(server->pool, &pool);
    gauge(metrics, "s3d_threads", "Threads for requests.", pool.threads);
    gauge(metrics, "s3d_threads_waiting",
          "Threads that wait for a drive, a commit or a lock.", pool.waiting);
    gauge(metrics, "s3d_jobs", "Steps of requests that run or wait to.",
          pool.under_way);
}

static double seconds(const atomic_uint_fast64_t *us)
{
    return (double)atomic_load(us) / 1e6;
}

/* What limits have done: docs/limits.md. */
static void add_limited(const struct s3_limited *limited,
                        struct metrics *metrics)
{
    Wire__MetricFamily *family =
        metrics_counter(metrics, "s3d_refused_by_limits_total",
                        "Requests refused: no room (QuotaExceeded), or too "
                        "many a second (SlowDown).");
    metrics_add(metrics, family, (double)atomic_load(&limited->room), "limit",
                "room", NULL);
    metrics_add(metrics, family, (double)atomic_load(&limited->requests),
                "limit", "requests", NULL);
    family = metrics_counter(metrics, "s3d_bandwidth_waits_total",
                             "How often a body has waited for its turn of a "
                             "limited bandwidth.");
    metrics_add(metrics, family,
                (double)atomic_load(&limited->turns[META_DOWNLOAD]),
                "direction", "download", NULL);
    metrics_add(metrics, family,
                (double)atomic_load(&limited->turns[META_UPLOAD]), "direction",
                "upload", NULL);
    family = metrics_counter(metrics, "s3d_bandwidth_waits_seconds_total",
                             "For how long, of all requests together.");
    metrics_add(metrics, family, seconds(&limited->waited_us[META_DOWNLOAD]),
                "direction", "download", NULL);
    metrics_add(metrics, family, seconds(&limited->waited_us[META_UPLOAD]),
                "direction", "upload", NULL);
}

static void add_hot(const struct hot *hot, struct metrics *metrics)
{
    struct hot_status seen;
    if (hot == NULL) {
        return;
    }
    hot_status(hot, &seen);
    gauge(metrics, "s3d_hot_index_bytes", "Memory of the hot index.",
          (double)seen.size);
    gauge(metrics, "s3d_hot_index_objects", "How many it holds at most.",
          (double)seen.objects);
    counter(metrics, "s3d_hot_index_published_total", "Objects laid into it.",
            (double)seen.published);
    counter(metrics, "s3d_hot_index_changes_total",
            "Changes that outdated what it may have held.",
            (double)seen.changes);
}

void server_metrics(struct server *server, struct metrics *metrics)
{
    metrics_add(metrics,
                metrics_gauge(metrics, "s3d_info", "The version of s3d."), 1,
                "version", S3D_VERSION, NULL);
    gauge(metrics, "s3d_start_time_seconds", "When s3d started, Unix time.",
          (double)server->started_ms / 1000);
    gauge(metrics, "s3d_uptime_seconds", "How long s3d has been running.",
          (double)server_uptime_us(server) / 1000000);
    metrics_of_process(metrics);
    add_requests(&server->counters, metrics);
    add_phases(&server->counters, metrics);
    add_queues(server, metrics);
    add_hot(server->service.hot, metrics);
    add_limited(&server->service.limited, metrics);
    metrics_of_drives(&server->cluster, metrics);
    metrics_of_metadata(server, metrics);
    metrics_of_care(server, metrics);
    metrics_of_usage(server, metrics);
    metrics_of_events(server->publisher, metrics);
}
