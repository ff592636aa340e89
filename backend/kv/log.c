/* The groups of commits that a store keeps. */
#include "kv/journal.h"
#include "kv/private.h"

#include <errno.h>
#include <stdlib.h>

struct kv_log {
    struct journal_view *view;
    uint64_t number, last; /* read so far; to be read */
    struct buffer payload;
};

int kv_log_open(struct kv *kv, uint64_t after, struct kv_position *until,
                struct kv_log **out)
{
    struct kv_log *log;
    struct io *io;
    char *directory;
    int error;

    if (kv->ops->journal == NULL) {
        return -ENOENT;
    }
    error = kv->ops->journal(kv, until, &io, &directory);
    if (error != 0) {
        return error;
    }
    log = xcalloc(1, sizeof(*log));
    log->number = after;
    log->last = until->commit;
    error = after <= until->commit
                ? journal_view_open(io, directory, after + 1, &log->view)
                : -ERANGE;
    free(directory);
    if (error != 0) {
        kv_log_close(log);
        return error;
    }
    *out = log;
    return 0;
}

/* What is committed is there, unless the mirror has failed since. */
int kv_log_next(struct kv_log *log, struct kv_group *group)
{
    uint32_t written = 0;
    int error;

    if (log->number == log->last) {
        return -ENOENT;
    }
    error = journal_view_next(log->view, &written, &log->payload);
    if (error != 0) {
        return error == -ENOENT ? -EIO : error;
    }
    *group = (struct kv_group){
        .number = ++log->number,
        .written_s = written,
        .changes = slice_of(log->payload.data, log->payload.size),
    };
    return 0;
}

void kv_log_close(struct kv_log *log)
{
    if (log != NULL) {
        journal_view_close(log->view);
        buffer_free(&log->payload);
        free(log);
    }
}
