/*
 * S3's documents through libxml2's SAX interface into a small tree.
 */
#include "base/xml_in.h"

#include <pthread.h>
#include <string.h>
#include <strings.h>

#include <libxml/parser.h>

#define S3_NAMESPACE     "http://s3.amazonaws.com/doc/2006-03-01/"
#define SCHEMA_NAMESPACE "http://www.w3.org/2001/XMLSchema-instance"

struct reader {
    struct arena *arena;
    xmlParserCtxtPtr parser;
    struct xml_node *open[XML_IN_DEPTH_MAX];
    unsigned depth;
    unsigned nodes;
    struct xml_node *root;
    struct buffer text; /* of the innermost open element */
    bool refused;
};

/* libxml2 sets itself up on first use, which two threads must not share. */
static pthread_once_t libxml_once = PTHREAD_ONCE_INIT;

static void refuse(struct reader *reader)
{
    reader->refused = true;
    xmlStopParser(reader->parser);
}

static bool is_blank(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (memchr(" \t\r\n", data[i], 4) == NULL) {
            return false;
        }
    }
    return true;
}

/* Five pointers each: name, prefix, namespace, begin and end of the value. */
static struct slice schema_type(struct arena *arena, const xmlChar **attributes,
                                int count)
{
    for (int i = 0; i < count; i++) {
        const char *const *attribute = (const char *const *)attributes + 5 * i;

        if (attribute[2] != NULL && strcmp(attribute[0], "type") == 0 &&
            strcmp(attribute[2], SCHEMA_NAMESPACE) == 0) {
            return arena_copy(arena, attribute[3],
                              (size_t)(attribute[4] - attribute[3]));
        }
    }
    return slice_of(NULL, 0);
}

static void on_start(void *context, const xmlChar *name, const xmlChar *prefix,
                     const xmlChar *uri, int namespace_count,
                     const xmlChar **namespaces, int attribute_count,
                     int defaulted_count, const xmlChar **attributes)
{
    struct reader *reader = context;
    (void)prefix, (void)namespace_count, (void)namespaces;
    (void)defaulted_count;
    if (reader->refused) {
        return;
    }
    if (reader->depth == XML_IN_DEPTH_MAX ||
        reader->nodes == XML_IN_NODES_MAX ||
        (uri != NULL && strcmp((const char *)uri, S3_NAMESPACE) != 0) ||
        !is_blank(reader->text.data, reader->text.size)) {
        refuse(reader);
        return;
    }
    struct xml_node *node = arena_zalloc(reader->arena, sizeof(*node));
    node->name = arena_copy(reader->arena, name, strlen((const char *)name));
    node->type = schema_type(reader->arena, attributes, attribute_count);
    reader->text.size = 0;
    reader->nodes++;
    if (reader->depth == 0) {
        reader->root = node;
    } else {
        struct xml_node *parent = reader->open[reader->depth - 1];
        if (parent->last == NULL) {
            parent->first = node;
        } else {
            parent->last->next = node;
        }
        parent->last = node;
    }
    reader->open[reader->depth++] = node;
}

static void on_end(void *context, const xmlChar *name, const xmlChar *prefix,
                   const xmlChar *uri)
{
    struct reader *reader = context;
    (void)name, (void)prefix, (void)uri;
    if (reader->refused) {
        return;
    }
    invariant(reader->depth > 0);
    struct xml_node *node = reader->open[--reader->depth];
    if (node->first == NULL) {
        node->text =
            arena_copy(reader->arena, reader->text.data, reader->text.size);
    } else if (!is_blank(reader->text.data, reader->text.size)) {
        refuse(reader);
    }
    reader->text.size = 0;
}

static void on_text(void *context, const xmlChar *text, int size)
{
    struct reader *reader = context;
    if (!reader->refused && size > 0) {
        buffer_append(&reader->text, text, (size_t)size);
    }
}

/* A DOCTYPE: before anything in it is read. */
static void on_doctype(void *context, const xmlChar *name,
                       const xmlChar *external, const xmlChar *system)
{
    (void)name, (void)external, (void)system;
    refuse(context);
}

/* Malformed documents are the client's affair: nothing is printed. */
static void on_error(void *context, xmlErrorPtr error)
{
    (void)context, (void)error;
}

static xmlSAXHandler handler(void)
{
    xmlSAXHandler sax;
    memset(&sax, 0, sizeof(sax));
    sax.initialized = XML_SAX2_MAGIC;
    sax.startElementNs = on_start;
    sax.endElementNs = on_end;
    sax.characters = on_text;
    sax.ignorableWhitespace = on_text;
    sax.cdataBlock = on_text;
    sax.internalSubset = on_doctype;
    sax.serror = on_error;
    return sax;
}

static bool read_document(struct reader *reader, struct slice document)
{
    xmlSAXHandler sax = handler();
    reader->parser = xmlCreatePushParserCtxt(&sax, reader, NULL, 0, NULL);
    invariant(reader->parser != NULL);
    xmlCtxtUseOptions(reader->parser, XML_PARSE_NONET);
    int rc = xmlParseChunk(reader->parser, (const char *)document.data,
                           (int)document.size, 1);
    bool good = rc == 0 && reader->parser->wellFormed == 1 &&
                !reader->refused && reader->depth == 0;
    if (reader->parser->myDoc != NULL) {
        xmlFreeDoc(reader->parser->myDoc);
        reader->parser->myDoc = NULL;
    }
    xmlFreeParserCtxt(reader->parser);
    return good;
}

struct xml_node *xml_in_parse(struct arena *arena, struct slice document,
                              const char *root)
{
    if (document.size == 0 || document.size > XML_IN_SIZE_MAX) {
        return NULL;
    }
    pthread_once(&libxml_once, xmlInitParser);
    struct reader reader = {.arena = arena};
    bool good = read_document(&reader, document);
    buffer_free(&reader.text);
    if (!good || reader.root == NULL ||
        !slice_equal_string(reader.root->name, root)) {
        return NULL;
    }
    return reader.root;
}

bool xml_in_leaves(const struct xml_node *parent, struct xml_leaf *leaves,
                   size_t count)
{
    for (const struct xml_node *node = parent->first; node != NULL;
         node = node->next) {
        size_t i = 0;
        while (i < count && !slice_equal_string(node->name, leaves[i].name)) {
            i++;
        }
        if (i == count || node->first != NULL || leaves[i].value.data != NULL) {
            return false;
        }
        leaves[i].value = node->text.size > 0 ? node->text : SLICE_LITERAL("");
    }
    for (size_t i = 0; i < count; i++) {
        if (leaves[i].required && leaves[i].value.data == NULL) {
            return false;
        }
    }
    return true;
}

struct slice xml_in_text(const struct xml_node *parent, const char *name)
{
    for (const struct xml_node *node = parent->first; node != NULL;
         node = node->next) {
        if (slice_equal_string(node->name, name)) {
            return node->text;
        }
    }
    return SLICE_LITERAL("");
}

static bool is_word(struct slice text, const char *word)
{
    return text.size == strlen(word) &&
           strncasecmp((const char *)text.data, word, text.size) == 0;
}

/* S3's own examples write TRUE. */
bool xml_in_bool(struct slice text, bool *value)
{
    *value = is_word(text, "true") || slice_equal_string(text, "1");
    return *value || is_word(text, "false") || slice_equal_string(text, "0");
}
