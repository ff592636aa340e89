/*
 * Who holds the region, in the kernel's own terms: a robust futex (H4). A
 * thread writes its id there and tells the kernel where; when it ends, however
 * s3d came to its end, the kernel replaces the id by a mark. That comes before
 * the process gives up its files, and with them the locks that keep another
 * s3d from the same metadata.
 *
 * A thread of its own, since the C library has the list of every other one.
 * https://www.kernel.org/doc/html/latest/locking/robust-futex-ABI.html
 */
#include "hot/private.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(sizeof(struct robust_list_head) == 24,
               "as in struct hot_robust");
_Static_assert(HOT_ALIVE_MASK == FUTEX_TID_MASK, "as the kernel has it");

/* The list and what is in it are in the region, which stays mapped until the
 * thread has ended. */
static bool hold(struct hot_robust *robust)
{
    robust->list = (uintptr_t)&robust->node;
    robust->node = (uintptr_t)&robust->list;
    robust->futex_offset = (int64_t)offsetof(struct hot_robust, alive) -
                           (int64_t)offsetof(struct hot_robust, node);
    robust->pending = 0;
    if (syscall(SYS_set_robust_list, robust, sizeof(struct robust_list_head)) !=
        0) {
        return false;
    }
    __atomic_store_n(&robust->alive, (uint32_t)syscall(SYS_gettid),
                     __ATOMIC_RELEASE);
    return true;
}

static void give_up(struct hot_robust *robust)
{
    __atomic_store_n(&robust->alive, 0, __ATOMIC_RELEASE);
    robust->list = (uintptr_t)&robust->list;
}

static void *holder_run(void *argument)
{
    struct hot_holder *holder = argument;
    const bool holds = hold(holder->robust);

    pthread_mutex_lock(&holder->lock);
    holder->ready = true;
    pthread_cond_broadcast(&holder->changed);
    while (!holder->release) {
        pthread_cond_wait(&holder->changed, &holder->lock);
    }
    pthread_mutex_unlock(&holder->lock);
    if (holds) {
        give_up(holder->robust);
    }
    return NULL;
}

static void *dying_run(void *argument)
{
    hold(argument);
    return NULL;
}

/* Whether the kernel does what all this rests on. */
static bool kernel_tells(struct hot_robust *robust)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, dying_run, robust) != 0) {
        return false;
    }
    pthread_join(thread, NULL);
    return __atomic_load_n(&robust->alive, __ATOMIC_ACQUIRE) ==
           FUTEX_OWNER_DIED;
}

int holder_start(struct hot_holder *holder, struct hot_robust *robust)
{
    if (!kernel_tells(robust)) {
        return -ENOTSUP;
    }
    *holder = (struct hot_holder){.robust = robust};
    pthread_mutex_init(&holder->lock, NULL);
    pthread_cond_init(&holder->changed, NULL);
    invariant(pthread_create(&holder->thread, NULL, holder_run, holder) == 0);
    pthread_mutex_lock(&holder->lock);
    while (!holder->ready) {
        pthread_cond_wait(&holder->changed, &holder->lock);
    }
    pthread_mutex_unlock(&holder->lock);
    return 0;
}

void holder_stop(struct hot_holder *holder)
{
    pthread_mutex_lock(&holder->lock);
    holder->release = true;
    pthread_cond_broadcast(&holder->changed);
    pthread_mutex_unlock(&holder->lock);
    pthread_join(holder->thread, NULL);
    pthread_cond_destroy(&holder->changed);
    pthread_mutex_destroy(&holder->lock);
}
