/*
 * The bytes of a shard descriptor, little-endian: docs/disk-format.md,
 * 'Shards'. The CRC covers the fixed part and the table, and through the
 * origin's CRC in the fixed part the origin too: a reader, which knows the
 * payload's length from the layout, reads and checks no more than it needs.
 */
#include "blob/private.h"

#include <errno.h>
#include <string.h>

#define DESCRIPTOR_MAGIC   "s3dshard"
#define DESCRIPTOR_VERSION 1

/* Offsets of the fields. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_FIXED_SIZE = 10,
    AT_BACKEND = 12,
    AT_K = 13,
    AT_M = 14,
    AT_SHARD = 15,
    AT_BLOB = 16,
    AT_BLOB_SIZE = 24,
    AT_PAYLOAD = 32,
    AT_CHUNK_OFFSET = 40,
    AT_CHUNK_SIZE = 48,
    AT_CHUNK = 56,
    AT_UNIT = 60,
    AT_BLOCK_SIZE = 64,
    AT_ORIGIN_SIZE = 68,
    AT_ORIGIN_CRC = 72,
    AT_RESERVED = 76,
};

uint32_t descriptor_encode(const struct descriptor *descriptor,
                           const uint32_t *table, uint8_t *out)
{
    uint32_t blocks = block_count(descriptor->payload);
    uint8_t *at = out + DESCRIPTOR_FIXED_SIZE;
    uint32_t crc;

    memcpy(out + AT_MAGIC, DESCRIPTOR_MAGIC, 8);
    put_u16le(out + AT_VERSION, DESCRIPTOR_VERSION);
    put_u16le(out + AT_FIXED_SIZE, DESCRIPTOR_FIXED_SIZE);
    out[AT_BACKEND] = descriptor->profile.backend;
    out[AT_K] = descriptor->profile.k;
    out[AT_M] = descriptor->profile.m;
    out[AT_SHARD] = descriptor->shard;
    put_u64le(out + AT_BLOB, descriptor->blob);
    put_u64le(out + AT_BLOB_SIZE, descriptor->blob_size);
    put_u64le(out + AT_PAYLOAD, descriptor->payload);
    put_u64le(out + AT_CHUNK_OFFSET, descriptor->chunk_offset);
    put_u64le(out + AT_CHUNK_SIZE, descriptor->chunk_size);
    put_u32le(out + AT_CHUNK, descriptor->chunk);
    put_u32le(out + AT_UNIT, descriptor->unit);
    put_u32le(out + AT_BLOCK_SIZE, BLOB_BLOCK_SIZE);
    put_u32le(out + AT_ORIGIN_SIZE, descriptor->origin_size);
    put_u32le(out + AT_ORIGIN_CRC, descriptor->origin_crc);
    put_u32le(out + AT_RESERVED, 0);
    for (uint32_t i = 0; i < blocks; i++, at += 4) {
        put_u32le(at, table[i]);
    }
    crc = crc32c_bytes(out, (size_t)(at - out));
    put_u32le(at, crc);
    return crc;
}

int descriptor_decode(struct slice in, struct descriptor *descriptor,
                      uint32_t *crc)
{
    const uint8_t *data = in.data;

    if (in.size < DESCRIPTOR_FIXED_SIZE + 4) {
        return -EBADMSG;
    }
    *crc = get_u32le(data + in.size - 4);
    if (*crc != crc32c_bytes(data, in.size - 4) ||
        memcmp(data + AT_MAGIC, DESCRIPTOR_MAGIC, 8) != 0 ||
        get_u16le(data + AT_VERSION) != DESCRIPTOR_VERSION ||
        get_u16le(data + AT_FIXED_SIZE) != DESCRIPTOR_FIXED_SIZE ||
        get_u32le(data + AT_BLOCK_SIZE) != BLOB_BLOCK_SIZE) {
        return -EBADMSG;
    }
    descriptor->profile.backend = data[AT_BACKEND];
    descriptor->profile.k = data[AT_K];
    descriptor->profile.m = data[AT_M];
    descriptor->shard = data[AT_SHARD];
    descriptor->blob = get_u64le(data + AT_BLOB);
    descriptor->blob_size = get_u64le(data + AT_BLOB_SIZE);
    descriptor->payload = get_u64le(data + AT_PAYLOAD);
    descriptor->chunk_offset = get_u64le(data + AT_CHUNK_OFFSET);
    descriptor->chunk_size = get_u64le(data + AT_CHUNK_SIZE);
    descriptor->chunk = get_u32le(data + AT_CHUNK);
    descriptor->unit = get_u32le(data + AT_UNIT);
    descriptor->origin_size = get_u32le(data + AT_ORIGIN_SIZE);
    descriptor->origin_crc = get_u32le(data + AT_ORIGIN_CRC);
    if (descriptor_size(descriptor->payload) != in.size ||
        descriptor->origin_size > BLOB_ORIGIN_MAX) {
        return -EBADMSG;
    }
    return 0;
}
