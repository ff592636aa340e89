/*
 * The envelope around every record:
 *
 *   0  2  magic 'S' 'R'
 *   2  1  version, 1
 *   3  1  type, enum meta_record
 *   4  4  CRC32C of type and payload, little-endian
 *   8     payload: a message of records.proto
 */
#include "meta/private.h"

#include <errno.h>
#include <limits.h>

#define MAGIC_0       'S'
#define MAGIC_1       'R'
#define VERSION       1
#define ENVELOPE_SIZE 8

/* Of one byte, which would take as long as two hundred. */
static uint32_t type_crcs[256];

__attribute__((constructor)) static void fill_type_crcs(void)
{
    for (unsigned i = 0; i < 256; i++) {
        const uint8_t type = (uint8_t)i;

        type_crcs[i] = crc32c_bytes(&type, 1);
    }
}

static uint32_t envelope_crc(uint8_t type, const uint8_t *payload, size_t size)
{
    return crc32c_extend(type_crcs[type], payload, size);
}

struct slice meta_pack(struct arena *arena, enum meta_record type,
                       const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *out;

    invariant(size <= INT_MAX);
    out = arena_alloc(arena, ENVELOPE_SIZE + size);
    invariant(protobuf_c_message_pack(message, out + ENVELOPE_SIZE) == size);
    out[0] = MAGIC_0;
    out[1] = MAGIC_1;
    out[2] = VERSION;
    out[3] = (uint8_t)type;
    put_u32le(out + 4, envelope_crc(out[3], out + ENVELOPE_SIZE, size));
    return slice_of(out, ENVELOPE_SIZE + size);
}

int record_open(enum meta_record type, struct slice value,
                struct slice *payload)
{
    const uint8_t *in = value.data;

    if (value.size < ENVELOPE_SIZE || value.size - ENVELOPE_SIZE > INT_MAX ||
        in[0] != MAGIC_0 || in[1] != MAGIC_1 || in[2] != VERSION ||
        in[3] != type) {
        return -EBADMSG;
    }
    *payload = slice_of(in + ENVELOPE_SIZE, value.size - ENVELOPE_SIZE);
    return get_u32le(in + 4) ==
                   envelope_crc(in[3], payload->data, payload->size)
               ? 0
               : -EBADMSG;
}

int meta_unpack(struct arena *arena, enum meta_record type,
                const ProtobufCMessageDescriptor *descriptor,
                struct slice value, ProtobufCMessage **message)
{
    struct slice payload;
    int rc = record_open(type, value, &payload);

    if (rc != 0) {
        return rc;
    }
    *message =
        protobuf_c_message_unpack(descriptor, arena_protobuf_allocator(arena),
                                  payload.size, payload.data);
    return *message != NULL ? 0 : -EBADMSG;
}

static struct slice of_bytes(ProtobufCBinaryData bytes)
{
    return slice_of(bytes.data, bytes.len);
}

int record_bucket(struct arena *arena, struct slice value, struct slice name,
                  Meta__Bucket **bucket)
{
    int rc = meta_unpack(arena, META_RECORD_BUCKET, &meta__bucket__descriptor,
                         value, (ProtobufCMessage **)bucket);

    if (rc == 0 &&
        ((*bucket)->id == 0 || !slice_equal(of_bytes((*bucket)->name), name))) {
        return -EBADMSG;
    }
    return rc;
}

int record_object(struct arena *arena, struct slice value, struct slice rest,
                  Meta__Object **object)
{
    int rc = meta_unpack(arena, META_RECORD_OBJECT, &meta__object__descriptor,
                         value, (ProtobufCMessage **)object);

    if (rc == 0 &&
        (rest.size != 8 || (*object)->sequence != ~get_u64be(rest.data))) {
        return -EBADMSG;
    }
    return rc;
}

int record_upload(struct arena *arena, struct slice value, struct slice id,
                  Meta__Upload **upload)
{
    int rc = meta_unpack(arena, META_RECORD_UPLOAD, &meta__upload__descriptor,
                         value, (ProtobufCMessage **)upload);

    if (rc == 0 && !slice_equal(of_bytes((*upload)->id), id)) {
        return -EBADMSG;
    }
    return rc;
}
