/*
 * Private to server/: the requests that are under way, the last ones that have
 * ended, and sums by operation and by bucket: what `s3ctl top` and `s3ctl
 * trace` show.
 *
 * Of a fixed size, and thread-safe by one lock. Telling holds it while some
 * hundred bytes are copied; while somebody traces, also while the ids of the
 * requests that have just ended are compared, the newest first. Looking holds
 * it longer, for a person: up to all ids are compared, or all sums copied.
 */
#ifndef SERVER_REQUESTS_H
#define SERVER_REQUESTS_H

#include "base/base.h"
#include "wire.pb-c.h"
#include <stdatomic.h>

#define REQUESTS_KEPT       4096 /* that have ended */
#define REQUESTS_OPERATIONS 256
#define REQUESTS_BUCKETS    512 /* with a sum of their own */
#define REQUESTS_LIVE_MAX   256 /* that are shown */

/* What is too long is cut. */
struct request_name {
    unsigned operation; /* Wire__Operation */
    char id[20], bucket[64], key[257];
};

/* One that is under way; part of what works on it. */
struct request_live {
    struct request_live *next, **link;
    struct request_name name;
    uint64_t began_us; /* monotonic */
    /* Bytes of bodies that have moved: told by whoever works on it. */
    atomic_uint_fast64_t received, sent;
};

/* One that has ended. */
struct request_ended {
    uint64_t sequence; /* from 1 */
    uint64_t told_us;  /* when it came here, monotonic */
    uint64_t ended_ms; /* wall clock */
    struct request_name name;
    unsigned status;
    char error[48];
    bool stored; /* s3d has worked on it: */
    uint64_t us, steps_us;
    struct phases phases;
    bool worker; /* the worker has told of it: */
    bool hot;    /* it was answered without s3d */
    bool alone;  /* s3d was not asked */
    uint64_t auth_us, backend_us, send_us;
    uint64_t received, sent; /* bytes, with headers */
};

struct request_sum {
    char name[64]; /* of a bucket */
    uint64_t count, errors /* 5xx */, us, received, sent /* bytes of bodies */;
};

struct requests;
struct requests *requests_new(void);
void requests_free(struct requests *requests); /* NULL is allowed */

/* --- telling ---------------------------------------------------------------*/
void requests_begin(struct requests *requests, struct request_live *live,
                    const Wire__Request *request, uint64_t began_us);
void requests_end(struct requests *requests, struct request_live *live,
                  const Wire__Request *request, const struct log_request *line);
/* As if it had not begun. */
void requests_drop(struct requests *requests, struct request_live *live);
/* What a worker says of one that has ended: before s3d has ended it, or after.
 */
void requests_worker(struct requests *requests, const Wire__Trace *trace);
/* Somebody has read what ended within the last seconds (now_us: monotonic). */
bool requests_are_traced(struct requests *requests, uint64_t now_us);

/* --- looking ---------------------------------------------------------------*/
/* Up to `max`, the oldest first; returns how many there are. */
size_t requests_live(struct requests *requests, struct request_live *out,
                     size_t max);
/* The last one of that id, if it is known. */
bool requests_find(struct requests *requests, const char *id,
                   struct request_ended *out);
/* The next one after *sequence, which it moves on; *lost counts those that
 * came too fast. One of which a part is missing, the worker's or s3d's, is
 * kept back for a second. False: there is no other at now_us (monotonic). */
bool requests_next(struct requests *requests, uint64_t now_us,
                   uint64_t *sequence, uint64_t *lost,
                   struct request_ended *out);
/* The sequence of the newest one. */
uint64_t requests_newest(struct requests *requests);
/* Copies the sums: requests that have ended, and bytes of all. A bucket has a
 * place of its own since a request to it has succeeded; if all are taken, it is
 * that of the bucket unused for longest, which starts anew when it comes back.
 * What belongs to no place is in the first, whose name is "". Returns how many
 * there are. */
size_t requests_sums(struct requests *requests,
                     struct request_sum operations[REQUESTS_OPERATIONS],
                     struct request_sum buckets[REQUESTS_BUCKETS]);

#endif
