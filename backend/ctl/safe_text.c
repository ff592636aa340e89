/*
 * Text that comes from elsewhere.
 */
#include "ctl/safe_text.h"
#include "base/utf8.h"
#include <string.h>

/* Also what turns the direction in which a line is read. */
static bool steers(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0) ||
           (character >= 0x202a && character <= 0x202e) ||
           (character >= 0x2066 && character <= 0x2069) ||
           character == 0x2028 || character == 0x2029;
}

const char *safe_text(struct buffer *out, const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t left = strlen(text);

    out->size = 0;
    while (left > 0) {
        uint32_t character = 0;
        const size_t size = utf8_decode(at, left, &character);
        if (size == 0 || steers(character)) {
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
