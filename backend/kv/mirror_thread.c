/*
 * A mirror's two threads. One writes the journal, which commits wait for; the
 * other applies what J1 holds for to the database and makes checkpoints, which
 * take their time.
 */
#include "kv/mirror.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- the journal -----------------------------------------------------------*/

static void journal_group(struct mirror *mirror, struct group *group)
{
    struct mirrors *all = mirror->all;
    int error;

    atomic_fetch_add(&group->references, 1);
    pthread_mutex_unlock(&all->lock);
    error = journal_append(mirror->journal, group->epoch,
                           slice_of(group->payload.data, group->payload.size));
    if (error == 0) {
        error = journal_sync(mirror->journal);
    }
    pthread_mutex_lock(&all->lock);
    if (error != 0) {
        mirror_fail(mirror, "its journal", error);
    } else {
        mirror->journaled = group->seq;
        if (mirrors_answered(all, group->seq)) {
            pthread_cond_broadcast(&all->progress); /* the last one */
        }
    }
    group_release(group);
}

static void drop_segments(struct mirror *mirror)
{
    struct mirrors *all = mirror->all;
    uint64_t seq = mirror->drop;
    int error;

    mirror->drop = 0;
    pthread_mutex_unlock(&all->lock);
    error = journal_drop(mirror->journal, seq);
    pthread_mutex_lock(&all->lock);
    if (error != 0) {
        mirror_fail(mirror, "old segments of its journal", error);
    }
}

static void *journal_main(void *argument)
{
    struct mirror *mirror = argument;
    struct mirrors *all = mirror->all;

    pthread_mutex_lock(&all->lock);
    while (!mirror->stop) {
        if (all->group != NULL && all->group->seq > mirror->journaled) {
            invariant(all->group->seq == mirror->journaled + 1); /* J3 */
            journal_group(mirror, all->group);
        } else if (mirror->drop > 0) {
            drop_segments(mirror);
        } else {
            pthread_cond_wait(&all->work, &all->lock);
        }
    }
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

/* --- the database ----------------------------------------------------------*/

struct applier {
    struct mirror *mirror;
    struct journal_cursor *cursor;
    struct kv_batch *batch;
    struct buffer payload;
    uint64_t segment; /* of the journal, at the last checkpoint */
};

static int apply_next(struct applier *applier, uint64_t *seq)
{
    const struct mirror *mirror = applier->mirror;
    int error = journal_cursor_next(applier->cursor, seq, &applier->payload);

    if (error == 0) {
        error = kv_batch_load(applier->batch, slice_of(applier->payload.data,
                                                       applier->payload.size));
    }
    return error != 0 ? error
                      : mirror_db_apply(mirror->db, applier->batch,
                                        *seq <= mirror->replayed);
}

/* When a segment is full, what the segments before it hold goes to tables. */
static int checkpoint(struct applier *applier)
{
    struct mirror *mirror = applier->mirror;
    struct kv *kv = mirror->db->kv;
    uint64_t segment = journal_segment(mirror->journal);
    int error;

    if (segment == applier->segment || mirror->applied + 1 < segment) {
        return 0;
    }
    error = mirror_db_settle(mirror->db);
    if (error == 0) {
        error = kv->ops->checkpoint(kv);
    }
    if (error != 0) {
        return error;
    }
    applier->segment = segment;
    pthread_mutex_lock(&mirror->all->lock);
    mirror->drop = segment;
    pthread_cond_broadcast(&mirror->all->work);
    pthread_mutex_unlock(&mirror->all->lock);
    return 0;
}

static void settle(struct mirror *mirror)
{
    struct mirrors *all = mirror->all;
    int error;

    pthread_mutex_unlock(&all->lock);
    error = mirror_db_settle(mirror->db);
    pthread_mutex_lock(&all->lock);
    mirror->settles = false;
    pthread_cond_broadcast(&all->progress);
    if (error != 0) {
        mirror_fail(mirror, "its database", error);
    }
}

/* J2: no further than what is committed. */
static bool may_apply(const struct mirror *mirror)
{
    uint64_t committed = mirror->all->committed;

    return mirror->applies && mirror->applied < mirror->journaled &&
           mirror->applied < committed;
}

static void *apply_main(void *argument)
{
    struct mirror *mirror = argument;
    struct mirrors *all = mirror->all;
    struct applier applier = {.mirror = mirror,
                              .batch = kv_batch_new(),
                              .segment = journal_segment(mirror->journal)};
    int error;

    pthread_mutex_lock(&all->lock);
    applier.cursor = journal_cursor_new(mirror->journal, mirror->applied + 1);
    while (!mirror->stop) {
        uint64_t seq = 0;

        if (mirror->settles) {
            settle(mirror);
            continue;
        }
        if (!may_apply(mirror)) {
            pthread_cond_wait(&all->apply, &all->lock);
            continue;
        }
        pthread_mutex_unlock(&all->lock);
        error = apply_next(&applier, &seq);
        pthread_mutex_lock(&all->lock);
        if (error == 0) {
            mirror->applied = seq;
            if (mirror == all->primary && seq > all->visible) {
                all->visible = seq;
            }
            pthread_cond_broadcast(&all->progress);
            pthread_mutex_unlock(&all->lock);
            error = checkpoint(&applier);
            pthread_mutex_lock(&all->lock);
        }
        if (error != 0) {
            mirror_fail(mirror, "its database", error);
        }
    }
    pthread_mutex_unlock(&all->lock);
    journal_cursor_free(applier.cursor);
    kv_batch_free(applier.batch);
    buffer_free(&applier.payload);
    return NULL;
}

/* --- both ------------------------------------------------------------------*/

void mirror_start(struct mirror *mirror)
{
    mirror->failed = false;
    mirror->stop = false;
    mirror->settles = false;
    mirror->running = true;
    invariant(pthread_create(&mirror->threads[0], NULL, journal_main, mirror) ==
              0);
    invariant(pthread_create(&mirror->threads[1], NULL, apply_main, mirror) ==
              0);
}

void mirror_stop(struct mirror *mirror)
{
    struct mirrors *all = mirror->all;
    bool running;

    pthread_mutex_lock(&all->lock);
    mirror->stop = true;
    running = mirror->running;
    pthread_cond_broadcast(&all->work);
    pthread_cond_broadcast(&all->apply);
    pthread_mutex_unlock(&all->lock);
    if (running) {
        pthread_join(mirror->threads[0], NULL);
        pthread_join(mirror->threads[1], NULL);
    }
    pthread_mutex_lock(&all->lock);
    mirror->running = false;
    pthread_mutex_unlock(&all->lock);
    journal_close(mirror->journal);
    mirror->journal = NULL;
    mirror_db_release(mirror->db);
    mirror->db = NULL;
}
