/*
 * Private to s3/: objects as nginx serves files (GET_FILE, wire.proto). What
 * nginx does with files decides, where it differs from S3: several ranges in
 * one answer, weak comparison of entity tags, no documents for errors.
 */
#ifndef S3_FILE_H
#define S3_FILE_H

#include "s3/call.h"

/* --- ranges (file_ranges.c) ------------------------------------------------*/
/* Makes the reply's body a multipart/byteranges of an object of `total` bytes,
 * `type` being what each part says of itself (size 0: nothing). call->source,
 * if there is one, is at the first range. Returns the body's bytes. */
uint64_t multirange_begin(struct s3_call *call,
                          const struct byte_ranges *ranges, uint64_t total,
                          struct slice type);
/* "multipart/byteranges; boundary=..." */
struct slice multirange_type(struct s3_call *call);
/* What there was has been sent: true if more follows. */
bool multirange_next(struct s3_call *call);

/* --- listings (file_listing.c) ---------------------------------------------*/
/* Is there a key with this prefix? 1, 0 or a negative errno. Of a prefix under
 * which there is little but delete markers it may say 0. */
int file_directory_is_there(struct s3_call *call, struct slice prefix);
/* Ends the call with a page of what is below the prefix, or with an error;
 * false: there is nothing. */
bool file_listing(struct s3_call *call, const Wire__FileCandidate *candidate);

#endif
