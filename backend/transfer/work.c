/*
 * The threads of a transfer, and what they tell.
 */
#include "transfer/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROGRESS_US (200u * 1000)

/* --- counts and notes ------------------------------------------------------*/
static void counts_read(struct transfer *transfer,
                        struct transfer_counts *counts)
{
    *counts = (struct transfer_counts){
        .files_total = transfer->counts.files_total,
        .bytes_total = transfer->counts.bytes_total,
        .moved = atomic_load(&transfer->counts.moved),
        .moved_bytes = atomic_load(&transfer->counts.moved_bytes),
        .same = atomic_load(&transfer->counts.same),
        .same_bytes = atomic_load(&transfer->counts.same_bytes),
        .left_out = atomic_load(&transfer->counts.left_out),
        .failed = atomic_load(&transfer->counts.failed),
        .unverified = atomic_load(&transfer->counts.unverified),
        .wire_bytes = atomic_load(&transfer->counts.wire_bytes),
        .parts_kept = atomic_load(&transfer->counts.parts_kept),
    };
}

void transfer_note(struct transfer *transfer, enum transfer_note note,
                   const char *name, const char *why)
{
    pthread_mutex_lock(&transfer->lock);
    transfer->watch->note(transfer->watch->context, note, name, why);
    pthread_mutex_unlock(&transfer->lock);
    if (note == TRANSFER_LEFT_OUT) {
        atomic_fetch_add(&transfer->counts.left_out, 1);
    }
}

void transfer_fail(struct transfer *transfer, const char *name, const char *why)
{
    atomic_fetch_add(&transfer->counts.failed, 1);
    transfer_note(transfer, TRANSFER_FAILED, name, why);
}

void transfer_same(struct transfer *transfer, uint64_t size)
{
    atomic_fetch_add(&transfer->counts.same, 1);
    atomic_fetch_add(&transfer->counts.same_bytes, size);
}

void transfer_moved(struct transfer *transfer, const char *name, uint64_t size,
                    bool verified)
{
    atomic_fetch_add(&transfer->counts.moved, 1);
    atomic_fetch_add(&transfer->counts.moved_bytes, size);
    if (!verified) {
        atomic_fetch_add(&transfer->counts.unverified, 1);
    }
    transfer_note(transfer, TRANSFER_MOVED, name, NULL);
}

/* --- failures --------------------------------------------------------------*/
void transfer_stop(struct transfer *transfer, enum transfer_result result,
                   const char *why)
{
    pthread_mutex_lock(&transfer->lock);
    if (transfer->result == TRANSFER_DONE) {
        transfer->result = result;
        snprintf(transfer->why, sizeof(transfer->why), "%s", why);
    }
    pthread_mutex_unlock(&transfer->lock);
    atomic_store(&transfer->stopped, true);
}

/* Errors that need words of their own; client->why tells of the others of a
 * request. */
static const char *error_text(const struct client *client, int error)
{
    switch (error) {
    case -EREMOTEIO:
    case -EHOSTDOWN:
    case -EPIPE:
    case -EPROTO:
        return client->why;
    case -ESTALE:
        return "it changed while it was read";
    case -EBADMSG:
        return "what came has another checksum";
    case -E2BIG:
        return "it has more metadata than can be kept";
    case -EEXIST:
        return "other versions of it are there";
    case -EBUSY:
        return "its unfinished file is another's";
    case -ENOTDIR:
        return "a file or a link is in the place of a directory";
    default:
        return strerror(-error);
    }
}

void transfer_fail_with(struct transfer *transfer, const struct client *client,
                        const char *name, int error)
{
    const char *why = error_text(client, error);

    transfer_fail(transfer, name, why);
    if (error == -EHOSTDOWN) {
        transfer_stop(transfer, TRANSFER_UNREACHABLE, why);
    } else if (error == -ENOSPC || error == -EDQUOT || error == -EROFS) {
        transfer_stop(transfer, TRANSFER_USAGE, why);
    }
}

void transfer_stop_with(struct transfer *transfer, const struct client *client,
                        int error)
{
    transfer_stop(transfer,
                  error == -EHOSTDOWN ? TRANSFER_UNREACHABLE : TRANSFER_REFUSED,
                  client->why);
}

/* --- threads ---------------------------------------------------------------*/
struct crew {
    struct transfer *transfer;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    unsigned running;
};

static void *run_thread(void *context)
{
    struct crew *crew = context;
    struct transfer *transfer = crew->transfer;
    struct client client;

    client_open(&client, &transfer->endpoint, &transfer->counts.wire_bytes);
    transfer->work(transfer, &client);
    client_close(&client);
    pthread_mutex_lock(&crew->lock);
    crew->running--;
    pthread_cond_signal(&crew->ended);
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

static void watch_crew(struct crew *crew)
{
    struct transfer *transfer = crew->transfer;
    struct transfer_counts counts;

    pthread_mutex_lock(&crew->lock);
    while (crew->running > 0) {
        condition_wait_until(&crew->ended, &crew->lock,
                             clock_monotonic_us() + PROGRESS_US);
        counts_read(transfer, &counts);
        pthread_mutex_lock(&transfer->lock); /* not between notes */
        transfer->watch->progress(transfer->watch->context, &counts);
        pthread_mutex_unlock(&transfer->lock);
    }
    pthread_mutex_unlock(&crew->lock);
}

enum transfer_result transfer_run(struct transfer *transfer)
{
    pthread_t threads[TRANSFER_JOBS_MAX];
    const unsigned jobs = transfer->options->jobs;
    struct crew crew = {.transfer = transfer, .running = jobs};

    invariant(jobs >= 1 && jobs <= TRANSFER_JOBS_MAX);
    pthread_mutex_init(&crew.lock, NULL);
    condition_init(&crew.ended);
    for (unsigned i = 0; i < jobs; i++) {
        invariant(pthread_create(&threads[i], NULL, run_thread, &crew) == 0);
    }
    watch_crew(&crew);
    for (unsigned i = 0; i < jobs; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_cond_destroy(&crew.ended);
    pthread_mutex_destroy(&crew.lock);
    return transfer->result;
}

/* --- beginning and end -----------------------------------------------------*/
enum transfer_result transfer_open(struct transfer *transfer,
                                   const struct transfer_options *options,
                                   const struct transfer_watch *watch)
{
    memset(transfer, 0, sizeof(*transfer));
    transfer->options = options;
    transfer->watch = watch;
    pthread_mutex_init(&transfer->lock, NULL);
    invariant(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    transfer->directory =
        options->directory != NULL
            ? open(options->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            : -1;
    if (options->directory != NULL && transfer->directory < 0) {
        snprintf(transfer->why, sizeof(transfer->why), "%.400s: %s",
                 options->directory, strerror(errno));
        transfer->result = TRANSFER_USAGE;
    } else if (endpoint_open(&transfer->endpoint, options, transfer->why) !=
               0) {
        transfer->result = TRANSFER_USAGE;
    }
    return transfer->result;
}

enum transfer_result transfer_count(struct transfer *transfer,
                                    struct endpoint *endpoint, bool versions)
{
    struct listing *listing = listing_new(endpoint->prefix, versions);
    struct client client;
    struct object object;
    int rc;

    client_open(&client, endpoint, &transfer->counts.wire_bytes);
    while ((rc = listing_next(listing, &client, &object)) == 1) {
        transfer->counts.files_total++;
        transfer->counts.bytes_total += object.size;
    }
    if (rc < 0) {
        transfer_stop_with(transfer, &client, rc);
    }
    client_close(&client);
    listing_free(listing);
    return transfer->result;
}

void transfer_close(struct transfer *transfer, struct transfer_counts *counts,
                    char why[TRANSFER_WHY_MAX])
{
    counts_read(transfer, counts);
    memcpy(why, transfer->why, TRANSFER_WHY_MAX);
    if (transfer->directory >= 0) {
        close(transfer->directory);
    }
    endpoint_close(&transfer->endpoint);
    pthread_mutex_destroy(&transfer->lock);
    curl_global_cleanup();
}
