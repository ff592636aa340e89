/*
 * Private to hot/.
 */
#ifndef HOT_PRIVATE_H
#define HOT_PRIVATE_H

#include "hot/hot.h"

/* --- alive.c: the thread that holds the region -----------------------------*/
struct hot_holder {
    struct hot_robust *robust; /* in the region */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ready, release;
};
/* 0, or -ENOTSUP: the kernel does not mark what a dead thread held. */
int holder_start(struct hot_holder *holder, struct hot_robust *robust);
void holder_stop(struct hot_holder *holder);

#endif
