/*
 * Commits: one writer leads, the others wait.
 *
 * Writers queue up. The first one leads: it takes the batches of those behind
 * it into a group, has the group journaled everywhere (J1), and hands the lead
 * on. It then waits until the primary has applied its group (J2): what is
 * acknowledged can be read. A writer is woken once, by a semaphore of its own,
 * and if its batch was led by another it does not take the lock again.
 */
#include "kv/mirror.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define GROUP_BYTES_MAX (1u << 20) /* no further batch joins a larger group */

void mirror_fail(struct mirror *mirror, const char *what, int error)
{
    struct mirrors *all = mirror->all;

    if (mirror->failed || mirror->stop) {
        return;
    }
    log_error("metadata mirror %s: %s: %s", mirror->directory, what,
              strerror(-error));
    mirror->failed = true;
    mirror->stop = true;
    if (all->primary == mirror) {
        mirrors_choose_primary(all);
    }
    pthread_cond_broadcast(&all->work);
    pthread_cond_broadcast(&all->apply);
    pthread_cond_broadcast(&all->progress);
}

bool mirror_alive(const struct mirror *mirror)
{
    return mirror->state == KV_MIRROR_MEMBER && !mirror->failed;
}

/* --- the lead --------------------------------------------------------------*/

static void enqueue(struct mirrors *all, struct writer *writer)
{
    if (all->last != NULL) {
        all->last->next = writer;
    } else {
        all->first = writer;
    }
    all->last = writer;
}

/* The first writers leave the queue; the one behind `last` leads. */
static void hand_on(struct mirrors *all, struct writer *last)
{
    all->first = last->next;
    if (all->first == NULL) {
        all->last = NULL;
    } else {
        sem_post(&all->first->woken);
    }
    last->next = NULL;
}

/* Lock held. False, and it is not any more: another has led the batch. */
static bool take_lead(struct mirrors *all, struct writer *writer)
{
    invariant(sem_init(&writer->woken, 0, 0) == 0);
    enqueue(all, writer);
    if (all->first != writer) {
        pthread_mutex_unlock(&all->lock);
        while (sem_wait(&writer->woken) != 0) {
            invariant(errno == EINTR);
        }
        if (writer->done) {
            return false;
        }
        pthread_mutex_lock(&all->lock);
    }
    invariant(all->first == writer);
    return true;
}

void mirrors_lead(struct mirrors *all, struct writer *writer)
{
    memset(writer, 0, sizeof(*writer));
    pthread_mutex_lock(&all->lock);
    invariant(take_lead(all, writer)); /* without a batch, always */
}

void mirrors_lead_end(struct mirrors *all, struct writer *writer)
{
    invariant(all->first == writer);
    hand_on(all, writer);
    pthread_mutex_unlock(&all->lock);
    sem_destroy(&writer->woken);
}

/* --- epochs ----------------------------------------------------------------*/

static bool stays(const struct mirror *mirror, const struct mirror *joining)
{
    return mirror_alive(mirror) || (mirror == joining && !mirror->failed);
}

static void make_epoch(struct mirrors *all, const struct mirror *joining,
                       uint64_t number, struct mirror_epoch *epoch)
{
    memset(epoch, 0, sizeof(*epoch));
    epoch->number = number;
    invariant(getrandom(&epoch->ballot, sizeof(epoch->ballot), 0) ==
              sizeof(epoch->ballot));
    for (unsigned i = 0; i < all->count; i++) {
        if (stays(&all->mirrors[i], joining)) {
            memcpy(epoch->members[epoch->count++], all->mirrors[i].id,
                   MIRROR_ID_SIZE);
        }
    }
}

/* S3: is at least half of `before` in `next`? */
static bool keeps_half(const struct mirror_epoch *next,
                       const struct mirror_epoch *before)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < before->count; i++) {
        kept += mirror_epoch_names(next, before->members[i]);
    }
    return 2 * kept >= before->count;
}

/* Without the lock: drives are slow. */
static void record(struct mirrors *all, struct mirror *mirror,
                   struct mirror_set *set)
{
    int error;

    memcpy(set->self, mirror->id, MIRROR_ID_SIZE);
    pthread_mutex_unlock(&all->lock);
    error = mirror_set_write(all->io, mirror->directory, set);
    pthread_mutex_lock(&all->lock);
    if (error != 0) {
        mirror_fail(mirror, "the epoch cannot be recorded", error);
    }
}

static bool is_named(const struct mirror *mirror, const struct mirror *joining,
                     const struct mirror_epoch *epoch)
{
    return mirror_epoch_names(epoch, mirror->id) &&
           (mirror->state == KV_MIRROR_MEMBER || mirror == joining);
}

/* On every member of the next epoch. False: one has failed. */
static bool record_all(struct mirrors *all, struct mirror *joining,
                       struct mirror_set *set)
{
    for (unsigned i = 0; i < all->count; i++) {
        struct mirror *mirror = &all->mirrors[i];

        if (is_named(mirror, joining, &set->epoch)) {
            record(all, mirror, set);
            if (mirror->failed) {
                return false;
            }
        }
    }
    return true;
}

/* That the epoch stands; one that fails keeps no other from knowing (S1). */
static void tell_all(struct mirrors *all, struct mirror_set *set)
{
    set->stands = true;
    for (unsigned i = 0; i < all->count; i++) {
        if (is_named(&all->mirrors[i], NULL, &set->epoch)) {
            record(all, &all->mirrors[i], set);
        }
    }
}

static void take_epoch(struct mirrors *all, const struct mirror *joining,
                       const struct mirror_epoch *epoch)
{
    all->epoch = *epoch;
    for (unsigned i = 0; i < all->count; i++) {
        struct mirror *mirror = &all->mirrors[i];

        if (is_named(mirror, joining, epoch)) {
            mirror->state = KV_MIRROR_MEMBER;
        } else if (mirror->state == KV_MIRROR_MEMBER) {
            mirror->state = KV_MIRROR_FAILED;
            log_error("metadata mirror %s: expelled, epoch %" PRIu64
                      " goes on with %u",
                      mirror->directory, epoch->number, epoch->count);
        }
    }
    if (all->primary == NULL) {
        mirrors_choose_primary(all);
    }
}

/* An attempt that failed may be recorded on some mirrors, even on all of them:
 * the next one keeps half of it, too. */
int mirrors_next_epoch(struct mirrors *all, struct mirror *joining)
{
    struct mirror_epoch tried[KV_MIRRORS_MAX + 2] = {all->epoch};
    struct mirror_set set = {.base = all->epoch};
    unsigned tries = 1;

    memcpy(set.store, all->store, MIRROR_ID_SIZE);
    for (;;) {
        bool kept;

        make_epoch(all, joining, all->epoch.number + tries, &set.epoch);
        kept = set.epoch.count > 0 && tries < sizeof(tried) / sizeof(tried[0]);
        for (unsigned i = 0; i < tries && kept; i++) {
            kept = keeps_half(&set.epoch, &tried[i]);
        }
        if (!kept) {
            log_error("metadata: too few mirrors are left to go on");
            return -EIO;
        }
        tried[tries++] = set.epoch;
        if (record_all(all, joining, &set)) {
            break;
        }
    }
    take_epoch(all, joining, &set.epoch);
    tell_all(all, &set);
    return 0;
}

void kv_mirror_silent(struct kv *kv, unsigned index)
{
    struct mirrors *all = (struct mirrors *)kv;
    unsigned others = 0;

    if (kv->ops->commit != mirrors_commit || index >= all->count) {
        return;
    }
    pthread_mutex_lock(&all->lock);
    for (unsigned i = 0; i < all->count; i++) {
        others += i != index && mirror_alive(&all->mirrors[i]);
    }
    if (mirror_alive(&all->mirrors[index]) && 2 * others >= all->epoch.count) {
        mirror_fail(&all->mirrors[index], "its drive", -ETIMEDOUT);
    }
    pthread_mutex_unlock(&all->lock);
}

static int expel_failed(struct mirrors *all)
{
    for (unsigned i = 0; i < all->count; i++) {
        if (all->mirrors[i].state == KV_MIRROR_MEMBER &&
            all->mirrors[i].failed) {
            return mirrors_next_epoch(all, NULL);
        }
    }
    return 0;
}

/* --- groups ----------------------------------------------------------------*/

/* The leader's batch and those that wait behind it, up to one that wants to
 * lead alone. Returns the last writer of the group. */
static struct writer *make_group(struct mirrors *all, struct group *group)
{
    struct writer *writer = all->first, *last = writer;

    while (writer != NULL && writer->batch != NULL) {
        if (writer != all->first &&
            group->payload.size + kv_batch_changes(writer->batch).size >
                GROUP_BYTES_MAX) {
            break;
        }
        kv_group_add(&all->kv, &group->payload, writer->batch);
        last = writer;
        writer = writer->next;
    }
    kv_group_end(&all->kv, &group->payload);
    return last;
}

bool mirrors_answered(const struct mirrors *all, uint64_t seq)
{
    for (unsigned i = 0; i < all->count; i++) {
        const struct mirror *mirror = &all->mirrors[i];

        if (mirror->running && !mirror->stop && mirror->journaled < seq) {
            return false;
        }
    }
    return true;
}

static void fail_silent(struct mirrors *all, uint64_t seq)
{
    for (unsigned i = 0; i < all->count; i++) {
        struct mirror *mirror = &all->mirrors[i];

        if (mirror->running && !mirror->stop && mirror->journaled < seq) {
            mirror_fail(mirror, "its journal does not answer", -ETIMEDOUT);
        }
    }
}

static struct timespec deadline_in(unsigned ms)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* J1, S2. Lock held. */
static int replicate(struct mirrors *all, struct group *group)
{
    struct timespec deadline = deadline_in(all->answer_ms);
    int error;

    all->group = group;
    pthread_cond_broadcast(&all->work);
    while (!mirrors_answered(all, group->seq)) {
        if (pthread_cond_timedwait(&all->progress, &all->lock, &deadline) ==
            ETIMEDOUT) {
            fail_silent(all, group->seq);
        }
    }
    all->group = NULL;
    error = expel_failed(all);
    if (error == 0) {
        all->committed = group->seq;
        kv_tell(&all->kv, slice_of(group->payload.data, group->payload.size));
        pthread_cond_broadcast(&all->apply);
    }
    return error;
}

/* Those behind the leader. Each may be gone as soon as it is woken. */
static void wake_members(struct writer *leader, int error)
{
    struct writer *member = leader->next;

    while (member != NULL) {
        struct writer *next = member->next;

        member->error = error;
        member->done = true;
        sem_post(&member->woken);
        member = next;
    }
}

/* Lock held, released at the end; the writer is the first. */
static int lead_group(struct mirrors *all, struct writer *writer)
{
    struct group *group = xcalloc(1, sizeof(*group));
    uint64_t seq;
    struct writer *last;
    int error;

    atomic_init(&group->references, 1);
    last = make_group(all, group);
    group->seq = seq = all->committed + 1;
    /* After a failure nobody knows which mirrors hold the group: no other one
     * may take its number. */
    error = atomic_load(&all->kv.poisoned) ? -EIO : expel_failed(all);
    if (error == 0) {
        group->epoch = all->epoch.number;
        error = replicate(all, group);
        if (error != 0) {
            atomic_store(&all->kv.poisoned, true);
        }
    }
    hand_on(all, last);
    group_release(group);
    if (error == 0) {
        error = mirrors_wait_applied(all, seq);
    }
    pthread_mutex_unlock(&all->lock);
    wake_members(writer, error);
    return error;
}

void group_release(struct group *group)
{
    if (atomic_fetch_sub(&group->references, 1) == 1) {
        buffer_free(&group->payload);
        free(group);
    }
}

int mirrors_wait_applied(struct mirrors *all, uint64_t seq)
{
    while (all->primary != NULL && all->primary->applied < seq) {
        pthread_cond_wait(&all->progress, &all->lock);
    }
    return all->primary != NULL ? 0 : -EIO;
}

int mirrors_commit(struct kv *kv, const struct kv_batch *batch)
{
    struct mirrors *all = (struct mirrors *)kv;
    struct writer writer = {.batch = batch};
    int error;

    pthread_mutex_lock(&all->lock);
    error = take_lead(all, &writer) ? lead_group(all, &writer) : writer.error;
    sem_destroy(&writer.woken);
    return error;
}
