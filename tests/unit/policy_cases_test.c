/*
 * policy/: the table of cases. Its grammar is at the top of policy_cases.txt;
 * another file may be named on the command line.
 */
#include "policy_fixture.h"

#include <stdlib.h>

#define DOCUMENTS_MAX 8
#define LINE_MAX_SIZE (64 * 1024)

struct documents {
    struct policy *policies[DOCUMENTS_MAX];
    size_t count;
};

/* What the lines so far have set up. */
struct stage {
    struct documents identity, session, bucket, trust;
    struct policy *latest;
    char line[LINE_MAX_SIZE];
    char *rest; /* of the line, not yet read */
    struct context context;
    unsigned number; /* of the line */
    unsigned cases, failures;
};

static const char *path = "tests/unit/policy_cases.txt";

/* --- reading ---------------------------------------------------------------*/

static char *next_word(struct stage *stage)
{
    char *word = strtok_r(stage->rest, " ", &stage->rest);

    if (word == NULL) {
        fail_msg("%s:%u: the line ends too early", path, stage->number);
    }
    return word;
}

static void report(struct stage *stage, bool ok, const char *expected,
                   const char *got)
{
    stage->cases++;
    if (!ok) {
        stage->failures++;
        print_error("%s:%u: expected %s, got %s\n", path, stage->number,
                    expected, got);
    }
}

/* %XX, in place. */
static struct slice unescape(char *text)
{
    char *out = text;

    for (const char *in = text; *in != '\0'; in++) {
        if (*in == '%') {
            char digits[3] = {in[1], in[2], '\0'};
            *out++ = (char)strtol(digits, NULL, 16);
            in += 2;
        } else {
            *out++ = *in;
        }
    }
    *out = '\0';
    return slice_of(text, (size_t)(out - text));
}

/* [@caller] action resource key=value... */
static struct policy_request read_request(struct stage *stage,
                                          const struct caller **caller)
{
    char *word = next_word(stage);
    const char *name = "alice";
    char *entry;

    if (word[0] == '@') {
        name = word + 1;
        word = next_word(stage);
    }
    *caller = caller_find(name);
    struct policy_request request =
        request_by(*caller, word, "", &stage->context);
    request.resource = unescape(next_word(stage));
    stage->context.count = 0;
    while ((entry = strtok_r(NULL, " ", &stage->rest)) != NULL) {
        char *equals = strchr(entry, '=');
        assert_non_null(equals);
        *equals = '\0';
        context_add(&stage->context, unescape(entry), unescape(equals + 1));
    }
    return request;
}

/* --- documents -------------------------------------------------------------*/

static void forget(struct documents *documents)
{
    for (size_t i = 0; i < documents->count; i++) {
        policy_release(documents->policies[i]);
    }
    documents->count = 0;
}

static struct documents *find_documents(struct stage *stage, const char *name)
{
    switch (name[0]) {
    case 'i':
        return &stage->identity;
    case 's':
        return &stage->session;
    case 'b':
        return &stage->bucket;
    default:
        return &stage->trust;
    }
}

static enum policy_kind kind_of(const char *name)
{
    return name[0] == 'b'   ? POLICY_BUCKET
           : name[0] == 't' ? POLICY_TRUST
                            : POLICY_IDENTITY;
}

/* A whole document in one line. 0, or what policy_parse says. */
static int parse(const char *name, const char *json, struct policy **policy,
                 char message[POLICY_MESSAGE_MAX])
{
    enum policy_kind kind = kind_of(name);

    return policy_parse(kind,
                        slice_from_string(kind == POLICY_BUCKET ? "b" : ""),
                        slice_from_string(json), policy, message);
}

/* KIND[+] STATEMENTS: '+' adds a document. */
static void read_document(struct stage *stage, char *name)
{
    static char json[LINE_MAX_SIZE + 64];
    char message[POLICY_MESSAGE_MAX];
    struct documents *documents = find_documents(stage, name);
    const char *version =
        strstr(name, "-2008") != NULL ? "2008-10-17" : "2012-10-17";

    if (name[strlen(name) - 1] != '+') {
        forget(documents);
    }
    assert_true(documents->count < DOCUMENTS_MAX);
    snprintf(json, sizeof(json), "{\"Version\":\"%s\",\"Statement\":[%s]}",
             version, stage->rest);
    if (parse(name, json, &stage->latest, message) != 0) {
        fail_msg("%s:%u: %s", path, stage->number, message);
    }
    documents->policies[documents->count++] = stage->latest;
}

/* KIND DOCUMENT => message */
static void malformed(struct stage *stage)
{
    char message[POLICY_MESSAGE_MAX];
    const char *name = next_word(stage);
    char *arrow = strstr(stage->rest, " => ");
    struct policy *policy;

    assert_non_null(arrow);
    *arrow = '\0';
    int rc = parse(name, stage->rest, &policy, message);
    policy_release(policy);
    report(stage, rc != 0 && strcmp(message, arrow + 4) == 0, arrow + 4,
           rc != 0 ? message : "a policy");
}

/* KIND DOCUMENT */
static void wellformed(struct stage *stage)
{
    char message[POLICY_MESSAGE_MAX];
    const char *name = next_word(stage);
    struct policy *policy;

    int rc = parse(name, stage->rest, &policy, message);
    policy_release(policy);
    report(stage, rc == 0, "a policy", message);
}

/* --- questions -------------------------------------------------------------*/

static void evaluate(struct stage *stage, const char *expected)
{
    static const char *const names[] = {"none", "allow", "deny"};
    const struct caller *caller;
    struct policy_request request = read_request(stage, &caller);
    struct policy_reason reason;
    enum policy_effect effect =
        policy_evaluate(stage->latest, &request, &reason);

    report(stage, strcmp(names[effect], expected) == 0, expected,
           names[effect]);
}

/* yes|no SOURCE [+acl] [+restrict] request */
static void decide(struct stage *stage, const char *answer)
{
    static const char *const sources[] = {"default", "root",     "identity",
                                          "session", "resource", "acl"};
    const char *source = next_word(stage);
    struct policy_inputs inputs = {
        .identity = stage->identity.policies,
        .identity_count = stage->identity.count,
        .has_session = stage->session.count > 0,
        .session = stage->session.policies,
        .session_count = stage->session.count,
        .resource = stage->bucket.count > 0 ? stage->bucket.policies[0] : NULL,
    };
    const struct caller *caller;
    char expected[64], got[64];

    while (stage->rest[0] == '+') {
        const char *flag = next_word(stage);
        inputs.acl_allows |= strcmp(flag, "+acl") == 0;
        inputs.ignore_public |= strcmp(flag, "+restrict") == 0;
    }
    struct policy_request request = read_request(stage, &caller);
    inputs.root = caller->root;
    inputs.same_account =
        slice_equal_string(request.principal.account, ACCOUNT_ONE);
    struct policy_decision made = policy_decide(&inputs, &request);
    snprintf(expected, sizeof(expected), "%s %s", answer, source);
    snprintf(got, sizeof(got), "%s %s",
             made.allowed         ? "yes"
             : made.explicit_deny ? "never"
                                  : "no",
             sources[made.source]);
    report(stage, strcmp(expected, got) == 0, expected, got);
}

/* --- the file --------------------------------------------------------------*/

static void forget_all(struct stage *stage)
{
    forget(&stage->identity);
    forget(&stage->session);
    forget(&stage->bucket);
    forget(&stage->trust);
    stage->latest = NULL;
}

static void run_line(struct stage *stage)
{
    char *word = next_word(stage);

    if (strcmp(word, "new") == 0) {
        forget_all(stage);
    } else if (strcmp(word, "malformed") == 0) {
        malformed(stage);
    } else if (strcmp(word, "wellformed") == 0) {
        wellformed(stage);
    } else if (strcmp(word, "public") == 0 || strcmp(word, "private") == 0) {
        bool is_public = policy_is_public(stage->latest);
        report(stage, is_public == (word[1] == 'u'), word,
               is_public ? "public" : "private");
    } else if (strcmp(word, "allow") == 0 || strcmp(word, "deny") == 0 ||
               strcmp(word, "none") == 0) {
        evaluate(stage, word);
    } else if (strcmp(word, "yes") == 0 || strcmp(word, "no") == 0 ||
               strcmp(word, "never") == 0) {
        decide(stage, word);
    } else {
        read_document(stage, word);
    }
}

static void every_case_is_as_expected(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    FILE *file = fopen(path, "r");

    (void)state;
    assert_non_null(file);
    while (fgets(stage->line, sizeof(stage->line), file) != NULL) {
        stage->number++;
        stage->line[strcspn(stage->line, "\n")] = '\0';
        stage->rest = stage->line;
        if (stage->line[0] != '\0' && stage->line[0] != '#') {
            run_line(stage);
        }
    }
    fclose(file);
    forget_all(stage);
    print_message("%u cases, %u failed\n", stage->cases, stage->failures);
    unsigned cases = stage->cases, failures = stage->failures;
    free(stage);
    assert_true(cases > 0);
    assert_int_equal(failures, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_is_as_expected),
    };

    if (argc > 1) {
        path = argv[1];
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
