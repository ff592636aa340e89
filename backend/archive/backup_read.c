/*
 * A backup that is checked, and restored: the file itself, then files of the
 * journal that follow one another, as far as is wanted.
 */
#include "archive/backup.h"
#include "archive/private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct io *io;
    const struct backup_source *source;
    struct kv *kv; /* NULL: it is only checked */
    struct kv_batch *batch;
    struct buffer pending;          /* changes of groups, to be put at once */
    struct backup_summary *summary; /* position: how far it has come */
    uint32_t crc;                   /* of that commit's changes; 0: not known */
    bool reached;                   /* what follows is not wanted */
};

/* A file that is being read. */
struct part {
    struct archive_reader reader;
    uint64_t mark; /* of the block before */
    bool complete; /* its last block was read */
};

static int put(struct reading *reading, struct slice changes)
{
    int error = kv_batch_load(reading->batch, changes);

    kv_batch_settle(reading->batch);
    return error != 0 || reading->kv == NULL
               ? error
               : kv_commit(reading->kv, reading->batch);
}

/* --- blocks of records -----------------------------------------------------*/

static int take_records(struct reading *reading, struct part *part,
                        const struct archive_block *block, struct slice changes)
{
    reading->summary->records += block->mark - part->mark;
    reading->summary->bytes += changes.size;
    return put(reading, changes);
}

/* --- blocks of groups ------------------------------------------------------*/

static int next_group(struct slice *rest, struct kv_group *group)
{
    const uint8_t *at = rest->data;
    uint64_t size;

    if (rest->size < ARCHIVE_GROUP_SIZE) {
        return -EBADMSG;
    }
    size = ARCHIVE_GROUP_SIZE + (uint64_t)get_u32le(at + 16);
    if (size > rest->size) {
        return -EBADMSG;
    }
    *group = (struct kv_group){
        .number = get_u64le(at),
        .written_s = get_u64le(at + 8),
        .changes = slice_of(at + ARCHIVE_GROUP_SIZE, size - ARCHIVE_GROUP_SIZE),
    };
    *rest = slice_of(at + size, rest->size - size);
    return 0;
}

static int put_pending(struct reading *reading)
{
    struct buffer *pending = &reading->pending;
    int error = 0;

    if (pending->size > 0) {
        error = put(reading, slice_of(pending->data, pending->size));
        pending->size = 0;
    }
    return error;
}

static bool is_beyond(const struct backup_source *source,
                      const struct kv_group *group)
{
    return (source->until_commit != 0 &&
            group->number > source->until_commit) ||
           (source->until_s != 0 && group->written_s > source->until_s);
}

/* One that is not had yet, and wanted. The last one that is had shows whether
 * both are of one history. */
static int take_group(struct reading *reading, const struct kv_group *group)
{
    struct backup_summary *summary = reading->summary;
    const struct slice changes = group->changes;
    const uint32_t crc = crc32c_bytes(changes.data, changes.size);
    int error = 0;

    if (group->number == summary->position.commit && reading->crc != 0 &&
        crc != reading->crc) {
        return -EBADMSG;
    }
    if (group->number <= summary->position.commit || reading->reached) {
        return 0;
    }
    if (is_beyond(reading->source, group)) {
        reading->reached = true;
        return 0;
    }
    summary->position.commit = group->number;
    summary->reached_s = group->written_s;
    summary->groups++;
    summary->bytes += changes.size;
    reading->crc = crc;
    if (reading->pending.size + changes.size > KV_BATCH_MAX) {
        error = put_pending(reading);
    }
    buffer_append(&reading->pending, changes.data, changes.size);
    return error;
}

static int take_groups(struct reading *reading, struct part *part,
                       const struct archive_block *block, struct slice changes)
{
    uint64_t number = part->mark;
    int error = 0;

    while (error == 0 && changes.size > 0) {
        struct kv_group group;

        error = next_group(&changes, &group);
        if (error == 0) {
            error = group.number == ++number ? take_group(reading, &group)
                                             : -EBADMSG;
        }
    }
    if (error == 0) {
        error = number == block->mark ? put_pending(reading) : -EBADMSG;
    }
    return error;
}

/* --- a file ----------------------------------------------------------------*/

/* The last block has nothing, and no other is like that. */
static int take_block(struct reading *reading, struct part *part,
                      const struct archive_block *block, struct slice changes)
{
    bool journal = part->reader.header.kind == ARCHIVE_JOURNAL;
    int error = 0;

    if (part->complete || block->mark < part->mark ||
        block->last != (changes.size == 0) ||
        block->last != (block->mark == part->mark)) {
        return -EBADMSG;
    }
    if (!block->last) {
        error = journal ? take_groups(reading, part, block, changes)
                        : take_records(reading, part, block, changes);
    }
    part->mark = block->mark;
    part->complete = block->last;
    return error;
}

/* Up to the last block, behind which there is nothing. */
static int read_blocks(struct reading *reading, struct part *part)
{
    struct archive_block block;
    struct buffer changes = {0};
    int error = 0;

    while (error == 0) {
        error = archive_reader_next(&part->reader, &block, &changes);
        if (error == 0) {
            error = take_block(reading, part, &block,
                               slice_of(changes.data, changes.size));
        }
    }
    buffer_free(&changes);
    if (error == -ENODATA) {
        error = part->complete ? 0 : -EBADMSG;
    }
    return error;
}

static int begin_records(struct reading *reading,
                         const struct archive_header *header)
{
    struct backup_summary *summary = reading->summary;

    if (header->kind != ARCHIVE_BACKUP) {
        return -EBADMSG;
    }
    memcpy(summary->cluster, header->cluster, DRIVE_UUID_SIZE);
    summary->position = header->position;
    reading->crc = header->crc;
    return 0;
}

/* It must go on from here, in the same history. */
static int begin_groups(struct reading *reading, struct part *part,
                        const struct archive_header *header)
{
    const struct kv_position *at = &reading->summary->position;
    bool here = header->position.commit == at->commit;

    if (header->kind != ARCHIVE_JOURNAL ||
        header->position.commit > at->commit ||
        memcmp(header->position.store, at->store, KV_STORE_ID_SIZE) != 0 ||
        (here && header->crc != 0 && reading->crc != 0 &&
         header->crc != reading->crc)) {
        return -EBADMSG;
    }
    part->mark = header->position.commit;
    return 0;
}

static int read_file(struct reading *reading, const char *path, bool journal)
{
    struct part part = {0};
    const struct archive_header *header = &part.reader.header;
    int error = archive_reader_open(&part.reader, reading->io, path);

    if (error == 0) {
        error = journal ? begin_groups(reading, &part, header)
                        : begin_records(reading, header);
        reading->summary->created_ms = header->created_ms;
        if (error == 0) {
            error = read_blocks(reading, &part);
        }
        archive_reader_close(&part.reader);
    }
    if (error != 0) {
        log_error("%s: %s", path,
                  error != -EBADMSG ? strerror(-error)
                  : journal ? "it is no piece of this store's journal, not "
                              "whole, or damaged"
                            : "it is no backup, not whole, or damaged");
    }
    return error;
}

/* --- the journal's files: s3d-AFTER-LAST.journal ---------------------------*/

struct piece {
    uint64_t after, last;
};

struct search {
    uint64_t commit;
    struct piece next;  /* of those that go on from there, which goes furthest;
                           last 0: there is none */
    struct piece later; /* the first that begins behind it; last 0: none */
};

static bool parse_piece(const char *name, struct piece *piece)
{
    char again[BACKUP_PIECE_SIZE];
    uint8_t numbers[16];

    if (strlen(name) + 1 != BACKUP_PIECE_SIZE ||
        hex_decode(numbers, slice_of(name + 4, 16)) != 0 ||
        hex_decode(numbers + 8, slice_of(name + 21, 16)) != 0) {
        return false;
    }
    piece->after = get_u64be(numbers);
    piece->last = get_u64be(numbers + 8);
    backup_piece_name(again, piece->after, piece->last);
    return strcmp(name, again) == 0;
}

static int look_at(void *context, const char *name)
{
    struct search *search = context;
    struct piece piece;

    if (!parse_piece(name, &piece) || piece.last <= search->commit) {
        return 0;
    }
    if (piece.after > search->commit) {
        if (search->later.last == 0 || piece.after < search->later.after) {
            search->later = piece;
        }
    } else if (piece.last > search->next.last) {
        search->next = piece;
    }
    return 0;
}

static int read_piece(struct reading *reading, const struct piece *piece)
{
    char name[BACKUP_PIECE_SIZE];
    struct buffer path = {0};
    uint64_t before = reading->summary->position.commit;
    int error;

    backup_piece_name(name, piece->after, piece->last);
    buffer_printf(&path, "%s/%s", reading->source->journal, name);
    buffer_append(&path, "", 1);
    error = read_file(reading, (const char *)path.data, true);
    if (error == 0 && !reading->reached &&
        reading->summary->position.commit == before) {
        error = -EBADMSG; /* it has not what its name says */
        log_error("%s: it holds no commit after %" PRIu64,
                  (const char *)path.data, before);
    }
    buffer_free(&path);
    return error;
}

static bool is_there(const struct reading *reading)
{
    return reading->reached ||
           reading->summary->position.commit == reading->source->until_commit;
}

static int read_journal(struct reading *reading)
{
    struct search search = {.next.last = 1};
    int error = 0;

    while (error == 0 && !is_there(reading) && search.next.last != 0) {
        search = (struct search){.commit = reading->summary->position.commit};
        error =
            io_list(reading->io, reading->source->journal, look_at, &search);
        if (error != 0) {
            log_error("%s: %s", reading->source->journal, strerror(-error));
        } else if (search.next.last != 0) {
            error = read_piece(reading, &search.next);
        } else if (search.later.last != 0) {
            log_error("%s: commits %" PRIu64 " to %" PRIu64 " are missing",
                      reading->source->journal, search.commit + 1,
                      search.later.after);
            error = -ERANGE;
        }
    }
    return error;
}

/* --- all of it -------------------------------------------------------------*/

/* The point that is wanted is not before the backup. */
static int check_begin(const struct reading *reading)
{
    const struct backup_source *source = reading->source;
    const struct backup_summary *summary = reading->summary;

    if ((source->until_commit != 0 &&
         source->until_commit < summary->position.commit) ||
        (source->until_s != 0 &&
         source->until_s < summary->created_ms / 1000)) {
        log_error("%s: it is of a later moment than is wanted", source->file);
        return -ERANGE;
    }
    return 0;
}

/* Nor behind what there is: what the last file has not was committed after it
 * was begun, so it has all of every second before that one. */
static int check_end(const struct reading *reading)
{
    const struct backup_source *source = reading->source;
    const struct backup_summary *summary = reading->summary;
    const uint64_t begun_s = summary->created_ms / 1000;

    if (reading->reached ||
        (source->until_commit <= summary->position.commit &&
         (source->until_s == 0 || source->until_s < begun_s))) {
        return 0;
    }
    log_error("there is nothing after commit %" PRIu64 ", which is before the "
              "point that is wanted",
              summary->position.commit);
    return -ERANGE;
}

int backup_restore(struct io *io, const struct backup_source *source,
                   struct kv *kv, struct backup_summary *summary)
{
    struct reading reading = {.io = io,
                              .source = source,
                              .kv = kv,
                              .batch = kv_batch_new(),
                              .summary = summary};
    int error;

    *summary = (struct backup_summary){0};
    error = read_file(&reading, source->file, false);
    if (error == 0) {
        error = check_begin(&reading);
    }
    if (error == 0 && source->journal != NULL) {
        error = read_journal(&reading);
    }
    if (error == 0) {
        error = check_end(&reading);
    }
    kv_batch_free(reading.batch);
    buffer_free(&reading.pending);
    return error;
}

int backup_check(struct io *io, const struct backup_source *source,
                 struct backup_summary *summary)
{
    return backup_restore(io, source, NULL, summary);
}
