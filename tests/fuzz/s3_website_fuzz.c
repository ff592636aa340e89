/*
 * The configuration of a website, then after a NUL a key, after another one
 * the query: what is taken, told and put again, is the same; where its rules
 * lead can stand in a header.
 */
#include "fuzz.h"

#include "s3/website.h"

static const Wire__Request no_request = WIRE__REQUEST__INIT;

/* NULL: refused, with an answer. */
static Meta__Website *read_document(struct s3_call *call, struct arena *arena,
                                    struct slice document)
{
    Meta__Website *website;

    memset(call, 0, sizeof(*call));
    call->arena = arena;
    call->request = &no_request;
    buffer_append(&call->xml, document.data, document.size);
    website = website_read(call);
    MUST((website == NULL) == call->done);
    if (call->done) {
        MUST(call->reply.status == 400);
    }
    buffer_free(&call->xml);
    buffer_free(&call->error_fields);
    buffer_free(&call->document);
    return website;
}

static void check_round_trip(struct arena *arena, const Meta__Website *website)
{
    struct buffer once = {0}, twice = {0};
    struct s3_call call;
    Meta__Website *again;

    website_write(&once, website);
    again = read_document(&call, arena, slice_of(once.data, once.size));
    MUST(again != NULL);
    website_write(&twice, again);
    MUST(once.size == twice.size);
    MUST(memcmp(once.data, twice.data, once.size) == 0);
    buffer_free(&once);
    buffer_free(&twice);
}

static void check_location(const Meta__WebsiteRedirect *redirect,
                           struct slice prefix,
                           const struct website_request *request)
{
    struct buffer out = {0};

    website_location(&out, redirect, prefix, request);
    MUST(slice_has_prefix(slice_of(out.data, out.size), SLICE_LITERAL("http")));
    for (size_t i = 0; i < out.size; i++) {
        MUST(out.data[i] > 0x20 && out.data[i] < 0x7f);
    }
    buffer_free(&out);
}

static void check_rules(const Meta__Website *website,
                        const struct website_request *request)
{
    static const unsigned statuses[] = {0, 403, 404, 500};

    if (website->all != NULL) {
        check_location(website->all, slice_of(NULL, 0), request);
    }
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        const Meta__WebsiteRule *rule =
            website_find_rule(website, request->key, statuses[i]);

        if (rule != NULL) {
            MUST(rule->error == statuses[i]);
            check_location(rule->redirect, pb_slice(rule->prefix), request);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    const struct input document = input_until(&input, '\0');
    const struct input key = input_until(&input, '\0');
    struct arena *arena = arena_new();
    struct s3_call call;
    uint8_t *copy = input_copy(document), *key_copy = input_copy(key),
            *query_copy = input_copy(input);
    const struct website_request request = {
        .key = slice_of(key_copy, key.size),
        .query = slice_of(query_copy, input.size),
        .host = SLICE_LITERAL("h:1"),
    };
    Meta__Website *website =
        read_document(&call, arena, slice_of(copy, document.size));

    free(copy); /* nothing is kept of it */
    if (website != NULL) {
        check_round_trip(arena, website);
        check_rules(website, &request);
    }
    free(key_copy);
    free(query_copy);
    arena_free(arena);
    return 0;
}
