#include "doctor/speed.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SYNC_SIZE  4096u
#define BLOCK_SIZE (1u << 20)
#define SPARE_PART 20u /* of a file system: one of so many stays free */

#define SYNCS_FIRST 1024u /* there is memory for so many at first */

#define SYNCS_LEAST  20u
#define BYTES_LEAST  (16ull << 20)
#define DRIVES_LEAST 3u
#define TIMES_SLOWER 3
#define MORE_US      1000.0

/* --- the file --------------------------------------------------------------*/
/* How many there may be; time can end them earlier. */
static uint64_t syncs_most(const struct speed_limits *limits)
{
    return limits->syncs > 0 ? limits->syncs : limits->size / SYNC_SIZE + 1;
}

/* For the larger one of what is synced and what is written after it. */
static int look_for_room(const char *directory,
                         const struct speed_limits *limits)
{
    const uint64_t syncs = syncs_most(limits);
    struct statvfs room;
    if (statvfs(directory, &room) != 0) {
        return -errno;
    }
    const uint64_t free = (uint64_t)room.f_bavail * room.f_frsize;
    const uint64_t spare = (uint64_t)room.f_blocks * room.f_frsize / SPARE_PART;
    const bool enough = free >= spare && free - spare >= limits->size &&
                        (free - spare) / SYNC_SIZE >= syncs;
    return enough ? 0 : -ENOSPC;
}

/* Where a file system has no files without a name, it loses it at once. */
static int open_file(const char *directory)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
        struct buffer path = {0};
        buffer_printf(&path, "%s/.s3ctl-bench-XXXXXX", directory);
        buffer_append(&path, "", 1);
        fd = mkostemp((char *)path.data, O_CLOEXEC);
        if (fd >= 0) {
            unlink((const char *)path.data);
        }
        buffer_free(&path);
    }
    return fd >= 0 ? fd : -errno;
}

/* --- three measures --------------------------------------------------------*/
/* More than 0. */
static double seconds_since(uint64_t begun_us)
{
    return (double)(clock_monotonic_us() - begun_us + 1) / 1e6;
}

static bool time_is_over(const struct speed_limits *limits, uint64_t begun_us)
{
    return limits->seconds > 0 && seconds_since(begun_us) >= limits->seconds;
}

/* At the end of the file, as records of extents are. */
static int measure_syncs(int fd, const uint8_t *data,
                         const struct speed_limits *limits, struct speed *speed)
{
    const uint64_t begun = clock_monotonic_us();
    const uint64_t most = syncs_most(limits);
    size_t capacity = SYNCS_FIRST;
    uint32_t *us = xmalloc(capacity * sizeof(*us));
    int error = 0;
    while (speed->syncs < most &&
           (speed->syncs == 0 || !time_is_over(limits, begun))) {
        if (speed->syncs == capacity) {
            capacity *= 2;
            us = xrealloc(us, capacity * sizeof(*us));
        }
        const uint64_t now = clock_monotonic_us();
        if (pwrite(fd, data, SYNC_SIZE, (off_t)(speed->syncs * SYNC_SIZE)) !=
                SYNC_SIZE ||
            fdatasync(fd) != 0) {
            error = errno != 0 ? -errno : -EIO;
            break;
        }
        us[speed->syncs++] = (uint32_t)(clock_monotonic_us() - now);
    }
    speed->sync = times_of(us, speed->syncs);
    free(us);
    return error;
}

static int measure_writes(int fd, const uint8_t *data,
                          const struct speed_limits *limits,
                          struct speed *speed)
{
    const uint64_t begun = clock_monotonic_us();
    while (speed->written < limits->size &&
           (speed->written == 0 || !time_is_over(limits, begun))) {
        const uint64_t left = limits->size - speed->written;
        const ssize_t n =
            pwrite(fd, data, left < BLOCK_SIZE ? left : BLOCK_SIZE,
                   (off_t)speed->written);
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        speed->written += (uint64_t)n;
    }
    if (fdatasync(fd) != 0) {
        return -errno;
    }
    speed->write_speed = (double)speed->written / seconds_since(begun);
    return 0;
}

/* From the drive: what is in memory is dropped before. */
static int measure_reads(int fd, uint8_t *data,
                         const struct speed_limits *limits, struct speed *speed)
{
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    const uint64_t begun = clock_monotonic_us();
    while (speed->read < speed->written &&
           (speed->read == 0 || !time_is_over(limits, begun))) {
        const ssize_t n = pread(fd, data, BLOCK_SIZE, (off_t)speed->read);
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        speed->read += (uint64_t)n;
    }
    speed->read_speed = (double)speed->read / seconds_since(begun);
    return 0;
}

void speed_measure(const char *directory, const struct speed_limits *limits,
                   struct speed *speed)
{
    *speed = (struct speed){.error = look_for_room(directory, limits)};
    const int fd = speed->error == 0 ? open_file(directory) : speed->error;
    if (fd < 0) {
        speed->error = fd;
        return;
    }
    uint8_t *data = xmalloc(BLOCK_SIZE);
    invariant(RAND_bytes(data, BLOCK_SIZE) == 1);
    speed->error = measure_syncs(fd, data, limits, speed);
    if (speed->error == 0) {
        speed->error = measure_writes(fd, data, limits, speed);
    }
    if (speed->error == 0) {
        speed->error = measure_reads(fd, data, limits, speed);
    }
    free(data);
    close(fd);
}

/* --- beside each other -----------------------------------------------------*/
/* One of the measures; negative: too little was measured. */
static double sync_of(const struct speed *speed)
{
    return speed->syncs >= SYNCS_LEAST ? (double)speed->sync.p50_us : -1;
}

static double write_of(const struct speed *speed)
{
    return speed->written >= BYTES_LEAST ? speed->write_speed : -1;
}

static double read_of(const struct speed *speed)
{
    return speed->read >= BYTES_LEAST ? speed->read_speed : -1;
}

static int compare(const void *a, const void *b)
{
    const double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

/* Of the drives of which it is known; negative: of too few. */
static double median_of(const struct speed *speeds, size_t count,
                        double (*value_of)(const struct speed *))
{
    double *values = xcalloc(count + 1, sizeof(*values)), median = -1;
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        const double value = speeds[i].error == 0 ? value_of(&speeds[i]) : -1;
        if (value >= 0) {
            values[known++] = value;
        }
    }
    if (known >= DRIVES_LEAST) {
        qsort(values, known, sizeof(*values), compare);
        median = values[(known - 1) / 2];
    }
    free(values);
    return median;
}

static bool is_below(double value, double median)
{
    return value >= 0 && median >= 0 && value * TIMES_SLOWER < median;
}

void speed_compare(struct speed *speeds, size_t count)
{
    const double sync = median_of(speeds, count, sync_of);
    const double writes = median_of(speeds, count, write_of);
    const double reads = median_of(speeds, count, read_of);
    for (size_t i = 0; i < count; i++) {
        struct speed *speed = &speeds[i];
        const double own = sync_of(speed);
        speed->slow =
            speed->error == 0 &&
            ((sync >= 0 && own > TIMES_SLOWER * sync && own > sync + MORE_US) ||
             is_below(write_of(speed), writes) ||
             is_below(read_of(speed), reads));
    }
}
