/*
 * Private to s3/: the rules of a CORS configuration. Pure.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/ManageCorsUsing.html
 */
#ifndef S3_CORS_H
#define S3_CORS_H

#include "base/xml_in.h"

#define CORS_RULES_MAX    100
#define CORS_ID_MAX       255         /* characters */
#define CORS_DOCUMENT_MAX (64u << 10) /* bytes */

struct cors_list {
    struct slice *items;
    size_t count;
};

struct cors_rule {
    struct slice id;          /* data == NULL: none */
    struct cors_list origins; /* AllowedOrigin: at most one '*' each */
    struct cors_list methods; /* AllowedMethod */
    struct cors_list headers; /* AllowedHeader: at most one '*' each */
    struct cors_list exposed; /* ExposeHeader */
    struct slice max_age;     /* seconds, decimal; data == NULL: none */
};

struct cors_rules {
    struct cors_rule *rules;
    size_t count;
};

enum cors_result { CORS_OK, CORS_MALFORMED, CORS_INVALID };

/* Reads a document's tree into rules that share its memory. CORS_INVALID:
 * *message, in the arena, says why. */
enum cors_result cors_read(struct arena *arena, const struct xml_node *root,
                           struct cors_rules *rules, const char **message);

/* One of the five methods that a rule can name. */
bool cors_is_method(struct slice method);

struct cors_request {
    struct slice origin, method;
    struct slice headers; /* comma-separated names; data == NULL: none */
};
struct cors_match {
    const struct cors_rule *rule;
    bool any_origin; /* it was "*" that matched: anybody, no credentials */
};
/* The first rule that allows the origin, the method and all headers. False:
 * there is none. */
bool cors_find(const struct cors_rules *rules,
               const struct cors_request *request, struct cors_match *match);

#endif
