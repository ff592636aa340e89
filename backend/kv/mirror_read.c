/*
 * Reads: of the primary's database. One that fails is given up, and the next
 * member that has applied every committed group is asked instead.
 */
#include "kv/mirror.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct mirror_iterator {
    struct kv_iterator iterator;
    struct kv_iterator *inner; /* NULL: there was no primary */
    struct mirror_db *db;
    struct mirrors *all;
};

void mirrors_choose_primary(struct mirrors *all)
{
    all->primary = NULL;
    for (unsigned i = 0; i < all->count && all->primary == NULL; i++) {
        if (mirror_alive(&all->mirrors[i])) {
            all->primary = &all->mirrors[i];
        }
    }
    /* Acknowledged once its primary had it, seen perhaps: the one before may
     * have been behind the one before that. */
    all->visible = all->committed;
    if (all->primary != NULL) {
        log_info("metadata mirror %s: is the primary now",
                 all->primary->directory);
    }
}

/* A new primary may lag behind the one before; what was acknowledged must be
 * seen. NULL: there is none. */
static struct mirror_db *take_primary(struct mirrors *all)
{
    struct mirror_db *db = NULL;

    pthread_mutex_lock(&all->lock);
    if (mirrors_wait_applied(all, all->visible) == 0) {
        db = mirror_db_retain(all->primary->db);
    }
    pthread_mutex_unlock(&all->lock);
    return db;
}

static void give_up(struct mirrors *all, const struct mirror_db *db)
{
    pthread_mutex_lock(&all->lock);
    if (all->primary != NULL && all->primary->db == db) {
        mirror_fail(all->primary, "its database cannot be read", -EIO);
    }
    pthread_mutex_unlock(&all->lock);
}

int mirrors_get(struct kv *kv, struct arena *arena, struct slice key,
                struct slice *value)
{
    struct mirrors *all = (struct mirrors *)kv;
    struct mirror_db *db;
    int error = -EIO;

    while (error == -EIO && (db = take_primary(all)) != NULL) {
        error = db->kv->ops->get(db->kv, arena, key, value); /* timed once */
        if (error == -EIO) {
            give_up(all, db);
        }
        mirror_db_release(db);
    }
    return error;
}

/* Of the primary as it is, were it behind. */
bool mirrors_statistics(struct kv *kv, struct kv_statistics *statistics)
{
    struct mirrors *all = (struct mirrors *)kv;
    struct mirror_db *db = NULL;
    bool known;

    pthread_mutex_lock(&all->lock);
    if (all->primary != NULL && all->primary->db != NULL) {
        db = mirror_db_retain(all->primary->db);
    }
    pthread_mutex_unlock(&all->lock);
    known = db != NULL && kv_statistics(db->kv, statistics);
    mirror_db_release(db);
    return known;
}

/* --- iterators -------------------------------------------------------------*/

static void iterator_free(struct kv_iterator *iterator)
{
    struct mirror_iterator *self = (struct mirror_iterator *)iterator;

    kv_iterator_free(self->inner);
    mirror_db_release(self->db);
    free(self);
}

static void settle(struct mirror_iterator *self)
{
    self->iterator.here = self->inner->here;
    if (self->inner->error != 0) {
        self->iterator.error = self->inner->error;
        give_up(self->all, self->db);
    }
}

static void iterator_seek(struct kv_iterator *iterator, struct slice key)
{
    struct mirror_iterator *self = (struct mirror_iterator *)iterator;

    if (self->inner != NULL) {
        self->inner->ops->seek(self->inner, key); /* timed once */
        settle(self);
    }
}

static void iterator_next(struct kv_iterator *iterator)
{
    struct mirror_iterator *self = (struct mirror_iterator *)iterator;

    self->inner->asks_late = iterator->asks_late;
    self->inner->ops->next(self->inner);
    settle(self);
}

static void iterator_ask(struct kv_iterator *iterator)
{
    struct mirror_iterator *self = (struct mirror_iterator *)iterator;

    if (self->inner != NULL && kv_error(self->inner) != 0) {
        settle(self);
    }
}

/* Takes over the reference; NULL: there is no primary. */
static struct kv_iterator *iterate_db(struct mirrors *all, struct mirror_db *db)
{
    static const struct kv_iterator_ops ops = {
        .free = iterator_free,
        .seek = iterator_seek,
        .next = iterator_next,
        .ask = iterator_ask,
    };
    struct mirror_iterator *iterator = xcalloc(1, sizeof(*iterator));

    iterator->iterator.ops = &ops;
    iterator->all = all;
    iterator->db = db;
    if (db != NULL) {
        iterator->inner = kv_iterate(db->kv);
    } else {
        iterator->iterator.error = -EIO;
    }
    return &iterator->iterator;
}

struct kv_iterator *mirrors_iterate(struct kv *kv)
{
    struct mirrors *all = (struct mirrors *)kv;

    return iterate_db(all, take_primary(all));
}

struct kv_iterator *mirrors_iterate_all(struct kv *kv)
{
    struct mirrors *all = (struct mirrors *)kv;
    struct mirror_db *db;

    while ((db = take_primary(all)) != NULL && mirror_db_settle(db) != 0) {
        give_up(all, db);
        mirror_db_release(db);
    }
    return iterate_db(all, db);
}

/* Its own thread writes, so that a drive that hangs can be given up. */
int mirrors_settle_primary(struct mirrors *all)
{
    struct mirror *primary = all->primary;

    primary->settles = true;
    pthread_cond_broadcast(&all->apply);
    while (all->primary == primary && primary->settles) {
        pthread_cond_wait(&all->progress, &all->lock);
    }
    return all->primary == primary ? 0 : -EIO;
}

/* As long as we lead nothing is committed, and the primary applies no more than
 * that. */
int mirrors_snapshot(struct kv *kv, struct kv_position *position,
                     struct kv_iterator **iterator)
{
    struct mirrors *all = (struct mirrors *)kv;
    struct writer writer;
    int error;

    mirrors_lead(all, &writer);
    error = mirrors_wait_applied(all, all->committed);
    if (error == 0) {
        error = mirrors_settle_primary(all);
    }
    if (error == 0) {
        memcpy(position->store, all->store, MIRROR_ID_SIZE);
        position->commit = all->committed;
        *iterator = iterate_db(all, mirror_db_retain(all->primary->db));
    }
    mirrors_lead_end(all, &writer);
    return error;
}

/* --- the journal -----------------------------------------------------------*/

/* The primary's: a member has every group that is committed (J1). */
int mirrors_journal(struct kv *kv, struct kv_position *until, struct io **io,
                    char **directory)
{
    struct mirrors *all = (struct mirrors *)kv;
    struct buffer path = {0};
    int error = -EIO;

    pthread_mutex_lock(&all->lock);
    memcpy(until->store, all->store, MIRROR_ID_SIZE);
    until->commit = all->committed;
    if (all->primary != NULL) {
        buffer_printf(&path, "%s/journal", all->primary->directory);
        buffer_append(&path, "", 1);
        error = 0;
    }
    pthread_mutex_unlock(&all->lock);
    *io = all->io;
    *directory = (char *)path.data;
    return error;
}
