#include "base/utf8.h"

/* RFC 3629: shortest forms only, no surrogates, up to U+10FFFF. */
size_t utf8_decode(const uint8_t *text, size_t size, uint32_t *character)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t value;
    size_t length;

    if (size == 0) {
        return 0;
    }
    if (text[0] < 0x80) {
        *character = text[0];
        return 1;
    }
    if (text[0] >= 0xc2 && text[0] <= 0xdf) {
        length = 2;
        value = text[0] & 0x1f;
    } else if (text[0] >= 0xe0 && text[0] <= 0xef) {
        length = 3;
        value = text[0] & 0x0f;
    } else if (text[0] >= 0xf0 && text[0] <= 0xf4) {
        length = 4;
        value = text[0] & 0x07;
    } else {
        return 0;
    }
    if (size < length) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (text[i] & 0x3f);
    }
    if (value < smallest[length] || value > 0x10ffff ||
        (value >= 0xd800 && value <= 0xdfff)) {
        return 0;
    }
    *character = value;
    return length;
}

bool utf8_valid(struct slice text)
{
    uint32_t character;
    size_t at = 0;

    while (at < text.size) {
        size_t length = utf8_decode(text.data + at, text.size - at, &character);
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}
