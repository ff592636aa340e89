/* Threads that compute for others: as many as there are processors, begun when
 * there is something to do. */
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

/* With the mutex. */
static struct aside *dequeue(void)
{
    struct aside *job = pool.first;

    pool.first = job->next;
    if (pool.first == NULL) {
        pool.last = &pool.first;
    }
    pool.queued--;
    return job;
}

static void *compute(void *unused)
{
    pthread_mutex_lock(&pool.mutex);
    for (;;) {
        struct aside *job;
        bool more;

        while (pool.first == NULL) {
            pool.idle++;
            pthread_cond_wait(&pool.filled, &pool.mutex);
            pool.idle--;
        }
        job = dequeue();
        pthread_mutex_unlock(&pool.mutex);
        more = job->run(job);
        pthread_mutex_lock(&pool.mutex);
        if (more) {
            enqueue(job); /* this thread takes the next one: wakes nobody */
        }
    }
    return unused;
}

static unsigned limit(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (processors < 1) {
        return 1;
    }
    return processors < (long)THREADS_MAX ? (unsigned)processors : THREADS_MAX;
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
