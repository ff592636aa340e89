/*
 * From JSON to a compiled policy: the document's frame, and what all parts of
 * the compiler share.
 */
#include "policy/private.h"

#include <errno.h>
#include <stdarg.h>

bool compile_fail(struct compiler *compiler, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(compiler->message, POLICY_MESSAGE_MAX, format, arguments);
    va_end(arguments);
    return false;
}

bool compile_fail_syntax(struct compiler *compiler)
{
    return compile_fail(compiler, "Invalid policy syntax.");
}

struct slice compile_text(struct compiler *compiler, const json_t *string)
{
    return arena_copy(compiler->arena, json_string_value(string),
                      json_string_length(string));
}

struct slice *compile_texts(struct compiler *compiler, const json_t *value,
                            size_t *count)
{
    bool list = json_is_array(value);
    struct slice *texts;

    *count = list ? json_array_size(value) : 1;
    if (*count == 0) {
        compile_fail_syntax(compiler);
        return NULL;
    }
    texts = arena_alloc(compiler->arena, *count * sizeof(*texts));
    for (size_t i = 0; i < *count; i++) {
        const json_t *one = list ? json_array_get(value, i) : value;
        if (!json_is_string(one)) {
            compile_fail_syntax(compiler);
            return NULL;
        }
        texts[i] = compile_text(compiler, one);
    }
    return texts;
}

/* --- the frame -------------------------------------------------------------*/

static bool check_version(struct compiler *compiler, const json_t *version)
{
    const char *text = "2008-10-17";

    if (version != NULL) {
        text = json_is_string(version) ? json_string_value(version) : "";
    }
    compiler->variables = strcmp(text, "2012-10-17") == 0;
    return compiler->variables || strcmp(text, "2008-10-17") == 0 ||
           compile_fail(compiler,
                        "The policy must contain a valid version string");
}

static bool check_fields(struct compiler *compiler, json_t *root)
{
    const char *name;
    json_t *value;

    json_object_foreach(root, name, value)
    {
        if (strcmp(name, "Id") == 0) {
            if (!json_is_string(value)) {
                return compile_fail_syntax(compiler);
            }
        } else if (strcmp(name, "Version") != 0 &&
                   strcmp(name, "Statement") != 0) {
            return compile_fail(compiler, "Unknown field %.128s", name);
        }
    }
    return true;
}

static bool check_sids(struct compiler *compiler, const struct policy *policy)
{
    for (size_t i = 0; i < policy->count; i++) {
        for (size_t k = 0; k < i; k++) {
            const char *sid = policy->statements[i].sid;
            if (sid[0] != '\0' && strcmp(sid, policy->statements[k].sid) == 0) {
                return compile_fail(
                    compiler, compiler->kind == POLICY_BUCKET
                                  ? "Duplicate statement id(s)"
                                  : "Statement IDs (SID) in a single policy "
                                    "must be unique.");
            }
        }
    }
    return true;
}

static bool compile_statements(struct compiler *compiler, json_t *json,
                               struct policy *policy)
{
    bool list = json_is_array(json);
    size_t count = list ? json_array_size(json) : 1;

    if (json == NULL) {
        return compile_fail(compiler, "Missing required field Statement");
    }
    if (count == 0) {
        return compile_fail(compiler,
                            "Could not parse the policy: Statement is empty!");
    }
    policy->count = count;
    policy->statements =
        arena_zalloc(compiler->arena, count * sizeof(policy->statements[0]));
    for (size_t i = 0; i < count; i++) {
        if (!statement_compile(compiler, list ? json_array_get(json, i) : json,
                               &policy->statements[i])) {
            return false;
        }
        policy->is_public |= statement_is_public(&policy->statements[i]);
    }
    return check_sids(compiler, policy);
}

/* jansson bounds the depth itself (JSON_PARSER_MAX_DEPTH), and refuses a NUL in
 * a string. */
static json_t *load(struct compiler *compiler, struct slice json)
{
    json_t *root;

    if (json.size > POLICY_BUCKET_MAX) {
        compile_fail(compiler, "Policy exceeds the maximum allowed document "
                               "size.");
        return NULL;
    }
    if (json.size == 0 || json.data[0] != '{') {
        compile_fail(compiler, "Policies must be valid JSON and the first "
                               "byte must be '{'");
        return NULL;
    }
    root = json_loadb((const char *)json.data, json.size,
                      JSON_REJECT_DUPLICATES, NULL);
    if (root == NULL) {
        compile_fail(compiler, "This policy contains invalid Json");
    }
    return root;
}

int policy_parse(enum policy_kind kind, struct slice bucket, struct slice json,
                 struct policy **policy, char message[POLICY_MESSAGE_MAX])
{
    struct compiler compiler = {
        .kind = kind, .bucket = bucket, .message = message};
    struct policy *compiled;
    json_t *root;
    bool ok;

    *policy = NULL;
    message[0] = '\0';
    root = load(&compiler, json);
    if (root == NULL) {
        return -EINVAL;
    }
    compiler.arena = arena_new();
    compiled = arena_zalloc(compiler.arena, sizeof(*compiled));
    compiled->arena = compiler.arena;
    atomic_init(&compiled->references, 1);
    ok = check_version(&compiler, json_object_get(root, "Version")) &&
         check_fields(&compiler, root) &&
         compile_statements(&compiler, json_object_get(root, "Statement"),
                            compiled);
    json_decref(root);
    if (!ok) {
        arena_free(compiler.arena);
        return -EINVAL;
    }
    *policy = compiled;
    return 0;
}

struct policy *policy_retain(struct policy *policy)
{
    atomic_fetch_add_explicit(&policy->references, 1, memory_order_relaxed);
    return policy;
}

void policy_release(struct policy *policy)
{
    if (policy != NULL && atomic_fetch_sub(&policy->references, 1) == 1) {
        arena_free(policy->arena);
    }
}

bool policy_is_public(const struct policy *policy)
{
    return policy->is_public;
}
