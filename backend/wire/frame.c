/* The frame header: see wire.h for the bytes. */
#include "wire/wire.h"

#define TEXT_OF(number)   #number
#define NUMBER_AS_TEXT(n) TEXT_OF(n)
const char wire_version_text[] =
    "s3d wire version " NUMBER_AS_TEXT(FRAME_VERSION);

static void put_u32(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)value;
    out[1] = (uint8_t)(value >> 8);
    out[2] = (uint8_t)(value >> 16);
    out[3] = (uint8_t)(value >> 24);
}

static uint32_t get_u32(const uint8_t *in)
{
    return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 |
           (uint32_t)in[3] << 24;
}

void frame_encode(uint8_t out[FRAME_HEADER_SIZE], enum frame_type type,
                  const void *payload, size_t length)
{
    out[0] = 'S';
    out[1] = '3';
    out[2] = FRAME_VERSION;
    out[3] = (uint8_t)type;
    put_u32(out + 4, (uint32_t)length);
    put_u32(out + 8,
            type == FRAME_DATA || length == 0 ? 0 : crc32c(0, payload, length));
}

static int type_limit(uint8_t type, uint32_t *limit)
{
    switch (type) {
    case FRAME_DATA:
        *limit = FRAME_DATA_MAX;
        return 0;

    case FRAME_HELLO:
    case FRAME_WELCOME:
    case FRAME_KEY_REQUEST:
    case FRAME_KEY_REPLY:
    case FRAME_STATUS_REQUEST:
    case FRAME_STATUS_REPLY:
    case FRAME_TRACE_SET:
    case FRAME_TRACE:
    case FRAME_ANSWER:
    case FRAME_REQUEST:
    case FRAME_CHUNK:
    case FRAME_TRAILERS:
    case FRAME_REPLY:
    case FRAME_SEGMENTS:
    case FRAME_ADMIN_REQUEST:
    case FRAME_ADMIN_REPLY:
        *limit = FRAME_MESSAGE_MAX;
        return 0;

    case FRAME_END:
    case FRAME_CONTINUE:
    case FRAME_ACK:
    case FRAME_NACK:
    case FRAME_LEAVE:
        *limit = 0;
        return 0;

    default:
        return -1;
    }
}

int frame_version(const uint8_t in[FRAME_HEADER_SIZE])
{
    return in[0] == 'S' && in[1] == '3' ? in[2] : -1;
}

int frame_decode(const uint8_t in[FRAME_HEADER_SIZE],
                 struct frame_header *header)
{
    uint32_t limit = 0;

    if (frame_version(in) != FRAME_VERSION) {
        return -1;
    }

    header->type = in[3];
    header->length = get_u32(in + 4);
    header->crc = get_u32(in + 8);

    if (type_limit(header->type, &limit) != 0 || header->length > limit) {
        return -1;
    }
    return 0;
}

int frame_check(const struct frame_header *header, const void *payload)
{
    if (header->type == FRAME_DATA || header->length == 0) {
        return header->crc == 0 ? 0 : -1;
    }
    return crc32c(0, payload, header->length) == header->crc ? 0 : -1;
}
