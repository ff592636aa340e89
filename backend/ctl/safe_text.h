/*
 * Private to ctl/: text that comes from elsewhere, for a terminal.
 */
#ifndef CTL_SAFE_TEXT_H
#define CTL_SAFE_TEXT_H

#include "base/base.h"

/* What would move a terminal's cursor, or is not UTF-8, is shown as "?". In
 * `out`, to be used before the next call and freed by the caller. */
const char *safe_text(struct buffer *out, const char *text);

#endif
