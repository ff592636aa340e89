/*
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
 */
#include "s3/tags.h"

#include <string.h>

#define TAGS_MAX       10u
#define TAG_NAME_MAX   128u /* characters */
#define TAG_VALUE_MAX  256u
#define TAG_HEADER_MAX 8192u /* bytes */

/* One side of "name=value", '+' being a blank. */
static bool decode(struct s3_call *call, struct slice text, struct slice *out)
{
    struct slice copy = arena_copy(call->arena, text.data, text.size);

    for (size_t i = 0; i < copy.size; i++) {
        if (copy.data[i] == '+')
            ((uint8_t *)copy.data)[i] = ' ';
    }
    return uri_decode(call->arena, copy, out) == 0;
}

/* Letters of any script, digits, blanks and + - = . _ : / @. */
static bool well_formed(struct slice text, size_t max)
{
    size_t at = 0, characters = 0;

    while (at < text.size) {
        uint32_t c;
        size_t length = utf8_decode(text.data + at, text.size - at, &c);

        if (length == 0)
            return false;
        if (c < 0x80 && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
            !(c >= 'A' && c <= 'Z') && (c == 0 || !strchr(" +-=._:/@", (int)c)))
            return false;
        at += length;
        characters++;
    }
    return characters <= max;
}

static bool fail_header(struct s3_call *call, struct slice header)
{
    call_fail_argument(call, "x-amz-tagging", header,
                       "The header 'x-amz-tagging' shall be encoded as UTF-8 "
                       "then URLEncoded URL query parameters without tag name "
                       "duplicates.");
    return false;
}

static bool add_tag(struct s3_call *call, Meta__Object *object,
                    struct slice header, struct slice pair)
{
    const uint8_t *equals = memchr(pair.data, '=', pair.size);
    size_t cut = equals != NULL ? (size_t)(equals - pair.data) : pair.size;
    struct slice name, value = slice_of("", 0);
    Meta__Field *tag;

    if (!decode(call, slice_of(pair.data, cut), &name) ||
        (equals != NULL &&
         !decode(call, slice_of(equals + 1, pair.size - cut - 1), &value)))
        return fail_header(call, header);
    for (size_t i = 0; i < object->n_tags; i++) {
        if (slice_equal(pb_slice(object->tags[i]->name), name))
            return fail_header(call, header);
    }
    if (object->n_tags == TAGS_MAX) {
        call_fail_message(call, S3_ERR_BadRequest,
                          "Object tags cannot be greater than 10");
        return false;
    }
    if (name.size == 0 || !well_formed(name, TAG_NAME_MAX) ||
        slice_has_prefix(name, SLICE_LITERAL("aws:"))) {
        call_error_field(call, "TagKey", name);
        call_fail_message(call, S3_ERR_InvalidTag,
                          "The TagKey you have provided is invalid");
        return false;
    }
    if (!well_formed(value, TAG_VALUE_MAX)) {
        call_error_field(call, "TagValue", value);
        call_fail_message(call, S3_ERR_InvalidTag,
                          "The TagValue you have provided is invalid");
        return false;
    }
    tag = arena_alloc(call->arena, sizeof(*tag));
    meta__field__init(tag);
    tag->name = pb_bytes(name);
    tag->value = pb_bytes(value);
    object->tags[object->n_tags++] = tag;
    return true;
}

bool object_take_tags(struct s3_call *call, Meta__Object *object)
{
    struct slice header = call_request_header(call, "x-amz-tagging");
    size_t start = 0;

    if (header.data == NULL)
        return true;
    if (header.size > TAG_HEADER_MAX)
        return fail_header(call, header);
    object->tags = arena_alloc(call->arena, TAGS_MAX * sizeof(*object->tags));
    while (start < header.size) {
        size_t end = start;

        while (end < header.size && header.data[end] != '&')
            end++;
        if (end > start && !add_tag(call, object, header,
                                    slice_of(header.data + start, end - start)))
            return false;
        start = end + 1;
    }
    return true;
}
