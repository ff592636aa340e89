/*
 * Private to server/: a control connection, between the frames that come on it
 * (control_connection.c) and the Requests among them (ask.c). All in the loop.
 */
#ifndef SERVER_CONTROL_H
#define SERVER_CONTROL_H

#include "server/private.h"

struct ask;

struct control_connection {
    struct connection base;
    bool greeted;
    bool traces; /* it can tell of its requests */
    /* What is ready to be sent; if there is any, it is in server->unsent. */
    struct buffer gathered;
    struct control_connection *next, **link;
    struct ask *waiting; /* for their turns of a bandwidth */
    unsigned asks;       /* under way, or waiting */
};

/* A job of the connection has ended, and `output`, which is taken over and may
 * be empty, is to be sent. The connection may be gone afterwards. */
void control_job_done(struct control_connection *control,
                      struct buffer *output);
/* Takes over the output: it leaves before the loop waits again, in one write
 * with all else that is ready by then. */
void control_send(struct control_connection *control, struct buffer *output);

/* --- ask.c -----------------------------------------------------------------*/
/* A Request has come, in whose payload customers' keys are wiped. False: it is
 * none that may come here. */
bool ask_take(struct control_connection *control, uint8_t *payload,
              size_t size);
/* The connection ends: no answer waits for its turn any more. */
void ask_forget_waiting(struct control_connection *control);

#endif
