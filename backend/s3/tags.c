/* Tags, in a header and in a document. */
#include "s3/tags.h"

#include <stdlib.h>
#include <string.h>

#include "s3/document.h"

#define TAG_NAME_MAX   128u /* characters */
#define TAG_VALUE_MAX  256u
#define TAG_HEADER_MAX 8192u /* bytes */

static const struct {
    size_t max;
    const char *too_many, *reserved;
} kinds[] = {
    [TAGS_OF_OBJECT] = {10, "Object tags cannot be greater than 10",
                        "Your TagKey cannot be prefixed with aws:"},
    [TAGS_OF_BUCKET] = {50, "Bucket tag count cannot be greater than 50",
                        "System tags cannot be added/updated by requester"},
};

/* --- one tag ---------------------------------------------------------------*/
/* Letters of any script, digits, blanks and + - = . _ : / @. */
static bool well_formed(struct slice text, size_t max)
{
    size_t at = 0, characters = 0;

    while (at < text.size) {
        uint32_t c;
        size_t length = utf8_decode(text.data + at, text.size - at, &c);

        if (length == 0) {
            return false;
        }
        if (c < 0x80 && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
            !(c >= 'A' && c <= 'Z') &&
            (c == 0 || !strchr(" +-=._:/@", (int)c))) {
            return false;
        }
        at += length;
        characters++;
    }
    return characters <= max;
}

static bool fail_tag(struct s3_call *call, struct slice name,
                     const char *message)
{
    call_error_field(call, "TagKey", name);
    call_fail_message(call, S3_ERR_InvalidTag, "%s", message);
    return false;
}

static bool check_tag(struct s3_call *call, enum tags_of of, struct slice name,
                      struct slice value)
{
    if (slice_has_prefix(name, SLICE_LITERAL("aws:"))) {
        return fail_tag(call, name, kinds[of].reserved);
    }
    if (name.size == 0 || !well_formed(name, TAG_NAME_MAX)) {
        return fail_tag(call, name, "The TagKey you have provided is invalid");
    }
    if (!well_formed(value, TAG_VALUE_MAX)) {
        call_error_field(call, "TagValue", value);
        return fail_tag(call, name,
                        "The TagValue you have provided is invalid");
    }
    return true;
}

/* --- a set -----------------------------------------------------------------*/
static void open_set(struct s3_call *call, enum tags_of of, struct tag_set *set)
{
    set->tags = arena_alloc(call->arena, kinds[of].max * sizeof(*set->tags));
    set->count = 0;
}

static bool set_has(const struct tag_set *set, struct slice name)
{
    for (size_t i = 0; i < set->count; i++) {
        if (slice_equal(pb_slice(set->tags[i]->name), name)) {
            return true;
        }
    }
    return false;
}

static void put_tag(struct s3_call *call, struct tag_set *set,
                    struct slice name, struct slice value)
{
    Meta__Field *tag = arena_alloc(call->arena, sizeof(*tag));

    meta__field__init(tag);
    tag->name = pb_bytes(name);
    tag->value = pb_bytes(value);
    set->tags[set->count++] = tag;
}

/* False: the call has failed. */
static bool add_tag(struct s3_call *call, enum tags_of of, struct tag_set *set,
                    struct slice name, struct slice value)
{
    if (set->count == kinds[of].max) {
        call_fail_message(call, S3_ERR_BadRequest, "%s", kinds[of].too_many);
        return false;
    }
    if (!check_tag(call, of, name, value)) {
        return false;
    }
    put_tag(call, set, name, value);
    return true;
}

static int compare_tags(const void *a, const void *b)
{
    return slice_compare(pb_slice((*(Meta__Field *const *)a)->name),
                         pb_slice((*(Meta__Field *const *)b)->name));
}

static void sort_set(struct tag_set *set)
{
    qsort(set->tags, set->count, sizeof(*set->tags), compare_tags);
}

/* --- the header ------------------------------------------------------------*/
/* One side of "name=value", '+' being a blank. */
static bool decode(struct s3_call *call, struct slice text, struct slice *out)
{
    struct slice copy = arena_copy(call->arena, text.data, text.size);

    for (size_t i = 0; i < copy.size; i++) {
        if (copy.data[i] == '+') {
            ((uint8_t *)copy.data)[i] = ' ';
        }
    }
    return uri_decode(call->arena, copy, out) == 0;
}

static bool fail_header(struct s3_call *call, struct slice header)
{
    call_fail_argument(call, "x-amz-tagging", header,
                       "The header 'x-amz-tagging' shall be encoded as UTF-8 "
                       "then URLEncoded URL query parameters without tag name "
                       "duplicates.");
    return false;
}

/* Takes the next pair off a header. False at its end. */
static bool next_pair(struct slice *header, struct slice *pair)
{
    size_t start = 0, end;

    while (start < header->size && header->data[start] == '&') {
        start++;
    }
    for (end = start; end < header->size && header->data[end] != '&';) {
        end++;
    }
    *pair = slice_of(header->data + start, end - start);
    *header = slice_of(header->data + end, header->size - end);
    return pair->size > 0;
}

static bool split_pair(struct s3_call *call, struct slice pair,
                       struct slice *name, struct slice *value)
{
    const uint8_t *equals = memchr(pair.data, '=', pair.size);
    size_t cut = equals != NULL ? (size_t)(equals - pair.data) : pair.size;

    *value = slice_of("", 0);
    return decode(call, slice_of(pair.data, cut), name) &&
           (equals == NULL ||
            decode(call, slice_of(equals + 1, pair.size - cut - 1), value));
}

bool object_take_tags(struct s3_call *call, Meta__Object *object)
{
    struct slice header = call_request_header(call, "x-amz-tagging");
    struct slice rest = header, pair, name, value;
    struct tag_set set;

    if (header.data == NULL) {
        return true;
    }
    if (header.size > TAG_HEADER_MAX) {
        return fail_header(call, header);
    }
    open_set(call, TAGS_OF_OBJECT, &set);
    while (next_pair(&rest, &pair)) {
        if (!split_pair(call, pair, &name, &value) || set_has(&set, name)) {
            return fail_header(call, header);
        }
        if (!add_tag(call, TAGS_OF_OBJECT, &set, name, value)) {
            return false;
        }
    }
    sort_set(&set);
    object->tags = set.tags;
    object->n_tags = set.count;
    return true;
}

void tags_read_header(struct s3_call *call, struct tag_set *set)
{
    struct slice rest = call_request_header(call, "x-amz-tagging");
    struct slice pair, name, value;

    open_set(call, TAGS_OF_OBJECT, set);
    if (rest.size > TAG_HEADER_MAX) {
        return;
    }
    while (next_pair(&rest, &pair)) {
        if (set->count == kinds[TAGS_OF_OBJECT].max ||
            !split_pair(call, pair, &name, &value)) {
            set->count = 0;
            return;
        }
        put_tag(call, set, name, value);
    }
}

/* --- the document ----------------------------------------------------------*/
static bool add_element(struct s3_call *call, enum tags_of of,
                        struct tag_set *set, const struct xml_node *node)
{
    struct xml_leaf leaves[] = {{.name = "Key", .required = true},
                                {.name = "Value", .required = true}};

    if (!slice_equal_string(node->name, "Tag") ||
        !xml_in_leaves(node, leaves, 2)) {
        call_fail(call, S3_ERR_MalformedXML);
        return false;
    }
    if (set_has(set, leaves[0].value)) {
        return fail_tag(call, leaves[0].value,
                        "Cannot provide multiple Tags with the same key");
    }
    return add_tag(call, of, set, leaves[0].value, leaves[1].value);
}

bool tags_take_elements(struct s3_call *call, enum tags_of of,
                        const struct xml_node *list, struct tag_set *set)
{
    open_set(call, of, set);
    for (const struct xml_node *node = list->first; node != NULL;
         node = node->next) {
        if (!add_element(call, of, set, node)) {
            return false;
        }
    }
    sort_set(set);
    return true;
}

bool tags_take_document(struct s3_call *call, enum tags_of of,
                        struct tag_set *set)
{
    const struct xml_node *root = document_request(call, "Tagging");
    const struct xml_node *list = root != NULL ? root->first : NULL;

    if (root == NULL) {
        return false;
    }
    if (list == NULL || list->next != NULL ||
        !slice_equal_string(list->name, "TagSet")) {
        call_fail(call, S3_ERR_MalformedXML);
        return false;
    }
    return tags_take_elements(call, of, list, set);
}

void tags_write(struct buffer *out, Meta__Field *const *tags, size_t count)
{
    xml_open_document(out, "Tagging");
    xml_open(out, "TagSet");
    for (size_t i = 0; i < count; i++) {
        xml_open(out, "Tag");
        xml_text(out, "Key", pb_slice(tags[i]->name));
        xml_text(out, "Value", pb_slice(tags[i]->value));
        xml_close(out, "Tag");
    }
    xml_close(out, "TagSet");
    xml_close(out, "Tagging");
}

struct slice tags_document(struct s3_call *call, const struct tag_set *set)
{
    struct buffer out = {NULL, 0, 0};

    tags_write(&out, set->tags, set->count);
    return document_take(call, &out);
}

/* A document that cannot be read has no tags. */
void tags_of_bucket(struct s3_call *call, const Meta__Bucket *bucket,
                    struct tag_set *set)
{
    struct slice document = document_get(bucket, DOCUMENT_TAGGING);
    const struct xml_node *root =
        document.data != NULL ? xml_in_parse(call->arena, document, "Tagging")
                              : NULL;

    open_set(call, TAGS_OF_BUCKET, set);
    if (root == NULL || root->first == NULL) {
        return;
    }
    for (const struct xml_node *tag = root->first->first;
         tag != NULL && set->count < kinds[TAGS_OF_BUCKET].max;
         tag = tag->next) {
        put_tag(call, set, xml_in_text(tag, "Key"), xml_in_text(tag, "Value"));
    }
}
