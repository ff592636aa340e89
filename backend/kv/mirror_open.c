/* From directories to a store, and back. */
#include "kv/mirror.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define PATH_SIZE 4096

static void path_in(const struct mirror *mirror, const char *name,
                    char out[PATH_SIZE])
{
    int n = snprintf(out, PATH_SIZE, "%s/%s", mirror->directory, name);

    invariant(n > 0 && n < PATH_SIZE);
}

void mirror_new_id(uint8_t id[MIRROR_ID_SIZE])
{
    invariant(getrandom(id, MIRROR_ID_SIZE, 0) == MIRROR_ID_SIZE);
}

/* --- the files of one mirror -----------------------------------------------*/

/* -ENOENT: the directory is absent. -EAGAIN: another process has it. */
static int take_lock(struct mirror *mirror)
{
    struct io *io = mirror->all->io;
    char path[PATH_SIZE];
    int error;

    path_in(mirror, "lock", path);
    error = io_open(io, path, IO_WRITE, &mirror->lock);
    if (error == -ENOENT) {
        error = io_open(io, path, IO_WRITE | IO_CREATE, &mirror->lock);
    }
    if (error != 0) {
        mirror->lock = NULL;
        return error;
    }
    error = io_lock(mirror->lock);
    if (error != 0) {
        io_close(mirror->lock);
        mirror->lock = NULL;
    }
    return error;
}

/* The directory, and the one that it is in: a drive that is new. */
static int make_directory(struct mirror *mirror)
{
    struct io *io = mirror->all->io;
    char *parent = xstrdup(mirror->directory);
    char *slash = strrchr(parent, '/');
    int error = 0;

    if (slash != NULL && slash != parent) {
        *slash = '\0';
        error = io_mkdir(io, parent);
        if (error == 0) {
            error = io_sync_parent(io, parent);
        }
    }
    free(parent);
    if (error == 0) {
        error = io_mkdir_owned(io, mirror->directory);
    }
    return error != 0 ? error : io_sync_parent(io, mirror->directory);
}

int mirror_empty(struct mirror *mirror)
{
    struct io *io = mirror->all->io;
    char path[PATH_SIZE];
    int error;

    path_in(mirror, "lock", path);
    if (mirror->lock != NULL && io_is_at(mirror->lock, path) != 0) {
        io_close(mirror->lock); /* of a directory that is gone */
        mirror->lock = NULL;
    }
    if (mirror->lock == NULL) {
        error = make_directory(mirror);
        if (error == 0) {
            error = take_lock(mirror);
        }
        if (error != 0) {
            return error;
        }
    }
    path_in(mirror, "set", path); /* first: without it nothing is trusted */
    error = io_unlink(io, path);
    if (error == 0 || error == -ENOENT) {
        error = io_sync_dir(io, mirror->directory);
    }
    if (error == 0) {
        path_in(mirror, "journal", path);
        error = journal_wipe(io, path);
    }
    if (error == 0) {
        path_in(mirror, "db", path);
        error = mirror->all->database->wipe(io, path);
    }
    return error;
}

int mirror_open_files(struct mirror *mirror, bool create)
{
    struct io *io = mirror->all->io;
    char path[PATH_SIZE];
    struct kv *kv;
    int error;

    path_in(mirror, "journal", path);
    error =
        journal_open(io, path, mirror->all->segment_bytes, &mirror->journal);
    if (error != 0) {
        return error;
    }
    path_in(mirror, "db", path);
    error = mirror->all->database->open(io, path, create, &kv);
    if (error == 0) {
        error = io_sync_dir(io, mirror->directory);
        mirror->db = mirror_db_new(kv);
    }
    if (error != 0) {
        mirror_stop(mirror);
    }
    return error;
}

/* What a directory holds before anything is decided. -EAGAIN: another process
 * has it. */
static int look_at(struct mirror *mirror, struct mirror_candidate *candidate)
{
    struct io *io = mirror->all->io;
    struct io_node node;
    char path[PATH_SIZE];
    int error = take_lock(mirror);

    if (error == -EAGAIN) {
        log_error("metadata mirror %s: another process has it open",
                  mirror->directory);
        return error;
    }
    path_in(mirror, "CURRENT", path);
    if (io_node_at(io, path, &node) == 0) {
        log_error("metadata mirror %s: it holds a database of another kind",
                  mirror->directory);
        return -EINVAL;
    }
    if (error == 0) {
        error = mirror_set_read(io, mirror->directory, &candidate->set);
    }
    if (error == -ENOENT) {
        mirror->state = KV_MIRROR_BLANK;
        return 0;
    }
    mirror->state = KV_MIRROR_FAILED;
    candidate->has_set = error == 0;
    candidate->newer = error == -EPROTONOSUPPORT;
    if (error == 0) {
        memcpy(mirror->id, candidate->set.self, MIRROR_ID_SIZE);
        error = mirror_open_files(mirror, false);
        candidate->readable = error == 0;
    }
    if (error != 0) {
        log_error("metadata mirror %s: %s", mirror->directory,
                  candidate->newer ? "a newer s3d wrote it" : strerror(-error));
    }
    return 0;
}

/* One may be damaged so that it looks like that. */
static bool all_are_newer(const struct mirror_candidate *candidates,
                          unsigned count)
{
    unsigned newer = 0;

    for (unsigned i = 0; i < count; i++) {
        if (candidates[i].has_set) {
            return false;
        }
        newer += candidates[i].newer;
    }
    return newer > 0;
}

/* --- a new store -----------------------------------------------------------*/

static int create_mirror(struct mirror *mirror)
{
    int error;

    mirror_stop(mirror);
    error = mirror_empty(mirror);
    if (error == 0) {
        error = mirror_open_files(mirror, true);
    }
    if (error != 0) {
        log_error("metadata mirror %s: cannot be made: %s", mirror->directory,
                  strerror(-error));
        return error;
    }
    mirror_new_id(mirror->id);
    mirror->state = KV_MIRROR_MEMBER;
    return 0;
}

static int create_all(struct mirrors *all)
{
    mirror_new_id(all->store);
    for (unsigned i = 0; i < all->count; i++) {
        int error = create_mirror(&all->mirrors[i]);

        if (error != 0) {
            return error;
        }
    }
    memset(&all->epoch, 0, sizeof(all->epoch));
    return 0;
}

/* Epoch 1 was recorded by some, but stood nowhere: no group can have come. */
static bool creation_was_interrupted(const struct mirrors *all,
                                     const struct mirror_candidate *candidates)
{
    for (unsigned i = 0; i < all->count; i++) {
        const struct mirror *mirror = &all->mirrors[i];
        uint64_t first, last;

        if (mirror->state == KV_MIRROR_BLANK) {
            continue;
        }
        if (!candidates[i].readable || candidates[i].set.stands ||
            candidates[i].set.epoch.number != 1) {
            return false;
        }
        journal_range(mirror->journal, &first, &last);
        if (first != 1 || last != 0) {
            return false;
        }
    }
    return true;
}

static bool all_blank(const struct mirrors *all)
{
    for (unsigned i = 0; i < all->count; i++) {
        if (all->mirrors[i].state != KV_MIRROR_BLANK) {
            return false;
        }
    }
    return true;
}

/* --- an old one ------------------------------------------------------------*/

/* The store that most mirrors are of is ours. */
static void set_foreign_apart(struct mirrors *all,
                              struct mirror_candidate *candidates)
{
    unsigned best = 0;

    for (unsigned i = 0; i < all->count; i++) {
        unsigned same = 0;

        for (unsigned j = 0; j < all->count && candidates[i].has_set; j++) {
            same += candidates[j].has_set &&
                    memcmp(candidates[i].set.store, candidates[j].set.store,
                           MIRROR_ID_SIZE) == 0;
        }
        if (same > best) {
            best = same;
            memcpy(all->store, candidates[i].set.store, MIRROR_ID_SIZE);
        }
    }
    for (unsigned i = 0; i < all->count; i++) {
        struct mirror *mirror = &all->mirrors[i];

        if (candidates[i].has_set &&
            memcmp(candidates[i].set.store, all->store, MIRROR_ID_SIZE) != 0) {
            log_error("metadata mirror %s: it belongs to another store",
                      mirror->directory);
            mirror_stop(mirror);
            mirror->state = KV_MIRROR_FOREIGN;
            candidates[i].has_set = candidates[i].readable = false;
        }
    }
}

static uint64_t last_group(const struct mirror *mirror)
{
    uint64_t first, last;

    journal_range(mirror->journal, &first, &last);
    return last;
}

/* S5: what another journal has and this one has not. */
static int bring_up(struct mirror *mirror, const struct mirror *source,
                    uint64_t epoch)
{
    struct journal_cursor *cursor =
        journal_cursor_new(source->journal, last_group(mirror) + 1);
    struct buffer payload = {0};
    uint64_t seq;
    int error = 0;

    while (error == 0 && last_group(mirror) < last_group(source)) {
        error = journal_cursor_next(cursor, &seq, &payload);
        if (error == 0) {
            error = journal_append(mirror->journal, epoch,
                                   slice_of(payload.data, payload.size));
        }
    }
    if (error == 0) {
        error = journal_sync(mirror->journal);
    }
    buffer_free(&payload);
    journal_cursor_free(cursor);
    return error;
}

/* Returns the index of a mirror that failed, or -1. */
static int bring_up_all(struct mirrors *all, const bool trusted[KV_MIRRORS_MAX],
                        uint64_t epoch)
{
    const struct mirror *source = NULL;

    for (unsigned i = 0; i < all->count; i++) {
        if (trusted[i] && (source == NULL ||
                           last_group(&all->mirrors[i]) > last_group(source))) {
            source = &all->mirrors[i];
        }
    }
    for (unsigned i = 0; i < all->count; i++) {
        if (trusted[i] && &all->mirrors[i] != source) {
            int error = bring_up(&all->mirrors[i], source, epoch);

            if (error != 0) {
                log_error("metadata mirror %s: it cannot be brought up: %s",
                          all->mirrors[i].directory, strerror(-error));
                return (int)i;
            }
        }
    }
    return -1;
}

static void take_states(struct mirrors *all, const bool trusted[KV_MIRRORS_MAX],
                        const struct mirror_candidate *candidates)
{
    for (unsigned i = 0; i < all->count; i++) {
        struct mirror *mirror = &all->mirrors[i];

        if (trusted[i]) {
            mirror->state = KV_MIRROR_MEMBER;
        } else if (candidates[i].readable) {
            log_warn("metadata mirror %s: of an earlier epoch",
                     mirror->directory);
            mirror_stop(mirror);
            mirror->state = KV_MIRROR_STALE;
        }
    }
}

/* By the operator's word the absent members know nothing: S3 need not count
 * them. */
static void forget_absent(struct mirrors *all,
                          const bool trusted[KV_MIRRORS_MAX])
{
    struct mirror_epoch *epoch = &all->epoch;

    memset(epoch->members, 0, sizeof(epoch->members));
    epoch->count = 0;
    for (unsigned i = 0; i < all->count; i++) {
        if (trusted[i]) {
            memcpy(epoch->members[epoch->count++], all->mirrors[i].id,
                   MIRROR_ID_SIZE);
        }
    }
}

static int recover(struct mirrors *all, struct mirror_candidate *candidates,
                   bool accept_lost)
{
    bool trusted[KV_MIRRORS_MAX] = {false};
    int failed, error;

    do {
        error = mirror_choose(candidates, all->count, accept_lost, &all->epoch,
                              trusted);
        if (error != 0) {
            break;
        }
        failed = bring_up_all(all, trusted, all->epoch.number);
        if (failed >= 0) {
            candidates[failed].readable = false;
            mirror_stop(&all->mirrors[failed]);
        }
    } while (failed >= 0);
    if (error == -EINVAL) {
        log_error("metadata: half of the mirrors or fewer are here, and those "
                  "that are missing may know more: bring them back");
    } else if (error == -ENOENT) {
        log_error("metadata: no mirror is left, and some directories are not "
                  "blank: a new store is not made over them");
    }
    if (error != 0) {
        return -EINVAL;
    }
    if (accept_lost) {
        forget_absent(all, trusted);
    }
    take_states(all, trusted, candidates);
    return 0;
}

/* --- starting --------------------------------------------------------------*/

static void start_members(struct mirrors *all)
{
    for (unsigned i = 0; i < all->count; i++) {
        struct mirror *mirror = &all->mirrors[i];
        uint64_t first;

        if (mirror->state != KV_MIRROR_MEMBER) {
            continue;
        }
        journal_range(mirror->journal, &first, &mirror->journaled);
        mirror->applied = first - 1; /* the database has those before */
        mirror->replayed = mirror->journaled;
        mirror->applies = true;
        all->committed = mirror->journaled;
        mirror_start(mirror);
    }
}

/* Are all members here, and know that the epoch stands? Not after
 * forget_absent(): on the drives it has them all still. */
static bool epoch_stands(const struct mirrors *all,
                         const struct mirror_candidate *candidates)
{
    unsigned here = 0;

    for (unsigned i = 0; i < all->count; i++) {
        const struct mirror_set *set = &candidates[i].set;

        if (all->mirrors[i].state != KV_MIRROR_MEMBER) {
            continue;
        }
        if (!set->stands || !mirror_epoch_same(&set->epoch, &all->epoch) ||
            set->epoch.count != all->epoch.count) {
            return false;
        }
        here++;
    }
    return here == all->epoch.count;
}

static int serve(struct mirrors *all, bool new_epoch)
{
    struct writer writer;
    int error = 0;

    pthread_mutex_lock(&all->lock);
    start_members(all);
    pthread_mutex_unlock(&all->lock);
    mirrors_lead(all, &writer);
    if (new_epoch) {
        error = mirrors_next_epoch(all, NULL);
    }
    mirrors_choose_primary(all);
    if (error == 0) {
        error = mirrors_wait_applied(all, all->committed);
    }
    all->visible = all->committed;
    mirrors_lead_end(all, &writer);
    return error;
}

/* --- the table -------------------------------------------------------------*/

static void mirrors_close(struct kv *kv)
{
    struct mirrors *all = (struct mirrors *)kv;

    pthread_mutex_lock(&all->lock);
    all->closing = true;
    pthread_cond_broadcast(&all->progress);
    pthread_mutex_unlock(&all->lock);
    mirrors_join_learner(all);
    for (unsigned i = 0; i < all->count; i++) {
        mirror_stop(&all->mirrors[i]);
        io_close(all->mirrors[i].lock);
        free(all->mirrors[i].directory);
    }
    pthread_cond_destroy(&all->work);
    pthread_cond_destroy(&all->apply);
    pthread_cond_destroy(&all->progress);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

static struct mirrors *mirrors_new(const struct kv_mirror_options *options,
                                   const struct mirror_database *database)
{
    static const struct kv_ops ops = {
        .close = mirrors_close,
        .get = mirrors_get,
        .commit = mirrors_commit,
        .iterate = mirrors_iterate,
        .iterate_all = mirrors_iterate_all,
        .snapshot = mirrors_snapshot,
        .journal = mirrors_journal,
        .statistics = mirrors_statistics,
    };
    struct mirrors *all = xcalloc(1, sizeof(*all));
    pthread_condattr_t attributes;

    invariant(options->count > 0 && options->count <= KV_MIRRORS_MAX);
    all->kv.ops = &ops;
    all->io = options->io;
    all->database = database;
    all->answer_ms = options->answer_ms;
    all->learn_bytes = options->learn_bytes;
    all->segment_bytes = options->segment_bytes != 0 ? options->segment_bytes
                                                     : JOURNAL_SEGMENT_MAX;
    all->count = options->count;
    for (unsigned i = 0; i < all->count; i++) {
        all->mirrors[i].all = all;
        all->mirrors[i].directory = xstrdup(options->directories[i]);
    }
    invariant(pthread_mutex_init(&all->lock, NULL) == 0);
    invariant(pthread_condattr_init(&attributes) == 0);
    invariant(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    invariant(pthread_cond_init(&all->work, &attributes) == 0);
    invariant(pthread_cond_init(&all->apply, &attributes) == 0);
    invariant(pthread_cond_init(&all->progress, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
    return all;
}

int mirrors_open(const struct kv_mirror_options *options,
                 const struct mirror_database *database, struct kv **kv)
{
    struct mirror_candidate candidates[KV_MIRRORS_MAX] = {0};
    struct mirrors *all = mirrors_new(options, database);
    bool create;
    int error = 0;

    for (unsigned i = 0; i < all->count && error == 0; i++) {
        error = look_at(&all->mirrors[i], &candidates[i]);
    }
    if (error == 0 && all_are_newer(candidates, all->count)) {
        log_error("metadata: install the newer s3d again");
        error = -EPROTONOSUPPORT;
    }
    if (error == 0) {
        set_foreign_apart(all, candidates);
        create = all_blank(all) || creation_was_interrupted(all, candidates);
        error = create ? create_all(all)
                       : recover(all, candidates, options->accept_lost);
    }
    if (error == 0) {
        error = serve(all, create || !epoch_stands(all, candidates));
    }
    if (error != 0) {
        mirrors_close(&all->kv);
        return error;
    }
    *kv = &all->kv;
    return 0;
}

int kv_open_mirrors(const struct kv_mirror_options *options, struct kv **kv)
{
    return mirrors_open(options, &mirror_leveldb, kv);
}

/* --- status ----------------------------------------------------------------*/

const char *kv_mirror_state_name(enum kv_mirror_state state)
{
    static const char *const names[] = {"member", "learning", "blank",
                                        "stale",  "failed",   "foreign"};

    return names[state];
}

unsigned kv_mirrors(struct kv *kv, uint64_t *epoch,
                    struct kv_mirror_status status[KV_MIRRORS_MAX])
{
    struct mirrors *all = (struct mirrors *)kv;

    if (kv->ops->commit != mirrors_commit) {
        return 0;
    }
    pthread_mutex_lock(&all->lock);
    *epoch = all->epoch.number;
    for (unsigned i = 0; i < all->count; i++) {
        const struct mirror *mirror = &all->mirrors[i];

        status[i] = (struct kv_mirror_status){
            .directory = mirror->directory,
            .state = mirror->failed ? KV_MIRROR_FAILED : mirror->state,
            .primary = mirror == all->primary,
            .journaled = mirror->journaled,
            .applied = mirror->applied,
            .learned = mirror->learned,
        };
    }
    pthread_mutex_unlock(&all->lock);
    return all->count;
}
