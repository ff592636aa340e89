/*
 * Private to s3/: uploads in progress and their parts.
 *
 * Invariants:
 *   U1  An upload, its parts and the object they become change only under
 *       the lock of the upload's key (M4).
 *   U2  A part's bytes are referenced by the part until the upload ends, and
 *       in the commit that ends it either by the composite blob or by nobody.
 *   U3  The blobs that a composite blob names are stored ones: its parts
 *       never name another composite.
 */
#ifndef S3_MULTIPART_H
#define S3_MULTIPART_H

#include "s3/call.h"

#define PART_NUMBER_MAX 10000
#define PART_SIZE_MIN   (5ull << 20) /* bytes; of all but the last */
#define PART_SIZE_MAX   (5ull << 30)
#define OBJECT_SIZE_MAX (5ull << 40)

/* Time of creation, so that ids of one key are in that order, and 128 random
 * bits, so that nobody guesses one: hex digits. */
#define UPLOAD_ID_SIZE      44
#define UPLOAD_ID_TIME_SIZE 12

/* What the ids of uploads of this time begin with. */
void upload_id_time(char text[UPLOAD_ID_TIME_SIZE + 1], uint64_t ms);

struct upload {
    struct slice id;
    Meta__Upload *record;
};

/* The object to be, as far as its upload says. */
void upload_object(const Meta__Upload *upload, Meta__Object *object);
/* The uploadId argument, well-formed. False: the call has failed. */
bool upload_id_arg(struct s3_call *call, struct slice *id);
/* May the caller go on with an upload, list its parts, abort it? Besides the
 * permission to write, only the accounts of who began it and of the bucket's
 * owner go on with it. `record` NULL: there is no such upload. False: the call
 * has failed (multipart_access.c). */
bool upload_authorize(struct s3_call *call, const Meta__Upload *record);
/* Reads the record of `upload->id`, if the caller may; false: the call has
 * failed. What it says lasts only under the key's lock. */
bool upload_read(struct s3_call *call, struct upload *upload);
void upload_fail_missing(struct s3_call *call, struct slice id);
/* The partNumber argument; false: the call has failed. */
bool upload_part_number_arg(struct s3_call *call, unsigned *number);

/* The checksum that this upload's parts are kept with: CRC64NVME when the
 * client asked for none. */
Meta__ChecksumAlgorithm upload_algorithm(const Meta__Upload *record);
Meta__ChecksumType upload_checksum_type(const Meta__Upload *record);
bool upload_names_checksum(const Meta__Upload *record);
const char *checksum_type_name(Meta__ChecksumType type);

/* Appends to `batch` what removes an upload with all its parts. *parts: what
 * it had. 0 or a negative errno. */
int upload_remove(struct meta *meta, struct meta_batch *batch,
                  struct arena *arena, uint64_t bucket, struct slice key,
                  struct slice id, struct s3_upload_parts *parts);
/* The same in a commit of its own. Under the key's lock, with the upload seen
 * there. */
int upload_abort(struct meta *meta, struct arena *arena, uint64_t bucket,
                 struct slice key, struct slice id,
                 struct s3_upload_parts *parts);
/* Of all of them, in bytes. */
uint64_t parts_size(Meta__Part *const *parts, size_t count);

/* The reference that a part holds. */
struct meta_referrer part_referrer(struct slice upload, unsigned number);
/* Adds a part's record and reference to `batch`, in the place of the part
 * that had its number, and commits. Under the key's lock, with the upload
 * seen there. 0 or a negative errno. */
int part_commit(struct s3_call *call, struct meta_batch *batch,
                const struct upload *upload, const Meta__Part *part);
/* The record of a composite of stored blobs (U3), and its references. */
void composite_put(struct meta_batch *batch, uint64_t id, Meta__Part **parts,
                   size_t count);
/* The parts of an object that has them, each with all its bytes' number in
 * `size`. In the arena. */
Meta__Part **composite_parts(struct arena *arena, const Meta__Blob *composite,
                             size_t *count);
/* The number that a CRC's bytes are. */
uint64_t checksum_crc(const Meta__Checksum *checksum);
/* x-amz-checksum-<algorithm>: value. */
void part_checksum_header(struct s3_call *call, const Meta__Checksum *checksum);
/* <ChecksumX>value</ChecksumX>; nothing for NULL. */
void part_checksum_element(struct s3_call *call, struct buffer *out,
                           const Meta__Checksum *checksum);
Meta__Checksum *checksum_new(struct arena *arena,
                             Meta__ChecksumAlgorithm algorithm,
                             Meta__ChecksumType type, const uint8_t *value);

#endif
