/* Rules of buckets: what they tell of, and where two of them meet. */
#include "events/events.h"

static struct slice filter_of(const Meta__NotificationRule *rule,
                              const char *name)
{
    for (size_t i = 0; i < rule->n_filters; i++) {
        const Meta__Field *filter = rule->filters[i];

        if (slice_equal_string(slice_of(filter->name.data, filter->name.len),
                               name)) {
            return slice_of(filter->value.data, filter->value.len);
        }
    }
    return SLICE_LITERAL("");
}

struct slice events_rule_prefix(const Meta__NotificationRule *rule)
{
    return filter_of(rule, EVENTS_FILTER_PREFIX);
}

struct slice events_rule_suffix(const Meta__NotificationRule *rule)
{
    return filter_of(rule, EVENTS_FILTER_SUFFIX);
}

static bool has_suffix(struct slice text, struct slice suffix)
{
    return text.size >= suffix.size &&
           slice_equal(
               slice_of(text.data + text.size - suffix.size, suffix.size),
               suffix);
}

bool events_rule_matches(const Meta__NotificationRule *rule,
                         Meta__EventType type, struct slice key)
{
    for (size_t i = 0; i < rule->n_events; i++) {
        if (events_type_matches(rule->events[i], type)) {
            return slice_has_prefix(key, events_rule_prefix(rule)) &&
                   has_suffix(key, events_rule_suffix(rule));
        }
    }
    return false;
}

bool events_filters_overlap(const Meta__NotificationRule *a,
                            const Meta__NotificationRule *b)
{
    const struct slice prefix_a = events_rule_prefix(a);
    const struct slice prefix_b = events_rule_prefix(b);
    const struct slice suffix_a = events_rule_suffix(a);
    const struct slice suffix_b = events_rule_suffix(b);

    return (slice_has_prefix(prefix_a, prefix_b) ||
            slice_has_prefix(prefix_b, prefix_a)) &&
           (has_suffix(suffix_a, suffix_b) || has_suffix(suffix_b, suffix_a));
}
