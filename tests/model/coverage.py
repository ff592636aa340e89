"""What the machines must have driven: every operation that s3d serves.

The operations are read from s3d's own table, so that one that is added there
is missed here until a machine drives it.
"""

import pathlib
import re

TABLE = pathlib.Path(__file__).resolve().parents[2] / "backend/s3/operations.c"

# s3d's names, where boto3's differ.
NAMES = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
}

# Who may do what: no machine asks as anybody but the operator.
ELSEWHERE = {
    "GetBucketAcl", "PutBucketAcl", "GetObjectAcl", "PutObjectAcl",
    "PutBucketPolicy", "GetPublicAccessBlock", "PutPublicAccessBlock",
    "DeletePublicAccessBlock", "PutBucketEncryption", "IamQuery",
    "ListBucketAnalyticsConfigurations",
    "ListBucketIntelligentTieringConfigurations",
    "ListBucketInventoryConfigurations", "ListBucketMetricsConfigurations",
    "ListenNotification",
    # What nginx serves: tests/t/static*.t, website.t.
    "GetFile", "GetWebsite", "PutBucketWebsite", "DeleteBucketWebsite",
}

# Arguments that must have been answered with success.
ARGUMENTS = {
    "PutObject": "IfMatch IfNoneMatch Tagging Metadata WriteOffsetBytes "
                 "ChecksumAlgorithm ObjectLockMode ObjectLockLegalHoldStatus",
    "PostObject": "tagging",
    "GetObject": "Range PartNumber VersionId IfMatch IfNoneMatch "
                 "IfModifiedSince IfUnmodifiedSince",
    "HeadObject": "VersionId IfMatch IfNoneMatch IfModifiedSince "
                  "IfUnmodifiedSince ChecksumMode",
    "DeleteObject": "VersionId IfMatch IfMatchSize IfMatchLastModifiedTime "
                    "BypassGovernanceRetention",
    "CopyObject": "MetadataDirective TaggingDirective ChecksumAlgorithm "
                  "CopySourceIfMatch CopySourceIfNoneMatch "
                  "CopySourceIfModifiedSince CopySourceIfUnmodifiedSince "
                  "IfMatch IfNoneMatch",
    "RenameObject": "SourceIfMatch SourceIfModifiedSince "
                    "DestinationIfNoneMatch ClientToken",
    "UploadPartCopy": "CopySourceRange CopySourceIfMatch",
    "CompleteMultipartUpload": "IfMatch IfNoneMatch MpuObjectSize",
    "ListObjects": "Prefix Delimiter MaxKeys Marker EncodingType",
    "ListObjectsV2": "Prefix Delimiter MaxKeys StartAfter ContinuationToken "
                     "FetchOwner EncodingType",
    "ListObjectVersions": "Prefix Delimiter MaxKeys KeyMarker VersionIdMarker "
                          "EncodingType",
    "ListMultipartUploads": "Prefix Delimiter MaxUploads KeyMarker "
                            "UploadIdMarker EncodingType",
    "ListParts": "MaxParts PartNumberMarker",
    "ListBuckets": "Prefix MaxBuckets ContinuationToken BucketRegion",
    "GetObjectAttributes": "VersionId MaxParts PartNumberMarker",
    "PutObjectRetention": "VersionId BypassGovernanceRetention",
    "Preflight": "headers answer",
    "AccessLog": "REST.PUT.OBJECT REST.GET.OBJECT REST.HEAD.OBJECT "
                 "REST.DELETE.OBJECT REST.GET.BUCKET",
}


def served():
    labels = re.findall(r'\b(?:OPERATION|PLAIN|XML)\(\w+,\s*"(\w+)"',
                        TABLE.read_text())
    assert len(labels) > 50, "the table is not written as it was"
    return {NAMES.get(label, label) for label in labels}


def missing(used):
    """Operations, and arguments as "operation argument"."""
    wanted = [f"{operation} {argument}" for operation in ARGUMENTS
              for argument in ARGUMENTS[operation].split()
              if argument not in used.get(operation, ())]
    return sorted(served() - ELSEWHERE - set(used)) + sorted(wanted)
