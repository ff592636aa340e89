/*
 * The bytes of a reply's body, piece by piece: named as segments of files
 * where the worker can read them, otherwise read here. Sealed bytes are never
 * named.
 */
#include "s3/call.h"
#include "s3/limits.h"
#include "s3/reader.h"
#include "s3/sse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_MAX      (128u << 10) /* bytes: not worth opening files for */
#define SEGMENTS_MAX   256u         /* of a window, in units of 256 KiB */
#define WINDOW_FIRST   (1ull << 20)
#define WINDOW_LAST    (8ull << 20)
#define WINDOW_TRUSTED (64ull << 20) /* nothing is read before it is named */

struct s3_source {
    struct blob_store *blobs;
    struct s3_reader *reader;
    uint64_t blob;
    uint64_t position, end; /* bytes of the blob */
    size_t buffer_size;
    bool may_name; /* the worker can open files */
    bool segments;
    enum blob_verify verify;
    uint64_t window, window_start;
    uint64_t turn; /* the most to be named at once: limits of bandwidth */
    struct arena *arena;
    uint8_t *buffer; /* of a DATA piece; heap, when first needed */
    bool primed;
    struct s3_piece piece;
    Wire__Segments message;
    struct named *named; /* what `message` points to, when first needed */
};

struct named {
    Wire__Segment segments[SEGMENTS_MAX], *list[SEGMENTS_MAX];
};

static enum blob_verify how_to_verify(const Wire__Request *request)
{
    if (!request->verify) {
        return BLOB_VERIFY_NOTHING;
    }
    return request->compares_files ? BLOB_VERIFY_FILE : BLOB_VERIFY_PATH;
}

int source_open(struct s3_call *call, uint64_t blob, const struct sse *sse,
                uint64_t offset, uint64_t size)
{
    struct s3_source *source = arena_zalloc(call->arena, sizeof(*source));
    struct reader_place place;

    invariant(call->source == NULL);
    source->reader = reader_open(call->service, blob, sse_key(sse));
    source->blobs = call->service->blobs;
    source->blob = blob;
    source->may_name =
        call->request->segments && !reader_is_sealed(source->reader);
    source->verify = how_to_verify(call->request);
    source->window =
        source->verify != BLOB_VERIFY_NOTHING ? WINDOW_FIRST : WINDOW_TRUSTED;
    source->arena = call->arena;
    call->source = source;
    source_seek(call, offset, size);
    return size == 0 ? 0 : reader_find(source->reader, offset, &place);
}

void source_seek(struct s3_call *call, uint64_t offset, uint64_t size)
{
    struct s3_source *source = call->source;
    size_t wanted = size < FRAME_DATA_MAX ? (size_t)size : FRAME_DATA_MAX;

    invariant(!source->primed);
    source->position = offset;
    source->end = offset + size;
    source->segments = source->may_name && size > SMALL_MAX;
    if (source->buffer_size < wanted) {
        free(source->buffer);
        source->buffer = NULL;
        source->buffer_size = wanted;
    }
}

void source_free(struct s3_call *call)
{
    struct s3_source *source = call->source;

    if (source == NULL) {
        return;
    }
    reader_close(source->reader);
    free(source->buffer);
    call->source = NULL;
}

static void name(struct s3_source *source, const struct blob_segment *segments,
                 unsigned count)
{
    struct named *named = source->named;

    if (named == NULL) {
        named = arena_alloc(source->arena, sizeof(*named));
        source->named = named;
    }
    for (unsigned i = 0; i < count; i++) {
        Wire__Segment *segment = named->list[i] = &named->segments[i];

        wire__segment__init(segment);
        segment->drive = segments[i].drive;
        segment->extent = segments[i].extent;
        segment->offset = segments[i].offset;
        segment->length = segments[i].length;
        segment->device = segments[i].file.device;
        segment->inode = segments[i].file.number;
    }
    wire__segments__init(&source->message);
    source->message.n_segments = count;
    source->message.segments = named->list;
}

/* Up to one window of segments. Returns the bytes covered, maybe none. */
static uint64_t name_segments(struct s3_source *source)
{
    struct blob_segment segments[SEGMENTS_MAX];
    uint64_t rest = source->end - source->position, total = 0;
    uint64_t most =
        source->window < source->turn ? source->window : source->turn;
    uint64_t want = rest < most ? rest : most;
    unsigned count = 0;

    while (total < want && count < SEGMENTS_MAX) {
        uint64_t covered = 0, size = want - total;
        struct reader_place place;
        int added;

        if (reader_find(source->reader, source->position + total, &place) !=
            0) {
            break; /* a read says what is wrong */
        }
        if (size > place.left) {
            size = place.left;
        }
        added = blob_segments(source->blobs, place.layout, place.offset, size,
                              source->verify, segments + count,
                              SEGMENTS_MAX - count, &covered);
        if (added <= 0) {
            break;
        }
        count += (unsigned)added;
        total += covered;
        if (covered < size) {
            break;
        }
    }
    name(source, segments, count);
    return total;
}

/* Where files serve the rest, only up to the unit's end: the bad shard. A
 * sealed block is opened once: a piece ends where one does. */
static size_t data_size(struct s3_source *source,
                        const struct reader_place *place)
{
    bool sealed = reader_is_sealed(source->reader);
    uint64_t size = source->end - source->position;
    uint64_t unit =
        place->layout->unit > 0 ? place->layout->unit : FRAME_DATA_MAX;

    if (size > FRAME_DATA_MAX) {
        size = FRAME_DATA_MAX;
    }
    if (sealed) {
        unit = FRAME_DATA_MAX; /* a multiple of a block */
    }
    if (source->segments || sealed) {
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
    struct reader_place place;
    size_t size;
    int error = reader_find(source->reader, source->position, &place);

    if (error != 0) {
        return error;
    }
    size = data_size(source, &place);
    if (source->buffer == NULL) {
        source->buffer = xmalloc(source->buffer_size);
    }
    invariant(size <= source->buffer_size);
    error = reader_read(source->reader, source->position, source->buffer, size);
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
        uint64_t covered;

        if (source->verify != BLOB_VERIFY_NOTHING &&
            source->end - source->position > WINDOW_FIRST) {
            computing_long(); /* a window takes a quarter of a millisecond */
        }
        covered = name_segments(source);
        if (covered > 0) {
            source->window_start = source->position;
            source->position += covered;
            if (source->window < WINDOW_LAST) {
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
    source->turn = limits_turn_size(call, META_DOWNLOAD);
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
    source->turn = limits_turn_size(call, META_DOWNLOAD);
    error = next_piece(source, piece);
    if (error != 0) {
        log_error("reading blob %llu at %llu failed: %s",
                  (unsigned long long)source->blob,
                  (unsigned long long)source->position, strerror(-error));
        memset(piece, 0, sizeof(*piece));
        piece->kind = S3_PIECE_FAILED;
    }
}

struct slice source_primed(const struct s3_call *call)
{
    const struct s3_source *source = call->source;

    return source != NULL && source->primed &&
                   source->piece.kind == S3_PIECE_DATA
               ? source->piece.data
               : slice_of(NULL, 0);
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
    source->may_name = false;
    source->segments = false;
    source->position = source->window_start;
}
