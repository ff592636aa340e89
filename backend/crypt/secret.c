/*
 * Memory for keys: not swapped, not in core files, wiped when it is given
 * back.
 */
#include "crypt/private.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

void *secret_alloc(size_t size)
{
    static atomic_bool warned;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    invariant(memory != MAP_FAILED);
    madvise(memory, size, MADV_DONTDUMP);
    if (mlock(memory, size) != 0 && !atomic_exchange(&warned, true)) {
        log_warn("keys cannot be locked in memory and may be swapped out: "
                 "%s (RLIMIT_MEMLOCK)",
                 strerror(errno));
    }
    return memory;
}

void secret_free(void *memory, size_t size)
{
    if (memory != NULL) {
        OPENSSL_cleanse(memory, size);
        munmap(memory, size);
    }
}
