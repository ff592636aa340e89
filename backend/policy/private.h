/*
 * Private to policy/: the compiled form, and what its files share.
 *
 * A policy and all it points at live in one arena, written while it is
 * compiled and never after. Evaluation reads it, the request, and its own
 * stack; nothing else.
 */
#ifndef POLICY_PRIVATE_H
#define POLICY_PRIVATE_H

#include "policy/policy.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* --- pattern.c: text with wildcards and variables --------------------------*/
#define PATTERN_VARIABLES_MAX 8u /* of one pattern */

enum piece_type {
    PIECE_TEXT,
    PIECE_ANY, /* '*' */
    PIECE_ONE, /* '?': one character of UTF-8 */
    PIECE_VARIABLE,
};

struct piece {
    enum piece_type type;
    struct slice text;     /* of a variable: its key */
    struct slice fallback; /* of a variable; data == NULL: it has none */
    size_t variable;       /* its number in the pattern */
};

struct pattern {
    struct piece *pieces;
    size_t count;
    size_t variables;
    bool fold; /* ASCII letters match in either case */
};

enum pattern_flags {
    PATTERN_WILDCARDS = 1 << 0, /* '*' and '?' are special */
    PATTERN_VARIABLES = 1 << 1, /* "${" is special */
    PATTERN_FOLD = 1 << 2,
};

/* What cannot be told apart from the request is neither yes nor no: a
 * variable without a value, a text that is no number. */
enum match { MATCH_NO, MATCH_YES, MATCH_UNKNOWN };

/* False: an unfinished or malformed variable, or too many of them. The pattern
 * points into `text`, which must live as long. */
bool pattern_compile(struct arena *arena, struct slice text, unsigned flags,
                     struct pattern *pattern);
/* At most (text + 1) * (bytes of the pattern and its values) steps. */
enum match pattern_match(const struct pattern *pattern,
                         const struct policy_request *request,
                         struct slice text);
/* No wildcard and no variable: says what it is. */
bool text_is_fixed(struct slice text);
bool slice_equal_fold(struct slice a, struct slice b);   /* ASCII */
const uint8_t *slice_find(struct slice text, char byte); /* NULL: not there */
/* The first size bytes, and what is behind them. */
struct slice slice_head(struct slice text, size_t size);
struct slice slice_tail(struct slice text, size_t size);

/* --- values.c: what conditions compare --------------------------------------
 * Each returns false if the text is no such thing. */
struct network {
    uint8_t address[16];
    unsigned size; /* bytes of the address: 4 or 16 */
    unsigned bits; /* of the prefix */
};

bool value_number(struct slice text, double *number); /* 15 digits at most */
/* ISO 8601, or seconds since 1970. In milliseconds. */
bool value_date(struct slice text, int64_t *date_ms);
bool value_bool(struct slice text, bool *value);
bool value_network(struct slice text, struct network *network);
bool network_contains(const struct network *outer, const struct network *inner);

/* --- the compiled statement ------------------------------------------------*/
enum principal_type {
    PRINCIPAL_ANYONE,
    PRINCIPAL_ACCOUNT, /* text: 12 digits */
    PRINCIPAL_ARN,     /* text: of a user, a role, or a role's session */
    PRINCIPAL_CANONICAL,
    PRINCIPAL_FEDERATED,
    PRINCIPAL_SERVICE, /* matches no request: services do not call */
};

struct principal {
    enum principal_type type;
    struct slice text;
};

/* How closely a principal names the caller; the order matters. */
enum closeness {
    CLOSE_NOT,
    CLOSE_ACCOUNT, /* its account, which may delegate the right */
    CLOSE_CALLER,  /* itself, its role, or anyone */
    CLOSE_SESSION, /* this very session of its role */
};

enum operator_type {
    OPERATOR_STRING,
    OPERATOR_NUMERIC,
    OPERATOR_DATE,
    OPERATOR_BOOL,
    OPERATOR_BINARY,
    OPERATOR_IP,
    OPERATOR_ARN,
    OPERATOR_NULL,
};

/* Of ordered types: which outcomes of a comparison are a match. */
enum comparison { LESS = 1, EQUAL = 2, GREATER = 4 };

struct condition_operator {
    const char *name;
    enum operator_type type;
    unsigned detail; /* of strings: pattern_flags; of numbers and dates:
                        comparison */
    bool negated;
};

#define ARN_FIELDS 6

struct operand {
    struct slice text; /* as written */
    union {
        struct pattern pattern;
        struct pattern *arn; /* ARN_FIELDS of them; NULL: any */
        double number;
        int64_t date_ms;
        bool truth;
        struct slice bytes;
        struct network network;
    };
};

enum quantifier { QUANTIFIER_NONE, FOR_ALL_VALUES, FOR_ANY_VALUE };

struct condition {
    const struct condition_operator *op;
    enum quantifier quantifier;
    bool if_exists;
    struct slice key;
    struct operand *operands;
    size_t count;
};

struct statement {
    const char *sid;
    bool allows; /* else it denies */
    bool not_principals, not_actions, not_resources;
    struct principal *principals;
    size_t principal_count;
    struct pattern *actions;
    size_t action_count;
    struct slice *resource_texts; /* as written */
    struct pattern *resources;
    size_t resource_count;
    struct condition *conditions;
    size_t condition_count;
};

struct policy {
    struct arena *arena;
    atomic_uint references;
    bool is_public;
    struct statement *statements;
    size_t count;
};

/* --- compiling: parse.c, statement.c, principal.c, condition.c -------------*/
struct compiler {
    enum policy_kind kind;
    struct slice bucket;
    bool variables; /* the version has them */
    struct arena *arena;
    char *message; /* POLICY_MESSAGE_MAX */
};

/* Writes the message; always false. */
bool compile_fail(struct compiler *compiler, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool compile_fail_syntax(struct compiler *compiler);
/* A copy in the arena. */
struct slice compile_text(struct compiler *compiler, const json_t *string);
/* A string or a list of them, at least one; NULL with a message. */
struct slice *compile_texts(struct compiler *compiler, const json_t *value,
                            size_t *count);

bool statement_compile(struct compiler *compiler, json_t *json,
                       struct statement *statement);
bool principals_compile(struct compiler *compiler, json_t *json,
                        struct statement *statement);
bool conditions_compile(struct compiler *compiler, json_t *json,
                        struct statement *statement);

/* --- operators.c -----------------------------------------------------------*/
const struct condition_operator *operator_find(struct slice name);
bool operand_compile(struct compiler *compiler,
                     const struct condition_operator *op, struct slice text,
                     struct operand *operand);
enum match operand_match(const struct condition_operator *op,
                         const struct operand *operand,
                         const struct policy_request *request,
                         struct slice value);

/* --- s3_names.c: what S3 has -----------------------------------------------*/
enum s3_level { LEVEL_SERVICE = 1, LEVEL_BUCKET = 2, LEVEL_OBJECT = 4 };

/* Levels of the actions that match; 0: there is none. */
unsigned s3_action_levels(const struct pattern *action);
bool s3_condition_key_known(struct slice key);
/* May a statement of these actions have this key at all? */
bool s3_condition_key_applies(struct slice key, const struct pattern *actions,
                              size_t count);

/* --- evaluating ------------------------------------------------------------*/
enum closeness principals_match(const struct statement *statement,
                                const struct policy_principal *caller);
bool conditions_match(const struct statement *statement,
                      const struct policy_request *request);

struct verdict {
    enum policy_effect effect;
    enum closeness closeness; /* of the closest Allow */
    struct policy_reason reason;
};

struct verdict policy_judge(const struct policy *policy,
                            const struct policy_request *request);

/* --- public.c --------------------------------------------------------------*/
bool statement_is_public(const struct statement *statement);

#endif
