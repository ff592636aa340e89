/*
 * Secrets stay in the process: no core files, no reading by others, and what
 * held them is wiped before it is free memory.
 */
#include "server/private.h"
#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* jansson copies the secrets of commands as it likes. */
static void wipe_and_free(void *memory)
{
    if (memory != NULL) {
        explicit_bzero(memory, malloc_usable_size(memory));
        free(memory);
    }
}

void process_harden(bool core_dumps)
{
    const struct rlimit none = {0, 0};
    json_set_alloc_funcs(malloc, wipe_and_free);
    if (!core_dumps && (setrlimit(RLIMIT_CORE, &none) != 0 ||
                        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)) {
        log_warn("core files cannot be turned off");
    }
}
