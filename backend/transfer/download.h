/*
 * Private to export.c and download.c: one object into a file.
 */
#ifndef TRANSFER_DOWNLOAD_H
#define TRANSFER_DOWNLOAD_H

#include "transfer/private.h"

/* Locks an unfinished file. -EBUSY if another export has it, or had it when it
 * was opened, or if it is no plain file of this one name. */
int unfinished_own(int fd, int parent, const char *name, struct stat *status);
/* Into `last` of the directory `parent`, whole or not at all. What an
 * interrupted run has read of the same ETag is kept. *verified: the checksum
 * or the ETag is that of the bytes. -ESTALE: the object is another by now. */
int download(struct client *client, int parent, const char *last,
             const char *key, const struct object *object, bool *verified);

#endif
