/*
 * Metrics of what is stored, and of quotas: totals, and only of the fullest
 * buckets and accounts, so that a million buckets are no million lines.
 */
#include "meta/fullest.h"
#include "server/private.h"

#include <stdlib.h>
#include <string.h>

#define SHOWN_MAX (2 * META_FULLEST)

/* One that is told of. */
struct shown {
    const struct meta_full *full;
    char name[65];
};

/* A label has one sample: who is in both lists is told once. */
static bool is_shown(const struct shown *shown, unsigned count, uint64_t bucket)
{
    for (unsigned i = 0; i < count; i++) {
        if (shown[i].full->bucket == bucket) {
            return true;
        }
    }
    return false;
}

/* Those with names: one may have been deleted since. */
static unsigned show_buckets(struct meta *meta, struct shown *shown,
                             unsigned count, const struct meta_full *list,
                             unsigned list_count)
{
    for (unsigned i = 0; i < list_count; i++) {
        struct arena *arena = arena_new();
        struct shown *next = &shown[count];
        Meta__Bucket *bucket;

        if (!is_shown(shown, count, list[i].bucket) &&
            meta_get_bucket_by_id(meta, arena, list[i].bucket, &bucket) == 0 &&
            bucket->name.len < sizeof(next->name)) {
            memcpy(next->name, bucket->name.data, bucket->name.len);
            next->name[bucket->name.len] = '\0';
            next->full = &list[i];
            count++;
        }
        arena_free(arena);
    }
    return count;
}

static double used_bytes(const struct meta_full *full)
{
    return (double)full->used.bytes;
}

static double used_objects(const struct meta_full *full)
{
    return (double)full->used.objects;
}

static double quota_bytes(const struct meta_full *full)
{
    return (double)full->quota.bytes;
}

static double quota_objects(const struct meta_full *full)
{
    return (double)full->quota.objects;
}

static double quota_used(const struct meta_full *full)
{
    return meta_quota_share(&full->used, &full->quota);
}

enum whose { OF_BUCKET, OF_ACCOUNT };
static const char *const labels[] = {"bucket", "account"};

static const struct usage_metric {
    const char *names[2], *help;
    double (*value)(const struct meta_full *full);
    bool always; /* also if it is 0: not a quota */
} usage_metrics[] = {
    {{"s3d_bucket_used_bytes", "s3d_account_used_bytes"},
     "What is stored.",
     used_bytes,
     true},
    {{"s3d_bucket_used_objects", "s3d_account_used_objects"},
     "Versions, delete markers and parts of uploads.",
     used_objects,
     true},
    {{"s3d_bucket_quota_bytes", "s3d_account_quota_bytes"},
     "How much may be stored.",
     quota_bytes,
     false},
    {{"s3d_bucket_quota_objects", "s3d_account_quota_objects"},
     "How many may be stored.",
     quota_objects,
     false},
    {{"s3d_bucket_quota_used_ratio", "s3d_account_quota_used_ratio"},
     "The share of the quota that is used: 1 is all of it.",
     quota_used,
     false},
};

static void add(struct metrics *metrics, enum whose whose,
                const struct shown *shown, unsigned count)
{
    for (size_t k = 0; k < sizeof(usage_metrics) / sizeof(usage_metrics[0]);
         k++) {
        const struct usage_metric *metric = &usage_metrics[k];
        Wire__MetricFamily *family =
            metrics_gauge(metrics, metric->names[whose], metric->help);
        for (unsigned i = 0; i < count; i++) {
            const double value = metric->value(shown[i].full);

            if (value > 0 || metric->always) {
                metrics_add(metrics, family, value, labels[whose],
                            shown[i].name, NULL);
            }
        }
    }
}

static unsigned show_accounts(struct iam *iam, struct shown *shown,
                              const struct meta_fullest *fullest)
{
    unsigned count = 0;

    for (unsigned i = 0; i < fullest->owner_count; i++) {
        iam_display_name(iam, fullest->owners[i].owner, shown[count].name);
        if (shown[count].name[0] != '\0') {
            shown[count++].full = &fullest->owners[i];
        }
    }
    return count;
}

void metrics_of_usage(struct server *server, struct metrics *metrics)
{
    struct meta *meta = server->cluster.meta;
    struct meta_fullest *fullest = xmalloc(sizeof(*fullest));
    struct shown *shown = xcalloc(SHOWN_MAX, sizeof(*shown));
    unsigned count;

    blocking_begin();
    meta_find_fullest(meta, fullest);
    count =
        show_buckets(meta, shown, 0, fullest->limited, fullest->limited_count);
    count = show_buckets(meta, shown, count, fullest->largest,
                         fullest->largest_count);
    blocking_end();
    metrics_add(metrics,
                metrics_gauge(metrics, "s3d_buckets", "How many there are."),
                (double)fullest->buckets, NULL);
    metrics_add(metrics,
                metrics_gauge(metrics, "s3d_used_bytes",
                              "What all buckets have stored, as clients see "
                              "it."),
                (double)fullest->used.bytes, NULL);
    metrics_add(metrics,
                metrics_gauge(metrics, "s3d_used_objects",
                              "Versions, delete markers and parts in them."),
                (double)fullest->used.objects, NULL);
    add(metrics, OF_BUCKET, shown, count);
    count = show_accounts(server->cluster.iam, shown, fullest);
    add(metrics, OF_ACCOUNT, shown, count);
    free(shown);
    free(fullest);
}
