/* Passes, the thread that makes them, and what it tells. */
#include "care/rebalance_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TICK_MS    1000u
#define LONGEST_MS 60000u          /* between passes that moved nothing */
#define UNEVEN_MS  (3600u * 1000u) /* until it is tried again in vain */

static uint64_t now_ms(void)
{
    return clock_monotonic_us() / 1000;
}

/* --- the drives ------------------------------------------------------------*/
void situation_read(struct rebalance *rebalance, struct situation *situation)
{
    *situation = (struct situation){0};
    for (unsigned i = 0; i < rebalance->options.drive_count; i++) {
        struct drive *drive = rebalance->options.drives[i];
        const enum drive_state state = drive_state(drive);
        const uint64_t bit = UINT64_C(1) << i;

        situation->ok |= state == DRIVE_OK ? bit : 0;
        situation->removed |= state == DRIVE_REMOVED ? bit : 0;
        situation->draining |=
            state != DRIVE_REMOVED && drive_draining(drive) ? bit : 0;
    }
    pthread_mutex_lock(&rebalance->lock);
    situation->stopped = rebalance->stopped;
    pthread_mutex_unlock(&rebalance->lock);
}

bool situation_is(struct rebalance *rebalance, const struct situation *was)
{
    struct situation now;

    situation_read(rebalance, &now);
    return now.ok == was->ok && now.draining == was->draining &&
           now.removed == was->removed && now.stopped == was->stopped;
}

bool levels_read(struct rebalance *rebalance, struct levels *levels)
{
    bool known = true;

    *levels = (struct levels){.count = rebalance->options.drive_count};
    for (unsigned i = 0; i < levels->count; i++) {
        struct drive *drive = rebalance->options.drives[i];
        struct drive_usage usage;
        struct reclaim_live live;

        known = reclaim_live(rebalance->options.reclaim, i, &live) && known;
        drive_usage(drive, &usage);
        levels->drives[i] = (struct level){
            .takes = drive_state(drive) == DRIVE_OK && !drive_draining(drive),
            .slow = drive_slow(drive),
            .domain = blob_domain(rebalance->options.blobs, i),
            .live = live.bytes,
            .total = usage.total,
            .free = usage.free,
        };
    }
    levels_set_mean(levels);
    return known;
}

/* --- a pass ----------------------------------------------------------------*/
/* What is to be done about levels. */
static enum rebalance_state judge(struct rebalance *rebalance,
                                  const struct situation *situation,
                                  double percent, struct levels *levels)
{
    const uint64_t all =
        (UINT64_C(2) << (rebalance->options.drive_count - 1)) - 1;
    const bool known = levels_read(rebalance, levels);

    if (rebalance->options.band == 0) {
        return REBALANCE_OFF;
    }
    if (situation->stopped) {
        return REBALANCE_STOPPED;
    }
    if ((situation->ok | situation->removed) != all) {
        return REBALANCE_WAITING; /* healing comes first */
    }
    if (!known) {
        return REBALANCE_COUNTING;
    }
    return levels_are_even(levels, percent) ? REBALANCE_EVEN : REBALANCE_UNEVEN;
}

static void begin_walk(struct rebalance *rebalance, enum rebalance_state state)
{
    pthread_mutex_lock(&rebalance->lock);
    rebalance->state = state;
    rebalance->status.pass_bytes = 0;
    rebalance->pass_began_ms = now_ms();
    pthread_mutex_unlock(&rebalance->lock);
}

static int drain(struct rebalance *rebalance, unsigned drive,
                 const struct situation *situation, uint64_t *moved)
{
    struct rebalance_drive *status = &rebalance->status.drives[drive];
    struct reclaim_live live;
    struct walked walked;
    int error;

    if (!reclaim_live(rebalance->options.reclaim, drive, &live)) {
        reclaim_start(rebalance->options.reclaim); /* it counts */
    } else if (live.shards == 0) {
        return 0;
    }
    if (!drive_readable(rebalance->options.drives[drive])) {
        return 0; /* healing makes its shards anew */
    }
    begin_walk(rebalance, REBALANCE_DRAINING);
    pthread_mutex_lock(&rebalance->lock);
    status->being_moved = true;
    pthread_mutex_unlock(&rebalance->lock);
    error = drain_drive(rebalance, drive, situation, &walked);
    *moved += walked.moved;
    pthread_mutex_lock(&rebalance->lock);
    status->being_moved = false;
    if (walked.whole && walked.stuck > 0 && status->stuck == 0) {
        log_warn("drive %u cannot be drained: no other drives may take %llu of "
                 "its shards: they have others of the same objects, or no "
                 "room, and are too few for a code that bears as many losses",
                 drive, (unsigned long long)walked.stuck);
    }
    if (walked.whole) {
        status->stuck = walked.stuck;
    }
    pthread_mutex_unlock(&rebalance->lock);
    return error;
}

static int drain_all(struct rebalance *rebalance,
                     const struct situation *situation, uint64_t *moved)
{
    int error = 0;

    for (unsigned i = 0; i < rebalance->options.drive_count && error == 0;
         i++) {
        if (situation->draining & UINT64_C(1) << i) {
            error = drain(rebalance, i, situation, moved);
        } else {
            pthread_mutex_lock(&rebalance->lock);
            rebalance->status.drives[i].stuck = 0;
            pthread_mutex_unlock(&rebalance->lock);
        }
    }
    return error;
}

static int balance(struct rebalance *rebalance, bool forced,
                   const struct situation *situation, uint64_t *moved)
{
    const double band = rebalance->options.band;
    struct levels levels;
    struct walked walked;
    enum rebalance_state state =
        judge(rebalance, situation, forced ? band / 2 : band, &levels);
    int error;

    if (state == REBALANCE_COUNTING) {
        reclaim_start(rebalance->options.reclaim);
    }
    if (state != REBALANCE_UNEVEN ||
        (!forced && now_ms() < rebalance->again_ms)) {
        return 0;
    }
    begin_walk(rebalance, REBALANCE_MOVING);
    error = even_out(rebalance, band / 2, situation, &walked);
    *moved += walked.moved;
    rebalance->again_ms = walked.whole ? now_ms() + UNEVEN_MS : 0;
    return error;
}

static int pass(struct rebalance *rebalance, uint64_t *moved)
{
    struct situation situation;
    bool forced;
    int error;

    pthread_mutex_lock(&rebalance->lock);
    forced = rebalance->forced;
    rebalance->woken = rebalance->forced = false;
    pthread_mutex_unlock(&rebalance->lock);
    if (!situation_is(rebalance, &rebalance->seen)) {
        rebalance->again_ms = 0;
    }
    situation_read(rebalance, &situation);
    rebalance->seen = situation;
    error = drain_all(rebalance, &situation, moved);
    if (error == 0) {
        error = balance(rebalance, forced, &situation, moved);
    }
    return error;
}

static int make_pass(struct rebalance *rebalance, uint64_t *moved)
{
    int error;

    *moved = 0;
    pthread_mutex_lock(&rebalance->pass_lock);
    pthread_mutex_lock(&rebalance->lock);
    rebalance->status.running = true;
    pthread_mutex_unlock(&rebalance->lock);
    error = pass(rebalance, moved);
    pthread_mutex_lock(&rebalance->lock);
    rebalance->state = REBALANCE_EVEN; /* no walk is under way */
    rebalance->status.running = false;
    rebalance->status.passes++;
    pthread_mutex_unlock(&rebalance->lock);
    log_failing(&rebalance->failing, "rebalancing", error);
    pthread_mutex_unlock(&rebalance->pass_lock);
    return error;
}

int rebalance_pass(struct rebalance *rebalance)
{
    uint64_t moved;

    return make_pass(rebalance, &moved);
}

/* --- the thread ------------------------------------------------------------*/
/* Waits for a tick, or to be woken. True: it was. */
static bool wait_a_tick(struct rebalance *rebalance)
{
    struct timespec until;
    bool woken;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TICK_MS / 1000;
    pthread_mutex_lock(&rebalance->lock);
    if (!rebalance->woken && !atomic_load(&rebalance->stopping)) {
        pthread_cond_timedwait(&rebalance->work, &rebalance->lock, &until);
    }
    woken = rebalance->woken;
    pthread_mutex_unlock(&rebalance->lock);
    return woken;
}

static void *run(void *context)
{
    struct rebalance *rebalance = context;
    uint64_t wait_ms = TICK_MS, due_ms = now_ms() + LONGEST_MS;

    care_thread_begin("rebalance");
    while (!atomic_load(&rebalance->stopping)) {
        uint64_t moved;

        if (!wait_a_tick(rebalance) &&
            situation_is(rebalance, &rebalance->seen) && now_ms() < due_ms) {
            continue;
        }
        (void)make_pass(rebalance, &moved);
        wait_ms = moved > 0 ? TICK_MS : 2 * wait_ms;
        wait_ms = wait_ms < LONGEST_MS ? wait_ms : LONGEST_MS;
        due_ms = now_ms() + wait_ms;
    }
    return NULL;
}

static bool stops(void *context)
{
    struct rebalance *rebalance = context;

    return atomic_load(&rebalance->stopping);
}

static bool busy(void *context)
{
    struct rebalance *rebalance = context;

    return rebalance->options.busy != NULL &&
           rebalance->options.busy(rebalance->options.context);
}

struct rebalance *rebalance_open(const struct rebalance_options *options)
{
    struct rebalance *rebalance = xcalloc(1, sizeof(*rebalance));
    pthread_condattr_t monotonic;

    invariant(options->drive_count > 0 &&
              options->drive_count < REBALANCE_DRIVES_MAX);
    rebalance->options = *options;
    rebalance->state = REBALANCE_EVEN;
    pace_init(&rebalance->pace, options->rate);
    rebalance->pace.busy = busy;
    rebalance->pace.stop = stops;
    rebalance->pace.context = rebalance;
    invariant(pthread_mutex_init(&rebalance->pass_lock, NULL) == 0);
    invariant(pthread_mutex_init(&rebalance->lock, NULL) == 0);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    invariant(pthread_cond_init(&rebalance->work, &monotonic) == 0);
    pthread_condattr_destroy(&monotonic);
    situation_read(rebalance, &rebalance->seen);
    rebalance->woken = rebalance->seen.draining != 0;
    if (!options->by_hand) {
        invariant(pthread_create(&rebalance->thread, NULL, run, rebalance) ==
                  0);
    }
    return rebalance;
}

void rebalance_close(struct rebalance *rebalance)
{
    if (rebalance == NULL) {
        return;
    }
    pthread_mutex_lock(&rebalance->lock);
    atomic_store(&rebalance->stopping, true);
    pthread_cond_broadcast(&rebalance->work);
    pthread_mutex_unlock(&rebalance->lock);
    if (!rebalance->options.by_hand) {
        pthread_join(rebalance->thread, NULL);
    }
    pthread_cond_destroy(&rebalance->work);
    pthread_mutex_destroy(&rebalance->lock);
    pthread_mutex_destroy(&rebalance->pass_lock);
    pthread_mutex_destroy(&rebalance->pace.lock);
    free(rebalance);
}

/* --- commands and status ---------------------------------------------------*/
void rebalance_wake(struct rebalance *rebalance)
{
    pthread_mutex_lock(&rebalance->lock);
    rebalance->woken = true;
    pthread_cond_broadcast(&rebalance->work);
    pthread_mutex_unlock(&rebalance->lock);
}

int rebalance_start(struct rebalance *rebalance, uint64_t *pass)
{
    if (rebalance->options.band == 0) {
        return -ENOTSUP;
    }
    pthread_mutex_lock(&rebalance->lock);
    rebalance->forced = rebalance->woken = true;
    rebalance->stopped = false;
    *pass = rebalance->status.passes + 1 + rebalance->status.running;
    pthread_cond_broadcast(&rebalance->work);
    pthread_mutex_unlock(&rebalance->lock);
    return 0;
}

void rebalance_stop(struct rebalance *rebalance)
{
    pthread_mutex_lock(&rebalance->lock);
    rebalance->stopped = true;
    rebalance->forced = false;
    pthread_mutex_unlock(&rebalance->lock);
}

void rebalance_status(struct rebalance *rebalance,
                      struct rebalance_status *status)
{
    struct situation situation;
    struct levels levels;
    enum rebalance_state resting, state;

    situation_read(rebalance, &situation);
    resting = judge(rebalance, &situation, rebalance->options.band, &levels);
    pthread_mutex_lock(&rebalance->lock);
    *status = rebalance->status;
    state = rebalance->state;
    status->pass_ms = now_ms() - rebalance->pass_began_ms;
    pthread_mutex_unlock(&rebalance->lock);
    status->state = state != REBALANCE_EVEN ? state : resting;
    status->mean = levels.mean;
    status->excess = levels_excess(&levels);
    for (unsigned i = 0; i < levels.count; i++) {
        struct rebalance_drive *drive = &status->drives[i];
        struct reclaim_live live;

        drive->known = reclaim_live(rebalance->options.reclaim, i, &live);
        drive->bytes = live.bytes;
        drive->shards = live.shards;
        drive->level = level_of(&levels.drives[i]);
    }
}
