/*
 * Private to purge/: requests to one edge, on libcurl. Not thread-safe.
 */
#ifndef PURGE_SENDER_H
#define PURGE_SENDER_H

#include "purge/config.h"

struct sender;
/* NULL: the secret cannot be read; that was logged. The edge outlives it. */
struct sender *sender_new(const struct purge_edge *edge);
/* What is on its way is given up. */
void sender_free(struct sender *sender); /* NULL is allowed */

/* `request`: plan.h; it has to stay until the outcome was taken. */
void sender_send(struct sender *sender, struct slice request, void *context);

/* Works until something has come, one of the two descriptors (-1: none) is
 * readable or `ms` have passed. */
void sender_wait(struct sender *sender, int fd_a, int fd_b, int ms);

struct sender_outcome {
    void *context;
    unsigned status; /* of HTTP; 0: there was no answer */
    char error[256]; /* why not */
};
/* False: nothing has come. */
bool sender_take(struct sender *sender, struct sender_outcome *outcome);

#endif
