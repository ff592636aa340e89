/*
 * Configurations of the purge agent: what is not the matter of a test is left
 * out.
 */
#ifndef PURGE_FIXTURE_H
#define PURGE_FIXTURE_H

#include "purge/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define EDGE     "{ name = \"e\"; url = \"http://e.test\"; }"
#define TEMPLATE "{ name = \"t\"; }"
#define RULE     "{ bucket = \"b\"; }"
#define CONFIG(edges, templates, rules)                                        \
    "edges = ( " edges " );\ntemplates = ( " templates " );\nrules = ( " rules \
    " );\n"

/* What is wrong, without the path and a newline; "": nothing. Kept until the
 * next call. */
static inline const char *fixture_load(const char *text,
                                       struct purge_config **config)
{
    static char said[1024];
    char path[] = "/tmp/purge-config-XXXXXX";
    struct buffer error = {0};
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    const int result = purge_config_load(path, config, &error);
    unlink(path);
    buffer_append(&error, "", 1);
    assert_int_equal(result == 0, error.size == 1);
    const size_t prefix = result == 0 ? 0 : strlen(path);
    snprintf(said, sizeof(said), "%s", (const char *)error.data + prefix);
    buffer_free(&error);
    return said;
}

static inline struct purge_config *fixture_config(const char *text)
{
    struct purge_config *config;
    assert_string_equal(fixture_load(text, &config), "");
    return config;
}

#endif
