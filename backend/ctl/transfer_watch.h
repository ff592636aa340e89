/*
 * Private to transfer*.c: what an import or export shows while it runs and at
 * its end.
 */
#ifndef CTL_TRANSFER_WATCH_H
#define CTL_TRANSFER_WATCH_H

#include "transfer/transfer.h"
#include <jansson.h>

struct transfer_show {
    const char *done; /* "imported" */
    bool json;        /* all in one object on stdout */
    bool names;       /* of what is moved, on stdout */
    bool dry_run;
    bool terminal; /* stderr is one */
    bool bar;      /* is shown at the moment */
    uint64_t begun_us, told_us;
    json_t *failed, *left_out; /* [{"name", "why"}], the first ones */
};

void transfer_show_begin(struct transfer_show *show);
/* Of struct transfer_watch; the context is the show. */
void transfer_show_progress(void *context,
                            const struct transfer_counts *counts);
void transfer_show_note(void *context, enum transfer_note note,
                        const char *name, const char *why);
/* `error` NULL: it ran to its end. */
void transfer_show_end(struct transfer_show *show,
                       const struct transfer_counts *counts, const char *error);

#endif
