/*
 * Settings of buckets that are small, or that nobody can have set.
 *
 * What s3d cannot do yet cannot be configured: its PUT is refused, and its
 * GET tells that nothing is configured, which is true. Clients that look at
 * every setting of a bucket get on with that.
 */
#include "s3/document.h"
#include "s3/operations.h"
#include "s3/ownership.h"

/* --- RequestPayment
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/RequesterPaysBuckets.html
 * -------------*/
void s3_put_request_payment_run(struct s3_call *call)
{
    struct xml_node *root =
        document_request(call, "RequestPaymentConfiguration");
    struct xml_leaf leaf = {.name = "Payer", .required = true};
    struct slice payer = {NULL, 0}; /* BucketOwner: as if never set */

    if (root == NULL) {
        return;
    }
    if (!xml_in_leaves(root, &leaf, 1) ||
        (!slice_equal_string(leaf.value, "BucketOwner") &&
         !slice_equal_string(leaf.value, "Requester"))) {
        call_fail(call, S3_ERR_MalformedXML);
        return;
    }
    if (slice_equal_string(leaf.value, "Requester")) {
        payer = leaf.value;
    }
    if (document_commit(call, DOCUMENT_REQUEST_PAYMENT, payer)) {
        call_reply_empty(call, 200);
    }
}

void s3_get_request_payment_run(struct s3_call *call)
{
    struct slice payer = document_get(call->bucket, DOCUMENT_REQUEST_PAYMENT);
    struct buffer out = {NULL, 0, 0};

    xml_open_document(&out, "RequestPaymentConfiguration");
    xml_text(&out, "Payer",
             payer.data != NULL ? payer : SLICE_LITERAL("BucketOwner"));
    xml_close(&out, "RequestPaymentConfiguration");
    call_reply_xml(call, 200, &out);
}

/* What reads or changes objects is paid for; settings are the owner's. */
static bool paid_for(const struct s3_call *call)
{
    switch (call->operation->operation) {
    case WIRE__OPERATION__LIST_OBJECTS:
    case WIRE__OPERATION__LIST_OBJECTS_V2:
    case WIRE__OPERATION__LIST_OBJECT_VERSIONS:
    case WIRE__OPERATION__LIST_MULTIPART_UPLOADS:
    case WIRE__OPERATION__DELETE_OBJECTS:
    case WIRE__OPERATION__GET_WEBSITE:
        return true;
    default:
        return call->operation->needs_key;
    }
}

bool request_payment_agreed(struct s3_call *call)
{
    struct slice agreed = call_request_header(call, "x-amz-request-payer");

    if (call->bucket == NULL ||
        document_get(call->bucket, DOCUMENT_REQUEST_PAYMENT).data == NULL ||
        slice_equal_string(pb_slice(call->bucket->owner),
                           call->identity.user) ||
        !paid_for(call)) {
        return true;
    }
    if (!slice_equal_string(agreed, "requester") || call_is_anonymous(call)) {
        call_fail(call, S3_ERR_AccessDenied);
        return false;
    }
    call_header(call, "x-amz-request-charged", "requester");
    return true;
}

/* --- settings that nobody can have made ------------------------------------*/
static void reply_unset(struct s3_call *call, const char *root)
{
    struct buffer out = {NULL, 0, 0};

    xml_open_document(&out, root);
    xml_close(&out, root);
    call_reply_xml(call, 200, &out);
}

void s3_get_accelerate_run(struct s3_call *call)
{
    reply_unset(call, "AccelerateConfiguration");
}

/* Of kinds that have no engine here: there is none, listed or by its id. */
void s3_list_configurations_run(struct s3_call *call)
{
    static const struct {
        Wire__Operation operation;
        const char *root;
    } lists[] = {
        {WIRE__OPERATION__LIST_ANALYTICS_CONFIGURATIONS,
         "ListBucketAnalyticsConfigurationResult"},
        {WIRE__OPERATION__LIST_INTELLIGENT_TIERING_CONFIGURATIONS,
         "ListBucketIntelligentTieringConfigurationsOutput"},
        {WIRE__OPERATION__LIST_INVENTORY_CONFIGURATIONS,
         "ListInventoryConfigurationsResult"},
        {WIRE__OPERATION__LIST_METRICS_CONFIGURATIONS,
         "ListMetricsConfigurationsResult"},
    };
    struct buffer out = {NULL, 0, 0};

    if (call_arg(call, "id").data != NULL) {
        document_fail(call, S3_ERR_NoSuchConfiguration);
        return;
    }
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (lists[i].operation == call->operation->operation) {
            xml_open_document(&out, lists[i].root);
            xml_bool(&out, "IsTruncated", false);
            xml_close(&out, lists[i].root);
        }
    }
    call_reply_xml(call, 200, &out);
}

static enum s3_error unset_error(Wire__Operation operation)
{
    switch (operation) {
    case WIRE__OPERATION__GET_BUCKET_LIFECYCLE:
        return S3_ERR_NoSuchLifecycleConfiguration;
    case WIRE__OPERATION__GET_BUCKET_REPLICATION:
        return S3_ERR_ReplicationConfigurationNotFoundError;
    default:
        invariant(!"a setting that can be missing");
        return S3_ERR_InternalError;
    }
}

void s3_get_unset_run(struct s3_call *call)
{
    document_fail(call, unset_error(call->operation->operation));
}

/* S3 removes what is not there with the same answer. */
void s3_delete_unset_run(struct s3_call *call)
{
    call_reply_empty(call, 204);
}
