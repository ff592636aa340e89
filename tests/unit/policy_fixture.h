/* Requests for the tests of policy/: callers by name, condition keys as a
 * list. */
#ifndef POLICY_FIXTURE_H
#define POLICY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "policy/policy.h"

#define ACCOUNT_ONE "111122223333"
#define ACCOUNT_TWO "444455556666"
#define CANONICAL_ONE                                                          \
    "1111111111111111111111111111111111111111111111111111111111111111"
#define CANONICAL_TWO                                                          \
    "2222222222222222222222222222222222222222222222222222222222222222"
#define CONTEXT_MAX 256

/* What a request brings; a key of several values is there several times. */
struct context {
    struct {
        struct slice key, value;
    } entries[CONTEXT_MAX];
    size_t count;
};

static bool same_key(struct slice a, struct slice b)
{
    return a.size == b.size &&
           strncasecmp((const char *)a.data, (const char *)b.data, a.size) == 0;
}

static size_t context_values(void *argument, struct slice key,
                             struct slice *values)
{
    const struct context *context = argument;
    size_t count = 0;

    for (size_t i = 0; i < context->count; i++) {
        if (count < POLICY_VALUES_MAX &&
            same_key(context->entries[i].key, key)) {
            values[count++] = context->entries[i].value;
        }
    }
    return count;
}

static inline void context_add(struct context *context, struct slice key,
                               struct slice value)
{
    assert_true(context->count < CONTEXT_MAX);
    context->entries[context->count].key = key;
    context->entries[context->count].value = value;
    context->count++;
}

/* Buckets belong to the first account. */
struct caller {
    const char *name, *arn, *role_arn, *account, *canonical, *federated;
    bool root;
};

static const struct caller callers[] = {
    {.name = "anonymous"},
    {"root", "arn:aws:iam::" ACCOUNT_ONE ":root", "", ACCOUNT_ONE,
     CANONICAL_ONE, "", true},
    {"alice", "arn:aws:iam::" ACCOUNT_ONE ":user/alice", "", ACCOUNT_ONE,
     CANONICAL_ONE, "", false},
    {"bob", "arn:aws:iam::" ACCOUNT_ONE ":user/staff/bob", "", ACCOUNT_ONE,
     CANONICAL_ONE, "", false},
    {"worker", "arn:aws:sts::" ACCOUNT_ONE ":assumed-role/worker/night",
     "arn:aws:iam::" ACCOUNT_ONE ":role/worker", ACCOUNT_ONE, CANONICAL_ONE, "",
     false},
    {"carol", "arn:aws:iam::" ACCOUNT_TWO ":user/carol", "", ACCOUNT_TWO,
     CANONICAL_TWO, "", false},
    {"otherroot", "arn:aws:iam::" ACCOUNT_TWO ":root", "", ACCOUNT_TWO,
     CANONICAL_TWO, "", true},
    {"otherworker", "arn:aws:sts::" ACCOUNT_TWO ":assumed-role/worker/night",
     "arn:aws:iam::" ACCOUNT_TWO ":role/worker", ACCOUNT_TWO, CANONICAL_TWO, "",
     false},
    {.name = "oidc",
     .federated = "arn:aws:iam::" ACCOUNT_ONE ":oidc-provider/id.example.com"},
};

static inline const struct caller *caller_find(const char *name)
{
    for (size_t i = 0; i < sizeof(callers) / sizeof(callers[0]); i++) {
        if (strcmp(callers[i].name, name) == 0) {
            return &callers[i];
        }
    }
    fail_msg("no caller is named %s", name);
    return NULL;
}

static inline struct slice text_or_empty(const char *text)
{
    return slice_from_string(text == NULL ? "" : text);
}

static inline struct policy_request request_by(const struct caller *caller,
                                               const char *action,
                                               const char *resource,
                                               struct context *context)
{
    return (struct policy_request){
        .principal = {.anonymous =
                          caller->account == NULL && caller->federated == NULL,
                      .arn = text_or_empty(caller->arn),
                      .role_arn = text_or_empty(caller->role_arn),
                      .account = text_or_empty(caller->account),
                      .canonical = text_or_empty(caller->canonical),
                      .federated = text_or_empty(caller->federated)},
        .action = slice_from_string(action),
        .resource = slice_from_string(resource),
        .values = context_values,
        .context = context,
    };
}

#endif
