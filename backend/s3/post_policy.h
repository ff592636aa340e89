/*
 * Private to s3/: the policy of an upload from a browser's form. Pure.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
 */
#ifndef S3_POST_POLICY_H
#define S3_POST_POLICY_H

#include "base/base.h"
#include "wire/wire.h"

struct post_field {
    struct slice name; /* as sent; compared without regard to case */
    struct slice value;
};

/* What the policy is held against. */
struct post_input {
    const struct post_field *fields;
    size_t count;
    struct slice bucket; /* of the request */
    uint64_t now_ms;
};

struct post_outcome {
    enum s3_error error; /* S3_OK, InvalidPolicyDocument or AccessDenied */
    const char *message; /* in the arena; NULL if allowed */
    uint64_t size_min, size_max; /* bytes that the file may have */
};

/* NULL: no field of that name. */
const struct post_field *post_field_find(const struct post_field *fields,
                                         size_t count, struct slice name);
bool post_name_is(struct slice name, const char *other); /* any case */
/* Names that begin so are of no meaning to S3, nor to the policy. */
bool post_name_ignored(struct slice name);

/* Is the upload what the policy (JSON, not base64) allows, but for its size?
 * Every condition must hold, and every field be in one. */
void post_policy_check(struct arena *arena, struct slice policy,
                       const struct post_input *input,
                       struct post_outcome *outcome);

#endif
