/*
 * ListObjectVersions: all versions and delete markers, each key's newest
 * first, from one scan.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
 */
#include <errno.h>

#include "s3/list_common.h"
#include "s3/operations.h"
#include "s3/version.h"

/* One page as it is put together. */
struct page {
    struct list_query query; /* after: the key marker */
    struct slice version_marker;
    struct entry_owner owner;
    struct buffer versions, prefixes;
    uint64_t count;
    struct slice last, last_version; /* shown last; a prefix has no version */
    bool truncated;
    struct buffer key; /* whose newest version is known: */
    uint64_t newest;   /* its sequence */
};

static bool read_query(struct s3_call *call, struct page *page)
{
    struct slice key = call_arg(call, "key-marker");
    struct slice version = call_arg(call, "version-id-marker");

    if (!list_query_read(call, &page->query) ||
        !list_max(call, "max-keys", &page->query.max)) {
        return false;
    }
    if (version.size > 0 && key.size == 0) {
        call_fail_argument(call, "version-id-marker", version,
                           "A version-id marker cannot be specified without a "
                           "key marker.");
        return false;
    }
    if (version.data != NULL && version.size == 0 && key.size > 0) {
        call_fail_argument(call, "version-id-marker", version,
                           "A version-id marker cannot be empty.");
        return false;
    }
    if (version.size > 0 && !version_well_formed(version)) {
        call_fail_argument(call, "version-id-marker", version,
                           "Invalid version id specified");
        return false;
    }
    page->query.after = key.size > 0 ? key : slice_of(NULL, 0);
    page->version_marker = version.size > 0 ? version : slice_of(NULL, 0);
    return true;
}

/* Of the key that the scan is at, the newest version being there. */
static void note_newest(struct page *page, struct meta_scan *scan,
                        uint64_t sequence)
{
    struct slice key = meta_scan_key(scan);

    page->key.size = 0;
    buffer_append(&page->key, key.data, key.size);
    page->newest = sequence;
}

/* To what follows the marked version of the marked key. */
static int start_in_key(struct s3_call *call, struct page *page,
                        struct meta_scan *scan, struct arena *scratch)
{
    struct slice key = page->query.after;
    Meta__Object *object;
    uint64_t sequence = 0;
    int rc = 0;

    meta_scan_seek(scan, key);
    if (meta_scan_valid(scan) && slice_equal(meta_scan_key(scan), key)) {
        rc = meta_scan_object(scan, scratch, &object);
        if (rc == 0) {
            note_newest(page, scan, object->sequence);
        }
    }
    if (rc != 0) {
        return rc;
    }
    if (slice_equal_string(page->version_marker, "null")) {
        rc = meta_get_null_version(call->service->meta, scratch,
                                   call->bucket->id, key, &object);
        if (rc == -ENOENT) {
            return 0; /* gone since: rather twice than not at all */
        }
        sequence = rc == 0 ? object->sequence : 0;
    } else if (!version_sequence(page->version_marker, &sequence)) {
        meta_scan_seek_after(scan, key);
        return 0;
    }
    if (rc == 0) {
        meta_scan_seek_older(scan, key, sequence);
    }
    return rc;
}

static int start(struct s3_call *call, struct page *page,
                 struct meta_scan *scan)
{
    struct arena *scratch;
    int rc;

    if (page->version_marker.data == NULL ||
        slice_compare(page->query.after, page->query.prefix) < 0) {
        list_start(scan, &page->query);
        return 0;
    }
    scratch = arena_new();
    rc = start_in_key(call, page, scan, scratch);
    arena_free(scratch);
    return rc;
}

static struct slice listed_version(const struct meta_listed *version)
{
    return version->version_id.size > 0 ? version->version_id
                                        : SLICE_LITERAL("null");
}

static void write_version(struct s3_call *call, struct page *page,
                          struct slice key, const struct meta_listed *version)
{
    const bool marker = version->delete_marker;
    struct buffer *out = &page->versions;

    buffer_append_string(out, marker ? "<DeleteMarker>" : "<Version>");
    entry_key(out, &page->query, key);
    xml_text(out, "VersionId", listed_version(version));
    xml_bool(out, "IsLatest", version->sequence == page->newest);
    entry_modified(out, version);
    if (!marker) {
        entry_content(out, version);
    }
    entry_owner(call, out, &page->owner, version);
    if (!marker) {
        entry_storage_class(out, version);
    }
    buffer_append_string(out, marker ? "</DeleteMarker>" : "</Version>");
}

/* Shows one version, marker or common prefix, or finds the page full. */
static int show(struct s3_call *call, struct page *page, struct meta_scan *scan,
                enum list_step step, struct slice name)
{
    struct meta_listed listed;
    int rc = 0;

    if (page->count == page->query.max) {
        page->truncated = true;
        return 0;
    }
    page->count++;
    if (step == LIST_PREFIX) {
        page->last = arena_copy(call->arena, name.data, name.size);
        page->last_version = slice_of(NULL, 0);
        list_common_prefix(&page->prefixes, &page->query, name);
        meta_scan_skip_prefix(scan, name);
        return 0;
    }
    rc = meta_scan_listed(scan, &listed);
    if (rc != 0) {
        return rc;
    }
    if (!slice_equal(name, slice_of(page->key.data, page->key.size))) {
        note_newest(page, scan, listed.sequence);
    }
    write_version(call, page, name, &listed);
    if (page->count == page->query.max) {
        struct slice version = listed_version(&listed);

        page->last = arena_copy(call->arena, name.data, name.size);
        page->last_version =
            arena_copy(call->arena, version.data, version.size);
    }
    meta_scan_next(scan);
    return 0;
}

static int fill(struct s3_call *call, struct page *page)
{
    if (page->query.max == 0) {
        return 0;
    }
    struct meta_scan *scan =
        meta_scan_objects(call->service->meta, call->bucket->id);
    int rc = start(call, page, scan);
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

static void reply(struct s3_call *call, struct page *page)
{
    const struct list_query *query = &page->query;
    struct buffer out = {NULL, 0, 0};

    xml_open_document(&out, "ListVersionsResult");
    xml_text(&out, "Name", call->bucket_name);
    list_text(&out, query, "Prefix", query->prefix);
    list_text(&out, query, "KeyMarker", query->after);
    xml_text(&out, "VersionIdMarker", page->version_marker);
    if (page->truncated) {
        list_text(&out, query, "NextKeyMarker", page->last);
        if (page->last_version.data != NULL) {
            xml_text(&out, "NextVersionIdMarker", page->last_version);
        }
    }
    xml_number(&out, "MaxKeys", query->max);
    if (query->delimiter.size > 0) {
        list_text(&out, query, "Delimiter", query->delimiter);
    }
    if (query->url) {
        xml_string(&out, "EncodingType", "url");
    }
    xml_bool(&out, "IsTruncated", page->truncated);
    list_reply(call, &out, &page->versions, &page->prefixes,
               "ListVersionsResult");
}

void s3_list_versions_run(struct s3_call *call)
{
    struct page page = {.count = 0};

    if (!read_query(call, &page)) {
        return;
    }
    int rc = fill(call, &page);
    if (rc != 0) {
        call_fail_errno(call, rc, "list versions");
    } else {
        reply(call, &page);
    }
    entry_owner_free(&page.owner);
    buffer_free(&page.versions);
    buffer_free(&page.prefixes);
    buffer_free(&page.key);
}
