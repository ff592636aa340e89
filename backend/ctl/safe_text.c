/*
 * Text that comes from elsewhere.
 */
#include "ctl/safe_text.h"
#include "base/utf8.h"
#include <string.h>

const char *safe_text(struct buffer *out, const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t left = strlen(text);

    out->size = 0;
    while (left > 0) {
        uint32_t character = 0;
        const size_t size = utf8_decode(at, left, &character);
        if (size == 0 || character < 0x20 ||
            (character >= 0x7f && character < 0xa0)) {
            buffer_append_string(out, "?");
        } else {
            buffer_append(out, at, size);
        }
        at += size > 0 ? size : 1;
        left -= size > 0 ? size : 1;
    }
    buffer_append(out, "", 1);
    return (const char *)out->data;
}
