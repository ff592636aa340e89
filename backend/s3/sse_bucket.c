/*
 * PutBucketEncryption, GetBucketEncryption, DeleteBucketEncryption
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketEncryption.html
 *
 * Whether the key of SSE-KMS exists is not asked here: as in S3, the writes
 * of objects tell.
 */
#include "s3/bucket.h"
#include "s3/document.h"
#include "s3/operations.h"
#include "s3/sse.h"

#define ROOT  "ServerSideEncryptionConfiguration"
#define APPLY "ApplyServerSideEncryptionByDefault"

/* --- the document ----------------------------------------------------------*/
static bool read_apply(struct s3_call *call, const struct xml_node *apply,
                       Meta__DefaultEncryption *wanted)
{
    struct xml_leaf leaves[] = {{.name = "SSEAlgorithm", .required = true},
                                {.name = "KMSMasterKeyID"}};
    struct slice algorithm, key;

    if (!xml_in_leaves(apply, leaves, 2)) {
        call_fail(call, S3_ERR_MalformedXML);
        return false;
    }
    algorithm = leaves[0].value;
    key = leaves[1].value;
    if (slice_equal_string(algorithm, "AES256")) {
        wanted->mode = META__ENCRYPTION_MODE__SSE_S3;
    } else if (slice_equal_string(algorithm, "aws:kms")) {
        wanted->mode = META__ENCRYPTION_MODE__SSE_KMS;
        wanted->kms_key = pb_bytes(key);
    } else {
        call_fail(call, slice_equal_string(algorithm, "aws:kms:dsse")
                            ? S3_ERR_NotImplemented
                            : S3_ERR_MalformedXML);
        return false;
    }
    if (key.size > CRYPT_KEY_ID_MAX ||
        (key.size > 0 && wanted->mode == META__ENCRYPTION_MODE__SSE_S3)) {
        call_fail_argument(call, "KMSMasterKeyID", key,
                           "a KMSMasterKeyID is not applicable if the default "
                           "sse algorithm is not aws:kms or aws:kms:dsse");
        return false;
    }
    return true;
}

/* NONE or SSE-C, alone. */
static bool read_blocked(const struct xml_node *blocked,
                         Meta__DefaultEncryption *wanted)
{
    struct xml_leaf type = {.name = "EncryptionType", .required = true};

    if (!xml_in_leaves(blocked, &type, 1)) {
        return false;
    }
    if (slice_equal_string(type.value, "NONE")) {
        wanted->blocked = META__DEFAULT_ENCRYPTION__BLOCKED__BLOCKED_NONE;
    } else if (slice_equal_string(type.value, "SSE-C")) {
        wanted->blocked = META__DEFAULT_ENCRYPTION__BLOCKED__BLOCKED_SSE_C;
    }
    return wanted->blocked != META__DEFAULT_ENCRYPTION__BLOCKED__NOT_SAID;
}

/* Of the children of the one rule, each at most once. A rule that only blocks
 * leaves the default to the configuration. */
static bool read_rule(struct s3_call *call, const struct xml_node *rule,
                      Meta__DefaultEncryption *wanted)
{
    bool apply = false, bucket_key = false, blocked = false;
    bool well_formed = true;

    for (const struct xml_node *node = rule->first; node != NULL;
         node = node->next) {
        if (slice_equal_string(node->name, APPLY) && !apply) {
            apply = true;
            if (!read_apply(call, node, wanted)) {
                return false;
            }
        } else if (slice_equal_string(node->name, "BucketKeyEnabled") &&
                   !bucket_key) {
            bool enabled = false;

            bucket_key = true;
            well_formed = well_formed && xml_in_bool(node->text, &enabled);
            wanted->bucket_key = enabled;
        } else if (slice_equal_string(node->name, "BlockedEncryptionTypes") &&
                   !blocked) {
            blocked = true;
            well_formed = well_formed && read_blocked(node, wanted);
        } else {
            well_formed = false;
        }
    }
    if (!well_formed || (!apply && (bucket_key || !blocked))) {
        call_fail(call, S3_ERR_MalformedXML);
        return false;
    }
    return true;
}

/* --- operations ------------------------------------------------------------*/
/* bucket_change */
static bool change(struct s3_call *call, Meta__Bucket *bucket,
                   const void *wanted)
{
    const Meta__DefaultEncryption *encryption = wanted;

    (void)call;
    if (bucket->default_encryption == NULL && encryption == NULL) {
        return false;
    }
    bucket->default_encryption = (Meta__DefaultEncryption *)encryption;
    return true;
}

void s3_put_encryption_run(struct s3_call *call)
{
    Meta__DefaultEncryption wanted = META__DEFAULT_ENCRYPTION__INIT;
    const struct xml_node *root, *rule;

    if (!document_require_integrity(call)) {
        return;
    }
    root = document_request(call, ROOT);
    if (root == NULL) {
        return;
    }
    rule = root->first;
    if (rule == NULL || rule->next != NULL ||
        !slice_equal_string(rule->name, "Rule")) {
        call_fail(call, S3_ERR_MalformedXML);
        return;
    }
    if (read_rule(call, rule, &wanted) &&
        bucket_update(call, change, &wanted)) {
        call_reply_empty(call, 200);
    }
}

/* Without a default: in the clear, which has no element. */
static void write_default(struct buffer *out,
                          const Meta__DefaultEncryption *kept)
{
    if (kept->mode == META__ENCRYPTION_MODE__NOT_ENCRYPTED) {
        return;
    }
    xml_open(out, APPLY);
    xml_string(out, "SSEAlgorithm",
               kept->mode == META__ENCRYPTION_MODE__SSE_KMS ? "aws:kms"
                                                            : "AES256");
    if (kept->kms_key.len > 0) {
        xml_text(out, "KMSMasterKeyID", pb_slice(kept->kms_key));
    }
    xml_close(out, APPLY);
    xml_bool(out, "BucketKeyEnabled", kept->bucket_key);
}

static void write_blocked(struct buffer *out,
                          const Meta__DefaultEncryption *kept)
{
    if (kept->blocked == META__DEFAULT_ENCRYPTION__BLOCKED__NOT_SAID) {
        return;
    }
    xml_open(out, "BlockedEncryptionTypes");
    xml_string(out, "EncryptionType",
               kept->blocked == META__DEFAULT_ENCRYPTION__BLOCKED__BLOCKED_NONE
                   ? "NONE"
                   : "SSE-C");
    xml_close(out, "BlockedEncryptionTypes");
}

void s3_get_encryption_run(struct s3_call *call)
{
    const Meta__DefaultEncryption *kept = call->bucket->default_encryption;
    Meta__DefaultEncryption told = META__DEFAULT_ENCRYPTION__INIT;
    struct buffer out = {NULL, 0, 0};

    if (kept == NULL && !call->service->encrypt_by_default) {
        document_fail(call,
                      S3_ERR_ServerSideEncryptionConfigurationNotFoundError);
        return;
    }
    if (kept != NULL) {
        told = *kept;
    }
    if (told.mode == META__ENCRYPTION_MODE__NOT_ENCRYPTED &&
        call->service->encrypt_by_default) {
        told.mode = META__ENCRYPTION_MODE__SSE_S3;
    }
    xml_open_document(&out, ROOT);
    xml_open(&out, "Rule");
    write_default(&out, &told);
    write_blocked(&out, &told);
    xml_close(&out, "Rule");
    xml_close(&out, ROOT);
    call_reply_xml(call, 200, &out);
}

void s3_delete_encryption_run(struct s3_call *call)
{
    if (bucket_update(call, change, NULL)) {
        call_reply_empty(call, 204);
    }
}
