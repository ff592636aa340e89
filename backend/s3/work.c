#include "s3/work.h"

#define QUIET_MS 10000 /* at most, before the reply begins */
#define STEP_MS  1000  /* at most; a drive that hangs may make it longer */

/* A worker that waits for less gets a frame in time too. */
static uint64_t limit_us(const struct s3_call *call, uint64_t most_ms,
                         unsigned share)
{
    const uint64_t patience_ms = call->request->read_timeout_ms;

    if (patience_ms == 0 || patience_ms / share > most_ms) {
        return 1000 * most_ms;
    }
    return 1000 * patience_ms / share;
}

static bool is_quiet_for_long(const struct s3_call *call)
{
    return clock_monotonic_us() - call->body_us >= limit_us(call, QUIET_MS, 2);
}

bool work_step_is_over(const struct s3_call *call)
{
    return clock_monotonic_us() >= call->work.step_ends_us;
}

void work_begin(struct s3_call *call, const struct s3_work_kind *kind)
{
    call->work.kind = kind;
    work_go_on(call);
}

void work_go_on(struct s3_call *call)
{
    const struct s3_work_kind *kind = call->work.kind;

    call->work.step_ends_us = clock_monotonic_us() + limit_us(call, STEP_MS, 4);
    kind->step(call);
    if (call->status != 0) {
        work_free(call);
    } else if (!call->done && is_quiet_for_long(call)) {
        kind->announce(call);
        call_reply_ahead(call);
    }
}

void work_free(struct s3_call *call)
{
    if (call->work.kind != NULL) {
        call->work.kind->free(call);
        call->work.kind = NULL;
    }
}
