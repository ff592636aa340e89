/*
 * What a worker does with a slot of the hot index, whatever it holds.
 */
#include "fuzz.h"

#include "hot/region.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint64_t copy[HOT_PAYLOAD_MAX / 8];
    static union {
        struct hot_header header;
        uint8_t bytes[HOT_PAGE + HOT_PAGE + HOT_WAYS * HOT_SLOT_MIN];
    } region __attribute__((aligned(8)));
    struct hot_slot *slot = (struct hot_slot *)&region.bytes[2 * HOT_PAGE];
    struct hot_found found;
    struct hot_field field;
    struct hot_view view;
    uint8_t *exact = input_copy((struct input){data, size});
    size_t at = 0;

    if (hot_parse(exact, size, &found)) {
        while (hot_next_field(&found, &at, &field)) {
        }
        (void)hot_may_read(&found, "AKIA", 4, 1);
    }
    free(exact);
    region.header.magic = HOT_MAGIC;
    region.header.version = HOT_VERSION;
    region.header.sets = 1;
    region.header.slot_size = HOT_SLOT_MIN;
    region.header.robust.alive = 1;
    MUST(hot_view_open(&view, &region, sizeof(region)));
    if (size > view.payload_max) {
        return 0;
    }
    slot->hash = hot_question_hash(&view, "k", 1);
    slot->size = (uint32_t)size;
    slot->crc = crc32c(0, data, size);
    memcpy(slot->payload, data, size);
    (void)hot_find(&view, "k", 1, copy, &found);
    return 0;
}
