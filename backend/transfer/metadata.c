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
