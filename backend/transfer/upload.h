/*
 * Private to import.c, migrate.c and upload.c: a file or an object that is sent
 * in parts.
 */
#ifndef TRANSFER_UPLOAD_H
#define TRANSFER_UPLOAD_H

#include "transfer/private.h"

/* What is to be sent. */
struct file {
    char *name; /* below the directory */
    uint64_t size;
    struct timespec mtime, ctime;
    bool listed; /* an object of its name and size is there */
    bool anew;   /* no upload that was interrupted is continued */
};

struct upload {
    struct upload *next; /* that has parts to be taken */
    struct file file;
    int fd;
    char *key;
    char id[ID_MAX];
    bool continued; /* what an earlier run said of the object stays said */
    uint64_t part_size;
    unsigned count;      /* of parts */
    unsigned taken;      /* of them, in their order */
    unsigned unfinished; /* of them */
    bool failed;         /* the others need not be sent */
    struct part *parts;
};

/* Finds the upload that was interrupted, or begins one. Its first part must be
 * in the file: one that has another is aborted. Takes the file and the
 * descriptor over if it succeeds. */
int upload_begin(struct transfer *transfer, struct client *client,
                 const struct file *file, int fd, const char *key,
                 const struct stored_as *as, struct upload **upload);
uint64_t upload_part_size(const struct upload *upload, unsigned index);
/* Sends one part, unless it is there. */
int upload_piece(struct transfer *transfer, struct client *client,
                 struct upload *upload, unsigned index, struct piece *piece);
/* The same, out of the upload's own file. */
int upload_part(struct transfer *transfer, struct client *client,
                struct upload *upload, unsigned index);
/* When no part is unfinished. *verified: by the endpoint. */
int upload_complete(struct client *client, const struct upload *upload,
                    bool *verified);
void upload_free(struct upload *upload);

#endif
