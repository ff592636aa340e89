/*
 * The versions of keys, key by key.
 */
#include "transfer/private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void version_reader_open(struct version_reader *reader, const char *prefix)
{
    memset(reader, 0, sizeof(*reader));
    reader->listing = listing_new(prefix, true);
}

void version_reader_close(struct version_reader *reader)
{
    listing_free(reader->listing);
}

/* Of one key: they are held in memory. */
#define VERSIONS_MAX 100000u

/* There is one more version, in reader->next, until this is called again. */
static bool advance(struct version_reader *reader, struct client *client)
{
    reader->there = listing_next(reader->listing, client, &reader->next);
    reader->begun = true;
    return reader->there == 1;
}

static void add(struct versions *versions, const struct object *object)
{
    if (versions->count == versions->capacity) {
        versions->capacity =
            versions->capacity == 0 ? 4 : 2 * versions->capacity;
        versions->list = xrealloc(versions->list,
                                  versions->capacity * sizeof(*versions->list));
    }
    versions->list[versions->count] = *object;
    object_keep(&versions->list[versions->count++]);
}

static void reverse(struct versions *versions)
{
    for (size_t i = 0; i < versions->count / 2; i++) {
        struct object *a = &versions->list[i];
        struct object *b = &versions->list[versions->count - 1 - i];
        const struct object old = *a;
        *a = *b;
        *b = old;
    }
}

int versions_next(struct version_reader *reader, struct client *client,
                  struct versions *versions)
{
    memset(versions, 0, sizeof(*versions));
    if (!reader->begun) {
        advance(reader, client);
    }
    if (reader->there != 1) {
        return reader->there;
    }
    do {
        add(versions, &reader->next);
    } while (advance(reader, client) &&
             slice_equal(reader->next.name, versions->list[0].name) &&
             versions->count < VERSIONS_MAX);
    if (versions->count == VERSIONS_MAX) {
        snprintf(client->why, sizeof(client->why),
                 "a key has more than %u versions", VERSIONS_MAX - 1);
        reader->there = -EPROTO;
    }
    if (reader->there < 0) {
        versions_free(versions);
        return reader->there;
    }
    reverse(versions);
    return 1;
}

int versions_find(struct version_reader *reader, struct client *client,
                  struct slice name, struct versions *versions)
{
    memset(versions, 0, sizeof(*versions));
    if (!reader->begun) {
        advance(reader, client);
    }
    while (reader->there == 1 && slice_compare(reader->next.name, name) < 0) {
        advance(reader, client);
    }
    if (reader->there != 1 || !slice_equal(reader->next.name, name)) {
        return reader->there < 0 ? reader->there : 0;
    }
    return versions_next(reader, client, versions);
}

void versions_free(struct versions *versions)
{
    for (size_t i = 0; i < versions->count; i++) {
        object_free(&versions->list[i]);
    }
    free(versions->list);
    memset(versions, 0, sizeof(*versions));
}
