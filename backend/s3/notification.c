/*
 * Put and GetBucketNotificationConfiguration.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketNotificationConfiguration.html
 */
#include "s3/notification.h"

#include "s3/bucket.h"
#include "s3/notify.h"
#include "s3/operations.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

/* What a PUT is to do: rules, and to whom s3:TestEvent goes. */
struct wanted {
    struct notification_rules rules;
    struct events_target **targets; /* each once */
    size_t target_count;
};

static void add_target(struct wanted *wanted, struct events_target *target)
{
    for (size_t i = 0; i < wanted->target_count; i++) {
        if (wanted->targets[i] == target) {
            return;
        }
    }
    wanted->targets[wanted->target_count++] = target;
}

/* Every one that is not there is told: ArgumentName1, ArgumentValue1 ... */
static void tell_missing(struct s3_call *call, unsigned number,
                         struct slice what, const char *why)
{
    char name[32];

    snprintf(name, sizeof(name), "ArgumentName%u", number);
    call_error_field(call, name, what);
    snprintf(name, sizeof(name), "ArgumentValue%u", number);
    call_error_field(call, name, slice_from_string(why));
}

static bool find_targets(struct s3_call *call, struct wanted *wanted)
{
    unsigned missing = 0;
    char account[13];

    iam_account_number(call->service->iam, pb_slice(call->bucket->owner),
                       account);
    wanted->targets = arena_alloc(call->arena, wanted->rules.count *
                                                   sizeof(*wanted->targets));
    for (size_t i = 0; i < wanted->rules.count; i++) {
        const Meta__NotificationRule *rule = wanted->rules.rules[i];
        struct events_target *target =
            events_find(call->service->events, rule->kind,
                        slice_from_string(account), pb_slice(rule->arn));

        if (target != NULL) {
            add_target(wanted, target);
        } else {
            tell_missing(call, ++missing, pb_slice(rule->arn),
                         rule->kind == META__NOTIFICATION_KIND__NOTIFY_TOPIC
                             ? "The destination topic does not exist"
                             : "The destination queue does not exist");
        }
    }
    /* No s3:TestEvent: S3 sends EventBridge none. */
    if (wanted->rules.event_bridge &&
        events_bridge(call->service->events) == NULL) {
        tell_missing(call, ++missing, SLICE_LITERAL("EventBridgeConfiguration"),
                     "The destination event bus does not exist");
    }
    if (missing > 0) {
        call_fail_message(
            call, S3_ERR_InvalidArgument,
            "Unable to validate the following destination configurations");
    }
    return missing == 0;
}

/* bucket_change */
static bool change_rules(struct s3_call *call, Meta__Bucket *bucket,
                         const void *argument)
{
    const struct wanted *wanted = argument;

    (void)call;
    bucket->notifications = wanted->rules.rules;
    bucket->n_notifications = wanted->rules.count;
    bucket->event_bridge = wanted->rules.event_bridge;
    return true;
}

/* bucket_addition */
static void add_tests(struct s3_call *call, struct meta_batch *batch,
                      const Meta__Bucket *bucket, const void *argument)
{
    const struct wanted *wanted = argument;

    (void)bucket;
    for (size_t i = 0; i < wanted->target_count; i++) {
        notify_test(call, batch, wanted->targets[i]);
    }
}

static bool skips_validation(const struct s3_call *call)
{
    const struct slice asked =
        call_request_header(call, "x-amz-skip-destination-validation");

    return asked.size == 4 &&
           strncasecmp((const char *)asked.data, "true", 4) == 0;
}

void s3_put_notification_run(struct s3_call *call)
{
    struct wanted wanted = {.target_count = 0};

    if (!notification_read(call, &wanted.rules) ||
        !notification_check_overlap(call, &wanted.rules)) {
        return;
    }
    if ((skips_validation(call) || find_targets(call, &wanted)) &&
        bucket_update_with(call, change_rules, add_tests, &wanted)) {
        call_reply_empty(call, 200);
    }
}

void s3_get_notification_run(struct s3_call *call)
{
    struct buffer out = {NULL, 0, 0};

    notification_write(&out, call->bucket);
    call_reply_xml(call, 200, &out);
}
