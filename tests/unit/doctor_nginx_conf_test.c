/* nginx's configuration as the doctor reads it: words, blocks, includes. */
#include "doctor/nginx_conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct files {
    char dir[32];
    struct arena *arena;
    struct buffer error;
};

static int make(void **state)
{
    static struct files files;
    strcpy(files.dir, "/tmp/doctor-conf-XXXXXX");
    assert_non_null(mkdtemp(files.dir));
    files.arena = arena_new();
    *state = &files;
    return 0;
}

static const char *path_of(const struct files *files, const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", files->dir, name);
    return path;
}

static void put(const struct files *files, const char *name, const char *text)
{
    FILE *file = fopen(path_of(files, name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int clean(void **state)
{
    struct files *files = *state;
    unlink(path_of(files, "nginx.conf"));
    unlink(path_of(files, "a.conf"));
    unlink(path_of(files, "b.conf"));
    rmdir(files->dir);
    arena_free(files->arena);
    buffer_free(&files->error);
    return 0;
}

static struct nginx_directive *load(struct files *files)
{
    files->error.size = 0;
    return nginx_conf_read(files->arena, path_of(files, "nginx.conf"),
                           &files->error);
}

/* "name word word|name" of the whole tree, in order. */
static const char *flat(const struct nginx_directive *at)
{
    static char text[1024];
    size_t size = 0;
    text[0] = '\0';
    while ((at = nginx_conf_next(at)) != NULL) {
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%s",
                                 size > 0 ? "|" : "", at->name);
        for (unsigned i = 0; i < at->word_count; i++) {
            size += (size_t)snprintf(text + size, sizeof(text) - size, " %s",
                                     at->words[i]);
        }
    }
    return text;
}

static void test_words(void **state)
{
    struct files *files = *state;
    put(files, "nginx.conf",
        "# a comment; { with signs }\n"
        "user www-data;events{}\n"
        "log_format x '$a \"b\" {' \"it\\\"s\";\n"
        "set $v \"a b\" ${c}d; # more\n"
        "rewrite_by_lua_block { if x { y() } }\n"
        "location ~ ^/(a|b)\\{2\\}$ { deny all; }\n");
    const struct nginx_directive *conf = load(files);
    assert_non_null(conf);
    assert_string_equal(flat(conf),
                        "user www-data|events|log_format x $a \"b\" { it\"s|"
                        "set $v a b ${c}d|rewrite_by_lua_block|"
                        "location ~ ^/(a|b)\\{2\\}$|deny all");
    assert_int_equal(nginx_conf_child(conf, "location")->line, 6);
}

static void test_includes(void **state)
{
    struct files *files = *state;
    put(files, "nginx.conf",
        "http { size 1; include *.conf.none; include "
        "[ab].conf; server { size 2; } server { } }");
    put(files, "a.conf", "from a;");
    put(files, "b.conf", "server { from b; }");
    const struct nginx_directive *conf = load(files);
    assert_non_null(conf);
    assert_string_equal(flat(conf), "http|size 1|from a|server|from b|server|"
                                    "size 2|server");
    const struct nginx_directive *http = nginx_conf_child(conf, "http");
    const struct nginx_directive *server = nginx_conf_child(http, "server");
    assert_string_equal(nginx_conf_effective(server, "size")->words[0], "1");
    assert_string_equal(nginx_conf_effective(server->next, "size")->words[0],
                        "2");
    assert_null(nginx_conf_effective(server, "other"));
}

static void test_malformed(void **state)
{
    static const char *const texts[] = {"http {", "http { a;", "a; }", "a b",
                                        "}"};
    struct files *files = *state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        put(files, "nginx.conf", texts[i]);
        assert_null(load(files));
        assert_true(files->error.size > 0);
    }
    put(files, "nginx.conf", "include nginx.conf;"); /* itself */
    assert_null(load(files));
    unlink(path_of(files, "nginx.conf"));
    assert_null(load(files));
}

static void test_values(void **state)
{
    uint64_t value;
    (void)state;
    assert_true(nginx_conf_size("0", &value));
    assert_int_equal(value, 0);
    assert_true(nginx_conf_size("64k", &value));
    assert_int_equal(value, 65536);
    assert_true(nginx_conf_size("5G", &value));
    assert_int_equal(value, UINT64_C(5) << 30);
    assert_false(nginx_conf_size("k", &value));
    assert_false(nginx_conf_size("5x", &value));
    assert_false(nginx_conf_size("99999999999999999999", &value));
    assert_true(nginx_conf_time("5", &value));
    assert_int_equal(value, 5000);
    assert_true(nginx_conf_time("200ms", &value));
    assert_int_equal(value, 200);
    assert_true(nginx_conf_time("2h", &value));
    assert_int_equal(value, 7200000);
    assert_false(nginx_conf_time("auto", &value));
}

static void test_zero_bytes(void **state)
{
    static const char text[] = "a\0 \0 b; \0;";
    struct files *files = *state;
    FILE *file = fopen(path_of(files, "nginx.conf"), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, sizeof(text) - 1, file), sizeof(text) - 1);
    assert_int_equal(fclose(file), 0);
    const struct nginx_directive *root = load(files);
    assert_non_null(root);
    assert_string_equal(nginx_conf_next(root)->name, "a");
    assert_int_equal(nginx_conf_next(root)->word_count, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, clean)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_words),
        TEST(test_includes),
        TEST(test_malformed),
        TEST(test_zero_bytes),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
