/*
 * Room for the metadata. LevelDB that meets a full file system refuses all
 * writes until it is opened again, deletes too: so what would need room is
 * refused earlier.
 */
#include "kv/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#define CHECK_US 1000000u

void kv_set_reserve(struct kv *kv, const char *const *directories,
                    unsigned count, uint64_t bytes)
{
    struct kv_reserve *reserve = &kv->reserve;

    invariant(count <= KV_MIRRORS_MAX);
    reserve_free(reserve);
    for (unsigned i = 0; i < count; i++) {
        reserve->directories[i] = xstrdup(directories[i]);
    }
    reserve->count = count;
    reserve->bytes = bytes;
    atomic_store(&reserve->checked_us, 0);
    atomic_store(&reserve->full, false);
}

void reserve_free(struct kv_reserve *reserve)
{
    while (reserve->count > 0) {
        free(reserve->directories[--reserve->count]);
    }
}

/* Of the directory that has least; one that is not there does not count. */
static bool find_least(const struct kv_reserve *reserve, uint64_t *least)
{
    struct statvfs st;
    bool found = false;

    for (unsigned i = 0; i < reserve->count; i++) {
        uint64_t left;

        if (statvfs(reserve->directories[i], &st) != 0) {
            continue;
        }
        left = (uint64_t)st.f_bavail * st.f_frsize;
        *least = found && *least < left ? *least : left;
        found = true;
    }
    return found;
}

static void check(struct kv_reserve *reserve)
{
    uint64_t left = 0;
    bool full;

    if (!find_least(reserve, &left)) {
        log_warn("metadata: cannot tell how much space is free");
        return;
    }
    full = left < reserve->bytes;
    if (atomic_exchange(&reserve->full, full) == full) {
        return;
    }
    if (full) {
        log_error("metadata: %llu MiB are free, fewer than the reserve of "
                  "%llu MiB: only deletes are accepted",
                  (unsigned long long)left >> 20,
                  (unsigned long long)reserve->bytes >> 20);
    } else {
        log_info("metadata: there is space again");
    }
}

int kv_check_room(struct kv *kv)
{
    struct kv_reserve *reserve = &kv->reserve;
    uint64_t now = clock_monotonic_us(), last;

    if (reserve->bytes == 0) {
        return 0;
    }
    last = atomic_load(&reserve->checked_us);
    /* Whoever sets the time asks; the others take the answer of before. */
    if ((last == 0 || now - last >= CHECK_US) &&
        atomic_compare_exchange_strong(&reserve->checked_us, &last, now)) {
        check(reserve);
    }
    return atomic_load(&reserve->full) ? -ENOSPC : 0;
}
