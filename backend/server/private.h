/*
 * Private to server/.
 *
 * One thread runs the loop and owns every structure here; it never blocks.
 * What may block runs as a job on libuv's pool: while a job of a connection
 * is under way the loop touches nothing that the job uses.
 */
#ifndef SERVER_PRIVATE_H
#define SERVER_PRIVATE_H

#include "care/care.h"
#include "care/rebalance.h"
#include "events/publisher.h"
#include "s3/s3.h"
#include "server/server.h"
#include "wire/metrics.h"
#include <stdatomic.h>
#include <uv.h>

struct server;
struct connection;
struct control_connection;
struct requests;
struct backup;
struct feed_listener;

/* --- jobs (pool.c) ---------------------------------------------------------*/
struct job {
    struct job *next;
    void (*run)(struct job *job);  /* on a pool thread */
    void (*done)(struct job *job); /* in the loop */
};
struct pool;
struct pool *pool_new(uv_loop_t *loop, unsigned threads); /* 2 or more */
/* Runs the loop on the pool's threads until no handle is alive: pool.c. */
void pool_run(struct pool *pool);
/* In the loop: run() soon, then done() in the loop. */
void pool_submit(struct pool *pool, struct job *job);
/* In the loop: lets it end once nothing is under way. */
void pool_close(struct pool *pool);
void pool_free(struct pool *pool); /* after pool_run() */
struct pool_status {
    unsigned threads;
    unsigned waiting;   /* of these: for a drive, a commit, a lock */
    unsigned under_way; /* jobs that were submitted and have not ended */
};
void pool_look(struct pool *pool, struct pool_status *status);

/* --- the cluster (cluster.c) -----------------------------------------------*/
struct cluster {
    struct meta *meta;
    struct iam *iam;
    struct blob_store *blobs;
    struct crypt_provider *keyring;
    struct crypt_provider *vault; /* NULL: none is configured */
    struct drive *drives[SERVER_DRIVES_MAX];
    unsigned drive_count;
    unsigned entry_of[SERVER_DRIVES_MAX]; /* of the configuration */
    /* blob_intent_next() when it began to be drained: D3 */
    uint64_t drained_at[SERVER_DRIVES_MAX];
    struct drive_retry {
        uint64_t at_us;   /* monotonic; not before */
        uint64_t wait_us; /* after the next failure */
        unsigned returns; /* as last seen */
    } drive_retries[SERVER_DRIVES_MAX];
    uint64_t hedge_us;           /* the least; 0: reads wait */
    pthread_mutex_t drives_lock; /* looks at drives, changes of the record */
    bool metadata_on_drives;     /* each mirror is in a drive's directory */
    struct mirror_retry {
        uint64_t at_us;   /* monotonic; not before */
        uint64_t wait_us; /* after the next failure */
    } retries[KV_MIRRORS_MAX];
};

/* Opens metadata and drives, formats new ones. Logs why it fails. */
int cluster_open(const struct server_config *config, struct cluster *cluster);
void cluster_close(struct cluster *cluster); /* also a half-opened one */
/* One bit per drive that is DRIVE_OK. Does not block. */
uint32_t cluster_usable(const struct cluster *cluster);
/* Drives that were not removed. */
unsigned cluster_members(const struct cluster *cluster);

/* --- which directory is which drive (cluster_match.c) ----------------------*/
/* NULL if the record does not name it. */
Meta__DriveSlot *cluster_find_slot(const Meta__Cluster *record, unsigned index);
/* The configuration's entry for each drive. -EINVAL, after it was logged: a
 * new drive is not at the end. */
int cluster_match_drives(const struct server_config *config,
                         const Meta__Cluster *record,
                         unsigned entry_of[SERVER_DRIVES_MAX]);

/* --- drives in use (cluster_drives.c): these block -------------------------*/
/* Looks at each drive: whether it still is there, or is there again. */
void cluster_look_at_drives(struct cluster *cluster);
/* Gives drive `index`, whose directory is blank, a new identity: what was on
 * it is lost. -EBUSY: it is not blank; -EINVAL: there is none. Else why it
 * failed: it may be tried again. */
int cluster_replace_drive(struct cluster *cluster, unsigned index);
/* Whether a drive takes new shards, durably. -EINVAL: there is none; -ENOENT:
 * it was removed; -EBUSY: fewer than two others would take writes. */
int cluster_drain_drive(struct cluster *cluster, unsigned index, bool drain);
/* Whether nobody can still commit a shard on it: it is drained, and all who
 * began before that have ended, or it is not usable. */
bool cluster_is_settled(struct cluster *cluster, unsigned index);
/* Takes a drive that is settled out for ever, durably: what is on it counts
 * as lost. -EBUSY: it is not settled. */
int cluster_remove_drive(struct cluster *cluster, unsigned index);
/* Extents from before a restore of the metadata are held no more, durably. */
int cluster_accept_restored(struct cluster *cluster);

/* --- metadata and identities (cluster_metadata.c) --------------------------*/
/* In a directory of a mirror that is being made anew: what is there is not to
 * be used, and may be thrown away. */
#define REBUILDING_NAME "rebuilding"
enum metadata_state {
    METADATA_BLANK,      /* absent, or nothing that s3d wrote */
    METADATA_REBUILDING, /* of a rebuild that did not end */
    METADATA_THERE
};
enum metadata_state metadata_state(const char *directory);
/* Logs why it fails. */
int cluster_open_metadata(const struct server_config *config,
                          struct cluster *cluster);
/* Whether a mirror may be in its directory: on drives, only if the drive is
 * there. */
bool cluster_has_drive_of(const struct cluster *cluster, const char *mirror);
/* Whether s3d could start without the mirror in drive `index`'s directory. */
bool cluster_metadata_without(struct cluster *cluster, unsigned index);
/* The drive does not answer: mirrors that are on it are not waited for. */
void cluster_leave_mirrors(struct cluster *cluster, unsigned index);
/* Has a mirror that is no member learn, if one may be tried now. Blocks. */
void cluster_mend_mirrors(struct cluster *cluster);

/* Opens the keyring, which must be the one that the cluster's record names,
 * and Vault. Logs why it fails. (cluster_keys.c) */
int cluster_open_keys(const struct server_config *config,
                      struct cluster *cluster);

/* --- input buffers (input.c) -----------------------------------------------*/
#define INPUT_MAX (1u << 20) /* bytes buffered per connection */

struct input {
    struct memory *memory; /* NULL while empty */
    size_t start, end, capacity;
};

size_t input_size(const struct input *input);
const uint8_t *input_start(const struct input *input);
bool input_full(const struct input *input); /* stop reading */
/* Where to read to; the input is not full. */
uv_buf_t input_room(struct input *input);
void input_consume(struct input *input, size_t size);
/* Moves the first `size` bytes, with their buffer, to `taken`. */
void input_take(struct input *input, size_t size, struct input *taken);
void input_wipe(struct input *input); /* what was not consumed */
void input_release(struct input *input);

/* --- frames out (frames.c) -------------------------------------------------*/
void frame_append(struct buffer *out, enum frame_type type, const void *payload,
                  size_t size);
void frame_append_message(struct buffer *out, enum frame_type type,
                          const void *message); /* a protobuf-c message */

/* --- connections (connection.c) --------------------------------------------*/
struct connection_kind {
    const char *name;
    bool confidential; /* what is sent is wiped from memory */
    bool leaves;       /* told LEAVE, its peer closes it */
    size_t size; /* of the structure that begins with a struct connection */
    void (*open)(struct connection *connection);    /* accepted */
    void (*input)(struct connection *connection);   /* bytes have come */
    void (*written)(struct connection *connection); /* all output has left */
    /* The feed of events has something, or S3_LISTEN_ALIVE_MS have passed
     * without progress; NULL: it does not matter. */
    void (*wake)(struct connection *connection);
    bool (*idle)(const struct connection *connection);
    /* Seconds without a byte after which it is cut; 0: none. */
    uint64_t (*timeout_s)(const struct connection *connection);
    /* The pipe is closed and no job runs: true if all is freed, false if a
     * job was started to free it. */
    bool (*release)(struct connection *connection);
};

struct connection {
    uv_pipe_t pipe;
    struct server *server;
    const struct connection_kind *kind;
    struct connection *next, **link;
    struct input input;
    unsigned writes;    /* under way */
    unsigned jobs;      /* under way */
    uint64_t active_ms; /* loop time of the last progress */
    bool reading, closing, closed;
    bool paced; /* nothing is read while a job is under way */
    bool waits; /* for a turn: nothing is done */
};

/* --- turns (turns.c): who waits for a moment ---------------------------------
 * In the loop. */
struct turn {
    struct turn *next, *previous; /* NULL: it does not wait */
    uint64_t at_us;               /* monotonic */
    void (*begin)(struct turn *turn);
};
struct turns {
    uv_timer_t timer;
    struct turn all; /* a ring, the earliest first */
};
void turns_open(struct turns *turns, uv_loop_t *loop);
void turns_close(struct turns *turns);
/* `begin` is called once, when the time has come. */
void turn_wait(struct turns *turns, struct turn *turn, uint64_t at_us,
               void (*begin)(struct turn *turn));
/* It is not called any more; nothing to do for who does not wait. */
void turn_cancel(struct turns *turns, struct turn *turn);

/* A worker's connection is a worker_kind until its first frame tells whether
 * it is for requests or for control. */
extern const struct connection_kind worker_kind, request_kind, control_kind,
    admin_kind;
void connection_become(struct connection *connection,
                       const struct connection_kind *kind);

void connection_accept(struct server *server, uv_stream_t *listener,
                       const struct connection_kind *kind);
/* Frees what is not sent; what is confidential is wiped. */
void connection_drop(struct connection *connection, struct buffer *output);
/* Takes over the buffer's bytes; `tail` must stay until written() (it is sent
 * at once where possible). */
void connection_send(struct connection *connection, struct buffer *output,
                     struct slice tail_head, struct slice tail);
/* The bytes and a descriptor, at once, while nothing else is on its way out.
 * How many bytes; -1: nothing was sent. */
ssize_t connection_send_descriptor(struct connection *connection,
                                   const struct buffer *output, int descriptor);
void connection_close(struct connection *connection);
/* s3d ends, and nothing is under way here: who may be writing at this moment
 * is told, and closes the connection himself when he has heard of it. What came
 * before is served. */
void connection_leave(struct connection *connection);
/* Whether the input begins with a frame of another version: then that was
 * logged and answered, and the connection is closed. */
bool connection_refuse_version(struct connection *connection);
void connection_submit(struct connection *connection, struct job *job);
/* First call of every job's done(). */
void connection_job_done(struct connection *connection);
/* After a close: frees the connection once nothing holds it any more. */
void connection_settle(struct connection *connection);
/* Starts or stops reading by the room there is. */
void connection_flow(struct connection *connection);
/* The next whole frame of the input, still in it: its size with the header,
 * 0 if more is needed, -1 if it is not acceptable. */
ssize_t connection_peek(struct connection *connection,
                        struct frame_header *header, const uint8_t **payload,
                        size_t limit);
void connection_consume(struct connection *connection, size_t size);

/* Sends what control connections have gathered. */
void control_flush(struct server *server);
void control_push_welcome(struct server *server);
/* Tells the workers whether to tell of each request: server->traced. */
void control_push_trace(struct server *server);

/* --- counters --------------------------------------------------------------*/
#define SERVER_OPERATIONS 256
struct counters {
    atomic_uint_fast64_t requests[SERVER_OPERATIONS]; /* by Wire__Operation */
    atomic_uint_fast64_t errors;                      /* 5xx */
    atomic_uint_fast64_t aborted;
    atomic_uint_fast64_t slow;    /* that s3d took slow_ms for, or longer */
    atomic_uint_fast64_t slow_ms; /* 0: none is slow */
    /* Of requests: what they waited for, and the rest of s3d's time. */
    struct metric_histogram phases[PHASES], work;
    atomic_int connections[3]; /* request, control, admin */
    atomic_int in_flight;
};
enum { COUNT_REQUEST, COUNT_CONTROL, COUNT_ADMIN };

/* --- harden.c --------------------------------------------------------------*/
void process_harden(bool core_dumps); /* at the start, before any thread */

/* --- metrics (metrics*.c): on a pool thread --------------------------------*/
/* What care_status() said, which scans a
 * queue: kept for as long as makes that a small share of the time. */
struct care_seen {
    pthread_mutex_t lock; /* over all of it; not held while care is asked */
    struct arena *arena;  /* of status; NULL: there is no answer yet */
    struct care_status status;
    int error; /* of the last question */
    uint64_t until_us;
    bool asking; /* a thread is */
};
void care_seen_open(struct care_seen *seen);
void care_seen_close(struct care_seen *seen);

/* All that s3d counts and measures of itself. */
void server_metrics(struct server *server, struct metrics *metrics);
/* Parts of it. */
void metrics_of_process(struct metrics *metrics);
void metrics_of_drives(const struct cluster *cluster, struct metrics *metrics);
void metrics_of_metadata(struct server *server, struct metrics *metrics);
void metrics_of_care(struct server *server, struct metrics *metrics);
void metrics_of_usage(struct server *server, struct metrics *metrics);
void metrics_of_events(struct publisher *publisher, struct metrics *metrics);

/* --- administration (admin.c): on a pool thread ----------------------------*/
/* What follows the reply of a command; NULL: nothing of that kind. */
struct admin_sequel {
    struct feed_listener *listener; /* lines, as long as both sides like */
    struct backup *backup;          /* a file */
};
/* Runs a command of who has that uid; appends a JSON object to `result` either
 * way. */
bool admin_execute(struct server *server, unsigned uid, struct slice command,
                   struct slice arguments, struct buffer *result,
                   struct admin_sequel *sequel);

/* --- the server (server.c, listener.c, signals.c) --------------------------*/
struct listener {
    struct server *server;
    uv_pipe_t pipe;
    const struct connection_kind *kind;
    char *path;
    bool open;
    bool passed; /* not made by s3d, and left as it is */
};
/* At a path where a socket was passed (LISTEN_FDS), it is that one. */
int listener_open(struct server *server, struct listener *listener,
                  const char *path, unsigned mode, const char *group,
                  const struct connection_kind *kind);
void listener_close(struct listener *listener);
/* Warns of passed sockets that no listener is at. */
void listener_check_passed(const struct listener *listeners, unsigned count);

#define SERVER_SIGNALS 4
/* --- chores (chores.c): what is done now and then, on a pool thread --------*/
#define SERVER_CHORES 6
struct chore {
    struct job job;
    struct server *server;
    const struct chore_kind *kind;
    uint64_t due_ms; /* of the loop's clock */
    bool running;
};
void chores_open(struct server *server);
/* In the loop: begins those that are due. */
void chores_tend(struct server *server);

/* The group `events` says the same in both (config_events.c). */
bool config_same_events(const struct server_config *a,
                        const struct server_config *b);
/* The targets of events that the configuration names. */
struct events *config_open_events(const struct server_config *config,
                                  struct meta *meta);

struct server {
    uv_loop_t loop;
    struct pool *pool;
    struct server_config *config;
    const char *config_path;
    struct cluster cluster;
    struct care *care;
    struct reclaim *reclaim;
    struct archive *archive; /* NULL: none is kept */
    struct rebalance *rebalance;
    struct publisher *publisher;
    struct s3_service service;
    struct listener listeners[2];
    struct connection *connections;
    struct control_connection *unsent; /* those that have gathered output */
    uv_prepare_t flush;                /* before the loop waits: of these */
    struct counters counters;
    struct requests *requests;
    uv_signal_t signals[SERVER_SIGNALS];
    uv_timer_t sweep, deadline;
    struct turns turns;
    uv_async_t feed; /* of events: it has something for somebody */
    struct s3_rewrap *rewrap;
    struct chore chores[SERVER_CHORES];
    uint64_t
        memory_short_ms; /* when it last was; 0: not since it was trimmed */
    struct care_seen care_seen;
    uint64_t started_ms; /* for people; what lasts is from started_us on */
    uint64_t started_us; /* of the monotonic clock */
    struct clock_watch clock;
    _Atomic int64_t jump_ms;    /* the last one of the clock; 0: none */
    atomic_ullong jump_time_ms; /* when, by the clock as it was then */
    uint32_t usable;            /* drives, as last told to the workers */
    bool traced;                /* as the workers were last told */
    bool stopping, reloading;
};
void server_stop(struct server *server);
uint64_t server_uptime_us(const struct server *server);
void server_connection_gone(struct server *server);
void signals_open(struct server *server);
void signals_close(struct server *server);

#endif
