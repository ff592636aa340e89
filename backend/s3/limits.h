/*
 * Private to s3/: quotas, and limits of requests and bandwidth, docs/limits.md.
 * What is decided here is decided again, exactly, by meta_commit().
 */
#ifndef S3_LIMITS_H
#define S3_LIMITS_H

#include "s3/call.h"

/* Before bytes are taken: an object of so many under the request's key, or a
 * part, has room. False: the call has failed. */
bool limits_check_object(struct s3_call *call, uint64_t size);
bool limits_check_part(struct s3_call *call, struct slice upload,
                       unsigned number, uint64_t size);
/* Counts the request. False: the call has failed with SlowDown. */
bool limits_count_request(struct s3_call *call);
/* The call has ended: it does not count if the caller may not do what it asks,
 * which depends on the object. */
void limits_end(struct s3_call *call);
/* Nor does one that is asked again in another way. */
void limits_decline(struct s3_call *call);
/* Whether each such request has to be seen. */
bool limits_concern(const struct s3_call *call);
/* So many bytes of a body have come, or are to be sent: s3_call_turn_us(). */
void limits_take_turn(struct s3_call *call, enum meta_direction direction,
                      uint64_t bytes);
/* The most for one turn; UINT64_MAX: any number. */
uint64_t limits_turn_size(const struct s3_call *call,
                          enum meta_direction direction);
/* The call has failed for want of room. */
void limits_count_refusal(struct s3_call *call);

#endif
