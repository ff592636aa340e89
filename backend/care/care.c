#include "care/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NICE 10
/* ioprio_set(2): of this thread, the class that is served when no other is. */
#define IOPRIO_WHO_THREAD 1
#define IOPRIO_IDLE       (3 << 13)

/* --- for the threads -------------------------------------------------------*/
void care_thread_begin(const char *name)
{
    const pid_t thread = (pid_t)syscall(SYS_gettid);

    pthread_setname_np(pthread_self(), name);
    if (setpriority(PRIO_PROCESS, (id_t)thread, NICE) != 0 ||
        syscall(SYS_ioprio_set, IOPRIO_WHO_THREAD, 0, IOPRIO_IDLE) != 0) {
        log_debug("%s runs at normal priority", name);
    }
}

void care_wait(struct care *care, unsigned ms)
{
    struct timespec until;

    if (atomic_load(&care->stopping)) {
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&care->work, &care->lock, &until);
}

void care_stamp(const struct care *care, struct drive_stamp *stamp)
{
    uint8_t *at = stamp->bytes;

    stamp->drives = stamp->usable = 0;
    for (unsigned i = 0; i < care->options.drive_count; i++) {
        struct drive *drive = care->options.drives[i];
        const enum drive_state state = drive_state(drive);

        *at++ = (uint8_t)state;
        memcpy(at, drive_uuid(drive), DRIVE_UUID_SIZE);
        at += DRIVE_UUID_SIZE;
        stamp->drives += state != DRIVE_REMOVED;
        stamp->usable += state == DRIVE_OK;
    }
    stamp->size = (size_t)(at - stamp->bytes);
}

static void wake_all(struct care *care)
{
    pthread_mutex_lock(&care->lock);
    pthread_cond_broadcast(&care->work);
    pthread_mutex_unlock(&care->lock);
}

static bool heal_stops(void *context)
{
    struct care *care = context;

    return atomic_load(&care->stopping);
}

static bool scrub_stops(void *context)
{
    return scrub_interrupted(context);
}

static bool care_busy(void *context)
{
    const struct care *care = context;

    return care->options.busy != NULL &&
           care->options.busy(care->options.context);
}

/* --- opening and closing ---------------------------------------------------*/
static void start_thread(pthread_t *thread, void *(*run)(void *), void *context)
{
    invariant(pthread_create(thread, NULL, run, context) == 0);
}

static void init_pace(struct care *care, struct pace *pace, uint64_t rate,
                      bool (*stop)(void *context))
{
    pace_init(pace, rate);
    pace->busy = care_busy;
    pace->stop = stop;
    pace->context = care;
}

static void init(struct care *care)
{
    pthread_condattr_t monotonic;

    meta__audit__init(&care->audit.day);
    invariant(pthread_mutex_init(&care->audit.lock, NULL) == 0);
    invariant(pthread_mutex_init(&care->lock, NULL) == 0);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    invariant(pthread_cond_init(&care->work, &monotonic) == 0);
    pthread_condattr_destroy(&monotonic);
    init_pace(care, &care->heal_pace, care->options.heal_rate, heal_stops);
    init_pace(care, &care->scrub_pace, care->options.scrub_rate, scrub_stops);
}

struct care *care_open(const struct care_options *options)
{
    struct care *care = xcalloc(1, sizeof(*care));

    invariant(options->drive_count <= DRIVES_STAMPED_MAX &&
              options->heal_workers <= CARE_WORKERS_MAX);
    care->options = *options;
    init(care);
    if (scrub_load(care) != 0) {
        log_error("what the scrub has done cannot be read: it begins anew");
    }
    /* Drives may have been lost since s3d ran last. */
    care->seen.size = care->scrub.walked.len;
    memcpy(care->seen.bytes, care->walked, care->seen.size);
    care->retry = true;
    blob_store_on_damage(options->blobs, care_on_damage, care);
    start_thread(&care->watch_thread, watch_run, care);
    start_thread(&care->scrub_thread, scrub_run, care);
    for (unsigned i = 0; i < options->heal_workers; i++) {
        care->workers[i] = (struct worker){.care = care, .number = i};
        start_thread(&care->workers[i].thread, heal_run, &care->workers[i]);
    }
    return care;
}

static void destroy(struct care *care)
{
    buffer_free(&care->dangling_objects);
    pthread_mutex_destroy(&care->heal_pace.lock);
    pthread_mutex_destroy(&care->scrub_pace.lock);
    pthread_mutex_destroy(&care->audit.lock);
    pthread_mutex_destroy(&care->lock);
    pthread_cond_destroy(&care->work);
    free(care);
}

void care_close(struct care *care)
{
    if (care == NULL) {
        return;
    }
    atomic_store(&care->stopping, true);
    wake_all(care);
    for (unsigned i = 0; i < care->options.heal_workers; i++) {
        pthread_join(care->workers[i].thread, NULL);
    }
    pthread_join(care->scrub_thread, NULL);
    pthread_join(care->watch_thread, NULL);
    blob_store_on_damage(care->options.blobs, NULL, NULL);
    if (scrub_save(care) != 0 || audit_save(care) != 0) {
        log_warn("what care did last could not be saved");
    }
    destroy(care);
}

/* --- commands --------------------------------------------------------------*/
void care_heal_start(struct care *care)
{
    pthread_mutex_lock(&care->lock);
    care->retry = true;
    pthread_mutex_unlock(&care->lock);
    wake_all(care);
}

void care_scrub_start(struct care *care)
{
    pthread_mutex_lock(&care->lock);
    care->scrub_restart = true;
    care->scrub_stopped = false;
    pthread_mutex_unlock(&care->lock);
    wake_all(care);
}

void care_scrub_stop(struct care *care)
{
    pthread_mutex_lock(&care->lock);
    care->scrub_restart = false;
    care->scrub_stopped = true;
    pthread_mutex_unlock(&care->lock);
}

/* --- status ----------------------------------------------------------------*/
static uint64_t current_rate(struct pace *pace)
{
    uint64_t rate;

    pthread_mutex_lock(&pace->lock);
    rate = pace->rate;
    pthread_mutex_unlock(&pace->lock);
    return rate;
}

/* What is known besides the queue. True: nothing speaks against H3. */
static bool status_of_threads(struct care *care, struct arena *arena,
                              const struct drive_stamp *stamp,
                              struct care_status *status)
{
    Meta__Scrub *progress = arena_zalloc(arena, sizeof(*progress));
    bool proven;

    pthread_mutex_lock(&care->lock);
    *progress = care->scrub;
    progress->dangling_objects.data =
        (uint8_t *)arena_copy(arena, care->dangling_objects.data,
                              care->dangling_objects.size)
            .data;
    status->heal = (struct care_heal_status){
        .workers = care->options.heal_workers,
        .active = care->active_count,
        .healed = care->healed,
        .bytes = care->healed_bytes,
        .milliseconds =
            care->heal_began_us != 0
                ? (clock_monotonic_us() - care->heal_began_us) / 1000
                : 0,
    };
    status->scrub = (struct care_scrub_status){
        .running = progress->started_ms != 0 && !care->scrub_stopped,
        .stopped = care->scrub_stopped,
        .walking = care->walking,
        .progress = progress,
    };
    proven = progress->passes > 0 && !care->scrub_restart &&
             progress->walked.len == stamp->size &&
             memcmp(care->walked, stamp->bytes, stamp->size) == 0 &&
             !progress->walk_again && care->damage_count == 0 &&
             care->damage_lost == 0 && care->active_count == 0;
    pthread_mutex_unlock(&care->lock);
    status->scrub.rate = current_rate(&care->scrub_pace);
    return proven;
}

int care_status(struct care *care, struct arena *arena,
                struct care_status *status)
{
    struct drive_stamp stamp;
    Meta__Audit *audit;
    bool proven;
    int error;

    care_stamp(care, &stamp);
    *status =
        (struct care_status){.drives = stamp.drives, .drives_ok = stamp.usable};
    /* First what is not yet queued, or it would be missed on its way. */
    proven = status_of_threads(care, arena, &stamp, status);
    error = queue_count(care, &status->ledger);
    if (error == 0) {
        error = audit_today(care, arena, &audit);
    }
    if (error != 0) {
        return error;
    }
    status->today = audit;
    status->fully_redundant =
        proven && status->ledger.queued == 0 && stamp.usable == status->drives;
    return 0;
}
