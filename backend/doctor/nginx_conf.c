#include "doctor/nginx_conf.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_SIZE_MAX (4u << 20)
#define FILES_MAX     4096
#define DEPTH_MAX     64 /* of blocks and includes, together */

struct reader {
    struct arena *arena;
    struct buffer *error;
    const char *directory; /* of the main file: includes are relative to it */
    unsigned files, depth;
};

/* A file that is being read. */
struct text {
    const char *path;
    const char *at, *end;
    unsigned line;
};

static bool read_into(struct reader *reader, const char *path,
                      struct nginx_directive *block);

static bool fail(struct reader *reader, const char *path, unsigned line,
                 const char *what)
{
    if (reader->error->size == 0) {
        buffer_printf(reader->error, "%s:%u: %s", path, line, what);
    }
    return false;
}

/* --- words -----------------------------------------------------------------*/
static void skip_blanks(struct text *text)
{
    bool comment = false;
    for (; text->at < text->end; text->at++) {
        comment = (comment || *text->at == '#') && *text->at != '\n';
        text->line += *text->at == '\n';
        if (!comment && !isspace((unsigned char)*text->at)) {
            return;
        }
    }
}

static const char *quoted_word(struct reader *reader, struct text *text)
{
    struct buffer word = {0};
    const char quote = *text->at++;
    while (text->at < text->end && *text->at != quote) {
        if (*text->at == '\\' && text->at + 1 < text->end) {
            text->at++;
        }
        text->line += *text->at == '\n';
        buffer_append(&word, text->at++, 1);
    }
    text->at += text->at < text->end ? 1 : 0;
    const char *copy =
        arena_string(reader->arena, slice_of(word.data, word.size));
    buffer_free(&word);
    return copy;
}

/* "${name}" has braces of its own. */
static const char *plain_word(struct reader *reader, struct text *text)
{
    const char *start = text->at;
    bool variable = false;
    for (; text->at < text->end; text->at++) {
        const char c = *text->at;
        if (c == '{' && text->at > start && text->at[-1] == '$') {
            variable = true;
        } else if (c == '}' && variable) {
            variable = false;
        } else if (isspace((unsigned char)c) || c == '{' || c == '}' ||
                   c == ';') {
            break;
        }
        if (c == '\\' && text->at + 1 < text->end) {
            text->at++;
        }
    }
    return arena_string(reader->arena,
                        slice_of(start, (size_t)(text->at - start)));
}

/* The words of a directive up to ';', '{' or '}', which is returned; 0: the
 * text has ended. */
static char read_words(struct reader *reader, struct text *text,
                       struct nginx_directive *directive)
{
    for (skip_blanks(text); text->at < text->end; skip_blanks(text)) {
        const char c = *text->at;
        if (c == ';' || c == '{' || c == '}') {
            text->at++;
            return c;
        }
        const unsigned line = text->line;
        const char *word = c == '"' || c == '\'' ? quoted_word(reader, text)
                                                 : plain_word(reader, text);
        if (directive->name == NULL) {
            directive->name = word;
            directive->line = line;
        } else if (directive->word_count < NGINX_WORDS_MAX) {
            directive->words[directive->word_count++] = word;
        }
    }
    return '\0';
}

/* --- directives ------------------------------------------------------------*/
static struct nginx_directive *add(struct reader *reader,
                                   struct nginx_directive *block,
                                   const struct nginx_directive *read)
{
    struct nginx_directive *directive =
        arena_alloc(reader->arena, sizeof(*directive));
    *directive = *read;
    directive->parent = block;
    if (block->last_child != NULL) {
        block->last_child->next = directive;
    } else {
        block->children = directive;
    }
    block->last_child = directive;
    return directive;
}

static bool include(struct reader *reader, const char *pattern,
                    struct nginx_directive *block)
{
    const char *path =
        pattern[0] == '/'
            ? pattern
            : arena_printf(reader->arena, "%s/%s", reader->directory, pattern);
    glob_t found;
    bool read = true;
    if (glob(path, 0, NULL, &found) != 0) {
        return true; /* nginx -t says what is missing */
    }
    for (size_t i = 0; i < found.gl_pathc && read; i++) {
        read = read_into(reader, found.gl_pathv[i], block);
    }
    globfree(&found);
    return read;
}

/* A block of Lua is no configuration: up to its closing brace. */
static void skip_code(struct text *text)
{
    for (unsigned depth = 1; text->at < text->end && depth > 0; text->at++) {
        depth += *text->at == '{';
        depth -= *text->at == '}';
        text->line += *text->at == '\n';
    }
}

static bool is_code(const char *name)
{
    const size_t size = strlen(name);
    return size > 13 && strcmp(name + size - 13, "_by_lua_block") == 0;
}

/* What stands between two braces, or in a whole file (`outermost`). */
static bool read_block(struct reader *reader, struct text *text,
                       struct nginx_directive *block, bool outermost)
{
    for (;;) {
        struct nginx_directive read = {.file = text->path};
        const char end = read_words(reader, text, &read);
        if (end == '\0' || end == '}') {
            return (read.name == NULL && (end == '\0') == outermost) ||
                   fail(reader, text->path, text->line,
                        "it ends in the middle, or has a } too many");
        }
        if (read.name == NULL) {
            continue;
        }
        const bool is_include = strcmp(read.name, "include") == 0;
        if (is_include && read.word_count == 1 &&
            !include(reader, read.words[0], block)) {
            return false;
        }
        struct nginx_directive *directive =
            is_include ? NULL : add(reader, block, &read);
        if (end == '{' && is_code(read.name)) {
            skip_code(text);
        } else if (end == '{') {
            if (directive == NULL || ++reader->depth > DEPTH_MAX) {
                return fail(reader, text->path, text->line, "nested too deep");
            }
            if (!read_block(reader, text, directive, false)) {
                return false;
            }
            reader->depth--;
        }
    }
}

/* --- files -----------------------------------------------------------------*/
static bool read_into(struct reader *reader, const char *path,
                      struct nginx_directive *block)
{
    if (++reader->files > FILES_MAX || ++reader->depth > DEPTH_MAX) {
        return fail(reader, path, 0, "too many files are included");
    }
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return fail(reader, path, 0, strerror(errno));
    }
    char *data = xmalloc(FILE_SIZE_MAX);
    const size_t size = fread(data, 1, FILE_SIZE_MAX, file);
    fclose(file);
    struct text text = {
        .path = arena_string(reader->arena, slice_from_string(path)),
        .at = data,
        .end = data + size,
        .line = 1};
    const bool read = read_block(reader, &text, block, true);
    free(data);
    reader->depth--;
    return read;
}

struct nginx_directive *nginx_conf_read(struct arena *arena, const char *path,
                                        struct buffer *error)
{
    const char *slash = strrchr(path, '/');
    struct reader reader = {
        .arena = arena,
        .error = error,
        .directory =
            slash == NULL
                ? "."
                : arena_string(arena, slice_of(path, (size_t)(slash - path))),
    };
    struct nginx_directive *root = arena_zalloc(arena, sizeof(*root));
    return read_into(&reader, path, root) ? root : NULL;
}

/* --- the tree --------------------------------------------------------------*/
struct nginx_directive *nginx_conf_next(const struct nginx_directive *after)
{
    if (after->children != NULL) {
        return after->children;
    }
    while (after != NULL && after->next == NULL) {
        after = after->parent;
    }
    return after != NULL ? after->next : NULL;
}

const struct nginx_directive *nginx_conf_child(
    const struct nginx_directive *block, const char *name)
{
    const struct nginx_directive *child = block->children;
    while (child != NULL && strcmp(child->name, name) != 0) {
        child = child->next;
    }
    return child;
}

const struct nginx_directive *nginx_conf_effective(
    const struct nginx_directive *block, const char *name)
{
    const struct nginx_directive *found = NULL;
    for (; block != NULL && found == NULL; block = block->parent) {
        found = nginx_conf_child(block, name);
    }
    return found;
}

/* --- values ----------------------------------------------------------------*/
/* Digits, and what comes after them. */
static bool take_digits(const char *text, uint64_t *number, const char **rest)
{
    char *end;
    if (!isdigit((unsigned char)text[0])) {
        return false;
    }
    errno = 0;
    *number = strtoull(text, &end, 10);
    *rest = end;
    return errno == 0 && *number < UINT64_C(1) << 32;
}

bool nginx_conf_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "kmg";
    const char *rest;
    if (!take_digits(text, bytes, &rest)) {
        return false;
    }
    if (rest[0] == '\0') {
        return true;
    }
    const char *unit = strchr(units, tolower((unsigned char)rest[0]));
    if (unit == NULL || rest[1] != '\0') {
        return false;
    }
    *bytes <<= 10 * (unsigned)(unit - units + 1);
    return true;
}

bool nginx_conf_time(const char *text, uint64_t *ms)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"", 1000},     {"ms", 1},       {"s", 1000},     {"m", 60000},
                 {"h", 3600000}, {"d", 86400000}, {"w", 604800000}};
    const char *rest;
    if (!take_digits(text, ms, &rest)) {
        return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(rest, units[i].name) == 0) {
            *ms *= units[i].ms;
            return true;
        }
    }
    return false;
}
