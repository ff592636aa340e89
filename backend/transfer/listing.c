/*
 * The objects below a prefix, or all their versions, page by page.
 */
#include "transfer/private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct listing {
    char *prefix;
    bool versions;
    char *token;   /* of the next page, or the key it begins after; NULL: the
                      first */
    char *version; /* of versions: the one it begins after */
    bool last;     /* no page follows this one */
    struct answer page;
    const struct xml_node *root, *next; /* in the page */
    struct arena *arena;                /* of the object that was given out */
    bool looked;                        /* listing_find() has */
    int there; /* what listing_next() said of the object */
    struct object object;
};

struct listing *listing_new(const char *prefix, bool versions)
{
    struct listing *listing = xcalloc(1, sizeof(*listing));

    listing->prefix = xstrdup(prefix);
    listing->versions = versions;
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
        free(listing->version);
        free(listing);
    }
}

static int bad_page(struct client *client)
{
    snprintf(client->why, sizeof(client->why), "the listing is not understood");
    return -EPROTO;
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

/* Where the next page begins. */
static int read_token(struct listing *listing, const struct xml_node *root)
{
    struct arena *arena = listing->page.arena;
    struct slice token = xml_in_text(
        root, listing->versions ? "NextKeyMarker" : "NextContinuationToken");

    if (listing->last) {
        return 0;
    }
    if (token.size == 0 ||
        (listing->versions && listed_key(arena, root, token, &token) != 0)) {
        return -EPROTO;
    }
    const struct slice version = xml_in_text(root, "NextVersionIdMarker");
    if (listing->token != NULL && slice_equal_string(token, listing->token) &&
        slice_equal_string(version, listing->version)) {
        return -EPROTO; /* it would be the same page for ever */
    }
    free(listing->token);
    free(listing->version);
    listing->token = xstrdup(arena_string(arena, token));
    listing->version = xstrdup(arena_string(arena, version));
    return 0;
}

static int read_page(struct listing *listing, struct client *client)
{
    const struct slice body =
        slice_of(listing->page.body.data, listing->page.body.size);
    const struct xml_node *root = xml_in_parse(
        listing->page.arena, body,
        listing->versions ? "ListVersionsResult" : "ListBucketResult");

    if (root == NULL) {
        return bad_page(client);
    }
    listing->last =
        !slice_equal_string(xml_in_text(root, "IsTruncated"), "true");
    if (read_token(listing, root) != 0) {
        return bad_page(client);
    }
    listing->root = root;
    listing->next = root->first;
    return 0;
}

static int ask_page(struct listing *listing, struct client *client)
{
    struct request request = {.method = "GET", .fd = -1};

    if (listing->versions) {
        request_query(&request, "versions", "");
    } else {
        request_query(&request, "list-type", "2");
    }
    request_query(&request, "encoding-type", "url");
    request_query(&request, "prefix", listing->prefix);
    if (listing->token != NULL && listing->versions) {
        request_query(&request, "key-marker", listing->token);
        request_query(&request, "version-id-marker", listing->version);
    } else if (listing->token != NULL) {
        request_query(&request, "continuation-token", listing->token);
    }
    const int error = client_send(client, &request, &listing->page);
    return error != 0 ? error : read_page(listing, client);
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
    *object = (struct object){
        .marker = slice_equal_string(node->name, "DeleteMarker")};
    if ((!object->marker &&
         slice_to_u64(xml_in_text(node, "Size"), &object->size) != 0) ||
        read_name(listing, xml_in_text(node, "Key"), &object->name) != 0) {
        return bad_page(client);
    }
    object->etag = arena_string(listing->arena, xml_in_text(node, "ETag"));
    if (listing->versions) {
        object->version =
            arena_string(listing->arena, xml_in_text(node, "VersionId"));
    }
    return 0;
}

static bool is_object(const struct xml_node *node)
{
    return slice_equal_string(node->name, "Contents") ||
           slice_equal_string(node->name, "Version") ||
           slice_equal_string(node->name, "DeleteMarker");
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
        if (is_object(node)) {
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
    object->version = object->version != NULL ? xstrdup(object->version) : NULL;
}

void object_free(const struct object *object)
{
    free((void *)object->name.data);
    free((void *)object->etag);
    free((void *)object->version);
}
