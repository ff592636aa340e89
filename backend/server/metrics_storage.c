/*
 * Metrics of drives and of the metadata.
 */
#include "server/private.h"

#include <math.h>
#include <stdio.h>

#define US 1e-6 /* seconds in a microsecond */

/* --- drives ----------------------------------------------------------------*/
struct drive_seen {
    char name[16];
    const struct drive_config *config;
    struct drive_usage usage;
    struct drive_condition condition;
};

static double is_ok(const struct drive_seen *drive)
{
    return drive->condition.state == DRIVE_OK;
}
static double is_slow(const struct drive_seen *drive)
{
    return drive->condition.slow;
}
static double is_full(const struct drive_seen *drive)
{
    return drive->condition.full;
}
static double is_draining(const struct drive_seen *drive)
{
    return drive->condition.draining;
}
static double failures(const struct drive_seen *drive)
{
    return drive->condition.failures;
}
static double size(const struct drive_seen *drive)
{
    return (double)drive->usage.total;
}
static double free_space(const struct drive_seen *drive)
{
    return (double)drive->usage.free;
}
static double pending(const struct drive_seen *drive)
{
    return (double)drive->usage.pending;
}
static double extents(const struct drive_seen *drive)
{
    return (double)drive->usage.extents;
}
static double in_flight(const struct drive_seen *drive)
{
    return drive->usage.load;
}

/* One sample for each drive. */
static const struct drive_metric {
    const char *name, *help;
    double (*value)(const struct drive_seen *drive);
    bool counter;
} drive_metrics[] = {
    {"s3d_drive_ok", "Whether the drive is in use: 1, or it is not: 0.", is_ok,
     false},
    {"s3d_drive_slow", "Whether it is much slower than its peers.", is_slow,
     false},
    {"s3d_drive_full", "Whether it takes no more for want of room.", is_full,
     false},
    {"s3d_drive_draining", "Whether it is being drained.", is_draining, false},
    {"s3d_drive_failures_total", "How often it failed since s3d started.",
     failures, true},
    {"s3d_drive_size_bytes", "Its file system, less the reserve.", size, false},
    {"s3d_drive_free_bytes", "What is free of that.", free_space, false},
    {"s3d_drive_pending_bytes", "Reserved, and not yet written.", pending,
     false},
    {"s3d_drive_extents", "Its files.", extents, false},
    {"s3d_drive_operations_in_flight", "Operations under way.", in_flight,
     false},
};

/* Of nothing there is no median. */
static double seconds(uint64_t count, uint64_t us)
{
    return count > 0 ? (double)us * US : NAN;
}

static void add_latencies(const struct drive_seen *drives, unsigned count,
                          struct metrics *metrics)
{
    Wire__MetricFamily *recent = metrics_gauge(
        metrics, "s3d_drive_recent_operations",
        "Operations of the last minute, of which the latencies are.");
    Wire__MetricFamily *latency = metrics_gauge(
        metrics, "s3d_drive_latency_seconds",
        "Median and 95th percentile of the last minute; NaN: none.");
    for (unsigned i = 0; i < count; i++) {
        const struct drive_condition *condition = &drives[i].condition;
        const struct {
            const char *name;
            const struct drive_latency *seen;
        } operations[] = {{"read", &condition->reads},
                          {"write", &condition->writes},
                          {"sync", &condition->syncs}};
        for (unsigned k = 0; k < 3; k++) {
            const struct drive_latency *seen = operations[k].seen;
            metrics_add(metrics, recent, (double)seen->count, "drive",
                        drives[i].name, "operation", operations[k].name, NULL);
            metrics_add(metrics, latency, seconds(seen->count, seen->median_us),
                        "drive", drives[i].name, "operation",
                        operations[k].name, "percentile", "50", NULL);
            metrics_add(metrics, latency, seconds(seen->count, seen->p95_us),
                        "drive", drives[i].name, "operation",
                        operations[k].name, "percentile", "95", NULL);
        }
    }
}

void metrics_of_drives(const struct cluster *cluster, struct metrics *metrics)
{
    struct drive_seen drives[SERVER_DRIVES_MAX];
    unsigned count = 0;
    Wire__MetricFamily *info = metrics_gauge(
        metrics, "s3d_drive_info", "Where the drive is, and its fault domain.");
    for (unsigned i = 0; i < cluster->drive_count; i++) {
        struct drive_seen *drive = &drives[count];
        drive_describe(cluster->drives[i], &drive->condition);
        if (drive->condition.state == DRIVE_REMOVED) {
            continue;
        }
        snprintf(drive->name, sizeof(drive->name), "%u", i);
        drive->config = drive_config(cluster->drives[i]);
        drive_usage(cluster->drives[i], &drive->usage);
        metrics_add(metrics, info, 1, "drive", drive->name, "directory",
                    drive->config->directory, "domain", drive->config->domain,
                    NULL);
        count++;
    }
    for (unsigned k = 0; k < sizeof(drive_metrics) / sizeof(drive_metrics[0]);
         k++) {
        const struct drive_metric *metric = &drive_metrics[k];
        Wire__MetricFamily *family =
            metric->counter
                ? metrics_counter(metrics, metric->name, metric->help)
                : metrics_gauge(metrics, metric->name, metric->help);
        for (unsigned i = 0; i < count; i++) {
            metrics_add(metrics, family, metric->value(&drives[i]), "drive",
                        drives[i].name, NULL);
        }
    }
    add_latencies(drives, count, metrics);
}

/* --- metadata --------------------------------------------------------------*/
static void add_mirrors(struct kv *kv, struct metrics *metrics)
{
    struct kv_mirror_status status[KV_MIRRORS_MAX];
    uint64_t epoch = 0;
    const unsigned count = kv_mirrors(kv, &epoch, status);
    Wire__MetricFamily *ok = metrics_gauge(
        metrics, "s3d_metadata_mirror_ok",
        "Whether the mirror is a member, with all that was committed: 1.");
    Wire__MetricFamily *behind = metrics_gauge(
        metrics, "s3d_metadata_mirror_behind",
        "Groups of commits in its journal that its database has not taken.");
    for (unsigned i = 0; i < count; i++) {
        metrics_add(metrics, ok, status[i].state == KV_MIRROR_MEMBER, "mirror",
                    status[i].directory, NULL);
        metrics_add(metrics, behind,
                    (double)status[i].journaled - (double)status[i].applied,
                    "mirror", status[i].directory, NULL);
    }
    metrics_add(metrics,
                metrics_gauge(metrics, "s3d_metadata_epoch",
                              "How often the set of mirrors has changed."),
                (double)epoch, NULL);
    metrics_add(metrics,
                metrics_gauge(metrics, "s3d_metadata_read_only",
                              "Whether no change is accepted any more."),
                kv_read_only(kv), NULL);
}

static void add_leveldb(struct kv *kv, struct metrics *metrics)
{
    struct kv_statistics seen;
    if (!kv_statistics(kv, &seen)) {
        return;
    }
    Wire__MetricFamily *files =
        metrics_gauge(metrics, "s3d_leveldb_files", "Tables, by level.");
    Wire__MetricFamily *bytes =
        metrics_gauge(metrics, "s3d_leveldb_bytes", "Their size, by level.");
    Wire__MetricFamily *seconds =
        metrics_counter(metrics, "s3d_leveldb_compaction_seconds_total",
                        "Time of compactions into the level.");
    Wire__MetricFamily *written =
        metrics_counter(metrics, "s3d_leveldb_compaction_bytes_total",
                        "What compactions into the level have written.");
    for (unsigned i = 0; i < KV_LEVELS; i++) {
        char level[16];
        snprintf(level, sizeof(level), "%u", i);
        metrics_add(metrics, files, (double)seen.levels[i].files, "level",
                    level, NULL);
        metrics_add(metrics, bytes, (double)seen.levels[i].bytes, "level",
                    level, NULL);
        metrics_add(metrics, seconds, (double)seen.levels[i].seconds, "level",
                    level, NULL);
        metrics_add(metrics, written, (double)seen.levels[i].bytes_written,
                    "level", level, NULL);
    }
    metrics_add(metrics,
                metrics_gauge(metrics, "s3d_leveldb_memory_bytes",
                              "Tables not yet written, and cached blocks."),
                (double)seen.memory, NULL);
}

static void add_archive(struct archive *archive, struct metrics *metrics)
{
    struct archive_status seen = {0};
    if (archive == NULL) {
        return;
    }
    archive_look(archive, &seen);
    metrics_add(metrics,
                metrics_gauge(metrics, "s3d_metadata_archive_copies",
                              "Drives with an archive that is up to date."),
                seen.copies, NULL);
    metrics_add(metrics,
                metrics_gauge(metrics,
                              "s3d_metadata_archive_written_time_seconds",
                              "When it was last written, Unix time."),
                (double)seen.written_ms / 1000, NULL);
}

void metrics_of_metadata(struct server *server, struct metrics *metrics)
{
    struct kv *kv = meta_kv(server->cluster.meta);
    add_mirrors(kv, metrics);
    add_leveldb(kv, metrics);
    add_archive(server->archive, metrics);
}
