/*
 * PutObjectLockConfiguration, GetObjectLockConfiguration
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLockConfiguration.html
 */
#include "base/xml_in.h"
#include "s3/bucket.h"
#include "s3/document.h"
#include "s3/operations.h"
#include "s3/worm.h"

#define DAYS_MAX  36500
#define YEARS_MAX 100

static bool is_integer(struct slice text)
{
    size_t start = text.size > 0 && text.data[0] == '-' ? 1 : 0;

    for (size_t i = start; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
    }
    return text.size > start;
}

static bool take_period(struct s3_call *call, const char *name,
                        struct slice text, uint32_t max, uint32_t *period)
{
    uint64_t value = 0;
    bool fits;

    *period = 0;
    if (text.data == NULL) {
        return true;
    }
    if (!is_integer(text)) {
        call_fail(call, S3_ERR_MalformedXML);
        return false;
    }
    fits = slice_to_u64(text, &value) == 0;
    if (text.data[0] == '-' || (fits && value == 0)) {
        call_fail_argument(call, name, text,
                           "Default retention period must be a positive "
                           "integer value.");
        return false;
    }
    if (!fits || value > max) {
        call_fail_argument(call, name, text,
                           "Default retention period too large.");
        return false;
    }
    *period = (uint32_t)value;
    return true;
}

static bool take_default(struct s3_call *call, const struct xml_node *node,
                         Meta__DefaultRetention *rule)
{
    struct xml_leaf leaves[] = {{.name = "Mode", .required = true},
                                {.name = "Days"},
                                {.name = "Years"}};

    if (!xml_in_leaves(node, leaves, sizeof(leaves) / sizeof(leaves[0])) ||
        (leaves[1].value.data == NULL) == (leaves[2].value.data == NULL)) {
        call_fail(call, S3_ERR_MalformedXML);
        return false;
    }
    rule->mode = worm_parse_mode(leaves[0].value);
    if (rule->mode == META__LOCK_MODE__NO_LOCK) {
        call_fail(call, S3_ERR_MalformedXML);
        return false;
    }
    return take_period(call, "Days", leaves[1].value, DAYS_MAX, &rule->days) &&
           take_period(call, "Years", leaves[2].value, YEARS_MAX, &rule->years);
}

/* The document; *found tells whether it holds a rule. */
static bool read_request(struct s3_call *call, Meta__DefaultRetention *rule,
                         bool *found)
{
    const struct xml_node *root =
        document_request(call, "ObjectLockConfiguration");
    const struct xml_node *retention = NULL;
    bool enabled = false, wrong = false;

    if (root == NULL) {
        return false;
    }
    for (const struct xml_node *node = root->first; node != NULL;
         node = node->next) {
        if (slice_equal_string(node->name, "ObjectLockEnabled") && !enabled &&
            node->first == NULL && slice_equal_string(node->text, "Enabled")) {
            enabled = true;
        } else if (slice_equal_string(node->name, "Rule") &&
                   retention == NULL && node->first != NULL &&
                   node->first->next == NULL &&
                   slice_equal_string(node->first->name, "DefaultRetention")) {
            retention = node->first;
        } else {
            wrong = true;
        }
    }
    if (!enabled || wrong) {
        call_fail(call, S3_ERR_MalformedXML);
        return false;
    }
    *found = retention != NULL;
    return retention == NULL || take_default(call, retention, rule);
}

/* bucket_change. wanted: the default retention, or NULL. */
static bool change_lock(struct s3_call *call, Meta__Bucket *bucket,
                        const void *wanted)
{
    if (bucket->versioning != META__BUCKET__VERSIONING__ENABLED) { /* W1 */
        invariant(!bucket->object_lock);
        call_fail_message(call, S3_ERR_InvalidBucketState,
                          "Versioning must be 'Enabled' on the bucket to apply "
                          "a Object Lock configuration");
        return false;
    }
    bucket->object_lock = true;
    bucket->default_retention = (Meta__DefaultRetention *)wanted;
    return true;
}

void s3_put_lock_configuration_run(struct s3_call *call)
{
    Meta__DefaultRetention rule = META__DEFAULT_RETENTION__INIT;
    bool found = false;

    if (document_require_integrity(call) && read_request(call, &rule, &found) &&
        bucket_update(call, change_lock, found ? &rule : NULL)) {
        call_reply_empty(call, 200);
    }
}

void s3_get_lock_configuration_run(struct s3_call *call)
{
    const Meta__DefaultRetention *rule = call->bucket->default_retention;
    struct buffer out = {NULL, 0, 0};

    if (!call->bucket->object_lock) {
        call_error_field(call, "BucketName", call->bucket_name);
        call_fail(call, S3_ERR_ObjectLockConfigurationNotFoundError);
        return;
    }
    xml_open_document(&out, "ObjectLockConfiguration");
    xml_string(&out, "ObjectLockEnabled", "Enabled");
    if (rule != NULL) {
        xml_open(&out, "Rule");
        xml_open(&out, "DefaultRetention");
        xml_string(&out, "Mode", worm_mode_name(rule->mode));
        if (rule->years > 0) {
            xml_number(&out, "Years", rule->years);
        } else {
            xml_number(&out, "Days", rule->days);
        }
        xml_close(&out, "DefaultRetention");
        xml_close(&out, "Rule");
    }
    xml_close(&out, "ObjectLockConfiguration");
    call_reply_xml(call, 200, &out);
}
