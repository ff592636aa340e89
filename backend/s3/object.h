/*
 * Private to put.c, get.c, delete.c, copy.c, post_object.c: what they share
 * besides call.h.
 */
#ifndef S3_OBJECT_H
#define S3_OBJECT_H

#include "s3/call.h"

/* How a new object of the request's key is sealed, from here on: call->sse and
 * object->encryption. False: the call has failed. */
bool object_encrypt(struct s3_call *call, Meta__Object *object);
/* The entity tag of bytes that are sealed as call->sse says. */
void object_set_etag(struct s3_call *call, Meta__Object *object,
                     const uint8_t md5[16]);
/* ETag, x-amz-version-id and encryption of a version that was written. */
void object_identity_headers(struct s3_call *call, const Meta__Object *object);
/* Commits a new version of call->key under its lock, if the conditions of the
 * request hold. False: the call has failed. */
bool object_put_commit(struct s3_call *call, struct meta_batch *batch,
                       Meta__Object *object);
/* Reads the request's key as it is now, without a lock: NULL if there is
 * none. 0 or a negative errno. */
int object_current(struct s3_call *call, Meta__Object **object);
/* Of a write that may take long: what is decided is decided again under the
 * key's lock; refused here, it need not send its body, nor be begun. False: the
 * call has failed. */
bool object_check_early(struct s3_call *call);
/* The version of the request's key that is asked for (versionId), never a
 * delete marker; the caller may do with it what the operation does. NULL: the
 * call has failed. */
Meta__Object *object_requested(struct s3_call *call);
/* There is no such key or version: NoSuchKey or NoSuchVersion, if the caller
 * may know (authorize.h). */
void object_fail_absent(struct s3_call *call, const Meta__Bucket *bucket,
                        struct slice key, struct slice version_id);

/* --- reading: get.c --------------------------------------------------------*/
/* An object may be replaced, and its blob freed, between the two reads: then
 * -ENOENT, and the new one is looked up. */
#define OBJECT_TRIES 4u
/* Opens bytes of an object as the reply's body, and reads the first piece
 * before the reply says that all is well; not if they are too many to be told
 * on a control connection, on which they were asked for. 0, a negative errno;
 * -ECANCELED: the call has failed. */
int object_open_body(struct s3_call *call, const Meta__Object *object,
                     uint64_t offset, uint64_t size);
/* Ends the call with what the request's headers ask for of an object that the
 * caller may read, or with why not. 0; else the call goes on: -ENOENT, the
 * object has just been replaced, or another negative errno. */
int object_answer(struct s3_call *call, const Meta__Object *object,
                  bool with_body);
/* Then: what was answered may be of use to others (hot_answer.h). */
void object_publish(struct s3_call *call, const Meta__Object *object,
                    bool with_body);
/* Ends the call with all of it and a status, whatever the headers ask for. */
int object_answer_as(struct s3_call *call, const Meta__Object *object,
                     bool with_body, unsigned status);
/* Whether a Range header is to be looked at: If-Range. */
bool object_range_wanted(const struct s3_call *call,
                         const Meta__Object *object);
void object_last_modified(struct s3_call *call, const Meta__Object *object);
/* A header that came with the object; data NULL: none. */
struct slice object_stored_header(const Meta__Object *object, const char *name);
/* Those of them that a 304 has, too: Cache-Control and Expires. */
void object_cache_headers(struct s3_call *call, const Meta__Object *object);
/* "Content-Type" for "content-type"; NULL: not one that is stored. */
const char *object_header_spelling(struct slice name);

/* object_lock() and object_unlock() of up to META_KEYS_LOCKED_MAX keys of the
 * bucket. The call does not fail: NoSuchBucket or InternalError, and nothing
 * is locked. */
enum s3_error object_lock_many(struct s3_call *call, const struct slice *keys,
                               size_t count);
void object_unlock_many(struct s3_call *call, const struct slice *keys,
                        size_t count);
/* object_lock() of two keys of the bucket. */
bool object_lock_two(struct s3_call *call, struct slice a, struct slice b);
void object_unlock_two(struct s3_call *call, struct slice a, struct slice b);
/* The reference that a version of a key of call->bucket holds. */
struct meta_referrer object_referrer(const struct s3_call *call,
                                     struct slice key, uint64_t sequence);
/* Adds to `batch` what removes a version and its reference. */
void object_remove_version(struct s3_call *call, struct meta_batch *batch,
                           struct slice key, const Meta__Object *object);
/* object_commit() without its commit: into `batch`. */
int object_put(struct s3_call *call, struct meta_batch *batch, struct slice key,
               Meta__Object *object);

/* --- deleting: object_delete.c ---------------------------------------------*/
struct object_deletion {
    const char *failed;      /* PreconditionFailed: the condition's name */
    bool delete_marker;      /* one was made or removed */
    struct slice version_id; /* of what was made or removed, "null" too; empty
                                where there are no versions */
};
/* What DeleteObject and each entry of DeleteObjects name. */
struct object_doomed {
    struct slice key, version_id; /* version_id.data may be NULL */
    struct delete_conditions conditions;
    /* S3_OK also if there was nothing to delete, unless `match` is given:
     * NoSuchKey; AccessDenied if the version is protected by Object Lock
     * (worm.h). */
    enum s3_error error;
    struct object_deletion deletion;
};
#define OBJECT_DELETE_MAX META_KEYS_LOCKED_MAX
/* Deletes in one commit, locks included; the call does not fail. None may
 * depend on another: whose keys are the same name versions that differ. */
void object_delete(struct s3_call *call, struct object_doomed **doomed,
                   size_t count);

#endif
