/*
 * Private to s3/: may this call do that?
 *
 * What each operation needs is a table (authorize_actions.c). Most of it is
 * asked before an operation begins; what depends on the object, its tags and
 * its ACL, is asked when its record has been read, in the step and under the
 * lock in which it is used.
 *
 * Invariants:
 *   A1  An operation without an entry in the table is denied.
 *   A2  A reply tells whether a key is there only to who may list the bucket,
 *       or may do to the key what was asked.
 *   A3  Nothing is remembered from one question to the next: policies, ACLs
 *       and public access blocks are those of the bucket's record as read.
 */
#ifndef S3_AUTHORIZE_H
#define S3_AUTHORIZE_H

#include "s3/call.h"

/* --- what operations need (authorize_actions.c): pure ----------------------*/
enum s3_scope { SCOPE_SERVICE, SCOPE_BUCKET, SCOPE_OBJECT };

enum s3_moment {
    ASKED_FIRST,        /* by call_authorize_operation() */
    ASKED_WITH_OBJECT,  /* by call_authorize_found() */
    ASKED_BY_OPERATION, /* by the operation, more than once or later */
    ASKED_NEVER,        /* anybody may, or it is not for policies to say */
};

struct s3_permission {
    Wire__Operation operation;
    enum s3_scope scope;
    enum s3_moment moment;
    const char *action;         /* "s3:GetObject" */
    const char *version_action; /* of a version by its id; NULL: as action */
    const char *also;           /* a second action that is needed; or NULL */
    const char *also_version;   /* the same, of a version by its id */
    bool writes_object;         /* its headers may ask for more */
    bool signed_only;           /* never for the anonymous */
};

/* NULL: there is none (A1). */
const struct s3_permission *s3_permission_find(Wire__Operation operation);

/* --- questions (authorize.c) -----------------------------------------------*/
struct s3_question {
    const char *action;
    const Meta__Bucket *bucket; /* NULL: one that is not there yet, or none */
    struct slice bucket_name;
    struct slice key;           /* data == NULL: about the bucket */
    struct slice version_id;    /* data == NULL: none is named */
    const Meta__Object *object; /* NULL: not read, or not there */
    struct slice resource;      /* an ARN, where it is not one of S3's */
};

/* Answers a question; the call goes on whatever the answer is. */
bool call_ask(struct s3_call *call, const struct s3_question *question);

/* The same, of call->bucket with the request's version; AccessDenied ends the
 * call and false comes back. `object` may be NULL where none is read. */
bool call_authorize_bucket(struct s3_call *call, const char *action);
bool call_authorize_object(struct s3_call *call, const char *action,
                           struct slice key, const Meta__Object *object);
/* Without an answer to the client. `key` with data == NULL: the bucket. */
bool call_may(struct s3_call *call, const char *action,
              const Meta__Bucket *bucket, struct slice key,
              const Meta__Object *object);

/* What the table says for the call's operation, before it begins, with all
 * that its headers ask for. False: the call has failed. */
bool call_authorize_operation(struct s3_call *call);
/* CreateBucket, when its body has been read. False: the call has failed. */
bool call_authorize_creation(struct s3_call *call);
/* Of an operation that is ASKED_WITH_OBJECT: `object` is what was found under
 * call->key. False: the call has failed. */
bool call_authorize_found(struct s3_call *call, const Meta__Object *object);
/* Nothing was found under a key of `bucket`: true if the caller may know
 * that; false: the call has failed (A2). */
bool call_authorize_absent(struct s3_call *call, const Meta__Bucket *bucket);
/* x-amz-expected-bucket-owner and its like (`header`): the number of an
 * account, or its canonical id. False: the call has failed. */
bool call_check_owner(struct s3_call *call, const Meta__Bucket *bucket,
                      const char *header);

#endif
