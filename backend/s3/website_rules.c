/* Which rule of a website holds, and where it leads. */
#include "s3/website.h"

#include <string.h>

const Meta__WebsiteRule *website_find_rule(const Meta__Website *website,
                                           struct slice key, unsigned status)
{
    for (size_t i = 0; i < website->n_rules; i++) {
        const Meta__WebsiteRule *rule = website->rules[i];

        if (rule->error == status &&
            slice_has_prefix(key, pb_slice(rule->prefix))) {
            return rule;
        }
    }
    return NULL;
}

void website_uri(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];

        if (c <= 0x20 || c >= 0x7f || strchr("\"<>\\^`{|}", c) != NULL) {
            buffer_printf(out, "%%%02X", c);
        } else {
            buffer_append(out, &c, 1);
        }
    }
}

/* What replaces goes out as it was written: it may have a query or a fragment
 * of its own. What is left of the key is only that; the client's query stays
 * with it. */
static void write_key(struct buffer *out, const Meta__WebsiteRedirect *redirect,
                      struct slice prefix, struct slice key)
{
    switch (redirect->replace) {
    case META__WEBSITE_REPLACE__REPLACE_KEY:
        website_uri(out, pb_slice(redirect->replacement));
        return;
    case META__WEBSITE_REPLACE__REPLACE_PREFIX:
        invariant(slice_has_prefix(key, prefix));
        website_uri(out, pb_slice(redirect->replacement));
        key = slice_of(key.data + prefix.size, key.size - prefix.size);
        break;
    default:
        break;
    }
    uri_encode(out, key, true);
}

void website_location(struct buffer *out, const Meta__WebsiteRedirect *redirect,
                      struct slice prefix,
                      const struct website_request *request)
{
    if (redirect->protocol.len > 0) {
        website_uri(out, pb_slice(redirect->protocol));
    } else {
        buffer_append_string(out, request->secure ? "https" : "http");
    }
    buffer_append_string(out, "://");
    website_uri(out, redirect->host.len > 0 ? pb_slice(redirect->host)
                                            : request->host);
    buffer_append_string(out, "/");
    write_key(out, redirect, prefix, request->key);
    if (request->query.size > 0 &&
        redirect->replace != META__WEBSITE_REPLACE__REPLACE_KEY) {
        buffer_append_string(out, "?");
        website_uri(out, request->query);
    }
}
