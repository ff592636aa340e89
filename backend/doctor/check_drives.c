/* How the drives are laid out. */
#include "doctor/check.h"
#include "erasure/erasure.h"

#include <errno.h>
#include <string.h>

#define NEARLY_FULL_PERCENT 10

/* --- directories -----------------------------------------------------------*/
static void check_directories(const struct doctor_facts *facts,
                              json_t *findings)
{
    for (unsigned i = 0; i < facts->drive_count; i++) {
        const struct doctor_drive *drive = &facts->drives[i];
        const char *path = drive->directory.path;
        if (drive->directory.error != 0) {
            doctor_problem(findings, "drive %u, %s: %s", drive->index, path,
                           strerror(drive->directory.error));
            doctor_mend(findings,
                        "mount its disk there; if it is dead, "
                        "`s3ctl drive replace %u`",
                        drive->index);
        } else if (drive->read_only) {
            doctor_problem(findings, "drive %u, %s, is mounted read-only",
                           drive->index, path);
            doctor_mend(findings, "look at dmesg for why, then mount -o "
                                  "remount,rw; a disk that fails is to be "
                                  "replaced");
        } else if (drive->directory.uid != facts->state.uid &&
                   facts->state.error == 0 && facts->state.uid != 0) {
            doctor_problem(findings,
                           "drive %u, %s, belongs to another user "
                           "than %s",
                           drive->index, path, facts->state.path);
            doctor_mend(findings, "chown -R --reference=%s %s",
                        facts->state.path, path);
        }
    }
}

static void check_format(const struct doctor_facts *facts, json_t *findings)
{
    for (unsigned i = 0; i < facts->drive_count; i++) {
        const struct doctor_drive *drive = &facts->drives[i];
        if (drive->identity == -EBADMSG) {
            doctor_problem(findings,
                           "drive %u, %s: its identity is damaged, "
                           "or of a version that this s3d does not "
                           "know",
                           drive->index, drive->directory.path);
            doctor_mend(findings, "use the version of s3d that wrote it; if "
                                  "the disk is damaged, replace it");
        }
    }
}

/* --- devices ---------------------------------------------------------------*/
/* The first drive on the same disk; NULL: there is none before it. */
static const struct doctor_drive *twin_of(const struct doctor_facts *facts,
                                          unsigned index)
{
    for (unsigned i = 0; i < index; i++) {
        if (facts->drives[i].directory.error == 0 &&
            facts->drives[i].disk == facts->drives[index].disk) {
            return &facts->drives[i];
        }
    }
    return NULL;
}

static void check_devices(const struct doctor_facts *facts, json_t *findings)
{
    for (unsigned i = 0; i < facts->drive_count; i++) {
        const struct doctor_drive *drive = &facts->drives[i];
        const struct doctor_drive *twin =
            drive->directory.error == 0 ? twin_of(facts, i) : NULL;
        if (twin != NULL) {
            doctor_warning(findings,
                           "drives %u and %u are on one disk, and "
                           "fail together",
                           twin->index, drive->index);
            doctor_mend(findings,
                        "give each drive a disk of its own; they "
                        "move with `s3ctl drive replace %u`",
                        drive->index);
        }
        if (drive->directory.error == 0 &&
            drive->directory.device == facts->root_device) {
            doctor_warning(findings,
                           "drive %u, %s, is on the root file "
                           "system: is its disk not mounted?",
                           drive->index, drive->directory.path);
            doctor_mend(findings, "mount a disk there before objects come");
        }
    }
}

static void check_redundancy(const struct doctor_facts *facts, json_t *findings)
{
    const unsigned count = facts->drive_count;
    const struct erasure_profile profile = erasure_default(count, false);
    const struct server_config *config = facts->config;
    if (profile.m == 0) {
        doctor_warning(findings,
                       "there is %u drive: nothing that is on it can "
                       "be lost without losing objects",
                       count);
        doctor_mend(findings, "6 drives bear the loss of any 2");
    } else if (profile.m == 1) {
        doctor_warning(findings,
                       "%u drives bear the loss of one; while it is "
                       "replaced, of none",
                       count);
        doctor_mend(findings, "6 drives bear the loss of any 2");
    }
    if (config->metadata_count < 3 && count >= 3) {
        doctor_warning(findings,
                       "the metadata have %u mirror%s: one more than "
                       "half must be there, so none may be lost",
                       config->metadata_count,
                       config->metadata_count == 1 ? "" : "s");
        doctor_mend(findings, "metadata_mirrors = 3 in %s", facts->config_path);
    }
}

/* --- space and file systems ------------------------------------------------*/
static void check_space(const struct doctor_facts *facts, json_t *findings)
{
    const uint64_t reserve = facts->config->reserve;
    for (unsigned i = 0; i < facts->drive_count; i++) {
        const struct doctor_drive *drive = &facts->drives[i];
        if (drive->directory.error != 0 || drive->total == 0) {
            continue;
        }
        const uint64_t room = drive->free > reserve ? drive->free - reserve : 0;
        if (room == 0) {
            doctor_problem(findings,
                           "drive %u, %s, is full: no more than its "
                           "reserve is free",
                           drive->index, drive->directory.path);
        } else if (room < drive->total / 100 * NEARLY_FULL_PERCENT) {
            doctor_warning(findings,
                           "drive %u, %s, is nearly full: %llu%% are "
                           "free",
                           drive->index, drive->directory.path,
                           (unsigned long long)(100 * (room / 1024) /
                                                (drive->total / 1024)));
        } else {
            continue;
        }
        doctor_mend(findings,
                    "add drives at the end of the list in %s, or "
                    "delete; `s3ctl rebalance start` evens them out",
                    facts->config_path);
    }
}

static void check_file_systems(const struct doctor_facts *facts,
                               json_t *findings)
{
    static const struct {
        const char *name, *why;
        bool lost; /* with a restart, or a power cut */
    } unfit[] = {
        {"tmpfs", "is memory: it is gone after a restart", true},
        {"ramfs", "is memory: it is gone after a restart", true},
        {"overlay", "is a container's layer: it goes with the container", true},
        {"vfat", "has no permissions and no journal", true},
        {"exfat", "has no permissions and no journal", true},
        {"nfs", "is on a network, whose syncs and locks may not hold", false},
        {"cifs", "is on a network, whose syncs and locks may not hold", false},
        {"smb2", "is on a network, whose syncs and locks may not hold", false},
        {"9p", "is another machine's, whose syncs may not hold", false},
        {"fuse", "may lack O_DIRECT: the scrub then reads what is in memory",
         false},
        {"zfs", "may lack O_DIRECT: the scrub then reads what is in memory",
         false},
    };
    for (unsigned i = 0; i < facts->drive_count; i++) {
        const struct doctor_drive *drive = &facts->drives[i];
        for (size_t k = 0; k < sizeof(unfit) / sizeof(unfit[0]); k++) {
            if (drive->directory.error != 0 ||
                strcmp(drive->file_system, unfit[k].name) != 0) {
                continue;
            }
            (unfit[k].lost ? doctor_problem : doctor_warning)(
                findings, "drive %u, %s: %s %s", drive->index,
                drive->directory.path, unfit[k].name, unfit[k].why);
            doctor_mend(findings, "ext4 or xfs on a disk of its own");
        }
    }
}

const struct doctor_check doctor_drive_checks[] = {
    {"directories", "each drive is mounted, writable and s3d's", NEEDS_CONFIG,
     check_directories},
    {"format", "each drive is of this version, or blank", NEEDS_CONFIG,
     check_format},
    {"devices", "each drive is a disk of its own", NEEDS_CONFIG, check_devices},
    {"redundancy", "any two drives, and a mirror, may be lost", NEEDS_CONFIG,
     check_redundancy},
    {"space", "there is room on each drive", NEEDS_CONFIG, check_space},
    {"file systems", "they keep what they have synced", NEEDS_CONFIG,
     check_file_systems},
    {NULL, NULL, 0, NULL},
};
