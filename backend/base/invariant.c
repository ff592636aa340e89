#include "base/base.h"

#include <stdlib.h>

void invariant_failed(const char *condition, const char *file, int line)
{
    log_error("invariant failed: %s at %s:%d", condition, file, line);
    abort();
}
