/*
 * What the files of this folder share.
 *
 *   format.c      the bytes of a file's header and of a block
 *   generation.c  the files of a generation, the same on each of its drives
 *   archive.c     following the metadata, and when a generation begins
 *   reader.c      a file, block by block
 *   restore.c     which files to believe
 *   backup.c      a backup as it is made: backup.h
 *   backup_read.c a backup that is checked, and restored
 */
#ifndef ARCHIVE_PRIVATE_H
#define ARCHIVE_PRIVATE_H

#include "archive/archive.h"

#include <pthread.h>

#define ARCHIVE_DIRECTORY   "archive"
#define ARCHIVE_HEADER_SIZE 128u
#define ARCHIVE_BLOCK_SIZE  56u /* what is before the stored bytes */
#define ARCHIVE_BLOCK_GOAL  (1u << 20)
/* Of a block's changes: what is short of the goal, and one group that may not
 * be cut. */
#define ARCHIVE_BLOCK_MAX  (KV_BATCH_MAX + 2 * ARCHIVE_BLOCK_GOAL)
#define ARCHIVE_GROUP_SIZE 20u /* what is before a group, in a journal */

/* Values are on disk: never renumber. */
enum archive_kind {
    ARCHIVE_SNAPSHOT = 1,
    ARCHIVE_LOG = 2,
    ARCHIVE_BACKUP = 3,
    ARCHIVE_JOURNAL = 4,
};

/* --- format.c --------------------------------------------------------------*/
struct archive_header {
    enum archive_kind kind;
    uint8_t cluster[DRIVE_UUID_SIZE];
    uint64_t generation;    /* of a backup: random, its blocks have it too */
    uint64_t before;        /* the generation whose log this one goes on; 0 */
    uint64_t before_blocks; /* as many as that log has */
    uint64_t created_ms;
    /* Of a backup: what it holds; of a journal: what comes before it. */
    struct kv_position position;
    uint32_t crc; /* of the changes of that commit; 0: not known */
};
void archive_header_encode(uint8_t out[ARCHIVE_HEADER_SIZE],
                           const struct archive_header *header);
int archive_header_decode(const uint8_t in[ARCHIVE_HEADER_SIZE],
                          struct archive_header *header); /* or -EBADMSG */

struct archive_block {
    uint64_t number; /* in the file, from 0 */
    uint64_t generation;
    uint64_t written_ms;
    uint64_t mark; /* of a log: the horizon. Of the last block of a snapshot:
                      blocks of the log that the snapshot needs (A2). Of a
                      backup: how many records it has so far; of a journal: the
                      number of the last group so far */
    bool last;     /* of the file, but of a log: it is complete */
};
/* Appends the block with its changes, deflated. */
void archive_block_encode(struct buffer *out, const struct archive_block *block,
                          struct slice changes);
/* The sizes of what follows the header of a block. -EBADMSG: none begins
 * here. */
int archive_block_sizes(const uint8_t in[ARCHIVE_BLOCK_SIZE], size_t *stored,
                        size_t *changes);
/* `in`: the header and the stored bytes. Replaces `changes`. -EBADMSG. */
int archive_block_decode(struct slice in, struct archive_block *block,
                         struct buffer *changes);

/* "0000000000000123.log"; a snapshot that is not complete ends in .new. */
#define ARCHIVE_NAME_SIZE 40
void archive_name(char out[ARCHIVE_NAME_SIZE], uint64_t generation,
                  enum archive_kind kind, bool complete);
/* False if it is no such name. */
bool archive_name_parse(const char *name, uint64_t *generation,
                        enum archive_kind *kind, bool *complete);
/* DIRECTORY/archive/NAME; NAME may be "". To be freed. */
char *archive_path(const char *directory, const char *name);

/* --- generation.c: of one thread -------------------------------------------*/
struct copy {
    struct drive *drive;
    struct io_file *files[ARCHIVE_LOG + 1]; /* by kind */
};
struct stream {
    uint64_t size, blocks; /* written so far */
};
struct generation {
    struct io *io;
    struct archive_header header; /* but for its kind */
    struct copy copies[ARCHIVE_COPIES_MAX];
    unsigned count;                         /* of copies that are good */
    struct stream streams[ARCHIVE_LOG + 1]; /* by kind */
    bool complete;
};
/* Makes the files on the drives; those that cannot have them are left out. */
struct generation *generation_new(struct io *io,
                                  const struct archive_header *header,
                                  struct drive *const *drives, unsigned count);
/* A copy that cannot be written is given up; -EIO: none is left. */
int generation_write(struct generation *generation, enum archive_kind kind,
                     struct slice changes, uint64_t mark, bool last);
/* Gives up copies whose drive or files are gone. */
void generation_look(struct generation *generation);
/* Makes log and snapshot durable, then says that the snapshot is complete.
 * -EIO: no copy is left. */
int generation_complete(struct generation *generation);
/* Removes from a drive the generations before this one (A3), and snapshots that
 * a crash kept from becoming complete. None may be under way. */
void archive_tidy(struct io *io, struct drive *drive, uint64_t generation);
/* If it is not complete, removes of it what is of no use. NULL is allowed. */
void generation_free(struct generation *generation);

/* --- reader.c --------------------------------------------------------------*/
struct archive_reader {
    struct io_file *file;
    uint64_t at, size;
    struct archive_header header;
    uint64_t blocks; /* read so far */
    struct buffer stored;
};
/* -EBADMSG, or what the drive says. */
int archive_reader_open(struct archive_reader *reader, struct io *io,
                        const char *path);
/* The next block, which follows the one before. -ENODATA: the file ends;
 * -EBADMSG: there is no good one. */
int archive_reader_next(struct archive_reader *reader,
                        struct archive_block *block, struct buffer *changes);
void archive_reader_close(struct archive_reader *reader);

#endif
