/* Lists, a page at a time. */
#include "s3/query.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PAGE_MAX     1000u
#define PAGE_DEFAULT 100u

/* As iam lists: without regard to case; then with, as names of inline policies
 * differ by it. */
static int compare_names(const char *a, const char *b)
{
    int order = strcasecmp(a, b);

    return order != 0 ? order : strcmp(a, b);
}

static int compare_items(const void *a, const void *b)
{
    const struct query_item *one = a, *other = b;

    return compare_names(one->name, other->name);
}

bool query_list_open(struct query *query, const char *element,
                     struct query_list *list)
{
    uint64_t max;

    *list = (struct query_list){.query = query, .element = element};
    list->marker = query_optional(query, "Marker");
    if (!query_number(query, "MaxItems", 1, PAGE_MAX, PAGE_DEFAULT, &max)) {
        return false;
    }
    list->max = max;
    return true;
}

struct buffer *query_list_add(struct query_list *list, const char *name)
{
    if (list->marker != NULL && compare_names(name, list->marker) <= 0) {
        return NULL;
    }
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
        list->items =
            xrealloc(list->items, list->capacity * sizeof(*list->items));
    }
    list->items[list->count] = (struct query_item){.name = xstrdup(name)};
    return &list->items[list->count++].xml;
}

bool query_list_full(const struct query_list *list)
{
    return list->count > list->max;
}

static void write_page(struct query_list *list)
{
    struct buffer *out = &list->query->result;
    const size_t shown = query_list_full(list) ? list->max : list->count;

    if (list->count > 0) {
        qsort(list->items, list->count, sizeof(*list->items), compare_items);
    }
    xml_open(out, list->element);
    for (size_t i = 0; i < shown; i++) {
        xml_open(out, "member");
        buffer_append(out, list->items[i].xml.data, list->items[i].xml.size);
        xml_close(out, "member");
    }
    xml_close(out, list->element);
    xml_bool(out, "IsTruncated", query_list_full(list));
    if (query_list_full(list)) {
        xml_string(out, "Marker", list->items[shown - 1].name);
    }
}

void query_list_close(struct query_list *list, int error)
{
    if (error == 0) {
        write_page(list);
    } else {
        query_fail_errno(list->query, error, NULL);
    }
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
        buffer_free(&list->items[i].xml);
    }
    free(list->items);
}
