/*
 * S3's documents, read strictly: the bodies of requests, and of answers.
 *
 * They are small trees of elements that hold either text or elements. What is
 * not that is refused: a DTD (and with it every entity of its own), a foreign
 * namespace, more than XML_IN_DEPTH_MAX levels or
 * XML_IN_NODES_MAX elements, text between elements. Of attributes only
 * xsi:type is kept. Nothing is ever fetched.
 */
#ifndef BASE_XML_IN_H
#define BASE_XML_IN_H

#include "base/base.h"

#define XML_IN_DEPTH_MAX 8
#define XML_IN_NODES_MAX (100 * 1000)
#define XML_IN_SIZE_MAX  (8u << 20) /* bytes of a document */

struct xml_node {
    struct slice name;
    struct slice text; /* of a leaf; size 0 if there is none */
    struct slice type; /* xsi:type; data == NULL if there is none */
    struct xml_node *first, *last;
    struct xml_node *next;
};

/* The root element, or NULL if the document is not acceptable or its root has
 * another name. All in the arena. */
struct xml_node *xml_in_parse(struct arena *arena, struct slice document,
                              const char *root);

/* A leaf that an element may hold at most once. */
struct xml_leaf {
    const char *name;
    bool required;
    struct slice value; /* out; data == NULL if absent */
};

/* Reads the children of `parent`, which must all be among `leaves`: false if
 * one is unknown, not a leaf, doubled, or a required one is absent. */
bool xml_in_leaves(const struct xml_node *parent, struct xml_leaf *leaves,
                   size_t count);

/* The text of the first child of that name; empty if there is none. */
struct slice xml_in_text(const struct xml_node *parent, const char *name);

/* "true" or "false", as XML Schema's boolean. False: it is neither. */
bool xml_in_bool(struct slice text, bool *value);

#endif
