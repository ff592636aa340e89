#include "s3/writer.h"
#include "crypt/crypt.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

struct s3_writer {
    struct blob_writer *blob;
    struct crypt_cipher *cipher; /* NULL: not sealed */
    uint64_t number;             /* of the block that is being filled */
    uint64_t left;               /* bytes of it and of those behind it */
    size_t filled;               /* bytes of it in `block` */
    uint8_t *block;              /* room for one, sealed */
};

static struct crypt_cipher *blob_cipher(const uint8_t *key, uint64_t blob)
{
    uint8_t blob_key[CRYPT_KEY_SIZE];
    struct crypt_cipher *cipher;

    crypt_blob_key(key, blob, blob_key);
    cipher = crypt_cipher_new(blob_key);
    OPENSSL_cleanse(blob_key, sizeof(blob_key));
    return cipher;
}

int writer_open(struct s3_service *service, const struct blob_spec *spec,
                const uint8_t *key, struct s3_writer **out)
{
    struct blob_spec stored = *spec;
    struct blob_writer *blob;
    struct s3_writer *writer;
    int error;

    if (key != NULL) {
        stored.size = crypt_sealed_size(spec->size);
    }
    error = blob_writer_open(service->blobs, &stored, &blob);
    if (error != 0) {
        return error;
    }
    writer = xcalloc(1, sizeof(*writer));
    writer->blob = blob;
    writer->left = spec->size;
    if (key != NULL) {
        writer->cipher = blob_cipher(key, spec->blob);
        writer->block = xmalloc(CRYPT_BLOCK_SIZE + CRYPT_TAG_SIZE);
    }
    *out = writer;
    return 0;
}

/* A whole block; the last one may be short. */
static int put_block(struct s3_writer *writer, const uint8_t *data, size_t size)
{
    crypt_seal(writer->cipher, writer->number, size == writer->left, data, size,
               writer->block);
    writer->number++;
    writer->left -= size;
    writer->filled = 0;
    return blob_writer_append(writer->blob, writer->block,
                              size + CRYPT_TAG_SIZE);
}

static int append_sealed(struct s3_writer *writer, const uint8_t *data,
                         size_t size)
{
    int error = 0;

    if (size > writer->left - writer->filled) {
        return -EFBIG;
    }
    while (size > 0 && error == 0) {
        size_t whole = writer->left < CRYPT_BLOCK_SIZE ? (size_t)writer->left
                                                       : CRYPT_BLOCK_SIZE;
        size_t now = whole - writer->filled;

        if (now > size) {
            now = size;
        }
        if (now == whole) { /* nothing of it has come before */
            error = put_block(writer, data, whole);
        } else {
            memcpy(writer->block + writer->filled, data, now);
            writer->filled += now;
            if (writer->filled == whole) {
                error = put_block(writer, writer->block, whole);
            }
        }
        data += now;
        size -= now;
    }
    return error;
}

int writer_append(struct s3_writer *writer, const void *data, size_t size)
{
    return writer->cipher != NULL
               ? append_sealed(writer, data, size)
               : blob_writer_append(writer->blob, data, size);
}

static void free_writer(struct s3_writer *writer)
{
    crypt_cipher_free(writer->cipher);
    free(writer->block);
    free(writer);
}

int writer_finish(struct s3_writer *writer, Layout__Layout **layout)
{
    int error = blob_writer_finish(writer->blob, layout);

    free_writer(writer);
    return error;
}

void writer_abort(struct s3_writer *writer)
{
    if (writer != NULL) {
        blob_writer_abort(writer->blob);
        free_writer(writer);
    }
}
