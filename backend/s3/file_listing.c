/*
 * What is below a prefix, as a page: nginx's autoindex over objects. A page has
 * LIST_MAX entries; the next one is asked for with the last name of this one.
 */
#include "s3/file.h"
#include "s3/list_common.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define DIRECTORY_SCAN_MAX 1024u /* keys that are delete markers */

/* --- what is there ---------------------------------------------------------*/
int file_directory_is_there(struct s3_call *call, struct slice prefix)
{
    struct meta_scan *scan =
        meta_scan_objects(call->service->meta, call->bucket->id);
    int there = 0;

    meta_scan_seek(scan, prefix);
    for (unsigned i = 0; i < DIRECTORY_SCAN_MAX && there == 0; i++) {
        Meta__Object *object;
        struct slice key;

        if (!meta_scan_valid(scan) ||
            !slice_has_prefix(meta_scan_key(scan), prefix)) {
            break;
        }
        key = meta_scan_key(scan);
        key = arena_copy(call->arena, key.data, key.size);
        there = meta_scan_object(scan, call->arena, &object);
        if (there == 0 && !object->delete_marker) {
            there = 1;
        }
        meta_scan_seek_after(scan, key);
    }
    if (there == 0) {
        there = meta_scan_error(scan);
    }
    meta_scan_free(scan);
    return there;
}

/* --- a page ----------------------------------------------------------------*/
struct page {
    struct list_query query;
    bool json, truncated;
    uint64_t count;
    struct slice last;  /* name below the prefix */
    struct buffer html; /* rows */
    json_t *entries;
};

static void write_link(struct buffer *out, struct slice name, bool directory)
{
    /* "./": a name with a colon is no scheme. */
    buffer_append_string(out, "<tr><td><a href=\"./");
    uri_encode(out, name, false);
    buffer_append_string(out, directory ? "/\">" : "\">");
    xml_escape(out, name);
    buffer_append_string(out, directory ? "/</a></td>" : "</a></td>");
}

static void add_directory(struct page *page, struct slice name)
{
    if (page->json) {
        json_array_append_new(page->entries,
                              json_pack("{s:s%, s:s}", "name", name.data,
                                        name.size, "type", "directory"));
        return;
    }
    write_link(&page->html, name, true);
    buffer_append_string(&page->html, "<td></td><td>-</td></tr>\n");
}

static void add_object(struct page *page, struct slice name,
                       const struct meta_listed *object)
{
    char modified[32];

    time_http(modified, object->mtime_ms);
    if (page->json) {
        json_array_append_new(page->entries,
                              json_pack("{s:s%, s:s, s:s, s:I}", "name",
                                        name.data, name.size, "type", "file",
                                        "mtime", modified, "size",
                                        (json_int_t)object->size));
        return;
    }
    write_link(&page->html, name, false);
    buffer_printf(&page->html, "<td>%s</td><td>%" PRIu64 "</td></tr>\n",
                  modified, object->size);
}

/* Shows one key or common prefix, or finds the page full. Keys that end with
 * "/" stand for directories, and are none of their entries. */
static int show(struct s3_call *call, struct page *page, struct meta_scan *scan,
                enum list_step step, struct slice found)
{
    struct slice name = slice_of(found.data + page->query.prefix.size,
                                 found.size - page->query.prefix.size);
    struct meta_listed object;
    int error = meta_scan_listed(scan, &object);

    if (error != 0) {
        return error;
    }
    if (object.delete_marker || name.size == 0) {
        meta_scan_seek_after(scan, meta_scan_key(scan));
        return 0;
    }
    if (page->count == LIST_MAX) {
        page->truncated = true;
        return 0;
    }
    page->count++;
    page->last = arena_copy(call->arena, name.data, name.size);
    if (step == LIST_PREFIX) {
        add_directory(page, slice_of(name.data, name.size - 1));
        meta_scan_skip_prefix(scan, found);
    } else {
        add_object(page, name, &object);
        meta_scan_seek_after(scan, found);
    }
    return 0;
}

static int fill(struct s3_call *call, struct page *page)
{
    struct meta_scan *scan =
        meta_scan_objects(call->service->meta, call->bucket->id);
    int error = 0;

    list_start(scan, &page->query);
    while (error == 0 && !page->truncated) {
        struct slice found;
        enum list_step step = list_here(scan, &page->query, &found);

        if (step == LIST_END) {
            break;
        }
        error = show(call, page, scan, step, found);
    }
    error = error != 0 ? error : meta_scan_error(scan);
    meta_scan_free(scan);
    return error;
}

/* --- the answer ------------------------------------------------------------*/
static char *next_page(struct s3_call *call, const struct page *page)
{
    struct buffer out = {0};
    char *text;

    buffer_append_string(&out, "?after=");
    uri_encode(&out, page->last, false);
    text = arena_string(call->arena, slice_of(out.data, out.size));
    buffer_free(&out);
    return text;
}

static void write_html(struct s3_call *call, const struct page *page,
                       struct buffer *out)
{
    struct slice title = pb_slice(call->request->file->title);

    buffer_append_string(out, "<!DOCTYPE html>\n<html><head>"
                              "<meta charset=\"utf-8\"><title>Index of ");
    xml_escape(out, title);
    buffer_append_string(out, "</title></head>\n<body><h1>Index of ");
    xml_escape(out, title);
    buffer_append_string(out, "</h1><hr><table>\n");
    if (!slice_equal_string(title, "/")) {
        buffer_append_string(
            out, "<tr><td><a href=\"../\">../</a></td><td></td><td></td>"
                 "</tr>\n");
    }
    buffer_append(out, page->html.data, page->html.size);
    buffer_append_string(out, "</table><hr>");
    if (page->truncated) {
        buffer_printf(out, "<a href=\"%s\">next page</a>",
                      next_page(call, page));
    }
    buffer_append_string(out, "</body></html>\n");
}

static void reply(struct s3_call *call, const struct page *page)
{
    struct buffer out = {0};

    if (page->json) {
        char *text = json_dumps(page->entries, JSON_INDENT(0));

        invariant(text != NULL);
        buffer_append_string(&out, text);
        buffer_append_string(&out, "\n");
        free(text);
    } else {
        write_html(call, page, &out);
    }
    if (page->truncated) {
        call_header(call, "Link", "<%s>; rel=\"next\"", next_page(call, page));
    }
    call_reply_document(call, 200,
                        page->json ? "application/json" : "text/html", &out);
    if (slice_equal_string(pb_slice(call->request->method), "HEAD")) {
        call->reply.body = WIRE__REPLY__BODY__NONE;
    }
}

static struct slice joined(struct arena *arena, struct slice first,
                           struct slice second)
{
    const size_t size = first.size + second.size;
    uint8_t *text = arena_alloc(arena, size);

    if (first.size > 0) {
        memcpy(text, first.data, first.size);
    }
    memcpy(text + first.size, second.data, second.size);
    return slice_of(text, size);
}

bool file_listing(struct s3_call *call, const Wire__FileCandidate *candidate)
{
    struct slice after = pb_slice(call->request->file->after);
    struct page page = {
        .query = {.prefix = pb_slice(candidate->key),
                  .delimiter = SLICE_LITERAL("/"),
                  .max = LIST_MAX},
        .json = candidate->kind == WIRE__FILE_CANDIDATE__KIND__LISTING_JSON,
    };
    int error;

    computing_long();
    if (after.size > 0 && page.query.prefix.size + after.size <= S3_KEY_MAX) {
        page.query.after = joined(call->arena, page.query.prefix, after);
    }
    page.entries = json_array();
    error = fill(call, &page);
    if (error != 0) {
        call_fail_errno(call, error, "listing a directory");
    } else if (page.count > 0 || after.size > 0) {
        reply(call, &page);
    }
    buffer_free(&page.html);
    json_decref(page.entries);
    return call->done;
}
