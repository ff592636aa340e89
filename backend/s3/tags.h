/*
 * Private to s3/: tags of objects and buckets.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
 */
#ifndef S3_TAGS_H
#define S3_TAGS_H

#include "base/xml_in.h"
#include "s3/call.h"

/* What the tags are of decides how many there may be, and some messages. */
enum tags_of { TAGS_OF_OBJECT, TAGS_OF_BUCKET };

struct tag_set {
    Meta__Field **tags; /* in the call's arena, in the order of their names */
    size_t count;
};

/* x-amz-tagging into object->tags. False: the call has failed. */
bool object_take_tags(struct s3_call *call, Meta__Object *object);
/* The same for those who decide on the request before it is checked: a header
 * that object_take_tags() refuses has no tags. */
void tags_read_header(struct s3_call *call, struct tag_set *set);
/* The request's Tagging document. False: the call has failed. */
bool tags_take_document(struct s3_call *call, enum tags_of of,
                        struct tag_set *set);
/* The children of `list`, each a Tag. False: the call has failed. */
bool tags_take_elements(struct s3_call *call, enum tags_of of,
                        const struct xml_node *list, struct tag_set *set);
/* Those of a bucket, in the call's arena. */
void tags_of_bucket(struct s3_call *call, const Meta__Bucket *bucket,
                    struct tag_set *set);
/* Tagging, as it is given back. */
void tags_write(struct buffer *out, Meta__Field *const *tags, size_t count);
/* The same in the call's arena. */
struct slice tags_document(struct s3_call *call, const struct tag_set *set);

#endif
