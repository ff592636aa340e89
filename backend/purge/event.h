/*
 * Private to purge/: what an entry of the stream says has changed. Pure.
 */
#ifndef PURGE_EVENT_H
#define PURGE_EVENT_H

#include "base/base.h"

#define EVENT_KEY_MAX    1024u /* bytes, as S3 has it */
#define EVENT_BUCKET_MAX 63u
#define EVENT_TAGS_MAX   (16u << 10) /* bytes, with what is between */

/* In the arena. */
struct purge_event {
    struct slice bucket;
    struct slice key;  /* decoded */
    struct slice tags; /* names with blanks or commas between */
    uint64_t time_ms;  /* 0: it does not say */
    bool purges;       /* what caches hold may be another now */
};

/* Appends the records of a message of S3's; `tags` is what stands beside it.
 * *count becomes 0 for a message without records, such as s3:TestEvent.
 * -EINVAL: it is not a message of S3's. */
int event_parse(struct arena *arena, struct slice message, struct slice tags,
                struct purge_event **events, size_t *count);

/* The next name, from *rest on; an empty one: there is none. */
struct slice event_next_tag(struct slice *rest);

#endif
