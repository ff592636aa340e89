/*
 * ListBuckets, CreateBucket, HeadBucket, DeleteBucket.
 */
#include "s3/bucket.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/xml_in.h"
#include "s3/acl.h"
#include "s3/authorize.h"
#include "s3/document.h"
#include "s3/list_common.h"
#include "s3/multipart.h"
#include "s3/operations.h"
#include "s3/ownership.h"
#include "s3/public_access.h"
#include "s3/tags.h"

#define BUCKETS_MAX     10000
#define DEFAULT_REGION  "us-east-1"
#define REGION_SIZE_MAX 64

/* Parts removed in one commit when a bucket with uploads is deleted. */
#define REMOVED_PARTS_PER_COMMIT 10000

/* --- names and regions -----------------------------------------------------*/
static bool is_lower_or_digit(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Four decimal numbers: clients would take it for an address. */
static bool looks_like_address(struct slice name)
{
    unsigned dots = 0;
    bool digit_before = false;
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '.') {
            dots++;
            digit_before = false;
        } else if (name.data[i] >= '0' && name.data[i] <= '9') {
            digit_before = true;
        } else {
            return false;
        }
    }
    return dots == 3 && digit_before;
}

static bool has_suffix(struct slice name, const char *suffix)
{
    size_t size = strlen(suffix);
    return name.size >= size &&
           memcmp(name.data + name.size - size, suffix, size) == 0;
}

bool bucket_valid_name(struct slice name)
{
    if (name.size < 3 || name.size > 63 || !is_lower_or_digit(name.data[0]) ||
        !is_lower_or_digit(name.data[name.size - 1])) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if (!is_lower_or_digit(c) && c != '-' && c != '.') {
            return false;
        }
        if (c == '.' && !(is_lower_or_digit(name.data[i - 1]) &&
                          is_lower_or_digit(name.data[i + 1]))) {
            return false; /* no label of a host begins or ends so */
        }
    }
    return !looks_like_address(name) &&
           !slice_has_prefix(name, SLICE_LITERAL("xn--")) &&
           !slice_has_prefix(name, SLICE_LITERAL("sthree-")) &&
           !slice_has_prefix(name, SLICE_LITERAL("amzn-s3-demo-")) &&
           !has_suffix(name, "-s3alias") && !has_suffix(name, "--ol-s3") &&
           !has_suffix(name, ".mrap") && !has_suffix(name, "--x-s3") &&
           !has_suffix(name, "--table-s3");
}

struct slice bucket_endpoint_region(const struct s3_call *call)
{
    if (call->request->server_region.len > 0) {
        return pb_slice(call->request->server_region);
    }
    if (call->service->region != NULL && call->service->region[0] != '\0') {
        return slice_from_string(call->service->region);
    }
    return SLICE_LITERAL(DEFAULT_REGION);
}

static struct slice bucket_region(const struct s3_call *call,
                                  const Meta__Bucket *bucket)
{
    return bucket->region.len > 0 ? pb_slice(bucket->region)
                                  : bucket_endpoint_region(call);
}

bool bucket_valid_region(struct slice region)
{
    if (region.size == 0 || region.size > REGION_SIZE_MAX) {
        return false;
    }
    for (size_t i = 0; i < region.size; i++) {
        uint8_t c = region.data[i];
        if (!is_lower_or_digit(c) && c != '-' && c != '_' &&
            !(c >= 'A' && c <= 'Z')) {
            return false;
        }
    }
    return true;
}

/* --- ListBuckets -----------------------------------------------------------*/
struct bucket_query {
    struct slice prefix, region;
    struct slice after; /* name; data == NULL: from the start */
    uint64_t max;
    bool detailed; /* an argument was given: buckets carry their region */
};

static bool query_buckets(struct s3_call *call, struct bucket_query *query)
{
    struct slice max = call_arg(call, "max-buckets");
    struct slice token = call_arg(call, "continuation-token");
    query->prefix = call_arg(call, "prefix");
    query->region = call_arg(call, "bucket-region");
    query->max = BUCKETS_MAX;
    query->detailed = max.data != NULL || token.data != NULL ||
                      query->prefix.data != NULL || query->region.data != NULL;
    if (max.data != NULL && (slice_to_u64(max, &query->max) != 0 ||
                             query->max == 0 || query->max > BUCKETS_MAX)) {
        call_fail_argument(call, "max-buckets", max,
                           "Argument max-buckets must be an integer between "
                           "1 and 10000");
        return false;
    }
    return token.data == NULL ||
           list_token_decode(call, LIST_TOKEN_BUCKET, token, &query->after);
}

static bool bucket_listed(struct s3_call *call,
                          const struct bucket_query *query,
                          const Meta__Bucket *bucket)
{
    return slice_equal_string(pb_slice(bucket->owner), call->identity.user) &&
           (query->region.size == 0 ||
            slice_equal(query->region, bucket_region(call, bucket)));
}

static void write_bucket(struct s3_call *call, struct buffer *out,
                         const struct bucket_query *query,
                         const Meta__Bucket *bucket)
{
    xml_open(out, "Bucket");
    xml_text(out, "Name", pb_slice(bucket->name));
    xml_time(out, "CreationDate", bucket->created_ms);
    if (query->detailed) {
        xml_text(out, "BucketRegion", bucket_region(call, bucket));
    }
    xml_close(out, "Bucket");
}

/* Appends the page's buckets; *last is the last one if others follow. */
static int scan_buckets(struct s3_call *call, const struct bucket_query *query,
                        struct buffer *out, struct slice *last)
{
    struct slice start = query->prefix;
    if (query->after.data != NULL) { /* the first name after it */
        uint8_t *next = arena_zalloc(call->arena, query->after.size + 1);
        memcpy(next, query->after.data, query->after.size);
        struct slice after = slice_of(next, query->after.size + 1);
        start = slice_compare(after, start) > 0 ? after : start;
    }
    struct meta_scan *scan = meta_scan_buckets(call->service->meta, start);
    struct slice name = {NULL, 0};
    uint64_t count = 0;
    int rc = 0;
    for (; meta_scan_valid(scan); meta_scan_next(scan)) {
        if (!slice_has_prefix(meta_scan_key(scan), query->prefix)) {
            break;
        }
        Meta__Bucket *bucket;
        rc = meta_scan_bucket(scan, call->arena, &bucket);
        if (rc != 0) {
            break;
        }
        if (!bucket_listed(call, query, bucket)) {
            continue;
        }
        if (count++ == query->max) {
            *last = name;
            break;
        }
        name = pb_slice(bucket->name);
        write_bucket(call, out, query, bucket);
    }
    rc = rc != 0 ? rc : meta_scan_error(scan);
    meta_scan_free(scan);
    return rc;
}

void s3_list_buckets_run(struct s3_call *call)
{
    struct bucket_query query = {.after = {NULL, 0}};
    if (!query_buckets(call, &query)) {
        return;
    }
    struct buffer out = {NULL, 0, 0};
    struct slice last = {NULL, 0};
    xml_open_document(&out, "ListAllMyBucketsResult");
    list_owner(call, &out, "Owner", slice_from_string(call->identity.user));
    xml_open(&out, "Buckets");
    int rc = scan_buckets(call, &query, &out, &last);
    if (rc != 0) {
        buffer_free(&out);
        call_fail_errno(call, rc, "list buckets");
        return;
    }
    xml_close(&out, "Buckets");
    if (last.data != NULL) {
        xml_string(&out, "ContinuationToken",
                   list_token_encode(call->arena, LIST_TOKEN_BUCKET, last));
    }
    if (query.prefix.size > 0) {
        xml_text(&out, "Prefix", query.prefix);
    }
    xml_close(&out, "ListAllMyBucketsResult");
    call_reply_xml(call, 200, &out);
}

/* --- CreateBucket ----------------------------------------------------------*/
/* x-amz-bucket-object-lock-enabled */
static bool creation_lock(struct s3_call *call, bool *lock)
{
    const char *name = "x-amz-bucket-object-lock-enabled";
    struct slice value = call_request_header(call, name);

    *lock = value.size == 4 &&
            strncasecmp((const char *)value.data, "true", 4) == 0;
    if (value.data == NULL || *lock ||
        (value.size == 5 &&
         strncasecmp((const char *)value.data, "false", 5) == 0)) {
        return true;
    }
    call_fail_argument(call, name, value, "Invalid Argument");
    return false;
}

/* us-east-1 is S3's null location: no constraint names it. */
static bool check_constraint(struct s3_call *call, struct slice constraint)
{
    if (!bucket_valid_region(constraint) ||
        slice_equal_string(constraint, DEFAULT_REGION)) {
        call_error_field(call, "LocationConstraint", constraint);
        call_fail(call, S3_ERR_InvalidLocationConstraint);
        return false;
    }
    if (call->request->server_region.len > 0 &&
        !slice_equal(constraint, pb_slice(call->request->server_region))) {
        call_fail_message(call, S3_ERR_IllegalLocationConstraintException,
                          "The %.*s location constraint is incompatible for "
                          "the region specific endpoint this request was "
                          "sent to.",
                          (int)constraint.size, (const char *)constraint.data);
        return false;
    }
    return true;
}

/* What a new bucket is to have. */
struct creation {
    struct slice region;
    struct tag_set tags;
    bool lock;
    Meta__Acl *acl;
};

/* Takes the one child of this name out. NULL: there is none. */
static struct xml_node *take_child(struct xml_node *parent, const char *name)
{
    struct xml_node **at = &parent->first, *found;

    while (*at != NULL && !slice_equal_string((*at)->name, name)) {
        at = &(*at)->next;
    }
    found = *at;
    if (found != NULL) {
        *at = found->next;
    }
    return found;
}

/* The document: region and tags. What is for directory buckets (Location,
 * Bucket) is not of a general purpose bucket's. */
static bool creation_document(struct s3_call *call, struct creation *creation)
{
    struct xml_leaf leaf = {.name = "LocationConstraint"};
    struct xml_node *root, *tags;

    creation->region = bucket_endpoint_region(call);
    creation->tags.count = 0;
    if (call->xml.size == 0) {
        return true;
    }
    root = document_request(call, "CreateBucketConfiguration");
    if (root == NULL) {
        return false;
    }
    tags = take_child(root, "Tags");
    if (!xml_in_leaves(root, &leaf, 1)) {
        call_fail(call, S3_ERR_MalformedXML);
        return false;
    }
    if (tags != NULL &&
        !tags_take_elements(call, TAGS_OF_BUCKET, tags, &creation->tags)) {
        return false;
    }
    if (leaf.value.size > 0) {
        creation->region = call->asked.location = leaf.value;
        return check_constraint(call, leaf.value);
    }
    return true;
}

/* Policies can put conditions on the tags. */
static bool creation_authorize(struct s3_call *call,
                               const struct creation *creation)
{
    Meta__Object asked = META__OBJECT__INIT;
    bool allowed;

    asked.tags = creation->tags.tags;
    asked.n_tags = creation->tags.count;
    call->asked.object = &asked;
    allowed = call_authorize_creation(call);
    call->asked.object = NULL;
    return allowed;
}

static void reply_created(struct s3_call *call)
{
    call_header(call, "location", "/%.*s", (int)call->bucket_name.size,
                (const char *)call->bucket_name.data);
    call_reply_empty(call, 200);
}

/* Only us-east-1 takes it as done already; the other regions refuse. */
static void reply_exists(struct s3_call *call, const Meta__Bucket *bucket)
{
    if (!slice_equal_string(pb_slice(bucket->owner), call->identity.user)) {
        call_error_field(call, "BucketName", call->bucket_name);
        call_fail(call, S3_ERR_BucketAlreadyExists);
    } else if (slice_equal_string(bucket_endpoint_region(call),
                                  DEFAULT_REGION)) {
        reply_created(call);
    } else {
        call_error_field(call, "BucketName", call->bucket_name);
        call_fail(call, S3_ERR_BucketAlreadyOwnedByYou);
    }
}

/* Under the exclusive bucket lock. */
static void create_locked(struct s3_call *call, const struct creation *creation)
{
    struct meta *meta = call->service->meta;
    Meta__Bucket *old = NULL;
    int rc = meta_get_bucket(meta, call->arena, call->bucket_name, &old);
    if (rc == 0) {
        reply_exists(call, old);
        return;
    }
    if (rc == -ENOENT) {
        Meta__Bucket bucket = META__BUCKET__INIT;
        bucket.id = meta_next_id(meta);
        bucket.name = pb_bytes(call->bucket_name);
        bucket.owner = pb_bytes(slice_from_string(call->identity.user));
        bucket.region = pb_bytes(creation->region);
        bucket.created_ms = clock_wall_ms();
        bucket.acl = creation->acl;
        if (creation->lock) {
            bucket.object_lock = true;
            bucket.versioning = META__BUCKET__VERSIONING__ENABLED; /* W1 */
        }
        ownership_create(call, &bucket);
        public_access_create(call, &bucket);
        if (creation->tags.count > 0) {
            document_set(call, &bucket, DOCUMENT_TAGGING,
                         tags_document(call, &creation->tags));
        }
        struct meta_batch *batch = meta_batch_new(meta);
        meta_put_bucket(batch, &bucket);
        rc = meta_commit(batch);
        meta_batch_free(batch);
    }
    if (rc != 0) {
        call_fail_errno(call, rc, "create bucket");
    } else {
        reply_created(call);
    }
}

void s3_create_bucket_run(struct s3_call *call)
{
    struct creation creation;
    if (!bucket_valid_name(call->bucket_name)) {
        call_error_field(call, "BucketName", call->bucket_name);
        call_fail(call, S3_ERR_InvalidBucketName);
        return;
    }
    if (!ownership_check_header(call) ||
        !acl_take_creation(call, &creation.acl) ||
        !creation_lock(call, &creation.lock) ||
        !creation_document(call, &creation) ||
        !creation_authorize(call, &creation)) {
        return;
    }
    meta_bucket_lock(call->service->meta, call->bucket_name, true);
    create_locked(call, &creation);
    meta_bucket_unlock(call->service->meta, call->bucket_name);
}

/* --- HeadBucket ------------------------------------------------------------*/
/* Looks the bucket up itself: its region is told even to whom it is closed. */
void s3_head_bucket_run(struct s3_call *call)
{
    Meta__Bucket *bucket;
    int rc = meta_get_bucket(call->service->meta, call->arena,
                             call->bucket_name, &bucket);
    if (rc == -ENOENT) {
        call_fail_no_bucket(call, call->bucket_name);
        return;
    }
    if (rc != 0) {
        call_fail_errno(call, rc, "read bucket");
        return;
    }
    call_header_slice(call, "x-amz-bucket-region", bucket_region(call, bucket));
    if (!call_check_owner(call, bucket, "x-amz-expected-bucket-owner")) {
        return;
    }
    if (!call_may(call, "s3:ListBucket", bucket, slice_of(NULL, 0), NULL)) {
        call_fail(call, S3_ERR_AccessDenied);
        return;
    }
    call_header(call, "x-amz-access-point-alias", "false");
    call_reply_empty(call, 200);
}

/* --- DeleteBucket ----------------------------------------------------------*/
static int has_objects(struct s3_call *call, bool *found)
{
    struct meta_scan *scan =
        meta_scan_objects(call->service->meta, call->bucket->id);
    meta_scan_seek(scan, SLICE_LITERAL(""));
    *found = meta_scan_valid(scan);
    int rc = meta_scan_error(scan);
    meta_scan_free(scan);
    return rc;
}

/* One bounded commit's worth of uploads; *more tells whether any is left. */
static int remove_some_uploads(struct s3_call *call, bool *more)
{
    struct meta *meta = call->service->meta;
    struct arena *arena = arena_new();
    struct meta_batch *batch = meta_batch_new(meta);
    struct meta_scan *scan = meta_scan_uploads(meta, call->bucket->id);
    size_t removed = 0;
    int rc = 0;

    meta_scan_seek(scan, SLICE_LITERAL(""));
    while (rc == 0 && meta_scan_valid(scan) &&
           removed < REMOVED_PARTS_PER_COMMIT) {
        Meta__Upload *upload;
        rc = meta_scan_upload(scan, arena, &upload);
        if (rc == 0) {
            struct s3_upload_parts parts = {.count = 0};
            rc = upload_remove(meta, batch, arena, call->bucket->id,
                               meta_scan_key(scan), pb_slice(upload->id),
                               &parts);
            removed += parts.count + 1;
            meta_scan_next(scan);
        }
    }
    *more = meta_scan_valid(scan);
    rc = rc != 0 ? rc : meta_scan_error(scan);
    meta_scan_free(scan);
    if (rc == 0 && removed > 0) {
        rc = meta_commit(batch);
    }
    meta_batch_free(batch);
    arena_free(arena);
    return rc;
}

/* Under the exclusive bucket lock: uploads in progress do not keep a bucket
 * alive, they are aborted with it. */
static void delete_locked(struct s3_call *call)
{
    struct meta *meta = call->service->meta;
    bool objects = false, more = true, empty = false;
    int rc = has_objects(call, &objects);
    if (rc == 0 && objects) {
        call_error_field(call, "BucketName", call->bucket_name);
        call_fail_message(
            call, S3_ERR_BucketNotEmpty, "%s%s",
            s3_error_message(S3_ERR_BucketNotEmpty),
            call->bucket->versioning == META__BUCKET__VERSIONING__UNVERSIONED
                ? ""
                : ". You must delete all versions in the bucket.");
        return;
    }
    while (rc == 0 && more) {
        rc = remove_some_uploads(call, &more);
    }
    if (rc == 0) {
        rc = meta_bucket_is_empty(meta, call->bucket->id, &empty);
    }
    if (rc == 0) {
        invariant(empty);
        struct meta_batch *batch = meta_batch_new(meta);
        meta_delete_bucket(batch, call->bucket);
        rc = meta_commit(batch);
        meta_batch_free(batch);
    }
    if (rc != 0) {
        call_fail_errno(call, rc, "delete bucket");
    } else {
        call_reply_empty(call, 204);
    }
}

void s3_delete_bucket_run(struct s3_call *call)
{
    struct meta *meta = call->service->meta;
    Meta__Bucket *now = NULL;

    meta_bucket_lock(meta, call->bucket_name, true);
    int rc = meta_get_bucket(meta, call->arena, call->bucket_name, &now);
    if (rc == -ENOENT || (rc == 0 && now->id != call->bucket->id)) {
        call_fail_no_bucket(call, call->bucket_name);
    } else if (rc != 0) {
        call_fail_errno(call, rc, "read bucket");
    } else {
        delete_locked(call);
    }
    meta_bucket_unlock(meta, call->bucket_name);
}
