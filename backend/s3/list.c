/*
 * ListObjects and ListObjectsV2.
 */
#include <errno.h>

#include "s3/list_common.h"
#include "s3/operations.h"
#include "s3/ownership.h"

/* One page as it is put together. */
struct page {
    struct list_query query;
    bool owners;
    struct buffer contents, prefixes;
    uint64_t count;
    struct slice last; /* the last name shown */
    bool truncated;
};

static void write_object(struct s3_call *call, struct page *page,
                         struct slice key, const Meta__Object *object)
{
    struct buffer *out = &page->contents;
    const Meta__Checksum *checksum = object->checksum;

    xml_open(out, "Contents");
    list_text(out, &page->query, "Key", key);
    xml_time(out, "LastModified", object->mtime_ms);
    xml_quoted(out, "ETag", pb_slice(object->etag));
    if (checksum != NULL &&
        checksum->algorithm != META__CHECKSUM_ALGORITHM__NO_CHECKSUM) {
        xml_string(out, "ChecksumAlgorithm",
                   checksum_name(checksum->algorithm));
        xml_string(out, "ChecksumType",
                   checksum->type == META__CHECKSUM_TYPE__COMPOSITE
                       ? "COMPOSITE"
                       : "FULL_OBJECT");
    }
    xml_number(out, "Size", object->size);
    if (page->owners) {
        list_owner(call, out, "Owner",
                   ownership_of_object(call->bucket, object));
    }
    xml_text(out, "StorageClass",
             object->storage_class.len > 0 ? pb_slice(object->storage_class)
                                           : SLICE_LITERAL("STANDARD"));
    xml_close(out, "Contents");
}

/* Shows one key or common prefix, or finds the page full. */
static int show(struct s3_call *call, struct page *page, struct meta_scan *scan,
                struct arena *scratch, enum list_step step, struct slice name)
{
    Meta__Object *object;
    int rc = meta_scan_object(scan, scratch, &object);
    if (rc != 0) {
        return rc;
    }
    if (object->delete_marker) {
        struct slice key = meta_scan_key(scan);
        key = arena_copy(scratch, key.data, key.size);
        meta_scan_seek_after(scan, key);
        return 0;
    }
    if (page->count == page->query.max) {
        page->truncated = true;
        return 0;
    }
    page->count++;
    page->last = arena_copy(call->arena, name.data, name.size);
    if (step == LIST_PREFIX) {
        list_common_prefix(&page->prefixes, &page->query, name);
        meta_scan_skip_prefix(scan, name);
        return 0;
    }
    write_object(call, page, name, object);
    meta_scan_next(scan);
    if (meta_scan_valid(scan) && slice_equal(meta_scan_key(scan), name)) {
        meta_scan_seek_after(scan, name); /* older versions */
    }
    return 0;
}

static int fill(struct s3_call *call, struct page *page)
{
    if (page->query.max == 0) {
        return 0;
    }
    struct meta_scan *scan =
        meta_scan_objects(call->service->meta, call->bucket->id);
    struct arena *scratch = arena_new();
    int rc = 0;
    list_start(scan, &page->query);
    for (unsigned i = 1; rc == 0 && !page->truncated; i++) {
        struct slice name;
        enum list_step step = list_here(scan, scratch, &page->query, &name);
        if (step == LIST_END) {
            break;
        }
        rc = show(call, page, scan, scratch, step, name);
        if (i % LIST_PER_SCRATCH == 0) {
            arena_free(scratch);
            scratch = arena_new();
        }
    }
    arena_free(scratch);
    rc = rc != 0 ? rc : meta_scan_error(scan);
    meta_scan_free(scan);
    return rc;
}

static void page_free(struct page *page)
{
    buffer_free(&page->contents);
    buffer_free(&page->prefixes);
}

/* What both versions say after their own beginning; ends the call. */
static void reply(struct s3_call *call, struct page *page, struct buffer *out)
{
    xml_number(out, "MaxKeys", page->query.max);
    if (page->query.delimiter.size > 0) {
        list_text(out, &page->query, "Delimiter", page->query.delimiter);
    }
    if (page->query.url) {
        xml_string(out, "EncodingType", "url");
    }
    xml_bool(out, "IsTruncated", page->truncated);
    buffer_append(out, page->contents.data, page->contents.size);
    buffer_append(out, page->prefixes.data, page->prefixes.size);
    xml_close(out, "ListBucketResult");
    call_reply_xml(call, 200, out);
}

void s3_list_objects_run(struct s3_call *call)
{
    struct page page = {.owners = true};
    struct slice marker = call_arg(call, "marker");

    if (!list_query_read(call, &page.query) ||
        !list_max(call, "max-keys", &page.query.max)) {
        return;
    }
    page.query.after = marker.size > 0 ? marker : (struct slice){NULL, 0};
    int rc = fill(call, &page);
    if (rc != 0) {
        call_fail_errno(call, rc, "list objects");
    } else {
        struct buffer out = {NULL, 0, 0};
        xml_open_document(&out, "ListBucketResult");
        xml_text(&out, "Name", call->bucket_name);
        list_text(&out, &page.query, "Prefix", page.query.prefix);
        list_text(&out, &page.query, "Marker", marker);
        if (page.truncated && page.query.delimiter.size > 0) {
            list_text(&out, &page.query, "NextMarker", page.last);
        }
        reply(call, &page, &out);
    }
    page_free(&page);
}

static bool query_v2(struct s3_call *call, struct page *page)
{
    struct slice owner = call_arg(call, "fetch-owner");
    struct slice token = call_arg(call, "continuation-token");
    struct slice start = call_arg(call, "start-after");

    if (!list_query_read(call, &page->query) ||
        !list_max(call, "max-keys", &page->query.max)) {
        return false;
    }
    page->owners = slice_equal_string(owner, "true");
    if (token.data != NULL) { /* wins over start-after */
        return list_token_decode(call, LIST_TOKEN_OBJECT, token,
                                 &page->query.after);
    }
    page->query.after = start.size > 0 ? start : (struct slice){NULL, 0};
    return true;
}

void s3_list_objects_v2_run(struct s3_call *call)
{
    struct page page = {.owners = false};
    struct slice token = call_arg(call, "continuation-token");
    struct slice start = call_arg(call, "start-after");

    if (!query_v2(call, &page)) {
        return;
    }
    int rc = fill(call, &page);
    if (rc != 0) {
        call_fail_errno(call, rc, "list objects");
    } else {
        struct buffer out = {NULL, 0, 0};
        xml_open_document(&out, "ListBucketResult");
        xml_text(&out, "Name", call->bucket_name);
        list_text(&out, &page.query, "Prefix", page.query.prefix);
        if (start.size > 0) {
            list_text(&out, &page.query, "StartAfter", start);
        }
        if (token.size > 0) {
            xml_text(&out, "ContinuationToken", token);
        }
        if (page.truncated) {
            xml_string(
                &out, "NextContinuationToken",
                list_token_encode(call->arena, LIST_TOKEN_OBJECT, page.last));
        }
        xml_number(&out, "KeyCount", page.count);
        reply(call, &page, &out);
    }
    page_free(&page);
}
