/* The rules of a CORS configuration: reading and matching. Pure. */
#include "s3/cors.h"

#include <string.h>
#include <strings.h>

#include "s3/call.h"

/* --- reading ---------------------------------------------------------------*/
bool cors_is_method(struct slice method)
{
    static const char *const methods[] = {"GET", "PUT", "HEAD", "POST",
                                          "DELETE"};

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (slice_equal_string(method, methods[i])) {
            return true;
        }
    }
    return false;
}

static unsigned count_wildcards(struct slice text)
{
    unsigned count = 0;

    for (size_t i = 0; i < text.size; i++) {
        count += text.data[i] == '*';
    }
    return count;
}

/* NULL: the value is acceptable. */
static const char *value_error(struct arena *arena, const struct xml_node *node)
{
    const int size = (int)node->text.size;
    const char *text = (const char *)node->text.data;

    if (slice_equal_string(node->name, "AllowedMethod") &&
        !cors_is_method(node->text)) {
        return arena_printf(arena,
                            "Found unsupported HTTP method in CORS config. "
                            "Unsupported method is %.*s",
                            size, text);
    }
    if (slice_equal_string(node->name, "ExposeHeader") &&
        count_wildcards(node->text) > 0) {
        return arena_printf(arena,
                            "ExposeHeader \"%.*s\" contains wildcard. We "
                            "currently do not support wildcard for "
                            "ExposeHeader.",
                            size, text);
    }
    if (count_wildcards(node->text) > 1 &&
        (slice_equal_string(node->name, "AllowedOrigin") ||
         slice_equal_string(node->name, "AllowedHeader"))) {
        return arena_printf(
            arena, "%.*s \"%.*s\" can not have more than one wildcard.",
            (int)node->name.size, (const char *)node->name.data, size, text);
    }
    return NULL;
}

static size_t characters(struct slice text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.size; i++) {
        count += (text.data[i] & 0xc0) != 0x80;
    }
    return count;
}

static struct slice present(struct slice text)
{
    return text.size > 0 ? text : SLICE_LITERAL("");
}

/* Where an element's values go; NULL: it has no list. */
static struct cors_list *list_of(struct cors_rule *rule, struct slice name)
{
    if (slice_equal_string(name, "AllowedOrigin")) {
        return &rule->origins;
    }
    if (slice_equal_string(name, "AllowedMethod")) {
        return &rule->methods;
    }
    if (slice_equal_string(name, "AllowedHeader")) {
        return &rule->headers;
    }
    if (slice_equal_string(name, "ExposeHeader")) {
        return &rule->exposed;
    }
    return NULL;
}

/* An element that may stand once. */
static bool read_single(struct cors_rule *rule, const struct xml_node *node)
{
    uint64_t seconds;

    if (slice_equal_string(node->name, "ID") && rule->id.data == NULL &&
        characters(node->text) <= CORS_ID_MAX) {
        rule->id = present(node->text);
        return true;
    }
    if (slice_equal_string(node->name, "MaxAgeSeconds") &&
        rule->max_age.data == NULL && slice_to_u64(node->text, &seconds) == 0 &&
        seconds <= INT32_MAX) {
        rule->max_age = node->text;
        return true;
    }
    return false;
}

static enum cors_result read_rule(struct arena *arena,
                                  const struct xml_node *element,
                                  struct cors_rule *rule, const char **message)
{
    size_t children = 0;

    *rule = (struct cors_rule){0};
    for (const struct xml_node *node = element->first; node != NULL;
         node = node->next) {
        children++;
    }
    for (const struct xml_node *node = element->first; node != NULL;
         node = node->next) {
        struct cors_list *list = list_of(rule, node->name);

        if (node->first != NULL || (list == NULL && !read_single(rule, node))) {
            return CORS_MALFORMED;
        }
        *message = value_error(arena, node);
        if (*message != NULL) {
            return CORS_INVALID;
        }
        if (list != NULL && list->items == NULL) {
            list->items = arena_alloc(arena, children * sizeof(*list->items));
        }
        if (list != NULL) {
            list->items[list->count++] = present(node->text);
        }
    }
    return rule->origins.count > 0 && rule->methods.count > 0 ? CORS_OK
                                                              : CORS_MALFORMED;
}

enum cors_result cors_read(struct arena *arena, const struct xml_node *root,
                           struct cors_rules *rules, const char **message)
{
    *message = NULL;
    rules->count = 0;
    rules->rules = arena_alloc(arena, CORS_RULES_MAX * sizeof(*rules->rules));
    for (const struct xml_node *node = root->first; node != NULL;
         node = node->next) {
        enum cors_result result;

        if (!slice_equal_string(node->name, "CORSRule")) {
            return CORS_MALFORMED;
        }
        if (rules->count == CORS_RULES_MAX) {
            *message = "The number of CORS rules should not exceed allowed "
                       "limit of 100 rules.";
            return CORS_INVALID;
        }
        result = read_rule(arena, node, &rules->rules[rules->count++], message);
        if (result != CORS_OK) {
            return result;
        }
    }
    return rules->count > 0 ? CORS_OK : CORS_MALFORMED;
}

/* --- matching --------------------------------------------------------------*/
static bool equal(const uint8_t *a, const uint8_t *b, size_t size,
                  bool ignore_case)
{
    return size == 0 ||
           (ignore_case ? strncasecmp((const char *)a, (const char *)b, size)
                        : memcmp(a, b, size)) == 0;
}

/* '*' in a pattern stands for any characters, also for none. */
static bool matches(struct slice pattern, struct slice text, bool ignore_case)
{
    const uint8_t *star =
        pattern.size > 0 ? memchr(pattern.data, '*', pattern.size) : NULL;

    if (star == NULL) {
        return pattern.size == text.size &&
               equal(pattern.data, text.data, text.size, ignore_case);
    }
    const size_t before = (size_t)(star - pattern.data);
    const size_t after = pattern.size - before - 1;
    return text.size >= before + after &&
           equal(pattern.data, text.data, before, ignore_case) &&
           equal(star + 1, text.data + text.size - after, after, ignore_case);
}

static const struct slice *listed(const struct cors_list *list,
                                  struct slice text, bool ignore_case)
{
    for (size_t i = 0; i < list->count; i++) {
        if (matches(list->items[i], text, ignore_case)) {
            return &list->items[i];
        }
    }
    return NULL;
}

static bool allows(const struct cors_rule *rule,
                   const struct cors_request *request)
{
    struct slice headers = request->headers, name;

    if (listed(&rule->origins, request->origin, false) == NULL) {
        return false;
    }
    for (size_t i = 0; i < rule->methods.count; i++) {
        if (!slice_equal(rule->methods.items[i], request->method)) {
            continue;
        }
        while (call_list_next(&headers, &name)) {
            if (listed(&rule->headers, name, true) == NULL) {
                return false;
            }
        }
        return true;
    }
    return false;
}

bool cors_find(const struct cors_rules *rules,
               const struct cors_request *request, struct cors_match *match)
{
    for (size_t i = 0; i < rules->count; i++) {
        const struct cors_rule *rule = &rules->rules[i];

        if (!allows(rule, request)) {
            continue;
        }
        match->rule = rule;
        match->any_origin = slice_equal_string(
            *listed(&rule->origins, request->origin, false), "*");
        return true;
    }
    return false;
}
