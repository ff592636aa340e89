/*
 * Request documents: what is understood, written out and read again, is the
 * same; and it stays within the limits.
 */
#include "fuzz.h"

#include "base/xml_in.h"

static const char *const roots[] = {"Delete", "CompleteMultipartUpload",
                                    "Tagging", "CORSConfiguration",
                                    "AccessControlPolicy"};

/* ASCII as numbers, the rest of UTF-8 as it is. */
static void write_text(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x80) {
            buffer_printf(out, "&#%u;", text.data[i]);
        } else {
            buffer_append(out, text.data + i, 1);
        }
    }
}

static size_t write_node(struct buffer *out, const struct xml_node *node,
                         unsigned depth)
{
    size_t nodes = 1;

    MUST(depth < XML_IN_DEPTH_MAX);
    buffer_append_string(out, "<");
    buffer_append(out, node->name.data, node->name.size);
    if (node->type.size > 0) {
        buffer_append_string(
            out, " xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' "
                 "xsi:type='");
        write_text(out, node->type);
        buffer_append_string(out, "'");
    }
    buffer_append_string(out, ">");
    MUST(node->first == NULL || node->text.size == 0);
    write_text(out, node->text);
    for (const struct xml_node *c = node->first; c != NULL; c = c->next) {
        nodes += write_node(out, c, depth + 1);
    }
    buffer_append_string(out, "</");
    buffer_append(out, node->name.data, node->name.size);
    buffer_append_string(out, ">");
    return nodes;
}

static void check_round_trip(struct arena *arena, const struct xml_node *root,
                             const char *name)
{
    struct buffer once = {0}, twice = {0};

    MUST(write_node(&once, root, 0) <= XML_IN_NODES_MAX);
    struct xml_node *again =
        xml_in_parse(arena, slice_of(once.data, once.size), name);
    MUST(again != NULL);
    write_node(&twice, again, 0);
    MUST(once.size == twice.size);
    MUST(memcmp(once.data, twice.data, once.size) == 0);
    buffer_free(&once);
    buffer_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        struct arena *arena = arena_new();
        uint8_t *copy = input_copy((struct input){data, size});
        struct xml_node *root =
            xml_in_parse(arena, slice_of(copy, size), roots[i]);
        free(copy); /* the tree keeps nothing of it */
        if (root != NULL) {
            MUST(slice_equal_string(root->name, roots[i]));
            check_round_trip(arena, root, roots[i]);
        }
        arena_free(arena);
    }
    return 0;
}
