/* The clock, and limits. */
#include "doctor/check.h"

#define EPOCH_MS       UINT64_C(1704067200000) /* 2024: older than s3d */
#define AHEAD_MS       60000
#define LOCKED_MIN     65536
#define FILES_SPARE    1024 /* beside connections */
#define GIB(bytes)     ((double)(bytes) / (1 << 30))
#define MEMORY_PERCENT 60

static double metric(const struct doctor_facts *facts, const char *name)
{
    const json_t *metrics = json_object_get(facts->status, "metrics");
    const json_t *sample = json_array_get(json_object_get(metrics, name), 0);
    return json_number_value(json_object_get(sample, "value"));
}

static void check_clock(const struct doctor_facts *facts, json_t *findings)
{
    static const char mend[] = "set the clock, and let chrony or "
                               "systemd-timesyncd keep it";
    char now[TIME_ISO8601_SIZE + 1], then[TIME_ISO8601_SIZE + 1];
    time_iso8601(now, facts->now_ms);
    if (facts->now_ms < EPOCH_MS) {
        doctor_problem(findings, "the clock says %s", now);
        doctor_mend(findings, "%s", mend);
        return;
    }
    for (unsigned i = 0; i < facts->drive_count; i++) {
        const struct doctor_drive *drive = &facts->drives[i];
        if (drive->newest_ms > facts->now_ms + AHEAD_MS) {
            time_iso8601(then, drive->newest_ms);
            doctor_problem(findings, "it is %s, but drive %u was changed at %s",
                           now, drive->index, then);
            doctor_mend(findings, "%s", mend);
            return;
        }
    }
    if (!facts->clock_synchronized) {
        doctor_warning(findings, "nothing keeps the clock right: requests are "
                                 "refused when it is 15 minutes off");
        doctor_mend(findings, "apt install chrony");
    }
}

static void check_open_files(const struct doctor_facts *facts, json_t *findings)
{
    const double limit = metric(facts, "s3d_open_files_limit");
    const double used = metric(facts, "s3d_open_files");
    const double wanted =
        (double)facts->config->limits.connections + FILES_SPARE;
    if (limit > 0 && used > limit * 0.8) {
        doctor_problem(findings, "s3d has %.0f of %.0f files open", used,
                       limit);
    } else if (limit > 0 && limit < wanted) {
        doctor_warning(findings,
                       "s3d may open %.0f files; its connections "
                       "alone may take %llu",
                       limit,
                       (unsigned long long)facts->config->limits.connections);
    } else {
        return;
    }
    doctor_mend(findings,
                "LimitNOFILE=%.0f in `systemctl edit s3d`, or a "
                "lower limits.connections",
                wanted > 2 * used ? wanted : 2 * used);
}

static void check_locked_memory(const struct doctor_facts *facts,
                                json_t *findings)
{
    if (facts->locked_memory >= 0 && facts->locked_memory < LOCKED_MIN) {
        doctor_warning(findings,
                       "s3d may lock %lld bytes of memory: its keys "
                       "may be written to the swap",
                       (long long)facts->locked_memory);
        doctor_mend(findings, "LimitMEMLOCK=8M in `systemctl edit s3d`");
    }
}

/* Of the hot index and of bodies, which take what they may under load. */
static void check_memory(const struct doctor_facts *facts, json_t *findings)
{
    const uint64_t hot = facts->config->hot_size;
    const uint64_t bodies = facts->config->limits.body_memory;
    const double share =
        facts->memory > 0
            ? 100 * ((double)hot + (double)bodies) / (double)facts->memory
            : 0;
    if (share <= MEMORY_PERCENT) {
        return;
    }
    (share > 100 ? doctor_problem : doctor_warning)(
        findings,
        "hot_index (%.1f GiB) and body_memory (%.1f GiB) may take %.0f%% of "
        "the memory (%.1f GiB), which files need, too",
        GIB(hot), GIB(bodies), share, GIB(facts->memory));
    doctor_mend(findings,
                "make hot_index.size or limits.body_memory smaller in "
                "%s",
                facts->config_path);
}

const struct doctor_check doctor_machine_checks[] = {
    {"clock", "it is plausible, and kept right", 0, check_clock},
    {"open files", "s3d may open as many as it needs", NEEDS_CONFIG | NEEDS_S3D,
     check_open_files},
    {"locked memory", "s3d's keys stay out of the swap", NEEDS_S3D,
     check_locked_memory},
    {"memory", "there is enough for what s3d may use", NEEDS_CONFIG,
     check_memory},
    {NULL, NULL, 0, NULL},
};
