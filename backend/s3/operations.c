#include "s3/operations.h"

#define XML_MAX      (2u << 20) /* bytes */
#define COMPLETE_MAX (4u << 20) /* 10,000 parts with all their checksums */

#define OPERATION(op, label, ...)                                              \
    {                                                                          \
        .operation = WIRE__OPERATION__##op, .name = label, __VA_ARGS__         \
    }

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
    OPERATION(GET_OBJECT, "GetObject", .needs_bucket = true, .needs_key = true,
              .run = s3_get_object_run),
    OPERATION(HEAD_OBJECT, "HeadObject", .needs_bucket = true,
              .needs_key = true, .run = s3_head_object_run),
    OPERATION(DELETE_OBJECT, "DeleteObject", .needs_bucket = true,
              .needs_key = true, .run = s3_delete_object_run),
    OPERATION(COPY_OBJECT, "CopyObject", .needs_bucket = true,
              .needs_key = true, .run = s3_copy_object_run),
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

const struct s3_operation *s3_operation_find(Wire__Operation operation)
{
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (operations[i].operation == operation)
            return &operations[i];
    }
    return NULL;
}
