/* The document WebsiteConfiguration, read and written. */
#include "s3/document.h"
#include "s3/website.h"

#include <inttypes.h>
#include <string.h>

#define RULES_MAX 50u /* as S3's limit */

static bool malformed(struct s3_call *call)
{
    call_fail(call, S3_ERR_MalformedXML);
    return false;
}

/* At most one of each of these under the root. */
struct parts {
    const struct xml_node *all, *index, *error, *rules;
};

static bool find_parts(struct s3_call *call, const struct xml_node *root,
                       struct parts *parts)
{
    const struct {
        const char *name;
        const struct xml_node **node;
    } known[] = {
        {"RedirectAllRequestsTo", &parts->all},
        {"IndexDocument", &parts->index},
        {"ErrorDocument", &parts->error},
        {"RoutingRules", &parts->rules},
    };

    for (const struct xml_node *node = root->first; node != NULL;
         node = node->next) {
        size_t i = 0;

        while (i < 4 && !slice_equal_string(node->name, known[i].name)) {
            i++;
        }
        if (i == 4 || *known[i].node != NULL) {
            return malformed(call);
        }
        *known[i].node = node;
    }
    return true;
}

/* --- redirects -------------------------------------------------------------*/
static Meta__WebsiteRedirect *new_redirect(struct s3_call *call)
{
    Meta__WebsiteRedirect *redirect =
        arena_alloc(call->arena, sizeof(*redirect));

    meta__website_redirect__init(redirect);
    return redirect;
}

static bool read_protocol(struct s3_call *call, struct slice text,
                          Meta__WebsiteRedirect *redirect)
{
    if (text.data != NULL && !slice_equal_string(text, "http") &&
        !slice_equal_string(text, "https")) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "Invalid protocol, protocol can be http or https. If "
                          "not defined the protocol will be selected "
                          "automatically.");
        return false;
    }
    redirect->protocol = pb_bytes(text);
    return true;
}

static bool read_all(struct s3_call *call, const struct parts *parts,
                     Meta__Website *website)
{
    struct xml_leaf leaves[] = {{.name = "HostName", .required = true},
                                {.name = "Protocol"}};

    if (parts->index != NULL || parts->error != NULL || parts->rules != NULL) {
        call_fail_argument(call, "RedirectAllRequestsTo",
                           SLICE_LITERAL("not null"),
                           "RedirectAllRequestsTo cannot be provided in "
                           "conjunction with other Routing Rules.");
        return false;
    }
    if (!xml_in_leaves(parts->all, leaves, 2)) {
        return malformed(call);
    }
    if (leaves[0].value.size == 0) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "A host name must be provided to redirect all "
                          "requests (e.g. \"example.com\").");
        return false;
    }
    website->all = new_redirect(call);
    website->all->host = pb_bytes(leaves[0].value);
    return read_protocol(call, leaves[1].value, website->all);
}

/* S3 knows the statuses of RFC 2616, and 308. */
static bool is_redirect_status(uint64_t number)
{
    return number > 300 && number <= 308 && number != 306;
}

static bool is_error_status(uint64_t number)
{
    return (number >= 400 && number <= 417) || (number >= 500 && number <= 505);
}

/* data == NULL leaves it alone. */
static bool read_status(struct s3_call *call, struct slice text,
                        bool (*is_good)(uint64_t number), const char *complaint,
                        uint32_t *status)
{
    uint64_t number;

    if (text.data == NULL) {
        return true;
    }
    if (slice_to_u64(text, &number) != 0) {
        return malformed(call);
    }
    if (!is_good(number)) {
        call_fail_message(call, S3_ERR_InvalidRequest, complaint, number);
        return false;
    }
    *status = (uint32_t)number;
    return true;
}

static bool read_redirect(struct s3_call *call, const struct xml_node *node,
                          Meta__WebsiteRule *rule)
{
    enum { HOST, CODE, PROTOCOL, PREFIX, KEY, COUNT };
    struct xml_leaf leaves[COUNT] = {
        [HOST] = {.name = "HostName"},
        [CODE] = {.name = "HttpRedirectCode"},
        [PROTOCOL] = {.name = "Protocol"},
        [PREFIX] = {.name = "ReplaceKeyPrefixWith"},
        [KEY] = {.name = "ReplaceKeyWith"},
    };
    Meta__WebsiteRedirect *redirect = new_redirect(call);

    rule->redirect = redirect;
    if (node->first == NULL || !xml_in_leaves(node, leaves, COUNT)) {
        return malformed(call);
    }
    if (leaves[PREFIX].value.data != NULL && leaves[KEY].value.data != NULL) {
        call_fail_message(
            call, S3_ERR_InvalidRequest,
            "You can only define ReplaceKeyPrefix or ReplaceKey but not both.");
        return false;
    }
    if (leaves[HOST].value.data != NULL && leaves[HOST].value.size == 0) {
        call_fail_message(
            call, S3_ERR_InvalidRequest,
            "The HostName cannot be blank. To redirect within the same domain, "
            "the element should not be present.");
        return false;
    }
    redirect->host = pb_bytes(leaves[HOST].value);
    if (leaves[PREFIX].value.data != NULL) {
        redirect->replace = META__WEBSITE_REPLACE__REPLACE_PREFIX;
        redirect->replacement = pb_bytes(leaves[PREFIX].value);
    } else if (leaves[KEY].value.data != NULL) {
        redirect->replace = META__WEBSITE_REPLACE__REPLACE_KEY;
        redirect->replacement = pb_bytes(leaves[KEY].value);
    }
    return read_protocol(call, leaves[PROTOCOL].value, redirect) &&
           read_status(call, leaves[CODE].value, is_redirect_status,
                       "The provided HTTP redirect code (%" PRIu64
                       ") is not valid. Valid codes are 3XX except 300.",
                       &redirect->status);
}

/* --- rules -----------------------------------------------------------------*/
static bool read_condition(struct s3_call *call, const struct xml_node *node,
                           Meta__WebsiteRule *rule)
{
    struct xml_leaf leaves[] = {{.name = "KeyPrefixEquals"},
                                {.name = "HttpErrorCodeReturnedEquals"}};

    if (!xml_in_leaves(node, leaves, 2)) {
        return malformed(call);
    }
    if (node->first == NULL) {
        call_fail_message(
            call, S3_ERR_InvalidRequest,
            "Condition cannot be empty. To redirect all requests without a "
            "condition, the condition element shouldn't be present.");
        return false;
    }
    rule->prefix = pb_bytes(leaves[0].value);
    return read_status(call, leaves[1].value, is_error_status,
                       "The provided HTTP error code (%" PRIu64
                       ") is not valid. Valid codes are 4XX or 5XX.",
                       &rule->error);
}

static bool read_rule(struct s3_call *call, const struct xml_node *parent,
                      Meta__WebsiteRule *rule)
{
    const struct xml_node *condition = NULL, *redirect = NULL;

    if (!slice_equal_string(parent->name, "RoutingRule")) {
        return malformed(call);
    }
    for (const struct xml_node *node = parent->first; node != NULL;
         node = node->next) {
        const struct xml_node **part =
            slice_equal_string(node->name, "Condition")  ? &condition
            : slice_equal_string(node->name, "Redirect") ? &redirect
                                                         : NULL;

        if (part == NULL || *part != NULL) {
            return malformed(call);
        }
        *part = node;
    }
    if (redirect == NULL) {
        return malformed(call);
    }
    return (condition == NULL || read_condition(call, condition, rule)) &&
           read_redirect(call, redirect, rule);
}

static bool read_rules(struct s3_call *call, const struct xml_node *parent,
                       Meta__Website *website)
{
    size_t count = 0;

    for (const struct xml_node *node = parent->first; node != NULL;
         node = node->next) {
        count++;
    }
    if (count == 0) {
        return malformed(call);
    }
    if (count > RULES_MAX) {
        call_fail_message(call, S3_ERR_InvalidRequest,
                          "%zu routing rules provided, the number of routing "
                          "rules in a website configuration is limited to %u.",
                          count, RULES_MAX);
        return false;
    }
    website->rules = arena_alloc(call->arena, count * sizeof(*website->rules));
    for (const struct xml_node *node = parent->first; node != NULL;
         node = node->next) {
        Meta__WebsiteRule *rule = arena_alloc(call->arena, sizeof(*rule));

        meta__website_rule__init(rule);
        website->rules[website->n_rules++] = rule;
        if (!read_rule(call, node, rule)) {
            return false;
        }
    }
    return true;
}

/* --- the whole -------------------------------------------------------------*/
static bool read_index(struct s3_call *call, const struct xml_node *node,
                       Meta__Website *website)
{
    struct xml_leaf suffix = {.name = "Suffix", .required = true};

    if (node == NULL) {
        call_fail_argument(call, "IndexDocument", SLICE_LITERAL("null"),
                           "A value for IndexDocument Suffix must be provided "
                           "if RedirectAllRequestsTo is empty");
        return false;
    }
    if (!xml_in_leaves(node, &suffix, 1)) {
        return malformed(call);
    }
    if (suffix.value.size == 0 || suffix.value.size > S3_KEY_MAX ||
        memchr(suffix.value.data, '/', suffix.value.size) != NULL) {
        call_fail_argument(call, "IndexDocument", suffix.value,
                           "The IndexDocument Suffix is not well formed");
        return false;
    }
    website->index_suffix = pb_bytes(suffix.value);
    return true;
}

static bool read_error(struct s3_call *call, const struct xml_node *node,
                       Meta__Website *website)
{
    struct xml_leaf key = {.name = "Key", .required = true};

    if (!xml_in_leaves(node, &key, 1)) {
        return malformed(call);
    }
    if (!object_valid_key(key.value)) {
        call_fail_argument(call, "ErrorDocument", key.value,
                           "The ErrorDocument Key is not well formed");
        return false;
    }
    website->error_key = pb_bytes(key.value);
    return true;
}

Meta__Website *website_read(struct s3_call *call)
{
    const struct xml_node *root =
        document_request(call, "WebsiteConfiguration");
    Meta__Website *website = arena_alloc(call->arena, sizeof(*website));
    struct parts parts = {.all = NULL};
    bool good;

    meta__website__init(website);
    if (root == NULL || !find_parts(call, root, &parts)) {
        return NULL;
    }
    if (parts.all != NULL) {
        good = read_all(call, &parts, website);
    } else {
        good =
            read_index(call, parts.index, website) &&
            (parts.error == NULL || read_error(call, parts.error, website)) &&
            (parts.rules == NULL || read_rules(call, parts.rules, website));
    }
    return good ? website : NULL;
}

/* --- writing ---------------------------------------------------------------*/
static void write_known(struct buffer *out, const char *name,
                        ProtobufCBinaryData value)
{
    if (value.len > 0) {
        xml_text(out, name, pb_slice(value));
    }
}

static void write_redirect(struct buffer *out, const char *element,
                           const Meta__WebsiteRedirect *redirect)
{
    xml_open(out, element);
    write_known(out, "Protocol", redirect->protocol);
    write_known(out, "HostName", redirect->host);
    if (redirect->replace != META__WEBSITE_REPLACE__REPLACE_NOTHING) {
        xml_text(out,
                 redirect->replace == META__WEBSITE_REPLACE__REPLACE_KEY
                     ? "ReplaceKeyWith"
                     : "ReplaceKeyPrefixWith",
                 pb_slice(redirect->replacement));
    }
    if (redirect->status != 0) {
        xml_number(out, "HttpRedirectCode", redirect->status);
    }
    xml_close(out, element);
}

static void write_rule(struct buffer *out, const Meta__WebsiteRule *rule)
{
    xml_open(out, "RoutingRule");
    if (rule->prefix.len > 0 || rule->error != 0) {
        xml_open(out, "Condition");
        write_known(out, "KeyPrefixEquals", rule->prefix);
        if (rule->error != 0) {
            xml_number(out, "HttpErrorCodeReturnedEquals", rule->error);
        }
        xml_close(out, "Condition");
    }
    write_redirect(out, "Redirect", rule->redirect);
    xml_close(out, "RoutingRule");
}

void website_write(struct buffer *out, const Meta__Website *website)
{
    xml_open_document(out, "WebsiteConfiguration");
    if (website->all != NULL) {
        write_redirect(out, "RedirectAllRequestsTo", website->all);
    } else {
        xml_open(out, "IndexDocument");
        xml_text(out, "Suffix", pb_slice(website->index_suffix));
        xml_close(out, "IndexDocument");
    }
    if (website->error_key.len > 0) {
        xml_open(out, "ErrorDocument");
        xml_text(out, "Key", pb_slice(website->error_key));
        xml_close(out, "ErrorDocument");
    }
    if (website->n_rules > 0) {
        xml_open(out, "RoutingRules");
        for (size_t i = 0; i < website->n_rules; i++) {
            write_rule(out, website->rules[i]);
        }
        xml_close(out, "RoutingRules");
    }
    xml_close(out, "WebsiteConfiguration");
}
