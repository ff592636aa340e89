/*
 * s3d -R: the metadata's directories, drives and a scratch store for a rebuild
 * (rebuild/rebuild.h), be it from a backup, and its report.
 *
 * Each directory is marked before anything is written to it, and the marks go
 * last: until then s3d does not start with what is there, and the next rebuild
 * throws it away and begins again.
 */
#include "rebuild/rebuild.h"
#include "archive/backup.h"
#include "server/private.h"
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCRATCH_NAME "rebuild"
#define ANSWER_MS    30000u
#define TOLD_MAX     10000u /* of each kind, in JSON */

struct run {
    const struct server_config *config;
    struct cluster cluster; /* its drives, and the blobs on them */
    Meta__Cluster record;   /* as the drives say */
    Meta__DriveSlot slots[SERVER_DRIVES_MAX], *slot_list[SERVER_DRIVES_MAX];
    struct drive_identity identities[SERVER_DRIVES_MAX]; /* of a drive */
    const char *metadata[KV_MIRRORS_MAX];                /* that are made */
    unsigned metadata_count;
    const struct backup_source *backup; /* NULL: the drives' archive is taken */
    struct backup_summary summary;
    struct kv *scratch;
    json_t *told; /* NULL: what is found is printed as it is */
    uint64_t told_count[REBUILD_LEFT + 1];
};

/* --- files -----------------------------------------------------------------*/

static int remove_one(const char *path, const struct stat *st, int type,
                      struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path) == 0 || errno == ENOENT ? 0 : -errno;
}

static int remove_tree(const char *path)
{
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static char *path_in(const char *directory, const char *name)
{
    struct buffer path = {0};
    buffer_printf(&path, "%s/%s", directory, name);
    buffer_append(&path, "", 1);
    return (char *)path.data;
}

static int remove_entry(void *context, const char *name)
{
    if (strcmp(name, REBUILDING_NAME) == 0 || strcmp(name, "lost+found") == 0) {
        return 0;
    }
    char *path = path_in(context, name);
    const int error = remove_tree(path);
    free(path);
    return error;
}

static int mark(const char *directory)
{
    static const char text[] = "s3ctl rebuild has not ended\n";
    struct io *io = io_posix();
    char *path = path_in(directory, REBUILDING_NAME);
    int error = io_mkdir(io, directory);
    if (error == 0) {
        error = io_sync_parent(io, directory);
    }
    if (error == 0) {
        error = io_write_file(io, path, text, sizeof(text) - 1);
    }
    if (error == 0) { /* what a rebuild left that did not end */
        error = io_list(io, directory, remove_entry, (void *)directory);
    }
    free(path);
    return error;
}

static int unmark(const char *directory)
{
    char *path = path_in(directory, REBUILDING_NAME);
    int error = io_unlink(io_posix(), path);
    if (error == 0) {
        error = io_sync_dir(io_posix(), directory);
    }
    free(path);
    return error;
}

/* --- what is there ---------------------------------------------------------*/

/* Metadata that may be of use are not touched, whatever is wrong with them. */
static int check_metadata(const struct server_config *config)
{
    for (unsigned i = 0; i < config->metadata_count; i++) {
        if (metadata_state(config->metadata[i]) == METADATA_THERE) {
            log_error("%s is not empty: move it away first, if it is of no "
                      "use any more",
                      config->metadata[i]);
            return -EEXIST;
        }
    }
    return 0;
}

/* The cluster that most of the drives are of. */
static int find_cluster(struct run *run, uint8_t cluster[DRIVE_UUID_SIZE])
{
    const struct server_config *config = run->config;
    struct drive_identity found[SERVER_DRIVES_MAX];
    unsigned count = 0, best = 0;
    for (unsigned i = 0; i < config->drive_count; i++) {
        if (!config->drives[i].removed) {
            count += drive_identify(io_posix(), config->drives[i].path,
                                    &found[count]) == 0;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        unsigned same = 0;
        for (unsigned j = 0; j < count; j++) {
            same += memcmp(found[i].cluster, found[j].cluster,
                           DRIVE_UUID_SIZE) == 0;
        }
        if (same > best) {
            best = same;
            memcpy(cluster, found[i].cluster, DRIVE_UUID_SIZE);
        }
    }
    if (best == 0) {
        log_error("no directory of `drives` is a drive");
        return -ENODEV;
    }
    return 0;
}

static void identify_drives(struct run *run,
                            const uint8_t cluster[DRIVE_UUID_SIZE])
{
    const struct server_config *config = run->config;
    for (unsigned i = 0; i < config->drive_count; i++) {
        struct drive_identity found;
        if (!config->drives[i].removed &&
            drive_identify(io_posix(), config->drives[i].path, &found) == 0 &&
            found.index < config->drive_count &&
            memcmp(found.cluster, cluster, DRIVE_UUID_SIZE) == 0) {
            run->identities[found.index] = found;
        }
    }
    for (unsigned i = 0; i < config->drive_count; i++) {
        struct drive_identity *identity = &run->identities[i];
        memcpy(identity->cluster, cluster, DRIVE_UUID_SIZE);
        meta__drive_slot__init(&run->slots[i]);
        run->slots[i].index = i;
        run->slots[i].uuid.data = identity->uuid;
        run->slots[i].uuid.len = DRIVE_UUID_SIZE;
        run->slots[i].removed = config->drives[i].removed;
        run->slot_list[i] = &run->slots[i];
    }
    meta__cluster__init(&run->record);
    run->record.uuid.data = run->identities[0].cluster;
    run->record.uuid.len = DRIVE_UUID_SIZE;
    run->record.created_ms = clock_wall_ms();
    run->record.n_drives = config->drive_count;
    run->record.drives = run->slot_list;
}

static int open_drive(struct run *run, unsigned index, unsigned entry)
{
    const struct server_drive_config *at = &run->config->drives[entry];
    const struct drive_config drive = {at->path, at->domain, index};
    struct drive **place = &run->cluster.drives[index];
    struct drive_options options = {.extent_size = run->config->extent_size,
                                    .reserve_bytes = run->config->reserve,
                                    .removed = run->slots[index].removed};
    memcpy(options.cluster, run->record.uuid.data, DRIVE_UUID_SIZE);
    const int error = drive_open(io_posix(), &drive, &options, place);
    if (error != 0) {
        log_error("drive %u, %s: %s", index, drive.directory,
                  error == -EAGAIN ? "s3d uses it: stop it first"
                                   : strerror(-error));
        return error;
    }
    run->cluster.drive_count = index + 1;
    const enum drive_state state = drive_state(*place);
    if (state != DRIVE_OK && state != DRIVE_REMOVED) {
        log_error("drive %u, %s: %s: it is not read", index, drive.directory,
                  drive_state_name(state));
    }
    return 0;
}

static int open_drives(struct run *run)
{
    unsigned entry_of[SERVER_DRIVES_MAX];
    uint8_t cluster[DRIVE_UUID_SIZE];
    int error = find_cluster(run, cluster);
    if (error == 0) {
        identify_drives(run, cluster);
        error = cluster_match_drives(run->config, &run->record, entry_of);
    }
    for (unsigned i = 0; i < run->config->drive_count && error == 0; i++) {
        error = open_drive(run, i, entry_of[i]);
    }
    if (error != 0) {
        return error;
    }
    const struct blob_store_options blobs = {
        .drives = run->cluster.drives, .drive_count = run->cluster.drive_count};
    return blob_store_open(&blobs, &run->cluster.blobs);
}

/* Drives that are not there are not named: they are new when they come. */
static void name_those_there(struct run *run)
{
    size_t count = 0;
    for (unsigned i = 0; i < run->cluster.drive_count; i++) {
        const enum drive_state state = drive_state(run->cluster.drives[i]);
        if (state == DRIVE_OK || state == DRIVE_REMOVED) {
            run->slot_list[count++] = &run->slots[i];
        }
    }
    run->record.n_drives = count;
}

/* On drives, only on those that are there: the others learn later. */
static int choose_metadata(struct run *run)
{
    const struct server_config *config = run->config;
    run->cluster.metadata_on_drives = config->metadata_on_drives;
    for (unsigned i = 0; i < config->metadata_count; i++) {
        if (cluster_has_drive_of(&run->cluster, config->metadata[i])) {
            run->metadata[run->metadata_count++] = config->metadata[i];
        }
    }
    if (run->metadata_count == 0) {
        log_error("none of the drives that are to hold metadata is there");
        return -ENODEV;
    }
    return 0;
}

/* --- the backup ------------------------------------------------------------*/

/* The whole of it, before anything is written. What is wrong was logged. */
static int look_at_backup(struct run *run)
{
    return run->backup != NULL
               ? backup_check(io_posix(), run->backup, &run->summary)
               : 0;
}

static int match_backup(const struct run *run)
{
    if (run->backup != NULL &&
        memcmp(run->summary.cluster, run->record.uuid.data, DRIVE_UUID_SIZE) !=
            0) {
        log_error("%s is a backup of another cluster than the drives'",
                  run->backup->file);
        return -EINVAL;
    }
    return 0;
}

static int restore_backup(void *context, struct kv *kv)
{
    struct run *run = context;
    return backup_restore(io_posix(), run->backup, kv, &run->summary);
}

/* To the second, UTC. */
#define MOMENT_SIZE 32
static void print_moment(char out[MOMENT_SIZE], uint64_t ms)
{
    const time_t at = (time_t)(ms / 1000);
    struct tm utc;
    gmtime_r(&at, &utc);
    strftime(out, MOMENT_SIZE, "%Y-%m-%d %H:%M:%S", &utc);
}

/* Of which moment the state is. */
static uint64_t moment_of(const struct backup_summary *summary)
{
    return summary->groups > 0 ? summary->reached_s * 1000
                               : summary->created_ms;
}

static json_t *summary_json(const struct backup_summary *summary)
{
    char cluster[2 * DRIVE_UUID_SIZE + 1];
    hex_encode(cluster, summary->cluster, DRIVE_UUID_SIZE);
    return json_pack("{s:s,s:I,s:I,s:I,s:I,s:I}", "cluster", cluster, "commit",
                     (json_int_t)summary->position.commit, "moment_ms",
                     (json_int_t)moment_of(summary), "records",
                     (json_int_t)summary->records, "groups",
                     (json_int_t)summary->groups, "bytes",
                     (json_int_t)summary->bytes);
}

int server_check_backup(const struct backup_source *source, bool json)
{
    struct backup_summary summary;
    if (backup_check(io_posix(), source, &summary) != 0) {
        return 1;
    }
    if (json) {
        json_t *object = summary_json(&summary);
        json_dumpf(object, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(object);
    } else {
        char moment[MOMENT_SIZE], cluster[2 * DRIVE_UUID_SIZE + 1];
        print_moment(moment, moment_of(&summary));
        hex_encode(cluster, summary.cluster, DRIVE_UUID_SIZE);
        printf("whole: cluster %s, commit %" PRIu64 ", %s UTC, %" PRIu64
               " records, %" PRIu64 " groups of the journal\n",
               cluster, summary.position.commit, moment, summary.records,
               summary.groups);
    }
    return 0;
}

/* --- what is found ---------------------------------------------------------*/

static void print_finding(enum rebuild_finding finding, struct slice bucket,
                          struct slice key, const char *why)
{
    struct buffer name = {0};
    uri_encode(&name, bucket, false);
    if (key.size > 0) {
        buffer_append_string(&name, "/");
        uri_encode(&name, key, true);
    }
    printf("%-10s %.*s: %s\n", rebuild_finding_name(finding), (int)name.size,
           (const char *)name.data, why);
    buffer_free(&name);
}

/* As it is, or if it is no UTF-8 as in a URL. */
static json_t *json_name(struct slice name)
{
    json_t *text = json_stringn((const char *)name.data, name.size);
    if (text == NULL) {
        struct buffer encoded = {0};
        uri_encode(&encoded, name, true);
        text = json_stringn((const char *)encoded.data, encoded.size);
        buffer_free(&encoded);
    }
    return text;
}

static void take_finding(void *context, enum rebuild_finding finding,
                         struct slice bucket, struct slice key, const char *why)
{
    struct run *run = context;
    if (run->told == NULL) {
        print_finding(finding, bucket, key, why);
    } else if (run->told_count[finding]++ < TOLD_MAX) {
        json_array_append_new(run->told,
                              json_pack("{s:s,s:o,s:o,s:s}", "what",
                                        rebuild_finding_name(finding), "bucket",
                                        json_name(bucket), "key",
                                        json_name(key), "why", why));
    }
}

/* --- the report ------------------------------------------------------------*/

struct line {
    const char *name, *text;
    uint64_t count;
};

#define LINES 16
static void make_lines(const struct rebuild_report *report,
                       struct line lines[LINES])
{
    const uint64_t *found = report->findings;
    const struct line all[LINES] = {
        {"extents", "extents read", report->extents},
        {"extents_bad", "not to their end", report->extents_bad},
        {"shards", "shards found", report->records},
        {"shards_bad", "damaged, or never written to their end",
         report->records_bad},
        {"blobs", "blobs found", report->blobs},
        {"blobs_kept", "where the metadata say", report->blobs_kept},
        {"blobs_moved", "elsewhere", report->blobs_moved},
        {"blobs_short", "short of shards: queued for healing",
         report->blobs_short},
        {"blobs_unused", "deleted or never committed", report->blobs_unused},
        {"blobs_held", "unknown to the backup: held until it is accepted",
         report->blobs_held},
        {"blobs_unreadable", "known, with too few shards left",
         report->blobs_unreadable},
        {"versions_unreadable", "versions of objects that this concerns",
         found[REBUILD_UNREADABLE]},
        {"objects_restored",
         "objects of which only shards told; they may have been deleted",
         found[REBUILD_RESTORED]},
        {"parts_restored", "parts of uploads, the same", found[REBUILD_UPLOAD]},
        {"buckets_restored",
         "buckets of which only shards told: their "
         "settings are lost",
         found[REBUILD_BUCKET]},
        {"blobs_left", "blobs that became nothing", found[REBUILD_LEFT]},
    };
    memcpy(lines, all, sizeof(all));
}

static void print_backup(const struct backup_summary *summary)
{
    char moment[MOMENT_SIZE];
    print_moment(moment, moment_of(summary));
    printf("The metadata are those of %s UTC, commit %" PRIu64
           ".\nWhat the drives hold from after that is not reclaimed until "
           "`s3ctl backup\naccept --yes`.\n",
           moment, summary->position.commit);
}

static void print_archive(const struct rebuild_report *report)
{
    char moment[MOMENT_SIZE];
    if (!report->archived) {
        puts("No archive of the metadata was found: users, keys, policies, "
             "settings of buckets,\nempty objects, copies, completed uploads "
             "and deletions are lost.");
        return;
    }
    print_moment(moment, report->archive.written_ms);
    printf("The metadata are those of %s UTC; what was changed after that is "
           "lost, but\nfor objects of which the drives told (restored, "
           "upload).\n",
           moment);
}

static void print_report(const struct run *run,
                         const struct rebuild_report *report)
{
    struct line lines[LINES];
    make_lines(report, lines);
    if (run->told == NULL) {
        for (unsigned i = 0; i < LINES; i++) {
            printf("%12" PRIu64 "  %s\n", lines[i].count, lines[i].text);
        }
        if (run->backup != NULL) {
            print_backup(&run->summary);
        } else {
            print_archive(report);
        }
        return;
    }
    json_t *object = json_pack(
        "{s:b,s:I,s:O}", "archive", report->archived, "archive_written_ms",
        (json_int_t)report->archive.written_ms, "findings", run->told);
    if (run->backup != NULL) {
        json_object_set_new(object, "backup", summary_json(&run->summary));
    }
    for (unsigned i = 0; i < LINES; i++) {
        json_object_set_new(object, lines[i].name,
                            json_integer((json_int_t)lines[i].count));
    }
    json_dumpf(object, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(object);
}

/* --- the stores ------------------------------------------------------------*/

static int open_store(const char *const *directories, unsigned count,
                      struct kv **kv)
{
    const struct kv_mirror_options options = {.io = io_posix(),
                                              .directories = directories,
                                              .count = count,
                                              .answer_ms = ANSWER_MS};
    return kv_open_mirrors(&options, kv);
}

static int fill(struct run *run, struct kv *kv)
{
    struct rebuild_options options = {
        .io = io_posix(),
        .drives = run->cluster.drives,
        .drive_count = run->cluster.drive_count,
        .blobs = run->cluster.blobs,
        .cluster = &run->record,
        .scratch = run->scratch,
        .tell = take_finding,
        .fill = run->backup != NULL ? restore_backup : NULL,
        .context = run};
    struct rebuild_report report;
    struct meta *meta;
    name_those_there(run);
    const int error = rebuild_run(&options, kv, &meta, &report);
    if (meta != NULL) {
        meta_close(meta);
    } else {
        kv_close(kv);
    }
    if (error == 0) {
        print_report(run, &report);
    }
    return error;
}

static int make_metadata(struct run *run)
{
    char *scratch = path_in(run->metadata[0], SCRATCH_NAME);
    const char *const scratches[] = {scratch};
    struct kv *kv;
    int error = 0;
    for (unsigned i = 0; i < run->metadata_count && error == 0; i++) {
        error = mark(run->metadata[i]);
    }
    if (error == 0) {
        error = open_store(scratches, 1, &run->scratch);
    }
    if (error == 0) {
        error = open_store(run->metadata, run->metadata_count, &kv);
    }
    if (error == 0) {
        error = fill(run, kv);
    }
    kv_close(run->scratch);
    run->scratch = NULL;
    if (error == 0) {
        error = remove_tree(scratch);
    }
    for (unsigned i = 0; i < run->metadata_count && error == 0; i++) {
        error = unmark(run->metadata[i]);
    }
    free(scratch);
    return error;
}

/* --- all -------------------------------------------------------------------*/

static void close_drives(struct cluster *cluster)
{
    if (cluster->blobs != NULL) {
        blob_store_close(cluster->blobs);
    }
    for (unsigned i = 0; i < SERVER_DRIVES_MAX; i++) {
        drive_close(cluster->drives[i]);
    }
}

int server_rebuild(struct server_config *config,
                   const struct backup_source *backup, bool json)
{
    struct run run = {
        .config = config, .backup = backup, .told = json ? json_array() : NULL};
    process_harden(config->core_dumps);
    umask(umask(077) | 027);
    log_set_level(config->log_level);
    int error = check_metadata(config);
    if (error == 0) {
        error = look_at_backup(&run);
    }
    if (error == 0) {
        error = open_drives(&run);
    }
    if (error == 0) {
        error = match_backup(&run);
    }
    if (error == 0) {
        error = choose_metadata(&run);
    }
    if (error == 0) {
        error = make_metadata(&run);
        if (error != 0) {
            log_error("the rebuild did not end: %s; it may be begun again",
                      strerror(-error));
        }
    }
    close_drives(&run.cluster);
    json_decref(run.told);
    config_free(config);
    return error == 0 ? 0 : 1;
}
