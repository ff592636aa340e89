/*
 * Private to s3/: answers that workers may give again (hot/hot.h). Which ones
 * may, docs/hot-index.md says.
 */
#ifndef S3_HOT_ANSWER_H
#define S3_HOT_ANSWER_H

#include "s3/call.h"

/* Before anything that a read concerns is looked up. */
void hot_answer_begin(struct s3_call *call);
/* Before the record of a key is read, each time, whether it is there or not. */
void hot_answer_look(struct s3_call *call, struct slice key);
/* The answer depends on more than records that were looked at. */
void hot_answer_forget(struct s3_call *call);
/* The call has been answered: if with all of `object`, others are to be, too.
 */
void hot_answer_publish(struct s3_call *call, const Meta__Object *object,
                        bool with_body);
/* It was answered with less than the headers, which `describe` adds to a reply:
 * as if HEAD had asked for them. */
typedef void hot_answer_describe(struct s3_call *call, const void *argument);
void hot_answer_publish_head(struct s3_call *call, const Meta__Object *object,
                             hot_answer_describe *describe,
                             const void *argument);

#endif
