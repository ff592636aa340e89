/* The bytes of extent and record headers: docs/disk-format.md. */
#include "extent/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char extent_magic[] = "S3DEXTNT";
static const char record_magic[] = "S3DRECRD";
#define MAGIC_SIZE 8

void extent_header_encode(uint8_t out[EXTENT_HEADER_SIZE],
                          const struct extent_header *header)
{
    memset(out, 0, EXTENT_HEADER_SIZE);
    memcpy(out, extent_magic, MAGIC_SIZE);
    put_u16le(out + 8, FORMAT_VERSION);
    put_u32le(out + 12, EXTENT_HEADER_SIZE);
    memcpy(out + 16, header->cluster, DRIVE_UUID_SIZE);
    memcpy(out + 32, header->drive, DRIVE_UUID_SIZE);
    put_u64le(out + 48, header->extent);
    put_u32le(out + EXTENT_HEADER_SIZE - 4,
              crc32c_bytes(out, EXTENT_HEADER_SIZE - 4));
}

int extent_header_decode(const uint8_t in[EXTENT_HEADER_SIZE],
                         struct extent_header *header)
{
    if (memcmp(in, extent_magic, MAGIC_SIZE) != 0 ||
        get_u16le(in + 8) != FORMAT_VERSION ||
        get_u32le(in + 12) != EXTENT_HEADER_SIZE ||
        get_u32le(in + EXTENT_HEADER_SIZE - 4) !=
            crc32c_bytes(in, EXTENT_HEADER_SIZE - 4)) {
        return -EBADMSG;
    }
    memcpy(header->cluster, in + 16, DRIVE_UUID_SIZE);
    memcpy(header->drive, in + 32, DRIVE_UUID_SIZE);
    header->extent = get_u64le(in + 48);
    return 0;
}

void record_header_encode(uint8_t out[RECORD_HEADER_SIZE],
                          const struct record_header *header)
{
    memset(out, 0, RECORD_HEADER_SIZE);
    memcpy(out, record_magic, MAGIC_SIZE);
    put_u16le(out + 8, FORMAT_VERSION);
    put_u16le(out + 10, RECORD_HEADER_SIZE);
    put_u32le(out + 12, header->shard);
    put_u64le(out + 16, header->blob);
    put_u64le(out + 24, header->payload);
    put_u64le(out + 32, header->descriptor);
    put_u64le(out + 40, header->extent);
    put_u64le(out + 48, header->offset);
    put_u32le(out + RECORD_HEADER_SIZE - 4,
              crc32c_bytes(out, RECORD_HEADER_SIZE - 4));
}

int record_header_decode(const uint8_t in[RECORD_HEADER_SIZE],
                         struct record_header *header)
{
    if (memcmp(in, record_magic, MAGIC_SIZE) != 0 ||
        get_u16le(in + 8) != FORMAT_VERSION ||
        get_u16le(in + 10) != RECORD_HEADER_SIZE ||
        get_u32le(in + RECORD_HEADER_SIZE - 4) !=
            crc32c_bytes(in, RECORD_HEADER_SIZE - 4)) {
        return -EBADMSG;
    }
    header->shard = get_u32le(in + 12);
    header->blob = get_u64le(in + 16);
    header->payload = get_u64le(in + 24);
    header->descriptor = get_u64le(in + 32);
    header->extent = get_u64le(in + 40);
    header->offset = get_u64le(in + 48);
    return 0;
}

static uint64_t align_up(uint64_t value, uint64_t align)
{
    return (value + align - 1) / align * align;
}

uint64_t record_offset(uint64_t tail, uint64_t payload)
{
    return align_up(tail + RECORD_HEADER_SIZE, payload >= RECORD_LARGE
                                                   ? RECORD_ALIGN_LARGE
                                                   : RECORD_ALIGN);
}

uint64_t record_end(uint64_t offset, uint64_t payload, uint64_t descriptor)
{
    return align_up(offset + payload + descriptor, RECORD_ALIGN);
}

struct record_direct record_direct(uint64_t offset, uint64_t payload)
{
    uint64_t even = payload > RECORD_ODD_END ? payload - RECORD_ODD_END : 0;
    struct record_direct direct = {
        .begin = align_up(offset, IO_FOLIO_MAX),
        .end = (offset + even) / IO_FOLIO_MAX * IO_FOLIO_MAX,
    };

    return direct.begin < direct.end ? direct : (struct record_direct){0, 0};
}

void extent_path(char out[EXTENT_PATH_SIZE], uint64_t extent)
{
    snprintf(out, EXTENT_PATH_SIZE, "extents/%02x/%016llx",
             (unsigned)(extent & 0xff), (unsigned long long)extent);
}
