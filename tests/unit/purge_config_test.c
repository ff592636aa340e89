/* The agent's configuration: what is read, what is refused and why. */
#include "purge_fixture.h"

static void test_defaults(void **state)
{
    struct purge_config *config = fixture_config(CONFIG(EDGE, TEMPLATE, RULE));
    (void)state;
    assert_string_equal(config->stream, "purge");
    assert_string_equal(config->group, "purge");
    assert_int_equal(config->redis.addresses[0].port, 6379);
    assert_int_equal(config->window, 1000);
    assert_int_equal(config->retry_max_s, 30);
    const struct purge_edge *edge = &config->edges[0];
    assert_int_equal(edge->connections, 8);
    assert_int_equal(edge->timeout_s, 10);
    assert_int_equal(edge->again_s, 0);
    assert_int_equal(edge->confirmed_count, 4);
    assert_int_equal(edge->confirmed[3], 412);
    assert_string_equal(config->templates[0].method, "PURGE");
    const struct purge_rule *rule = &config->rules[0];
    assert_int_equal(rule->paths.count, 1);
    assert_int_equal(rule->index.count, 0);
    assert_int_equal(rule->edges, 1);
    assert_int_equal(rule->templates, 1);
    purge_config_free(config);
}

static void test_all(void **state)
{
    struct purge_config *config = fixture_config(
        "rules = ( { bucket = \"*\"; prefix = \"p/\"; edges = ( \"two\" );"
        " templates = ( \"b\" ); paths = ( \"/x/${rest}\", \"/y\" );"
        " index = ( \"i.html\" ); suffixes = ( \".br\" ); } );\n"
        "redis = { address = \"unix:/r\"; stream = \"s\"; group = \"g\"; };\n"
        "edges = ( { name = \"one\"; url = \"http://a\"; },\n"
        " { name = \"two\"; url = \"https://b:8443///\"; connect = \"[::1]:1\";"
        " headers = ( \"A: ${secret}\" ); secret_file = \"/s\";"
        " confirmed = ( 202 ); connections = 256; timeout = \"5m\";"
        " again = 3; } );\n"
        "templates = ( { name = \"a\"; }, { name = \"b\"; method = \"BAN\";"
        " url = \"${edge}/\"; headers = ( \"T: ${tag}\" ); } );\n"
        "window = 1; retry_max = \"1h\"; log = \"/l\"; log_level = "
        "\"warn\";\n");
    (void)state;
    assert_string_equal(config->edges[1].url, "https://b:8443");
    assert_int_equal(config->edges[1].confirmed_count, 1);
    assert_int_equal(config->edges[1].again_s, 3);
    assert_int_equal(config->rules[0].edges, 2); /* wherever they stand */
    assert_int_equal(config->rules[0].templates, 2);
    assert_int_equal(config->rules[0].paths.count, 2);
    assert_int_equal(config->templates[1].uses,
                     VARIABLE_BIT(VARIABLE_EDGE) | VARIABLE_BIT(VARIABLE_TAG));
    assert_int_equal(config->retry_max_s, 3600);
    purge_config_free(config);
}

#define WITH_EDGE(more)                                                        \
    CONFIG("{ name = \"e\"; url = \"http://e.test\"; " more " }", TEMPLATE,    \
           RULE)
#define WITH_TEMPLATE(more) CONFIG(EDGE, "{ name = \"t\"; " more " }", RULE)
#define WITH_RULE(more)     CONFIG(EDGE, TEMPLATE, "{ bucket = \"b\"; " more " }")

static const struct {
    const char *text, *error;
} bad[] = {
    {"x = 1;", ":1: unknown setting x"},
    {"redis = { x = 1; };", ":1: unknown setting redis.x"},
    {"redis = 1;", ":1: redis must be a group: { ... }"},
    {"redis = { address = \"\"; };",
     ":1: redis.address must be HOST[:PORT], unix:/PATH, several of them with "
     "commas between, or sentinel:MASTER@HOST[:PORT],..."},
    {"redis = { group = \"a:b\"; };",
     ":1: redis needs a stream, and a group of 1 to 64 letters, digits, '-' "
     "and '_'"},
    {"window = 0;", ":1: window must be from 1 to 100000"},
    {"retry_max = \"2h\";", ":1: retry_max must be from 1 to 3600"},
    {"", ": edges must be a list of 1 to 64 groups: ( { ... }, ... )"},
    {CONFIG("", TEMPLATE, RULE),
     ":1: edges must be a list of 1 to 64 groups: ( { ... }, ... )"},
    {CONFIG(EDGE "," EDGE, TEMPLATE, RULE), ":1: two edges have the name e"},
    {CONFIG("{ name = \"a/b\"; }", TEMPLATE, RULE),
     ":1: the name of an edge must be 1 to 64 letters, digits, '-' and '_'"},
    {CONFIG("{ name = \"e\"; url = \"ftp://e\"; }", TEMPLATE, RULE),
     ":1: url of the edge e must be http://HOST[:PORT] or https://HOST[:PORT]"},
    {CONFIG("{ name = \"e\"; url = \"http://u:p@e\"; }", TEMPLATE, RULE),
     ":1: url of the edge e must be http://HOST[:PORT] or https://HOST[:PORT]"},
    {CONFIG("{ name = \"e\"; url = \"http://e?q\"; }", TEMPLATE, RULE),
     ":1: url of the edge e must be http://HOST[:PORT] or https://HOST[:PORT]"},
    {WITH_EDGE("connect = \"nowhere\";"),
     ":1: connect of the edge e must be HOST:PORT"},
    {WITH_EDGE("headers = ( \"A: ${secret}\" );"),
     ":1: the edge e has no secret_file for ${secret}"},
    {WITH_EDGE("headers = ( \"A: ${key}\" );"),
     ":1: there is no variable ${key} here"},
    {WITH_EDGE("headers = ( \"A\" );"),
     ":1: headers must be of the form \"Name: value\""},
    {WITH_EDGE("headers = ( \"A: b\\nC: d\" );"),
     ":1: headers must be of the form \"Name: value\""},
    {WITH_EDGE("headers = \"A: b\";"),
     ":1: headers must be a list of at most 32 strings: ( \"...\", ... )"},
    {WITH_EDGE("connections = 257;"), ":1: connections must be from 1 to 256"},
    {WITH_EDGE("timeout = 0;"), ":1: timeout must be from 1 to 300"},
    {WITH_EDGE("confirmed = ( );"),
     ":1: confirmed must be a list of 1 to 32 statuses: ( 200, ... )"},
    {WITH_EDGE("confirmed = ( 100 );"),
     ":1: confirmed must have statuses from 200 to 599"},
    {CONFIG(EDGE, "", RULE),
     ":2: templates must be a list of 1 to 64 groups: ( { ... }, ... )"},
    {CONFIG(EDGE, TEMPLATE "," TEMPLATE, RULE),
     ":2: two templates have the name t"},
    {WITH_TEMPLATE("method = \"HEAD\";"),
     ":2: method of the template t must be one of HTTP, but not HEAD or "
     "CONNECT"},
    {WITH_TEMPLATE("method = \"A B\";"),
     ":2: method of the template t must be one of HTTP, but not HEAD or "
     "CONNECT"},
    {WITH_TEMPLATE("url = \"http://e/${key}\";"),
     ":2: url of the template t must begin with ${edge} and have no blanks"},
    {WITH_TEMPLATE("url = \"${edge}/ \";"),
     ":2: url of the template t must begin with ${edge} and have no blanks"},
    {WITH_TEMPLATE("url = \"${edge}/${secret}\";"),
     ":2: there is no variable ${secret} here"},
    {WITH_TEMPLATE("url = \"${edge}/${key\";"),
     ":2: a variable has no end: ${"},
    {WITH_TEMPLATE("url = \"${edge}${path}${tag}\";"),
     ":2: the template t has ${path} and ${tag}: make two of it"},
    {CONFIG(EDGE, TEMPLATE, "{ prefix = \"p\"; }"),
     ":3: a rule needs a bucket"},
    {WITH_RULE("edges = ( \"f\" );"), ":3: there is no f in edges"},
    {WITH_RULE("templates = ( \"u\" );"), ":3: there is no u in templates"},
    {WITH_RULE("paths = ( \"x\" );"),
     ":3: paths must begin with '/' and have no blanks"},
    {WITH_RULE("paths = ( \"/${path}\" );"),
     ":3: there is no variable ${path} here"},
    {WITH_RULE("index = ( \"\" );"),
     ":3: index must have strings of 1 to 2048 bytes"},
    {WITH_RULE("path = \"/\";"), ":3: unknown setting rules.path"},
};

static void test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct purge_config *config;
        assert_string_equal(fixture_load(bad[i].text, &config), bad[i].error);
        assert_null(config);
    }
}

/* As many as there may be, and one more. */
static void test_bounds(void **state)
{
    (void)state;
    for (unsigned count = 64; count <= 65; count++) {
        struct buffer text = {0};
        struct purge_config *config;
        buffer_append_string(&text, "edges = ( ");
        for (unsigned i = 0; i < count; i++) {
            buffer_printf(&text, "%s{ name = \"e%u\"; url = \"http://e\"; }",
                          i > 0 ? "," : "", i);
        }
        buffer_append_string(&text, " ); templates = ( " TEMPLATE
                                    " ); rules = ( " RULE " );");
        buffer_append(&text, "", 1);
        const char *error = fixture_load((const char *)text.data, &config);
        if (count == 64) {
            assert_string_equal(error, "");
            assert_true(config->rules[0].edges == UINT64_MAX);
        } else {
            assert_string_equal(error, ":1: edges must be a list of 1 to 64 "
                                       "groups: ( { ... }, ... )");
        }
        purge_config_free(config);
        buffer_free(&text);
    }
}

/* What is shown is accepted, and the defaults are as shown. */
static void test_the_example(void **state)
{
    struct purge_config *config,
        *least = fixture_config(CONFIG(EDGE, TEMPLATE, RULE));
    struct buffer error = {0};
    (void)state;
    if (access("conf/purge.conf", R_OK) != 0) {
        purge_config_free(least);
        skip();
    }
    assert_int_equal(purge_config_load("conf/purge.conf", &config, &error), 0);
    assert_string_equal(config->address, least->address);
    assert_string_equal(config->stream, least->stream);
    assert_string_equal(config->group, least->group);
    assert_int_equal(config->window, least->window);
    assert_int_equal(config->retry_max_s, least->retry_max_s);
    assert_int_equal(config->log_level, least->log_level);
    assert_int_equal(config->edges[0].connections, least->edges[0].connections);
    assert_int_equal(config->edges[0].timeout_s, least->edges[0].timeout_s);
    assert_int_equal(config->edges[0].again_s, least->edges[0].again_s);
    assert_int_equal(config->edges[0].confirmed_count,
                     least->edges[0].confirmed_count);
    assert_string_equal(config->templates[0].method,
                        least->templates[0].method);
    assert_string_equal(config->templates[0].url_text,
                        least->templates[0].url_text);
    purge_config_free(config);
    purge_config_free(least);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),    cmocka_unit_test(test_all),
        cmocka_unit_test(test_mistakes),    cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_the_example),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
