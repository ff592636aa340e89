#include "blob/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define RANDOM_STEP 0x9e3779b97f4a7c15ull

/* Drives with the same label share a domain; one without a label is its own. */
static unsigned domain_of(const struct blob_store *store, unsigned drive)
{
    const char *label = drive_config(store->drives[drive])->domain;

    if (label == NULL || label[0] == '\0') {
        return drive;
    }
    for (unsigned i = 0; i < drive; i++) {
        const char *other = drive_config(store->drives[i])->domain;

        if (other != NULL && strcmp(label, other) == 0) {
            return store->domains[i];
        }
    }
    return drive;
}

int blob_store_open(const struct blob_store_options *options,
                    struct blob_store **out)
{
    struct blob_store *store;
    uint64_t seed = options->seed;

    if (options->drive_count == 0) {
        return -EINVAL;
    }
    if (seed == 0 && getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) {
        seed = clock_wall_ms();
    }
    store = xcalloc(1, sizeof(*store));
    store->drives = options->drives;
    store->drive_count = options->drive_count;
    store->may_miss = options->may_miss;
    store->chunk_size = BLOB_CHUNK_SIZE;
    store->unit = BLOB_UNIT_SIZE;
    store->domains = xcalloc(store->drive_count, sizeof(*store->domains));
    for (unsigned i = 0; i < store->drive_count; i++) {
        store->domains[i] = domain_of(store, i);
    }
    atomic_init(&store->random, seed);
    atomic_init(&store->generation, 1);
    pthread_mutex_init(&store->intents_lock, NULL);
    store->next_intent = 1;
    tables_init(&store->cache);
    *out = store;
    return 0;
}

void blob_store_close(struct blob_store *store)
{
    if (store == NULL) {
        return;
    }
    invariant(store->oldest_intent == NULL);
    pthread_mutex_destroy(&store->intents_lock);
    tables_destroy(&store->cache);
    free(store->domains);
    free(store);
}

void blob_store_on_damage(struct blob_store *store, blob_damage_fn fn,
                          void *context)
{
    store->on_damage = fn;
    store->damage_context = context;
}

unsigned blob_domain(const struct blob_store *store, unsigned drive)
{
    return store->domains[drive];
}

void blob_store_hedge(struct blob_store *store, uint64_t us)
{
    atomic_store(&store->hedge_us, us);
}

struct drive *store_drive(struct blob_store *store,
                          const Layout__Locator *locator)
{
    if (locator->drive_plus_one == 0 ||
        locator->drive_plus_one > store->drive_count) {
        return NULL;
    }
    return store->drives[locator->drive_plus_one - 1];
}

uint64_t store_random(struct blob_store *store)
{
    return atomic_fetch_add(&store->random, RANDOM_STEP);
}

unsigned store_members(struct blob_store *store)
{
    unsigned members = 0;

    for (unsigned i = 0; i < store->drive_count; i++) {
        members += drive_state(store->drives[i]) != DRIVE_REMOVED;
    }
    return members;
}

static bool takes_blobs(struct drive *drive)
{
    return drive_state(drive) == DRIVE_OK && !drive_draining(drive);
}

unsigned store_usable(struct blob_store *store)
{
    unsigned usable = 0;

    for (unsigned i = 0; i < store->drive_count; i++) {
        usable += takes_blobs(store->drives[i]);
    }
    return usable;
}

unsigned store_preferred(struct blob_store *store)
{
    unsigned all = store_usable(store), quick = 0;

    for (unsigned i = 0; i < store->drive_count; i++) {
        quick += takes_blobs(store->drives[i]) && !drive_slow(store->drives[i]);
    }
    for (int small = 0; small <= 1; small++) {
        if (erasure_default(quick, small).m < erasure_default(all, small).m) {
            return all;
        }
    }
    return quick;
}

/* Quick ones fill the array from the front, slow ones from the back. */
unsigned store_candidates(struct blob_store *store, uint64_t bytes,
                          unsigned wanted,
                          struct placement_candidate *candidates)
{
    unsigned count = 0, slow = store->drive_count, last = slow;

    for (unsigned i = 0; i < store->drive_count; i++) {
        struct drive_usage usage;

        if (!takes_blobs(store->drives[i])) {
            continue;
        }
        drive_usage(store->drives[i], &usage);
        if (usage.free < bytes) {
            continue;
        }
        candidates[drive_slow(store->drives[i]) ? --slow : count++] =
            (struct placement_candidate){
                .drive = i,
                .domain = store->domains[i],
                .free = usage.free,
                .total = usage.total,
                .load = usage.load,
            };
    }
    while (count < wanted && slow < last) {
        candidates[count++] = candidates[slow++];
    }
    return count;
}
