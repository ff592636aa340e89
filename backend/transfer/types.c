/*
 * Content types by the endings of names: a mime.types, of nginx
 *
 *     types { text/html  html htm; }
 *
 * or of mime-support, where a type ends with its line.
 */
#include "transfer/private.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define FILE_MAX (1u << 20)

struct ending {
    const char *ending, *type;
};

struct types {
    struct arena *arena;
    struct ending *endings; /* sorted */
    size_t count, capacity;
};

/* --- reading ---------------------------------------------------------------*/
struct reader {
    struct slice text;
    size_t at;
    bool nginx; /* ";" ends a type, not the line */
};

enum token { TOKEN_NONE, TOKEN_WORD, TOKEN_STOP };

static bool is_stop(const struct reader *reader, uint8_t c)
{
    return reader->nginx ? c == ';' || c == '{' || c == '}' : c == '\n';
}

static enum token next_token(struct reader *reader, struct slice *word)
{
    const struct slice text = reader->text;

    for (; reader->at < text.size; reader->at++) {
        const uint8_t c = text.data[reader->at];
        if (c == '#') {
            while (reader->at + 1 < text.size &&
                   text.data[reader->at + 1] != '\n') {
                reader->at++;
            }
        } else if (is_stop(reader, c)) {
            reader->at++;
            return TOKEN_STOP;
        } else if (!isspace(c)) {
            break;
        }
    }
    const size_t begin = reader->at;
    while (reader->at < text.size && !isspace(text.data[reader->at]) &&
           !is_stop(reader, text.data[reader->at]) &&
           text.data[reader->at] != '#') {
        reader->at++;
    }
    *word = slice_of(text.data + begin, reader->at - begin);
    return word->size > 0 ? TOKEN_WORD : TOKEN_NONE;
}

static void add(struct types *types, struct slice ending, const char *type)
{
    if (types->count == types->capacity) {
        types->capacity = types->capacity == 0 ? 256 : 2 * types->capacity;
        types->endings =
            xrealloc(types->endings, types->capacity * sizeof(*types->endings));
    }
    types->endings[types->count++] =
        (struct ending){arena_string(types->arena, ending), type};
}

/* What goes into a header. */
static bool is_type(struct slice word)
{
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] <= ' ' || word.data[i] > '~') {
            return false;
        }
    }
    return memchr(word.data, '/', word.size) != NULL;
}

static int compare(const void *a, const void *b)
{
    return strcasecmp(((const struct ending *)a)->ending,
                      ((const struct ending *)b)->ending);
}

struct types *types_parse(struct slice text)
{
    struct types *types = xcalloc(1, sizeof(*types));
    struct reader reader = {.text = text};
    const char *type = NULL;
    bool first = true; /* word since a stop */
    struct slice word;
    enum token token;

    types->arena = arena_new();
    reader.nginx = memchr(text.data, '{', text.size) != NULL;
    while ((token = next_token(&reader, &word)) != TOKEN_NONE) {
        if (token == TOKEN_STOP) {
            first = true;
        } else if (first) {
            type = is_type(word) ? arena_string(types->arena, word) : NULL;
            first = false;
        } else if (type != NULL) {
            add(types, word, type);
        }
    }
    if (types->count > 0) {
        qsort(types->endings, types->count, sizeof(*types->endings), compare);
    }
    return types;
}

void types_free(struct types *types)
{
    if (types != NULL) {
        arena_free(types->arena);
        free(types->endings);
        free(types);
    }
}

/* --- files -----------------------------------------------------------------*/
static int load(const char *path, struct types **types)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    uint8_t *content = xmalloc(FILE_MAX);
    size_t size = 0;
    ssize_t n;
    while ((n = read(fd, content + size, FILE_MAX - size)) > 0) {
        size += (size_t)n;
    }
    const int error = n < 0 ? -errno : size == FILE_MAX ? -EFBIG : 0;
    close(fd);
    if (error == 0) {
        *types = types_parse(slice_of(content, size));
    }
    free(content);
    return error;
}

int types_load(const char *path, struct types **types)
{
    static const char *const usual[] = {"/etc/nginx/mime.types",
                                        "/etc/mime.types"};
    if (path != NULL) {
        return load(path, types);
    }
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        if (load(usual[i], types) == 0) {
            return 0;
        }
    }
    *types = types_parse(SLICE_LITERAL(""));
    return 0;
}

/* --- looking up ------------------------------------------------------------*/
const char *types_find(const struct types *types, const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *last = slash != NULL ? slash + 1 : name;
    const char *dot = strrchr(last, '.');

    if (dot == NULL || dot == last || types->count == 0) {
        return NULL;
    }
    const struct ending wanted = {.ending = dot + 1};
    const struct ending *found =
        bsearch(&wanted, types->endings, types->count, sizeof(wanted), compare);
    return found != NULL ? found->type : NULL;
}
