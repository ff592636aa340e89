/*
 * UTF-8, as RFC 3629 has it. Pure.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/base.h"

/* Length of the well-formed character at `text`, 0 if there is none. */
size_t utf8_decode(const uint8_t *text, size_t size, uint32_t *character);
bool utf8_valid(struct slice text);

#endif
