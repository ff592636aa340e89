/*
 * policy/: what holds for all documents and requests. Both are made up from a
 * seed; a failure names it, and S3D_SEED replays it.
 */
#include "policy_fixture.h"

#include <stdlib.h>

#define ROUNDS         3000
#define STATEMENTS_MAX 6

/* --- chance: xorshift64 ----------------------------------------------------*/

static uint64_t chance;

static unsigned pick(unsigned count)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (unsigned)(chance % count);
}

#define PICK(array) ((array)[pick(sizeof(array) / sizeof((array)[0]))])

/* --- made-up documents -----------------------------------------------------*/

static const char *const actions[] = {"\"s3:*\"",
                                      "\"s3:GetObject\"",
                                      "[\"s3:Get*\",\"s3:Put*\"]",
                                      "\"s3:*Object\"",
                                      "\"*\"",
                                      "\"s3:?etObject\"",
                                      "[\"s3:Delete*\"]"};
static const char *const resources[] = {
    "\"arn:aws:s3:::b*\"", "\"arn:aws:s3:::b/*\"",
    "[\"arn:aws:s3:::b/a/*\",\"arn:aws:s3:::b/*z\"]",
    "\"arn:aws:s3:::b/${aws:username}/*\"", "\"arn:aws:s3:::b/a?c\""};
static const char *const principals[] = {
    "\"*\"",
    "{\"AWS\":\"" ACCOUNT_ONE "\"}",
    "{\"AWS\":[\"" ACCOUNT_TWO "\",\"arn:aws:iam::" ACCOUNT_ONE
    ":user/alice\"]}",
    "{\"AWS\":\"arn:aws:iam::" ACCOUNT_ONE ":role/worker\"}",
    "{\"CanonicalUser\":\"" CANONICAL_TWO "\"}",
    "{\"AWS\":\"arn:aws:sts::" ACCOUNT_ONE ":assumed-role/worker/night\"}"};
static const char *const conditions[] = {
    "",
    "",
    ",\"Condition\":{\"StringEquals\":{\"aws:username\":[\"alice\",\"bob\"]}}",
    ",\"Condition\":{\"StringNotLike\":{\"aws:UserAgent\":\"c*l\"}}",
    ",\"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"10.0.0.0/9\"}}",
    ",\"Condition\":{\"NotIpAddressIfExists\":{\"aws:SourceIp\":\"10.1.0.0/"
    "16\"}}",
    ",\"Condition\":{\"Bool\":{\"aws:SecureTransport\":true}}",
    ",\"Condition\":{\"Null\":{\"aws:UserAgent\":\"true\"}}",
    ",\"Condition\":{\"ForAllValues:StringEquals\":{\"aws:TagKeys\":[\"a\","
    "\"b\"]}}",
    ",\"Condition\":{\"ForAnyValue:StringNotEquals\":{\"aws:TagKeys\":\"a\"}}",
    ",\"Condition\":{\"DateGreaterThan\":{\"aws:CurrentTime\":\"2020-01-01\"},"
    "\"NumericLessThan\":{\"s3:signatureAge\":\"60\"}}",
    ",\"Condition\":{\"StringEquals\":{\"aws:UserAgent\":\"${aws:username, "
    "'x'}\"}}"};

/* A statement of its own text in `out`. */
static void make_statement(enum policy_kind kind, const char *effect,
                           char out[1024])
{
    char principal[256] = "";

    if (kind == POLICY_BUCKET) {
        snprintf(principal, sizeof(principal), "\"%sPrincipal\":%s,",
                 pick(6) == 0 ? "Not" : "", PICK(principals));
    }
    snprintf(out, 1024,
             "{\"Effect\":\"%s\",%s\"%sAction\":%s,\"%sResource\":%s%s}",
             effect, principal, pick(6) == 0 ? "Not" : "", PICK(actions),
             pick(6) == 0 ? "Not" : "", PICK(resources), PICK(conditions));
}

struct draft {
    enum policy_kind kind;
    char statements[STATEMENTS_MAX + 1][1024];
    unsigned count;
};

static void make_draft(struct draft *draft, enum policy_kind kind)
{
    draft->kind = kind;
    draft->count = 1 + pick(STATEMENTS_MAX);
    for (unsigned i = 0; i < draft->count; i++) {
        make_statement(kind, pick(3) == 0 ? "Deny" : "Allow",
                       draft->statements[i]);
    }
}

static size_t draft_text(const struct draft *draft, char *json, size_t size)
{
    int used =
        snprintf(json, size, "{\"Version\":\"2012-10-17\",\"Statement\":[");

    for (unsigned i = 0; i < draft->count; i++) {
        used += snprintf(json + used, size - (size_t)used, "%s%s",
                         i > 0 ? "," : "", draft->statements[i]);
    }
    return (size_t)(used + snprintf(json + used, size - (size_t)used, "]}"));
}

static struct policy *compile_text(enum policy_kind kind, struct slice json)
{
    char message[POLICY_MESSAGE_MAX];
    struct policy *policy;
    struct slice bucket = slice_from_string(kind == POLICY_BUCKET ? "b" : "");

    if (policy_parse(kind, bucket, json, &policy, message) != 0) {
        assert_null(policy);
        assert_true(message[0] != '\0');
        return NULL;
    }
    return policy;
}

static struct policy *compile_draft(const struct draft *draft)
{
    static char json[(STATEMENTS_MAX + 2) * 1024];
    size_t size = draft_text(draft, json, sizeof(json));

    return compile_text(draft->kind, slice_of(json, size));
}

/* A draft that compiles: in some, an action has no resource. */
static struct policy *make_policy(struct draft *draft, enum policy_kind kind)
{
    struct policy *policy;

    do {
        make_draft(draft, kind);
        policy = compile_draft(draft);
    } while (policy == NULL);
    return policy;
}

/* --- made-up requests ------------------------------------------------------*/

static void maybe_add(struct context *context, const char *key,
                      const char *const *values, unsigned count)
{
    if (pick(2) == 0) {
        context_add(context, slice_from_string(key),
                    slice_from_string(values[pick(count)]));
    }
}

#define MAYBE_ADD(context, key, ...)                                           \
    do {                                                                       \
        static const char *const values[] = {__VA_ARGS__};                     \
        maybe_add(context, key, values, sizeof(values) / sizeof(values[0]));   \
    } while (0)

static struct policy_request make_request(struct context *context)
{
    static const char *const asked[] = {"s3:GetObject", "s3:PutObject",
                                        "s3:DeleteObject", "s3:ListBucket",
                                        "s3:GetBucketAcl"};
    static const char *const about[] = {
        "arn:aws:s3:::b", "arn:aws:s3:::b/abc", "arn:aws:s3:::b/a/z",
        "arn:aws:s3:::b/xyz", "arn:aws:s3:::b/alice/k"};

    context->count = 0;
    MAYBE_ADD(context, "aws:username", "alice", "bob", "carol");
    MAYBE_ADD(context, "aws:UserAgent", "curl", "wget", "alice");
    MAYBE_ADD(context, "aws:SourceIp", "10.0.0.1", "10.1.0.1", "192.0.2.1",
              "::1", "unix:");
    MAYBE_ADD(context, "aws:SecureTransport", "true", "false");
    MAYBE_ADD(context, "aws:TagKeys", "a", "b", "c");
    MAYBE_ADD(context, "aws:TagKeys", "a", "b", "c");
    MAYBE_ADD(context, "aws:CurrentTime", "2019-01-01T00:00:00Z",
              "2024-01-01T00:00:00Z");
    MAYBE_ADD(context, "s3:signatureAge", "59", "60", "x");
    return request_by(&PICK(callers), PICK(asked), PICK(about), context);
}

/* --- properties ------------------------------------------------------------*/

static enum policy_effect ask(const struct draft *draft,
                              const struct policy_request *request)
{
    struct policy *policy = compile_draft(draft);

    assert_non_null(policy);
    enum policy_effect effect = policy_evaluate(policy, request, NULL);
    policy_release(policy);
    return effect;
}

static enum policy_kind any_kind(void)
{
    return pick(2) == 0 ? POLICY_BUCKET : POLICY_IDENTITY;
}

/* Every answer comes up, or the generator proves nothing. */
static void answers_vary(void **state)
{
    unsigned seen[3] = {0};

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct draft draft;
        struct context context;
        struct policy *policy = make_policy(&draft, any_kind());
        struct policy_request request = make_request(&context);

        seen[policy_evaluate(policy, &request, NULL)]++;
        policy_release(policy);
    }
    assert_true(seen[POLICY_NO_MATCH] > ROUNDS / 20);
    assert_true(seen[POLICY_ALLOW] > ROUNDS / 20);
    assert_true(seen[POLICY_DENY] > ROUNDS / 20);
}

static void adding_a_deny_never_allows(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct draft draft;
        struct context context;
        struct policy *policy = make_policy(&draft, any_kind());
        struct policy_request request = make_request(&context);
        enum policy_effect before = policy_evaluate(policy, &request, NULL);

        policy_release(policy);
        do {
            make_statement(draft.kind, "Deny", draft.statements[draft.count]);
            draft.count++;
            policy = compile_draft(&draft);
            draft.count--;
        } while (policy == NULL);
        enum policy_effect after = policy_evaluate(policy, &request, NULL);
        policy_release(policy);
        assert_true(after == before || after == POLICY_DENY);
    }
}

static void an_unrelated_statement_changes_nothing(void **state)
{
    static const char *const unrelated[] = {
        "\"Allow\",\"Action\":\"s3:RestoreObject\","
        "\"Resource\":\"arn:aws:s3:::b/*\"",
        "\"Deny\",\"Action\":\"s3:*\","
        "\"Resource\":\"arn:aws:s3:::b/nowhere\"",
        "\"Deny\",\"Action\":\"s3:*\",\"Resource\":\"arn:aws:s3:::b/*\","
        "\"Condition\":{\"StringEquals\":{\"aws:Referer\":\"x\"}}"};

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct draft draft;
        struct context context;
        struct policy *policy = make_policy(&draft, any_kind());
        struct policy_request request = make_request(&context);
        enum policy_effect before = policy_evaluate(policy, &request, NULL);

        policy_release(policy);
        snprintf(draft.statements[draft.count++], 1024, "{%s\"Effect\":%s}",
                 draft.kind == POLICY_BUCKET ? "\"Principal\":\"*\"," : "",
                 PICK(unrelated));
        assert_int_equal(ask(&draft, &request), before);
    }
}

static void the_order_of_statements_does_not_matter(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct draft draft, shuffled;
        struct context context;
        struct policy *policy = make_policy(&draft, any_kind());
        struct policy_request request = make_request(&context);
        enum policy_effect before = policy_evaluate(policy, &request, NULL);

        policy_release(policy);
        shuffled = draft;
        for (unsigned i = 0; i < draft.count; i++) {
            memcpy(shuffled.statements[i],
                   draft.statements[draft.count - 1 - i], 1024);
        }
        assert_int_equal(ask(&shuffled, &request), before);
    }
}

#define DOCUMENTS 3

/* Everything that has a say, made up. */
struct case_of_all {
    struct policy *identity[DOCUMENTS], *session[DOCUMENTS], *resource;
    struct policy_inputs inputs;
};

static void make_case(struct case_of_all *all)
{
    struct draft draft;

    for (unsigned i = 0; i < DOCUMENTS; i++) {
        all->identity[i] = make_policy(&draft, POLICY_IDENTITY);
        all->session[i] = make_policy(&draft, POLICY_IDENTITY);
    }
    all->resource = make_policy(&draft, POLICY_BUCKET);
    all->inputs = (struct policy_inputs){
        .root = pick(8) == 0,
        .identity = all->identity,
        .identity_count = pick(DOCUMENTS + 1),
        .has_session = pick(3) == 0,
        .session = all->session,
        .resource = pick(2) == 0 ? all->resource : NULL,
        .ignore_public = pick(4) == 0,
        .same_account = pick(2) == 0,
        .acl_allows = pick(4) == 0,
    };
    all->inputs.session_count =
        all->inputs.has_session ? pick(DOCUMENTS + 1) : 0;
}

static void free_case(struct case_of_all *all)
{
    for (unsigned i = 0; i < DOCUMENTS; i++) {
        policy_release(all->identity[i]);
        policy_release(all->session[i]);
    }
    policy_release(all->resource);
}

static void reverse(struct policy **policies, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct policy *other = policies[i];
        policies[i] = policies[count - 1 - i];
        policies[count - 1 - i] = other;
    }
}

static void the_order_of_documents_does_not_matter(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct case_of_all all;
        struct context context;

        make_case(&all);
        struct policy_request request = make_request(&context);
        struct policy_decision before = policy_decide(&all.inputs, &request);
        reverse(all.identity, all.inputs.identity_count);
        reverse(all.session, all.inputs.session_count);
        struct policy_decision after = policy_decide(&all.inputs, &request);
        free_case(&all);
        assert_int_equal(before.allowed, after.allowed);
        assert_int_equal(before.explicit_deny, after.explicit_deny);
        assert_int_equal(before.source, after.source);
    }
}

/* What can only take away: a session's policies, RestrictPublicBuckets, one
 * more Deny; and what can only give: root, an ACL. */
static void rights_move_one_way(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct case_of_all all;
        struct context context;

        make_case(&all);
        struct policy_request request = make_request(&context);
        struct policy_inputs less = all.inputs;
        bool allowed = policy_decide(&all.inputs, &request).allowed;

        switch (pick(5)) {
        case 0:
            less.ignore_public = true;
            break;
        case 1:
            less.acl_allows = false;
            break;
        case 2:
            less.root = false;
            break;
        case 3:
            less.has_session = true;
            less.session_count = all.inputs.has_session
                                     ? all.inputs.session_count
                                     : pick(DOCUMENTS + 1);
            break;
        default:
            less.same_account = false;
        }
        bool still = policy_decide(&less, &request).allowed;
        assert_true(allowed || !still);
        free_case(&all);
    }
}

static void an_explicit_deny_is_never_allowed(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct case_of_all all;
        struct context context;
        bool deny = false;

        make_case(&all);
        struct policy_request request = make_request(&context);
        struct policy_decision made = policy_decide(&all.inputs, &request);
        for (size_t i = 0; i < all.inputs.identity_count; i++) {
            deny |=
                policy_evaluate(all.identity[i], &request, NULL) == POLICY_DENY;
        }
        for (size_t i = 0; i < all.inputs.session_count; i++) {
            deny |=
                policy_evaluate(all.session[i], &request, NULL) == POLICY_DENY;
        }
        deny |=
            all.inputs.resource != NULL &&
            policy_evaluate(all.inputs.resource, &request, NULL) == POLICY_DENY;
        assert_int_equal(made.explicit_deny, deny);
        assert_false(made.explicit_deny && made.allowed);
        assert_non_null(made.reason.sid);
        free_case(&all);
    }
}

static void mutated_documents_are_refused_or_work(void **state)
{
    static char json[(STATEMENTS_MAX + 2) * 1024];
    unsigned good = 0;

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct draft draft;
        struct context context;

        make_draft(&draft, any_kind());
        size_t size = draft_text(&draft, json, sizeof(json));
        for (unsigned edits = 1 + pick(3); edits > 0; edits--) {
            json[pick((unsigned)size)] =
                (char)(pick(2) ? json[pick((unsigned)size)] : (int)pick(256));
        }
        struct policy *policy =
            compile_text(draft.kind, slice_of(json, size - pick(2)));
        if (policy != NULL) {
            struct policy_request request = make_request(&context);
            policy_evaluate(policy, &request, NULL);
            policy_release(policy);
            good++;
        }
    }
    assert_true(good > 0);
}

/* --- no allocation ---------------------------------------------------------*/
/* The
 * sanitizers have an allocator of their own: there this is not counted. */
static unsigned long allocations;

#ifndef __SANITIZE_ADDRESS__
#ifndef __SANITIZE_THREAD__
#define COUNTED 1

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    allocations++;
    return __libc_realloc(old, size);
}
#endif
#endif

static void decisions_do_not_allocate(void **state)
{
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct case_of_all all;
        struct context context;

        make_case(&all);
        struct policy_request request = make_request(&context);
        unsigned long before = allocations;
        policy_decide(&all.inputs, &request);
        assert_true(allocations == before);
        free_case(&all);
    }
#ifdef COUNTED
    assert_true(allocations > 0);
#endif
}

static int seed(void **state)
{
    const char *given = getenv("S3D_SEED");

    (void)state;
    chance = given != NULL ? strtoull(given, NULL, 0) : 0x5EED5EED5EEDULL;
    print_message("S3D_SEED=%#llx\n", (unsigned long long)chance);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_vary),
        cmocka_unit_test(adding_a_deny_never_allows),
        cmocka_unit_test(an_unrelated_statement_changes_nothing),
        cmocka_unit_test(the_order_of_statements_does_not_matter),
        cmocka_unit_test(the_order_of_documents_does_not_matter),
        cmocka_unit_test(rights_move_one_way),
        cmocka_unit_test(an_explicit_deny_is_never_allowed),
        cmocka_unit_test(mutated_documents_are_refused_or_work),
        cmocka_unit_test(decisions_do_not_allocate),
    };

    return cmocka_run_group_tests(tests, seed, NULL);
}
