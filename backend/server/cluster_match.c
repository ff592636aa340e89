/*
 * Which directory holds which drive: the identity in it decides, not the order
 * of the configuration, so that disks may be mounted at each other's paths.
 *
 * At the start only: later everybody, nginx too, has files of the drives open
 * by their paths.
 */
#include "server/private.h"
#include <errno.h>
#include <string.h>

#define NO_DRIVE SERVER_DRIVES_MAX

Meta__DriveSlot *cluster_find_slot(const Meta__Cluster *record, unsigned index)
{
    for (size_t i = 0; i < record->n_drives; i++) {
        if (record->drives[i]->index == index) {
            return record->drives[i];
        }
    }
    return NULL;
}

/* The drive of the cluster's record that the directory holds, or NO_DRIVE. */
static unsigned drive_in(const char *directory, const Meta__Cluster *record)
{
    struct drive_identity found;
    if (drive_identify(io_posix(), directory, &found) != 0 ||
        memcmp(found.cluster, record->uuid.data, DRIVE_UUID_SIZE) != 0) {
        return NO_DRIVE;
    }
    const Meta__DriveSlot *slot = cluster_find_slot(record, found.index);
    return slot != NULL && !slot->removed &&
                   memcmp(found.uuid, slot->uuid.data, DRIVE_UUID_SIZE) == 0
               ? found.index
               : NO_DRIVE;
}

struct match {
    const struct server_config *config;
    const Meta__Cluster *record;
    unsigned entry_of[SERVER_DRIVES_MAX]; /* of a drive; NO_DRIVE: none yet */
    bool taken[SERVER_DRIVES_MAX];        /* the entry */
};

static void assign(struct match *match, unsigned drive, unsigned entry)
{
    match->entry_of[drive] = entry;
    match->taken[entry] = true;
}

static void match_by_identity(struct match *match)
{
    const struct server_config *config = match->config;
    for (unsigned i = 0; i < config->drive_count; i++) {
        const unsigned drive =
            config->drives[i].removed
                ? NO_DRIVE
                : drive_in(config->drives[i].path, match->record);
        if (drive < config->drive_count && match->entry_of[drive] == NO_DRIVE) {
            assign(match, drive, i);
        }
    }
}

/* Those that are nowhere to be seen are looked for in their own places, or
 * where the drives that took those were. */
static void match_rest(struct match *match)
{
    const unsigned count = match->config->drive_count;
    for (unsigned i = 0; i < count; i++) {
        if (match->entry_of[i] == NO_DRIVE && !match->taken[i]) {
            assign(match, i, i);
        }
    }
    for (unsigned i = 0, entry = 0; i < count; i++) {
        if (match->entry_of[i] == NO_DRIVE) {
            while (match->taken[entry]) {
                entry++;
            }
            assign(match, i, entry);
        }
    }
}

static int check_match(const struct match *match)
{
    const struct server_config *config = match->config;
    for (unsigned i = 0; i < config->drive_count; i++) {
        const unsigned entry = match->entry_of[i];
        if (entry == i) {
            continue;
        }
        if (cluster_find_slot(match->record, i) == NULL) {
            log_error("drive %u is new, but %s holds another drive: new "
                      "drives are added at the end",
                      i, config->drives[i].path);
            return -EINVAL;
        }
        log_warn("drive %u is used at %s, where drive %u is configured: "
                 "drives are swapped",
                 i, config->drives[entry].path, entry);
    }
    return 0;
}

int cluster_match_drives(const struct server_config *config,
                         const Meta__Cluster *record,
                         unsigned entry_of[SERVER_DRIVES_MAX])
{
    struct match match = {.config = config, .record = record};
    for (unsigned i = 0; i < SERVER_DRIVES_MAX; i++) {
        match.entry_of[i] = NO_DRIVE;
    }
    match_by_identity(&match);
    match_rest(&match);
    memcpy(entry_of, match.entry_of, sizeof(match.entry_of));
    return check_match(&match);
}
