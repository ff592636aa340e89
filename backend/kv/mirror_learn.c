/*
 * Rebuilding a mirror while the others serve (S6): a snapshot is copied into
 * its database, while its journal takes every group that follows; then it
 * applies its journal, and the next epoch names it.
 */
#include "kv/mirror.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COPY_BATCH 262144u /* bytes written at once */

struct lesson {
    struct mirrors *all;
    struct mirror *mirror;
};

/* From here on the mirror takes every group; the snapshot holds all before. */
static int begin(struct mirrors *all, struct mirror *mirror,
                 struct kv_iterator **snapshot)
{
    struct writer writer;
    uint64_t seq;
    int error;

    mirrors_lead(all, &writer);
    seq = all->committed; /* as long as we lead */
    pthread_mutex_unlock(&all->lock);
    error = journal_reset(mirror->journal, seq + 1);
    pthread_mutex_lock(&all->lock);
    if (error == 0) {
        error = mirrors_wait_applied(all, seq);
    }
    if (error == 0) {
        error = mirrors_settle_primary(all);
    }
    if (error == 0) {
        *snapshot = kv_iterate(all->primary->db->kv);
        mirror->journaled = mirror->applied = mirror->replayed = seq;
        mirror->applies = false;
        mirror_start(mirror);
    }
    mirrors_lead_end(all, &writer);
    return error;
}

/* Sleeps off what was copied faster than the limit. */
static void keep_rate(const struct mirrors *all, uint64_t began_us,
                      uint64_t bytes)
{
    uint64_t due, now = clock_monotonic_us();

    if (all->learn_bytes == 0) {
        return;
    }
    due = began_us + bytes * 1000000 / all->learn_bytes;
    if (due > now) {
        struct timespec pause = {.tv_sec = (time_t)((due - now) / 1000000),
                                 .tv_nsec =
                                     (long)((due - now) % 1000000) * 1000};

        nanosleep(&pause, NULL);
    }
}

static int copy_batch(struct mirror *mirror, struct kv_iterator *snapshot)
{
    struct kv *kv = mirror->db->kv;
    struct kv_batch *batch = kv_batch_new();
    uint64_t bytes = 0;
    int error;

    while (bytes < COPY_BATCH && kv_valid(snapshot)) {
        struct slice key = kv_key(snapshot), value = kv_value(snapshot);

        kv_batch_put(batch, key, value);
        bytes += key.size + value.size;
        kv_next(snapshot);
    }
    error = kv_error(snapshot);
    if (error == 0) {
        error = kv->ops->commit(kv, batch);
    }
    kv_batch_free(batch);
    pthread_mutex_lock(&mirror->all->lock);
    mirror->learned += bytes;
    pthread_mutex_unlock(&mirror->all->lock);
    return error;
}

static bool given_up(struct mirrors *all, const struct mirror *mirror)
{
    bool up;

    pthread_mutex_lock(&all->lock);
    up = all->closing || mirror->failed;
    pthread_mutex_unlock(&all->lock);
    return up;
}

static int copy(struct mirrors *all, struct mirror *mirror,
                struct kv_iterator *snapshot)
{
    uint64_t began_us = clock_monotonic_us();
    struct kv *kv = mirror->db->kv;
    int error = 0;

    kv_seek(snapshot, SLICE_LITERAL("\2"));
    while (error == 0 && kv_valid(snapshot)) {
        error =
            given_up(all, mirror) ? -ECANCELED : copy_batch(mirror, snapshot);
        keep_rate(all, began_us, mirror->learned);
    }
    if (error == 0) {
        error = kv_error(snapshot);
    }
    /* The journal begins after the copy: it must not be lost with a cut. */
    return error != 0 ? error : kv->ops->checkpoint(kv);
}

/* Waits until the database has what the journal has. */
static int catch_up(struct mirrors *all, struct mirror *mirror)
{
    int error;

    pthread_mutex_lock(&all->lock);
    mirror->applies = true;
    pthread_cond_broadcast(&all->apply);
    while (!all->closing && !mirror->failed &&
           mirror->applied < all->committed) {
        pthread_cond_wait(&all->progress, &all->lock);
    }
    error = all->closing || mirror->failed ? -ECANCELED : 0;
    pthread_mutex_unlock(&all->lock);
    return error;
}

static int join(struct mirrors *all, struct mirror *mirror)
{
    struct writer writer;
    int error;

    mirrors_lead(all, &writer);
    error = mirror->failed ? -ECANCELED : mirrors_next_epoch(all, mirror);
    if (error == 0 && mirror->state != KV_MIRROR_MEMBER) {
        error = -EIO;
    }
    mirrors_lead_end(all, &writer);
    return error;
}

static int learn(struct mirrors *all, struct mirror *mirror)
{
    struct kv_iterator *snapshot = NULL;
    int error = begin(all, mirror, &snapshot);

    if (error == 0) {
        error = copy(all, mirror, snapshot);
        kv_iterator_free(snapshot);
    }
    if (error == 0) {
        error = catch_up(all, mirror);
    }
    return error != 0 ? error : join(all, mirror);
}

static void *learn_main(void *argument)
{
    struct lesson *lesson = argument;
    struct mirrors *all = lesson->all;
    struct mirror *mirror = lesson->mirror;
    int error = learn(all, mirror);

    free(lesson);
    if (error != 0) {
        log_error("metadata mirror %s: could not be rebuilt: %s",
                  mirror->directory, strerror(-error));
        mirror_stop(mirror);
    } else {
        log_info("metadata mirror %s: rebuilt, %" PRIu64 " bytes",
                 mirror->directory, mirror->learned);
    }
    pthread_mutex_lock(&all->lock);
    if (error != 0) {
        mirror->state = KV_MIRROR_FAILED;
    }
    all->learner_done = true;
    pthread_cond_broadcast(&all->progress);
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

void mirrors_join_learner(struct mirrors *all)
{
    if (all->learner_running) {
        pthread_join(all->learner, NULL);
        all->learner_running = all->learner_done = false;
    }
}

/* Takes the mirror for a lesson. Lock held. */
static int claim(struct mirrors *all, struct mirror *mirror)
{
    if (all->learner_running && !all->learner_done) {
        return -EBUSY;
    }
    switch (mirror->state) {
    case KV_MIRROR_MEMBER: /* also one that failed and is not expelled yet */
    case KV_MIRROR_LEARNING:
        return -EBUSY;
    case KV_MIRROR_FOREIGN:
        return -EPERM;
    default:
        mirror->state = KV_MIRROR_LEARNING;
        mirror->learned = 0;
        return 0;
    }
}

int kv_mirror_learn(struct kv *kv, unsigned index)
{
    struct mirrors *all = (struct mirrors *)kv;
    struct mirror *mirror;
    struct lesson *lesson;
    int error;

    if (kv->ops->commit != mirrors_commit || index >= all->count) {
        return -EINVAL;
    }
    mirror = &all->mirrors[index];
    pthread_mutex_lock(&all->lock);
    error = claim(all, mirror);
    pthread_mutex_unlock(&all->lock);
    if (error != 0) {
        return error;
    }
    mirrors_join_learner(all);
    mirror_stop(mirror);
    error = mirror_empty(mirror);
    if (error == 0) {
        error = mirror_open_files(mirror, true);
    }
    if (error != 0) {
        mirror->state = KV_MIRROR_FAILED;
        return error;
    }
    mirror_new_id(mirror->id);
    lesson = xcalloc(1, sizeof(*lesson));
    *lesson = (struct lesson){all, mirror};
    all->learner_running = true;
    invariant(pthread_create(&all->learner, NULL, learn_main, lesson) == 0);
    return 0;
}
