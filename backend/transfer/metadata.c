/*
 * What an object has beside its bytes, as the headers of a HEAD tell it.
 */
#include "transfer/private.h"

#include <string.h>

static bool is_own(const char *name)
{
    static const char meta[] = "x-amz-meta-";

    return strncmp(name, meta, sizeof(meta) - 1) == 0 &&
           strcmp(name, MTIME_HEADER) != 0;
}

bool metadata_is_kept(const char *name)
{
    static const char *const kept[] = {
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
        "x-amz-website-redirect-location",
    };

    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        if (strcmp(name, kept[i]) == 0) {
            return true;
        }
    }
    return is_own(name);
}

static unsigned count_own(const struct answer *answer)
{
    unsigned count = 0;

    for (unsigned i = 0; i < answer->header_count; i++) {
        count += is_own(answer->headers[i].name);
    }
    return count;
}

/* An endpoint may tell a type where none was set. */
bool metadata_is_copy(const struct answer *from, const struct answer *to)
{
    for (unsigned i = 0; i < from->header_count; i++) {
        const struct field *header = &from->headers[i];
        const char *value = answer_header(to, header->name);
        if (metadata_is_kept(header->name) &&
            (value == NULL || strcmp(value, header->value) != 0)) {
            return false;
        }
    }
    return count_own(from) == count_own(to);
}

/* Cuts the first tag off. */
static struct slice next_tag(struct slice *tags)
{
    const uint8_t *end = memchr(tags->data, '&', tags->size);
    const size_t size = end != NULL ? (size_t)(end - tags->data) : tags->size;
    const struct slice tag = slice_of(tags->data, size);
    const size_t past = end != NULL ? size + 1 : size;

    *tags = slice_of(tags->data + past, tags->size - past);
    return tag;
}

static bool has_tag(struct slice tags, struct slice tag)
{
    while (tags.size > 0) {
        if (slice_equal(next_tag(&tags), tag)) {
            return true;
        }
    }
    return false;
}

static struct slice without_nul(const struct buffer *tags)
{
    return slice_of(tags->data, tags->size > 0 ? tags->size - 1 : 0);
}

/* No key is there twice: as many bytes are as many tags, if each is found. */
bool tags_are_same(const struct buffer *a, const struct buffer *b)
{
    const struct slice there = without_nul(b);
    struct slice tags = without_nul(a);
    bool same = tags.size == there.size;

    while (same && tags.size > 0) {
        same = has_tag(there, next_tag(&tags));
    }
    return same;
}
