/*
 * Threads that wait for a drive in the place of others: who asks waits with a
 * deadline and goes on without an answer if it must. What the job works on is
 * the job's own, so a call into the kernel that returns late, or never, does
 * no harm but to keep one thread.
 */
#include "extent/private.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STOP_US 10000000u
/* ioprio_set(2) */
#define IOPRIO_WHO_THREAD 1
#define IOPRIO_CLASS_AT   13
#define IOPRIO_IDLE       3

void lane_init(struct lane *lane, struct drive *drive, unsigned threads)
{
    invariant(threads <= LANE_THREADS_MAX);
    lane->drive = drive;
    lane->limit = threads;
    pthread_mutex_init(&lane->mutex, NULL);
    pthread_cond_init(&lane->filled, NULL);
    condition_init(&lane->ended);
    lane->last = &lane->first;
}

/* --- the threads -----------------------------------------------------------*/

/* Whoever asks may be in the idle class of I/O. */
static void take_priority(struct lane_thread *thread, int priority)
{
    if (priority >= 0 && priority != thread->priority &&
        syscall(SYS_ioprio_set, IOPRIO_WHO_THREAD, 0, priority) == 0) {
        thread->priority = priority;
    }
}

/* It waits for everybody else: how long says nothing about the drive. */
static bool in_background(const struct lane_job *job)
{
    return job->priority >> IOPRIO_CLASS_AT == IOPRIO_IDLE;
}

static struct lane_job *take_job(struct lane *lane)
{
    struct lane_job *job = lane->first;
    lane->first = job->next;
    if (lane->first == NULL) {
        lane->last = &lane->first;
    }
    lane->queued--;
    job->stage = JOB_RUNNING;
    job->began_us = clock_monotonic_us();
    return job;
}

/* With the mutex, which it may release. */
static void end_job(struct lane *lane, struct lane_job *job)
{
    if (job->overdue) {
        atomic_fetch_sub(&lane->drive->overdue, 1);
    }
    if (job->late) {
        atomic_fetch_sub(&lane->drive->late, 1);
    }
    job->stage = JOB_DONE;
    if (!job->detached) {
        pthread_cond_signal(&job->done);
        return;
    }
    pthread_mutex_unlock(&lane->mutex);
    job->free(job);
    pthread_mutex_lock(&lane->mutex);
}

static void *lane_main(void *argument)
{
    struct lane_thread *thread = argument;
    struct lane *lane = thread->lane;
    pthread_mutex_lock(&lane->mutex);
    for (;;) {
        while (lane->first == NULL && !lane->stop) {
            lane->idle++;
            pthread_cond_wait(&lane->filled, &lane->mutex);
            lane->idle--;
        }
        if (lane->first == NULL) {
            break;
        }
        struct lane_job *job = take_job(lane);
        thread->job = job;
        pthread_mutex_unlock(&lane->mutex);
        take_priority(thread, job->priority);
        job->result = job->run(job);
        if (job->latency != NULL && !in_background(job)) {
            latency_note(job->latency, clock_monotonic_us() - job->began_us);
        }
        pthread_mutex_lock(&lane->mutex);
        thread->job = NULL;
        end_job(lane, job);
    }
    lane->alive--;
    pthread_cond_signal(&lane->ended);
    pthread_mutex_unlock(&lane->mutex);
    return NULL;
}

static void add_thread(struct lane *lane)
{
    struct lane_thread *thread = &lane->threads[lane->count];
    thread->lane = lane;
    if (pthread_create(&thread->id, NULL, lane_main, thread) == 0) {
        lane->count++;
        lane->alive++;
    }
    invariant(lane->count > 0);
}

bool lane_stop(struct lane *lane)
{
    uint64_t deadline = clock_monotonic_us() + STOP_US;
    pthread_mutex_lock(&lane->mutex);
    lane->stop = true;
    pthread_cond_broadcast(&lane->filled);
    while (lane->alive > 0 &&
           condition_wait_until(&lane->ended, &lane->mutex, deadline)) {
    }
    bool ended = lane->alive == 0;
    pthread_mutex_unlock(&lane->mutex);
    for (unsigned i = 0; i < lane->count; i++) {
        if (ended) {
            pthread_join(lane->threads[i].id, NULL);
        } else {
            pthread_detach(lane->threads[i].id);
        }
    }
    return ended;
}

void lane_destroy(struct lane *lane)
{
    pthread_cond_destroy(&lane->ended);
    pthread_cond_destroy(&lane->filled);
    pthread_mutex_destroy(&lane->mutex);
}

/* --- asking ----------------------------------------------------------------*/

/* False: the lane was stopped. */
static bool enqueue(struct lane *lane, struct lane_job *job)
{
    job->lane = lane;
    job->stage = JOB_QUEUED;
    job->priority = (int)syscall(SYS_ioprio_get, IOPRIO_WHO_THREAD, 0);
    pthread_mutex_lock(&lane->mutex);
    if (lane->stop) {
        pthread_mutex_unlock(&lane->mutex);
        return false;
    }
    job->next = NULL;
    *lane->last = job;
    lane->last = &job->next;
    lane->queued++;
    if (lane->queued > lane->idle && lane->count < lane->limit) {
        add_thread(lane);
    }
    pthread_cond_signal(&lane->filled);
    pthread_mutex_unlock(&lane->mutex);
    return true;
}

void lane_start(struct lane *lane, struct lane_job *job)
{
    condition_init(&job->done);
    invariant(enqueue(lane, job));
}

bool lane_post(struct lane *lane, struct lane_job *job)
{
    job->detached = true;
    return enqueue(lane, job);
}

static void unlink_job(struct lane *lane, struct lane_job *job)
{
    struct lane_job **at = &lane->first;
    while (*at != job) {
        at = &(*at)->next;
    }
    *at = job->next;
    if (lane->last == &job->next) {
        lane->last = at;
    }
    lane->queued--;
}

/* With the mutex. */
static bool mark_late(struct lane *lane, struct lane_job *job)
{
    bool first = !job->late;
    if (first) {
        job->late = true;
        atomic_fetch_add(&lane->drive->late, 1);
    }
    return first;
}

/* With the mutex: nobody waits for the job any more. */
static void give_up(struct lane *lane, struct lane_job *job, bool patient)
{
    if (job->stage == JOB_QUEUED) {
        unlink_job(lane, job);
        return;
    }
    job->detached = true;
    job->overdue = true;
    atomic_fetch_add(&lane->drive->overdue, 1);
    if (patient) {
        mark_late(lane, job);
    }
}

int lane_wait(struct lane_job *job, uint64_t wait_us)
{
    struct lane *lane = job->lane;
    struct drive *drive = lane->drive;
    bool patient = wait_us == 0;
    uint64_t began = clock_monotonic_us();
    uint64_t deadline = began + (patient ? drive_timeout(drive) : wait_us);
    blocking_begin();
    pthread_mutex_lock(&lane->mutex);
    while (job->stage != JOB_DONE &&
           condition_wait_until(&job->done, &lane->mutex, deadline)) {
    }
    enum job_stage stage = job->stage;
    if (stage != JOB_DONE) {
        give_up(lane, job, patient);
    }
    pthread_mutex_unlock(&lane->mutex);
    blocking_end();
    phase_add(PHASE_DRIVE, began);
    if (stage == JOB_DONE) {
        pthread_cond_destroy(&job->done);
        return 0;
    }
    if (stage == JOB_QUEUED) {
        job->free(job);
    }
    if (patient) {
        drive_silent(drive);
    }
    return -ETIMEDOUT;
}

int lane_ask(struct lane *lane, struct lane_job *job, uint64_t wait_us)
{
    struct drive *drive = lane->drive;
    if (atomic_load(&drive->late) > 0 ||
        (wait_us > 0 && atomic_load(&drive->overdue) > 0)) {
        job->free(job);
        return -ETIMEDOUT;
    }
    atomic_fetch_add(&drive->load, 1);
    lane_start(lane, job);
    int r = lane_wait(job, wait_us);
    atomic_fetch_sub(&drive->load, 1);
    return r;
}

uint64_t lane_watch(struct lane *lane, uint64_t late_us)
{
    uint64_t longest = 0;
    pthread_mutex_lock(&lane->mutex);
    /* Not before: what begins meanwhile would look older than anything. */
    uint64_t now = clock_monotonic_us();
    for (unsigned i = 0; i < lane->count; i++) {
        struct lane_job *job = lane->threads[i].job;
        if (job == NULL) {
            continue;
        }
        uint64_t age = now - job->began_us;
        if (age > longest && !in_background(job)) {
            longest = age;
        }
        if (age >= late_us) {
            mark_late(lane, job);
        }
    }
    pthread_mutex_unlock(&lane->mutex);
    return longest;
}

/* --- closing files ---------------------------------------------------------*/

struct close_job {
    struct lane_job base;
    struct io_file *file;
};

static int run_close(struct lane_job *base)
{
    io_close(((struct close_job *)base)->file);
    return 0;
}

static void free_job(struct lane_job *base)
{
    free(base);
}

/* The last close of a file that was unlinked frees its blocks. */
void drive_close_file(struct drive *drive, struct io_file *file)
{
    if (file == NULL) {
        return;
    }
    struct close_job *job = xcalloc(1, sizeof(*job));
    *job = (struct close_job){.base = {.run = run_close, .free = free_job},
                              .file = file};
    if (!lane_post(&drive->changes, &job->base)) {
        run_close(&job->base); /* an answer that comes while s3d ends */
        free_job(&job->base);
    }
}
