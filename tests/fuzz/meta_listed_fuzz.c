/*
 * What a listing reads of a record is what unpacking the record gives.
 */
#include "fuzz.h"

#include "meta/private.h"

static struct slice of_bytes(ProtobufCBinaryData bytes)
{
    return slice_of(bytes.data, bytes.len);
}

static struct slice enveloped(struct arena *arena, struct input payload)
{
    uint8_t *record = arena_alloc(arena, 8 + payload.size);

    memcpy(record, "SR\x01\x03", 4);
    if (payload.size > 0) {
        memcpy(record + 8, payload.data, payload.size);
    }
    put_u32le(record + 4, crc32c_extend(crc32c_bytes(record + 3, 1), record + 8,
                                        payload.size));
    return slice_of(record, 8 + payload.size);
}

static void check_same(const Meta__Object *object,
                       const struct meta_listed *listed)
{
    const Meta__Checksum none = META__CHECKSUM__INIT;
    const Meta__Checksum *checksum =
        object->checksum != NULL ? object->checksum : &none;

    MUST(listed->sequence == object->sequence);
    MUST(listed->mtime_ms == object->mtime_ms);
    MUST(listed->size == object->size);
    MUST(slice_equal(listed->etag, of_bytes(object->etag)));
    MUST(slice_equal(listed->owner, of_bytes(object->owner)));
    MUST(slice_equal(listed->storage_class, of_bytes(object->storage_class)));
    MUST(slice_equal(listed->version_id, of_bytes(object->version_id)));
    MUST(listed->delete_marker == (object->delete_marker != 0));
    MUST(listed->checksum == checksum->algorithm);
    MUST(listed->checksum_type == checksum->type);
}

/* As s3d writes it: each field once. */
static void check_packed(struct arena *arena, const Meta__Object *object)
{
    struct meta_listed listed;
    uint8_t rest[8];

    put_u64be(rest, ~object->sequence);
    MUST(record_listed(meta_pack(arena, META_RECORD_OBJECT, &object->base),
                       slice_of(rest, sizeof(rest)), &listed) == 0);
    check_same(object, &listed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct slice record = enveloped(arena, (struct input){data, size});
    struct meta_listed listed;
    Meta__Object *object;
    uint8_t rest[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    (void)record_listed(record, slice_of(rest, sizeof(rest)), &listed);
    if (meta_unpack(arena, META_RECORD_OBJECT, &meta__object__descriptor,
                    record, (ProtobufCMessage **)&object) == 0) {
        check_packed(arena, object);
    }
    arena_free(arena);
    return 0;
}
