/*
 * What a listing shows of an object's record, read where it lies: a page has
 * a thousand records, and most of what is in one is not shown.
 *
 * The encoding is https://protobuf.dev/programming-guides/encoding/; the
 * numbers are those of Object and Checksum in records.proto. What is not shown
 * is passed over by its length, without a look at what is in it.
 */
#include "meta/private.h"

#include <errno.h>

enum wire_type {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_FIXED32 = 5
};

struct field {
    uint64_t number;
    enum wire_type type;
    uint64_t value;     /* VARINT, FIXED64 */
    struct slice bytes; /* BYTES */
};

/* These return the byte behind what they took; NULL: there is none of it. */
static const uint8_t *take_long_varint(const uint8_t *at, const uint8_t *end,
                                       uint64_t *value)
{
    uint64_t sum = 0;

    for (unsigned shift = 0; shift < 64 && at < end; shift += 7) {
        const uint8_t byte = *at++;

        sum |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = sum;
            return at;
        }
    }
    return NULL;
}

/* Most have one byte. */
static inline const uint8_t *take_varint(const uint8_t *at, const uint8_t *end,
                                         uint64_t *value)
{
    if (at < end && *at < 0x80) {
        *value = *at;
        return at + 1;
    }
    return take_long_varint(at, end, value);
}

static inline const uint8_t *take_bytes(const uint8_t *at, const uint8_t *end,
                                        uint64_t size, struct slice *bytes)
{
    if (size > (uint64_t)(end - at)) {
        return NULL;
    }
    *bytes = slice_of(at, (size_t)size);
    return at + size;
}

/* Inline, a field stays in registers. */
static inline __attribute__((always_inline)) const uint8_t *take_field(
    const uint8_t *at, const uint8_t *end, struct field *field)
{
    uint64_t tag;

    at = take_varint(at, end, &tag);
    if (at == NULL) {
        return NULL;
    }
    *field = (struct field){.number = tag >> 3, .type = tag & 7};
    switch (field->type) {
    case WIRE_VARINT:
        return take_varint(at, end, &field->value);
    case WIRE_FIXED64:
        at = take_bytes(at, end, 8, &field->bytes);
        if (at != NULL) {
            field->value = get_u64le(field->bytes.data);
        }
        return at;
    case WIRE_BYTES:
        at = take_varint(at, end, &field->value);
        return at != NULL ? take_bytes(at, end, field->value, &field->bytes)
                          : NULL;
    case WIRE_FIXED32:
        return take_bytes(at, end, 4, &field->bytes);
    }
    return NULL;
}

static bool read_checksum(struct slice in, struct meta_listed *listed)
{
    const uint8_t *at = in.data, *end = in.data + in.size;
    struct field field;

    while (at < end) {
        at = take_field(at, end, &field);
        if (at == NULL) {
            return false;
        }
        if (field.number == 1 && field.type == WIRE_VARINT) {
            listed->checksum = (Meta__ChecksumAlgorithm)field.value;
        } else if (field.number == 2 && field.type == WIRE_VARINT) {
            listed->checksum_type = (Meta__ChecksumType)field.value;
        }
    }
    return true;
}

static bool note_number(const struct field *field, enum wire_type type,
                        uint64_t *number)
{
    if (field->type != type) {
        return false;
    }
    *number = field->value;
    return true;
}

static bool note_bytes(const struct field *field, struct slice *bytes)
{
    if (field->type != WIRE_BYTES) {
        return false;
    }
    *bytes = field->bytes;
    return true;
}

/* False: a field that is known is of another type. */
static bool note_field(const struct field *field, struct meta_listed *listed)
{
    uint64_t marker;

    switch (field->number) {
    case 1:
        return note_number(field, WIRE_FIXED64, &listed->sequence);
    case 2:
        return note_number(field, WIRE_VARINT, &listed->mtime_ms);
    case 3:
        return note_number(field, WIRE_VARINT, &listed->size);
    case 4:
        return note_bytes(field, &listed->etag);
    case 8:
        return note_bytes(field, &listed->owner);
    case 9:
        return note_bytes(field, &listed->storage_class);
    case 10:
        return field->type == WIRE_BYTES && read_checksum(field->bytes, listed);
    case 12:
        return note_bytes(field, &listed->version_id);
    case 13:
        if (!note_number(field, WIRE_VARINT, &marker)) {
            return false;
        }
        listed->delete_marker = marker != 0;
        return true;
    default:
        return true;
    }
}

int record_listed(struct slice value, struct slice key_rest,
                  struct meta_listed *listed)
{
    struct slice payload;
    const uint8_t *at, *end;
    struct field field;
    int rc = record_open(META_RECORD_OBJECT, value, &payload);

    *listed = (struct meta_listed){0};
    if (rc != 0) {
        return rc;
    }
    at = payload.data;
    end = payload.data + payload.size;
    while (at < end) {
        at = take_field(at, end, &field);
        if (at == NULL || !note_field(&field, listed)) {
            return -EBADMSG;
        }
    }
    return key_rest.size == 8 && listed->sequence == ~get_u64be(key_rest.data)
               ? 0
               : -EBADMSG;
}
