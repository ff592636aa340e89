/*
 * The database of a mirror, and what passes it by (D1): puts of what is deleted
 * soon stay in memory, with the journal's groups to bring them back. Deleted
 * while they are here they cost the database nothing: no entry and no mark of
 * its removal, in memory, in its log, and in each table that both would go
 * through.
 */
#include "kv/mirror.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS       1024u
#define PASSING_MAX (2u << 20) /* bytes; more are written */

struct passing {
    struct passing *next;    /* of its slot */
    struct slice key, value; /* behind this structure */
};

struct mirror_db *mirror_db_new(struct kv *kv)
{
    struct mirror_db *db = xcalloc(1, sizeof(*db));

    db->kv = kv;
    atomic_init(&db->references, 1);
    invariant(pthread_mutex_init(&db->lock, NULL) == 0);
    db->slots = xcalloc(SLOTS, sizeof(struct passing *));
    db->batch = kv_batch_new();
    return db;
}

struct mirror_db *mirror_db_retain(struct mirror_db *db)
{
    atomic_fetch_add(&db->references, 1);
    return db;
}

/* --- what passes: with the lock --------------------------------------------*/

static struct passing **find(struct mirror_db *db, struct slice key)
{
    struct passing **link =
        &db->slots[crc32c_bytes(key.data, key.size) % SLOTS];

    while (*link != NULL && !slice_equal((*link)->key, key)) {
        link = &(*link)->next;
    }
    return link;
}

static size_t size_of(const struct passing *passing)
{
    return sizeof(*passing) + passing->key.size + passing->value.size;
}

static void keep(struct mirror_db *db, const struct kv_change *change)
{
    const size_t key = change->key.size, value = change->value.size;
    struct passing **link = find(db, change->key);
    struct passing *passing = xmalloc(sizeof(*passing) + key + value);
    uint8_t *bytes = (uint8_t *)(passing + 1);

    invariant(*link == NULL);
    memcpy(bytes, change->key.data, key);
    memcpy(bytes + key, change->value.data, value);
    *passing = (struct passing){.key = slice_of(bytes, key),
                                .value = slice_of(bytes + key, value)};
    *link = passing;
    db->passing += size_of(passing);
}

static void forget(struct mirror_db *db, struct passing **link)
{
    struct passing *passing = *link;

    *link = passing->next;
    db->passing -= size_of(passing);
    free(passing);
}

/* False: the database may have the key. */
static bool deleted_here(struct mirror_db *db, struct slice key)
{
    struct passing **link = find(db, key);

    if (*link == NULL) {
        return false;
    }
    forget(db, link);
    return true;
}

static bool passes_by(struct mirror_db *db, const struct kv_change *change)
{
    switch (change->kind) {
    case KV_PUT_PASSING:
        keep(db, change);
        return true;
    case KV_DELETE:
        return db->passing > 0 && deleted_here(db, change->key);
    default:
        return false;
    }
}

/* Leaves in the group what the database gets. */
static void filter(struct mirror_db *db, struct kv_batch *group)
{
    struct buffer *changes = kv_batch_buffer(group);
    struct kv_change change;
    size_t at = 0, next = 0;

    while (kv_change_next(changes, &next, &change)) {
        if (passes_by(db, &change)) {
            changes->data[at] = KV_NOTHING;
        }
        at = next;
    }
    kv_changes_strip(changes);
}

/* Leaves all of them in db->batch. */
static void gather(struct mirror_db *db)
{
    kv_batch_clear(db->batch);
    for (size_t i = 0; i < SLOTS && db->passing > 0; i++) {
        while (db->slots[i] != NULL) {
            const struct passing *passing = db->slots[i];

            kv_batch_put(db->batch, passing->key, passing->value);
            forget(db, &db->slots[i]);
        }
    }
}

static int commit(struct mirror_db *db, const struct kv_batch *batch)
{
    return kv_batch_changes(batch).size > 0 ? db->kv->ops->commit(db->kv, batch)
                                            : 0;
}

static int write_out(struct mirror_db *db)
{
    gather(db);
    return commit(db, db->batch);
}

/* --- groups ----------------------------------------------------------------*/

int mirror_db_apply(struct mirror_db *db, struct kv_batch *group, bool again)
{
    int error;

    pthread_mutex_lock(&db->lock);
    if (!again && (db->passing > 0 || kv_batch_has_passing(group))) {
        filter(db, group);
    }
    error = commit(db, group);
    if (error == 0 && db->passing > PASSING_MAX) {
        error = write_out(db);
    }
    pthread_mutex_unlock(&db->lock);
    return error;
}

int mirror_db_settle(struct mirror_db *db)
{
    int error;

    pthread_mutex_lock(&db->lock);
    error = write_out(db);
    pthread_mutex_unlock(&db->lock);
    return error;
}

void mirror_db_release(struct mirror_db *db)
{
    if (db == NULL || atomic_fetch_sub(&db->references, 1) != 1) {
        return;
    }
    gather(db); /* which frees them: the journal has them */
    kv_batch_free(db->batch);
    free(db->slots);
    kv_close(db->kv);
    pthread_mutex_destroy(&db->lock);
    free(db);
}
