/* A blob coded anew: for other drives than those that it was coded for. */
#include "blob/writer.h"

#include <errno.h>
#include <stdlib.h>

#define PIECE_SIZE (1u << 20) /* bytes read at once */

/* What its shards say of the object, from the first that is good. */
static int read_origin(struct blob_store *store, const Layout__Layout *layout,
                       struct shard_label *label)
{
    struct chunk chunk;
    int error = -EIO;

    chunk_open(&chunk, store, layout, 0);
    chunk_quiet(&chunk);
    for (unsigned i = 0; i < chunk.message->n_shards && error != 0; i++) {
        error = chunk_read_label(&chunk, i, label);
    }
    chunk_close(&chunk);
    return error;
}

static int copy_bytes(struct blob_store *store, const Layout__Layout *layout,
                      const struct blob_pace *pace, struct blob_writer *writer)
{
    uint8_t *piece = xmalloc(PIECE_SIZE);
    int error = 0;

    for (uint64_t at = 0; at < layout->size && error == 0; at += PIECE_SIZE) {
        const uint64_t rest = layout->size - at;
        const size_t size = rest < PIECE_SIZE ? (size_t)rest : PIECE_SIZE;

        if (!pace_spend(pace,
                        size + size * writer->shards / writer->profile.k)) {
            error = -ECANCELED;
            break;
        }
        error = blob_read(store, layout, at, piece, size);
        if (error == 0) {
            error = blob_writer_append(writer, piece, size);
        }
    }
    free(piece);
    return error;
}

/* Takes over the writer. */
static int write_all(struct blob_store *store, const Layout__Layout *layout,
                     const struct blob_pace *pace, struct blob_writer *writer,
                     Layout__Layout **now)
{
    int error = writer->profile.m < layout->m
                    ? -ENOSPC
                    : copy_bytes(store, layout, pace, writer);

    if (error != 0) {
        blob_writer_abort(writer);
        return error;
    }
    error = blob_writer_finish(writer, now);
    if (error == 0 && blob_degraded(*now)) {
        layout__layout__free_unpacked(*now, NULL);
        *now = NULL;
        error = -ENODEV;
    }
    return error;
}

int blob_rewrite(struct blob_store *store, const Layout__Layout *layout,
                 const struct blob_pace *pace, Layout__Layout **now)
{
    struct shard_label *label = xmalloc(sizeof(*label));
    struct blob_spec spec = {.blob = layout->blob, .size = layout->size};
    struct blob_writer *writer;
    int error = layout_check(layout);

    *now = NULL;
    if (error == 0) {
        error =
            layout->n_chunks > 0 ? read_origin(store, layout, label) : -EBADMSG;
    }
    if (error == 0) {
        spec.origin = slice_of(label->origin, label->descriptor.origin_size);
        error = blob_writer_open(store, &spec, &writer);
    }
    free(label); /* the writer has its own copy */
    return error == 0 ? write_all(store, layout, pace, writer, now) : error;
}
