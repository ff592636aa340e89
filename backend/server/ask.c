/*
 * A Request on a control connection: a job that makes all of its answer, or
 * declines it. An answer whose bandwidth is limited then waits for its turn.
 */
#include "server/control.h"
#include "server/exchange.h"
#include <stdlib.h>

struct ask {
    struct job job;
    struct control_connection *control;
    uint64_t id;
    struct exchange exchange;
    struct turn turn;
    struct ask *next, **link; /* of those that wait for a turn */
};

static struct ask *from_turn(struct turn *turn)
{
    return (struct ask *)((char *)turn - offsetof(struct ask, turn));
}

static void put_answer(struct buffer *output, uint64_t id, bool declined)
{
    Wire__Answer answer = WIRE__ANSWER__INIT;
    answer.id = id;
    answer.declined = declined;
    frame_append_message(output, FRAME_ANSWER, &answer);
}

/* --- turns -----------------------------------------------------------------*/
static void stop_waiting(struct ask *ask)
{
    *ask->link = ask->next;
    if (ask->next != NULL) {
        ask->next->link = ask->link;
    }
}

static void turn_begins(struct turn *turn)
{
    struct ask *ask = from_turn(turn);

    stop_waiting(ask);
    ask->control->asks--;
    control_send(ask->control, &ask->exchange.output);
    free(ask);
}

static void wait_for_turn(struct ask *ask)
{
    struct control_connection *control = ask->control;

    ask->link = &control->waiting;
    ask->next = control->waiting;
    if (ask->next != NULL) {
        ask->next->link = &ask->next;
    }
    control->waiting = ask;
    turn_wait(&control->base.server->turns, &ask->turn, ask->exchange.turn_us,
              turn_begins);
}

void ask_forget_waiting(struct control_connection *control)
{
    struct ask *ask, *next;

    for (ask = control->waiting; ask != NULL; ask = next) {
        next = ask->next;
        turn_cancel(&control->base.server->turns, &ask->turn);
        connection_drop(&control->base, &ask->exchange.output);
        free(ask);
        control->asks--;
    }
    control->waiting = NULL;
}

/* --- the job ---------------------------------------------------------------*/
static void ask_run(struct job *job)
{
    struct ask *ask = (struct ask *)job;
    struct exchange *x = &ask->exchange;

    put_answer(&x->output, ask->id, false);
    if (!exchange_answer(x)) {
        x->output.size = 0;
        put_answer(&x->output, ask->id, true);
    }
}

static void ask_done(struct job *job)
{
    struct ask *ask = (struct ask *)job;
    struct control_connection *control = ask->control;
    struct buffer output = {0};

    if (!control->base.closing &&
        ask->exchange.turn_us > clock_monotonic_us()) {
        wait_for_turn(ask);
    } else {
        output = ask->exchange.output;
        free(ask);
        control->asks--;
    }
    control_job_done(control, &output);
}

static void submit(struct control_connection *control, struct arena *arena,
                   Wire__Request *request)
{
    struct ask *ask = xcalloc(1, sizeof(*ask));

    ask->control = control;
    ask->id = request->id;
    ask->job.run = ask_run;
    ask->job.done = ask_done;
    exchange_open(&ask->exchange, control->base.server);
    ask->exchange.arena = arena;
    ask->exchange.request = request;
    ask->exchange.submitted_us = clock_monotonic_us();
    control->asks++;
    connection_submit(&control->base, &ask->job);
}

/* Keys are asked for here too: neither a drive that is slow nor a bandwidth
 * that is used up may hold them up. */
static bool too_many(const struct control_connection *control)
{
    const uint64_t limit = control->base.server->config->limits.control_pending;

    return control->asks >= (limit + 1) / 2;
}

/* A decision on each is in the audit log, and would be there twice. */
static bool is_audited(const struct control_connection *control)
{
    return control->base.server->service.audit != NULL;
}

bool ask_take(struct control_connection *control, uint8_t *payload, size_t size)
{
    struct arena *arena = arena_new();
    struct buffer output = {0};
    Wire__Request *request =
        wire__request__unpack(arena_protobuf_allocator(arena), size, payload);
    const bool valid =
        request != NULL && request->id != 0 && !request->has_body;

    if (request != NULL) {
        s3_wipe_frame(request, payload, size);
    } else {
        explicit_bzero(payload, size);
    }
    if (valid && !too_many(control) && !is_audited(control)) {
        submit(control, arena, request);
        return true;
    }
    if (valid) {
        put_answer(&output, request->id, true);
        control_send(control, &output);
    }
    arena_wipe(arena);
    arena_free(arena);
    return valid;
}
