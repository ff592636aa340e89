/* What goes wrong with the simulated disk, on command. */
#include "io/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the path is below of; NULL: nothing is wrong there. */
static const struct sim_failing *find_failing(const struct sim *sim,
                                              const char *path)
{
    for (size_t i = 0; i < sim->failing_count; i++) {
        const char *prefix = sim->failing[i].prefix;
        if (strcmp(path, prefix) == 0 || sim_is_below(path, prefix)) {
            return &sim->failing[i];
        }
    }
    return NULL;
}

static bool hangs(const struct sim *sim, const char *path)
{
    const struct sim_failing *failing = find_failing(sim, path);
    return failing != NULL && failing->hangs;
}

static void hang_now(struct sim *sim, const char *path)
{
    sim->hanging++;
    pthread_cond_broadcast(&sim->hanging_changed);
    while (hangs(sim, path)) {
        pthread_cond_wait(&sim->hanging_changed, &sim->mutex);
    }
    sim->hanging--;
    pthread_cond_broadcast(&sim->hanging_changed);
}

static void take_time(struct sim *sim, uint64_t us)
{
    struct timespec time = {.tv_sec = (time_t)(us / 1000000),
                            .tv_nsec = (long)(us % 1000000) * 1000};
    pthread_mutex_unlock(&sim->mutex);
    nanosleep(&time, NULL);
    pthread_mutex_lock(&sim->mutex);
}

int sim_fault(struct sim *sim, const char *path, bool now)
{
    const struct sim_failing *failing = find_failing(sim, path);
    sim->calls++;
    if (failing != NULL && failing->error != 0) {
        return -failing->error;
    }
    if (failing != NULL && now) {
        return -EAGAIN;
    }
    if (failing != NULL && failing->hangs) {
        hang_now(sim, path);
    } else if (failing != NULL) {
        take_time(sim, failing->delay_us);
    }
    if (sim->off) {
        return -EIO;
    }
    if (sim->fail_times == 0) {
        return 0;
    }
    if (sim->fail_after > 0) {
        sim->fail_after--;
        return 0;
    }
    if (sim->fail_times != UINT64_MAX) {
        sim->fail_times--;
    }
    return -sim->fail_error;
}

void io_sim_fail_after(struct io *io, uint64_t calls, int error, uint64_t times)
{
    struct sim *sim = (struct sim *)io;
    pthread_mutex_lock(&sim->mutex);
    sim->fail_after = calls;
    sim->fail_error = error;
    sim->fail_times = times;
    pthread_mutex_unlock(&sim->mutex);
}

static void forget_failing(struct sim *sim, const char *prefix)
{
    size_t kept = 0;
    for (size_t i = 0; i < sim->failing_count; i++) {
        if (strcmp(sim->failing[i].prefix, prefix) == 0) {
            free(sim->failing[i].prefix);
        } else {
            sim->failing[kept++] = sim->failing[i];
        }
    }
    sim->failing_count = kept;
}

static void set_failing(struct io *io, struct sim_failing failing)
{
    struct sim *sim = (struct sim *)io;
    failing.prefix = sim_path(failing.prefix);
    pthread_mutex_lock(&sim->mutex);
    forget_failing(sim, failing.prefix);
    if (failing.error != 0 || failing.hangs || failing.delay_us != 0) {
        sim->failing = xrealloc(sim->failing, (sim->failing_count + 1) *
                                                  sizeof(*sim->failing));
        sim->failing[sim->failing_count++] = failing;
    } else {
        free(failing.prefix);
    }
    pthread_cond_broadcast(&sim->hanging_changed);
    pthread_mutex_unlock(&sim->mutex);
}

void io_sim_fail_path(struct io *io, const char *prefix, int error)
{
    set_failing(io, (struct sim_failing){.prefix = (char *)(uintptr_t)prefix,
                                         .error = error});
}

void io_sim_hang(struct io *io, const char *prefix, bool hang)
{
    set_failing(io, (struct sim_failing){.prefix = (char *)(uintptr_t)prefix,
                                         .hangs = hang});
}

void io_sim_delay(struct io *io, const char *prefix, uint64_t us)
{
    set_failing(io, (struct sim_failing){.prefix = (char *)(uintptr_t)prefix,
                                         .delay_us = us});
}

void io_sim_wait_hanging(struct io *io, unsigned operations)
{
    struct sim *sim = (struct sim *)io;
    pthread_mutex_lock(&sim->mutex);
    while (sim->hanging < operations) {
        pthread_cond_wait(&sim->hanging_changed, &sim->mutex);
    }
    pthread_mutex_unlock(&sim->mutex);
}

void io_sim_order_names(struct io *io)
{
    struct sim *sim = (struct sim *)io;
    pthread_mutex_lock(&sim->mutex);
    sim->ordered = true;
    pthread_mutex_unlock(&sim->mutex);
}

/* The last operation whose change of a name the crash keeps, if in order. */
static uint64_t choose_last(struct sim *sim)
{
    uint64_t pending = 0, last = 0;
    for (size_t i = 0; i < sim->name_count; i++) {
        struct sim_name *name = &sim->names[i];
        if (name->seen != name->durable &&
            sim_random(sim) % (++pending + 1) != 0) {
            last = name->changed;
        }
    }
    return last;
}

/* Names of before and after that are not yet durable are each kept or lost;
 * what then has no directory is gone too. */
static void crash_names(struct sim *sim)
{
    uint64_t last = choose_last(sim);
    for (size_t i = 0; i < sim->name_count; i++) {
        struct sim_name *name = &sim->names[i];
        if (name->seen == name->durable) {
            continue;
        }
        if (sim->ordered ? name->changed <= last : sim_coin(sim)) {
            sim_set_durable(sim, name, name->seen);
        } else {
            sim_set_seen(sim, name->path, name->durable);
        }
    }
    for (size_t i = 0; i < sim->name_count; i++) {
        struct sim_name *name = &sim->names[i];
        /* Sorted: the directory came first. */
        if (name->seen != NULL && !sim_has_parent(sim, name->path)) {
            sim_set_seen(sim, name->path, NULL);
            sim_set_durable(sim, name, NULL);
        }
    }
    sim_drop_names(sim);
}

void io_sim_power_off(struct io *io)
{
    struct sim *sim = (struct sim *)io;
    pthread_mutex_lock(&sim->mutex);
    sim->off = true;
    sim->power++;
    crash_names(sim);
    for (size_t i = 0; i < sim->name_count; i++) {
        struct sim_inode *inode = sim->names[i].seen;
        /* A file with two names crashes once: then it is clean. */
        if (!inode->directory) {
            sim_file_crash(sim, inode);
        }
        inode->locker = NULL;
    }
    pthread_mutex_unlock(&sim->mutex);
}

void io_sim_power_on(struct io *io)
{
    struct sim *sim = (struct sim *)io;
    pthread_mutex_lock(&sim->mutex);
    sim->off = false;
    pthread_mutex_unlock(&sim->mutex);
}

void io_sim_crash(struct io *io)
{
    io_sim_power_off(io);
    io_sim_power_on(io);
}

static uint64_t bytes_below(struct sim *sim, const char *prefix)
{
    uint64_t total = 0;
    for (size_t i = 0; i < sim->name_count; i++) {
        struct sim_name *name = &sim->names[i];
        if (name->seen != NULL && sim_is_below(name->path, prefix)) {
            total += name->seen->size;
        }
    }
    return total;
}

static void flip(struct sim *sim, const char *prefix, uint64_t at)
{
    for (size_t i = 0; i < sim->name_count; i++) {
        struct sim_name *name = &sim->names[i];
        if (name->seen == NULL || !sim_is_below(name->path, prefix)) {
            continue;
        }
        if (at < name->seen->size) {
            uint8_t bit = (uint8_t)(1u << (sim_random(sim) % 8));
            name->seen->data[at] ^= bit;
            name->seen->durable[at] ^= bit;
            return;
        }
        at -= name->seen->size;
    }
}

void io_sim_corrupt(struct io *io, const char *prefix, unsigned count)
{
    struct sim *sim = (struct sim *)io;
    char *path = sim_path(prefix);
    pthread_mutex_lock(&sim->mutex);
    uint64_t total = bytes_below(sim, path);
    for (unsigned i = 0; i < count && total > 0; i++) {
        flip(sim, path, sim_random(sim) % total);
    }
    pthread_mutex_unlock(&sim->mutex);
    free(path);
}

void io_sim_wipe(struct io *io, const char *prefix)
{
    struct sim *sim = (struct sim *)io;
    char *path = sim_path(prefix);
    pthread_mutex_lock(&sim->mutex);
    for (size_t i = 0; i < sim->name_count; i++) {
        struct sim_name *name = &sim->names[i];
        if (sim_is_below(name->path, path)) {
            sim_set_seen(sim, name->path, NULL);
            sim_set_durable(sim, name, NULL);
        }
    }
    sim_drop_names(sim);
    pthread_mutex_unlock(&sim->mutex);
    free(path);
}

uint64_t io_sim_calls(struct io *io)
{
    struct sim *sim = (struct sim *)io;
    pthread_mutex_lock(&sim->mutex);
    uint64_t calls = sim->calls;
    pthread_mutex_unlock(&sim->mutex);
    return calls;
}

struct io_sim_direct io_sim_direct(struct io *io)
{
    struct sim *sim = (struct sim *)io;
    pthread_mutex_lock(&sim->mutex);
    struct io_sim_direct direct = sim->direct;
    pthread_mutex_unlock(&sim->mutex);
    return direct;
}
