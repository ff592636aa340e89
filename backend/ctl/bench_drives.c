/*
 * s3ctl bench drives: each drive's speed, one after the other, and which of
 * them is slow beside the others.
 */
#include "ctl/ctl.h"
#include "ctl/show.h"
#include "doctor/speed.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE     (256ull << 20)
#define SIZE_MIN 4096u
#define SECONDS  2.0
#define MIB      (1024.0 * 1024)

struct measured {
    const json_t *drives; /* of s3d's answer */
    struct speed *speeds; /* of each */
    size_t count, slow, failed;
};

static bool take_limits(const struct ctl_given *given,
                        struct speed_limits *limits)
{
    struct ctl_bench bench;
    if (given->size_count > 1) {
        fprintf(stderr, "s3ctl: bench drives takes one --size\n");
        return false;
    }
    if (given->size_count > 0 && given->sizes[0] < SIZE_MIN) {
        fprintf(stderr, "s3ctl: --size is at least 4K of bench drives\n");
        return false;
    }
    if (!ctl_bench_take(given, SECONDS, &bench)) {
        return false;
    }
    *limits = (struct speed_limits){
        .size = given->size_count > 0 ? given->sizes[0] : SIZE,
        .syncs = bench.count,
        .seconds = bench.seconds,
    };
    return true;
}

static void measure(struct measured *measured,
                    const struct speed_limits *limits)
{
    const bool terminal = isatty(STDERR_FILENO) == 1;
    size_t i;
    json_t *drive;
    json_array_foreach(measured->drives, i, drive)
    {
        if (terminal) {
            fprintf(stderr, "\rdrive %lld, %zu of %zu\x1b[K",
                    show_number(drive, "index"), i + 1, measured->count);
        }
        speed_measure(show_text(drive, "directory"), limits,
                      &measured->speeds[i]);
    }
    if (terminal) {
        fputs("\r\x1b[K", stderr);
    }
    speed_compare(measured->speeds, measured->count);
    for (i = 0; i < measured->count; i++) {
        measured->slow += measured->speeds[i].slow;
        measured->failed += measured->speeds[i].error != 0;
    }
}

/* --- what is shown ---------------------------------------------------------*/
static const char *why(const struct speed *speed)
{
    return speed->error == -ENOSPC
               ? "no room to spare: less than is written and 5 % are free"
               : strerror(-speed->error);
}

static json_t *drive_json(const json_t *drive, const struct speed *speed)
{
    const struct times *sync = &speed->sync;
    json_t *object =
        json_pack("{s:I,s:s}", "index", show_number(drive, "index"),
                  "directory", show_text(drive, "directory"));
    invariant(object != NULL);
    if (speed->error != 0) {
        json_object_set_new(object, "error", json_string(why(speed)));
        return object;
    }
    json_t *measures = json_pack(
        "{s:I,s:{s:f,s:f,s:f,s:f,s:f},s:f,s:f,s:b}", "syncs",
        (json_int_t)speed->syncs, "sync_ms", "mean", sync->mean_us / 1e3, "p50",
        sync->p50_us / 1e3, "p95", sync->p95_us / 1e3, "p99",
        sync->p99_us / 1e3, "max", sync->max_us / 1e3, "write_mib_per_second",
        speed->write_speed / MIB, "read_mib_per_second",
        speed->read_speed / MIB, "slow", (int)speed->slow);
    json_object_update(object, measures);
    json_decref(measures);
    return object;
}

static void print_json(const struct measured *measured)
{
    json_t *list = json_array();
    size_t i;
    json_t *drive;
    json_array_foreach(measured->drives, i, drive)
    {
        json_array_append_new(list, drive_json(drive, &measured->speeds[i]));
    }
    json_t *object = json_pack("{s:o,s:I,s:I}", "drives", list, "slow",
                               (json_int_t)measured->slow, "failed",
                               (json_int_t)measured->failed);
    show_json(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(object);
}

static void print_table(const struct measured *measured)
{
    static const char *const titles[] = {
        ">DRIVE",  "STATE",        ">SYNC P50 MS", ">P95 MS",   ">P99 MS",
        ">MAX MS", ">WRITE MIB/S", ">READ MIB/S",  "DIRECTORY", NULL};
    struct table *table = table_new(titles);
    size_t i;
    json_t *drive;
    json_array_foreach(measured->drives, i, drive)
    {
        const struct speed *speed = &measured->speeds[i];
        const struct times *sync = &speed->sync;
        const bool known = speed->error == 0;
        table_add(table, "%lld", show_number(drive, "index"));
        table_add(table, "%s", !known ? "-" : speed->slow ? "SLOW" : "ok");
        const double values[] = {
            sync->p50_us / 1e3,       sync->p95_us / 1e3,
            sync->p99_us / 1e3,       sync->max_us / 1e3,
            speed->write_speed / MIB, speed->read_speed / MIB};
        for (size_t k = 0; k < sizeof(values) / sizeof(values[0]); k++) {
            if (known) {
                table_add(table, "%.2f", values[k]);
            } else {
                table_add(table, "-");
            }
        }
        table_add(table, "%s", show_text(drive, "directory"));
        if (!known) {
            table_note(table, "not measured: %s", why(speed));
        }
    }
    table_end(table);
    if (measured->slow > 0) {
        printf("\nSLOW: much slower than the median drive. Look at its log "
               "(dmesg, smartctl)\nand at what else uses the disk; s3ctl drive "
               "drain moves what is on it elsewhere.\n");
    }
}

/* --- the command -----------------------------------------------------------*/
/* Those that are in the cluster. */
static json_t *members_of(const json_t *result)
{
    json_t *members = json_array(), *drive;
    size_t i;
    json_array_foreach(json_object_get(result, "drives"), i, drive)
    {
        if (strcmp(show_text(drive, "state"), "removed") != 0) {
            json_array_append(members, drive);
        }
    }
    return members;
}

enum ctl_exit run_bench_drives(const struct ctl_given *given, char **words)
{
    struct speed_limits limits;
    json_t *result = NULL, *arguments = json_object();
    (void)words;
    if (!take_limits(given, &limits)) {
        json_decref(arguments);
        return CTL_USAGE;
    }
    enum ctl_exit status =
        client_ask(ctl_socket(given), "drive.list", arguments, &result);
    if (status == CTL_OK) {
        json_t *members = members_of(result);
        struct measured measured = {.drives = members,
                                    .count = json_array_size(members)};
        measured.speeds = xcalloc(measured.count + 1, sizeof(*measured.speeds));
        measure(&measured, &limits);
        if (given->json) {
            print_json(&measured);
        } else {
            print_table(&measured);
        }
        status = measured.slow + measured.failed > 0 ? CTL_PROBLEMS : CTL_OK;
        free(measured.speeds);
        json_decref(members);
    } else if (status == CTL_REFUSED) {
        ctl_show(result, status, given->json);
    }
    json_decref(result);
    json_decref(arguments);
    return status;
}
