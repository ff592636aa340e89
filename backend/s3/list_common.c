/*
 * Queries, scans, tokens and elements that the listings share.
 */
#include "s3/list_common.h"

#include <errno.h>
#include <string.h>

#define TOKEN_HEADER_SIZE 5 /* kind, CRC32C of the name */
#define TOKEN_SIZE_MAX    2048

#define ATTRIBUTES "x-amz-optional-object-attributes"

/* --- what was asked --------------------------------------------------------*/
bool list_max(struct s3_call *call, const char *argument, uint64_t *max)
{
    struct slice text = call_arg(call, argument);
    *max = LIST_MAX;
    if (text.size == 0) {
        return true;
    }
    if (slice_to_u64(text, max) != 0 || *max > INT32_MAX) {
        char *message = arena_printf(
            call->arena, "Provided %s not an integer or within integer range",
            argument);
        call_fail_argument(call, argument, text, message);
        return false;
    }
    *max = *max > LIST_MAX ? LIST_MAX : *max;
    return true;
}

/* RestoreStatus is the one that S3 has; of what is not archived there is
 * nothing to tell. */
static bool check_attributes(struct s3_call *call, struct slice list)
{
    struct slice name;

    while (call_list_next(&list, &name)) {
        if (!slice_equal_string(name, "RestoreStatus")) {
            call_fail_argument(call, ATTRIBUTES, name,
                               "Invalid attribute name specified");
            return false;
        }
    }
    return true;
}

/* A list may come in several headers. */
static bool read_attributes(struct s3_call *call)
{
    const Wire__Request *request = call->request;

    for (size_t i = 0; i < request->n_headers; i++) {
        const Wire__Field *field = request->headers[i];

        if (slice_equal_string(pb_slice(field->name), ATTRIBUTES) &&
            !check_attributes(call, pb_slice(field->value))) {
            return false;
        }
    }
    return true;
}

bool list_query_read(struct s3_call *call, struct list_query *query)
{
    struct slice encoding = call_arg(call, "encoding-type");
    query->prefix = call_arg(call, "prefix");
    query->delimiter = call_arg(call, "delimiter");
    query->url = slice_equal_string(encoding, "url");
    if (encoding.data != NULL && !query->url) {
        call_fail_argument(call, "encoding-type", encoding,
                           "Invalid Encoding Method specified in Request");
        return false;
    }
    return read_attributes(call);
}

/* --- the scan --------------------------------------------------------------*/
void list_start(struct meta_scan *scan, const struct list_query *query)
{
    if (query->delimiter.size > 0) { /* a seek for each common prefix */
        computing_long();
    }
    if (query->after.data != NULL &&
        slice_compare(query->after, query->prefix) >= 0) {
        meta_scan_seek_after(scan, query->after);
    } else {
        meta_scan_seek(scan, query->prefix);
    }
}

/* The key up to and with the first delimiter after the prefix. */
static bool rolled_up(struct slice key, const struct list_query *query,
                      struct slice *prefix)
{
    if (query->delimiter.size == 0) {
        return false;
    }
    const uint8_t *found =
        memmem(key.data + query->prefix.size, key.size - query->prefix.size,
               query->delimiter.data, query->delimiter.size);
    if (found == NULL) {
        return false;
    }
    *prefix =
        slice_of(key.data, (size_t)(found - key.data) + query->delimiter.size);
    return true;
}

enum list_step list_here(struct meta_scan *scan, const struct list_query *query,
                         struct slice *name)
{
    while (meta_scan_valid(scan)) {
        const struct slice key = meta_scan_key(scan);
        if (!slice_has_prefix(key, query->prefix)) {
            break;
        }
        if (!rolled_up(key, query, name)) {
            *name = key;
            return LIST_ENTRY;
        }
        if (query->after.data == NULL ||
            slice_compare(*name, query->after) > 0) {
            return LIST_PREFIX;
        }
        meta_scan_skip_prefix(scan, *name);
    }
    return LIST_END;
}

/* --- continuation tokens ---------------------------------------------------*/
static void swap_letters(char *text, const char *from, const char *to)
{
    for (char *p = text; *p != '\0'; p++) {
        *p = *p == from[0] ? to[0] : *p == from[1] ? to[1] : *p;
    }
}

char *list_token_encode(struct arena *arena, enum list_token kind,
                        struct slice name)
{
    size_t size = TOKEN_HEADER_SIZE + name.size;
    uint8_t *raw = arena_alloc(arena, size);
    raw[0] = (uint8_t)kind;
    put_u32be(raw + 1, crc32c(kind, name.data, name.size));
    memcpy(raw + TOKEN_HEADER_SIZE, name.data, name.size);
    char *token = arena_alloc(arena, 4 * ((size + 2) / 3) + 1);
    base64_encode(token, raw, size);
    token[strcspn(token, "=")] = '\0';
    swap_letters(token, "+/", "-_");
    return token;
}

static bool token_read(struct arena *arena, enum list_token kind,
                       struct slice token, struct slice *name)
{
    if (token.size == 0 || token.size > TOKEN_SIZE_MAX ||
        memchr(token.data, '\0', token.size) != NULL ||
        memchr(token.data, '=', token.size) != NULL) {
        return false;
    }
    char *text = arena_printf(arena, "%.*s%.*s", (int)token.size,
                              (const char *)token.data,
                              (int)((4 - token.size % 4) % 4), "===");
    swap_letters(text, "-_", "+/");
    size_t capacity = strlen(text) / 4 * 3;
    uint8_t *raw = arena_alloc(arena, capacity + 1);
    int size = base64_decode(raw, capacity, slice_from_string(text));
    if (size <= TOKEN_HEADER_SIZE || raw[0] != kind) {
        return false;
    }
    *name = slice_of(raw + TOKEN_HEADER_SIZE, (size_t)size - TOKEN_HEADER_SIZE);
    return get_u32be(raw + 1) == crc32c(kind, name->data, name->size);
}

bool list_token_decode(struct s3_call *call, enum list_token kind,
                       struct slice token, struct slice *name)
{
    if (token_read(call->arena, kind, token, name)) {
        return true;
    }
    call_fail_argument(call, "continuation-token", token,
                       "The continuation token provided is incorrect");
    return false;
}

/* --- answers ---------------------------------------------------------------*/
void list_text(struct buffer *out, const struct list_query *query,
               const char *element, struct slice text)
{
    if (!query->url) {
        xml_text(out, element, text);
        return;
    }
    xml_open(out, element);
    uri_encode(out, text, true); /* leaves nothing to be escaped */
    xml_close(out, element);
}

void list_common_prefix(struct buffer *out, const struct list_query *query,
                        struct slice prefix)
{
    xml_open(out, "CommonPrefixes");
    list_text(out, query, "Prefix", prefix);
    xml_close(out, "CommonPrefixes");
}

void list_owner(struct s3_call *call, struct buffer *out, const char *element,
                struct slice user)
{
    char name[65] = "";
    iam_display_name(call->service->iam, user, name);
    xml_open(out, element);
    xml_text(out, "ID", user);
    xml_string(out, "DisplayName", name);
    xml_close(out, element);
}

/* The entries are most of it: moved within memory that is warm, instead of
 * copied to memory that is not. */
void list_reply(struct s3_call *call, struct buffer *head,
                struct buffer *entries, const struct buffer *prefixes,
                const char *root)
{
    buffer_grow(entries, head->size);
    memmove(entries->data + head->size, entries->data, entries->size);
    memcpy(entries->data, head->data, head->size);
    entries->size += head->size;
    buffer_free(head);
    buffer_append(entries, prefixes->data, prefixes->size);
    xml_close(entries, root);
    call_reply_xml(call, 200, entries);
}
