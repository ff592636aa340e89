/*
 * Private to s3/: versions of keys, by id.
 *
 * An id is 32 hex digits: the complement of the version's sequence, so that
 * ids sort as versions do, newest first, and one lookup finds a version; and
 * 64 random bits, so that an id cannot be made out of another. The null
 * version has no id in its record and is called "null".
 */
#ifndef S3_VERSION_H
#define S3_VERSION_H

#include "s3/call.h"

#define VERSION_ID_SIZE 32

struct slice version_new_id(struct arena *arena, uint64_t sequence);
/* "null", or what looks like an id, of this store or of another. */
bool version_well_formed(struct slice id);
/* The sequence that an id is of; false if no id of this store is like that.
 * The version need not exist, and its id may be another. */
bool version_sequence(struct slice id, uint64_t *sequence);
/* The id, or "null". */
struct slice version_name(const Meta__Object *object);
/* The same where `bucket` has or had versions; data == NULL elsewhere, where
 * S3 does not speak of versions. */
struct slice version_shown(const Meta__Bucket *bucket,
                           const Meta__Object *object);
/* x-amz-version-id of a version of call->bucket that is read or deleted. Not
 * for new ones: of a null version that was written, S3 does not tell. */
void version_header(struct s3_call *call, const Meta__Object *object);

#endif
