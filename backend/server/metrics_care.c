/*
 * Metrics of care (the ledger of redundancy, heal, scrub, reclaim, rebalance)
 * and of events.
 */
#include "server/private.h"

#include <stdio.h>

#define MS            1e-3 /* seconds in a millisecond */
#define SCAN_SHARE    20u  /* at most one part of so many of the time */
#define SCAN_LEAST_US 500000u

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

/* --- what care says --------------------------------------------------------*/
void care_seen_open(struct care_seen *seen)
{
    pthread_mutex_init(&seen->lock, NULL);
}

void care_seen_close(struct care_seen *seen)
{
    arena_free(seen->arena);
    pthread_mutex_destroy(&seen->lock);
}

static bool is_due(struct care_seen *seen)
{
    pthread_mutex_lock(&seen->lock);
    const bool due = !seen->asking && clock_monotonic_us() >= seen->until_us;
    seen->asking |= due;
    pthread_mutex_unlock(&seen->lock);
    return due;
}

/* It counts the queue, which may be long: others say what was last seen. */
static void look(struct care_seen *seen, struct care *care)
{
    if (!is_due(seen)) {
        return;
    }
    const uint64_t began = clock_monotonic_us();
    struct arena *arena = arena_new();
    struct care_status status = {0};
    blocking_begin();
    const int error = care_status(care, arena, &status);
    blocking_end();
    const uint64_t now = clock_monotonic_us();
    const uint64_t pause = SCAN_SHARE * (now - began);

    pthread_mutex_lock(&seen->lock);
    seen->asking = false;
    seen->until_us = now + (pause > SCAN_LEAST_US ? pause : SCAN_LEAST_US);
    struct arena *old = seen->arena;
    seen->arena = arena;
    seen->status = status;
    seen->error = error;
    pthread_mutex_unlock(&seen->lock);
    arena_free(old);
}

/* --- redundancy, heal, scrub -----------------------------------------------*/
static void add_ledger(const struct care_status *status,
                       struct metrics *metrics)
{
    const struct care_ledger *ledger = &status->ledger;
    gauge(metrics, "s3d_fully_redundant",
          "Whether every blob is proven to have all of its shards.",
          status->fully_redundant);
    gauge(metrics, "s3d_heal_queue_blobs", "Blobs that are short of shards.",
          (double)ledger->queued);
    gauge(metrics, "s3d_heal_waiting_blobs",
          "Those of them that wait for a drive.", (double)ledger->waiting);
    gauge(metrics, "s3d_unreadable_blobs",
          "Blobs of which too few shards are there.",
          (double)ledger->unreadable);
    Wire__MetricFamily *left = metrics_gauge(
        metrics, "s3d_reduced_blobs",
        "Blobs that are short of shards, by the losses that they still bear.");
    for (unsigned i = 0; i <= CARE_LOSSES_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%u", i);
        if (ledger->left[i] > 0 || i == 0) {
            metrics_add(metrics, left, (double)ledger->left[i], "losses_left",
                        name, NULL);
        }
    }
}

static void add_heal(const struct care_status *status, struct metrics *metrics)
{
    const struct care_heal_status *heal = &status->heal;
    const uint64_t rest = status->ledger.queued - status->ledger.waiting;
    gauge(metrics, "s3d_heal_active", "Blobs that are being healed.",
          heal->active);
    gauge(metrics, "s3d_heal_healed_blobs",
          "Blobs healed since the queue was last empty.", (double)heal->healed);
    gauge(metrics, "s3d_heal_written_bytes", "What was written for them.",
          (double)heal->bytes);
    gauge(metrics, "s3d_heal_remaining_seconds",
          "How long the rest takes at that speed; 0: unknown, or nothing.",
          heal->healed > 0 ? (double)rest * (double)heal->milliseconds * MS /
                                 (double)heal->healed
                           : 0);
}

static void add_scrub(const struct care_scrub_status *scrub,
                      struct metrics *metrics)
{
    const Meta__Scrub *progress = scrub->progress;
    gauge(metrics, "s3d_scrub_running", "Whether a pass is under way.",
          scrub->running);
    gauge(metrics, "s3d_scrub_stopped", "Whether an operator has stopped it.",
          scrub->stopped);
    counter(metrics, "s3d_scrub_passes_total", "Whole passes.",
            (double)progress->passes);
    gauge(metrics, "s3d_scrub_pass_blobs", "Verified by the pass under way.",
          (double)progress->blobs);
    gauge(metrics, "s3d_scrub_pass_bytes", "Verified by the pass under way.",
          (double)progress->bytes);
    gauge(metrics, "s3d_scrub_pass_bad_shards", "Found by the pass under way.",
          (double)progress->shards_bad);
    gauge(metrics, "s3d_scrub_last_bytes", "Verified by the last whole pass.",
          (double)progress->completed_bytes);
    gauge(metrics, "s3d_scrub_last_bad_shards", "Found by the last whole pass.",
          (double)progress->completed_shards_bad);
    gauge(metrics, "s3d_scrub_last_dangling_references",
          "References to blobs that are not there, found by the last pass.",
          (double)progress->completed_dangling);
    gauge(metrics, "s3d_scrub_last_completed_time_seconds",
          "When the last whole pass ended, Unix time; 0: never.",
          (double)progress->completed_ms * MS);
}

/* --- reclaim, rebalance ----------------------------------------------------*/
static void add_reclaim(struct reclaim *reclaim, struct metrics *metrics)
{
    struct reclaim_status now;
    reclaim_status(reclaim, &now);
    counter(metrics, "s3d_reclaim_passes_total", "Passes of the reclaimer.",
            (double)now.passes);
    counter(metrics, "s3d_reclaim_freed_blobs_total",
            "Blobs that nobody used any more.", (double)now.blobs_freed);
    counter(metrics, "s3d_reclaim_removed_bytes_total",
            "Files that were unlinked.", (double)now.bytes_removed);
    counter(metrics, "s3d_reclaim_moved_bytes_total",
            "Live bytes that were moved for it.", (double)now.bytes_moved);
    gauge(metrics, "s3d_stored_bytes", "Files on all drives, as last counted.",
          (double)now.bytes);
    gauge(metrics, "s3d_live_bytes", "What of them is live.",
          (double)now.live_bytes);
    gauge(metrics, "s3d_damaged_records",
          "Records of blobs that cannot be read.", (double)now.damaged);
}

static void add_rebalance(struct rebalance *rebalance, struct metrics *metrics)
{
    struct rebalance_status now;
    rebalance_status(rebalance, &now);
    gauge(metrics, "s3d_rebalance_moving",
          "Whether shards are moved from drive to drive.",
          now.state == REBALANCE_MOVING || now.state == REBALANCE_DRAINING);
    counter(metrics, "s3d_rebalance_moved_bytes_total",
            "Bytes moved since s3d started.", (double)now.bytes_moved);
    gauge(metrics, "s3d_rebalance_excess_bytes",
          "What lies above the mean level, of all drives.", (double)now.excess);
}

void metrics_of_care(struct server *server, struct metrics *metrics)
{
    struct care_seen *seen = &server->care_seen;
    look(seen, server->care);
    pthread_mutex_lock(&seen->lock);
    if (seen->arena != NULL && seen->error == 0) {
        add_ledger(&seen->status, metrics);
        add_heal(&seen->status, metrics);
        add_scrub(&seen->status.scrub, metrics);
    }
    pthread_mutex_unlock(&seen->lock);
    add_reclaim(server->reclaim, metrics);
    add_rebalance(server->rebalance, metrics);
}

/* --- events ----------------------------------------------------------------*/
static double ready(const struct publisher_status *status)
{
    return status->state == PUBLISHER_READY;
}
static double backlog(const struct publisher_status *status)
{
    return (double)status->backlog_events;
}
static double backlog_bytes(const struct publisher_status *status)
{
    return (double)status->backlog_bytes;
}
static double lag(const struct publisher_status *status)
{
    return (double)status->lag_ms * MS;
}
static double delivered(const struct publisher_status *status)
{
    return (double)status->delivered;
}
static double retried(const struct publisher_status *status)
{
    return (double)status->retried;
}
static double dropped(const struct publisher_status *status)
{
    return (double)status->dropped;
}
static double blocked(const struct publisher_status *status)
{
    return (double)status->blocked;
}

static const struct target_metric {
    const char *name, *help;
    double (*value)(const struct publisher_status *status);
    bool counter;
} target_metrics[] = {
    {"s3d_events_target_up", "Whether the target takes events.", ready, false},
    {"s3d_events_backlog", "Events that wait for the target.", backlog, false},
    {"s3d_events_backlog_bytes", "Their size.", backlog_bytes, false},
    {"s3d_events_lag_seconds", "The age of the oldest of them.", lag, false},
    {"s3d_events_delivered_total", "Events that the target has taken.",
     delivered, true},
    {"s3d_events_retried_total", "Events whose delivery failed and began anew.",
     retried, true},
    {"s3d_events_dropped_total", "Events dropped by the limit of the backlog.",
     dropped, true},
    {"s3d_events_blocked_total", "Changes that the limit refused.", blocked,
     true},
};

void metrics_of_events(struct publisher *publisher, struct metrics *metrics)
{
    const struct events_target_options *target;
    struct publisher_status status;
    for (size_t k = 0; k < sizeof(target_metrics) / sizeof(target_metrics[0]);
         k++) {
        const struct target_metric *metric = &target_metrics[k];
        Wire__MetricFamily *family =
            metric->counter
                ? metrics_counter(metrics, metric->name, metric->help)
                : metrics_gauge(metrics, metric->name, metric->help);
        for (size_t i = 0; publisher_status(publisher, i, &target, &status);
             i++) {
            metrics_add(metrics, family, metric->value(&status), "target",
                        target->name, NULL);
        }
    }
}
