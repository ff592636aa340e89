#include "s3/call.h"

#include <string.h>

struct slice pb_slice(ProtobufCBinaryData bytes)
{
    return slice_of(bytes.data, bytes.len);
}

ProtobufCBinaryData pb_bytes(struct slice bytes)
{
    return (ProtobufCBinaryData){.len = bytes.size,
                                 .data = (uint8_t *)bytes.data};
}

static struct slice field_value(Wire__Field *const *fields, size_t count,
                                const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (!slice_equal_string(pb_slice(fields[i]->name), name)) {
            continue;
        }
        if (fields[i]->value.len == 0) { /* present, unlike absent */
            return slice_of("", 0);
        }
        return pb_slice(fields[i]->value);
    }
    return slice_of(NULL, 0);
}

struct slice call_request_header(const struct s3_call *call, const char *name)
{
    return field_value(call->request->headers, call->request->n_headers, name);
}

struct slice call_arg(const struct s3_call *call, const char *name)
{
    return field_value(call->request->args, call->request->n_args, name);
}

bool call_header_name(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        const uint8_t c = name.data[i];

        if (c <= ' ' || c >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", c) != NULL) {
            return false;
        }
    }
    return name.size > 0;
}

bool call_list_next(struct slice *list, struct slice *item)
{
    while (list->size > 0) {
        const uint8_t *comma = memchr(list->data, ',', list->size);
        size_t size = comma != NULL ? (size_t)(comma - list->data) : list->size;
        size_t taken = comma != NULL ? size + 1 : size;
        struct slice name = slice_of(list->data, size);

        *list = slice_of(list->data + taken, list->size - taken);
        while (name.size > 0 && memchr(" \t", name.data[0], 2) != NULL) {
            name = slice_of(name.data + 1, name.size - 1);
        }
        while (name.size > 0 &&
               memchr(" \t", name.data[name.size - 1], 2) != NULL) {
            name.size--;
        }
        if (name.size > 0) {
            *item = name;
            return true;
        }
    }
    return false;
}
