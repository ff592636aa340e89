#include "s3/operations.h"

#include "s3/cors.h"
#include "s3/query.h"

#define XML_MAX      (2u << 20) /* bytes */
#define TAGS_MAX     (512u << 10)
#define SETTING_MAX  (256u << 10)
#define COMPLETE_MAX (4u << 20) /* 10,000 parts with all their checksums */

#define OPERATION(op, label, ...)                                              \
    {                                                                          \
        .operation = WIRE__OPERATION__##op, .name = label, __VA_ARGS__         \
    }

/* On a bucket that is there, without a body and with an XML document. */
#define PLAIN(op, label, ...)                                                  \
    OPERATION(op, label, .needs_bucket = true, __VA_ARGS__)
#define XML(op, label, max, ...)                                               \
    PLAIN(op, label, .body = S3_BODY_XML, .xml_max = max, __VA_ARGS__)

static const struct s3_operation operations[] = {
    OPERATION(LIST_BUCKETS, "ListBuckets", .run = s3_list_buckets_run),
    OPERATION(CREATE_BUCKET, "CreateBucket", .body = S3_BODY_XML,
              .xml_max = XML_MAX, .run = s3_create_bucket_run),
    /* It tells the region also of a bucket that is closed to the caller. */
    OPERATION(HEAD_BUCKET, "HeadBucket", .run = s3_head_bucket_run),
    OPERATION(DELETE_BUCKET, "DeleteBucket", .needs_bucket = true,
              .run = s3_delete_bucket_run),
    OPERATION(GET_BUCKET_LOCATION, "GetBucketLocation", .needs_bucket = true,
              .run = s3_get_location_run),
    OPERATION(LIST_OBJECTS, "ListObjects", .needs_bucket = true,
              .run = s3_list_objects_run),
    OPERATION(LIST_OBJECTS_V2, "ListObjectsV2", .needs_bucket = true,
              .run = s3_list_objects_v2_run),
    OPERATION(LIST_MULTIPART_UPLOADS, "ListMultipartUploads",
              .needs_bucket = true, .run = s3_list_uploads_run),
    OPERATION(DELETE_OBJECTS, "DeleteObjects", .needs_bucket = true,
              .body = S3_BODY_XML, .xml_max = XML_MAX,
              .run = s3_delete_objects_run),
    OPERATION(PUT_OBJECT, "PutObject", .needs_bucket = true, .needs_key = true,
              .body = S3_BODY_OBJECT, .open = s3_put_object_open,
              .run = s3_put_object_run),
    OPERATION(POST_OBJECT, "PostObject", .needs_bucket = true,
              .needs_key = true, .body = S3_BODY_FORM,
              .open = s3_post_object_open, .take = s3_post_object_take,
              .run = s3_post_object_run),
    OPERATION(GET_OBJECT, "GetObject", .needs_bucket = true, .needs_key = true,
              .run = s3_get_object_run),
    OPERATION(HEAD_OBJECT, "HeadObject", .needs_bucket = true,
              .needs_key = true, .run = s3_head_object_run),
    PLAIN(GET_FILE, "GetFile", .run = s3_get_file_run),
    PLAIN(GET_WEBSITE, "GetWebsite", .run = s3_get_website_run),
    OPERATION(DELETE_OBJECT, "DeleteObject", .needs_bucket = true,
              .needs_key = true, .run = s3_delete_object_run),
    OPERATION(COPY_OBJECT, "CopyObject", .needs_bucket = true,
              .needs_key = true, .run = s3_copy_object_run),
    OPERATION(RENAME_OBJECT, "RenameObject", .needs_bucket = true,
              .needs_key = true, .extension = true,
              .run = s3_rename_object_run),
    OPERATION(CREATE_MULTIPART_UPLOAD, "CreateMultipartUpload",
              .needs_bucket = true, .needs_key = true,
              .run = s3_create_upload_run),
    OPERATION(UPLOAD_PART, "UploadPart", .needs_bucket = true,
              .needs_key = true, .body = S3_BODY_OBJECT,
              .open = s3_upload_part_open, .run = s3_upload_part_run),
    OPERATION(UPLOAD_PART_COPY, "UploadPartCopy", .needs_bucket = true,
              .needs_key = true, .run = s3_upload_part_copy_run),
    OPERATION(COMPLETE_MULTIPART_UPLOAD, "CompleteMultipartUpload",
              .needs_bucket = true, .needs_key = true, .body = S3_BODY_XML,
              .xml_max = COMPLETE_MAX, .run = s3_complete_upload_run),
    OPERATION(ABORT_MULTIPART_UPLOAD, "AbortMultipartUpload",
              .needs_bucket = true, .needs_key = true,
              .run = s3_abort_upload_run),
    OPERATION(LIST_PARTS, "ListParts", .needs_bucket = true, .needs_key = true,
              .run = s3_list_parts_run),
};

/* Settings of buckets and objects. */
static const struct s3_operation setting_operations[] = {
    XML(PUT_BUCKET_VERSIONING, "PutBucketVersioning", SETTING_MAX,
        .run = s3_put_versioning_run),
    PLAIN(GET_BUCKET_VERSIONING, "GetBucketVersioning",
          .run = s3_get_versioning_run),
    PLAIN(LIST_OBJECT_VERSIONS, "ListObjectVersions",
          .run = s3_list_versions_run),
    XML(PUT_OBJECT_LOCK_CONFIGURATION, "PutObjectLockConfiguration",
        SETTING_MAX, .run = s3_put_lock_configuration_run),
    PLAIN(GET_OBJECT_LOCK_CONFIGURATION, "GetObjectLockConfiguration",
          .run = s3_get_lock_configuration_run),
    XML(PUT_OBJECT_RETENTION, "PutObjectRetention", SETTING_MAX,
        .needs_key = true, .run = s3_put_retention_run),
    PLAIN(GET_OBJECT_RETENTION, "GetObjectRetention", .needs_key = true,
          .run = s3_get_retention_run),
    XML(PUT_OBJECT_LEGAL_HOLD, "PutObjectLegalHold", SETTING_MAX,
        .needs_key = true, .run = s3_put_legal_hold_run),
    PLAIN(GET_OBJECT_LEGAL_HOLD, "GetObjectLegalHold", .needs_key = true,
          .run = s3_get_legal_hold_run),
    XML(PUT_OBJECT_TAGGING, "PutObjectTagging", TAGS_MAX, .needs_key = true,
        .run = s3_put_object_tagging_run),
    PLAIN(GET_OBJECT_TAGGING, "GetObjectTagging", .needs_key = true,
          .run = s3_get_object_tagging_run),
    PLAIN(DELETE_OBJECT_TAGGING, "DeleteObjectTagging", .needs_key = true,
          .run = s3_delete_object_tagging_run),
    PLAIN(GET_OBJECT_ATTRIBUTES, "GetObjectAttributes", .needs_key = true,
          .run = s3_get_object_attributes_run),
    XML(PUT_BUCKET_TAGGING, "PutBucketTagging", TAGS_MAX,
        .run = s3_put_bucket_tagging_run),
    PLAIN(GET_BUCKET_TAGGING, "GetBucketTagging",
          .run = s3_get_bucket_tagging_run),
    PLAIN(DELETE_BUCKET_TAGGING, "DeleteBucketTagging",
          .run = s3_delete_bucket_tagging_run),
    XML(PUT_BUCKET_CORS, "PutBucketCors", CORS_DOCUMENT_MAX,
        .run = s3_put_cors_run),
    PLAIN(GET_BUCKET_CORS, "GetBucketCors", .run = s3_get_cors_run),
    PLAIN(DELETE_BUCKET_CORS, "DeleteBucketCors", .run = s3_delete_cors_run),
    /* Anybody's: it looks the bucket up itself. */
    OPERATION(PREFLIGHT, "Preflight", .run = s3_preflight_run),
    XML(PUT_BUCKET_OWNERSHIP_CONTROLS, "PutBucketOwnershipControls",
        SETTING_MAX, .run = s3_put_ownership_run),
    PLAIN(GET_BUCKET_OWNERSHIP_CONTROLS, "GetBucketOwnershipControls",
          .run = s3_get_ownership_run),
    PLAIN(DELETE_BUCKET_OWNERSHIP_CONTROLS, "DeleteBucketOwnershipControls",
          .run = s3_delete_ownership_run),
    XML(PUT_BUCKET_REQUEST_PAYMENT, "PutBucketRequestPayment", SETTING_MAX,
        .run = s3_put_request_payment_run),
    PLAIN(GET_BUCKET_REQUEST_PAYMENT, "GetBucketRequestPayment",
          .run = s3_get_request_payment_run),
    XML(PUT_BUCKET_LOGGING, "PutBucketLogging", SETTING_MAX,
        .run = s3_put_logging_run),
    PLAIN(GET_BUCKET_LOGGING, "GetBucketLogging", .run = s3_get_logging_run),
    XML(PUT_BUCKET_NOTIFICATION, "PutBucketNotification", SETTING_MAX,
        .run = s3_put_notification_run),
    PLAIN(LISTEN_NOTIFICATION, "ListenNotification", .run = s3_listen_run),
    PLAIN(GET_BUCKET_NOTIFICATION, "GetBucketNotification",
          .run = s3_get_notification_run),
    PLAIN(GET_BUCKET_ACCELERATE_CONFIGURATION,
          "GetBucketAccelerateConfiguration", .run = s3_get_accelerate_run),
    PLAIN(LIST_ANALYTICS_CONFIGURATIONS, "ListBucketAnalyticsConfigurations",
          .run = s3_list_configurations_run),
    PLAIN(LIST_INTELLIGENT_TIERING_CONFIGURATIONS,
          "ListBucketIntelligentTieringConfigurations",
          .run = s3_list_configurations_run),
    PLAIN(LIST_INVENTORY_CONFIGURATIONS, "ListBucketInventoryConfigurations",
          .run = s3_list_configurations_run),
    PLAIN(LIST_METRICS_CONFIGURATIONS, "ListBucketMetricsConfigurations",
          .run = s3_list_configurations_run),
    XML(PUT_BUCKET_ENCRYPTION, "PutBucketEncryption", SETTING_MAX,
        .run = s3_put_encryption_run),
    PLAIN(GET_BUCKET_ENCRYPTION, "GetBucketEncryption",
          .run = s3_get_encryption_run),
    PLAIN(DELETE_BUCKET_ENCRYPTION, "DeleteBucketEncryption",
          .run = s3_delete_encryption_run),
    XML(PUT_BUCKET_WEBSITE, "PutBucketWebsite", SETTING_MAX,
        .run = s3_put_website_run),
    PLAIN(GET_BUCKET_WEBSITE, "GetBucketWebsite",
          .run = s3_get_bucket_website_run),
    PLAIN(DELETE_BUCKET_WEBSITE, "DeleteBucketWebsite",
          .run = s3_delete_website_run),
    PLAIN(GET_BUCKET_LIFECYCLE, "GetBucketLifecycle", .run = s3_get_unset_run),
    PLAIN(DELETE_BUCKET_LIFECYCLE, "DeleteBucketLifecycle",
          .run = s3_delete_unset_run),
    PLAIN(GET_BUCKET_REPLICATION, "GetBucketReplication",
          .run = s3_get_unset_run),
    PLAIN(DELETE_BUCKET_REPLICATION, "DeleteBucketReplication",
          .run = s3_delete_unset_run),
    XML(PUT_BUCKET_ACL, "PutBucketAcl", SETTING_MAX,
        .run = s3_put_bucket_acl_run),
    PLAIN(GET_BUCKET_ACL, "GetBucketAcl", .run = s3_get_bucket_acl_run),
    XML(PUT_OBJECT_ACL, "PutObjectAcl", SETTING_MAX, .needs_key = true,
        .run = s3_put_object_acl_run),
    PLAIN(GET_OBJECT_ACL, "GetObjectAcl", .needs_key = true,
          .run = s3_get_object_acl_run),
    XML(PUT_BUCKET_POLICY, "PutBucketPolicy", SETTING_MAX,
        .run = s3_put_policy_run),
    PLAIN(GET_BUCKET_POLICY, "GetBucketPolicy", .run = s3_get_policy_run),
    PLAIN(GET_BUCKET_POLICY_STATUS, "GetBucketPolicyStatus",
          .run = s3_get_policy_status_run),
    PLAIN(DELETE_BUCKET_POLICY, "DeleteBucketPolicy",
          .run = s3_delete_policy_run),
    XML(PUT_PUBLIC_ACCESS_BLOCK, "PutPublicAccessBlock", SETTING_MAX,
        .run = s3_put_public_access_run),
    PLAIN(GET_PUBLIC_ACCESS_BLOCK, "GetPublicAccessBlock",
          .run = s3_get_public_access_run),
    PLAIN(DELETE_PUBLIC_ACCESS_BLOCK, "DeletePublicAccessBlock",
          .run = s3_delete_public_access_run),
    OPERATION(IAM_QUERY, "IamQuery", .body = S3_BODY_XML,
              .xml_max = QUERY_BODY_MAX, .run = query_run),
};

static const struct s3_operation *find(const struct s3_operation *table,
                                       size_t count, Wire__Operation operation)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].operation == operation) {
            return &table[i];
        }
    }
    return NULL;
}
#define FIND(table, operation)                                                 \
    find(table, sizeof(table) / sizeof((table)[0]), operation)

const struct s3_operation *s3_operation_find(Wire__Operation operation)
{
    const struct s3_operation *found = FIND(operations, operation);

    return found != NULL ? found : FIND(setting_operations, operation);
}
