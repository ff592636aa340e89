#include "server/requests.h"
#include "server/private.h"
#include <stdlib.h>
#include <string.h>

#define TRACED_US  UINT64_C(5000000) /* after somebody has looked */
#define COMES_US   UINT64_C(1000000) /* the worker's part, or not at all */
#define JUST_ENDED 1024 /* requests, among which a worker's is looked for */

struct requests {
    pthread_mutex_t lock; /* of all below */
    struct request_live *live;
    struct request_ended ended[REQUESTS_KEPT]; /* at sequence % REQUESTS_KEPT */
    uint64_t newest;
    uint64_t looked_us;
    struct request_sum operations[REQUESTS_OPERATIONS];
    struct request_sum buckets[REQUESTS_BUCKETS]; /* [0]: all others */
    size_t bucket_count;
    /* Of a name's hash, open addressing: an index of `buckets`; 0: free. */
    uint16_t places[2 * REQUESTS_BUCKETS];
};

struct requests *requests_new(void)
{
    struct requests *requests = xcalloc(1, sizeof(*requests));
    invariant(pthread_mutex_init(&requests->lock, NULL) == 0);
    requests->bucket_count = 1;
    return requests;
}

void requests_free(struct requests *requests)
{
    if (requests != NULL) {
        invariant(requests->live == NULL);
        pthread_mutex_destroy(&requests->lock);
        free(requests);
    }
}

/* --- names -----------------------------------------------------------------*/
static void copy(char *out, size_t capacity, const ProtobufCBinaryData *from)
{
    const size_t size = from->len < capacity ? from->len : capacity - 1;
    if (size > 0) {
        memcpy(out, from->data, size);
    }
    out[size] = '\0';
}

static void copy_name(struct request_name *name, unsigned operation,
                      const ProtobufCBinaryData *id,
                      const ProtobufCBinaryData *bucket,
                      const ProtobufCBinaryData *key)
{
    name->operation = operation;
    copy(name->id, sizeof(name->id), id);
    copy(name->bucket, sizeof(name->bucket), bucket);
    copy(name->key, sizeof(name->key), key);
}

/* --- sums ------------------------------------------------------------------*/
/* FNV-1a */
static size_t hash_of(const char *name)
{
    uint32_t hash = 2166136261u;
    for (; *name != '\0'; name++) {
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    }
    return hash % (2 * REQUESTS_BUCKETS);
}

static struct request_sum *sum_of(struct requests *requests, const char *bucket)
{
    size_t at = hash_of(bucket);
    while (requests->places[at] != 0) {
        struct request_sum *sum = &requests->buckets[requests->places[at]];
        if (strcmp(sum->name, bucket) == 0) {
            return sum;
        }
        at = (at + 1) % (2 * REQUESTS_BUCKETS);
    }
    if (requests->bucket_count == REQUESTS_BUCKETS) {
        return &requests->buckets[0];
    }
    struct request_sum *sum = &requests->buckets[requests->bucket_count];
    requests->places[at] = (uint16_t)requests->bucket_count++;
    copy_string(sum->name, sizeof(sum->name), bucket);
    return sum;
}

static void add(struct request_sum *sum, const struct request_ended *ended,
                uint64_t received, uint64_t sent)
{
    sum->count++;
    sum->errors += ended->status >= 500;
    sum->us += ended->us;
    sum->received += received;
    sum->sent += sent;
}

/* --- telling ---------------------------------------------------------------*/
void requests_begin(struct requests *requests, struct request_live *live,
                    const Wire__Request *request, uint64_t began_us)
{
    copy_name(&live->name, (unsigned)request->operation, &request->request_id,
              &request->bucket, &request->key);
    live->began_us = began_us;
    pthread_mutex_lock(&requests->lock);
    live->next = requests->live;
    live->link = &requests->live;
    if (live->next != NULL) {
        live->next->link = &live->next;
    }
    requests->live = live;
    pthread_mutex_unlock(&requests->lock);
}

static void unlink_live(struct request_live *live)
{
    *live->link = live->next;
    if (live->next != NULL) {
        live->next->link = live->link;
    }
}

/* A new entry in the place of the oldest one. */
static struct request_ended *append(struct requests *requests)
{
    struct request_ended *ended =
        &requests->ended[++requests->newest % REQUESTS_KEPT];
    ended->sequence = requests->newest;
    ended->told_us = clock_monotonic_us();
    ended->ended_ms = clock_wall_ms();
    ended->error[0] = '\0';
    ended->stored = ended->worker = ended->hot = false;
    return ended;
}

/* The newest of that id among the last `count`; NULL: it is none of them. */
static struct request_ended *find(struct requests *requests, const char *id,
                                  uint64_t count)
{
    const uint64_t oldest =
        requests->newest > count ? requests->newest - count : 0;
    for (uint64_t at = requests->newest; at > oldest; at--) {
        struct request_ended *ended = &requests->ended[at % REQUESTS_KEPT];
        if (strcmp(ended->name.id, id) == 0) {
            return ended;
        }
    }
    return NULL;
}

void requests_end(struct requests *requests, struct request_live *live,
                  const Wire__Request *request, const struct log_request *line,
                  uint64_t received, uint64_t sent)
{
    const unsigned operation = (unsigned)request->operation;
    pthread_mutex_lock(&requests->lock);
    unlink_live(live);
    struct request_ended *ended = append(requests);
    copy_name(&ended->name, operation, &request->request_id, &request->bucket,
              &request->key);
    ended->status = line->status;
    strncat(ended->error, line->error, sizeof(ended->error) - 1);
    ended->stored = true;
    ended->us = line->us;
    ended->steps_us = line->steps_us;
    ended->phases = line->phases;
    if (operation < REQUESTS_OPERATIONS) {
        add(&requests->operations[operation], ended, received, sent);
    }
    if (ended->name.bucket[0] != '\0') {
        add(sum_of(requests, ended->name.bucket), ended, received, sent);
    }
    pthread_mutex_unlock(&requests->lock);
}

void requests_worker(struct requests *requests, const Wire__Trace *trace)
{
    struct request_name name;
    copy_name(&name, (unsigned)trace->operation, &trace->request_id,
              &trace->bucket, &trace->key);
    pthread_mutex_lock(&requests->lock);
    struct request_ended *ended =
        trace->hot ? NULL : find(requests, name.id, JUST_ENDED);
    if (ended == NULL || ended->worker) { /* s3d has not heard of it */
        ended = append(requests);
        ended->name = name;
        copy(ended->error, sizeof(ended->error), &trace->error);
    }
    ended->name.operation = name.operation; /* not REFUSED, but of what */
    ended->status = trace->status;          /* what the client has got */
    ended->worker = true;
    ended->hot = trace->hot;
    ended->auth_us = trace->auth_us;
    ended->backend_us = trace->backend_us;
    ended->send_us = trace->send_us;
    ended->received = trace->received;
    ended->sent = trace->sent;
    pthread_mutex_unlock(&requests->lock);
}

bool requests_are_traced(struct requests *requests)
{
    pthread_mutex_lock(&requests->lock);
    const bool traced = requests->looked_us != 0 &&
                        clock_monotonic_us() - requests->looked_us < TRACED_US;
    pthread_mutex_unlock(&requests->lock);
    return traced;
}

/* --- looking ---------------------------------------------------------------*/
size_t requests_live(struct requests *requests, struct request_live *out,
                     size_t max)
{
    size_t count = 0;
    pthread_mutex_lock(&requests->lock);
    for (const struct request_live *live = requests->live; live != NULL;
         live = live->next) {
        if (count < max) {
            out[count] = *live;
        }
        count++;
    }
    pthread_mutex_unlock(&requests->lock);
    return count;
}

bool requests_find(struct requests *requests, const char *id,
                   struct request_ended *out)
{
    pthread_mutex_lock(&requests->lock);
    const struct request_ended *ended = find(requests, id, REQUESTS_KEPT);
    if (ended != NULL) {
        *out = *ended;
    }
    pthread_mutex_unlock(&requests->lock);
    return ended != NULL;
}

bool requests_next(struct requests *requests, uint64_t *sequence,
                   uint64_t *lost, struct request_ended *out)
{
    const uint64_t now_us = clock_monotonic_us();
    bool found = false;
    pthread_mutex_lock(&requests->lock);
    requests->looked_us = now_us;
    if (*sequence + REQUESTS_KEPT < requests->newest) {
        *lost += requests->newest - REQUESTS_KEPT - *sequence;
        *sequence = requests->newest - REQUESTS_KEPT;
    }
    const struct request_ended *ended =
        &requests->ended[(*sequence + 1) % REQUESTS_KEPT];
    if (*sequence < requests->newest &&
        (ended->worker || now_us - ended->told_us > COMES_US)) {
        *sequence += 1;
        *out = *ended;
        found = true;
    }
    pthread_mutex_unlock(&requests->lock);
    return found;
}

uint64_t requests_newest(struct requests *requests)
{
    pthread_mutex_lock(&requests->lock);
    const uint64_t newest = requests->newest;
    pthread_mutex_unlock(&requests->lock);
    return newest;
}

size_t requests_sums(struct requests *requests,
                     struct request_sum operations[REQUESTS_OPERATIONS],
                     struct request_sum buckets[REQUESTS_BUCKETS])
{
    pthread_mutex_lock(&requests->lock);
    const size_t count = requests->bucket_count;
    memcpy(operations, requests->operations, sizeof(requests->operations));
    memcpy(buckets, requests->buckets, count * sizeof(buckets[0]));
    pthread_mutex_unlock(&requests->lock);
    return count;
}
