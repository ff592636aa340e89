/*
 * Blobs that are being read, or being freed: never both (M5). A table of what
 * is in memory only, since no reader outlives the process.
 */
#include "meta/private.h"

#include <errno.h>
#include <stdlib.h>

#define PIN_STRIPES 64
#define PIN_BUCKETS 64 /* of a stripe */

struct pin {
    struct pin *next;
    uint64_t blob;
    unsigned readers; /* 0: condemned */
};

struct pin_stripe {
    pthread_mutex_t lock;
    struct pin *buckets[PIN_BUCKETS];
};

struct pins {
    struct pin_stripe stripes[PIN_STRIPES];
};

struct pins *pins_new(void)
{
    struct pins *pins = xcalloc(1, sizeof(*pins));

    for (size_t i = 0; i < PIN_STRIPES; i++) {
        pthread_mutex_init(&pins->stripes[i].lock, NULL);
    }
    return pins;
}

void pins_free(struct pins *pins)
{
    for (size_t i = 0; i < PIN_STRIPES; i++) {
        for (size_t j = 0; j < PIN_BUCKETS; j++) {
            invariant(pins->stripes[i].buckets[j] == NULL);
        }
        pthread_mutex_destroy(&pins->stripes[i].lock);
    }
    free(pins);
}

/* Ids are handed out one after the other. */
static struct pin_stripe *lock_stripe(struct meta *meta, uint64_t blob)
{
    struct pin_stripe *stripe = &meta->pins->stripes[blob % PIN_STRIPES];

    pthread_mutex_lock(&stripe->lock);
    return stripe;
}

static struct pin **find(struct pin_stripe *stripe, uint64_t blob)
{
    struct pin **at = &stripe->buckets[blob / PIN_STRIPES % PIN_BUCKETS];

    while (*at != NULL && (*at)->blob != blob) {
        at = &(*at)->next;
    }
    return at;
}

static void insert(struct pin **at, uint64_t blob, unsigned readers)
{
    *at = xcalloc(1, sizeof(**at));
    **at = (struct pin){.blob = blob, .readers = readers};
}

static void drop(struct pin **at)
{
    struct pin *pin = *at;

    *at = pin->next;
    free(pin);
}

int meta_pin_blob(struct meta *meta, uint64_t blob)
{
    struct pin_stripe *stripe = lock_stripe(meta, blob);
    struct pin **at = find(stripe, blob);
    int error = 0;

    if (*at == NULL) {
        insert(at, blob, 1);
    } else if ((*at)->readers > 0) {
        (*at)->readers++;
    } else {
        error = -ENOENT;
    }
    pthread_mutex_unlock(&stripe->lock);
    return error;
}

void meta_unpin_blob(struct meta *meta, uint64_t blob)
{
    struct pin_stripe *stripe = lock_stripe(meta, blob);
    struct pin **at = find(stripe, blob);

    invariant(*at != NULL && (*at)->readers > 0);
    (*at)->readers--;
    if ((*at)->readers == 0) {
        drop(at);
    }
    pthread_mutex_unlock(&stripe->lock);
}

bool meta_condemn_blob(struct meta *meta, uint64_t blob)
{
    struct pin_stripe *stripe = lock_stripe(meta, blob);
    struct pin **at = find(stripe, blob);
    bool unread = *at == NULL;

    if (unread) {
        insert(at, blob, 0);
    }
    pthread_mutex_unlock(&stripe->lock);
    return unread;
}

void meta_absolve_blob(struct meta *meta, uint64_t blob)
{
    struct pin_stripe *stripe = lock_stripe(meta, blob);
    struct pin **at = find(stripe, blob);

    invariant(*at != NULL && (*at)->readers == 0);
    drop(at);
    pthread_mutex_unlock(&stripe->lock);
}
