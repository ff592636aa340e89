/*
 * Private to s3/: the bytes of stored blobs, in the clear.
 *
 * Whatever reads blobs does it here, as whatever writes them goes through
 * writer.h. Offsets and sizes are those of the bytes in the clear, whether the
 * blob is sealed or not; of a sealed one the blocks that a read touches are
 * opened, and no others. One thread at a time.
 */
#ifndef S3_READER_H
#define S3_READER_H

#include "s3/s3.h"

struct s3_reader;
struct s3_writer;

/* Of a blob that has a record. `key` is the object's, copied; NULL: the blob
 * is not sealed. Nothing is read yet. */
struct s3_reader *reader_open(struct s3_service *service, uint64_t blob,
                              const uint8_t *key);
/* Of a blob that was just written; the layout stays the caller's. */
struct s3_reader *reader_open_layout(struct s3_service *service, uint64_t blob,
                                     Layout__Layout *layout,
                                     const uint8_t *key);
void reader_close(struct s3_reader *reader); /* wipes; NULL is allowed */

/* Where bytes are: `left` of them from `offset` of a stored blob. */
struct reader_place {
    const Layout__Layout *layout; /* until the next call */
    uint64_t blob;
    uint64_t offset, left;
};
/* -ENOENT: the blob has gone; -EBADMSG: the records contradict each other. */
int reader_find(struct s3_reader *reader, uint64_t offset,
                struct reader_place *place);
bool reader_is_sealed(const struct s3_reader *reader);
/* All of [offset, offset+size), or a negative errno. -EBADMSG: not what was
 * sealed; nothing of it is in `data`. */
int reader_read(struct s3_reader *reader, uint64_t offset, uint8_t *data,
                size_t size);
/* Reads [offset, offset+size) into a digester and a writer; either may be
 * NULL. 0, or a negative errno of reading or writing. */
int reader_feed(struct s3_reader *reader, uint64_t offset, uint64_t size,
                struct digester *digester, struct s3_writer *writer);

#endif
