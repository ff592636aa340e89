/*
 * Threads for the steps of requests, which compute a little and may block on
 * drives.
 *
 * A thread a job, as libuv's own pool wakes them, costs a futex call and two
 * context switches for a GET whose work is ten microseconds. Here a job only
 * wakes a thread while fewer than `hot` threads compute; else it waits for
 * one of those to come back, microseconds later. A thread that is about to
 * block says so (blocking_begin) and lets another take its place, so that
 * many syncs and cold reads are under way at once all the same.
 *
 *   computing: threads that run a job and are not in a blocking stretch
 *   sleeping:  threads that wait for work
 *
 * Everything is under `lock` but what is the loop's alone.
 */
#include "server/private.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct queue {
    struct job *head;
    struct job **tail;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct queue work;
    struct queue finished;
    unsigned computing;
    unsigned sleeping;
    unsigned hot;
    unsigned threads;
    bool stopping;
    bool closing; /* when nothing is under way any more: the loop's alone */
    pthread_t *ids;
    uv_async_t async;   /* jobs have finished */
    unsigned under_way; /* submitted and not done: the loop's alone */
};

/* The pool whose job this thread runs; NULL in any other thread. */
static _Thread_local struct pool *mine;

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

    queue->head = job->next;
    if (queue->head == NULL) {
        queue->tail = &queue->head;
    }
    return job;
}

/* --- threads ---------------------------------------------------------------*/

static bool may_compute(const struct pool *pool)
{
    return pool->work.head != NULL && pool->computing < pool->hot;
}

static void wake_one(struct pool *pool)
{
    if (may_compute(pool) && pool->sleeping > 0) {
        pthread_cond_signal(&pool->wake);
    }
}

static void enter_blocking(void)
{
    struct pool *pool = mine;

    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->computing--;
    wake_one(pool);
    pthread_mutex_unlock(&pool->lock);
}

static void leave_blocking(void)
{
    struct pool *pool = mine;

    if (pool == NULL) {
        return;
    }
    /* Over `hot` for a moment: this one has a job to end. */
    pthread_mutex_lock(&pool->lock);
    pool->computing++;
    pthread_mutex_unlock(&pool->lock);
}

/* Under the lock, which is let go while the job runs. */
static void run_one(struct pool *pool)
{
    struct job *job = queue_pop(&pool->work);
    bool first;

    pool->computing++;
    wake_one(pool);
    pthread_mutex_unlock(&pool->lock);

    job->run(job);

    pthread_mutex_lock(&pool->lock);
    pool->computing--;
    first = pool->finished.head == NULL;
    queue_push(&pool->finished, job);
    if (first) {
        uv_async_send(&pool->async);
    }
}

static void *thread_run(void *argument)
{
    struct pool *pool = argument;

    mine = pool;
    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        if (may_compute(pool)) {
            run_one(pool);
        } else {
            pool->sleeping++;
            pthread_cond_wait(&pool->wake, &pool->lock);
            pool->sleeping--;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* --- the loop's side
 * ---------------------------------------------------------*/

static void on_closed(uv_handle_t *handle)
{
    struct pool *pool = handle->data;

    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool->ids);
    free(pool);
}

static void close_now(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads; i++) {
        pthread_join(pool->ids[i], NULL);
    }
    uv_close((uv_handle_t *)&pool->async, on_closed);
}

static void on_finished(uv_async_t *async)
{
    struct pool *pool = async->data;
    struct job *job, *next;

    pthread_mutex_lock(&pool->lock);
    job = pool->finished.head;
    queue_init(&pool->finished);
    pthread_mutex_unlock(&pool->lock);

    for (; job != NULL; job = next) {
        next = job->next; /* done() may free the job, or submit it again */
        if (--pool->under_way == 0) {
            uv_unref((uv_handle_t *)&pool->async);
        }
        job->done(job);
    }
    if (pool->closing && pool->under_way == 0) {
        pool->closing = false;
        close_now(pool);
    }
}

void pool_submit(struct pool *pool, struct job *job)
{
    if (pool->under_way++ == 0) {
        uv_ref((uv_handle_t *)&pool->async);
    }
    pthread_mutex_lock(&pool->lock);
    queue_push(&pool->work, job);
    wake_one(pool);
    pthread_mutex_unlock(&pool->lock);
}

static unsigned hot_threads(unsigned threads)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned hot = processors > 1 ? 2 * (unsigned)processors : 2;

    return hot < threads ? hot : threads;
}

struct pool *pool_open(uv_loop_t *loop, unsigned threads)
{
    struct pool *pool = xcalloc(1, sizeof(*pool));

    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    queue_init(&pool->work);
    queue_init(&pool->finished);
    pool->threads = threads;
    pool->hot = hot_threads(threads);
    pool->ids = xcalloc(threads, sizeof(*pool->ids));
    pool->async.data = pool;
    invariant(uv_async_init(loop, &pool->async, on_finished) == 0);
    uv_unref((uv_handle_t *)&pool->async);
    blocking_hooks(enter_blocking, leave_blocking);
    for (unsigned i = 0; i < threads; i++) {
        invariant(pthread_create(&pool->ids[i], NULL, thread_run, pool) == 0);
    }
    return pool;
}

void pool_close(struct pool *pool)
{
    if (pool->under_way == 0) {
        close_now(pool);
    } else {
        pool->closing = true;
    }
}
