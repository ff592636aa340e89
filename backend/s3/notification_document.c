/* The document NotificationConfiguration, read and written. */
#include "s3/notification.h"

#include "s3/document.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#define RULES_MAX  100u  /* as S3's limit */
#define ID_MAX     255u  /* characters, as S3's limit */
#define FILTER_MAX 1024u /* bytes */
#define ID_SIZE    16u   /* random bytes of an id that is made up */

#define EVENT_BRIDGE "EventBridgeConfiguration"

/* Elements of a kind of rule. */
static const struct kind {
    const char *element, *destination, *service;
    Meta__NotificationKind kind;
} kinds[] = {
    {"TopicConfiguration", "Topic", "sns",
     META__NOTIFICATION_KIND__NOTIFY_TOPIC},
    {"QueueConfiguration", "Queue", "sqs",
     META__NOTIFICATION_KIND__NOTIFY_QUEUE},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static bool malformed(struct s3_call *call)
{
    call_fail(call, S3_ERR_MalformedXML);
    return false;
}

static bool is_blank(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (memchr(" \t\r\n", text.data[i], 4) == NULL) {
            return false;
        }
    }
    return true;
}

static size_t count_children(const struct xml_node *node)
{
    size_t count = 0;

    for (node = node->first; node != NULL; node = node->next) {
        count++;
    }
    return count;
}

/* arn:aws:SERVICE:REGION:ACCOUNT:NAME */
static bool is_arn(struct slice text, const char *service)
{
    const struct slice head = SLICE_LITERAL("arn:aws:");
    const size_t size = strlen(service);
    unsigned colons = 0;

    if (!slice_has_prefix(text, head) || text.size < head.size + size + 1 ||
        memcmp(text.data + head.size, service, size) != 0 ||
        text.data[head.size + size] != ':') {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        colons += text.data[i] == ':';
    }
    return colons == 5 && text.data[text.size - 1] != ':';
}

static bool check_arn(struct s3_call *call, const struct kind *kind,
                      struct slice arn)
{
    const char *here = arena_printf(
        call->arena, "arn:aws:%s:%s:", kind->service, call->service->region);

    if (!is_arn(arn, kind->service)) {
        call_fail_argument(call, kind->destination, arn,
                           "The ARN could not be parsed");
        return false;
    }
    if (!slice_has_prefix(arn, slice_from_string(here))) {
        call_fail_argument(call, kind->destination, arn,
                           "The notification destination service region is not "
                           "valid for the bucket location constraint");
        return false;
    }
    return true;
}

/* --- filters ---------------------------------------------------------------*/
static bool is_word(struct slice text, const char *word)
{
    return text.size == strlen(word) &&
           strncasecmp((const char *)text.data, word, text.size) == 0;
}

static bool add_filter(struct s3_call *call, Meta__NotificationRule *rule,
                       struct slice given, struct slice value)
{
    const char *name =
        is_word(given, EVENTS_FILTER_PREFIX)   ? EVENTS_FILTER_PREFIX
        : is_word(given, EVENTS_FILTER_SUFFIX) ? EVENTS_FILTER_SUFFIX
                                               : NULL;
    Meta__Field *filter;

    if (name == NULL) {
        call_fail_argument(call, "FilterRule.Name", given,
                           "filter rule name must be either prefix or suffix");
        return false;
    }
    for (size_t i = 0; i < rule->n_filters; i++) {
        if (slice_equal_string(pb_slice(rule->filters[i]->name), name)) {
            call_fail_argument(
                call, "FilterRule.Name", given,
                name[0] == 'P'
                    ? "Cannot specify more than one prefix rule in a filter."
                    : "Cannot specify more than one suffix rule in a filter.");
            return false;
        }
    }
    if (value.size > FILTER_MAX) {
        call_fail_argument(call, "FilterRule.Value", value,
                           "Size of filter rule value cannot exceed 1024 bytes "
                           "in UTF-8 representation");
        return false;
    }
    filter = arena_alloc(call->arena, sizeof(*filter));
    meta__field__init(filter);
    filter->name = pb_bytes(slice_from_string(name));
    filter->value = pb_bytes(value);
    rule->filters[rule->n_filters++] = filter;
    return true;
}

/* <Filter><S3Key><FilterRule>... */
static bool read_filter(struct s3_call *call, const struct xml_node *node,
                        Meta__NotificationRule *rule)
{
    const struct xml_node *key = node->first;

    if (key == NULL) {
        return true;
    }
    if (key->next != NULL || !slice_equal_string(key->name, "S3Key")) {
        return malformed(call);
    }
    rule->filters =
        arena_alloc(call->arena, count_children(key) * sizeof(*rule->filters));
    for (node = key->first; node != NULL; node = node->next) {
        struct xml_leaf leaves[] = {{.name = "Name", .required = true},
                                    {.name = "Value", .required = true}};

        if (!slice_equal_string(node->name, "FilterRule") ||
            !xml_in_leaves(node, leaves, 2)) {
            return malformed(call);
        }
        if (!add_filter(call, rule, leaves[0].value, leaves[1].value)) {
            return false;
        }
    }
    return true;
}

/* --- rules -----------------------------------------------------------------*/
static bool add_event(struct s3_call *call, const struct xml_node *node,
                      Meta__NotificationRule *rule)
{
    const Meta__EventType type = events_type_parse(node->text);

    if (type == META__EVENT_TYPE__NO_EVENT ||
        type == META__EVENT_TYPE__TEST_EVENT) {
        call_fail_argument(call, "Event", node->text,
                           "The event is not supported for notifications");
        return false;
    }
    rule->events[rule->n_events++] = type;
    return true;
}

static size_t characters(struct slice text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.size; i++) {
        count += (text.data[i] & 0xc0) != 0x80;
    }
    return count;
}

static struct slice made_up_id(struct s3_call *call)
{
    char *text = arena_alloc(call->arena, 2 * ID_SIZE + 1);
    uint8_t raw[ID_SIZE];

    invariant(getrandom(raw, sizeof(raw), 0) == sizeof(raw));
    hex_encode(text, raw, sizeof(raw));
    return slice_from_string(text);
}

/* What every element of a rule says; its order is free. */
static bool read_element(struct s3_call *call, const struct xml_node *node,
                         const struct kind *kind, Meta__NotificationRule *rule)
{
    if (slice_equal_string(node->name, "Event")) {
        return add_event(call, node, rule);
    }
    if (slice_equal_string(node->name, "Filter") && rule->filters == NULL) {
        return read_filter(call, node, rule);
    }
    if (node->first != NULL) {
        return malformed(call);
    }
    if (slice_equal_string(node->name, "Id") && rule->id.data == NULL &&
        characters(node->text) <= ID_MAX) {
        rule->id = pb_bytes(node->text);
        return true;
    }
    if (slice_equal_string(node->name, kind->destination) &&
        rule->arn.data == NULL) {
        rule->arn = pb_bytes(node->text);
        return check_arn(call, kind, node->text);
    }
    return malformed(call);
}

static bool read_rule(struct s3_call *call, const struct xml_node *parent,
                      const struct kind *kind, Meta__NotificationRule *rule)
{
    meta__notification_rule__init(rule);
    rule->kind = kind->kind;
    rule->events = arena_alloc(call->arena,
                               count_children(parent) * sizeof(*rule->events));
    for (const struct xml_node *node = parent->first; node != NULL;
         node = node->next) {
        if (!read_element(call, node, kind, rule)) {
            return false;
        }
    }
    if (rule->arn.len == 0 || rule->n_events == 0) {
        return malformed(call);
    }
    if (rule->id.len == 0) {
        rule->id = pb_bytes(made_up_id(call));
    }
    return true;
}

/* Of a kind that s3d has no destinations of. */
static bool refuse_kind(struct s3_call *call, const struct xml_node *node)
{
    if (!slice_equal_string(node->name, "CloudFunctionConfiguration")) {
        return malformed(call);
    }
    for (node = node->first; node != NULL; node = node->next) {
        if (slice_equal_string(node->name, "CloudFunction")) {
            call_error_field(call, "ArgumentName1", node->text);
        }
    }
    call_error_field(call, "ArgumentValue1",
                     SLICE_LITERAL("There are no Lambda functions here"));
    call_fail_message(
        call, S3_ERR_InvalidArgument,
        "Unable to validate the following destination configurations");
    return false;
}

/* It says nothing but that it is there. */
static bool read_event_bridge(struct s3_call *call, const struct xml_node *node,
                              struct notification_rules *rules)
{
    if (node->first != NULL || !is_blank(node->text) || rules->event_bridge) {
        return malformed(call);
    }
    rules->event_bridge = true;
    return true;
}

static const struct kind *find_kind(struct slice element)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (slice_equal_string(element, kinds[i].element)) {
            return &kinds[i];
        }
    }
    return NULL;
}

static bool check_id(struct s3_call *call,
                     const struct notification_rules *rules)
{
    const Meta__NotificationRule *last = rules->rules[rules->count - 1];

    for (size_t i = 0; i + 1 < rules->count; i++) {
        if (slice_equal(pb_slice(rules->rules[i]->id), pb_slice(last->id))) {
            call_fail_argument(call, "Id", pb_slice(last->id),
                               "Same ID used for multiple configurations. IDs "
                               "must be unique");
            return false;
        }
    }
    return true;
}

static bool read_configuration(struct s3_call *call,
                               const struct xml_node *node,
                               struct notification_rules *rules)
{
    const struct kind *kind = find_kind(node->name);
    Meta__NotificationRule *rule;

    if (slice_equal_string(node->name, EVENT_BRIDGE)) {
        return read_event_bridge(call, node, rules);
    }
    if (kind == NULL) {
        return refuse_kind(call, node);
    }
    rule = arena_alloc(call->arena, sizeof(*rule));
    rules->rules[rules->count++] = rule;
    return read_rule(call, node, kind, rule) && check_id(call, rules);
}

bool notification_read(struct s3_call *call, struct notification_rules *rules)
{
    const struct xml_node *root =
        document_request(call, "NotificationConfiguration");
    size_t count;

    if (root == NULL) {
        return false;
    }
    if (root->first == NULL && !is_blank(root->text)) {
        return malformed(call);
    }
    count = count_children(root);
    *rules = (struct notification_rules){
        .rules = arena_alloc(call->arena, (count + 1) * sizeof(*rules->rules))};
    if (count > RULES_MAX) {
        call_fail_message(call, S3_ERR_InvalidArgument,
                          "A bucket cannot have more than 100 notification "
                          "configurations");
        return false;
    }
    for (const struct xml_node *node = root->first; node != NULL;
         node = node->next) {
        if (!read_configuration(call, node, rules)) {
            return false;
        }
    }
    return true;
}

/* --- rules that tell of the same -------------------------------------------*/
/* The first types of both that some event is of; false: there are none. */
static bool common_type(const Meta__NotificationRule *a,
                        const Meta__NotificationRule *b, const char **type_a,
                        const char **type_b)
{
    for (size_t i = 0; i < a->n_events; i++) {
        for (size_t j = 0; j < b->n_events; j++) {
            if (events_types_overlap(a->events[i], b->events[j])) {
                *type_a = events_type_name(a->events[i]);
                *type_b = events_type_name(b->events[j]);
                return true;
            }
        }
    }
    return false;
}

static bool check_pair(struct s3_call *call, const Meta__NotificationRule *a,
                       const Meta__NotificationRule *b)
{
    const bool filtered = a->n_filters > 0 || b->n_filters > 0;
    const char *type_a, *type_b;

    if (!events_filters_overlap(a, b) || !common_type(a, b, &type_a, &type_b)) {
        return true;
    }
    call_fail_argument(
        call, "Event",
        slice_from_string(arena_printf(call->arena, "%s, %s", type_a, type_b)),
        filtered ? "Configuration is ambiguously defined. Cannot have "
                   "overlapping suffixes in two rules if the prefixes are "
                   "overlapping for the same event type."
                 : "Configurations overlap. Configurations on the same bucket "
                   "cannot share a common event type.");
    return false;
}

bool notification_check_overlap(struct s3_call *call,
                                const struct notification_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++) {
        for (size_t j = i + 1; j < rules->count; j++) {
            if (!check_pair(call, rules->rules[i], rules->rules[j])) {
                return false;
            }
        }
    }
    return true;
}

/* --- writing ---------------------------------------------------------------*/
static void write_rule(struct buffer *out, const Meta__NotificationRule *rule)
{
    const struct kind *kind = kinds;

    while (kind->kind != rule->kind) {
        kind++;
        invariant(kind < kinds + KINDS);
    }
    xml_open(out, kind->element);
    xml_text(out, "Id", pb_slice(rule->id));
    xml_text(out, kind->destination, pb_slice(rule->arn));
    for (size_t i = 0; i < rule->n_events; i++) {
        xml_string(out, "Event", events_type_name(rule->events[i]));
    }
    if (rule->n_filters > 0) {
        xml_open(out, "Filter");
        xml_open(out, "S3Key");
        for (size_t i = 0; i < rule->n_filters; i++) {
            xml_open(out, "FilterRule");
            xml_text(out, "Name", pb_slice(rule->filters[i]->name));
            xml_text(out, "Value", pb_slice(rule->filters[i]->value));
            xml_close(out, "FilterRule");
        }
        xml_close(out, "S3Key");
        xml_close(out, "Filter");
    }
    xml_close(out, kind->element);
}

void notification_write(struct buffer *out, const Meta__Bucket *bucket)
{
    xml_open_document(out, "NotificationConfiguration");
    for (size_t i = 0; i < bucket->n_notifications; i++) {
        write_rule(out, bucket->notifications[i]);
    }
    if (bucket->event_bridge) {
        xml_open(out, EVENT_BRIDGE);
        xml_close(out, EVENT_BRIDGE);
    }
    xml_close(out, "NotificationConfiguration");
}
