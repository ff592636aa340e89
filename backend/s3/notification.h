/*
 * Private to s3/: the notification configuration of a bucket.
 */
#ifndef S3_NOTIFICATION_H
#define S3_NOTIFICATION_H

#include "s3/call.h"

struct notification_rules {
    Meta__NotificationRule **rules; /* in the call's arena */
    size_t count;
    bool event_bridge;
};
/* The request's body; nothing but form and region is checked of ARNs. False:
 * the call has failed. */
bool notification_read(struct s3_call *call, struct notification_rules *rules);
/* No two rules may tell of the same event. False: the call has failed. */
bool notification_check_overlap(struct s3_call *call,
                                const struct notification_rules *rules);
void notification_write(struct buffer *out, const Meta__Bucket *bucket);

#endif
