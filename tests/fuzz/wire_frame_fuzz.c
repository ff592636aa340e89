/*
 * The protocol: a byte stream of frames, and the messages in them.
 */
#include "fuzz.h"

#include <stdbool.h>

#include "wire.pb-c.h"
#include "wire/wire.h"

static const ProtobufCMessageDescriptor *message_of(unsigned type)
{
    switch (type) {
    case FRAME_HELLO:
        return &wire__hello__descriptor;
    case FRAME_WELCOME:
        return &wire__welcome__descriptor;
    case FRAME_KEY_REQUEST:
        return &wire__key_request__descriptor;
    case FRAME_KEY_REPLY:
        return &wire__key_reply__descriptor;
    case FRAME_ANSWER:
        return &wire__answer__descriptor;
    case FRAME_REQUEST:
        return &wire__request__descriptor;
    case FRAME_CHUNK:
        return &wire__chunk__descriptor;
    case FRAME_TRAILERS:
        return &wire__trailers__descriptor;
    case FRAME_REPLY:
        return &wire__reply__descriptor;
    case FRAME_SEGMENTS:
        return &wire__segments__descriptor;
    case FRAME_ADMIN_REQUEST:
        return &wire__admin_request__descriptor;
    case FRAME_ADMIN_REPLY:
        return &wire__admin_reply__descriptor;
    default:
        return NULL;
    }
}

static bool has_unknown(const ProtobufCMessage *message);

static bool field_has_unknown(const ProtobufCMessage *message,
                              const ProtobufCFieldDescriptor *field)
{
    const char *at = (const char *)message + field->offset;

    if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
        return false;
    }
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        const ProtobufCMessage *one = *(ProtobufCMessage *const *)at;
        return one != NULL && has_unknown(one);
    }
    const size_t count =
        *(const size_t *)((const char *)message + field->quantifier_offset);
    ProtobufCMessage *const *all = *(ProtobufCMessage * *const *)at;
    for (size_t i = 0; i < count; i++) {
        if (has_unknown(all[i])) {
            return true;
        }
    }
    return false;
}

/* In the message, or in one within it. */
static bool has_unknown(const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;

    if (message->n_unknown_fields > 0) {
        return true;
    }
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        if (field_has_unknown(message, &descriptor->fields[i])) {
            return true;
        }
    }
    return false;
}

/* What is packed again is what was understood: a second round changes
 * nothing. But for fields that nobody knows: protobuf-c keeps numbers that it
 * refuses to read again. */
static void check_message(unsigned type, const uint8_t *payload, size_t size)
{
    const ProtobufCMessageDescriptor *descriptor = message_of(type);
    ProtobufCMessage *message, *again;

    if (descriptor == NULL) {
        return;
    }
    message = protobuf_c_message_unpack(descriptor, NULL, size, payload);
    if (message == NULL) {
        return;
    }
    if (has_unknown(message)) {
        protobuf_c_message_free_unpacked(message, NULL);
        return;
    }
    size_t packed = protobuf_c_message_get_packed_size(message);
    uint8_t *once = malloc(packed + 1), *twice = malloc(packed + 1);
    MUST(once != NULL && twice != NULL);
    MUST(protobuf_c_message_pack(message, once) == packed);
    again = protobuf_c_message_unpack(descriptor, NULL, packed, once);
    MUST(again != NULL);
    MUST(protobuf_c_message_get_packed_size(again) == packed);
    MUST(protobuf_c_message_pack(again, twice) == packed);
    MUST(memcmp(once, twice, packed) == 0);
    protobuf_c_message_free_unpacked(again, NULL);
    protobuf_c_message_free_unpacked(message, NULL);
    free(once);
    free(twice);
}

static void check_frame(unsigned type, struct input payload)
{
    uint8_t bytes[FRAME_HEADER_SIZE];
    struct frame_header header;
    uint8_t *copy = input_copy(payload);

    frame_encode(bytes, (enum frame_type)type, copy, payload.size);
    MUST(frame_decode(bytes, &header) == 0);
    MUST(header.type == type && header.length == payload.size);
    MUST(frame_check(&header, copy) == 0);
    if (payload.size > 0 && type != FRAME_DATA) {
        copy[0] ^= 1;
        MUST(frame_check(&header, copy) != 0);
        copy[0] ^= 1;
    }
    check_message(type, copy, payload.size);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};

    while (input.size >= FRAME_HEADER_SIZE) {
        struct frame_header header;
        struct input head = input_take(&input, FRAME_HEADER_SIZE);
        if (frame_decode(head.data, &header) != 0) {
            break;
        }
        MUST(header.length <= FRAME_DATA_MAX ||
             header.length <= FRAME_MESSAGE_MAX);
        /* Mutants rarely have the right checksum: it is made anew. */
        check_frame(header.type, input_take(&input, header.length));
    }
    return 0;
}
