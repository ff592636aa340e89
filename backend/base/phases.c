/* What a thread waits for, added up. */
#include "base/base.h"

#include <string.h>

static _Thread_local struct phases mine;

const char *phase_name(enum phase phase)
{
    static const char *const names[PHASES] = {"queue", "metadata", "drive",
                                              "lock", "keys"};

    return names[phase];
}

void phase_add(enum phase phase, uint64_t began_us)
{
    mine.us[phase] += clock_monotonic_us() - began_us;
}

void phases_take(struct phases *phases)
{
    for (unsigned i = 0; i < PHASES; i++) {
        phases->us[i] += mine.us[i];
    }
    memset(&mine, 0, sizeof(mine));
}
