/*
 * The actions and condition keys of S3, as a bucket policy may name them.
 * https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
 */
#include "policy/private.h"

struct action {
    const char *name;
    enum s3_level level;
};

static const struct action actions[] = {
    {"s3:AbortMultipartUpload", LEVEL_OBJECT},
    {"s3:BypassGovernanceRetention", LEVEL_OBJECT},
    {"s3:CreateBucket", LEVEL_BUCKET},
    {"s3:DeleteBucket", LEVEL_BUCKET},
    {"s3:DeleteBucketPolicy", LEVEL_BUCKET},
    {"s3:DeleteBucketWebsite", LEVEL_BUCKET},
    {"s3:DeleteObject", LEVEL_OBJECT},
    {"s3:DeleteObjectTagging", LEVEL_OBJECT},
    {"s3:DeleteObjectVersion", LEVEL_OBJECT},
    {"s3:DeleteObjectVersionTagging", LEVEL_OBJECT},
    {"s3:GetAccelerateConfiguration", LEVEL_BUCKET},
    {"s3:GetAccountPublicAccessBlock", LEVEL_SERVICE},
    {"s3:GetAnalyticsConfiguration", LEVEL_BUCKET},
    {"s3:GetBucketAbac", LEVEL_BUCKET},
    {"s3:GetBucketAcl", LEVEL_BUCKET},
    {"s3:GetBucketCORS", LEVEL_BUCKET},
    {"s3:GetBucketLocation", LEVEL_BUCKET},
    {"s3:GetBucketLogging", LEVEL_BUCKET},
    {"s3:GetBucketNotification", LEVEL_BUCKET},
    {"s3:GetBucketObjectLockConfiguration", LEVEL_BUCKET},
    {"s3:GetBucketOwnershipControls", LEVEL_BUCKET},
    {"s3:GetBucketPolicy", LEVEL_BUCKET},
    {"s3:GetBucketPolicyStatus", LEVEL_BUCKET},
    {"s3:GetBucketPublicAccessBlock", LEVEL_BUCKET},
    {"s3:GetBucketRequestPayment", LEVEL_BUCKET},
    {"s3:GetBucketTagging", LEVEL_BUCKET},
    {"s3:GetBucketVersioning", LEVEL_BUCKET},
    {"s3:GetBucketWebsite", LEVEL_BUCKET},
    {"s3:GetEncryptionConfiguration", LEVEL_BUCKET},
    {"s3:GetIntelligentTieringConfiguration", LEVEL_BUCKET},
    {"s3:GetInventoryConfiguration", LEVEL_BUCKET},
    {"s3:GetLifecycleConfiguration", LEVEL_BUCKET},
    {"s3:GetMetricsConfiguration", LEVEL_BUCKET},
    {"s3:GetObject", LEVEL_OBJECT},
    {"s3:GetObjectAcl", LEVEL_OBJECT},
    {"s3:GetObjectAttributes", LEVEL_OBJECT},
    {"s3:GetObjectLegalHold", LEVEL_OBJECT},
    {"s3:GetObjectRetention", LEVEL_OBJECT},
    {"s3:GetObjectTagging", LEVEL_OBJECT},
    {"s3:GetObjectTorrent", LEVEL_OBJECT},
    {"s3:GetObjectVersion", LEVEL_OBJECT},
    {"s3:GetObjectVersionAcl", LEVEL_OBJECT},
    {"s3:GetObjectVersionAttributes", LEVEL_OBJECT},
    {"s3:GetObjectVersionForReplication", LEVEL_OBJECT},
    {"s3:GetObjectVersionTagging", LEVEL_OBJECT},
    {"s3:GetObjectVersionTorrent", LEVEL_OBJECT},
    {"s3:GetReplicationConfiguration", LEVEL_BUCKET},
    {"s3:InitiateReplication", LEVEL_OBJECT},
    {"s3:ListAllMyBuckets", LEVEL_SERVICE},
    {"s3:ListBucket", LEVEL_BUCKET},
    {"s3:ListBucketMultipartUploads", LEVEL_BUCKET},
    {"s3:ListBucketVersions", LEVEL_BUCKET},
    {"s3:ListMultipartUploadParts", LEVEL_OBJECT},
    {"s3:ListTagsForResource", LEVEL_BUCKET},
    {"s3:ListenBucketNotification", LEVEL_BUCKET}, /* MinIO's */
    {"s3:ObjectOwnerOverrideToBucketOwner", LEVEL_OBJECT},
    {"s3:PutAccelerateConfiguration", LEVEL_BUCKET},
    {"s3:PutAccountPublicAccessBlock", LEVEL_SERVICE},
    {"s3:PutAnalyticsConfiguration", LEVEL_BUCKET},
    {"s3:PutBucketAbac", LEVEL_BUCKET},
    {"s3:PutBucketAcl", LEVEL_BUCKET},
    {"s3:PutBucketCORS", LEVEL_BUCKET},
    {"s3:PutBucketLogging", LEVEL_BUCKET},
    {"s3:PutBucketNotification", LEVEL_BUCKET},
    {"s3:PutBucketObjectLockConfiguration", LEVEL_BUCKET},
    {"s3:PutBucketOwnershipControls", LEVEL_BUCKET},
    {"s3:PutBucketPolicy", LEVEL_BUCKET},
    {"s3:PutBucketPublicAccessBlock", LEVEL_BUCKET},
    {"s3:PutBucketRequestPayment", LEVEL_BUCKET},
    {"s3:PutBucketTagging", LEVEL_BUCKET},
    {"s3:PutBucketVersioning", LEVEL_BUCKET},
    {"s3:PutBucketWebsite", LEVEL_BUCKET},
    {"s3:PutEncryptionConfiguration", LEVEL_BUCKET},
    {"s3:PutIntelligentTieringConfiguration", LEVEL_BUCKET},
    {"s3:PutInventoryConfiguration", LEVEL_BUCKET},
    {"s3:PutLifecycleConfiguration", LEVEL_BUCKET},
    {"s3:PutMetricsConfiguration", LEVEL_BUCKET},
    {"s3:PutObject", LEVEL_OBJECT},
    {"s3:PutObjectAcl", LEVEL_OBJECT},
    {"s3:PutObjectLegalHold", LEVEL_OBJECT},
    {"s3:PutObjectRetention", LEVEL_OBJECT},
    {"s3:PutObjectTagging", LEVEL_OBJECT},
    {"s3:PutObjectVersionAcl", LEVEL_OBJECT},
    {"s3:PutObjectVersionTagging", LEVEL_OBJECT},
    {"s3:PutReplicationConfiguration", LEVEL_BUCKET},
    {"s3:ReplicateDelete", LEVEL_OBJECT},
    {"s3:ReplicateObject", LEVEL_OBJECT},
    {"s3:ReplicateTags", LEVEL_OBJECT},
    {"s3:RestoreObject", LEVEL_OBJECT},
    {"s3:TagResource", LEVEL_BUCKET},
    {"s3:UntagResource", LEVEL_BUCKET},
};

/* What a key goes with. */
enum key_use { ANY_ACTION, OBJECTS, LISTINGS };

/* A key that ends in '/' stands for all that begin so. */
struct condition_key {
    const char *name;
    enum key_use use;
};

static const struct condition_key keys[] = {
    {"aws:AssumedRoot", ANY_ACTION},
    {"aws:CalledVia", ANY_ACTION},
    {"aws:CalledViaFirst", ANY_ACTION},
    {"aws:CalledViaLast", ANY_ACTION},
    {"aws:ChatbotSourceArn", ANY_ACTION},
    {"aws:CurrentTime", ANY_ACTION},
    {"aws:Ec2InstanceSourcePrivateIPv4", ANY_ACTION},
    {"aws:Ec2InstanceSourceVpc", ANY_ACTION},
    {"aws:EpochTime", ANY_ACTION},
    {"aws:FederatedProvider", ANY_ACTION},
    {"aws:MultiFactorAuthAge", ANY_ACTION},
    {"aws:MultiFactorAuthPresent", ANY_ACTION},
    {"aws:PrincipalAccount", ANY_ACTION},
    {"aws:PrincipalArn", ANY_ACTION},
    {"aws:PrincipalIsAWSService", ANY_ACTION},
    {"aws:PrincipalOrgID", ANY_ACTION},
    {"aws:PrincipalOrgPaths", ANY_ACTION},
    {"aws:PrincipalServiceName", ANY_ACTION},
    {"aws:PrincipalServiceNamesList", ANY_ACTION},
    {"aws:PrincipalTag/", ANY_ACTION},
    {"aws:PrincipalType", ANY_ACTION},
    {"aws:Referer", ANY_ACTION},
    {"aws:RequestTag/", ANY_ACTION},
    {"aws:RequestedRegion", ANY_ACTION},
    {"aws:ResourceAccount", ANY_ACTION},
    {"aws:ResourceOrgID", ANY_ACTION},
    {"aws:ResourceOrgPaths", ANY_ACTION},
    {"aws:ResourceTag/", ANY_ACTION},
    {"aws:SecureTransport", ANY_ACTION},
    {"aws:SourceAccount", ANY_ACTION},
    {"aws:SourceArn", ANY_ACTION},
    {"aws:SourceIdentity", ANY_ACTION},
    {"aws:SourceIp", ANY_ACTION},
    {"aws:SourceOrgID", ANY_ACTION},
    {"aws:SourceOrgPaths", ANY_ACTION},
    {"aws:SourceOwner", ANY_ACTION},
    {"aws:SourceVpc", ANY_ACTION},
    {"aws:SourceVpcArn", ANY_ACTION},
    {"aws:SourceVpce", ANY_ACTION},
    {"aws:TagKeys", ANY_ACTION},
    {"aws:TokenIssueTime", ANY_ACTION},
    {"aws:UserAgent", ANY_ACTION},
    {"aws:ViaAWSService", ANY_ACTION},
    {"aws:VpcSourceIp", ANY_ACTION},
    {"aws:VpceAccount", ANY_ACTION},
    {"aws:VpceOrgID", ANY_ACTION},
    {"aws:VpceOrgPaths", ANY_ACTION},
    {"aws:userid", ANY_ACTION},
    {"aws:username", ANY_ACTION},
    {"ec2:RoleDelivery", ANY_ACTION},
    {"ec2:SourceInstanceArn", ANY_ACTION},
    {"lambda:SourceFunctionArn", ANY_ACTION},
    {"s3:AccessGrantsInstanceArn", ANY_ACTION},
    {"s3:AccessPointNetworkOrigin", ANY_ACTION},
    {"s3:AccessPointTag/", ANY_ACTION},
    {"s3:BucketTag/", ANY_ACTION},
    {"s3:DataAccessPointAccount", ANY_ACTION},
    {"s3:DataAccessPointArn", ANY_ACTION},
    {"s3:ExistingObjectTag/", OBJECTS},
    {"s3:InventoryAccessibleOptionalFields", ANY_ACTION},
    {"s3:LocationConstraint", ANY_ACTION},
    {"s3:ObjectCreationOperation", OBJECTS},
    {"s3:RequestObjectTag/", OBJECTS},
    {"s3:RequestObjectTagKeys", OBJECTS},
    {"s3:ResourceAccount", ANY_ACTION},
    {"s3:TlsVersion", ANY_ACTION},
    {"s3:VersionId", OBJECTS},
    {"s3:authType", ANY_ACTION},
    {"s3:delimiter", LISTINGS},
    {"s3:if-match", OBJECTS},
    {"s3:if-none-match", OBJECTS},
    {"s3:max-keys", LISTINGS},
    {"s3:object-lock-legal-hold", OBJECTS},
    {"s3:object-lock-mode", OBJECTS},
    {"s3:object-lock-remaining-retention-days", ANY_ACTION},
    {"s3:object-lock-retain-until-date", OBJECTS},
    {"s3:prefix", LISTINGS},
    {"s3:signatureAge", ANY_ACTION},
    {"s3:signatureversion", ANY_ACTION},
    {"s3:x-amz-acl", ANY_ACTION},
    {"s3:x-amz-content-sha256", ANY_ACTION},
    {"s3:x-amz-copy-source", OBJECTS},
    {"s3:x-amz-grant-full-control", ANY_ACTION},
    {"s3:x-amz-grant-read", ANY_ACTION},
    {"s3:x-amz-grant-read-acp", ANY_ACTION},
    {"s3:x-amz-grant-write", ANY_ACTION},
    {"s3:x-amz-grant-write-acp", ANY_ACTION},
    {"s3:x-amz-metadata-directive", OBJECTS},
    {"s3:x-amz-object-ownership", ANY_ACTION},
    {"s3:x-amz-server-side-encryption", OBJECTS},
    {"s3:x-amz-server-side-encryption-aws-kms-key-id", OBJECTS},
    {"s3:x-amz-server-side-encryption-customer-algorithm", OBJECTS},
    {"s3:x-amz-storage-class", OBJECTS},
    {"s3:x-amz-website-redirect-location", OBJECTS},
    {"ssm:SourceInstanceArn", ANY_ACTION},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* A pattern without variables asks the request for nothing. */
static bool matches(const struct pattern *pattern, const char *name)
{
    return pattern_match(pattern, NULL, slice_from_string(name)) == MATCH_YES;
}

unsigned s3_action_levels(const struct pattern *action)
{
    unsigned levels = 0;

    for (size_t i = 0; i < COUNT(actions); i++) {
        if (matches(action, actions[i].name)) {
            levels |= actions[i].level;
        }
    }
    return levels;
}

bool policy_s3_action_known(struct slice action)
{
    for (size_t i = 0; i < COUNT(actions); i++) {
        if (slice_equal_fold(action, slice_from_string(actions[i].name))) {
            return true;
        }
    }
    return false;
}

static const struct condition_key *key_find(struct slice key)
{
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct slice name = slice_from_string(keys[i].name);
        bool family = name.data[name.size - 1] == '/';
        if (family && key.size > name.size) {
            if (slice_equal_fold(slice_head(key, name.size), name)) {
                return &keys[i];
            }
        } else if (!family && slice_equal_fold(key, name)) {
            return &keys[i];
        }
    }
    return NULL;
}

bool s3_condition_key_known(struct slice key)
{
    return key_find(key) != NULL;
}

static bool takes(const struct action *action, enum key_use use)
{
    switch (use) {
    case ANY_ACTION:
        return true;
    case OBJECTS:
        return action->level == LEVEL_OBJECT;
    case LISTINGS:
        return slice_has_prefix(slice_from_string(action->name),
                                SLICE_LITERAL("s3:ListBucket"));
    }
    return false;
}

bool s3_condition_key_applies(struct slice key, const struct pattern *wanted,
                              size_t count)
{
    const struct condition_key *known = key_find(key);

    for (size_t i = 0; known != NULL && i < COUNT(actions); i++) {
        if (!takes(&actions[i], known->use)) {
            continue;
        }
        for (size_t k = 0; k < count; k++) {
            if (matches(&wanted[k], actions[i].name)) {
                return true;
            }
        }
    }
    return false;
}
