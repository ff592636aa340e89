/*
 * Object tags in the x-amz-tagging header.
 */
#ifndef S3_TAGS_H
#define S3_TAGS_H

#include "s3/call.h"

/* x-amz-tagging into object->tags. False: the call has failed. */
bool object_take_tags(struct s3_call *call, Meta__Object *object);

#endif
