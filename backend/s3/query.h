/*
 * Private to s3/: the query APIs of IAM and STS. A request is POST / with a
 * form (Action=CreateUser&Version=2010-05-08&UserName=...), signed for the
 * service "iam" or "sts"; the worker has verified that over all of the form.
 *
 *   query_run()       reads the form, finds the action in its table
 *   query_subject()   whom or what it is about; may the caller do that?
 *   action->run()     does it, writes the result
 *   query_reply()     frames it
 *
 * https://docs.aws.amazon.com/IAM/latest/APIReference/
 * https://docs.aws.amazon.com/STS/latest/APIReference/
 *
 * Invariants:
 *   Q1  An action runs only after its question was answered with yes; what is
 *       there and what is not is told only after that.
 *   Q2  Everything an action touches is of the caller's account, but for the
 *       roles of others, whose trust policies say who may have them.
 *   Q3  A secret is in a reply, once, and nowhere else.
 */
#ifndef S3_QUERY_H
#define S3_QUERY_H

#include "s3/call.h"

#define QUERY_BODY_MAX   (64u << 10) /* bytes of a form */
#define QUERY_FIELDS_MAX 256u

/* --- forms (query_form.c): pure --------------------------------------------*/
/* Values have a NUL behind them and none inside, and are UTF-8. */
struct query_form {
    struct query_field {
        struct slice name, value;
    } * fields;
    size_t count;
};
/* Strict: each name once, each '%' with two digits. 0 or -EINVAL. */
int query_form_parse(struct arena *arena, struct slice body,
                     struct query_form *form);
/* The parameters of a query, decoded, after those of the body: the same. */
int query_form_add(struct arena *arena, struct query_form *form,
                   struct slice name, struct slice value);
/* NULL: there is none of that name. */
const char *query_form_find(const struct query_form *form, const char *name);

/* --- errors (query_reply.c) ------------------------------------------------*/
#define QUERY_ERRORS(X)                                                        \
    X(ACCESS_DENIED, "AccessDenied", 403)                                      \
    X(DELETE_CONFLICT, "DeleteConflict", 409)                                  \
    X(ENTITY_ALREADY_EXISTS, "EntityAlreadyExists", 409)                       \
    X(EXPIRED_TOKEN, "ExpiredToken", 403)                                      \
    X(EXPIRED_WEB_TOKEN, "ExpiredTokenException", 400)                         \
    X(IDP_REJECTED_CLAIM, "IDPRejectedClaim", 403)                             \
    X(INCOMPLETE_SIGNATURE, "IncompleteSignature", 400)                        \
    X(INTERNAL_FAILURE, "InternalFailure", 500)                                \
    X(INVALID_ACTION, "InvalidAction", 400)                                    \
    X(INVALID_CLIENT_TOKEN_ID, "InvalidClientTokenId", 403)                    \
    X(INVALID_IDENTITY_TOKEN, "InvalidIdentityToken", 400)                     \
    X(INVALID_INPUT, "InvalidInput", 400)                                      \
    X(LIMIT_EXCEEDED, "LimitExceeded", 409)                                    \
    X(MALFORMED_POLICY_DOCUMENT, "MalformedPolicyDocument", 400)               \
    X(MALFORMED_QUERY_STRING, "MalformedQueryString", 400)                     \
    X(MISSING_AUTHENTICATION, "MissingAuthenticationToken", 403)               \
    X(NOT_IMPLEMENTED, "NotImplemented", 501)                                  \
    X(NO_SUCH_ENTITY, "NoSuchEntity", 404)                                     \
    X(PACKED_POLICY_TOO_LARGE, "PackedPolicyTooLarge", 400)                    \
    X(REQUEST_TOO_LARGE, "RequestEntityTooLarge", 413)                         \
    X(SERVICE_UNAVAILABLE, "ServiceUnavailable", 503)                          \
    X(SIGNATURE_DOES_NOT_MATCH, "SignatureDoesNotMatch", 403)                  \
    X(UNMODIFIABLE_ENTITY, "UnmodifiableEntity", 400)                          \
    X(VALIDATION_ERROR, "ValidationError", 400)
enum query_error {
#define QUERY_ERROR_NAME(name, code, status) QUERY_##name,
    QUERY_ERRORS(QUERY_ERROR_NAME)
#undef QUERY_ERROR_NAME
};

/* --- a request -------------------------------------------------------------*/
enum query_service { QUERY_IAM, QUERY_STS };

/* How an action says what it is about; the kind says which field it is. */
enum query_naming {
    NAMES_NOTHING,   /* the account: resource "*" */
    NAMES_ALL,       /* all of a kind: a list */
    NAMES_ONE,       /* UserName, GroupName, RoleName; PolicyArn */
    NAMES_ONE_OR_ME, /* UserName, or the caller */
    NAMES_NEW,       /* one that is to be made; PolicyName */
    NAMES_ITSELF,    /* the action asks its question itself */
};

struct query;
struct query_action {
    const char *name;
    void (*run)(struct query *query);
    enum query_naming naming;
    enum iam_kind kind;
};

struct query {
    struct s3_call *call;
    struct iam *iam;
    enum query_service service;
    const struct query_action *action;
    struct query_form form;
    /* Whom or what it is about; name.name NULL: the account's root user. */
    struct iam_name name;
    struct iam_entity *entity; /* the same as found; NULL: NAMES_NEW, root */
    char arn[IAM_ARN_MAX + 1]; /* the same, as far as it is known; or "" */
    char made[IAM_ACCESS_KEY_MAX + 1]; /* an access key's id; or "" */
    const char *provider, *subject;    /* of a token that is valid; or NULL */
    struct buffer result;              /* XML inside <...Result>; heap */
    bool failed; /* the call has been answered with an error */
};

/* The operation's run(). */
void query_run(struct s3_call *call);

/* query_actions.c; `known`: AWS has it, though it is not here. */
const struct query_action *query_action_find(enum query_service service,
                                             const char *name, bool *known);

/* --- fields (query_fields.c) -----------------------------------------------
 * Functions that return bool: false, the query has failed. */
/* At least one byte. */
bool query_required(struct query *query, const char *name, const char **value);
/* NULL if it is not there or is empty. */
const char *query_optional(struct query *query, const char *name);
/* `fallback` if it is not there. */
bool query_number(struct query *query, const char *name, uint64_t min,
                  uint64_t max, uint64_t fallback, uint64_t *value);

/* --- who may (query_subject.c) ---------------------------------------------*/
/* Fills in name and entity after the caller was allowed the action (Q1). */
bool query_subject(struct query *query);
/* Asks the action's question about one more resource. */
bool query_allowed(struct query *query, const char *resource);
/* AccessDenied as AWS words it. */
void query_deny(struct query *query, const char *resource);
/* "arn:aws:iam::123456789012:user" and what is appended. */
void query_arn(const struct query *query, enum iam_kind kind, const char *path,
               const char *name, char arn[IAM_ARN_MAX + 1]);

/* --- lists (query_list.c) --------------------------------------------------
 * Marker and MaxItems: items in the order of their names, those behind the
 * marker. */
struct query_list {
    struct query *query;
    const char *element; /* "Users" */
    const char *marker;  /* NULL: from the start */
    size_t max;
    struct query_item {
        char *name;
        struct buffer xml;
    } * items; /* heap */
    size_t count, capacity;
};
bool query_list_open(struct query *query, const char *element,
                     struct query_list *list);
/* Where to write the item; NULL: it is not asked for. Valid until the next. */
struct buffer *query_list_add(struct query_list *list, const char *name);
/* Of what comes in order: more than one page was added. */
bool query_list_full(const struct query_list *list);
/* Writes the page into the result, or nothing if `error` is not 0. */
void query_list_close(struct query_list *list, int error);

/* --- replies (query_reply.c) -----------------------------------------------*/
void query_fail(struct query *query, enum query_error error, const char *format,
                ...) __attribute__((format(printf, 3, 4)));
/* From what iam.h says; `message` is that of policies, or NULL. */
void query_fail_errno(struct query *query, int error, const char *message);
/* Frames query->result. */
void query_reply(struct query *query);
/* For reply.c: what went wrong before there was a query, as IAM words it. */
void query_reply_refusal(struct s3_call *call, enum s3_error error,
                         struct slice message);

/* --- what several actions write (query_show.c) -----------------------------*/
/* Path, UserName, UserId, Arn, CreateDate: <User>, <Group>. */
void query_show_entity(struct buffer *out, const struct iam_entity *entity);
void query_show_policy(struct buffer *out, const struct iam_entity *policy);
/* Percent-encoded, as IAM gives documents back. */
void query_show_document(struct buffer *out, const char *element,
                         const struct buffer *json);
/* Last of a result: a buffer that grows leaves a copy of the secrets. */
void query_show_credentials(struct query *query,
                            const struct iam_credentials *key);

#endif
