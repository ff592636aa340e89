/* The bytes of the archive's files: docs/disk-format.md, 'archive/'. */
#include "archive/private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#define HEADER_MAGIC   "S3DARCHV"
#define HEADER_VERSION 1
#define BLOCK_MAGIC    "JS3B"
#define DEFLATE_LEVEL  1 /* records deflate well, and time counts */
#define CRC_FROM       8 /* of a block */

void archive_header_encode(uint8_t out[ARCHIVE_HEADER_SIZE],
                           const struct archive_header *header)
{
    memset(out, 0, ARCHIVE_HEADER_SIZE);
    memcpy(out, HEADER_MAGIC, 8);
    put_u16le(out + 8, HEADER_VERSION);
    out[10] = (uint8_t)header->kind;
    memcpy(out + 16, header->cluster, DRIVE_UUID_SIZE);
    put_u64le(out + 32, header->generation);
    put_u64le(out + 40, header->before);
    put_u64le(out + 48, header->before_blocks);
    put_u64le(out + 56, header->created_ms);
    memcpy(out + 64, header->position.store, KV_STORE_ID_SIZE);
    put_u64le(out + 80, header->position.commit);
    put_u32le(out + 88, header->crc);
    put_u32le(out + ARCHIVE_HEADER_SIZE - 4,
              crc32c_bytes(out, ARCHIVE_HEADER_SIZE - 4));
}

int archive_header_decode(const uint8_t in[ARCHIVE_HEADER_SIZE],
                          struct archive_header *header)
{
    if (memcmp(in, HEADER_MAGIC, 8) != 0 ||
        get_u16le(in + 8) != HEADER_VERSION || in[10] < ARCHIVE_SNAPSHOT ||
        in[10] > ARCHIVE_JOURNAL ||
        get_u32le(in + ARCHIVE_HEADER_SIZE - 4) !=
            crc32c_bytes(in, ARCHIVE_HEADER_SIZE - 4)) {
        return -EBADMSG;
    }
    header->kind = in[10];
    memcpy(header->cluster, in + 16, DRIVE_UUID_SIZE);
    header->generation = get_u64le(in + 32);
    header->before = get_u64le(in + 40);
    header->before_blocks = get_u64le(in + 48);
    header->created_ms = get_u64le(in + 56);
    memcpy(header->position.store, in + 64, KV_STORE_ID_SIZE);
    header->position.commit = get_u64le(in + 80);
    header->crc = get_u32le(in + 88);
    return 0;
}

/* --- blocks ----------------------------------------------------------------*/

void archive_block_encode(struct buffer *out, const struct archive_block *block,
                          struct slice changes)
{
    uLongf stored = compressBound(changes.size);
    uint8_t *at;

    invariant(changes.size <= ARCHIVE_BLOCK_MAX);
    buffer_reserve(out, out->size + ARCHIVE_BLOCK_SIZE + stored);
    at = out->data + out->size;
    if (changes.size == 0) {
        stored = 0;
    } else {
        invariant(compress2(at + ARCHIVE_BLOCK_SIZE, &stored, changes.data,
                            changes.size, DEFLATE_LEVEL) == Z_OK);
    }
    memset(at, 0, ARCHIVE_BLOCK_SIZE);
    memcpy(at, BLOCK_MAGIC, 4);
    put_u32le(at + 8, (uint32_t)changes.size);
    put_u32le(at + 12, (uint32_t)stored);
    at[16] = block->last;
    put_u64le(at + 24, block->number);
    put_u64le(at + 32, block->generation);
    put_u64le(at + 40, block->written_ms);
    put_u64le(at + 48, block->mark);
    put_u32le(at + 4, crc32c_bytes(at + CRC_FROM,
                                   ARCHIVE_BLOCK_SIZE - CRC_FROM + stored));
    out->size += ARCHIVE_BLOCK_SIZE + stored;
}

int archive_block_sizes(const uint8_t in[ARCHIVE_BLOCK_SIZE], size_t *stored,
                        size_t *changes)
{
    *changes = get_u32le(in + 8);
    *stored = get_u32le(in + 12);
    if (memcmp(in, BLOCK_MAGIC, 4) != 0 || *changes > ARCHIVE_BLOCK_MAX ||
        *stored > compressBound(*changes)) {
        return -EBADMSG;
    }
    return 0;
}

static int inflate_all(struct slice stored, size_t size, struct buffer *out)
{
    uLongf inflated = size;

    out->size = 0;
    if (size == 0) {
        return stored.size == 0 ? 0 : -EBADMSG;
    }
    buffer_reserve(out, size);
    if (uncompress(out->data, &inflated, stored.data, stored.size) != Z_OK ||
        inflated != size) {
        return -EBADMSG;
    }
    out->size = size;
    return 0;
}

int archive_block_decode(struct slice in, struct archive_block *block,
                         struct buffer *changes)
{
    size_t stored, size;

    if (in.size < ARCHIVE_BLOCK_SIZE ||
        archive_block_sizes(in.data, &stored, &size) != 0 ||
        in.size != ARCHIVE_BLOCK_SIZE + stored ||
        get_u32le(in.data + 4) !=
            crc32c_bytes(in.data + CRC_FROM, in.size - CRC_FROM)) {
        return -EBADMSG;
    }
    block->last = in.data[16] == 1;
    block->number = get_u64le(in.data + 24);
    block->generation = get_u64le(in.data + 32);
    block->written_ms = get_u64le(in.data + 40);
    block->mark = get_u64le(in.data + 48);
    return inflate_all(slice_of(in.data + ARCHIVE_BLOCK_SIZE, stored), size,
                       changes);
}

/* --- names -----------------------------------------------------------------*/

void archive_name(char out[ARCHIVE_NAME_SIZE], uint64_t generation,
                  enum archive_kind kind, bool complete)
{
    snprintf(out, ARCHIVE_NAME_SIZE, "%016llx.%s",
             (unsigned long long)generation,
             kind == ARCHIVE_LOG ? "log"
             : complete          ? "snapshot"
                                 : "snapshot.new");
}

bool archive_name_parse(const char *name, uint64_t *generation,
                        enum archive_kind *kind, bool *complete)
{
    const char *dot = strchr(name, '.');
    char again[ARCHIVE_NAME_SIZE];
    uint8_t number[8];

    if (dot == NULL || dot - name != 16 ||
        hex_decode(number, slice_of(name, 16)) != 0) {
        return false;
    }
    *generation = get_u64be(number);
    *kind = strcmp(dot, ".log") == 0 ? ARCHIVE_LOG : ARCHIVE_SNAPSHOT;
    *complete = strcmp(dot, ".snapshot.new") != 0;
    archive_name(again, *generation, *kind, *complete);
    return strcmp(name, again) == 0;
}

char *archive_path(const char *directory, const char *name)
{
    struct buffer path = {0};

    buffer_printf(&path, "%s/" ARCHIVE_DIRECTORY "%s%s", directory,
                  name[0] != '\0' ? "/" : "", name);
    buffer_append(&path, "", 1);
    return (char *)path.data;
}
