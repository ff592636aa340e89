#include "s3/version.h"

#include <string.h>
#include <sys/random.h>

struct slice version_new_id(struct arena *arena, uint64_t sequence)
{
    uint8_t raw[VERSION_ID_SIZE / 2];
    char *id = arena_alloc(arena, VERSION_ID_SIZE + 1);

    put_u64be(raw, ~sequence);
    invariant(getrandom(raw + 8, sizeof(raw) - 8, 0) ==
              (ssize_t)sizeof(raw) - 8);
    hex_encode(id, raw, sizeof(raw));
    return slice_of(id, VERSION_ID_SIZE);
}

bool version_well_formed(struct slice id)
{
    if (slice_equal_string(id, "null")) {
        return true;
    }
    for (size_t i = 0; i < id.size; i++) {
        uint8_t c = id.data[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
            !(c >= 'A' && c <= 'Z') && c != '.' && c != '_' && c != '-') {
            return false;
        }
    }
    return id.size == VERSION_ID_SIZE;
}

bool version_sequence(struct slice id, uint64_t *sequence)
{
    uint8_t raw[8];

    if (id.size != VERSION_ID_SIZE ||
        hex_decode(raw, slice_of(id.data, 2 * sizeof(raw))) != 0) {
        return false;
    }
    *sequence = ~get_u64be(raw);
    return *sequence != 0;
}

struct slice version_name(const Meta__Object *object)
{
    return object->version_id.len > 0 ? pb_slice(object->version_id)
                                      : SLICE_LITERAL("null");
}

struct slice version_shown(const Meta__Bucket *bucket,
                           const Meta__Object *object)
{
    return bucket->versioning == META__BUCKET__VERSIONING__UNVERSIONED
               ? slice_of(NULL, 0)
               : version_name(object);
}

void version_header(struct s3_call *call, const Meta__Object *object)
{
    struct slice shown = version_shown(call->bucket, object);

    if (shown.data != NULL) {
        call_header_slice(call, "x-amz-version-id", shown);
    }
}
