/*
 * Reads: of the primary's database. One that fails is given up, and the next
 * member that has applied every committed group is asked instead.
 */
#include "kv/mirror.h"

#include <errno.h>
#include <stdlib.h>

struct mirror_iterator {
    struct kv_iterator iterator;
    struct kv_iterator *inner; /* NULL: there was no primary */
    struct mirror_db *db;
    struct mirrors *all;
};

struct mirror_db *mirror_db_retain(struct mirror_db *db)
{
    atomic_fetch_add(&db->references, 1);
    return db;
}

void mirror_db_release(struct mirror_db *db)
{
    if (db != NULL && atomic_fetch_sub(&db->references, 1) == 1) {
        kv_close(db->kv);
        free(db);
    }
}

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

static void note_error(struct mirror_iterator *self)
{
    if (kv_error(self->inner) != 0) {
        give_up(self->all, self->db);
    }
}

static void iterator_seek(struct kv_iterator *iterator, struct slice key)
{
    struct mirror_iterator *self = (struct mirror_iterator *)iterator;

    if (self->inner != NULL) {
        self->inner->ops->seek(self->inner, key); /* timed once */
        note_error(self);
    }
}

static void iterator_next(struct kv_iterator *iterator)
{
    struct mirror_iterator *self = (struct mirror_iterator *)iterator;

    kv_next(self->inner);
    note_error(self);
}

static bool iterator_valid(struct kv_iterator *iterator)
{
    struct mirror_iterator *self = (struct mirror_iterator *)iterator;

    return self->inner != NULL && kv_valid(self->inner);
}

static struct slice iterator_key(struct kv_iterator *iterator)
{
    return kv_key(((struct mirror_iterator *)iterator)->inner);
}

static struct slice iterator_value(struct kv_iterator *iterator)
{
    return kv_value(((struct mirror_iterator *)iterator)->inner);
}

static int iterator_error(struct kv_iterator *iterator)
{
    struct mirror_iterator *self = (struct mirror_iterator *)iterator;

    return self->inner != NULL ? kv_error(self->inner) : -EIO;
}

struct kv_iterator *mirrors_iterate(struct kv *kv)
{
    static const struct kv_iterator_ops ops = {
        .free = iterator_free,
        .seek = iterator_seek,
        .next = iterator_next,
        .valid = iterator_valid,
        .key = iterator_key,
        .value = iterator_value,
        .error = iterator_error,
    };
    struct mirror_iterator *iterator = xcalloc(1, sizeof(*iterator));

    iterator->iterator.ops = &ops;
    iterator->all = (struct mirrors *)kv;
    iterator->db = take_primary(iterator->all);
    if (iterator->db != NULL) {
        iterator->inner = kv_iterate(iterator->db->kv);
    }
    return &iterator->iterator;
}
