/* What it would mean if a drive were gone for good. */
#include "care/private.h"

#include <errno.h>

static unsigned shards_on(const Layout__Layout *layout, unsigned drive)
{
    unsigned shards = 0;

    for (size_t i = 0; i < layout->n_chunks; i++) {
        for (size_t j = 0; j < layout->chunks[i]->n_shards; j++) {
            shards += layout->chunks[i]->shards[j]->drive_plus_one == drive + 1;
        }
    }
    return shards;
}

static int add_blob(struct care *care, const Layout__Layout *layout,
                    unsigned drive, struct care_loss *loss)
{
    const unsigned shards = shards_on(layout, drive);
    struct blob_health health;
    int error;

    if (shards == 0) {
        return 0;
    }
    error = blob_look(care->options.blobs, layout, drive, &health);
    if (error != 0) {
        loss->unknown += error == -EBADMSG;
        return error == -EBADMSG ? 0 : error;
    }
    loss->blobs++;
    loss->shards += shards;
    loss->unreadable += health.losses_left < 0;
    loss->critical += health.losses_left == 0;
    return 0;
}

int care_without(struct care *care, unsigned drive, struct care_loss *loss)
{
    uint64_t blob = 0;
    int error = 0;

    *loss = (struct care_loss){0};
    while (error == 0) {
        struct arena *arena = arena_new();
        const uint64_t before = blob;
        Meta__Blob *record;

        error = atomic_load(&care->stopping)
                    ? -ECANCELED
                    : meta_next_blob(care->options.meta, arena, before, &blob,
                                     &record);
        if (error == 0 && record->layout != NULL) {
            error = add_blob(care, record->layout, drive, loss);
        } else if (error == -EBADMSG && blob > before) {
            loss->unknown++;
            error = 0;
        }
        arena_free(arena);
    }
    return error == -ENOENT ? 0 : error;
}
