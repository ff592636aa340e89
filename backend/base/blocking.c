#include "base/base.h"

static void (*volatile on_begin)(void);
static void (*volatile on_end)(void);

void blocking_hooks(void (*begin)(void), void (*end)(void))
{
    on_begin = begin;
    on_end = end;
}

void blocking_begin(void)
{
    if (on_begin != NULL) {
        on_begin();
    }
}

void blocking_end(void)
{
    if (on_end != NULL) {
        on_end();
    }
}

void computing_long(void)
{
    blocking_begin();
    blocking_end();
}
