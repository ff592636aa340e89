/*
 * Threads for the steps of requests, which compute a little and may block on
 * drives: leader and followers (Schmidt et al., POSA 2).
 *
 * One thread at a time, the leader, owns the event loop. It runs the loop
 * until jobs are there, then runs these itself, and goes back to the loop: a
 * GET whose work is ten microseconds costs no futex call and no context
 * switch. (A thread a job, as libuv's own pool wakes them, cost five futex
 * calls a request, half of s3d's time.)
 *
 * A leader that is about to block, or to compute for long, says so
 * (blocking_begin) and hands the loop to a follower at once; its job then ends
 * as a follower's, through `finished`. So the loop waits for no drive, and
 * many syncs and cold reads are under way at once.
 *
 * What blocks without saying so (a cold read inside LevelDB) is noticed by the
 * main thread, which looks every few milliseconds and takes the leadership
 * from a job that has run through two of its looks.
 *
 * The loop, its handles and `jobs` belong to the leader; leadership changes
 * hands under `lock`. A job's run() must not touch the loop, so it can be lost
 * at any moment of run(), and at no other.
 */
#include "server/private.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define LOOK_MS 4 /* between the main thread's looks at the leader */

struct queue {
    struct job *head;
    struct job **tail;
};

struct pool {
    uv_loop_t *loop;
    struct queue jobs; /* the leader's: submitted in the loop, not yet run */
    atomic_uint under_way; /* the leader's: submitted and not done */
    uv_async_t async;      /* wakes the loop: followers have finished jobs */
    bool closing;          /* the leader's */

    /* 0 while the leader is in the loop, the number of its job while it runs
     * one. Who changes a job's number to 0 decides what follows: the leader
     * goes on, or has lost the loop. */
    atomic_ullong in_job;
    unsigned long long jobs_begun; /* the leader's */

    pthread_mutex_t lock; /* over all that follows */
    pthread_cond_t follow;
    pthread_cond_t ended;
    struct queue finished;
    bool led;
    unsigned busy; /* threads that lost the loop and have a job to end */
    bool stopping; /* the loop has ended */
    unsigned threads;
    pthread_t *ids;
};

/* The pool of this thread, and the job that it runs as a leader (0: none). */
static _Thread_local struct pool *mine;
static _Thread_local unsigned long long my_job;

static void queue_init(struct queue *queue)
{
    queue->head = NULL;
    queue->tail = &queue->head;
}

static void queue_push(struct queue *queue, struct job *job)
{
    job->next = NULL;
    *queue->tail = job;
    queue->tail = &job->next;
}

static struct job *queue_pop(struct queue *queue)
{
    struct job *job = queue->head;

    if (job != NULL) {
        queue->head = job->next;
        if (queue->head == NULL) {
            queue->tail = &queue->head;
        }
    }
    return job;
}

/* --- leadership ------------------------------------------------------------*/

/* Ends the leader's stay in a job: true for the first who tries. */
static bool end_stay(struct pool *pool, unsigned long long job)
{
    return job != 0 && atomic_compare_exchange_strong(&pool->in_job, &job, 0);
}

static void take_from_leader(struct pool *pool, unsigned long long job)
{
    if (!end_stay(pool, job)) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->led = false;
    pool->busy++;
    invariant(pool->busy < pool->threads); /* one is left: has_follower() */
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_signal(&pool->follow);
}

static void hand_over(void)
{
    if (mine != NULL && my_job != 0) {
        take_from_leader(mine, my_job);
        my_job = 0;
    }
}

static void nothing(void)
{
}

static void close_when_idle(struct pool *pool)
{
    uv_handle_t *async = (uv_handle_t *)&pool->async;

    if (pool->closing && pool->under_way == 0 && !uv_is_closing(async)) {
        uv_close(async, NULL);
    }
}

static void job_done(struct pool *pool, struct job *job)
{
    if (--pool->under_way == 0) {
        uv_unref((uv_handle_t *)&pool->async);
    }
    job->done(job); /* may free the job, or submit it again */
    close_when_idle(pool);
}

/* A job that blocked ends on a thread that leads no longer. */
static void finish_as_follower(struct pool *pool, struct job *job)
{
    bool first;

    pthread_mutex_lock(&pool->lock);
    first = pool->finished.head == NULL;
    queue_push(&pool->finished, job);
    pool->busy--;
    pthread_mutex_unlock(&pool->lock);
    if (first) {
        uv_async_send(&pool->async);
    }
}

/* Someone to take the loop if the leader's job blocks. Without one the leader
 * runs no job, so that timeouts and connections go on whatever hangs; the end
 * of a job wakes the loop, and jobs go on too. */
static bool has_follower(struct pool *pool)
{
    bool has;

    pthread_mutex_lock(&pool->lock);
    has = pool->busy + 1 < pool->threads;
    pthread_mutex_unlock(&pool->lock);
    return has;
}

/* Runs what has been submitted. False: the leadership is gone. */
static bool run_jobs(struct pool *pool)
{
    struct job *job;

    while (has_follower(pool) && (job = queue_pop(&pool->jobs)) != NULL) {
        unsigned long long number = ++pool->jobs_begun;

        my_job = number;
        atomic_store(&pool->in_job, number);
        job->run(job);
        my_job = 0;
        if (!end_stay(pool, number)) {
            finish_as_follower(pool, job);
            return false;
        }
        job_done(pool, job);
    }
    return true;
}

static void lead(struct pool *pool)
{
    bool alive = true;

    while (alive) {
        if (!run_jobs(pool)) {
            return;
        }
        alive = uv_run(pool->loop, UV_RUN_ONCE) != 0 ||
                pool->jobs.head != NULL || pool->under_way > 0;
    }
    pthread_mutex_lock(&pool->lock); /* the loop has ended */
    pool->stopping = true;
    pthread_cond_broadcast(&pool->follow);
    pthread_cond_signal(&pool->ended);
    pthread_mutex_unlock(&pool->lock);
}

static void *thread_run(void *argument)
{
    struct pool *pool = argument;

    mine = pool;
    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        if (pool->led) {
            pthread_cond_wait(&pool->follow, &pool->lock);
            continue;
        }
        pool->led = true;
        pthread_mutex_unlock(&pool->lock);
        lead(pool);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* --- the loop's side -------------------------------------------------------*/

static void on_finished(uv_async_t *async)
{
    struct pool *pool = async->data;
    struct job *job;
    struct queue finished;

    pthread_mutex_lock(&pool->lock);
    finished = pool->finished;
    queue_init(&pool->finished);
    pthread_mutex_unlock(&pool->lock);
    if (finished.head == NULL) {
        return; /* its empty list points into the pool */
    }
    while ((job = queue_pop(&finished)) != NULL) {
        job_done(pool, job);
    }
}

void pool_submit(struct pool *pool, struct job *job)
{
    invariant(!pool->closing || pool->under_way > 0);
    if (pool->under_way++ == 0) {
        uv_ref((uv_handle_t *)&pool->async);
    }
    queue_push(&pool->jobs, job);
}

struct pool *pool_new(uv_loop_t *loop, unsigned threads)
{
    struct pool *pool = xcalloc(1, sizeof(*pool));

    invariant(threads >= 2);
    pool->loop = loop;
    pool->threads = threads;
    pool->ids = xcalloc(threads, sizeof(*pool->ids));
    queue_init(&pool->jobs);
    queue_init(&pool->finished);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->follow, NULL);
    condition_init(&pool->ended);
    pool->async.data = pool;
    invariant(uv_async_init(loop, &pool->async, on_finished) == 0);
    uv_unref((uv_handle_t *)&pool->async);
    blocking_hooks(hand_over, nothing);
    return pool;
}

/* Until the loop ends: no job may keep it waiting. */
static void watch(struct pool *pool)
{
    unsigned long long seen = 0;

    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        unsigned long long job;

        condition_wait_until(&pool->ended, &pool->lock,
                             clock_monotonic_us() + LOOK_MS * 1000);
        job = atomic_load(&pool->in_job);
        if (job != 0 && job == seen) {
            pthread_mutex_unlock(&pool->lock);
            take_from_leader(pool, job);
            pthread_mutex_lock(&pool->lock);
        }
        seen = job;
    }
    pthread_mutex_unlock(&pool->lock);
}

void pool_run(struct pool *pool)
{
    for (unsigned i = 0; i < pool->threads; i++) {
        invariant(pthread_create(&pool->ids[i], NULL, thread_run, pool) == 0);
    }
    watch(pool);
    for (unsigned i = 0; i < pool->threads; i++) {
        pthread_join(pool->ids[i], NULL);
    }
    blocking_hooks(NULL, NULL);
}

void pool_look(struct pool *pool, struct pool_status *status)
{
    status->threads = pool->threads;
    status->under_way = pool->under_way;
    pthread_mutex_lock(&pool->lock);
    status->waiting = pool->busy;
    pthread_mutex_unlock(&pool->lock);
}

void pool_close(struct pool *pool)
{
    pool->closing = true;
    close_when_idle(pool);
}

void pool_free(struct pool *pool)
{
    pthread_cond_destroy(&pool->ended);
    pthread_cond_destroy(&pool->follow);
    pthread_mutex_destroy(&pool->lock);
    free(pool->ids);
    free(pool);
}
