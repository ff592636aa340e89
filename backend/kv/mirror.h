/*
 * Private to kv/: the mirrors of a store. docs/mirrors.md holds the protocol
 * and the rules (J1 to S6) that the code cites.
 *
 *   mirror_set.c      the file `set`, and which mirrors a start may trust
 *   mirror_open.c     from directories to a store, and back
 *   mirror_commit.c   groups, their leader, epochs
 *   mirror_thread.c   the two threads of a mirror: journal, database
 *   mirror_db.c       a mirror's database, and what passes it by
 *   mirror_learn.c    rebuilding
 *   mirror_read.c     reads, and the choice of the primary
 */
#ifndef KV_MIRROR_H
#define KV_MIRROR_H

#include "io/io.h"
#include "kv/journal.h"
#include "kv/private.h"

#include <semaphore.h>

#define MIRROR_ID_SIZE 16

/* --- the set file ----------------------------------------------------------*/
struct mirror_epoch {
    uint64_t number; /* from 1 */
    uint64_t ballot; /* random: tells epochs of one number apart */
    unsigned count;
    uint8_t members[KV_MIRRORS_MAX][MIRROR_ID_SIZE];
};
bool mirror_epoch_same(const struct mirror_epoch *a,
                       const struct mirror_epoch *b);
bool mirror_epoch_names(const struct mirror_epoch *epoch,
                        const uint8_t id[MIRROR_ID_SIZE]);

struct mirror_set {
    uint8_t store[MIRROR_ID_SIZE]; /* the same on all mirrors of a store */
    uint8_t self[MIRROR_ID_SIZE];  /* new whenever the mirror is emptied */
    struct mirror_epoch epoch;     /* recorded last */
    bool stands;                   /* every member has recorded it */
    struct mirror_epoch base;      /* the one before, which stands */
};
/* -ENOENT; -EBADMSG; -EPROTONOSUPPORT: of a newer version. */
int mirror_set_read(struct io *io, const char *directory,
                    struct mirror_set *set);
int mirror_set_write(struct io *io, const char *directory,
                     const struct mirror_set *set);

/* What a start knows of a mirror. */
struct mirror_candidate {
    bool has_set;
    bool newer;    /* a newer s3d wrote its set */
    bool readable; /* its journal and database too */
    struct mirror_set set;
};
/* Which of them hold every acknowledged group (S4): marks them in `trusted`,
 * and says which epoch they are of. -ENOENT: none has a set; -EINVAL: too few
 * are there. Pure. */
int mirror_choose(const struct mirror_candidate *candidates, unsigned count,
                  bool accept_lost, struct mirror_epoch *epoch,
                  bool trusted[KV_MIRRORS_MAX]);

/* --- the database of a mirror ----------------------------------------------*/
/* LevelDB, or what a test puts there. */
struct mirror_database {
    /* `create`: it must not exist; else it must. */
    int (*open)(struct io *io, const char *directory, bool create,
                struct kv **kv);
    int (*wipe)(struct io *io, const char *directory);
};
extern const struct mirror_database mirror_leveldb;
/* As its open(); `env`: as of leveldb_open_unsynced(). */
int mirror_leveldb_open(struct io *io, struct leveldb_env_t *env,
                        const char *directory, bool create, struct kv **kv);
int mirrors_open(const struct kv_mirror_options *options,
                 const struct mirror_database *database, struct kv **kv);

/* Closed with its last reference. */
struct mirror_db {
    struct kv *kv;
    atomic_uint references;
    pthread_mutex_t lock; /* what follows; held while a group is applied */
    struct passing **slots;
    size_t passing;         /* bytes that are in memory alone (D1) */
    struct kv_batch *batch; /* scratch */
};
struct mirror_db *mirror_db_new(struct kv *kv);
struct mirror_db *mirror_db_retain(struct mirror_db *db);
void mirror_db_release(struct mirror_db *db); /* NULL is allowed */
/* Applies a group, whose changes are used up. `again`: it may be there already
 * (D2). After an error the database is of no use. */
int mirror_db_apply(struct mirror_db *db, struct kv_batch *group, bool again);
/* What passed by until now goes to the database, too. */
int mirror_db_settle(struct mirror_db *db);

/* --- all mirrors -----------------------------------------------------------*/
struct group {
    atomic_uint references;
    uint64_t seq, epoch;
    struct buffer payload;
};

void group_release(struct group *group);

struct mirror {
    struct mirrors *all;
    char *directory;
    struct io_file *lock; /* held while s3d runs; NULL: not usable */
    uint8_t id[MIRROR_ID_SIZE];
    enum kv_mirror_state state;
    struct journal *journal;
    struct mirror_db *db;
    pthread_t threads[2];
    bool running; /* both threads were started and not yet joined */
    /* Under mirrors.lock: */
    bool failed;        /* whoever leads next expels it */
    bool stop;          /* its threads end */
    bool applies;       /* false while its database is being copied */
    bool settles;       /* mirror_db_settle() is asked of its second thread */
    uint64_t journaled; /* last group in the journal, durable */
    uint64_t applied;   /* last group in the database */
    uint64_t replayed;  /* groups up to it may have been there before (D2) */
    uint64_t drop;      /* the journal thread unlinks segments below */
    uint64_t learned;   /* bytes */
};

/* Whoever waits for the lead: a commit, or a change of the members. */
struct writer {
    const struct kv_batch *batch; /* NULL: leads alone */
    struct writer *next;
    sem_t woken; /* by the leader before it: once, to lead or because of: */
    bool done;   /* another has led its batch, with this result */
    int error;
};

struct mirrors {
    struct kv kv;
    struct io *io;
    const struct mirror_database *database;
    unsigned answer_ms;
    uint64_t learn_bytes, segment_bytes;
    uint8_t store[MIRROR_ID_SIZE];
    unsigned count;
    struct mirror mirrors[KV_MIRRORS_MAX];

    pthread_mutex_t lock;    /* everything below */
    pthread_cond_t work;     /* for the threads that write journals */
    pthread_cond_t apply;    /* for those of the databases */
    pthread_cond_t progress; /* for everybody else */
    struct writer *first, *last;
    struct group *group;       /* being journaled, or NULL */
    struct mirror_epoch epoch; /* it stands */
    uint64_t committed;        /* last group that J1 holds for */
    uint64_t visible;          /* last group that reads may have seen */
    struct mirror *primary;
    bool closing;
    pthread_t learner; /* rebuilds one mirror */
    bool learner_running, learner_done;
};

/* With the lock held. Its threads end, the next leader expels it. */
void mirror_fail(struct mirror *mirror, const char *what, int error);
bool mirror_alive(const struct mirror *mirror); /* member, not failed */

/* --- mirror_thread.c -------------------------------------------------------*/
/* journal and db are open, journaled and applied set. */
void mirror_start(struct mirror *mirror);
/* Without the lock: waits for the threads and closes journal and database. */
void mirror_stop(struct mirror *mirror);

/* --- mirror_commit.c -------------------------------------------------------*/
int mirrors_commit(struct kv *kv, const struct kv_batch *batch);
/* With the lock: no journal is waited for to hold the group `seq`. */
bool mirrors_answered(const struct mirrors *all, uint64_t seq);
/* Takes the lock and the lead: no group is under way. The holder gives both
 * back; between, it may release the lock. */
void mirrors_lead(struct mirrors *all, struct writer *writer);
void mirrors_lead_end(struct mirrors *all, struct writer *writer);
/* The leader, lock held: records an epoch of the members that have not failed
 * and of `joining` (NULL: none), S1 to S3. -EIO: too few are left. */
int mirrors_next_epoch(struct mirrors *all, struct mirror *joining);
/* Lock held: waits until the primary has applied a committed group. -EIO:
 * there is no primary. */
int mirrors_wait_applied(struct mirrors *all, uint64_t seq);

/* --- mirror_read.c ---------------------------------------------------------*/
int mirrors_get(struct kv *kv, struct arena *arena, struct slice key,
                struct slice *value);
struct kv_iterator *mirrors_iterate(struct kv *kv);
struct kv_iterator *mirrors_iterate_all(struct kv *kv);
int mirrors_snapshot(struct kv *kv, struct kv_position *position,
                     struct kv_iterator **iterator);
int mirrors_journal(struct kv *kv, struct kv_position *until, struct io **io,
                    char **directory);
bool mirrors_statistics(struct kv *kv, struct kv_statistics *statistics);
/* The leader, lock held, there is a primary, which has applied all: what passed
 * its database by goes there. -EIO: it is not the primary any more. */
int mirrors_settle_primary(struct mirrors *all);
/* Lock held: the first member alive becomes the primary, or nobody. */
void mirrors_choose_primary(struct mirrors *all);

/* --- mirror_open.c ---------------------------------------------------------*/
/* Removes what the directory holds of a mirror. */
int mirror_empty(struct mirror *mirror);
/* Opens journal and database; `create`: after mirror_empty(). */
int mirror_open_files(struct mirror *mirror, bool create);
void mirror_new_id(uint8_t id[MIRROR_ID_SIZE]);

/* --- mirror_learn.c --------------------------------------------------------*/
void mirrors_join_learner(struct mirrors *all); /* without the lock */

#endif
