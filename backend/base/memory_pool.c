/* Large memory with several owners. */
#include "base/base.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE       4096u
#define KEPT_MAX   128u        /* pieces of memory that nobody has */
#define KEPT_BYTES (32u << 20) /* theirs together */
#define KEPT_LEAST (64u << 10) /* smaller ones malloc() keeps */
#define KEPT_MOST  (KEPT_BYTES / 4)

#define MAPPED_LEAST (256u << 10) /* to unmap smaller ones costs too much */

struct owned {
    struct memory memory; /* first: what others see */
    atomic_uint owners;
    size_t capacity;
};

/* Oldest first; the one that was freed last is the first to be used again. */
static struct {
    pthread_mutex_t mutex;
    struct owned *all[KEPT_MAX];
    unsigned count;
    size_t bytes;
} kept = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static atomic_uint_fast64_t used; /* bytes that somebody has */
static atomic_uint_fast64_t limit = UINT64_MAX;

void memory_limit(uint64_t bytes)
{
    atomic_store_explicit(&limit, bytes, memory_order_relaxed);
}

bool memory_short(void)
{
    return atomic_load_explicit(&used, memory_order_relaxed) >
           atomic_load_explicit(&limit, memory_order_relaxed);
}

/* Of what malloc() has once had in such sizes it seldom gives any back: a
 * thousand slow writers would leave a gigabyte behind. */
static uint8_t *allocate(size_t size)
{
    void *bytes = size < MAPPED_LEAST
                      ? aligned_alloc(PAGE, size)
                      : mmap(NULL, size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    invariant(bytes != NULL && bytes != MAP_FAILED);
    return bytes;
}

static void release(struct owned *owned)
{
    if (owned->capacity >= MAPPED_LEAST) {
        munmap(owned->memory.bytes, owned->capacity);
    } else {
        free(owned->memory.bytes);
    }
    free(owned);
}

/* With the mutex. */
static struct owned *take_out(unsigned at)
{
    struct owned *owned = kept.all[at];

    kept.count--;
    kept.bytes -= owned->capacity;
    memmove(&kept.all[at], &kept.all[at + 1],
            (kept.count - at) * sizeof(kept.all[0]));
    return owned;
}

static struct owned *take_kept(size_t size)
{
    struct owned *found = NULL;

    pthread_mutex_lock(&kept.mutex);
    for (unsigned i = kept.count; i > 0 && found == NULL; i--) {
        size_t capacity = kept.all[i - 1]->capacity;

        if (capacity >= size && capacity / 2 <= size) {
            found = take_out(i - 1);
        }
    }
    pthread_mutex_unlock(&kept.mutex);
    return found;
}

static void keep(struct owned *owned)
{
    pthread_mutex_lock(&kept.mutex);
    while (kept.count == KEPT_MAX ||
           kept.bytes + owned->capacity > KEPT_BYTES) {
        release(take_out(0));
    }
    kept.all[kept.count++] = owned;
    kept.bytes += owned->capacity;
    pthread_mutex_unlock(&kept.mutex);
}

struct memory *memory_new(size_t size)
{
    struct owned *owned = size >= KEPT_LEAST ? take_kept(size) : NULL;

    if (owned == NULL) {
        owned = xcalloc(1, sizeof(*owned));
        owned->capacity = (size + PAGE - 1) / PAGE * PAGE;
        owned->memory.bytes = allocate(owned->capacity);
    }
    atomic_store(&owned->owners, 1);
    atomic_fetch_add_explicit(&used, owned->capacity, memory_order_relaxed);
    return &owned->memory;
}

struct memory *memory_hold(struct memory *memory)
{
    atomic_fetch_add(&((struct owned *)memory)->owners, 1);
    return memory;
}

void memory_drop(struct memory *memory)
{
    struct owned *owned = (struct owned *)memory;

    if (owned == NULL || atomic_fetch_sub(&owned->owners, 1) != 1) {
        return;
    }
    atomic_fetch_sub_explicit(&used, owned->capacity, memory_order_relaxed);
    if (owned->capacity >= KEPT_LEAST && owned->capacity <= KEPT_MOST) {
        keep(owned);
    } else {
        release(owned);
    }
}
