/*
 * Uploads in parts. What an interrupted run has sent is known by its CRC: no
 * note is kept of it anywhere but in the endpoint.
 */
#include "transfer/upload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t upload_part_size(const struct upload *upload, unsigned index)
{
    const uint64_t left = upload->file.size - index * upload->part_size;

    return left < upload->part_size ? left : upload->part_size;
}

/* The first of the parts that are there is the file's. 1, 0, or an error. Of a
 * migration only the first piece of all can be read. */
static int has_part(struct client *client, const struct upload *upload)
{
    unsigned index = 0;

    while (index + 1 < upload->count && upload->parts[index].size == 0) {
        index++;
    }
    struct piece piece = {
        .fd = upload->fd,
        .offset = index * upload->part_size,
        .size = upload_part_size(upload, index),
    };
    if (!upload->parts[index].has_crc) {
        return 0;
    }
    const int error = piece_digest(&piece, client->endpoint->tls);
    return error == -ESTALE ? 0
           : error != 0     ? error
                            : part_is_piece(&upload->parts[index], &piece);
}

/* The upload that was interrupted: it is upload->continued, or aborted. */
static int find_upload(struct client *client, struct upload *upload)
{
    const struct file *file = &upload->file;
    struct found_upload found;
    int error = call_find_upload(client, upload->key, &found);
    int first = 0;

    if (error != 0 || found.id[0] == '\0') {
        return error;
    }
    if (!file->anew &&
        !upload_is_stale(found.begun, file->mtime, file->ctime)) {
        error = call_list_parts(client, upload->key, found.id, upload->parts,
                                upload->count);
        first = error == 0 ? has_part(client, upload) : error;
    }
    if (first == 1) {
        memcpy(upload->id, found.id, ID_MAX);
        upload->continued = true;
        return 0;
    }
    memset(upload->parts, 0, upload->count * sizeof(*upload->parts));
    return first < 0 ? first : call_abort_upload(client, upload->key, found.id);
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
    made->file = *file;
    made->fd = fd;
    made->key = xstrdup(key);
    int error = find_upload(client, made);
    if (error == 0 && !made->continued) {
        error = call_create_upload(client, key, as, made->id);
    }
    if (error != 0) {
        free(made->key);
        free(made->parts);
        free(made);
        return error;
    }
    *upload = made;
    return 0;
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
    if (upload->fd >= 0) {
        close(upload->fd);
    }
    free(upload->file.name);
    free(upload->key);
    free(upload->parts);
    free(upload);
}
