/*
 * A benchmark of an endpoint: one operation after the other, each by all
 * threads at once.
 */
#include "transfer/bench.h"
#include "transfer/private.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PROGRESS_US (200u * 1000)
#define ERROR_US                                                               \
    (10u * 1000) /* after a failure: what refuses is not beaten                \
                  */
#define FILL_SIZE (1u << 20)

/* A key is put again after so many of its size. */
#define KEYS_MAX       20000u
#define KEYS_BYTES_MAX (1ull << 30)
#define KEY_MAX        48u

enum operation { PUT, GET, LIST, DELETE };
static const char *const names[] = {"PUT", "GET", "LIST", "DELETE"};

struct body { /* objects of one size */
    struct piece piece;
    uint64_t keys; /* that were put, from 0 on */
};

struct bench;

struct worker {
    struct bench *bench;
    pthread_t thread;
    struct client client;
    atomic_ullong wire_bytes;
    /* Of the operation under way: */
    uint32_t *us; /* of each request that succeeded */
    size_t count, capacity;
    uint64_t bytes, errors;
    char why[TRANSFER_WHY_MAX]; /* of the last error */
};

struct bench {
    const struct bench_options *options;
    const struct bench_watch *watch;
    struct endpoint endpoint;
    struct body bodies[BENCH_SIZES_MAX];
    int fd; /* what the objects consist of */
    struct worker *workers;
    struct bench_end *end;
    /* The operation under way: */
    enum operation operation;
    struct body *body; /* NULL: of all */
    uint64_t begun_us, until_us, most;
    atomic_ullong next;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    unsigned running;
};

static bool is_stopped(const struct bench *bench)
{
    return bench->options->stop != NULL && atomic_load(bench->options->stop);
}

/* --- one request -----------------------------------------------------------*/
static uint64_t keys_most(const struct bench *bench, uint64_t size)
{
    const uint64_t fit = KEYS_BYTES_MAX / (size > 0 ? size : 1);
    const uint64_t least = 2 * bench->options->concurrency;

    return fit < least ? least : fit > KEYS_MAX ? KEYS_MAX : fit;
}

static void key_of(char key[KEY_MAX], const struct body *body, uint64_t number)
{
    snprintf(key, KEY_MAX, "%llu/%08llu", (unsigned long long)body->piece.size,
             (unsigned long long)number);
}

/* The key that comes after `number` others of all sizes. */
static void key_of_all(const struct bench *bench, char key[KEY_MAX],
                       uint64_t number)
{
    const struct body *body = bench->bodies;

    while (number >= body->keys) {
        number -= body->keys;
        body++;
    }
    key_of(key, body, number);
}

static bool count_bytes(void *context, const struct answer *answer,
                        const void *data, size_t size)
{
    struct worker *worker = context;
    (void)answer;
    (void)data;

    worker->bytes += size;
    return !is_stopped(worker->bench);
}

static int send_once(struct worker *worker, uint64_t number)
{
    struct bench *bench = worker->bench;
    const struct body *body = bench->body;
    char key[KEY_MAX];
    struct request request = {.method = names[bench->operation],
                              .key = key,
                              .fd = -1,
                              .context = worker};
    struct answer answer = {0};

    switch (bench->operation) {
    case PUT:
        key_of(key, body, number % keys_most(bench, body->piece.size));
        request.fd = body->piece.fd;
        request.size = body->piece.size;
        request.sha256 = body->piece.sha256;
        break;
    case GET:
        key_of(key, body, number % body->keys);
        request.receive = count_bytes;
        break;
    case LIST:
        request.method = "GET";
        request.key = NULL;
        request_query(&request, "list-type", "2");
        request.receive = count_bytes;
        break;
    case DELETE:
        key_of_all(bench, key, number);
        break;
    }
    const int error = client_send_once(&worker->client, &request, &answer);
    worker->bytes += error == 0 ? request.size : 0;
    answer_free(&answer);
    return error;
}

/* --- one operation ---------------------------------------------------------*/
static void keep(struct worker *worker, uint64_t us)
{
    if (worker->count == worker->capacity) {
        worker->capacity = worker->capacity > 0 ? 2 * worker->capacity : 1024;
        worker->us =
            xrealloc(worker->us, worker->capacity * sizeof(*worker->us));
    }
    worker->us[worker->count++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

/* What is to be deleted is, however long that takes. */
static bool is_over(const struct bench *bench)
{
    return bench->operation != DELETE &&
           (is_stopped(bench) || clock_monotonic_us() >= bench->until_us);
}

static void *run_worker(void *context)
{
    struct worker *worker = context;
    struct bench *bench = worker->bench;

    worker->count = 0;
    worker->bytes = worker->errors = 0;
    worker->client.stop =
        bench->operation == DELETE ? NULL : bench->options->stop;
    while (!is_over(bench)) {
        const uint64_t number = atomic_fetch_add(&bench->next, 1);
        if (number >= bench->most) {
            break;
        }
        const uint64_t bytes = worker->bytes, begun = clock_monotonic_us();
        if (send_once(worker, number) == 0) {
            keep(worker, clock_monotonic_us() - begun);
            continue;
        }
        worker->bytes = bytes;
        if (worker->client.stop == NULL || !is_stopped(bench)) {
            worker->errors++;
            memcpy(worker->why, worker->client.why, sizeof(worker->why));
            usleep(ERROR_US);
        }
    }
    pthread_mutex_lock(&bench->lock);
    bench->running--;
    pthread_cond_signal(&bench->ended);
    pthread_mutex_unlock(&bench->lock);
    return NULL;
}

/* The part of the operation that is over: of its requests or of its time,
 * whatever ends it first. */
static double done_of(struct bench *bench)
{
    const double now = (double)(clock_monotonic_us() - bench->begun_us);
    const double all = (double)(bench->until_us - bench->begun_us);
    const double sent = (double)atomic_load(&bench->next) / (double)bench->most;
    const double done =
        bench->operation == DELETE || sent > now / all ? sent : now / all;

    return done < 1 ? done : 1;
}

static void watch_workers(struct bench *bench)
{
    pthread_mutex_lock(&bench->lock);
    while (bench->running > 0) {
        condition_wait_until(&bench->ended, &bench->lock,
                             clock_monotonic_us() + PROGRESS_US);
        pthread_mutex_unlock(&bench->lock);
        bench->watch->progress(bench->watch->context, names[bench->operation],
                               done_of(bench));
        pthread_mutex_lock(&bench->lock);
    }
    pthread_mutex_unlock(&bench->lock);
}

/* --- what it was -----------------------------------------------------------*/
static struct times times_of_all(const struct bench *bench, uint64_t requests)
{
    uint32_t *us = xcalloc(requests + 1, sizeof(*us));
    size_t count = 0;

    for (unsigned i = 0; i < bench->options->concurrency; i++) {
        const struct worker *worker = &bench->workers[i];
        if (worker->count > 0) {
            memcpy(us + count, worker->us, worker->count * sizeof(*us));
            count += worker->count;
        }
    }
    const struct times times = times_of(us, count);
    free(us);
    return times;
}

static void tell(struct bench *bench)
{
    struct bench_result result = {
        .operation = names[bench->operation],
        .sized = bench->body != NULL,
        .size = bench->body != NULL ? bench->body->piece.size : 0,
        .seconds = (double)(clock_monotonic_us() - bench->begun_us) / 1e6,
    };

    for (unsigned i = 0; i < bench->options->concurrency; i++) {
        const struct worker *worker = &bench->workers[i];
        result.requests += worker->count;
        result.errors += worker->errors;
        result.bytes += worker->bytes;
        if (worker->errors > 0) {
            memcpy(result.why, worker->why, sizeof(result.why));
        }
    }
    result.times = times_of_all(bench, result.requests);
    bench->end->errors += result.errors;
    bench->watch->result(bench->watch->context, &result);
}

static void operate(struct bench *bench, enum operation operation,
                    struct body *body, uint64_t most)
{
    const struct bench_options *options = bench->options;

    bench->operation = operation;
    bench->body = body;
    bench->most = most > 0 ? most : UINT64_MAX;
    bench->begun_us = clock_monotonic_us();
    bench->until_us = options->seconds > 0
                          ? bench->begun_us + (uint64_t)(options->seconds * 1e6)
                          : UINT64_MAX;
    atomic_store(&bench->next, 0);
    bench->running = options->concurrency;
    for (unsigned i = 0; i < options->concurrency; i++) {
        struct worker *worker = &bench->workers[i];
        invariant(pthread_create(&worker->thread, NULL, run_worker, worker) ==
                  0);
    }
    watch_workers(bench);
    for (unsigned i = 0; i < options->concurrency; i++) {
        pthread_join(bench->workers[i].thread, NULL);
    }
    tell(bench);
}

static void operate_all(struct bench *bench)
{
    uint64_t keys = 0;

    for (unsigned i = 0; i < bench->options->size_count; i++) {
        struct body *body = &bench->bodies[i];
        if (is_stopped(bench)) {
            break;
        }
        operate(bench, PUT, body, bench->options->count);
        const uint64_t sent = atomic_load(&bench->next) < bench->most
                                  ? atomic_load(&bench->next)
                                  : bench->most;
        const uint64_t most = keys_most(bench, body->piece.size);
        body->keys = sent < most ? sent : most;
        keys += body->keys;
        if (body->keys > 0 && !is_stopped(bench)) {
            operate(bench, GET, body, bench->options->count);
        }
    }
    if (!is_stopped(bench)) {
        operate(bench, LIST, NULL, bench->options->count);
    }
    if (keys > 0) {
        operate(bench, DELETE, NULL, keys);
    }
}

/* --- the bucket ------------------------------------------------------------*/
/* By the first thread's client. */
static int change_bucket(struct bench *bench, const char *method,
                         const struct piece *body)
{
    struct request request = {.method = method,
                              .fd = body->fd,
                              .size = body->size,
                              .sha256 = body->size > 0 ? body->sha256 : NULL};
    struct answer answer = {0};
    const int error = client_send(&bench->workers[0].client, &request, &answer);

    answer_free(&answer);
    return error;
}

/* Everywhere but in us-east-1 it says where. */
static int create_bucket(struct bench *bench)
{
    struct piece piece = {.fd = memfd_create("s3ctl-bucket", MFD_CLOEXEC)};
    struct buffer text = {0};

    invariant(piece.fd >= 0);
    if (strcmp(bench->endpoint.region, "us-east-1") != 0) {
        buffer_printf(&text,
                      "<CreateBucketConfiguration><LocationConstraint>%s"
                      "</LocationConstraint></CreateBucketConfiguration>",
                      bench->endpoint.region);
    }
    piece.size = text.size;
    invariant(text.size == 0 ||
              pwrite(piece.fd, text.data, text.size, 0) == (ssize_t)text.size);
    int error = piece_digest(&piece, false);
    if (error == 0) {
        error = change_bucket(bench, "PUT", &piece);
    }
    close(piece.fd);
    buffer_free(&text);
    return error;
}

/* Once, though it was not created: the answer may be what was lost. */
static void remove_unanswered(struct bench *bench)
{
    struct client *client = &bench->workers[0].client;
    struct request request = {.method = "DELETE", .fd = -1};
    struct answer answer = {0};

    client_send_once(client, &request, &answer);
    answer_free(&answer);
}

/* And what is left in it. */
static int remove_bucket(struct bench *bench)
{
    static const struct piece none = {.fd = -1};
    struct client *client = &bench->workers[0].client;
    struct listing *listing = listing_new("", false);
    struct object object;
    int error;

    client->stop = NULL;
    while ((error = listing_next(listing, client, &object)) == 1) {
        error = call_delete(client, (const char *)object.name.data);
        if (error != 0) {
            break;
        }
    }
    listing_free(listing);
    return error != 0 ? error : change_bucket(bench, "DELETE", &none);
}

/* --- beginning and end -----------------------------------------------------*/
/* As many bytes by chance as the largest object has. */
static int fill(int fd, uint64_t size)
{
    uint8_t *data = xmalloc(FILL_SIZE);
    int error = 0;

    for (uint64_t at = 0; at < size && error == 0; at += FILL_SIZE) {
        const size_t count =
            size - at < FILL_SIZE ? (size_t)(size - at) : FILL_SIZE;
        invariant(RAND_bytes(data, (int)count) == 1);
        if (pwrite(fd, data, count, (off_t)at) != (ssize_t)count) {
            error = -ENOSPC;
        }
    }
    free(data);
    return error;
}

static int make_bodies(struct bench *bench)
{
    const struct bench_options *options = bench->options;
    uint64_t largest = 0;

    for (unsigned i = 0; i < options->size_count; i++) {
        invariant(options->sizes[i] <= BENCH_SIZE_MAX);
        largest = options->sizes[i] > largest ? options->sizes[i] : largest;
    }
    bench->fd = memfd_create("s3ctl-bench", MFD_CLOEXEC);
    int error = bench->fd < 0 ? -errno : fill(bench->fd, largest);
    for (unsigned i = 0; i < options->size_count && error == 0; i++) {
        struct piece *piece = &bench->bodies[i].piece;
        *piece = (struct piece){.fd = bench->fd, .size = options->sizes[i]};
        error = piece_digest(piece, bench->endpoint.tls);
    }
    return error;
}

static int open_endpoint(struct bench *bench)
{
    const struct bench_options *options = bench->options;
    uint64_t chance = 0;
    char url[BENCH_BUCKET_MAX + 8];

    invariant(RAND_bytes((unsigned char *)&chance, sizeof(chance)) == 1);
    snprintf(bench->end->bucket, sizeof(bench->end->bucket),
             "s3ctl-bench-%016llx", (unsigned long long)chance);
    snprintf(url, sizeof(url), "s3://%s", bench->end->bucket);
    const struct transfer_options to = {.url = url,
                                        .endpoint = options->endpoint,
                                        .region = options->region,
                                        .profile = options->profile,
                                        .ca_file = options->ca_file};
    return endpoint_open(&bench->endpoint, &to, bench->end->why);
}

static void open_workers(struct bench *bench)
{
    const unsigned count = bench->options->concurrency;

    invariant(count >= 1 && count <= BENCH_CONCURRENCY_MAX);
    bench->workers = xcalloc(count, sizeof(*bench->workers));
    for (unsigned i = 0; i < count; i++) {
        struct worker *worker = &bench->workers[i];
        worker->bench = bench;
        client_open(&worker->client, &bench->endpoint, &worker->wire_bytes);
    }
}

static void close_workers(struct bench *bench)
{
    for (unsigned i = 0; i < bench->options->concurrency; i++) {
        client_close(&bench->workers[i].client);
        free(bench->workers[i].us);
    }
    free(bench->workers);
}

static enum transfer_result fail(struct bench *bench, int error)
{
    memcpy(bench->end->why, bench->workers[0].client.why,
           sizeof(bench->end->why));
    return error == -EHOSTDOWN ? TRANSFER_UNREACHABLE : TRANSFER_REFUSED;
}

static enum transfer_result run(struct bench *bench)
{
    enum transfer_result result = TRANSFER_DONE;

    open_workers(bench);
    int error = create_bucket(bench);
    bench->end->created = error == 0;
    if (error != 0) {
        result = fail(bench, error);
        remove_unanswered(bench);
    } else {
        operate_all(bench);
        error = remove_bucket(bench);
        bench->end->removed = error == 0;
        if (error != 0) {
            result = fail(bench, error);
        }
    }
    close_workers(bench);
    return result;
}

enum transfer_result bench_run(const struct bench_options *options,
                               const struct bench_watch *watch,
                               struct bench_end *end)
{
    struct bench bench = {
        .options = options, .watch = watch, .end = end, .fd = -1};
    enum transfer_result result = TRANSFER_USAGE;

    *end = (struct bench_end){0};
    pthread_mutex_init(&bench.lock, NULL);
    condition_init(&bench.ended);
    invariant(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    if (open_endpoint(&bench) == 0) {
        const int error = make_bodies(&bench);
        if (error == 0) {
            result = run(&bench);
        } else {
            snprintf(end->why, sizeof(end->why),
                     "no memory for the objects: %s", strerror(-error));
        }
    }
    if (bench.fd >= 0) {
        close(bench.fd);
    }
    endpoint_close(&bench.endpoint);
    pthread_cond_destroy(&bench.ended);
    pthread_mutex_destroy(&bench.lock);
    curl_global_cleanup();
    return result;
}
