/*
 * What each operation needs.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
 */
#include "s3/authorize.h"

#define PERMISSION(op, scope_, action_, ...)                                   \
    {                                                                          \
        .operation = WIRE__OPERATION__##op, .scope = SCOPE_##scope_,           \
        .action = "s3:" action_, __VA_ARGS__                                   \
    }
#define BUCKET(op, action)     PERMISSION(op, BUCKET, action, )
#define OBJECT(op, action)     PERMISSION(op, OBJECT, action, )
#define FOUND(op, action, ...) /* depends on the object */                     \
    PERMISSION(op, OBJECT, action, .moment = ASKED_WITH_OBJECT, __VA_ARGS__)
#define VERSIONED(action) .version_action = "s3:" action

/* clang-format off */
static const struct s3_permission permissions[] = {
    /* objects */
    FOUND(GET_OBJECT, "GetObject", VERSIONED("GetObjectVersion")),
    FOUND(HEAD_OBJECT, "GetObject", VERSIONED("GetObjectVersion")),
    /* of each key that may answer */
    PERMISSION(GET_WEBSITE, OBJECT, "GetObject",
               .moment = ASKED_BY_OPERATION),
    PERMISSION(PUT_OBJECT, OBJECT, "PutObject", .writes_object = true),
    PERMISSION(POST_OBJECT, OBJECT, "PutObject", .writes_object = true),
    PERMISSION(DELETE_OBJECT, OBJECT, "DeleteObject",
               VERSIONED("DeleteObjectVersion")),
    /* each key, as DeleteObject */
    PERMISSION(DELETE_OBJECTS, OBJECT, "DeleteObject",
               VERSIONED("DeleteObjectVersion"),
               .moment = ASKED_BY_OPERATION),
    /* copies: the source too, when it is read */
    PERMISSION(COPY_OBJECT, OBJECT, "PutObject", .writes_object = true,
               .signed_only = true),
    PERMISSION(RENAME_OBJECT, OBJECT, "PutObject", .signed_only = true),
    FOUND(GET_OBJECT_ATTRIBUTES, "GetObject", VERSIONED("GetObjectVersion"),
          .also = "s3:GetObjectAttributes",
          .also_version = "s3:GetObjectVersionAttributes"),
    FOUND(GET_OBJECT_TAGGING, "GetObjectTagging",
          VERSIONED("GetObjectVersionTagging")),
    FOUND(PUT_OBJECT_TAGGING, "PutObjectTagging",
          VERSIONED("PutObjectVersionTagging")),
    FOUND(DELETE_OBJECT_TAGGING, "DeleteObjectTagging",
          VERSIONED("DeleteObjectVersionTagging")),
    FOUND(GET_OBJECT_ACL, "GetObjectAcl", VERSIONED("GetObjectVersionAcl")),
    FOUND(PUT_OBJECT_ACL, "PutObjectAcl", VERSIONED("PutObjectVersionAcl")),
    OBJECT(GET_OBJECT_RETENTION, "GetObjectRetention"),
    PERMISSION(PUT_OBJECT_RETENTION, OBJECT, "PutObjectRetention",
               .moment = ASKED_BY_OPERATION),
    OBJECT(GET_OBJECT_LEGAL_HOLD, "GetObjectLegalHold"),
    PERMISSION(PUT_OBJECT_LEGAL_HOLD, OBJECT, "PutObjectLegalHold",
               .moment = ASKED_BY_OPERATION),

    /* uploads */
    PERMISSION(CREATE_MULTIPART_UPLOAD, OBJECT, "PutObject",
               .writes_object = true, .signed_only = true),
    OBJECT(UPLOAD_PART, "PutObject"),
    PERMISSION(UPLOAD_PART_COPY, OBJECT, "PutObject", .signed_only = true),
    OBJECT(COMPLETE_MULTIPART_UPLOAD, "PutObject"),
    /* of one's own uploads, as the initiator may */
    PERMISSION(ABORT_MULTIPART_UPLOAD, OBJECT, "AbortMultipartUpload",
               .moment = ASKED_BY_OPERATION),
    PERMISSION(LIST_PARTS, OBJECT, "ListMultipartUploadParts",
               .moment = ASKED_BY_OPERATION),

    /* buckets */
    PERMISSION(LIST_BUCKETS, SERVICE, "ListAllMyBuckets", .signed_only = true),
    PERMISSION(CREATE_BUCKET, BUCKET, "CreateBucket",
               .moment = ASKED_BY_OPERATION, .signed_only = true),
    /* it tells the region first */
    PERMISSION(HEAD_BUCKET, BUCKET, "ListBucket",
               .moment = ASKED_BY_OPERATION),
    BUCKET(DELETE_BUCKET, "DeleteBucket"),
    BUCKET(GET_BUCKET_LOCATION, "GetBucketLocation"),
    BUCKET(LIST_OBJECTS, "ListBucket"),
    BUCKET(LIST_OBJECTS_V2, "ListBucket"),
    BUCKET(LIST_OBJECT_VERSIONS, "ListBucketVersions"),
    BUCKET(LIST_MULTIPART_UPLOADS, "ListBucketMultipartUploads"),

    /* settings of buckets; what has no action of its own for deleting is put */
    BUCKET(GET_BUCKET_VERSIONING, "GetBucketVersioning"),
    BUCKET(PUT_BUCKET_VERSIONING, "PutBucketVersioning"),
    BUCKET(GET_OBJECT_LOCK_CONFIGURATION, "GetBucketObjectLockConfiguration"),
    BUCKET(PUT_OBJECT_LOCK_CONFIGURATION, "PutBucketObjectLockConfiguration"),
    BUCKET(GET_BUCKET_TAGGING, "GetBucketTagging"),
    BUCKET(PUT_BUCKET_TAGGING, "PutBucketTagging"),
    BUCKET(DELETE_BUCKET_TAGGING, "PutBucketTagging"),
    BUCKET(GET_BUCKET_CORS, "GetBucketCORS"),
    BUCKET(PUT_BUCKET_CORS, "PutBucketCORS"),
    BUCKET(DELETE_BUCKET_CORS, "PutBucketCORS"),
    BUCKET(GET_BUCKET_OWNERSHIP_CONTROLS, "GetBucketOwnershipControls"),
    BUCKET(PUT_BUCKET_OWNERSHIP_CONTROLS, "PutBucketOwnershipControls"),
    BUCKET(DELETE_BUCKET_OWNERSHIP_CONTROLS, "PutBucketOwnershipControls"),
    BUCKET(GET_BUCKET_REQUEST_PAYMENT, "GetBucketRequestPayment"),
    BUCKET(PUT_BUCKET_REQUEST_PAYMENT, "PutBucketRequestPayment"),
    BUCKET(GET_BUCKET_ENCRYPTION, "GetEncryptionConfiguration"),
    BUCKET(PUT_BUCKET_ENCRYPTION, "PutEncryptionConfiguration"),
    BUCKET(DELETE_BUCKET_ENCRYPTION, "PutEncryptionConfiguration"),
    BUCKET(GET_BUCKET_LOGGING, "GetBucketLogging"),
    BUCKET(PUT_BUCKET_LOGGING, "PutBucketLogging"),
    BUCKET(GET_BUCKET_WEBSITE, "GetBucketWebsite"),
    BUCKET(PUT_BUCKET_WEBSITE, "PutBucketWebsite"),
    BUCKET(DELETE_BUCKET_WEBSITE, "DeleteBucketWebsite"),
    BUCKET(GET_BUCKET_NOTIFICATION, "GetBucketNotification"),
    BUCKET(LISTEN_NOTIFICATION, "ListenBucketNotification"),
    BUCKET(PUT_BUCKET_NOTIFICATION, "PutBucketNotification"),
    BUCKET(GET_BUCKET_LIFECYCLE, "GetLifecycleConfiguration"),
    BUCKET(DELETE_BUCKET_LIFECYCLE, "PutLifecycleConfiguration"),
    BUCKET(GET_BUCKET_REPLICATION, "GetReplicationConfiguration"),
    BUCKET(DELETE_BUCKET_REPLICATION, "PutReplicationConfiguration"),
    BUCKET(GET_BUCKET_ACCELERATE_CONFIGURATION, "GetAccelerateConfiguration"),
    BUCKET(LIST_ANALYTICS_CONFIGURATIONS, "GetAnalyticsConfiguration"),
    BUCKET(LIST_INTELLIGENT_TIERING_CONFIGURATIONS, "GetIntelligentTieringConfiguration"),
    BUCKET(LIST_INVENTORY_CONFIGURATIONS, "GetInventoryConfiguration"),
    BUCKET(LIST_METRICS_CONFIGURATIONS, "GetMetricsConfiguration"),
    BUCKET(GET_BUCKET_POLICY, "GetBucketPolicy"),
    BUCKET(PUT_BUCKET_POLICY, "PutBucketPolicy"),
    BUCKET(DELETE_BUCKET_POLICY, "DeleteBucketPolicy"),
    BUCKET(GET_BUCKET_POLICY_STATUS, "GetBucketPolicyStatus"),
    BUCKET(GET_PUBLIC_ACCESS_BLOCK, "GetBucketPublicAccessBlock"),
    BUCKET(PUT_PUBLIC_ACCESS_BLOCK, "PutBucketPublicAccessBlock"),
    BUCKET(DELETE_PUBLIC_ACCESS_BLOCK, "PutBucketPublicAccessBlock"),
    BUCKET(GET_BUCKET_ACL, "GetBucketAcl"),
    BUCKET(PUT_BUCKET_ACL, "PutBucketAcl"),

    /* a browser asks before it sends what has a signature */
    { .operation = WIRE__OPERATION__PREFLIGHT, .moment = ASKED_NEVER },
    /* whoever wrote the location decided */
    { .operation = WIRE__OPERATION__GET_FILE, .moment = ASKED_NEVER },
    /* has actions of its own, iam:* and sts:* */
    { .operation = WIRE__OPERATION__IAM_QUERY, .moment = ASKED_NEVER },
};
/* clang-format on */

const struct s3_permission *s3_permission_find(Wire__Operation operation)
{
    for (size_t i = 0; i < sizeof(permissions) / sizeof(permissions[0]); i++) {
        if (permissions[i].operation == operation) {
            return &permissions[i];
        }
    }
    return NULL;
}
