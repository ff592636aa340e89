/*
 * Uploads in parts. What an interrupted run has sent is known by its CRC: no
 * note is kept of it anywhere but in the endpoint.
 */
#include "transfer/upload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The id of an upload that may be continued; empty if there is none. */
static int find_upload(struct client *client, const struct file *file,
                       const char *key, char id[ID_MAX])
{
    struct found_upload found;
    int error = call_find_upload(client, key, &found);

    id[0] = '\0';
    if (error != 0 || found.id[0] == '\0') {
        return error;
    }
    if (upload_is_stale(found.begun, file->mtime, file->ctime)) {
        return call_abort_upload(client, key, found.id);
    }
    memcpy(id, found.id, ID_MAX);
    return 0;
}

int upload_begin(struct transfer *transfer, struct client *client,
                 const struct file *file, int fd, const char *key,
                 const struct stored_as *as, struct upload **upload)
{
    struct upload *made = xcalloc(1, sizeof(*made));
    const uint64_t part_size =
        part_size_for(file->size, transfer->options->part_size);

    made->part_size = part_size;
    made->count = (unsigned)((file->size + part_size - 1) / part_size);
    made->unfinished = made->count;
    made->parts = xcalloc(made->count, sizeof(*made->parts));
    int error = find_upload(client, file, key, made->id);
    if (error == 0) {
        error = made->id[0] != '\0'
                    ? call_list_parts(client, key, made->id, made->parts,
                                      made->count)
                    : call_create_upload(client, key, as, made->id);
    }
    if (error != 0) {
        free(made->parts);
        free(made);
        return error;
    }
    made->file = *file;
    made->fd = fd;
    made->key = xstrdup(key);
    *upload = made;
    return 0;
}

uint64_t upload_part_size(const struct upload *upload, unsigned index)
{
    const uint64_t left = upload->file.size - index * upload->part_size;

    return left < upload->part_size ? left : upload->part_size;
}

int upload_piece(struct transfer *transfer, struct client *client,
                 struct upload *upload, unsigned index, struct piece *piece)
{
    struct part *part = &upload->parts[index];
    const int error = piece_digest(piece, transfer->endpoint.tls);

    if (error != 0) {
        return error;
    }
    if (part_is_piece(part, piece)) {
        atomic_fetch_add(&transfer->counts.parts_kept, 1);
        return 0;
    }
    return call_put_part(client, upload->key, upload->id, index + 1, piece,
                         part);
}

int upload_part(struct transfer *transfer, struct client *client,
                struct upload *upload, unsigned index)
{
    struct piece piece = {
        .fd = upload->fd,
        .offset = index * upload->part_size,
        .size = upload_part_size(upload, index),
    };

    return upload_piece(transfer, client, upload, index, &piece);
}

int upload_complete(struct client *client, const struct upload *upload,
                    bool *verified)
{
    *verified = true;
    for (unsigned i = 0; i < upload->count; i++) {
        *verified = *verified && upload->parts[i].has_crc;
    }
    return call_complete_upload(client, upload->key, upload->id, upload->parts,
                                upload->count, *verified);
}

void upload_free(struct upload *upload)
{
    close(upload->fd);
    free(upload->file.name);
    free(upload->key);
    free(upload->parts);
    free(upload);
}
