/* Drives beside each other: which of them is much slower than its peers. */
#include "extent/private.h"

#include <stdlib.h>

#define SAMPLES_MIN 20u
#define PEERS_MIN   2u
#define PEERS_MAX   64u
#define BEGIN_US    10000u
#define BEGIN_TIMES 4u
#define END_US      5000u
#define END_TIMES   2u

bool drive_lags(struct drive *drive)
{
    return atomic_load(&drive->lags) || atomic_load(&drive->overdue) > 0;
}

bool drive_slow(struct drive *drive)
{
    return atomic_load(&drive->slow) || drive_lags(drive);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Of an even number, the lower of the two in the middle. */
static uint64_t median(uint64_t values[], unsigned count)
{
    if (count == 0) {
        return 0;
    }
    qsort(values, count, sizeof(*values), compare);
    return values[(count - 1) / 2];
}

struct times {
    struct drive_latency of[3]; /* reads, writes, syncs */
};

static void measure(struct drive *drive, struct times *times)
{
    latency_describe(&drive->reading, &times->of[0]);
    latency_describe(&drive->writing, &times->of[1]);
    latency_describe(&drive->syncing, &times->of[2]);
}

/* The median of the others' medians; 0: too few of them were measured. */
static uint64_t peers_median(const struct times *times, unsigned count,
                             unsigned index, unsigned kind)
{
    uint64_t medians[PEERS_MAX];
    unsigned peers = 0;
    for (unsigned i = 0; i < count; i++) {
        if (i != index && times[i].of[kind].count >= SAMPLES_MIN) {
            medians[peers++] = times[i].of[kind].median_us;
        }
    }
    return peers >= PEERS_MIN ? median(medians, peers) + 1 : 0;
}

static bool is_slow(const struct times *times, unsigned count, unsigned index,
                    bool before)
{
    uint64_t least = before ? END_US : BEGIN_US;
    uint64_t factor = before ? END_TIMES : BEGIN_TIMES;
    for (unsigned kind = 0; kind < 3; kind++) {
        const struct drive_latency *own = &times[index].of[kind];
        uint64_t peers = peers_median(times, count, index, kind);
        if (peers > 0 && own->count >= SAMPLES_MIN && own->median_us > least &&
            own->median_us > factor * peers) {
            return true;
        }
    }
    return false;
}

static void set_slow(struct drive *drive, bool slow)
{
    if (atomic_exchange(&drive->slow, slow) == slow) {
        return;
    }
    pthread_mutex_lock(&drive->note.mutex);
    drive->note.slow_since_ms = slow ? clock_wall_ms() : 0;
    pthread_mutex_unlock(&drive->note.mutex);
    log_warn("drive %u (%s) is %s", drive->config.index,
             drive->config.directory,
             slow ? "much slower than the others" : "no longer slow");
}

void drives_compare(struct drive *const *drives, unsigned count)
{
    invariant(count <= PEERS_MAX);
    struct times *times = xcalloc(count + 1, sizeof(*times));
    for (unsigned i = 0; i < count; i++) {
        measure(drives[i], &times[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        set_slow(drives[i],
                 is_slow(times, count, i, atomic_load(&drives[i]->slow)));
    }
    free(times);
}

uint64_t drives_read_p95(struct drive *const *drives, unsigned count)
{
    uint64_t p95[PEERS_MAX];
    unsigned measured = 0;
    for (unsigned i = 0; i < count && i < PEERS_MAX; i++) {
        struct drive_latency reads;
        latency_describe(&drives[i]->reading, &reads);
        if (reads.count >= SAMPLES_MIN) {
            p95[measured++] = reads.p95_us;
        }
    }
    return median(p95, measured);
}
