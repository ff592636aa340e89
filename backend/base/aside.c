/*
 * Threads that compute for others, begun when there is something to do: half as
 * many as there are processors, since those who wait for them compute as much.
 * What comes while all are busy is done together.
 */
#include "base/base.h"

#include <pthread.h>
#include <unistd.h>

#define THREADS_MAX 64u

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    struct aside *first, **last;
    unsigned queued, idle, threads;
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER,
          .filled = PTHREAD_COND_INITIALIZER,
          .last = &pool.first};

/* With the mutex. */
static void enqueue(struct aside *job)
{
    job->next = NULL;
    *pool.last = job;
    pool.last = &job->next;
    pool.queued++;
}

/* With the mutex: the first ones that are of one kind. */
static unsigned dequeue(struct aside *jobs[ASIDE_TOGETHER])
{
    unsigned count = 0;

    while (pool.first != NULL && count < ASIDE_TOGETHER &&
           (count == 0 || pool.first->run == jobs[0]->run)) {
        jobs[count] = pool.first;
        pool.first = jobs[count]->next;
        count++;
    }
    if (pool.first == NULL) {
        pool.last = &pool.first;
    }
    pool.queued -= count;
    return count;
}

static void *compute(void *unused)
{
    pthread_mutex_lock(&pool.mutex);
    for (;;) {
        struct aside *jobs[ASIDE_TOGETHER];
        bool more[ASIDE_TOGETHER];
        unsigned count;

        while (pool.first == NULL) {
            pool.idle++;
            pthread_cond_wait(&pool.filled, &pool.mutex);
            pool.idle--;
        }
        count = dequeue(jobs);
        pthread_mutex_unlock(&pool.mutex);
        jobs[0]->run(jobs, count, more);
        pthread_mutex_lock(&pool.mutex);
        for (unsigned i = 0; i < count; i++) {
            if (more[i]) {
                enqueue(jobs[i]); /* this thread takes the next: wakes nobody */
            }
        }
    }
    return unused;
}

static unsigned limit(void)
{
    long half = sysconf(_SC_NPROCESSORS_ONLN) / 2;

    if (half < 1) {
        return 1;
    }
    return half < (long)THREADS_MAX ? (unsigned)half : THREADS_MAX;
}

/* With the mutex. */
static void add_thread(void)
{
    pthread_t id;

    if (pthread_create(&id, NULL, compute, NULL) == 0) {
        pthread_detach(id); /* it ends with the process */
        pool.threads++;
    }
    invariant(pool.threads > 0);
}

void aside_start(struct aside *job)
{
    pthread_mutex_lock(&pool.mutex);
    enqueue(job);
    if (pool.queued > pool.idle && pool.threads < limit()) {
        add_thread();
    }
    pthread_mutex_unlock(&pool.mutex);
    pthread_cond_signal(&pool.filled);
}
