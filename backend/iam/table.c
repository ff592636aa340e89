/*
 * Sorted tables of pointers: what iam/ keeps is read with every request and
 * changed seldom.
 */
#include "iam/private.h"

#include <stdlib.h>
#include <string.h>

size_t table_lower_bound(const struct table *table, struct slice key)
{
    size_t low = 0, high = table->count, middle;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (slice_compare(table->key(table->items[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

void *table_find(const struct table *table, struct slice key)
{
    size_t at = table_lower_bound(table, key);

    if (at < table->count && slice_equal(table->key(table->items[at]), key)) {
        return table->items[at];
    }
    return NULL;
}

void table_insert(struct table *table, void *item)
{
    size_t at = table_lower_bound(table, table->key(item));

    if (table->count == table->capacity) {
        table->capacity = table->capacity > 0 ? 2 * table->capacity : 16;
        table->items =
            xrealloc(table->items, table->capacity * sizeof(*table->items));
    }
    memmove(table->items + at + 1, table->items + at,
            (table->count - at) * sizeof(*table->items));
    table->items[at] = item;
    table->count++;
}

void table_remove(struct table *table, void *item)
{
    size_t at = table_lower_bound(table, table->key(item));

    invariant(at < table->count && table->items[at] == item);
    table->count--;
    memmove(table->items + at, table->items + at + 1,
            (table->count - at) * sizeof(*table->items));
}
