/*
 * Composites: slices of stored blobs, in the order of their bytes.
 *
 * A part of an object is one slice, or several if the bytes of the part had
 * been put together before: then the first says how many.
 */
#include "s3/multipart.h"

void composite_put(struct meta_batch *batch, uint64_t id, Meta__Part **parts,
                   size_t count)
{
    struct meta_referrer composite = {.kind = META_REFERRER_BLOB, .blob = id};
    Meta__Blob record = META__BLOB__INIT;

    record.n_parts = count;
    record.parts = parts;
    meta_put_blob(batch, id, &record, 0);
    for (size_t i = 0; i < count; i++) {
        if (parts[i]->blob != 0) {
            meta_add_ref(batch, parts[i]->blob, &composite);
        }
    }
}

static size_t slices_of(const Meta__Part *first, size_t left)
{
    size_t count = first->slices > 1 ? first->slices : 1;

    return count < left ? count : left;
}

Meta__Part **composite_parts(struct arena *arena, const Meta__Blob *composite,
                             size_t *count)
{
    Meta__Part **parts =
        arena_alloc(arena, (composite->n_parts + 1) * sizeof(*parts));
    size_t at = 0;

    *count = 0;
    while (at < composite->n_parts) {
        size_t end =
            at + slices_of(composite->parts[at], composite->n_parts - at);
        Meta__Part *part = arena_alloc(arena, sizeof(*part));

        *part = *composite->parts[at];
        while (++at < end) {
            part->size += composite->parts[at]->size;
        }
        parts[(*count)++] = part;
    }
    return parts;
}
