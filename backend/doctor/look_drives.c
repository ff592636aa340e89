/* The drives' directories, and the targets of events. */
#include "doctor/facts.h"
#include "extent/extent.h"
#include "redis/redis.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define REDIS_MS 2000 /* to connect to one */

/* --- a drive ---------------------------------------------------------------*/
static const char *file_system_name(struct arena *arena, long type)
{
    static const struct {
        long type;
        const char *name;
    } known[] = {
        {0xef53, "ext4"},     {0x58465342, "xfs"},   {0x9123683e, "btrfs"},
        {0x2fc12fc1, "zfs"},  {0x01021994, "tmpfs"}, {0x794c7630, "overlay"},
        {0x6969, "nfs"},      {0x65735546, "fuse"},  {0xff534d42, "cifs"},
        {0xfe534d42, "smb2"}, {0x4d44, "vfat"},      {0x2011bab0, "exfat"},
        {0x5346544e, "ntfs"}, {0x00c36400, "ceph"},  {0xca451a4e, "bcachefs"},
        {0xf2f52010, "f2fs"}, {0x858458f6, "ramfs"}, {0x01021997, "9p"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].type == (type & 0xffffffff)) {
            return known[i].name;
        }
    }
    return arena_printf(arena, "0x%lx", type & 0xffffffff);
}

/* The whole disk of a partition; what is no partition is its own. */
static uint64_t disk_of(uint64_t device)
{
    char path[128];
    unsigned high, low;
    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition",
             major(device), minor(device));
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return device;
    }
    fclose(file);
    snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", major(device),
             minor(device));
    file = fopen(path, "re");
    const bool read = file != NULL && fscanf(file, "%u:%u", &high, &low) == 2;
    if (file != NULL) {
        fclose(file);
    }
    return read ? makedev(high, low) : device;
}

/* The last change of what is in the directory, not below. */
static uint64_t newest_in(const char *directory)
{
    DIR *entries = opendir(directory);
    uint64_t newest = 0;
    const struct dirent *entry;
    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        struct stat st;
        if (fstatat(dirfd(entries), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) ==
            0) {
            const uint64_t ms = (uint64_t)st.st_mtim.tv_sec * 1000 +
                                (uint64_t)st.st_mtim.tv_nsec / 1000000;
            newest = ms > newest ? ms : newest;
        }
    }
    if (entries != NULL) {
        closedir(entries);
    }
    return newest;
}

static uint64_t newest_on(struct arena *arena, const char *drive)
{
    static const char *const places[] = {"", "extents", "metadata", "archive"};
    uint64_t newest = 0;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const uint64_t ms =
            newest_in(arena_printf(arena, "%s/%s", drive, places[i]));
        newest = ms > newest ? ms : newest;
    }
    return newest;
}

/* The first entry of a directory; "" if there is none. */
static const char *first_in(struct arena *arena, const char *directory)
{
    DIR *entries = opendir(directory);
    const char *path = "";
    const struct dirent *entry;
    while (entries != NULL && path[0] == '\0' &&
           (entry = readdir(entries)) != NULL) {
        if (entry->d_name[0] != '.') {
            path = arena_printf(arena, "%s/%s", directory, entry->d_name);
        }
    }
    if (entries != NULL) {
        closedir(entries);
    }
    return path;
}

/* As an extent is reached, of which one stands for all. */
static const char *closed_on(struct arena *arena,
                             const struct doctor_user *user, const char *drive)
{
    const char *extents = arena_printf(arena, "%s/extents", drive);
    const char *folder = first_in(arena, extents);
    const char *file = folder[0] != '\0' ? first_in(arena, folder) : "";
    if (file[0] != '\0') {
        return doctor_closed(arena, user, file, 4);
    }
    return doctor_closed(arena, user, folder[0] != '\0' ? folder : extents, 1);
}

static void look_at_drive(struct arena *arena, const char *path,
                          const struct doctor_user *user,
                          struct doctor_drive *drive)
{
    struct drive_identity identity;
    struct statfs fs;
    struct statvfs vfs;
    doctor_look_at_file(path, &drive->directory);
    drive->file_system = "";
    if (drive->directory.error != 0) {
        return;
    }
    drive->disk = disk_of(drive->directory.device);
    if (statfs(path, &fs) == 0) {
        drive->file_system = file_system_name(arena, fs.f_type);
        drive->total = (uint64_t)fs.f_blocks * (uint64_t)fs.f_bsize;
        drive->free = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
    }
    drive->read_only = statvfs(path, &vfs) == 0 && (vfs.f_flag & ST_RDONLY);
    drive->identity = drive_identify(io_posix(), path, &identity);
    drive->newest_ms = newest_on(arena, path);
    drive->closed = user->known && drive->identity == 0
                        ? closed_on(arena, user, path)
                        : NULL;
}

void doctor_look_at_drives(struct arena *arena, struct doctor_facts *facts)
{
    const struct server_config *config = facts->config;
    for (unsigned i = 0; i < config->drive_count; i++) {
        if (!config->drives[i].removed) {
            struct doctor_drive *drive = &facts->drives[facts->drive_count++];
            drive->index = i;
            look_at_drive(arena, config->drives[i].path, &facts->nginx.user,
                          drive);
        }
    }
}

/* --- targets of events -----------------------------------------------------*/
static const char *connect_to(struct arena *arena, const char *redis)
{
    struct redis_place place;
    const char *error = "its address is malformed";
    if (redis_place_parse(redis, &place) != 0) {
        return error;
    }
    for (unsigned i = 0; i < place.count; i++) {
        struct redis connection = {
            .stop_fd = -1, .connect_ms = REDIS_MS, .command_ms = REDIS_MS};
        const bool open = redis_connect(&connection, &place.addresses[i]) == 0;
        if (!open) {
            error = arena_string(arena, slice_from_string(connection.error));
        }
        redis_close(&connection);
        if (open) {
            return NULL;
        }
    }
    return error;
}

/* As s3d sees it; NULL: it has no trouble with that target. */
static const char *trouble_of(const json_t *status, const char *name)
{
    size_t i;
    json_t *target;
    json_array_foreach(json_object_get(status, "events"), i, target)
    {
        const char *found = json_string_value(json_object_get(target, "name"));
        const char *state = json_string_value(json_object_get(target, "state"));
        if (found == NULL || state == NULL || strcmp(found, name) != 0) {
            continue;
        }
        if (strcmp(state, "retrying") == 0 || strcmp(state, "refused") == 0) {
            const char *error =
                json_string_value(json_object_get(target, "error"));
            return error != NULL ? error : state;
        }
    }
    return NULL;
}

void doctor_look_at_targets(struct arena *arena, struct doctor_facts *facts)
{
    const struct server_events_config *events = &facts->config->events;
    for (unsigned i = 0; i < events->target_count; i++) {
        struct doctor_target *target = &facts->targets[facts->target_count++];
        target->name = events->targets[i].name;
        target->error = facts->status != NULL
                            ? trouble_of(facts->status, target->name)
                            : connect_to(arena, events->targets[i].redis);
    }
}
