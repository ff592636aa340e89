/* Under which names a key is served: s3_precompressed, s3_index. */
#include "purge/plan.h"

#include <string.h>

static bool ends_with(struct slice text, struct slice end)
{
    return text.size > end.size &&
           memcmp(text.data + text.size - end.size, end.data, end.size) == 0;
}

/* "a/style.css" of "a/style.css.br"; the key itself: it has no such suffix. */
static struct slice without_suffix(const struct purge_strings *suffixes,
                                   struct slice key)
{
    for (size_t i = 0; i < suffixes->count; i++) {
        const struct slice suffix = slice_from_string(suffixes->list[i]);

        if (ends_with(key, suffix)) {
            return slice_of(key.data, key.size - suffix.size);
        }
    }
    return key;
}

/* The size of "a/" of "a/index.html", also 0; the key's own: it is no index. */
static size_t directory_size(const struct purge_strings *index,
                             struct slice key)
{
    const uint8_t *slash = memrchr(key.data, '/', key.size);
    const size_t size = slash != NULL ? (size_t)(slash + 1 - key.data) : 0;
    const struct slice name = slice_of(key.data + size, key.size - size);

    for (size_t i = 0; i < index->count; i++) {
        if (slice_equal_string(name, index->list[i])) {
            return size;
        }
    }
    return key.size;
}

size_t plan_forms(const struct purge_rule *rule, struct slice key,
                  struct slice forms[FORMS_MAX])
{
    const struct slice plain = without_suffix(&rule->suffixes, key);
    const size_t directory = directory_size(&rule->index, plain);
    size_t count = 0;

    forms[count++] = key;
    if (plain.size < key.size) {
        forms[count++] = plain;
    }
    if (directory < plain.size) {
        forms[count++] = slice_of(key.data, directory);
        if (directory > 1) { /* answered with a redirect, or 404 until now */
            forms[count++] = slice_of(key.data, directory - 1);
        }
    }
    return count;
}
