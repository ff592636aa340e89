/* What is being written and not yet committed (B5), and what was moved away:
 * both told by numbers that only grow. */
#include "blob/private.h"

void blob_intent_begin(struct blob_store *store, struct blob_intent *intent)
{
    invariant(intent->number == 0);
    pthread_mutex_lock(&store->intents_lock);
    *intent = (struct blob_intent){.number = store->next_intent++,
                                   .older = store->newest_intent};
    if (intent->older != NULL) {
        intent->older->newer = intent;
    } else {
        store->oldest_intent = intent;
    }
    store->newest_intent = intent;
    pthread_mutex_unlock(&store->intents_lock);
}

void blob_intent_end(struct blob_store *store, struct blob_intent *intent)
{
    if (intent->number == 0) {
        return;
    }
    pthread_mutex_lock(&store->intents_lock);
    if (intent->older != NULL) {
        intent->older->newer = intent->newer;
    } else {
        store->oldest_intent = intent->newer;
    }
    if (intent->newer != NULL) {
        intent->newer->older = intent->older;
    } else {
        store->newest_intent = intent->older;
    }
    pthread_mutex_unlock(&store->intents_lock);
    *intent = (struct blob_intent){0};
}

uint64_t blob_intent_next(struct blob_store *store)
{
    pthread_mutex_lock(&store->intents_lock);
    uint64_t next = store->next_intent;
    pthread_mutex_unlock(&store->intents_lock);
    return next;
}

uint64_t blob_intent_oldest(struct blob_store *store)
{
    pthread_mutex_lock(&store->intents_lock);
    uint64_t oldest = store->oldest_intent != NULL
                          ? store->oldest_intent->number
                          : store->next_intent;
    pthread_mutex_unlock(&store->intents_lock);
    return oldest;
}

void blob_retire_extents(struct blob_store *store)
{
    atomic_fetch_add(&store->generation, 1);
}

uint64_t blob_generation(struct blob_store *store)
{
    return atomic_load(&store->generation);
}
