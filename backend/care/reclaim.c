/* Passes, the thread that makes them, and what it tells. */
#include "care/reclaim_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- a pass ----------------------------------------------------------------*/
static bool is_counted(struct reclaim *reclaim)
{
    bool counted;

    pthread_mutex_lock(&reclaim->lock);
    counted = reclaim->status.counted;
    pthread_mutex_unlock(&reclaim->lock);
    return counted;
}

static bool is_damaged(struct reclaim *reclaim)
{
    bool damaged;

    pthread_mutex_lock(&reclaim->lock);
    damaged = reclaim->status.damaged > 0;
    pthread_mutex_unlock(&reclaim->lock);
    return damaged;
}

static int pass(struct reclaim *reclaim)
{
    int error = 0;

    if (!is_counted(reclaim)) {
        error = count_all(reclaim);
    }
    if (error == 0 && !reclaim->strays_sought) {
        error = drop_stray_parts(reclaim);
        reclaim->strays_sought = error == 0;
    }
    if (error == 0) {
        error = free_blobs(reclaim);
    }
    if (error == 0 && !is_damaged(reclaim)) { /* C4 */
        error = reclaim_extents(reclaim);
    }
    return error;
}

static void set_running(struct reclaim *reclaim, bool running)
{
    pthread_mutex_lock(&reclaim->lock);
    reclaim->status.running = running;
    pthread_mutex_unlock(&reclaim->lock);
}

int reclaim_pass(struct reclaim *reclaim)
{
    int error;

    pthread_mutex_lock(&reclaim->pass_lock);
    set_running(reclaim, true);
    error = pass(reclaim);
    set_running(reclaim, false);
    status_add(reclaim, passes, 1);
    log_failing(&reclaim->failing, "reclaim", error);
    pthread_mutex_unlock(&reclaim->pass_lock);
    return error;
}

/* --- the thread ------------------------------------------------------------*/
/* True when a pass is to begin. */
static bool wait_for_pass(struct reclaim *reclaim)
{
    struct timespec until;
    int error = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)reclaim->options.interval_s;
    pthread_mutex_lock(&reclaim->lock);
    while (error != ETIMEDOUT && !atomic_load(&reclaim->stopping) &&
           reclaim->wanted <= reclaim->status.passes) {
        error = pthread_cond_timedwait(&reclaim->work, &reclaim->lock, &until);
    }
    pthread_mutex_unlock(&reclaim->lock);
    return !atomic_load(&reclaim->stopping);
}

static void *run(void *context)
{
    struct reclaim *reclaim = context;

    care_thread_begin("reclaim");
    while (wait_for_pass(reclaim)) {
        reclaim_pass(reclaim);
    }
    return NULL;
}

static bool stops(void *context)
{
    struct reclaim *reclaim = context;

    return atomic_load(&reclaim->stopping);
}

static bool busy(void *context)
{
    struct reclaim *reclaim = context;

    return reclaim->options.busy != NULL &&
           reclaim->options.busy(reclaim->options.context);
}

struct reclaim *reclaim_open(const struct reclaim_options *options)
{
    struct reclaim *reclaim = xcalloc(1, sizeof(*reclaim));
    pthread_condattr_t monotonic;

    reclaim->options = *options;
    pace_init(&reclaim->pace, options->rate);
    reclaim->pace.busy = busy;
    reclaim->pace.stop = stops;
    reclaim->pace.context = reclaim;
    invariant(pthread_mutex_init(&reclaim->count_lock, NULL) == 0);
    invariant(pthread_mutex_init(&reclaim->pass_lock, NULL) == 0);
    invariant(pthread_mutex_init(&reclaim->lock, NULL) == 0);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    invariant(pthread_cond_init(&reclaim->work, &monotonic) == 0);
    pthread_condattr_destroy(&monotonic);
    if (options->interval_s > 0) {
        invariant(pthread_create(&reclaim->thread, NULL, run, reclaim) == 0);
    }
    return reclaim;
}

void reclaim_close(struct reclaim *reclaim)
{
    if (reclaim == NULL) {
        return;
    }
    pthread_mutex_lock(&reclaim->lock);
    atomic_store(&reclaim->stopping, true);
    pthread_cond_broadcast(&reclaim->work);
    pthread_mutex_unlock(&reclaim->lock);
    if (reclaim->options.interval_s > 0) {
        pthread_join(reclaim->thread, NULL);
    }
    meta_watch_blobs(reclaim->options.meta, NULL, NULL);
    count_free(reclaim);
    pthread_cond_destroy(&reclaim->work);
    pthread_mutex_destroy(&reclaim->lock);
    pthread_mutex_destroy(&reclaim->pass_lock);
    pthread_mutex_destroy(&reclaim->count_lock);
    pthread_mutex_destroy(&reclaim->pace.lock);
    free(reclaim);
}

uint64_t reclaim_start(struct reclaim *reclaim)
{
    uint64_t wanted;

    pthread_mutex_lock(&reclaim->lock);
    /* The one under way may have passed what is to be reclaimed. */
    wanted = reclaim->status.passes + 1 + reclaim->status.running;
    reclaim->wanted = wanted > reclaim->wanted ? wanted : reclaim->wanted;
    pthread_cond_broadcast(&reclaim->work);
    pthread_mutex_unlock(&reclaim->lock);
    return wanted;
}

void reclaim_status(struct reclaim *reclaim, struct reclaim_status *status)
{
    pthread_mutex_lock(&reclaim->lock);
    *status = reclaim->status;
    pthread_mutex_unlock(&reclaim->lock);
}
