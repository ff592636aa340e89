/*
 * From an event to requests: rules that hold for the key, names that it is
 * served under, templates with values.
 *
 * Values are percent-encoded, but for a tag in a header: they come from the
 * names of objects, and end up within lines of HTTP.
 */
#include "purge/plan.h"

#include <string.h>

struct plan {
    const struct purge_config *config;
    const struct purge_edge *edge;
    const struct purge_rule *rule;
    plan_add add;
    void *context;
    struct arena *arena;
    struct slice values[VARIABLE_COUNT];
    struct slice tag;     /* as it is; its value is encoded */
    struct buffer *scrap; /* a request that is put together */
};

static struct slice rendered(struct plan *plan, const struct template *template)
{
    plan->scrap->size = 0;
    template_render(template, plan->values, plan->scrap);
    return arena_copy(plan->arena, plan->scrap->data, plan->scrap->size);
}

static struct slice encoded(struct plan *plan, struct slice text,
                            bool keep_slash)
{
    plan->scrap->size = 0;
    uri_encode(plan->scrap, text, keep_slash);
    return arena_copy(plan->arena, plan->scrap->data, plan->scrap->size);
}

/* --- one request -----------------------------------------------------------*/
static void put_headers(struct plan *plan,
                        const struct purge_templates *headers)
{
    const struct slice in_url = plan->values[VARIABLE_TAG];

    plan->values[VARIABLE_TAG] = plan->tag;
    for (size_t i = 0; i < headers->count; i++) {
        template_render(&headers->list[i], plan->values, plan->scrap);
        buffer_append(plan->scrap, "", 1);
    }
    plan->values[VARIABLE_TAG] = in_url;
}

static void put_request(struct plan *plan,
                        const struct purge_template *template)
{
    plan->scrap->size = 0;
    buffer_append(plan->scrap, template->method, strlen(template->method) + 1);
    template_render(&template->url, plan->values, plan->scrap);
    buffer_append(plan->scrap, "", 1);
    put_headers(plan, &template->headers);
    plan->add(plan->context, slice_of(plan->scrap->data, plan->scrap->size));
}

const char *plan_next_part(struct slice *rest)
{
    const char *part = (const char *)rest->data;

    if (rest->size == 0) {
        return NULL;
    }
    const size_t size = strlen(part) + 1;
    *rest = slice_of(rest->data + size, rest->size - size);
    return part;
}

/* --- what is rendered how often --------------------------------------------*/
static void for_each_path(struct plan *plan,
                          const struct purge_template *template)
{
    const struct purge_templates *paths = &plan->rule->paths;

    for (size_t i = 0; i < paths->count; i++) {
        plan->values[VARIABLE_PATH] = rendered(plan, &paths->list[i]);
        put_request(plan, template);
    }
}

static void for_each_tag(struct plan *plan,
                         const struct purge_template *template,
                         struct slice tags)
{
    while ((plan->tag = event_next_tag(&tags)).size > 0) {
        plan->values[VARIABLE_TAG] = encoded(plan, plan->tag, false);
        put_request(plan, template);
    }
}

static bool uses(const struct purge_template *template,
                 enum template_variable variable)
{
    return (template->uses & VARIABLE_BIT(variable)) != 0;
}

/* Of a template that has no path. */
static void for_key(struct plan *plan, const struct purge_template *template,
                    const struct purge_event *event)
{
    if (uses(template, VARIABLE_TAG)) {
        for_each_tag(plan, template, event->tags);
    } else {
        put_request(plan, template);
    }
}

/* `form`: 0 is the key itself; its other forms matter for paths alone. */
static void for_each_template(struct plan *plan,
                              const struct purge_event *event, size_t form)
{
    const struct purge_config *config = plan->config;

    for (size_t i = 0; i < config->template_count; i++) {
        const struct purge_template *template = &config->templates[i];

        if ((plan->rule->templates & 1ull << i) == 0) {
            continue;
        }
        if (uses(template, VARIABLE_PATH)) {
            for_each_path(plan, template);
        } else if (form == 0) {
            for_key(plan, template, event);
        }
    }
}

/* --- values ----------------------------------------------------------------*/
static struct slice directory_of(struct slice key)
{
    const uint8_t *slash = memrchr(key.data, '/', key.size);

    return slice_of(key.data,
                    slash != NULL ? (size_t)(slash + 1 - key.data) : 0);
}

static void set_values(struct plan *plan, struct slice key)
{
    const size_t prefix = strlen(plan->rule->prefix);

    plan->values[VARIABLE_KEY] = encoded(plan, key, true);
    plan->values[VARIABLE_KEY_ENCODED] = encoded(plan, key, false);
    plan->values[VARIABLE_REST] =
        encoded(plan, slice_of(key.data + prefix, key.size - prefix), true);
}

static bool holds(const struct purge_rule *rule, struct slice bucket)
{
    return strcmp(rule->bucket, "*") == 0 ||
           slice_equal_string(bucket, rule->bucket);
}

static void for_rule(struct plan *plan, const struct purge_event *event)
{
    const struct slice prefix = slice_from_string(plan->rule->prefix);
    struct slice forms[FORMS_MAX];
    const size_t count = plan_forms(plan->rule, event->key, forms);

    plan->values[VARIABLE_PREFIX] = encoded(plan, prefix, true);
    plan->values[VARIABLE_DIRECTORY] =
        encoded(plan, directory_of(event->key), true);
    for (size_t i = 0; i < count; i++) {
        if (slice_has_prefix(forms[i], prefix)) {
            set_values(plan, forms[i]);
            for_each_template(plan, event, i);
        }
    }
}

void plan_event(const struct purge_config *config, size_t edge,
                const struct purge_event *event, plan_add add, void *context)
{
    struct buffer scrap = {0};
    struct plan plan = {.config = config,
                        .edge = &config->edges[edge],
                        .add = add,
                        .context = context,
                        .arena = arena_new(),
                        .scrap = &scrap};

    plan.values[VARIABLE_EDGE] = slice_from_string(plan.edge->url);
    plan.values[VARIABLE_BUCKET] = encoded(&plan, event->bucket, false);
    for (size_t i = 0; event->purges && i < config->rule_count; i++) {
        plan.rule = &config->rules[i];
        if ((plan.rule->edges & 1ull << edge) != 0 &&
            holds(plan.rule, event->bucket)) {
            for_rule(&plan, event);
        }
    }
    arena_free(plan.arena);
    buffer_free(&scrap);
}
