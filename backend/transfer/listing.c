/*
 * The objects below a prefix, page by page.
 */
#include "transfer/private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct listing {
    char *prefix;
    char *token; /* of the next page; NULL: the first */
    bool last;   /* no page follows this one */
    struct answer page;
    const struct xml_node *root, *next; /* in the page */
    struct arena *arena;                /* of the object that was given out */
    bool looked;                        /* listing_find() has */
    int there; /* what listing_next() said of the object */
    struct object object;
};

struct listing *listing_new(const char *prefix)
{
    struct listing *listing = xcalloc(1, sizeof(*listing));

    listing->prefix = xstrdup(prefix);
    listing->arena = arena_new();
    return listing;
}

void listing_free(struct listing *listing)
{
    if (listing != NULL) {
        answer_free(&listing->page);
        arena_free(listing->arena);
        free(listing->prefix);
        free(listing->token);
        free(listing);
    }
}

static int bad_page(struct client *client)
{
    snprintf(client->why, sizeof(client->why),
             "ListObjectsV2: the answer is not understood");
    return -EPROTO;
}

static int read_page(struct listing *listing, struct client *client)
{
    const struct slice body =
        slice_of(listing->page.body.data, listing->page.body.size);
    const struct xml_node *root =
        xml_in_parse(listing->page.arena, body, "ListBucketResult");

    if (root == NULL) {
        return bad_page(client);
    }
    const struct slice token = xml_in_text(root, "NextContinuationToken");
    listing->last =
        !slice_equal_string(xml_in_text(root, "IsTruncated"), "true");
    if (!listing->last && token.size == 0) {
        return bad_page(client);
    }
    free(listing->token);
    listing->token = xstrdup(arena_string(listing->page.arena, token));
    listing->root = root;
    listing->next = root->first;
    return 0;
}

static int ask_page(struct listing *listing, struct client *client)
{
    struct request request = {.method = "GET", .fd = -1};

    request_query(&request, "list-type", "2");
    request_query(&request, "encoding-type", "url");
    request_query(&request, "prefix", listing->prefix);
    if (listing->token != NULL) {
        request_query(&request, "continuation-token", listing->token);
    }
    const int error = client_send(client, &request, &listing->page);
    return error != 0 ? error : read_page(listing, client);
}

/* "+" is a space in the listings of some. */
int listed_key(struct arena *arena, const struct xml_node *root,
               struct slice text, struct slice *key)
{
    const struct slice copy = arena_copy(arena, text.data, text.size);

    if (!slice_equal_string(xml_in_text(root, "EncodingType"), "url")) {
        *key = copy;
        return 0;
    }
    for (size_t i = 0; i < copy.size; i++) {
        if (copy.data[i] == '+') {
            ((uint8_t *)copy.data)[i] = ' ';
        }
    }
    return uri_decode(arena, copy, key);
}

static int read_name(struct listing *listing, struct slice text,
                     struct slice *name)
{
    const size_t begin = strlen(listing->prefix);
    struct slice key;

    if (listed_key(listing->arena, listing->root, text, &key) != 0 ||
        !slice_has_prefix(key, slice_from_string(listing->prefix))) {
        return -EPROTO;
    }
    name->size = key.size - begin;
    name->data = (const uint8_t *)arena_string(
        listing->arena, slice_of(key.data + begin, name->size));
    return 0;
}

static int read_object(struct listing *listing, struct client *client,
                       const struct xml_node *node, struct object *object)
{
    arena_free(listing->arena);
    listing->arena = arena_new();
    if (slice_to_u64(xml_in_text(node, "Size"), &object->size) != 0 ||
        read_name(listing, xml_in_text(node, "Key"), &object->name) != 0) {
        return bad_page(client);
    }
    object->etag = arena_string(listing->arena, xml_in_text(node, "ETag"));
    return 0;
}

int listing_next(struct listing *listing, struct client *client,
                 struct object *object)
{
    for (;;) {
        const struct xml_node *node = listing->next;
        if (node == NULL && listing->last) {
            return 0;
        }
        if (node == NULL) {
            const int error = ask_page(listing, client);
            if (error != 0) {
                return error;
            }
            continue;
        }
        listing->next = node->next;
        if (slice_equal_string(node->name, "Contents")) {
            const int error = read_object(listing, client, node, object);
            return error != 0 ? error : 1;
        }
    }
}

int listing_find(struct listing *listing, struct client *client,
                 struct slice name, uint64_t size)
{
    while (!listing->looked ||
           (listing->there == 1 &&
            slice_compare(listing->object.name, name) < 0)) {
        listing->there = listing_next(listing, client, &listing->object);
        listing->looked = true;
    }
    if (listing->there < 0) {
        return listing->there;
    }
    return listing->there == 1 && slice_equal(listing->object.name, name) &&
           listing->object.size == size;
}

void object_keep(struct object *object)
{
    char *name = xmalloc(object->name.size + 1);

    memcpy(name, object->name.data, object->name.size + 1);
    object->name.data = (const uint8_t *)name;
    object->etag = xstrdup(object->etag);
}

void object_free(const struct object *object)
{
    free((void *)object->name.data);
    free((void *)object->etag);
}
