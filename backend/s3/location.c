/*
 * GetBucketLocation.
 */
#include "s3/bucket.h"
#include "s3/operations.h"

/* us-east-1 is S3's null location: an element without text. */
void s3_get_location_run(struct s3_call *call)
{
    struct slice region = pb_slice(call->bucket->region);
    struct buffer out = {NULL, 0, 0};

    if (region.size == 0) {
        region = bucket_endpoint_region(call);
    }
    xml_open_document(&out, "LocationConstraint");
    if (!slice_equal_string(region, "us-east-1") &&
        bucket_valid_region(region)) {
        buffer_append(&out, region.data, region.size);
    }
    xml_close(&out, "LocationConstraint");
    call_reply_xml(call, 200, &out);
}
