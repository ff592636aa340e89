#include "base/base.h"

#include <stdatomic.h>

/* Read once for each call: threads go on while the hooks are taken away. */
static void (*_Atomic on_begin)(void);
static void (*_Atomic on_end)(void);

void blocking_hooks(void (*begin)(void), void (*end)(void))
{
    on_begin = begin;
    on_end = end;
}

void blocking_begin(void)
{
    void (*hook)(void) = on_begin;

    if (hook != NULL) {
        hook();
    }
}

void blocking_end(void)
{
    void (*hook)(void) = on_end;

    if (hook != NULL) {
        hook();
    }
}

void computing_long(void)
{
    blocking_begin();
    blocking_end();
}
