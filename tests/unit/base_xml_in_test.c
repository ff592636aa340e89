/* Request documents: what is read, and all that is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/xml_in.h"

static struct xml_node *parse(struct arena *arena, const char *text)
{
    return xml_in_parse(arena, slice_from_string(text), "Delete");
}

static void refused(const char *text)
{
    struct arena *arena = arena_new();
    assert_null(parse(arena, text));
    arena_free(arena);
}

static void test_tree(void **state)
{
    struct arena *arena = arena_new();
    struct xml_node *root = parse(
        arena, "<?xml version=\"1.0\"?>\n"
               "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n"
               "  <!-- a note --><Object><Key>a&amp;b<![CDATA[<c>]]>&#xe9;"
               "</Key></Object>\n <Quiet> </Quiet></Delete>\n");
    (void)state;
    assert_non_null(root);
    struct xml_node *object = root->first;
    assert_true(slice_equal_string(object->name, "Object"));
    assert_true(slice_equal_string(object->first->text, "a&b<c>\xc3\xa9"));
    assert_true(slice_equal_string(object->next->name, "Quiet"));
    assert_true(slice_equal_string(object->next->text, " "));
    assert_null(object->next->next);
    assert_ptr_equal(root->last, object->next);
    arena_free(arena);
}

static void test_refused(void **state)
{
    (void)state;
    refused("");
    refused("Delete");
    refused("<Other/>");
    refused("<Delete>");
    refused("<Delete/><Delete/>");
    refused("<Delete/>x");
    refused("<Delete><a></b></Delete>");
    refused("<Delete>text<a/></Delete>");
    refused("<Delete><a/>text</Delete>");
    refused("<Delete xmlns=\"http://example.com/\"/>");
    refused("<Delete><a>\x01</a></Delete>");
    refused("<Delete><a>&#1;</a></Delete>");
    refused("<Delete><a>\xff\xfe</a></Delete>");
    refused("<Delete><a>&undeclared;</a></Delete>");
    refused("<!DOCTYPE Delete><Delete/>");
    refused("<!DOCTYPE Delete [<!ENTITY e \"x\">]><Delete><a>&e;</a></Delete>");
    refused("<!DOCTYPE Delete SYSTEM \"file:///etc/passwd\"><Delete/>");
    refused("<!DOCTYPE Delete [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>"
            "<Delete>&e;</Delete>");
}

static void test_bounds(void **state)
{
    struct buffer text = {NULL, 0, 0};
    struct arena *arena = arena_new();
    (void)state;
    for (unsigned depth = XML_IN_DEPTH_MAX - 1; depth <= XML_IN_DEPTH_MAX;
         depth++) {
        text.size = 0;
        buffer_append_string(&text, "<Delete>");
        for (unsigned i = 0; i < depth; i++) {
            buffer_append_string(&text, "<a>");
        }
        for (unsigned i = 0; i < depth; i++) {
            buffer_append_string(&text, "</a>");
        }
        buffer_append_string(&text, "</Delete>");
        bool good = xml_in_parse(arena, slice_of(text.data, text.size),
                                 "Delete") != NULL;
        assert_int_equal(good, depth < XML_IN_DEPTH_MAX);
    }
    for (unsigned nodes = XML_IN_NODES_MAX - 1; nodes <= XML_IN_NODES_MAX;
         nodes++) {
        text.size = 0;
        buffer_append_string(&text, "<Delete>");
        for (unsigned i = 0; i < nodes; i++) {
            buffer_append_string(&text, "<a/>");
        }
        buffer_append_string(&text, "</Delete>");
        bool good = xml_in_parse(arena, slice_of(text.data, text.size),
                                 "Delete") != NULL;
        assert_int_equal(good, nodes < XML_IN_NODES_MAX);
    }
    buffer_free(&text);
    arena_free(arena);
}

/* A document cut short is never taken for a whole one. */
static void test_truncated(void **state)
{
    const char *text = "<Delete><Object><Key>k</Key></Object></Delete>";
    struct arena *arena = arena_new();
    (void)state;
    for (size_t size = 0; size < strlen(text); size++) {
        assert_null(xml_in_parse(arena, slice_of(text, size), "Delete"));
    }
    assert_non_null(parse(arena, text));
    arena_free(arena);
}

static bool leaves(const char *text, struct xml_leaf *leaf, size_t count)
{
    static struct arena *arena;
    arena_free(arena);
    arena = arena_new();
    struct xml_node *root = parse(arena, text);
    assert_non_null(root);
    for (size_t i = 0; i < count; i++) {
        leaf[i].value = (struct slice){NULL, 0};
    }
    return xml_in_leaves(root, leaf, count);
}

static void test_leaves(void **state)
{
    struct xml_leaf leaf[] = {{.name = "A", .required = true}, {.name = "B"}};
    (void)state;
    assert_true(leaves("<Delete><B>2</B><A>1</A></Delete>", leaf, 2));
    assert_true(slice_equal_string(leaf[0].value, "1"));
    assert_true(slice_equal_string(leaf[1].value, "2"));
    assert_true(leaves("<Delete><A/></Delete>", leaf, 2));
    assert_non_null(leaf[0].value.data);
    assert_int_equal(leaf[0].value.size, 0);
    assert_null(leaf[1].value.data);
    assert_false(leaves("<Delete><B>2</B></Delete>", leaf, 2));
    assert_false(leaves("<Delete><A/><A/></Delete>", leaf, 2));
    assert_false(leaves("<Delete><A/><C/></Delete>", leaf, 2));
    assert_false(leaves("<Delete><A><B/></A></Delete>", leaf, 2));
    assert_false(leaves("<Delete/>", leaf, 2));
}

static void test_bool(void **state)
{
    bool value = false;
    (void)state;
    assert_true(xml_in_bool(SLICE_LITERAL("true"), &value));
    assert_true(value);
    assert_true(xml_in_bool(SLICE_LITERAL("false"), &value));
    assert_false(value);
    assert_true(xml_in_bool(SLICE_LITERAL("TRUE"), &value));
    assert_true(value);
    assert_false(xml_in_bool(SLICE_LITERAL("yes"), &value));
    assert_false(xml_in_bool(SLICE_LITERAL(""), &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds), cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_leaves), cmocka_unit_test(test_bool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
