/* A backup as it is made: a block after the other, of records or of groups. */
#include "archive/backup.h"
#include "archive/private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define KEY_FIRST "\2" /* no record's key is below */

struct backup {
    struct kv_iterator *records; /* of these, or */
    struct kv_log *log;          /* of its groups */
    struct archive_block block;  /* the next one */
    struct backup_summary summary;
    struct buffer changes; /* of a block */
    struct buffer made;    /* of the file */
    size_t handed;         /* bytes of it that were handed out */
    bool complete;         /* its last block is made */
};

/* --- the header ------------------------------------------------------------*/

static int name_cluster(struct meta *meta, uint8_t cluster[DRIVE_UUID_SIZE])
{
    struct arena *arena = arena_new();
    Meta__Cluster *record;
    int error = meta_get_cluster(meta, arena, &record);

    if (error == 0) {
        memcpy(cluster, record->uuid.data, DRIVE_UUID_SIZE);
    }
    arena_free(arena);
    return error;
}

/* What tells a commit from another one of its number. -ERANGE: it is kept no
 * more. */
static int find_crc(struct kv *kv, uint64_t commit, uint32_t *crc)
{
    struct kv_position until;
    struct kv_group group;
    struct kv_log *log;
    int error;

    *crc = 0;
    if (commit == 0) {
        return 0; /* nothing comes before */
    }
    error = kv_log_open(kv, commit - 1, &until, &log);
    if (error != 0) {
        return error;
    }
    error = kv_log_next(log, &group);
    if (error == 0) {
        *crc = crc32c_bytes(group.changes.data, group.changes.size);
    }
    kv_log_close(log);
    return error;
}

static int make_header(struct backup *backup, struct meta *meta,
                       enum archive_kind kind, uint64_t commit, uint32_t crc)
{
    struct backup_summary *summary = &backup->summary;
    struct archive_header header = {.kind = kind};
    int error = name_cluster(meta, summary->cluster);

    invariant(getrandom(&header.generation, sizeof(header.generation), 0) ==
              sizeof(header.generation));
    memcpy(header.cluster, summary->cluster, DRIVE_UUID_SIZE);
    header.created_ms = summary->created_ms;
    header.position = summary->position;
    header.position.commit = commit;
    header.crc = crc;
    backup->block.generation = header.generation;
    buffer_reserve(&backup->made, ARCHIVE_HEADER_SIZE);
    archive_header_encode(backup->made.data, &header);
    backup->made.size = ARCHIVE_HEADER_SIZE;
    return error;
}

/* --- opening ---------------------------------------------------------------*/

int backup_open(struct meta *meta, struct backup **out)
{
    struct backup *backup = xcalloc(1, sizeof(*backup));
    struct kv_position *position = &backup->summary.position;
    uint32_t crc;
    int error = kv_snapshot(meta_kv(meta), position, &backup->records);

    backup->summary.created_ms = clock_wall_ms(); /* nothing in it is later */
    if (error == 0) {
        kv_seek(backup->records, SLICE_LITERAL(KEY_FIRST));
        find_crc(meta_kv(meta), position->commit, &crc); /* it does without */
        error =
            make_header(backup, meta, ARCHIVE_BACKUP, position->commit, crc);
    }
    if (error != 0) {
        backup_close(backup);
        return error;
    }
    *out = backup;
    return 0;
}

int backup_open_journal(struct meta *meta,
                        const uint8_t store[KV_STORE_ID_SIZE], uint64_t after,
                        struct backup **out)
{
    struct backup *backup = xcalloc(1, sizeof(*backup));
    struct kv_position *position = &backup->summary.position;
    uint32_t crc;
    int error;

    backup->summary.created_ms = clock_wall_ms(); /* all before is in it */
    error = kv_log_open(meta_kv(meta), after, position, &backup->log);
    if ((error == 0 || error == -ERANGE) &&
        memcmp(position->store, store, KV_STORE_ID_SIZE) != 0) {
        error = -ESTALE;
    }
    if (error == 0) { /* without it, it could go on from any history */
        error = find_crc(meta_kv(meta), after, &crc);
    }
    if (error == 0) {
        backup->block.mark = after;
        error = make_header(backup, meta, ARCHIVE_JOURNAL, after, crc);
    }
    if (error != 0) {
        backup_close(backup);
        return error;
    }
    *out = backup;
    return 0;
}

void backup_close(struct backup *backup)
{
    if (backup != NULL) {
        kv_iterator_free(backup->records);
        kv_log_close(backup->log);
        buffer_free(&backup->changes);
        buffer_free(&backup->made);
        free(backup);
    }
}

const struct backup_summary *backup_summary(const struct backup *backup)
{
    return &backup->summary;
}

void backup_piece_name(char out[BACKUP_PIECE_SIZE], uint64_t after,
                       uint64_t last)
{
    int n = snprintf(out, BACKUP_PIECE_SIZE,
                     "s3d-%016" PRIx64 "-%016" PRIx64 ".journal", after, last);

    invariant(n == BACKUP_PIECE_SIZE - 1);
}

/* --- blocks: of about ARCHIVE_BLOCK_GOAL bytes -----------------------------*/

static int take_records(struct backup *backup)
{
    struct kv_batch *batch = kv_batch_new();
    struct kv_iterator *records = backup->records;

    while (kv_batch_changes(batch).size < ARCHIVE_BLOCK_GOAL &&
           kv_valid(records)) {
        kv_batch_put(batch, kv_key(records), kv_value(records));
        backup->block.mark = ++backup->summary.records;
        kv_next(records);
    }
    if (kv_batch_changes(batch).size > 0) {
        buffer_append(&backup->changes, kv_batch_changes(batch).data,
                      kv_batch_changes(batch).size);
    }
    backup->summary.bytes += backup->changes.size;
    kv_batch_free(batch);
    return kv_error(records);
}

static void add_group(struct backup *backup, const struct kv_group *group)
{
    uint8_t head[ARCHIVE_GROUP_SIZE];

    put_u64le(head, group->number);
    put_u64le(head + 8, group->written_s);
    put_u32le(head + 16, (uint32_t)group->changes.size);
    buffer_append(&backup->changes, head, sizeof(head));
    buffer_append(&backup->changes, group->changes.data, group->changes.size);
    backup->block.mark = group->number;
    backup->summary.reached_s = group->written_s;
    backup->summary.groups++;
}

static int take_groups(struct backup *backup)
{
    struct kv_group group;
    int error = 0;

    while (error == 0 && backup->changes.size < ARCHIVE_BLOCK_GOAL) {
        error = kv_log_next(backup->log, &group);
        if (error == 0) {
            add_group(backup, &group);
        }
    }
    backup->summary.bytes += backup->changes.size;
    return error == -ENOENT ? 0 : error;
}

/* The block without anything is the last one. */
static int make_block(struct backup *backup)
{
    struct archive_block *block = &backup->block;
    int error;

    backup->changes.size = 0;
    error = backup->log != NULL ? take_groups(backup) : take_records(backup);
    if (error == 0) {
        block->written_ms = clock_wall_ms();
        block->last = backup->complete = backup->changes.size == 0;
        archive_block_encode(
            &backup->made, block,
            slice_of(backup->changes.data, backup->changes.size));
        block->number++;
    }
    return error;
}

int backup_next(struct backup *backup, size_t max, struct buffer *out)
{
    size_t left = backup->made.size - backup->handed;
    int error = 0;

    out->size = 0;
    if (left == 0 && !backup->complete) {
        backup->made.size = backup->handed = 0;
        error = make_block(backup);
        left = backup->made.size;
    }
    if (error == 0 && left > 0) {
        size_t size = left < max ? left : max;

        buffer_append(out, backup->made.data + backup->handed, size);
        backup->handed += size;
    }
    return error;
}
