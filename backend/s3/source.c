/*
 * The bytes of an object, whatever blobs they are in.
 *
 * A blob's record is either a layout (a leaf) or a list of slices of other
 * blobs. A walk finds the leaf under a position; it keeps the composite
 * records it met and the last leaf only, so that an object of 10,000 parts
 * does not hold 10,000 layouts.
 */
#include "s3/call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX      16           /* composites of composites */
#define SMALL_MAX      (128u << 10) /* bytes: not worth opening files for */
#define SEGMENTS_MAX   64u
#define WINDOW_FIRST   (1ull << 20)
#define WINDOW_LAST    (8ull << 20)
#define WINDOW_TRUSTED (64ull << 20) /* nothing is read before it is named */

struct composite {
    struct composite *next;
    struct arena *arena; /* of this and the record */
    uint64_t blob;
    Meta__Blob *record;
};

struct walk {
    struct s3_service *service;
    struct composite *composites;
    struct arena *leaf_arena;
    uint64_t leaf_blob;
    Meta__Blob *leaf;
};

/* Where bytes are: `left` of them from `offset` of a stored blob. */
struct place {
    const Layout__Layout *layout;
    uint64_t offset, left;
};

struct s3_source {
    struct walk walk;
    uint64_t blob;
    uint64_t position, end; /* bytes of the blob */
    size_t buffer_size;
    bool segments, verify;
    uint64_t window, window_start;
    uint8_t *buffer; /* of a DATA piece; heap, when first needed */
    bool primed;
    struct s3_piece piece;
    Wire__Segments message;
    Wire__Segment wire[SEGMENTS_MAX], *wire_list[SEGMENTS_MAX];
};

static void walk_open(struct walk *walk, struct s3_service *service)
{
    *walk = (struct walk){.service = service};
}

static void walk_close(struct walk *walk)
{
    arena_free(walk->leaf_arena);
    walk->leaf_arena = NULL;
    while (walk->composites != NULL) {
        struct composite *composite = walk->composites;

        walk->composites = composite->next;
        arena_free(composite->arena);
    }
}

static int walk_fetch(struct walk *walk, uint64_t blob, Meta__Blob **record)
{
    struct composite *composite;
    struct arena *arena;
    int error;

    if (walk->leaf != NULL && walk->leaf_blob == blob) {
        *record = walk->leaf;
        return 0;
    }
    for (composite = walk->composites; composite; composite = composite->next) {
        if (composite->blob == blob) {
            *record = composite->record;
            return 0;
        }
    }
    arena = arena_new();
    error = meta_get_blob(walk->service->meta, arena, blob, record);
    if (error != 0) {
        arena_free(arena);
        return error;
    }
    if ((*record)->n_parts > 0) {
        composite = arena_alloc(arena, sizeof(*composite));
        *composite = (struct composite){walk->composites, arena, blob, *record};
        walk->composites = composite;
        return 0;
    }
    arena_free(walk->leaf_arena);
    walk->leaf_arena = arena;
    walk->leaf_blob = blob;
    walk->leaf = *record;
    return 0;
}

/* The part under `offset`, which becomes the offset inside that part. */
static const Meta__Part *part_at(const Meta__Blob *record, uint64_t *offset)
{
    for (size_t i = 0; i < record->n_parts; i++) {
        if (*offset < record->parts[i]->size) {
            return record->parts[i];
        }
        *offset -= record->parts[i]->size;
    }
    return NULL;
}

static int walk_find(struct walk *walk, uint64_t blob, uint64_t offset,
                     struct place *place)
{
    uint64_t left = UINT64_MAX;

    for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
        const Meta__Part *part;
        Meta__Blob *record;
        int error = walk_fetch(walk, blob, &record);

        if (error != 0) {
            return error;
        }
        if (record->n_parts == 0) {
            uint64_t rest;

            if (record->layout == NULL || offset >= record->layout->size) {
                return -EBADMSG;
            }
            rest = record->layout->size - offset;
            place->layout = record->layout;
            place->offset = offset;
            place->left = rest < left ? rest : left;
            return 0;
        }
        part = part_at(record, &offset);
        if (part == NULL) {
            return -EBADMSG;
        }
        if (part->size - offset < left) {
            left = part->size - offset;
        }
        blob = part->blob;
        offset += part->offset;
    }
    return -EBADMSG;
}

static int walk_read(struct walk *walk, uint64_t blob, uint64_t offset,
                     uint8_t *data, size_t size)
{
    while (size > 0) {
        struct place place;
        size_t now;
        int error = walk_find(walk, blob, offset, &place);

        if (error != 0) {
            return error;
        }
        now = place.left < size ? (size_t)place.left : size;
        error = blob_read(walk->service->blobs, place.layout, place.offset,
                          data, now);
        if (error != 0) {
            return error;
        }
        offset += now;
        data += now;
        size -= now;
    }
    return 0;
}

int source_open(struct s3_call *call, uint64_t blob, uint64_t offset,
                uint64_t size)
{
    struct s3_source *source = arena_zalloc(call->arena, sizeof(*source));
    struct place place;

    invariant(call->source == NULL);
    walk_open(&source->walk, call->service);
    source->blob = blob;
    source->position = offset;
    source->end = offset + size;
    source->buffer_size = size < FRAME_DATA_MAX ? (size_t)size : FRAME_DATA_MAX;
    source->segments = call->request->segments && size > SMALL_MAX;
    source->verify = call->request->verify;
    source->window = WINDOW_FIRST;
    call->source = source;
    return size == 0 ? 0 : walk_find(&source->walk, blob, offset, &place);
}

void source_free(struct s3_call *call)
{
    struct s3_source *source = call->source;

    if (source == NULL) {
        return;
    }
    walk_close(&source->walk);
    free(source->buffer);
    call->source = NULL;
}

/* Up to one window of segments. Returns the bytes covered, maybe none. */
static uint64_t name_segments(struct s3_source *source)
{
    struct blob_segment segments[SEGMENTS_MAX];
    uint64_t rest = source->end - source->position, total = 0;
    uint64_t want = rest < source->window ? rest : source->window;
    unsigned count = 0;

    while (total < want && count < SEGMENTS_MAX) {
        uint64_t covered = 0, size = want - total;
        struct place place;
        int added;

        if (walk_find(&source->walk, source->blob, source->position + total,
                      &place) != 0) {
            break; /* a read says what is wrong */
        }
        if (size > place.left) {
            size = place.left;
        }
        added = blob_segments(source->walk.service->blobs, place.layout,
                              place.offset, size, source->verify,
                              segments + count, SEGMENTS_MAX - count, &covered);
        if (added <= 0) {
            break;
        }
        count += (unsigned)added;
        total += covered;
        if (covered < size) {
            break;
        }
    }
    wire__segments__init(&source->message);
    for (unsigned i = 0; i < count; i++) {
        wire__segment__init(&source->wire[i]);
        source->wire[i].drive = segments[i].drive;
        source->wire[i].extent = segments[i].extent;
        source->wire[i].offset = segments[i].offset;
        source->wire[i].length = segments[i].length;
        source->wire_list[i] = &source->wire[i];
    }
    source->message.n_segments = count;
    source->message.segments = source->wire_list;
    return total;
}

/* Where files serve the rest, only up to the unit's end: the bad shard. */
static size_t data_size(struct s3_source *source, const struct place *place)
{
    uint64_t size = source->end - source->position;
    uint64_t unit =
        place->layout->unit > 0 ? place->layout->unit : FRAME_DATA_MAX;

    if (size > FRAME_DATA_MAX) {
        size = FRAME_DATA_MAX;
    }
    if (source->segments) {
        if (size > unit - place->offset % unit) {
            size = unit - place->offset % unit;
        }
        if (size > place->left) {
            size = place->left;
        }
    }
    return (size_t)size;
}

static int read_piece(struct s3_source *source, struct s3_piece *piece)
{
    struct place place;
    size_t size;
    int error =
        walk_find(&source->walk, source->blob, source->position, &place);

    if (error != 0) {
        return error;
    }
    size = data_size(source, &place);
    if (source->buffer == NULL) {
        source->buffer = xmalloc(source->buffer_size);
    }
    invariant(size <= source->buffer_size);
    error = walk_read(&source->walk, source->blob, source->position,
                      source->buffer, size);
    if (error != 0) {
        return error;
    }
    piece->kind = S3_PIECE_DATA;
    piece->data = slice_of(source->buffer, size);
    source->position += size;
    return 0;
}

static int next_piece(struct s3_source *source, struct s3_piece *piece)
{
    memset(piece, 0, sizeof(*piece));
    if (source->position == source->end) {
        piece->kind = S3_PIECE_END;
        return 0;
    }
    if (source->segments) {
        uint64_t limit = source->verify ? WINDOW_LAST : WINDOW_TRUSTED;
        uint64_t covered;

        if (source->verify) {
            computing_long();
        }
        covered = name_segments(source);
        if (covered > 0) {
            source->window_start = source->position;
            source->position += covered;
            if (!source->verify) {
                source->window = limit;
            } else if (source->window < limit) {
                source->window *= 2;
            }
            piece->kind = S3_PIECE_SEGMENTS;
            piece->segments = &source->message;
            return 0;
        }
    }
    return read_piece(source, piece);
}

int source_prime(struct s3_call *call)
{
    struct s3_source *source = call->source;
    int error;

    invariant(!source->primed);
    error = next_piece(source, &source->piece);
    source->primed = error == 0;
    return error;
}

void source_next(struct s3_call *call, struct s3_piece *piece)
{
    struct s3_source *source = call->source;
    int error;

    if (source->primed) {
        source->primed = false;
        *piece = source->piece;
        return;
    }
    error = next_piece(source, piece);
    if (error != 0) {
        log_error("reading blob %llu at %llu failed: %s",
                  (unsigned long long)source->blob,
                  (unsigned long long)source->position, strerror(-error));
        memset(piece, 0, sizeof(*piece));
        piece->kind = S3_PIECE_FAILED;
    }
}

bool source_has_segments(const struct s3_call *call)
{
    return call->source->segments;
}

void source_refuse_segments(struct s3_call *call)
{
    struct s3_source *source = call->source;

    if (!source->segments) {
        return;
    }
    source->segments = false;
    source->position = source->window_start;
}

int source_digest(struct s3_service *service, uint64_t blob, uint64_t offset,
                  uint64_t size, struct digester *digester)
{
    uint8_t *data = size > 0 ? xmalloc(FRAME_DATA_MAX) : NULL;
    struct walk walk;
    int error = 0;

    walk_open(&walk, service);
    while (size > 0 && error == 0) {
        size_t now = size < FRAME_DATA_MAX ? (size_t)size : FRAME_DATA_MAX;

        error = walk_read(&walk, blob, offset, data, now);
        if (error == 0) {
            digester_update(digester, data, now);
        }
        offset += now;
        size -= now;
    }
    walk_close(&walk);
    free(data);
    return error;
}
