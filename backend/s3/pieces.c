#include "s3/pieces.h"
#include "s3/writer.h"

#include <stdlib.h>

struct piece {
    uint64_t blob;
    uint64_t size;
    struct s3_writer *writer; /* NULL after finish */
    Layout__Layout *layout;
};

struct s3_pieces {
    const Meta__Object *object;
    struct memory *bytes; /* of the piece being collected; or NULL */
    size_t filled, full;  /* how many there are, and are to be */
    struct piece *pieces;
    size_t count, room;
};

void pieces_open(struct s3_call *call, const Meta__Object *object)
{
    invariant(call->pieces == NULL);
    call->pieces = xcalloc(1, sizeof(*call->pieces));
    call->pieces->object = object;
}

static bool finish_piece(struct s3_call *call, struct piece *piece)
{
    int error = writer_finish(piece->writer, &piece->layout);

    piece->writer = NULL; /* freed, also on error */
    if (error != 0) {
        piece->layout = NULL;
        call_fail_errno(call, error, "making a blob durable");
    }
    return error == 0;
}

static struct piece *add_piece(struct s3_pieces *pieces)
{
    if (pieces->count == pieces->room) {
        pieces->room = pieces->room == 0 ? 8 : 2 * pieces->room;
        pieces->pieces =
            xrealloc(pieces->pieces, pieces->room * sizeof(*pieces->pieces));
    }
    pieces->pieces[pieces->count] = (struct piece){0};
    return &pieces->pieces[pieces->count++];
}

/* The disks sync a piece while the next one comes. */
static bool write_piece(struct s3_call *call, unsigned number)
{
    struct s3_pieces *pieces = call->pieces;
    struct piece *piece = add_piece(pieces);
    int error;

    piece->size = pieces->filled;
    error = object_open_blob(call, pieces->object, slice_of(NULL, 0), number,
                             piece->size, &piece->blob, &piece->writer);
    if (error == 0) {
        error =
            writer_append(piece->writer, pieces->bytes->bytes, pieces->filled);
    }
    memory_drop(pieces->bytes);
    pieces->bytes = NULL;
    pieces->filled = 0;
    if (error != 0) {
        call_fail_errno(call, error, "storing a body");
        return false;
    }
    return pieces->count == 1 ||
           finish_piece(call, &pieces->pieces[pieces->count - 2]);
}

/* No file is longer than the form around it. */
static void begin_piece(struct s3_pieces *pieces, uint64_t form)
{
    const size_t full = memory_short() ? PIECE_LEAST : PIECE_SIZE;

    pieces->full = form > 0 && form < full ? (size_t)form : full;
    pieces->bytes = memory_new(pieces->full);
}

bool pieces_append(struct s3_call *call, struct slice data)
{
    struct s3_pieces *pieces = call->pieces;

    while (data.size > 0) {
        if (pieces->bytes != NULL && pieces->filled == pieces->full &&
            !write_piece(call, (unsigned)pieces->count + 1)) {
            return false;
        }
        if (pieces->bytes == NULL) {
            begin_piece(pieces, call->request->content_length);
        }
        size_t room = pieces->full - pieces->filled;
        size_t size = data.size < room ? data.size : room;

        memcpy(pieces->bytes->bytes + pieces->filled, data.data, size);
        pieces->filled += size;
        data = slice_of(data.data + size, data.size - size);
    }
    return true;
}

static void put_piece(struct meta_batch *batch, const struct piece *piece)
{
    Meta__Blob record = META__BLOB__INIT;

    record.layout = piece->layout;
    meta_put_blob(batch, piece->blob, &record, blob_losses_left(piece->layout));
}

/* The record that joins the pieces holds a reference to each. */
static uint64_t put_composite(struct s3_call *call, struct meta_batch *batch)
{
    const struct s3_pieces *pieces = call->pieces;
    struct meta_referrer composite = {
        .kind = META_REFERRER_BLOB, .blob = meta_next_id(call->service->meta)};
    Meta__Blob record = META__BLOB__INIT;

    record.n_parts = pieces->count;
    record.parts =
        arena_alloc(call->arena, pieces->count * sizeof(*record.parts));
    for (size_t i = 0; i < pieces->count; i++) {
        Meta__Part *part = arena_alloc(call->arena, sizeof(*part));

        meta__part__init(part);
        part->number = (uint32_t)i + 1;
        part->blob = pieces->pieces[i].blob;
        part->size = pieces->pieces[i].size;
        record.parts[i] = part;
        meta_add_ref(batch, part->blob, &composite);
    }
    meta_put_blob(batch, composite.blob, &record, 0);
    return composite.blob;
}

bool pieces_finish(struct s3_call *call, struct meta_batch *batch,
                   uint64_t *blob)
{
    struct s3_pieces *pieces = call->pieces;
    unsigned last = pieces->count > 0 ? (unsigned)pieces->count + 1 : 0;

    *blob = 0;
    if (pieces->filled == 0 && pieces->count == 0) {
        return true;
    }
    invariant(pieces->filled > 0); /* a full one waits for more */
    if (!write_piece(call, last) ||
        !finish_piece(call, &pieces->pieces[pieces->count - 1])) {
        return false;
    }
    for (size_t i = 0; i < pieces->count; i++) {
        put_piece(batch, &pieces->pieces[i]);
    }
    *blob = pieces->count == 1 ? pieces->pieces[0].blob
                               : put_composite(call, batch);
    return true;
}

void pieces_free(struct s3_call *call)
{
    struct s3_pieces *pieces = call->pieces;

    if (pieces == NULL) {
        return;
    }
    for (size_t i = 0; i < pieces->count; i++) {
        writer_abort(pieces->pieces[i].writer);
        if (pieces->pieces[i].layout != NULL) {
            layout__layout__free_unpacked(pieces->pieces[i].layout, NULL);
        }
    }
    free(pieces->pieces);
    memory_drop(pieces->bytes);
    free(pieces);
    call->pieces = NULL;
}
