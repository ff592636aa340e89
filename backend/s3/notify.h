/*
 * Private to s3/: telling of changes to objects (events.h).
 *
 * Under the lock of the key: notify_check() before anything is put into the
 * batch of a change, then one of the others with that batch.
 */
#ifndef S3_NOTIFY_H
#define S3_NOTIFY_H

#include "s3/call.h"

/* 0, or -EAGAIN: the change is to be refused, with SlowDown. */
int notify_check(struct s3_call *call, Meta__EventType type, struct slice key);
/* What the call's operation makes when it writes an object; NO_EVENT: it is
 * not one that does. */
Meta__EventType notify_created_type(const struct s3_call *call);
/* Of a version that was written, or whose tags or access were changed.
 * `replaced`: what the key was until then; NULL: nothing, or the same. */
void notify_object(struct s3_call *call, struct meta_batch *batch,
                   Meta__EventType type, struct slice key,
                   const Meta__Object *object, const Meta__Object *replaced);
/* Of a version that was removed; `version_id` empty: there are no versions. */
void notify_removed(struct s3_call *call, struct meta_batch *batch,
                    struct slice key, struct slice version_id,
                    const Meta__Object *removed);
/* s3:TestEvent. */
void notify_test(struct s3_call *call, struct meta_batch *batch,
                 struct events_target *target);

#endif
