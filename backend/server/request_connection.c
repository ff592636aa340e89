/*
 * A request connection: which frames may come, when a step runs, what its
 * output means. docs/protocol.md holds the sequence.
 *
 *   input   WAITING ──REQUEST──► BODY ──END──► ENDED ──reply sent──► WAITING
 *   steps   one at a time; while one runs, input only gathers; so it does
 *           while what a step has made waits for its turn of a limited
 *           bandwidth
 */
#include "server/exchange.h"

enum request_input { INPUT_WAITING, INPUT_BODY, INPUT_ENDED };

struct request_connection {
    struct connection base;
    struct exchange exchange;
    struct job job;
    enum request_input state;
    uint32_t data_left; /* of the DATA frame the input begins in */
    bool running;       /* a step */
    bool awaiting;      /* ACK or NACK */
    bool woken;         /* since the last step began */
    struct turn turn;   /* while it waits for its share of a bandwidth */
};

/* What the input holds: a prefix that can be taken now. */
struct scan {
    size_t size;
    bool work; /* frames that the call must see */
};

static struct request_connection *from_job(struct job *job)
{
    return (
        struct request_connection *)((char *)job -
                                     offsetof(struct request_connection, job));
}

static struct request_connection *from_base(struct connection *base)
{
    return (struct request_connection *)base;
}

static struct request_connection *from_turn(struct turn *turn)
{
    return (
        struct request_connection *)((char *)turn -
                                     offsetof(struct request_connection, turn));
}

/* --- input -----------------------------------------------------------------*/
/* A whole frame but DATA: may it come now? */
static bool admit(struct request_connection *rc, unsigned type, uint32_t length,
                  struct scan *scan)
{
    switch (type) {
    case FRAME_REQUEST:
        if (rc->state != INPUT_WAITING) {
            return false;
        }
        rc->state = INPUT_BODY;
        rc->exchange.body_wanted = true; /* until its step has told */
        scan->work = true;
        return true;
    case FRAME_CHUNK:
    case FRAME_TRAILERS:
        scan->work |= rc->exchange.body_wanted;
        return rc->state == INPUT_BODY;
    case FRAME_END:
        if (rc->state != INPUT_BODY || length != 0) {
            return false;
        }
        rc->state = INPUT_ENDED;
        scan->work |= rc->exchange.body_wanted;
        return true;
    case FRAME_ACK:
    case FRAME_NACK:
        if (!rc->awaiting || length != 0) {
            return false;
        }
        rc->awaiting = false;
        rc->exchange.refused = type == FRAME_NACK;
        return true;
    default:
        return false;
    }
}

/* Walks over what has come, up to END. False: it may not come now. */
static bool scan_input(struct request_connection *rc, struct scan *scan)
{
    const struct input *input = &rc->base.input;
    const uint8_t *start = input_start(input);
    const size_t size = input_size(input);
    struct frame_header header;

    *scan = (struct scan){0};
    while (scan->size < size) {
        const size_t rest = size - scan->size;
        if (rc->data_left > 0) {
            const size_t part = rc->data_left < rest ? rc->data_left : rest;
            scan->work |= rc->exchange.body_wanted;
            scan->size += part;
            rc->data_left -= (uint32_t)part;
            continue;
        }
        if (rest < FRAME_HEADER_SIZE) {
            break;
        }
        if (frame_decode(start + scan->size, &header) != 0) {
            return false;
        }
        if (header.type == FRAME_DATA) {
            if (rc->state != INPUT_BODY) {
                return false;
            }
            rc->data_left = header.length;
            scan->size += FRAME_HEADER_SIZE;
            continue;
        }
        if (rest < FRAME_HEADER_SIZE + header.length) {
            break;
        }
        if (!admit(rc, header.type, header.length, scan)) {
            return false;
        }
        scan->size += FRAME_HEADER_SIZE + header.length;
        if (rc->state == INPUT_ENDED) {
            break;
        }
    }
    return true;
}

/* --- steps -----------------------------------------------------------------*/
static void advance(struct request_connection *rc);

/* More input than this takes long to hash and to encode. */
#define LONG_INPUT (32 * 1024)

static void step_run(struct job *job)
{
    struct exchange *x = &from_job(job)->exchange;

    if (input_size(&x->batch) > LONG_INPUT) {
        computing_long();
    }
    exchange_step(x);
}

/* Sends what the step has made, and goes on. */
static void go_on(struct request_connection *rc)
{
    struct exchange *x = &rc->exchange;

    rc->awaiting = x->segments;
    connection_send(&rc->base, &x->output, x->piece_head, x->piece);
    if (rc->base.closing) {
        connection_settle(&rc->base);
        return;
    }
    advance(rc);
    connection_flow(&rc->base);
}

static void turn_begins(struct turn *turn)
{
    struct request_connection *rc = from_turn(turn);

    rc->base.waits = false;
    if (!rc->base.closing) {
        rc->base.active_ms = uv_now(&rc->base.server->loop);
        go_on(rc);
    }
}

static void step_done(struct job *job)
{
    struct request_connection *rc = from_job(job);
    struct exchange *x = &rc->exchange;

    connection_job_done(&rc->base);
    rc->running = false;
    input_release(&x->batch);
    rc->base.paced = x->paced;
    if (x->cut) {
        connection_close(&rc->base);
    }
    if (!rc->base.closing && x->turn_us > clock_monotonic_us()) {
        rc->base.waits = true;
        turn_wait(&rc->base.server->turns, &rc->turn, x->turn_us, turn_begins);
        connection_flow(&rc->base);
        return;
    }
    go_on(rc);
}

/* `size` bytes of the input go to the call; 0: the reply goes on. */
static void start_step(struct request_connection *rc, size_t size,
                       uint32_t data_left)
{
    invariant(!rc->running);
    if (size > 0) {
        input_take(&rc->base.input, size, &rc->exchange.batch);
    }
    rc->exchange.data_left = data_left;
    rc->woken = false;
    rc->running = true;
    rc->job.run = step_run;
    rc->job.done = step_done;
    rc->exchange.submitted_us = clock_monotonic_us();
    connection_submit(&rc->base, &rc->job);
}

static void next_request(struct request_connection *rc)
{
    exchange_reset(&rc->exchange);
    rc->state = INPUT_WAITING;
    rc->awaiting = false;
    if (rc->base.server->stopping) {
        connection_leave(&rc->base);
    }
}

/* Does all that can be done without a new event. */
static void advance(struct request_connection *rc)
{
    struct exchange *x = &rc->exchange;
    while (!rc->running && !rc->base.waits && !rc->base.closing) {
        if (x->finished && rc->state == INPUT_ENDED) {
            if (rc->base.writes > 0) {
                return; /* the next request waits for the end of this one */
            }
            next_request(rc);
            continue;
        }
        const uint32_t data_left = rc->data_left;
        struct scan scan;
        if (!scan_input(rc, &scan)) {
            log_warn("a worker sent a frame that may not come: cut off");
            connection_close(&rc->base);
            return;
        }
        if (scan.work) {
            start_step(rc, scan.size, data_left);
            return;
        }
        connection_consume(&rc->base, scan.size);
        if ((x->working || x->replied) && !x->finished && !rc->awaiting &&
            (!x->parked || rc->woken) && rc->base.writes == 0) {
            start_step(rc, 0, 0);
            return;
        }
        if (scan.size == 0) {
            return;
        }
    }
}

/* --- events ----------------------------------------------------------------*/
static void request_input(struct connection *base)
{
    advance(from_base(base));
}

static void request_written(struct connection *base)
{
    advance(from_base(base));
    connection_flow(base);
}

static void request_wake(struct connection *base)
{
    struct request_connection *rc = from_base(base);
    rc->woken = true;
    if (!rc->running && rc->exchange.parked) {
        advance(rc);
    }
}

static bool request_idle(const struct connection *base)
{
    const struct request_connection *rc =
        (const struct request_connection *)base;
    return rc->state == INPUT_WAITING && input_size(&base->input) == 0;
}

static uint64_t request_timeout(const struct connection *base)
{
    const struct request_connection *rc =
        (const struct request_connection *)base;
    const struct server_limits *limits = &base->server->config->limits;
    if (rc->running || base->waits) {
        return 0;
    }
    if (rc->state == INPUT_BODY || input_size(&base->input) > 0) {
        return limits->body_timeout_s;
    }
    return limits->idle_timeout_s;
}

static void abort_done(struct job *job)
{
    struct request_connection *rc = from_job(job);
    connection_job_done(&rc->base);
    rc->running = false;
    connection_settle(&rc->base);
}

static bool request_release(struct connection *base)
{
    struct request_connection *rc = from_base(base);
    struct exchange *x = &rc->exchange;
    turn_cancel(&base->server->turns, &rc->turn);
    buffer_free(&x->output);
    if (x->arena == NULL) {
        return true;
    }
    atomic_fetch_add_explicit(&x->counters->aborted, 1, memory_order_relaxed);
    x->abort = true;
    rc->running = true;
    rc->job.run = step_run;
    rc->job.done = abort_done;
    x->submitted_us = clock_monotonic_us();
    connection_submit(base, &rc->job);
    return false;
}

static void request_open(struct connection *base)
{
    exchange_open(&from_base(base)->exchange, base->server);
}

const struct connection_kind request_kind = {
    .name = "request",
    .leaves = true,
    .size = sizeof(struct request_connection),
    .open = request_open,
    .input = request_input,
    .written = request_written,
    .wake = request_wake,
    .idle = request_idle,
    .timeout_s = request_timeout,
    .release = request_release,
};
