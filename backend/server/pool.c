/*
 * Blocking work on libuv's thread pool.
 */
#include "server/private.h"

static void pool_run(uv_work_t *work)
{
    struct job *job = work->data;
    job->run(job);
}

static void pool_done(uv_work_t *work, int status)
{
    struct job *job = work->data;
    invariant(status == 0); /* jobs are never cancelled */
    job->done(job);
}

void pool_submit(uv_loop_t *loop, struct job *job)
{
    job->work.data = job;
    invariant(uv_queue_work(loop, &job->work, pool_run, pool_done) == 0);
}
