/*
 * What the files of this folder share. docs/disk-format.md describes the
 * three on-disk structures.
 *
 * Locks, in the order in which they may be taken; no I/O under any of them:
 *   drive.mutex        extents, reservations, space
 *   sync_queue.mutex   waiters
 *   file_cache.mutex   descriptors for reading
 *   lane.mutex         jobs that may wait for the drive
 *   sync_latch.mutex   one caller's results
 */
#ifndef EXTENT_PRIVATE_H
#define EXTENT_PRIVATE_H

#include "extent/extent.h"

#include <pthread.h>
#include <stdatomic.h>

#define FORMAT_VERSION       1u
#define IDENTITY_SIZE        512u
#define DOMAIN_SIZE_MAX      255u
#define DRIVE_INDEX_MAX      65535u
#define EXTENT_HEADER_SIZE   4096u
#define RECORD_HEADER_SIZE   64u
#define RECORD_ALIGN         64u
#define RECORD_ALIGN_LARGE   4096u
#define RECORD_LARGE         (64u << 10) /* payload bytes */
#define RECORD_LENGTH_MAX    (1ull << 40)
#define EXTENTS_OPEN_MAX     64u  /* kept open for writing, per drive */
#define FILES_OPEN_MAX       256u /* kept open for reading, per drive */
#define SPACE_MAX_AGE_US     1000000u
#define TIMEOUT_US           30000000u
#define SPACE_WAIT_US        100000u /* then the figures of before do */
#define LAG_US               1000000u
#define READ_THREADS         16u
#define CHANGE_THREADS       4u
#define LANE_THREADS_MAX     16u
#define LATENCY_BUCKETS      112u /* up to four minutes */
#define LATENCY_HALF_US      30000000u
#define DRIVE_DIRECTORY_SIZE 4096u
#define DRIVE_PATH_SIZE      (DRIVE_DIRECTORY_SIZE + 64u)

/* --- format.c: encoding ----------------------------------------------------*/
struct extent_header {
    uint8_t cluster[DRIVE_UUID_SIZE];
    uint8_t drive[DRIVE_UUID_SIZE];
    uint64_t extent;
};
void extent_header_encode(uint8_t out[EXTENT_HEADER_SIZE],
                          const struct extent_header *header);
int extent_header_decode(const uint8_t in[EXTENT_HEADER_SIZE],
                         struct extent_header *header); /* or -EBADMSG */

struct record_header {
    uint64_t blob;
    uint32_t shard;
    uint64_t payload, descriptor; /* bytes */
    uint64_t extent, offset;      /* where it should be */
};
void record_header_encode(uint8_t out[RECORD_HEADER_SIZE],
                          const struct record_header *header);
int record_header_decode(const uint8_t in[RECORD_HEADER_SIZE],
                         struct record_header *header); /* or -EBADMSG */

/* Offset of the payload of a record that starts at or after `tail`. */
uint64_t record_offset(uint64_t tail, uint64_t payload);
/* Where the next record may start. */
uint64_t record_end(uint64_t offset, uint64_t payload, uint64_t descriptor);
/* What of a record is written past the page cache: whole folios that nobody
 * writes into in another way, neither its neighbours nor who writes its header,
 * its last bytes and its descriptor. Maybe none. */
struct record_direct {
    uint64_t begin, end; /* in the file */
};
struct record_direct record_direct(uint64_t offset, uint64_t payload);

/* --- identity.c ------------------------------------------------------------*/
struct identity {
    uint8_t cluster[DRIVE_UUID_SIZE];
    uint8_t drive[DRIVE_UUID_SIZE];
    uint32_t index;
    char domain[DOMAIN_SIZE_MAX + 1];
    struct identity *earlier; /* of the disk before */
};
void identity_encode(uint8_t out[IDENTITY_SIZE],
                     const struct identity *identity);
int identity_decode(const uint8_t *in, size_t size,
                    struct identity *identity); /* or -EBADMSG */
int identity_read(struct io *io, const char *directory,
                  struct identity *identity);
/* DRIVE_OK and the identity, or why the directory is not this drive, also in
 * words; `uuid` may be zeros. DRIVE_FAILED: it cannot be told. */
#define REASON_SIZE 200u
enum drive_state identity_check(struct io *io, const char *directory,
                                unsigned index,
                                const struct drive_options *options,
                                struct identity *identity,
                                char reason[REASON_SIZE]);

/* --- latency.c -------------------------------------------------------------*/
struct latency {
    atomic_uint counts[2][LATENCY_BUCKETS]; /* of half a window each */
    atomic_uint current;
    uint64_t turned_us; /* when the current half began */
};
void latency_note(struct latency *latency, uint64_t us);
/* Lets what is older than the window fall out; one thread at a time. */
void latency_turn(struct latency *latency, uint64_t now_us);
void latency_describe(struct latency *latency, struct drive_latency *summary);

/* --- lane.c: threads that wait for the drive in the place of others --------*/
enum job_stage { JOB_QUEUED, JOB_RUNNING, JOB_DONE };

/* First member of a job, which owns all that it works on. */
struct lane_job {
    int (*run)(struct lane_job *job);   /* on a thread of the lane */
    void (*free)(struct lane_job *job); /* any thread */
    struct latency *latency;            /* where its time is noted, or NULL */
    int result;                         /* of run() */
    /* The lane's: */
    struct lane *lane;
    struct lane_job *next;
    pthread_cond_t done;
    enum job_stage stage;
    int priority; /* of I/O, of the thread that asked */
    uint64_t began_us;
    bool detached; /* nobody waits: the lane frees it */
    bool overdue;  /* somebody has waited too long; counted in the drive */
    bool late;     /* longer than a drive may take; counted in the drive */
};

struct lane_thread {
    struct lane *lane;
    pthread_t id;
    struct lane_job *job; /* that it runs, or NULL */
    int priority;
};

struct lane {
    struct drive *drive;
    pthread_mutex_t mutex;
    pthread_cond_t filled, ended;
    struct lane_job *first, **last;
    unsigned queued, idle, count, alive, limit;
    bool stop;
    struct lane_thread threads[LANE_THREADS_MAX]; /* started when needed */
};

void lane_init(struct lane *lane, struct drive *drive, unsigned threads);
/* What is queued is still done. False: a thread does not come back, and what
 * it uses must stay. */
bool lane_stop(struct lane *lane);
/* Nobody comes to it any more. */
void lane_destroy(struct lane *lane);
void lane_start(struct lane *lane, struct lane_job *job);
/* Waits for a job that was started; 0: as long as a drive may take. Returns 0
 * when it is done and the caller's to free; -ETIMEDOUT: it is gone. */
int lane_wait(struct lane_job *job, uint64_t wait_us);
/* Both, for what can be done without: at once -ETIMEDOUT while the drive takes
 * too long for something else. */
int lane_ask(struct lane *lane, struct lane_job *job, uint64_t wait_us);
/* Nobody waits for it. False: the lane was stopped, and the job is still the
 * caller's. */
bool lane_post(struct lane *lane, struct lane_job *job);
/* Finds what has run for `late_us`. Returns the longest time that something
 * runs which is not of the idle class. */
uint64_t lane_watch(struct lane *lane, uint64_t late_us);
/* Closes a file, in the background. NULL is allowed. */
void drive_close_file(struct drive *drive, struct io_file *file);

/* --- cache.c: descriptors for reading --------------------------------------*/
struct cached_file {
    uint64_t extent;
    struct io_file *file;
    struct io_node node; /* which file that is */
    uint64_t at_path_us; /* monotonic: when it was last seen at its path */
    unsigned users;
    bool forgotten;            /* no longer found: closed by its last user */
    struct cached_file *chain; /* of its bucket */
    struct cached_file *newer, *older; /* order of use */
};
struct file_cache {
    pthread_mutex_t mutex;
    struct cached_file *buckets[FILES_OPEN_MAX];
    struct cached_file *newest, *oldest;
    unsigned count;
};
void file_cache_init(struct file_cache *cache);
void file_cache_destroy(struct file_cache *cache); /* nothing may be in use */
/* `flags`: IO_NOW or 0, for opening it. */
int file_cache_get(struct drive *drive, uint64_t extent, unsigned flags,
                   struct cached_file **file);
void file_cache_put(struct drive *drive, struct cached_file *file);
/* Whether that is the file which file_cache_get() gives. */
bool file_cache_has(struct drive *drive, uint64_t extent,
                    const struct io_node *node);
/* It is at its path now. */
void file_cache_saw(struct drive *drive, struct cached_file *file);
/* Whether that was so within `age_us`; then which file it is. */
bool file_cache_seen(struct drive *drive, uint64_t extent, uint64_t age_us,
                     struct io_node *node);
/* The next file_cache_get() opens the extent again. To be put all the same. */
void file_cache_forget(struct drive *drive, struct cached_file *file);
/* The same for whoever does not hold it, if it is there. */
void file_cache_remove(struct drive *drive, uint64_t extent);
void file_cache_forget_all(struct drive *drive);

/* --- extents open for writing ----------------------------------------------*/
struct extent {
    uint64_t id;
    struct io_file *file; /* NULL once closed after a failed sync */
    uint64_t tail;        /* where the next record may start */
    unsigned users;       /* operations that hold a pointer to it */
    bool sealed;          /* takes no more records */
    bool dirty;           /* written to since the last fdatasync began */
    int error;            /* of a failed sync: sticky (X4) */
    struct extent *next;  /* older */
};

struct space {
    uint64_t total, free; /* as the file system said at checked_us */
    uint64_t checked_us;
    uint64_t written; /* bytes since then */
    uint64_t pending; /* bytes reserved and not yet written */
    bool known, refreshing;
    uint64_t full_since_ms; /* 0: there is room */
};

struct sync_waiter;
struct sync_queue {
    pthread_mutex_t mutex;
    pthread_cond_t filled, ended;
    struct sync_waiter *first, **last;
    bool stop, started;
    uint64_t began_us; /* what the thread does now; 0: it waits */
    bool late;         /* that takes too long; counted in the drive */
    pthread_t thread;
};

struct drive {
    struct io *io;
    struct drive_config config; /* strings owned */
    struct drive_options options;
    struct identity *_Atomic identity; /* never changed, only replaced */
    struct io_file *lock;
    atomic_bool readable;            /* identity matched and the lock is held */
    atomic_ullong draining_since_ms; /* 0: it is not drained */
    atomic_int state;
    atomic_uint load;
    atomic_uint overdue; /* operations that somebody no longer waits for */
    atomic_uint late;    /* those that take longer than a drive may */
    atomic_bool lags;    /* as last looked */
    atomic_bool slow;
    struct latency reading, writing, syncing;
    struct lane reads, changes;
    struct {
        pthread_mutex_t mutex; /* taken last */
        uint64_t since_ms;
        char reason[REASON_SIZE];
        unsigned returns;
        unsigned failures;
        uint64_t slow_since_ms;
    } note; /* about the state */

    pthread_mutex_t mutex;
    pthread_cond_t created;
    bool creating;          /* the next extent is being made */
    unsigned creations;     /* attempts that have ended */
    int create_error;       /* of the last one */
    struct extent *extents; /* newest first */
    struct extent *active;  /* takes records; in the list; or NULL */
    unsigned open_count;
    uint64_t first_id, next_id; /* of this run: [first, next) */
    uint64_t begin_id; /* since the drive came back: older ones are closed */
    uint64_t file_count;
    uint64_t *removed; /* extents that were removed in this run, oldest first */
    size_t removed_count, removed_room;
    struct space space;

    struct sync_queue queue;
    struct file_cache cache;
};

void drive_path(const char *directory, const char *name,
                char out[DRIVE_PATH_SIZE]);
void drive_extent_path(struct drive *drive, uint64_t extent,
                       char out[DRIVE_PATH_SIZE]);
/* Takes note of a failed write or sync: the drive fails, unless it is only
 * full or the process is short of something. Returns the error to report. */
int drive_failed(struct drive *drive, const char *what, int error);
void drive_set_state(struct drive *drive, enum drive_state state,
                     const char *reason);
bool drive_lags(struct drive *drive);
/* Microseconds. */
uint64_t drive_timeout(const struct drive *drive);
/* Something takes longer than a drive may: if it still does, the drive
 * fails. */
void drive_silent(struct drive *drive);
/* Looks for that, and lets old times fall out of the statistics. One thread at
 * a time. */
void drive_watch(struct drive *drive);
/* The lock, the extents, room and the sync thread of a drive whose identity
 * was checked. -EAGAIN: another s3d has it. Else the state is set. */
int drive_begin(struct drive *drive);

/* --- remove.c --------------------------------------------------------------*/
/* -ENOENT for an extent: -ESTALE if it was removed on purpose. */
int extent_gone(struct drive *drive, uint64_t extent);

/* --- record.c --------------------------------------------------------------*/
/* Bytes of a record on their way to the drive, and their part of the
 * reservation. */
struct piece {
    struct extent_place place;
    uint64_t position;
    size_t size;
    bool written;
    struct memory *memory; /* where the bytes are; NULL: in `own` */
    const uint8_t *data;
    uint8_t own[]; /* room for the record's header, and the bytes */
};
struct piece *piece_new(const struct extent_place *place, uint64_t position,
                        const void *data, size_t size, struct memory *memory);
/* Writes it, with the header if it is the record's first. Blocks. */
int piece_write(struct drive *drive, struct piece *piece);
/* If it was not written its part of the reservation is given back. NULL is
 * allowed. */
void piece_free(struct drive *drive, struct piece *piece);

/* --- extent.c --------------------------------------------------------------*/
/* Finds the ids in use and counts files. */
int extents_scan(struct drive *drive);
void extents_close(struct drive *drive);
/* No extent of before takes records or is synced any more. -EBUSY: one is
 * being created. */
int extents_abandon_all(struct drive *drive);
/* X5: 0 if the directory is still this drive, else -ENODEV or why it cannot
 * be told. */
int extents_still_ours(struct drive *drive);
/* Creates the next extent, durably. Called without the mutex. */
int extent_create(struct drive *drive, struct extent **extent);
/* Holds an extent of this run, or gives its sticky error. If it is closed:
 * opens it again, or gives NULL. */
int extent_hold(struct drive *drive, uint64_t id, bool reopen,
                struct extent **extent);
void extent_drop(struct drive *drive, struct extent *extent, bool wrote);
/* X4. `error` of a failed sync sticks, 0 after a failed write. */
void extent_abandon(struct drive *drive, struct extent *extent, int error);
/* With the mutex: seals, closes what is not needed. Returns the id of an
 * extent to sync so that it can be closed, or 0. */
uint64_t extent_seal(struct drive *drive, struct extent *extent);

/* --- space.c: with the mutex, but refresh ----------------------------------*/
/* Asks at most once in SPACE_MAX_AGE_US, also whether the directory is still
 * this drive (X5). An error has failed the drive. */
int space_refresh(struct drive *drive);
/* The same; blocks, and leaves what an error means to the caller. */
int space_refresh_here(struct drive *drive);
bool space_fits(const struct drive *drive, uint64_t bytes);
uint64_t space_free(const struct drive *drive);
void space_written(struct drive *drive, uint64_t bytes);
void space_pending_less(struct drive *drive, uint64_t bytes);

/* --- sync.c ----------------------------------------------------------------*/
int sync_start(struct drive *drive); /* the thread */
bool sync_stop(struct drive *drive); /* as lane_stop() */
uint64_t sync_watch(struct drive *drive,
                    uint64_t late_us); /* as lane_watch() */

#endif
