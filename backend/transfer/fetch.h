/*
 * Private to download.c and migrate.c: a piece of an object, read into a file.
 */
#ifndef TRANSFER_FETCH_H
#define TRANSFER_FETCH_H

#include "transfer/private.h"

struct fetch {
    struct client *client;
    const char *key;
    const struct object *object; /* as it was listed */
    int fd;                      /* gets the piece, from its begin on */
    uint64_t begin, end;         /* of the piece */
    uint64_t at;                 /* the first byte that is missing */
    bool known;                  /* the two; otherwise the first answer tells */
    struct facts facts;
    struct digester *digester; /* of facts.digest: all bytes so far */
    int error;                 /* why an answer was not taken */
};

/* Makes the digester. */
void fetch_learn(struct fetch *fetch);
/* Reads what is missing, over as many connections as it takes. -ESTALE: the
 * object is another by now. */
int fetch_run(struct fetch *fetch);
/* -EBADMSG: all bytes have gone through the digester, and are others than the
 * object's. *verified: there is a checksum. */
int fetch_verify(struct fetch *fetch, bool *verified);
/* Frees the digester. */
void fetch_forget(struct fetch *fetch);

#endif
