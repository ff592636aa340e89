/*
 * A blob's record is either a layout (a leaf) or a list of slices of other
 * blobs. A reader finds the leaf under a position; it keeps the composite
 * records it met and the last leaf only, so that an object of 10,000 parts
 * does not hold 10,000 layouts.
 */
#include "s3/reader.h"
#include "crypt/crypt.h"
#include "s3/writer.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX    16 /* composites of composites */
#define SEALED_BLOCK (CRYPT_BLOCK_SIZE + CRYPT_TAG_SIZE)
/* A read of FRAME_DATA_MAX bytes touches one block more than it fills. */
#define WINDOW_BLOCKS (FRAME_DATA_MAX / CRYPT_BLOCK_SIZE + 1)

struct composite {
    struct composite *next;
    struct arena *arena; /* of this and the record */
    uint64_t blob;
    Meta__Blob *record;
};

struct s3_reader {
    struct s3_service *service;
    uint64_t blob;
    struct composite *composites;
    bool pinned; /* the blob stays (M5) */
    struct arena *leaf_arena;
    uint64_t leaf_blob;
    uint64_t leaf_generation; /* of the store before the leaf was read */
    Meta__Blob *leaf;
    Meta__Blob written; /* the leaf of reader_open_layout() */

    bool sealed;
    uint8_t key[CRYPT_KEY_SIZE];
    struct crypt_cipher *cipher; /* of `cipher_blob`; NULL: none yet */
    uint64_t cipher_blob;
    uint8_t *window; /* of sealed blocks; heap, when first needed */
};

static struct s3_reader *reader_new(struct s3_service *service, uint64_t blob,
                                    const uint8_t *key)
{
    struct s3_reader *reader = xcalloc(1, sizeof(*reader));

    reader->service = service;
    reader->blob = blob;
    reader->sealed = key != NULL;
    if (key != NULL) {
        memcpy(reader->key, key, CRYPT_KEY_SIZE);
    }
    return reader;
}

struct s3_reader *reader_open(struct s3_service *service, uint64_t blob,
                              const uint8_t *key)
{
    struct s3_reader *reader = reader_new(service, blob, key);

    reader->pinned = meta_pin_blob(service->meta, blob) == 0;
    return reader;
}

struct s3_reader *reader_open_layout(struct s3_service *service, uint64_t blob,
                                     Layout__Layout *layout, const uint8_t *key)
{
    struct s3_reader *reader = reader_new(service, blob, key);

    meta__blob__init(&reader->written);
    reader->written.layout = layout;
    reader->leaf = &reader->written;
    reader->leaf_blob = blob;
    return reader;
}

void reader_close(struct s3_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    if (reader->pinned) {
        meta_unpin_blob(reader->service->meta, reader->blob);
    }
    arena_free(reader->leaf_arena);
    while (reader->composites != NULL) {
        struct composite *composite = reader->composites;

        reader->composites = composite->next;
        arena_free(composite->arena);
    }
    crypt_cipher_free(reader->cipher);
    OPENSSL_cleanse(reader->key, sizeof(reader->key));
    free(reader->window);
    free(reader);
}

bool reader_is_sealed(const struct s3_reader *reader)
{
    return reader->sealed;
}

/* --- where bytes are -------------------------------------------------------*/
/* An extent that the leaf named may have been removed since it was read; what
 * was just written is not in the metadata and is not moved. */
static bool leaf_is_old(const struct s3_reader *reader)
{
    return reader->leaf != &reader->written &&
           reader->leaf_generation != blob_generation(reader->service->blobs);
}

static int fetch(struct s3_reader *reader, uint64_t blob, Meta__Blob **record)
{
    uint64_t generation = blob_generation(reader->service->blobs);
    struct composite *composite;
    struct arena *arena;
    int error;

    if (reader->leaf != NULL && reader->leaf_blob == blob &&
        !leaf_is_old(reader)) {
        *record = reader->leaf;
        return 0;
    }
    for (composite = reader->composites; composite;
         composite = composite->next) {
        if (composite->blob == blob) {
            *record = composite->record;
            return 0;
        }
    }
    arena = arena_new();
    error = meta_get_blob(reader->service->meta, arena, blob, record);
    if (error != 0) {
        arena_free(arena);
        return error;
    }
    if ((*record)->n_parts > 0) {
        composite = arena_alloc(arena, sizeof(*composite));
        *composite =
            (struct composite){reader->composites, arena, blob, *record};
        reader->composites = composite;
        return 0;
    }
    arena_free(reader->leaf_arena);
    reader->leaf_generation = generation;
    reader->leaf_arena = arena;
    reader->leaf_blob = blob;
    reader->leaf = *record;
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

/* Bytes in the clear of a leaf; 0: it is not a blob of this kind. */
static uint64_t leaf_size(const struct s3_reader *reader,
                          const Layout__Layout *layout)
{
    uint64_t tags =
        (layout->size / SEALED_BLOCK + (layout->size % SEALED_BLOCK > 0)) *
        CRYPT_TAG_SIZE;

    if (!reader->sealed) {
        return layout->size;
    }
    if (layout->size <= tags ||
        crypt_sealed_size(layout->size - tags) != layout->size) {
        return 0;
    }
    return layout->size - tags;
}

int reader_find(struct s3_reader *reader, uint64_t offset,
                struct reader_place *place)
{
    uint64_t blob = reader->blob, left = UINT64_MAX;

    if (!reader->pinned && reader->leaf != &reader->written) {
        return -ENOENT;
    }
    for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
        const Meta__Part *part;
        Meta__Blob *record;
        int error = fetch(reader, blob, &record);

        if (error != 0) {
            return error;
        }
        if (record->n_parts == 0) {
            uint64_t size =
                record->layout != NULL ? leaf_size(reader, record->layout) : 0;

            if (offset >= size) {
                return -EBADMSG;
            }
            *place = (struct reader_place){
                .layout = record->layout,
                .blob = blob,
                .offset = offset,
                .left = size - offset < left ? size - offset : left};
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

/* --- their bytes -----------------------------------------------------------*/
static void use_cipher(struct s3_reader *reader, uint64_t blob)
{
    uint8_t key[CRYPT_KEY_SIZE];

    if (reader->cipher != NULL && reader->cipher_blob == blob) {
        return;
    }
    crypt_cipher_free(reader->cipher);
    crypt_blob_key(reader->key, blob, key);
    reader->cipher = crypt_cipher_new(key);
    reader->cipher_blob = blob;
    OPENSSL_cleanse(key, sizeof(key));
}

/* At most WINDOW_BLOCKS are touched. */
static int read_sealed(struct s3_reader *reader,
                       const struct reader_place *place, uint8_t *data,
                       size_t size)
{
    uint64_t number = place->offset / CRYPT_BLOCK_SIZE;
    uint64_t end = (place->offset + size - 1) / CRYPT_BLOCK_SIZE + 1;
    uint64_t from = crypt_block_offset(number), to = crypt_block_offset(end);
    size_t skip = place->offset % CRYPT_BLOCK_SIZE;
    uint8_t *block;
    int error;

    invariant(end - number <= WINDOW_BLOCKS);
    if (to > place->layout->size) {
        to = place->layout->size;
    }
    if (reader->window == NULL) {
        reader->window = xmalloc(WINDOW_BLOCKS * SEALED_BLOCK);
    }
    use_cipher(reader, place->blob);
    error = blob_read(reader->service->blobs, place->layout, from,
                      reader->window, (size_t)(to - from));
    for (block = reader->window; error == 0 && number < end; number++) {
        uint64_t rest = place->layout->size - crypt_block_offset(number);
        bool last = rest <= SEALED_BLOCK;
        size_t clear = (last ? (size_t)rest : SEALED_BLOCK) - CRYPT_TAG_SIZE;
        size_t now = clear - skip < size ? clear - skip : size;

        error = crypt_open(reader->cipher, number, last, block, clear, block);
        if (error == 0) {
            memcpy(data, block + skip, now);
        }
        data += now;
        size -= now;
        skip = 0;
        block += SEALED_BLOCK;
    }
    return error;
}

int reader_read(struct s3_reader *reader, uint64_t offset, uint8_t *data,
                size_t size)
{
    while (size > 0) {
        struct reader_place place;
        size_t now = size;
        int error = reader_find(reader, offset, &place);

        if (error != 0) {
            return error;
        }
        if (now > place.left) {
            now = (size_t)place.left;
        }
        if (!reader->sealed) {
            error = blob_read(reader->service->blobs, place.layout,
                              place.offset, data, now);
        } else {
            size_t most = WINDOW_BLOCKS * CRYPT_BLOCK_SIZE -
                          place.offset % CRYPT_BLOCK_SIZE;

            now = now < most ? now : most;
            error = read_sealed(reader, &place, data, now);
        }
        if (error != 0 && leaf_is_old(reader)) {
            continue; /* its shards may have moved */
        }
        if (error != 0) {
            return error;
        }
        offset += now;
        data += now;
        size -= now;
    }
    return 0;
}

int reader_feed(struct s3_reader *reader, uint64_t offset, uint64_t size,
                struct digester *digester, struct s3_writer *writer)
{
    uint8_t *data = size > 0 ? xmalloc(FRAME_DATA_MAX) : NULL;
    int error = 0;

    while (size > 0 && error == 0) {
        size_t now = size < FRAME_DATA_MAX ? (size_t)size : FRAME_DATA_MAX;

        error = reader_read(reader, offset, data, now);
        if (error == 0 && digester != NULL) {
            digester_update(digester, data, now);
        }
        if (error == 0 && writer != NULL) {
            error = writer_append(writer, data, now);
        }
        offset += now;
        size -= now;
    }
    free(data);
    return error;
}
