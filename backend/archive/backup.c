/* A backup as it is made: a block of records after the other. */
#include "archive/backup.h"
#include "archive/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define KEY_FIRST "\2" /* no record's key is below */

struct backup {
    struct kv_iterator *records;
    struct archive_block block; /* the next one */
    struct backup_summary summary;
    struct buffer made; /* of the file */
    size_t handed;      /* bytes of it that were handed out */
    bool complete;      /* its last block is made */
};

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

static void make_header(struct backup *backup)
{
    struct archive_header header = {.kind = ARCHIVE_BACKUP};

    invariant(getrandom(&header.generation, sizeof(header.generation), 0) ==
              sizeof(header.generation));
    memcpy(header.cluster, backup->summary.cluster, DRIVE_UUID_SIZE);
    header.created_ms = backup->summary.created_ms;
    header.position = backup->summary.position;
    backup->block.generation = header.generation;
    buffer_reserve(&backup->made, ARCHIVE_HEADER_SIZE);
    archive_header_encode(backup->made.data, &header);
    backup->made.size = ARCHIVE_HEADER_SIZE;
}

int backup_open(struct meta *meta, struct backup **out)
{
    struct backup *backup = xcalloc(1, sizeof(*backup));
    struct backup_summary *summary = &backup->summary;
    int error = name_cluster(meta, summary->cluster);

    if (error == 0) {
        error =
            kv_snapshot(meta_kv(meta), &summary->position, &backup->records);
    }
    if (error != 0) {
        backup_close(backup);
        return error;
    }
    summary->created_ms = clock_wall_ms();
    kv_seek(backup->records, SLICE_LITERAL(KEY_FIRST));
    make_header(backup);
    *out = backup;
    return 0;
}

void backup_close(struct backup *backup)
{
    if (backup != NULL) {
        kv_iterator_free(backup->records);
        buffer_free(&backup->made);
        free(backup);
    }
}

const struct backup_summary *backup_summary(const struct backup *backup)
{
    return &backup->summary;
}

/* Records of about ARCHIVE_BLOCK_GOAL bytes; none: the last block. */
static int make_block(struct backup *backup)
{
    struct archive_block *block = &backup->block;
    struct kv_batch *batch = kv_batch_new();
    size_t size = 0;
    int error;

    while (size < ARCHIVE_BLOCK_GOAL && kv_valid(backup->records)) {
        kv_batch_put(batch, kv_key(backup->records), kv_value(backup->records));
        size = kv_batch_changes(batch).size;
        backup->summary.records++;
        kv_next(backup->records);
    }
    error = kv_error(backup->records);
    if (error == 0) {
        backup->summary.bytes += size;
        block->written_ms = clock_wall_ms();
        block->mark = backup->summary.records;
        block->last = backup->complete = size == 0;
        archive_block_encode(&backup->made, block, kv_batch_changes(batch));
        block->number++;
    }
    kv_batch_free(batch);
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
