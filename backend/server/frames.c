/*
 * Frames on their way out.
 */
#include "server/private.h"
#include <string.h>

void frame_append(struct buffer *out, enum frame_type type, const void *payload,
                  size_t size)
{
    uint8_t header[FRAME_HEADER_SIZE];
    frame_encode(header, type, payload, size);
    buffer_append(out, header, sizeof(header));
    if (size > 0) {
        buffer_append(out, payload, size);
    }
}

void frame_append_message(struct buffer *out, enum frame_type type,
                          const void *message)
{
    const size_t size = protobuf_c_message_get_packed_size(message);
    invariant(size <= FRAME_MESSAGE_MAX);
    buffer_reserve(out, out->size + FRAME_HEADER_SIZE + size);
    uint8_t *header = out->data + out->size;
    protobuf_c_message_pack(message, header + FRAME_HEADER_SIZE);
    frame_encode(header, type, header + FRAME_HEADER_SIZE, size);
    out->size += FRAME_HEADER_SIZE + size;
}
