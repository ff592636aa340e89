/* Hex, base64, percent-encoding, and numbers on disk. */
#include "base/base.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

void hex_encode(char *out, const void *data, size_t size)
{
    const uint8_t *in = data;

    for (size_t i = 0; i < size; i++) {
        *out++ = hex_digits[in[i] >> 4];
        *out++ = hex_digits[in[i] & 15];
    }
    *out = '\0';
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

int hex_decode(uint8_t *out, struct slice hex)
{
    if (hex.size % 2 != 0) {
        return -EINVAL;
    }
    for (size_t i = 0; i < hex.size; i += 2) {
        int high = hex_value(hex.data[i]), low = hex_value(hex.data[i + 1]);

        if (high < 0 || low < 0) {
            return -EINVAL;
        }
        *out++ = (uint8_t)(high << 4 | low);
    }
    return 0;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(char *out, const void *data, size_t size)
{
    const uint8_t *in = data;
    char *start = out;

    for (; size > 0; in += 3) {
        size_t n = size < 3 ? size : 3;
        uint32_t word = (uint32_t)in[0] << 16 |
                        (n > 1 ? (uint32_t)in[1] << 8 : 0) |
                        (n > 2 ? (uint32_t)in[2] : 0);

        *out++ = base64_digits[word >> 18];
        *out++ = base64_digits[word >> 12 & 63];
        *out++ = n > 1 ? base64_digits[word >> 6 & 63] : '=';
        *out++ = n > 2 ? base64_digits[word & 63] : '=';
        size -= n;
    }
    *out = '\0';
    return (size_t)(out - start);
}

static int base64_value(uint8_t c)
{
    const char *digit = c ? strchr(base64_digits, c) : NULL;

    return digit ? (int)(digit - base64_digits) : -1;
}

int base64_decode(uint8_t *out, size_t capacity, struct slice text)
{
    size_t padding = 0, used = 0;

    if (text.size == 0) {
        return 0;
    }
    if (text.size % 4 != 0 || text.size / 4 * 3 > capacity + 2) {
        return -EINVAL;
    }
    if (text.data[text.size - 1] == '=') {
        padding = text.data[text.size - 2] == '=' ? 2 : 1;
    }

    for (size_t i = 0; i < text.size; i += 4) {
        bool last = i + 4 == text.size;
        uint32_t word = 0;

        for (size_t j = 0; j < 4; j++) {
            bool pad = last && j >= 4 - padding;
            int value = pad ? 0 : base64_value(text.data[i + j]);

            if (value < 0) {
                return -EINVAL;
            }
            word = word << 6 | (uint32_t)value;
        }
        for (size_t j = 0; j < (last ? 3 - padding : 3); j++) {
            if (used == capacity) {
                return -EINVAL;
            }
            out[used++] = (uint8_t)(word >> (16 - 8 * j));
        }
        /* Bits under the padding must be zero: one text, one value. */
        if (last && padding && (word & ((1u << (8 * padding)) - 1)) != 0) {
            return -EINVAL;
        }
    }
    return (int)used;
}

/* RFC 3986, 2.3. */
static const bool uri_unreserved[256] = {
    ['-' ... '.'] = true, ['0' ... '9'] = true, ['A' ... 'Z'] = true,
    ['_'] = true,         ['a' ... 'z'] = true, ['~'] = true,
};

void uri_encode(struct buffer *out, struct slice text, bool keep_slash)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t plain = 0; /* [plain, i) is copied as it is */

    for (size_t i = 0; i < text.size; i++) {
        const uint8_t c = text.data[i];

        if (!uri_unreserved[c] && !(c == '/' && keep_slash)) {
            const char coded[] = {'%', digits[c >> 4], digits[c & 15]};

            buffer_append(out, text.data + plain, i - plain);
            buffer_append(out, coded, sizeof(coded));
            plain = i + 1;
        }
    }
    buffer_append(out, text.data + plain, text.size - plain);
}

int uri_decode(struct arena *arena, struct slice text, struct slice *out)
{
    uint8_t *data = arena_alloc(arena, text.size);
    size_t size = 0;

    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '%') {
            data[size++] = text.data[i];
            continue;
        }
        if (text.size - i < 3 ||
            hex_decode(&data[size], slice_of(text.data + i + 1, 2)) != 0) {
            return -EINVAL;
        }
        size++;
        i += 2;
    }
    *out = slice_of(data, size);
    return 0;
}

#define NUMBER(bits, order)                                                    \
    void put_u##bits##order(uint8_t *out, uint##bits##_t value)                \
    {                                                                          \
        const uint##bits##_t bytes = hto##order##bits(value);                  \
                                                                               \
        memcpy(out, &bytes, sizeof(bytes));                                    \
    }                                                                          \
    uint##bits##_t get_u##bits##order(const uint8_t *in)                       \
    {                                                                          \
        uint##bits##_t bytes;                                                  \
                                                                               \
        memcpy(&bytes, in, sizeof(bytes));                                     \
        return order##bits##toh(bytes);                                        \
    }

NUMBER(16, le)
NUMBER(32, le)
NUMBER(64, le)
NUMBER(16, be)
NUMBER(32, be)
NUMBER(64, be)
