/*
 * ListObjects and ListObjectsV2.
 */
#include <errno.h>

#include "s3/list_common.h"
#include "s3/operations.h"

/* Bytes of an entry, and more than most have: a page that grew would be copied
 * to memory that is not in the caches. */
#define ENTRY_USUAL 352u

/* One page as it is put together. */
struct page {
    struct list_query query;
    bool owners;
    struct entry_owner owner;
    struct buffer contents, prefixes;
    uint64_t count;
    struct buffer last; /* the last name shown */
    bool truncated;
};

static struct slice last_name(const struct page *page)
{
    return slice_of(page->last.data, page->last.size);
}

static void write_object(struct s3_call *call, struct page *page,
                         struct slice key, const struct meta_listed *object)
{
    struct buffer *out = &page->contents;

    buffer_append_literal(out, "<Contents>");
    entry_key(out, &page->query, key);
    entry_modified(out, object);
    entry_content(out, object);
    if (page->owners) {
        entry_owner(call, out, &page->owner, object);
    }
    entry_storage_class(out, object);
    buffer_append_literal(out, "</Contents>");
}

/* Shows one key or common prefix, or finds the page full. */
static int show(struct s3_call *call, struct page *page, struct meta_scan *scan,
                enum list_step step, struct slice name)
{
    struct meta_listed object;
    int rc = meta_scan_listed(scan, &object);
    if (rc != 0) {
        return rc;
    }
    if (object.delete_marker) {
        meta_scan_seek_after(scan, meta_scan_key(scan));
        return 0;
    }
    if (page->count == page->query.max) {
        page->truncated = true;
        return 0;
    }
    page->count++;
    page->last.size = 0;
    buffer_append(&page->last, name.data, name.size);
    if (step == LIST_PREFIX) {
        list_common_prefix(&page->prefixes, &page->query, name);
        meta_scan_skip_prefix(scan, name);
        return 0;
    }
    write_object(call, page, name, &object);
    meta_scan_next(scan);
    if (meta_scan_valid(scan) &&
        slice_equal(meta_scan_key(scan), last_name(page))) {
        meta_scan_seek_after(scan, last_name(page)); /* older versions */
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
    int rc = 0;
    buffer_reserve(&page->contents, page->query.max * ENTRY_USUAL);
    list_start(scan, &page->query);
    meta_scan_ask_late(scan);
    while (rc == 0 && !page->truncated) {
        struct slice name;
        enum list_step step = list_here(scan, &page->query, &name);
        if (step == LIST_END) {
            break;
        }
        rc = show(call, page, scan, step, name);
    }
    rc = rc != 0 ? rc : meta_scan_error(scan);
    meta_scan_free(scan);
    return rc;
}

static void page_free(struct page *page)
{
    entry_owner_free(&page->owner);
    buffer_free(&page->contents);
    buffer_free(&page->prefixes);
    buffer_free(&page->last);
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
    list_reply(call, out, &page->contents, &page->prefixes, "ListBucketResult");
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
            list_text(&out, &page.query, "NextMarker", last_name(&page));
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
            xml_string(&out, "NextContinuationToken",
                       list_token_encode(call->arena, LIST_TOKEN_OBJECT,
                                         last_name(&page)));
        }
        xml_number(&out, "KeyCount", page.count);
        reply(call, &page, &out);
    }
    page_free(&page);
}
