#include "oidc/private.h"

#include <errno.h>
#include <string.h>

int base64url_decode(struct arena *arena, struct slice text,
                     struct slice *bytes)
{
    const size_t padded = (text.size + 3) / 4 * 4;
    char *standard = arena_alloc(arena, padded + 1);
    uint8_t *out = arena_alloc(arena, padded / 4 * 3 + 1);
    int size;

    if (text.size % 4 == 1) {
        return -EINVAL;
    }
    memset(standard, '=', padded);
    for (size_t i = 0; i < text.size; i++) {
        const char c = (char)text.data[i];

        if (c == '+' || c == '/' || c == '=') {
            return -EINVAL;
        }
        standard[i] = (char)(c == '-' ? '+' : c == '_' ? '/' : c);
    }
    size = base64_decode(out, padded / 4 * 3, slice_of(standard, padded));
    if (size < 0) {
        return -EINVAL;
    }
    *bytes = slice_of(out, (size_t)size);
    return 0;
}
