/*
 * Which keys can be names of files, and which names can be keys.
 */
#include "base/utf8.h"
#include "transfer/private.h"

#include <limits.h>
#include <string.h>

bool name_is_reserved(const char *last)
{
    return strncmp(last, RESERVED_PREFIX, sizeof(RESERVED_PREFIX) - 1) == 0;
}

static const char *part_fault(struct slice part)
{
    if (part.size == 0) {
        return "begins with \"/\" or has \"//\"";
    }
    if (slice_equal_string(part, ".") || slice_equal_string(part, "..")) {
        return "has a part \".\" or \"..\"";
    }
    if (part.size > NAME_MAX) {
        return "a part of it is longer than a file's name";
    }
    if (slice_has_prefix(part, SLICE_LITERAL(RESERVED_PREFIX))) {
        return "a part of it begins with \"" RESERVED_PREFIX "\"";
    }
    return NULL;
}

const char *name_fault(struct slice name)
{
    const char *fault = key_fault(name);
    size_t begin = 0;

    /* What is left after a "/" at the end is a directory's name. */
    if (name.size > 0 && name.data[name.size - 1] == '/') {
        name.size--;
    }
    while (fault == NULL && begin <= name.size) {
        size_t end = begin;
        while (end < name.size && name.data[end] != '/') {
            end++;
        }
        fault = part_fault(slice_of(name.data + begin, end - begin));
        begin = end + 1;
    }
    return fault;
}

const char *key_fault(struct slice key)
{
    if (memchr(key.data, '\0', key.size) != NULL) {
        return "has a NUL";
    }
    if (!utf8_valid(key)) {
        return "is not UTF-8";
    }
    if (key.size > KEY_SIZE_MAX) {
        return "is longer than a key";
    }
    return NULL;
}

/* Each file that is remembered begins with the one before: keys that have a
 * beginning in common stand together. */
bool nesting_add(struct nesting *nesting, struct slice name, struct slice *file)
{
    size_t common = 0;

    invariant(name.size <= sizeof(nesting->name));
    while (common < name.size && common < nesting->size &&
           name.data[common] == nesting->name[common]) {
        common++;
    }
    while (nesting->count > 0 && nesting->ends[nesting->count - 1] > common) {
        nesting->count--;
    }
    for (unsigned i = 0; i < nesting->count; i++) {
        const size_t end = nesting->ends[i];

        if (end < name.size && name.data[end] == '/') {
            *file = slice_of(nesting->name, end);
            return false;
        }
    }
    if (nesting->count > 0 && nesting->ends[nesting->count - 1] == name.size) {
        return true; /* the same once more */
    }
    memcpy(nesting->name, name.data, name.size);
    nesting->size = name.size;
    nesting->ends[nesting->count++] = name.size;
    return true;
}
