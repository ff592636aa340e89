/*
 * How fast drives are, each by itself: s3ctl bench drives. Written and read is
 * a file without a name in the drive's own directory, which is gone when its
 * descriptor is closed, whatever ends the program.
 */
#ifndef DOCTOR_SPEED_H
#define DOCTOR_SPEED_H

#include "base/base.h"
#include "base/times.h"

struct speed_limits {
    uint64_t size;  /* bytes of the file */
    uint64_t syncs; /* at most; 0: size / 4 KiB + 1 */
    double seconds; /* of each of the three measures; 0: none */
};

struct speed {
    int error;      /* negative errno: nothing is known.
                       -ENOSPC: no room to spare */
    uint64_t syncs; /* each a write of 4 KiB and fdatasync() */
    struct times sync;
    uint64_t written, read;         /* bytes, one after the other */
    double write_speed, read_speed; /* bytes a second; the write's until it is
                                       durable */
    bool slow;
};

/* Blocks. 5 % of the file system stay free: -ENOSPC where all that the limits
 * allow would not leave them. */
void speed_measure(const char *directory, const struct speed_limits *limits,
                   struct speed *speed);

/* Sets `slow`: whose median of syncs is over 3 times that of the median drive,
 * and over a millisecond more; or whose speed is under a third of its. Drives
 * are compared with at least 2 others, and where enough was measured: 20
 * syncs, 16 MiB. Pure. */
void speed_compare(struct speed *speeds, size_t count);

#endif
