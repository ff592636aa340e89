/*
 * One request on a connection, from REQUEST to END: the part that runs on
 * pool threads. A step takes all input that is there and makes all output
 * that may be sent now, so that a small request costs one step. One of a
 * control connection always is one step.
 *
 * The loop fills in "in" and reads "out" while no step runs.
 */
#ifndef SERVER_EXCHANGE_H
#define SERVER_EXCHANGE_H

#include "server/private.h"
#include "server/requests.h"

struct exchange {
    struct s3_service *service;
    struct counters *counters;
    struct requests *requests;
    struct request_live live; /* while there is a call */
    struct arena *arena;      /* NULL: no request is under way */
    Wire__Request *request;
    struct s3_call *call;  /* NULL after the last piece */
    uint64_t submitted_us; /* when a thread was asked for, for the next step */
    uint64_t started_us;
    uint64_t step_us;  /* when the step began whose time is not in these */
    uint64_t steps_us; /* in steps */
    struct phases phases;

    /* in */
    struct input batch; /* whole frames, and parts of DATA */
    uint32_t data_left; /* of the DATA frame the batch begins in */
    bool refused;       /* NACK */
    bool abort;         /* only free */

    /* out */
    struct buffer output;
    uint8_t piece_header[FRAME_HEADER_SIZE];
    struct slice piece_head, piece; /* a DATA frame after the output, valid
                                       until the next step */
    bool body_wanted;
    bool continue_sent;
    bool working;     /* there is none yet; the next step goes on */
    bool replied;     /* REPLY is in the output, or was */
    bool segments;    /* the output has SEGMENTS: wait for the answer */
    bool end_sent;    /* behind the last SEGMENTS, ahead of their answer */
    uint64_t named;   /* bytes of the last SEGMENTS */
    bool parked;      /* there is nothing to send until it is woken */
    bool finished;    /* END is in the output; the call is freed */
    bool cut;         /* close the connection */
    bool paced;       /* the body is better not read ahead */
    uint64_t turn_us; /* when the output may be sent, and the next step be
                         taken; monotonic */
};

/* All of it is zero before. */
void exchange_open(struct exchange *exchange, struct server *server);
void exchange_step(struct exchange *exchange);
/* Ready for the next request. */
void exchange_reset(struct exchange *exchange);

/* The one step of `request`, which is in `arena` and has no body: appends
 * REPLY, DATA and END to the output, which has its turn at turn_us. False: the
 * answer is longer than ASK_BODY_MAX, or not there at once. Then it is as if
 * nobody had asked, and the output is of no use. */
bool exchange_answer(struct exchange *exchange);

#endif
