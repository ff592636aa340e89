/*
 * Policies: compiling and deciding. The input is a line "KIND CALLER ACTION
 * RESOURCE KEY=VALUE..." and a document.
 */
#include "fuzz.h"
#include "policy/policy.h"

#define ENTRIES_MAX 16

struct context {
    struct slice keys[ENTRIES_MAX], values[ENTRIES_MAX];
    size_t count;
};

static size_t values_of(void *argument, struct slice key, struct slice *values)
{
    const struct context *context = argument;
    size_t count = 0;

    for (size_t i = 0; i < context->count; i++) {
        if (context->keys[i].size == key.size &&
            strncasecmp((const char *)context->keys[i].data,
                        (const char *)key.data, key.size) == 0) {
            values[count++] = context->values[i];
        }
    }
    return count;
}

static struct slice to_slice(struct input input)
{
    return slice_of(input.data, input.size);
}

static void set_caller(struct policy_principal *caller, struct input name)
{
    static const char id[] = "2222222222222222222222222222222222222222222222222"
                             "222222222222222";

    caller->anonymous = name.size == 0 || name.data[0] == '-';
    if (!caller->anonymous) {
        caller->arn = to_slice(name);
        caller->account = SLICE_LITERAL("111122223333");
        caller->canonical = slice_from_string(id);
    }
}

static struct policy_request read_request(struct input line,
                                          struct context *context)
{
    struct policy_request request = {.values = values_of, .context = context};

    set_caller(&request.principal, input_until(&line, ' '));
    request.action = to_slice(input_until(&line, ' '));
    request.resource = to_slice(input_until(&line, ' '));
    while (line.size > 0 && context->count < ENTRIES_MAX) {
        struct input entry = input_until(&line, ' ');
        context->keys[context->count] = to_slice(input_until(&entry, '='));
        context->values[context->count++] = to_slice(entry);
    }
    return request;
}

/* Whatever else allows, a Deny decides; and nothing allows by itself. */
static void check_decisions(struct policy *policy, enum policy_effect effect,
                            const struct policy_request *request)
{
    struct policy_inputs inputs = {.root = true,
                                   .identity = &policy,
                                   .identity_count = 1,
                                   .resource = policy,
                                   .same_account = true,
                                   .acl_allows = true};
    struct policy_decision made = policy_decide(&inputs, request);

    MUST(made.allowed == (effect != POLICY_DENY));
    MUST(made.explicit_deny == (effect == POLICY_DENY));
    MUST(made.reason.sid != NULL);
    inputs = (struct policy_inputs){
        .identity = &policy, .identity_count = 1, .same_account = true};
    made = policy_decide(&inputs, request);
    MUST(made.allowed ==
         (effect == POLICY_ALLOW && !request->principal.anonymous));
}

static void check(struct policy *policy, enum policy_kind kind,
                  struct policy_request *request, struct context *context)
{
    struct policy_reason reason;
    enum policy_effect effect = policy_evaluate(policy, request, &reason);

    MUST(effect == POLICY_NO_MATCH || reason.sid != NULL);
    MUST(policy_evaluate(policy, request, NULL) == effect);
    check_decisions(policy, effect, request);
    /* Who lets strangers in who bring nothing at all is public. */
    context->count = 0;
    request->principal = (struct policy_principal){.anonymous = true};
    if (kind == POLICY_BUCKET &&
        policy_evaluate(policy, request, NULL) == POLICY_ALLOW) {
        MUST(policy_is_public(policy));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct input line = input_until(&input, '\n');
    struct input word = input_until(&line, ' ');
    struct context context = {.count = 0};
    char message[POLICY_MESSAGE_MAX];
    struct policy *policy;
    enum policy_kind kind = POLICY_IDENTITY;

    if (word.size > 0) {
        kind = word.data[0] == 'b'   ? POLICY_BUCKET
               : word.data[0] == 't' ? POLICY_TRUST
                                     : POLICY_IDENTITY;
    }
    uint8_t *document = input_copy(input);
    memset(message, 'x', sizeof(message));
    int rc =
        policy_parse(kind, slice_from_string(kind == POLICY_BUCKET ? "b" : ""),
                     slice_of(document, input.size), &policy, message);
    free(document); /* a policy keeps nothing of it */
    MUST(memchr(message, '\0', sizeof(message)) != NULL);
    MUST((rc == 0) == (policy != NULL));
    MUST((rc == 0) == (message[0] == '\0'));
    if (policy != NULL) {
        struct policy_request request = read_request(line, &context);
        check(policy, kind, &request, &context);
        policy_release(policy);
    }
    return 0;
}
