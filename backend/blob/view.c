/*
 * A shard's bytes from the drive itself, a large piece at a time: what is in
 * memory says nothing of what the drive holds, and is left to others.
 */
#include "blob/private.h"

#include <stdlib.h>

#define VIEW_SIZE (1u << 20)

void view_open(struct view *view, struct chunk *chunk, unsigned shard)
{
    uint64_t payload = geometry_shard_size(&chunk->geometry, shard);

    *view = (struct view){
        .chunk = chunk,
        .shard = shard,
        .record = payload + descriptor_size(payload) + chunk->layout->origin,
    };
}

void view_close(struct view *view)
{
    free(view->data);
}

/* Reads a short record whole, a long one some way on from `offset`. */
static int view_fill(struct view *view, uint64_t offset, size_t size)
{
    uint64_t end = offset + size, from = offset, to = view->record;
    int error;

    if (view->record <= VIEW_SIZE && end <= view->record) {
        from = 0;
    } else if (to > from + VIEW_SIZE) {
        to = from + VIEW_SIZE;
    }
    to = to > end ? to : end;
    free(view->data);
    view->data = xmalloc(to - from);
    error = shard_read_direct(view->chunk, view->shard, from, view->data,
                              to - from);
    view->from = from;
    view->size = error == 0 ? to - from : 0;
    return error;
}

int view_read(struct view *view, uint64_t offset, size_t size,
              const uint8_t **bytes)
{
    int error = 0;

    if (size > 0 &&
        (offset < view->from || offset + size > view->from + view->size)) {
        error = view_fill(view, offset, size);
    }
    *bytes = view->data + (offset - view->from);
    return error;
}
