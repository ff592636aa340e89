/*
 * Condition operators: one operand against one value of the request.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
 */
#include "policy/private.h"

#define LIKE (PATTERN_WILDCARDS | PATTERN_VARIABLES)
#define SAME PATTERN_VARIABLES
#define FOLD (PATTERN_VARIABLES | PATTERN_FOLD)

static const struct condition_operator operators[] = {
    {"StringEquals", OPERATOR_STRING, SAME, false},
    {"StringNotEquals", OPERATOR_STRING, SAME, true},
    {"StringEqualsIgnoreCase", OPERATOR_STRING, FOLD, false},
    {"StringNotEqualsIgnoreCase", OPERATOR_STRING, FOLD, true},
    {"StringLike", OPERATOR_STRING, LIKE, false},
    {"StringNotLike", OPERATOR_STRING, LIKE, true},
    {"NumericEquals", OPERATOR_NUMERIC, EQUAL, false},
    {"NumericNotEquals", OPERATOR_NUMERIC, EQUAL, true},
    {"NumericLessThan", OPERATOR_NUMERIC, LESS, false},
    {"NumericLessThanEquals", OPERATOR_NUMERIC, LESS | EQUAL, false},
    {"NumericGreaterThan", OPERATOR_NUMERIC, GREATER, false},
    {"NumericGreaterThanEquals", OPERATOR_NUMERIC, GREATER | EQUAL, false},
    {"DateEquals", OPERATOR_DATE, EQUAL, false},
    {"DateNotEquals", OPERATOR_DATE, EQUAL, true},
    {"DateLessThan", OPERATOR_DATE, LESS, false},
    {"DateLessThanEquals", OPERATOR_DATE, LESS | EQUAL, false},
    {"DateGreaterThan", OPERATOR_DATE, GREATER, false},
    {"DateGreaterThanEquals", OPERATOR_DATE, GREATER | EQUAL, false},
    {"Bool", OPERATOR_BOOL, 0, false},
    {"BinaryEquals", OPERATOR_BINARY, 0, false},
    {"IpAddress", OPERATOR_IP, 0, false},
    {"NotIpAddress", OPERATOR_IP, 0, true},
    {"ArnEquals", OPERATOR_ARN, 0, false},
    {"ArnNotEquals", OPERATOR_ARN, 0, true},
    {"ArnLike", OPERATOR_ARN, 0, false},
    {"ArnNotLike", OPERATOR_ARN, 0, true},
    {"Null", OPERATOR_NULL, 0, false},
};

const struct condition_operator *operator_find(struct slice name)
{
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        if (slice_equal_string(name, operators[i].name)) {
            return &operators[i];
        }
    }
    return NULL;
}

/* --- compiling -------------------------------------------------------------*/

static unsigned variables(const struct compiler *compiler, unsigned flags)
{
    return compiler->variables ? flags : flags & ~PATTERN_VARIABLES;
}

/* The first ARN_FIELDS - 1 colons separate; the last field may have more. A
 * variable's own colon separates nothing. */
static bool arn_split(struct slice text, struct slice fields[ARN_FIELDS])
{
    size_t field = 0, start = 0;
    bool braces = false;

    for (size_t i = 0; i < text.size && field < ARN_FIELDS - 1; i++) {
        if (text.data[i] == '{') {
            braces = i > 0 && text.data[i - 1] == '$';
        } else if (text.data[i] == '}') {
            braces = false;
        } else if (text.data[i] == ':' && !braces) {
            fields[field++] = slice_of(text.data + start, i - start);
            start = i + 1;
        }
    }
    fields[field] = slice_tail(text, start);
    return field == ARN_FIELDS - 1;
}

static bool compile_arn(struct compiler *compiler, struct slice text,
                        struct operand *operand)
{
    struct slice fields[ARN_FIELDS];

    if (slice_equal_string(text, "*")) {
        operand->arn = NULL;
        return true;
    }
    if (!arn_split(text, fields)) {
        return false;
    }
    operand->arn =
        arena_alloc(compiler->arena, ARN_FIELDS * sizeof(operand->arn[0]));
    for (size_t i = 0; i < ARN_FIELDS; i++) {
        if (!pattern_compile(compiler->arena, fields[i],
                             variables(compiler, LIKE), &operand->arn[i])) {
            return false;
        }
    }
    return true;
}

static bool compile_bytes(struct compiler *compiler, struct slice text,
                          struct operand *operand)
{
    uint8_t *bytes = arena_alloc(compiler->arena, text.size + 1);
    int size = base64_decode(bytes, text.size, text);

    operand->bytes = slice_of(bytes, size < 0 ? 0 : (size_t)size);
    return size >= 0;
}

static bool compile_value(struct compiler *compiler,
                          const struct condition_operator *op,
                          struct slice text, struct operand *operand)
{
    switch (op->type) {
    case OPERATOR_STRING:
        return pattern_compile(compiler->arena, text,
                               variables(compiler, op->detail),
                               &operand->pattern);
    case OPERATOR_NUMERIC:
        return value_number(text, &operand->number);
    case OPERATOR_DATE:
        return value_date(text, &operand->date_ms);
    case OPERATOR_BOOL:
    case OPERATOR_NULL:
        return value_bool(text, &operand->truth);
    case OPERATOR_BINARY:
        return compile_bytes(compiler, text, operand);
    case OPERATOR_IP:
        return value_network(text, &operand->network);
    case OPERATOR_ARN:
        return compile_arn(compiler, text, operand);
    }
    return false;
}

bool operand_compile(struct compiler *compiler,
                     const struct condition_operator *op, struct slice text,
                     struct operand *operand)
{
    operand->text = text;
    if (compile_value(compiler, op, text, operand)) {
        return true;
    }
    if (op->type == OPERATOR_IP) {
        return compile_fail(compiler, "Invalid IP address in Conditions");
    }
    return compile_fail_syntax(compiler);
}

/* --- matching --------------------------------------------------------------*/

static enum match match_if(bool yes)
{
    return yes ? MATCH_YES : MATCH_NO;
}

static enum comparison compare(double a, double b)
{
    return a < b ? LESS : a > b ? GREATER : EQUAL;
}

static enum match match_arn(const struct operand *operand,
                            const struct policy_request *request,
                            struct slice value)
{
    struct slice fields[ARN_FIELDS];
    enum match result = MATCH_YES;

    if (operand->arn == NULL) {
        return MATCH_YES;
    }
    if (!arn_split(value, fields)) {
        return MATCH_NO;
    }
    for (size_t i = 0; i < ARN_FIELDS; i++) {
        enum match one = pattern_match(&operand->arn[i], request, fields[i]);
        if (one == MATCH_NO) {
            return MATCH_NO;
        }
        if (one == MATCH_UNKNOWN) {
            result = MATCH_UNKNOWN;
        }
    }
    return result;
}

enum match operand_match(const struct condition_operator *op,
                         const struct operand *operand,
                         const struct policy_request *request,
                         struct slice value)
{
    struct network network;
    double number;
    int64_t date_ms;
    bool truth;

    switch (op->type) {
    case OPERATOR_STRING:
        return pattern_match(&operand->pattern, request, value);
    case OPERATOR_NUMERIC:
        return !value_number(value, &number)
                   ? MATCH_UNKNOWN
                   : match_if(op->detail & compare(number, operand->number));
    case OPERATOR_DATE:
        return !value_date(value, &date_ms)
                   ? MATCH_UNKNOWN
                   : match_if(op->detail & compare((double)date_ms,
                                                   (double)operand->date_ms));
    case OPERATOR_BOOL:
        return !value_bool(value, &truth) ? MATCH_UNKNOWN
                                          : match_if(truth == operand->truth);
    case OPERATOR_BINARY:
        return match_if(slice_equal(value, operand->bytes));
    case OPERATOR_IP:
        return !value_network(value, &network)
                   ? MATCH_UNKNOWN
                   : match_if(network_contains(&operand->network, &network));
    case OPERATOR_ARN:
        return match_arn(operand, request, value);
    case OPERATOR_NULL:
        break;
    }
    return MATCH_NO;
}
