/*
 * Policy documents: the text as it was put, and what it compiles to.
 */
#include "iam/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

size_t document_weight(struct slice json)
{
    size_t weight = 0, i;

    for (i = 0; i < json.size; i++) {
        weight +=
            json.data[i] != '\0' && strchr(" \t\r\n", json.data[i]) == NULL;
    }
    return weight;
}

int document_make(struct document *document, const char *name,
                  enum policy_kind kind, struct slice json, size_t max,
                  char message[POLICY_MESSAGE_MAX])
{
    const struct slice no_bucket = {NULL, 0};
    struct policy *compiled;
    int rc;

    message[0] = '\0';
    if (document_weight(json) > max) {
        return -E2BIG;
    }
    rc = policy_parse(kind, no_bucket, json, &compiled, message);
    if (rc != 0) {
        return rc;
    }
    document->name = xstrdup(name);
    document->json = xmalloc(json.size + 1);
    memcpy(document->json, json.data, json.size);
    document->json[json.size] = '\0';
    document->size = json.size;
    document->compiled = compiled;
    return 0;
}

void document_copy(struct document *copy, const struct document *document)
{
    memset(copy, 0, sizeof(*copy));
    if (document->compiled == NULL) {
        return;
    }
    copy->name = xstrdup(document->name);
    copy->json = xmalloc(document->size + 1);
    memcpy(copy->json, document->json, document->size + 1);
    copy->size = document->size;
    copy->compiled = policy_retain(document->compiled);
}

void document_clear(struct document *document)
{
    free(document->name);
    free(document->json);
    policy_release(document->compiled);
    memset(document, 0, sizeof(*document));
}

struct document *documents_find(const struct documents *documents,
                                const char *name)
{
    size_t i;

    for (i = 0; i < documents->count; i++) {
        if (strcmp(documents->items[i].name, name) == 0) {
            return &documents->items[i];
        }
    }
    return NULL;
}

void documents_put(struct documents *documents, struct document *document)
{
    struct document *old = documents_find(documents, document->name);

    if (old != NULL) {
        document_clear(old);
        *old = *document;
        return;
    }
    documents->items = xrealloc(
        documents->items, (documents->count + 1) * sizeof(*documents->items));
    documents->items[documents->count++] = *document;
}

void documents_remove(struct documents *documents, struct document *document)
{
    size_t at = (size_t)(document - documents->items);

    invariant(at < documents->count);
    document_clear(document);
    documents->count--;
    memmove(document, document + 1,
            (documents->count - at) * sizeof(*document));
}

void documents_copy(struct documents *copy, const struct documents *documents)
{
    size_t i;

    copy->count = documents->count;
    copy->items = xcalloc(documents->count + 1, sizeof(*copy->items));
    for (i = 0; i < documents->count; i++) {
        document_copy(&copy->items[i], &documents->items[i]);
    }
}

void documents_clear(struct documents *documents)
{
    size_t i;

    for (i = 0; i < documents->count; i++) {
        document_clear(&documents->items[i]);
    }
    free(documents->items);
    documents->items = NULL;
    documents->count = 0;
}
