/*
 * ListParts and ListMultipartUploads.
 */
#include <errno.h>
#include <string.h>

#include "s3/list_common.h"
#include "s3/multipart.h"
#include "s3/operations.h"
#include "s3/sse.h"

static void write_checksum_kind(struct buffer *out, const Meta__Upload *record)
{
    if (upload_names_checksum(record)) {
        xml_string(out, "ChecksumAlgorithm",
                   checksum_name(record->checksum_algorithm));
        xml_string(out, "ChecksumType",
                   checksum_type_name(record->checksum_type));
    }
}

static void write_people(struct s3_call *call, struct buffer *out,
                         const Meta__Upload *record)
{
    list_owner(call, out, "Initiator", pb_slice(record->owner));
    list_owner(call, out, "Owner", pb_slice(call->bucket->owner));
    xml_text(out, "StorageClass",
             record->storage_class.len > 0 ? pb_slice(record->storage_class)
                                           : SLICE_LITERAL("STANDARD"));
}

/* --- ListParts -------------------------------------------------------------*/
struct parts_page {
    struct upload upload;
    uint64_t after, max;
    Meta__Part **parts;
    size_t count;
    bool more;
};

static bool part_marker(struct s3_call *call, uint64_t *after)
{
    struct slice text = call_arg(call, "part-number-marker");

    *after = 0;
    if (text.size == 0) {
        return true;
    }
    if (slice_to_u64(text, after) != 0 || *after > INT32_MAX) {
        call_fail_argument(call, "part-number-marker", text,
                           "Provided part-number-marker not an integer or "
                           "within integer range");
        return false;
    }
    return true;
}

static void write_part(struct s3_call *call, struct buffer *out,
                       const Meta__Upload *record, const Meta__Part *part)
{
    char etag[33];

    invariant(part->md5.len == 16);
    hex_encode(etag, part->md5.data, 16);
    xml_open(out, "Part");
    xml_number(out, "PartNumber", part->number);
    xml_time(out, "LastModified", part->mtime_ms);
    xml_quoted(out, "ETag", slice_from_string(etag));
    xml_number(out, "Size", part->size);
    if (upload_names_checksum(record)) {
        part_checksum_element(call, out, part->checksum);
    }
    xml_close(out, "Part");
}

static void reply_parts(struct s3_call *call, const struct parts_page *page)
{
    const Meta__Upload *record = page->upload.record;
    struct buffer out = {NULL, 0, 0};

    xml_open_document(&out, "ListPartsResult");
    xml_text(&out, "Bucket", call->bucket_name);
    xml_text(&out, "Key", call->key);
    xml_text(&out, "UploadId", page->upload.id);
    write_people(call, &out, record);
    xml_number(&out, "PartNumberMarker", page->after);
    xml_number(&out, "NextPartNumberMarker",
               page->count > 0 ? page->parts[page->count - 1]->number : 0);
    xml_number(&out, "MaxParts", page->max);
    xml_bool(&out, "IsTruncated", page->more);
    write_checksum_kind(&out, record);
    for (size_t i = 0; i < page->count; i++) {
        write_part(call, &out, record, page->parts[i]);
    }
    xml_close(&out, "ListPartsResult");
    call_reply_xml(call, 200, &out);
}

void s3_list_parts_run(struct s3_call *call)
{
    struct parts_page page = {.count = 0};
    int rc = 0;

    if (!upload_id_arg(call, &page.upload.id) ||
        !list_max(call, "max-parts", &page.max) ||
        !part_marker(call, &page.after) || !upload_read(call, &page.upload) ||
        (sse_named(call) &&
         !sse_may_read(call, page.upload.record->encryption, SSE_UPLOAD))) {
        return;
    }
    if (page.max > 0 && page.after < PART_NUMBER_MAX) {
        rc = meta_list_parts(call->service->meta, call->arena, page.upload.id,
                             (unsigned)page.after + 1, (unsigned)page.max,
                             &page.parts, &page.count, &page.more);
    }
    if (rc != 0) {
        call_fail_errno(call, rc, "list parts");
    } else {
        reply_parts(call, &page);
    }
}

/* --- ListMultipartUploads --------------------------------------------------*/
struct uploads_page {
    struct list_query query;
    struct slice key_marker, id_marker;
    struct buffer uploads, prefixes;
    uint64_t count;
    struct slice last, last_id; /* id.size 0 after a common prefix */
    bool truncated;
};

static void write_upload(struct s3_call *call, struct uploads_page *page,
                         struct slice key, const Meta__Upload *record)
{
    struct buffer *out = &page->uploads;

    xml_open(out, "Upload");
    list_text(out, &page->query, "Key", key);
    xml_text(out, "UploadId", pb_slice(record->id));
    write_people(call, out, record);
    xml_time(out, "Initiated", record->initiated_ms);
    write_checksum_kind(out, record);
    xml_close(out, "Upload");
}

/* Uploads of key-marker itself up to upload-id-marker were shown before. */
static bool shown_before(const struct uploads_page *page, struct slice key,
                         const Meta__Upload *record)
{
    return page->id_marker.size > 0 && slice_equal(key, page->key_marker) &&
           slice_compare(pb_slice(record->id), page->id_marker) <= 0;
}

static void note_last(struct s3_call *call, struct uploads_page *page,
                      struct slice name, struct slice id)
{
    page->count++;
    page->last = arena_copy(call->arena, name.data, name.size);
    page->last_id = arena_copy(call->arena, id.data, id.size);
}

static int show_upload(struct s3_call *call, struct uploads_page *page,
                       struct meta_scan *scan, struct arena *scratch,
                       struct slice key)
{
    Meta__Upload *record;
    int rc = meta_scan_upload(scan, scratch, &record);

    if (rc != 0) {
        return rc;
    }
    if (!shown_before(page, key, record)) {
        if (page->count == page->query.max) {
            page->truncated = true;
            return 0;
        }
        write_upload(call, page, key, record);
        note_last(call, page, key, pb_slice(record->id));
    }
    meta_scan_next(scan);
    return 0;
}

static int show(struct s3_call *call, struct uploads_page *page,
                struct meta_scan *scan, struct arena *scratch,
                enum list_step step, struct slice name)
{
    if (step == LIST_ENTRY) {
        return show_upload(call, page, scan, scratch, name);
    }
    if (page->count == page->query.max) {
        page->truncated = true;
        return 0;
    }
    list_common_prefix(&page->prefixes, &page->query, name);
    note_last(call, page, name, (struct slice){NULL, 0});
    meta_scan_skip_prefix(scan, name);
    return 0;
}

/* With an upload-id-marker the marked key's own uploads are gone through. */
static void start(struct meta_scan *scan, const struct uploads_page *page)
{
    if (page->id_marker.size > 0 &&
        slice_compare(page->key_marker, page->query.prefix) >= 0) {
        meta_scan_seek(scan, page->key_marker);
    } else {
        list_start(scan, &page->query);
    }
}

static int fill(struct s3_call *call, struct uploads_page *page)
{
    struct meta_scan *scan;
    struct arena *scratch;
    int rc = 0;

    if (page->query.max == 0) {
        return 0;
    }
    scan = meta_scan_uploads(call->service->meta, call->bucket->id);
    scratch = arena_new();
    start(scan, page);
    for (unsigned i = 1; rc == 0 && !page->truncated; i++) {
        struct slice name;
        enum list_step step = list_here(scan, &page->query, &name);
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

static void reply_uploads(struct s3_call *call, struct uploads_page *page)
{
    struct buffer out = {NULL, 0, 0};

    xml_open_document(&out, "ListMultipartUploadsResult");
    xml_text(&out, "Bucket", call->bucket_name);
    list_text(&out, &page->query, "KeyMarker", page->key_marker);
    xml_text(&out, "UploadIdMarker", page->id_marker);
    if (page->truncated) {
        list_text(&out, &page->query, "NextKeyMarker", page->last);
        xml_text(&out, "NextUploadIdMarker", page->last_id);
    }
    list_text(&out, &page->query, "Prefix", page->query.prefix);
    if (page->query.delimiter.size > 0) {
        list_text(&out, &page->query, "Delimiter", page->query.delimiter);
    }
    if (page->query.url) {
        xml_string(&out, "EncodingType", "url");
    }
    xml_number(&out, "MaxUploads", page->query.max);
    xml_bool(&out, "IsTruncated", page->truncated);
    list_reply(call, &out, &page->uploads, &page->prefixes,
               "ListMultipartUploadsResult");
}

void s3_list_uploads_run(struct s3_call *call)
{
    struct uploads_page page = {.count = 0};

    if (call->key.size > 0) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "Key is not expected for the GET method ?uploads "
                          "subresource");
        return;
    }
    if (!list_query_read(call, &page.query) ||
        !list_max(call, "max-uploads", &page.query.max)) {
        return;
    }
    page.key_marker = call_arg(call, "key-marker");
    if (page.key_marker.size > 0) { /* without it the other means nothing */
        page.query.after = page.key_marker;
        page.id_marker = call_arg(call, "upload-id-marker");
    }
    int rc = fill(call, &page);
    if (rc != 0) {
        call_fail_errno(call, rc, "list uploads");
    } else {
        reply_uploads(call, &page);
    }
    buffer_free(&page.uploads);
    buffer_free(&page.prefixes);
}
