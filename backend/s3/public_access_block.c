/*
 * Put, Get and DeletePublicAccessBlock
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutPublicAccessBlock.html
 */
#include "s3/bucket.h"
#include "s3/document.h"
#include "s3/operations.h"
#include "s3/public_access.h"

struct public_access public_access_of(const struct s3_call *call,
                                      const Meta__Bucket *bucket)
{
    static const Meta__PublicAccessBlock none = META__PUBLIC_ACCESS_BLOCK__INIT;
    const Meta__PublicAccessBlock *block = bucket->public_access_block != NULL
                                               ? bucket->public_access_block
                                               : &none;
    const unsigned all =
        iam_account_public_access(call->service->iam, pb_slice(bucket->owner));

    return (struct public_access){
        .block_acls = block->block_public_acls || (all & IAM_BLOCK_ACLS),
        .ignore_acls = block->ignore_public_acls || (all & IAM_IGNORE_ACLS),
        .block_policy = block->block_public_policy || (all & IAM_BLOCK_POLICY),
        .restrict_buckets =
            block->restrict_public_buckets || (all & IAM_RESTRICT_BUCKETS),
    };
}

void public_access_create(struct s3_call *call, Meta__Bucket *bucket)
{
    Meta__PublicAccessBlock *block = arena_alloc(call->arena, sizeof(*block));

    meta__public_access_block__init(block);
    block->block_public_acls = true;
    block->ignore_public_acls = true;
    block->block_public_policy = true;
    block->restrict_public_buckets = true;
    bucket->public_access_block = block;
}

/* bucket_change */
static bool change_block(struct s3_call *call, Meta__Bucket *bucket,
                         const void *wanted)
{
    (void)call;
    bucket->public_access_block = (Meta__PublicAccessBlock *)wanted;
    return true;
}

/* What is left out is false. */
static bool read_block(struct s3_call *call, Meta__PublicAccessBlock *block)
{
    const struct xml_node *root =
        document_request(call, "PublicAccessBlockConfiguration");
    struct xml_leaf leaves[] = {{.name = "BlockPublicAcls"},
                                {.name = "IgnorePublicAcls"},
                                {.name = "BlockPublicPolicy"},
                                {.name = "RestrictPublicBuckets"}};
    bool values[4] = {false};

    if (root == NULL) {
        return false;
    }
    bool valid = xml_in_leaves(root, leaves, 4);
    for (size_t i = 0; valid && i < 4; i++) {
        valid = leaves[i].value.data == NULL ||
                xml_in_bool(leaves[i].value, &values[i]);
    }
    if (!valid) {
        call_fail(call, S3_ERR_MalformedXML);
        return false;
    }
    block->block_public_acls = values[0];
    block->ignore_public_acls = values[1];
    block->block_public_policy = values[2];
    block->restrict_public_buckets = values[3];
    return true;
}

void s3_put_public_access_run(struct s3_call *call)
{
    Meta__PublicAccessBlock block = META__PUBLIC_ACCESS_BLOCK__INIT;

    if (read_block(call, &block) && bucket_update(call, change_block, &block)) {
        call_reply_empty(call, 200);
    }
}

void s3_get_public_access_run(struct s3_call *call)
{
    const Meta__PublicAccessBlock *block = call->bucket->public_access_block;
    struct buffer out = {NULL, 0, 0};

    if (block == NULL) {
        document_fail(call, S3_ERR_NoSuchPublicAccessBlockConfiguration);
        return;
    }
    xml_open_document(&out, "PublicAccessBlockConfiguration");
    xml_bool(&out, "BlockPublicAcls", block->block_public_acls);
    xml_bool(&out, "IgnorePublicAcls", block->ignore_public_acls);
    xml_bool(&out, "BlockPublicPolicy", block->block_public_policy);
    xml_bool(&out, "RestrictPublicBuckets", block->restrict_public_buckets);
    xml_close(&out, "PublicAccessBlockConfiguration");
    call_reply_xml(call, 200, &out);
}

void s3_delete_public_access_run(struct s3_call *call)
{
    if (bucket_update(call, change_block, NULL)) {
        call_reply_empty(call, 204);
    }
}
