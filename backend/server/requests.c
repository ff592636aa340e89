#include "server/requests.h"
#include "server/private.h"
#include <stdlib.h>
#include <string.h>

#define TRACED_US  UINT64_C(5000000) /* after somebody has looked */
#define COMES_US   UINT64_C(1000000) /* the other part, or not at all */
#define JUST_ENDED 1024 /* requests: among them is the other part */

struct requests {
    pthread_mutex_t lock;                      /* of all below */
    struct request_live *live, **live_end;     /* the oldest first */
    struct request_ended ended[REQUESTS_KEPT]; /* at sequence % REQUESTS_KEPT */
    uint64_t newest;
    uint64_t early; /* the newest that a worker told of before s3d's part */
    uint64_t looked_us;
    struct request_sum operations[REQUESTS_OPERATIONS];
    struct request_sum buckets[REQUESTS_BUCKETS]; /* [0]: all others */
    size_t bucket_count;
    uint64_t uses, used[REQUESTS_BUCKETS]; /* the bucket's last of all uses */
    /* Indexes of `buckets`: of a hash the first, of a bucket the next; 0: none.
     */
    uint16_t chains[REQUESTS_BUCKETS], next[REQUESTS_BUCKETS];
};

struct requests *requests_new(void)
{
    struct requests *requests = xcalloc(1, sizeof(*requests));
    invariant(pthread_mutex_init(&requests->lock, NULL) == 0);
    requests->live_end = &requests->live;
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
static uint16_t *chain_of(struct requests *requests, const char *name)
{
    uint32_t hash = 2166136261u;
    for (; *name != '\0'; name++) {
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    }
    return &requests->chains[hash % REQUESTS_BUCKETS];
}

/* A place for another bucket: if all are taken, that of the one that was
 * unused for longest. */
static uint16_t free_place(struct requests *requests)
{
    if (requests->bucket_count < REQUESTS_BUCKETS) {
        return (uint16_t)requests->bucket_count++;
    }
    uint16_t place = 1;
    for (uint16_t i = 2; i < REQUESTS_BUCKETS; i++) {
        place = requests->used[i] < requests->used[place] ? i : place;
    }
    uint16_t *link = chain_of(requests, requests->buckets[place].name);
    while (*link != place) {
        link = &requests->next[*link];
    }
    *link = requests->next[place];
    return place;
}

/* 0: it has none. */
static uint16_t place_of(struct requests *requests, const char *bucket)
{
    uint16_t place = *chain_of(requests, bucket);
    while (place != 0 && strcmp(requests->buckets[place].name, bucket) != 0) {
        place = requests->next[place];
    }
    return place;
}

/* Any name can be asked for: only what has succeeded takes a place. */
static struct request_sum *sum_of(struct requests *requests, const char *bucket,
                                  bool succeeded)
{
    uint16_t *chain = chain_of(requests, bucket);
    uint16_t place = place_of(requests, bucket);
    if (place == 0 && !succeeded) {
        return &requests->buckets[0];
    }
    if (place == 0) {
        place = free_place(requests);
        requests->buckets[place] = (struct request_sum){0};
        copy_string(requests->buckets[place].name,
                    sizeof(requests->buckets[place].name), bucket);
        requests->next[place] = *chain;
        *chain = place;
    }
    requests->used[place] = ++requests->uses;
    return &requests->buckets[place];
}

static void add_bytes(struct request_sum *sum, struct request_live *live)
{
    sum->received +=
        atomic_load_explicit(&live->received, memory_order_relaxed);
    sum->sent += atomic_load_explicit(&live->sent, memory_order_relaxed);
}

static void add(struct request_sum *sum, const struct log_request *line,
                struct request_live *live)
{
    sum->count++;
    sum->errors += line->status >= 500;
    sum->us += line->us;
    add_bytes(sum, live);
}

static void add_to_sums(struct requests *requests, struct request_live *live,
                        const struct log_request *line)
{
    const struct request_name *name = &live->name;
    if (name->operation < REQUESTS_OPERATIONS) {
        add(&requests->operations[name->operation], line, live);
    }
    if (name->bucket[0] != '\0') {
        add(sum_of(requests, name->bucket, line->status < 400), line, live);
    }
}

/* --- telling ---------------------------------------------------------------*/
void requests_begin(struct requests *requests, struct request_live *live,
                    const Wire__Request *request, uint64_t began_us)
{
    copy_name(&live->name, (unsigned)request->operation, &request->request_id,
              &request->bucket, &request->key);
    live->began_us = began_us;
    atomic_init(&live->received, 0);
    atomic_init(&live->sent, 0);
    pthread_mutex_lock(&requests->lock);
    live->next = NULL;
    live->link = requests->live_end;
    *live->link = live;
    requests->live_end = &live->next;
    pthread_mutex_unlock(&requests->lock);
}

static void unlink_live(struct requests *requests, struct request_live *live)
{
    *live->link = live->next;
    if (live->next != NULL) {
        live->next->link = live->link;
    } else {
        requests->live_end = live->link;
    }
}

void requests_drop(struct requests *requests, struct request_live *live)
{
    pthread_mutex_lock(&requests->lock);
    unlink_live(requests, live);
    pthread_mutex_unlock(&requests->lock);
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
    ended->stored = ended->worker = ended->hot = ended->alone = false;
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

/* There is no other part that could come. */
static bool is_whole(const struct request_ended *ended)
{
    return ended->worker && (ended->stored || ended->hot || ended->alone);
}

/* What the worker has told of already; NULL: nothing. */
static struct request_ended *find_early(struct requests *requests,
                                        const char *id)
{
    const uint64_t since = requests->newest - requests->early;
    struct request_ended *ended = requests->early > 0 && since < JUST_ENDED
                                      ? find(requests, id, JUST_ENDED)
                                      : NULL;
    return ended != NULL && !ended->stored && !is_whole(ended) ? ended : NULL;
}

void requests_end(struct requests *requests, struct request_live *live,
                  const Wire__Request *request, const struct log_request *line)
{
    pthread_mutex_lock(&requests->lock);
    unlink_live(requests, live);
    copy_name(&live->name, (unsigned)request->operation, &request->request_id,
              &request->bucket, &request->key); /* of what, is known by now */
    struct request_ended *ended = find_early(requests, live->name.id);
    if (ended == NULL) {
        ended = append(requests);
        ended->name = live->name;
        ended->status = line->status;
    }
    if (ended->error[0] == '\0') {
        strncat(ended->error, line->error, sizeof(ended->error) - 1);
    }
    ended->stored = true;
    ended->us = line->us;
    ended->steps_us = line->steps_us;
    ended->phases = line->phases;
    add_to_sums(requests, live, line);
    pthread_mutex_unlock(&requests->lock);
}

void requests_worker(struct requests *requests, const Wire__Trace *trace)
{
    struct request_name name;
    copy_name(&name, (unsigned)trace->operation, &trace->request_id,
              &trace->bucket, &trace->key);
    const bool asked = !trace->hot && !trace->alone;
    pthread_mutex_lock(&requests->lock);
    struct request_ended *ended =
        asked ? find(requests, name.id, JUST_ENDED) : NULL;
    if (ended == NULL || ended->worker) {
        ended = append(requests);
        ended->name = name;
        requests->early = asked ? requests->newest : requests->early;
        copy(ended->error, sizeof(ended->error), &trace->error);
    }
    ended->name.operation = name.operation; /* not REFUSED, but of what */
    ended->status = trace->status;          /* what the client has got */
    ended->worker = true;
    ended->hot = trace->hot;
    ended->alone = trace->alone;
    ended->auth_us = trace->auth_us;
    ended->backend_us = trace->backend_us;
    ended->send_us = trace->send_us;
    ended->received = trace->received;
    ended->sent = trace->sent;
    pthread_mutex_unlock(&requests->lock);
}

bool requests_are_traced(struct requests *requests, uint64_t now_us)
{
    pthread_mutex_lock(&requests->lock);
    const bool traced =
        requests->looked_us != 0 && now_us < requests->looked_us + TRACED_US;
    pthread_mutex_unlock(&requests->lock);
    return traced;
}

/* --- looking ---------------------------------------------------------------*/
size_t requests_live(struct requests *requests, struct request_live *out,
                     size_t max)
{
    size_t count = 0;
    pthread_mutex_lock(&requests->lock);
    for (struct request_live *live = requests->live; live != NULL;
         live = live->next) {
        if (count < max) {
            out[count].name = live->name;
            out[count].began_us = live->began_us;
            atomic_init(&out[count].received, atomic_load(&live->received));
            atomic_init(&out[count].sent, atomic_load(&live->sent));
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

bool requests_next(struct requests *requests, uint64_t now_us,
                   uint64_t *sequence, uint64_t *lost,
                   struct request_ended *out)
{
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
        (is_whole(ended) || now_us > ended->told_us + COMES_US)) {
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
    for (struct request_live *live = requests->live; live != NULL;
         live = live->next) {
        if (live->name.operation < REQUESTS_OPERATIONS) {
            add_bytes(&operations[live->name.operation], live);
        }
        if (live->name.bucket[0] != '\0') {
            add_bytes(&buckets[place_of(requests, live->name.bucket)], live);
        }
    }
    pthread_mutex_unlock(&requests->lock);
    return count;
}
